"""Holes of polygons that are filled, and what lies in them."""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from ..raster import Grid

Ints = NDArray[np.int64]
_ROUNDED = 1 + 1e-6
"""Of the largest hole: 25 pixels of .2 x .2 m are a hair more than 1 m2."""


def without_holes(
    polygons: NDArray[np.object_], max_hole: float, grid: Grid
) -> tuple[NDArray[np.object_], Ints]:
    """Fill holes up to an area; landslides within a filled hole become part of what surrounds it.

    Args:
        polygons: in pixel coordinates, object, (n,).
        max_hole: square metres; nothing is filled at 0.
        grid: gives the area of pixels in the middle of each hole.

    Returns:
        The polygons, those that were swallowed unchanged, and for each the index of the polygon
        that it is part of now, which is its own or another's.
    """
    owner = np.arange(len(polygons))
    if max_hole <= 0:
        return polygons, owner
    rings, of_polygon = shapely.get_rings(polygons, return_index=True)
    small = np.diff(of_polygon, prepend=-1) == 0  # no outer ring
    holes = shapely.polygons(rings[small])
    middle = shapely.centroid(holes)
    pixels = grid.ground.pixels_at(shapely.get_y(middle) - 0.5, shapely.get_x(middle) - 0.5)
    few = shapely.area(holes) * pixels.area <= max_hole * _ROUNDED
    small[small] = few
    filled = shapely.polygons(rings[~small], indices=of_polygon[~small])
    into = of_polygon[small]
    hole, inside = shapely.STRtree(polygons).query(holes[few], predicate="contains")
    # A landslide may lie in a hole of one that itself lies in a hole: the largest one takes all.
    for one, holder in sorted(
        zip(inside, into[hole], strict=True), key=lambda pair: polygons[pair[1]].area
    ):
        owner[one] = holder
    return filled, owner


def without_others(
    kinds: Sequence[tuple[NDArray[np.object_], Ints]],
) -> list[tuple[NDArray[np.object_], Ints]]:
    """Cut out of landslides those of other kinds that lie in their filled holes.

    Args:
        kinds: the landslides of each kind, polygons in pixel coordinates, object, (n,); and what
            goes with them.
    """
    if len(kinds) == 1:
        return list(kinds)
    polygons = np.concatenate([some for some, _ in kinds])
    counts = [len(some) for some, _ in kinds]
    kind = np.repeat(np.arange(len(kinds)), counts)
    holder, held = shapely.STRtree(polygons).query(polygons, predicate="contains")
    others = kind[holder] != kind[held]
    cut = polygons.copy()
    for one in np.unique(holder[others]):
        inside = shapely.union_all(polygons[held[others & (holder == one)]])
        parts = shapely.get_parts(shapely.difference(polygons[one], inside))
        cut[one] = parts[shapely.area(parts).argmax()]
    split = np.split(cut, np.cumsum(counts)[:-1])
    return [(some, with_them) for some, (_, with_them) in zip(split, kinds, strict=True)]
