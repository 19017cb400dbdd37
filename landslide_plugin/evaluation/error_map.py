"""The picture of where a map is right and wrong."""

from typing import TYPE_CHECKING

import numpy as np

from ..raster.source import Source
from ..reports.ground import PAPER, draw_scale_bar, ground
from ..reports.page import ERROR_COLOURS
from .compare import Comparison, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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

    errors, valid = result.errors, comparison.valid > 0
    picture = ground(comparison.map_grid, image)
    picture[~valid] = 0.5 * picture[~valid] + 0.5 * PAPER
    if image is None:
        picture[~valid] = PAPER
    anything = errors.any(axis=0)
    palette = np.array([to_rgb(colour) for colour in ERROR_COLOURS.values()])
    picture[anything] = palette[errors.argmax(axis=0)[anything]]
    height, width = picture.shape[:2]
    side = 9.0
    scale = side / max(height, width)
    figure = Figure(figsize=(max(width * scale, 4), max(height * scale, 2) + 0.5))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(picture, interpolation="nearest")
    axes.set_axis_off()
    draw_scale_bar(axes, comparison.map_grid)
    axes.legend(
        handles=[Patch(color=colour, label=name) for name, colour in ERROR_COLOURS.items()],
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=3,
        frameon=False,
    )
    return figure
