"""How far the nearest feature can be from each part of a grid, found on coarse cells beforehand."""

import math
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.windows import Window
from scipy.spatial import KDTree

from ..contract.errors import GridError
from ..raster import Grid
from ..raster.positions import Positions
from ..raster.surface import ellipsoid_of, surface_of
from ..vector.shapes import Geometries, Shapes

Box = tuple[float, float, float, float]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_FAR = 50_000.0
"""Metres between grid and features that a small area may have from the nearest fault: a CRS that
is wrong moves them farther."""
_COARSE_CELLS = 512
_SAMPLES = 17
_DIRECTIONS = 16
_ROUND = 1.05
"""A polygon of `_DIRECTIONS` corners outside a circle, and more."""


@dataclass(frozen=True)
class Block:
    """Rows of the grid, and where the features nearest to them can lie.

    Attributes:
        window: full-width rows.
        around: the same with its margin; it may reach over the grid's edges.
    """

    window: Window
    around: Window


class Reach:
    """Bounds the distance to the nearest feature from a grid of coarse cells.

    From a pixel to the nearest feature it is no farther than from its cell's centre to that of the
    nearest cell that holds a feature's point and one cell's diagonal.

    Args:
        features: lines, polygons or points in the grid's CRS.
        grid: where distances are wanted, at pixel centres.
        limit: longer distances are not needed, metres.
        slack: features that much farther than the nearest one are wanted too, metres.

    Raises:
        GridError: all features lie farther from the grid than its diagonal, the limit and 50 km.
    """

    def __init__(self, features: Shapes, grid: Grid, limit: float, slack: float = 0.0) -> None:
        self._grid, self._positions, self._limit = grid, Positions(grid), limit
        self._step = math.ceil(math.sqrt(grid.width * grid.height) / _COARSE_CELLS)
        rows, columns = self._features_cells(features, search_box(features, grid, limit, slack))
        held, diagonals = self._centres(rows, columns)
        finite = np.isfinite(held).all(axis=1)
        self._rows, self._columns, held = rows[finite], columns[finite], held[finite]
        self._cells = grid.coarsened(self._step).shape
        self._centre_points, cell_diagonals = self._centres(*np.indices(self._cells))
        diagonal = float(max(np.nanmax(cell_diagonals), diagonals[finite].max(initial=0)))
        self._tree = KDTree(held) if len(held) else None
        if self._tree is None:
            self._radius = np.zeros(self._cells)
            return
        outside = ~np.isfinite(self._centre_points).all(axis=2)
        self._centre_points[outside] = 0
        nearest = self._tree.query(self._centre_points)[0]
        nearest[outside] = 0
        # From centre to centre, by way of a pixel, the feature and the pixel that it touches.
        self._radius = np.minimum(nearest + 1.5 * diagonal + slack, limit) + 2 * diagonal

    def block(self, first: int, rows: int) -> Block:
        """Return the block of some rows with the margins that it needs.

        The way from a pixel to the nearest feature outside leaves the block at an edge, and from
        there on is the way from that edge to the nearest feature: so margins follow from the edges.
        """
        top, last = first // self._step, (first + rows - 1) // self._step
        edge = np.zeros((last + 1 - top, self._cells[1]), bool)
        edge[[0, -1]] = edge[:, [0, -1]] = True
        centres = self._centre_points[top : last + 1][edge]
        near = self._near(centres, self._radius[top : last + 1][edge])
        left, upper, right, lower = 0, first, self._grid.width, first + rows
        if len(near):
            left, right = self._span(self._columns[near], left, right, *self._bounds[0])
            upper, lower = self._span(self._rows[near], upper, lower, *self._bounds[1])
        if math.isfinite(self._limit):  # cells are coarse
            across, down = self._pixels(Window(left, upper, right - left, lower - upper))
            left, right = max(left, -across), min(right, self._grid.width + across)
            upper, lower = max(upper, first - down), min(lower, first + rows + down)
        window = Window(0, first, self._grid.width, rows)
        return Block(window, Window(left, upper, right - left, lower - upper))

    def _span(
        self, cells: Ints, first: int, last: int, first_held: int, last_held: int
    ) -> tuple[int, int]:
        """Return the pixels from the first to the last that cells have, or a block.

        With a cell more, for features between the points that were looked at; but none where no
        feature is.
        """
        start = max(int(cells.min() - 1) * self._step, first_held)
        stop = min(int(cells.max() + 2) * self._step, last_held)
        return min(first, start), max(last, stop)

    def _pixels(self, around: Window) -> tuple[int, int]:
        """Return how many pixels, across and down, the limit is, and those that features touch."""
        rows = np.linspace(around.row_off, around.row_off + around.height, _SAMPLES)
        columns = np.linspace(around.col_off, around.col_off + around.width, _SAMPLES)
        pixels = self._grid.pixels(rows, columns)
        upright = np.sqrt(1 - pixels.cosine**2)  # sheared ones lie closer than they are large
        across, down = (
            math.ceil(self._limit / float((size * upright).min())) + 2
            for size in (pixels.width, pixels.height)
        )
        return across, down

    def _near(self, centres: Floats, radius: Floats) -> Ints:
        """Return which cells with features may hold the nearest one of any of some cells."""
        if self._tree is None:
            return np.empty(0, np.int64)
        near = self._tree.query_ball_point(centres, radius)
        return np.unique(np.concatenate([np.asarray(some, np.int64) for some in near]))

    def _features_cells(self, features: Shapes, box: Box | None) -> tuple[Ints, Ints]:
        """Return row and column, in cells, of each cell that a feature has a point in.

        Lines get a vertex in every cell, or nearly so: much faster than burning them. Of polygons
        the cells of the grid within them count too.
        """
        grid, step = self._grid, self._step
        if box is None:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        shapes = shapely.clip_by_rect(features.near(shapely.box(*box)), *box)
        spacing = step * min(grid.transform.a, -grid.transform.e)
        x, y = shapely.get_coordinates(shapely.segmentize(shapes, spacing)).T
        pixels = [np.floor(at).astype(np.int64) for at in grid.pixel(x, y)]
        if len(x):
            self._bounds = [(int(at.min()) - 1, int(at.max()) + 2) for at in pixels]
        columns, rows = (at // step for at in pixels)
        polygons = shapes[shapely.get_dimensions(shapes) == 2]  # no empty ones
        if len(polygons):
            coarse = grid.coarsened(step)
            filled = rasterize(polygons, coarse.shape, transform=coarse.transform, dtype="uint8")
            inner = np.nonzero(filled)
            rows, columns = np.append(rows, inner[0]), np.append(columns, inner[1])
        cells = np.unique(np.stack([rows, columns]), axis=1)
        return cells[0], cells[1]

    def _centres(self, rows: Ints, columns: Ints) -> tuple[Floats, Floats]:
        """Return where the centres of cells are, and how long the cells' diagonals."""
        step = self._step
        corners = [
            self._positions.at((rows + down) * step - 0.5, (columns + right) * step - 0.5)
            for down, right in ((0, 0), (1, 1), (0, 1), (1, 0))
        ]
        diagonals = [
            np.linalg.norm(one - other, axis=-1) for one, other in (corners[:2], corners[2:])
        ]
        middle = self._positions.at((rows + 0.5) * step - 0.5, (columns + 0.5) * step - 0.5)
        return middle, np.maximum(*diagonals)


def all_round(features: Geometries, grid: Grid) -> Geometries:
    """Return features with copies of those that lie on the other side of the antimeridian.

    On a map that repeats itself, as in degrees and on Mercator's, what is near on the ground may
    be a turn away in x.
    """
    if grid.keeps_crs_metres or not ellipsoid_of(grid.crs).turn:
        return features
    turn, middle = ellipsoid_of(grid.crs).turn, grid.point(grid.width / 2, 0)[0]
    copies = [features]
    for turns in (-turn, turn):
        left, _, right, _ = shapely.bounds(features).T + turns
        near = (left < middle + turn / 2) & (right > middle - turn / 2)
        copies.append(
            shapely.transform(features[near], lambda xy, by=turns: xy + np.array([by, 0]))
        )
    return np.concatenate(copies)


def search_box(features: Shapes, grid: Grid, limit: float, slack: float = 0.0) -> Box | None:
    """Return bounds, in CRS units, that hold the nearest feature of every pixel.

    With `slack`, those too that are at most as many metres farther.

    None where no feature is within the limit of the grid.

    Raises:
        GridError: all features lie farther away than the grid's diagonal, the limit and 50 km:
            most likely one of the two has the wrong CRS.
    """
    positions, extent = Positions(grid), shapely.box(*grid.bounds)
    here = positions.on_map(*_all_over(grid))
    apart = np.linalg.norm(here[:, np.newaxis] - here, axis=2)
    diagonal = float(positions.along(np.nanmax(apart)))
    nearest = features.geometries[np.argmin(shapely.distance(features.geometries, extent))]
    ends = shapely.get_coordinates(shapely.shortest_line(nearest, extent))
    gap = float(positions.along(np.linalg.norm(np.subtract(*positions.on_map(*ends.T)))))
    if not gap <= max(diagonal, _FAR, 0 if math.isinf(limit) else limit):
        bounds = ", ".join(f"{value:.8g}" for value in features.bounds)
        raise GridError(
            f"The features lie far from the reference: their extent in its CRS is {bounds} (left, "
            f"bottom, right, top), its own is {grid.describe()}; check both CRSs."
        )
    # From the grid's point nearest to a feature no pixel is farther than the diagonal; the pixels
    # that features touch may be a pixel nearer or farther than the features.
    around = _box_around(grid, min(gap + diagonal + slack, limit))
    margin = 2 * max(grid.transform.a, -grid.transform.e)
    left, bottom = np.maximum(around[:2], features.bounds[:2]) - margin
    right, top = np.minimum(around[2:], features.bounds[2:]) + margin
    return (left, bottom, right, top) if left < right and bottom < top else None


def _box_around(grid: Grid, reach: float) -> Box:
    """Return bounds, in CRS units, of all that is within some metres of the grid."""
    x, y = _all_over(grid)
    if grid.keeps_crs_metres:
        side = reach / surface_of(grid.crs).metres
        return x.min() - side, y.min() - side, x.max() + side, y.max() + side
    surface = ellipsoid_of(grid.crs)
    everywhere = -np.inf, -np.inf, np.inf, np.inf
    longitude, latitude = surface.geodetic(x, y)
    least_radius = surface.geod.b**2 / surface.geod.a
    if np.isnan(latitude).any() or np.abs(latitude).max() + reach / least_radius > np.pi / 2:
        return everywhere  # round a pole
    bearings = np.linspace(0, 360, _DIRECTIONS, endpoint=False)
    start = np.broadcast_arrays(longitude[:, np.newaxis], latitude[:, np.newaxis], bearings)
    degrees = np.degrees(start[0]), np.degrees(start[1]), start[2]
    end = surface.geod.fwd(*degrees, np.full(start[0].shape, _ROUND * reach))[:2]
    x, y = surface.on_map(np.radians(end[0]), np.radians(end[1]))
    if surface.turn:
        west = grid.point(grid.width / 2, 0)[0] - surface.turn / 2
        x = (x - west) % surface.turn + west
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return everywhere
    return x.min(), y.min(), x.max(), y.max()


def _all_over(grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return x and y of places all over the grid, its edge included."""
    left, bottom, right, top = grid.bounds
    x, y = np.linspace(left, right, _SAMPLES), np.linspace(bottom, top, _SAMPLES)
    across, up = np.meshgrid(x, y)
    return across.ravel(), up.ravel()
