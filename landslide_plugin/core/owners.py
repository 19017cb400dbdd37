"""Who a temporary file belongs to: a process of a machine, which may have ended since."""

from __future__ import annotations

import ctypes
import os
import re
import socket
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

_OUTSIDE = str(0xEFFFFFFC)
"""Linux's name of the numbers that processes have outside of all containers."""


@lru_cache(maxsize=1)
def me() -> str:
    """Return this process as `pid-start-host`, the start in the system's own count, 0 if unknown.

    With its start a process is told from a later one of the same number.
    """
    return f"{os.getpid()}-{_started(os.getpid()) or 0}-{_host()}"


def has_ended(owner: str) -> bool:
    """Whether a process of this machine that `me` named is no more.

    False for those of other machines, of which nothing is known here, and for other texts.
    """
    parts = re.fullmatch(r"(\d+)-(\d+)-(.+)", owner)
    if parts is None or parts[3] != _host():
        return False
    started = _started(int(parts[1]))
    return started is None or (started != int(parts[2]) and 0 not in (started, int(parts[2])))


def runs(number: int) -> bool:
    """Whether a process of this number runs."""
    return _started(number) is not None


def started_on_windows(number: int, kernel: Any, last_error: Callable[[], int]) -> int | None:
    """Return when a process started, as `_started`, without `os.kill`, which ends it there.

    Args:
        number: the process.
        kernel: the library kernel32.
        last_error: returns the number of the library's last error.
    """
    query, synchronize, denied, timeout = 0x1000, 0x100000, 5, 0x102
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(kernel.OpenProcess(query | synchronize, False, number))
    if not handle:
        return 0 if last_error() == denied else None  # another user's
    try:
        times = (ctypes.c_ulonglong * 4)()  # of its making, end, work in the kernel and its own
        pointers = [ctypes.byref(times, 8 * index) for index in range(4)]
        if kernel.WaitForSingleObject(handle, 0) != timeout:
            return None
        return int(times[0]) if kernel.GetProcessTimes(handle, *pointers) else 0
    finally:
        kernel.CloseHandle(handle)


def started_on_mac(number: int, ask: Callable[..., int]) -> int | None:
    """Return when a process started, as `_started`.

    Args:
        number: the process, which is there.
        ask: `proc_pidinfo` of the system's library.
    """
    facts, zombie = _MacProcess(), 5
    if ask(number, 3, ctypes.c_uint64(1), ctypes.byref(facts), ctypes.sizeof(facts)) < 136:
        return 0
    return None if facts.status == zombie else facts.seconds * 10**6 + facts.microseconds


class _MacProcess(ctypes.Structure):
    """The structure proc_bsdinfo of macOS, 136 bytes."""

    _fields_ = (
        ("flags", ctypes.c_uint32),
        ("status", ctypes.c_uint32),
        ("numbers", ctypes.c_uint32 * 10),
        ("names", ctypes.c_char * 48),
        ("rest", ctypes.c_uint32 * 6),
        ("seconds", ctypes.c_uint64),
        ("microseconds", ctypes.c_uint64),
    )


def _host() -> str:
    """Return the machine's name; of a container, which may bear it too, with that of its numbers.

    There, as in a QGIS from Flatpak, processes have numbers that mean others outside.
    """
    name = re.sub(r"\W+", "_", socket.gethostname()) or "unknown"
    try:
        numbers = re.sub(r"\D+", "", os.readlink("/proc/self/ns/pid"))
    except OSError:
        return name
    return name if numbers == _OUTSIDE else f"{name}_{numbers}"


def _started(number: int) -> int | None:
    """Return when a process started, in the system's count; 0 if unknown, None if it is no more."""
    if sys.platform == "win32":
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        return started_on_windows(number, kernel, ctypes.get_last_error)
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return None
    except OverflowError:
        return 0
    except PermissionError:
        pass  # another user's
    if sys.platform == "darwin":
        return started_on_mac(number, ctypes.CDLL(None).proc_pidinfo)
    facts = _facts(number)
    if facts[:1] == ["Z"]:  # ended, and nobody has asked how
        return None
    return int(facts[19]) if facts else 0


def _facts(number: int) -> list[str]:
    """Return the fields of Linux's /proc/NUMBER/stat from the third on: state, parent, ..."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()  # the name before it may hold anything
