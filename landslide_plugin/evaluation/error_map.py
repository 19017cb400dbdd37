"""The picture of where a map is right and wrong."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..raster.grid import Grid
from ..raster.source import Source
from .compare import Comparison, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers too
_COLOURS = {"found": "#009e73", "false alarm": "#d55e00", "missed": "#0072b2"}
_PAPER, _GROUND = 1.0, 0.9
_DARKEST = 0.3
"""The ground is lightened, so that the colours stand out of its shadows."""


def draw_error_map(comparison: Comparison, result: Result, image: Source | None) -> "Figure":
    """Draw found, false and missed landslide over an image.

    A pixel of the picture that stands for many takes the colour of the class that has the most
    pixels in it, so that small landslides stay visible.

    Args:
        comparison: what was compared in each pixel of the picture.
        result: the errors there.
        image: red, green and blue if it has these bands, a hillshade if it has or is an
            elevation, else its first band in grey; plain ground when None.
    """
    from matplotlib.colors import to_rgb
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    errors, known = result.errors, comparison.known > 0
    picture = _background(comparison.map_grid, image)
    picture[~known] = 0.5 * picture[~known] + 0.5 * _PAPER
    if image is None:
        picture[~known] = _PAPER
    anything = errors.any(axis=0)
    palette = np.array([to_rgb(colour) for colour in _COLOURS.values()])
    picture[anything] = palette[errors.argmax(axis=0)[anything]]
    height, width = picture.shape[:2]
    side = 9.0
    scale = side / max(height, width)
    figure = Figure(figsize=(max(width * scale, 4), max(height * scale, 2) + 0.5))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(picture, interpolation="nearest")
    axes.set_axis_off()
    _scale_bar(axes, comparison.map_grid)
    axes.legend(
        handles=[Patch(color=colour, label=name) for name, colour in _COLOURS.items()],
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=3,
        frameon=False,
    )
    return figure


def _background(grid: Grid, image: Source | None) -> NDArray[np.float64]:
    """Return the ground under the errors, (rows, columns, 3), 0..1."""
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
    result = np.full((*values.shape[1:], values.shape[0]), _PAPER)
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
    shade: NDArray[np.float32] = light.hillshade(filled, dx=grid.resolution, dy=grid.resolution)
    return shade.astype(np.float32)


def _scale_bar(axes: "Axes", grid: Grid) -> None:
    """Draw a bar of a round length, about a sixth of the width."""
    sixth = grid.width * grid.resolution / 6
    power = 10 ** np.floor(np.log10(sixth))
    length = max(step for step in (1, 2, 5) if step * power <= sixth) * power
    pixels = length / grid.resolution
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
