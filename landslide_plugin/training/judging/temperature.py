"""A network's temperature, by its validation pixels (Guo et al. 2017, ICML), and its threshold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit
from torch import nn

from ....models.calibration import Calibration
from ...core.progress import Progress
from ...evaluation.probability import STEPS, Probabilities
from ...samples.sample_set import UNKNOWN
from ..loop.scores import Scores, nearest_threshold
from ..loop.semantic import SemanticTask
from ..tiles.batches import Tiles

FEWEST = 1000
"""Validation pixels of landslide, and of background, that a temperature needs at least."""
LOWEST, HIGHEST = 0.25, 20.0
"""Temperatures: the focal loss wants about 0.4; pixels that are all told apart would want 0, which
would be wrong elsewhere."""
LARGEST, STEP = 64.0, 0.02
"""Logits are counted up to the former, in bins of the latter."""
_CENTRES = np.arange(-LARGEST + STEP / 2, LARGEST, STEP)


class Logits:
    """Counts known pixels by class and by the logit of landslide that a network gives them."""

    def __init__(self) -> None:
        self._counts = np.zeros((2, len(_CENTRES)), np.int64)

    def add(self, logits: NDArray[np.float32], labels: NDArray[np.uint16]) -> None:
        """Count pixels.

        Args:
            logits: of landslide, any shape.
            labels: as in `Batch`, same shape.
        """
        labelled = labels != UNKNOWN
        bins = ((logits[labelled] + LARGEST) / STEP).clip(0, len(_CENTRES) - 1).astype(np.int64)
        for landslide in (0, 1):
            inside = (labels[labelled] > 0) == landslide
            self._counts[landslide] += np.bincount(bins[inside], minlength=len(_CENTRES))

    def __add__(self, other: "Logits") -> "Logits":
        """Return the counts of both, such as those of all folds."""
        both = Logits()
        both._counts = self._counts + other._counts
        return both

    @property
    def rarer(self) -> int:
        """Pixels of landslide or of background, whichever are fewer."""
        return int(self._counts.sum(axis=1).min())

    def temperature(self) -> float:
        """Return the temperature at which the pixels are likeliest; 1 where they are too few."""
        if self.rarer < FEWEST:
            return 1.0
        background, landslide = self._counts

        def slope(inverse: float) -> float:
            """Return the derivative of the negative log-likelihood by 1 / temperature; it rises."""
            probability = expit(inverse * _CENTRES)
            apart = background * probability - landslide * (1 - probability)
            return float((apart * _CENTRES).sum())

        low, high = 1 / HIGHEST, 1 / LOWEST
        if slope(low) >= 0:
            return HIGHEST
        return LOWEST if slope(high) <= 0 else float(1 / brentq(slope, low, high))

    def error(self, temperature: float = 1.0) -> float | None:
        """Return the expected calibration error at a temperature, as `evaluate` bins it."""
        counted = Probabilities()
        steps = (expit(_CENTRES / temperature) * STEPS).astype(np.int64)
        for counts, pixels in zip(counted.counts, self._counts, strict=True):
            np.add.at(counts, steps, pixels)
        return counted.reliability().error


@dataclass(frozen=True)
class Fitted:
    """What validation pixels say of the temperature.

    Attributes:
        likeliest: the one at which they are likeliest; 1 where there were too few.
        before: expected calibration error without it; None without pixels.
        after: with it.
        rarer: pixels of landslide or of background, whichever are fewer.
    """

    likeliest: float = 1.0
    before: float | None = None
    after: float | None = None
    rarer: int = 0

    @classmethod
    def to(cls, logits: Logits) -> "Fitted":
        """Return what some pixels say."""
        likeliest = logits.temperature()
        return cls(likeliest, logits.error(), logits.error(likeliest), logits.rarer)

    @property
    def obstacle(self) -> str:
        """Why the likeliest temperature is not applied; "" where it is."""
        if self.rarer < FEWEST or self.before is None or self.after is None:
            return (
                f"validation has {self.rarer:,} pixels of the rarer class, and {FEWEST:,} are "
                "needed to calibrate"
            )
        if self.likeliest in (LOWEST, HIGHEST):
            return (
                f"the validation pixels are likeliest at {self.likeliest:g}, an end of its range, "
                "as where all of them are told right, or none better than by chance"
            )
        if self.after >= self.before:
            return (
                f"at {self.likeliest:.3g}, where the validation pixels are likeliest, the expected "
                f"calibration error on them is {self.after:.4f}, no smaller than "
                f"{self.before:.4f} without it"
            )
        return ""

    @property
    def temperature(self) -> float:
        """The one that is applied: 1 where there is an obstacle."""
        return 1.0 if self.obstacle else self.likeliest

    def threshold(self, tiles: Sequence[Scores]) -> float:
        """Return the probability, as the network gives it, from which a pixel is landslide.

        Of calibrated probabilities F1 is highest at half of what it is there (Lipton et al. 2014,
        ECML PKDD), which all tiles tell together, while where exactly the curve of few of them has
        its top is decided by one large landslide. So it is the threshold nearest to that half whose
        F1 is as good as the highest; where nothing is calibrated, that with the highest.

        Args:
            tiles: counts of each tile that it is chosen by.
        """
        both = sum(tiles, Scores())
        best = both.best_threshold()
        if self.obstacle:
            return best
        half = (both.figures(best)["f1"] or 0.0) / 2
        return nearest_threshold(tiles, float(Calibration(self.temperature).inverse(half)))

    def figures(self) -> dict[str, float | None]:
        """Return what a model's card tells of the errors; nothing where nothing was measured."""
        if self.before is None:
            return {}
        after = self.before if self.obstacle else self.after
        return {"calibration_error": after, "calibration_error_before": self.before}

    def __str__(self) -> str:
        """Say what is applied, in a sentence."""
        if self.obstacle:
            return f"Probabilities stay as the network gives them (temperature 1): {self.obstacle}."
        return (
            f"Temperature {self.temperature:.3g}: the expected calibration error on validation "
            f"pixels is {self.after:.4f}, without it {self.before:.4f}."
        )


def count_logits(
    network: nn.Module, task: SemanticTask, data: Tiles, batch_size: int, progress: Progress
) -> Logits:
    """Count a network's logits on its validation patches.

    Args:
        network: in evaluation mode; it is left on its device.
        task: asks it.
        data: only `validation` patches are read.
        batch_size: tiles at once.
        progress: told of each batch.
    """
    device = next(network.parameters()).device
    counted = Logits()
    batches, total = data.validation_batches(batch_size), data.validation_steps(batch_size)
    with torch.inference_mode():
        for batch in progress.track(batches, total):
            counted.add(task.landslide_logit(network, batch, device), batch.labels)
    return counted
