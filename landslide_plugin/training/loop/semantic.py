"""What the trainer asks of networks that give each pixel a class."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ....models.device import autocast
from ...samples.sample_set import UNKNOWN
from ..tiles.batches import Batch
from .losses import IGNORE, Loss


class SemanticTask:
    """Trains by a pixel loss.

    Args:
        loss: one of `losses`.
    """

    half = True

    def __init__(self, loss: Loss) -> None:
        self._loss = loss

    def loss(self, network: nn.Module, batch: Batch, device: torch.device) -> Tensor:
        """Return the loss of a batch, a scalar with gradient."""
        classes = np.where(batch.labels == UNKNOWN, IGNORE, batch.labels > 0).astype(np.int64)
        logits = self._logits(network, batch, device)
        return self._loss(logits, torch.from_numpy(classes).to(device))

    def probability(
        self, network: nn.Module, batch: Batch, device: torch.device
    ) -> NDArray[np.float32]:
        """Return the landslide probability, float32 (N, size, size)."""
        logits = self._logits(network, batch, device)
        return logits.softmax(1)[:, 1].cpu().numpy()

    def landslide_logit(
        self, network: nn.Module, batch: Batch, device: torch.device
    ) -> NDArray[np.float32]:
        """Return the logarithm of the odds of landslide, float32 (N, size, size)."""
        logits = self._logits(network, batch, device)
        return (logits[:, 1] - logits[:, 0]).cpu().numpy()

    def _logits(self, network: nn.Module, batch: Batch, device: torch.device) -> Tensor:
        images = batch.images.to(device, memory_format=torch.channels_last)
        with autocast(device, self.half):
            logits: Tensor = network(images)
        return logits.float()
