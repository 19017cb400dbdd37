"""The geometries of vector layers: found, read, repaired, brought to a CRS.

A layer's fields need geopandas, which takes as long to load as the rest of a small task: commands
that need geometries alone read them by this module, the others by `vector`.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyogrio
import pyogrio.raw
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS, Transformer

from ..contract.errors import GridError, InputError
from ..core.access import formats, no_answer, require_allowed
from ..core.progress import Progress
from ..core.system import exists
from .copies import copies
from .datums import tell_guess
from .files import files_of, is_cut
from .parquet import is_parquet, read_geoparquet

Geometries = NDArray[np.object_]

_ONE_LAYER = {".shp", ".geojson", ".geojsonl", ".fgb"}
"""Endings of files of one layer, which need not be read to be counted."""


class Shapes:
    """Geometries with an index of where they lie.

    Args:
        geometries: shapely's, in one CRS.
    """

    def __init__(self, geometries: Sequence[shapely.Geometry] | Geometries) -> None:
        self.geometries: Geometries = np.asarray(geometries, object)

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top."""
        left, bottom, right, top = shapely.total_bounds(self.geometries)
        return float(left), float(bottom), float(right), float(top)

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(self.geometries)

    def near(self, outline: shapely.Geometry) -> Geometries:
        """Return those whose bounding boxes meet that of a place."""
        near: Geometries = self.geometries[self._tree.query(outline)]
        return near


def read_shapes(
    source: str | Path,
    what: str,
    *,
    crs: object,
    kinds: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> Geometries:
    """Read the geometries of a layer, repaired, 2-D, none empty, in a CRS.

    Args:
        source: a file, or `file|layername=name` as QGIS writes it; or what `files_of` knows as
            several files, of which what `copies` tells counts once.
        what: the layer's role in messages, such as "rivers".
        crs: the CRS wanted.
        kinds: see `usable`.
        progress: where warnings go.

    Raises:
        InputError: missing, unreadable, or no usable feature.
        GridError: the layer has no CRS.
    """
    told = progress or Progress()
    names = files_of(source)
    read = [_read(name, what, progress) for name in names]
    geometries, origin = usable(np.concatenate([each for each, _ in read]), what, kinds, told)
    require_some(geometries, source, what, kinds)
    file = np.repeat(np.arange(len(names)), [len(each) for each, _ in read])[origin]
    systems = [
        require_crs(system, name, what) for (_, system), name in zip(read, names, strict=True)
    ]
    wanted = CRS.from_user_input(crs)
    geometries = brought(geometries, file, systems, wanted, what, told)
    finite = placed(geometries, source, what, told)
    geometries, file = geometries[finite], file[finite]
    if len(names) == 1:
        return geometries
    _, copied = copies(geometries, file, wanted.is_geographic)
    return np.delete(geometries, tell_copies(copied, what, told))


def _read(source: str, what: str, progress: Progress | None) -> tuple[Geometries, CRS | None]:
    """Return the geometries of a file as they are, 2-D, and their CRS."""
    if is_parquet(source):
        geometries, crs, _ = read_geoparquet(source)
    else:
        path, layer = locate(source, what, progress)
        try:
            meta, _, encoded, _ = pyogrio.raw.read(path, layer=layer, columns=[], force_2d=True)
        except (DataSourceError, DataLayerError) as error:
            raise unreadable(source, what, error) from error
        geometries = None if encoded is None else shapely.from_wkb(encoded, on_invalid="fix")
        crs = CRS.from_user_input(meta["crs"]) if meta["crs"] else None
    if geometries is None:
        raise no_geometry(source, what)
    return geometries, crs


def brought(
    geometries: Geometries,
    file: NDArray[np.intp],
    systems: Sequence[CRS],
    wanted: CRS,
    what: str,
    progress: Progress,
) -> Geometries:
    """Bring geometries of several files to one CRS.

    Args:
        geometries: valid ones.
        file: the number of each one's file.
        systems: CRS of each file.
        wanted: the CRS.
        what: the layer's role in messages.
        progress: warned where datums are taken for each other.
    """
    moved = geometries.copy()
    for system in set(systems) - {wanted}:
        numbers = [number for number, each in enumerate(systems) if each == system]
        those = np.isin(file, numbers)
        if not those.any():
            continue
        left, bottom, right, top = shapely.total_bounds(geometries[those]).tolist()
        tell_guess(system, wanted, (left, bottom, right, top), what, progress)
        transformer = Transformer.from_crs(system, wanted, always_xy=True)
        moved[those] = shapely.transform(
            geometries[those], transformer.transform, interleaved=False
        )
    return moved


def tell_copies(copied: NDArray[np.intp], what: str, progress: Progress) -> NDArray[np.intp]:
    """Return which features are copies, each once, and say how many count no second time."""
    once = np.unique(copied)
    if len(once):
        progress.message(
            f"{len(once)} features of the {what} lie in several files: they count once."
        )
    return once


def locate(
    source: str | Path, what: str, progress: Progress | None = None
) -> tuple[str, str | int]:
    """Return the file of a layer and the layer's name or number in it.

    Args:
        source: a file, or `file|layername=name` or `file|layerid=number` as QGIS writes it. Of a
            file of several layers the first one with geometry is taken.
        what: the layer's role in messages.
        progress: told which one was taken.

    Raises:
        InputError: there is no such file or layer, or what follows the path is something else, such
            as a filter.
    """
    path, *options = str(source).split("|") if not exists(source) else [str(source)]
    if not path.startswith("/vsi") and not (path.strip() and exists(path)):
        raise InputError(f"The {what} layer {path} does not exist: check the path.")
    require_allowed(path)
    if is_cut(path):
        raise InputError(
            f"The {what} layer {path} has a semicolon or a break in its name, where it would be "
            "cut: rename the file."
        )
    chosen = {key.lower(): value for key, _, value in (one.partition("=") for one in options)}
    unknown = sorted(set(chosen) - {"layername", "layerid"})
    if unknown:
        raise InputError(
            f"The {what} layer {source} has the option {unknown[0]}, which only QGIS understands: "
            "save what it shows as a file."
        )
    if Path(path).suffix.lower() in _ONE_LAYER and not chosen:
        return path, 0
    try:
        layers = pyogrio.list_layers(path)
    except DataSourceError as error:
        raise unreadable(source, what, error) from error
    everything = [str(name) for name, _ in layers]
    # Not the styles that QGIS keeps beside the layers.
    names = [str(name) for name, geometry in layers if geometry]
    wanted = chosen.get("layername")
    if "layerid" in chosen:
        wanted = {str(number): name for number, name in enumerate(everything)}.get(
            chosen["layerid"], ""
        )
    if wanted is not None:
        if wanted not in everything:
            raise InputError(
                f"The {what} layer {source} is not in the file; it has: {', '.join(names)}."
            )
        return path, wanted
    if len(names) > 1 and progress is not None:
        progress.warning(
            f"{path} holds several layers, of which {names[0]} was taken as the {what}; the others "
            f"are {', '.join(names[1:])}: choose one by {path}|layername={names[1]}, say."
        )
    return path, names[0] if names else 0


def fields_of(source: str | Path, what: str) -> list[str]:
    """Return the names of a layer's fields; of several files' those of the first one.

    Raises:
        InputError: see `locate`, or it can't be read.
    """
    first = files_of(source)[0]
    if is_parquet(first):
        return [str(name) for name in read_geoparquet(first)[2].column_names]
    path, layer = locate(first, what)
    try:
        return [str(name) for name in pyogrio.read_info(path, layer=layer)["fields"]]
    except (DataSourceError, DataLayerError) as error:
        raise unreadable(first, what, error) from error


def refuse_both(path: str | Path) -> None:
    """Refuse a file of rasters that holds vector layers too.

    Raises:
        InputError: it does; the message says how to name the one or the other.
    """
    try:
        names = [name for name, geometry in pyogrio.list_layers(path) if geometry]
    except DataSourceError:
        return
    if names:
        raise InputError(
            f"{path} holds rasters and the layer {names[0]}: name one by {path}|layername="
            f"{names[0]} or by GPKG:{path}:name of the raster."
        )


def usable(
    geometries: Geometries, what: str, kinds: tuple[str, ...], progress: Progress
) -> tuple[Geometries, NDArray[np.int64]]:
    """Drop missing and empty geometries, repair invalid ones, drop those of other kinds.

    Args:
        geometries: shapely's, or None.
        what: the layer's role in messages.
        kinds: geometry kinds wanted, of "Polygon", "LineString", "Point" (multi ones included);
            others are dropped with a warning, also those that a repair made; all when empty.
        progress: where warnings go.

    Returns:
        The geometries, and for each the number of the one that it was.
    """
    finite = _are_finite(geometries)
    if not finite.all():
        progress.warning(
            f"{int((~finite).sum())} features of the {what} have coordinates that are no numbers: "
            "left."
        )
        geometries = geometries.copy()
        geometries[~finite] = None
    origin = np.flatnonzero(~(shapely.is_missing(geometries) | shapely.is_empty(geometries)))
    geometries = geometries[origin]
    invalid = ~shapely.is_valid(geometries)
    if invalid.any():
        progress.warning(f"{int(invalid.sum())} invalid geometries of the {what} were repaired.")
        # By their structure, so that what lies in several parts is inside, as it is in each.
        geometries[invalid] = shapely.make_valid(
            geometries[invalid], method="structure", keep_collapsed=True
        )
    if kinds:
        geometries, part_of = _one_kind_each(geometries)
        origin = origin[part_of]
        names = np.array([geometry.geom_type.replace("Multi", "") for geometry in geometries])
        fits = np.isin(names, kinds)
        if not fits.all() and fits.any():
            progress.warning(f"{int((~fits).sum())} parts of the {what} are of another kind: left.")
        geometries, origin = geometries[fits], origin[fits]
    return geometries, origin


def _one_kind_each(geometries: Geometries) -> tuple[Geometries, NDArray[np.int64]]:
    """Return what is of one kind in each collection in its place, and for each which it was of.

    Of other geometries nothing changes: one of several parts is one feature.
    """
    numbers = np.arange(len(geometries))
    mixed = shapely.get_type_id(geometries) == shapely.GeometryType.GEOMETRYCOLLECTION
    parts, part_of = geometries[mixed], numbers[mixed]
    while (shapely.get_type_id(parts) == shapely.GeometryType.GEOMETRYCOLLECTION).any():
        parts, index = shapely.get_parts(parts, return_index=True)
        part_of = part_of[index]
    pairs = np.stack([part_of, shapely.get_dimensions(parts)])
    of_one_kind, group = np.unique(pairs, axis=1, return_inverse=True)
    joined = [shapely.union_all(parts[group == each]) for each in range(of_one_kind.shape[1])]
    geometries = np.append(geometries[~mixed], np.array(joined, object))
    origin = np.append(numbers[~mixed], of_one_kind[0])
    filled = ~shapely.is_empty(geometries)
    order = np.argsort(origin[filled], kind="stable")
    return geometries[filled][order], origin[filled][order]


def placed(
    geometries: Geometries, source: str | Path, what: str, progress: Progress
) -> NDArray[np.bool_]:
    """Return which geometries have a place in the CRS that they were brought to, (n,).

    Raises:
        GridError: none has.
    """
    finite = _are_finite(geometries)
    if not finite.any():
        raise GridError(
            f"The {what} layer {source} lies where the other layers' CRS has no place: check its "
            "CRS."
        )
    if not finite.all():
        progress.warning(
            f"{int((~finite).sum())} parts of the {what} lie where the other layers' CRS has no "
            "place: left."
        )
    return finite


def _are_finite(geometries: Geometries) -> NDArray[np.bool_]:
    """Return which geometries have numbers alone as coordinates, (n,)."""
    coordinates, owner = shapely.get_coordinates(geometries, return_index=True)
    finite = np.ones(len(geometries), bool)
    finite[owner[~np.isfinite(coordinates).all(axis=1)]] = False
    return finite


def require_some(
    geometries: Geometries, source: str | Path, what: str, kinds: tuple[str, ...]
) -> None:
    """Refuse a layer of which nothing is usable.

    Raises:
        InputError: there is no geometry.
    """
    if not len(geometries):
        wanted = " or ".join(kinds).lower() or "feature"
        raise InputError(f"The {what} layer {source} holds no {wanted}: choose another layer.")


def unreadable(source: str | Path, what: str, error: Exception) -> InputError:
    """Return the error of a file that GDAL can't read."""
    if said := no_answer(error):
        return InputError(f"The {what} layer {source} {said}.")
    return InputError(
        f"The {what} layer {source} can't be read as a vector layer: it is damaged or of another "
        f"kind{formats()}."
    )


def no_geometry(source: str | Path, what: str) -> InputError:
    """Return the error of a table without geometries."""
    return InputError(f"The {what} layer {source} has no geometry: choose another layer.")


def require_crs(crs: CRS | None, source: str | Path, what: str) -> CRS:
    """Return a layer's CRS.

    Raises:
        GridError: it has none.
    """
    if crs is None:
        raise GridError(f"The {what} layer {source} has no CRS: assign its projection first.")
    return crs
