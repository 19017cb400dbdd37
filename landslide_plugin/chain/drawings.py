"""The figures of the map report."""

from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from ..raster.grid import Grid
from ..raster.source import Source
from ..reports.axes import number_logarithmic
from ..reports.ground import draw_scale_bar, ground

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OUTLINE = "#e3000f"
MAP_PIXELS = 1200
"""Longest side of the picture."""
_SIDE = 9.0
_BINS_A_DECADE = 4


def draw_map(
    landslides: gpd.GeoDataFrame, largest: list[int], grid: Grid, image: Source
) -> "Figure":
    """Draw the landslides' outlines over the ground.

    Args:
        landslides: polygons, with a CRS.
        largest: rows of `landslides` that bear a number, from 1.
        grid: what was mapped.
        image: what `picture.ground` draws.
    """
    from matplotlib import patheffects
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure

    cells = grid.coarsened(grid.step_within(MAP_PIXELS))
    height, width = cells.shape
    scale = _SIDE / max(height, width)
    figure = Figure(figsize=(max(width * scale, 4), max(height * scale, 2)))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(ground(cells, image), interpolation="nearest")
    axes.set_axis_off()
    shapes = landslides.geometry.to_crs(cells.crs).array
    lines = shapely.get_parts(shapely.boundary(np.asarray(shapes)))
    edges = [_pixels(shapely.get_coordinates(line), cells) for line in lines]
    axes.add_collection(LineCollection(edges, colors=OUTLINE, linewidths=1.3))
    for number, row in enumerate(largest, start=1):
        point = shapely.get_coordinates(shapely.point_on_surface(shapes[row]))
        column, line = _pixels(point, cells)[0]
        inward = (-13 if column > 0.95 * width else 13, -13 if line < 0.05 * height else 13)
        axes.annotate(
            str(number),
            (column, line),
            xytext=inward,
            ha="center",
            va="center",
            textcoords="offset points",
            color="black",
            fontsize=13,
            fontweight="bold",
            path_effects=[patheffects.withStroke(linewidth=3.5, foreground="white")],
        )
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    draw_scale_bar(axes, cells)
    return figure


def draw_sizes(areas: NDArray[np.float64]) -> "Figure":
    """Draw how many landslides there are of each size.

    Args:
        areas: square metres, above 0, at least one.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    low = np.floor(np.log10(areas.min()) * _BINS_A_DECADE)
    high = np.floor(np.log10(areas.max()) * _BINS_A_DECADE) + 1
    edges = 10 ** (np.arange(low, high + 1) / _BINS_A_DECADE)
    figure = Figure(figsize=(7.5, 3.4))
    axes = figure.subplots()
    axes.hist(areas, edges.tolist(), color=OUTLINE, alpha=0.75, edgecolor="white")
    middle = float(np.median(areas))
    axes.axvline(middle, color="#23262a", linestyle="--", label=f"median, {middle:,.0f} m²")
    axes.set(xscale="log", xlabel="Landslide area (m²)", ylabel="Number of landslides")
    axes.set_xlim(edges[0] / 1.3, edges[-1] * 1.3)
    number_logarithmic(axes.xaxis, edges[0], edges[-1], figure.get_figwidth())
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color="#eceae4", axis="y")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=9)
    return figure


def _pixels(points: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """Return where places on the map lie in a picture, whose pixels' middles are whole."""
    columns, rows = grid.pixel(points[:, 0], points[:, 1])
    return np.column_stack([columns, rows]) - 0.5
