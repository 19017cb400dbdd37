"""Landslides given as polygons or as a raster, read window by window on a grid."""

import os
from pathlib import Path
from typing import Protocol

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.windows import Window
from scipy.ndimage import label
from shapely import GeometryType, STRtree, box, get_type_id

from ..contract.errors import InputError
from ..core.access import no_answer, require_allowed
from ..core.addresses import RASTERS, beside, files_in, is_folder, names_in
from ..core.progress import Progress
from ..vector.files import LAYERS
from ..vector.layers import read_vector
from ..vector.shapes import refuse_both
from .grid import Grid
from .source import Source
from .threshold import carried
from .undeclared import mark_unknown

UNLABELLED = -1
_EIGHT_NEIGHBOURS = np.ones((3, 3), int)
_RASTER_SUFFIXES = (".tif", ".tiff", ".vrt", ".img", ".jp2")
_TINY_PIXELS = 16
"""Polygons below this area may hold no pixel centre and are looked at more closely."""
_CENTRES = 500_000
"""Pixel centres looked at in one go."""


class Landslides(Protocol):
    """What labels and references are read from."""

    grid: Grid

    def ids(self, window: Window) -> NDArray[np.int32]:
        """Return a number above 0 a landslide, 0 background, `UNLABELLED` where not known.

        Args:
            window: pixels of the grid; it may reach over the edge.

        Returns:
            int32, (rows, columns). Numbers of a raster's landslides hold within one window.
        """
        ...


class Polygons:
    """Polygons on a grid: number i + 1 for every pixel whose centre lies in polygon i.

    A polygon that holds no pixel centre at all would vanish: it takes the one pixel that a point
    on its surface lies in. Where polygons overlap the later one wins, but those points win always.

    Args:
        frame: polygons in the CRS of the grid.
        grid: the grid.

    Attributes:
        grid: the grid.
        shapes: the polygons, or the centres of the pixels that they take.
        smaller_than_pixels: how many on the grid take one pixel for want of a centre.
    """

    def __init__(self, frame: gpd.GeoDataFrame, grid: Grid) -> None:
        self.grid = grid
        self.shapes = np.array(frame.geometry)
        pixel = abs(grid.transform.a * grid.transform.e)
        tiny = np.flatnonzero(shapely.area(self.shapes) < _TINY_PIXELS * pixel)
        lost = tiny[~self._hold_a_centre(tiny)]
        here = shapely.intersects(self.shapes[lost], box(*grid.bounds))
        self.smaller_than_pixels = int(here.sum())
        self.shapes[lost] = self._centres(shapely.point_on_surface(self.shapes[lost]))
        self._are_points = get_type_id(self.shapes) == GeometryType.POINT
        self._tree = STRtree(self.shapes)

    def ids(self, window: Window) -> NDArray[np.int32]:
        """Return polygon numbers, from 1; see `Landslides.ids`."""
        ids = np.zeros((int(window.height), int(window.width)), np.int32)
        indexes = self._tree.query(box(*self._bounds(window)))
        if len(indexes):
            # the points last, so that a large neighbour doesn't swallow them
            indexes = indexes[np.lexsort((indexes, self._are_points[indexes]))]
            rasterize(
                ((self.shapes[index], index + 1) for index in indexes),
                out=ids,
                transform=self.grid.window_transform(window),
            )
        return ids

    def overlaps_grid(self) -> bool:
        """Whether any polygon lies on the grid."""
        return bool(len(self._tree.query(box(*self.grid.bounds), predicate="intersects")))

    def tell_small(self, what: str, progress: Progress) -> None:
        """Say how many polygons are drawn larger than they are."""
        if self.smaller_than_pixels:
            progress.message(
                f"{self.smaller_than_pixels} polygons of the {what} hold no pixel's centre: each "
                "counts as the pixel that it lies in, several in one as one."
            )

    def _centres(self, points: NDArray[np.object_]) -> NDArray[np.object_]:
        """Move points to the centres of their pixels: on an edge rounding would choose."""
        columns, rows = (
            np.floor(position) + 0.5
            for position in self.grid.pixel(shapely.get_x(points), shapely.get_y(points))
        )
        moved: NDArray[np.object_] = shapely.points(*self.grid.point(columns, rows))
        return moved

    def _hold_a_centre(self, indexes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which polygons hold the centre of a pixel, bool, (n,)."""
        left, bottom, right, top = shapely.bounds(self.shapes[indexes]).T
        first = np.floor(np.stack(self.grid.pixel(left, top))).astype(np.int64)
        last = np.ceil(np.stack(self.grid.pixel(right, bottom))).astype(np.int64)
        columns, rows = np.maximum(last - first, 1)
        holds = np.zeros(len(indexes), bool)
        ends = np.cumsum(columns * rows)
        # as many polygons at a time as keep memory small; a long thin one alone may have many
        for part in np.split(
            np.arange(len(indexes)), np.flatnonzero(np.diff(ends // _CENTRES)) + 1
        ):
            count = (columns * rows)[part]
            owner = np.repeat(part, count)
            number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
            column = first[0][owner] + number % columns[owner] + 0.5
            row = first[1][owner] + number // columns[owner] + 0.5
            inside = shapely.contains_xy(self.shapes[indexes[owner]], *self.grid.point(column, row))
            holds |= np.bincount(owner, inside, len(indexes)) > 0
        return holds

    def _bounds(self, window: Window) -> tuple[float, float, float, float]:
        left, top = self.grid.transform * (window.col_off, window.row_off)
        right, bottom = self.grid.transform * (
            window.col_off + window.width,
            window.row_off + window.height,
        )
        return left, bottom, right, top


class Mask:
    """A raster on a grid: landslide where the first band is at or above a threshold.

    Neighbouring pixels (of eight) are one landslide.

    Args:
        source: the raster, on the grid.
        threshold: least value of landslide; None for any value above 0.
        low: value below which there is certainly no landslide; from it on to the threshold nothing
            is known. None for the threshold.
    """

    def __init__(
        self, source: Source, threshold: float | None = None, low: float | None = None
    ) -> None:
        self.grid = source.grid
        self.threshold, self.low = threshold, low
        self._source = source

    def ids(self, window: Window) -> NDArray[np.int32]:
        """Return component numbers, from 1; see `Landslides.ids`."""
        (values,), (valid,) = self._source.read(window, self._source.bands[:1])
        landslide = values > 0 if self.threshold is None else values >= self.threshold
        ids: NDArray[np.int32] = label(landslide & valid, _EIGHT_NEIGHBOURS)[0].astype(np.int32)
        unsure = False if self.low is None else ~landslide & (values >= self.low)
        ids[~valid | unsure] = UNLABELLED
        return ids


def least_landslide(
    mask: Source, asked: float | None, remedy: str, progress: Progress
) -> float | None:
    """Return the value from which a raster of landslides says so; see `mark_unknown` too.

    Args:
        mask: the raster; what matters is its first band.
        asked: by the user; None to leave it to the raster.
        remedy: what to do where values are probabilities without a threshold.
        progress: told what is taken.

    Returns:
        What was asked for, else the threshold that probabilities carry; None where any value above
        0 is landslide.

    Raises:
        InputError: it is a mosaic whose parts carry different thresholds.
    """
    band = mask.bands[0]
    if len(mask.bands) > 1:
        progress.warning(
            f"Of the {len(mask.bands)} bands of {mask.path} the first, {band}, alone says where "
            "landslides are: export the one that does if it is another."
        )
    values = mark_unknown(mask, band, progress)
    if asked is not None:
        return asked
    scaling = mask.scaling[band]
    whole = not mask.dataset.dtypes[mask.index_of(band) - 1].startswith("float")
    plain = whole and (scaling.scale, scaling.offset) == (1, 0)
    threshold = None if plain else carried(mask)
    if threshold is None:
        if not plain or len(values) > 1:
            kind = f"whole numbers up to {values[-1]:g}" if plain else "decimal values"
            progress.warning(
                f"{mask.path} has {kind}, and all above 0 are taken for landslide: if these are "
                f"probabilities, {remedy}."
            )
        return None
    progress.message(f"{mask.path} is landslide where it is at least {threshold}.")
    return threshold.value


def is_raster(path: str | Path) -> bool:
    """Whether a path is a raster: it opens as one, or its ending says that it should.

    Of a folder or a list its files tell.

    Raises:
        InputError: a GeoPackage or a folder holds rasters and vector layers, and the path names
            none of them.
    """
    if named := names_in(Path(path), (*RASTERS, ".vrt", *LAYERS)):
        path = beside(path, named[0])
    if "|layername=" in str(path) or "|layerid=" in str(path):
        return False
    require_allowed(str(path))
    if is_folder(path) and (rasters := files_in(path, RASTERS)):
        if layers := files_in(path, LAYERS):
            raise InputError(
                f"The folder {path} holds rasters ({Path(rasters[0]).name}) and vector layers "
                f"({Path(layers[0]).name}): list those that are meant in a text file."
            )
        return True
    try:
        with rasterio.open(path) as dataset:
            opens = bool(dataset.count or dataset.subdatasets)
    except (RasterioError, OSError, ValueError, TypeError) as error:
        if said := no_answer(error):
            raise InputError(f"The layer {path} {said}.") from error
        return os.path.exists(path) and Path(path).suffix.lower() in _RASTER_SUFFIXES
    if opens and str(path).lower().endswith(".gpkg"):
        refuse_both(path)
    return opens


def read_polygons(path: str | Path, grid: Grid, what: str, progress: Progress) -> Polygons:
    """Read polygons and bring them to a grid.

    Raises:
        InputError: missing, unreadable, or without polygons.
        GridError: the layer has no CRS.
    """
    frame = read_vector(path, what, crs=grid.crs, kinds=("Polygon",), columns=[], progress=progress)
    polygons = Polygons(frame, grid)
    polygons.tell_small(what, progress)
    return polygons
