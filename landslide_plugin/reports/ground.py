"""Pictures of the ground that maps are drawn on, in reports."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..raster.grid import Grid
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
        return _stretched(values, valid)
    elevation = "elevation" if "elevation" in image.bands else image.bands[0]
    values, valid = view.read(bands=[elevation])
    if elevation == "elevation":
        values = _hillshade(values[0], valid[0], grid)[np.newaxis]
    return np.repeat(_stretched(values, valid), 3, axis=2)


def _stretched(values: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return bands from their 2nd to 98th percentile as 0..1, (rows, columns, bands)."""
    result = np.full((*values.shape[1:], values.shape[0]), PAPER)
    for index, (band, known) in enumerate(zip(values, valid, strict=True)):
        if known.any():
            low, high = np.percentile(band[known], (2, 98))
            shown = np.clip((band - low) / max(high - low, 1e-9), 0, 1)
            result[..., index][known] = _DARKEST + (1 - _DARKEST) * shown[known]
    return result


def _hillshade(
    elevation: NDArray[np.float32], valid: NDArray[np.bool_], grid: Grid
) -> NDArray[np.float32]:
    from matplotlib.colors import LightSource

    middle = float(elevation[valid].mean()) if valid.any() else 0.0
    filled = np.where(valid, elevation, middle)
    light = LightSource(azdeg=315, altdeg=45)
    width, height = _middle_pixel(grid)
    shade: NDArray[np.float32] = light.hillshade(filled, dx=width, dy=height)
    return shade.astype(np.float32)


def draw_scale_bar(axes: "Axes", grid: Grid) -> None:
    """Draw a bar of a round length, about a sixth of the width.

    Args:
        axes: that a picture is drawn on, in its pixels.
        grid: of the picture; its pixels in the middle count.
    """
    pixel, _ = _middle_pixel(grid)
    sixth = grid.width * pixel / 6
    power = 10 ** np.floor(np.log10(sixth))
    length = max(step for step in (1, 2, 5) if step * power <= sixth) * power
    pixels = length / pixel
    text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
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


def _middle_pixel(grid: Grid) -> tuple[float, float]:
    """Return width and height in metres of the pixels in the middle."""
    width, height = grid.pixel_metres(np.array([grid.height / 2]))
    return float(width[0]), float(height[0])
