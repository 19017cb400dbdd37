"""True metres on any CRS: areas, perimeters, and length and width along a direction."""

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from ..raster.surface import Ellipsoid, surface_of

Floats = NDArray[np.float64]


def measures(polygons: NDArray[np.object_], crs: Any) -> tuple[Floats, Floats]:
    """Return geodesic areas in square metres and lengths of the outer rings in metres.

    Measured on the CRS's own ellipsoid (Karney 2013, J. Geodesy 87:43), so it is right on any
    projection, in degrees, and on other planets. Without a CRS, or with a local one, the
    plane's units are taken.

    Args:
        polygons: Polygons or MultiPolygons, object, (n,).
        crs: their CRS.
    """
    surface = surface_of(crs)
    if not isinstance(surface, Ellipsoid):
        rings, unit = shapely.get_exterior_ring(polygons), surface.metres
        return shapely.area(polygons) * unit**2, shapely.length(rings) * unit
    parts, of_part = shapely.get_parts(polygons, return_index=True)
    rings, of_ring = shapely.get_rings(parts, return_index=True)
    xy, of_point = shapely.get_coordinates(rings, return_index=True)
    longitude, latitude = map(np.degrees, surface.geodetic(*xy.T.copy()))
    stops = np.append(np.flatnonzero(np.diff(of_point)) + 1, len(xy))
    area, length = np.zeros(len(rings)), np.zeros(len(rings))
    start = 0
    for index, stop in enumerate(stops[: len(rings)]):
        area[index], length[index] = surface.geod.polygon_area_perimeter(
            longitude[start:stop], latitude[start:stop]
        )
        start = stop
    is_hole = np.diff(of_ring, prepend=-1) == 0
    signed = np.where(is_hole, -np.abs(area), np.abs(area))
    polygon = of_part[of_ring]
    areas: Floats = np.bincount(polygon, signed, len(polygons)).astype(float)
    outer = np.where(is_hole, 0.0, length)
    return areas, np.bincount(polygon, outer, len(polygons)).astype(float)


def extents(
    polygons: NDArray[np.object_], crs: Any, direction: Floats, north_is_true: bool = False
) -> tuple[Floats, Floats]:
    """Return length and width in metres of the boxes that hold polygons.

    Where the direction of descent is known, length is the extent along it and width that across
    it, so that a landslide may be wider than long. Elsewhere they are the sides of the smallest
    box, the longer one first. Each polygon is laid on the plane that touches the ellipsoid at its
    middle, with one scale for all of it: in degrees off by about 1 in 1000 over 10 km.

    Args:
        polygons: object, (n,).
        crs: their CRS.
        direction: degrees clockwise from north, (n,); NaN where not known.
        north_is_true: whether they count from true north, as aspects do where a grid does not keep
            its own metres, and not from the way up the map.
    """
    if not len(polygons):
        return np.empty(0), np.empty(0)
    centre = shapely.get_coordinates(shapely.centroid(polygons))
    east, north = _metres_per_unit(centre, crs)
    xy, of_point = shapely.get_coordinates(polygons, return_index=True)
    away = xy - centre[of_point]
    metres = away[:, :1] * east[of_point] + away[:, 1:] * north[of_point]
    angle = np.radians(direction.astype(float))[:, None]
    # Aspects are angles between metres of the grid, whatever its units are.
    right, up = np.eye(2)[:, np.newaxis] if north_is_true else (_unit(east), _unit(north))
    down = _unit(np.sin(angle) * right + np.cos(angle) * up)
    across = np.stack([-down[:, 1], down[:, 0]], axis=1)
    starts = np.flatnonzero(np.diff(of_point, prepend=-1))
    length, width = (
        _span(np.einsum("ij,ij->i", metres, along[of_point]), starts) for along in (down, across)
    )
    free = np.isnan(length)
    if free.any():
        local = shapely.set_coordinates(polygons.copy(), metres)
        length[free], width[free] = _smallest_box(local[free])
    return length, width


def _metres_per_unit(centre: Floats, crs: Any) -> tuple[Floats, Floats]:
    """Return what one unit along x and along y is in metres east and north, both (n, 2)."""
    surface = surface_of(crs)
    if not isinstance(surface, Ellipsoid):
        unit, count = surface.metres, len(centre)
        return np.tile([unit, 0.0], (count, 1)), np.tile([0.0, unit], (count, 1))
    step = 1e-5 if surface.is_angular else 1.0
    # Each centre, a step along x from it, and a step along y.
    points = centre + step * np.array([[[0.0, 0.0]], [[1.0, 0.0]], [[0.0, 1.0]]])
    angles = np.stack(surface.geodetic(points[..., 0], points[..., 1]), axis=-1)
    away = (angles[1:] - angles[0] + np.pi) % (2 * np.pi) - np.pi  # over the antimeridian too
    metres = away * np.stack(surface.radii(angles[0, :, 1]), axis=1) / step
    return metres[0], metres[1]


def _smallest_box(polygons: NDArray[np.object_]) -> tuple[Floats, Floats]:
    boxes = shapely.oriented_envelope(polygons)
    length, width = shapely.length(boxes), np.zeros(len(boxes))  # of what is but a line, or nothing
    whole = shapely.get_num_coordinates(boxes) == 5
    corners = shapely.get_coordinates(boxes[whole]).reshape(-1, 5, 2)
    sides = np.linalg.norm(np.diff(corners[:, :3], axis=1), axis=2)
    length[whole], width[whole] = sides.max(axis=1), sides.min(axis=1)
    return length, width


def _span(along: Floats, starts: NDArray[np.int64]) -> Floats:
    return np.maximum.reduceat(along, starts) - np.minimum.reduceat(along, starts)


def _unit(vectors: Floats) -> Floats:
    units: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units
