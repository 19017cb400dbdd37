"""Reading and writing vector layers."""

from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import pyogrio
import pyogrio.raw
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS
from shapely import box, make_valid

from .errors import GridError, InputError, OutputError
from .outputs import require_folder, whole_file
from .progress import Progress
from .provenance import CURRENT
from .raster.grid import Grid


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
    progress = progress or Progress()
    path, _, layer = str(source).partition("|layername=")
    if not path.startswith("/vsi") and not Path(path).exists():
        raise InputError(f"The {what} layer {path} does not exist: check the path.")
    try:
        # The first one, not the styles that QGIS keeps beside it.
        chosen = layer.split("|")[0] if layer else 0
        frame = pyogrio.read_dataframe(path, force_2d=True, layer=chosen)
    except (DataSourceError, DataLayerError) as error:
        raise InputError(f"The {what} layer {source} can't be read as a vector layer.") from error
    if "geometry" not in frame:
        raise InputError(f"The {what} layer {source} has no geometry: choose another layer.")
    for column in columns or []:
        if column not in frame:
            fields = ", ".join(name for name in frame.columns if name != "geometry")
            raise InputError(f"The {what} layer has no field {column}; it has: {fields}.")
    had_none = frame.empty
    frame = _usable(frame, what, kinds, progress)
    if frame.empty and not (had_none and may_be_empty):
        wanted = " or ".join(kinds).lower() or "feature"
        raise InputError(f"The {what} layer {source} holds no {wanted}: choose another layer.")
    if crs is not None:
        if frame.crs is None:
            raise GridError(f"The {what} layer {source} has no CRS: assign its projection first.")
        frame = frame.to_crs(CRS.from_user_input(crs))
    return frame.reset_index(drop=True)


def write_vector(
    frame: gpd.GeoDataFrame,
    path: str | Path,
    *,
    geometry_type: str,
    layer: str | None = None,
    finish: Callable[[Path], None] | None = None,
) -> None:
    """Write a layer, whole or not at all; the driver follows the file's ending.

    Args:
        frame: the features, with a CRS.
        path: destination, `.gpkg`, `.shp`, `.geojson`, `.fgb` or any ending that GDAL knows.
        geometry_type: "Polygon", "MultiPolygon", "LineString", ...; needed for an empty layer.
        layer: the layer's name; the file's stem when None.
        finish: adds to the written file before it is moved to its destination.

    Raises:
        OutputError: the format is unknown, or the disk is full or read-only.
    """
    path = Path(path)
    options: dict[str, object] = {}
    if path.suffix.lower() == ".gpkg":
        options = {"dataset_options": {"VERSION": "1.3"}, "layer_metadata": CURRENT.tags()}
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
        except (DataSourceError, DataLayerError, ValueError) as error:
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
            f"{path} has no ending that tells its format: choose one such as .gpkg."
        ) from error
    require_folder(path)


def require_overlap(frame: gpd.GeoDataFrame, what: str, grid: Grid) -> None:
    """Refuse a layer that lies apart from a grid.

    Args:
        frame: the layer, in the grid's CRS.
        what: begins the message, such as "The class layer geology.gpkg".
        grid: the grid.

    Raises:
        GridError: it does; the message says where each lies.
    """
    if not len(frame.sindex.query(box(*grid.bounds))):
        left, bottom, right, top = frame.total_bounds
        raise GridError(
            f"{what} (in the reference's CRS: x {left:.6g} to {right:.6g}, y {bottom:.6g} to "
            f"{top:.6g}) does not overlap the reference ({grid.describe()}): check its CRS and "
            "extent."
        )


def _usable(
    frame: gpd.GeoDataFrame, what: str, kinds: tuple[str, ...], progress: Progress
) -> gpd.GeoDataFrame:
    frame = frame[frame.geometry.notna() & ~frame.geometry.is_empty]
    invalid = ~frame.geometry.is_valid
    if invalid.any():
        progress.warning(f"{int(invalid.sum())} invalid geometries of the {what} were repaired.")
        repaired = frame.geometry.where(~invalid, make_valid(frame.geometry.array))
        frame = frame.set_geometry(repaired)
        if kinds:
            frame = frame.explode(index_parts=False)
    if kinds:
        fits = frame.geometry.geom_type.str.replace("Multi", "").isin(kinds)
        if not fits.all() and fits.any():
            progress.warning(f"{int((~fits).sum())} parts of the {what} are of another kind: left.")
        frame = frame[fits]
    return frame
