"""Synthetic terrain: mountains carved by their own rivers, and a main valley with its plain.

Uplift against stream power (Braun & Willett 2013, Geomorphology 180-181:170), solved implicitly
from the outlet upstream on grids of 80, 40, 20 and 10 m, with slopes held below an angle of
repose (threshold hillslopes) and a little creep (linear diffusion).
"""

from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from scipy.ndimage import (
    distance_transform_edt,
    gaussian_filter,
    gaussian_filter1d,
    map_coordinates,
)

from ..core.progress import Progress
from ..factors.flow import NEIGHBOURS
from ..factors.streams import fill_depressions, flow_directions
from ..raster import Grid
from .noise import Field, fractal, ramp

Floats = NDArray[np.float64]

CELL = 10.0
"""Pixel size in metres."""

COARSEST = 8
"""Cells of the first grid are this many times as long."""

_STAGES = ((8, 140, 25e3), (4, 40, 15e3), (2, 14, 8e3), (1, 5, 4e3))
"""Cell length in pixels, steps on that grid, years a step."""

_UPLIFT = 1e-3  # metres a year
_ERODIBILITY = 6.2e-5  # a year, for areas in m2 to the power below
_AREA_POWER = 0.4
_CREEP = 0.03  # m2 a year
_CHANNEL = 2e4  # m2 drained, where creep gives way to running water
_REPOSE = 0.95  # steepest descent, metres per metre
_WALL = 1e5  # metres, around the area: water leaves by the valley only
_FILL = 22.0  # metres of gravel in the valley


@dataclass
class Terrain:
    """The land before its landslides.

    Attributes:
        elevation: metres, (n, n).
        plain: 1 on the valley's plain, 0 on the slopes, (n, n).
        river: metres to the middle of the main river, (n, n).
    """

    elevation: Floats
    plain: Field
    river: Field


@dataclass
class _Flow:
    """Where water goes; cells are ordered from the outlets upstream.

    Attributes:
        order: flat indices of the cells.
        below: for each cell in that order, the position of the one that it drains to.
        run: metres between the two.
        levels: bounds of the stretches of `order` whose cells are equally many steps upstream.
    """

    order: NDArray[np.int64]
    below: NDArray[np.int64]
    run: Floats
    levels: NDArray[np.int64]


def build_terrain(
    weakness: Field, uplift: Field, rng: np.random.Generator, progress: Progress
) -> Terrain:
    """Let rivers carve a mountain area.

    Args:
        weakness: how easily the rock is eroded, about 1, (n, n), n a multiple of `COARSEST`.
        uplift: relative speed of uplift, about 1, same shape.
        rng: the source of randomness.
        progress: updated every step.
    """
    n = len(weakness)
    rows, floor, half_width = _valley(n, rng)
    from_axis = distance_to(_across(rows), n)
    work = np.cumsum([0, *(steps / factor**2 for factor, steps, _ in _STAGES)])
    height = np.zeros((n // COARSEST, n // COARSEST))
    for stage, (factor, steps, years) in enumerate(_STAGES):
        if factor != COARSEST:
            height = _finer(height, rng)
        relief = 25.0 if factor == COARSEST else 0.7 * factor
        height += relief * fractal(height.shape, rng, 500 / factor, 2.5)
        near = _coarser(from_axis - half_width, factor) < 0
        ground = np.broadcast_to(_coarser(np.broadcast_to(floor, (n, n)), factor), height.shape)
        speed = _UPLIFT * _coarser(uplift, factor)
        soft = _coarser(weakness, factor)
        for step in range(steps):
            height = np.where(near, ground, np.maximum(height, ground))
            height = _age(height, near, speed, soft, CELL * factor, years)
            done = work[stage] + (step + 1) / factor**2
            progress.update(done / work[-1])
    return _with_plain(height, rows, floor, rng)


def distance_to(points: Floats, n: int) -> Field:
    """Return metres to the nearest of closely spaced points on (n, n) pixels.

    Args:
        points: column and row of each, (points, 2); those outside count as far away.
        n: rows and columns.
    """
    columns, rows = points.round().astype(int).T
    inside = (columns >= 0) & (columns < n) & (rows >= 0) & (rows < n)
    away = np.ones((n, n), bool)
    away[rows[inside], columns[inside]] = False
    distance: Floats = distance_transform_edt(away)
    return (CELL * distance).astype(np.float32)


def _valley(n: int, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Return the row of the valley's middle, its floor and its half width, at each column."""
    across = fractal((n, n), rng, 700, 4.5)[0].astype(np.float64)
    rows = n * (0.66 + 0.05 * gaussian_filter1d(across, 60, mode="nearest"))
    floor = 210 - 0.0035 * CELL * np.arange(n, dtype=np.float64)
    wide = gaussian_filter1d(fractal((n, n), rng, 150, 3.0)[0].astype(np.float64), 12)
    return rows, floor, np.clip(260 + 130 * wide, 90, 550)


def _across(rows: Floats) -> Floats:
    """Return points on a line that crosses the area from west to east, given its rows."""
    columns = np.arange(0, len(rows) - 1, 0.1)
    return np.column_stack([columns, np.interp(columns, np.arange(len(rows)), rows)])


def _coarser(field: NDArray[np.floating], factor: int) -> Floats:
    """Return means of `factor` x `factor` pixels."""
    n = len(field) // factor
    means: Floats = field.reshape(n, factor, n, factor).mean(axis=(1, 3), dtype=np.float64)
    return means


def _finer(height: Floats, rng: np.random.Generator) -> Floats:
    """Return the land on cells of half the length.

    It is bent a little on the way: flow in eight directions makes valleys straight.
    """
    n = 2 * len(height)
    bend = [fractal((n, n), rng, 28, 4.5) for _ in range(2)]
    nodes = (np.mgrid[:n, :n] + 0.5) / 2 - 0.5 + np.stack(bend)
    finer: Floats = map_coordinates(height, nodes, order=3, mode="nearest")
    return finer


def _age(
    height: Floats,
    outlet: NDArray[np.bool_],
    uplift: Floats,
    weakness: Floats,
    cell: float,
    years: float,
) -> Floats:
    """Return the land some years later: lifted, cut by its rivers, smoothed by creep."""
    filled = _fill(height, outlet)
    flow = _route(filled, outlet, cell)
    area = _accumulate(flow, cell**2)
    lifted = (filled + np.where(outlet, 0, uplift * years)).ravel()[flow.order]
    weak = weakness.ravel()[flow.order]
    cut = years * _ERODIBILITY * weak * area**_AREA_POWER / flow.run
    highest = _REPOSE * flow.run / np.sqrt(weak)
    for start, stop in zip(flow.levels[1:-1], flow.levels[2:], strict=True):
        base = lifted[flow.below[start:stop]]
        part = cut[start:stop]
        lower = (lifted[start:stop] + part * base) / (1 + part)
        lifted[start:stop] = np.minimum(lower, base + highest[start:stop])
    ordered = np.stack([lifted, 1 / (1 + area / _CHANNEL)])
    result, slope_fraction = np.empty((2, *height.shape))
    result.ravel()[flow.order], slope_fraction.ravel()[flow.order] = ordered
    reach = np.sqrt(2 * _CREEP * years) / cell
    # Rivers carry away what creeps into them; were they smoothed too, they would be dammed.
    smoothed = gaussian_filter(result, reach, mode="nearest")
    aged: Floats = result + slope_fraction * (smoothed - result)
    return aged


def _fill(height: Floats, outlet: NDArray[np.bool_]) -> Floats:
    """Fill depressions, with a wall around the area that is open at the outlet only."""
    walled = np.pad(height, 1, constant_values=_WALL)
    filled = fill_depressions(walled, ~np.pad(outlet, 1, mode="edge"))
    filled += _WALL - filled[0, 0]  # elevations come back shifted; the wall is never filled
    return np.where(outlet, height, filled[1:-1, 1:-1])


def _route(filled: Floats, outlet: NDArray[np.bool_], cell: float) -> _Flow:
    """Order the cells from the outlets upstream."""
    rows, columns = filled.shape
    grid = Grid(None, Affine.scale(cell, -cell), columns, rows)
    direction = np.where(outlet, 0, flow_directions(filled, grid)).ravel()
    steps = np.array([row * columns + column for row, column in NEIGHBOURS])
    runs = cell * np.array([1.0, *(np.hypot(*step) for step in NEIGHBOURS[1:])])
    receiver = np.arange(filled.size) + steps[direction]
    upstream, jump = (direction > 0).astype(np.uint16), receiver
    while (further := upstream[jump]).any():  # each round doubles the way looked down
        upstream = upstream + further
        jump = jump[jump]
    order = np.argsort(upstream, kind="stable")
    position = np.empty_like(order)
    position[order] = np.arange(order.size)
    levels = np.concatenate([[0], np.cumsum(np.bincount(upstream))])
    return _Flow(order, position[receiver[order]], runs[direction[order]], levels)


def _accumulate(flow: _Flow, cell_area: float) -> Floats:
    """Return the area that each cell drains, in the flow's order."""
    area = np.full(flow.order.size, cell_area)
    bounds = flow.levels.tolist()
    for low, start, stop in reversed(list(zip(bounds, bounds[1:], bounds[2:], strict=False))):
        below = flow.below[start:stop] - low  # one level down, all of them
        area[low:start] += np.bincount(below, area[start:stop], start - low)
    return area


def _with_plain(height: Floats, rows: Floats, floor: Floats, rng: np.random.Generator) -> Terrain:
    """Fill the main valley with gravel and let a river wind over it."""
    n = len(height)
    bends = gaussian_filter1d(rng.standard_normal(n), 11, mode="nearest")
    river = distance_to(_across(rows + 9 * bends / bends.std()), n)
    rough = fractal((n, n), rng, 60, 2.6)
    plain_level = floor + _FILL + 0.006 * river + 0.35 * rough
    height = gaussian_filter(height, 0.8, mode="nearest")
    depth = plain_level - height
    softness = 3.0  # metres over which slope and plain blend
    elevation = height + softness * np.logaddexp(0, depth / softness)
    elevation += (0.6 * fractal((n, n), rng, 25, 2.2)) * ramp(depth, 0, -15)
    elevation -= 3.5 * ramp(river, 40, 10)
    return Terrain(elevation, ramp(depth, 0, 8), river)
