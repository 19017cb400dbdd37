"""Pixel figures on validation data for every threshold at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...evaluation import metrics
from ...evaluation.metrics import Confusion

BINS = 200
"""Thresholds are told apart in steps of 1 / BINS."""
LOWEST, HIGHEST = 0.02, 0.98
"""Wide, as cross entropy gives rare landslides low probabilities; the very ends are left out, as
nearly all or none of an unseen area would lie beyond them."""


@dataclass(frozen=True)
class Curve:
    """Figures by threshold, lowest first; NaN where undefined.

    Attributes:
        threshold: 0..1, float64 (BINS + 1,).
        precision: float64 (BINS + 1,).
        recall: float64 (BINS + 1,).
        f1: float64 (BINS + 1,).
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
        self._background = np.zeros(BINS, np.int64)
        self._landslide = np.zeros(BINS, np.int64)

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
        bins = np.clip((probability * BINS).astype(np.int64), 0, BINS - 1)
        self._background += np.bincount(bins[labelled & ~landslide], minlength=BINS)
        self._landslide += np.bincount(bins[labelled & landslide], minlength=BINS)

    def __add__(self, other: "Scores") -> "Scores":
        """Return the counts of both, such as those of all folds."""
        both = Scores()
        both._background = self._background + other._background
        both._landslide = self._landslide + other._landslide
        return both

    def best_threshold(self) -> float:
        """Return the threshold with the highest F1; of equals the one nearest to 0.5."""
        thresholds = np.arange(round(LOWEST * BINS), round(HIGHEST * BINS) + 1)
        scores = np.nan_to_num(self.curve().f1[thresholds])
        best = np.flatnonzero(np.isclose(scores, scores.max(), rtol=0, atol=1e-12))
        nearest = best[np.argmin(np.abs(thresholds[best] - BINS / 2))]
        return float(thresholds[nearest] / BINS)

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
        first = round(threshold * BINS)
        return Confusion(
            tp=int(self._landslide[first:].sum()),
            fp=int(self._background[first:].sum()),
            fn=int(self._landslide[:first].sum()),
            tn=int(self._background[:first].sum()),
        )

    def curve(self) -> Curve:
        """Return precision, recall and F1 at every threshold."""
        hit, false = (
            np.append(counts[::-1].cumsum()[::-1], 0)
            for counts in (self._landslide, self._background)
        )
        total = hit[0]
        with np.errstate(invalid="ignore"):
            return Curve(
                threshold=np.arange(BINS + 1) / BINS,
                precision=hit / (hit + false),
                recall=hit / np.float64(total),
                f1=2 * hit / (hit + false + total),
            )
