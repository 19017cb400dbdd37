"""The overview picture of a mapped area: image, truth, inventory and probability."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray
from rasterio.features import rasterize
from shapely import box

from ..contract.errors import InputError
from ..outputs.whole import whole_file
from ..raster import Grid, Source
from ..raster.relief import hillshade
from ..reports.ground import round_length, stretched
from ..vector.layers import read_vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Bounds = tuple[float, float, float, float]

_MAPPED, _TRUE, _RIVER = "#ffd92f", "#00e5ff", "#3f8fd8"
_MOST_PIXELS = 1400
_PANEL = 7.6  # inches, the height of the map
_HEADER, _FOOTER, _GAP = 0.62, 0.62, 0.14
_CLOSE_UP = 0.22  # share of the area's width


def overview(
    path: str | Path,
    *,
    image: str,
    dem: str,
    probability: str,
    inventory: str,
    landslides: str,
    rivers: str,
    title: str,
    area: str | Path | None = None,
) -> None:
    """Draw what was mapped beside what is true.

    From left to right: the image with the outlines of truth and inventory; the probability; two
    close-ups of the same place, of image and probability.

    Args:
        path: the PNG to write.
        image: raster with the bands red, green and blue; only its hillshade is drawn without.
        dem: elevation for the hillshade.
        probability: landslide probability, 0..1.
        inventory: the mapped polygons.
        landslides: the true polygons.
        rivers: lines.
        title: above the picture.
        area: polygons of what was mapped; the rest is dimmed. None for everything.

    Raises:
        InputError: a layer is missing or unreadable.
        OutputError: the picture can't be written.
    """
    with Source.open(image, what="image") as source:
        grid = source.grid.coarsened(source.grid.step_within(_MOST_PIXELS))
        ground = _ground(source, grid)
    elevation = _band(dem, "DEM", grid)
    shade = hillshade(elevation, ~np.isnan(elevation), grid)
    ground *= 0.85 + 0.3 * shade[..., np.newaxis]
    chance = _band(probability, "probability", grid)
    layers = {
        "rivers": _layer(rivers, "rivers", grid),
        "true": _layer(landslides, "landslides", grid),
        "mapped": _layer(inventory, "inventory", grid),
    }
    mapped_part = None if area is None else read_vector(area, "area", crs=grid.crs)
    inside = np.ones(grid.shape, bool)
    if mapped_part is not None:
        inside = rasterize(mapped_part.geometry, grid.shape, transform=grid.transform) > 0
    ground[~inside] = 0.55 * ground[~inside] + 0.3
    figure = _compose(grid, ground, _coloured(chance, shade, inside), layers, mapped_part, title)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=120, format="png")


def _compose(
    grid: Grid,
    ground: NDArray[np.floating],
    chance: NDArray[np.floating],
    layers: dict[str, gpd.GeoDataFrame],
    mapped_part: gpd.GeoDataFrame | None,
    title: str,
) -> "Figure":
    """Lay out map, probability and close-ups, with one legend below."""
    from matplotlib.figure import Figure

    whole = grid.bounds
    part = whole if mapped_part is None else _within(mapped_part.total_bounds, whole)
    close = _busiest(layers["true"], part, _CLOSE_UP * (whole[2] - whole[0]))
    small = (_PANEL - _GAP) / 2
    widths = [_PANEL * (b[2] - b[0]) / (b[3] - b[1]) for b in (whole, part)]
    total = sum(widths) + small + 4 * _GAP
    height = _PANEL + _HEADER + _FOOTER
    figure = Figure(figsize=(total, height), facecolor="white")

    def panel(left: float, bottom: float, width: float, tall: float, name: str) -> "Axes":
        box = (left / total, bottom / height, width / total, tall / height)
        axes = figure.add_axes(box)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.annotate(
            name, (0, 1), (8, -8), "axes fraction", "offset points", va="top", color="white",
            fontsize=10.5, fontweight="bold", bbox={"fc": "#00000099", "ec": "none", "pad": 3},
        )  # fmt: skip
        return axes

    left = _GAP
    overall = panel(left, _FOOTER, widths[0], _PANEL, "Image, truth and inventory")
    _draw(overall, grid, ground, layers, whole, 0.7)
    left += widths[0] + _GAP
    probable = panel(left, _FOOTER, widths[1], _PANEL, "Landslide probability")
    _draw(probable, grid, chance, {}, part, 0)
    left += widths[1] + _GAP
    near = panel(left, _FOOTER + small + _GAP, small, small, "Close-up")
    _draw(near, grid, ground, layers, close, 1.5)
    near_chance = panel(left, _FOOTER, small, small, "Close-up")
    _draw(near_chance, grid, chance, {"true": layers["true"]}, close, 1.5)
    if mapped_part is not None:
        mapped_part.boundary.plot(ax=overall, color="white", linewidth=1.4, aspect=None)
    for axes in (overall, probable):
        _frame(axes, close)
    for axes, bounds in ((overall, whole), (near, close)):
        _scale_bar(axes, bounds, grid)
    _north(overall)
    figure.text(_GAP / total, 1 - 0.2 / height, title, fontsize=15, fontweight="bold", va="top")
    _legend(figure, overall, (left / total, 0.27 / height, small / total, 0.13 / height))
    return figure


def _within(bounds: NDArray[np.floating], whole: Bounds) -> Bounds:
    part = box(*bounds).intersection(box(*whole))
    if part.is_empty:
        raise InputError("The mapped area lies outside of the image: choose another area.")
    within: Bounds = part.bounds
    return within


def _band(path: str, what: str, grid: Grid) -> NDArray[np.float32]:
    """Return the first band of a raster on the grid, NaN where it has no data."""
    with Source.open(path, what=what) as source:
        (values,), (valid,) = source.on(grid, "average").read(bands=source.bands[:1])
    return np.where(valid, values, np.nan)


def _layer(path: str, what: str, grid: Grid) -> gpd.GeoDataFrame:
    """Return a layer; an empty one where it holds nothing, as an inventory may."""
    try:
        return read_vector(path, what, crs=grid.crs, columns=[])
    except InputError:
        if not Path(path).exists():
            raise
        return gpd.GeoDataFrame(geometry=[], crs=grid.crs)


def _ground(image: Source, grid: Grid) -> NDArray[np.float32]:
    """Return the image stretched to 0..1, (rows, columns, 3); light grey where it has none."""
    colours = ["red", "green", "blue"]
    result = np.full((*grid.shape, 3), 0.85, np.float32)
    if set(colours) <= set(image.bands):
        values, valid = image.on(grid, "average").read(bands=colours)
        everywhere = valid.all(axis=0)
        if everywhere.any():
            bright = stretched(values, *np.percentile(values[:, everywhere], (0.5, 99.3))) ** 0.6
            result[everywhere] = np.moveaxis(bright, 0, -1)[everywhere]
    return result


def _coloured(
    chance: NDArray[np.float32], shade: NDArray[np.float32], inside: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the probability's colours over the hillshade, (rows, columns, 3)."""
    from matplotlib import colormaps

    shown = inside & ~np.isnan(chance)
    colours = colormaps["magma_r"](np.where(shown, chance, 0))[..., :3]
    colours *= (0.5 + 0.5 * shade)[..., np.newaxis]
    colours[~shown] = 0.8 + 0.2 * shade[~shown][:, np.newaxis]
    clipped: NDArray[np.float64] = np.clip(colours, 0, 1)
    return clipped


def _draw(
    axes: "Axes",
    grid: Grid,
    picture: NDArray[np.floating],
    layers: dict[str, gpd.GeoDataFrame],
    bounds: Bounds,
    line: float,
) -> None:
    left, bottom, right, top = grid.bounds
    axes.imshow(np.clip(picture, 0, 1), extent=(left, right, bottom, top), interpolation="bilinear")
    looks = {"rivers": (_RIVER, 0.6), "true": (_TRUE, 1.0), "mapped": (_MAPPED, 1.0)}
    for name, frame in layers.items():
        colour, width = looks[name]
        outlines = frame.geometry if name == "rivers" else frame.boundary
        if len(outlines):
            outlines.plot(ax=axes, color=colour, linewidth=line * width, aspect=None)
    axes.set_xlim(bounds[0], bounds[2])
    axes.set_ylim(bounds[1], bounds[3])


def _busiest(landslides: gpd.GeoDataFrame, part: Bounds, side: float) -> Bounds:
    """Return the square within `part` that holds the most landslides."""
    left, bottom, right, top = part
    side = min(side, right - left, top - bottom)
    centres = landslides.representative_point()
    best, most = (left, bottom), -1
    for x in np.linspace(left, right - side, 15):
        for y in np.linspace(bottom, top - side, 25):
            count = int(((centres.x - x).between(0, side) & (centres.y - y).between(0, side)).sum())
            if count > most:
                best, most = (float(x), float(y)), count
    return *best, best[0] + side, best[1] + side


def _frame(axes: "Axes", bounds: Bounds) -> None:
    left, bottom, right, top = bounds
    axes.plot(
        [left, right, right, left, left], [bottom, bottom, top, top, bottom],
        color="white", linewidth=1.2, linestyle=(0, (4, 2)),
    )  # fmt: skip


def _scale_bar(axes: "Axes", bounds: Bounds, grid: Grid) -> None:
    """Draw a bar of a round length, about a quarter of the width."""
    metres = grid.resolution / grid.transform.a
    length, text = round_length((bounds[2] - bounds[0]) * metres / 4)
    fraction = length / metres / (bounds[2] - bounds[0])
    style: dict[str, Any] = {"transform": axes.transAxes, "solid_capstyle": "butt"}
    axes.plot([0.03, 0.03 + fraction], [0.03, 0.03], color="black", linewidth=6, **style)
    axes.plot([0.03, 0.03 + fraction], [0.03, 0.03], color="white", linewidth=3.5, **style)
    _label(axes, 0.03 + fraction / 2, 0.042, text)


def _north(axes: "Axes") -> None:
    axes.annotate(
        "", (0.965, 0.972), (0.965, 0.915), "axes fraction",
        arrowprops={"fc": "white", "ec": "black", "width": 4, "headwidth": 12, "headlength": 14},
    )  # fmt: skip
    _label(axes, 0.965, 0.884, "N")


def _label(axes: "Axes", x: float, y: float, text: str) -> None:
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.5, foreground="black")]
    axes.text(
        x, y, text, transform=axes.transAxes, ha="center", color="white", fontsize=10,
        fontweight="bold", path_effects=halo,
    )  # fmt: skip


def _legend(figure: "Figure", axes: "Axes", bar: Bounds) -> None:
    """Explain the lines below the map, and the probability's colours in `bar`."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.lines import Line2D

    names = {"true landslides": _TRUE, "mapped inventory": _MAPPED, "streams": _RIVER}
    handles = [
        Line2D([], [], color=colour, linewidth=2.5, label=name) for name, colour in names.items()
    ]
    handles.append(Line2D([], [], color="#bbbbbb", linewidth=1.5, label="mapped area"))
    handles.append(
        Line2D([], [], color="#bbbbbb", linewidth=1.5, linestyle=(0, (4, 2)), label="close-up")
    )
    axes.legend(
        handles=handles, ncols=5, loc="upper left", bbox_to_anchor=(0, -0.008), frameon=False,
        borderaxespad=0.2, handlelength=1.8, columnspacing=1.4,
    )  # fmt: skip
    strip = figure.add_axes(bar)
    figure.colorbar(ScalarMappable(cmap=colormaps["magma_r"]), strip, orientation="horizontal")
    strip.set_title("probability", fontsize=9, loc="left", pad=2)
    strip.tick_params(labelsize=8, length=2, pad=1)
