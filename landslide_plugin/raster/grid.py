"""The grid of a raster: CRS, transform and shape, with true metres on any CRS."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from ..errors import GridError


@dataclass(frozen=True)
class Grid:
    """A north-up pixel grid.

    Attributes:
        crs: the coordinate reference system; None for plain image tiles.
        transform: pixel to map coordinates, in CRS units.
        width: columns.
        height: rows.
    """

    crs: CRS | None
    transform: Affine
    width: int
    height: int

    @classmethod
    def of(cls, dataset: DatasetReader | WarpedVRT) -> "Grid":
        """Return the grid of an open dataset."""
        return cls(dataset.crs, dataset.transform, dataset.width, dataset.height)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right and top in CRS units."""
        left, top = self.transform * (0, 0)
        right, bottom = self.transform * (self.width, self.height)
        return left, bottom, right, top

    @property
    def is_geographic(self) -> bool:
        """Whether the coordinates are degrees."""
        return self.crs is not None and bool(self.crs.is_geographic)

    def pixel_metres(self, rows: NDArray[np.float64] | None = None) -> tuple[NDArray, NDArray]:
        """Return pixel width and height in metres, one value a row.

        On a projected CRS the CRS unit is honoured (feet too). On a geographic CRS these are arc
        lengths of the parallel and the meridian on the CRS's ellipsoid at the pixel's centre,
        dx = N(phi) cos(phi) dlon and dy = M(phi) dlat (Snyder 1987, equations 4-20 and 4-19).

        Args:
            rows: row indices, (n,); all rows when None. They may lie outside the grid.

        Returns:
            dx and dy, float64, (n,).
        """
        index = np.arange(self.height, dtype=np.float64) if rows is None else np.asarray(rows)
        step_x, step_y = abs(self.transform.a), abs(self.transform.e)
        if not self.is_geographic:
            factor = 1.0 if self.crs is None else float(self.crs.linear_units_factor[1])
            return np.full(index.shape, step_x * factor), np.full(index.shape, step_y * factor)
        semi_major, eccentricity2 = _ellipsoid(self.crs)
        latitude = np.radians(np.clip(self.transform.f + (index + 0.5) * self.transform.e, -90, 90))
        root = np.sqrt(1 - eccentricity2 * np.sin(latitude) ** 2)
        dx = semi_major / root * np.cos(latitude) * np.radians(step_x)
        dy = semi_major * (1 - eccentricity2) / root**3 * np.radians(step_y)
        return dx, dy

    @property
    def resolution(self) -> float:
        """Pixel size in metres at the middle row: the geometric mean of width and height."""
        dx, dy = self.pixel_metres(np.array([self.height / 2]))
        return float(np.sqrt(dx[0] * dy[0]))

    def row_blocks(self, rows: int) -> Iterator[Window]:
        """Yield full-width windows of at most `rows` rows, top to bottom."""
        for start in range(0, self.height, rows):
            yield Window(0, start, self.width, min(rows, self.height - start))

    def rows_within(self, megabytes: float, bands: int, multiple: int = 256) -> int:
        """Return how many rows of `bands` float32 bands fit in a memory budget.

        Args:
            megabytes: the budget for one such block.
            bands: bands, working copies included.
            multiple: the result is a multiple of this (the height of a file's tiles), at least 1x.
        """
        rows = int(megabytes * 1e6 / (4 * max(bands, 1) * self.width))
        return max(multiple, rows // multiple * multiple)

    def window_transform(self, window: Window) -> Affine:
        """Return the transform of a window of this grid."""
        return self.transform * Affine.translation(window.col_off, window.row_off)

    def same_as(self, other: "Grid") -> bool:
        """Whether two grids hold the same pixels (to a thousandth of a pixel)."""
        if self.crs != other.crs or self.shape != other.shape:
            return False
        offset = ~self.transform * (other.transform * (0, 0))
        corner = ~self.transform * (other.transform * (self.width, self.height))
        difference = (*offset, corner[0] - self.width, corner[1] - self.height)
        return max(abs(value) for value in difference) < 1e-3

    def describe(self) -> str:
        """Return CRS and extent for messages."""
        name = "no CRS" if self.crs is None else self.crs.to_string()[:60]
        left, bottom, right, top = self.bounds
        return f"{name}, x {left:.6g} to {right:.6g}, y {bottom:.6g} to {top:.6g}"


def require_north_up(transform: Affine, name: str) -> None:
    """Refuse rotated, sheared or south-up rasters.

    Raises:
        GridError: the transform is not north-up.
    """
    if transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
        raise GridError(
            f"{name} is rotated or not north-up: warp it to a north-up grid first (gdalwarp)."
        )


def _ellipsoid(crs: CRS | None) -> tuple[float, float]:
    """Return semi-major axis in metres and squared eccentricity."""
    from pyproj import CRS as ProjCRS

    geod = ProjCRS.from_user_input(crs).get_geod()
    if geod is None:
        raise GridError("The CRS has no ellipsoid: give the raster another CRS.")
    return float(geod.a), float(geod.es)
