"""The faults: what happens to a run, and when."""

import errno
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

ERRORS = ("ENOSPC", "EIO", "EDQUOT", "EFBIG", "ESTALE", "EMFILE", "EACCES")
EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "tempfile.mkdtemp")
"""What Python tells its audit hooks of, as far as it changes files."""
KINDS = ("cancel", "kill", "kill at a file event", "error at a file event", "file size limit",
         "full disk", "few open files", "input cut off")  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        kind: one of `KINDS`.
        share: when, as a share of an undisturbed run; or of a size.
        number: of the file event.
        error: name of the error.
    """

    kind: str
    share: float
    number: int
    error: str

    @classmethod
    def draw(cls, random: Random, kind: str) -> "Fault":
        """Return a fault of a kind at a random moment."""
        return cls(kind, random.random(), random.randrange(sys.maxsize), random.choice(ERRORS))

    def describe(self) -> str:
        """Return it in words."""
        return f"{self.kind} (share {self.share:.3f}, event {self.number}, {self.error})"

    def arm(self, folder: Path, seconds: float, size: int, events: int) -> None:
        """Have it happen in this process; called in the child before it begins.

        Args:
            folder: of the outputs, whose file events count.
            seconds: how long an undisturbed run takes.
            size: bytes of its largest output.
            events: how many file events it has.
        """
        number = self.number % events
        if self.kind in ("cancel", "kill"):
            signal_number = signal.SIGTERM if self.kind == "cancel" else signal.SIGKILL
            _later(self.share * seconds, lambda: os.kill(os.getpid(), signal_number))
        elif self.kind == "kill at a file event":
            _at_event(folder, number, lambda: os.kill(os.getpid(), signal.SIGKILL))
        elif self.kind == "error at a file event":
            _at_event(folder, number, self._raise)
        elif self.kind == "file size limit":
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            limit = int(self.share * size)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        elif self.kind == "few open files":
            own = 3  # beside the one that counting takes, the worker keeps four from its start on
            limit = len(os.listdir("/proc/self/fd")) + own + self.number % 20
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    def _raise(self) -> None:
        number = getattr(errno, self.error)
        raise OSError(number, os.strerror(number))


def _later(seconds: float, action: Callable[[], None]) -> None:
    def wait() -> None:
        time.sleep(seconds)
        action()

    threading.Thread(target=wait, daemon=True).start()


def count_events(folder: Path) -> Callable[[], int]:
    """Count the file events in a folder from now on; return what tells how many there were."""
    seen = [0]

    def count() -> None:
        seen[0] += 1

    _at_events(folder, count)
    return lambda: seen[0]


def _at_event(folder: Path, number: int, action: Callable[[], None]) -> None:
    seen = iter(range(sys.maxsize))
    _at_events(folder, lambda: action() if next(seen) == number else None)


def _at_events(folder: Path, action: Callable[[], None]) -> None:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in EVENTS and _is_within(folder, event, arguments):
            action()

    sys.addaudithook(hook)


def _is_within(folder: Path, event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether an event changes something in the folder."""
    if not arguments or not isinstance(arguments[0], str | os.PathLike):
        return False
    if event == "open":
        mode, flags = arguments[1], arguments[2]
        writes = any(letter in str(mode or "") for letter in "wax+") or flags & (
            os.O_WRONLY | os.O_RDWR | os.O_CREAT
        )
        if not writes:
            return False
    return os.fspath(arguments[0]).startswith(str(folder))
