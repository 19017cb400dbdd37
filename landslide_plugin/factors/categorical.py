"""Classes such as lithology or land cover, from polygons with a field or from a class raster."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.windows import Window
from shapely import box

from ..contract.errors import InputError
from ..core.progress import Progress
from ..raster import Grid, Source
from ..raster.writer import NODATA

DTYPE = "int16"
MOST_CLASSES = 1000
"""More values than this are no classes: a DEM taken for a class raster, say."""

LEAST, LARGEST = -32767, 2**24
"""Values of class rasters: -32768 mostly stands for nothing, and beyond 2**24 float32 has gaps."""

MOST_BANDS = 100
"""Classes that may have a band each."""

_BLOCK_MEGABYTES = 32.0

Blocks = Iterator[tuple[Window, NDArray[np.int16], NDArray[np.bool_]]]
"""Full-width windows with class codes and validity, (rows, columns)."""


def cleaned(values: pd.Series, field: str) -> pd.Series:
    """Return the values of a field with texts' blanks made one each; null where nothing is left.

    Raises:
        InputError: they are lists.
    """
    if values.map(lambda value: isinstance(value, list | dict | np.ndarray)).any():
        raise InputError(f"The field {field} holds lists, no classes: choose another field.")
    return values.map(
        lambda value: " ".join(value.split()) or None if isinstance(value, str) else value
    )


def encode(
    values: pd.Series, field: str, progress: Progress | None = None
) -> tuple[NDArray[np.int16], dict[int, str]]:
    """Give every value of a field a class code.

    Whole numbers that fit int16 keep their value; all else gets 1..n in sorted order. Texts that
    differ in capitals or blanks alone are one class.

    Args:
        values: without nulls.
        field: its name, for the message.
        progress: told which spellings are one class.

    Returns:
        Codes, int16, one a value; and the name of every code.

    Raises:
        InputError: more than `MOST_CLASSES` values, or lists.
    """
    values = cleaned(values, field)
    distinct = sorted(values.unique())
    if len(distinct) > MOST_CLASSES:
        raise InputError(
            f"The field {field} has {len(distinct)} different values, more than {MOST_CLASSES}: "
            "choose a field of classes."
        )
    if all(_is_code(value) for value in distinct):
        return values.to_numpy().astype(np.int16), {int(v): str(int(v)) for v in distinct}
    if all(isinstance(one, float) and one.is_integer() and abs(one) < 2**53 for one in distinct):
        # As whole numbers are read where another polygon has none: 70001.0 is called 70001.
        values, distinct = values.astype(np.int64), [int(value) for value in distinct]
    spellings: dict[object, list[object]] = {}
    for value in distinct:
        key = value.casefold() if isinstance(value, str) else value
        spellings.setdefault(key, []).append(value)
    _tell_alike(spellings.values(), progress)
    codes = {value: code for code, alike in enumerate(spellings.values(), 1) for value in alike}
    names = {code: str(alike[0]) for code, alike in enumerate(spellings.values(), 1)}
    return values.map(codes).to_numpy(np.int16), names


def stream_polygons(
    polygons: gpd.GeoDataFrame, codes: NDArray[np.int16], grid: Grid, bands: int = 1
) -> Blocks:
    """Yield the class at each pixel centre; of polygons that overlap the last one counts.

    Args:
        polygons: in the grid's CRS.
        codes: one a polygon.
        grid: the output's grid.
        bands: how many the output has, for blocks that fit in memory.
    """
    shapes, outside = polygons.geometry.array, NODATA[DTYPE]
    for window in grid.row_blocks(grid.rows_within(_BLOCK_MEGABYTES, bands)):
        here = Grid(grid.crs, grid.window_transform(window), int(window.width), int(window.height))
        touching = np.sort(polygons.sindex.query(box(*here.bounds)))
        pairs = list(zip(shapes[touching], codes[touching].tolist(), strict=True))
        burnt = np.full(here.shape, outside, np.int16)
        if pairs:
            rasterize(pairs, out=burnt, transform=here.transform)
        yield window, burnt, burnt != outside


def stream_raster(source: Source, codes: Mapping[int, int], bands: int = 1) -> Blocks:
    """Yield the class codes of a class raster's first band.

    Args:
        source: on the output's grid, read nearest.
        codes: of each value that occurs in it; see `raster_classes`.
        bands: how many the output has, for blocks that fit in memory.
    """
    occurring = np.array(sorted(codes), np.float32)
    of_each = np.array([codes[value] for value in sorted(codes)], np.int16)
    for window, values, valid in _blocks(source, bands):
        yield (
            window,
            of_each[np.searchsorted(occurring, np.where(valid, values, occurring[0]))],
            valid,
        )


def raster_classes(
    source: Source, original: str, progress: Progress | None = None
) -> tuple[dict[int, int], dict[int, str]]:
    """Return the classes that occur in a class raster: codes of their values, names of the codes.

    Values that fit int16 are their codes; else all get 1..n in their order. Names are those of the
    band's `class_<value>` tags, else GDAL's category names or those of an attribute table, else the
    values themselves. Values of one name are one class, as where each polygon has a value of its
    own, and so are those whose names differ in capitals or blanks alone: of the lowest value.

    Args:
        source: see `stream_raster`.
        original: path of the raster, for messages.
        progress: told which spellings are one class.

    Raises:
        InputError: values that are not whole, or beyond `LEAST` and `LARGEST`, more than
            `MOST_CLASSES`, or no valid pixel.
    """
    seen: set[float] = set()
    for _, values, valid in _blocks(source, 1):
        seen.update(np.unique(values[valid]).tolist())
        if not all(value.is_integer() and LEAST <= value <= LARGEST for value in seen):
            raise InputError(
                f"{original} holds values that are no class codes (whole numbers from {LEAST} to "
                f"{LARGEST}): choose a class raster, and declare what stands for nothing as nodata."
            )
        if len(seen) > MOST_CLASSES:
            raise InputError(
                f"{original} has more than {MOST_CLASSES} different values: choose a class raster."
            )
    if not seen:
        raise InputError(f"{original} holds no valid pixel on the reference: check its extent.")
    distinct = sorted(map(int, seen))
    named = source.all_class_names(source.bands[0])
    names = {value: " ".join(named.get(value, "").split()) for value in distinct}
    of_one_name: dict[object, list[int]] = {}
    for value, name in names.items():
        of_one_name.setdefault(name.casefold() or value, []).append(value)
    _tell_alike(
        (list(dict.fromkeys(names[value] for value in alike)) for alike in of_one_name.values()),
        progress,
    )
    fits = all(map(_is_code, distinct))
    codes: dict[int, int] = {}
    labels: dict[int, str] = {}
    for number, alike in enumerate(of_one_name.values(), start=1):
        code = alike[0] if fits else number
        codes |= dict.fromkeys(alike, code)
        labels[code] = names[alike[0]] or str(alike[0])
    return codes, labels


def _tell_alike(spellings: Iterable[Sequence[object]], progress: Progress | None) -> None:
    """Say which spellings of a class's name are taken for one."""
    told = progress or Progress()
    for alike in spellings:
        if len(alike) > 1:
            told.warning(f"{', '.join(map(str, alike))} differ in capitals alone: one class.")


def _blocks(
    source: Source, bands: int
) -> Iterator[tuple[Window, NDArray[np.float32], NDArray[np.bool_]]]:
    """Yield the first band and its validity, (rows, columns)."""
    for window in source.grid.row_blocks(source.grid.rows_within(_BLOCK_MEGABYTES, bands)):
        (values,), (valid,) = source.read(window, source.bands[:1])
        yield window, values, valid


def require_few(names: Mapping[int, str]) -> None:
    """Refuse to make a band of each of very many classes.

    Raises:
        InputError: more than `MOST_BANDS`.
    """
    if len(names) > MOST_BANDS:
        raise InputError(
            f"There are {len(names)} classes, too many for a band each (at most {MOST_BANDS}): "
            "leave them in one band or choose a field with fewer values."
        )


def _is_code(value: object) -> bool:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return False
    return float(value).is_integer() and -32767 <= float(value) <= 32767
