"""Files that public data sets keep their tiles in: images, GeoTIFF, .npy and .h5."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

from ..contract.errors import InputError, MissingPackageError
from ..raster.source import Source
from ..raster.validity import UNDECLARED_FILL

RASTERS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
HDF5 = (".h5", ".hdf5")
SUFFIXES = (*RASTERS, ".npy", *HDF5)

_DATASETS = {
    "image": ("img", "image", "images", "data"),
    "mask": ("mask", "masks", "label", "labels", "gt"),
}
"""Names that images and masks have in HDF5 files; the first are Landslide4Sense's."""


@dataclass(frozen=True, kw_only=True)
class TileHeader:
    """What a tile's file says before its pixels are read.

    Attributes:
        bands: their number.
        shape: rows and columns.
        numbers: what kind they are: "bytes", larger "whole numbers" or "decimal numbers".
        crs: None where it has no georeference.
        transform: of the pixels; the identity without georeference.
        resolution: metres a pixel; None without CRS.
    """

    bands: int
    shape: tuple[int, int]
    numbers: str
    crs: CRS | None = None
    transform: Affine = Affine.identity()  # noqa: RUF009  an Affine can't be changed
    resolution: float | None = None


def read_header(path: Path, what: str, bands: int) -> TileHeader:
    """Return what a tile's file says of itself.

    Args:
        path: the file.
        what: "image" or "mask".
        bands: how many there should be; tells which axis of an array holds them.

    Raises:
        InputError: damaged, of another kind, or an image with a palette.
    """
    if path.suffix.lower() in RASTERS:
        with open_tile(path, what) as source:
            if what == "image" and ColorInterp.palette in source.dataset.colorinterp:
                raise InputError(
                    f"The image {path} holds numbers of colours in a palette: save it in red, "
                    "green and blue (pct2rgb.py of GDAL does so)."
                )
            crs = source.grid.crs
            return TileHeader(
                bands=len(source.bands),
                shape=source.grid.shape,
                numbers=_numbers(source.dataset.dtypes[0], _is_scaled(source)),
                crs=crs,
                transform=source.grid.transform,
                resolution=source.grid.resolution if crs else None,
            )
    with open_array(path, what) as array:
        shape = _bands_first(array.shape, bands)
        return TileHeader(bands=shape[0], shape=(shape[1], shape[2]), numbers=_numbers(array.dtype))


def read_tile(path: Path, what: str, bands: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read a tile; masks are read by `masks.read_mask`.

    Args:
        path: the file.
        what: "image" or "mask".
        bands: number of bands.

    Returns:
        Values, (bands, rows, columns), uint8 as it comes or else float32, and validity, alike.

    Raises:
        InputError: damaged, or of another kind.
    """
    if path.suffix.lower() in RASTERS:
        with open_tile(path, what) as source:
            values, valid = source.read()
            is_byte = source.dataset.dtypes[0] == "uint8" and not _is_scaled(source)
        return (values.astype(np.uint8) if is_byte else values), valid
    with open_array(path, what) as array:
        read = np.asarray(array)
        if read.ndim == 2:
            read = read[np.newaxis]
        elif _bands_first(read.shape, bands) != read.shape:
            read = read.transpose(2, 0, 1)
    if read.dtype in (np.uint8, np.bool_):
        return read.astype(np.uint8), np.ones(read.shape, bool)
    with np.errstate(over="ignore"):
        values = read.astype(np.float32)
    valid = np.abs(values) < UNDECLARED_FILL  # False for NaN too
    return np.where(valid, values, 0).astype(np.float32), valid


def _is_scaled(source: Source) -> bool:
    """Whether a tile's file declares a scale or an offset of its numbers."""
    return any((one.scale, one.offset) != (1, 0) for one in source.scaling.values())


def _numbers(kind: Any, scaled: bool = False) -> str:
    """Return what kind of numbers a type holds; see `TileHeader`."""
    kind = np.dtype(kind)
    if scaled or kind.kind == "f":
        return "decimal numbers"
    return "bytes" if kind.itemsize == 1 else "whole numbers"


def _bands_first(shape: tuple[int, ...], bands: int) -> tuple[int, ...]:
    """Return bands, rows and columns of an array that may have its bands last."""
    if len(shape) == 2:
        return 1, *shape
    if shape[2] == bands or (shape[0] != bands and shape[2] < min(shape[:2])):
        return shape[2], shape[0], shape[1]
    return shape


def open_tile(path: Path, what: str) -> Source:
    """Open a tile, which may well have no georeference."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return Source.open(path, what=what, need_crs=False)


@contextmanager
def open_array(path: Path, what: str) -> Iterator[Any]:
    """Yield the array in a file, not yet read."""
    try:
        if path.suffix.lower() in HDF5:
            with _hdf5(path, what) as array:
                yield _checked(array, path, what)
        else:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            yield _checked(array, path, what)
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise InputError(
            f"The {what} {path} is not an array file that can be read: it is damaged or of another "
            "kind."
        ) from error


@contextmanager
def _hdf5(path: Path, what: str) -> Iterator[Any]:
    try:
        import h5py
    except ImportError as error:
        raise MissingPackageError(
            f"{path} needs the package h5py, which the engine lacks: run Set up the engine again."
        ) from error
    with h5py.File(path, "r") as file:
        names = [name for name in file if isinstance(file[name], h5py.Dataset)]
        usual = [name for name in _DATASETS[what] if name in names]
        if not usual and len(names) != 1:
            raise InputError(
                f"{path} holds no {what}: one of its datasets ({', '.join(names) or 'none'}) must "
                f"be called {' or '.join(_DATASETS[what])}."
            )
        yield file[(usual or names)[0]]


def _checked(array: Any, path: Path, what: str) -> Any:
    if len(array.shape) not in (2, 3) or 0 in array.shape or array.dtype.kind not in "biuf":
        raise InputError(
            f"The {what} {path} is an array of {array.dtype} of shape {tuple(array.shape)}: a tile "
            "must hold numbers in rows and columns, and bands first or last."
        )
    return array
