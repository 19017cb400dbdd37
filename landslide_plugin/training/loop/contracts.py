"""What the training loop, the networks' tasks and the data know of each other."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...contract.choices import Train
from ..tiles.batches import Batch

ALL_EPOCHS, EARLY, CANCELED = "all epochs", "stopped early", "canceled"
"""How a training can end."""


class Task(Protocol):
    """What the loop needs to know of a kind of network."""

    half: bool
    """Whether the network runs in half precision where the device has any."""

    def loss(self, network: nn.Module, batch: Batch, device: torch.device) -> Tensor:
        """Return the loss of a batch."""

    def probability(
        self, network: nn.Module, batch: Batch, device: torch.device
    ) -> NDArray[np.float32]:
        """Return how sure each pixel is landslide, 0..1, (N, size, size)."""


@runtime_checkable
class Remembering(Protocol):
    """A task whose loss depends on earlier steps too, which its part of a checkpoint holds."""

    def memory(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return tensors and JSON-able facts."""

    def recall(
        self, tensors: dict[str, Tensor], facts: dict[str, Any], device: torch.device
    ) -> None:
        """Take up what `memory` has returned."""


class Data(Protocol):
    """What the loop is fed with; `Tiles` is one.

    The batches of an epoch are the same whenever they are asked for.
    """

    size: int
    """Side of the tiles in pixels."""

    def train_batches(self, epoch: int, batch_size: int, first: int = 0) -> Iterator[Batch]:
        """Yield the training batches of an epoch but those before number `first`."""

    def train_steps(self, batch_size: int) -> int:
        """Return how many these are."""

    def validation_batches(self, batch_size: int) -> Iterator[Batch]:
        """Yield the validation batches."""

    def validation_steps(self, batch_size: int) -> int:
        """Return how many these are."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to train.

    Attributes:
        epochs: times that every train patch is seen.
        batch_size: patches per step.
        learning_rate: the highest of the schedule.
        seed: of weights and order.
        device: where to compute.
        optimizer: "adamw" or "adam".
        schedule: course of the learning rate, a key of `schedule.SCHEDULES`.
        frozen_epochs: epochs at the beginning in which the encoder stays as it is.
        encoder_rate: learning rate of the encoder as share of the others'.
        patience: epochs without a better one after which training ends; 0 for never.
        averaging: decay of the running average of the weights, which then is what is measured and
            kept; 0 for none.
        momentum: share of the last steps' direction in the next (Adam's beta 1).
        last: whether the weights of the last epoch are kept instead of those of the best: where
            the F1 does not tell how good they are.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    device: torch.device
    optimizer: str = Train.OPTIMIZER.default
    schedule: str = Train.SCHEDULE.default
    frozen_epochs: int = 0
    encoder_rate: float = 1.0
    patience: int = 0
    averaging: float = 0.0
    momentum: float = 0.9
    last: bool = False


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One row of the history: mean training loss, and figures on validation pixels."""

    number: int
    loss: float
    f1: float
    iou: float
    threshold: float
    seconds: float


@dataclass(kw_only=True)
class Outcome:
    """What came of a training.

    Attributes:
        history: all epochs.
        best: the epoch whose weights the network has now.
        figures: validation figures of that epoch at its threshold.
        ending: `ALL_EPOCHS`, `EARLY` or `CANCELED`.
        precision: of the network's values: float32, or at the end still bfloat16 or float16.
    """

    history: list[Epoch]
    best: Epoch
    figures: dict[str, float | None]
    ending: str = ALL_EPOCHS
    precision: str = "float32"
