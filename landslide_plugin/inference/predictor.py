"""What one or several models say about windows: mean and spread of their probabilities."""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ...models.model_card import ModelCard
from ..contract.errors import InputError, ModelFileError
from ..raster.resampling import resampled
from ..raster.turning import directions_turned, turn_directions, turnings
from .runtimes import Member


class Predictor:
    """Asks all members, upright and turned, and averages.

    Args:
        members: models of the same classes.
        turns: ask each eight times, for the image turned and mirrored (the symmetries of the
            square, D4), and turn the answers back; a network that turns the image itself twice, as
            it lies and mirrored. Directions in bands keep their values or turn along, as in the
            model's training.
        uncertainty: also give the standard deviation of the landslide probability between the
            members; of a single one, between its turns.

    Attributes:
        card: bands and scaling of the images it takes: every band that some member wants.
        channels: values a pixel: each class's probability but the background's, then, if asked
            for, the standard deviation.
        members: as given.
        side_by_side: windows that a batch should have at least.

    Raises:
        InputError: an uncertainty is asked for, but there is one answer only.
        ModelFileError: members of different classes.
    """

    def __init__(
        self,
        members: Sequence[Member],
        *,
        turns: bool = False,
        uncertainty: bool = False,
    ) -> None:
        if uncertainty and len(members) == 1 and not turns:
            raise InputError(
                "One model gives no uncertainty: give several models, one of several folds, or "
                "turn on test-time augmentation."
            )
        self.card = joint_card([member.card for member in members])
        self.channels = len(self.card.classes) - 1 + uncertainty
        self.side_by_side = max(member.runtime.side_by_side for member in members)
        self.members = list(members)
        self._inputs = [_Scaling(self.card, member.card) for member in members]
        self._turns = turns
        self._uncertainty = uncertainty
        self._side = 0

    def resampled(self, side: int) -> "Predictor":
        """Return the same for windows of another resolution than the models'.

        Args:
            side: pixels of the side of what the networks get; windows are resampled to that and
                the answers back. 0 leaves them as they are.
        """
        other = copy(self)
        other._side = side
        return other

    def __call__(self, images: Tensor) -> Tensor:
        """Return the probabilities.

        Args:
            images: float32, (windows, bands, rows, columns), scaled as `card` says.

        Returns:
            float32, (windows, channels, rows, columns).
        """
        mean, squares, count = torch.zeros(()), torch.zeros(()), 0
        for answer in self._answers(images):
            count += 1
            apart = answer - mean if count > 1 else answer
            mean = mean + apart / count if count > 1 else answer
            if self._uncertainty:  # Welford 1962, Technometrics 4:419
                squares = squares + apart * (answer - mean)
        background = mean[:, :1]
        values = mean[:, 1:]
        if self._uncertainty:
            deviation = (squares[:, :1].clamp(min=0) / count).sqrt()
            values = torch.cat([values, deviation.expand_as(background)], 1)
        if self._side:
            values = interpolate(values, images.shape[-2:], mode="bilinear")
        return values

    def _answers(self, images: Tensor) -> Iterator[Tensor]:
        """Yield probabilities of all classes, each with the same say."""
        for member, scaling in zip(self.members, self._inputs, strict=True):
            inputs = scaling(images)
            inputs = resampled(inputs, self._side, member.card.bands)
            if not self._turns:
                yield member.runtime.run(inputs)
                continue
            answers = _turned(member, inputs)
            if len(self.members) == 1:
                yield from answers
            else:
                yield torch.stack(list(answers)).mean(0)


def joint_card(cards: Sequence[ModelCard]) -> ModelCard:
    """Return the first card with the bands of all; a band is scaled as its first model says.

    Raises:
        ModelFileError: the models have different classes or were trained at other resolutions.
    """
    first = cards[0]
    scaling: dict[str, tuple[float, float]] = {}
    for card in cards:
        if card.classes != first.classes:
            raise ModelFileError(
                f"The models {first.name} and {card.name} can't be averaged: their classes are "
                f"{', '.join(first.classes)} and {', '.join(card.classes)}."
            )
        if _far_apart(card.resolution, first.resolution):
            raise ModelFileError(
                f"The models {first.name} and {card.name} can't be averaged: they were trained at "
                f"{first.resolution:g} m and {card.resolution:g} m a pixel."
            )
        for band, mean, std in zip(card.bands, card.mean, card.std, strict=True):
            scaling.setdefault(band, (mean, std))
    return replace(
        first,
        name=" + ".join(dict.fromkeys(card.name for card in cards)),
        bands=list(scaling),
        mean=[mean for mean, _ in scaling.values()],
        std=[std for _, std in scaling.values()],
        units=[],
    )


class _Scaling:
    """Picks a model's bands from images scaled by a joint card, and scales them as it wants."""

    def __init__(self, joint: ModelCard, card: ModelCard) -> None:
        indices = [joint.bands.index(band) for band in card.bands]
        mean, std = (
            torch.tensor([of[index] for index in indices]) for of in (joint.mean, joint.std)
        )
        deviation = torch.tensor(card.std)
        self._indices = None if card.bands == joint.bands else torch.tensor(indices)
        self._factor = (std / deviation)[:, None, None]
        self._shift = ((mean - torch.tensor(card.mean)) / deviation)[:, None, None]
        self._same = bool((self._factor == 1).all() and (self._shift == 0).all())

    def __call__(self, images: Tensor) -> Tensor:
        device = images.device
        if self._indices is not None:
            images = images[:, self._indices.to(device)]
        if self._same:
            return images
        return images * self._factor.to(device) + self._shift.to(device)


def _turned(member: Member, images: Tensor) -> Iterator[Tensor]:
    """Yield the answers to the turned and mirrored images, turned back.

    Args:
        member: the model with its card.
        images: (windows, bands, rows, columns), scaled as the card says.
    """
    card = member.card
    directions = directions_turned(card.bands, card.turns_directions)
    mean, std = (
        torch.tensor(of, device=images.device)[:, None, None] for of in (card.mean, card.std)
    )
    for quarters, mirrored in turnings(directions):
        if quarters and card.arguments.get("turned"):
            continue
        view = images
        if directions:
            values = images * std + mean
            turn_directions(values.transpose(0, 1), directions, 90 * quarters, mirrored)
            view = (values - mean) / std
        view = (view.flip(3) if mirrored else view).rot90(quarters, (2, 3))
        answer = member.runtime.run(view.contiguous(memory_format=torch.channels_last))
        answer = answer.rot90(-quarters, (2, 3))
        yield answer.flip(3) if mirrored else answer


def _far_apart(one: float | None, other: float | None) -> bool:
    return bool(one and other and not 0.8 <= one / other <= 1.25)
