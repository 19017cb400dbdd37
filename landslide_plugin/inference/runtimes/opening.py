"""Opens a model for prediction: finds its runtime and makes sure that it gives what it should."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ....models.calibration import calibration_of
from ....models.device import describe
from ....models.model_card import ModelCard, require_task
from ....models.model_file import LoadedModel
from ...contract.errors import InputError, ModelFileError
from ...core.progress import Progress
from .activation import as_probabilities
from .choice import Candidate, Trial, first_accurate, in_order
from .onnx_card import BY_ORDER, read_card
from .onnx_runtime import NAME as ONNX_NAME
from .onnx_runtime import OnnxRuntime
from .openvino_runtime import OpenVinoRuntime, half_type, images_at_once, openvino_name
from .runtime import (
    PACKAGES,
    Member,
    Padded,
    Retraced,
    Runtime,
    example_images,
    missing_packages,
    require_installed,
)
from .torch_runtime import TorchRuntime, has_half, torch_name

BYTES_EACH = 4
"""Of a parameter in an ONNX file."""
MULTIPLE = 32
"""Sides of images for a graph of any size are multiples of it."""

Examples = Callable[[ModelCard, int], Tensor]
"""Gives windows, float32, (N, C, side, side), z-scored, for a card and a side in pixels."""


def generated(card: ModelCard, side: int) -> Tensor:
    """Return windows as smooth as real scenes; see `Examples`."""
    return example_images(len(card.bands), side)


def no_windows(card: ModelCard) -> int:
    """Return that there are none, for whoever only opens a model."""
    return 0


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to compute, and on what runtimes are compared.

    Attributes:
        device: where.
        name: auto, torch, openvino or onnx; or a runtime's whole name, which is obeyed.
        size: side of the windows in pixels; 0 takes the model's. A model of fixed size keeps its
            own: see the runtime's `fixed_size`.
        examples: gives windows of the scene, of a side in pixels and as the card wants them.
        windows: how many will be computed for a card; "auto" leaves few to PyTorch.
        bands: names of the stack's bands; a model that doesn't name its own, as those made for
            Deepness, takes them in this order.
        progress: told what is chosen.
    """

    device: torch.device
    name: str = "auto"
    size: int = 0
    examples: Examples = generated
    windows: Callable[[ModelCard], int] = no_windows
    bands: Sequence[str] = ()
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        """Check that the runtime is there.

        Raises:
            MissingPackageError: it is not installed.
        """
        if self.name in PACKAGES:
            require_installed(self.name)

    def images(self, card: ModelCard, side: int) -> Tensor:
        """Return the windows that runtimes are compared on."""
        given = self.examples(card, side)
        return given if len(given) else generated(card, side)

    def choose(
        self, candidates: Iterable[Candidate], exact: Runtime, card: ModelCard, parameters: int
    ) -> Runtime:
        """Return the runtime that was named, or the one to be preferred that is accurate.

        Args:
            candidates: of one kind half precision before full.
            exact: the float32 runtime that others are compared with, and at last taken.
            card: the model's.
            parameters: of the model.

        Raises:
            InputError: what was named is not to be had here.
        """
        if self.name != "auto" and self.name not in PACKAGES:
            named = [one for one in candidates if one.name == self.name]
            if not named:
                raise InputError(
                    f"The runtime {self.name}, which the plan names for {card.name}, is not to be "
                    "had here: take the machine or the engine that the raster was made with."
                )
            return named[0].make()
        side = exact.fixed_size[0] if exact.fixed_size else self.size or card.tile_size
        trial = Trial.of(exact, self.images(card, side), _threshold(card), self.progress)
        work = self.windows(card) * parameters
        chosen = first_accurate(in_order(candidates, self.name, work), trial)
        if chosen is None:
            self.progress.warning(f"The runtime {self.name} doesn't fit: {exact.name} is used.")
        return chosen or exact


def open_network(model: LoadedModel, wish: Wish) -> Member:
    """Open a semantic network with the runtime that is asked for, or the one the work is worth.

    Half precision is used where it keeps the accuracy: against float32 PyTorch, probabilities may
    differ by `choice.MEAN_DIFFERENCE` in the mean, and `choice.FLIPPED` of the pixels may change
    class.

    Raises:
        InputError: the runtime that is named is not to be had here.
        ModelFileError: a model of another task.
    """
    network, card = model.network, model.card
    require_task(card)
    exact = TorchRuntime(network, wish.device, half=False)
    candidates = _of_network(network, wish.device, wish.name, len(card.bands))
    parameters = sum(tensor.numel() for tensor in network.parameters())
    runtime = wish.choose(candidates, exact, card, parameters)
    wish.progress.message(f"Model {card.name}: {runtime.name} on {describe(wish.device)}.")
    return Member(runtime, card)


def _of_network(
    network: nn.Module, device: torch.device, asked: str, bands: int
) -> Iterator[Candidate]:
    """Yield the ways to run a network, half precision before full."""
    for half in (True, False) if has_half(device) else (False,):
        yield Candidate(
            "torch", torch_name(device, half), partial(TorchRuntime, network, device, half)
        )
    if device.type != "cpu":
        return
    for half in _openvino_precisions():
        make = partial(OpenVinoRuntime.from_network, network, bands, half)
        name = openvino_name(half)
        yield Candidate("openvino", name, partial(Retraced, name, make, images_at_once()))
    # Beside the others it has never been the fastest, and the graph takes seconds to make.
    if asked in ("onnx", ONNX_NAME) and not missing_packages("onnx"):
        graph = partial(OnnxRuntime.from_network, network, bands)
        yield Candidate("onnx", ONNX_NAME, partial(Retraced, ONNX_NAME, graph))


def open_graph(path: Path, wish: Wish) -> Member:
    """Open an ONNX file as `open_network` does a network; the card is what it says of itself.

    Raises:
        InputError: PyTorch is asked for.
        ModelFileError: there is no such file, or no image goes in and no probabilities come out.
        MissingPackageError: ONNX Runtime is not installed.
    """
    if wish.name == "torch":
        raise InputError(f"{path} is an ONNX model: choose the runtime auto, onnx or openvino.")
    if not path.is_file():
        raise ModelFileError(f"The model file {path} does not exist: choose another.")
    require_installed("onnx")
    plain = OnnxRuntime(path, as_probabilities, wish.device)
    side = plain.fixed_size[0] if plain.fixed_size else 0
    card, plain.activation = read_card(path, plain.metadata(), plain.bands, side)
    if card.training.get(BY_ORDER) and len(wish.bands) >= plain.bands:
        card = replace(card, bands=list(wish.bands[: plain.bands]))
        given = ", ".join(card.bands)
        wish.progress.message(f"{path.name} names no bands: it is given {given}.")
    exact = _any_size(plain)
    images = wish.images(card, side or wish.size or card.tile_size)
    _check_probabilities(exact.run(images).cpu(), card, images, path)
    candidates = [Candidate("onnx", exact.name, lambda: exact)]
    if wish.device.type == "cpu":
        candidates += [
            Candidate("openvino", openvino_name(half), partial(_openvino_file, path, plain, half))
            for half in _openvino_precisions()
        ]
    runtime = wish.choose(candidates, exact, card, path.stat().st_size // BYTES_EACH)
    wish.progress.message(f"Model {card.name}: {runtime.name}.")
    return Member(runtime, card)


def _openvino_file(path: Path, like: OnnxRuntime, half: bool) -> Runtime:
    return _any_size(OpenVinoRuntime.from_file(path, like, half))


def _any_size(runtime: Runtime) -> Runtime:
    return runtime if runtime.fixed_size else Padded(runtime, MULTIPLE)


def _openvino_precisions() -> list[bool]:
    if missing_packages("openvino"):
        return []
    return [True, False] if half_type() else [False]


def _check_probabilities(answer: Tensor, card: ModelCard, images: Tensor, path: Path) -> None:
    """Check that a foreign graph gives the probabilities of the classes that it describes."""
    wanted = (len(images), len(card.classes), *images.shape[2:])
    if tuple(answer.shape) != wanted:
        raise ModelFileError(
            f"{path} gives an output of shape {tuple(answer.shape)}, but its description asks for "
            f"{wanted} (images, classes, rows, columns): export it again."
        )
    low, high = float(answer.min()), float(answer.max())
    if not (low > -0.01 and high < 1.01):
        raise ModelFileError(
            f"{path} gives values of {low:.3g} to {high:.3g}, which are no probabilities: export "
            "it with a softmax or sigmoid at its end."
        )


def _threshold(card: ModelCard) -> float:
    """Return the threshold of probabilities as a runtime gives them, without the temperature."""
    return float(calibration_of([card]).inverse(card.threshold))
