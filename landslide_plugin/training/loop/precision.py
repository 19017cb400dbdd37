"""Half precision in training, as long as it gives the gradients that float32 gives.

It does not always: where a convolution's kernel reaches so far that its outer rows see nothing but
padding (7 x 7 on 2 x 2 pixels), oneDNN 3.12, in bfloat16 on processors with AVX-512, leaves their
gradient unwritten, so that it is whatever lay in the memory, up to 1e38.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from ....models.device import describe, half_type
from ...contract.errors import InputError
from ...core.progress import Progress
from ..tiles.batches import Batch
from .contracts import Remembering, Task
from .memory import Memory

EVERY = 10
"""Gradients are compared at steps 1, 10, 100, ... since the weights that are trained changed."""
JUMP = 10.0
"""They are compared too where their norm is so many times the largest that was found right."""
TOLERANCE = 4.0
"""Half precision may be so many times as far from float32 as rounding takes float32 from itself.

Networks of all architectures were up to 1.7 times as far; a wrong kernel, 9 times and more."""
EACH, WHOLE = 0.02, 0.001
"""Added to what rounding does: shares of a tensor's own gradient and of that of all weights."""


class Precision:
    """Decides whether a network goes on in half precision, where its device has any.

    Args:
        network: on its device.
        task: whose `half` says what was decided.
        device: where to compute.
        gradient: computes the gradient of a batch in parts, as `Memory.run` gives them, into the
            weights; returns the loss.
        progress: warned when it is given up.

    Attributes:
        steps: made since the weights that are trained changed.
        largest: norm of the gradients that were found right.
        scaler: of losses, for float16.
    """

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        device: torch.device,
        gradient: Callable[[list[Batch]], float],
        progress: Progress,
    ) -> None:
        self.steps, self.largest = 0, 0.0
        self._network, self._task, self._device = network, task, device
        self._gradient, self._progress = gradient, progress
        self.scaler = torch.amp.GradScaler(
            device.type, enabled=self.half and half_type(device) == torch.float16
        )

    @property
    def half(self) -> bool:
        """Whether the network runs in half precision."""
        return self._task.half and half_type(self._device) is not None

    @property
    def name(self) -> str:
        """The name of the precision that the network runs in."""
        kind = half_type(self._device) if self.half else torch.float32
        return str(kind).removeprefix("torch.")

    def checked(self, work: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return what work computes, anew in float32 where half precision gives no numbers."""
        values = work()
        if not self.half or np.isfinite(values).all():
            return values
        left = self.leave()
        values = work()
        if np.isfinite(values).all():
            self._warn(left)
        return values

    def guard(
        self, batch: Batch, parts: int, attempt: Callable[[], tuple[float, float]]
    ) -> tuple[float, float]:
        """Return what a step's attempt gives, the second one's where the first can't be trusted.

        Args:
            batch: the step's.
            parts: in which it fits the memory.
            attempt: computes the gradient; returns the loss and the gradient's norm.
        """
        self.steps += 1
        if self.steps == EVERY ** round(math.log(self.steps, EVERY)):
            self.compare(batch, parts)
        if not self.half:
            return attempt()
        undo = bystanders(self._network, self._task, self._device)
        loss, norm = attempt()
        if not self._is_doubtful(loss, norm):
            return loss, norm
        undo()
        if math.isfinite(loss) and math.isfinite(norm):
            self.scaler.update()
            self.compare(batch, parts)
            return attempt()
        left = self.leave()
        loss, norm = attempt()
        if math.isfinite(loss) and math.isfinite(norm):  # else the training has diverged
            self._warn(left)
        return loss, norm

    def _is_doubtful(self, loss: float, norm: float) -> bool:
        """Return whether a step's loss and norm may be half precision's fault."""
        if not math.isfinite(loss):
            return True
        if not math.isfinite(norm):  # while its scale is high, the scaler answers by lowering it
            return not self.scaler.is_enabled() or self.scaler.get_scale() < 1
        return norm > JUMP * self.largest > 0

    def compare(self, batch: Batch, parts: int) -> None:
        """Go on in float32 if half precision gives wrong gradients of a batch.

        Three times computed: in half precision, in float32, and in float32 from images and weights
        that are rounded to half precision. How far the last two lie apart tells what rounding may
        do to this network.
        """
        if not self.half:
            return
        restore = bystanders(self._network, self._task, self._device)
        training = [module for module in self._network.modules() if module.training]
        _only_norms_train(self._network)
        try:
            # Float32 takes more memory: what fits is found out without changing the training.
            deviation = Memory(Progress(), parts).run(batch, self._deviation)
        except InputError:  # the step itself will tell
            return
        finally:
            for module in training:
                module.training = True
            self._network.zero_grad(set_to_none=True)
            restore()
        if deviation > TOLERANCE:
            self._warn(self.leave())

    def leave(self) -> str:
        """Go on in float32; return the name of the precision until now."""
        left = self.name
        self._task.half = False
        self.scaler = torch.amp.GradScaler(self._device.type, enabled=False)
        return left

    def _warn(self, left: str) -> None:
        self._progress.warning(
            f"Half precision ({left}) is wrong for this network on this device "
            f"({describe(self._device)}): the training goes on in float32, which takes longer."
        )

    def _deviation(self, parts: list[Batch]) -> float:
        kind = half_type(self._device)
        half = self._computed(parts)
        self._task.half = False
        try:
            full = self._computed(parts)
            with _rounded(self._network, kind):
                rounded = self._computed([_round(part, kind) for part in parts])
        finally:
            self._task.half = True
        norm = _norm(full[1:])
        if not math.isfinite(norm):
            return 0.0
        if self.scaler.is_enabled() and not math.isfinite(_norm(half)):
            return 0.0
        self.largest = max(self.largest, norm / self.scaler.get_scale())
        return deviation(half, full, rounded)

    def _computed(self, parts: list[Batch]) -> list[Tensor]:
        """Return the loss and the gradient of each weight that is trained."""
        loss = torch.tensor(self._gradient(parts))
        weights = self._network.parameters()
        return [loss, *(weight.grad for weight in weights if weight.grad is not None)]


def deviation(half: Sequence[Tensor], full: Sequence[Tensor], rounded: Sequence[Tensor]) -> float:
    """Return how many times as far as by rounding a loss and gradients are from float32's.

    Args:
        half: the loss, and gradients of any shapes, in half precision.
        full: the same in float32.
        rounded: the same in float32 from rounded images and weights.

    Returns:
        That of the tensor where it is highest; infinite where a value is no number.
    """
    if len(half) != len(full):  # there was no loss to compute gradients of
        return math.inf
    least = WHOLE * _norm(full[1:])
    highest = 0.0
    for ours, exact, other in zip(half, full, rounded, strict=True):
        apart = _norm([ours - exact])
        if not math.isfinite(apart):
            return math.inf
        allowed = _norm([other - exact]) + EACH * _norm([exact]) + least
        highest = max(highest, apart / max(allowed, 1e-30))
    return highest


def bystanders(network: nn.Module, task: Task, device: torch.device) -> Callable[[], None]:
    """Return a function that undoes what computing losses from now on does beside them.

    That is to the statistics of normalizations, and to what the task remembers.
    """
    buffers = [(buffer, buffer.clone()) for buffer in network.buffers()]
    remembered = task.memory() if isinstance(task, Remembering) else None

    def restore() -> None:
        with torch.no_grad():
            for buffer, kept in buffers:
                buffer.copy_(kept)
        if remembered and isinstance(task, Remembering):
            task.recall(*remembered, device)

    return restore


def _only_norms_train(network: nn.Module) -> None:
    """Turn off what chance has a part in, such as dropout; frozen normalization stays so."""
    for module in network.modules():
        module.training &= isinstance(module, _NormBase)


@contextmanager
def _rounded(network: nn.Module, kind: torch.dtype | None) -> Iterator[None]:
    """Let the weights be those that half precision can hold."""
    kept = [(weight, weight.detach().clone()) for weight in network.parameters()]
    with torch.no_grad():
        for weight, value in kept:
            weight.copy_(value.to(kind))
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, value in kept:
                weight.copy_(value)


def _round(batch: Batch, kind: torch.dtype | None) -> Batch:
    return Batch(batch.images.to(kind).to(batch.images.dtype), batch.labels)


def _norm(tensors: Sequence[Tensor]) -> float:
    norms = [torch.linalg.vector_norm(tensor).item() for tensor in tensors]
    return math.hypot(*norms)
