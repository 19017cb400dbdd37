"""The training loop, the same for all networks."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import InputError
from ..progress import Progress
from ..samples.sample_set import UNKNOWN
from .scores import Scores
from .tiles import Batch, Tiles

WARM_UP = 0.2
"""Share of the steps in which the learning rate rises (Smith and Topin 2019, one cycle)."""
WEIGHT_DECAY = 0.01
LARGEST_GRADIENT = 5.0
"""Norm to which gradients are cut: one odd patch must not undo the weights."""


class Task(Protocol):
    """What the loop needs to know of a kind of network."""

    def loss(self, network: nn.Module, batch: Batch, device: torch.device) -> Tensor:
        """Return the loss of a batch."""

    def probability(
        self, network: nn.Module, batch: Batch, device: torch.device
    ) -> NDArray[np.float32]:
        """Return how sure each pixel is landslide, 0..1, (N, size, size)."""


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        epochs: times that every train patch is seen.
        batch_size: patches per step.
        learning_rate: the highest of the cycle.
        seed: of weights and order.
        device: where to compute.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    device: torch.device


@dataclass(frozen=True)
class Epoch:
    """One row of the history: mean training loss, and figures on validation pixels."""

    number: int
    loss: float
    f1: float
    iou: float
    threshold: float
    seconds: float


@dataclass
class Outcome:
    """What came of a training.

    Attributes:
        history: all epochs.
        best: the epoch whose weights the network has now.
        figures: validation figures of that epoch at its threshold.
    """

    history: list[Epoch]
    best: Epoch
    figures: dict[str, float | None]


def fit(
    network: nn.Module, task: Task, tiles: Tiles, settings: Settings, progress: Progress
) -> Outcome:
    """Train a network in place; at the end it has the weights of its best epoch.

    Best is the highest F1 on validation pixels, at the threshold that is best for it. AdamW with
    one cycle of the learning rate.

    Args:
        network: moved to the device.
        task: loss and probability of this kind of network.
        tiles: data.
        settings: how.
        progress: told of each batch; a message per epoch.

    Raises:
        InputError: the loss is no number any more, or the memory does not suffice.
    """
    network.to(settings.device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, weight_decay=WEIGHT_DECAY
    )
    steps = tiles.train_steps(settings.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, steps * settings.epochs + 1, pct_start=WARM_UP
    )
    per_epoch = steps + tiles.validation_steps(settings.batch_size)
    history: list[Epoch] = []
    best: tuple[Epoch, dict[str, float | None], dict[str, Tensor]] | None = None
    for number in range(1, settings.epochs + 1):
        part = progress.part((number - 1) / settings.epochs, number / settings.epochs)
        started = time.monotonic()
        loss = 0.0
        network.train()
        with _memory_sentence(settings.batch_size, tiles.size):
            batches = tiles.train_batches(number, settings.batch_size)
            for step, batch in enumerate(batches, start=1):
                loss += _step(network, task, batch, optimizer, settings) / steps
                schedule.step()
                part.update(step / per_epoch)
            scores = _validate(network, task, tiles, settings, part.part(steps / per_epoch, 1.0))
        epoch, figures = _judge(number, loss, scores, time.monotonic() - started)
        history.append(epoch)
        if best is None or epoch.f1 > best[0].f1:
            best = epoch, figures, {k: v.clone() for k, v in network.state_dict().items()}
        progress.message(
            f"Epoch {number} of {settings.epochs}: loss {epoch.loss:.4f}, validation "
            f"F1 {epoch.f1:.3f}, IoU {epoch.iou:.3f} ({epoch.seconds:.0f} s)"
        )
    if best is None:
        raise ValueError("no epoch to train")
    network.load_state_dict(best[2])
    network.eval()
    return Outcome(history, best[0], best[1])


def _step(
    network: nn.Module,
    task: Task,
    batch: Batch,
    optimizer: torch.optim.Optimizer,
    settings: Settings,
) -> float:
    """Make one step; return the loss."""
    loss = task.loss(network, batch, settings.device)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise InputError(
            "The training has failed, its loss is not a number any more: choose a learning rate "
            f"below {settings.learning_rate:g}."
        )
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT)
    optimizer.step()
    return value


def _validate(
    network: nn.Module, task: Task, tiles: Tiles, settings: Settings, progress: Progress
) -> Scores:
    network.eval()
    scores = Scores()
    total = tiles.validation_steps(settings.batch_size)
    batches = progress.track(tiles.validation_batches(settings.batch_size), total)
    with torch.inference_mode():
        for batch in batches:
            probability = task.probability(network, batch, settings.device)
            known = batch.labels != UNKNOWN
            scores.add(probability, (batch.labels > 0) & known, known)
    return scores


def _judge(
    number: int, loss: float, scores: Scores, seconds: float
) -> tuple[Epoch, dict[str, Any]]:
    threshold = scores.best_threshold()
    figures = scores.figures(threshold)
    f1, iou = figures["f1"] or 0.0, figures["iou"] or 0.0
    return Epoch(number, loss, f1, iou, threshold, seconds), figures


@contextmanager
def _memory_sentence(batch_size: int, size: int) -> Iterator[None]:
    """Say in one sentence that the memory is used up; PyTorch has no one error for it."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
            raise InputError(
                f"The memory does not suffice for {batch_size} tiles of {size} px at once: choose "
                "a smaller batch size or tile size."
            ) from error
        raise
