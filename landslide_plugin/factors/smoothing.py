"""Gaussian smoothing of a DEM in metres that knows holes and edges."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from ..raster.grid import Grid

_TRUNCATE = 4
_BAND_ROWS = 64


def halo_rows(grid: Grid, sigma: float) -> int:
    """Return how many rows a Gaussian of `sigma` metres reaches up and down."""
    _, dy = grid.pixel_metres()
    return math.ceil(_TRUNCATE * sigma / dy.min())


def smooth(
    values: NDArray[np.float32], valid: NDArray[np.bool_], grid: Grid, top: int, sigma: float
) -> NDArray[np.float32]:
    """Smooth by a Gaussian cut at 4 sigma, over the valid pixels alone.

    Normalised convolution (Knutsson & Westin 1993): the weights of pixels that are not there go to
    those that are, so neither holes nor edges bleed in.

    Args:
        values: (rows, columns), 0 where not valid; it holds a halo where the result shall count.
        valid: same shape.
        grid: tells the pixel's metres.
        top: the grid's row of the first row; it may lie outside the grid.
        sigma: in metres, above 0.

    Returns:
        Same shape, 0 where not valid.
    """
    weights = _convolve(valid.astype(np.float64), grid, top, sigma)
    sums = _convolve(values.astype(np.float64), grid, top, sigma)
    result = np.zeros_like(values)
    np.divide(sums, weights, out=result, where=valid, casting="same_kind")
    return result


def _convolve(
    values: NDArray[np.float64], grid: Grid, top: int, sigma: float
) -> NDArray[np.float64]:
    """Convolve down, then across; pixels outside count 0.

    Across, the width of a pixel changes with the row on a geographic CRS: one kernel serves the
    rows of a band that lies fast in the grid, so that the result does not depend on the blocks.
    """
    _, dy = grid.pixel_metres(np.array([grid.height / 2]))
    down = correlate1d(values, _kernel(sigma / dy[0]), axis=0, mode="constant")
    result = np.empty_like(down)
    rows = np.arange(top, top + len(values))
    bands = rows // _BAND_ROWS if grid.is_geographic else np.zeros_like(rows)
    for band in np.unique(bands):
        inside = bands == band
        dx, _ = grid.pixel_metres(np.array([(band + 0.5) * _BAND_ROWS]))
        result[inside] = correlate1d(down[inside], _kernel(sigma / dx[0]), axis=1, mode="constant")
    return result


def _kernel(sigma: float) -> NDArray[np.float64]:
    """Return a Gaussian of `sigma` pixels whose weights sum to 1."""
    radius = math.ceil(_TRUNCATE * sigma)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return weights / weights.sum()
