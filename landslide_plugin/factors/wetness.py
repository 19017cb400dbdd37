"""The specific catchment area of a DEM, for the topographic wetness index.

Flow is routed as for streams: depressions filled, then D8 in true metres. What drains through a
pixel, its own area included, is divided by the pixel's width (the root of its area).
"""

import numpy as np

from ..contract.errors import InputError
from ..core.memory import require_memory
from ..core.progress import Progress
from ..raster.source import Source
from . import streams
from .neighbourhood import Floats
from .terrain_blocks import read_heights

_BLOCK_ROWS = 1024


def specific_catchment(
    dem: Source, smoothing: float, to_metres: float, progress: Progress
) -> Floats:
    """Return the specific catchment area of a DEM's pixels, held in memory whole.

    Args:
        dem: the DEM; its first band counts.
        smoothing: sigma in metres of a Gaussian applied to it first; 0 = none.
        to_metres: what its heights are multiplied by.
        progress: updated between the steps.

    Returns:
        m2 a metre of contour, float32, (rows, columns); at least a pixel's width.

    Raises:
        InputError: the memory does not suffice, or the DEM has no valid pixel.
    """
    grid = dem.grid
    require_memory(
        streams.memory_needed(grid),
        f"The flow paths of {grid.width} x {grid.height} cells, which twi is derived from,",
        "leave out twi, clip the DEM or make its cells larger",
        progress,
    )
    elevation, valid = np.empty(grid.shape, np.float32), np.empty(grid.shape, bool)
    for window in grid.row_blocks(_BLOCK_ROWS):
        rows = slice(int(window.row_off), int(window.row_off + window.height))
        heights, inside = read_heights(dem, rows.start, rows.stop, smoothing, to_metres)
        elevation[rows], valid[rows] = heights[:, 1:-1], inside[:, 1:-1]
    if not valid.any():
        raise InputError(f"The DEM {dem.path} holds no valid pixel.")
    streams.tell_slowness(progress)
    progress.update(0.1)
    filled = streams.fill_depressions(elevation, valid)
    del elevation
    progress.update(0.4)
    directions = streams.flow_directions(filled, grid)
    del filled
    progress.update(0.6)
    drained = streams.drained_area(directions, valid, grid)
    catchment = np.empty(grid.shape, np.float32)
    for window in grid.row_blocks(_BLOCK_ROWS):
        rows, _ = window.toslices()
        width = np.sqrt(grid.part(window).pixel_areas(columns=np.arange(grid.width)))
        catchment[rows] = np.maximum(drained[rows] * 1e6 / width, width)  # nodata drains nothing
    progress.update(1.0)
    return catchment
