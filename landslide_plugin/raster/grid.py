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
        left, top = self.point(0, 0)
        right, bottom = self.point(self.width, self.height)
        return left, bottom, right, top

    def point(self, column: float, row: float) -> tuple[float, float]:
        """Return the map coordinates of a place in pixels; (0, 0) is the first pixel's corner."""
        to_map = self.transform
        return to_map.a * column + to_map.c, to_map.e * row + to_map.f

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        """Return column and row, with fractions, of a place on the map."""
        to_map = self.transform
        return (x - to_map.c) / to_map.a, (y - to_map.f) / to_map.e

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

    def windows(self, megabytes: float, bands: int, multiple: int = 256) -> Iterator[Window]:
        """Yield windows over the grid, top to bottom, whose float32 bands fit a memory budget.

        They are as wide as the grid where `multiple` rows of it fit.

        Args:
            megabytes: the budget for one window.
            bands: bands, working copies included.
            multiple: height and width of a file's tiles; windows are cut along these, and at
                least one tile large.
        """
        side = int(megabytes * 1e6 / (4 * max(bands, 1) * multiple))
        columns = min(self.width, max(multiple, side // multiple * multiple))
        whole = columns == self.width
        rows = self.rows_within(megabytes, bands, multiple) if whole else multiple
        for block in self.row_blocks(rows):
            for left in range(0, self.width, columns):
                width = min(columns, self.width - left)
                yield Window(left, block.row_off, width, block.height)

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
        x, y = self.point(window.col_off, window.row_off)
        return Affine(self.transform.a, 0, x, 0, self.transform.e, y)

    def same_as(self, other: "Grid") -> bool:
        """Whether two grids hold the same pixels (to a thousandth of a pixel)."""
        if self.crs != other.crs or self.shape != other.shape:
            return False
        column, row = self.pixel(*other.point(0, 0))
        last_column, last_row = self.pixel(*other.point(self.width, self.height))
        difference = (column, row, last_column - self.width, last_row - self.height)
        return max(map(abs, difference)) < 1e-3

    def describe(self) -> str:
        """Return CRS, extent and, where coordinates are not degrees, the place on Earth."""
        left, bottom, right, top = self.bounds
        extent = f"x {left:.8g} to {right:.8g}, y {bottom:.8g} to {top:.8g}"
        if self.crs is None:
            return f"no CRS, {extent}"
        name = self.crs.to_string()
        if "[" in name:  # WKT, for want of a code: its first word in quotes is the CRS's name
            name = name.split('"')[1]
        return f"{name}, {extent}{self._place()}"

    def bounds_in(self, crs: CRS | None) -> tuple[float, float, float, float] | None:
        """Return left, bottom, right and top in another CRS, left > right over the antimeridian.

        None where there is no way from one CRS to the other, or the grid lies beyond its use.
        """
        if self.crs == crs:
            return self.bounds
        return _transformed(self.crs, crs, "transform_bounds", *self.bounds)

    def _place(self) -> str:
        """Return where on Earth the middle of a projected grid lies, for messages."""
        middle = self.point(self.width / 2, self.height / 2)
        place = None if self.is_geographic else _transformed(self.crs, 4326, "transform", *middle)
        if place is None:
            return ""
        longitude, latitude = place
        east, north = "EW"[longitude < 0], "NS"[latitude < 0]
        return f", near {abs(latitude):.2f} {north} {abs(longitude):.2f} {east}"


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


def _transformed(
    crs: CRS | None, other: CRS | int | None, method: str, *coordinates: float
) -> tuple | None:
    """Return what pyproj's method makes of coordinates; None where it can't."""
    from pyproj import CRS as ProjCRS
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    try:
        crss = ProjCRS.from_user_input(crs), ProjCRS.from_user_input(other)
        found = getattr(Transformer.from_crs(*crss, always_xy=True), method)(*coordinates)
    except ProjError:  # of the Moon and the Earth, say
        return None
    return tuple(found) if np.isfinite(found).all() else None
