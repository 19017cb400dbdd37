"""Terrain within a radius: what landslide forms ask for at the size of the landslide.

Position and relief are of the pixels whose centres lie within the radius. Openness looks along the
eight directions of the grid. Curvatures are those of `terrain` on a DEM that a Gaussian of half the
radius has smoothed, which leaves the curvature of any paraboloid as it is.
"""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from ..contract.errors import InputError
from ..core.memory import require_memory
from ..core.progress import Progress
from ..raster.grid import Grid
from ..raster.source import Source
from ..raster.writer import NODATA
from .chunks import by_threads
from .flow import NEIGHBOURS
from .neighbourhood import Floats
from .smoothing import tiles
from .terrain_blocks import Block, block_rows, derive, read_heights

CURVATURES = ("curvature", "plan_curvature", "profile_curvature")
FACTORS = ("tpi", "relief", "openness", *CURVATURES)
"""What is derived at each radius."""

_NAME = re.compile(rf"(?:{'|'.join(FACTORS)})_(\d+(?:\.\d+)?(?:e[+-]\d+)?)m")
_BYTES_PER_PIXEL = 120
_ALIKE = 1e-3
"""Relative difference of a pixel's size from that of its tile, see `smoothing.tiles`."""
_ROWS_A_CHUNK = 50
"""Of a radius: larger ones get smaller chunks, so that threads end within a cancel's seconds."""
_ON_THE_CIRCLE = 1 + 1e-6
"""Of the radius: what lies on the circle counts, whatever the rounding."""


def band_names(radii: Sequence[float]) -> list[str]:
    """Return the bands of some radii, such as tpi_100m."""
    return [f"{factor}_{radius:g}m" for radius in radii for factor in FACTORS]


def radius_of(band: str) -> float | None:
    """Return the radius that a band is derived within, as `band_names` names it; None of others."""
    match = _NAME.fullmatch(band)
    radius = float(match[1]) if match else 0.0
    return radius if radius > 0 and band in band_names([radius]) else None


def check_radii(radii: Sequence[float], grid: Grid, bands: int, progress: Progress) -> None:
    """Refuse radii that the DEM can't answer.

    Args:
        radii: metres.
        grid: the DEM's.
        bands: of the result.
        progress: told of the memory where there are radii.

    Raises:
        InputError: a radius below a pixel's size or beyond the DEM's, or too little memory.
    """
    if not radii:
        return
    extent = max(grid.shape) * grid.resolution
    for radius in radii:
        if not grid.resolution <= radius <= extent:
            raise InputError(
                f"The radius of {radius:g} m does not fit the DEM, whose pixels have "
                f"{grid.resolution:.3g} m and which is {extent:.0f} m wide: give one between, "
                "or another DEM."
            )
    rows = block_rows(grid, bands) + 2 * _reach(grid, max(radii))[0]
    require_memory(
        _BYTES_PER_PIXEL * min(rows, 2 * grid.height) * grid.width,
        f"The terrain factors within {max(radii):g} m",
        "give smaller radii or make the DEM's cells larger",
        progress,
    )


def derive_within(
    dem: Source, window: Window, radius: float, smoothing: float, to_metres: float
) -> Floats:
    """Derive the factors of one radius in some rows of a DEM.

    Args:
        dem: the DEM; its first band counts.
        window: full-width rows.
        radius: metres.
        smoothing: sigma in metres of a Gaussian applied to it first; 0 = none.
        to_metres: what the DEM's heights are multiplied by.

    Returns:
        float32 (factors, rows, columns) in the order of `FACTORS`; nodata where not valid.
    """
    top, bottom = int(window.row_off), int(window.row_off + window.height)
    down, across = _reach(dem.grid, radius)
    heights, valid = read_heights(dem, top - down, bottom + down, smoothing, to_metres)
    sides = ((0, 0), (across - 1, across - 1))  # one column is there
    heights, valid = np.pad(heights, sides), np.pad(valid, sides)
    shape = bottom - top, dem.grid.width
    result = np.empty((len(FACTORS), *shape), np.float32)
    for part, size in tiles(shape, dem.grid, top):
        rows, columns = part
        around = (
            slice(rows.start, rows.stop + 2 * down),
            slice(columns.start, columns.stop + 2 * across),
        )
        ground = _Ground(heights[around], valid[around], (down, across), size, radius)
        ground.derive(result[:3, rows, columns])
    wide = math.hypot(smoothing, radius / 2)
    smooth, inside = read_heights(dem, top - 1, bottom + 1, wide, to_metres)
    result[3:] = derive(Block(smooth, inside, dem.grid.part(window)), CURVATURES)
    np.copyto(result, np.float32(NODATA["float32"]), where=~inside[1:-1, 1:-1])
    return result


class _Ground:
    """Part of a DEM and what is around it, in which pixels are alike.

    Args:
        heights: metres, 0 where not valid, with a margin on each side.
        valid: same shape.
        margin: rows and columns of it.
        size: height and width of the pixels, metres.
        radius: metres.
    """

    def __init__(
        self,
        heights: Floats,
        valid: NDArray[np.bool_],
        margin: tuple[int, int],
        size: tuple[float, float],
        radius: float,
    ) -> None:
        self._heights, self._margin, self._size, self._radius = heights, margin, size, radius
        self._above = np.where(valid, heights, -np.inf)
        self._below = np.where(valid, heights, np.inf)
        self._sums = _running(heights, np.float64)
        self._counts = _running(valid, np.int32)

    def derive(self, values: Floats) -> None:
        """Fill position, relief and openness, (3, rows, columns), by threads."""

        def derive_rows(rows: slice) -> None:
            values[0, rows], values[1, rows] = self._position_and_relief(rows)
            values[2, rows] = self._openness(rows)

        rows, columns = values.shape[1:]
        by_threads(derive_rows, rows, columns * math.ceil(self._margin[0] / _ROWS_A_CHUNK))

    def _position_and_relief(self, rows: slice) -> tuple[Floats, Floats]:
        """Return a pixel's height above the mean of the others, and the highest less the lowest."""
        centre = self._moved(self._heights, rows)
        total, count = np.zeros(centre.shape), np.zeros(centre.shape)
        highest, lowest = centre.copy(), centre.copy()
        inner = slice(self._margin[1], self._margin[1] + centre.shape[1])
        for down, across in self._disc():
            for line, whole in ((self._sums, total), (self._counts, count)):
                right = self._moved(line, rows, down, across + 1)
                whole += right - self._moved(line, rows, down, -across)
            lines, width = self._lines(rows, down), 2 * across + 1
            np.maximum(highest, maximum_filter1d(self._above[lines], width)[:, inner], out=highest)
            np.minimum(lowest, minimum_filter1d(self._below[lines], width)[:, inner], out=lowest)
        mean = (total - centre) / np.maximum(count - 1, 1)
        position = np.where(count > 1, centre - mean, 0).astype(np.float32)
        return position, highest - lowest

    def _openness(self, rows: slice) -> Floats:
        """Return the positive openness in degrees (Yokoyama et al. 2002, equation 4).

        The mean, over eight directions, of the angle from the zenith to the highest the ground
        rises within the radius. Directions in which nothing is known are left out.
        """
        centre = self._moved(self._heights, rows)
        angles, count = np.zeros(centre.shape), np.zeros(centre.shape)
        for row, column in NEIGHBOURS[1:]:
            step = math.hypot(row * self._size[0], column * self._size[1])
            steepest = np.full(centre.shape, -np.inf)
            for number in range(1, math.floor(self._radius * _ON_THE_CIRCLE / step) + 1):
                rise = self._moved(self._above, rows, number * row, number * column) - centre
                np.maximum(steepest, rise / (number * step), out=steepest)
            seen = steepest > -np.inf
            angles += np.where(seen, 90 - np.degrees(np.arctan(steepest)), 0)
            count += seen
        return np.where(count > 0, angles / np.maximum(count, 1), 90).astype(np.float32)

    def _moved(
        self, values: NDArray[Any], rows: slice, down: int = 0, across: int = 0
    ) -> NDArray[Any]:
        """Return what lies some rows below and columns to the right of the pixels of some rows."""
        left = self._margin[1] + across
        width = self._heights.shape[1] - 2 * self._margin[1]
        return values[self._lines(rows, down), left : left + width]

    def _lines(self, rows: slice, down: int) -> slice:
        """Return the rows, margin counted, that lie some rows below."""
        top = self._margin[0] + down
        return slice(top + rows.start, top + rows.stop)

    def _disc(self) -> Iterator[tuple[int, int]]:
        """Yield each row of the pixels within the radius, and its pixels to each side."""
        height, width = self._size
        radius = self._radius * _ON_THE_CIRCLE
        last = math.floor(radius / height)
        for down in range(-last, last + 1):
            yield down, math.floor(math.sqrt(radius**2 - (down * height) ** 2) / width)


def _running(values: NDArray[Any], kind: type[np.number[Any]]) -> NDArray[Any]:
    """Return the sums of a row's values up to each column, and 0 before the first."""
    sums = np.zeros((values.shape[0], values.shape[1] + 1), kind)
    np.cumsum(values, axis=1, dtype=kind, out=sums[:, 1:])
    return sums


def _reach(grid: Grid, radius: float) -> tuple[int, int]:
    """Return how many rows and columns a radius has at most, and one more."""
    sizes = grid.pixel_metres(columns=np.linspace(0, grid.width - 1, 9))
    width, height = (float(size.min()) for size in sizes)
    down, across = (math.floor(radius * (1 + 2 * _ALIKE) / size) + 1 for size in (height, width))
    return down, across
