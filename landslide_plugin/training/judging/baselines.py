"""What needs no network: scores that every figure of a training has to be held against."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ...evaluation.metrics import Confusion
from ...samples.sample_set import UNKNOWN

SIDE = 64
"""Cells a side of the mean mask."""
NO_NETWORK = ("all background", "all landslide", "constant mask")


@dataclass(frozen=True)
class ConstantMask:
    """One mask for every patch, whatever its image shows.

    Where landslides sit in the middle of every patch, as in sets cut around them, this alone
    scores high: a network that learnt nothing but the place would, too. Where they lie anywhere,
    the best constant mask is close to "all landslide".

    Attributes:
        mean: share of the training patches with landslide there, float32 (SIDE, SIDE).
        threshold: share from which on a cell is landslide, that with the highest F1 on the
            training pixels; above 1 where there is no landslide.
    """

    mean: NDArray[np.float32]
    threshold: float

    def on(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Return the mask stretched to a patch of (rows, columns)."""
        cells = torch.from_numpy(self.mean)[None, None]
        stretched = functional.interpolate(cells, shape, mode="bilinear")[0, 0].numpy()
        return stretched >= self.threshold


def constant_mask(labels: Iterable[NDArray[np.uint16]]) -> ConstantMask:
    """Return the mean of the training masks and the threshold that is best on them.

    Args:
        labels: of each training patch, (rows, columns) of any size: 0 background, 1..n
            landslide, `UNKNOWN` where not known, which counts for nothing.
    """
    fraction = np.zeros((2, SIDE, SIDE))
    pixels = np.zeros((2, SIDE, SIDE))
    for patch in labels:
        labelled = patch != UNKNOWN
        cells = _cells(np.stack([(patch > 0) & labelled, labelled]))
        fraction += cells
        pixels += cells * (patch.size / SIDE**2)
    mean = np.divide(fraction[0], fraction[1], out=np.zeros((SIDE, SIDE)), where=fraction[1] > 0)
    return ConstantMask(mean.astype(np.float32), _best(mean.ravel(), *pixels.reshape(2, -1)))


def baselines(constant: ConstantMask, labels: Iterable[NDArray[np.uint16]]) -> dict[str, Confusion]:
    """Return the counts of each of `NO_NETWORK` on validation patches.

    Args:
        constant: made of the training patches.
        labels: of each validation patch, as for `constant_mask`.
    """
    counts = Confusion()
    for patch in labels:
        counts += Confusion.of(constant.on(patch.shape), patch > 0, patch != UNKNOWN)
    scores = counts.without_landslides(), counts.all_landslide(), counts
    return dict(zip(NO_NETWORK, scores, strict=True))


def _cells(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean of masks, (n, rows, columns), in each of SIDE x SIDE cells."""
    values = torch.from_numpy(masks.astype(np.float32))[None]
    return functional.adaptive_avg_pool2d(values, SIDE)[0].double().numpy()


def _best(
    mean: NDArray[np.float64], landslide: NDArray[np.float64], labelled: NDArray[np.float64]
) -> float:
    """Return the share from which on taking cells as landslide has the highest F1."""
    total = landslide.sum()
    if not total:
        return 2.0
    order = np.argsort(-mean, kind="stable")
    f1 = 2 * landslide[order].cumsum() / (labelled[order].cumsum() + total)
    # equal cells are taken together: a threshold can't tell them apart
    falling = np.append(mean[order], 0.0)
    best = np.where(falling[:-1] > falling[1:], f1, -1).argmax()
    # halfway to the next cell, so that stretching the mask doesn't shrink it
    return float(falling[best : best + 2].mean())
