"""How the ground is lit, from the map's upper left at 45 degrees."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .grid import Grid


def light(right: NDArray[Any], up: NDArray[Any], steepness: NDArray[Any]) -> NDArray[Any]:
    """Return how squarely the light meets slopes, 1 where it does, below 0 in their own shadow.

    Args:
        right: descent per metre towards the map's right.
        up: the same towards its top.
        steepness: tangent of the slope, the length of both.
    """
    # The surface's normal (right, up, 1) on the sun's direction (-1/2, 1/2, 1/sqrt 2).
    lit: NDArray[Any] = (0.5 * (up - right) + math.sqrt(0.5)) / np.sqrt(1 + steepness**2)
    return lit


def hillshade(
    elevation: NDArray[np.float32], valid: NDArray[np.bool_], grid: Grid
) -> NDArray[np.float32]:
    """Return a picture of heights, from 0 where it is darkest to 1 where it is brightest.

    Args:
        elevation: metres, (rows, columns).
        valid: where it is known, same shape; elsewhere its mean is taken.
        grid: of both; its pixels in the middle count.
    """
    middle = float(elevation[valid].mean()) if valid.any() else 0.0
    heights = np.where(valid, elevation, middle).astype(float)
    dx, dy = (float(side[0]) for side in grid.pixel_metres(np.array([grid.height / 2])))
    right, up = -_rise(heights, dx, 1), _rise(heights, dy, 0)
    lit = light(right, up, np.hypot(right, up))
    lit -= lit.min()
    shade: NDArray[np.float32] = (lit / max(float(lit.max()), 1e-6)).astype(np.float32)
    return shade


def _rise(heights: NDArray[np.float64], step: float, axis: int) -> NDArray[np.float64]:
    """Return the rise per metre along an axis; none along a single pixel."""
    if heights.shape[axis] < 2:
        return np.zeros(heights.shape)
    rise: NDArray[np.float64] = np.gradient(heights, step, axis=axis)
    return rise
