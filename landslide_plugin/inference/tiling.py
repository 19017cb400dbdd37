"""Where the windows of a raster lie, and how much each counts at each pixel.

The blending weights are made per axis and sum to one at every pixel beforehand, so nothing has to
be divided, and a slab of about one window's height is all that is held of the output.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..contract.errors import InputError

CONTEXT = 64
"""Pixels that neighbouring windows have in common where nothing else is asked for: what a network
sees too little of near a window's border does not grow with the window."""
WIDEST = 99_840
"""Columns of a raster that are computed side by side; a wider one is cut into strips. A multiple of
the side of a file's tiles."""


@dataclass(frozen=True, eq=False)
class Span:
    """The place of a window on one axis: its first pixel, and its weights, float32, (pixels,).

    A window that reaches over the raster's border has weights within the raster only.
    """

    start: int
    weights: NDArray[np.float32]


@dataclass(frozen=True)
class Tile:
    """A window of the raster: where it stands on both axes."""

    row: Span
    col: Span

    @property
    def window(self) -> Window:
        """The pixels it covers, none of them outside the raster."""
        return Window(self.col.start, self.row.start, len(self.col.weights), len(self.row.weights))


class Tiling:
    """All windows of a raster, row by row, from top to bottom.

    Args:
        shape: rows and columns of the raster.
        size: pixels of a window's side.
        overlap: share of the side that neighbours have in common, 0 to 0.9; None takes a quarter
            of the side, and `CONTEXT` pixels at most.

    Attributes:
        size: as given.
        shared: pixels that neighbours have in common.
        rows: their places from top to bottom.
        cols: from left to right.
        strips: numbers of the columns of windows of each strip; one holds all, but in a raster that
            is wider than `WIDEST`.

    Raises:
        InputError: the size is below 16.
    """

    def __init__(self, shape: tuple[int, int], size: int, overlap: float | None = None) -> None:
        if size < 16:
            raise InputError(f"The tile size is {size} pixels: choose 16 or more.")
        self.size = size
        self.shared = min(size // 4, CONTEXT) if overlap is None else round(size * overlap)
        self.rows = spans(shape[0], size, self.shared)
        self.cols = spans(shape[1], size, self.shared)
        count = math.ceil(shape[1] / WIDEST)
        wanted = [len(self.cols) * number // count for number in range(1, count)]
        self.strips = parts(self.cols, wanted, 1)

    def __len__(self) -> int:
        return len(self.rows) * len(self.cols)

    def __iter__(self) -> Iterator[Tile]:
        return (Tile(row, col) for row in self.rows for col in self.cols)


def parts(along: Sequence[Span], wanted: Iterable[int], least: int) -> list[range]:
    """Part the windows of an axis so that none reaches farther than into the next part.

    Args:
        along: the windows.
        wanted: numbers of windows, rising, at which a part may begin.
        least: windows a part, but for the last.
    """
    ends = [span.start + len(span.weights) for span in along]
    cuts = [0]
    for number in wanted:
        reaches = ends[cuts[-1] - 1] if cuts[-1] else 0
        if number - cuts[-1] >= least and along[number].start >= reaches:
            cuts.append(number)
    return [range(first, end) for first, end in pairwise([*cuts, len(along)])]


def spans(length: int, size: int, shared: int) -> list[Span]:
    """Return the windows along one axis, with weights that sum to one at each pixel.

    Where windows overlap, the outer quarter of the overlap is left to the neighbour (there the
    network sees too little beyond the window's border) and the half between is blended with a
    Hann ramp, sin^2, as is common for sliding windows (Pielawski and Wählby 2020, PLOS ONE 15:
    e0229839). At the raster's border, and with a single window, the weight is one.

    Windows start at multiples of a power of two, for a network that halves its images n times
    gives the same answer only where an image is shifted by a multiple of 2^n.

    Args:
        length: pixels of the raster along this axis.
        size: pixels of a window along this axis.
        shared: pixels that a window has in common with the next, at least.
    """
    if length <= size:
        return [Span(0, np.ones(length, np.float32))]
    step = size - shared
    multiple = max(2**n for n in range(6) if step % 2**n <= step // 8)
    step = step // multiple * multiple
    last = math.ceil((length - size) / multiple) * multiple
    starts = [*range(0, last, step), last]
    rise = _rise(size, size - step)
    weights = [np.ones(size) if start == 0 else rise.copy() for start in starts]
    for weight in weights[:-1]:
        weight *= rise[::-1]
    total = np.zeros(last + size)
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + size] += weight
    return [
        Span(start, (weight / total[start : start + size]).astype(np.float32)[: length - start])
        for start, weight in zip(starts, weights, strict=True)
    ]


def _rise(size: int, shared: int) -> NDArray[np.float64]:
    """Return a window's weights but for the fall at its end."""
    margin = shared // 4
    ramp = shared - 2 * margin
    rise = np.ones(size)
    rise[:margin] = 0
    rise[margin : margin + ramp] = np.sin(np.pi / 2 * (np.arange(ramp) + 0.5) / max(ramp, 1)) ** 2
    return rise
