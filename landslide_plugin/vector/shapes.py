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
        source: a file, or `file|layername=name` as QGIS writes it.
        what: the layer's role in messages, such as "rivers".
        crs: the CRS wanted.
        kinds: see `usable`.
        progress: where warnings go.

    Raises:
        InputError: missing, unreadable, or no usable feature.
        GridError: the layer has no CRS.
    """
    path, layer = locate(source, what, progress)
    try:
        meta, _, encoded, _ = pyogrio.raw.read(path, layer=layer, columns=[], force_2d=True)
    except (DataSourceError, DataLayerError) as error:
        raise unreadable(source, what, error) from error
    if encoded is None:
        raise no_geometry(source, what)
    read = shapely.from_wkb(encoded, on_invalid="fix")
    geometries, _ = usable(read, what, kinds, progress or Progress())
    require_some(geometries, source, what, kinds)
    if not meta["crs"]:
        raise no_crs(source, what)
    theirs, wanted = CRS.from_user_input(meta["crs"]), CRS.from_user_input(crs)
    if theirs == wanted:
        return geometries
    transformer = Transformer.from_crs(theirs, wanted, always_xy=True)
    moved: Geometries = shapely.transform(geometries, transformer.transform, interleaved=False)
    finite = placed(moved, source, what, progress or Progress())
    return moved[finite]


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
    path, *options = str(source).split("|") if not _exists(source) else [str(source)]
    if not path.startswith("/vsi") and not (path.strip() and _exists(path)):
        raise InputError(f"The {what} layer {path} does not exist: check the path.")
    require_allowed(path)
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


def _exists(path: str | Path) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # a name that is too long is none
        return False


def fields_of(source: str | Path, what: str) -> list[str]:
    """Return the names of a layer's fields.

    Raises:
        InputError: see `locate`, or it can't be read.
    """
    path, layer = locate(source, what)
    try:
        return [str(name) for name in pyogrio.read_info(path, layer=layer)["fields"]]
    except (DataSourceError, DataLayerError) as error:
        raise unreadable(source, what, error) from error


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
        geometries = np.where(invalid, shapely.make_valid(geometries), geometries)
        if kinds:
            geometries, part_of = shapely.get_parts(geometries, return_index=True)
            origin = origin[part_of]
    if kinds:
        names = np.array([geometry.geom_type.replace("Multi", "") for geometry in geometries])
        fits = np.isin(names, kinds)
        if not fits.all() and fits.any():
            progress.warning(f"{int((~fits).sum())} parts of the {what} are of another kind: left.")
        geometries, origin = geometries[fits], origin[fits]
    return geometries, origin


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


def no_crs(source: str | Path, what: str) -> GridError:
    """Return the error of a layer of unknown place."""
    return GridError(f"The {what} layer {source} has no CRS: assign its projection first.")
