"""Landslides given as polygons or as a raster, read window by window on a grid."""

from pathlib import Path
from typing import Protocol

import geopandas as gpd
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError
from rasterio.features import rasterize
from rasterio.windows import Window
from scipy.ndimage import label
from shapely import GeometryType, STRtree, box, get_type_id

from .progress import Progress
from .raster.grid import Grid
from .raster.source import Source
from .vector import read_vector

NOT_KNOWN = -1
_EIGHT_NEIGHBOURS = np.ones((3, 3), int)
_RASTER_SUFFIXES = (".tif", ".tiff", ".vrt", ".img", ".jp2")
_TINY_PIXELS = 16
"""Polygons below this area may hold no pixel centre and are looked at one by one."""


class Landslides(Protocol):
    """What labels and references are read from."""

    grid: Grid

    def ids(self, window: Window) -> NDArray[np.int32]:
        """Return a number above 0 a landslide, 0 background, `NOT_KNOWN` where not known.

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
    """

    def __init__(self, frame: gpd.GeoDataFrame, grid: Grid) -> None:
        self.grid = grid
        self.shapes = np.array(frame.geometry)
        pixel = abs(grid.transform.a * grid.transform.e)
        for index in np.flatnonzero(frame.geometry.area.to_numpy() < _TINY_PIXELS * pixel):
            if not self._holds_a_centre(index):
                self.shapes[index] = self.shapes[index].point_on_surface()
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

    def _holds_a_centre(self, index: int) -> bool:
        left, bottom, right, top = self.shapes[index].bounds
        to_pixel = ~self.grid.transform
        col, row = (int(np.floor(value)) for value in to_pixel * (left, top))
        last_col, last_row = (int(np.ceil(value)) for value in to_pixel * (right, bottom))
        window = Window(col, row, max(last_col - col, 1), max(last_row - row, 1))
        burnt = rasterize(
            [(self.shapes[index], 1)],
            out_shape=(int(window.height), int(window.width)),
            transform=self.grid.window_transform(window),
            dtype="uint8",
        )
        return bool(burnt.any())

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
    """

    def __init__(self, source: Source, threshold: float | None = None) -> None:
        self.grid = source.grid
        self.threshold = threshold
        self._source = source

    def ids(self, window: Window) -> NDArray[np.int32]:
        """Return component numbers, from 1; see `Landslides.ids`."""
        (values,), (valid,) = self._source.read(window, self._source.bands[:1])
        landslide = values > 0 if self.threshold is None else values >= self.threshold
        ids: NDArray[np.int32] = label(landslide & valid, _EIGHT_NEIGHBOURS)[0].astype(np.int32)
        ids[~valid] = NOT_KNOWN
        return ids


def is_raster(path: str | Path) -> bool:
    """Whether a path is a raster: it opens as one, or its ending says that it should."""
    if "|layername=" in str(path):
        return False
    try:
        with rasterio.open(path) as dataset:
            return bool(dataset.count or dataset.subdatasets)
    except RasterioIOError:
        return Path(path).exists() and Path(path).suffix.lower() in _RASTER_SUFFIXES


def read_polygons(path: str | Path, grid: Grid, what: str, progress: Progress) -> Polygons:
    """Read polygons and bring them to a grid.

    Raises:
        InputError: missing, unreadable, or without polygons.
        GridError: the layer has no CRS.
    """
    frame = read_vector(path, what, crs=grid.crs, kinds=("Polygon",), columns=[], progress=progress)
    return Polygons(frame, grid)
