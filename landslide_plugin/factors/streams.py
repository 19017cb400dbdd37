"""Streams from a DEM: depressions filled, flow routed by D8, cells that drain enough as lines.

Filling and accumulation are richdem's (the package is its maintained fork, richdem2), and where it
has no wheel those of `flow`, which are alike and slower. The directions are our own: richdem's D8
takes the lowest neighbour, O'Callaghan and Mark's the steepest descent, which needs the pixels'
true size.
"""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from types import ModuleType

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes

from ..contract.errors import InputError
from ..core import memory
from ..core.progress import Progress
from ..raster import Grid
from ..raster.surface import surface_of
from . import flow
from .flow import NEIGHBOURS

BYTES_PER_CELL, BYTES_WITHOUT_RICHDEM = 65, 80
"""Peak memory per DEM cell, as measured, for streams as for wetness; the portions of flow alone are
nine float32."""

_NODATA = -9999.0
_BASE = 1000.0
_BLOCK_ROWS = 512


@dataclass(frozen=True)
class Link:
    """A stretch of stream between a source or junction and the next junction or outlet.

    Attributes:
        cells: flat indices of its cells, downstream; the last one is the junction or outlet.
        strahler: its Strahler order.
        drained_km2: area drained at its lower end, before the junction.
    """

    cells: list[int]
    strahler: int
    drained_km2: float


def stream_network(
    elevation: NDArray[np.float32],
    valid: NDArray[np.bool_],
    grid: Grid,
    min_area: float,
    progress: Progress,
) -> gpd.GeoDataFrame:
    """Derive the stream network of a DEM.

    Args:
        elevation: metres, (rows, columns).
        valid: same shape; False where there is no data.
        grid: its grid, with a CRS.
        min_area: a stream begins where this area is drained, km2.
        progress: updated between the steps.

    Returns:
        One line a link, through cell centres, downstream, with the fields `id`, `strahler`
        (order), `length_m` (geodesic) and `drained_km2`.

    Raises:
        InputError: no cell drains `min_area`, or none of those that do drains into another.
    """
    tell_slowness(progress)
    filled = fill_depressions(elevation, valid)
    progress.update(0.35)
    directions = flow_directions(filled, grid)
    del filled
    progress.update(0.5)
    drained = drained_area(directions, valid, grid)
    progress.update(0.8)
    largest = float(drained.max())
    if largest < min_area:
        raise InputError(
            f"No cell drains {min_area:g} km2, the largest area is {largest:.3g} km2: choose a "
            "smaller minimum area."
        )
    links = stream_links(directions, drained, min_area)
    if not links:
        raise InputError(
            f"The cells that drain {min_area:g} km2 lie alone, at the edge, and make no line: "
            "choose a smaller minimum area or a larger DEM."
        )
    progress.update(0.9)
    return _to_frame(links, grid)


def memory_needed(grid: Grid) -> int:
    """Return the bytes that the flow on a DEM of this size needs."""
    each = BYTES_WITHOUT_RICHDEM if _richdem() is None else BYTES_PER_CELL
    return each * grid.width * grid.height


def require_memory(grid: Grid, progress: Progress) -> None:
    """Say how much memory the whole DEM will need; refuse what can't fit.

    Raises:
        InputError: it can't; the message has both figures.
    """
    memory.require_memory(
        memory_needed(grid),
        f"The streams of {grid.width} x {grid.height} cells",
        "clip the DEM or make its cells larger",
        progress,
    )


def tell_slowness(progress: Progress) -> None:
    """Say that it will take longer where the package richdem2 is not there."""
    if _richdem() is None:
        progress.message(
            "The package richdem2 is not there or does not load: depressions are filled by Python, "
            "which takes about ten times as long."
        )


def fill_depressions(
    elevation: NDArray[np.floating], valid: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Fill depressions so that every cell has a lower way out (Barnes et al. 2014, epsilon).

    Water leaves at the DEM's edge and at nodata connected with it. Nodata enclosed by data is
    taken for a lake: it fills to its lowest rim and drains there.

    Args:
        elevation: (rows, columns).
        valid: same shape.

    Returns:
        (rows, columns), the lowest cell lifted to 1000; NaN where there is no data.
    """
    inside = valid if valid.all() else binary_fill_holes(valid)
    # A ring of nodata lets water leave over the edge cells; richdem routes nothing from them.
    padded = np.full((elevation.shape[0] + 2, elevation.shape[1] + 2), _NODATA)
    core = padded[1:-1, 1:-1]
    if valid.any():
        lowest = float(elevation[valid].min())
        # Nothing may equal nodata, and the epsilon steps, the smallest that float64 can make,
        # must not vanish: at 0 they would.
        core[inside] = _BASE
        np.subtract(elevation, lowest - _BASE, out=core, where=valid, dtype=np.float64)
    richdem = _richdem()
    if richdem is None:
        flow.fill_depressions(padded, _NODATA)
    else:
        dem = richdem.rdarray(padded, no_data=_NODATA)
        dem.geotransform = (0, 1, 0, 0, 0, -1)
        with _quiet():
            richdem.FillDepressions(dem, epsilon=True, in_place=True)
    core[~inside] = np.nan
    return core


def flow_directions(filled: NDArray[np.float64], grid: Grid) -> NDArray[np.int8]:
    """Return the D8 direction of steepest descent (O'Callaghan and Mark 1984).

    Args:
        filled: elevation without depressions, (rows, columns), NaN where there is no data.
        grid: its grid; distances between cells are true metres.

    Returns:
        int8, (rows, columns): an index of `NEIGHBOURS`; 0 at outlets and without data.
    """
    rows, columns = filled.shape
    directions = np.zeros(filled.shape, np.int8)
    for start in range(0, rows, _BLOCK_ROWS):
        stop = min(start + _BLOCK_ROWS, rows)
        around = np.full((stop - start + 2, columns + 2), np.nan)
        top, bottom = max(start - 1, 0), min(stop + 1, rows)
        around[top - start + 1 : bottom - start + 1, 1:-1] = filled[top:bottom]
        here, best = filled[start:stop], np.zeros((stop - start, columns))
        pixels = grid.pixels(np.arange(start, stop), np.arange(columns))
        for number, (row, column) in enumerate(NEIGHBOURS[1:], start=1):
            neighbour = around[1 + row :, 1 + column :][: stop - start, :columns]
            across, down = column * pixels.width, row * pixels.height
            run = np.sqrt(across**2 + down**2 - 2 * across * down * pixels.cosine)
            descent = (here - neighbour) / run
            steeper = descent > best  # False beside nodata
            best[steeper] = descent[steeper]
            directions[start:stop][steeper] = number
    return directions


def drained_area(
    directions: NDArray[np.int8], valid: NDArray[np.bool_], grid: Grid
) -> NDArray[np.float64]:
    """Accumulate the true cell areas along the flow.

    Args:
        directions: see `flow_directions`, (rows, columns).
        valid: same shape; cells without data have no area of their own.
        grid: their grid.

    Returns:
        km2 drained by each cell, itself included, (rows, columns).
    """
    portions = no_portions(directions.shape)
    inner = portions[1:-1, 1:-1]
    inner[directions > 0, 0] = 0
    for number in range(1, len(NEIGHBOURS)):
        inner[..., number] = directions == number
    return accumulated(portions, valid, grid)


def no_portions(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return what part of each cell's water goes to which of `NEIGHBOURS`: none so far.

    Returns:
        (rows + 2, columns + 2, 9), a ring of cells around those of (rows, columns). The first of
        the nine says to richdem whether anything flows: -1 if not, 0 if so.
    """
    portions = np.zeros((shape[0] + 2, shape[1] + 2, len(NEIGHBOURS)), np.float32)
    portions[..., 0] = -1
    return portions


def accumulated(
    portions: NDArray[np.float32], valid: NDArray[np.bool_], grid: Grid
) -> NDArray[np.float64]:
    """Accumulate the true cell areas.

    Args:
        portions: see `no_portions`.
        valid: (rows, columns); cells without data have no area of their own.
        grid: their grid.

    Returns:
        km2 drained by each cell, itself included, (rows, columns).
    """
    rows, columns = valid.shape
    area = np.zeros((rows + 2, columns + 2))
    for start in range(0, rows, _BLOCK_ROWS):
        part = slice(start, min(start + _BLOCK_ROWS, rows))
        areas = grid.pixel_areas(np.arange(rows)[part], np.arange(columns)) / 1e6
        area[1:-1, 1:-1][part] = areas * valid[part]
    richdem = _richdem()
    if richdem is None:
        flow.accumulate(portions, area)
        return area[1:-1, 1:-1]
    weights = richdem.rdarray(area, no_data=-1)
    shares = richdem.rd3array(portions, no_data=-2)
    weights.geotransform = shares.geotransform = (0, 1, 0, 0, 0, -1)
    with _quiet():
        richdem.FlowAccumFromProps(shares, weights=weights, in_place=True)
    return area[1:-1, 1:-1]


def stream_links(
    directions: NDArray[np.int8], drained: NDArray[np.float64], min_area: float
) -> list[Link]:
    """Cut the cells that drain enough into links, with their Strahler (1957) order.

    Args:
        directions: see `flow_directions`, (rows, columns).
        drained: km2, same shape.
        min_area: km2.

    Returns:
        The links, upstream ones first.
    """
    cells = np.flatnonzero(drained >= min_area)
    area = drained.ravel()[cells]
    steps = np.array([row * directions.shape[1] + column for row, column in NEIGHBOURS])
    direction = directions.ravel()[cells]
    below = np.where(direction > 0, np.searchsorted(cells, cells + steps[direction]), -1)
    inflows = np.bincount(below[below >= 0], minlength=cells.size)
    starts = np.flatnonzero(inflows != 1)
    starts = starts[np.argsort(area[starts], kind="stable")]  # upstream first
    highest, count = np.zeros(cells.size, int), np.zeros(cells.size, int)
    downstream = below.tolist()
    links = []
    for start in starts.tolist():
        path, cell = [start], downstream[start]
        while cell >= 0:
            path.append(cell)
            cell = downstream[cell] if inflows[cell] == 1 else -1
        if len(path) == 1:
            continue
        order = max(1, int(highest[start]) + int(count[start] > 1))
        end = path[-1]
        if order > highest[end]:
            highest[end], count[end] = order, 1
        elif order == highest[end]:
            count[end] += 1
        mouth = path[-2] if inflows[end] > 1 else end
        links.append(Link(cells[path].tolist(), order, float(area[mouth])))
    return links


def _to_frame(links: list[Link], grid: Grid) -> gpd.GeoDataFrame:
    flat = np.concatenate([np.array(link.cells) for link in links])
    rows, columns = np.divmod(flat, grid.width)
    x = grid.transform.c + grid.transform.a * (columns + 0.5)
    y = grid.transform.f + grid.transform.e * (rows + 0.5)
    part = np.repeat(np.arange(len(links)), [len(link.cells) for link in links])
    lines = shapely.linestrings(np.column_stack([x, y]), indices=part)
    frame = gpd.GeoDataFrame(geometry=lines, crs=grid.crs)
    frame.insert(0, "id", np.arange(1, len(links) + 1))
    frame.insert(1, "strahler", [link.strahler for link in links])
    surface = surface_of(grid.crs)
    lengths = [surface.length(*shapely.get_coordinates(line).T) for line in lines]
    frame.insert(2, "length_m", lengths)
    frame.insert(3, "drained_km2", [link.drained_km2 for link in links])
    return frame


def _richdem() -> ModuleType | None:
    """Return the package; None where there is none that loads."""
    try:
        return importlib.import_module("richdem")
    except ImportError:
        return None


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the progress bars that richdem writes to descriptor 2 from C++, and its prints."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        with redirect_stdout(StringIO()):
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
