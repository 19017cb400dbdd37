"""Polygons of a mask, made block by block; holes, simplification, map coordinates.

Pixels that share an edge belong to one landslide (4-connected): pixels that only share a corner
would give polygons that touch themselves, which are invalid.
"""

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import shapes
from rasterio.windows import Window
from scipy.ndimage import label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..raster import Grid

_NO_ROW = np.zeros(0, np.int64)


class Polygonizer:
    """Makes polygons of a mask that arrives in blocks of whole rows, from top to bottom.

    Each block is labelled and traced by itself; parts that meet at a seam are joined at the end.
    Memory holds one block and the polygons.
    """

    def __init__(self) -> None:
        self._parts: list[NDArray[np.object_]] = []
        self._seams: list[NDArray[np.int64]] = []
        self._count = 0
        self._last_row = _NO_ROW

    def add(self, mask: NDArray[np.bool_], window: Window) -> NDArray[np.int64]:
        """Add a block.

        Args:
            mask: bool, (rows, columns).
            window: where it lies; all columns.

        Returns:
            The number of the part that each pixel belongs to, from 1, 0 outside; (rows, columns).
        """
        labels, count = label(mask)
        traced = np.empty(count, object)
        for geometry, number in shapes(labels.astype(np.int32), mask=mask, connectivity=4):
            traced[int(number) - 1] = shapely.geometry.shape(geometry)
        offset = np.array([window.col_off, window.row_off])
        self._parts.append(shapely.transform(traced, lambda xy: xy + offset))
        numbers = np.where(mask, labels.astype(np.int64) + self._count, 0)
        if self._last_row.size:
            pairs = np.stack([self._last_row, numbers[0]], axis=1)
            self._seams.append(np.unique(pairs[(pairs > 0).all(axis=1)], axis=0))
        self._last_row = numbers[-1]
        self._count += count
        return numbers

    def finish(self) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
        """Join what meets at the seams.

        Returns:
            Valid polygons in pixel coordinates (x = column, y = row), object, (n,); and for each
            part's number, from 1 on, the index of its polygon, (parts,).
        """
        parts = np.concatenate([np.empty(0, object), *self._parts])
        pairs = np.concatenate([np.empty((0, 2), np.int64), *self._seams]) - 1
        links = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(parts), len(parts)))
        count, groups = connected_components(links, directed=False)
        polygons = np.empty(count, object)
        polygons[groups] = parts
        size = np.bincount(groups, minlength=count)
        order = np.argsort(groups, kind="stable")
        stops = np.cumsum(size)
        for group in np.flatnonzero(size > 1):
            members = order[stops[group] - size[group] : stops[group]]
            # The union leaves points on the seam in the middle of straight edges.
            polygons[group] = shapely.simplify(shapely.union_all(parts[members]), 0)
        return polygons, groups.astype(np.int64)


def without_holes(
    polygons: NDArray[np.object_], max_hole: float, grid: Grid
) -> NDArray[np.object_]:
    """Fill holes up to an area.

    Args:
        polygons: in pixel coordinates, object, (n,).
        max_hole: square metres; nothing is filled at 0.
        grid: gives the size of a pixel in metres at each hole's row.
    """
    if max_hole <= 0:
        return polygons
    filled = polygons.copy()
    for index in np.flatnonzero(shapely.get_num_interior_rings(polygons) > 0):
        holes = np.array([shapely.Polygon(ring) for ring in polygons[index].interiors])
        dx, dy = grid.pixel_metres(shapely.get_y(shapely.centroid(holes)) - 0.5)
        kept = holes[shapely.area(holes) * dx * dy > max_hole]
        rings = [hole.exterior for hole in kept]
        filled[index] = shapely.Polygon(polygons[index].exterior, rings)
    return filled


def simplified(polygons: NDArray[np.object_], tolerance: float) -> NDArray[np.object_]:
    """Drop points, and keep polygons valid, apart, and none of them empty.

    Method: Visvalingam and Whyatt 1993 (Cartographic Journal 30:46) on the whole coverage, so
    that points where polygons touch stay; the area of a dropped triangle is at most about the
    square of the tolerance.

    Args:
        polygons: in pixel coordinates, object, (n,).
        tolerance: pixels; nothing is dropped at 0.
    """
    if tolerance <= 0 or not len(polygons):
        return polygons
    simple = shapely.coverage_simplify(polygons, tolerance)
    sound = shapely.is_valid(simple) & ~shapely.is_empty(simple)
    return np.where(sound, simple, polygons)


def to_map(polygons: NDArray[np.object_], grid: Grid) -> NDArray[np.object_]:
    """Bring polygons from pixel coordinates to the grid's map coordinates."""
    transform = grid.transform
    if grid.crs is None and transform == Affine.identity():
        # A plain image: its rows count downwards, as GIS show it.
        transform = Affine.scale(1, -1)

    def move(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = xy.T
        return np.stack(transform * (x, y), axis=1)

    moved: NDArray[np.object_] = shapely.transform(polygons, move)
    return moved
