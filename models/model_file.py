"""Reads and writes model files: safetensors with the model card in the header.

Nothing in a model file is ever run: the weights are plain numbers, the card is JSON, and the
network is one of the registry's. A pickle is refused unopened.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..landslide_plugin.contract.errors import InputError, ModelFileError
from ..landslide_plugin.outputs.whole import whole_file
from .ensemble import Ensemble
from .known_models import SUFFIX, WEIGHTS, known_models
from .known_models import digest_of as file_digest
from .model_card import ModelCard
from .registry import build, check_arguments

ITEM_KEY = "stac_item"
LONGEST_ITEM = 10_000_000
"""Characters of a description; those of the trainings here have some thousands."""
FOREIGN_STARTS = {
    b"PK\x03\x04": "a zip or PyTorch archive",
    b"\x80": "a pickle",
    b"\x89HDF": "an HDF5 file",
    b"II*\x00": "a TIFF",
}


@dataclass(frozen=True)
class LoadedModel:
    """A model as its file has it.

    Attributes:
        network: on the CPU and in evaluation mode; an `Ensemble` where the card has members.
        card: its description.
    """

    network: nn.Module
    card: ModelCard

    @property
    def members(self) -> list["LoadedModel"]:
        """Its networks one by one, each with a card of its own; itself where it is one."""
        if not isinstance(self.network, Ensemble):
            return [self]
        card = replace(self.card, members=1)
        return [LoadedModel(network, card) for network in self.network]


def save_model(
    path: str | Path, network: nn.Module, card: ModelCard, *, half: bool = False
) -> None:
    """Write one file with the weights and the card; it appears whole or not at all.

    Args:
        path: the file, which must end in `.safetensors`.
        network: on any device; its float weights are stored as they are. An `Ensemble` where the
            card says that there are several members.
        card: its description.
        half: store float weights in 16 bits, for a file of half the size.

    Raises:
        InputError: the name has another ending.
        ValueError: the card says another number of members than the network has.
        OutputError: the folder is missing, read-only or full.
    """
    check_model_path(path)
    members = len(network) if isinstance(network, Ensemble) else 1
    if members != card.members:
        raise ValueError(f"{members} members are not the card's {card.members}")
    weights = network.state_dict()
    tensors = {key: value.detach().cpu().contiguous() for key, value in weights.items()}
    if half:
        tensors = {key: _as_float16(value) for key, value in tensors.items()}
    card = replace(card, digest=digest_of(tensors))
    item = card.to_item(sum(value.numel() for value in network.parameters()))
    with whole_file(path) as temporary:
        try:
            save_file(tensors, str(temporary), {"format": "pt", ITEM_KEY: json.dumps(item)})
        except SafetensorError as error:
            # It wraps the system's error in its own; `whole_file` knows a full disk by its text.
            raise OSError(str(error)) from error


def check_model_path(path: str | Path) -> None:
    """Check, before long work, that a model can be saved under this name.

    Raises:
        InputError: the name has another ending than `.safetensors`.
    """
    if Path(path).suffix.lower() != SUFFIX:
        raise InputError(f"The model file {path} must end in {SUFFIX}: give it that ending.")


def load_card(path: str | Path) -> ModelCard:
    """Read a model's description; the weights stay on the disk.

    Raises:
        ModelFileError: the file is missing, damaged or not one of ours.
    """
    return _read(Path(path), with_weights=False)[0]


def load_model(path: str | Path) -> LoadedModel:
    """Read a model.

    Raises:
        ModelFileError: the file is missing, damaged, not one of ours, or of an architecture that
            this version doesn't have; its weights are not those that it describes, or no numbers.
    """
    card, tensors = _read(Path(path), with_weights=True)
    _check_shipped(Path(path))
    _check_weights(path, card, tensors)
    try:
        # On "meta" nothing is allocated, whatever sizes the description asks for.
        with torch.device("meta"):
            network = _build(card)
    except InputError as error:
        raise ModelFileError(f"{path}: {error} A newer version may have it.") from error
    except Exception as error:  # what the layers say to numbers that make no network
        raise ModelFileError(
            f"{path} is damaged: {card.architecture} can't be built as described ({error})."
        ) from error
    tensors = {name: _as_float32(value) for name, value in tensors.items()}
    try:
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise ModelFileError(
            f"{path} is damaged: its weights don't fit the {card.architecture} it describes."
        ) from error
    return LoadedModel(network.eval(), card)


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256, in hexadecimal, of names, types, shapes and numbers of tensors.

    Args:
        tensors: on the CPU and contiguous, in any order.
    """
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _check_shipped(path: Path) -> None:
    """Refuse a file that stands in for one of the models that ship."""
    if path.resolve().parent != WEIGHTS.resolve():
        return
    shipped = known_models(WEIGHTS).get(path.stem)
    if shipped is None or file_digest(path) != shipped.digest:
        raise ModelFileError(
            f"{path} is not the model that ships with the plugin: install the plugin anew, or "
            "keep models of your own in another folder."
        )


def _check_weights(path: str | Path, card: ModelCard, tensors: Mapping[str, Tensor]) -> None:
    """Refuse weights that are not those described, or that no result can come from."""
    if card.digest and card.digest != digest_of(tensors):
        raise ModelFileError(
            f"{path} is damaged or was altered: its weights are not those that its description "
            "was written for; copy or download it again."
        )
    broken = [name for name, value in tensors.items() if not bool(value.isfinite().all())]
    if broken:
        raise ModelFileError(
            f"{path} holds weights that are no numbers ({broken[0]}): its training went astray or "
            "the file is damaged; train it again or take another model."
        )


def _build(card: ModelCard) -> nn.Module:
    check_arguments(card.architecture, card.arguments)
    bands, classes = len(card.bands), len(card.classes)
    members = [
        build(card.architecture, bands, classes, **card.arguments) for _ in range(card.members)
    ]
    return members[0] if card.members == 1 else Ensemble(members)


def _read(path: Path, with_weights: bool) -> tuple[ModelCard, dict[str, Tensor]]:
    _check_kind(path)
    try:
        with safe_open(str(path), "pt") as file:
            text = (file.metadata() or {}).get(ITEM_KEY)
            names = file.keys() if with_weights else []
            # copied: what is mapped from the file keeps it from being replaced on Windows
            tensors = {name: file.get_tensor(name).clone() for name in names}
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelFileError(
            f"{path} is damaged or cut off ({error}): copy or download it again."
        ) from error
    except RuntimeError as error:  # torch opens the file once more
        raise ModelFileError(
            f"{path} can't be opened ({error}): close what holds many files or much memory."
        ) from error
    if text is not None and len(text) > LONGEST_ITEM:
        raise ModelFileError(f"{path}: the model's description is unusable: it is far too long.")
    if text is None:
        raise ModelFileError(
            f"{path} holds weights but no description of their model: choose a file made by "
            "the algorithm that trains models here."
        )
    try:
        item = json.loads(text)
        json.dumps(item, ensure_ascii=False).encode()  # half characters fit no page or message
        return ModelCard.from_item(item), tensors
    except (ValueError, OverflowError, RecursionError) as error:
        raise ModelFileError(f"{path}: the model's description is unusable: {error}.") from error


def _check_kind(path: Path) -> None:
    if not path.is_file():
        raise ModelFileError(f"The model file {path} does not exist: choose another.")
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise ModelFileError(f"The model file {path} can't be read: {error.strerror}.") from error
    # A safetensors file begins with the length of its header in eight bytes, then the header.
    if start[8:] == b"{":
        return
    kinds = [kind for magic, kind in FOREIGN_STARTS.items() if start.startswith(magic)]
    instead = f" but {kinds[0]}, whatever its ending says" if kinds else ""
    raise ModelFileError(
        f"{path} is not a model file{instead}: choose a {SUFFIX} file made by the algorithm that "
        "trains models here (a pickle is never opened)."
    )


def _as_float16(tensor: Tensor) -> Tensor:
    """Numbers beyond 65504 have no half precision; where there are some a tensor stays whole."""
    if not tensor.is_floating_point():
        return tensor
    halved = tensor.half()
    return halved if bool(halved.isfinite().all()) else tensor


def _as_float32(tensor: Tensor) -> Tensor:
    """Weights may be stored in half precision; counters stay integers."""
    return tensor.float() if tensor.is_floating_point() else tensor
