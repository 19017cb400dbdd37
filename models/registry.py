"""How the networks of `contract.architectures` are built.

A network's module has `BACKBONES`, named sets of arguments. Where it has `PRETRAINED`, its networks
can begin with pretrained weights, and then take these arguments besides. A module may know further
backbones by `find_backbone`. The class's `ENCODER` names the parts that can be frozen at first.
"""

import importlib
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..landslide_plugin.contract.architectures import INSTANCE, SEMANTIC, WEAK, Architecture
from ..landslide_plugin.contract.errors import InputError

if TYPE_CHECKING:
    from torch import nn

SEMANTIC_TASK = "semantic-segmentation"
INSTANCE_TASK = "instance-segmentation"
IMAGENET = "imagenet"
"""Where an encoder's first weights come from: what is installed, else what is downloaded."""
LARGEST_ARGUMENT = 65_536
"""Far above the channels, layers and blocks of any network."""


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


def check_arguments(architecture: str, arguments: Mapping[str, Any]) -> None:
    """Check arguments that a file says a network is built with; beginning is not for files to ask.

    Args:
        architecture: a key of `SEMANTIC`, `INSTANCE` or `WEAK`.
        arguments: what a model card keeps, as JSON has it.

    Raises:
        InputError: there is no such architecture.
        ValueError: the network does not know one of them, one would load pretrained weights, or
            one is no number, word or list of numbers of a sensible size.
    """
    unknown = sorted(set(arguments) - argument_names(architecture))
    if unknown:
        raise ValueError(f"it does not know {', '.join(unknown)}")
    for name, value in arguments.items():
        items = value if isinstance(value, list | tuple) else [value]
        if not all(_is_plain(item) for item in items):
            raise ValueError(f"{name} is no number or word of a sensible size")


def argument_names(architecture: str) -> set[str]:
    """Return the names of what a network is built with besides bands, classes and first weights.

    Raises:
        InputError: there is no such architecture.
    """
    entry = _entry(architecture)
    network = inspect.signature(getattr(_module(entry), entry.class_name))
    named = {name for name, item in network.parameters.items() if item.kind != item.VAR_KEYWORD}
    return named - {"bands", "classes", "pretrained"}


def backbone_arguments(
    architecture: str, backbone: str = "", pretrained: bool = False
) -> dict[str, Any]:
    """Return the arguments of a named backbone; without a name, the architecture's default.

    They are what a model card keeps: they build the network with random weights. To begin with
    pretrained ones, give `build` the argument `pretrained=True` besides.

    Args:
        architecture: a key of `SEMANTIC` or `INSTANCE`.
        backbone: one of the names of `backbones`, or any that the architecture knows.
        pretrained: whether the network will begin with pretrained weights.

    Raises:
        InputError: there is no such architecture, it has no such backbone, or none pretrained.
    """
    entry = _entry(architecture)
    module = _module(entry)
    named = backbones(architecture)
    name = backbone or next(iter(named))
    arguments = named.get(name)
    if arguments is None and hasattr(module, "find_backbone"):
        arguments = module.find_backbone(name)
    if arguments is None:
        raise InputError(
            f"{architecture} has no backbone {backbone!r}; it has: {', '.join(named)}."
        )
    if pretrained and not hasattr(module, "PRETRAINED"):
        raise InputError(
            f"{architecture} has no pretrained weights: train it without, or choose another "
            "architecture."
        )
    return {**arguments, **(module.PRETRAINED if pretrained else {})}


def backbones(architecture: str) -> dict[str, dict[str, Any]]:
    """Return the backbones to choose from with their arguments, the default first.

    Raises:
        InputError: there is no such architecture.
    """
    entry = _entry(architecture)
    named: dict[str, dict[str, Any]] = _module(entry).BACKBONES
    return {entry.default: named[entry.default], **named} if entry.default else dict(named)


def encoder_modules(network: "nn.Module") -> "list[nn.Module]":
    """Return the parts of a network that see the image first and may be frozen at first.

    Of an ensemble, those of all its members; of an unknown network, none.
    """
    return [
        part.get_submodule(name)
        for part in network.modules()
        for name in getattr(part, "ENCODER", ())
    ]


def encoder_parameters(network: "nn.Module") -> "list[nn.Parameter]":
    """Return the parameters of `encoder_modules`."""
    return [value for module in encoder_modules(network) for value in module.parameters()]


def smallest_tile(architecture: str) -> int:
    """Return the side in pixels below which parts of a network are blind to their surroundings.

    Raises:
        InputError: there is no such architecture.
    """
    entry = _entry(architecture)
    return int(getattr(getattr(_module(entry), entry.class_name), "SMALLEST_TILE", 0))


def task_of(architecture: str) -> str:
    """Return "semantic-segmentation" or "instance-segmentation".

    Raises:
        InputError: there is no such architecture.
    """
    _entry(architecture)
    return INSTANCE_TASK if architecture in INSTANCE else SEMANTIC_TASK


def _is_plain(value: object) -> bool:
    """Whether a value is a word, or a number no larger than networks have use for."""
    if isinstance(value, int | float):
        return -LARGEST_ARGUMENT <= value <= LARGEST_ARGUMENT  # False for NaN too
    return value is None or isinstance(value, str)


def _entry(architecture: str) -> Architecture:
    entries = SEMANTIC | INSTANCE | WEAK
    if architecture not in entries:
        raise InputError(f"No architecture {architecture!r}; there are: {', '.join(entries)}.")
    return entries[architecture]


def _module(entry: Architecture) -> Any:
    """Import a network's module when it is asked for: torchvision alone takes a second."""
    return importlib.import_module(f".{entry.module}", __package__)
