"""Features that several files of a layer hold: tiles overlap, or both have what lies across."""

import numpy as np
import shapely
from numpy.typing import NDArray

_APART = 0.01
"""Metres between the points of a feature and those of its copy, by rounded coordinates."""
_METRES_A_DEGREE = 111_320


def copies(
    geometries: NDArray[np.object_], file: NDArray[np.intp], is_geographic: bool
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return which features are the same as one of an earlier file, whatever their fields.

    Args:
        geometries: valid ones in one CRS, in the order of their files.
        file: the number of each one's file.
        is_geographic: whether coordinates are degrees.

    Returns:
        Indexes of features and of their copies: the same kind and number of points, each to a
        centimetre, joined likewise.
    """
    from scipy.spatial import KDTree  # here: for layers of several files alone

    apart = _APART / _METRES_A_DEGREE if is_geographic else _APART
    pairs = KDTree(shapely.bounds(geometries)).query_pairs(apart, np.inf, output_type="ndarray")
    first, second = pairs[file[pairs[:, 0]] != file[pairs[:, 1]]].T
    kinds, counts = shapely.get_type_id(geometries), shapely.get_num_coordinates(geometries)
    alike = (kinds[first] == kinds[second]) & (counts[first] == counts[second])
    first, second = first[alike], second[alike]
    same = shapely.equals_exact(geometries[first], geometries[second], apart)
    for index in np.flatnonzero(~same):  # begun elsewhere, or the other way round
        near = KDTree(_marks(geometries[first[index]])).query(_marks(geometries[second[index]]))
        same[index] = near[0].max() <= 2 * apart
    return first[same], second[same]


def _marks(shape: shapely.Geometry) -> NDArray[np.float64]:
    """Return the points of a feature and those halfway between, which tell how they are joined."""
    parts = shapely.get_parts(shape)
    rings = shapely.get_rings(parts) if shape.geom_type.endswith("Polygon") else parts
    points, ring = shapely.get_coordinates(rings, return_index=True)
    halfway = (points[1:] + points[:-1])[ring[1:] == ring[:-1]] / 2
    return np.concatenate([points, halfway])
