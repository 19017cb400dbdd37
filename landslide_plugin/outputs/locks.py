"""One run at a time writes an output: a file beside it says which."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..contract.errors import OutputError
from ..core import owners
from ..core.interruption import uninterrupted
from ..core.notes import read_note
from ..core.system import hidden_folder, remove
from .whole import PARTIAL_PREFIX

PREFIX = ".lock-"
_A_MOMENT = 10.0
"""Seconds."""


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Hold the lock of an output, a file beside it that says who writes it since when.

    Args:
        target: the output; its folder must exist.

    Raises:
        OutputError: another run holds it.
    """
    lock = target.with_name(f"{PREFIX}{target.name}")
    note = {"owner": owners.me(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    try:
        _take(lock, json.dumps(note))
    except OSError:  # a folder that is read-only or full is told of by who writes the output
        yield
        return
    try:
        yield
    finally:
        with uninterrupted():
            if read_note(lock).get("owner") == owners.me():
                remove(lock)


def remove_stale(folder: Path) -> None:
    """Remove the locks of runs that have ended without removing them."""
    for lock in folder.glob(f"{PREFIX}*"):
        if owners.has_ended(read_note(lock).get("owner", "")):
            remove(lock)


def _take(lock: Path, note: str) -> None:
    for _ in range(3):
        try:
            _create(lock, note)
            return
        except FileExistsError:
            holder = read_note(lock)
            owner = holder.get("owner", "")
            if (owner and not owners.has_ended(owner)) or (not owner and _is_fresh(lock)):
                number, host = owner.split("-")[0] or "?", owner.split("-", 2)[-1] or "?"
                raise OutputError(
                    f"{lock.with_name(lock.name.removeprefix(PREFIX))} is being written by "
                    f"another run (process {number} on {host}, since {holder.get('since')}): wait "
                    f"for its end, choose another file, or remove {lock} if that run is no more."
                ) from None
            remove(lock)


def _create(lock: Path, note: str) -> None:
    """Have the lock appear with what it says; a kill leaves none that says nothing.

    Raises:
        FileExistsError: it is there.
        OSError: the folder is read-only or full.
    """
    folder = hidden_folder(lock.parent, f"{PARTIAL_PREFIX}{owners.me()}-")
    try:
        (folder / "note").write_text(note, encoding="utf-8")
        try:
            os.link(folder / "note", lock)
        except FileExistsError:
            raise
        except OSError:  # FAT and many network drives have no links
            with lock.open("x", encoding="utf-8") as file:
                file.write(note)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_fresh(lock: Path) -> bool:
    """Whether a lock without a name may be about to get one."""
    try:
        return time.time() - lock.stat().st_mtime < _A_MOMENT
    except OSError:
        return False
