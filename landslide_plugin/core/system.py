"""What differs between Windows, macOS and Linux: programs, their end, names and moves of files."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess  # nosec B404
import sys
import time
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PureWindowsPath
from typing import Any

from . import owners

LONGEST_PATH = 259
"""Letters of a path that Windows takes, where long ones were not allowed."""

_CREATE_NEW_PROCESS_GROUP, _CREATE_NO_WINDOW = 0x200, 0x8000000
_RESERVED = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³]) *(\..*)?", re.I)
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f]')
_PATIENCE = 1.0
"""Seconds that virus scanners and indexers may hold a new file open."""
_PAUSE = 0.02


def is_windows() -> bool:
    """Whether this is Windows."""
    return os.name == "nt"


def no_window() -> dict[str, Any]:
    """Return what `subprocess` takes for a program to open no console window on Windows."""
    return {"creationflags": _CREATE_NO_WINDOW} if is_windows() else {}


def own_group() -> dict[str, Any]:
    """Return what `subprocess` takes for a program to have a group of its own, and no window."""
    if is_windows():
        return {"creationflags": _CREATE_NEW_PROCESS_GROUP | _CREATE_NO_WINDOW}
    return {"start_new_session": True}


def ask_to_end(process: subprocess.Popen[str]) -> None:
    """Tell a program of `own_group` to end: by SIGTERM, on Windows by the end of its stdin."""
    if not is_windows():
        _signal_group(process.pid, "SIGTERM")
    elif process.stdin is not None:
        with suppress(OSError):  # what was still to be written can't be
            process.stdin.close()


def end_group(process: subprocess.Popen[Any], worker: int = 0) -> bool:
    """Kill a program of `own_group` and those that it started; return whether one was there.

    Args:
        process: the program.
        worker: the process number that it says it has, 0 if it has not: on Windows the Python of
            an environment is a launcher, which starts the true one under another number.
    """
    if not is_windows():
        return _signal_group(process.pid, "SIGKILL")
    running = {process.pid} if process.poll() is None else set()
    if worker and owners.runs(worker):
        running.add(worker)
    for number in running:
        _end_on_windows(number)
    return bool(running)


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def hidden_folder(parent: Path, prefix: str) -> Path:
    """Make a folder of a new name that others can't look into; what it holds may be for them.

    On Windows they can: there `tempfile.mkdtemp` takes all others' rights from the folder, and a
    file that is made in it and moved to its place would keep that.

    Args:
        parent: where it goes.
        prefix: how its name begins; letters and digits follow.

    Raises:
        OSError: it can't be made.
    """
    while True:
        folder = parent / f"{prefix}{secrets.token_hex(4)}"
        with suppress(FileExistsError):
            folder.mkdir(mode=0o777 if is_windows() else 0o700)
            return folder


def exists(path: str | Path) -> bool:
    """Whether a file or folder of this name is there; of a name that none can have, no."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # too long, or with a null
        return False


def replace(old: str | Path, new: str | Path) -> None:
    """Rename a file as `os.replace` does; on Windows be patient with who else looks at it.

    Raises:
        OSError: it can't be.
    """
    _patiently(os.replace, old, new)


def remove(file: Path) -> None:
    """Remove a file, if it is there and can be; with the patience of `replace`."""
    with suppress(OSError):
        _patiently(file.unlink)


def is_in_use(file: Path) -> bool:
    """Whether a file can't be replaced, as another program has it open; told on Windows alone."""
    if not is_windows() or not file.is_file():
        return False
    try:
        _patiently(os.rename, file, file)
    except PermissionError:
        return True
    return False


def one_name(path: str | Path) -> str:
    """Return a text that is equal for paths of one file, as far as the names tell.

    Windows and macOS take large letters for small ones, macOS also both ways to write an umlaut.
    """
    text = os.path.normcase(path)
    if is_windows() or sys.platform == "darwin":
        return unicodedata.normalize("NFC", text).casefold()
    return text


def name_problem(path: str | Path, beside: int = 0) -> str:
    """Return what to say of a path that Windows does not take; "" where it does, and elsewhere.

    Args:
        path: of a file or folder to be made, as it was given.
        beside: how many letters longer names are that are made on the way.

    Returns:
        The end of a sentence, without a full stop.
    """
    if not is_windows():
        return ""
    plain = PureWindowsPath(path)
    for name in plain.parts[1 if plain.anchor else 0 :]:
        if _RESERVED.fullmatch(name):
            return f"Windows keeps the name {name} for a device: choose another one"
        if match := _FORBIDDEN.search(name):
            return f"Windows takes no {match[0]!r} in a name: choose another one"
        if name != ".." and name != name.rstrip(". "):
            return f"Windows leaves out the end of the name {name!r}: choose one without"
    length = len(str(path)) + beside
    if length > LONGEST_PATH and not _takes_long_paths():
        return (
            f"with what is written on the way its path has {length} characters, and Windows takes "
            f"{LONGEST_PATH}: choose a shorter folder or name"
        )
    return ""


def _patiently(action: Callable[..., None], *files: str | Path) -> None:
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            action(*files)
            return
        except PermissionError:
            if not is_windows() or time.monotonic() > until:
                raise
        time.sleep(_PAUSE)


def _signal_group(number: int, name: str) -> bool:
    if sys.platform == "win32":
        return False
    try:
        os.killpg(number, getattr(signal, name))
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _end_on_windows(number: int) -> None:
    """Kill a process and those that it started; by itself alone where that program can't."""
    # never one that lies about on the path
    windows = os.environ.get("SystemRoot", "C:\\Windows")  # noqa: SIM112 - as Windows spells it
    taskkill = os.path.join(windows, "System32", "taskkill.exe")
    with suppress(OSError):
        subprocess.run(  # noqa: S603 - our own list, no shell  # nosec B603
            [taskkill, "/PID", str(number), "/T", "/F"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            **no_window(),
        )
    with suppress(OSError):
        os.kill(number, signal.SIGTERM)


def _takes_long_paths() -> bool:
    """Whether Windows was set, and this Python made, for paths of any length."""
    if sys.platform != "win32":
        return True
    import ctypes

    ask = getattr(ctypes.WinDLL("ntdll"), "RtlAreLongPathsEnabled", None)
    return bool(ask is not None and ask() & 1)
