"""Reading and writing vector layers."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pyogrio.raw
from pandas.api.types import is_numeric_dtype
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS
from shapely import box

from ..contract.errors import InputError, OutputError
from ..core.access import formats
from ..core.progress import Progress
from ..outputs.whole import require_folder, scratch_folder, whole_file
from .copies import copies
from .files import files_of, is_cut
from .parquet import is_parquet, read_geoparquet
from .shapes import (
    brought,
    locate,
    no_geometry,
    placed,
    require_crs,
    require_some,
    tell_copies,
    unreadable,
    usable,
)

_ROUNDED = 1e-4
"""Degrees."""
_TRIAL = gpd.GeoDataFrame(
    {"id": [1], "unknown": [np.nan]}, geometry=[box(0, 0, 1, 1)], crs="EPSG:4326"
)


def read_vector(
    source: str | Path,
    what: str,
    *,
    crs: object | None = None,
    kinds: tuple[str, ...] = (),
    columns: list[str] | None = None,
    progress: Progress | None = None,
    may_be_empty: bool = False,
) -> gpd.GeoDataFrame:
    """Read a layer, repair what is invalid, bring it to a CRS.

    Args:
        source: a file, or `file|layername=name` as QGIS writes it; or what `files_of` knows as
            several files, of which what `copies` tells counts once where the fields wanted say the
            same.
        what: the layer's role in messages, such as "rivers".
        crs: the CRS wanted; the layer's own, of several files the first one's, when None.
        kinds: geometry kinds wanted, of "Polygon", "LineString", "Point" (multi ones included);
            features of other kinds are dropped with a warning.
        columns: the fields wanted; all when None.
        progress: where warnings go.
        may_be_empty: take a layer that holds no feature at all.

    Returns:
        The layer, without empty geometries, 2-D, index 0..n-1.

    Raises:
        InputError: missing, unreadable, a field is not there, or no usable feature.
        GridError: the layer has no CRS and one is wanted.
    """
    told, names, asked = progress or Progress(), files_of(source), columns or []
    frames = [_read(name, what, asked, progress) for name in names]
    read = np.concatenate([np.asarray(frame.geometry.array) for frame in frames])
    geometries, origin = usable(read, what, kinds, told)
    if not (len(read) == 0 and may_be_empty):
        require_some(geometries, source, what, kinds)
    file = np.repeat(np.arange(len(names)), [len(frame) for frame in frames])[origin]
    table = _joined(frames, names, what, asked).iloc[origin]
    wanted = next((frame.crs for frame in frames if frame.crs), None) if crs is None else crs
    if wanted is not None:
        wanted = CRS.from_user_input(wanted)
        named = zip(frames, names, strict=True)
        systems = [require_crs(frame.crs, name, what) for frame, name in named]
        geometries = brought(geometries, file, systems, wanted, what, told)
    if crs is not None and len(geometries):
        finite = placed(geometries, source, what, told)
        geometries, file, table = geometries[finite], file[finite], table[finite]
    frame = gpd.GeoDataFrame(table.reset_index(drop=True), geometry=geometries, crs=wanted)
    if len(names) == 1 or frame.empty:
        return frame
    first, second = copies(geometries, file, wanted is not None and wanted.is_geographic)
    values = frame[asked].astype(str).to_numpy()
    same = (values[first] == values[second]).all(axis=1)
    return frame.drop(tell_copies(second[same], what, told)).reset_index(drop=True)


def _read(
    source: str, what: str, columns: Sequence[str], progress: Progress | None
) -> gpd.GeoDataFrame:
    """Return a file as it is, 2-D.

    Raises:
        InputError: missing, unreadable, no layer of geometries, or a field is not there.
    """
    if is_parquet(source):
        geometries, crs, table = read_geoparquet(source)
        frame = table.to_pandas()
        if geometries is not None:
            frame = gpd.GeoDataFrame(frame, geometry=geometries, crs=crs)
    else:
        path, layer = locate(source, what, progress)
        try:
            frame = pyogrio.read_dataframe(
                path, force_2d=True, layer=layer, on_invalid="fix", fid_as_index=True
            )
            number = str(pyogrio.read_info(path, layer=layer)["fid_column"])
        except (DataSourceError, DataLayerError) as error:
            raise unreadable(source, what, error) from error
        if number and number not in frame and number in columns:  # which GIS show as a field
            frame[number] = frame.index
        frame = frame.reset_index(drop=True)
    if "geometry" not in frame:
        raise no_geometry(source, what)
    for column in columns:
        if column not in frame:
            fields = ", ".join(name for name in frame.columns if name != "geometry")
            raise InputError(f"The {what} layer {source} has no field {column}; it has: {fields}.")
    return frame


def _joined(
    frames: Sequence[gpd.GeoDataFrame], names: Sequence[str], what: str, columns: Sequence[str]
) -> pd.DataFrame:
    """Return the fields of several files below each other; what a file lacks is null there.

    Raises:
        InputError: a field that is wanted holds numbers in one and text in another.
    """
    for column in columns:
        named = zip(frames, names, strict=True)
        kinds = {_kind(frame[column]): name for frame, name in named if frame[column].notna().any()}
        if len(kinds) > 1:
            (kind, name), (other, another) = kinds.items()
            raise InputError(
                f"The field {column} of the {what} holds {kind} in {name} and {other} in "
                f"{another}: bring it to one type."
            )
    tables = [frame.drop(columns="geometry") for frame in frames if len(frame)]
    return pd.concat(tables or [frames[0].drop(columns="geometry")], ignore_index=True)


def _kind(values: "pd.Series[Any]") -> str:
    return "numbers" if is_numeric_dtype(values) else "text"


def write_vector(
    frame: gpd.GeoDataFrame,
    path: str | Path,
    *,
    geometry_type: str,
    finish: Callable[[Path], None] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write a layer, whole or not at all; the driver follows the file's ending.

    Args:
        frame: the features, with a CRS.
        path: destination, `.gpkg`, `.shp`, `.geojson`, `.fgb` or any ending that GDAL knows.
        geometry_type: "Polygon", "MultiPolygon", "LineString", ...; needed for an empty layer.
        finish: adds to the written file before it is moved to its destination.
        tags: metadata items, as of `RasterWriter`, where the format has room for them.

    Raises:
        OutputError: the format is unknown, or the disk is full or read-only.
    """
    path = Path(path)
    options: dict[str, object] = {}
    if path.suffix.lower() == ".gpkg":
        options = {"dataset_options": {"VERSION": "1.3"}, "layer_metadata": dict(tags or {})}
    with whole_file(path) as partial:
        try:
            pyogrio.write_dataframe(
                frame,
                partial,
                layer=path.stem,
                geometry_type=geometry_type,
                promote_to_multi=geometry_type.startswith("Multi"),
                **options,
            )
            # GDAL may not say that the disk was full when it closed a file: look.
            whole = len(pyogrio.raw.read(partial)[2]) >= len(frame)
            if whole and finish is not None:
                finish(partial)
        except (DataSourceError, DataLayerError, ValueError, sqlite3.Error) as error:
            raise OutputError(
                f"{path} can't be written ({error}): choose a format such as .gpkg, a writable "
                "folder, and a disk with free space."
            ) from error
        if not whole:
            raise OutputError(f"{path} can't be written whole: free some space on the disk.")


def require_vector_output(path: str | Path, unknown: bool = False) -> None:
    """Refuse a destination that `write_vector` could not write to, before any long work.

    Args:
        path: the destination.
        unknown: whether fields may be NULL.

    Raises:
        OutputError: no format has such an ending, or one that takes no polygons, such as CSV,
            rounds them, makes 0 of NULL or calls its file otherwise; or the folder is missing or
            read-only, or the name would be cut.
    """
    if is_cut(path):
        raise OutputError(
            f"{path} has a semicolon or a break in its name, where it would be cut: choose another."
        )
    try:
        pyogrio.detect_write_driver(path)
    except ValueError as error:
        raise OutputError(
            f"{path} has no ending that tells its format: choose one such as .gpkg{formats()}."
        ) from error
    require_folder(path)
    with scratch_folder(path) as folder:
        trial = folder / Path(path).name
        try:
            pyogrio.write_dataframe(_TRIAL, trial)
            kept = pyogrio.read_dataframe(trial) if trial.exists() else _TRIAL
        except (DataSourceError, DataLayerError, ValueError) as error:
            raise OutputError(
                f"{path} can't be written: its format takes no polygons with fields ({error}); "
                f"choose one such as .gpkg{formats()}."
            ) from error
        except IndexError as error:  # as of a KMZ whose name is not of English letters
            raise OutputError(
                f"{path} can't be written: its format would lose the layer under that name; choose "
                f"English letters, or a format such as .gpkg{formats()}."
            ) from error
        if not trial.exists():
            raise OutputError(
                f"{path} can't be written: GDAL would call it otherwise; choose an ending in small "
                "letters."
            )
        bounds = (kept.to_crs(_TRIAL.crs) if kept.crs else kept).total_bounds
        if np.abs(bounds - _TRIAL.total_bounds).max() > _ROUNDED:
            raise OutputError(
                f"{path} can't be written: its format rounds outlines, as tiles for display do; "
                f"choose one such as .gpkg{formats()}."
            )
        if unknown and "unknown" in kept and kept["unknown"].notna().any():
            raise OutputError(
                f"{path} can't be written: its format makes 0 of what is not known, such as the "
                f"distance to a river; choose one such as .gpkg{formats()}."
            )
