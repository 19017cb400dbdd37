"""Losses of semantic networks.

Each takes logits, float (N, 2, H, W), and classes, int64 (N, H, W): 0 background, 1 landslide,
`IGNORE` where unknown; it returns a scalar, the mean over the known pixels (0 if there are none).
Some take how much the classes count besides: see `tuned`.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ...contract.choices import Train

IGNORE = -100
"""Class of pixels that count for nothing; PyTorch's own choice."""
SMOOTHING = 0.5
"""Pixels added to both sides of the fraction, so that batches without landslide have a gradient."""

TVERSKY_FALSE, TVERSKY_MISSED = 0.3, 0.7
"""Weights of false alarms and of missed landslides (Salehi et al. 2017, their best)."""

Loss = Callable[..., Tensor]


def cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """Mean negative log-likelihood."""
    return _labelled_mean(_negative_log(logits, classes), classes)


def binary_cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """The same as cross entropy, computed from one logit, the difference of the two."""
    labelled = classes != IGNORE
    truth = (classes == 1).to(logits.dtype)
    values = functional.binary_cross_entropy_with_logits(
        logits[:, 1] - logits[:, 0], truth, reduction="none"
    )
    return _labelled_mean(values * labelled, classes)


def weighted_cross_entropy(
    logits: Tensor, classes: Tensor, weights: Sequence[float] = Train.CLASS_WEIGHTS.default
) -> Tensor:
    """Cross entropy with the weights of background and landslide, divided by their sum."""
    each = _of_class(classes, *weights) * (classes != IGNORE)
    total = each.sum()
    return (each * _negative_log(logits, classes)).sum() / torch.where(total > 0, total, 1.0)


def focal(
    logits: Tensor,
    classes: Tensor,
    alpha: float = Train.ALPHA.default,
    gamma: float = Train.GAMMA.default,
) -> Tensor:
    """Focal loss, -a (1 - p)^gamma log p, p that of the true class (Lin et al. 2017, eq. 5).

    As in Chen et al. 2022, section 3.3, `alpha` is the weight of background, which abounds, and
    1 - alpha that of landslide; Lin et al. give alpha to the rare class.
    """
    negative_log = _negative_log(logits, classes)
    doubt = -torch.expm1(-negative_log)
    # At p = 1 the power's derivative by autograd would be infinite times 0.
    values = doubt.clamp(min=1e-8) ** gamma * negative_log
    return _labelled_mean(_of_class(classes, alpha, 1 - alpha) * values, classes)


def dice(logits: Tensor, classes: Tensor) -> Tensor:
    """One minus the soft Dice coefficient of landslide over the batch (Milletari et al. 2016).

    With the sums of probability and truth below the line, as in Drozdzal et al. 2016 (DLMIA), where
    Milletari et al. have those of their squares.
    """
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
    labelled = classes != IGNORE
    truth = (classes[labelled] == 1).to(logits.dtype)
    probability = logits.softmax(1)[:, 1][labelled]
    errors, order = (truth - probability).abs().sort(descending=True)
    sorted_truth = truth[order]
    common = truth.sum() - sorted_truth.cumsum(0)
    either = truth.sum() + (1 - sorted_truth).cumsum(0)
    jaccard = 1 - common / either
    steps = torch.diff(jaccard, prepend=jaccard.new_zeros(1))
    return (errors * steps).sum() + 0 * logits.sum()


def focal_dice(
    logits: Tensor,
    classes: Tensor,
    gamma: float = Train.GAMMA.default,
    weights: Sequence[float] = Train.CLASS_WEIGHTS.default,
) -> Tensor:
    """Sum of both, the focal loss with the shares of the class weights (Yang, S. et al. 2022)."""
    alpha = weights[0] / sum(weights)
    return focal(logits, classes, alpha, gamma) + dice(logits, classes)


def cross_entropy_dice(logits: Tensor, classes: Tensor) -> Tensor:
    """Sum of both: one holds each pixel to its class, the other the landslides' overlap."""
    return cross_entropy(logits, classes) + dice(logits, classes)


LOSSES: dict[str, Loss] = {name: globals()[name] for name in Train.LOSS.words}
"""Each loss by its name."""


def tuned(name: str, **settings: Any) -> Loss:
    """Return a loss with those of the settings that it takes.

    Args:
        name: one of `LOSSES`.
        settings: `alpha`, weight of background in the focal loss; `gamma`, its focus; `weights` of
            background and landslide.
    """
    taken = inspect.signature(LOSSES[name]).parameters
    return partial(LOSSES[name], **{key: value for key, value in settings.items() if key in taken})


def _of_class(classes: Tensor, background: float, landslide: float) -> Tensor:
    """Return each pixel's weight by its class."""
    return torch.where(classes == 1, landslide, background)


def _overlap_loss(logits: Tensor, classes: Tensor, false: float, missed: float) -> Tensor:
    """One minus common / (common + false * false alarms + missed * missed), all soft."""
    labelled = (classes != IGNORE).to(logits.dtype)
    probability = logits.softmax(1)[:, 1] * labelled
    truth = (classes == 1).to(logits.dtype)
    common = (probability * truth).sum()
    whole = common + false * (probability.sum() - common) + missed * (truth.sum() - common)
    return 1 - (common + SMOOTHING) / (whole + SMOOTHING)


def _negative_log(logits: Tensor, classes: Tensor) -> Tensor:
    """Return -log of the true class's probability, (N, H, W), 0 where unknown."""
    return functional.cross_entropy(logits, classes, ignore_index=IGNORE, reduction="none")


def _labelled_mean(values: Tensor, classes: Tensor) -> Tensor:
    return values.sum() / (classes != IGNORE).sum().clamp(min=1)
