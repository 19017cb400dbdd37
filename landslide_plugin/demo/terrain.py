"""Synthetic terrain: mountains carved by their own rivers, with a main valley and its plain.

Uplift against stream power (Braun & Willett 2013, Geomorphology 180-181:170), solved implicitly
from the outlet upstream, on grids of 80, 40, 20 and 10 m, with slopes held below an angle of
repose (threshold hillslopes) and a little creep (linear diffusion).
"""

from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, gaussian_filter1d, zoom

from ..factors.streams import NEIGHBOURS, fill_depressions, flow_directions
from ..progress import Progress
from ..raster import Grid
from .noise import Field, fractal, ramp

CELL = 10.0
"""Pixel size in metres."""

COARSEST = 8
"""The first grid has cells this many times as long."""

_STEPS = {8: 140, 4: 45, 2: 16, 1: 5}
"""Grid coarseness to the number of steps on it."""

_YEARS = {8: 25e3, 4: 15e3, 2: 8e3, 1: 5e3}
"""Grid coarseness to the length of a step."""

_UPLIFT = 1e-3  # metres a year
_ERODIBILITY = 1.7e-5  # per year, for areas in m2 to the power below
_AREA_POWER = 0.45
_CREEP = 0.012  # m2 a year
_WALL = 1e5


@dataclass
class Valley:
    """The main valley, which crosses the area from west to east.

    Attributes:
        rows: the row of the river at each column, (columns,).
        floor: elevation of the rock floor at each column, falling eastwards, (columns,).
    """

    rows: NDArray[np.float64]
    floor: NDArray[np.float64]


@dataclass
class Terrain:
    """What the land looks like before its landslides.

    Attributes:
        elevation: metres, float64, (n, n).
        drained: km2 drained by each pixel, (n, n).
        plain: 1 on the valley's plain, 0 on the slopes, between at its rim, (n, n).
        river: metres to the middle of the main river, (n, n).
    """

    elevation: NDArray[np.float64]
    drained: NDArray[np.float64]
    plain: Field
    river: Field


def build_terrain(
    weakness: Field, uplift: Field, rng: np.random.Generator, progress: Progress
) -> Terrain:
    """Let rivers carve a mountain area.

    Args:
        weakness: how easily the rock is eroded, about 1, (n, n), n a multiple of `COARSEST`.
        uplift: relative speed of uplift, about 1, (n, n).
        rng: the source of randomness.
        progress: updated every step.
    """
    n = len(weakness)
    valley = _valley(n, rng)
    height = np.zeros((n // COARSEST, n // COARSEST))
    work = {factor: steps * (n / factor) ** 2 for factor, steps in _STEPS.items()}
    done = 0.0
    for factor, steps in _STEPS.items():
        if factor != COARSEST:
            height = zoom(height, 2, order=3, mode="nearest", grid_mode=True)
        cells = height.shape
        height += fractal(cells, rng, 400 / factor, 2.6) * (20 if factor == COARSEST else 0.15 * factor)
        outlet, floor = _outlet(valley, factor)
        land = _Land(
            height,
            outlet,
            floor,
            _coarser(weakness, factor),
            _coarser(uplift, factor),
            CELL * factor,
        )
        for step in range(steps):
            land.age(_YEARS[factor])
            progress.update((done + work[factor] * (step + 1) / steps) / sum(work.values()))
        done += work[factor]
        height = land.height
    return _with_plain(height, valley, rng)
