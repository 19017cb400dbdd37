"""The commands that derive factor layers and stack them."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import geopandas as gpd
import numpy as np

from ..errors import InputError
from ..landslides import is_raster
from ..progress import Progress
from ..raster.bands import is_imagery
from ..raster.declared import unique_names
from ..raster.grid import Grid, tell_metres
from ..raster.heights import metres_of_heights
from ..raster.reflectance import LAYERS, given_units, take_as_reflectance
from ..raster.source import Source
from ..raster.stack import LayerStack, class_band, write_stack
from ..raster.undeclared import ELEVATION, mark_fill
from ..raster.writer import RasterWriter
from ..shapes import fields_of
from ..vector import read_vector, require_overlap, require_vector_output, write_vector
from . import categorical, spectral
from . import streams as stream_lines
from .terrain_command import terrainfactors as terrainfactors


def spectralindices(
    *,
    input: str,
    output: str,
    indices: Sequence[str] = spectral.DEFAULT,
    sensor: str = "auto",
    blue: int = 0,
    green: int = 0,
    red: int = 0,
    nir: int = 0,
    swir1: int = 0,
    swir2: int = 0,
    bands: Sequence[str] = (),
    earlier: str = "",
    scale: float | None = None,
    offset: float | None = None,
    earlier_scale: float | None = None,
    earlier_offset: float | None = None,
    fill: str = "auto",
    progress: Progress,
) -> dict[str, Any]:
    """Derive spectral indices from an image; see `spectral.INDICES`.

    Args:
        input: the image, whose grid counts; its numbers are brought to reflectance as its file,
            its product or `scale` and `offset` say.
        output: float32 GeoTIFF, one band an index, named after it; with an earlier image, then
            one band a change: `spectral.CHANGE`.
        indices: names of indices, in the order of the output's bands.
        sensor: a key of `bands.SENSORS`, "auto" (bands found by their names) or "custom"
            (by the numbers alone).
        blue: number of the blue band, from 1; 0 = by name or sensor. So are the others.
        green: number of the green band.
        red: number of the red band.
        nir: number of the near infrared band.
        swir1: number of the short-wave infrared band at 1.6 micrometres.
        swir2: number of the short-wave infrared band at 2.2 micrometres.
        bands: files of further bands of the image, of any resolution; they are brought to the
            image's grid, and numbers count on through them.
        earlier: an image from before, of the same sensor.
        scale: what the image's stored numbers are multiplied by to give reflectance; None for
            what the image tells.
        offset: what is added then; None is 0.
        earlier_scale: likewise of the earlier image.
        earlier_offset: likewise.
        fill: one of `undeclared.FILLS`: fill that an image does not declare is nodata, or is kept.
        progress: where to report.

    Raises:
        InputError: an unknown index or sensor, a band that can't be found, or two images of which
            one has an offset that is known and the other not.
        GridError: an image has no CRS or is rotated, or the images don't overlap.
    """
    names = spectral.check_indices(indices)
    numbers = {
        "blue": blue, "green": green, "red": red, "nir": nir, "swir1": swir1, "swir2": swir2,
    }  # fmt: skip
    files = list(dict.fromkeys([input, *(bands or ())]))
    given = given_units(scale, offset)
    given_earlier = given_units(earlier_scale, earlier_offset, "EARLIER_")
    with ExitStack() as opened:
        images = [
            spectral.open_image(
                files, names, opened, sensor=sensor, numbers=numbers, given=given, fill=fill,
                progress=progress,
            )
        ]  # fmt: skip
        made = list(names)
        if earlier:
            before = spectral.open_image(
                [earlier], names, opened, sensor=sensor, numbers=numbers, given=given_earlier,
                reference=input, what="earlier image", fill=fill, progress=progress,
            )  # fmt: skip
            spectral.require_same_units(images[0], before)
            images.append(before)
            made += [spectral.CHANGE + name for name in names]
        grid = images[0].layers.grid
        blocks = spectral.stream_indices(images, names)
        with RasterWriter(output, grid, made) as writer:
            _write_indices(blocks, writer, input, progress)
    return {"output": output}


def streams(
    *,
    input: str,
    output: str,
    min_area: float = 1.0,
    z_unit: str = "auto",
    fill: str = "auto",
    progress: Progress,
) -> dict[str, Any]:
    """Derive stream lines from a DEM; see `streams.stream_network`.

    Args:
        input: the DEM; its first band counts. It is held in memory whole.
        output: lines with the fields `id`, `strahler`, `length_m` and `drained_km2`.
        min_area: km2 that a stream drains where it begins.
        z_unit: of the heights: a key of `heights.Z_UNITS`, or "auto" for what the file says, else
            metres.
        fill: one of `undeclared.FILLS`: fill that the DEM does not declare is nodata, or is kept.
        progress: where to report.

    Raises:
        InputError: an unknown unit, a minimum area not above 0 or that no cell drains, a DEM that
            is too small, has no valid pixel or does not fit in memory.
        GridError: the DEM has no CRS or is rotated.
    """
    if not min_area > 0:
        raise InputError(f"The minimum area is {min_area:g} km2: choose one above 0.")
    require_vector_output(output)
    with Source.open(input, what="DEM") as dem:
        grid = dem.grid
        if min(grid.shape) < 3:
            raise InputError(
                f"The DEM {input} has {grid.width} x {grid.height} cells: streams need 3 x 3."
            )
        tell_metres(grid, progress)
        to_metres = metres_of_heights(dem, z_unit, progress)
        stream_lines.require_memory(grid, progress)
        mark_fill([dem], fill, progress, kind=ELEVATION, bands=dem.bands[:1], metre=1 / to_metres)
        elevation, valid = (part[0] for part in dem.read(bands=dem.bands[:1]))
    elevation *= np.float32(to_metres)
    if not valid.any():
        raise InputError(f"The DEM {input} holds no valid pixel.")
    progress.update(0.1)
    network = stream_lines.stream_network(
        elevation, valid, grid, min_area, progress.part(0.1, 0.95)
    )
    write_vector(network, output, geometry_type="LineString")
    progress.update(1.0)
    return {"output": output, "count": len(network)}


def classes(
    *,
    input: str,
    reference: str,
    output: str,
    field: str = "",
    name: str = "lithology",
    one_hot: bool = False,
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
            source = opened.enter_context(source.on(grid, "nearest"))
            names = categorical.raster_classes(source, input)
            blocks = categorical.stream_raster(source, len(names) if one_hot else 1)
        else:
            polygons = _class_polygons(input, field, grid, progress)
            codes, names = categorical.encode(polygons[field], field)
            blocks = categorical.stream_polygons(
                polygons, codes, grid, len(names) if one_hot else 1
            )
        if one_hot:
            _write_one_hot(blocks, names, name, output, grid, progress)
        else:
            with RasterWriter(output, grid, [name], categorical.DTYPE, classes=names) as writer:
                for window, values, valid in blocks:
                    writer.write(values, window, valid)
                    progress.update((window.row_off + window.height) / grid.height)
    return {"output": output, "classes": {str(code): label for code, label in names.items()}}


def stack(
    *,
    layers: Sequence[str],
    output: str,
    reference: str = "",
    resampling: str = "bilinear",
    area: str = "",
    sensor: str = "auto",
    fill: str = "auto",
    scale: float | None = None,
    offset: float | None = None,
    progress: Progress,
) -> dict[str, Any]:
    """Bring layers of any CRS and resolution onto one grid as bands of one raster.

    Args:
        layers: rasters; those with our own class names become one band a class, 0 or 1. Other
            classes (by colour table, category names or attribute table) keep their values.
        output: float32 GeoTIFF with statistics; a pixel invalid in one band is nodata in all.
        reference: the raster whose grid counts; the first layer when empty.
        resampling: a key of `stack.RESAMPLINGS` for continuous bands; classes and
            aspect are read nearest.
        area: polygons; outside them is nodata, and the extent is cut to theirs.
        sensor: whose names the layers' bands bear; see `bands.common_name`.
        fill: one of `undeclared.FILLS`: fill that a layer does not declare is nodata, or is kept.
        scale: what the stored numbers of imagery (bands that bear common names, and hold digital
            numbers) are multiplied by to give reflectance; None for what each image tells.
        offset: what is added then; None is 0.
        progress: where to report, with a table of the bands.

    Raises:
        InputError: no layers, an unknown resampling, or a layer without any valid pixel.
        GridError: a layer without CRS, or layers that don't overlap.
    """
    given = given_units(scale, offset)
    with LayerStack.open(
        layers,
        reference=reference,
        resampling=resampling,
        area=area,
        sensor=sensor,
        fill=fill,
        progress=progress,
    ) as together:
        located = {name: together.source_of(name) for name in together.bands if is_imagery(name)}
        take_as_reflectance(located, sensor, given, what=LAYERS, progress=progress)
        statistics = write_stack(together, output, progress)
    return {"output": output, "bands": [band.name for band in statistics]}


def _write_indices(
    blocks: spectral.Blocks, writer: RasterWriter, image: str, progress: Progress
) -> None:
    """Write a stream of blocks; refuse to leave a band without any valid pixel."""
    any_valid = np.zeros(len(writer.bands), bool)
    for window, values, valid in blocks:
        writer.write(values, window, valid)
        any_valid |= valid.any(axis=(1, 2))
        progress.update((window.row_off + window.height) / writer.grid.height)
    if not any_valid.all():
        empty = [band for band, some in zip(writer.bands, any_valid, strict=True) if not some]
        raise InputError(
            f"The image {image} holds no valid pixel for {', '.join(empty)}: check the nodata "
            "value of its bands and of the earlier image."
        )


def _write_one_hot(
    blocks: categorical.Blocks,
    names: Mapping[int, str],
    factor: str,
    output: str,
    grid: Grid,
    progress: Progress,
) -> None:
    """Write a stream of class codes as one 0/1 band a class."""
    categorical.require_few(names)
    bands = unique_names([class_band(factor, code, label) for code, label in names.items()])
    with RasterWriter(output, grid, bands, "uint8") as writer:
        for index, label in enumerate(names.values(), start=1):
            writer.tag_band(index, {"CLASS_OF": factor, "CLASS_NAME": label})
        for window, codes, valid in blocks:
            layers = np.stack([codes == code for code in names]).astype(np.uint8)
            writer.write(layers, window, valid)
            progress.update((window.row_off + window.height) / grid.height)


def _class_polygons(path: str, field: str, grid: Grid, progress: Progress) -> gpd.GeoDataFrame:
    """Read the polygons that lie on a grid and have a class."""
    if not field:
        fields = ", ".join(fields_of(path, "class"))
        raise InputError(f"Choose the field of {path} that holds the classes: {fields}.")
    polygons = read_vector(
        path, "class", crs=grid.crs, kinds=("Polygon",), columns=[field], progress=progress
    )
    require_overlap(polygons, f"The class layer {path}", grid)
    known = polygons[field].notna()
    if not known.any():
        raise InputError(f"The field {field} of {path} is empty: choose another field.")
    if not known.all():
        progress.warning(f"{int((~known).sum())} polygons have no {field}: they are left out.")
    return polygons[known].reset_index(drop=True)
