"""Resolves requirements/*.in into the locks that are installed, with a digest of every wheel.

`python scripts/lock.py` keeps the versions that are locked, as far as they still fit;
`--upgrade` takes the newest. Needs the index, uv and the developers' environment.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"
PYTHON = "3.11"
"""The oldest Python; the resolution holds for all newer ones."""

CUDA = re.compile(r"(nvidia|cuda)-|triton==")
"""What PyPI's torch brings for a GPU on Linux, and its builds for the CPU do without."""


def main() -> None:
    """Write the locks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    upgrade = ["--upgrade"] if parser.parse_args().upgrade else []
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder) / "all.lock"  # uv keeps the versions that stand in its output
        known.write_text("".join(f"{pin}\n" for pin in _locked("engine", "cuda", "dev")))
        everything = _resolve(known, ["engine.in", "dev.in"], upgrade)
        engine = _resolve(known, ["engine.in"], [])
    names = {_name(pin) for pin in engine}
    _write("engine", [pin for pin in everything if _name(pin) in names and not CUDA.match(pin)])
    _write("cuda", [pin for pin in everything if CUDA.match(pin)])
    _write("dev", [pin for pin in everything if _name(pin) not in names])
    _write("qgis-tests", _resolve(REQUIREMENTS / "qgis-tests.lock", ["qgis-tests.in"], upgrade))


def _resolve(output: Path, inputs: list[str], options: list[str]) -> list[str]:
    """Return the pins with their digests, resolved for all systems at once."""
    words = ["uv", "pip", "compile", "--universal", "--generate-hashes", "--only-binary", ":all:"]
    words += ["--no-emit-index-url", "--no-header", "--no-annotate", "--python-version", PYTHON]
    words += [*options, "--output-file", str(output), "--quiet"]
    subprocess.run([*words, *(str(REQUIREMENTS / name) for name in inputs)], check=True)
    return _pins(output)


def _pins(lock: Path) -> list[str]:
    """Return each pin of a lock, with its digests on the lines that follow its name."""
    return re.findall(r"^[^\s#].*(?:\n\s+.*)*", lock.read_text(encoding="utf-8"), re.MULTILINE)


def _locked(*names: str) -> list[str]:
    paths = [REQUIREMENTS / f"{name}.lock" for name in names]
    return [pin for path in paths if path.is_file() for pin in _pins(path)]


def _name(pin: str) -> str:
    return pin.split("==")[0]


def _write(name: str, pins: list[str]) -> None:
    text = "\n".join(["# Made by scripts/lock.py; installed with --require-hashes.", *pins])
    (REQUIREMENTS / f"{name}.lock").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
