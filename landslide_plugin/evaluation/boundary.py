"""How closely the outlines of two maps follow each other, within a tolerance in metres."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree


@dataclass(frozen=True)
class BoundaryCounts:
    """Pixels of the outlines, and those of them with the other outline near.

    Attributes:
        mapped: pixels of the map's outline.
        mapped_near: those of them within the tolerance of the reference's outline.
        reference: pixels of the reference's outline.
        reference_near: those of them within the tolerance of the map's outline.
    """

    mapped: int = 0
    mapped_near: int = 0
    reference: int = 0
    reference_near: int = 0

    def __add__(self, other: "BoundaryCounts") -> "BoundaryCounts":
        """Return the counts of both."""
        return BoundaryCounts(
            self.mapped + other.mapped,
            self.mapped_near + other.mapped_near,
            self.reference + other.reference,
            self.reference_near + other.reference_near,
        )

    @property
    def precision(self) -> float | None:
        """Share of the map's outline that lies near the reference's."""
        return self.mapped_near / self.mapped if self.mapped else None

    @property
    def recall(self) -> float | None:
        """Share of the reference's outline that has the map's near."""
        return self.reference_near / self.reference if self.reference else None

    @property
    def f_score(self) -> float | None:
        """Harmonic mean of both; 0 when one map alone has an outline, undefined when none has.

        The boundary measure of Martin et al. 2004 (IEEE TPAMI 26:530) with the matching by
        distance of Csurka et al. 2013 (BMVC).
        """
        if not self.mapped and not self.reference:
            return None
        precision, recall = self.precision or 0.0, self.recall or 0.0
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def outline(landslide: NDArray[np.bool_], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the landslide pixels beside known background (of four neighbours), (rows, columns).

    Where landslide ends at the border of what is known there is no outline: none was mapped.
    """
    background = np.pad(valid & ~landslide, 1)
    beside = background[:-2, 1:-1] | background[2:, 1:-1]
    beside |= background[1:-1, :-2] | background[1:-1, 2:]
    return landslide & valid & beside


class Outline:
    """An outline of which the pixels near another one can be counted.

    Args:
        pixels: where it runs, the rows above and below that others may be near to included,
            bool, (rows, columns).
        inner: the rows that are counted.
        positions: gives the places of pixels in metres, of their rows and columns.
    """

    def __init__(
        self,
        pixels: NDArray[np.bool_],
        inner: slice,
        positions: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]],
    ) -> None:
        rows, columns = np.nonzero(pixels)
        self._inner = (rows >= inner.start) & (rows < inner.stop)
        self._points = positions(rows, columns)
        self._tree = KDTree(self._points) if len(rows) else None

    def __len__(self) -> int:
        """Return how many pixels count."""
        return int(self._inner.sum())

    def near(self, other: "Outline", tolerance: float) -> int:
        """Return how many of the pixels that count lie within metres of another outline."""
        if other._tree is None or not len(self):
            return 0
        reach = tolerance * (1 + 1e-9) + 1e-6  # the tree's bound itself is left out
        points = self._points[self._inner]
        distance = other._tree.query(points, distance_upper_bound=reach)[0]
        return int(np.isfinite(distance).sum())


def compare_outlines(mapped: Outline, reference: Outline, tolerance: float) -> BoundaryCounts:
    """Count one block.

    Args:
        mapped: the map's outline.
        reference: the reference's.
        tolerance: metres between centres of pixels.
    """
    return BoundaryCounts(
        len(mapped),
        mapped.near(reference, tolerance),
        len(reference),
        reference.near(mapped, tolerance),
    )
