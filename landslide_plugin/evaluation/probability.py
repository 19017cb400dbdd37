"""How good a probability is, whatever the threshold: counted once, in steps of 1/10000."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STEPS = 10_000
_RELIABILITY_BINS = 10


class Probabilities:
    """Counts landslide and background pixels by their probability, block by block.

    Average precision, ROC and best threshold take probabilities rounded down to 1/10000; the
    Brier score is exact.
    """

    def __init__(self) -> None:
        self.counts = np.zeros((2, STEPS + 1), np.int64)
        self._squares = 0.0

    def add(
        self,
        probability: NDArray[np.float32],
        landslide: NDArray[np.bool_],
        valid: NDArray[np.bool_],
    ) -> None:
        """Add a block.

        Args:
            probability: 0..1, (rows, columns).
            landslide: the truth, same shape.
            valid: which pixels count, same shape.
        """
        values, truth = probability[valid].astype(np.float64), landslide[valid]
        self._squares += float(((values - truth) ** 2).sum())
        # what float32 makes of k / 10000 may lie a little below it
        steps = np.clip(values * STEPS + 1e-3, 0, STEPS).astype(np.int64)
        both = np.bincount(2 * steps + truth, minlength=2 * (STEPS + 1))
        self.counts += both.reshape(-1, 2).T

    @property
    def total(self) -> int:
        """All pixels counted."""
        return int(self.counts.sum())

    @property
    def prevalence(self) -> float | None:
        """Share of landslide among them."""
        return float(self.counts[1].sum() / self.total) if self.total else None

    @property
    def brier(self) -> float | None:
        """Mean squared difference of probability and truth (Brier 1950, Mon. Weather Rev. 78:1).

        His score sums over both classes and is twice this.
        """
        return self._squares / self.total if self.total else None

    @property
    def brier_skill(self) -> float | None:
        """1 - BS / BS of giving every pixel the landslide share; undefined for a single class."""
        fraction = self.prevalence
        if fraction is None or self.brier is None or fraction in (0, 1):
            return None
        return 1 - self.brier / (fraction * (1 - fraction))

    @property
    def average_precision(self) -> float | None:
        """Sum over thresholds of (R_n - R_n-1) P_n, without interpolation."""
        curve = self.curve()
        if curve is None:
            return None
        return float((np.diff(curve.recall, prepend=0) * curve.precision).sum())

    @property
    def roc_auc(self) -> float | None:
        """Area under the ROC curve: the chance that a landslide pixel has the higher value."""
        background, landslide = self.counts[:, ::-1].cumsum(axis=1).astype(np.float64)
        if not background[-1] or not landslide[-1]:
            return None
        false, true = (np.append(0, part / part[-1]) for part in (background, landslide))
        return float((np.diff(false) * (true[1:] + true[:-1]) / 2).sum())

    def curve(self) -> "Curve | None":
        """Return precision, recall and F1 at every threshold; None without landslide."""
        if not self.counts[1].any():
            return None
        steps = np.flatnonzero(self.counts.any(axis=0))[::-1]
        false, true = self.counts[:, steps].cumsum(axis=1)
        precision, recall = true / (true + false), true / true[-1]
        return Curve(steps / STEPS, precision, recall, 2 * true / (true + false + true[-1]))

    def reliability(self) -> "Reliability":
        """Return mean probability and landslide share in ten bins of equal width."""
        steps = np.arange(STEPS + 1)
        bins = np.minimum(steps * _RELIABILITY_BINS // STEPS, _RELIABILITY_BINS - 1)
        pixels, sums, landslide = (
            np.bincount(bins, weights)
            for weights in (
                self.counts.sum(axis=0),
                self.counts.sum(axis=0) * steps,
                self.counts[1],
            )
        )
        with np.errstate(invalid="ignore"):
            return Reliability(pixels.astype(np.int64), sums / pixels / STEPS, landslide / pixels)


@dataclass(frozen=True)
class Curve:
    """Precision and recall by threshold, from the highest to the lowest that occurs.

    Attributes:
        threshold: float64, (n,).
        precision: of landslide at or above it.
        recall: of landslide.
        f1: their harmonic mean.
    """

    threshold: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]

    @property
    def best(self) -> tuple[float, float]:
        """The threshold with the highest F1 (and so the highest IoU of landslide), and this F1."""
        index = int(self.f1.argmax())
        return float(self.threshold[index]), float(self.f1[index])

    def thinned(self, points: int = 200) -> "Curve":
        """Return at most so many points, evenly along recall and threshold, ends included."""
        last = len(self.threshold) - 1
        if last < points:
            return self
        even = np.linspace(0, 1, points // 2)
        indices = [np.round(even * last).astype(int), np.searchsorted(self.recall, even)]
        keep = np.unique(np.clip(np.append(np.concatenate(indices), self.f1.argmax()), 0, last))
        return Curve(self.threshold[keep], self.precision[keep], self.recall[keep], self.f1[keep])


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram; bins without pixels hold NaN.

    Attributes:
        pixels: in each bin, int64, (bins,).
        probability: their mean.
        share: the share of them that is landslide.
    """

    pixels: NDArray[np.int64]
    probability: NDArray[np.float64]
    share: NDArray[np.float64]

    @property
    def error(self) -> float | None:
        """Mean of |share - probability| over pixels: the expected calibration error.

        (Naeini et al. 2015, AAAI; Guo et al. 2017, ICML.)
        """
        if not self.pixels.any():
            return None
        gaps = np.abs(np.nan_to_num(self.share) - np.nan_to_num(self.probability))
        return float((self.pixels * gaps).sum() / self.pixels.sum())
