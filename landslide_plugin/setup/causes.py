"""Tells the true cause of a failed set-up from what uv wrote: one sentence, with the mend."""

from __future__ import annotations

import re

_CAUSES = (
    (
        r"hash mismatch for `([^`]+)`|hash-checking is enabled, but .*?: `?([\w.+=-]+)",
        "{0} is not the file that was checked for this version: it was changed on its way or where "
        "it was put; nothing of it is installed. Try again from another network or wheelhouse.",
    ),
    (
        r"no space left|disk quota|not enough space on the disk|os error 112",
        "the disk is full: free some space, or set LANDSLIDE_HOME to a folder on another disk.",
    ),
    (
        r"407 proxy|proxy authentication|status code 407",
        "the proxy wants a name and a password: give them in QGIS's network settings, or in the "
        "variable HTTPS_PROXY.",
    ),
    (
        r"tunnel|proxyconnect|error connecting to proxy|proxy",
        "the proxy does not let it through: check the proxy in QGIS's network settings, or the "
        "variable HTTPS_PROXY.",
    ),
    (
        r"certificate|unknownissuer|self.signed",
        "the certificate of the server, or of a proxy on the way, is not trusted here: add it to "
        "the system's certificates, or name its file in the variable SSL_CERT_FILE.",
    ),
    (
        r"(?:distribution `([^`]+)`|`([^`]+)`).{0,80}?(?:doesn't have|has no) .{0,60}?wheel"
        r"|no wheels with a matching",
        "{0} has no wheel for this system and Python: name a Python 3.11 to 3.13, or update the "
        "system.",
    ),
    (
        r"no download found for|no interpreter found|no managed python",
        "there is no Python 3.12 for this system: name one that is installed.",
    ),
    (
        r"read-only file system|permission denied|access is denied|os error 5\b|os error 13",
        "there is no permission to write in the folder: set LANDSLIDE_HOME to one that is yours.",
    ),
    (
        r"no-index|not found in the provided|were not found in the|unsatisfiable|no versions of",
        "the wheelhouse lacks a package ({line}): complete it.",
    ),
    (
        r"dns error|failed to lookup|name or service not known|temporary failure in name",
        "{host} can't be found: check the internet connection, or the proxy in QGIS's network "
        "settings.",
    ),
    (
        r"error sending request|connection|timed out|timeout|unreachable|failed to fetch"
        r"|failed to download|request failed|network",
        "{host} does not answer: check the internet connection and the firewall, then set up "
        "again; what was downloaded is kept.",
    ),
)


def explain(lines: list[str]) -> str:
    """Return why uv failed, as the end of a sentence.

    Args:
        lines: the last that it wrote.
    """
    text = "\n".join(lines)
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it wrote nothing")
    host = re.search(r"https?://(?:[^/@\s]*@)?([^/:\s`)]+)", text)
    for pattern, sentence in _CAUSES:
        if found := re.search(pattern, text, re.IGNORECASE | re.DOTALL):
            name = next((group for group in found.groups() if group), "a package")
            return sentence.format(name, host=host[1] if host else "the server", line=last)
    return f"{last}."
