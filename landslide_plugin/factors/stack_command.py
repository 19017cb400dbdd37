"""The command that brings layers onto one grid."""

from collections.abc import Sequence
from typing import Annotated, Any

from ..contract.choices import Stack
from ..core.progress import Progress
from ..core.provenance import NO_ORIGIN, Provenance
from ..raster.bands import is_imagery
from ..raster.reflectance import LAYERS, given_units, take_as_reflectance
from ..raster.stack import LayerStack, write_stack


def stack(
    *,
    layers: Sequence[str],
    output: str,
    reference: str = "",
    resampling: Annotated[str, Stack.RESAMPLING] = Stack.RESAMPLING.default,
    area: str = "",
    sensor: Annotated[str, Stack.SENSOR] = Stack.SENSOR.default,
    fill: Annotated[str, Stack.FILL] = Stack.FILL.default,
    scale: Annotated[float | None, Stack.SCALE] = Stack.SCALE.default,
    offset: Annotated[float | None, Stack.OFFSET] = Stack.OFFSET.default,
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Bring layers of any CRS and resolution onto one grid as bands of one raster.

    Args:
        layers: rasters; those with our own class names become one band a class, 0 or 1. Other
            classes (by colour table, category names or attribute table) keep their values.
        output: float32 GeoTIFF with statistics; a pixel invalid in one band is nodata in all.
        reference: the raster whose grid counts; the first layer when empty.
        resampling: for continuous bands; classes and aspect are read nearest.
        area: polygons; outside them is nodata, and the extent is cut to theirs.
        sensor: whose names the layers' bands bear; see `bands.common_name`.
        fill: "auto" or "keep": fill that a layer does not declare is nodata, or is kept.
        scale: what the stored numbers of imagery (bands that bear common names, and hold digital
            numbers) are multiplied by to give reflectance; None for what each image tells.
        offset: what is added then; None is 0.
        origin: what the outputs tell of the run.
        progress: where to report, with a table of the bands.

    Raises:
        InputError: no layers, or a layer without any valid pixel.
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
        progress=progress.part(0, 0.2),
    ) as together:
        located = {name: together.source_of(name) for name in together.bands if is_imagery(name)}
        take_as_reflectance(located, sensor, given, what=LAYERS, progress=progress)
        statistics = write_stack(together, output, progress.part(0.2, 1), origin.tags())
    return {"output": output, "bands": [band.name for band in statistics]}
