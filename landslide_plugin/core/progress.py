"""Progress, messages and warnings of a command, sent to whoever started it."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from .interruption import check

T = TypeVar("T")
Sink = Callable[[dict[str, Any]], None]


class Progress:
    """Reports on a 0..1 scale; `part` hands a share of the scale to a sub-task.

    Args:
        sink: receives events, `{"type": "progress", "percent": 12.5}`,
            `{"type": "message", "text": ...}` or `{"type": "warning", "text": ...}`.
            Without one nothing is reported.
        start: where this part begins on the whole scale, 0..1.
        stop: where it ends.
    """

    _STEP_PERCENT = 0.5

    def __init__(self, sink: Sink | None = None, start: float = 0.0, stop: float = 1.0) -> None:
        self._sink = sink
        self._start = start
        self._stop = stop
        self._last = -1.0

    def update(self, fraction: float) -> None:
        """Say how much of this part is done, 0..1.

        Raises:
            SystemExit: the process was asked to end, and something has swallowed that.
        """
        check()
        fraction = min(max(fraction, 0.0), 1.0)
        percent = 100 * (self._start + (self._stop - self._start) * fraction)
        if percent - self._last >= self._STEP_PERCENT or (fraction == 1.0 and percent > self._last):
            self._last = percent
            self._send({"type": "progress", "percent": round(percent, 2)})

    def message(self, text: str) -> None:
        """Tell the user something."""
        self._send({"type": "message", "text": text})

    def warning(self, text: str) -> None:
        """Tell the user about something that may spoil the result."""
        self._send({"type": "warning", "text": text})

    def part(self, start: float, stop: float) -> "Progress":
        """Return a progress whose 0..1 is `start`..`stop` of this one."""
        width = self._stop - self._start
        return Progress(self._sink, self._start + width * start, self._start + width * stop)

    def parts(self, count: int) -> "list[Progress]":
        """Return as many equal parts of this one, in order."""
        return [self.part(number / count, (number + 1) / count) for number in range(count)]

    def track(self, items: Iterable[T], total: int) -> Iterator[T]:
        """Yield the items and update after each."""
        for done, item in enumerate(items, start=1):
            yield item
            self.update(done / max(total, 1))

    def _send(self, event: dict[str, Any]) -> None:
        if self._sink is not None:
            self._sink(event)


class Listening(Progress):
    """Hands on to another progress what it is told, each text once, and keeps the texts."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(self._hear)
        self._progress = progress
        self._heard: dict[str, str] = {}

    @property
    def texts(self) -> list[str]:
        """Messages and warnings, in the order told."""
        return list(self._heard)

    @property
    def warnings(self) -> list[str]:
        """Warnings alone."""
        return [text for text, kind in self._heard.items() if kind == "warning"]

    def _hear(self, event: dict[str, Any]) -> None:
        if event["type"] == "progress":
            self._progress.update(event["percent"] / 100)
        elif event["text"] not in self._heard:
            self._heard[event["text"]] = event["type"]
            self._progress._send(event)


def print_texts(event: dict[str, Any]) -> None:
    """Print messages and warnings: a sink for programs at a terminal."""
    if "text" in event:
        print(event["text"], flush=True)
