"""Tells the true cause of a failed set-up from what uv wrote: one sentence, with the mend."""

from __future__ import annotations

import re

_SETTINGS = "QGIS's network settings (Settings > Options > Network) or the variable HTTPS_PROXY"
_PYTORCH = "download.pytorch.org"
_OTHER_BUILD = ", or take PyPI's build of PyTorch (pypi)"
_CAUSES = (
    (
        r"hash mismatch for `([^`]+)`|hash-checking is enabled, but .*?: `?([\w.+=-]+)",
        "{name} is not the file that was checked: it was changed on its way or where it was put, "
        "and is not installed; try from another network or wheelhouse",
    ),
    (
        r"no space left|disk quota|not enough space on the disk",
        "the disk is full: free some space, or set LANDSLIDE_HOME to a folder on another disk",
    ),
    (r"\b407\b|proxy auth", f"the proxy wants a name and a password: give them in {_SETTINGS}"),
    (r"tunnel|proxy", f"the proxy does not let {{host}} through: check {_SETTINGS}"),
    (
        r"certificate",
        "the certificate of {host}, or of a proxy on the way, is not trusted here: add it to the "
        "system's certificates, or name its file in the variable SSL_CERT_FILE",
    ),
    (
        r"because (\S+) has no (?:usable )?wheels|distribution `([^`]+)` can't be installed",
        "{name} has no wheel for this system and Python: name a Python 3.11 to 3.13, or update "
        "the system",
    ),
    (
        r"because (\S+) was not found in the provided",
        "the wheelhouse lacks {name}: put its wheel there",
    ),
    (
        r"because there is no version of (\S+)|because (\S+) was not found",
        "the index lacks {name}: check which mirror is set in pip's or uv's settings",
    ),
    (
        r"python-build-standalone|install_only|no interpreter found|no download found",
        "Python 3.12 can't be downloaded: check the internet connection and the proxy, or name a "
        "Python 3.11 to 3.13 that is installed",
    ),
    (
        r"read-only file system|permission denied|access is denied",
        "there is no permission to write: set LANDSLIDE_HOME to a folder of your own",
    ),
    (
        r"dns error|failed to lookup|getaddrinfo|name or service not known",
        f"{{host}} can't be found: check the internet connection, or the proxy in {_SETTINGS}",
    ),
    (
        r"error sending request|connection|timed out|timeout|unreachable|no route|failed to fetch"
        r"|failed to download",
        "{host} does not answer: check the internet connection and the firewall, then set up "
        "again; what was downloaded is kept",
    ),
)


def explain(lines: list[str]) -> str:
    """Return why uv failed, as the end of a sentence.

    Args:
        lines: the last that it wrote.
    """
    text = "\n".join(lines)
    named_host = re.search(r"https?://(?:[^/@\s]*@)?([^/:\s`)]+)", text)
    host = named_host[1] if named_host else "the server"
    for pattern, sentence in _CAUSES:
        if match := re.search(pattern, text, re.IGNORECASE):
            name = next(filter(None, match.groups()), "a package")
            other = _OTHER_BUILD if host == _PYTORCH and "{host}" in sentence else ""
            return f"{sentence.format(name=name, host=host)}{other}."
    told = [line.strip() for line in lines if line.lstrip().startswith(("error", "cause"))]
    told = told[:1] + told[1:][-1:] or lines[-1:] or ["uv wrote nothing"]
    return f"{', '.join(told)}."
