"""The running average of a network's weights, which is steadier than the weights themselves."""

import copy

import torch
from torch import nn

WARM_UP = 10
"""Early on the decay is at most (1 + n) / (WARM_UP + n) after n steps, as in TensorFlow's
ExponentialMovingAverage, so that the random beginning is soon forgotten."""


class Average:
    """An exponential moving average of weights and statistics (EMA).

    Args:
        network: the one in training; it is copied.
        decay: share of the average that a step leaves: 0.99 reaches back over some 100 steps.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay
        self._average = self.network.state_dict()
        self._current = network.state_dict()  # shares its tensors with the network

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights after a step into the average.

        Args:
            step: number of steps made in the whole training.
        """
        decay = min(self._decay, (1 + step) / (WARM_UP + step))
        for name, average in self._average.items():
            if average.is_floating_point():
                average.lerp_(self._current[name], 1 - decay)
            else:
                average.copy_(self._current[name])
