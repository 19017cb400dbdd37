"""Landslides as objects: their areas, and how those of two maps lie on each other.

Maps come block by block; a landslide that goes over block borders is put together at the end.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

MATCH = 0.5
"""Two landslides are the same one when their intersection over union is above this."""
_HARDLY = 1e-5
"""Pixels of one map differ so little in area: of two halves neither is above a half for that."""


@dataclass(frozen=True)
class Landslides:
    """The landslides of a map within the evaluated area.

    Attributes:
        area: square metres, float64, (n,).
        row: row of the centre on the evaluated grid, float64, (n,).
        column: its column.
    """

    area: NDArray[np.float64]
    row: NDArray[np.float64]
    column: NDArray[np.float64]

    def __len__(self) -> int:
        """Return how many."""
        return len(self.area)


@dataclass(frozen=True)
class Agreement:
    """How the landslides of one map lie on those of another.

    Attributes:
        overlap: square metres of each that the other map covers, float64, (n,).
        best: highest intersection over union with a single landslide of the other, float64, (n,).
    """

    overlap: NDArray[np.float64]
    best: NDArray[np.float64]

    @property
    def touched(self) -> NDArray[np.bool_]:
        """Which of them the other map touches."""
        return self.overlap > 0

    @property
    def matched(self) -> NDArray[np.bool_]:
        """Which of them are a landslide of the other map too; at most one pairs with each."""
        return self.best > MATCH + _HARDLY


class Objects:
    """Gathers the landslides of one map.

    Args:
        ids_are_global: whether a landslide has one number in all blocks (polygons); else numbers
            hold within a block, and landslides that touch across its lower edge are joined.
    """

    def __init__(self, ids_are_global: bool) -> None:
        self._ids_are_global = ids_are_global
        self._parts: list[NDArray[np.float64]] = []
        self._numbers: list[NDArray[np.int64]] = []
        self._joined: list[NDArray[np.int64]] = []
        self._last_row: NDArray[np.int64] | None = None
        self._count = 0

    def add(
        self, ids: NDArray[np.int32], pixel_area: NDArray[np.float64], first_row: int = 0
    ) -> NDArray[np.int64]:
        """Add the next block, from top to bottom.

        Args:
            ids: landslide numbers, 0 or below elsewhere, (rows, columns).
            pixel_area: square metres of each pixel, (rows, columns), or (rows, 1) for each row's.
            first_row: the block's first row on the evaluated grid.

        Returns:
            Numbers that hold over all blocks, 0 elsewhere, for `Pairs`.
        """
        numbers = np.maximum(ids, 0).astype(np.int64)
        if not self._ids_are_global:
            numbers[numbers > 0] += self._count
            self._count = max(self._count, int(numbers.max(initial=0)))
            self._join(numbers)
        rows, columns = np.nonzero(numbers)
        unique, index = np.unique(numbers[rows, columns], return_inverse=True)
        areas = np.broadcast_to(pixel_area, ids.shape)
        sums = [
            _summed(index, weights, len(unique))
            for weights in (areas[rows, columns], np.ones(len(rows)), rows + first_row, columns)
        ]
        self._numbers.append(unique)
        self._parts.append(np.stack(sums))
        return numbers

    def landslides(self) -> Landslides:
        """Return all landslides that were added."""
        numbers = np.concatenate([np.empty(0, np.int64), *self._numbers])
        parts = np.concatenate([np.empty((4, 0)), *self._parts], axis=1)
        index = self.indices(numbers)
        count = int(index.max(initial=-1)) + 1
        area, pixels, rows, columns = (_summed(index, part, count) for part in parts)
        return Landslides(area, rows / pixels, columns / pixels)

    def indices(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the place among `landslides()` of each of the numbers that `add` returned."""
        seen = np.unique(np.concatenate([np.empty(0, np.int64), *self._numbers]))
        if not len(seen):
            return np.empty(0, np.int64)
        if self._ids_are_global:
            return np.searchsorted(seen, numbers)
        whole = self._components(int(seen[-1]) + 1)
        return np.searchsorted(np.unique(whole[seen]), whole[numbers])

    def _join(self, numbers: NDArray[np.int64]) -> None:
        """Note which landslides of this block go on from the one above (8 neighbours)."""
        first = numbers[0]
        if self._last_row is not None:
            above = np.pad(self._last_row, 1)
            for shift in range(3):
                pairs = np.stack([above[shift : shift + len(first)], first])
                self._joined.append(np.unique(pairs[:, pairs.all(axis=0)], axis=1))
        self._last_row = numbers[-1]

    def _components(self, size: int) -> NDArray[np.int32]:
        pairs = np.concatenate([np.empty((2, 0), np.int64), *self._joined], axis=1)
        graph = coo_array((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), shape=(size, size))
        components: NDArray[np.int32] = connected_components(graph, directed=False)[1]
        return components


class Pairs:
    """Gathers the areas that landslides of two maps share."""

    def __init__(self) -> None:
        self._pairs: list[NDArray[np.int64]] = []
        self._areas: list[NDArray[np.float64]] = []

    def add(
        self, one: NDArray[np.int64], other: NDArray[np.int64], pixel_area: NDArray[np.float64]
    ) -> None:
        """Add a block of the numbers that `Objects.add` returned for both maps."""
        rows, columns = np.nonzero((one > 0) & (other > 0))
        span = int(other.max(initial=0)) + 1
        keys = one[rows, columns] * span + other[rows, columns]
        pairs, index = np.unique(keys, return_inverse=True)
        self._pairs.append(np.stack([pairs // span, pairs % span]))
        areas = np.broadcast_to(pixel_area, one.shape)
        self._areas.append(_summed(index, areas[rows, columns], len(pairs)))

    def agreement(self, one: Objects, other: Objects) -> tuple[Agreement, Agreement]:
        """Return how the first map's landslides lie on the second's, and the other way round."""
        first, second = one.landslides(), other.landslides()
        pairs = np.concatenate([np.empty((2, 0), np.int64), *self._pairs], axis=1)
        areas = np.concatenate([np.empty(0), *self._areas])
        rows, columns = one.indices(pairs[0]), other.indices(pairs[1])
        # parts of the same two landslides in several blocks are summed
        table = coo_array((areas, (rows, columns)), shape=(len(first), len(second)))
        table.sum_duplicates()
        rows, columns = table.coords
        shared = table.data
        union = first.area[rows] + second.area[columns] - shared
        return (
            _agreement(len(first), rows, shared, shared / union),
            _agreement(len(second), columns, shared, shared / union),
        )


def size_distance(
    one: NDArray[np.float64], other: NDArray[np.float64], pixel: float
) -> float | None:
    """Return the largest distance between two cumulative distributions of landslide area, 0..1.

    That is the two-sample statistic of Kolmogorov and Smirnov; undefined when one has none. Areas
    are taken to whole pixels: landslides of as many pixels are as large, though no two pixels of a
    map quite are.

    Args:
        one: square metres, (n,).
        other: likewise.
        pixel: square metres of a pixel.
    """
    if not len(one) or not len(other):
        return None
    sizes = [np.rint(areas / pixel) for areas in (one, other)]
    at = np.concatenate(sizes)
    fractions = [np.searchsorted(np.sort(each), at, side="right") / len(each) for each in sizes]
    return float(np.abs(fractions[0] - fractions[1]).max())


def area_frequency(
    areas: NDArray[np.float64], edges: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return how many landslides have an area between edges, and their probability density.

    The density is p(A) = (1 / N) dN / dA, per square metre (Malamud et al. 2004, Earth Surf.
    Process. Landforms 29:687); NaN where there is no landslide at all.

    Args:
        areas: square metres, (n,).
        edges: square metres, ascending, (bins + 1,).
    """
    counts = np.histogram(areas, edges)[0].astype(np.int64)
    return counts, counts / np.diff(edges) / (len(areas) or np.nan)


def _agreement(
    count: int, index: NDArray[np.int64], shared: NDArray[np.float64], iou: NDArray[np.float64]
) -> Agreement:
    best = np.zeros(count)
    np.maximum.at(best, index, iou)
    return Agreement(_summed(index, shared, count), best)


def _summed(index: NDArray[np.int64], values: NDArray[Any], count: int) -> NDArray[np.float64]:
    """Return the sum of the values at each place."""
    return np.bincount(index, values, minlength=count).astype(np.float64)
