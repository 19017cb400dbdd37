"""What the trainer asks of networks that find single landslides."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...samples.sample_set import UNKNOWN
from ..tiles.batches import Batch

SMALLEST = 4
"""Pixels: what is left of a landslide at a tile's border with fewer is not asked for."""
MASK_THRESHOLD = 0.5
"""A pixel belongs to an instance from this mask value on (He et al. 2017, section 3)."""


class InstanceTask:
    """Trains by the losses that the network itself returns (He et al. 2017, section 3).

    In float32 whatever the device: bfloat16 was slower on processors, and scores tie in it. The
    losses know no unknown pixels: there the network is taught that there is no landslide.
    """

    half = False

    def loss(self, network: nn.Module, batch: Batch, device: torch.device) -> Tensor:
        """Return the sum of the five losses of a batch, a scalar with gradient."""
        targets = [
            {key: value.to(device) for key, value in targets_of(labels).items()}
            for labels in batch.labels
        ]
        losses = network(list(batch.images.to(device)), targets)
        return torch.stack(list(losses.values())).sum()

    def probability(
        self, network: nn.Module, batch: Batch, device: torch.device
    ) -> NDArray[np.float32]:
        """Return for each pixel the score of the best instance that covers it, (N, size, size)."""
        scores = []
        for result in network(list(batch.images.to(device))):
            covered = (result["masks"][:, 0] >= MASK_THRESHOLD) * result["scores"][:, None, None]
            scores.append(covered.amax(0) if len(covered) else covered.sum(0))
        return torch.stack(scores).cpu().numpy()


def targets_of(labels: NDArray[np.uint16]) -> dict[str, Tensor]:
    """Return what torchvision's detection models want to know of one tile.

    Args:
        labels: (H, W): 0 background, 1..n one landslide each, or `UNKNOWN`.

    Returns:
        boxes, float32 (n, 4): left, top, right, bottom edge in pixels; labels, int64 (n,), all 1;
        masks, uint8 (n, H, W). All may be empty.
    """
    ids, counts = np.unique(labels, return_counts=True)
    wanted = ids[(ids > 0) & (ids < UNKNOWN) & (counts >= SMALLEST)]
    masks = labels == wanted[:, None, None]
    boxes = np.array([_box(mask) for mask in masks], np.float32).reshape(-1, 4)
    return {
        "boxes": torch.from_numpy(boxes),
        "labels": torch.ones(len(boxes), dtype=torch.int64),
        "masks": torch.from_numpy(masks.astype(np.uint8)),
    }


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows = np.flatnonzero(mask.any(1))
    cols = np.flatnonzero(mask.any(0))
    return int(cols[0]), int(rows[0]), int(cols[-1]) + 1, int(rows[-1]) + 1
