"""Scores learnt from image labels: activation maps, grey differences, their intersection."""

from typing import Any

import pytest
import torch
from landslide_mapper.models.cyclegan import CycleGAN, Discriminator, Generator
from landslide_mapper.models.registry import build, task_of
from landslide_mapper.models.weak import (
    Classifier,
    WeakNetwork,
    fitting_difference,
    grey_difference,
    grey_levels,
)
from torch import nn

SMALL: dict[str, Any] = {"encoder": "resnet18", "width": 8, "blocks": 1}


class Fixed(nn.Module):
    """An encoder that gives known features."""

    def __init__(self, features):
        super().__init__()
        self.features = features

    def forward(self, images):
        return [self.features]


def test_the_activation_map_is_the_weighted_sum_of_the_features():
    """M = sum of w_k f_k by hand: features (1, 2; 3, 4) and (1, 0; 0, 0), weights 2 and 10."""
    network = Classifier(3, "resnet18")
    network.encoder = Fixed(torch.tensor([[[[1.0, 2], [3, 4]], [[1, 0], [0, 0]]]]))
    network.head = nn.Conv2d(2, 2, 1)
    network.head.weight.data = torch.tensor([[0.0, 0], [2, 10]])[..., None, None]
    network.head.bias = nn.Parameter(torch.tensor([0.0, 1]))
    image = torch.zeros(1, 3, 64, 64)
    torch.testing.assert_close(network.activation(image)[0, 1], torch.tensor([[13.0, 5], [7, 9]]))
    torch.testing.assert_close(network(image), torch.tensor([[0.0, 34 / 4]]))


def test_judged_by_its_peak_the_highest_part_of_the_map_counts():
    """Of the map above 13, 5; 7, 9 less 0, 0; 0, 1 a half is 13 and 9 - 1 = 8: their means."""
    network = Classifier(3, "resnet18", peak=0.5)
    network.encoder = Fixed(torch.tensor([[[[13.0, 5], [7, 9]], [[0, 0], [0, 1]]]]))
    network.head = nn.Conv2d(2, 2, 1, bias=False)
    network.head.weight.data = torch.tensor([[0.0, 1], [1, 0]])[..., None, None]
    torch.testing.assert_close(network(torch.zeros(1, 3, 64, 64)), torch.tensor([[0.5, 11.0]]))


def test_the_grey_difference_of_a_painted_image():
    """A square 100 levels brighter in red, 50 in green, 10 in blue is 60.6 grey levels brighter."""
    bands, std = ["blue", "red", "green"], [10.0, 40.0, 20.0]
    network = WeakNetwork(3, 2, "cyclegan", **SMALL, grey=grey_levels(bands, std, True))
    image = torch.zeros(1, 3, 32, 32)
    painted = image.clone()
    painted[0, :, 8:16, 8:16] = (torch.tensor([10.0, 100, 50]) / torch.tensor(std))[:, None, None]
    network.add_module("generator", _Erase())
    difference = network.difference(painted)[0]
    grey = 0.3 * 100 + 0.59 * 50 + 0.11 * 10
    torch.testing.assert_close(difference[8:16, 8:16], torch.full((8, 8), grey))
    assert difference.sum() == pytest.approx(64 * grey, rel=1e-5)
    mask = network(painted).argmax(1)[0].bool()
    assert mask[8:16, 8:16].all() and mask.sum() == 64


@pytest.mark.parametrize(("difference", "levels"), [("grey", 2.8), ("bands", 20.8)])
def test_a_change_of_colour_is_the_difference_of_the_grey_images(difference, levels):
    """Red 30 darker, green 20 brighter: |-9 + 11.8| of the grey images, 9 + 11.8 by band."""
    std = [10.0, 40.0, 20.0]
    grey = grey_levels(["red", "green", "blue"], std, True)
    change = (torch.tensor([-30.0, 20, 0]) / torch.tensor(std))[:, None, None].expand(1, 3, 4, 4)
    expected = torch.full((1, 4, 4), levels)
    torch.testing.assert_close(grey_difference(change, torch.tensor(grey), difference), expected)
    network = WeakNetwork(3, 2, "cyclegan", **SMALL, grey=grey, difference=difference)
    network.add_module("generator", _Erase())
    torch.testing.assert_close(network.difference(change), expected)


def test_the_difference_is_grey_where_the_paper_defines_grey_and_by_band_elsewhere():
    rgb = ["blue", "green", "red"]
    assert fitting_difference("auto", rgb, True) == "grey"
    assert fitting_difference("auto", rgb, False) == "bands"
    assert fitting_difference("auto", [*rgb, "nir"], True) == "bands"
    assert fitting_difference("bands", rgb, True) == "bands"
    assert fitting_difference("grey", ["nir"], False) == "grey"


def test_a_model_that_does_not_tell_how_it_takes_differences_sums_over_bands():
    """What models were made with before they told."""
    old = WeakNetwork(3, 2, "cyclegan", **SMALL, grey=[10.0, 10, 10])
    old.add_module("generator", _Erase())
    change = torch.tensor([-1.0, 1, 0])[:, None, None].expand(1, 3, 4, 4)
    torch.testing.assert_close(old.difference(change), torch.full((1, 4, 4), 20.0))


def test_pixels_brighter_than_a_generator_can_be_are_not_changed_by_that():
    """At 6 deviations; the generator gives back what is at most 3."""
    network = WeakNetwork(3, 2, "cyclegan", **SMALL)
    network.add_module("generator", _Limit())
    image = torch.zeros(1, 3, 16, 16)
    image[..., 4:8, 4:8] = 6.0
    assert network.difference(image).abs().max() == 0


class _Limit(nn.Module):
    def forward(self, images):
        return images.clamp(-3, 3)


@pytest.mark.parametrize(("depth", "side"), [(3, 8), (4, 4), (5, 2)])
def test_a_shallower_encoder_gives_a_finer_map(depth, side):
    classifier = Classifier(3, "resnet18", depth=depth)
    assert classifier.activation(torch.zeros(2, 3, 64, 64)).shape == (2, 2, side, side)
    network = build("weak", 3, 2, method="cam", encoder="resnet18", depth=depth).eval()
    assert network(torch.zeros(1, 3, 70, 50)).shape == (1, 2, 70, 50)


class _Erase(nn.Module):
    def forward(self, images):
        return torch.zeros_like(images)


def test_both_is_the_intersection_of_the_masks():
    torch.manual_seed(0)
    network = WeakNetwork(3, 2, "both", **SMALL, threshold=20.0).eval()
    images = torch.randn(2, 3, 96, 64)
    with torch.no_grad():
        network.cut = float(network.activation(images).median())
        network.threshold = float(network.difference(images).median())
        both = network(images).argmax(1).bool()
        cam = network.activation(images) > network.cut
        changed = network.difference(images) > network.threshold
    assert torch.equal(both, cam & changed) and both.any() and not both.all()


@pytest.mark.parametrize("method", ["cam", "cyclegan", "both"])
@pytest.mark.parametrize("size", [(8, 8), (37, 50)])
def test_any_size_and_bands(method, size):
    network = build("weak", 5, 2, method=method, **SMALL).eval()
    assert network(torch.randn(1, 5, *size)).shape == (1, 2, *size)
    assert task_of("weak") == "semantic-segmentation"


def test_other_bands_weigh_the_same():
    assert grey_levels(["nir", "slope"], [7.0, 9.0], True) == [255 / 12] * 2
    assert grey_levels(["red", "green", "blue"], [7.0, 9.0, 2.0], False) == [255 / 18] * 3


def test_the_generator_of_the_paper_has_its_size():
    """Zhu et al. give 11.38 million parameters for 9 blocks at 3 bands."""
    parameters = sum(value.numel() for value in Generator(3, 64, 9).parameters())
    assert parameters == pytest.approx(11.38e6, rel=0.01)


def test_a_discriminator_looks_at_patches_of_70_px():
    judge = Discriminator(3, 4).eval()
    image = torch.zeros(1, 3, 256, 256, requires_grad=True)
    linear = nn.Sequential(*(layer for layer in judge.layers if isinstance(layer, nn.Conv2d)))
    scores = linear(image)
    scores[0, 0, 15, 15].backward()
    assert image.grad is not None
    seen = image.grad[0].abs().sum(0).nonzero()
    assert (seen.max(0).values - seen.min(0).values + 1).tolist() == [70, 70]


def test_a_residual_generator_begins_by_changing_nothing():
    images = torch.randn(2, 3, 30, 41).clamp(-3, 3)
    torch.testing.assert_close(CycleGAN(3, 8, 1, residual=True).clear(images), images)


def test_generators_keep_to_the_range_of_scaled_images():
    gan = CycleGAN(2, 8, 1)
    assert gan.clear(10 * torch.randn(1, 2, 30, 41)).abs().max() <= 3.0
