"""Gaussian smoothing of a DEM in metres that knows holes and edges."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from ..raster.grid import Grid
from .chunks import by_threads

_TRUNCATE = 4
_SAME = 1e-3
"""Pixels whose size differs less, in relation, share a kernel."""
_BAND_COLUMNS = 256


def halo_rows(grid: Grid, sigma: float) -> int:
    """Return how many rows a Gaussian of `sigma` metres reaches up and down."""
    _, dy = grid.pixel_metres(columns=np.linspace(0, grid.width - 1, 9))
    lowest: float = dy.min()
    return math.ceil(_TRUNCATE * sigma * (1 + _SAME) / lowest)


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
    weights, sums = np.empty(values.shape), np.empty(values.shape)
    for part, sizes in tiles(values.shape, grid, top):
        kernels = [
            _kernel(sigma / size, length) for size, length in zip(sizes, values.shape, strict=True)
        ]
        weights[part] = _convolved(valid, kernels, part)
        sums[part] = _convolved(values, kernels, part)
    result = np.zeros_like(values)
    np.divide(sums, weights, out=result, where=valid, casting="same_kind")
    return result


def tiles(
    shape: tuple[int, ...], grid: Grid, top: int
) -> Iterator[tuple[tuple[slice, slice], tuple[float, float]]]:
    """Yield parts of a block, and the height and width in metres of the pixels in them, nearly.

    Sizes are rounded and columns cut in the grid, not in the block: a pixel's smoothed value does
    not depend on the block that it is in.
    """
    rows = np.clip(np.arange(top, top + shape[0]), 0, grid.height - 1)
    cuts = np.append(np.arange(0, grid.width, _BAND_COLUMNS), grid.width)
    sizes = grid.pixel_metres(rows, (cuts[:-1] + cuts[1:]) / 2)[::-1]
    if sizes[0].shape[1] == 1:  # all columns alike
        cuts = cuts[[0, -1]]
    middle = grid.pixel_metres(np.array([grid.height / 2]))[::-1]
    steps = np.stack(
        [np.rint(np.log(size / usual) / _SAME) for size, usual in zip(sizes, middle, strict=True)]
    )
    edges = cuts + (shape[1] - grid.width) // 2  # the block's columns have a margin
    edges[0], edges[-1] = 0, shape[1]
    for band, (left, right) in enumerate(pairwise(edges)):
        changes = np.flatnonzero((np.diff(steps[..., band]) != 0).any(axis=0)) + 1
        for start, stop in pairwise([0, *changes.tolist(), shape[0]]):
            height, width = (
                float(usual[0] * np.exp(step * _SAME))
                for step, usual in zip(steps[:, start, band], middle, strict=True)
            )
            yield (slice(start, stop), slice(left, right)), (height, width)


def _convolved(
    values: NDArray[Any], kernels: Sequence[NDArray[np.float64]], part: tuple[slice, slice]
) -> NDArray[np.float64]:
    """Convolve a part of an array, down and then across; what is outside the array counts 0."""
    around, centre = [], []
    for span, kernel, length in zip(part, kernels, values.shape, strict=True):
        reach = len(kernel) // 2
        start = max(span.start - reach, 0)
        around.append(slice(start, min(span.stop + reach, length)))
        centre.append(slice(span.start - start, span.stop - start))
    down = _along(values[tuple(around)].T, kernels[0])[:, centre[0]].T
    return _along(down, kernels[1])[:, centre[1]]


def _along(values: NDArray[Any], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convolve each line of an array, by threads; what is outside counts 0."""
    result = np.empty(values.shape)

    def convolve(lines: slice) -> None:
        correlate1d(values[lines], kernel, axis=1, mode="constant", output=result[lines])

    by_threads(convolve, *values.shape)
    return result


def _kernel(sigma: float, longest: int) -> NDArray[np.float64]:
    """Return a Gaussian of `sigma` pixels whose weights sum to 1, no wider than it has to be."""
    radius = min(math.ceil(_TRUNCATE * sigma), longest)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel: NDArray[np.float64] = weights / weights.sum()
    return kernel
