"""Classes such as lithology or land cover, from polygons with a field or from a class raster."""

from collections.abc import Iterator, Mapping

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
    spellings: dict[object, list[object]] = {}
    for value in distinct:
        key = value.casefold() if isinstance(value, str) else value
        spellings.setdefault(key, []).append(value)
    told = progress or Progress()
    for alike in spellings.values():
        if len(alike) > 1:
            told.warning(f"{', '.join(map(str, alike))} differ in capitals alone: one class.")
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


def stream_raster(source: Source, bands: int = 1) -> Blocks:
    """Yield the values of a class raster's first band.

    Args:
        source: on the output's grid, read nearest.
        bands: how many the output has, for blocks that fit in memory.

    Raises:
        InputError: a value is not whole or does not fit int16.
    """
    for window in source.grid.row_blocks(source.grid.rows_within(_BLOCK_MEGABYTES, bands)):
        values, valid = (part[0] for part in source.read(window, source.bands[:1]))
        codes = np.where(valid, values, 0).astype(np.int16)
        if not np.array_equal(codes[valid], values[valid]) or (codes == NODATA[DTYPE]).any():
            raise InputError(
                f"{source.path} holds values that are no class codes (whole numbers from -32767 "
                "to 32767): choose a class raster."
            )
        yield window, codes, valid


def raster_classes(source: Source, original: str) -> dict[int, str]:
    """Return the classes that occur in a class raster, with their names.

    Names are those of the band's `class_<value>` tags, else GDAL's category names or those of an
    attribute table, else the values themselves.

    Args:
        source: see `stream_raster`.
        original: path of the raster, for messages.

    Raises:
        InputError: as `stream_raster`, more than `MOST_CLASSES` values, or no valid pixel.
    """
    values: set[int] = set()
    for _, codes, valid in stream_raster(source):
        values.update(np.unique(codes[valid]).tolist())
        if len(values) > MOST_CLASSES:
            raise InputError(
                f"{original} has more than {MOST_CLASSES} different values: choose a class raster."
            )
    if not values:
        raise InputError(f"{original} holds no valid pixel on the reference: check its extent.")
    names = source.all_class_names(source.bands[0])
    return {code: names.get(code) or str(code) for code in sorted(values)}


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
