"""Terrain factors of a whole DEM, by blocks of rows, all factors in one pass.

Threads derive a block while the one before it is being written and the one after it is read. GDAL
is left to the caller's thread, which so can be interrupted between blocks.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..core.system import cores
from ..raster.grid import Grid
from ..raster.source import Source
from ..raster.surface import Pixels
from ..raster.writer import NODATA
from .chunks import by_threads, chunks
from .neighbourhood import NOTHING, Floats, Neighbourhood, mend
from .smoothing import halo_rows, smooth
from .terrain import FACTORS

Blocks = Iterator[tuple[Window, Floats, NDArray[np.bool_]]]

_BLOCK_MEGABYTES = 96


@dataclass(frozen=True, eq=False)
class Block:
    """Rows of a DEM with a margin of one pixel on each side.

    Attributes:
        heights: (rows + 2, columns + 2), metres.
        valid: same shape; the margin is False where it lies outside the DEM.
        grid: of the rows, without the margin.
        catchment: specific catchment area in metres, (rows, columns); only `twi` needs it.
    """

    heights: Floats
    valid: NDArray[np.bool_]
    grid: Grid
    catchment: Floats = field(default_factory=lambda: NOTHING)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, without the margin."""
        return self.heights.shape[0] - 2, self.heights.shape[1] - 2

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Validity without the margin, (rows, columns)."""
        return self.valid[1:-1, 1:-1]

    def part(self, rows: slice) -> "Block":
        """Return some of the rows with their margin, not copied."""
        around = slice(rows.start, rows.stop + 2)
        grid = self.grid.part(Window(0, rows.start, self.grid.width, rows.stop - rows.start))
        return Block(self.heights[around], self.valid[around], grid, self.catchment[rows])


def stream_factors(
    dem: Source,
    names: Sequence[str],
    smoothing: float = 0.0,
    catchment: Floats = NOTHING,
    to_metres: float = 1.0,
) -> Blocks:
    """Derive factors by blocks of rows, in one pass over the DEM.

    Args:
        dem: the DEM; its first band counts.
        names: keys of `FACTORS`.
        smoothing: sigma in metres of a Gaussian applied to the DEM first; 0 = none.
        catchment: see `wetness`, (rows, columns) of the DEM; only `twi` needs it.
        to_metres: what the DEM's heights are multiplied by.

    Yields:
        Windows from top to bottom, factors float32 (factors, rows, columns), nodata where not
        valid, and validity, bool, (rows, columns). The factors stand only until the next are
        asked for.
    """
    grid = dem.grid
    step = block_rows(grid, len(names))
    # Used in turn: fresh memory for each block would cost as much time as deriving it.
    buffers = cycle(np.empty((2, len(names) * step * grid.width), np.float32))
    pool = ThreadPoolExecutor(cores())
    begun: Callable[[], tuple[Window, Floats, NDArray[np.bool_]]] | None = None
    try:
        for window in grid.row_blocks(step):
            block = _read_block(dem, window, smoothing, catchment, to_metres)
            shape = (len(names), *block.shape)
            values = next(buffers)[: math.prod(shape)].reshape(shape)
            work = partial(_derive_rows, block, names, values)
            jobs = [pool.submit(work, rows) for rows in chunks(*block.shape)]
            if begun is not None:
                yield begun()
            begun = partial(_finish, window, values, block.inside, jobs)
        if begun is not None:
            yield begun()
    finally:
        pool.shutdown(cancel_futures=True)


def block_rows(grid: Grid, bands: int) -> int:
    """Return how many rows are derived at once for a result of some bands."""
    return min(grid.rows_within(_BLOCK_MEGABYTES, 2 * bands + 4), grid.height)


def derive(block: Block, names: Sequence[str]) -> Floats:
    """Derive factors of one block.

    Returns:
        (factors, rows, columns), nodata where not valid.
    """
    values = np.empty((len(names), *block.shape), np.float32)
    by_threads(partial(_derive_rows, block, names, values), *block.shape)
    return values


def read_heights(
    dem: Source, top: int, bottom: int, smoothing: float, to_metres: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Read the first band of a DEM as metres, smoothed, with a margin of one column on each side.

    Args:
        dem: the DEM.
        top: first row; it may lie outside, as may the last one.
        bottom: the row after the last one.
        smoothing: sigma in metres; 0 = none.
        to_metres: what the DEM's heights are multiplied by.

    Returns:
        Elevations, 0 where not valid, and validity, (bottom - top, columns + 2).
    """
    halo = halo_rows(dem.grid, smoothing)
    window = Window(-1, top - halo, dem.grid.width + 2, bottom - top + 2 * halo)
    values, mask = dem.read(window, dem.bands[:1])
    heights, valid = values[0], mask[0]
    if to_metres != 1:
        heights *= np.float32(to_metres)
    if smoothing > 0:
        heights = smooth(heights, valid, dem.grid, top - halo, smoothing)
    wanted = slice(halo, halo + bottom - top)
    return heights[wanted], valid[wanted]


def _read_block(
    dem: Source, window: Window, smoothing: float, catchment: Floats, to_metres: float
) -> Block:
    top, bottom = int(window.row_off), int(window.row_off + window.height)
    heights, valid = read_heights(dem, top - 1, bottom + 1, smoothing, to_metres)
    return Block(heights, valid, dem.grid.part(window), catchment[top:bottom])


def _finish(
    window: Window, values: Floats, valid: NDArray[np.bool_], jobs: Sequence[Future[None]]
) -> tuple[Window, Floats, NDArray[np.bool_]]:
    for job in jobs:
        job.result()
    return window, values, valid


def _derive_rows(whole: Block, names: Sequence[str], values: Floats, rows: slice) -> None:
    """Fill some rows of `values`, (factors, rows, columns)."""
    block, values = whole.part(rows), values[:, rows]
    pixels = block.grid.pixels(columns=np.arange(block.grid.width))
    pixels = pixels.each(lambda sizes: sizes.astype(np.float32))
    _derive_open(block, pixels, names, values)
    if not block.valid.all():
        _derive_rims(block, pixels, names, values)
        np.copyto(values, np.float32(NODATA["float32"]), where=~block.inside)


def _derive_open(block: Block, pixels: Pixels, names: Sequence[str], values: Floats) -> None:
    """Derive factors as if every pixel were there."""
    rows, columns = block.shape
    cells = [block.heights[y : y + rows, x : x + columns] for y in range(3) for x in range(3)]
    windows = Neighbourhood(cells, pixels, block.catchment)
    for band, name in zip(values, names, strict=True):
        band[...] = FACTORS[name](windows)


def _derive_rims(block: Block, pixels: Pixels, names: Sequence[str], values: Floats) -> None:
    """Derive factors again where a neighbour is missing, from mended windows."""
    valid = block.valid
    columns_whole = valid[:-2] & valid[1:-1] & valid[2:]
    whole = columns_whole[:, :-2] & columns_whole[:, 1:-1] & columns_whole[:, 2:]
    rows, columns = np.nonzero(block.inside & ~whole)
    if rows.size == 0:
        return
    at = [(rows + y, columns + x) for y in range(3) for x in range(3)]
    cells = mend([block.heights[cell] for cell in at], [valid[cell] for cell in at])
    catchment = block.catchment[rows, columns] if block.catchment.size else NOTHING
    theirs = pixels.each(lambda sizes: np.broadcast_to(sizes, block.shape)[rows, columns])
    windows = Neighbourhood(cells, theirs, catchment)
    for band, name in zip(values, names, strict=True):
        band[rows, columns] = FACTORS[name](windows)
