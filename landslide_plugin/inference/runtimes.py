"""Runs a network with PyTorch."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from ...models.model_card import ModelCard
from ...models.model_file import load_model
from ..device import autocast, describe
from ..progress import Progress
from .opening import placed

NAMES = ("auto", "torch", "openvino", "onnx")


class Runtime(Protocol):
    """What runs a semantic network."""

    name: str
    device: torch.device
    fixed_size: tuple[int, int] | None

    def run(self, images: Tensor) -> Tensor:
        """Return the classes' probabilities, float32, (N, K, h, w), of z-scored (N, C, h, w)."""


class TorchRuntime:
    """Runs a network with PyTorch, in bfloat16 where the device computes in it."""

    fixed_size: tuple[int, int] | None = None

    def __init__(self, network: nn.Module, device: torch.device, half: bool = True) -> None:
        self.name = "torch"
        self._network = placed(network.eval(), device)
        self.device = device
        self._half = half

    def run(self, images: Tensor) -> Tensor:
        """Return the classes' probabilities, float32, (N, K, h, w), of z-scored (N, C, h, w)."""
        images = images.to(self.device, memory_format=torch.channels_last)
        with torch.inference_mode():
            if not self._half:
                return self._network(images).float().softmax(1)
            with autocast(self.device):
                logits: Tensor = self._network(images)
            return logits.float().softmax(1)


def open_runtime(
    model: str | Path | tuple[nn.Module, ModelCard],
    device: torch.device,
    name: str = "auto",
    *,
    size: int = 0,
    examples: Callable[[ModelCard, int], Tensor] | None = None,
    work: int = 0,
    progress: Progress,
) -> tuple[Runtime, ModelCard]:
    """Open a semantic model."""
    network, card = load_model(model) if isinstance(model, str | Path) else model
    progress.message(f"Model {card.name} on {describe(device)}.")
    return TorchRuntime(network, device), card
