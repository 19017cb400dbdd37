"""Distance to lines, polygons or points: exact between pixel centres, in metres, block by block.

The features are the pixels that they touch, and those have distance 0. Every other pixel has the
Euclidean distance from its centre to the nearest centre of such a pixel (Felzenszwalb and
Huttenlocher 2012, Theory of Computing 8:415), so that it is within half a pixel's diagonal of the
distance to the feature itself. Features outside the grid count like those inside: every block of
rows is read with a margin as wide as its longest distance, which a coarse transform bounds before.

On a geographic CRS the nearest pixel is found with the pixel sizes at the block's middle row, and
the distance to it is that of the two centres in space, on the ellipsoid. That falls short of the
geodesic one by d^3 / (24 R^2): 0.02 m at 25 km, 1 m at 100 km.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.features import rasterize
from rasterio.windows import Window

from ..ahead import read_ahead
from ..errors import GridError, InputError
from ..raster import Grid
from ..shapes import Shapes

LEVELS: dict[str, tuple[float, ...]] = {"yang2022": (30, 200, 500, 1000, 2000)}
"""Presets of breaks in metres: six river levels (R. Yang et al. 2022, Remote Sens. 14:2206)."""

_BLOCK_PIXELS = 8_000_000
_GEOGRAPHIC_BLOCK_PIXELS = 4_000_000  # a pixel's width changes from row to row
_COARSE_CELLS = 512
_BYTES_PER_PIXEL = 16
_GEOGRAPHIC_BYTES_PER_PIXEL = 50
_OPENCV_LARGEST = 46340  # the square of rows + columns must fit int32


@dataclass(frozen=True)
class Block:
    """Rows of the grid, and where the features nearest to them can lie.

    Attributes:
        window: full-width rows.
        around: the same with its margin; it may reach over the grid's edges.
    """

    window: Window
    around: Window


def plan_blocks(features: Shapes, grid: Grid, limit: float = np.inf) -> list[Block]:
    """Cut the grid into blocks whose margins hold the nearest feature of each of their pixels.

    Args:
        features: lines, polygons or points in the grid's CRS.
        grid: where distances are wanted, at pixel centres.
        limit: longer distances are not needed, metres.

    Raises:
        GridError: all features lie farther from the grid than its diagonal and the limit.
    """
    reach = _Reach(features, grid, limit)
    pixels = _GEOGRAPHIC_BLOCK_PIXELS if grid.is_geographic else _BLOCK_PIXELS
    usual = max(1, pixels // grid.width)
    blocks, top = [], 0
    while top < grid.height:
        rows = min(usual, grid.height - top)
        block = reach.block(top, rows)
        # Where all is far the margin would be most of the work: take more rows at once.
        while block.around.height > 3 * rows and top + rows < grid.height:
            rows = min(2 * rows, grid.height - top)
            block = reach.block(top, rows)
        blocks.append(block)
        top += rows
    return blocks


def memory_needed(blocks: Sequence[Block], grid: Grid) -> int:
    """Return the bytes that the largest block needs."""
    each = _GEOGRAPHIC_BYTES_PER_PIXEL if grid.is_geographic else _BYTES_PER_PIXEL
    return each * max(int(block.around.width * block.around.height) for block in blocks)


def stream_distance(
    features: Shapes, grid: Grid, blocks: Sequence[Block], limit: float = np.inf
) -> Iterator[tuple[Window, NDArray[np.float32]]]:
    """Yield the distance to the nearest feature, block by block; 0 inside polygons.

    Args:
        features: lines, polygons or points in the grid's CRS.
        grid: where distances are wanted, at pixel centres.
        blocks: as planned for these.
        limit: longer distances are given as this, metres.

    Yields:
        A full-width window and metres, float32, (rows, columns).
    """
    transform = _geodesic_transform if grid.is_geographic else _planar_transform

    def measure(block: Block) -> tuple[Window, NDArray[np.float32]]:
        around = _part(grid, block.around)
        empty = _untouched(features, around)
        if empty.all():
            distance = np.full((block.window.height, block.window.width), limit, np.float32)
        else:
            distance = transform(empty, around, _inner(block))
        if math.isfinite(limit):
            np.minimum(distance, np.float32(limit), out=distance)
        return block.window, distance

    yield from read_ahead(measure, blocks)


def preset(levels: str, breaks: Sequence[float]) -> Sequence[float]:
    """Return the breaks of a preset, or those given where there is none.

    Raises:
        InputError: no such preset, or breaks beside it.
    """
    if levels == "none":
        return breaks
    if levels not in LEVELS:
        raise InputError(f"There are no levels {levels}: choose none or {', '.join(LEVELS)}.")
    if breaks:
        raise InputError(f"Give either the levels {levels} or breaks of your own, not both.")
    return LEVELS[levels]


def check_breaks(breaks: Sequence[float], max_distance: float) -> list[float]:
    """Return the breaks between levels.

    Raises:
        InputError: they are not positive and ascending, too many, or beyond the maximum distance.
    """
    values = [float(value) for value in breaks]
    if not all(low < high for low, high in pairwise([0.0, *values])):
        raise InputError(
            f"The breaks {', '.join(f'{value:g}' for value in values)} must be distances in "
            "metres above 0, each larger than the one before."
        )
    if len(values) > 254:
        raise InputError(f"There are {len(values)} breaks: give at most 254.")
    if values and 0 < max_distance < values[-1]:
        raise InputError(
            f"The break {values[-1]:g} m lies beyond the maximum distance {max_distance:g} m: "
            "leave the maximum distance at 0 or remove the break."
        )
    return values


def to_levels(distance: NDArray[np.float32], breaks: Sequence[float]) -> NDArray[np.uint8]:
    """Return levels 0..n: how many breaks lie below each distance (R. Yang et al. 2022)."""
    return np.searchsorted(np.asarray(breaks), distance, side="left").astype(np.uint8)


def level_names(breaks: Sequence[float]) -> dict[int, str]:
    """Return the level numbers with their names, such as "30 to 200 m"."""
    edges = [f"{value:g}" for value in (0, *breaks)]
    names = [f"{low} to {high} m" for low, high in pairwise(edges)]
    return dict(enumerate([*names, f"above {edges[-1]} m"]))


class _Reach:
    """Bounds the distance to the nearest feature from a grid of coarse cells.

    From a pixel to the nearest feature it is no farther than from its cell's centre to that of the
    nearest cell that holds a feature's point and one cell's diagonal.
    """

    def __init__(self, features: Shapes, grid: Grid, limit: float) -> None:
        self._grid, self._limit = grid, limit
        box = _search_box(features, grid, limit)
        self._bounds = _pixel_bounds(features, grid, box)
        left, top, right, bottom = self._bounds
        left, top = min(left, 0), min(top, 0)
        self._step = math.ceil(max(grid.shape) / _COARSE_CELLS)
        columns = math.ceil((max(right, grid.width) - left) / self._step)
        rows = math.ceil((max(bottom, grid.height) - top) / self._step)
        x, y = grid.point(left, top)
        size_x, size_y = self._step * grid.transform.a, self._step * grid.transform.e
        coarse = Grid(grid.crs, Affine(size_x, 0, x, 0, size_y, y), columns, rows)
        widths, heights = coarse.pixel_metres()
        size = float(heights.max()), float(widths.max())
        empty = _without_vertex(features, coarse)
        if empty.all():
            self._cells = np.full(coarse.shape, np.inf)
        else:
            self._cells = _nearest_distance(empty, size) + math.hypot(*size)
        self._left, self._top = left, top

    def block(self, first: int, rows: int) -> Block:
        """Return the block of some rows with the margins that it needs.

        The way from a pixel to the nearest feature outside leaves the block at an edge, and from
        there on is the way from that edge to the nearest feature: so margins follow from the edges.
        """
        grid, last = self._grid, first + rows - 1
        left, upper, right, lower = self._bounds  # where there is no feature none is needed
        above, below = self._longest((first, first), None), self._longest((last, last), None)
        height = -grid.transform.e * _shortest_unit(grid)
        start = max(first - _pixels(above, height), min(upper, first))
        stop = min(last + 1 + _pixels(below, height), max(lower, last + 1))
        width = float(grid.pixel_metres(np.array([start, stop - 1.0]))[0].min())
        before = self._longest((first, last), 0)
        after = self._longest((first, last), grid.width - 1)
        west = max(-_pixels(before, width), min(left, 0))
        east = min(grid.width + _pixels(after, width), max(right, grid.width))
        window = Window(0, first, grid.width, rows)
        return Block(window, Window(west, start, east - west, stop - start))

    def _longest(self, rows: tuple[int, int], column: int | None) -> float:
        """Return the bound over a span of the grid's rows, in one column or all."""
        columns = (0, self._grid.width - 1) if column is None else (column, column)
        upper, lower = ((row - self._top) // self._step for row in rows)
        left, right = ((column - self._left) // self._step for column in columns)
        return min(float(self._cells[upper : lower + 1, left : right + 1].max()), self._limit)


def _pixels(metres: float, size: float) -> int:
    """Return how many pixels a margin needs, two more for the pixels that features touch."""
    return math.ceil(metres / max(size, 1e-9)) + 2 if math.isfinite(metres) else 0


def _search_box(features: Shapes, grid: Grid, limit: float) -> tuple[float, float, float, float]:
    """Return bounds, in CRS units, that hold the nearest feature of every pixel.

    Raises:
        GridError: all features lie farther away than the grid's diagonal and the limit: most
            likely one of the two has the wrong CRS.
    """
    left, bottom, right, top = grid.bounds
    gap = float(shapely.distance(features.geometries, shapely.box(*grid.bounds)).min())
    diagonal = float(np.hypot(right - left, top - bottom))
    longest = limit / _shortest_unit(grid)
    if gap > (diagonal if np.isinf(longest) else max(diagonal, longest)):
        extent = ", ".join(f"{value:.8g}" for value in features.bounds)
        raise GridError(
            f"The features lie far from the reference: their extent in its CRS is {extent} (left, "
            f"bottom, right, top), its own is {grid.describe()}; check both CRSs."
        )
    # From the grid's point nearest to a feature no pixel is farther than the diagonal; the pixels
    # that features touch may be a pixel nearer or farther than the features.
    reach_y = min(gap + diagonal, longest) + 2 * max(grid.transform.a, -grid.transform.e)
    if not grid.is_geographic:
        return left - reach_y, bottom - reach_y, right + reach_y, top + reach_y
    reach_y *= (1 - _ellipsoid(grid)[1]) ** -1.5  # a polar degree is longer than one at the equator
    steepest = min(max(abs(bottom - reach_y), abs(top + reach_y)), 89.9)
    reach_x = reach_y / np.cos(np.radians(steepest))
    return left - reach_x, bottom - reach_y, right + reach_x, top + reach_y


def _pixel_bounds(
    features: Shapes, grid: Grid, box: tuple[float, float, float, float]
) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the features within a box, in the grid's pixels."""
    bounds = features.bounds
    left, top = grid.pixel(max(bounds[0], box[0]), min(bounds[3], box[3]))
    right, bottom = grid.pixel(min(bounds[2], box[2]), max(bounds[1], box[1]))
    return math.floor(left) - 1, math.floor(top) - 1, math.ceil(right) + 1, math.ceil(bottom) + 1


def _untouched(features: Shapes, grid: Grid) -> NDArray[np.uint8]:
    """Return 0 in the pixels that a feature touches, 1 in all others."""
    # Shapes are not clipped: where one runs along pixels' edges, rounding would show in the blocks.
    near = features.near(shapely.box(*grid.bounds).buffer(grid.transform.a))
    if not len(near):
        return np.ones(grid.shape, np.uint8)
    burnt: NDArray[np.uint8] = rasterize(
        near,
        grid.shape,
        fill=1,
        default_value=0,
        transform=grid.transform,
        all_touched=True,
        dtype="uint8",
    )
    return burnt


def _without_vertex(features: Shapes, grid: Grid) -> NDArray[np.uint8]:
    """Return 0 in the cells that polygons touch or that lines and points are in, 1 in others.

    Lines get a vertex in every cell, or nearly so: much faster than burning them.
    """
    shapes = features.geometries
    polygonal = shapely.get_dimensions(shapes) == 2
    empty = _untouched(Shapes(shapes[polygonal]), grid)
    spaced = shapely.segmentize(shapes[~polygonal], min(grid.transform.a, -grid.transform.e))
    x, y = shapely.get_coordinates(spaced).T
    columns, rows = (np.floor(place).astype(np.int64) for place in grid.pixel(x, y))
    inside = (columns >= 0) & (columns < grid.width) & (rows >= 0) & (rows < grid.height)
    empty[rows[inside], columns[inside]] = 0
    return empty


def _planar_transform(
    empty: NDArray[np.uint8], around: Grid, inner: tuple[slice, slice]
) -> NDArray[np.float32]:
    """Return the metres to the nearest touched pixel in a part of the grid."""
    width, height = (float(size[0]) for size in around.pixel_metres(np.zeros(1)))
    return _nearest_distance(empty, (height, width))[inner]


def _nearest_distance(empty: NDArray[np.uint8], size: tuple[float, float]) -> NDArray[np.float32]:
    """Return the distance of each pixel to the nearest 0, pixels being of a height and width."""
    # OpenCV's transform is the fastest, but knows square pixels only and overflows at large sizes.
    if math.isclose(*size) and sum(empty.shape) < _OPENCV_LARGEST:
        pixels = cv2.distanceTransform(empty, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        # Its last digit varies from run to run; the square of a distance in pixels is whole.
        np.rint(np.multiply(pixels, pixels, out=pixels), out=pixels)
        return np.multiply(np.sqrt(pixels, out=pixels), np.float32(size[1]), out=pixels)
    from scipy.ndimage import distance_transform_edt  # loading it takes a tenth of a second

    return np.asarray(distance_transform_edt(empty, sampling=size), np.float32)


def _geodesic_transform(
    empty: NDArray[np.uint8], around: Grid, inner: tuple[slice, slice]
) -> NDArray[np.float32]:
    """Return the same on degrees, through space to the pixel that is nearest in the plane."""
    middle = np.array([(inner[0].start + inner[0].stop - 1) / 2])
    width, height = (float(size[0]) for size in around.pixel_metres(middle))
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(
        empty, sampling=(height, width), return_distances=False, return_indices=True
    )
    rows, columns = nearest[0][inner], nearest[1][inner]
    here = np.arange(inner[0].start, inner[0].stop)[:, np.newaxis]
    apart = np.abs(columns - np.arange(inner[1].start, inner[1].stop))
    radius, z = _meridian(around)  # distances from the earth's axis and from the equator's plane
    half_turn = np.sin(np.radians(around.transform.a) / 2 * np.arange(around.width))
    squared = 4 * radius[here] * radius[rows] * half_turn[apart] ** 2
    squared += (radius[here] - radius[rows]) ** 2 + (z[here] - z[rows]) ** 2
    return np.sqrt(squared).astype(np.float32)


def _meridian(grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far each row's centres are from the earth's axis and the equator's plane."""
    semi_major, eccentricity2 = _ellipsoid(grid)
    latitude = grid.transform.f + (np.arange(grid.height) + 0.5) * grid.transform.e
    latitude = np.radians(np.clip(latitude, -90, 90))
    normal = semi_major / np.sqrt(1 - eccentricity2 * np.sin(latitude) ** 2)
    return normal * np.cos(latitude), normal * (1 - eccentricity2) * np.sin(latitude)


def _part(grid: Grid, window: Window) -> Grid:
    return Grid(grid.crs, grid.window_transform(window), int(window.width), int(window.height))


def _inner(block: Block) -> tuple[slice, slice]:
    """Return where a block lies in its surroundings."""
    row = int(block.window.row_off - block.around.row_off)
    column = int(block.window.col_off - block.around.col_off)
    return (
        slice(row, row + int(block.window.height)),
        slice(column, column + int(block.window.width)),
    )


def _shortest_unit(grid: Grid) -> float:
    """Return the metres of a CRS unit; on a geographic CRS of a degree of latitude, at least."""
    if grid.is_geographic:
        semi_major, eccentricity2 = _ellipsoid(grid)
        return float(np.radians(semi_major * (1 - eccentricity2)))
    return 1.0 if grid.crs is None else float(grid.crs.linear_units_factor[1])


def _ellipsoid(grid: Grid) -> tuple[float, float]:
    geod = CRS.from_user_input(grid.crs).get_geod()
    if geod is None:
        raise GridError("The reference's CRS has no ellipsoid: give it another CRS.")
    return float(geod.a), float(geod.es)
