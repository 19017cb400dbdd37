"""Ending when asked to: soon, whatever swallows the exception, but not amid what must be whole."""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

INSIST_SECONDS = 1.0
"""A process that is to end and has not is told again."""
LAST_SECONDS = 3.5
"""Then it ends without ceremony: a cancel is to be done within five seconds, QGIS's part too."""

_A_MOMENT = 0.2
"""Seconds in which a signal is handled, but for a wait in C."""

_asked = threading.Event()
"""Set from the first signal on, until what there is is being kept."""
_insisting = threading.Lock()
_first: int = signal.SIGTERM
"""What asked first, which the exit status tells."""
_depth = 0
"""Of blocks that must not be interrupted."""


def end(number: int, frame: FrameType | None = None) -> None:
    """End by an exception, so that temporary files are removed; the handler of SIGTERM.

    A callback from C swallows exceptions, so it comes again, by the signal and by `check`.
    """
    global _first
    if _insisting.acquire(blocking=False):
        _first = number
        threading.Thread(target=_insist, daemon=True).start()
    _asked.set()
    raise SystemExit(128 + number)


def watch(*names: str) -> None:
    """Have signals end the process, those that come just before a wait in C begins as well.

    There Python would handle them when the wait is over; a thread that each signal wakes sees that
    it was not handled, and sends it to the main thread once more.

    Args:
        names: of the signals; those that the system lacks are left out.
    """
    if sys.platform != "win32":  # where nothing ends a wait in C
        told, telling = os.pipe()
        os.set_blocking(telling, False)
        signal.set_wakeup_fd(telling, warn_on_full_buffer=False)
        threading.Thread(target=_wake, args=(told,), daemon=True).start()
    for name in names:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), end)
    atexit.register(_end_at_once)  # what is registered first comes last


def check() -> None:
    """Raise `SystemExit` if the process was asked to end and goes on; called wherever it tells.

    Raises:
        SystemExit: see `end`.
    """
    if _asked.is_set() and not _depth and _is_main():
        raise SystemExit(128 + signal.SIGTERM)


def accept() -> None:
    """Say that the exception was caught to keep what there is: it comes no more.

    The process ends all the same within `LAST_SECONDS`.
    """
    _asked.clear()


def end_main_thread() -> None:
    """Send SIGTERM to this process's main thread, so that a wait there ends too."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    else:
        _thread.interrupt_main(signal.SIGTERM)


@contextmanager
def uninterrupted() -> Iterator[Sequence[int]]:
    """Hold SIGTERM and SIGINT back until the end of the block, which must be short.

    Yields:
        Those that came, for a block that can end by itself.
    """
    global _depth
    held: list[int] = []
    if not _is_main():
        yield held  # signals reach the main thread alone
        return

    def hold(number: int, frame: FrameType | None) -> None:
        held.append(number)

    handlers = {number: signal.signal(number, hold) for number in (signal.SIGTERM, signal.SIGINT)}
    _depth += 1
    try:
        yield held
    finally:
        _depth -= 1
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for late in dict.fromkeys(held):
            signal.raise_signal(late)


def _wake(told: int) -> None:
    while os.read(told, 64):
        time.sleep(_A_MOMENT)
        if not _insisting.locked() and not _depth:
            end_main_thread()


def _insist() -> None:
    until = time.monotonic() + LAST_SECONDS
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, INSIST_SECONDS))
        if _asked.is_set():
            end_main_thread()
    os._exit(128 + signal.SIGTERM)


def _end_at_once() -> None:
    """Leave out the taking down of all modules, with PyTorch and Dask nearly a second of computing.

    The thread that sees to a soon end is gone by then, and on a busy machine that second takes ten.
    """
    if _asked.is_set():
        sys.stderr.flush()
        os._exit(128 + _first)


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()
