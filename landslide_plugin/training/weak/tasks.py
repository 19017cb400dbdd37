"""What the training loop asks of the classifier and of CycleGAN."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ....models.cyclegan import RANGE, CycleGAN, limit
from ....models.device import autocast
from ....models.weak import SOFTNESS, Classifier, grey_difference
from ..tiles.batches import Batch

CYCLE, IDENTITY = 10.0, 5.0
"""Weights of the cycle and identity losses beside the adversarial one (Zhu et al. 2017, section
5.2: lambda = 10, and half of it)."""
BUFFER = 50
"""Translated images that a discriminator is shown again (Zhu et al. 2017, section 4)."""
CHANGED = 0.05
"""Share of an image, its most changed pixels, that stands for the whole of it."""


class ClassifierTask:
    """Cross entropy of image labels."""

    half = True

    def loss(self, network: nn.Module, batch: Batch, device: torch.device) -> Tensor:
        """Return the mean loss of a batch."""
        labels = torch.from_numpy(batch.labels[:, 0, 0].astype(np.int64)).to(device)
        return functional.cross_entropy(self._scores(network, batch, device), labels)

    def probability(
        self, network: nn.Module, batch: Batch, device: torch.device
    ) -> NDArray[np.float32]:
        """Return how sure each image holds a landslide, float32 (N, 1, 1)."""
        probability = self._scores(network, batch, device).softmax(1)[:, 1]
        return probability.cpu().numpy()[:, None, None]

    def _scores(self, network: nn.Module, batch: Batch, device: torch.device) -> Tensor:
        if not isinstance(network, Classifier):
            raise TypeError(f"{type(network).__name__} is no classifier")
        images = batch.images.to(device, memory_format=torch.channels_last)
        with autocast(device, self.half):
            scores: Tensor = network(images)
        return scores.float()


class Buffer:
    """Translated images of earlier steps, so that a discriminator does not chase the last ones.

    Half of what is asked for is as old as the buffer goes (Zhu et al. 2017, section 4).

    Args:
        size: images kept.
        seed: of the draw.
    """

    def __init__(self, size: int = BUFFER, seed: int = 0) -> None:
        self._size, self._kept = size, list[Tensor]()
        self._rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def images(self) -> list[Tensor]:
        """The images kept, (bands, rows, columns) each, all of one size."""
        return list(self._kept)

    @property
    def draw(self) -> dict[str, Any]:
        """State of the draw, JSON-able."""
        return dict(self._rng.bit_generator.state)

    def refill(self, images: Tensor | None, draw: dict[str, Any]) -> None:
        """Become as a buffer with these images, (N, bands, rows, columns), and this draw was."""
        self._kept = [] if images is None else list(images)
        self._rng.bit_generator.state = draw

    def exchange(self, images: Tensor) -> Tensor:
        """Return as many images, some of them older ones, in whose place the given ones stay."""
        shown = []
        for image in images.detach().float():  # shown in float32 too, once half is left
            if len(self._kept) < self._size:
                self._kept.append(image)
                shown.append(image)
            elif self._rng.random() < 0.5:
                index = int(self._rng.integers(self._size))
                shown.append(self._kept[index])
                self._kept[index] = image
            else:
                shown.append(image)
        return torch.stack(shown)


class CycleGanTask:
    """Adversarial, cycle and identity loss of both directions.

    Args:
        grey: grey levels of one standard deviation of each band.
        threshold: grey levels from which a difference is landslide.
        seed: of the buffers.
        difference: see `grey_difference`.
    """

    half = True

    def __init__(
        self, grey: list[float], threshold: float, seed: int = 0, difference: str = "grey"
    ) -> None:
        self._grey, self._difference = torch.tensor(grey), difference
        self._threshold = threshold
        self._cleared, self._slid = Buffer(seed=seed), Buffer(seed=seed + 1)

    def loss(self, network: nn.Module, batch: Batch, device: torch.device) -> Tensor:
        """Return the generators' and the discriminators' losses as one sum.

        Each part's gradient reaches its own networks only: the generators are judged by
        discriminators that stand still, and these see translated images as given.
        """
        gan = _gan(network)
        images = limit(batch.images).to(device, memory_format=torch.channels_last)
        holds = torch.from_numpy(batch.labels[:, 0, 0] > 0)
        slides, clears = images[holds], images[~holds]
        with autocast(device, self.half):
            with _still(gan):
                cleared, slid = gan.clear(slides), gan.slide(clears)
                adversarial = _toward(gan.judge_clear(cleared), 1.0)
                adversarial = adversarial + _toward(gan.judge_slide(slid), 1.0)
                cycle = _apart(gan.slide(cleared), slides) + _apart(gan.clear(slid), clears)
                same = _apart(gan.clear(clears), clears) + _apart(gan.slide(slides), slides)
            generators = adversarial + CYCLE * cycle + IDENTITY * same
            judges = _judged(gan.judge_clear, clears, self._cleared.exchange(cleared))
            judges = judges + _judged(gan.judge_slide, slides, self._slid.exchange(slid))
        return generators + judges

    def memory(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the buffers' images and draws, for a checkpoint."""
        buffers = self._buffers()
        images = {name: torch.stack(each.images) for name, each in buffers.items() if len(each)}
        return images, {name: each.draw for name, each in buffers.items()}

    def recall(
        self, tensors: dict[str, Tensor], facts: dict[str, Any], device: torch.device
    ) -> None:
        """Fill the buffers as `memory` has found them."""
        for name, buffer in self._buffers().items():
            images = tensors.get(name)
            buffer.refill(None if images is None else images.to(device), facts[name])

    def probability(
        self, network: nn.Module, batch: Batch, device: torch.device
    ) -> NDArray[np.float32]:
        """Return how sure each image holds a landslide, by its most changed pixels, (N, 1, 1)."""
        changed = self.changed(network, batch, device)
        probability = torch.sigmoid((changed - self._threshold) / SOFTNESS)
        return probability.cpu().numpy()[:, None, None]

    def changed(self, network: nn.Module, batch: Batch, device: torch.device) -> Tensor:
        """Return the difference that `CHANGED` of each image's pixels exceed, float (N,)."""
        images = limit(batch.images).to(device)
        with autocast(device, self.half):
            cleared = _gan(network).clear(images)
        change = images - cleared.float()
        difference = grey_difference(change, self._grey.to(device), self._difference)
        return difference.flatten(1).quantile(1 - CHANGED, 1)

    def _buffers(self) -> dict[str, Buffer]:
        return {"cleared": self._cleared, "slid": self._slid}


def _gan(network: nn.Module) -> CycleGAN:
    if not isinstance(network, CycleGAN):
        raise TypeError(f"{type(network).__name__} is no CycleGAN")
    return network


@contextmanager
def _still(gan: CycleGAN) -> Iterator[None]:
    """Let no gradient reach the discriminators."""
    for parameter in gan.judges():
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in gan.judges():
            parameter.requires_grad_(True)


def _toward(scores: Tensor, target: float) -> Tensor:
    """Return the least-squares adversarial loss (Mao et al. 2017)."""
    return ((scores.float() - target) ** 2).mean()


def _apart(one: Tensor, other: Tensor) -> Tensor:
    """Return the mean absolute difference, in units of the paper's range of -1 to 1."""
    return (one.float() - other.float()).abs().mean() / RANGE


def _judged(judge: nn.Module, real: Tensor, translated: Tensor) -> Tensor:
    """Return a discriminator's loss, halved as in the paper."""
    return 0.5 * (_toward(judge(real), 1.0) + _toward(judge(translated), 0.0))
