"""Several rasters read as one: on one grid, with one validity mask, bands named."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray
from rasterio.features import geometry_mask
from rasterio.windows import Window
from shapely.geometry import box

from ..contract.errors import GridError, InputError
from ..contract.tags import DATE
from ..core.ahead import read_ahead
from ..core.progress import Progress
from ..core.system import cores
from ..vector.datums import tell_guess
from ..vector.layers import read_vector
from .bands import layer_names
from .declared import unique_names
from .grid import Grid
from .heights import require_metres
from .kinds import THEMATIC, is_direction
from .scene_date import scene_date
from .source import Source
from .statistics import BandStatistics, table
from .undeclared import mark_fill
from .writer import RasterWriter

_BLOCK_MEGABYTES = 16
MOST_THREADS = 4
"""That read and resample blocks; each holds one, and one is written."""


class LayerStack:
    """Rasters of any CRS and resolution, read like one `Source` on one grid.

    Use `open`, as a context manager.

    Attributes:
        grid: the grid that they are read on.
        bands: names of all bands, unique: the layers' own, sensors' names brought to common ones
            (B04 to red), a categorical band as one 0/1 band a class, `<band>_<class>`.
        origins: the file each band is from.
        tags: metadata items that say of a band that it holds classes, and which.
        date: of the scene, year-month-day; "" where no layer tells, or several tell others.
    """

    def __init__(
        self,
        bands: Sequence["_Band"],
        grid: Grid,
        area: gpd.GeoSeries | None,
        date: str,
        opened: ExitStack,
    ) -> None:
        self.grid = grid
        self.date = date
        self.bands = unique_names([band.name for band in bands])
        self.origins = [band.view.file for band in bands]
        self.tags = [band.tags for band in bands]
        self._bands = dict(zip(self.bands, bands, strict=True))
        self._area = area
        self._opened = opened

    @classmethod
    def open(
        cls,
        paths: Sequence[str | Path],
        *,
        reference: str | Path = "",
        resampling: str = "bilinear",
        area: str | Path = "",
        sensor: str = "auto",
        what: str = "layer",
        fill: str = "keep",
        kind: str = "",
        progress: Progress | None = None,
    ) -> "LayerStack":
        """Open the layers on the reference's grid.

        Args:
            paths: the layers.
            reference: the raster whose grid counts; the first layer when empty.
            resampling: for continuous bands, see `Source.on`; classes and aspect are read nearest.
            area: polygons; what lies outside is not valid, and the grid is cut to their bounds,
                along the reference's pixels.
            sensor: whose names the layers' bands bear, as `common_name` takes it.
            what: the layers' role in messages.
            fill: "auto" or "keep", what becomes of fill that a layer does not declare.
            kind: `undeclared.IMAGE` where the layers are known to be images.
            progress: where warnings about the area and about fill go; told of the search for it.

        Raises:
            InputError: no layer, or something that can't be read.
            GridError: a layer without CRS, or one that lies apart from the reference or area.
        """
        if not paths:
            raise InputError("There is no layer to stack: choose at least one raster.")
        told = progress or Progress()
        with ExitStack() as opened:
            layers = [opened.enter_context(Source.open(path, what=what)) for path in paths]
            grid = layers[0].grid
            if reference:
                with Source.open(reference, what="reference") as source:
                    grid = source.grid
            for layer in layers:
                tell_guess(
                    layer.grid.crs, grid.crs, layer.grid.bounds, f"{what} {layer.path}", told
                )
            polygons = None
            if area:
                polygons = read_vector(
                    area, "area", crs=grid.crs, kinds=("Polygon",), progress=told
                ).geometry
                grid = _cut(grid, polygons)
            mark_fill(layers, fill, told, kind=kind, sensor=sensor, within=grid)
            bands = [
                band
                for layer in layers
                for band in _bands_of(layer, grid, resampling, sensor, opened)
            ]
            dates = {date for layer in layers if (date := scene_date(layer))}
            date = dates.pop() if len(dates) == 1 else ""
            return cls(bands, grid, polygons, date, opened.pop_all())

    @property
    def class_of(self) -> list[tuple[str, str] | None]:
        """The factor and the class of each 0/1 band, as ("lithology", "Marl"); None for others."""
        return [
            (tags["CLASS_OF"], tags["CLASS_NAME"]) if "CLASS_OF" in tags else None
            for tags in self.tags
        ]

    def read(
        self, window: Window | None = None, bands: Sequence[str] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read a window, which may reach over the edge: as `Source.read`.

        Args:
            window: pixels to read; the whole grid when None.
            bands: names of the bands wanted, in the order wanted; all when None.

        Returns:
            Values, float32, (bands, rows, columns), 0 where invalid; and validity, bool, same
            shape, False outside the area.

        Raises:
            InputError: a band is not there, or a file is damaged.
        """
        window = window or Window(0, 0, self.grid.width, self.grid.height)
        wanted = [self._band(name) for name in (self.bands if bands is None else bands)]
        shape = (len(wanted), int(window.height), int(window.width))
        values, valid = np.zeros(shape, np.float32), np.zeros(shape, bool)
        inside = self.inside(window)
        for view in dict.fromkeys(band.view for band in wanted):
            indices = [index for index, band in enumerate(wanted) if band.view is view]
            names = list(dict.fromkeys(wanted[index].source_band for index in indices))
            read, masks = view.read(window, names)
            masks &= inside
            for index in indices:
                layer, value = names.index(wanted[index].source_band), wanted[index].value
                numbers = read[layer] if value is None else read[layer] == value
                values[index] = np.where(masks[layer], numbers, 0)
                valid[index] = masks[layer]
        return values, valid

    def inside(self, window: Window) -> NDArray[np.bool_]:
        """Return whether the centres of a window's pixels lie in the area, (rows, columns)."""
        shape = int(window.height), int(window.width)
        if self._area is None:
            return np.ones(shape, bool)
        transform = self.grid.window_transform(window)
        left, top = self.grid.point(window.col_off, window.row_off)
        right, bottom = self.grid.point(
            window.col_off + window.width, window.row_off + window.height
        )
        near = self._area.iloc[self._area.sindex.query(box(left, bottom, right, top))]
        if near.empty:
            return np.zeros(shape, bool)
        mask: NDArray[np.bool_] = geometry_mask(near, shape, transform, invert=True)
        return mask

    def windows(self) -> Iterator[Window]:
        """Yield windows over the whole grid that fit a memory budget with all bands."""
        return self.grid.windows(_BLOCK_MEGABYTES, len(self.bands))

    def source_of(self, name: str) -> tuple[Source, str]:
        """Return the layer that a band is from and the band's name there."""
        band = self._band(name)
        return band.view, band.source_band

    def close(self) -> None:
        """Close the files."""
        self._opened.close()

    def __enter__(self) -> "LayerStack":
        """Return the stack."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the files."""
        self.close()

    def _band(self, name: str) -> "_Band":
        if name not in self._bands:
            raise InputError(
                f"The stack has no band named {name}; it has: {', '.join(self.bands)}."
            )
        return self._bands[name]


def write_stack(
    stack: LayerStack,
    path: str | Path,
    progress: Progress,
    tags: Mapping[str, str] | None = None,
) -> list[BandStatistics]:
    """Write a stack as one float32 GeoTIFF with GDAL band statistics; report a table of its bands.

    A pixel that is not valid in one band is nodata in all.

    Args:
        stack: the layers.
        path: the destination.
        progress: where to report.
        tags: metadata items of the file, beside the date of its images.

    Returns:
        The bands' statistics.

    Raises:
        InputError: a layer without any valid pixel, or no pixel that is valid in all.
    """
    statistics = [
        BandStatistics(band, origin)
        for band, origin in zip(stack.bands, stack.origins, strict=True)
    ]
    done = 0
    dated = {DATE: stack.date} if stack.date else {}
    with RasterWriter(path, stack.grid, stack.bands, tags={**(tags or {}), **dated}) as writer:
        windows = list(stack.windows())
        blocks = read_ahead(stack.read, windows, min(MOST_THREADS, cores()))
        for window, (values, masks) in zip(windows, blocks, strict=True):
            valid = np.all(masks, axis=0)
            writer.write(values, window, valid)
            pixels = int(stack.inside(window).sum())
            for band, layer, band_mask in zip(statistics, values, masks, strict=True):
                band.pixels += pixels
                band.declared_nodata += pixels - int(band_mask.sum())
                band.add(layer[valid])
            done += int(window.width * window.height)
            progress.update(done / (stack.grid.width * stack.grid.height))
        _require_valid(statistics)
        for index, (band, told) in enumerate(zip(statistics, stack.tags, strict=True), start=1):
            writer.tag_band(index, band.tags() | told)
            source, band_mask = stack.source_of(band.name)
            if source.scaling[band_mask].unit:
                writer.set_unit(index, source.scaling[band_mask].unit)
    progress.message(table(statistics))
    classes = [band for band, tags in zip(stack.bands, stack.tags, strict=True) if tags == THEMATIC]
    if classes:
        progress.message(
            f"{', '.join(classes)}: classes by their colour table or class names, kept as values "
            "and read nearest. For one 0/1 band a class, run Lithology or land cover classes first."
        )
    return statistics


def class_band(name: str, value: int, label: str) -> str:
    """Return the name of the 0/1 band of a class: `lithology_old_granite` for "Old granite"."""
    slug = re.sub(r"\W+", "_", label.lower()).strip("_")
    return f"{name}_{slug or value}"


@dataclass(frozen=True, kw_only=True)
class _Band:
    """A band of the stack: a band of a view, or whether that band holds one class's value."""

    name: str
    view: Source
    source_band: str
    value: int | None = None
    tags: dict[str, str] = field(default_factory=dict)


def _bands_of(
    layer: Source, grid: Grid, resampling: str, sensor: str, opened: ExitStack
) -> Iterator[_Band]:
    """Yield the stack's bands that a layer gives, classes with our own names as one band each."""
    names = dict(zip(layer.bands, layer_names(layer, sensor), strict=True))
    require_metres(layer, list(names.values()))
    views: dict[str, Source] = {}
    for native, name in names.items():
        method = "nearest" if is_direction(name) else resampling
        if method not in views:
            views[method] = opened.enter_context(layer.on(grid, method))
        classes = {} if layer.is_ordinal(native) else layer.class_names(native)
        if not classes:
            yield _Band(
                name=name, view=views[method], source_band=native, tags=layer.kind_tags(native)
            )
        for value, label in sorted(classes.items()):
            tags = {"CLASS_OF": name, "CLASS_NAME": label}
            yield _Band(
                name=class_band(name, value, label),
                view=views[method],
                source_band=native,
                value=value,
                tags=tags,
            )


def _cut(grid: Grid, polygons: gpd.GeoSeries) -> Grid:
    """Return the part of a grid that holds the polygons, whole pixels.

    Raises:
        GridError: they lie outside.
    """
    left, bottom, right, top = polygons.total_bounds
    first, last = grid.pixel(left, top), grid.pixel(right, bottom)
    columns = max(math.floor(first[0]), 0), min(math.ceil(last[0]), grid.width)
    rows = max(math.floor(first[1]), 0), min(math.ceil(last[1]), grid.height)
    if columns[0] >= columns[1] or rows[0] >= rows[1]:
        raise GridError(
            f"The area (x {left:.8g} to {right:.8g}, y {bottom:.8g} to {top:.8g}) does not overlap "
            f"the reference ({grid.describe()}): check its CRS and extent."
        )
    window = Window(columns[0], rows[0], columns[1] - columns[0], rows[1] - rows[0])
    return Grid(grid.crs, grid.window_transform(window), int(window.width), int(window.height))


def _require_valid(statistics: Sequence[BandStatistics]) -> None:
    if statistics[0].pixels == 0:
        raise InputError(
            "The area holds no pixel's centre: draw it larger or choose a finer reference."
        )
    for band in statistics:
        if band.declared_nodata == band.pixels:
            raise InputError(
                f"The layer {band.source} (band {band.name}) has no valid pixel within the stack: "
                "check its nodata value, or leave it out."
            )
    if statistics[0].count == 0:
        told = (f"{band.name} {100 * band.nodata_fraction:.0f} %" for band in statistics)
        raise InputError(
            f"No pixel is valid in all bands at once (nodata: {', '.join(told)}): leave out the "
            "layer that has most."
        )
