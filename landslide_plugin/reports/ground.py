"""Pictures of the ground that maps are drawn on, in reports."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..raster.grid import Grid
from ..raster.relief import hillshade
from ..raster.source import Source

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAPER = 1.0
"""Grey of what is not known."""
_GROUND = 0.9
_DARKEST = 0.3
"""The ground is lightened, so that colours stand out of its shadows."""


def ground(grid: Grid, image: Source | None) -> NDArray[np.float64]:
    """Return the ground under a map as a lightened picture, (rows, columns, 3), 0..1.

    Args:
        grid: of the picture.
        image: red, green and blue if it has these bands, a hillshade if it has or is an
            elevation, else its first band in grey; plain ground when None.
    """
    if image is None:
        return np.full((*grid.shape, 3), _GROUND)
    colours = ["red", "green", "blue"]
    view = image.on(grid, "average")
    if set(colours) <= set(image.bands):
        values, valid = view.read(bands=colours)
        return _lightened(values, valid)
    elevation = "elevation" if "elevation" in image.bands else image.bands[0]
    values, valid = view.read(bands=[elevation])
    if elevation == "elevation":
        values = hillshade(values[0], valid[0], grid)[np.newaxis]
    return np.repeat(_lightened(values, valid), 3, axis=2)


def stretched(values: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> NDArray[Any]:
    """Return what values are between low and high, 0..1; both broadcast to their shape."""
    part: NDArray[Any] = np.clip((values - low) / np.maximum(high - low, 1e-9), 0, 1)
    return part


def _lightened(values: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return bands from their 2nd to 98th percentile, in pale, (rows, columns, bands)."""
    result = np.full((*values.shape[1:], values.shape[0]), PAPER)
    for index, (band, mask) in enumerate(zip(values, valid, strict=True)):
        if mask.any():
            shown = stretched(band, *np.percentile(band[mask], (2, 98)))
            result[..., index][mask] = _DARKEST + (1 - _DARKEST) * shown[mask]
    return result


def draw_scale_bar(axes: "Axes", grid: Grid) -> None:
    """Draw a bar of a round length, about a sixth of the width.

    Args:
        axes: that a picture is drawn on, in its pixels.
        grid: of the picture; its pixels in the middle count.
    """
    pixel = float(grid.pixel_metres(np.array([grid.height / 2]))[0][0])
    length, text = round_length(grid.width * pixel / 6)
    pixels = length / pixel
    left, bottom = 0.02 * grid.width, 0.97 * grid.height
    axes.plot([left, left + pixels], [bottom, bottom], color="black", linewidth=3)
    axes.text(
        left + pixels / 2,
        bottom - 0.012 * grid.height,
        text,
        ha="center",
        va="bottom",
        bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 1.5},
    )


def round_length(most: float) -> tuple[float, str]:
    """Return the longest of 1, 2, 5, 10, ... metres within a length, and how it is written."""
    power = 10 ** np.floor(np.log10(most))
    length = max(step for step in (1, 2, 5) if step * power <= most) * power
    return length, f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
