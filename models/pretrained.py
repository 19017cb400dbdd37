"""Encoders of segmentation-models-pytorch, on wish with weights learnt on photographs.

The weights come from huggingface.co as safetensors, once; later they are taken from its cache.
A first convolution for three bands is adapted to any number: band i takes the weights of colour
i modulo 3, scaled by 3 / bands, so that its output keeps its size.
"""

import warnings
from typing import Any

import torch
from torch import nn

from ..landslide_plugin.contract.errors import InputError
from .torchvision_ops import torchvision  # noqa: F401  (before what follows)

# isort: split
import segmentation_models_pytorch as smp

FAILURES = (OSError, RuntimeError, KeyError, ValueError)
"""What a download ends with: huggingface_hub's errors derive from these."""


def encoder_names() -> list[str]:
    """Return the names of all encoders."""
    return list(smp.encoders.encoders)


def make_encoder(name: str, bands: int, weights: str | None = None, **arguments: Any) -> nn.Module:
    """Return an encoder.

    Args:
        name: one of `encoder_names`.
        bands: channels of its input.
        weights: what `pretrained_weights` returned; random when None.
        arguments: depth and output_stride, as segmentation-models-pytorch has them.
    """
    # Some encoders compute with numbers while they are built, which fails on the device "meta".
    with torch.device("cpu"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoder: nn.Module = smp.encoders.get_encoder(
            name, in_channels=bands, weights=weights, **arguments
        )
    return encoder


def pretrained_weights(name: str) -> str:
    """Have an encoder's weights downloaded and return their name: ImageNet's where there are.

    Raises:
        InputError: there is no such encoder, it has no weights, or they can't be had.
    """
    require_encoder(name)
    known = list(smp.encoders.encoders[name]["pretrained_settings"])
    if not known:
        raise InputError(f"There are no pretrained weights of {name}: choose another backbone.")
    weights = "imagenet" if "imagenet" in known else str(known[0])
    try:
        make_encoder(name, 3, weights)
    except FAILURES as error:
        raise InputError(
            f"The pretrained weights of {name} could not be had from huggingface.co: connect to "
            "the internet for the first time that they are used, or train without them."
        ) from error
    return weights


def require_encoder(name: str) -> None:
    """Check that there is an encoder of this name.

    Raises:
        InputError: there is not.
    """
    if name not in encoder_names():
        raise InputError(f"No encoder {name!r}; there are: {', '.join(encoder_names())}.")
