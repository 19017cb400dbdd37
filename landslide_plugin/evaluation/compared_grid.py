"""The grid that maps are compared on: the first raster's, or one that is made for polygons."""

from typing import Any

import geopandas as gpd
import numpy as np
from affine import Affine
from pyproj import Transformer
from pyproj.crs import ProjectedCRS
from pyproj.crs.coordinate_operation import LambertAzimuthalEqualAreaConversion
from pyproj.exceptions import ProjError
from rasterio.crs import CRS
from rasterio.windows import Window

from ..contract.errors import GridError, InputError
from ..core.progress import Progress
from ..raster.grid import Grid
from ..raster.source import Source
from .layers import Layer

_MOST_PIXELS = 3e7


def common_grid(
    maps: list[Layer], reference: Layer, area: Layer | None, progress: Progress
) -> Grid:
    """Return the grid to compare on: the first raster's, or one that is made for polygons.

    Polygons are compared on pixels of a tenth of the side of the reference's median landslide,
    within the area or else within the box around all layers, on at most 30 million pixels.

    Raises:
        InputError: there is neither raster nor polygon nor area.
        GridError: polygons lie far from the reference, and no area says what is compared.
    """
    for layer in (*maps, reference):
        if isinstance(layer.data, Source):
            return layer.data.grid
    if area is None:
        progress.warning(
            "All layers are polygons and no area is given: what is in none counts as background "
            "within the box around them, and overall accuracy depends on that box."
        )
    layers = [layer.frame for layer in (reference, *maps) if len(layer.frame)]
    around = layers if area is None else [area.frame]
    if area is None and len(reference.frame):
        for one in maps:
            _require_near(one, reference)
    if not around:
        raise InputError(
            "The map and the reference are both empty and there is no area: give the area that "
            "was mapped."
        )
    return _polygon_grid(layers[0] if layers else None, around, progress)


def evaluated_window(grid: Grid, area: Layer | None) -> Window:
    """Return the part of the grid around the area; the whole grid when there is none.

    Raises:
        InputError: the area lies outside.
    """
    if area is None:
        return Window(0, 0, grid.width, grid.height)
    left, bottom, right, top = area.frame.to_crs(grid.crs).total_bounds
    columns = np.clip([grid.pixel(left, top)[0], grid.pixel(right, top)[0]], 0, grid.width)
    rows = np.clip([grid.pixel(left, top)[1], grid.pixel(left, bottom)[1]], 0, grid.height)
    first_column, first_row = int(columns[0]), int(rows[0])
    width, height = int(np.ceil(columns[1])) - first_column, int(np.ceil(rows[1])) - first_row
    if width < 1 or height < 1:
        raise InputError(
            f"The area layer {area.path} lies outside {grid.describe()}: check its CRS and extent."
        )
    return Window(first_column, first_row, width, height)


def _require_near(one: Layer, reference: Layer) -> None:
    """Refuse a map farther from the reference than both are long: one has the wrong CRS."""
    if one.frame.empty:
        return
    ours, truth = one.frame.to_crs(reference.frame.crs).total_bounds, reference.frame.total_bounds
    apart = np.maximum(ours[:2], truth[:2]) - np.minimum(ours[2:], truth[2:])
    sides = ours[2:] - ours[:2] + truth[2:] - truth[:2]
    if np.hypot(*apart.clip(0)) > np.hypot(*sides):
        boxes = [", ".join(f"{value:.8g}" for value in bounds) for bounds in (ours, truth)]
        raise GridError(
            f"The {one.what} {one.path} lies far from the reference: its extent in the reference's "
            f"CRS is {boxes[0]} (left, bottom, right, top), the reference's {boxes[1]}; check both "
            "CRSs, or give the area that was mapped."
        )


def _polygon_grid(
    truth: gpd.GeoDataFrame | None, around: list[gpd.GeoDataFrame], progress: Progress
) -> Grid:
    crs = _metric_crs(around[0] if truth is None else truth)
    boxes = np.array([frame.to_crs(crs).total_bounds for frame in around])
    left, bottom = boxes[:, :2].min(axis=0)
    right, top = boxes[:, 2:].max(axis=0)
    least = float(np.sqrt((right - left) * (top - bottom) / _MOST_PIXELS))
    wanted = 0.0 if truth is None else float(np.sqrt(truth.to_crs(crs).area.median())) / 10
    pixel = max(wanted, least) if wanted else 10 * least
    width, height = (int(np.ceil(side / pixel)) + 2 for side in (right - left, top - bottom))
    transform = Affine(pixel, 0, left - pixel, 0, -pixel, top + pixel)
    grid = Grid(CRS.from_user_input(crs), transform, width, height)
    progress.message(f"The polygons are compared on pixels of {grid.resolution:.3g} m.")
    return grid


def _metric_crs(frame: gpd.GeoDataFrame) -> Any:
    """Return a layer's own CRS, of degrees one in metres: UTM's, or one around its first polygon.

    UTM ends before the poles, and is the Earth's alone.
    """
    if not frame.crs.is_geographic:
        return frame.crs
    try:
        zone = frame.estimate_utm_crs()
        Transformer.from_crs(frame.crs, zone)
    except (RuntimeError, ProjError):
        middle = frame.geometry.iloc[0].representative_point()
        conversion = LambertAzimuthalEqualAreaConversion(middle.y, middle.x)
        return ProjectedCRS(conversion, geodetic_crs=frame.crs.geodetic_crs)
    return zone
