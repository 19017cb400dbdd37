"""Which device the networks run on, and how."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from ..landslide_plugin.contract.errors import MissingPackageError

LITTLE_WORK = 2e10
"""Parameters times pixels of a batch below which a network learns by one thread: just above those
of `light` FC-DenseNet, in batches of 8 tiles of 64 pixels; see docs/benchmarks.md."""


def pick_device(name: str = "auto") -> torch.device:
    """Return the device to compute on; on the CPU, let PyTorch use all usable cores.

    Args:
        name: "cpu", "cuda" (NVIDIA, or AMD through ROCm), "mps" (Apple), or "auto": the first of
            cuda, mps, cpu that is there.

    Raises:
        MissingPackageError: the device that was asked for is not there.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(device for device, usable in available.items() if usable)
    if not available[name]:
        raise MissingPackageError(
            f"The device {name!r} is not usable: there is none, or the engine's PyTorch "
            f"({torch.__version__}) is made without it; choose 'auto' or 'cpu'."
        )
    if name == "cpu":
        _use_all_cores()
    return torch.device(name)


def learn_alone(device: torch.device, work: float) -> None:
    """Let a network that has little to do in a step learn by one thread of the CPU.

    Of each of its hundreds of small operations threads wait for the last one: on a quiet machine
    they gain nothing by it, and beside another program they lose what that takes of one of them.

    Args:
        device: where it learns.
        work: parameters times pixels of a batch.
    """
    if device.type == "cpu" and work < LITTLE_WORK:
        torch.set_num_threads(1)


def describe(device: torch.device) -> str:
    """Return the device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU"
    return f"CPU, {torch.get_num_threads()} threads"


def autocast(device: torch.device, half: bool = True) -> AbstractContextManager[None]:
    """Return the context in which networks run: in half precision where there is any.

    Args:
        device: where they run.
        half: False for float32 on any device.
    """
    kind = half_type(device)
    return torch.autocast(device.type, kind) if half and kind else nullcontext()


def half_type(device: torch.device) -> torch.dtype | None:
    """Return the half precision in which networks run: bfloat16 where the device computes in it.

    NVIDIA GPUs without it compute in float16 instead. Elsewhere half precision is emulated and
    slower than float32: None.
    """
    if _has_bfloat16(device):
        return torch.bfloat16
    return torch.float16 if device.type == "cuda" else None


@contextmanager
def exact_depthwise(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Let depthwise convolutions learn in float32 on the CPU, whatever the others do.

    In bfloat16 oneDNN 3.12 takes several times as long for their gradients as in float32, and
    so nearly half of a step of EfficientNet-Lite0: `benchmarks/training.py`. The rest gains by
    bfloat16.

    Args:
        network: what is trained; a copy made meanwhile would run with its weights.
        device: where.
    """
    changed = [module for module in network.modules() if _is_depthwise(module)]
    if device.type != "cpu":
        changed = []
    for module in changed:
        module.forward = _in_float32(module.forward)
    try:
        yield
    finally:
        for module in changed:
            del module.forward


def _is_depthwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1


def _in_float32(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def run(images: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return forward(images.float())

    return run


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return False


def _use_all_cores() -> None:
    """Use the cores this process may run on; PyTorch alone leaves out hyper-threads.

    A number that the user has set by OMP_NUM_THREADS stays.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return
    if hasattr(os, "sched_getaffinity"):
        torch.set_num_threads(len(os.sched_getaffinity(0)))


def placed(network: nn.Module, device: torch.device) -> nn.Module:
    """Bring a network to its device, in the memory format in which convolutions are fastest."""
    moved: nn.Module = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved
