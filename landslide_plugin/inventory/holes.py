"""Holes of polygons that are filled, and what lies in them."""

import numpy as np
import shapely
from numpy.typing import NDArray

from ..raster import Grid

Ints = NDArray[np.int64]


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
    few = shapely.area(holes) * pixels.area <= max_hole
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
