"""Reading rasters: named bands, one validity rule, any window, any grid."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from ..errors import GridError, InputError
from .grid import Grid, require_north_up

UNDECLARED_FILL = 1e30
"""Values beyond this size are fill, declared or not (GDAL's and Esri's -3.4e38).

Far below that, so that what resampling mixes from fill and data is fill too.
"""

_COLOURS = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


@dataclass(frozen=True)
class Scaling:
    """What a band's stored numbers are multiplied by, what is added then, and the unit they get."""

    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""


class Source:
    """An open raster whose windows are read as float32 with a validity mask.

    Attributes:
        grid: its grid.
        bands: the names of its bands (the alpha band is no band), made unique.
        path: where it was opened.
        dataset: what rasterio opened.
        original: the dataset of the file itself, where `dataset` is a warped view of it.
        scaling: of each band, as the file declares it; what is changed here counts in each read,
            and in those of this raster's views on other grids.
    """

    def __init__(
        self,
        dataset: DatasetReader | WarpedVRT,
        path: str,
        numbers: Mapping[str, int],
        original: DatasetReader | None = None,
        zero_is_data: bool = False,
    ) -> None:
        self.dataset = dataset
        self.path = path
        self.bands = list(numbers)
        self.grid = Grid.of(dataset)
        self.original = original or dataset
        self._numbers = numbers
        self.scaling = _declared(self.original, numbers)
        self._zero_is_data = zero_is_data
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
    ) -> "Source":
        """Open a raster.

        Args:
            path: file path or GDAL dataset name.
            what: the raster's role in messages, such as "DEM".
            need_crs: False for plain image tiles.
            zero_is_data: whether 0 is a value even where the file declares it as nodata, as masks
                of landslides often do: all around the landslides would else be unknown.

        Raises:
            InputError: missing, no raster or damaged.
            GridError: no CRS, or not north-up.
        """
        name = str(path)
        try:
            dataset = rasterio.open(name)
        except RasterioIOError as error:
            raise InputError(_why_unreadable(name, what)) from error
        if dataset.count == 0:
            dataset.close()
            raise InputError(f"The {what} {name} holds no band: choose one of its subdatasets.")
        if need_crs:
            if dataset.crs is None:
                dataset.close()
                raise GridError(f"The {what} {name} has no CRS: assign its projection first.")
            require_north_up(dataset.transform, f"The {what} {name}")
        return cls(dataset, name, _band_numbers(dataset), zero_is_data=zero_is_data)

    @property
    def _keeps_zero(self) -> bool:
        """Whether 0 is declared as nodata but is a value."""
        return self._zero_is_data and self.dataset.nodata == 0

    def on(self, grid: Grid, resampling: str = "bilinear") -> "Source":
        """Return this raster as it looks on another grid, warped as it is read.

        Args:
            grid: the grid to read on.
            resampling: "bilinear" for continuous bands, "nearest" for classes.

        Returns:
            This source when the grids are the same, else one over a warped view.

        Raises:
            GridError: the two don't overlap.
        """
        if self.grid.same_as(grid):
            return self
        require_overlap(self.grid, self.path, grid)
        options: dict[str, Any] = {}
        if not self._alpha:  # what is outside becomes fill
            fill = float(np.finfo(np.float32).min)
            declared = None if self._keeps_zero else self.dataset.nodata
            options = {
                "src_nodata": fill if declared is None else declared,
                "nodata": fill,
                "dtype": "float32",  # whole numbers too are interpolated, not rounded
            }
        view = WarpedVRT(
            self.dataset,
            crs=grid.crs,
            transform=grid.transform,
            width=grid.width,
            height=grid.height,
            resampling=Resampling[resampling],
            **options,
        )
        there = Source(view, self.path, self._numbers, self.original, self._zero_is_data)
        there.scaling = self.scaling
        return there

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
        indexes = [self.index_of(band) for band in (self.bands if bands is None else bands)]
        shape = (len(indexes), int(window.height), int(window.width))
        row, col = int(window.row_off), int(window.col_off)
        top, left = max(row, 0), max(col, 0)
        bottom = min(row + shape[1], self.grid.height)
        right = min(col + shape[2], self.grid.width)
        if top >= bottom or left >= right:
            return np.zeros(shape, np.float32), np.zeros(shape, bool)
        inside = Window(left, top, right - left, bottom - top)
        part = (slice(None), slice(top - row, bottom - row), slice(left - col, right - col))
        read, mask = self._read(inside, indexes, lambda layers: layers)
        if read.shape == shape:
            return read, mask
        values, valid = np.zeros(shape, np.float32), np.zeros(shape, bool)
        values[part], valid[part] = read, mask
        return values, valid

    def read_pixels(
        self, window: Window, band: str, pixels: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read some pixels of a window inside the raster, faster than all where they are few.

        Args:
            window: where they lie.
            band: name of the band wanted.
            pixels: index of each in the flattened window, (n,).

        Returns:
            As `read`, both (n,).

        Raises:
            InputError: see `read`.
        """

        def choose(layers: NDArray[Any]) -> NDArray[Any]:
            return layers.reshape(1, -1)[:, pixels]

        (values,), (valid,) = self._read(window, [self.index_of(band)], choose)
        return values, valid

    def _read(
        self, inside: Window, indexes: Sequence[int], choose: Callable[[NDArray[Any]], NDArray[Any]]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return values and validity of what is chosen of (bands, rows, columns)."""
        try:
            read = choose(self.dataset.read(indexes, window=inside, out_dtype="float32"))
            mask = self._known_by_nodata(read, indexes)
            if mask is None:
                mask = choose(self.dataset.read_masks(indexes, window=inside)) > 0
            if self._keeps_zero:
                mask |= read == 0
            if self._alpha:  # GDAL's masks know alpha in files of 2 or 4 bands only
                mask &= choose(self.dataset.read([self._alpha], window=inside)) > 0
        except (RasterioError, OSError) as error:
            top, bottom = int(inside.row_off), int(inside.row_off + inside.height)
            raise InputError(
                f"{self.path} can't be read at rows {top} to {bottom}: the file is damaged."
            ) from error
        for values, known in zip(read, mask, strict=True):
            known &= np.abs(values) < UNDECLARED_FILL  # False for NaN too
        scalings = {number: self.scaling[name] for name, number in self._numbers.items()}
        for band, index in zip(read, indexes, strict=True):
            scaling = scalings[index]
            if (scaling.scale, scaling.offset) != (1, 0):
                band *= scaling.scale
                band += scaling.offset
        if not mask.all():
            np.copyto(read, 0, where=~mask)
        return read, mask

    def _known_by_nodata(
        self, read: NDArray[np.float32], indexes: Sequence[int]
    ) -> NDArray[np.bool_] | None:
        """Return what GDAL's masks say, without their help, which is slow; None for other kinds.

        These are bands without masks, and those of single precision with nodata, which GDAL reads
        again. It is done here as GDAL does it: what is nodata but for rounding is nodata.

        Args:
            read: what was read, the first axis that of the bands.
            indexes: GDAL's numbers of the bands.
        """
        flags, types = self.dataset.mask_flag_enums, self.dataset.dtypes
        if all(flags[i - 1] == [MaskFlags.all_valid] for i in indexes):
            return np.ones(read.shape, bool)
        if any(flags[i - 1] != [MaskFlags.nodata] or types[i - 1] != "float32" for i in indexes):
            return None
        known = np.ones(read.shape, bool)
        for values, one, index in zip(read, known, indexes, strict=True):
            nodata = np.float32(self.dataset.nodatavals[index - 1])
            if abs(nodata) < UNDECLARED_FILL:  # else no value anyway
                rounding = 4 * np.finfo(np.float32).eps * abs(nodata)
                np.less(values, nodata - rounding, out=one)
                one |= values > nodata + rounding
        return known

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
        """Return the names of a categorical band's classes; empty for a continuous band."""
        tags = self.dataset.tags(self.index_of(band))
        prefix = "class_"
        return {
            int(key[len(prefix) :]): value
            for key, value in sorted(tags.items())
            if key.startswith(prefix) and key[len(prefix) :].lstrip("-").isdigit()
        }

    def is_ordinal(self, band: str) -> bool:
        """Return whether a categorical band's values are levels, whose order says something."""
        return bool(self.dataset.tags(self.index_of(band)).get("ordinal") == "yes")

    def class_of(self, band: str) -> tuple[str, str] | None:
        """Return the factor and the class that a stack's 0/1 band stands for; None for others."""
        tags = self.dataset.tags(self.index_of(band))
        return (tags["CLASS_OF"], tags["CLASS_NAME"]) if "CLASS_OF" in tags else None

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


def require_overlap(grid: Grid, name: str, reference: Grid) -> None:
    """Refuse layers that lie apart.

    Raises:
        GridError: they do; the message says where each lies.
    """
    bounds = grid.bounds_in(reference.crs)
    if bounds is None:
        raise GridError(
            f"{name} ({grid.describe()}) can't be brought to {reference.describe()}: check its CRS."
        )
    left, bottom, right, top = reference.bounds
    beside = bounds[0] <= bounds[2] and (bounds[0] >= right or bounds[2] <= left)
    if beside or bounds[1] >= top or bounds[3] <= bottom:
        raise GridError(
            f"{name} ({grid.describe()}) does not overlap the reference ({reference.describe()}): "
            "check its CRS and extent."
        )


def unique_names(names: Sequence[str]) -> list[str]:
    """Return the names with repeated ones numbered: b, b_2, b_3."""
    taken = set(names)
    result: list[str] = []
    for place, name in enumerate(names):
        unique = name
        if name in names[:place]:
            unique = next(f"{name}_{n}" for n in count(2) if f"{name}_{n}" not in taken)
        taken.add(unique)
        result.append(unique)
    return result


def _band_numbers(dataset: DatasetReader) -> dict[str, int]:
    """Return GDAL's numbers of the bands but alpha, by description, else colour, else band_N."""
    numbers, names = [], []
    for number, description, role in zip(
        dataset.indexes, dataset.descriptions, dataset.colorinterp, strict=True
    ):
        if role != ColorInterp.alpha:
            named = description or (role.name if role in _COLOURS else f"band_{number}")
            numbers.append(number)
            names.append(named.strip())
    return dict(zip(unique_names(names), numbers, strict=True))


def _declared(dataset: DatasetReader, numbers: Mapping[str, int]) -> dict[str, Scaling]:
    """Return what a file declares of its bands' scale, offset and unit."""
    scales, offsets, units = dataset.scales, dataset.offsets, dataset.units
    return {
        band: Scaling(scales[number - 1], offsets[number - 1], units[number - 1] or "")
        for band, number in numbers.items()
    }


def _why_unreadable(name: str, what: str) -> str:
    if "://" not in name and not name.startswith("/vsi") and not Path(name).exists():
        return f"The {what} {name} does not exist: check the path."
    return f"The {what} {name} is not a raster that can be read: it is damaged or of another kind."
