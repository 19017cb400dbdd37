"""A run of a small network of random weights on noise with a hole, for tests that compare bits."""

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import save_model
from landslide_mapper.models.registry import build
from rasterio.transform import from_origin

SMALL = {"growth_rate": 4, "layers": [1, 1], "middle_layers": 1, "first_channels": 8}
CARD = ModelCard(
    name="small", architecture="fc_densenet", arguments=SMALL, task="semantic-segmentation",
    bands=["a", "b"], mean=[0.0, 0.0], std=[1.0, 1.0], resolution=10.0, tile_size=64,
    classes=["background", "landslide"],
)  # fmt: skip


def write_model(path: Path, seed: int = 0) -> str:
    """Write a model; return its path."""
    torch.manual_seed(seed)
    save_model(path, build("fc_densenet", 2, 2, **SMALL), CARD)
    return str(path)


def parameters_in(folder: Path) -> dict[str, Any]:
    """Write stack and model; return the parameters of `predict` for six units of four batches."""
    values = np.random.default_rng(0).normal(size=(2, 1100, 100)).astype("float32")
    values[:, 500:560, 50:90] = -9999
    with rasterio.open(
        folder / "stack.tif", "w", driver="GTiff", count=2, height=1100, width=100,
        dtype="float32", nodata=-9999, crs="EPSG:32632",
        transform=from_origin(500000, 5000000, 10, 10),
    ) as stack:  # fmt: skip
        stack.write(values)
        stack.descriptions = ("a", "b")
    return {
        "stack": str(folder / "stack.tif"),
        "model": write_model(folder / "small.safetensors"),
        "device": "cpu",
        "runtime": "torch",
        "tile_size": 64,
        "batch_size": 2,
    }
