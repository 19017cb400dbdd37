"""Synthetic geology: three rocks in folded bands, and faults along which they are broken."""

from dataclasses import dataclass
from itertools import pairwise

import geopandas as gpd
import numpy as np
import shapely
from contourpy import FillType, contour_generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from ..raster import Grid
from .noise import Field, fractal
from .terrain import Floats, distance_to

GRANITE, SANDSTONE, MUDSTONE = range(3)
LITHOLOGIES = ("granite", "sandstone", "mudstone")
"""Names of the rocks, in the order of their numbers."""

_WEAKNESS = np.array([0.75, 0.95, 1.1], np.float32)

_BANDS = (
    (-9.0, GRANITE),
    (0.27, MUDSTONE),
    (0.42, SANDSTONE),
    (0.58, MUDSTONE),
    (0.76, SANDSTONE),
    (0.92, GRANITE),
)
"""Where each band begins, as a share of the area from north to south, and its rock."""

_FAULTS = 5


@dataclass
class Geology:
    """Rocks and faults.

    Attributes:
        strata: position in the pile of bands, see `_BANDS`, (n, n).
        faults: pixel coordinates (column, row) of each fault line, (points, 2).
        fault_distance: metres to the nearest fault, (n, n).
    """

    strata: Field
    faults: list[Floats]
    fault_distance: Field

    @property
    def lithology(self) -> NDArray[np.int64]:
        """The rock's number, an index of `LITHOLOGIES`, (n, n)."""
        starts, rocks = np.array(_BANDS).T
        band = np.searchsorted(starts, self.strata, side="right") - 1
        lithology: NDArray[np.int64] = rocks.astype(np.int64)[band]
        return lithology

    @property
    def weakness(self) -> Field:
        """How easily the ground is eroded, about 1: weak rock, and crushed rock along faults."""
        rock = gaussian_filter(_WEAKNESS[self.lithology], 6, mode="nearest")
        weakness: Field = rock * (1 + 0.6 * np.exp(-self.fault_distance / 90))
        return weakness


def build_geology(n: int, rng: np.random.Generator) -> Geology:
    """Return the geology of an area of (n, n) pixels."""
    rows, columns = np.mgrid[:n, :n].astype(np.float32) / n
    dip = 0.3 * (columns - 0.5)
    strata = rows + dip + 0.1 * fractal((n, n), rng, n / 2, 5.0)
    faults = [_fault(n, number, rng) for number in range(_FAULTS)]
    return Geology(strata, faults, distance_to(np.concatenate(faults), n))


def geology_layer(strata: Field, grid: Grid) -> gpd.GeoDataFrame:
    """Return polygons with the field `lithology` that cover a grid."""
    # A pixel more on each side, so that the outlines, drawn through pixel centres, reach the rim.
    padded = np.pad(strata.astype(np.float64), 1, mode="edge")
    at = np.arange(len(padded)) - 1.0
    contours = contour_generator(at, at, padded, fill_type=FillType.OuterOffset)
    ends = [*(start for start, _ in _BANDS[1:]), 9.0]
    names, shapes = [], []
    frame = shapely.box(*grid.bounds)
    for (start, rock), end in zip(_BANDS, ends, strict=True):
        for points, offsets in zip(*contours.filled(start, end), strict=True):
            rings = [to_map(points[low:high] + 0.5, grid) for low, high in pairwise(offsets)]
            shape = shapely.make_valid(shapely.Polygon(rings[0], rings[1:])).intersection(frame)
            parts = [part for part in shapely.get_parts(shape) if part.area > 0]
            shapes += parts
            names += [LITHOLOGIES[rock]] * len(parts)
    return gpd.GeoDataFrame({"lithology": names}, geometry=shapes, crs=grid.crs)


def faults_layer(faults: list[Floats], grid: Grid) -> gpd.GeoDataFrame:
    """Return the fault lines within a grid, with the field `id`."""
    lines = [shapely.LineString(to_map(points + 0.5, grid)) for points in faults]
    inside = shapely.get_parts(shapely.intersection(lines, shapely.box(*grid.bounds)))
    inside = inside[shapely.length(inside) > 0]
    return gpd.GeoDataFrame({"id": np.arange(1, len(inside) + 1)}, geometry=inside, crs=grid.crs)


def to_map(points: Floats, grid: Grid) -> Floats:
    """Return map coordinates (x, y) of pixel coordinates (column, row), (points, 2)."""
    transform = grid.transform
    return points * (transform.a, transform.e) + (transform.c, transform.f)


def _fault(n: int, number: int, rng: np.random.Generator) -> Floats:
    """Return a long, slightly bent line; every other one runs along the bands."""
    along_bands = number % 2 == 0
    direction = np.radians(rng.uniform(-30, -5) if along_bands else rng.uniform(35, 65))
    middle = n * np.array([(number + 0.5) / _FAULTS, rng.uniform(0.15, 0.85)])
    length = n * rng.uniform(0.5, 1.0)
    position = np.arange(-length / 2, length / 2, 0.5)
    bend = gaussian_filter1d(rng.standard_normal(position.size), n / 12, mode="nearest")
    bend *= n / 130 / max(float(bend.std()), 1e-9)
    ahead = np.array([np.cos(direction), np.sin(direction)])
    aside = np.array([-ahead[1], ahead[0]])
    points: Floats = middle + position[:, None] * ahead + bend[:, None] * aside
    return points[::4]
