"""The command exportmodel: a model for other programs."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from ...models.calibration import calibration_of
from ...models.model_card import ModelCard
from ...models.model_file import LoadedModel, load_model
from ...models.registry import SEMANTIC_TASK
from ..contract.choices import ExportModel
from ..contract.errors import InputError, ModelFileError
from ..core.progress import Progress
from ..core.provenance import NO_ORIGIN, Provenance
from ..outputs.whole import require_folder, whole_file
from .runtimes.activation import as_probabilities
from .runtimes.onnx_card import item_of_graph, metadata_props
from .runtimes.onnx_runtime import OnnxRuntime, onnx_graph
from .runtimes.opening import MULTIPLE
from .runtimes.runtime import example_images, require_installed

ENDINGS = {"onnx": ".onnx", "stac": ".json"}
"""Format to the ending of its files."""
TOLERANCE = 1e-4
"""Probabilities of the exported graph may differ by this from those of PyTorch."""


def exportmodel(
    *,
    model: str,
    output: str,
    format: Annotated[str, ExportModel.FORMAT] = ExportModel.FORMAT.default,
    tile_size: Annotated[int, ExportModel.TILE_SIZE] = ExportModel.TILE_SIZE.default,
    any_size: Annotated[bool, ExportModel.ANY_SIZE] = ExportModel.ANY_SIZE.default,
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Write a model for other programs: its network as ONNX, or its description as a STAC item.

    The ONNX file holds the network with softmax and temperature at its end, the STAC item with the
    Machine Learning Model extension, and the keys that the QGIS plugin Deepness reads. It is run
    once by ONNX Runtime, and only written if that gives what PyTorch gives.

    Args:
        model: the model file.
        output: file to write, `.onnx` or `.json`.
        format: onnx or stac.
        tile_size: side of the images of the ONNX graph in pixels, rounded up to a multiple of 32;
            0 takes the model's.
        any_size: leave the side open, for any multiple of 32; Deepness can't open such a file.
        origin: unused: the exported model tells of itself, not of the run.
        progress: told of each step.

    Returns:
        output, tile_size of the graph, and difference, the largest between the probabilities of
        ONNX Runtime and of PyTorch; the latter two None for a STAC item.

    Raises:
        InputError: the output's ending is not the format's.
        ModelFileError: a bad model file, or one that can't be written as ONNX.
        OutputError: the output can't be written.
        MissingPackageError: a package for ONNX is not installed.
    """
    _check(output, format)
    loaded = load_model(model)
    card = loaded.card
    parameters = sum(value.numel() for value in loaded.network.parameters())
    progress.update(0.1)
    if format == "stac":
        item = card.to_item(parameters)
        asset = item["assets"]["model"]
        asset["href"] = _way(model, output)
        _write(output, json.dumps(item, indent=2).encode())
        progress.update(1)
        return {"output": output, "tile_size": None, "difference": None}
    _check_exportable(card)
    size = -(-(tile_size or card.tile_size) // MULTIPLE) * MULTIPLE
    network = _Calibrated(loaded.network, card.temperature)
    graph = onnx_graph(network, len(card.bands), size, size, any_size)
    progress.update(0.6)
    difference = _largest_difference(loaded, graph, [size, *([size + MULTIPLE] * any_size)])
    if not difference <= TOLERANCE:
        raise ModelFileError(
            f"The model {card.name} can't be exported: ONNX Runtime's probabilities differ by "
            f"{difference:.2g} from PyTorch's; nothing was written."
        )
    progress.update(0.9)
    told = replace(card, temperature=1.0)  # the graph has it
    item = item_of_graph(told, Path(output).name, size, parameters)
    _write(output, _with_metadata(graph, metadata_props(card, item, size)))
    progress.message(
        f"ONNX graph for {'any size' if any_size else f'{size} x {size} pixels'}; probabilities "
        f"differ by {difference:.2g} at most from PyTorch's."
    )
    progress.update(1)
    return {"output": output, "tile_size": size, "difference": difference}


def _check(output: str, form: str) -> None:
    """Refuse unfit parameters before any work."""
    if Path(output).suffix.lower() != ENDINGS[form]:
        raise InputError(
            f"{output} must end in {ENDINGS[form]} for the format {form}: give it that ending."
        )
    if form == "onnx":
        require_installed("onnx")
    require_folder(output)


def _check_exportable(card: ModelCard) -> None:
    if card.task != SEMANTIC_TASK:
        raise ModelFileError(
            f"The model {card.name} does {card.task}: only models that mark pixels can be exported "
            "as ONNX; choose the format stac."
        )


class _Calibrated(nn.Module):
    """A network that gives calibrated probabilities: kinds of landslide keep their shares."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network = network
        self._temperature = temperature

    def forward(self, images: Tensor) -> Tensor:
        """Return probabilities, float32, (N, K, h, w)."""
        logits: Tensor = self.network(images)
        if self._temperature == 1:
            return logits.softmax(dim=1)
        background, kinds = logits[:, :1], logits[:, 1:]
        logit = (kinds.logsumexp(dim=1, keepdim=True) - background) / self._temperature
        return torch.cat([(-logit).sigmoid(), logit.sigmoid() * kinds.softmax(dim=1)], dim=1)


def _largest_difference(model: LoadedModel, graph: bytes, sizes: list[int]) -> float:
    """Return how far ONNX Runtime is from PyTorch, at worst, on one and on three images."""
    runtime = OnnxRuntime(graph, as_probabilities, torch.device("cpu"))
    worst = 0.0
    for size in sizes:
        for count in (1, 3):
            images = example_images(len(model.card.bands), size, count)
            with torch.inference_mode():
                expected = _expected(model, images)
            difference = (runtime.run(images) - expected).abs().max()
            worst = max(worst, float(difference.nan_to_num(nan=float("inf"))))
    return worst


def _expected(model: LoadedModel, images: Tensor) -> Tensor:
    """Return the probabilities that PyTorch gives, calibrated as `predict` does it."""
    result = model.network(images).softmax(dim=1)
    kinds = result[:, 1:].transpose(0, 1)
    calibrated = torch.from_numpy(
        calibration_of([model.card]).of_raster(kinds.flatten(2).numpy(), len(kinds))
    )
    kinds = calibrated.reshape(kinds.shape).transpose(0, 1)
    return torch.cat([1 - kinds.sum(dim=1, keepdim=True), kinds], dim=1)


def _with_metadata(graph: bytes, metadata: dict[str, str]) -> bytes:
    import onnx

    model = onnx.load_from_string(graph)
    model.producer_name = "Landslide Mapper"
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    whole: bytes = model.SerializeToString()
    return whole


def _write(path: str, content: bytes) -> None:
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def _way(model: str, output: str) -> str:
    """Return where a model is, as seen from the output; on Windows it may be on another drive."""
    try:
        return Path(os.path.relpath(model, Path(output).parent)).as_posix()
    except ValueError:
        return Path(model).resolve().as_uri()
