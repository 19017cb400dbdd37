"""Opens a model for prediction: finds its runtime and makes sure that it gives what it should."""

import hashlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ....models.model_card import ModelCard
from ....models.model_file import load_model
from ....models.registry import INSTANCE_TASK, SEMANTIC_TASK
from ...device import describe, pick_device
from ...errors import InputError, ModelFileError
from ...progress import Progress
from .activation import as_probabilities
from .choice import Candidate, Memory, Trial, choose
from .onnx_card import read_card
from .onnx_runtime import OnnxRuntime
from .openvino_runtime import OpenVinoRuntime, half_type
from .runtime import Padded, Runtime, example_images, is_installed, require_installed
from .torch_runtime import TorchRuntime, has_half

NAMES = ("auto", "torch", "openvino", "onnx")
WORTH_MEASURING = 30.0
"""Seconds that PyTorch must be expected to take before others are made and measured."""
MULTIPLE = 32
"""Sides of images for a graph of any size are multiples of it."""

Model = str | Path | tuple[nn.Module, ModelCard]
Examples = Callable[[ModelCard, int], Tensor]
"""Gives windows, float32, (N, C, side, side), z-scored, for a card and a side in pixels."""


def open_runtime(
    model: Model,
    device: torch.device | str = "auto",
    name: str = "auto",
    *,
    size: int = 0,
    examples: Examples | None = None,
    work: int = 0,
    progress: Progress | None = None,
) -> tuple[Runtime, ModelCard]:
    """Open a semantic model with the runtime that is asked for, or the fastest.

    Half precision is used where it keeps the accuracy: against float32 PyTorch, probabilities may
    differ by `choice.MEAN_DIFFERENCE` in the mean, and `choice.FLIPPED` of the pixels may change
    class. "auto" measures the runtimes that are installed once per machine and model.

    Args:
        model: a model file, `.safetensors` or `.onnx`, or a network and its card.
        device: auto, cpu, cuda or mps.
        name: one of `NAMES`.
        size: side of the windows in pixels; 0 takes the model's. A model of fixed size keeps its
            own: see the runtime's `fixed_size`.
        examples: gives windows of the scene, of a side in pixels and as the card wants them, on
            which runtimes are compared; generated ones are taken when None.
        work: windows that will be computed; "auto" doesn't look beyond PyTorch for few.
        progress: told what is chosen.

    Raises:
        InputError: there is no such runtime.
        ModelFileError: a bad model file, or a model of another task.
        MissingPackageError: the runtime that was asked for is not installed.
    """
    if name not in NAMES:
        raise InputError(f"No runtime {name!r}: choose one of {', '.join(NAMES)}.")
    if name != "auto":
        require_installed(name)
    place = device if isinstance(device, torch.device) else pick_device(device)
    progress = progress or Progress()
    if isinstance(model, str | Path) and Path(model).suffix.lower() == ".onnx":
        runtime, card = _open_onnx(Path(model), place, name, size, examples, progress)
        progress.message(f"Model {card.name}: {runtime.name}.")
        return runtime, card
    network, card = load_model(model) if isinstance(model, str | Path) else model
    require_task(card)
    images = (examples or _generated)(card, size or card.tile_size)
    runtime = _open_network(network, card, place, name, images, work, progress)
    progress.message(f"Model {card.name}: {runtime.name} on {describe(place)}.")
    return runtime, card


def require_task(card: ModelCard, task: str = SEMANTIC_TASK) -> None:
    """Refuse a model of another task.

    Raises:
        ModelFileError: it is one; the message names the algorithm that takes it.
    """
    if card.task != task:
        other = "detect" if card.task == INSTANCE_TASK else "predict"
        raise ModelFileError(
            f"The model {card.name} does {card.task}, not {task}: run it with the algorithm "
            f"{other}."
        )


def _open_network(
    network: nn.Module,
    card: ModelCard,
    place: torch.device,
    name: str,
    images: Tensor,
    work: int,
    progress: Progress,
) -> Runtime:
    """Return the runtime of a network in memory."""
    exact = TorchRuntime(network, place, half=False)
    trial, seconds = _timed_trial(exact, images, card.threshold, progress)
    if name == "auto" and work and work * seconds < WORTH_MEASURING:
        name = "torch"
    memory = Memory(_network_digest(network), images.shape[1:], describe(place), name)
    candidates = _of_network(network, place, images.shape[1], images.shape[2])
    return _chosen([one for one in candidates if name in ("auto", one.kind)], trial, memory, exact)


def _of_network(
    network: nn.Module, place: torch.device, bands: int, size: int
) -> Iterator[Candidate]:
    """Yield the ways to run a network, half precision before full."""
    if has_half(place):
        yield Candidate("torch", True, lambda: TorchRuntime(network, place, half=True))
    yield Candidate("torch", False, lambda: TorchRuntime(network, place, half=False))
    if place.type != "cpu":
        return
    for half in _openvino_precisions():
        yield Candidate(
            "openvino",
            half,
            partial(OpenVinoRuntime.from_network, network, bands, size, half),
        )
    if is_installed("onnx"):
        yield Candidate("onnx", False, lambda: OnnxRuntime.from_network(network, bands, size))


def _open_onnx(
    path: Path,
    place: torch.device,
    name: str,
    size: int,
    examples: Examples | None,
    progress: Progress,
) -> tuple[Runtime, ModelCard]:
    """Return the runtime of an ONNX file, and what it says about itself."""
    if name == "torch":
        raise InputError(f"{path} is an ONNX model: choose the runtime auto, onnx or openvino.")
    if not path.is_file():
        raise ModelFileError(f"The model file {path} does not exist: choose another.")
    require_installed("onnx")
    plain = OnnxRuntime(path, as_probabilities, place)
    if plain.fixed_size and plain.fixed_size[0] != plain.fixed_size[1]:
        raise ModelFileError(
            f"{path} takes images of {plain.fixed_size[1]} x {plain.fixed_size[0]} pixels: only "
            "square ones can be given."
        )
    side = plain.fixed_size and plain.fixed_size[0]
    card, plain.activation = read_card(path, plain.metadata(), plain.bands, side)
    exact = _any_size(plain)
    images = (examples or _generated)(card, side or size or card.tile_size)
    trial = _checked_trial(exact, card, path, images, progress)
    candidates = [Candidate("onnx", False, lambda: exact)]
    if place.type == "cpu":
        candidates += [
            Candidate("openvino", half, partial(_openvino_file, path, plain, half))
            for half in _openvino_precisions()
        ]
    memory = Memory(_file_digest(path), images.shape[1:], describe(place), name)
    wanted = [one for one in candidates if name in ("auto", one.kind)]
    return _chosen(wanted, trial, memory, exact), card


def _openvino_file(path: Path, like: OnnxRuntime, half: bool) -> Runtime:
    return _any_size(OpenVinoRuntime.from_file(path, like, half))


def _any_size(runtime: Runtime) -> Runtime:
    return runtime if runtime.fixed_size else Padded(runtime, MULTIPLE)


def _openvino_precisions() -> list[bool]:
    if not is_installed("openvino"):
        return []
    return [True, False] if half_type() else [False]


def _chosen(candidates: list[Candidate], trial: Trial, memory: Memory, exact: Runtime) -> Runtime:
    """Return the candidate that was chosen before, or choose now; at last the exact one."""
    known = memory.recall()
    for candidate in candidates:
        if candidate.key == known:
            return candidate.make()
    found = choose(candidates, trial)
    if found is None:
        trial.progress.warning(
            f"No other runtime keeps this model's accuracy here: {exact.name} is used."
        )
        return exact
    memory.keep(found[0].key)
    return found[1]


def _timed_trial(
    exact: Runtime, images: Tensor, threshold: float, progress: Progress
) -> tuple[Trial, float]:
    """Return the reference, and the seconds that a window took."""
    start = time.perf_counter()
    reference = exact.run(images).cpu()
    seconds = (time.perf_counter() - start) / len(images)
    return Trial(images, reference, threshold, progress), seconds


def _checked_trial(
    exact: Runtime, card: ModelCard, path: Path, images: Tensor, progress: Progress
) -> Trial:
    """Run a foreign graph once and check that it gives probabilities of its classes."""
    reference = exact.run(images)
    wanted = (len(images), len(card.classes), *images.shape[2:])
    if tuple(reference.shape) != wanted:
        raise ModelFileError(
            f"{path} gives an output of shape {tuple(reference.shape)}, but its description asks "
            f"for {wanted} (images, classes, rows, columns): export it again."
        )
    low, high = float(reference.min()), float(reference.max())
    if not (low > -0.01 and high < 1.01):
        raise ModelFileError(
            f"{path} gives values of {low:.3g} to {high:.3g}, which are no probabilities: export "
            "it with a softmax or sigmoid at its end."
        )
    return Trial(images, reference, card.threshold, progress)


def _generated(card: ModelCard, side: int) -> Tensor:
    return example_images(len(card.bands), side)


def _network_digest(network: nn.Module) -> str:
    digest = hashlib.blake2b()
    for key, tensor in network.state_dict().items():
        digest.update(key.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()
