"""The shape of polygons: simplification, smoothing, map coordinates.

All polygons of a layer together are a coverage: they don't overlap, and where two of them touch
both have the same points. Every step keeps it one.
"""

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..raster import Grid

Ints = NDArray[np.int64]


def simplified(polygons: NDArray[np.object_], tolerance: float) -> NDArray[np.object_]:
    """Drop points, and keep polygons valid, none of them empty, and shared edges shared.

    Method: Visvalingam and Whyatt 1993 (Cartographic Journal 30:46) on the whole coverage, so
    that points where polygons touch stay; the area of a dropped triangle is at most about the
    square of the tolerance.

    Args:
        polygons: a coverage in pixel coordinates, object, (n,).
        tolerance: pixels; nothing is dropped at 0.
    """
    if tolerance <= 0 or not len(polygons):
        return polygons
    return _sound(shapely.coverage_simplify(polygons, tolerance), polygons)


def smoothed(polygons: NDArray[np.object_], rounds: int) -> NDArray[np.object_]:
    """Round the corners off, and keep polygons valid and shared edges shared.

    Method: Chaikin 1974 (Computer Graphics and Image Processing 3:346) on each stretch of outline
    between the places where outlines meet; these stay where they are.

    Args:
        polygons: a coverage, object, (n,).
        rounds: how often each corner is cut at a quarter of its edges; none is at 0.
    """
    if rounds <= 0 or not len(polygons):
        return polygons
    rings, of_polygon = shapely.get_rings(polygons, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    last = np.append(np.diff(ring) > 0, True)
    xy, ring = xy[~last], ring[~last]  # rings are closed by their order from here on
    fixed = junctions(xy, ring)
    for _ in range(rounds):
        before, after = neighbours(ring)
        # Two points for each corner, the second of which goes where the corner stays.
        pair = np.stack([0.75 * xy + 0.25 * xy[before], 0.75 * xy + 0.25 * xy[after]], axis=1)
        pair[fixed] = xy[fixed][:, None]
        kept = np.stack([np.ones_like(fixed), ~fixed], axis=1).ravel()
        xy = pair.reshape(-1, 2)[kept]
        ring, fixed = np.repeat(ring, 2)[kept], np.repeat(fixed, 2)[kept]
    round_rings = shapely.linearrings(xy, indices=ring)
    smooth = shapely.polygons(round_rings, indices=of_polygon)
    return _sound(smooth, polygons)


def junctions(xy: NDArray[np.float64], ring: Ints) -> NDArray[np.bool_]:
    """Return the points at which more or less than two different edges of the coverage end."""
    _, point = np.unique(xy[:, 0] + 1j * xy[:, 1], return_inverse=True)
    after = point[neighbours(ring)[1]]
    edges = np.unique(np.sort(np.stack([point, after], axis=1), axis=1), axis=0)
    ends = np.bincount(edges.ravel(), minlength=point.max() + 1)[point]
    odd: NDArray[np.bool_] = ends != 2
    return odd


def neighbours(ring: Ints) -> tuple[Ints, Ints]:
    """Return the index of the point before and after each point on its ring.

    Args:
        ring: number of each point's ring, ascending, (points,).
    """
    index = np.arange(len(ring))
    first = np.flatnonzero(np.diff(ring, prepend=-1))
    last = np.append(first[1:], len(ring)) - 1
    before, after = index - 1, index + 1
    before[first], after[last] = last, first
    return before, after


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


def _sound(changed: NDArray[np.object_], before: NDArray[np.object_]) -> NDArray[np.object_]:
    """Take back what made polygons invalid or overlap, with all that touches them.

    One alone can't be taken back: its edges would no longer be its neighbours'.
    """
    bad = ~shapely.is_valid(changed) | shapely.is_empty(changed)
    if not bad.any():
        bad = ~shapely.is_empty(shapely.coverage_invalid_edges(changed))
    if not bad.any():
        return changed
    first, second = shapely.STRtree(before).query(before, predicate="intersects")
    links = coo_array((np.ones(len(first)), (first, second)), shape=(len(before), len(before)))
    _, cluster = connected_components(links, directed=False)
    back = np.isin(cluster, cluster[bad]) & (changed != before)
    return _sound(np.where(back, before, changed), before) if back.any() else changed
