"""How much memory is free, and the refusal of work that can't fit in it."""

import ctypes
import os
import sys
from pathlib import Path

from ..contract.errors import InputError
from .progress import Progress

WORTH_TELLING = 1e8
"""Bytes from which on somebody may want to know."""


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
    """Return the bytes that are free for use.

    Where the system tells the installed memory alone (macOS), that; infinity where neither.
    """
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
