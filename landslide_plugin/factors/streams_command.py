"""The command for streams of a DEM."""

from typing import Annotated, Any

import numpy as np

from ..contract.choices import Streams
from ..contract.errors import InputError
from ..core.progress import Progress
from ..core.provenance import NO_ORIGIN, Provenance
from ..raster.grid import tell_metres
from ..raster.heights import metres_of_heights
from ..raster.source import Source
from ..raster.undeclared import ELEVATION, mark_fill
from ..vector.layers import require_vector_output, write_vector
from . import streams as stream_lines


def streams(
    *,
    input: str,
    output: str,
    min_area: Annotated[float, Streams.MIN_AREA] = Streams.MIN_AREA.default,
    z_unit: Annotated[str, Streams.Z_UNIT] = Streams.Z_UNIT.default,
    fill: Annotated[str, Streams.FILL] = Streams.FILL.default,
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Derive stream lines from a DEM; see `streams.stream_network`.

    Args:
        input: the DEM; its first band counts. It is held in memory whole.
        output: lines with the fields `id`, `strahler`, `length_m` and `drained_km2`.
        min_area: km2 that a stream drains where it begins.
        z_unit: of the heights: a key of `heights.Z_UNITS`, or "auto" for what the file says, else
            metres.
        fill: "auto" or "keep": fill that the DEM does not declare is nodata, or is kept.
        origin: what the outputs tell of the run.
        progress: where to report.

    Raises:
        InputError: a minimum area that no cell drains, a DEM that is too small, has no valid pixel
            or does not fit in memory.
        GridError: the DEM has no CRS or is rotated.
    """
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
        searching = progress.part(0, 0.05)
        mark_fill([dem], fill, searching, kind=ELEVATION, bands=dem.bands[:1], metre=1 / to_metres)
        elevation, valid = (part[0] for part in dem.read(bands=dem.bands[:1]))
    elevation *= np.float32(to_metres)
    if not valid.any():
        raise InputError(f"The DEM {input} holds no valid pixel.")
    progress.update(0.1)
    network = stream_lines.stream_network(
        elevation, valid, grid, min_area, progress.part(0.1, 0.95)
    )
    write_vector(network, output, geometry_type="LineString", tags=origin.tags())
    progress.update(1.0)
    return {"output": output, "count": len(network)}
