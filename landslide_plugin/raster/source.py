"""Reading rasters: named bands, one validity rule, any window, any grid."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from ..contract.errors import GridError, InputError
from .declared import Scaling, band_numbers, file_of, scaling_of
from .grid import Grid, require_grids_overlap, require_north_up, require_on_earth
from .kinds import LEVELS, THEMATIC, Kind, is_direction, kinds_of, named_classes, tags_of_kind
from .mosaic import open_image
from .validity import UNDECLARED_FILL, valid_by_nodata
from .virtual import damaged_part, document_of, reopen
from .warped import Warp

if TYPE_CHECKING:
    from .fill import Fill


class Source:
    """An open raster whose windows are read as float32 with a validity mask.

    Threads may read at once: GDAL is asked by one after the other, what follows is side by side.

    Attributes:
        grid: its grid.
        bands: the names of its bands (the alpha band is no band), made unique.
        path: where it was opened.
        file: what the user knows it as, whose names may tell bands, sensor and day: the path, but
            for a VRT that QGIS was asked to lay over a file.
        dataset: what rasterio opened, also where this is a view of it on another grid.
        scaling: of each band, as the file declares it; what is changed here counts in each read,
            and in those of this raster's views on other grids.
        fill: what counts as nodata without being declared, if any; see
            `undeclared.mark_fill`.
    """

    def __init__(
        self,
        dataset: DatasetReader,
        path: str,
        numbers: Mapping[str, int],
        zero_is_data: bool = False,
    ) -> None:
        self.dataset = dataset
        self.path = path
        self.file = file_of(dataset) or path
        self.bands = list(numbers)
        self.grid = Grid.of(dataset)
        self.fill: Fill | None = None
        self._numbers = numbers
        self.scaling = scaling_of(dataset, numbers)
        self._zero_is_data = zero_is_data
        self._turn = Lock()
        roles = dataset.colorinterp
        self._alpha = roles.index(ColorInterp.alpha) + 1 if ColorInterp.alpha in roles else 0

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        what: str = "raster",
        need_crs: bool = True,
        zero_is_data: bool = False,
        document: str = "",
    ) -> "Source":
        """Open a raster.

        Args:
            path: file path or GDAL dataset name, or what names many files; see `tiles_of`.
            what: the raster's role in messages, such as "DEM".
            need_crs: False for plain image tiles.
            zero_is_data: whether 0 is a value even where the file declares it as nodata, as masks
                of landslides often do: all around the landslides would else be unknown.
            document: of a raster that was opened before, by which it is the same one, whatever a
                folder or a server would name today; see `virtual.document_of`.

        Raises:
            InputError: missing, no raster or damaged, or files that make no one image.
            GridError: no CRS, not north-up, or files on several grids.
        """
        name = str(path)
        dataset = reopen(document) if document else open_image(name, what)
        if need_crs:
            if dataset.crs is None:
                by_points = bool(dataset.gcps[0] or dataset.rpcs)
                dataset.close()
                raise GridError(
                    f"The {what} {name} is tied to the ground by control points or RPCs, not by a "
                    "grid: warp it first (gdalwarp -t_srs)."
                    if by_points
                    else f"The {what} {name} has no CRS: assign its projection first."
                )
            require_north_up(dataset.transform, f"The {what} {name}")
            require_on_earth(Grid.of(dataset), f"The {what} {name}")
        return cls(dataset, name, band_numbers(dataset), zero_is_data=zero_is_data)

    def again(self) -> "Source":
        """Open this raster once more, for a thread that reads beside others, as it is stored.

        Raises:
            InputError: it is gone or damaged by now.
        """
        document = document_of(self.dataset)
        dataset = reopen(document) if document else open_image(self.path)
        return Source(dataset, self.path, self._numbers, self._zero_is_data)

    def on(self, grid: Grid, resampling: str = "bilinear") -> "Source":
        """Return this raster as it looks on another grid, resampled as it is read.

        A pixel is valid in a band where those that it is made of are, by half of their weight at
        least, and its value is made of these alone; see `Warp`.

        Args:
            grid: the grid to read on.
            resampling: "nearest", "bilinear", "cubic" or "average".

        Returns:
            This source when the grids are the same, else a view of it, which ends with it.

        Raises:
            GridError: the two don't overlap.
        """
        if self.grid.same_as(grid):
            return self
        require_grids_overlap(self.grid, self.path, grid)
        return _View(self, grid, resampling)

    def read(
        self, window: Window | None = None, bands: Sequence[str] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read a window, which may reach over the raster's edge.

        Args:
            window: pixels to read; the whole raster when None.
            bands: names of the bands wanted, in the order wanted; all when None.

        Returns:
            Values, float32, (bands, rows, columns), by `scaling` (as the file declares it and QGIS
            shows them, unless it was changed), 0 where invalid; and validity, bool, same shape:
            False outside the raster, at nodata, masked, transparent, NaN and undeclared -3.4e38
            pixels.

        Raises:
            InputError: a band is not there, or the file is damaged.
        """
        window = window or Window(0, 0, self.grid.width, self.grid.height)
        bands = self.bands if bands is None else bands
        self._indexes(bands)  # all there, wherever the window lies
        shape = (len(bands), int(window.height), int(window.width))
        row, col = int(window.row_off), int(window.col_off)
        top, left = max(row, 0), max(col, 0)
        bottom = min(row + shape[1], self.grid.height)
        right = min(col + shape[2], self.grid.width)
        if top >= bottom or left >= right:
            return np.zeros(shape, np.float32), np.zeros(shape, bool)
        inside = Window(left, top, right - left, bottom - top)
        part = (slice(None), slice(top - row, bottom - row), slice(left - col, right - col))
        read, mask = self._read(inside, bands, lambda layers: layers)
        if read.shape == shape:
            return read, mask
        values, valid = np.zeros(shape, np.float32), np.zeros(shape, bool)
        values[part], valid[part] = read, mask
        return values, valid

    def read_some(
        self, window: Window, bands: Sequence[str], choose: Callable[[NDArray[Any]], NDArray[Any]]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read some pixels of a window inside the raster, faster than all where they are few.

        Args:
            window: where they lie.
            bands: names of the bands wanted.
            choose: takes (bands, rows, columns), returns what is wanted of them, bands first.

        Returns:
            As `read`, of the shape that was chosen.

        Raises:
            InputError: see `read`.
        """
        return self._read(window, bands, choose)

    def _read(
        self, inside: Window, bands: Sequence[str], choose: Callable[[NDArray[Any]], NDArray[Any]]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return values and validity of what is chosen of (bands, rows, columns)."""
        stored = self.read_stored(inside, self._indexes(bands), choose)
        return self.understood(*stored, inside, bands, choose)

    def understood(
        self,
        read: NDArray[np.float32],
        mask: NDArray[np.bool_],
        inside: Window,
        bands: Sequence[str],
        choose: Callable[[NDArray[Any]], NDArray[Any]],
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return what `read_some` makes of what `read_stored` gave, in the same arrays.

        Args:
            read: values as they are stored.
            mask: their validity.
            inside: pixels of the raster.
            bands: names of the bands.
            choose: what they were chosen by.
        """
        if self.fill:
            mask &= ~self.fill.of(read, self._indexes(bands), inside, choose)
        for values, band in zip(read, bands, strict=True):
            scaling = self.scaling[band]
            if (scaling.scale, scaling.offset) != (1, 0):
                values *= scaling.scale
                values += scaling.offset
        if not mask.all():
            np.copyto(read, 0, where=~mask)
        return read, mask

    def read_stored(
        self,
        inside: Window,
        indexes: Sequence[int],
        choose: Callable[[NDArray[Any]], NDArray[Any]] = lambda layers: layers,
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read a window as it is stored: without scale and offset, undeclared fill valid.

        Args:
            inside: pixels of the raster.
            indexes: GDAL's numbers of the bands.
            choose: takes (bands, rows, columns), returns what is wanted of them.

        Returns:
            Values, float32, anything where invalid; and validity, bool, same shape.

        Raises:
            InputError: the file is damaged.
        """
        with self._turn:
            try:
                read = choose(self._values(indexes, inside))
                mask = valid_by_nodata(self.dataset, read, indexes)
                if mask is None:
                    mask = choose(self.dataset.read_masks(indexes, window=inside)) > 0
                for values, band_mask, index in zip(read, mask, indexes, strict=True):
                    if self._zero_is_data and self.dataset.nodatavals[index - 1] == 0:
                        band_mask |= values == 0
                if self._alpha:  # GDAL's masks know alpha in files of 2 or 4 bands only
                    mask &= choose(self.dataset.read([self._alpha], window=inside)) > 0
            except (RasterioError, OSError) as error:
                top, bottom = int(inside.row_off), int(inside.row_off + inside.height)
                raise InputError(
                    f"{self.path} can't be read at rows {top} to {bottom}: "
                    f"{damaged_part(self.dataset, error)}"
                ) from error
        for values, band_mask in zip(read, mask, strict=True):
            band_mask &= np.abs(values) < UNDECLARED_FILL  # False for NaN too
        return read, mask

    def _values(self, indexes: Sequence[int], inside: Window) -> NDArray[np.float32]:
        """Return what the bands hold, which may be of different types; rasterio wants one."""
        types = {self.dataset.dtypes[index - 1] for index in indexes}
        groups = [list(indexes)] if len(types) == 1 else [[index] for index in indexes]
        read = [self.dataset.read(group, window=inside, out_dtype="float32") for group in groups]
        return read[0] if len(read) == 1 else np.concatenate(read)

    def _indexes(self, bands: Sequence[str]) -> list[int]:
        return [self.index_of(band) for band in bands]

    def index_of(self, band: str) -> int:
        """Return GDAL's number of a band, from 1.

        Raises:
            InputError: no band has that name; the message lists those there are.
        """
        if band not in self._numbers:
            raise InputError(
                f"{self.path} has no band named {band}; it has: {', '.join(self.bands)}."
            )
        return self._numbers[band]

    def class_names(self, band: str) -> dict[int, str]:
        """Return the names that the project's own tags give a categorical band's classes."""
        return named_classes(self.dataset.tags(self.index_of(band)))

    def all_class_names(self, band: str) -> dict[int, str]:
        """Return the names of a band's classes by its own tags, else by GDAL's or Esri's tables."""
        return self._kind(band).names | self.class_names(band)

    def is_classes(self, band: str) -> bool:
        """Return whether a band is known to hold classes, of whatever order or as 0 and 1."""
        return bool(
            self._kind(band).is_classes or self.class_names(band) or self.class_of(band) is not None
        )

    def add_zeros(self, band: str, like: str) -> None:
        """Give it a band that is 0 wherever another one is valid, as of a class that is nowhere."""
        self._numbers = {**self._numbers, band: self.index_of(like)}
        self.scaling[band] = Scaling(0.0, 0.0)
        self.bands.append(band)

    def is_ordinal(self, band: str) -> bool:
        """Return whether a categorical band's values are levels, whose order says something."""
        return bool(self.dataset.tags(self.index_of(band)).get("ordinal") == "yes")

    def unit_of(self, band: str) -> str:
        """Return what a band's values count in, as they are read; "" where nothing tells."""
        return LEVELS if self.is_ordinal(band) else self.scaling[band].unit

    def class_of(self, band: str) -> tuple[str, str] | None:
        """Return the factor and the class that a stack's 0/1 band stands for; None for others."""
        tags = self.dataset.tags(self.index_of(band))
        return (tags["CLASS_OF"], tags["CLASS_NAME"]) if "CLASS_OF" in tags else None

    def kind_tags(self, band: str) -> dict[str, str]:
        """Return the metadata items by which a copy of a band of classes is known as such."""
        declared = tags_of_kind(self.dataset.tags(self.index_of(band)))
        return declared or (THEMATIC if self.is_classes(band) else {})

    @cached_property
    def _kinds(self) -> dict[int, Kind]:
        return kinds_of(self.dataset)

    def _kind(self, band: str) -> Kind:
        return self._kinds.get(self.index_of(band), Kind())

    def close(self) -> None:
        """Close the dataset."""
        self.dataset.close()

    def __enter__(self) -> "Source":
        """Return the source."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the dataset."""
        self.close()


class _View(Source):
    """A raster as it looks on another grid.

    Args:
        source: the raster.
        grid: the other grid.
        resampling: how bands are resampled but those of classes and directions, which are nearest.
    """

    def __init__(self, source: Source, grid: Grid, resampling: str) -> None:
        super().__init__(source.dataset, source.path, source._numbers)
        self.grid = grid
        self.scaling = source.scaling
        self._source = source
        self._warp = Warp(source.grid, grid)
        self._methods = {
            band: "nearest" if source.is_classes(band) or is_direction(band) else resampling
            for band in self.bands
        }

    def close(self) -> None:
        """Do nothing: the raster is closed by whoever opened it."""

    def _read(
        self, inside: Window, bands: Sequence[str], choose: Callable[[NDArray[Any]], NDArray[Any]]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        values, valid = self._looked_at(inside, bands)
        return choose(values), choose(valid)

    def _looked_at(
        self, window: Window, bands: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return a window within the grid, as `read`."""
        if self._warp.offset is not None:
            left, top = window.col_off + self._warp.offset[0], window.row_off + self._warp.offset[1]
            return self._source.read(Window(left, top, window.width, window.height), bands)
        shape = (len(bands), int(window.height), int(window.width))
        values, valid = np.zeros(shape, np.float32), np.zeros(shape, bool)
        for method in {self._methods[band] for band in bands}:
            indices = [index for index, band in enumerate(bands) if self._methods[band] == method]
            read = partial(self._source.read, bands=[bands[index] for index in indices])
            values[indices], valid[indices] = self._warp.read(read, window, len(indices), method)
        return values, valid
