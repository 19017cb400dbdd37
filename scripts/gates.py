"""What plugins.qgis.org asks of an archive, before it is sent there.

After the site's own checks (github.com/qgis/QGIS-Plugins-Website: plugins/validator.py and
plugins/security_scanner.py, November 2026; plugins.qgis.org/docs/publish and
/docs/security-scanning). It asks the addresses besides whether they answer; nobody is asked here.
"""

from __future__ import annotations

import configparser
import importlib.util
import json
import re
import subprocess  # nosec B404
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

LARGEST = 25_000_000
"""Bytes of an archive that the site takes."""
REQUIRED = (
    *("name", "description", "version", "qgisMinimumVersion", "author", "email", "about"),
    *("tracker", "repository", "homepage", "license"),
)
ADDRESSES = ("homepage", "tracker", "repository")
BOOLEANS = ("experimental", "deprecated", "server", "supportsQt6")
FORBIDDEN_FOLDERS = ("__MACOSX", "__pycache__")
PROGRAMS = (".exe", ".dll", ".so", ".dylib", ".bat", ".cmd", ".ps1", ".sh", ".pyc", ".pyo")
PLACEHOLDER = re.compile(r"\bexample\.(org|com|net)\b|\.(example|invalid|test)\b")
MODELS = "models/weights/models.json"
"""Says of each model whether it is distributed in the archive."""
TOOL_SECONDS = 300


@dataclass(frozen=True)
class Finding:
    """What is wrong with an archive.

    Attributes:
        stops: whether the site would refuse or block it.
        text: one sentence: what is wrong, and how to mend it.
    """

    stops: bool
    text: str


def _stop(text: str) -> Finding:
    return Finding(stops=True, text=text)


def _warn(text: str) -> Finding:
    return Finding(stops=False, text=text)


def check(path: Path) -> list[Finding]:
    """Return what the plugin site would find in an archive.

    Args:
        path: the zip file.
    """
    size = path.stat().st_size
    if size > LARGEST:
        return [
            _stop(f"The archive has {size:,} bytes, the site takes {LARGEST:,}: leave more out.")
        ]
    try:
        with zipfile.ZipFile(path) as archive:
            return list(_findings(archive))
    except zipfile.BadZipFile as error:
        return [_stop(f"{path} is no zip file ({error}): build it anew.")]


def _findings(archive: zipfile.ZipFile) -> Iterator[Finding]:
    if damaged := archive.testzip():
        yield _stop(f"{damaged} is damaged in the archive: build it anew.")
        return
    yield from _names(archive)
    tops = sorted({name.split("/")[0] for name in archive.namelist()})
    if len(tops) != 1 or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]+", tops[0]):
        yield _stop(
            f"The archive holds {', '.join(tops)}: it must be one folder whose name is of ASCII "
            "letters, digits and underscores."
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        archive.extractall(folder)
        plugin = Path(folder) / tops[0]
        for needed in ("__init__.py", "metadata.txt", "LICENSE"):
            if not (plugin / needed).is_file():
                yield _stop(f"{needed} is missing: add it to the archive's parts.")
        if (plugin / "metadata.txt").is_file():
            yield from _metadata(plugin)
        yield from _models(plugin)
        yield from _bandit(plugin)
        yield from _secrets(plugin)


def _names(archive: zipfile.ZipFile) -> Iterator[Finding]:
    for entry in archive.infolist():
        name, parts = entry.filename, PurePosixPath(entry.filename).parts
        if ".." in name or name.startswith("/"):
            yield _stop(f"{name} leads out of the plugin's folder: give it another name.")
        if hidden := [part for part in parts if part.startswith(".")]:
            yield _stop(f"{name} is hidden ({hidden[0]}): leave it out.")
        if unwanted := [part for part in parts if part in FORBIDDEN_FOLDERS]:
            yield _stop(f"{name} lies in {unwanted[0]}: leave that folder out.")
        if PurePosixPath(name).suffix.lower() in PROGRAMS:
            yield _stop(f"{name} is a program or library: leave it out.")
        if entry.external_attr >> 16 & 0o111 and not entry.is_dir():
            yield _warn(f"{name} is executable: take that permission away.")


def _metadata(plugin: Path) -> Iterator[Finding]:
    parser = configparser.ConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string((plugin / "metadata.txt").read_text(encoding="utf-8"))
        given = dict(parser.items("general"))
    except (configparser.Error, UnicodeDecodeError) as error:
        yield _stop(f"metadata.txt can't be read ({' '.join(str(error).split())}).")
        return
    for key in REQUIRED:
        if not given.get(key, "").strip():
            yield _stop(f"metadata.txt says nothing of {key}: fill it in.")
    yield from _addresses(given)
    yield from _forms(given)
    if not (plugin / given.get("icon", "icon.svg")).is_file():
        yield _stop(f"metadata.txt: the icon {given.get('icon')} is not in the archive.")


def _addresses(given: dict[str, str]) -> Iterator[Finding]:
    for key in ADDRESSES:
        parts = urlsplit(given.get(key, ""))
        if given.get(key) and (parts.scheme not in ("http", "https") or not parts.netloc):
            yield _stop(f"metadata.txt: {key} is no web address: {given[key]}.")
    for key in (*ADDRESSES, "email"):
        if PLACEHOLDER.search(given.get(key, "")):
            yield _warn(
                f"metadata.txt: {key} is a placeholder, {given[key]}: the owner fills it in."
            )


def _forms(given: dict[str, str]) -> Iterator[Finding]:
    if "/" in given.get("author", ""):
        yield _stop("metadata.txt: the author's name holds a slash: write it without.")
    if "@" not in given.get("email", "@"):
        yield _stop(f"metadata.txt: email is no mail address: {given['email']}.")
    for key in ("version", "qgisMinimumVersion", "qgisMaximumVersion"):
        if not re.fullmatch(r"\d+(\.\d+){1,2}", given.get(key, "0.0")):
            yield _stop(f"metadata.txt: {key} is no version: {given[key]}.")
    for key in BOOLEANS:
        if given.get(key, "true").lower() not in ("true", "false"):
            yield _stop(f"metadata.txt: {key} is neither True nor False: {given[key]}.")


def _models(plugin: Path) -> Iterator[Finding]:
    """Weights may go out under clear terms alone."""
    page = plugin / MODELS
    models = json.loads(page.read_text(encoding="utf-8")) if page.is_file() else {}
    for path in sorted(plugin.rglob("*.safetensors")):
        entry = models.get(path.stem, {})
        if entry.get("distributed") != "zip" or not entry.get("licence"):
            yield _stop(
                f"{path.name} has no clear terms in {MODELS}: leave it out, or state its licence."
            )


def _bandit(plugin: Path) -> Iterator[Finding]:
    """All of Bandit's tests, without a configuration of ours; the site runs a part of them."""
    if not _is_there("bandit"):
        yield _warn("Bandit was not run, this Python lacks it: `make zip` has it.")
        return
    report = _run("-m", "bandit", "-r", ".", "-f", "json", "-q", folder=plugin)
    for issue in report["results"]:
        yield _stop(
            f"Bandit, {issue['test_id']}, {issue['filename']}:{issue['line_number']}: "
            f"{issue['issue_text']}"
        )
    for problem in report["errors"]:
        yield _stop(f"Bandit can't read {problem['filename']}: {problem['reason']}.")


def _secrets(plugin: Path) -> Iterator[Finding]:
    if not _is_there("detect_secrets"):
        yield _warn("detect-secrets was not run, this Python lacks it: `make zip` has it.")
        return
    words = ("-m", "detect_secrets", "scan", "--all-files", "--exclude-files", r"metadata\.txt")
    report = _run(*words, ".", folder=plugin)
    for name, secrets in report["results"].items():
        for secret in secrets:
            yield _stop(
                f"detect-secrets, {name}:{secret['line_number']}: {secret['type']}; write it so "
                "that it does not look like one."
            )


def _is_there(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _run(*words: str, folder: Path) -> dict[str, Any]:
    """Return what a tool of this Python writes in JSON; it ends with 1 when it finds something."""
    done = subprocess.run(  # nosec B603
        [sys.executable, *words], cwd=folder, capture_output=True, timeout=TOOL_SECONDS, check=False
    )
    report: dict[str, Any] = json.loads(done.stdout)
    return report
