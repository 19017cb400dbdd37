"""What a training begins from: random weights, pretrained ones, or a model file."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...models.efficientnet_lite import has_weights
from ...models.layers import check_scales
from ...models.model_card import ModelCard
from ...models.model_file import load_model
from ...models.registry import (
    IMAGENET,
    INSTANCE_TASK,
    argument_names,
    backbone_arguments,
    build,
    encoder_parameters,
    task_of,
)
from ..contract.architectures import WEAK
from ..contract.errors import InputError
from ..core.progress import Progress
from ..samples.sample_set import CLASSES, SampleSet

AUTO = "auto"
WHICH_SCALES = (
    "The reading scales are at most 5 of 0.5 and the whole numbers from 1 to 16, and the smallest "
    "is 0.5 or 1, such as 1, 2, 4."
)


@dataclass(frozen=True)
class Start:
    """A network before training.

    Attributes:
        architecture: its name in the registry.
        arguments: what builds it, as its model card keeps them.
        backbone: the name that these were chosen by.
        pretrained: where its encoder's first weights come from, as `make_encoder` takes it.
        card: description of the model file to start from.
        weights: weights of that file.
        digest: of that file, "" without one.
        learns_at_one: whether a network that reads an image at several scales learns at the first.
    """

    architecture: str
    arguments: dict[str, Any]
    backbone: str = ""
    pretrained: str = ""
    card: ModelCard | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)
    digest: str = ""
    learns_at_one: bool = False

    @property
    def is_instance(self) -> bool:
        """Whether the network finds single landslides."""
        return task_of(self.architecture) == INSTANCE_TASK

    @property
    def has_learnt(self) -> bool:
        """Whether the encoder begins with weights that have learnt something."""
        return bool(self.pretrained or self.card)

    def network(self, bands: list[str], classes: int, seed: int) -> nn.Module:
        """Return the network for bands of these names."""
        torch.manual_seed(seed)
        more: dict[str, Any] = {"pretrained": self.pretrained} if self.pretrained else {}
        if self.learns_at_one and "learns_at_one" in argument_names(self.architecture):
            more["learns_at_one"] = True
        network = build(self.architecture, len(bands), classes, **self.arguments, **more)
        if self.card:
            of_bands = self._of_bands() if bands != self.card.bands else set()
            network.load_state_dict(
                {
                    name: for_bands(value, self.card.bands, bands) if name in of_bands else value
                    for name, value in self.weights.items()
                }
            )
        return network

    def parameters(self, bands: int, classes: int) -> int:
        """Return how many parameters the network has."""
        return sum(parameter.numel() for parameter in self._outline(bands, classes).parameters())

    def has_encoder(self) -> bool:
        """Return whether the network has an encoder, which can be frozen."""
        return bool(encoder_parameters(self._outline(3, 2)))

    def _outline(self, bands: int, classes: int) -> nn.Module:
        """Return the network without numbers: on "meta" nothing is allocated."""
        with torch.device("meta"):
            return build(self.architecture, bands, classes, **self.arguments)

    def _of_bands(self) -> set[str]:
        """Return the names of the weights that hold something for each band."""
        one, other = (self._outline(bands, 2).state_dict() for bands in (1, 2))
        return {name for name, value in one.items() if value.shape != other[name].shape}

    def reading_at(self, scales: Sequence[float]) -> "Start":
        """Return the start of a network that reads an image at these scales; its own without any.

        Raises:
            InputError: it reads an image at one scale alone, or they are none that it can read at.
        """
        if not scales:
            return self
        if "scales" not in argument_names(self.architecture):
            raise InputError(
                f"{self.architecture} reads an image at one scale alone: choose compact_unet or a "
                "network with an encoder, or leave the reading scales empty."
            )
        try:
            chosen = check_scales(sorted(set(scales)))
        except ValueError as error:
            raise InputError(WHICH_SCALES) from error
        if min(chosen) > 1:
            raise InputError(WHICH_SCALES)
        arguments = {**self.arguments, "scales": list(chosen)}
        return replace(self, arguments=arguments, learns_at_one=True)

    def reading_turned(self, turned: bool) -> "Start":
        """Return the start of a network that reads an image in its quarter turns, if asked for.

        Raises:
            InputError: it can't.
        """
        if not turned:
            return self
        if "turned" not in argument_names(self.architecture):
            raise InputError(
                f"{self.architecture} reads an image as it lies alone: choose compact_unet or a "
                "network with an encoder, or don't have it read turned (TURNED)."
            )
        return replace(self, arguments={**self.arguments, "turned": True})

    def with_decoder(self, channels: Sequence[float]) -> "Start":
        """Return the start of a network whose decoder has these channels; its own without any.

        Args:
            channels: of each block, the deepest first; whole numbers.

        Raises:
            InputError: its decoder can't be set, or it is a model file's.
        """
        if not channels:
            return self
        if self.card:
            raise InputError(
                "The model to start from brings its decoder: leave the channels of the decoder "
                "empty, or train anew."
            )
        if "decoder" not in argument_names(self.architecture):
            raise InputError(
                f"{self.architecture} has no decoder whose channels could be set: choose smp_unet "
                "or smp_unetplusplus, or leave them empty."
            )
        return replace(self, arguments={**self.arguments, "decoder": list(map(int, channels))})

    def recipe(self) -> list[Any]:
        """Return what the trained network depends on."""
        arguments = sorted(self.arguments.items())
        return [self.architecture, arguments, self.pretrained, self.digest, self.learns_at_one]

    def choose_bands(self, data: SampleSet, wanted: list[str]) -> list[str]:
        """Return the bands to train on: those asked for, the model file's, or all.

        Raises:
            InputError: the samples lack one, one is named twice, or the model has none of them, or
                can't do with others than its own.
        """
        if self.card and wanted and not set(wanted) & set(self.card.bands):
            raise InputError(
                f"The model to start from has the bands {', '.join(self.card.bands)}, and none of "
                f"{', '.join(wanted)}: keep some of them, or train anew."
            )
        names = wanted or (self.card.bands if self.card else data.bands)
        data.require_bands(names)
        if self.card and self.architecture in WEAK and list(names) != self.card.bands:
            raise InputError(
                "A model of image labels keeps its bands in their order, "
                f"{', '.join(self.card.bands)}: leave the bands empty, or train anew."
            )
        return list(names)


def find_start(
    architecture: str,
    backbone: str,
    pretrained: str,
    weights: str,
    start_from: str,
    dropout: float | None = None,
) -> Start:
    """Return what to begin from; a model file brings its own architecture.

    Args:
        architecture: a network of the registry.
        backbone: of it; its first when empty.
        pretrained: "auto" for weights that are installed, "none", or "imagenet" for weights that
            are downloaded where need be.
        weights: file with the encoder's first weights, which are taken instead; none when empty.
        start_from: model file to train on from; none when empty.
        dropout: share of each layer's values dropped in training; None for the backbone's or the
            file's.

    Raises:
        InputError: there is no such architecture or backbone, or none pretrained, it has no
            dropout, or the model is an ensemble or tells kinds of landslides apart.
        ModelFileError: the model file can't be read.
    """
    if not start_from:
        arguments = backbone_arguments(architecture, backbone)
        source = weights or weights_source(pretrained, str(arguments.get("encoder", "")))
        arguments = backbone_arguments(architecture, backbone, bool(source))
        arguments |= _dropout(architecture, dropout)
        return Start(architecture, arguments, backbone, source)
    if weights or pretrained == IMAGENET:
        raise InputError(
            "A training starts either from pretrained weights or from a model file: choose one."
        )
    model = load_model(start_from)
    card = model.card
    if card.members > 1:
        raise InputError(
            f"{start_from} holds {card.members} networks whose answers are averaged: start from a "
            "model of one network."
        )
    if len(card.classes) != len(CLASSES):
        raise InputError(
            f"{start_from} tells {', '.join(card.classes[1:])} apart, and samples know landslides "
            "of one kind alone: start from a model of these."
        )
    return Start(
        card.architecture,
        card.arguments | _dropout(card.architecture, dropout),
        str(card.training.get("backbone", "")),
        card=card,
        weights=model.network.state_dict(),
        digest=hashlib.sha256(Path(start_from).read_bytes()).hexdigest(),
    )


def _dropout(architecture: str, asked: float | None) -> dict[str, Any]:
    """Return the argument that sets the dropout; none where nothing is asked for."""
    if asked is None:
        return {}
    if "dropout" not in argument_names(architecture):
        raise InputError(
            f"{architecture} has no dropout that could be set: leave it empty, or choose "
            "fc_densenet."
        )
    return {"dropout": asked}


def weights_source(pretrained: str, encoder: str) -> str:
    """Return where an encoder's first weights come from, as `make_encoder` takes it.

    Args:
        pretrained: as of `find_start`.
        encoder: its name; "" of networks that have none to choose.
    """
    taken = pretrained == IMAGENET or (pretrained == AUTO and has_weights(encoder))
    return IMAGENET if taken else ""


def for_bands(weight: Tensor, names: list[str], bands: list[str]) -> Tensor:
    """Return a convolution of a model's bands for others, so that it gives what it gave.

    Bands are found by name; what a new band does is learnt from nothing, what is not there any
    more drops out.

    Args:
        weight: (out, known bands, h, w).
        names: names of the model's bands.
        bands: names of the bands wanted.
    """
    widened = weight.new_zeros(len(weight), len(bands), *weight.shape[2:])
    for number, band in enumerate(bands):
        if band in names:
            widened[:, number] = weight[:, names.index(band)]
    return widened


def check_frozen(start: Start, frozen_epochs: int, progress: Progress) -> None:
    """Refuse to freeze what has no encoder; warn of one that has learnt nothing yet.

    Raises:
        InputError: the network has no encoder.
    """
    if not frozen_epochs:
        return
    if not start.has_encoder():
        raise InputError(
            f"{start.architecture} has no encoder that could be frozen: set the frozen epochs to 0."
        )
    if not start.has_learnt:
        progress.warning(
            "The encoder that is frozen at first has random weights: choose pretrained ones or a "
            "model to start from, or set the frozen epochs to 0."
        )
