"""Rows of windows that are computed as one: in any order, by any process, with the same pixels.

Windows of neighbouring units overlap. What a unit's windows say of rows that the unit above reaches
too is kept as they say it, unsummed; what the unit above has summed there is kept unfinished. Sums
are then added to window by window, in the order of a run without units: float sums hang on it.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .tiling import Tiling

LEAST_ROWS = 2
"""Rows of windows in a unit, at least; in one, workers wait for the first window too often."""
WIDE = 32
"""Windows in a row from which one row is enough: what a kill costs, and memory, grow with it."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """Whole rows of windows.

    Attributes:
        number: from 0, top to bottom.
        first: its first row of windows.
        end: the row of windows after its last.
        top: first row of the raster that its windows reach.
        bottom: the row of the raster after the last.
        shared: rows from `top` on that windows of the unit above reach too.
        reaching: rows of windows, from `first` on, that reach these.
    """

    number: int
    first: int
    end: int
    top: int
    bottom: int
    shared: int
    reaching: int


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
    return math.ceil(4 * batch_size / len(tiling.cols))


def units_of(tiling: Tiling, batch_size: int, least: int = 0) -> list[Unit]:
    """Cut a raster's windows into units, so that batches are those of a run without units.

    No window reaches farther than into the next unit.

    Args:
        tiling: the windows.
        batch_size: windows at once.
        least: rows of windows a unit, but for the last; 0 chooses.
    """
    least = least or (LEAST_ROWS if len(tiling.cols) < WIDE else 1)
    rows, together = tiling.rows, rows_together(tiling, batch_size)
    ends = [row.start + len(row.weights) for row in rows]
    cuts = [0]
    for number in range(together, len(rows), together):
        reaches = ends[cuts[-1] - 1] if cuts[-1] else 0
        if number - cuts[-1] >= least and rows[number].start >= reaches:
            cuts.append(number)
    units = []
    for number, (first, end) in enumerate(zip(cuts, [*cuts[1:], len(rows)], strict=True)):
        top, above = rows[first].start, ends[first - 1] if first else 0
        units.append(
            Unit(
                number=number,
                first=first,
                end=end,
                top=top,
                bottom=ends[end - 1],
                shared=max(above - top, 0),
                reaching=sum(row.start < above for row in rows[first:end]),
            )
        )
    return units


def shapes(
    unit: Unit, tiling: Tiling, channels: int, width: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of a part's values and of what it says of the rows above."""
    values = (channels, unit.bottom - unit.top - unit.shared, width)
    return values, (unit.reaching, len(tiling.cols), channels, unit.shared, tiling.size)
