"""Reading and writing vector layers."""

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pyogrio.raw
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS

from ..contract.errors import InputError, OutputError
from ..core.access import formats
from ..core.progress import Progress
from ..outputs.whole import require_folder, whole_file
from .shapes import locate, no_crs, no_geometry, placed, require_some, unreadable, usable


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
        source: a file, or `file|layername=name` as QGIS writes it.
        what: the layer's role in messages, such as "rivers".
        crs: the CRS wanted; the layer's own when None.
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
    path, layer = locate(source, what, progress)
    try:
        frame = pyogrio.read_dataframe(path, force_2d=True, layer=layer, on_invalid="fix")
    except (DataSourceError, DataLayerError) as error:
        raise unreadable(source, what, error) from error
    if "geometry" not in frame:
        raise no_geometry(source, what)
    for column in columns or []:
        if column not in frame:
            fields = ", ".join(name for name in frame.columns if name != "geometry")
            raise InputError(f"The {what} layer has no field {column}; it has: {fields}.")
    geometries, origin = usable(
        np.asarray(frame.geometry.array), what, kinds, progress or Progress()
    )
    if not (frame.empty and may_be_empty):
        require_some(geometries, source, what, kinds)
    frame = frame.iloc[origin].set_geometry(
        gpd.GeoSeries(geometries, frame.index[origin], frame.crs)
    )
    if crs is not None:
        if frame.crs is None:
            raise no_crs(source, what)
        frame = frame.to_crs(CRS.from_user_input(crs))
        if len(frame):
            shapes = np.asarray(frame.geometry.array)
            frame = frame[placed(shapes, source, what, progress or Progress())]
    return frame.reset_index(drop=True)


def write_vector(
    frame: gpd.GeoDataFrame,
    path: str | Path,
    *,
    geometry_type: str,
    layer: str | None = None,
    finish: Callable[[Path], None] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write a layer, whole or not at all; the driver follows the file's ending.

    Args:
        frame: the features, with a CRS.
        path: destination, `.gpkg`, `.shp`, `.geojson`, `.fgb` or any ending that GDAL knows.
        geometry_type: "Polygon", "MultiPolygon", "LineString", ...; needed for an empty layer.
        layer: the layer's name; the file's stem when None.
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
                layer=layer or path.stem,
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


def require_vector_output(path: str | Path) -> None:
    """Refuse a destination that `write_vector` could not write to, before any long work.

    Raises:
        OutputError: no format has such an ending, or the folder is missing or read-only.
    """
    try:
        pyogrio.detect_write_driver(path)
    except ValueError as error:
        raise OutputError(
            f"{path} has no ending that tells its format: choose one such as .gpkg{formats()}."
        ) from error
    require_folder(path)
