"""Resolves requirements/*.in into the locks that are installed, with a digest of every wheel.

`python scripts/lock.py` keeps the versions that are locked, as far as they still fit;
`--upgrade` takes the newest. Needs the index, uv and the developers' environment. Beside the locks
it writes sizes.json (bytes, and the longest path, from the index and the wheels' own lists of
files) and uv.json; what is known of PyTorch's own index stands in pytorch.json, which it reads.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess  # nosec B404
import tempfile
import tomllib
import urllib.request
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import parse_wheel_filename

from landslide_plugin.setup.machine import NEWEST, OLDEST

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"
PYTHONS = tuple(f"3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1))
"""Up to the newest that torch has wheels for."""
PYTHON = PYTHONS[0]
"""The resolution holds for all newer ones."""

CUDA = re.compile(r"(nvidia|cuda)-|triton==")
"""What PyPI's torch brings for a GPU on Linux, and its builds for the CPU do without."""

TAIL = 2**18
"""Bytes at a wheel's end that are read first for its list of files."""


@dataclass(frozen=True)
class Target:
    """A system that engines are made for; the newest wheels that it takes by their tags."""

    system: str
    processor: str
    platforms: tuple[str, ...]
    sys_platform: str
    machine: str

    def markers(self, python: str) -> dict[str, str]:
        """Return the values that requirements' markers are compared with."""
        return {
            "sys_platform": self.sys_platform,
            "platform_machine": self.machine,
            "platform_system": self.system,
            "platform_python_implementation": "CPython",
            "implementation_name": "cpython",
            "os_name": "nt" if self.system == "Windows" else "posix",
            "python_version": python,
            "python_full_version": f"{python}.9",
        }


def _linux(processor: str) -> Target:
    """Return Linux with glibc 2.36, Debian 12's, or older ones."""
    glibc = [f"manylinux_2_{minor}_{processor}" for minor in range(36, 16, -1)]
    old = [f"manylinux{year}_{processor}" for year in ("2014", "2010", "1")]
    return Target("Linux", processor, (*glibc, *old), "linux", processor)


TARGETS = (
    _linux("x86_64"),
    _linux("aarch64"),
    Target("Windows", "x86_64", ("win_amd64",), "win32", "AMD64"),
    Target("Darwin", "aarch64", tuple(mac_platforms((14, 0), "arm64")), "darwin", "arm64"),
)


def main() -> None:
    """Write the locks, sizes.json and uv.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    upgrade = ["--upgrade"] if parser.parse_args().upgrade else []
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / "all.lock"  # uv keeps the versions that stand in its output
        before.write_text("".join(f"{pin}\n" for pin in _locked("engine", "cuda", "dev")))
        everything = _resolve(before, ["engine.in", "dev.in"], upgrade)
        engine = _resolve(before, ["engine.in"], [])
        before.write_text("\n".join(everything))
        packages = _packages(before, Path(folder) / "pylock.toml")
    names = {_name(pin) for pin in engine}
    _write("engine", [pin for pin in everything if _name(pin) in names and not CUDA.match(pin)])
    _write("cuda", [pin for pin in everything if CUDA.match(pin)])
    _write("dev", [pin for pin in everything if _name(pin) not in names])
    _write("qgis-tests", _resolve(REQUIREMENTS / "qgis-tests.lock", ["qgis-tests.in"], upgrade))
    _write_json("sizes", _sizes(packages, names))
    _write_json("uv", _uv(packages))


def _resolve(output: Path, inputs: list[str], options: list[str]) -> list[str]:
    """Return the pins with their digests, resolved for all systems at once."""
    words = ["uv", "pip", "compile", "--universal", "--generate-hashes", "--only-binary", ":all:"]
    words += ["--no-emit-index-url", "--no-header", "--no-annotate", "--python-version", PYTHON]
    words += [*options, "--output-file", str(output), "--quiet"]
    words += [str(REQUIREMENTS / name) for name in inputs]
    subprocess.run(words, check=True)  # nosec B603
    return _pins(output)


def _packages(lock: Path, output: Path) -> list[dict[str, Any]]:
    """Return the packages of a lock with their wheels' addresses and sizes, as the index says."""
    words = ["uv", "pip", "compile", "--universal", "--only-binary", ":all:", "--quiet"]
    words += ["--python-version", PYTHON, "--output-file", str(output), str(lock)]
    subprocess.run(words, check=True)  # nosec B603
    return list(tomllib.loads(output.read_text(encoding="utf-8"))["packages"])


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


def _write_json(name: str, content: dict[str, Any]) -> None:
    text = json.dumps(content, indent=1)
    (REQUIREMENTS / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


def _uv(packages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return uv's version, the oldest of a user's own that serves, and a wheel each system.

    The oldest is the first of the same minor version: uv changes its options between minor ones.
    """
    uv = next(package for package in packages if package["name"] == "uv")
    wheels = {}
    for target in TARGETS:
        wheel = _best(uv, target, PYTHON)
        digest = f"sha256:{wheel['hashes']['sha256']}"
        wheels[_key(target)] = {"name": _file(wheel), "digest": digest, "url": wheel["url"]}
    oldest = f"{uv['version'].rpartition('.')[0]}.0"
    return {"version": uv["version"], "oldest": oldest, "wheels": wheels}


def _sizes(packages: list[dict[str, Any]], engine: set[str]) -> dict[str, Any]:
    """Return what each part weighs on each system and Python, and the longest path."""
    chosen = list(_chosen(packages))
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(_content, {wheel["url"] for _, _, _, wheel in chosen}))
    sizes: dict[str, Any] = {
        "source": (
            "download: the index; disk: the wheels' lists of files; torch of PyTorch's index: "
            "pytorch.json; longest_path: the longest of the engine's files on Windows"
        ),
        "longest_path": 0,
    }
    for target, python, name, wheel in chosen:
        disk, longest = _content(wheel["url"])
        part = "cuda" if CUDA.match(f"{name}==") else "engine" if name in engine else "dev"
        builds = _pypi_builds(target) if name == "torch" else [part]
        for build in builds:
            of_python = sizes.setdefault(_key(target), {}).setdefault(python, {})
            size = of_python.setdefault(build, {"download": 0, "disk": 0})
            size["download"] += wheel["size"]
            size["disk"] += disk
        if target.system == "Windows" and part == "engine":
            sizes["longest_path"] = max(sizes["longest_path"], longest)
    for name, facts in _pytorch().items():
        target, python, build = _parts(name)
        sizes[_key(target)][python][f"torch-{build}"] = {
            key: facts[key] for key in ("download", "disk")
        }
    return sizes


def _chosen(packages: list[dict[str, Any]]) -> Iterator[tuple[Target, str, str, dict[str, Any]]]:
    """Yield target, Python, name and wheel of all that is installed anywhere."""
    for target in TARGETS:
        for python in PYTHONS:
            for package in packages:
                marker = package.get("marker")
                if marker and not Marker(marker).evaluate(target.markers(python)):
                    continue
                yield target, python, package["name"], _best(package, target, python)


def _best(package: dict[str, Any], target: Target, python: str) -> dict[str, Any]:
    """Return the wheel that an installer takes."""
    version = tuple(int(part) for part in python.split("."))
    ranks: dict[Tag, int] = {}
    for tag in (
        *cpython_tags(version, platforms=target.platforms),
        *compatible_tags(version, f"cp{python.replace('.', '')}", target.platforms),
    ):
        ranks.setdefault(tag, len(ranks))
    fitting = []
    for wheel in package["wheels"]:
        matching = [ranks[tag] for tag in parse_wheel_filename(_file(wheel))[3] if tag in ranks]
        if matching:
            fitting.append((min(matching), wheel["url"], wheel))
    if not fitting:
        raise SystemExit(f"{package['name']} has no wheel for {_key(target)}, Python {python}")
    return dict(min(fitting)[2])


@cache
def _content(url: str) -> tuple[int, int]:
    """Return the bytes that a wheel takes unpacked and its longest path, from its list of files."""
    size = TAIL
    while True:
        tail = _tail(url, size)
        try:
            with zipfile.ZipFile(BytesIO(tail)) as archive:
                files = archive.infolist()
            return sum(file.file_size for file in files), max(len(file.filename) for file in files)
        except (zipfile.BadZipFile, ValueError):
            if size > 2**26:
                raise
            size *= 4


def _tail(url: str, size: int) -> bytes:
    request = urllib.request.Request(url, headers={"Range": f"bytes=-{size}"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310  # nosec B310
        return bytes(answer.read())


def _pypi_builds(target: Target) -> list[str]:
    """Return the choices of torch that PyPI's wheel serves."""
    if target.system == "Linux":
        return ["torch-pypi", "torch-cu130"]
    every = ["torch-pypi", "torch-cpu"]
    return every if target.system == "Windows" else [*every, "torch-cu130", "torch-cu126"]


def _pytorch() -> dict[str, dict[str, Any]]:
    text = (REQUIREMENTS / "pytorch.json").read_text(encoding="utf-8")
    return dict(json.loads(text)["wheels"])


def _parts(name: str) -> tuple[Target, str, str]:
    """Return the system, the Python and the build of a wheel of PyTorch's index."""
    _, version, python, _, platform = name.removesuffix(".whl").split("-")
    target = next(target for target in TARGETS if platform in target.platforms)
    return target, f"3.{python[3:]}", version.split("+")[1]


def _key(target: Target) -> str:
    return f"{target.system}-{target.processor}"


def _file(wheel: dict[str, Any]) -> str:
    return unquote(wheel["url"].rsplit("/", 1)[-1])


if __name__ == "__main__":
    main()
