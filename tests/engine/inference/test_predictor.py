"""What several models and turns say together."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from landslide_mapper.landslide_plugin.contract.errors import InputError, ModelFileError
from landslide_mapper.landslide_plugin.inference.predictor import Predictor, joint_card
from landslide_mapper.landslide_plugin.inference.runtimes.runtime import Member
from landslide_mapper.models.model_card import ModelCard

CARD = ModelCard(
    name="one", architecture="fc_densenet", arguments={}, task="semantic-segmentation",
    bands=["a", "b"], mean=[0.0, 0.0], std=[1.0, 1.0], resolution=10.0, tile_size=32,
    classes=["background", "landslide"],
)  # fmt: skip


class Says:
    """Stands in for a runtime; keeps what it was asked."""

    name, device, side_by_side = "says", torch.device("cpu"), 1
    fixed_size: tuple[int, int] | None = None

    def __init__(self, answer, classes=2):
        self.answer = answer if callable(answer) else lambda image: torch.full_like(image, answer)
        self.classes = classes
        self.seen = []

    def run(self, images):
        self.seen.append(images)
        landslide = self.answer(images[:, 0])
        rest = [landslide * 0] * (self.classes - 2)
        return torch.stack([1 - landslide, landslide, *rest], 1)


def members(*answers):
    return [Member(Says(answer), CARD) for answer in answers]


def images(side=8):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(1, 2, side, side, generator=generator)


def test_mean_and_standard_deviation_of_models():
    values = Predictor(members(0.2, 0.6, 0.7), uncertainty=True)(images())
    assert values.shape == (1, 2, 8, 8)
    np.testing.assert_allclose(values[0, 0], 0.5, atol=1e-6)
    np.testing.assert_allclose(values[0, 1], np.std([0.2, 0.6, 0.7]), atol=1e-6)


def test_models_that_agree_have_no_deviation():
    values = Predictor(members(0.9, 0.9), uncertainty=True)(images())
    np.testing.assert_allclose(values[0, 1], 0, atol=1e-7)


def leaning(image):
    """Looks at the pixel to the left, so that what it says depends on how an image is turned."""
    return image.roll(1, -1)


def test_turns_are_the_eight_of_the_square_and_are_turned_back():
    square = images()[0, 0].numpy()
    neighbours = [np.roll(square, shift, axis) for axis in (0, 1) for shift in (1, -1)]
    mean, deviation = Predictor(members(leaning), turns=True, uncertainty=True)(images())[0]
    np.testing.assert_allclose(mean, np.mean(neighbours, 0), atol=1e-6)
    np.testing.assert_allclose(deviation, np.std(neighbours, 0), atol=1e-6)


def test_with_turns_a_turned_image_gives_the_turned_answer():
    ask = Predictor(members(leaning), turns=True)
    turned = ask(images().rot90(1, (2, 3)).flip(3))
    np.testing.assert_allclose(turned, ask(images()).rot90(1, (2, 3)).flip(3), atol=1e-6)


def test_a_network_that_turns_the_image_itself_is_asked_mirrored_alone():
    runtime = Says(leaning)
    card = replace(CARD, architecture="compact_unet", arguments={"turned": True})
    Predictor([Member(runtime, card)], turns=True)(images())
    upright, mirrored = runtime.seen
    torch.testing.assert_close(upright, images())
    torch.testing.assert_close(mirrored, images().flip(3))


def seen_when_turned(bands, raw, training):
    """Return which values, unscaled, a model of these bands sees of ground that is all alike."""
    count = len(bands)
    mean, std = [2.0] * count, [5.0] * count
    card = replace(CARD, bands=bands, mean=mean, std=std, training=training)
    runtime = Says(0.5)
    scaled = (torch.tensor(raw)[None, :, None, None] - 2) / 5 * torch.ones(1, 1, 8, 8)
    Predictor([Member(runtime, card)], turns=True)(scaled)
    return [tuple(round(float(z) * 5 + 2) for z in view[0, :, 4, 4]) for view in runtime.seen]


FACING = ["aspect", "northness", "eastness"]
SOUTH, NORTH, EAST, WEST = (180, -1, 0), (0, 1, 0), (90, 0, 1), (270, 0, -1)


@pytest.mark.parametrize("training", [{"turn_directions": False}, {}])
def test_directions_keep_their_values_in_turned_windows_as_in_training(training):
    """And where a model of others tells nothing of its training."""
    seen = seen_when_turned(FACING, [180.0, -1.0, 0.0], training)
    assert seen == [SOUTH] * 8


@pytest.mark.parametrize("training", [{"turn_directions": True}, {"data": "of an old card"}])
def test_directions_turn_with_windows_where_they_did_in_training(training):
    """As in all models of cards that say nothing of it."""
    seen = seen_when_turned(FACING, [180.0, -1.0, 0.0], training)
    assert sorted(seen) == sorted([SOUTH, NORTH, EAST, WEST] * 2)


def test_a_model_of_one_component_that_turned_sees_no_quarter_turn():
    assert (
        sorted(seen_when_turned(["northness"], [1.0], {"loss": "dice"})) == [(-1,)] * 2 + [(1,)] * 2
    )


def test_of_several_models_the_deviation_is_between_them_not_between_turns():
    values = Predictor(members(leaning, leaning), turns=True, uncertainty=True)(images())
    np.testing.assert_allclose(values[0, 1], 0, atol=1e-6)


def test_each_model_gets_its_bands_scaled_as_it_wants():
    other = replace(CARD, name="two", bands=["c", "a"], mean=[5.0, 1.0], std=[2.0, 4.0])
    first, second = Says(0.1), Says(0.2)
    ask = Predictor([Member(first, CARD), Member(second, other)])
    assert (ask.card.bands, ask.card.name) == (["a", "b", "c"], "one + two")
    raw = 10 * torch.rand(1, 3, 8, 8)
    mean, std = torch.tensor(ask.card.mean), torch.tensor(ask.card.std)
    ask((raw - mean[:, None, None]) / std[:, None, None])
    wanted = torch.stack([(raw[0, 2] - 5) / 2, (raw[0, 0] - 1) / 4])
    np.testing.assert_allclose(first.seen[0], raw[:, :2], atol=1e-6)
    np.testing.assert_allclose(second.seen[0][0], wanted, atol=1e-6)


def test_windows_of_other_pixels_are_resampled_and_the_answer_back():
    runtime = Says(lambda image: image)
    smooth = torch.linspace(0, 1, 64).expand(1, 2, 64, 64).contiguous()
    values = Predictor([Member(runtime, CARD)]).resampled(32)(smooth)
    assert runtime.seen[0].shape == (1, 2, 32, 32) and values.shape == (1, 1, 64, 64)
    np.testing.assert_allclose(values[0, 0], smooth[0, 0], atol=0.02)


def test_directions_are_not_blended_where_windows_are_resampled():
    """Of 359 and 1 degree, as of any two, no third is made."""
    runtime, card = Says(lambda image: image * 0), replace(CARD, bands=["slope", "aspect_2"])
    north = torch.tensor([359.0, 1.0]).repeat(32).expand(1, 2, 64, 64).contiguous()
    for side in (32, 48, 100):
        Predictor([Member(runtime, card)]).resampled(side)(north)
        slope, aspect = runtime.seen[-1][0]
        assert slope.unique().numel() > 2 or slope.unique().tolist() == [180]
        assert set(aspect.unique().tolist()) <= {1, 359}


def test_more_classes_than_two_have_a_channel_each():
    card = replace(CARD, classes=["background", "slide", "flow"])
    ask = Predictor([Member(Says(0.3, 3), card), Member(Says(0.5, 3), card)], uncertainty=True)
    values = ask(images())
    assert ask.channels == 3
    np.testing.assert_allclose(values[0, :, 0, 0], [0.4, 0, 0.1], atol=1e-6)


def test_one_answer_has_no_uncertainty():
    with pytest.raises(InputError, match="test-time augmentation"):
        Predictor(members(0.5), uncertainty=True)


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"classes": ["background", "flow"]}, "flow"), ({"resolution": 30.0}, "30 m")],
)
def test_models_that_dont_belong_together_are_refused(changes, named):
    with pytest.raises(ModelFileError, match=named):
        joint_card([CARD, replace(CARD, name="two", **changes)])
