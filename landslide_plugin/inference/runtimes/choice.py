"""Which runtime is fastest here without changing the result, measured once and remembered."""

import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ... import __version__
from ...core.notes import read_note
from ...core.progress import Progress
from .runtime import PACKAGES, Runtime

MEAN_DIFFERENCE = 0.002
"""Probabilities may differ by this from float32 PyTorch's in the mean."""
FLIPPED = 0.001
"""This share of the pixels may change class."""
MEASURED_SECONDS = 1.0
REMEMBERED = 200


@dataclass(frozen=True)
class Candidate:
    """A way to run a model.

    Attributes:
        kind: torch, openvino or onnx.
        half: whether in half precision.
        make: makes it.
    """

    kind: str
    half: bool
    make: Callable[[], Runtime]

    @property
    def key(self) -> str:
        """Return what it is remembered by."""
        return f"{self.kind} {'half' if self.half else 'full'}"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What candidates are compared on.

    Attributes:
        images: float32, (N, C, h, w), z-scored.
        reference: their probabilities in float32, (N, K, h, w).
        threshold: probability from which a pixel is landslide.
        progress: told what is found.
        seconds: that the reference took for an image.
    """

    images: Tensor
    reference: Tensor
    threshold: float
    progress: Progress
    seconds: float = 0.0

    @classmethod
    def of(cls, exact: Runtime, images: Tensor, threshold: float, progress: Progress) -> "Trial":
        """Return the trial whose reference is what a runtime in float32 gives."""
        start = time.perf_counter()
        reference = exact.run(images).cpu()
        seconds = (time.perf_counter() - start) / len(images)
        return cls(
            images=images,
            reference=reference,
            threshold=threshold,
            progress=progress,
            seconds=seconds,
        )


def choose(candidates: Sequence[Candidate], trial: Trial) -> tuple[Candidate, Runtime] | None:
    """Return the fastest candidate that keeps the accuracy; None when none of them does.

    Of one kind the first that keeps it is taken: half precision is to stand before full.
    """
    best: tuple[float, Candidate, Runtime] | None = None
    kinds = dict.fromkeys(candidate.kind for candidate in candidates)
    for kind in kinds:
        accurate = _first_accurate([one for one in candidates if one.kind == kind], trial)
        if accurate is None:
            continue
        seconds = 0.0 if len(kinds) == 1 else seconds_of(accurate[1], trial)
        if best is None or seconds < best[0]:
            best = seconds, *accurate
    return best and best[1:]


def _first_accurate(
    candidates: Sequence[Candidate], trial: Trial
) -> tuple[Candidate, Runtime] | None:
    for candidate in candidates:
        try:
            runtime = candidate.make()
            result = runtime.run(trial.images)
        except Exception as error:  # foreign libraries fail in ways of their own
            trial.progress.message(f"{candidate.key} can't run this model ({_line(error)}).")
            continue
        mean, flipped = deviation(result, trial.reference, trial.threshold)
        if mean < MEAN_DIFFERENCE and flipped < FLIPPED:
            return candidate, runtime
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


def seconds_of(runtime: Runtime, trial: Trial) -> float:
    """Return the seconds that a batch takes: the best of the runs in `MEASURED_SECONDS`."""
    best, start = float("inf"), time.perf_counter()
    while time.perf_counter() - start < MEASURED_SECONDS:
        began = time.perf_counter()
        runtime.run(trial.images).cpu()
        best = min(best, time.perf_counter() - began)
    count, _, rows, cols = trial.images.shape
    speed = count * rows * cols / best / 1e6
    trial.progress.message(f"{runtime.name}: {speed:.2f} megapixels a second.")
    return best


class Memory:
    """Choices made earlier on this machine, in a file of the user's cache.

    Args:
        model: what identifies the model, such as the digest of its weights.
        shape: of the images.
        device: where it runs, in words.
        asked: the runtime that was asked for.
    """

    def __init__(self, model: str, shape: Sequence[int], device: str, asked: str) -> None:
        parts = [model, list(shape), device, asked, *_processor(), torch.get_num_threads()]
        packages = {name: _version(name) for names in PACKAGES.values() for name in names}
        text = json.dumps([*parts, packages, __version__])
        self._key = hashlib.sha256(text.encode()).hexdigest()

    def recall(self) -> str | None:
        """Return the name chosen; None where nothing is remembered."""
        name = _remembered().get(self._key)
        return name if isinstance(name, str) else None

    def keep(self, name: str) -> None:
        """Remember a choice; what can't be written is forgotten."""
        names = {**_remembered(), self._key: name}
        newest = dict(list(names.items())[-REMEMBERED:])
        try:
            path = cache_file()
        except RuntimeError:  # no home, as a service may have none
            return
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(newest, indent=1), encoding="utf-8")
            os.replace(partial, path)
        except OSError:
            partial.unlink(missing_ok=True)


def cache_file() -> Path:
    """Return where choices are remembered."""
    home = Path.home()
    base = {"win32": home / "AppData" / "Local", "darwin": home / "Library" / "Caches"}
    variable = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME"
    folder = os.environ.get(variable) or base.get(sys.platform, home / ".cache")
    return Path(folder) / "landslide_mapper" / "runtimes.json"


def _remembered() -> dict[str, Any]:
    try:
        return read_note(cache_file())
    except RuntimeError:  # there is no home
        return {}


def _processor() -> list[str | None]:
    """Return what kernels depend on, for several machines may share a user's cache."""
    able = [str(name) for name, has in torch.cpu.get_capabilities().items() if has is True]
    limits = [os.environ.get(name) for name in ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY")]
    return [platform.machine(), platform.processor(), *sorted(able), *limits]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
