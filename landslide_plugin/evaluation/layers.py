"""The maps that are compared, each raster or polygons."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy.ndimage import label
from shapely import box

from ..contract.errors import GridError, InputError
from ..core.progress import Progress
from ..inventory.division import PART_NAMES
from ..inventory.kinds import band_of, is_mask, kinds_of, probability_of_any
from ..raster.grid import Grid
from ..raster.landslides import Polygons, is_raster
from ..raster.source import Source
from ..raster.threshold import Threshold
from ..raster.undeclared import mark_unknown
from ..raster.validity import UNDECLARED_FILL
from ..vector.datums import tell_guess
from ..vector.layers import read_vector

REFERENCE = "reference"
"""The truth's role in messages; its whole numbers may be those of single landslides."""
AREA = "area"
"""Another role: what is compared, whose polygons are not counted."""
_EIGHT_NEIGHBOURS = np.ones((3, 3), int)
_LOOK = 1024
_MANY_PARTS = 2
"""A layer with more parts a feature was dissolved, most likely."""
_MANY_VALUES = 16
"""A uint8 map with more values than this is no mask: it looks like a probability in 0..255."""


@dataclass(frozen=True)
class Reading:
    """A window of a map.

    Attributes:
        ids: landslide numbers above 0, 0 elsewhere, int32, (rows, columns).
        valid: where the map says something, bool, same shape.
        probability: of landslide, float32, same shape; None of masks and polygons.
    """

    ids: NDArray[np.int32]
    valid: NDArray[np.bool_]
    probability: NDArray[np.float32] | None = None


class Reader(Protocol):
    """A map on the grid of the comparison.

    Attributes:
        ids_are_global: whether a landslide has one number in all windows; else in one alone.
        is_probability: whether readings hold a probability.
        threshold: the least probability of landslide; None of masks and polygons.
    """

    ids_are_global: bool
    is_probability: bool
    threshold: float | None

    def read(self, window: Window) -> Reading:
        """Return a window, which may reach over the grid's edge."""
        ...


class PolygonReader:
    """Polygons, known everywhere."""

    ids_are_global = True
    is_probability = False
    threshold: float | None = None

    def __init__(self, polygons: Polygons) -> None:
        self._polygons = polygons

    def read(self, window: Window) -> Reading:
        """Return the polygons' numbers."""
        ids = self._polygons.ids(window)
        return Reading(ids, np.ones(ids.shape, bool))


class RasterReader:
    """Bands of a raster; neighbouring landslide pixels (of eight) are one landslide.

    Args:
        source: the raster, on the grid.
        threshold: least probability of landslide; None for a mask, landslide above 0.
        bands: names of the one that tells landslides, or of all that tell kinds of landslides; the
            first when empty.
        of_kinds: whether they tell kinds, as `kinds_of` says; a pixel is landslide if it is of any.
    """

    ids_are_global = False

    def __init__(
        self,
        source: Source,
        threshold: float | None,
        bands: Sequence[str] = (),
        of_kinds: bool = False,
    ) -> None:
        self._source = source
        self.threshold = threshold
        self.is_probability = threshold is not None
        self._bands = list(bands) or source.bands[:1]
        self._of_kinds = of_kinds

    def read(self, window: Window) -> Reading:
        """Return components of landslide pixels, numbered within the window."""
        read, masks = self._source.read(window, self._bands)
        values, valid = read[0], np.all(masks, axis=0)
        if self._of_kinds:
            values = probability_of_any(read, not self.is_probability)
        landslide = values > 0 if self.threshold is None else values >= self.threshold
        ids: NDArray[np.int32] = label(landslide & valid, _EIGHT_NEIGHBOURS)[0].astype(np.int32)
        return Reading(ids, valid, values if self.is_probability else None)


@dataclass(frozen=True)
class Layer:
    """A map before it is brought to the common grid.

    Attributes:
        path: where it was read.
        what: its role in messages.
        data: an open raster, or polygons with a CRS, which may be none.
    """

    path: str
    what: str
    data: Source | gpd.GeoDataFrame

    @classmethod
    def open(cls, path: str, what: str, files: ExitStack, progress: Progress) -> "Layer":
        """Open a raster or read polygons; a polygon layer without features is an empty map.

        Raises:
            InputError: missing, unreadable or of other geometry.
            GridError: no CRS.
        """
        if is_raster(path):
            source = files.enter_context(Source.open(path, what=what, zero_is_data=True))
            mark_unknown(source, band_of(source), progress)
            return cls(path, what, source)
        return cls.polygons(path, what, progress, may_be_empty=True)

    @classmethod
    def polygons(
        cls, path: str, what: str, progress: Progress, may_be_empty: bool = False
    ) -> "Layer":
        """Read polygons; errors as `open`."""
        frame = read_vector(
            path, what, kinds=("Polygon",), progress=progress, may_be_empty=may_be_empty
        )
        if frame.crs is None:
            raise GridError(f"The {what} layer {path} has no CRS: assign its projection first.")
        frame = _whole(frame)
        if frame.empty:
            progress.warning(f"The {what} layer {path} holds no landslide.")
        parts = int(shapely.get_num_geometries(frame.geometry.array).sum())
        if may_be_empty and parts > _MANY_PARTS * len(frame):
            progress.warning(
                f"The {len(frame)} features of the {what} have {parts} parts, and each feature "
                "counts as one landslide: run Multipart to singleparts on it if each part is one."
            )
        return cls(path, what, frame)

    @property
    def name(self) -> str:
        """The file's name without ending, or the layer's within it."""
        path, _, layer = self.path.partition("|layername=")
        return layer.split("|")[0] or Path(path).stem

    @property
    def frame(self) -> gpd.GeoDataFrame:
        """The polygons of a layer that is no raster."""
        return self.data

    def on(self, grid: Grid, window: Window, threshold: float | None, progress: Progress) -> Reader:
        """Return the map on a grid, and tell what was done to bring it there.

        Args:
            grid: the grid to compare on.
            window: the part of it that is looked at.
            threshold: least probability of landslide; None for the one that the raster carries.
            progress: where it is told.

        Raises:
            InputError: it lies elsewhere, or its values are no mask and no probability.
        """
        data = self.data
        crs = data.grid.crs if isinstance(data, Source) else data.crs
        if crs != grid.crs:
            progress.message(f"The {self.what} is brought to {grid.describe().split(',')[0]}.")
            bounds = data.grid.bounds if isinstance(data, Source) else tuple(data.total_bounds)
            tell_guess(crs, grid.crs, bounds, self.what, progress)
        if isinstance(data, Source):
            return _raster(self, data, grid, threshold, progress)
        return PolygonReader(self._polygons_on(grid, grid.part(window), progress))

    def _polygons_on(self, grid: Grid, evaluated: Grid, progress: Progress) -> Polygons:
        frame = self.frame.to_crs(grid.crs)
        polygons = Polygons(frame, grid)
        if not len(frame):
            return polygons
        polygons.tell_small(self.what, progress)
        if self.what != AREA:
            _tell_hidden(frame, self.what, progress)
        if not _overlap(frame.total_bounds, evaluated.bounds):
            raise InputError(
                f"The {self.what} layer {self.path} lies outside {evaluated.describe()}: check its "
                "CRS and extent."
            )
        if not len(frame.sindex.query(box(*evaluated.bounds), predicate="intersects")):
            progress.warning(f"The {self.what} layer has no polygon in the area that is compared.")
        return polygons


def _whole(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return landslides as wholes, of which an inventory has source and runout apart.

    Numbers may repeat where inventories were joined: parts of one landslide touch.
    """
    if not {"slide_id", "part"} <= set(frame.columns):
        return frame
    parted = frame["part"].isin(PART_NAMES.values())
    wholes = frame[parted].dissolve("slide_id", dropna=False).explode()
    return pd.concat([frame[~parted], wholes], ignore_index=True)


def _tell_hidden(frame: gpd.GeoDataFrame, what: str, progress: Progress) -> None:
    """Say how many polygons lie within later ones, which are drawn over them."""
    inner, outer = frame.sindex.query(frame.geometry, predicate="covered_by")
    hidden = len(np.unique(inner[inner < outer]))
    if hidden:
        progress.warning(
            f"{hidden} polygons of the {what} lie within others of it and are not counted: give "
            "each landslide once, of several dates those of one."
        )


def _overlap(one: NDArray[np.float64], other: tuple[float, float, float, float]) -> bool:
    return bool(one[0] < other[2] and one[2] > other[0] and one[1] < other[3] and one[3] > other[1])


def _raster(
    layer: Layer, raster: Source, grid: Grid, threshold: float | None, progress: Progress
) -> RasterReader:
    """Return a raster as mask or probability, which its type and a thinned copy tell."""
    kinds, bands = kinds_of(raster), [band_of(raster)]
    if kinds:
        bands = bands if is_mask(raster) else raster.bands
        names = ", ".join(kind.name for kind in kinds)
        progress.message(f"The {layer.what} is landslide where it is of any kind: {names}.")
    elif len(raster.bands) > 1:
        progress.message(f"Of the {layer.what} the band {bands[0]} is taken.")
    values = np.unique(np.concatenate([_looked_at(raster, band) for band in bands]))
    low, high = (values[0], values[-1]) if values.size else (0, 0)
    view = raster.on(grid, "nearest")
    if not is_mask(raster):
        if low < 0 or high > 1:
            coded = (
                f", dividing it by {100 if high <= 100 else 255}" if 0 <= low < high <= 255 else ""
            )
            raise InputError(
                f"The {layer.what} {raster.path} holds values from {low:g} to {high:g}: give a "
                f"mask, or a probability from 0 to 1{coded}."
            )
        wanted = Threshold.of(raster, threshold)
        progress.message(f"The {layer.what} is landslide where it is at least {wanted}.")
        return RasterReader(view, wanted.value, bands, bool(kinds))
    if (
        raster.dataset.dtypes[raster.index_of(bands[0]) - 1] == "uint8"
        and values.size > _MANY_VALUES
        and layer.what != REFERENCE
    ):
        most = 100 if high <= 100 else 255
        raise InputError(
            f"The {layer.what} {raster.path} holds {values.size} whole numbers from {low:g} to "
            f"{high:g}, as a probability in 0..{most} does: divide it by {most} for a probability "
            "from 0 to 1, or make it a mask of 0 and 1."
        )
    if high > 1 and not kinds:
        progress.warning(
            f"The {layer.what} {raster.path} holds whole numbers up to {high:g}: every value above "
            "0 is taken as landslide; declare its nodata value if one of them means that."
        )
    return RasterReader(view, None, bands, bool(kinds))


def _looked_at(raster: Source, band: str) -> NDArray[np.float64]:
    """Return the different values of a band's thinned copy, in order, as its scale declares."""
    index = raster.index_of(band)
    height, width = (min(side, _LOOK) for side in raster.grid.shape)
    looked = raster.dataset.read(index, out_shape=(height, width), masked=True).compressed()
    values = np.unique(looked[np.isfinite(looked)]).astype(np.float64)
    values = values[np.abs(values) < UNDECLARED_FILL]
    if raster.fill:
        values = np.setdiff1d(values, list(raster.fill.voids.get(index, ())))
    scale, offset = raster.dataset.scales[index - 1], raster.dataset.offsets[index - 1]
    scaled: NDArray[np.float64] = values * scale + offset
    return scaled
