"""Several networks that are asked together, as the fold models of Chen et al. 2022 (FCN-FLK)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Ensemble(nn.ModuleList):
    """Networks of one kind whose probabilities are averaged.

    It is called as its members are, and its weights are named `0.…`, `1.…` after them.

    Args:
        members: semantic networks of the same bands and classes.

    Raises:
        ValueError: there is no member.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        if not members:
            raise ValueError("an ensemble without members")
        super().__init__(members)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logarithm of the mean probabilities, of which softmax gives the mean."""
        each = torch.stack([member(images).float().log_softmax(1) for member in self])
        return each.logsumexp(0) - math.log(len(self))
