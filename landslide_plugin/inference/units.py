"""Rows of windows that are computed as one: in any order, by any process, with the same pixels.

Windows of neighbouring units overlap. What a unit's windows say of rows that the unit above reaches
too is kept as they say it, unsummed; what the unit above has summed there is kept unfinished. Sums
are then added to window by window, in the order of a run without units: float sums hang on it.

Wide rasters are cut into strips of columns too, whoever computes them. What neighbouring strips say
of columns that both reach is added as it is, for weights sum to one over all windows.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .tiling import Span, Tiling, parts

LEAST_ROWS = 2
"""Rows of windows in a unit, at least; in one, workers wait for the first window too often."""
WIDE = 32
"""Windows in a row from which one row is enough: what a kill costs, and memory, grow with it."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """Whole rows of windows, in one strip.

    Attributes:
        number: from 0, row by row of units.
        first: its first row of windows.
        end: the row of windows after its last.
        cols: its columns of windows.
        top: first row of the raster that its windows reach.
        bottom: the row of the raster after the last.
        left: first column of the raster that its windows reach.
        right: the column after the last.
        shared: rows from `top` on that windows of the unit above reach too.
        reaching: rows of windows, from `first` on, that reach these.
        beside: columns from `left` on that windows of the strip to the left reach too.
    """

    number: int
    first: int
    end: int
    cols: range
    top: int
    bottom: int
    left: int
    right: int
    shared: int
    reaching: int
    beside: int

    def holds(self, row: int, col: int) -> bool:
        """Return whether the window of a row and column of windows is one of its."""
        return self.first <= row < self.end and col in self.cols

    def __str__(self) -> str:
        """Return its number and place, for a sentence."""
        cols = f", columns {self.left} to {self.right - 1}" if self.left else ""
        return f"{self.number} (rows {self.top} to {self.bottom - 1}{cols})"


@dataclass(frozen=True)
class Part:
    """What the windows of a unit give.

    Attributes:
        values: weighted sums, float32, (channels, rows, columns), from below the shared rows on,
            not yet cut to 0..1; NaN where nothing is valid.
        above: of the shared rows, as each window gives it, without weights, float32, (rows of
            windows, windows a row, channels, rows, columns of a window); 0 beyond a window.
    """

    values: NDArray[np.float32]
    above: NDArray[np.float32]


def rows_together(tiling: Tiling, batch_size: int) -> int:
    """Return how many rows of windows share batches; what goes together decides last digits."""
    return math.ceil(4 * batch_size / min(map(len, tiling.strips)))


def units_of(tiling: Tiling, batch_size: int, least: int = 0) -> list[Unit]:
    """Cut a raster's windows into units, so that batches are those of a run without units.

    No window reaches farther than into the next unit.

    Args:
        tiling: the windows.
        batch_size: windows at once.
        least: rows of windows a unit, but for the last; 0 chooses.
    """
    least = least or (LEAST_ROWS if len(tiling.cols) < WIDE else 1)
    together = rows_together(tiling, batch_size)
    bands = parts(tiling.rows, range(together, len(tiling.rows), together), least)
    numbers = itertools.count()
    units: list[Unit] = []
    above = 0
    for band in bands:
        top, bottom = _reach(tiling.rows, band)
        beside = 0
        for strip in tiling.strips:
            left, right = _reach(tiling.cols, strip)
            units.append(
                Unit(
                    number=next(numbers),
                    first=band.start,
                    end=band.stop,
                    cols=strip,
                    top=top,
                    bottom=bottom,
                    left=left,
                    right=right,
                    shared=max(above - top, 0),
                    reaching=sum(row.start < above for row in tiling.rows[band.start : band.stop]),
                    beside=max(beside - left, 0),
                )
            )
            beside = right
        above = bottom
    return units


def _reach(along: Sequence[Span], part: range) -> tuple[int, int]:
    """Return the first pixel that a part's windows reach on an axis, and the one after the last."""
    last = along[part.stop - 1]
    return along[part.start].start, last.start + len(last.weights)


def shapes(unit: Unit, tiling: Tiling, channels: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of a part's values and of what it says of the rows above."""
    values = (channels, unit.bottom - unit.top - unit.shared, unit.right - unit.left)
    return values, (unit.reaching, len(unit.cols), channels, unit.shared, tiling.size)
