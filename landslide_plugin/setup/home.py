"""Where engines live: one folder a lock and torch, shared by QGIS's profiles and its updates."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePath

from ..core.notes import read_note
from ..core.system import LONGEST_PATH
from .listener import SetupError
from .machine import Machine, this_machine
from .plan import Plan

STAMP = "landslide-engine.json"
"""File in an environment that says what was installed; without it the engine is not there."""

VARIABLE = "LANDSLIDE_HOME"
"""Names the folder of engines in place of the system's usual one."""


@dataclass(frozen=True)
class Engine:
    """An environment that is whole.

    Attributes:
        folder: where it is.
        torch: the torch that was chosen.
        python: the version of its Python.
        size: bytes on disk; most are shared with the cache.
    """

    folder: Path
    torch: str
    python: str
    size: int


def home(machine: Machine | None = None) -> Path:
    """Return the folder of engines."""
    system = (machine or this_machine()).system
    if os.environ.get(VARIABLE):
        return Path(os.path.expanduser(os.environ[VARIABLE])).absolute()  # QGIS doesn't
    if system == "Windows":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif system == "Darwin":
        base = Path.home() / "Library" / "Application Support"
    else:  # a Snap copies its XDG_DATA_HOME at each refresh
        given = os.environ.get("SNAP_USER_COMMON") or os.environ.get("XDG_DATA_HOME")
        base = Path(given or Path.home() / ".local" / "share")
    return base / "landslide-mapper"


def python_of(folder: Path, machine: Machine | None = None) -> Path:
    """Return where the interpreter of an environment is."""
    if (machine or this_machine()).system == "Windows":
        return folder / "Scripts" / "python.exe"
    return folder / "bin" / "python"


def stamp_of(folder: Path) -> dict[str, str]:
    """Return what an environment's stamp says; nothing where it is not whole."""
    return read_note(folder / STAMP)


def is_ready(plan: Plan, folder: Path) -> bool:
    """Return whether an environment stands as planned, so that nothing is to do."""
    stamp = stamp_of(folder)
    wanted = plan.settled().wanted().items()
    return python_of(folder).is_file() and all(stamp.get(key) == text for key, text in wanted)


def engines(folder: Path) -> list[Engine]:
    """Return the engines in the home folder that are whole, the newest first."""
    folders = []
    for engine in _whole(folder):
        stamp = stamp_of(engine)
        folders.append(
            Engine(engine, stamp.get("torch", ""), stamp.get("python", ""), size_of(engine))
        )
    return folders


def find(folder: Path, plan: Plan) -> Path | None:
    """Return the Python of the engine to use: of the plan's locks, else the newest; None: none.

    The torch that was chosen does not matter here: the newest choice is what the user wants.
    """
    lock = plan.wanted()["engine"]
    whole = sorted(_whole(folder), key=lambda engine: stamp_of(engine).get("engine") != lock)
    return python_of(whole[0]) if whole else None


def _whole(folder: Path) -> list[Path]:
    stamps = sorted(folder.glob(f"*/{STAMP}"), key=lambda path: -path.stat().st_mtime)
    engines = [path.parent for path in stamps]
    return [path for path in engines if stamp_of(path) and python_of(path).is_file()]


def remove(folder: Path) -> None:
    """Remove an engine, or what a set-up left of one: its stamp first, so that none is half there.

    Raises:
        SetupError: a program uses it.
    """
    try:
        (folder / STAMP).unlink(missing_ok=True)
        shutil.rmtree(folder)
    except OSError as error:
        raise SetupError(
            f"{folder} can't be removed ({error.strerror}): close the programs that use it."
        ) from None


def remove_cache(folder: Path) -> None:
    """Remove what uv keeps of its downloads: what an engine is made of stays as it is."""
    shutil.rmtree(folder / "cache", ignore_errors=True)


def size_of(folder: Path) -> int:
    """Return the bytes of the files in a folder; those that vanish meanwhile don't count."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:
                continue
    return total


def check_length(plan: Plan, folder: PurePath) -> None:
    """Refuse a folder in which Windows could not open the longest of the packages' files.

    Raises:
        SetupError: it is too deep.
    """
    inside = len(r"\Lib\site-packages" + "\\") + plan.longest_path()
    if plan.machine.system == "Windows" and len(str(folder)) + inside > LONGEST_PATH:
        raise SetupError(
            f"Windows takes paths of {LONGEST_PATH} characters, the engine in {folder} would "
            f"have {len(str(folder)) + inside}: set the environment variable {VARIABLE} to a "
            r"shorter folder, such as C:\landslide."
        )
