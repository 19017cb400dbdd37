"""Pixel figures on validation data for every threshold at once."""

import numpy as np
from numpy.typing import NDArray

BINS = 200
"""Thresholds are told apart in steps of 1 / BINS."""
LOWEST, HIGHEST = 0.02, 0.98
"""Wide, as cross entropy gives rare landslides low probabilities; the very ends are left out, as
nearly all or none of an unseen area would lie beyond them."""


class Scores:
    """Counts known pixels by class and probability."""

    def __init__(self) -> None:
        self._background = np.zeros(BINS, np.int64)
        self._landslide = np.zeros(BINS, np.int64)

    def add(
        self, probability: NDArray[np.float32], landslide: NDArray[np.bool_], known: NDArray
    ) -> None:
        """Count pixels.

        Args:
            probability: 0..1, any shape.
            landslide: the truth, same shape.
            known: bool, where the truth is known; the rest counts for nothing.
        """
        bins = np.clip((probability * BINS).astype(np.int64), 0, BINS - 1)
        self._background += np.bincount(bins[known & ~landslide], minlength=BINS)
        self._landslide += np.bincount(bins[known & landslide], minlength=BINS)

    def best_threshold(self) -> float:
        """Return the threshold with the highest F1; of equals the one nearest to 0.5."""
        thresholds = np.arange(round(LOWEST * BINS), round(HIGHEST * BINS) + 1)
        scores = [self._figures(int(threshold))["f1"] or 0.0 for threshold in thresholds]
        best = np.flatnonzero(np.isclose(scores, max(scores), rtol=0, atol=1e-12))
        nearest = best[np.argmin(np.abs(thresholds[best] - BINS / 2))]
        return float(thresholds[nearest] / BINS)

    def figures(self, threshold: float) -> dict[str, float | None]:
        """Return f1, iou, precision, recall and overall accuracy (oa); None where undefined."""
        return self._figures(round(threshold * BINS))

    def _figures(self, first: int) -> dict[str, float | None]:
        hit, missed = self._landslide[first:].sum(), self._landslide[:first].sum()
        false, right = self._background[first:].sum(), self._background[:first].sum()
        return {
            "f1": _ratio(2 * hit, 2 * hit + false + missed),
            "iou": _ratio(hit, hit + false + missed),
            "precision": _ratio(hit, hit + false),
            "recall": _ratio(hit, hit + missed),
            "oa": _ratio(hit + right, hit + right + false + missed),
        }


def _ratio(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None
