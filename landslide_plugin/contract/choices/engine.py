"""Parameters of what stands above the Toolbox's groups."""

from __future__ import annotations

from ..kinds import Choice, Texts, Whole
from . import shared


class DemoArea:
    """Of `demoarea`."""

    SEED = shared.SEED
    SIZE = Whole("Size", low=256, high=4096, unit="pixels", default=1024)


class Recipe:
    """Of `recipe`."""

    VALUES = Texts("Values")


class Device:
    """Of `device`, which the set-up measures the engine by."""

    DEVICE = shared.DEVICE


class SetupEngine:
    """Of `setupengine`, which is QGIS's own."""

    TORCH = Choice(
        "PyTorch for",
        {
            "cpu": "CPU",
            "auto": "GPU by its driver",
            "cu130": "CUDA 13.0",
            "cu126": "CUDA 12.6",
            "pypi": "PyPI's build",
        },
        "cpu",
    )
