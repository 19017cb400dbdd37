"""The command for classes of polygons, such as lithology."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Annotated, Any

import geopandas as gpd
import numpy as np

from ..contract.choices import Classes
from ..contract.errors import InputError
from ..core.progress import Progress
from ..core.provenance import NO_ORIGIN, Provenance
from ..raster.declared import unique_names
from ..raster.grid import Grid, require_overlap
from ..raster.landslides import is_raster
from ..raster.source import Source
from ..raster.stack import class_band
from ..raster.writer import RasterWriter
from ..vector.layers import read_vector
from ..vector.shapes import fields_of
from . import categorical


def classes(
    *,
    input: str,
    reference: str,
    output: str,
    field: str = "",
    name: Annotated[str, Classes.NAME] = Classes.NAME.default,
    one_hot: Annotated[bool, Classes.ONE_HOT] = Classes.ONE_HOT.default,
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Bring classes (lithology, land cover) onto a grid, with their names.

    Args:
        input: polygons, or a class raster, whose first band counts.
        reference: the raster whose grid counts.
        output: int16 GeoTIFF; nodata outside polygons.
        field: the polygons' field of classes.
        name: the band's name.
        one_hot: write instead uint8 bands `<name>_<class>`, 1 where the class is, else 0.
        origin: what the outputs tell of the run.
        progress: where to report.

    Raises:
        InputError: no usable polygon, no such field, a raster that holds no classes, or too many
            classes for a band each.
        GridError: no CRS, or the layers don't overlap.
    """
    with Source.open(reference, what="reference raster") as raster:
        grid = raster.grid
    with ExitStack() as opened:
        if is_raster(input):
            source = opened.enter_context(Source.open(input, what="class raster"))
            if len(source.bands) > 1:
                progress.warning(
                    f"The class raster has {len(source.bands)} bands: the first one is taken."
                )
            source = opened.enter_context(source.on(grid, "nearest"))
            code_of, names = categorical.raster_classes(source, input, progress)
            blocks = categorical.stream_raster(source, code_of, len(names) if one_hot else 1)
        else:
            polygons = _class_polygons(input, field, grid, progress)
            codes, names = categorical.encode(polygons[field], field, progress)
            blocks = categorical.stream_polygons(
                polygons, codes, grid, len(names) if one_hot else 1
            )
        _warn_of_one_name(names, name, progress)
        if one_hot:
            _write_one_hot(blocks, names, name, output, grid, origin, progress)
        else:
            dtype, tags = categorical.DTYPE, origin.tags()
            with RasterWriter(output, grid, [name], dtype, tags, names) as writer:
                for window, values, valid in blocks:
                    writer.write(values, window, valid)
                    progress.update((window.row_off + window.height) / grid.height)
    return {"output": output, "classes": {str(code): label for code, label in names.items()}}


def _write_one_hot(
    blocks: categorical.Blocks,
    names: Mapping[int, str],
    factor: str,
    output: str,
    grid: Grid,
    origin: Provenance,
    progress: Progress,
) -> None:
    """Write a stream of class codes as one 0/1 band a class."""
    categorical.require_few(names)
    bands = unique_names([class_band(factor, code, label) for code, label in names.items()])
    with RasterWriter(output, grid, bands, "uint8", origin.tags()) as writer:
        for index, label in enumerate(names.values(), start=1):
            writer.tag_band(index, {"CLASS_OF": factor, "CLASS_NAME": label})
        for window, codes, valid in blocks:
            layers = np.stack([codes == code for code in names]).astype(np.uint8)
            writer.write(layers, window, valid)
            progress.update((window.row_off + window.height) / grid.height)


def _warn_of_one_name(names: Mapping[int, str], factor: str, progress: Progress) -> None:
    """Warn of classes whose bands would have one name but for a number: it tells no model which."""
    bands: dict[str, list[str]] = {}
    for code, label in names.items():
        bands.setdefault(class_band(factor, code, label), []).append(label)
    for band, labels in bands.items():
        if len(labels) > 1:
            progress.warning(
                f"The classes {', '.join(labels)} would all have the band {band} but for a number "
                "that is added: give them names that differ in letters or digits."
            )


def _class_polygons(path: str, field: str, grid: Grid, progress: Progress) -> gpd.GeoDataFrame:
    """Read the polygons that lie on a grid and have a class."""
    if not field:
        fields = ", ".join(fields_of(path, "class"))
        raise InputError(f"Choose the field of {path} that holds the classes: {fields}.")
    polygons = read_vector(
        path, "class", crs=grid.crs, kinds=("Polygon",), columns=[field], progress=progress
    )
    require_overlap(polygons, f"The class layer {path}", grid)
    classified = categorical.cleaned(polygons[field], field).notna()
    if not classified.any():
        raise InputError(f"The field {field} of {path} is empty: choose another field.")
    if not classified.all():
        progress.warning(f"{int((~classified).sum())} polygons have no {field}: they are left out.")
    return polygons[classified].reset_index(drop=True)
