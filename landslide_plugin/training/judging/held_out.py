"""How good a trained model is on the test samples, by which nothing was chosen."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ....models.calibration import Calibration
from ...core.progress import Progress
from ...evaluation.intervals import FEWEST_BLOCKS, Interval, metric_intervals
from ...evaluation.metrics import Confusion, all_metrics
from ...evaluation.probability import Probabilities
from ...samples.sample_set import UNKNOWN
from ...samples.splits import group_word, groups_of
from ..loop.contracts import Task
from ..tiles.batches import Tiles

FIGURES = {
    "f1": "f1",
    "iou": "iou_landslide",
    "precision": "precision",
    "recall": "recall",
    "oa": "oa",
}
"""Names in model cards, with the metrics' own."""


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What was found on the test samples.

    Attributes:
        split: what they are, in words.
        samples: how many.
        landslides: in them, whole or in part; one in two patches that overlap counts twice.
        counts: confusion matrix of their pixels.
        error: expected calibration error of their probabilities as maps have them.
        error_before: the same as the network gives them, without a temperature.
        intervals: 95 % interval of each metric, by its own name.
        drawn: how many were drawn with replacement for the intervals, and of what.
    """

    split: str
    samples: int
    landslides: int
    counts: Confusion
    error: float | None
    error_before: float | None
    intervals: dict[str, Interval]
    drawn: str

    def facts(self) -> dict[str, Any]:
        """Return what the model card keeps."""
        values = all_metrics(self.counts)
        return {
            "split": self.split,
            "samples": self.samples,
            "landslides": self.landslides,
            **{name: values[key] for name, key in FIGURES.items()},
            "calibration_error": self.error,
            "calibration_error_before": self.error_before,
            "intervals": {name: self.intervals[key] for name, key in FIGURES.items()},
            "intervals_over": self.drawn,
        }

    def __str__(self) -> str:
        """Return the figures in a sentence."""
        values = all_metrics(self.counts)
        told = [
            f"{title} {_with_interval(values[key], self.intervals[key])}" for title, key in _TOLD
        ]
        return (
            f"On the {self.samples} test samples with {self.landslides} landslides, by which "
            f"nothing was chosen: {', '.join(told)} (95 % intervals over {self.drawn})"
            f"{self._calibration}."
        )

    @property
    def _calibration(self) -> str:
        if self.error is None or self.error_before is None:
            return ""
        told = f"; expected calibration error {self.error:.4f}"
        if self.error == self.error_before:
            return told
        return f"{told}, without the temperature {self.error_before:.4f}"


_TOLD = (("F1", "f1"), ("IoU", "iou_landslide"), ("precision", "precision"), ("recall", "recall"))


def measure_held_out(
    network: nn.Module,
    task: Task,
    data: Tiles,
    threshold: float,
    calibration: Calibration,
    batch_size: int,
    progress: Progress,
) -> HeldOut:
    """Measure a model on patches that it has not seen.

    The intervals are those of a bootstrap over groups of patches that belong together, such as
    spatial blocks, or over patches where there are fewer than `FEWEST_BLOCKS` groups.

    Args:
        network: on its device, in evaluation mode.
        task: its kind.
        data: its `validation` patches are measured.
        threshold: probability, as the network gives it, from which a pixel is landslide.
        calibration: what maps make of that probability.
        batch_size: tiles at once.
        progress: told of each batch.
    """
    of_patch: dict[str, Confusion] = {}
    before, after = Probabilities(), Probabilities()
    device = next(network.parameters()).device
    batches = data.validation_batches(batch_size)
    patches_of_tiles = iter(data.validation_patches())
    for batch in progress.track(batches, data.validation_steps(batch_size)):
        with torch.inference_mode():
            probabilities = task.probability(network, batch, device)
        for probability, labels in zip(probabilities, batch.labels, strict=True):
            truth = labels > 0, labels != UNKNOWN
            counts = Confusion.of(probability >= threshold, *truth)
            before.add(probability, *truth)
            after.add(calibration(probability).astype(np.float32), *truth)
            patch = next(patches_of_tiles).id
            of_patch[patch] = of_patch.get(patch, Confusion()) + counts
    drawn, groups = _grouped(data, of_patch)
    patches = data.validation
    return HeldOut(
        split=f"test part of a split {data.samples.split_in_words()}, seed {data.samples.seed}",
        samples=len(patches),
        landslides=sum(sample.instances for sample in patches),
        counts=sum(of_patch.values(), Confusion()),
        error=after.reliability().error,
        error_before=before.reliability().error,
        intervals=metric_intervals(groups),
        drawn=drawn,
    )


def _grouped(data: Tiles, of_patch: dict[str, Confusion]) -> tuple[str, list[Confusion]]:
    """Return what is drawn for intervals, in words, and the counts of each."""
    of_group: dict[str, Confusion] = {}
    for sample in data.validation:
        group = groups_of(data.samples, sample)[0]
        of_group[group] = of_group.get(group, Confusion()) + of_patch[sample.id]
    if len(of_group) < FEWEST_BLOCKS:
        return f"{len(of_patch)} patches", list(of_patch.values())
    return f"{len(of_group)} {group_word(data.samples)}", list(of_group.values())


def _with_interval(value: float | None, limits: Interval) -> str:
    if value is None:
        return "undefined"
    return f"{value:.3f}" + (f" ({limits[0]:.3f} to {limits[1]:.3f})" if limits else "")
