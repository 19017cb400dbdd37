"""Which runtime computes a model: by the work, and by what it makes of the probabilities.

No time is measured: how long a batch takes says as much of what else the machine does as of the
runtime, and another runtime gives other probabilities.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...core.progress import Progress
from .runtime import Runtime

MEAN_DIFFERENCE = 0.002
"""Probabilities may differ by this from float32 PyTorch's in the mean."""
FLIPPED = 0.001
"""This share of the pixels may change class."""
ENOUGH_WORK = 3e8
"""Windows of 256 pixels times parameters from which a graph pays that takes seconds to make: at
half of it PyTorch and OpenVINO took as long for the model that ships for Sentinel-2."""
MUCH, LITTLE = ("openvino", "torch", "onnx"), ("torch", "onnx", "openvino")
"""Kinds in the order in which they are tried, with so much work and with less: OpenVINO is the
fastest on processors, PyTorch needs no graph."""


@dataclass(frozen=True)
class Candidate:
    """A way to run a model.

    Attributes:
        kind: torch, openvino or onnx.
        name: the runtime's.
        make: makes it.
    """

    kind: str
    name: str
    make: Callable[[], Runtime]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What candidates are compared on.

    Attributes:
        images: float32, (N, C, h, w), z-scored.
        reference: their probabilities in float32, (N, K, h, w).
        threshold: probability from which a pixel is landslide.
        progress: told what is found.
    """

    images: Tensor
    reference: Tensor
    threshold: float
    progress: Progress

    @classmethod
    def of(cls, exact: Runtime, images: Tensor, threshold: float, progress: Progress) -> "Trial":
        """Return the trial whose reference is what a runtime in float32 gives."""
        reference = exact.run(images).cpu()
        return cls(images=images, reference=reference, threshold=threshold, progress=progress)


def in_order(candidates: Iterable[Candidate], asked: str, work: float) -> list[Candidate]:
    """Return the candidates of the kind that is asked for, the ones to be preferred first.

    Args:
        candidates: of one kind half precision before full.
        asked: a kind; "auto" for all.
        work: windows times parameters.
    """
    kinds = MUCH if work >= ENOUGH_WORK else LITTLE
    wanted = [one for one in candidates if asked in ("auto", one.kind)]
    return sorted(wanted, key=lambda one: kinds.index(one.kind))


def first_accurate(candidates: Iterable[Candidate], trial: Trial) -> Runtime | None:
    """Return the first runtime that keeps the probabilities; None when none of them does."""
    for candidate in candidates:
        try:
            runtime = candidate.make()
            result = runtime.run(trial.images)
        except Exception as error:  # foreign libraries fail in ways of their own
            trial.progress.message(f"{candidate.name} can't run this model ({_line(error)}).")
            continue
        mean, flipped = deviation(result, trial.reference, trial.threshold)
        if mean < MEAN_DIFFERENCE and flipped < FLIPPED:
            return runtime
        trial.progress.message(
            f"{runtime.name} is left out: against float32 PyTorch, probabilities differ by "
            f"{mean:.4f} in the mean and {flipped:.2%} of the pixels change class."
        )
    return None


def deviation(result: Tensor, reference: Tensor, threshold: float) -> tuple[float, float]:
    """Return the mean difference of probabilities, and the share of pixels that change class.

    With two classes a pixel's class is what the threshold makes of it, with more the likeliest.
    """
    result, reference = result.float().cpu(), reference.float().cpu()
    if result.shape != reference.shape or not bool(torch.isfinite(result).all()):
        return float("inf"), 1.0
    if result.shape[1] == 2:
        changed = (result[:, 1] >= threshold) != (reference[:, 1] >= threshold)
    else:
        changed = result.argmax(dim=1) != reference.argmax(dim=1)
    return float((result - reference).abs().mean()), float(changed.float().mean())


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
