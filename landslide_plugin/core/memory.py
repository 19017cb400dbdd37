"""How much memory is free, and the refusal of work that can't fit in it."""

import ctypes
import os
import sys
from pathlib import Path

from ..contract.errors import InputError
from .progress import Progress

WORTH_TELLING = 1e8
"""Bytes from which on somebody may want to know."""

_GROUPS = Path("/proc/self/cgroup")
"""The groups of processes (cgroups) that Linux counts this one in: a container's, a queue's."""
_LIMITS = Path("/sys/fs/cgroup")
_FILES = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Of version 2 and 1, by the folder: a group's limit and use, and what of it is files, given up."""


def require_memory(needed: float, work: str, advice: str, progress: Progress) -> None:
    """Say how much memory work will need, unless it is little; refuse what can't fit.

    Args:
        needed: bytes.
        work: what needs them, such as "The streams of 900 x 800 cells".
        advice: how to need less, such as "clip the DEM".
        progress: where it is said.

    Raises:
        InputError: it can't fit; the message has both figures.
    """
    text = f"{work} need about {needed / 1e9:.2f} GB of memory"
    free = available_memory()
    if needed > free:
        raise InputError(f"{text} and {free / 1e9:.2f} GB are free: {advice}.")
    if needed >= WORTH_TELLING:
        progress.message(f"{text}.")


def available_memory() -> float:
    """Return the bytes that are free for use, in a container or a job of a queue those it may use.

    Where the system tells the installed memory alone (macOS), that; infinity where neither.
    """
    return min(_free_on_machine(), _free_in_groups())


def _free_on_machine() -> float:
    if sys.platform == "win32":
        return _free_on_windows()
    try:
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * int(line.split()[1])
    except OSError:
        pass
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (OSError, ValueError):
        return float("inf")


def _free_in_groups() -> float:
    """Return the bytes that the groups of this process leave it; infinity without limits."""
    try:
        lines = _GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return float("inf")
    free = float("inf")
    for _, controllers, path in (line.split(":", 2) for line in lines):
        folder = "memory" if "memory" in controllers.split(",") else controllers
        if folder in _FILES:
            group = _LIMITS / folder / path.lstrip("/")
            # In a container the path is the host's, and the container's own group the root here.
            for one in (group, *group.parents):
                if one.is_relative_to(_LIMITS / folder):
                    free = min(free, _free_in(one, *_FILES[folder]))
    return free


def _free_in(group: Path, limit: str, used: str, given_up: str) -> float:
    """Return the bytes that one group leaves; infinity where it has no limit."""
    try:
        most, now = (int((group / name).read_text(encoding="utf-8")) for name in (limit, used))
        told = (group / "memory.stat").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):  # not there, or "max"
        return float("inf")
    files = sum(int(line.split()[1]) for line in told if line.split()[0] == given_up)
    return float(max(most - now + files, 0))


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of the Windows API."""

    _fields_ = (
        ("length", ctypes.c_ulong),
        ("load", ctypes.c_ulong),
        ("physical", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("rest", ctypes.c_ulonglong * 5),
    )


def _free_on_windows() -> float:
    status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
    if sys.platform == "win32":
        ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
    return float(status.free or "inf")


def give_back() -> None:
    """Hand the memory of freed arrays back to the system, where the C library keeps it (glibc).

    What large arrays of many sizes leave is kept in pieces that the next ones don't fit in: the
    peak of a long run would grow with its length.
    """
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)
