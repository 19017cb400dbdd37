"""The runtime that is always there: PyTorch itself."""

from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy

import torch
from torch import Tensor, nn

from ....models.device import autocast, placed


class TorchRuntime:
    """Runs a network by PyTorch, channels last, in half precision where that is wanted.

    Args:
        network: float32 (N, C, h, w) to logits (N, K, h, w).
        device: where it runs.
        half: float16 on CUDA and Apple, bfloat16 on processors that compute in it.
    """

    fixed_size: tuple[int, int] | None = None
    side_by_side = 1

    def __init__(self, network: nn.Module, device: torch.device, half: bool) -> None:
        self.device = device
        self._half = half and has_half(device)
        self.name = torch_name(device, self._half)
        if self._half and device.type == "cpu":
            network = _rounded(network)
        self._network = placed(network.eval(), device)

    def run(self, images: Tensor) -> Tensor:
        """Return the probabilities, float32, (N, K, h, w)."""
        with torch.inference_mode(), self._precision():
            inputs = images.to(self.device, memory_format=torch.channels_last, non_blocking=True)
            logits: Tensor = self._network(inputs)
            return logits.float().softmax(dim=1)

    def _precision(self) -> AbstractContextManager[None]:
        if not self._half:
            return nullcontext()
        if self.device.type == "cpu":
            return autocast(self.device)
        return torch.autocast(self.device.type, torch.float16)


def torch_name(device: torch.device, half: bool) -> str:
    """Return what the runtime is called on a device, in half precision or full."""
    kind = {"cpu": "bfloat16"}.get(device.type, "float16") if half else "float32"
    return f"torch {kind}"


def has_half(device: torch.device) -> bool:
    """Return whether half precision is faster there than float32."""
    return device.type != "cpu" or not isinstance(autocast(device), nullcontext)


def _rounded(network: nn.Module) -> nn.Module:
    """Return a copy whose convolutions hold their weights in bfloat16.

    Autocast would round them anew for each batch, a fifth of the time of small batches.
    Normalizations stay in float32, as under autocast.
    """
    network = deepcopy(network)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.to(torch.bfloat16)
    return network
