"""The command that derives distances; it is quick to load."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import shapely

from ..contract.choices import Distance
from ..core import memory
from ..core.progress import Progress
from ..core.provenance import NO_ORIGIN, Provenance
from ..raster.grid import tell_metres
from ..raster.source import Source
from ..raster.writer import RasterWriter
from ..vector.shapes import Shapes, read_shapes
from . import distance as distances
from .reach import all_round


def distance(
    *,
    input: str,
    reference: str,
    output: str,
    name: Annotated[str, Distance.NAME] = Distance.NAME.default,
    max_distance: Annotated[float, Distance.MAX_DISTANCE] = Distance.MAX_DISTANCE.default,
    breaks: Annotated[Sequence[float], Distance.BREAKS] = Distance.BREAKS.default,
    levels: Annotated[str, Distance.LEVELS] = Distance.LEVELS.default,
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Compute the distance to rivers, faults or roads in metres; see `distance.stream_distance`.

    Args:
        input: lines, polygons or points.
        reference: the raster whose grid counts.
        output: float32 GeoTIFF of metres, or uint8 of levels 0..n, named and marked as ordinal,
            when there are breaks.
        name: the band's name.
        max_distance: longer distances are given as this; 0 = no limit. With a preset it counts from
            the features' surface, as its levels do.
        breaks: ascending metres between the levels.
        levels: a preset, one of `distance.LEVELS`; "none" for none.
        origin: what the outputs tell of the run.
        progress: where to report.

    Raises:
        InputError: no usable feature, breaks that don't ascend, breaks beside a preset, or too
            little memory.
        GridError: the reference has no CRS or the features lie far from it.
    """
    chosen = distances.preset(levels, breaks)
    width = chosen.half_width
    edges = distances.check_breaks(chosen.breaks, max_distance)
    if width:
        edges = [0.0, *edges]
    with Source.open(reference, what="reference raster") as raster:
        grid = raster.grid
    tell_metres(grid, progress)
    geometries = read_shapes(
        input, "input", crs=grid.crs, kinds=("LineString", "Polygon", "Point"), progress=progress
    )
    parts = shapely.get_parts(geometries)  # small ones are found where they lie
    features = Shapes(all_round(parts, grid))
    limit = max_distance or np.inf
    if edges:  # beyond the last break all is one level
        limit = min(limit, 2 * edges[-1])
    blocks = distances.plan_blocks(features, grid, limit, width)
    memory.require_memory(
        distances.memory_needed(blocks, grid),
        f"The distances on {grid.width} x {grid.height} pixels",
        "give a maximum distance or make the reference's pixels larger",
        progress,
    )
    dtype, names = ("uint8", distances.level_names(edges)) if edges else ("float32", {})
    with RasterWriter(output, grid, [name], dtype, origin.tags(), names) as writer:
        if edges:
            writer.tag_band(1, {"ordinal": "yes"})  # the stack keeps them one band
        for window, metres in distances.stream_distance(features, grid, blocks, limit, width):
            values = distances.to_levels(metres, edges) if edges else metres
            writer.write(values, window, np.isfinite(metres))
            progress.update((window.row_off + window.height) / grid.height)
    return {"output": output}
