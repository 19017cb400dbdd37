"""Arrays worked on by threads, some lines each; numpy and scipy let them run side by side."""

import math
from collections.abc import Callable, Iterator

from ..core.ahead import read_ahead
from ..core.system import cores

_PIXELS = 1 << 18
"""Of what a thread derives at once: fewer, and threads wait for each other between calls of numpy;
many more, and their arrays leave the cache."""
_LEAST = 8


def chunks(lines: int, length: int) -> Iterator[slice]:
    """Yield slices of an array's lines, in order: some for each core.

    Args:
        lines: how many there are.
        length: pixels of a line.
    """
    step = max(min(_PIXELS // length, math.ceil(lines / cores())), _LEAST)
    for start in range(0, lines, step):
        yield slice(start, min(start + step, lines))


def by_threads(work: Callable[[slice], object], lines: int, length: int) -> None:
    """Have threads work on an array's lines, and wait until all is done; see `chunks`."""
    for _ in read_ahead(work, chunks(lines, length), cores()):
        pass
