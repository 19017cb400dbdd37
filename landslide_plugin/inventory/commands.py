"""The command vectorize: a probability raster or a mask becomes the inventory."""

from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..outputs import require_folder
from ..progress import Progress
from ..provenance import CURRENT
from ..raster import Source
from ..raster.grid import require_north_up
from ..vector import write_vector
from .attributes import Statistics, make_inventory
from .polygons import Polygonizer, simplified, to_map, without_holes

TERRAIN = {"elevation": "bilinear", "slope": "bilinear", "aspect": "nearest"}
"""Bands of the factor stack that are used, and how they are brought to the input's grid: angles
can't be interpolated."""
BLOCK_MEGABYTES = 32.0
WORKING_COPIES = 12


def vectorize(
    *,
    input: str,
    output: str,
    threshold: float = 0.5,
    min_area: float = 0.0,
    max_hole: float = 0.0,
    simplify: float = 0.0,
    factors: str = "",
    model: str = "",
    progress: Progress,
) -> dict[str, Any]:
    """Turn a probability raster or a mask into polygons with the attributes of the inventory.

    A raster of a floating type holds probabilities, 0..1. One of an integer type is a mask: 0 is
    background, 1 or 255 is landslide. Pixels that share an edge make one landslide. Statistics
    are those of the pixels from `threshold` on, before holes are filled and lines simplified.

    Args:
        input: the raster; its band `landslide_probability`, or else its first.
        output: the polygon layer to write.
        threshold: probability from which a pixel is landslide, 0..1.
        min_area: smaller polygons are left out; square metres.
        max_hole: holes up to this size are filled; square metres.
        simplify: tolerance in metres; 0 keeps the pixels' outlines.
        factors: stack with bands elevation, slope, aspect (any of them) for the terrain fields.
        model: name for the field `model`; the one in the raster's metadata when empty.
        progress: told of each block.

    Returns:
        output, count, and area_m2 of all polygons together.

    Raises:
        InputError: a parameter out of range, the input holds no probabilities or mask, or the
            factors have none of the bands.
        GridError: the factors lie elsewhere.
        OutputError: the output can't be written.
    """
    _check(threshold, min_area, max_hole, simplify)
    require_folder(output)
    with ExitStack() as stack:
        source = stack.enter_context(Source.open(input, what="input", need_crs=False))
        if source.grid.crs is None:
            progress.warning(f"{input} has no CRS: areas and lengths are in its own units.")
        else:
            require_north_up(source.grid.transform, input)
        terrain = _open_terrain(factors, source, stack) if factors else {}
        tags = source.dataset.tags()
        polygons, columns = _trace(source, threshold, terrain, progress.part(0, 0.8))
        resolution = source.grid.resolution
        shaped = simplified(without_holes(polygons, max_hole, source.grid), simplify / resolution)
        progress.update(0.85)
        columns["model"] = model or tags.get("LANDSLIDE_MODEL") or None
        frame = make_inventory(to_map(shaped, source.grid), source.grid.crs, columns)
    progress.update(0.95)
    frame = frame[frame["area_m2"] >= min_area].reset_index(drop=True)
    frame["id"] = np.arange(1, len(frame) + 1, dtype=np.int32)
    if frame.empty:
        progress.message(
            f"No landslide of {min_area:g} m² or more at threshold {threshold:g}: the layer is "
            "empty."
        )
    CURRENT.model = str(columns["model"] or "")
    write_vector(frame, output, geometry_type="Polygon")
    progress.update(1)
    return {"output": output, "count": len(frame), "area_m2": float(frame["area_m2"].sum())}


def _trace(
    source: Source, threshold: float, terrain: dict[str, Source], progress: Progress
) -> tuple[NDArray[np.object_], dict[str, Any]]:
    """Walk over the raster once; return polygons in pixel coordinates, and their statistics."""
    band = _probability_band(source)
    is_mask = np.dtype(source.dataset.dtypes[source.index_of(band) - 1]).kind != "f"
    polygonizer = Polygonizer()
    statistics = {name: Statistics(circular=name == "aspect") for name in ("prob", *terrain)}
    rows = source.grid.rows_within(BLOCK_MEGABYTES, WORKING_COPIES)
    for window in source.grid.row_blocks(rows):
        (values,), (valid,) = source.read(window, [band])
        probability = _checked(values, valid, is_mask, source.path)
        numbers = polygonizer.add(valid & (probability >= threshold), window)
        if not is_mask:
            statistics["prob"].add(numbers, probability, valid)
        for name, layer in terrain.items():
            (values,), (valid,) = layer.read(window, [name])
            if name == "aspect":
                valid &= values >= 0  # flat ground has none
            statistics[name].add(numbers, values, valid)
        progress.update((window.row_off + window.height) / source.grid.height)
    polygons, groups = polygonizer.finish()
    results = {name: item.result(groups) for name, item in statistics.items()}
    columns = {"prob_mean": results["prob"]["mean"], "prob_max": results["prob"]["max"]}
    if "elevation" in results:
        low, high = results["elevation"]["min"], results["elevation"]["max"]
        columns |= {"elev_min": low, "elev_max": high, "relief_m": high - low}
    for name in ("slope", "aspect"):
        if name in results:
            columns[f"{name}_mean"] = results[name]["mean"]
    return polygons, columns


def _open_terrain(factors: str, source: Source, stack: ExitStack) -> dict[str, Source]:
    """Return a view on the input's grid per terrain band that the factor stack has."""
    layer = stack.enter_context(Source.open(factors, what="factor stack"))
    found = [name for name in TERRAIN if name in layer.bands]
    if not found:
        raise InputError(
            f"The factor stack {factors} has none of the bands {', '.join(TERRAIN)}; it has "
            f"{', '.join(layer.bands)}: name the bands or leave the stack out."
        )
    return {name: layer.on(source.grid, TERRAIN[name]) for name in found}


def _probability_band(source: Source) -> str:
    name = "landslide_probability"
    return name if name in source.bands else source.bands[0]


def _checked(
    values: NDArray[np.float32], valid: NDArray[np.bool_], is_mask: bool, path: str
) -> NDArray[np.float32]:
    """Return probabilities, 0 or 1 for a mask; refuse anything else."""
    if is_mask:
        if not np.isin(values, (0, 1, 255)).all():
            raise InputError(
                f"{path} is of an integer type, so it must be a mask of 0 and 1 (or 255), but it "
                f"holds {values.max():g}: give a mask, or probabilities of a floating type."
            )
        return (values > 0).astype(np.float32)
    low, high = values.min(initial=0, where=valid), values.max(initial=0, where=valid)
    if low < -1e-3 or high > 1 + 1e-3:
        raise InputError(
            f"{path} holds values from {low:g} to {high:g}, so it is no probability raster: "
            "probabilities run from 0 to 1 (divide by 100 or 255 first)."
        )
    return values


def _check(threshold: float, min_area: float, max_hole: float, simplify: float) -> None:
    if not 0 <= threshold <= 1:
        raise InputError(f"The threshold is {threshold:g}: choose a probability of 0 to 1.")
    named = {"smallest area": min_area, "largest hole": max_hole, "simplification": simplify}
    for name, value in named.items():
        if not value >= 0:
            raise InputError(f"The {name} is {value:g}: choose 0 or more.")
