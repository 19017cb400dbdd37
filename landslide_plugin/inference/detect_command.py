"""The command detect."""

from typing import Any

from ...models.registry import INSTANCE_TASK
from ..errors import InputError
from ..inventory.attributes import make_inventory
from ..inventory.polygons import to_map
from ..outputs import require_folder
from ..progress import Progress
from ..vector import write_vector
from .instances import detect_instances
from .opening import load_network, open_stack, warn_if_far
from .windows import Reader, Tiling


def detect(
    *,
    stack: str,
    model: str,
    output: str,
    score: float | None = None,
    tile_size: int = 0,
    overlap: float = 0.25,
    device: str = "auto",
    progress: Progress,
) -> dict[str, Any]:
    """Find single landslides by an instance model (Mask R-CNN, Yang, R. et al. 2022).

    A landslide that several windows see becomes one polygon, with its highest score.

    Args:
        stack: raster that has the model's bands, in any order.
        model: the model file.
        output: polygon layer to write, with the inventory's fields.
        score: landslides found with less confidence are left out, 0..1; None takes the model's
            threshold.
        tile_size: side of the windows in pixels; 0 takes the model's.
        overlap: share of a window that it has in common with the next, 0 to 0.9.
        device: auto, cpu, cuda or mps.
        progress: told of each window.

    Returns:
        output, and count, the number of polygons.

    Raises:
        InputError: a missing or unfit input or parameter.
        ModelFileError: a bad model file, or the stack lacks bands of the model.
        OutputError: the output can't be written.
    """
    require_folder(output)
    if score is not None and not 0 <= score <= 1:
        raise InputError(f"The score is {score:g}: choose 0 to 1.")
    network, card, place = load_network(model, INSTANCE_TASK, device, progress)
    with open_stack(stack, card, progress) as source:
        grid = source.grid
        tiling = Tiling(grid.shape, tile_size or card.tile_size, overlap)
        reader = Reader(source, card, tiling)
        least = card.threshold if score is None else score
        found = detect_instances(
            network, reader, tiling, score=least, device=place, progress=progress.part(0, 0.95)
        )
        columns = {"score": found.scores, "model": card.name}
        frame = make_inventory(to_map(found.polygons, grid), grid.crs, columns)
        if frame.empty:
            progress.message(f"No landslide with a score of {least:g} or more: the layer is empty.")
        write_vector(frame, output, geometry_type="Polygon")
        warn_if_far(reader, progress)
    progress.update(1)
    return {"output": output, "count": len(frame)}
