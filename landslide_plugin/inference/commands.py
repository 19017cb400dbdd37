"""The command predict."""

from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ...models.model_card import ModelCard
from ...models.registry import SEMANTIC_TASK
from ..errors import InputError
from ..outputs import require_folder
from ..progress import Progress
from ..raster import RasterWriter
from .opening import load_network, open_stack, warn_if_far
from .semantic import map_probability
from .windows import Area, Reader, Tiling

PROBABILITY_BAND = "landslide_probability"


def predict(
    *,
    stack: str,
    model: str,
    probability: str,
    mask: str = "",
    tile_size: int = 0,
    overlap: float = 0.25,
    batch_size: int = 0,
    device: str = "auto",
    threshold: float | None = None,
    area: str = "",
    progress: Progress,
) -> dict[str, Any]:
    """Map the landslide probability of a stack by a semantic model and overlapping windows.

    Method: sliding window over the whole area as in Gao et al. 2021 (IEEE JSTARS 14:7881), with
    blended overlaps; bands are taken by name and scaled by the model's own statistics.

    Args:
        stack: raster that has the model's bands, in any order.
        model: the model file.
        probability: raster to write: float32, 0..1, nodata -9999 where a needed band has none.
        mask: raster to write: uint8, 1 landslide, 0 background, 255 nodata; none when empty.
        tile_size: side of the windows in pixels; 0 takes the model's.
        overlap: share of a window that it has in common with the next, 0 to 0.9.
        batch_size: windows computed at once; 0 chooses by device.
        device: auto, cpu, cuda or mps.
        threshold: probability from which the mask is 1; None takes the model's.
        area: polygons; outside is nodata and not computed.
        progress: told of each batch.

    Returns:
        probability and mask, the paths; the latter None where none was asked for.

    Raises:
        InputError: a missing or unfit input or parameter.
        ModelFileError: a bad model file, or the stack lacks bands of the model.
        OutputError: an output can't be written.
    """
    require_folder(probability)
    require_folder(mask or probability)
    if threshold is not None and not 0 <= threshold <= 1:
        raise InputError(f"The threshold is {threshold:g}: choose a probability of 0 to 1.")
    if batch_size < 0:
        raise InputError(f"The batch size is {batch_size}: choose 1 or more, or 0 for automatic.")
    network, card, place = load_network(model, SEMANTIC_TASK, device, progress)
    limit = card.threshold if threshold is None else threshold
    with open_stack(stack, card, progress) as source:
        grid = source.grid
        tiling = Tiling(grid.shape, tile_size or card.tile_size, overlap)
        reader = Reader(source, card, tiling, Area.read(area, grid, progress) if area else None)
        with ExitStack() as outputs:
            writers = [outputs.enter_context(RasterWriter(probability, grid, [PROBABILITY_BAND]))]
            if mask:
                names = {0: "background", 1: "landslide"}
                tags = {"LANDSLIDE_THRESHOLD": f"{limit:g}"}
                writer = RasterWriter(mask, grid, ["landslide"], "uint8", tags, names)
                writers.append(outputs.enter_context(writer))

            def write(
                values: NDArray[np.float32], valid: NDArray[np.bool_], window: Window
            ) -> None:
                writers[0].write(values, window, valid)
                for writer in writers[1:]:
                    writer.write((values >= limit).astype(np.uint8), window, valid)

            map_probability(
                network,
                reader,
                grid,
                tiling,
                write,
                landslide=_landslide_class(card),
                batch_size=batch_size,
                device=place,
                half=True,
                progress=progress,
            )
            for writer in writers:
                writer.finish()
        warn_if_far(reader, progress)
    return {"probability": probability, "mask": mask or None}


def _landslide_class(card: ModelCard) -> int:
    return card.classes.index("landslide") if "landslide" in card.classes else 1
