"""The command device: what the engine computes with, and how fast."""

import platform
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import torch
from torch import nn

from ...models.device import autocast, describe, pick_device, placed
from ...models.registry import build
from ..contract.choices import Device
from ..core.progress import Progress
from ..core.provenance import NO_ORIGIN, Provenance

PACKAGES = (
    "torch",
    "torchvision",
    "segmentation-models-pytorch",
    "rasterio",
    "geopandas",
    "pyogrio",
    "shapely",
    "pyproj",
    "richdem2",
    "numpy",
    "scipy",
    "scikit-learn",
    "safetensors",
    "openvino",
    "onnxruntime",
    "onnx",
)
SPEED_SECONDS = 2.0


def device(
    *,
    device: Annotated[str, Device.DEVICE] = Device.DEVICE.default,
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Report the engine: device, Python, packages, and how fast FC-DenseNet runs.

    Args:
        device: auto, cpu, cuda or mps.
        origin: unused: nothing is written.
        progress: told of the measurement.

    Returns:
        device, python, packages (name to version, None where missing) and megapixels_per_second
        of the default network with seven bands, in batches of 256 x 256 pixels.
    """
    processor = pick_device(device)
    network = placed(build("fc_densenet", 7, 2).eval(), processor)
    progress.update(0.2)
    return {
        "device": describe(processor),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "megapixels_per_second": round(_speed(network, processor, progress), 3),
    }


def _speed(network: nn.Module, device: torch.device, progress: Progress) -> float:
    """Return megapixels a second, measured for about `SPEED_SECONDS` after a first run."""
    pixels = torch.zeros(1, 7, 256, 256, device=device).to(memory_format=torch.channels_last)
    done = 0
    with torch.inference_mode(), autocast(device):
        network(pixels).cpu()
        start = time.perf_counter()
        while (spent := time.perf_counter() - start) < SPEED_SECONDS:
            network(pixels).cpu()
            done += 1
            progress.update(0.2 + 0.8 * spent / SPEED_SECONDS)
    return done * pixels[0, 0].numel() / 1e6 / (time.perf_counter() - start)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
