"""Statistics of rasters per landslide, of pixels that come block by block."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Statistics:
    """Running statistics of one band for numbered landslides, fed block by block.

    Args:
        circular: the values are angles in degrees, whose mean is that of their directions.
    """

    def __init__(self, circular: bool = False) -> None:
        self._circular = circular
        self._rows: list[NDArray[np.float64]] = []

    def add(
        self, numbers: NDArray[np.int64], values: NDArray[np.float32], valid: NDArray[np.bool_]
    ) -> None:
        """Add some pixels.

        Args:
            numbers: number of the landslide of each pixel, from 1, 0 for none.
            values: same shape.
            valid: which values count, same shape.
        """
        self.append(self.summary(numbers, values, valid), 0)

    def summary(
        self, numbers: NDArray[Any], values: NDArray[np.float32], valid: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Return what `append` takes for some pixels; threads may do so for many at a time.

        Args:
            numbers: see `add`; fastest where they ascend.
            values: see `add`.
            valid: see `add`.
        """
        used = valid & (numbers > 0)
        number, value = numbers[used], values[used].astype(np.float64)
        if not number.size:
            return np.empty((0, 6))
        if (np.diff(number) < 0).any():
            order = np.argsort(number, kind="stable")
            number, value = number[order], value[order]
        starts = np.flatnonzero(np.diff(number, prepend=0))
        parts: tuple[NDArray[np.float64], ...] = (value, np.zeros_like(value))
        if self._circular:
            angle = np.radians(value)
            parts = np.sin(angle), np.cos(angle)
        rows = [
            number[starts],
            np.diff(starts, append=number.size),
            np.minimum.reduceat(value, starts),
            np.maximum.reduceat(value, starts),
            *(np.add.reduceat(part, starts) for part in parts),
        ]
        return np.stack(rows, axis=1).astype(np.float64)

    def append(self, summary: NDArray[np.float64], before: int) -> None:
        """Add a summary, `before` being added to its numbers."""
        summary[:, 0] += before
        self._rows.append(summary)

    def result(self, groups: NDArray[np.int64], count: int) -> dict[str, NDArray[np.float64]]:
        """Return pixels, min, max and mean of each group of numbers; NaN where none counted.

        Args:
            groups: group, 0..count-1, of number 1, 2, ..., or -1 for none; (numbers,).
            count: how many groups there are.
        """
        rows = np.concatenate([np.empty((0, 6)), *self._rows])
        group = groups[rows[:, 0].astype(np.int64) - 1]
        rows, group = rows[group >= 0], group[group >= 0]
        low, high = np.full(count, np.inf), np.full(count, -np.inf)
        np.minimum.at(low, group, rows[:, 2])
        np.maximum.at(high, group, rows[:, 3])
        pixels, total, other = (
            np.bincount(group, rows[:, k], count).astype(float) for k in (1, 4, 5)
        )
        with np.errstate(invalid="ignore"):
            mean = _direction(total, other, pixels) if self._circular else total / pixels
        none = pixels == 0
        return {
            "pixels": pixels,
            "min": np.where(none, np.nan, low),
            "max": np.where(none, np.nan, high),
            "mean": np.where(none, np.nan, mean),
        }


def _direction(
    sine: NDArray[np.float64], cosine: NDArray[np.float64], pixels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean direction from 0 up to 360; NaN where they cancel out (Fisher 1993)."""
    length = np.hypot(sine, cosine) / pixels
    degrees = np.degrees(np.arctan2(sine, cosine)) % 360
    degrees[degrees == 360] = 0  # of the least below 0, as float64 rounds
    return np.where(length > 1e-6, degrees, np.nan)
