"""Which way a slope faces is a covariate of the ground, as its height is."""

import numpy as np
import pytest
import torch
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.samples.sample_set import SampleSet
from landslide_mapper.landslide_plugin.samples.sample_writer import SampleWriter
from landslide_mapper.landslide_plugin.training.loop.contracts import Settings
from landslide_mapper.landslide_plugin.training.loop.losses import cross_entropy
from landslide_mapper.landslide_plugin.training.loop.semantic import SemanticTask
from landslide_mapper.landslide_plugin.training.loop.trainer import fit
from landslide_mapper.landslide_plugin.training.tiles.augmentation import Augmentation
from landslide_mapper.landslide_plugin.training.tiles.batches import Tiles
from rasterio.transform import from_origin
from scipy.ndimage import gaussian_filter, label
from torch import nn

SIDE, PIXEL = 32, 10.0
BANDS = ["slope", "aspect", "northness", "eastness"]


@pytest.fixture(scope="module")
def southern(tmp_path_factory):
    """Samples of a generated DEM whose landslides lie on steep southern slopes, and only there."""
    folder = tmp_path_factory.mktemp("southern")
    height = gaussian_filter(np.random.default_rng(0).normal(size=(5 * SIDE, 4 * SIDE)), 3)
    south, east = np.gradient(height * 1500 / height.std() / PIXEL)
    slope = np.degrees(np.arctan(np.hypot(south, east)))
    aspect = np.degrees(np.arctan2(-east, south)) % 360
    facing = np.radians(aspect)
    bands = np.stack([slope, aspect, np.cos(facing), np.sin(facing)]).astype(np.float32)
    steep = slope > np.median(slope)
    labels = label(steep & (np.abs(aspect - 180) < 45))[0].astype(np.uint16)
    writer = SampleWriter(folder, BANDS)
    for number in range(20):
        row, col = number // 4 * SIDE, number % 4 * SIDE
        window = (..., slice(row, row + SIDE), slice(col, col + SIDE))
        writer.add(
            bands[window], np.ones((SIDE, SIDE), bool), labels[window],
            split="validation" if row == 0 else "train", source="dem",
            window=(col, row, SIDE, SIDE),
            transform=from_origin(col * PIXEL, -row * PIXEL, PIXEL, PIXEL),
        )  # fmt: skip
    writer.finish(
        split="blocks", seed=0, tile_size=SIDE, resolution=PIXEL, crs=None, sources=["dem"],
        before=(1, 9), progress=Progress(),
    )  # fmt: skip
    return SampleSet.read(folder)


def validated(samples, bands, *more, enhancement=0.0):
    """Return the F1 of a network that sees single pixels, on ground that it was not trained on."""
    augmentation = Augmentation.parse(["flip", "quarter_turn", *more])
    tiles = Tiles(samples, bands, SIDE, 0, augmentation=augmentation, enhancement=enhancement)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(len(bands), 32, 1), nn.ReLU(), nn.Conv2d(32, 2, 1))
    settings = Settings(
        epochs=20, batch_size=2, learning_rate=0.1, seed=0, device=torch.device("cpu"), last=True
    )
    return fit(network, SemanticTask(cross_entropy), tiles, settings, Progress()).best.f1


@pytest.mark.parametrize("directions", [["aspect"], ["northness", "eastness"]])
def test_landslides_of_southern_slopes_are_learnt(southern, directions):
    assert validated(southern, ["slope", *directions]) > 0.9


def test_before_other_backgrounds_too(southern):
    """Spliced and pasted pieces are turned by the same rule."""
    assert validated(southern, ["slope", "northness", "eastness"], enhancement=1.0) > 0.9


@pytest.mark.parametrize("directions", [["aspect"], ["northness", "eastness"]])
def test_turned_along_every_exposure_is_as_likely(southern, directions):
    """A quarter of steep slopes face south: to call all of them landslide has an F1 of .4."""
    assert validated(southern, ["slope", *directions], "turn_directions") < 0.5
