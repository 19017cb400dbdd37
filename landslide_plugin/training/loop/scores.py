"""Pixel figures on validation data for every threshold at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...evaluation import metrics
from ...evaluation.metrics import Confusion

STEPS = 200
"""Thresholds are told apart in steps of 1 / STEPS."""


def _thresholds() -> NDArray[np.float64]:
    """Return the lower ends of all bins: the steps, and finer ones within the first and the last.

    Of rare landslides, or from a network that is too sure of itself, most probabilities lie there,
    and their order would be lost: down to 5e-7 from the end.
    """
    tail = 10 ** -(np.arange(1, 129) / 32) / STEPS
    return np.concatenate([[0], tail[::-1], np.arange(1, STEPS) / STEPS, 1 - tail])


THRESHOLDS = _thresholds()
EDGES = THRESHOLDS.astype(np.float32)
"""The same, as exact as probabilities are."""
LOWEST, HIGHEST = 0.02, 0.98
"""Wide, as cross entropy gives rare landslides low probabilities; the very ends are left out, as
nearly all or none of an unseen area would lie beyond them."""


@dataclass(frozen=True)
class Curve:
    """Figures by threshold, lowest first; NaN where undefined.

    Attributes:
        threshold: `THRESHOLDS`, then 1, float64 (n,).
        precision: float64 (n,).
        recall: float64 (n,).
        f1: float64 (n,).
    """

    threshold: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]

    @property
    def average_precision(self) -> float:
        """Return the area under the precision-recall curve, by steps as scikit-learn does."""
        recall = np.append(self.recall, 0.0)
        precision = np.nan_to_num(self.precision, nan=0.0)
        return float(((recall[:-1] - recall[1:]) * precision).sum())


class Scores:
    """Counts known pixels by class and probability."""

    def __init__(self) -> None:
        self._background = np.zeros(len(EDGES), np.int64)
        self._landslide = np.zeros(len(EDGES), np.int64)

    def add(
        self,
        probability: NDArray[np.float32],
        landslide: NDArray[np.bool_],
        labelled: NDArray[np.bool_],
    ) -> None:
        """Count pixels.

        Args:
            probability: 0..1, any shape.
            landslide: the truth, same shape.
            labelled: where the truth is known; the rest counts for nothing.
        """
        bins = np.searchsorted(EDGES, np.clip(probability, 0, 1), side="right") - 1
        self._background += np.bincount(bins[labelled & ~landslide], minlength=len(EDGES))
        self._landslide += np.bincount(bins[labelled & landslide], minlength=len(EDGES))

    def __add__(self, other: "Scores") -> "Scores":
        """Return the counts of both, such as those of all folds."""
        both = Scores()
        both._background = self._background + other._background
        both._landslide = self._landslide + other._landslide
        return both

    def best_threshold(self) -> float:
        """Return the threshold with the highest F1; of equals the one nearest to 0.5."""
        return nearest_threshold([self], 0.5)

    def figures(self, threshold: float) -> dict[str, float | None]:
        """Return f1, iou, precision, recall and overall accuracy (oa); None where undefined."""
        counts = self.confusion(threshold)
        return {
            "f1": metrics.f1(counts),
            "iou": metrics.iou_landslide(counts),
            "precision": metrics.precision(counts),
            "recall": metrics.recall(counts),
            "oa": metrics.overall_accuracy(counts),
        }

    def confusion(self, threshold: float) -> Confusion:
        """Return the counts with pixels from a threshold on taken as landslide."""
        first = _bin(round(threshold * STEPS) / STEPS)
        return Confusion(
            tp=int(self._landslide[first:].sum()),
            fp=int(self._background[first:].sum()),
            fn=int(self._landslide[:first].sum()),
            tn=int(self._background[:first].sum()),
        )

    def _overlap(self, first: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return twice the hits, and mapped and true landslide together: F1 is their ratio.

        Args:
            first: numbers of the bins from which on pixels are taken as landslide, (n,).

        Returns:
            float64, (2, n).
        """
        hit, false = (
            np.append(counts[::-1].cumsum()[::-1], 0)[first]
            for counts in (self._landslide, self._background)
        )
        return np.stack([2 * hit, hit + false + self._landslide.sum()]).astype(np.float64)

    def curve(self) -> Curve:
        """Return precision, recall and F1 at every threshold."""
        hit, false = (
            np.append(counts[::-1].cumsum()[::-1], 0)
            for counts in (self._landslide, self._background)
        )
        total = hit[0]
        with np.errstate(invalid="ignore"):
            return Curve(
                threshold=np.append(THRESHOLDS, 1),
                precision=hit / (hit + false),
                recall=hit / np.float64(total),
                f1=2 * hit / (hit + false + total),
            )


def nearest_threshold(tiles: Sequence[Scores], wanted: float) -> float:
    """Return the threshold nearest to a wanted one of those whose F1 is as good as the highest.

    As good is what is lower by no more than the standard error of the difference between tiles (by
    leaving out each of them: jackknife), of a single tile by nothing.

    Args:
        tiles: counts of each.
        wanted: probability.
    """
    steps = np.arange(round(LOWEST * STEPS), round(HIGHEST * STEPS) + 1)
    counts = np.stack([tile._overlap(_bin(steps / STEPS)) for tile in tiles])
    total = counts.sum(0)
    f1 = _ratio(total)
    without = _ratio(np.moveaxis(total - counts, 1, 0))
    best = f1.argmax()
    lower = without[:, [best]] - without
    error = ((len(tiles) - 1) * lower.var(axis=0)) ** 0.5
    good = steps[f1[best] - f1 <= error + 1e-12]
    return float(good[np.argmin(np.abs(good - wanted * STEPS))] / STEPS)


def _ratio(overlap: NDArray[np.float64]) -> NDArray[np.float64]:
    hit, either = overlap
    ratio: NDArray[np.float64] = np.divide(hit, either, out=np.zeros_like(hit), where=either > 0)
    return ratio


def _bin(threshold: float | NDArray[np.float64]) -> Any:
    """Return the number of the first bin that a threshold of a whole step lets through."""
    return np.searchsorted(EDGES, np.asarray(threshold, np.float32))
