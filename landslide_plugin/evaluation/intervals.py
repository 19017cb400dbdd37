"""How sure scores are: bootstrap over square blocks of the area.

Neighbouring pixels are alike, so that pixels drawn one by one would promise far too much. Whole
blocks are drawn instead, with replacement, and the scores computed anew: the block bootstrap for
spatial data (Hall 1985, Stoch. Process. Appl. 20:231; Lahiri 2003), with percentile intervals
(Efron and Tibshirani 1993).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compare import Comparison, Result
from .metrics import METRICS, Confusion
from .objects import Landslides

DRAWS = 1000
FEWEST_BLOCKS = 10
_BLOCKS = 100
_SIDES_OF_A_LANDSLIDE = 3
_LEAST_DEFINED = 0.95

Interval = tuple[float, float] | None
"""Lower and upper bound; None where there are too few blocks or a score is often undefined."""


@dataclass(frozen=True)
class Blocks:
    """Blocks of cells with compared pixels.

    Attributes:
        side: metres.
        count: how many.
        of_cell: block of each cell, -1 for cells of none, int32, (rows, columns).
    """

    side: float
    count: int
    of_cell: NDArray[np.int32]


def make_blocks(comparison: Comparison, side: float = 0) -> Blocks:
    """Cut the compared area into blocks.

    Args:
        comparison: what was compared.
        side: of a block in metres; 0 for a hundredth of the compared area, but at least three
            times the side of the reference's mean landslide.
    """
    if not side:
        areas = comparison.reference.area
        landslide = np.sqrt(areas.mean()) if len(areas) else 0.0
        side = max(np.sqrt(comparison.area / _BLOCKS), _SIDES_OF_A_LANDSLIDE * landslide)
    cell = comparison.map_grid.resolution
    cells = max(1, round(side / cell))
    used = comparison.valid > 0
    rows, columns = (np.arange(length) for length in used.shape)
    first_row, first_column = (
        np.flatnonzero(used.any(axis=1))[0],
        np.flatnonzero(used.any(axis=0))[0],
    )
    across = len(columns) // cells + 2
    numbers = ((rows - first_row) // cells)[:, np.newaxis] * across + (
        (columns - first_column) // cells
    )
    kept, block = np.unique(numbers[used], return_inverse=True)
    of_cell = np.full(used.shape, -1, np.int32)
    of_cell[used] = block
    return Blocks(cells * cell, len(kept), of_cell)


def draws(comparison: Comparison, result: Result, blocks: Blocks) -> dict[str, NDArray[np.float64]]:
    """Return the scores of `DRAWS` draws of blocks, NaN where undefined, by key.

    The draws are the same for every map of a comparison, so that differences can be taken.
    """
    rows = _drawn(_sums(comparison, result, blocks))
    values = _metrics(rows)
    tp, fp, fn = rows[:, :3].T
    landslides, hit, false, km2 = rows[:, 4:].T
    with np.errstate(divide="ignore", invalid="ignore"):
        values["area_bias"] = np.where(tp + fn > 0, (tp + fp) / (tp + fn) - 1, np.nan)
        values["hit_rate"] = hit / landslides
        values["false_alarms_km2"] = false / km2
    values["matching"], values["mapping_error"] = (
        values["iou_landslide"],
        1 - values["iou_landslide"],
    )
    return values


def interval(values: NDArray[np.float64], blocks: Blocks) -> Interval:
    """Return the 2.5th and 97.5th percentile of the draws."""
    return _percentiles(values, blocks.count)


def metric_intervals(counts: Sequence[Confusion]) -> dict[str, Interval]:
    """Return the interval of each metric of what adds up from parts, by key.

    Args:
        counts: of each part, such as a block or a patch, of which as many are drawn.
    """
    sums = np.array([(part.tp, part.fp, part.fn, part.tn) for part in counts])
    return {
        key: _percentiles(values, len(counts)) for key, values in _metrics(_drawn(sums)).items()
    }


def _drawn(sums: NDArray[Any]) -> NDArray[Any]:
    """Return the sums, (parts, any), of `DRAWS` draws of as many parts with replacement."""
    random = np.random.default_rng(0)
    weights = random.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), DRAWS)
    rows: NDArray[Any] = weights @ sums
    return rows


def _metrics(rows: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Return each metric of rows that begin with TP, FP, FN and TN."""
    return {
        key: np.array([_number(metric.value(Confusion(*map(int, row[:4])))) for row in rows])
        for key, metric in METRICS.items()
    }


def _percentiles(values: NDArray[np.float64], count: int) -> Interval:
    """Return the interval of draws of `count` parts."""
    defined = values[np.isfinite(values)]
    if count < FEWEST_BLOCKS or len(defined) < _LEAST_DEFINED * len(values):
        return None
    low, high = np.percentile(defined, (2.5, 97.5))
    return float(low), float(high)


def _sums(comparison: Comparison, result: Result, blocks: Blocks) -> NDArray[np.float64]:
    """Return, a block, TP, FP, FN, TN, landslides, hit ones, false alarms and square kilometres."""
    used = blocks.of_cell >= 0
    block = blocks.of_cell[used]
    valid = comparison.valid.astype(np.float64)
    cells = comparison.map_grid.geodesic_areas(columns=np.arange(valid.shape[1]))
    square_km = valid * cells / comparison.step**2 / 1e6
    errors = [*result.errors, valid - result.errors.sum(axis=0)]
    planes: list[NDArray[Any]] = [np.bincount(block, plane[used], blocks.count) for plane in errors]
    planes += [
        _count(comparison.reference, np.ones(len(comparison.reference), bool), comparison, blocks),
        _count(comparison.reference, result.reference_agreement.touched, comparison, blocks),
        _count(result.landslides, ~result.right.touched, comparison, blocks),
        np.bincount(block, square_km[used], blocks.count),
    ]
    return np.stack(planes, axis=1)


def _count(
    landslides: Landslides, which: NDArray[np.bool_], comparison: Comparison, blocks: Blocks
) -> NDArray[np.float64]:
    """Return how many landslides have their centre in each block."""
    rows, columns = (
        (part[which] / comparison.step).astype(int) for part in (landslides.row, landslides.column)
    )
    block = blocks.of_cell[rows, columns]
    # the centre of a bent landslide may lie beside what was compared
    return np.bincount(block[block >= 0], minlength=blocks.count).astype(np.float64)


def _number(value: float | None) -> float:
    return np.nan if value is None else value
