"""Landslides as objects: how many the other map touches, counted block by block."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


class Objects:
    """Counts a map's landslides and those that the other map touches.

    Args:
        ids_are_global: whether a landslide has one number in all blocks (polygons); else numbers
            hold within a block, and landslides that touch across its lower edge are joined.
    """

    def __init__(self, ids_are_global: bool) -> None:
        self._ids_are_global = ids_are_global
        self._seen: list[NDArray[np.int64]] = []
        self._hit: list[NDArray[np.int64]] = []
        self._joined: list[NDArray[np.int64]] = []
        self._last_row: NDArray[np.int64] | None = None
        self._count = 0

    def add(self, ids: NDArray[np.int32], other: NDArray[np.bool_]) -> None:
        """Add the next block, from top to bottom.

        Args:
            ids: landslide numbers, 0 or below elsewhere, (rows, columns).
            other: where the other map has landslide, likewise.
        """
        numbers = np.maximum(ids, 0).astype(np.int64)
        if not self._ids_are_global:
            numbers[numbers > 0] += self._count
            self._count = max(self._count, int(numbers.max(initial=0)))
            self._join(numbers)
        self._seen.append(np.unique(numbers[numbers > 0]))
        self._hit.append(np.unique(numbers[other & (numbers > 0)]))

    def counts(self) -> tuple[int, int]:
        """Return how many landslides there are, and how many of them are touched."""
        seen, hit = (
            np.unique(np.concatenate(parts or [np.empty(0, np.int64)]))
            for parts in (self._seen, self._hit)
        )
        if not self._ids_are_global and len(seen):
            whole = self._components(int(seen.max()) + 1)
            seen, hit = np.unique(whole[seen]), np.unique(whole[hit])
        return len(seen), len(hit)

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
