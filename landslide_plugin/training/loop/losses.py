"""Losses of semantic networks.

Each takes logits, float (N, 2, H, W), and classes, int64 (N, H, W): 0 background, 1 landslide,
`IGNORE` where unknown; it returns a scalar, the mean over the known pixels (0 if there are none).
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from ...contract.choices import Train

IGNORE = -100
"""Class of pixels that count for nothing; PyTorch's own choice."""
LANDSLIDE_WEIGHT = 2.0
"""Weight of landslide, the background's being 1 (Yang, S. et al. 2022)."""
FOCAL_ALPHA, FOCAL_GAMMA = 0.25, 1.75
"""Chen et al. 2022, section 3.3; alpha is the weight of landslide, 1 - alpha the background's."""
SMOOTHING = 0.5
"""Pixels added to both sides of the fraction, so that batches without landslide have a gradient."""

TVERSKY_FALSE, TVERSKY_MISSED = 0.3, 0.7
"""Weights of false alarms and of missed landslides (Salehi et al. 2017, their best)."""

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """Mean negative log-likelihood."""
    return _known_mean(_negative_log(logits, classes), classes)


def binary_cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """The same as cross entropy, computed from one logit, the difference of the two."""
    known = classes != IGNORE
    truth = (classes == 1).to(logits.dtype)
    values = functional.binary_cross_entropy_with_logits(
        logits[:, 1] - logits[:, 0], truth, reduction="none"
    )
    return _known_mean(values * known, classes)


def weighted_cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """Cross entropy with landslide weighing `LANDSLIDE_WEIGHT`, divided by the sum of weights."""
    weights = 1.0 + (LANDSLIDE_WEIGHT - 1.0) * (classes == 1).to(logits.dtype)
    weights = weights * (classes != IGNORE)
    return (weights * _negative_log(logits, classes)).sum() / weights.sum().clamp(min=1.0)


def focal(logits: Tensor, classes: Tensor) -> Tensor:
    """Focal loss, -alpha (1 - p)^gamma log p, p that of the true class (Lin et al. 2017, eq. 5)."""
    negative_log = _negative_log(logits, classes)
    alpha = torch.where(classes == 1, FOCAL_ALPHA, 1 - FOCAL_ALPHA)
    doubt = -torch.expm1(-negative_log)
    # At p = 1 the power's derivative by autograd would be infinite times 0.
    return _known_mean(alpha * doubt.clamp(min=1e-8) ** FOCAL_GAMMA * negative_log, classes)


def dice(logits: Tensor, classes: Tensor) -> Tensor:
    """One minus the soft Dice coefficient of landslide over the batch (Milletari et al. 2016)."""
    return _overlap_loss(logits, classes, 0.5, 0.5)


def tversky(logits: Tensor, classes: Tensor) -> Tensor:
    """One minus the soft Tversky index: as Dice, missed landslides weighing more than false alarms.

    Salehi et al. 2017 ("Tversky loss function for image segmentation", MLMI, eq. 3).
    """
    return _overlap_loss(logits, classes, TVERSKY_FALSE, TVERSKY_MISSED)


def lovasz(logits: Tensor, classes: Tensor) -> Tensor:
    """Lovász extension of one minus the IoU of landslide (Berman et al. 2018, CVPR, eq. 8 and 9).

    Over the batch's known pixels at once, with probabilities as in their Lovász-softmax.
    """
    known = classes != IGNORE
    truth = (classes[known] == 1).to(logits.dtype)
    probability = logits.softmax(1)[:, 1][known]
    errors, order = (truth - probability).abs().sort(descending=True)
    sorted_truth = truth[order]
    common = truth.sum() - sorted_truth.cumsum(0)
    either = truth.sum() + (1 - sorted_truth).cumsum(0)
    jaccard = 1 - common / either
    steps = torch.diff(jaccard, prepend=jaccard.new_zeros(1))
    return (errors * steps).sum() + 0 * logits.sum()


def focal_dice(logits: Tensor, classes: Tensor) -> Tensor:
    """Sum of both (Yang, S. et al. 2022)."""
    return focal(logits, classes) + dice(logits, classes)


LOSSES: dict[str, Loss] = {name: globals()[name] for name in Train.LOSS.words}
"""Each loss by its name."""


def _overlap_loss(logits: Tensor, classes: Tensor, false: float, missed: float) -> Tensor:
    """One minus common / (common + false * false alarms + missed * missed), all soft."""
    known = (classes != IGNORE).to(logits.dtype)
    probability = logits.softmax(1)[:, 1] * known
    truth = (classes == 1).to(logits.dtype)
    common = (probability * truth).sum()
    whole = common + false * (probability.sum() - common) + missed * (truth.sum() - common)
    return 1 - (common + SMOOTHING) / (whole + SMOOTHING)


def _negative_log(logits: Tensor, classes: Tensor) -> Tensor:
    """Return -log of the true class's probability, (N, H, W), 0 where unknown."""
    return functional.cross_entropy(logits, classes, ignore_index=IGNORE, reduction="none")


def _known_mean(values: Tensor, classes: Tensor) -> Tensor:
    return values.sum() / (classes != IGNORE).sum().clamp(min=1)
