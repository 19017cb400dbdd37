"""The command that derives terrain factors; apart from the others, since it needs no vectors."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np

from ..contract.choices import TerrainFactors
from ..contract.errors import InputError
from ..core.progress import Progress
from ..core.provenance import NO_ORIGIN, Provenance
from ..raster.grid import tell_metres, tell_north
from ..raster.heights import metres_of_heights
from ..raster.source import Source
from ..raster.undeclared import ELEVATION, mark_fill
from ..raster.writer import RasterWriter
from . import scales, terrain
from .neighbourhood import NOTHING
from .scales import derive_within
from .terrain_blocks import stream_factors


def terrainfactors(
    *,
    input: str,
    output: str,
    factors: Annotated[Sequence[str], TerrainFactors.FACTORS] = TerrainFactors.FACTORS.default,
    radii: Annotated[Sequence[float], TerrainFactors.RADII] = TerrainFactors.RADII.default,
    smoothing: Annotated[float, TerrainFactors.SMOOTHING] = TerrainFactors.SMOOTHING.default,
    z_unit: Annotated[str, TerrainFactors.Z_UNIT] = TerrainFactors.Z_UNIT.default,
    fill: Annotated[str, TerrainFactors.FILL] = TerrainFactors.FILL.default,
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Derive terrain factors from a DEM, all in one pass; see `terrain.FACTORS`.

    Args:
        input: the DEM; its first band counts. For `twi` it is held in
            memory whole.
        output: float32 GeoTIFF, one band a factor, named after it; the bands of categorical
            factors have their classes' names as tags, `class_<value>`.
        factors: names of factors, in the order of the output's bands.
        radii: metres within which the factors of `scales.FACTORS` are derived too.
        smoothing: sigma of a Gaussian in metres, applied to the DEM first; 0 = none.
        z_unit: of the heights: a key of `heights.Z_UNITS`, or "auto" for what the file says, else
            metres. They become metres.
        fill: "auto" or "keep": fill that the DEM does not declare is nodata, or is kept.
        origin: what the outputs tell of the run.
        progress: where to report.

    Raises:
        InputError: a smoothing or radius wider than the DEM, a radius below its pixel, a DEM
            without 2 x 2 pixels or without any valid one, or one that does not fit in memory.
        GridError: the DEM has no CRS or is rotated.
    """
    names, radii = list(dict.fromkeys(factors)), list(dict.fromkeys(radii))
    with Source.open(input, what="DEM") as dem:
        terrain.check_dem(dem, smoothing)
        bands = [*names, *scales.band_names(radii)]
        scales.check_radii(radii, dem.grid, len(names), progress)
        tell_metres(dem.grid, progress)
        if set(names) & set(terrain.DIRECTIONS):
            tell_north(dem.grid, progress)
        to_metres = metres_of_heights(dem, z_unit, progress)
        searching, deriving = progress.part(0, 0.05), progress.part(0.05, 1)
        mark_fill([dem], fill, searching, kind=ELEVATION, bands=dem.bands[:1], metre=1 / to_metres)
        with RasterWriter(output, dem.grid, bands, tags=origin.tags()) as writer:
            for index, name in enumerate(names, start=1):
                classes = terrain.CLASSES.get(name, {})
                writer.tag_band(index, {f"class_{value}": text for value, text in classes.items()})
            _stream(dem, names, radii, smoothing, to_metres, writer, deriving)
    return {"output": output}


def _stream(
    dem: Source,
    names: Sequence[str],
    radii: Sequence[float],
    smoothing: float,
    to_metres: float,
    writer: RasterWriter,
    progress: Progress,
) -> None:
    """Write all factors, block by block; refuse to leave a raster without any valid pixel."""
    catchment = NOTHING
    if set(names) & set(terrain.OF_THE_WHOLE):
        from .wetness import specific_catchment  # here: geopandas, which it needs, loads slowly

        catchment = specific_catchment(dem, smoothing, to_metres, progress.part(0, 0.8))
        progress = progress.part(0.8, 1)
    any_valid = False
    for window, values, valid in stream_factors(dem, names, smoothing, catchment, to_metres):
        within = [derive_within(dem, window, radius, smoothing, to_metres) for radius in radii]
        writer.write(np.concatenate([values, *within]), window)
        progress.update((window.row_off + window.height) / dem.grid.height)
        any_valid = any_valid or bool(valid.any())
    if not any_valid:
        raise InputError(f"The DEM {dem.path} holds no valid pixel.")
