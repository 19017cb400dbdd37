"""Where pixels lie, such that the straight way between two is as long as the way on the ground.

In the plane where a grid keeps its own metres. Elsewhere in space, on the CRS's ellipsoid, whatever
the projection does to lengths and angles; over the curvature of the Earth `Positions.along` helps.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from .grid import Grid
from .surface import ellipsoid_of

Floats = NDArray[np.float64]

_NODES = 33


class Positions:
    """The places of a grid's pixels.

    Args:
        grid: the grid.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self.is_plane = grid.keeps_crs_metres
        self._ellipsoid = None if self.is_plane else ellipsoid_of(grid.crs)
        (self._width,), (self._height,) = grid.pixel_metres(np.zeros(1))

    def at(self, rows: Any, columns: Any) -> Floats:
        """Return where pixels' centres lie in metres; NaN where the projection ends.

        Args:
            rows: indices, also with fractions or outside the grid, of any shape.
            columns: the same, same shape.

        Returns:
            That shape with one more axis, of 2 in the plane and 3 in space.
        """
        if self._ellipsoid is None:
            return np.stack([columns * self._width, rows * self._height], axis=-1)
        return self.on_map(*self._grid.point(np.add(columns, 0.5), np.add(rows, 0.5)))

    def on_map(self, x: Any, y: Any) -> Floats:
        """Return the same of places on the map."""
        if self._ellipsoid is None:
            columns, rows = self._grid.pixel(x, y)
            return self.at(np.subtract(rows, 0.5), np.subtract(columns, 0.5))
        return np.moveaxis(self._ellipsoid.in_space(x, y), 0, -1)

    def window(self, window: Window) -> Floats:
        """Return the places of a window's pixels, (rows, columns, 2 or 3).

        In space those between `_NODES` rows and columns are interpolated by cubic splines, which
        is off by millimetres in a window of 1000 km.
        """
        rows = window.row_off + np.arange(int(window.height), dtype=np.float64)
        columns = window.col_off + np.arange(int(window.width), dtype=np.float64)
        few = [np.linspace(at[0], at[-1], min(len(at), _NODES)) for at in (rows, columns)]
        coarse = self.at(*np.meshgrid(*few, indexing="ij"))
        if self.is_plane or min(map(len, few)) < 4 or not np.isfinite(coarse).all():
            return self.at(*np.meshgrid(rows, columns, indexing="ij"))
        from scipy.interpolate import RectBivariateSpline

        fine = np.empty((len(rows), len(columns), 3))
        for axis in range(3):
            fine[..., axis] = RectBivariateSpline(*few, coarse[..., axis])(rows, columns)
        return fine

    def along(self, straight: Any) -> Any:
        """Return the metres along the ground of straight ways, which it curves away from."""
        if self._ellipsoid is None:
            return straight
        twice = 2 * self._ellipsoid.geod.a
        return twice * np.arcsin(np.minimum(straight / twice, 1))
