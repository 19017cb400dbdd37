"""One step of gradient descent: rates, frozen encoder, mixed precision, clipped gradients."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from ...models.registry import encoder_parameters
from ..device import needs_scaling
from ..errors import DivergedError, InputError
from . import checkpoint
from .contracts import Settings, Task
from .memory import Memory
from .schedule import find_schedule
from .tiles import Batch

WEIGHT_DECAY = 0.01
SECOND_MOMENT = 0.999
"""Adam's beta 2."""
LARGEST_GRADIENT = 5.0
"""Norm to which gradients are cut: one odd patch must not undo the weights."""
ONE_VALUE = "more than 1 value per channel"
"""Part of what PyTorch says where batch normalization has a single value to work on."""


class Optimization:
    """Moves a network's weights.

    Args:
        network: on its device.
        task: its loss.
        settings: how.
    """

    def __init__(self, network: nn.Module, task: Task, settings: Settings) -> None:
        self._network, self._task, self._settings = network, task, settings
        self._rate = find_schedule(settings.schedule)
        self._encoder = [item for item in encoder_parameters(network) if item.requires_grad]
        self._optimizer = self._make()
        self._scaler = torch.amp.GradScaler(
            settings.device.type, enabled=needs_scaling(settings.device)
        )

    def step(self, batch: Batch, memory: Memory, epoch: int, done: float) -> float:
        """Make one step; return the loss.

        Args:
            batch: tiles.
            memory: what says in how many parts they fit.
            epoch: its number, from 1.
            done: share of all steps that are made, which the learning rate depends on.

        Raises:
            DivergedError: the loss is no number any more.
            InputError: the memory does not suffice.
        """
        self._freeze(epoch <= self._settings.frozen_epochs)
        for group in self._optimizer.param_groups:
            group["lr"] = self._settings.learning_rate * group["share"] * self._rate(done)
        loss = memory.run(batch, self._gradient)
        self._scaler.unscale_(self._optimizer)
        nn.utils.clip_grad_norm_(self._network.parameters(), LARGEST_GRADIENT)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        return loss

    def tensors(self) -> dict[str, Tensor]:
        """Return the moments, for a checkpoint."""
        return checkpoint.optimizer_tensors(self._optimizer)

    def facts(self) -> dict[str, Any]:
        """Return the JSON-able rest of the state."""
        return dict(self._scaler.state_dict())

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Take up the state of a checkpoint."""
        checkpoint.restore_optimizer(self._optimizer, tensors)
        if facts and self._scaler.is_enabled():
            self._scaler.load_state_dict(facts)

    def _make(self) -> torch.optim.Optimizer:
        encoder = {id(parameter) for parameter in self._encoder}
        others = [item for item in self._network.parameters() if id(item) not in encoder]
        groups = [
            {"params": others, "share": 1.0},
            {"params": self._encoder, "share": self._settings.encoder_rate},
        ]
        groups = [group for group in groups if group["params"]]
        rate, betas = self._settings.learning_rate, (self._settings.momentum, SECOND_MOMENT)
        if self._settings.optimizer == "adam":
            return torch.optim.Adam(groups, rate, betas, fused=True)
        return torch.optim.AdamW(groups, rate, betas, weight_decay=WEIGHT_DECAY, fused=True)

    def _freeze(self, frozen: bool) -> None:
        for parameter in self._encoder:
            parameter.requires_grad_(not frozen)

    def _gradient(self, parts: list[Batch]) -> float:
        """Compute the gradient of the mean loss of all tiles; return that loss."""
        self._optimizer.zero_grad(set_to_none=True)
        tiles = sum(len(part.labels) for part in parts)
        total = 0.0
        for part in parts:
            loss = self._loss(part) * (len(part.labels) / tiles)
            total += float(loss.detach())
            if not math.isfinite(total):
                raise DivergedError(
                    "The training has failed, its loss is not a number any more: choose a "
                    f"learning rate below {self._settings.learning_rate:g}."
                )
            self._scaler.scale(loss).backward()
        return total

    def _loss(self, part: Batch) -> Tensor:
        try:
            return self._task.loss(self._network, part, self._settings.device)
        except ValueError as error:
            if ONE_VALUE not in str(error):
                raise
            raise InputError(
                "This architecture can't learn from a batch of one tile: choose a larger batch "
                "size, larger tiles or make more samples."
            ) from error
