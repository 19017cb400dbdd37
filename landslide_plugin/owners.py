"""Who a temporary file belongs to: a process of a machine, which may have ended since."""

import os
import platform
import re
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def me() -> str:
    """Return this process as `pid-start-host`, the start in the system's own count, 0 if unknown.

    With its start a process is told from a later one of the same number.
    """
    return f"{os.getpid()}-{_started(os.getpid())}-{_host()}"


def has_ended(owner: str) -> bool:
    """Whether a process of this machine that `me` named is no more.

    False for those of other machines, of which nothing is known here, and for other texts.
    """
    parts = re.fullmatch(r"(\d+)-(\d+)-(.+)", owner)
    if parts is None or parts[3] != _host():
        return False
    number, started = int(parts[1]), int(parts[2])
    return not _runs(number) or (started > 0 and _started(number) not in (0, started))


def _host() -> str:
    return re.sub(r"\W+", "_", platform.node()) or "unknown"


def _started(number: int) -> int:
    """Return when a process started, in ticks since the machine did; 0 where that isn't told."""
    facts = _facts(number)
    return int(facts[19]) if facts else 0


def _facts(number: int) -> list[str]:
    """Return the fields of Linux's /proc/NUMBER/stat from the third on: state, parent, ..."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()  # the name before it may hold anything


def _runs(number: int) -> bool:
    if os.name == "nt":
        return _runs_on_windows(number)
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return _facts(number)[:1] != ["Z"]  # ended, and nobody has asked how


def _runs_on_windows(number: int) -> bool:
    """Ask without `os.kill`, which ends the process there."""
    import ctypes

    still_active, query = 259, 0x1000
    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined]
    handle = kernel.OpenProcess(query, False, number)
    if not handle:
        return False
    status = ctypes.c_ulong()
    kernel.GetExitCodeProcess(handle, ctypes.byref(status))
    kernel.CloseHandle(handle)
    return status.value == still_active
