"""One step of gradient descent: rates, frozen encoder, clipped gradients."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from ....models.registry import encoder_modules, encoder_parameters
from ...contract.errors import DivergedError, InputError
from ...core.progress import Progress
from ..tiles.batches import Batch
from . import checkpoint
from .contracts import Settings, Task
from .memory import Memory
from .precision import Precision
from .schedule import SCHEDULES

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
        progress: warned where half precision is given up.

    Attributes:
        precision: half or full.
    """

    def __init__(
        self, network: nn.Module, task: Task, settings: Settings, progress: Progress
    ) -> None:
        self._network, self._task, self._settings = network, task, settings
        self._rate = SCHEDULES[settings.schedule]
        self._encoder = [item for item in encoder_parameters(network) if item.requires_grad]
        self._norms = [
            module
            for part in encoder_modules(network)
            for module in part.modules()
            if isinstance(module, _NormBase)
        ]
        self._optimizer = self._make()
        self.precision = Precision(network, task, settings.device, self._gradient, progress)

    def step(self, batch: Batch, memory: Memory, epoch: int, done: float) -> float:
        """Make one step; return the loss.

        A step whose loss or gradients are no numbers is not made: in half precision it is tried
        again in float32, and in float32 the weights stay as they were before it.

        Args:
            batch: tiles.
            memory: what says in how many parts they fit.
            epoch: its number, from 1.
            done: share of all steps that are made, which the learning rate depends on.

        Raises:
            DivergedError: the loss or a gradient is no number any more.
            InputError: the memory does not suffice.
        """
        self._freeze(epoch <= self._settings.frozen_epochs)
        for group in self._optimizer.param_groups:
            group["lr"] = self._settings.learning_rate * group["share"] * self._rate(done)
        loss, norm = self.precision.guard(batch, memory.parts, lambda: self._attempt(batch, memory))
        scaler = self.precision.scaler
        if not math.isfinite(loss) or not (math.isfinite(norm) or scaler.is_enabled()):
            raise DivergedError(
                "The training has failed, its loss is not a number any more: choose a "
                f"learning rate below {self._settings.learning_rate:g}."
            )
        scaler.step(self._optimizer)
        scaler.update()
        return loss

    def tensors(self) -> dict[str, Tensor]:
        """Return the moments, for a checkpoint."""
        return checkpoint.optimizer_tensors(self._optimizer)

    def facts(self) -> dict[str, Any]:
        """Return the JSON-able rest of the state."""
        precision = self.precision
        return {
            "scaler": precision.scaler.state_dict(),
            "steps": precision.steps,
            "largest": precision.largest,
        }

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Take up the state of a checkpoint."""
        checkpoint.restore_optimizer(self._optimizer, tensors)
        precision = self.precision
        precision.steps, precision.largest = facts["steps"], facts["largest"]
        if facts["scaler"] and precision.scaler.is_enabled():
            precision.scaler.load_state_dict(facts["scaler"])

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
        """Let the encoder learn or not: its weights, and its batch normalization's statistics."""
        if any(parameter.requires_grad == frozen for parameter in self._encoder):
            self.precision.steps = 0
        for parameter in self._encoder:
            parameter.requires_grad_(not frozen)
        for norm in self._norms:
            norm.train(not frozen)

    def _attempt(self, batch: Batch, memory: Memory) -> tuple[float, float]:
        """Compute the gradient and cut it; return the loss and the norm before."""
        loss = memory.run(batch, self._gradient)
        if not math.isfinite(loss):
            return loss, loss
        self.precision.scaler.unscale_(self._optimizer)
        norm = nn.utils.clip_grad_norm_(self._network.parameters(), LARGEST_GRADIENT)
        return loss, float(norm)

    def _gradient(self, parts: list[Batch]) -> float:
        """Compute the gradient of the mean loss of all tiles; return that loss.

        Of a loss that is no number none is computed.
        """
        self._optimizer.zero_grad(set_to_none=True)
        tiles = sum(len(part.labels) for part in parts)
        total = 0.0
        for part in parts:
            loss = self._loss(part) * (len(part.labels) / tiles)
            total += float(loss.detach())
            if not math.isfinite(total):
                break
            self.precision.scaler.scale(loss).backward()
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
