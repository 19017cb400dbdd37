"""The specific catchment area of a DEM, for the topographic wetness index.

Depressions are filled as for streams. From there water runs to all lower neighbours, to each by its
drop and weight, and so spreads on slopes as on the ground, where a single path would keep to eight
directions (Quinn et al. 1991, Hydrol. Process. 5:59). On square pixels the weights are theirs, 1 to
the side and 1/2 across the corner (contour lengths of .5 and .354 pixels, over the ways). On others
they are the ones by which water of any plane runs, in the mean, exactly down its slope.

The specific catchment area is what flows through a metre of contour: the drained area, times how
far water gets in a step, over the pixel's area. On any plane that is the distance to the divide.
"""

import numpy as np
from numpy.typing import NDArray

from ..contract.errors import InputError
from ..core.memory import require_memory
from ..core.progress import Progress
from ..raster.grid import Grid
from ..raster.source import Source
from ..raster.surface import Pixels
from . import streams
from .flow import NEIGHBOURS
from .neighbourhood import Floats
from .terrain_blocks import read_heights

_BLOCK_ROWS = 1024
_FLOW_ROWS = 64


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
        m2 a metre of contour, float32, (rows, columns); at least a pixel's width, the root of its
        area.

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
    portions, way = flow_portions(filled, grid)
    del filled
    progress.update(0.6)
    drained = streams.accumulated(portions, valid, grid)
    del portions
    catchment = np.empty(grid.shape, np.float32)
    for window in grid.row_blocks(_BLOCK_ROWS):
        rows, _ = window.toslices()
        area = grid.part(window).pixel_areas(columns=np.arange(grid.width))
        through = drained[rows] * 1e6 * way[rows] / area
        catchment[rows] = np.maximum(through, np.sqrt(area))  # nodata drains nothing
    progress.update(1.0)
    return catchment


def flow_portions(
    filled: NDArray[np.float64], grid: Grid
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return where the water of each cell goes.

    Args:
        filled: elevation without depressions, (rows, columns), NaN where there is no data.
        grid: its grid.

    Returns:
        The portions, see `streams.no_portions`, and how far water gets in a step, metres, (rows,
        columns): the length of the mean of its ways, as on a ridge they go apart; a pixel's width
        where nothing flows on.
    """
    rows, columns = filled.shape
    portions, way = streams.no_portions(filled.shape), np.empty(filled.shape, np.float32)
    for start in range(0, rows, _FLOW_ROWS):
        stop = min(start + _FLOW_ROWS, rows)
        around = np.full((stop - start + 2, columns + 2), np.nan)
        top, bottom = max(start - 1, 0), min(stop + 1, rows)
        around[top - start + 1 : bottom - start + 1, 1:-1] = filled[top:bottom]
        pixels = grid.pixels(np.arange(start, stop), np.arange(columns))
        shares = portions[start + 1 : stop + 1, 1:-1]
        total = np.zeros((stop - start, columns))
        weights = _weights(pixels)
        for number, (row, column) in enumerate(NEIGHBOURS[1:], start=1):
            neighbour = around[1 + row :, 1 + column :][: stop - start, :columns]
            portion = weights[row, column] * np.fmax(filled[start:stop] - neighbour, 0)
            shares[..., number] = portion
            total += portion
        flows = total > 0
        shares[flows, 0] = 0
        total[~flows] = 1
        shares[..., 1:] /= total[..., np.newaxis]
        way[start:stop] = np.where(flows, _way(shares, pixels), np.sqrt(pixels.area))
    return portions, way


def _weights(pixels: Pixels) -> dict[tuple[int, int], NDArray[np.float64]]:
    """Return how much a drop to each neighbour counts, by its step in rows and columns.

    The sum of weight times step times its transpose, over the four lines through a pixel, is the
    unit matrix, but for a factor: so the mean of the ways on a plane has the plane's direction.
    """
    across, down = pixels.width**2, pixels.height**2
    leaning = pixels.width * pixels.height * pixels.cosine
    corners = np.maximum(across * down * (1 - pixels.cosine**2) / (across + down), abs(leaning))
    sides, ends = np.maximum(down - corners, 0), np.maximum(across - corners, 0)
    rising, falling = (corners - leaning) / 2, (corners + leaning) / 2
    one_way = {(0, 1): sides, (1, 0): ends, (1, 1): falling, (1, -1): rising}
    return one_way | {(-row, -column): weight for (row, column), weight in one_way.items()}


def _way(shares: NDArray[np.float32], pixels: Pixels) -> NDArray[np.float64]:
    """Return the length of the mean of the ways to the neighbours, in metres."""
    steps = shares[..., 1:] @ np.array(NEIGHBOURS[1:], np.float32)
    down, across = steps[..., 0] * pixels.height, steps[..., 1] * pixels.width
    squares: NDArray[np.float64] = across**2 + down**2 - 2 * across * down * pixels.cosine
    return np.sqrt(np.maximum(squares, 0))
