"""The command detect."""

from contextlib import ExitStack
from typing import Annotated, Any

import geopandas as gpd
import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.windows import Window

from ...models.device import describe, pick_device, placed
from ...models.model_card import ModelCard, require_task
from ...models.model_file import load_model
from ...models.registry import INSTANCE_TASK
from ..contract.choices import Detect
from ..contract.tags import SCORE
from ..core.progress import Progress
from ..core.provenance import NO_ORIGIN, Provenance
from ..inventory.attributes import make_inventory
from ..inventory.layer import write_inventory
from ..inventory.polygons import to_map
from ..outputs.whole import require_folder
from ..raster import RasterWriter, Source
from ..vector.layers import require_vector_output
from .fit import fit_card, open_stack
from .instances import Detections, detect_instances
from .sizes import window_sides
from .stack import Stack
from .tiling import Tiling
from .windows import Area, Reader, warn_of_no_pixel

MASK_MEGABYTES = 64.0
"""Of the stack's bands, read again for where they are valid."""


def detect(
    *,
    stack: str,
    model: str,
    output: str,
    mask: str = "",
    score: Annotated[float | None, Detect.SCORE] = Detect.SCORE.default,
    tile_size: Annotated[int, Detect.TILE_SIZE] = Detect.TILE_SIZE.default,
    overlap: Annotated[float, Detect.OVERLAP] = Detect.OVERLAP.default,
    area: str = "",
    device: Annotated[str, Detect.DEVICE] = Detect.DEVICE.default,
    fill: Annotated[str, Detect.FILL] = Detect.FILL.default,
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Find single landslides by an instance model (Mask R-CNN, Yang, R. et al. 2022).

    A landslide that several windows see becomes one polygon, with its highest score.

    Args:
        stack: raster that has the model's bands, in any order.
        model: the model file.
        output: polygon layer to write, with the inventory's fields.
        mask: raster to write: uint8, 1 in a landslide, 0 elsewhere, 255 nodata; none when empty.
        score: landslides found with less confidence are left out, 0..1; None takes the model's
            threshold.
        tile_size: side of the windows in pixels of the model's resolution; 0 takes the model's.
        overlap: share of a window that it has in common with the next, 0 to 0.9.
        area: polygons; landslides are looked for within, and cut at their border.
        device: auto, cpu, cuda or mps.
        fill: "auto" or "keep": fill that the stack does not declare is nodata, or is kept.
        origin: what the outputs tell of the run.
        progress: told of each window.

    Returns:
        output, mask (None where none was asked for), and count, the number of polygons.

    Raises:
        InputError: a missing or unfit input, or windows that are too small.
        ModelFileError: a bad model file, or the stack lacks bands of the model.
        OutputError: an output can't be written.
    """
    require_vector_output(output, unknown=True)
    require_folder(mask or output)
    loaded, processor = load_model(model), pick_device(device)
    card, network = loaded.card, placed(loaded.network, processor)
    require_task(card, INSTANCE_TASK)
    progress.message(f"Model {card.name} on {describe(processor)}.")
    least = card.threshold if score is None else score
    tags = origin.with_model(card.name).tags()
    with open_stack(Stack(stack), card, progress.part(0, 0.05), fill) as source:
        card = fit_card(card, source, progress.part(0.05, 0.1))
        wanted = Area.read(area, source.grid, progress) if area else None
        wished = tile_size or card.tile_size
        Tiling(source.grid.shape, wished, overlap)  # refuses what makes no windows
        size, side = window_sides(source.grid, card, wished, fixed=True)
        if size != side:
            progress.message(
                f"Windows of {size} x {size} pixels are resampled to {side} x {side} for the model."
            )
        tiling = Tiling(source.grid.shape, size, overlap)
        reader = Reader(source, card, tiling, wanted)
        detections = detect_instances(
            network,
            reader,
            tiling,
            side=side,
            score=least,
            device=processor,
            progress=progress.part(0.1, 0.9),
        )
        if not reader.count:
            warn_of_no_pixel(source.path, card.bands, bool(area), progress)
        elif not len(detections):
            progress.message(f"No landslide with a score of {least:g} or more: the layer is empty.")
        with ExitStack() as outputs:
            if mask:
                names = {0: "background", 1: "landslide"}
                scored = tags | {SCORE: f"{least:g}"}
                writer = RasterWriter(mask, source.grid, ["landslide"], "uint8", scored, names)
                outputs.enter_context(writer)
                _draw(writer, source, card, wanted, detections, progress.part(0.9, 0.97))
                writer.finish()
            write_inventory(_inventory(detections, source, card), output, progress, tags)
        reader.warn_if_far(progress)
    progress.update(1)
    return {"output": output, "mask": mask or None, "count": len(detections)}


def _inventory(detections: Detections, source: Source, card: ModelCard) -> gpd.GeoDataFrame:
    columns = {"score": detections.scores, "model": card.name}
    return make_inventory(to_map(detections.polygons, source.grid), source.grid.crs, columns)


def _draw(
    writer: RasterWriter,
    source: Source,
    card: ModelCard,
    area: Area | None,
    detections: Detections,
    progress: Progress,
) -> None:
    """Write what was found as a mask, window by window."""
    tree = shapely.STRtree(detections.polygons)
    for window in source.grid.windows(MASK_MEGABYTES, 2 * len(card.bands)):
        valid = np.all(source.read(window, card.bands)[1], axis=0)
        if area is not None:
            valid &= area.mask(window)
        right, bottom = window.col_off + window.width, window.row_off + window.height
        near = tree.query(shapely.box(window.col_off, window.row_off, right, bottom))
        writer.write(_marked(detections.polygons[near], window), window, valid)
        progress.update(bottom / source.grid.height)


def _marked(polygons: NDArray[np.object_], window: Window) -> NDArray[np.uint8]:
    """Return 1 on the pixels of a window whose centre lies in a polygon of pixel coordinates."""
    shape = int(window.height), int(window.width)
    if not len(polygons):
        return np.zeros(shape, np.uint8)
    corner = Affine.translation(window.col_off, window.row_off)
    marked: NDArray[np.uint8] = rasterize(polygons, shape, transform=corner, dtype="uint8")
    return marked
