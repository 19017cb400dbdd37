"""The machine that an engine is made for: its system, its Pythons, the driver of its GPU."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess  # nosec B404
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..core.system import no_window
from .listener import SetupError

OLDEST, NEWEST = (3, 11), (3, 14)
"""The Python versions for which the locked packages have wheels."""

UVS_PYTHON = "3.12"
"""The Python that uv brings where the system's is not taken."""

OLDEST_MACOS = 14
"""What the locked torch has wheels for."""


@dataclass(frozen=True)
class Machine:
    """What decides on wheels and folders; tests fake it.

    Attributes:
        system: "Linux", "Windows" or "Darwin".
        processor: "x86_64" or "aarch64", as uv names them.
        release: macOS's version, 0 elsewhere.
        sandboxed: whether the host's Python can't be seen (Flatpak, Snap).
    """

    system: str
    processor: str = "x86_64"
    release: int = 0
    sandboxed: bool = False

    def refusal(self) -> str:
        """Return why no engine can be made here; empty where it can."""
        if self.system == "Darwin" and self.processor == "x86_64":
            return (
                "The engine needs a Mac with Apple silicon, as PyTorch is not made for Intel "
                "Macs any more: use another machine for it."
            )
        if self.system == "Darwin" and self.release < OLDEST_MACOS:
            return (
                f"The engine needs macOS {OLDEST_MACOS} or newer: update this one ({self.release})."
            )
        if self.processor not in ("x86_64", "aarch64"):
            return f"The engine's packages are not made for the processor {self.processor}."
        return ""


@lru_cache(maxsize=1)
def this_machine() -> Machine:
    """Return the machine that this runs on."""
    system, processor = platform.system(), platform.machine().lower()
    if system == "Windows":  # on ARM, too, Windows runs what is made for x86_64
        return Machine(system)
    if system == "Darwin":
        if processor == "arm64" or output_of(["sysctl", "-n", "sysctl.proc_translated"]) == "1":
            processor = "aarch64"  # also where QGIS itself is made for Intel
        # asked of the system: a Python made for an old macOS is told that it is on that
        release = output_of(["sw_vers", "-productVersion"]).split(".")[0]
        return Machine(system, processor, int(release or 0))
    sandboxed = Path("/.flatpak-info").exists() or "SNAP" in os.environ
    return Machine(system, {"arm64": "aarch64"}.get(processor, processor), 0, sandboxed)


def base_python(machine: Machine, named: str = "") -> tuple[str, str]:
    """Return what an environment is made from, for uv, and its version, such as "3.12".

    Raises:
        SetupError: the Python that was named does not fit.
    """
    if named:
        version = version_of(Path(named))
        if not fits(version):
            raise SetupError(
                f"The engine needs Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}; "
                f"{named} is {version or 'none'}: name another one, or none."
            )
        return named, version
    if machine.system == "Linux" and not machine.sandboxed:
        pythons = [(str(path), version_of(path)) for path in _pythons()]
        fitting = [pair for pair in pythons if fits(pair[1])]
        if fitting:  # the first that has wheels of everything, else the first
            return min(fitting, key=lambda pair: pair[1] == "3.14")
    names = {"Darwin": "macos", "Windows": "windows", "Linux": "linux"}
    return f"cpython-{UVS_PYTHON}-{names[machine.system]}-{machine.processor}", UVS_PYTHON


def fits(version: str) -> bool:
    """Return whether the locked packages have wheels for a Python."""
    return bool(version) and OLDEST <= tuple(int(part) for part in version.split(".")) <= NEWEST


def version_of(python: Path) -> str:
    """Return a Python's version, such as "3.11"; empty where it does not run."""
    version = output_of([str(python), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
    return version if re.fullmatch(r"\d+\.\d+", version) else ""


def torch_for_gpu(machine: Machine) -> str:
    """Return the torch choice for the GPU's driver: a CUDA version, or "cpu" where it has none.

    Source: table 3 of NVIDIA's CUDA Toolkit release notes (driver versions for minor version
    compatibility: 580 for CUDA 13, 525 for CUDA 12).
    """
    if machine.system == "Darwin":
        return "cpu"
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    driver = int((re.findall(r"^\d+", output_of(asked)) or ["0"])[0])
    if driver >= 580:
        return "cu130"
    return "cu126" if driver >= 528 and machine.system == "Windows" else "cpu"


def _pythons() -> Iterator[Path]:
    yield Path("/usr/bin/python3")
    for name in ("python3.13", "python3.12", "python3.11", "python3"):
        if path := shutil.which(name):
            yield Path(path)


def output_of(words: list[str], seconds: float = 30) -> str:
    """Return what a program prints, stripped; empty where it is not there, fails or hangs."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    try:
        done = subprocess.run(  # noqa: S603 - a fixed list  # nosec B603
            words,
            env=clean,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
            text=True,
            **no_window(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
