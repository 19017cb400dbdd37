"""What `experiments.shipped.measure` shows a network, and how samples are made for training."""

import numpy as np
import pytest
import torch
from affine import Affine
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.samples.sample_set import SampleSet
from landslide_mapper.landslide_plugin.samples.sample_writer import SampleWriter
from landslide_mapper.models.model_card import ModelCard

from experiments.shipped.data import RGB, coarsened, of_one_side
from experiments.shipped.measure import Model, read_image


@pytest.fixture
def samples(tmp_path):
    """An image of 40 x 60 pixels of 1 m, landslide and brightness 200 in its right half."""
    (tmp_path / "set").mkdir()
    writer = SampleWriter(tmp_path / "set", RGB)
    labels = np.zeros((40, 60), np.uint16)
    labels[:, 30:] = 1
    values = np.stack([200 * labels] * 3).astype(np.uint8)
    writer.add(
        values, np.ones((40, 60), bool), labels,
        split="train", source="image", window=(0, 0, 60, 40),
        transform=Affine(1, 0, 500, 0, -1, 500),
    )  # fmt: skip
    writer.finish(
        resolution=1.0, crs=None, tile_size=40, split="none", seed=0, sources=["image"],
        before=(1200, 1200), progress=Progress(),
    )  # fmt: skip
    return SampleSet.read(tmp_path / "set")


class Remember(torch.nn.Module):
    """Says that what is bright is landslide, and keeps the size of what it got."""

    def forward(self, images):
        self.size = tuple(images.shape[-2:])
        return torch.cat([-images[:, :1], images[:, :1]], 1)


def model(resolution, of_images=1.0):
    card = ModelCard(
        name="bright", architecture="compact_unet", arguments={}, task="semantic-segmentation",
        bands=RGB, mean=[100.0] * 3, std=[10.0] * 3, resolution=resolution, tile_size=32,
        classes=["background", "landslide"],
    )  # fmt: skip
    return Model(Remember(), card, of_images)


@pytest.mark.parametrize(
    ("resolution", "size"), [(1.0, (40, 60)), (2.0, (20, 30)), (0.5, (80, 120))]
)
def test_a_network_sees_the_image_at_its_own_resolution(samples, resolution, size):
    values, truth, known = read_image(samples, samples.samples[0])
    bright = model(resolution)
    assert (bright(values) == truth).all() and known.all()
    assert bright.network.size == size


def test_of_unknown_resolution_the_image_stays_as_it_is(samples):
    bright = model(2.0, None)
    assert bright(read_image(samples, samples.samples[0])[0]).shape == (40, 60)
    assert bright.network.size == (40, 60)


@pytest.mark.parametrize(
    ("corner", "landslide"), [((False, False), 12 / 42), ((True, True), 30 / 42)]
)
def test_a_corner_keeps_seven_tenths_of_each_side(samples, corner, landslide):
    values, truth, _ = read_image(samples, samples.samples[0], corner=corner)
    assert values.shape == (3, 28, 42)
    assert truth.mean() == pytest.approx(landslide)


def test_resized_each_image_has_one_side(samples):
    values, truth, known = read_image(samples, samples.samples[0], side=64)
    assert values.shape == (3, 64, 64) and known.all()
    assert truth[:, 33:].all() and not truth[:, :31].any()


def test_samples_of_one_side_show_the_whole_image(samples, tmp_path):
    of_one_side(samples, tmp_path / "anew", 48)
    anew = SampleSet.read(tmp_path / "anew")
    values, valid, labels = anew.load(anew.samples[0])
    assert values.shape == (3, 48, 48) and valid.all() and anew.samples[0].split == "train"
    assert (labels[:, 25:] > 0).all() and not labels[:, :23].any()
    assert anew.resolution == pytest.approx(np.sqrt(40 * 60) / 48)


def test_coarsened_samples_are_the_mean_of_what_their_pixels_cover(samples, tmp_path):
    coarsened(samples, tmp_path / "anew", 4.0)
    anew = SampleSet.read(tmp_path / "anew")
    values, _, labels = anew.load(anew.samples[0])
    assert values.shape == (3, 10, 15) and anew.resolution == 4.0
    assert values[0, 5, 7] == 100 and labels[5, 7] > 0  # half of it is landslide
    assert (values[0, :, :7] == 0).all() and (values[0, :, 8:] == 200).all()
