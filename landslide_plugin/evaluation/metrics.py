"""Metrics of a binary map, all computed from the four counts of its confusion matrix.

A metric whose denominator is zero is undefined: None, never 0 or 1. Overall accuracy, precision,
recall, F1, kappa and mIoU are those that Gao et al. 2021 (IEEE JSTARS 14:7881) report; the false
positive rate is that of Zhou et al. 2022 (Remote Sens. 14:3650). Papers on landslides call both the
IoU of landslide and the mean over both classes "mIoU": the two are given under names of their own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Confusion:
    """The confusion matrix of landslide (positive) against background.

    Attributes:
        tp: landslide pixels found.
        fp: background pixels mapped as landslide.
        fn: landslide pixels missed.
        tn: background pixels mapped as background.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    @classmethod
    def of(
        cls,
        predicted: NDArray[np.bool_],
        reference: NDArray[np.bool_],
        valid: NDArray[np.bool_] | None = None,
    ) -> "Confusion":
        """Count two boolean maps of the same shape, where `valid` holds (everywhere when None)."""
        valid = np.ones(predicted.shape, bool) if valid is None else valid
        return cls(
            tp=int(np.count_nonzero(predicted & reference & valid)),
            fp=int(np.count_nonzero(predicted & ~reference & valid)),
            fn=int(np.count_nonzero(~predicted & reference & valid)),
            tn=int(np.count_nonzero(~predicted & ~reference & valid)),
        )

    def __add__(self, other: "Confusion") -> "Confusion":
        """Return the counts of both."""
        return Confusion(
            self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn
        )

    @property
    def total(self) -> int:
        """All pixels counted."""
        return self.tp + self.fp + self.fn + self.tn

    def without_landslides(self) -> "Confusion":
        """Return the counts of a map that shows no landslide anywhere: a baseline."""
        return Confusion(fn=self.tp + self.fn, tn=self.fp + self.tn)

    def all_landslide(self) -> "Confusion":
        """Return the counts of a map that shows landslide everywhere: the other baseline."""
        return Confusion(tp=self.tp + self.fn, fp=self.fp + self.tn)


def overall_accuracy(counts: Confusion) -> float | None:
    """Return (TP + TN) / all."""
    return _ratio(counts.tp + counts.tn, counts.total)


def precision(counts: Confusion) -> float | None:
    """Return TP / (TP + FP), user's accuracy of landslide."""
    return _ratio(counts.tp, counts.tp + counts.fp)


def recall(counts: Confusion) -> float | None:
    """Return TP / (TP + FN), producer's accuracy of landslide."""
    return _ratio(counts.tp, counts.tp + counts.fn)


def f1(counts: Confusion) -> float | None:
    """Return 2 TP / (2 TP + FP + FN), the harmonic mean of precision and recall."""
    return _ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn)


def kappa(counts: Confusion) -> float | None:
    """Return (p_o - p_e) / (1 - p_e), agreement beyond chance (Cohen 1960, equation 1)."""
    chance = (counts.tp + counts.fp) * (counts.tp + counts.fn)
    chance += (counts.tn + counts.fp) * (counts.tn + counts.fn)
    return _ratio((counts.tp + counts.tn) * counts.total - chance, counts.total**2 - chance)


def iou_landslide(counts: Confusion) -> float | None:
    """Return TP / (TP + FP + FN), intersection over union of landslide (Jaccard 1912)."""
    return _ratio(counts.tp, counts.tp + counts.fp + counts.fn)


def iou_background(counts: Confusion) -> float | None:
    """Return TN / (TN + FP + FN), intersection over union of background."""
    return _ratio(counts.tn, counts.tn + counts.fp + counts.fn)


def miou(counts: Confusion) -> float | None:
    """Return the mean of both classes' IoU; undefined when one of them is."""
    both = iou_landslide(counts), iou_background(counts)
    return None if both[0] is None or both[1] is None else (both[0] + both[1]) / 2


def fpr(counts: Confusion) -> float | None:
    """Return FP / (FP + TN), the share of background mapped as landslide."""
    return _ratio(counts.fp, counts.fp + counts.tn)


def mcc(counts: Confusion) -> float | None:
    """Return the correlation coefficient of both maps (Matthews 1975)."""
    product = (counts.tp + counts.fp) * (counts.tp + counts.fn)
    product *= (counts.tn + counts.fp) * (counts.tn + counts.fn)
    difference = counts.tp * counts.tn - counts.fp * counts.fn
    return None if product == 0 else difference / sqrt(product)


@dataclass(frozen=True)
class Metric:
    """A metric and how a report explains it.

    Attributes:
        title: its name in words.
        definition: one line.
        value: computes it.
    """

    title: str
    definition: str
    value: Callable[[Confusion], float | None]


METRICS = {
    "oa": Metric("Overall accuracy", "share of all pixels mapped right", overall_accuracy),
    "precision": Metric("Precision", "share of mapped landslide that is landslide", precision),
    "recall": Metric("Recall", "share of the reference landslide that was mapped", recall),
    "f1": Metric("F1", "harmonic mean of precision and recall", f1),
    "kappa": Metric("Kappa", "agreement beyond what chance gives (Cohen 1960)", kappa),
    "iou_landslide": Metric(
        "IoU of landslide", "landslide in both maps / landslide in either", iou_landslide
    ),
    "iou_background": Metric(
        "IoU of background", "background in both maps / background in either", iou_background
    ),
    "miou": Metric("Mean IoU", "mean of the two IoU", miou),
    "fpr": Metric("False positive rate", "share of background mapped as landslide", fpr),
    "mcc": Metric("Matthews correlation", "correlation of the two maps, -1 to 1", mcc),
}


def all_metrics(counts: Confusion) -> dict[str, float | None]:
    """Return every metric by its key."""
    return {key: metric.value(counts) for key, metric in METRICS.items()}


def _ratio(numerator: int, denominator: int) -> float | None:
    return numerator / denominator if denominator else None
