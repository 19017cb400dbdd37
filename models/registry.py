"""Which networks there are, and how each is built."""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..landslide_plugin.errors import InputError

if TYPE_CHECKING:
    from torch import nn

SEMANTIC_TASK = "semantic-segmentation"
INSTANCE_TASK = "instance-segmentation"


@dataclass(frozen=True)
class Architecture:
    """One network: its title and where its class is.

    The module also has `BACKBONES`, named sets of arguments; the first is the default.
    """

    title: str
    module: str
    class_name: str


SEMANTIC = {
    "fc_densenet": Architecture("FC-DenseNet (Gao et al. 2021)", "fc_densenet", "FCDenseNet"),
    "compact_unet": Architecture("Compact residual U-Net", "compact_unet", "CompactUNet"),
}
"""Networks that give each pixel a class: (N, bands, H, W) to logits (N, classes, H, W)."""

INSTANCE = {
    "mask_rcnn": Architecture("Mask R-CNN (Yang, R. et al. 2022)", "mask_rcnn", "BandMaskRCNN"),
}
"""Networks that find single landslides, called as torchvision's detection models are."""


def build(architecture: str, bands: int, classes: int, **arguments: Any) -> "nn.Module":
    """Return a new network with random weights.

    Args:
        architecture: a key of `SEMANTIC` or `INSTANCE`.
        bands: channels of its input.
        classes: number of classes, background included.
        arguments: what the network's class takes besides.

    Raises:
        InputError: there is no such architecture.
    """
    entry = _entry(architecture)
    network: nn.Module = getattr(_module(entry), entry.class_name)(bands, classes, **arguments)
    return network


def backbone_arguments(architecture: str, backbone: str = "") -> dict[str, Any]:
    """Return the arguments of a named backbone; without a name, the architecture's default.

    Raises:
        InputError: there is no such architecture, or it has no such backbone.
    """
    backbones: dict[str, dict[str, Any]] = _module(_entry(architecture)).BACKBONES
    name = backbone or next(iter(backbones))
    if name not in backbones:
        raise InputError(
            f"{architecture} has no backbone {backbone!r}; it has: {', '.join(backbones)}."
        )
    return dict(backbones[name])


def task_of(architecture: str) -> str:
    """Return "semantic-segmentation" or "instance-segmentation".

    Raises:
        InputError: there is no such architecture.
    """
    _entry(architecture)
    return SEMANTIC_TASK if architecture in SEMANTIC else INSTANCE_TASK


def _entry(architecture: str) -> Architecture:
    known = SEMANTIC | INSTANCE
    if architecture not in known:
        raise InputError(f"No architecture {architecture!r}; there are: {', '.join(known)}.")
    return known[architecture]


def _module(entry: Architecture) -> Any:
    """Import a network's module when it is asked for: torchvision alone takes a second."""
    return importlib.import_module(f".{entry.module}", __package__)
