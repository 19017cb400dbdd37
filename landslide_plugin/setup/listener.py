"""Who is told how a set-up goes, and what it ends with when it fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ..contract.errors import LandslideError


class Listener(Protocol):
    """Is told what goes on, and says whether to go on."""

    def progress(self, percent: float) -> None:
        """Take how much is done, 0 to 100."""

    def message(self, text: str) -> None:
        """Take a sentence for the user."""

    def warning(self, text: str) -> None:
        """Take a sentence on what will not be as asked."""

    def log(self, line: str) -> None:
        """Take a line that uv wrote."""

    def canceled(self) -> bool:
        """Return whether the user canceled."""


class Part:
    """Passes everything on, and progress as a part of the whole."""

    def __init__(self, listener: Listener, begin: float, end: float) -> None:
        self.message, self.warning = listener.message, listener.warning
        self.log, self.canceled = listener.log, listener.canceled
        self._whole, self._begin, self._end = listener, begin, end

    def progress(self, percent: float) -> None:
        """Take how much of the part is done, 0 to 100."""
        self._whole.progress(round(self._begin + (self._end - self._begin) * percent / 100, 1))


Fetch = Callable[[str, Path, Listener], None]
"""Downloads an address into a file; raises OSError or SetupError where it can't."""


class SetupError(LandslideError):
    """The engine can't be set up; one sentence for the user."""


class SetupCanceled(Exception):
    """The user canceled; what is there does not count as an engine."""
