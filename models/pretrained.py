"""Encoders of segmentation-models-pytorch, on wish with weights that have learnt something.

The weights come from one of three sources: a package that is installed with the engine
(`efficientnet_lite`), huggingface.co, once, whose cache they are taken from later, or a file of the
user's, safetensors or a `.pth` of tensors alone.

A first convolution for three bands is adapted to any number: band i takes the weights of colour
i modulo 3, scaled by 3 / bands, so that its output keeps its size.
"""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ..landslide_plugin.contract.errors import InputError
from . import efficientnet_lite
from .registry import IMAGENET
from .torchvision_ops import torchvision  # noqa: F401  (before what follows)

# isort: split
import segmentation_models_pytorch as smp
import timm

FAILURES = (OSError, RuntimeError, KeyError, ValueError)
"""What a download ends with: huggingface_hub's errors derive from these."""
TIMM = "tu-"
"""What segmentation-models-pytorch puts before the names of timm's networks."""
LEAST_MATCH = 0.9
"""Share of an encoder's weights that a file must hold to be taken for the same network."""
_WRAPPERS = re.compile(r"^(?:(?:module|model|network|encoder|backbone|body|state_dict)\.)+")


def encoder_names() -> list[str]:
    """Return the names of the encoders to choose from; any other of timm's goes by `tu-` too."""
    return [*efficientnet_lite.PACKAGES, *smp.encoders.encoders]


def is_encoder(name: str) -> bool:
    """Whether there is an encoder of this name."""
    listed = name in encoder_names()
    return listed or (name.startswith(TIMM) and timm.is_model(name.removeprefix(TIMM)))


def require_encoder(name: str) -> None:
    """Check that there is an encoder of this name.

    Raises:
        InputError: there is not.
    """
    if not is_encoder(name):
        raise InputError(
            f"No encoder {name!r}; there are: {', '.join(encoder_names())}, and timm's, with "
            f"{TIMM} before the name."
        )


def make_encoder(name: str, bands: int, source: str = "", **arguments: Any) -> nn.Module:
    """Return an encoder.

    Args:
        name: an encoder's name.
        bands: channels of its input.
        source: of its weights: `IMAGENET` for the installed package that holds them, else
            huggingface.co; or the path of a file; random when empty.
        arguments: depth and output_stride, as segmentation-models-pytorch has them.

    Raises:
        InputError: there is no such encoder, it has no weights, or they can't be had.
        MissingPackageError: the package with its weights is not installed.
    """
    require_encoder(name)
    if not source:
        return _encoder(name, bands, None, **arguments)
    if source != IMAGENET:
        encoder = _encoder(name, bands, None, **arguments)
        take_weights(encoder, read_weights(source), source)
        return encoder
    if name in efficientnet_lite.PACKAGES:
        encoder = _encoder(name, bands, None, **arguments)
        weights = efficientnet_lite.imagenet_weights(name)
        take_weights(encoder, weights, name, spread=efficientnet_lite.SPREAD)
        return encoder
    return _downloaded(name, bands, **arguments)


def read_weights(path: str) -> dict[str, Tensor]:
    """Read the weights in a file, which may be wrapped as `{"state_dict": ...}`.

    Raises:
        InputError: there is no such file, or it holds no weights, or more than weights.
    """
    try:
        if Path(path).suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file that is none fails in ways that nothing documents
        raise InputError(
            f"{path} can't be read as weights: choose a .safetensors file, or a .pth that holds "
            "tensors alone."
        ) from error
    for key in ("state_dict", "model", "model_state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    tensors = content.items() if isinstance(content, Mapping) else ()
    weights = {str(key): value for key, value in tensors if isinstance(value, Tensor)}
    if not weights:
        raise InputError(f"{path} holds no weights by name: choose another file.")
    return weights


def take_weights(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    source: str,
    *,
    spread: float = 1.0,
    least: float = LEAST_MATCH,
) -> None:
    """Load the weights whose names and shapes are the network's.

    Names are compared without what wraps a network (`model.`, `encoder.`, `backbone.body.`, ...).

    Args:
        network: to load them into.
        weights: name to weight; the first convolution may be for three bands.
        source: where they are from, for the message.
        spread: standard deviation of the bands that they were learnt on.
        least: share of the network's weights that must be among them.

    Raises:
        InputError: fewer than `least` of the network's weights are among them.
    """
    given = {_WRAPPERS.sub("", name): value for name, value in weights.items()}
    wanted = network.state_dict()
    first = next(name for name, value in wanted.items() if value.ndim == 4)
    taken = {}
    for name, value in wanted.items():
        weight = given.get(_WRAPPERS.sub("", name))
        if weight is not None and name == first:
            weight = adapted(weight, value.shape[1]) * spread
        if weight is not None and weight.shape == value.shape:
            taken[name] = weight
    if len(taken) < least * len(wanted):
        raise InputError(
            f"{source} holds {len(taken)} of the {len(wanted)} weights that this network "
            "begins with: choose the backbone that the file was made for, or another file."
        )
    network.load_state_dict({**wanted, **taken})


def adapted(first: Tensor, bands: int) -> Tensor:
    """Return a first convolution's weights, (out, colours, h, w), for another number of bands."""
    colours = first.shape[1]
    if colours == bands:
        return first
    return first[:, [band % colours for band in range(bands)]] * (colours / bands)


def _encoder(name: str, bands: int, weights: str | None, **arguments: Any) -> nn.Module:
    # Some encoders compute with numbers while they are built, which fails on the device "meta".
    with torch.device("cpu"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoder: nn.Module = smp.encoders.get_encoder(
            name, in_channels=bands, weights=weights, **arguments
        )
    return encoder


def _downloaded(name: str, bands: int, **arguments: Any) -> nn.Module:
    """Return an encoder with weights from huggingface.co: ImageNet's where there are."""
    settings = smp.encoders.encoders.get(name, {}).get("pretrained_settings")
    if settings is not None and not settings:
        raise InputError(f"There are no pretrained weights of {name}: choose another backbone.")
    weights = next(iter(settings)) if settings and IMAGENET not in settings else IMAGENET
    try:
        return _encoder(name, bands, weights, **arguments)
    except FAILURES as error:
        raise InputError(
            f"The pretrained weights of {name} could not be had from huggingface.co: connect to "
            "the internet for the first time that they are used, name a file that holds them, or "
            "choose the backbone tu-tf_efficientnet_lite0, whose weights come with the engine."
        ) from error
