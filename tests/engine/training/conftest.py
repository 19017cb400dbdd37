"""Synthetic sample folders: bright blobs are landslides."""

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.samples.sample_writer import SampleWriter
from landslide_mapper.models import compact_unet, fc_densenet
from rasterio.transform import from_origin
from scipy.ndimage import gaussian_filter, label

TINY = {"growth_rate": 4, "layers": (1,), "middle_layers": 1, "first_channels": 8, "dropout": 0.2}
"""A very small FC-DenseNet; dropout, so that chance has its part."""


@pytest.fixture
def tiny(monkeypatch):
    """Have the backbone "light" of FC-DenseNet trained in a moment; return its arguments."""
    monkeypatch.setitem(fc_densenet.BACKBONES, "light", TINY)
    return TINY


@pytest.fixture
def make_samples(tmp_path):
    """Return a function that writes a folder of noisy patches with bright blobs as landslides."""

    def make(
        name="samples", train=12, validation=4, shape=(32, 32), bands=("slope", "ndvi"), **change
    ):
        folder = tmp_path / name
        folder.mkdir()
        writer = SampleWriter(folder, list(bands), units=change.get("units", ()))
        rng = np.random.default_rng(0)
        background = change.get("background", 0)
        splits = ["train"] * (train + background) + ["validation"] * validation
        splits += ["test"] * change.get("test", 0)
        for number, split in enumerate(splits):
            surface = gaussian_filter(rng.normal(size=shape), 4)
            landslide = surface > np.quantile(surface, 0.8)
            values = np.stack(
                [100 + 50 * landslide + rng.normal(0, 10, shape) for _ in bands]
            ).astype(np.float32)
            labels = label(landslide)[0].astype(np.uint16)
            if (
                f"without_{split}" in change
                or number < background
                or number in change.get("empty", ())
            ):
                labels[:] = 0
            if "all_landslide" in change:
                labels[:] = 1
            if "constant" in change:
                values[: change["constant"]] = 7
            valid = np.ones(shape, bool)
            valid[:2, :2] = False
            writer.add(
                values,
                valid,
                labels,
                split=split,
                source="synthetic",
                window=(0, 0, shape[1], shape[0]),
                transform=from_origin(500000, 5000000, 10, 10),
            )
        writer.finish(
            split=change.get("split", "blocks"),
            seed=5,
            tile_size=shape[0],
            resolution=10.0,
            crs=None,
            sources=["synthetic"],
            before=(1, 9),
            progress=Progress(),
        )
        return str(folder)

    return make


@pytest.fixture
def narrow(monkeypatch):
    """Have the backbone "light" of the compact U-Net trained in a moment."""
    monkeypatch.setitem(compact_unet.BACKBONES, "light", {"widths": [8, 8], "blocks": 1})
