"""Builds the plugin's archive from the last commit: `make zip`, or `python3 -m scripts.zip`.

One commit gives the same bytes on every machine: files are sorted, their times are the commit's,
their permissions fixed, and they are stored as they are, since deflated bytes differ from one
zlib to the next. The plugin site's gates are run on it; what stops a publication ends with 1.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import subprocess  # nosec B404
import sys
import tarfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

from .gates import MODELS, check

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "dist" / "landslide_mapper.zip"
FOLDER = "landslide_mapper"
PARTS = (
    *("__init__.py", "metadata.txt", "icon.svg", "LICENSE"),
    *("README.md", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "docs"),
    *("landslide_plugin", "models", "processing_algorithms", "requirements"),
)
"""What the plugin needs of the repository."""
NOT_NEEDED = ("requirements/engine.in", "requirements/dev", "requirements/qgis-tests")
"""Beginnings of names."""
METADATA, CHANGELOG = "metadata.txt", "CHANGELOG.md"
EARLIEST = 315_532_800
"""1980, where the times of zip files begin, in seconds since 1970."""


def main(words: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Builds the plugin's archive and checks it.")
    parser.add_argument("target", type=Path, nargs="?", default=TARGET)
    target = parser.parse_args(words).target
    make_zip(ROOT, target)
    findings = check(target)
    if _git(ROOT, "status", "--porcelain", "--", *PARTS):
        print("Warning: the working tree differs from the last commit, which the archive holds.")
    for finding in findings:
        print(f"{'Error' if finding.stops else 'Warning'}: {finding.text}")
    content = target.read_bytes()
    print(f"{target}: {len(content):,} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")
    return int(any(finding.stops for finding in findings))


def make_zip(root: Path, target: Path) -> None:
    """Write the archive of a repository's last commit.

    Args:
        root: the repository.
        target: the archive; its folder is made.
    """
    files = committed(root)
    left_out = (*NOT_NEEDED, *_weights_left_out(json.loads(files[MODELS])))
    files = {name: files[name] for name in sorted(files) if not name.startswith(left_out)}
    files[METADATA] = with_changelog(files[METADATA].decode(), files[CHANGELOG].decode()).encode()
    seconds = max(int(_git(root, "log", "-1", "--format=%ct")), EARLIEST)
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(f"{FOLDER}/{name}", time.gmtime(seconds)[:6])
            info.create_system = 3  # Unix, whatever this machine is
            info.external_attr = 0o100644 << 16
            archive.writestr(info, content)


def committed(root: Path) -> dict[str, bytes]:
    """Return what the last commit holds of `PARTS`, with line ends as they are committed."""
    plain = ("-c", "core.autocrlf=false", "-c", "core.eol=lf")
    packed = _git(root, *plain, "archive", "--format=tar", "HEAD", "--", *PARTS)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return {
            member.name: file.read()
            for member in archive.getmembers()
            if member.isfile() and (file := archive.extractfile(member))
        }


def with_changelog(metadata: str, changelog: str) -> str:
    """Return metadata.txt with the newest section of CHANGELOG.md as its `changelog`.

    QGIS and the plugin site read it by Python's configparser: further lines are indented, and a
    per cent sign is written twice.
    """
    section = changelog.split("\n## ")[1].strip().replace("%", "%%")
    text = section.replace("\n", "\n    ")
    lines = [
        f"changelog={text}" if line.startswith("changelog=") else line
        for line in metadata.splitlines()
    ]
    return "\n".join(lines) + "\n"


def _weights_left_out(models: dict[str, dict[str, str]]) -> list[str]:
    elsewhere = [name for name, model in models.items() if model["distributed"] != "zip"]
    return [f"models/weights/{name}.safetensors" for name in elsewhere]


def _git(root: Path, *words: str) -> bytes:
    return subprocess.run(  # nosec B603, B607
        ["git", *words], cwd=root, stdout=subprocess.PIPE, check=True
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
