"""The synthetic area as a whole: from a seed to image, terrain and layers."""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from scipy.ndimage import distance_transform_edt

from ..core.progress import Progress
from ..factors import streams
from ..raster import Grid
from .geology import Geology, build_geology, faults_layer, geology_layer
from .landcover import Land, draw_image
from .landslides import Slides, build_slides, susceptibility
from .noise import Field, fractal
from .terrain import CELL, COARSEST, Floats, Terrain, build_terrain

LEFT, TOP = 600000.0, 5100000.0
"""The upper left corner in EPSG:32632: a place that the area has nothing to do with."""

STREAM_KM2 = 0.5
"""A stream of the rivers layer begins where this area is drained."""


@dataclass(kw_only=True)
class DemoArea:
    """A synthetic area.

    Attributes:
        grid: the grid of both rasters.
        image: reflectance times 10000, see `landcover.BANDS`, uint16, (7, n, n).
        dem: metres, float32, (n, n).
        rivers: lines, see `streams.stream_network`.
        faults: lines with the field `id`.
        geology: polygons with the field `lithology`.
        landslides: polygons with the fields `id` and `area_m2`.
    """

    grid: Grid
    image: NDArray[np.uint16]
    dem: Field
    rivers: gpd.GeoDataFrame
    faults: gpd.GeoDataFrame
    geology: gpd.GeoDataFrame
    landslides: gpd.GeoDataFrame


def build_area(size: int, seed: int, progress: Progress) -> DemoArea:
    """Generate an area of `size` x `size` pixels of 10 m; the same seed gives the same area."""
    land_rng, slide_rng, image_rng = np.random.default_rng(seed).spawn(3)
    margin = size // 16  # cut off at the end: rivers then cross the rim, as on any map
    n = -(-(size + 2 * margin) // COARSEST) * COARSEST
    geology = build_geology(n, land_rng)
    weakness = geology.weakness * np.exp(0.35 * fractal((n, n), land_rng, 40, 2.2))
    terrain = build_terrain(weakness, _uplift(n, land_rng), land_rng, progress.part(0, 0.5))
    _crop(terrain, geology, margin, size)
    grid = Grid(CRS.from_epsg(32632), Affine(CELL, 0, LEFT, 0, -CELL, TOP), size, size)
    drained = _drained(terrain.elevation, grid)
    progress.update(0.55)
    slides = _slides(terrain, geology, drained, grid, slide_rng, progress.part(0.55, 0.7))
    elevation = terrain.elevation + slides.lift
    dem = (elevation + 0.12 * fractal(grid.shape, image_rng, 4, 1.0)).astype(np.float32)
    land = Land(
        elevation=elevation,
        plain=terrain.plain,
        river=terrain.river,
        drained=drained,
        lithology=geology.lithology,
    )
    image = draw_image(land, slides, image_rng, progress.part(0.7, 0.9))
    valid = np.ones(grid.shape, bool)
    rivers = streams.stream_network(dem, valid, grid, STREAM_KM2, progress.part(0.9, 1))
    progress.update(1)
    return DemoArea(
        grid=grid,
        image=image,
        dem=dem,
        rivers=rivers,
        faults=faults_layer(geology.faults, grid),
        geology=geology_layer(geology.strata, grid),
        landslides=slides.layer,
    )


def _uplift(n: int, rng: np.random.Generator) -> Field:
    """Return the relative speed of uplift: mountains in the north, hills in the south."""
    south = np.linspace(0, 1, n, dtype=np.float32)[:, np.newaxis]
    return np.clip(0.75 + 1.4 * (0.66 - south) + 0.25 * fractal((n, n), rng, 300, 3.5), 0.4, 2)


def _crop(terrain: Terrain, geology: Geology, margin: int, size: int) -> None:
    """Cut the margin off."""
    inner = slice(margin, margin + size), slice(margin, margin + size)
    for part, names in (
        (terrain, ("elevation", "plain", "river")),
        (geology, ("strata", "fault_distance")),
    ):
        for name in names:
            setattr(part, name, np.ascontiguousarray(getattr(part, name)[inner]))
    geology.faults = [points - margin for points in geology.faults]


def _drained(elevation: Floats, grid: Grid) -> Floats:
    """Return the km2 that each pixel drains."""
    valid = np.ones(grid.shape, bool)
    filled = streams.fill_depressions(elevation.astype(np.float32), valid)
    return streams.drained_area(streams.flow_directions(filled, grid), valid, grid)


def _slides(
    terrain: Terrain,
    geology: Geology,
    drained: Floats,
    grid: Grid,
    rng: np.random.Generator,
    progress: Progress,
) -> Slides:
    falls = np.gradient(terrain.elevation, CELL)
    slope = np.degrees(np.arctan(np.hypot(*falls))).astype(np.float32)
    river = CELL * distance_transform_edt(drained < STREAM_KM2)
    chance = susceptibility(
        slope, geology.lithology, river.astype(np.float32), geology.fault_distance, rng
    )
    return build_slides(terrain.elevation, drained, chance, grid, rng, progress)
