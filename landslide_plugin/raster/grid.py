"""The grid of a raster: CRS, transform and shape, with true metres on any CRS."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window
from shapely import box

from ..contract.errors import GridError
from ..core.progress import Progress
from .metres import Ground
from .surface import Indices, Pixels, horizontal

if TYPE_CHECKING:
    import geopandas as gpd

Numbers = TypeVar("Numbers", float, NDArray[Any])

NOTABLE_VARIATION = 0.01
"""Pixels that differ more in size are told of where one size has to serve for all."""

NOTABLE_TURN = 1.0
"""Degrees between the way up the map and true north that are told of."""


_HIGHEST, _FARTHEST = 1.05 * np.pi / 2, 4 * np.pi
"""Radians: rasters may reach half a pixel over a pole, and begin at any meridian."""


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
        """Return the grid of an open dataset, in the horizontal part of its CRS."""
        crs = horizontal(dataset.crs)
        return cls(crs, dataset.transform, dataset.width, dataset.height)

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

    def point(self, column: Numbers, row: Numbers) -> tuple[Numbers, Numbers]:
        """Return the map coordinates of places in pixels; (0, 0) is the first pixel's corner."""
        to_map = self.transform
        return to_map.a * column + to_map.c, to_map.e * row + to_map.f

    def pixel(self, x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
        """Return columns and rows, with fractions, of places on the map."""
        to_map = self.transform
        return (x - to_map.c) / to_map.a, (y - to_map.f) / to_map.e

    @property
    def is_geographic(self) -> bool:
        """Whether the coordinates are degrees."""
        return self.crs is not None and bool(self.crs.is_geographic)

    @cached_property
    def ground(self) -> Ground:
        """What the pixels measure on the ground.

        Raises:
            GridError: the CRS is geocentric.
        """
        return Ground(self.crs, self.transform, self.shape)

    def pixels(self, rows: Indices | None = None, columns: Indices | None = None) -> Pixels:
        """Return pixels as they lie on the ground; see `Ground.pixels` and `pixel_metres`."""
        return self.ground.pixels(np.arange(self.height) if rows is None else rows, columns)

    def pixel_metres(
        self, rows: Indices | None = None, columns: Indices | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return pixel width and height in true metres, whatever the CRS; see `metres`.

        Args:
            rows: row indices, (n,); all rows when None. They may lie outside the grid.
            columns: column indices, (m,); the middle column when None.

        Returns:
            dx and dy, float64: (n,) without columns; else (n, m), or (n, 1) where the pixels of a
            row are the same.

        Raises:
            GridError: the CRS is geocentric.
        """
        measured = self.pixels(rows, columns)
        return measured.width, measured.height

    def pixel_areas(
        self, rows: Indices | None = None, columns: Indices | None = None
    ) -> NDArray[np.float64]:
        """Return the area of pixels in true square metres, of the shapes of `pixel_metres`."""
        return self.pixels(rows, columns).area

    def geodesic_areas(
        self, rows: Indices | None = None, columns: Indices | None = None
    ) -> NDArray[np.float64]:
        """Return the same as geodesic polygons have it, also where a grid keeps its own metres."""
        return self.ground.areas(np.arange(self.height) if rows is None else rows, columns)

    @property
    def keeps_crs_metres(self) -> bool:
        """Whether the CRS's own metres count: its scale is within .2 % of 1, or it is local."""
        return self.ground.keeps_crs_metres

    @property
    def metres_vary(self) -> float:
        """Largest pixel width (or height) over the least one in the grid, less 1."""
        return self.ground.variation

    @property
    def resolution(self) -> float:
        """Pixel size in metres in the middle: the geometric mean of width and height."""
        dx, dy = self.pixel_metres(np.array([self.height / 2]))
        return float(np.sqrt(dx[0] * dy[0]))

    def part(self, window: Window) -> "Grid":
        """Return the grid of a window, whose pixels measure what they measure in the whole."""
        part = Grid(self.crs, self.window_transform(window), int(window.width), int(window.height))
        ground = self.ground.part(int(window.row_off), int(window.col_off), part.shape)
        part.__dict__["ground"] = ground
        return part

    def coarsened(self, step: int) -> "Grid":
        """Return the grid over the same ground whose pixels are `step` x `step` of this one's.

        Where `step` does not divide a side, the last row or column reaches over the edge.
        """
        height, width = (-(-side // step) for side in self.shape)
        return Grid(self.crs, self.transform * Affine.scale(step), width, height)

    def step_within(self, most: int) -> int:
        """Return the least step whose coarsened grid has at most `most` pixels a side."""
        return max(1, -(-max(self.shape) // most))

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
        return f"{self.crs_name}, {extent}{self._coordinates()}"

    @property
    def crs_name(self) -> str:
        """The CRS's code, or the name that it has for want of one."""
        name = "no CRS" if self.crs is None else str(self.crs.to_string())
        return name.split('"')[1] if "[" in name else name  # WKT begins with the name in quotes

    def bounds_in(self, crs: CRS | None) -> tuple[float, float, float, float] | None:
        """Return left, bottom, right and top in another CRS, left > right over the antimeridian.

        None where there is no way from one CRS to the other, or the grid lies beyond its use.
        """
        if self.crs == crs:
            return self.bounds
        return _transformed(self.crs, crs, "transform_bounds", *self.bounds)

    def _coordinates(self) -> str:
        """Return where on Earth the middle of a projected grid lies, for messages."""
        middle = self.point(self.width / 2, self.height / 2)
        degrees = None if self.is_geographic else _transformed(self.crs, 4326, "transform", *middle)
        if degrees is None:
            return ""
        longitude, latitude = degrees
        east, north = "EW"[longitude < 0], "NS"[latitude < 0]
        return f", near {abs(latitude):.2f} {north} {abs(longitude):.2f} {east}"


def require_north_up(transform: Affine, name: str) -> None:
    """Refuse rotated, sheared or south-up rasters, and those of no true place.

    Raises:
        GridError: the transform is not north-up, or its numbers are not finite or too far out.
    """
    if not np.isfinite(transform[:6]).all():
        raise GridError(
            f"{name} has a georeference that is no number: assign the place of its corners anew "
            "(gdal_edit -a_ullr)."
        )
    if transform.c + transform.a / 2 == transform.c or transform.f + transform.e / 2 == transform.f:
        raise GridError(
            f"{name} has pixels of {transform.a:g} x {-transform.e:g} at {transform.c:g} "
            f"{transform.f:g}, where numbers can't tell them apart: assign its true place."
        )
    if transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
        raise GridError(
            f"{name} is rotated or not north-up: warp it to a north-up grid first (gdalwarp)."
        )


def require_on_earth(grid: Grid, name: str) -> None:
    """Refuse angles that no place has, as those of metres that are called degrees.

    Raises:
        GridError: the coordinates are beyond the poles, or twice around the Earth.
    """
    if grid.crs is None or not grid.is_geographic:
        return
    left, bottom, right, top = np.abs(grid.bounds) * grid.crs.units_factor[1]  # radians
    if max(bottom, top) > _HIGHEST or max(left, right) > _FARTHEST:
        raise GridError(
            f"{name} ({grid.describe()}) lies where there are no such degrees: assign the CRS that "
            "its coordinates are in."
        )


def tell_metres(grid: Grid, progress: Progress, one_size_for: str = "") -> None:
    """Say where the ground counts instead of the CRS's metres, and where nothing can be measured.

    Args:
        grid: whose pixels an algorithm measures.
        progress: where to say it.
        one_size_for: what takes the pixels in the middle for all, such as "opening"; it is told
            where their size varies by more than 1 %.
    """
    ground = grid.ground
    if ground.is_local:
        progress.warning(
            f"{grid.crs_name} has no place on Earth: its units are taken, as metres where it does "
            "not say more."
        )
    low, high = ground.scale
    if not grid.keeps_crs_metres and not grid.is_geographic:
        stretch = f"{low:.4g}" if high - low < 1e-3 else f"{low:.4g} to {high:.4g}"
        progress.message(
            f"A metre of {grid.crs_name} is {stretch} m on the ground here: the ground counts."
        )
    if one_size_for and grid.metres_vary > NOTABLE_VARIATION:
        progress.warning(
            f"Pixels differ by {grid.metres_vary:.0%} in size within the raster; {one_size_for} "
            "takes those in the middle for all: warp the raster to UTM for more than that."
        )


def tell_north(grid: Grid, progress: Progress) -> None:
    """Say where directions count from true north and the way up the map is another one."""
    if grid.ground.turn > NOTABLE_TURN:
        progress.message(
            f"Directions count from true north, from which the way up the map is up to "
            f"{grid.ground.turn:.0f} degrees off here."
        )


def _transformed(
    crs: CRS | None, other: CRS | int | None, method: str, *coordinates: float
) -> tuple[Any, ...] | None:
    """Return what pyproj's method makes of coordinates; None where it can't."""
    from pyproj import CRS as ProjCRS
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    try:
        crss = ProjCRS.from_user_input(crs), ProjCRS.from_user_input(other)
        result = getattr(Transformer.from_crs(*crss, always_xy=True), method)(*coordinates)
    except ProjError:  # of the Moon and the Earth, say
        return None
    return tuple(result) if np.isfinite(result).all() else None


def require_grids_overlap(grid: Grid, name: str, reference: Grid) -> None:
    """Refuse layers that lie apart.

    Raises:
        GridError: they do; the message says where each lies.
    """
    bounds = grid.bounds_in(reference.crs)
    if bounds is None:
        raise GridError(
            f"{name} ({grid.describe()}) can't be brought to {reference.describe()}: check its CRS."
        )
    left, bottom, right, top = reference.bounds
    beside = bounds[0] <= bounds[2] and (bounds[0] >= right or bounds[2] <= left)
    below, above = sorted(bounds[1::2]), sorted((bottom, top))  # rows of plain tiles run down
    if beside or below[0] >= above[1] or below[1] <= above[0]:
        raise GridError(
            f"{name} ({grid.describe()}) does not overlap the reference ({reference.describe()}): "
            "check its CRS and extent."
        )


def require_overlap(frame: "gpd.GeoDataFrame", what: str, grid: Grid) -> None:
    """Refuse a layer that lies apart from a grid.

    Args:
        frame: the layer, in the grid's CRS.
        what: begins the message, such as "The class layer geology.gpkg".
        grid: the grid.

    Raises:
        GridError: it does; the message says where each lies.
    """
    if not len(frame.sindex.query(box(*grid.bounds))):
        left, bottom, right, top = frame.total_bounds
        raise GridError(
            f"{what} (in the reference's CRS: x {left:.8g} to {right:.8g}, y {bottom:.8g} to "
            f"{top:.8g}) does not overlap the reference ({grid.describe()}): check its CRS and "
            "extent."
        )
