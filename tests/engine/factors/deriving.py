"""Derives terrain factors of arrays and of files."""

import numpy as np
import rasterio
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors import terrain, terrain_blocks
from landslide_mapper.landslide_plugin.factors.terrain_blocks import Block
from landslide_mapper.landslide_plugin.factors.terrainfactors_command import terrainfactors
from landslide_mapper.landslide_plugin.raster.grid import Grid
from rasterio.transform import from_origin

ALL = list(terrain.FACTORS)


def derive(heights, names, dx=10.0, dy=10.0, valid=None):
    """Return name to factor of an array of elevations, nothing beyond its edges."""
    heights = np.asarray(heights, np.float32)
    there = np.ones(heights.shape, bool) if valid is None else valid
    block = Block(
        np.pad(np.where(there, heights, 0), 1),
        np.pad(there, 1),
        Grid(None, from_origin(0, 0, dx, dy), *heights.shape[::-1]),
        np.full(heights.shape, np.sqrt(dx * dy), np.float32),
    )
    values = terrain_blocks.derive(block, names)
    return dict(zip(names, values, strict=True))


def coordinates(size, pixel):
    """Return x towards east and y towards north of the pixels, 0 in the middle."""
    axis = (np.arange(size) - size // 2) * pixel
    return np.meshgrid(axis, -axis)


def apart(one, other):
    """Return the angle between directions, degrees."""
    return np.abs((one - other + 180) % 360 - 180)


def run(path, output, factors=ALL, smoothing=0.0):
    terrainfactors(
        input=str(path),
        output=str(output),
        factors=factors,
        smoothing=smoothing,
        progress=Progress(),
    )
    return read(output)


def read(path):
    with rasterio.open(path) as dataset:
        return {
            name: dataset.read(index, masked=True)
            for index, name in enumerate(dataset.descriptions, start=1)
        }
