"""What turns a network's output into the probabilities of all classes."""

from collections.abc import Callable

import torch
from torch import Tensor

Activation = Callable[[Tensor], Tensor]


def softmax(output: Tensor) -> Tensor:
    """Return the probabilities of logits, (N, K, h, w)."""
    return output.float().softmax(dim=1)


def sigmoid(output: Tensor) -> Tensor:
    """Return the probabilities of the logits of one class, with those of its background."""
    return as_probabilities(output.float().sigmoid())


def as_probabilities(output: Tensor) -> Tensor:
    """Return probabilities, (N, K, h, w) or (N, h, w); those of one class get its background."""
    output = output if output.ndim == 4 else output[:, None]
    return torch.cat([1 - output, output], dim=1) if output.shape[1] == 1 else output
