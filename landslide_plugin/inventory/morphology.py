"""Opening and closing of a mask, block by block."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ..contract.errors import InputError
from ..raster import Grid

LARGEST_RADIUS = 50
"""Pixels."""
_NEARLY, _ROUNDED = 1.01, 1.0001
"""One that is no farther than this is within a radius: where pixels' sizes vary, and where none but
rounding does, as in three pixels of .1 m, which are a hair more than .3 m."""


def reach(radius: float, grid: Grid) -> float:
    """Return within how many metres the centres of pixels are within a radius."""
    return radius * (_ROUNDED if grid.keeps_crs_metres else _NEARLY)


class Brush:
    """A disc in metres, as pixels in the middle of the grid.

    Args:
        radius: metres.
        grid: the grid.
        what: what it is for, in messages, such as "opening".

    Raises:
        InputError: it is larger than `LARGEST_RADIUS` pixels.
    """

    def __init__(self, radius: float, grid: Grid, what: str) -> None:
        (dx,), (dy,) = grid.pixel_metres(np.array([grid.height / 2]))
        farthest = reach(radius, grid)
        self.rows, self.columns = int(farthest / dy), int(farthest / dx)
        if max(self.rows, self.columns) > LARGEST_RADIUS:
            raise InputError(
                f"The {what} of {radius:g} m is more than {LARGEST_RADIUS} pixels: choose at most "
                f"{LARGEST_RADIUS * min(dx, dy):.4g} m."
            )
        y, x = np.ogrid[-self.rows : self.rows + 1, -self.columns : self.columns + 1]
        self.pixels = ((y * dy) ** 2 + (x * dx) ** 2 <= farthest**2).astype(np.uint8)

    def __bool__(self) -> bool:
        return bool(self.pixels.size > 1)


class Morphology:
    """Opening, then closing.

    Opening removes what the disc doesn't fit into, closing fills gaps that the disc doesn't fit
    into. Pixels that are not valid don't gnaw at what lies beside them; they never become
    landslide, nor do those of other kinds.

    Attributes:
        halo: rows and columns around a block on which its result depends.
    """

    def __init__(self, opening: Brush, closing: Brush) -> None:
        self._opening, self._closing = opening, closing
        self.halo = (2 * (opening.rows + closing.rows), 2 * (opening.columns + closing.columns))

    def __bool__(self) -> bool:
        return bool(self._opening) or bool(self._closing)

    def apply(
        self,
        mask: NDArray[np.bool_],
        valid: NDArray[np.bool_],
        others: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.bool_]:
        """Return the mask changed; (rows, columns), halo included.

        Args:
            mask: where landslide is.
            valid: where that is known.
            others: where landslides of other kinds are.
        """
        if self._opening:
            mask = mask & _morphed(mask | ~valid, cv2.MORPH_OPEN, self._opening)
        if self._closing:
            mask = valid & _morphed(mask, cv2.MORPH_CLOSE, self._closing)
            mask = mask if others is None else mask & ~others
        return mask


def _morphed(mask: NDArray[np.bool_], operation: int, brush: Brush) -> NDArray[np.bool_]:
    return cv2.morphologyEx(mask.astype(np.uint8), operation, brush.pixels) > 0
