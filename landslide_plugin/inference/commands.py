"""The commands predict, detect and device."""

import platform
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.windows import Window
from torch import nn

from ...models.model_card import ModelCard
from ...models.model_file import load_model
from ...models.registry import INSTANCE_TASK, SEMANTIC_TASK, build
from ..device import autocast, describe, pick_device
from ..errors import InputError, ModelFileError
from ..inventory.attributes import make_inventory
from ..inventory.polygons import to_map
from ..outputs import require_folder
from ..progress import Progress
from ..provenance import CURRENT
from ..raster import RasterWriter, Source
from ..raster.grid import require_north_up
from ..vector import write_vector
from .instances import detect_instances
from .semantic import map_probability
from .windows import Area, Reader, Tiling

PROBABILITY_BAND = "landslide_probability"
PACKAGES = (
    "torch",
    "torchvision",
    "segmentation-models-pytorch",
    "rasterio",
    "geopandas",
    "pyogrio",
    "shapely",
    "pyproj",
    "richdem",
    "numpy",
    "scipy",
    "scikit-learn",
    "safetensors",
)
SPEED_SECONDS = 2.0


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
    network, card, place = _load(model, SEMANTIC_TASK, device, progress)
    limit = card.threshold if threshold is None else threshold
    with _open_stack(stack, card, progress) as source:
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
        _warn_if_far(reader, progress)
    return {"probability": probability, "mask": mask or None}


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
    network, card, place = _load(model, INSTANCE_TASK, device, progress)
    with _open_stack(stack, card, progress) as source:
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
        _warn_if_far(reader, progress)
    progress.update(1)
    return {"output": output, "count": len(frame)}


def device(*, device: str = "auto", progress: Progress) -> dict[str, Any]:
    """Report the engine: device, Python, packages, and how fast FC-DenseNet runs.

    Args:
        device: auto, cpu, cuda or mps.
        progress: told of the measurement.

    Returns:
        device, python, packages (name to version, None where missing) and megapixels_per_second
        of the default network with seven bands, in batches of 256 x 256 pixels.
    """
    place = pick_device(device)
    network = build("fc_densenet", 7, 2).eval()
    network = _placed(network, place)
    progress.update(0.2)
    return {
        "device": describe(place),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "megapixels_per_second": round(_speed(network, place, progress), 3),
    }


def _speed(network: nn.Module, place: torch.device, progress: Progress) -> float:
    """Return megapixels a second, measured for about `SPEED_SECONDS` after a first run."""
    pixels = torch.zeros(1, 7, 256, 256, device=place).to(memory_format=torch.channels_last)
    done = 0
    with torch.inference_mode(), autocast(place):
        network(pixels).cpu()
        start = time.perf_counter()
        while (spent := time.perf_counter() - start) < SPEED_SECONDS:
            network(pixels).cpu()
            done += 1
            progress.update(0.2 + 0.8 * spent / SPEED_SECONDS)
    return done * pixels[0, 0].numel() / 1e6 / (time.perf_counter() - start)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _load(
    path: str, task: str, device: str, progress: Progress
) -> tuple[nn.Module, ModelCard, torch.device]:
    """Return the network on its device, and its card; refuse a model of another task."""
    network, card = load_model(path)
    if card.task != task:
        other = "detect" if card.task == INSTANCE_TASK else "predict"
        raise ModelFileError(
            f"The model {card.name} does {card.task}, not {task}: run it with the algorithm "
            f"{other}."
        )
    place = pick_device(device)
    progress.message(f"Model {card.name} on {describe(place)}.")
    CURRENT.model = card.name
    return _placed(network, place), card, place


def _placed(network: nn.Module, place: torch.device) -> nn.Module:
    """Bring a network to its device, in the memory format in which convolutions are fastest."""
    moved: nn.Module = network.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


@contextmanager
def _open_stack(path: str, card: ModelCard, progress: Progress) -> Iterator[Source]:
    """Open the stack, and warn where its pixels are of another size than the model's."""
    with Source.open(path, what="stack", need_crs=False) as source:
        if source.grid.crs is None:
            progress.warning(f"{path} has no CRS: lengths and areas are counted in pixels.")
        else:
            require_north_up(source.grid.transform, path)
            ratio = source.grid.resolution / (card.resolution or source.grid.resolution)
            if not 0.5 <= ratio <= 2:
                progress.warning(
                    f"The stack's pixels are {source.grid.resolution:.3g} m wide, but the model "
                    f"{card.name} was trained at {card.resolution:.3g} m: the result may be poor."
                )
        yield source


def _warn_if_far(reader: Reader, progress: Progress) -> None:
    far = reader.far_bands()
    if far:
        named = ", ".join(f"{band} ({mean:+.0f})" for band, mean in far.items())
        progress.warning(
            "The stack lies far from what the model was trained on, in standard deviations: "
            f"{named}; check the units and the order of the bands, the result may be poor."
        )


def _landslide_class(card: ModelCard) -> int:
    return card.classes.index("landslide") if "landslide" in card.classes else 1
