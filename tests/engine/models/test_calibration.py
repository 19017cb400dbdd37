"""The map that makes probabilities mean what they say: analytic, and nothing changes places."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.contract.errors import ModelFileError
from landslide_mapper.landslide_plugin.inference.scene import classified
from landslide_mapper.models.calibration import UNCALIBRATED, Calibration, calibration_of
from landslide_mapper.models.model_card import ModelCard

CARD = ModelCard(
    name="any",
    architecture="unet",
    arguments={},
    task="semantic-segmentation",
    bands=["red"],
    mean=[0.0],
    std=[1.0],
    resolution=None,
    tile_size=32,
    classes=["background", "landslide"],
    training={"landslide_share": 0.2},
)
TEMPERATURES = st.floats(0.25, 20)
SHIFTS = st.floats(-5, 5)


def logit(probability):
    return np.log(probability / (1 - probability))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_logit_is_divided_by_the_temperature(temperature):
    probability = np.linspace(0.01, 0.99, 99)
    calibrated = Calibration(temperature)(probability)
    np.testing.assert_allclose(logit(calibrated), logit(probability) / temperature, atol=1e-9)


def test_the_prior_of_the_scene_is_bayes_rule():
    """Saerens et al. 2002, equation 2.4: class probabilities times the ratio of the priors."""
    patches, scene = 0.2, 0.03
    before = np.linspace(0.01, 0.99, 99)
    landslide, background = before * scene / patches, (1 - before) * (1 - scene) / (1 - patches)
    calibrated = calibration_of([CARD], scene)(before)
    np.testing.assert_allclose(calibrated, landslide / (landslide + background), atol=1e-12)
    np.testing.assert_allclose(calibration_of([CARD], patches)(before), before, atol=1e-12)


def test_both_follow_each_other_temperature_first():
    calibrated = calibration_of([replace(CARD, temperature=2.0)], 0.5)(0.9)
    assert logit(calibrated) == pytest.approx(logit(0.9) / 2 - logit(0.2))


def test_models_that_are_averaged_have_the_mean_of_temperatures_and_shifts():
    other = replace(CARD, temperature=3.0, training={"landslide_share": 0.4})
    calibration = calibration_of([CARD, other], 0.1)
    assert calibration.temperature == 2
    assert calibration.shift == pytest.approx(logit(0.1) - (logit(0.2) + logit(0.4)) / 2)


@pytest.mark.parametrize("told", [None, "much", 0, 1e-300, 1, float("nan")])
def test_without_the_patches_fraction_the_scenes_is_of_no_use(told):
    card = replace(CARD, training={"landslide_share": told})
    assert calibration_of([card]) == UNCALIBRATED
    with pytest.raises(ModelFileError, match="leave the scene's landslide fraction empty"):
        calibration_of([card], 0.1)


@given(st.lists(st.floats(0, 1, width=32), min_size=2), TEMPERATURES, SHIFTS)
def test_the_order_of_pixels_stays(values, temperature, shift):
    before = np.sort(np.array(values, np.float32))
    after = Calibration(temperature, shift).of_raster(before[None, None], 1)[0, 0]
    assert (np.diff(after) >= 0).all() and (after >= 0).all() and (after <= 1).all()


@given(st.floats(0.01, 0.99), TEMPERATURES, SHIFTS)
def test_the_inverse_leads_back(probability, temperature, shift):
    calibration = Calibration(temperature, shift)
    assert calibration.inverse(calibration(probability)) == pytest.approx(probability, abs=1e-4)


@given(st.floats(0.05, 0.95), TEMPERATURES)
def test_the_mask_at_the_threshold_that_is_brought_along_is_the_same(threshold, temperature):
    """But for what float32 can't tell from the threshold any more."""
    before = np.random.default_rng(0).random((1, 30, 40), np.float32)
    before = np.where(abs(before - threshold) < 1e-3, 0, before)
    calibration = Calibration(temperature)
    after = calibration.of_raster(before, 1)
    moved = float(calibration(threshold))
    np.testing.assert_array_equal(classified(after, moved), classified(before, threshold))


def test_of_several_kinds_the_likeliest_stays_and_their_sum_is_calibrated():
    logits = torch.randn(4, 20, 30, generator=torch.Generator().manual_seed(0)) * 3
    before = logits.softmax(0)[1:].numpy()
    after = Calibration(2.0).of_raster(before, 3)
    wanted = Calibration(2.0)(before.sum(0, dtype=float))
    np.testing.assert_allclose(after.sum(0), wanted, atol=1e-6)
    np.testing.assert_array_equal(
        classified(after, float(Calibration(2.0)(0.4))), classified(before, 0.4)
    )


def test_the_spread_between_models_is_brought_along_by_the_slope():
    probability, spread = np.float32(0.7), 1e-4
    values = np.array([probability, spread], np.float32).reshape(2, 1, 1)
    calibration = Calibration(3.0, -1.0)
    by_slope = calibration.of_raster(values, 1)[1, 0, 0]
    apart = calibration(probability + spread) - calibration(probability - spread)
    assert by_slope == pytest.approx(float(apart) / 2, rel=1e-3)


def test_uncalibrated_values_are_not_touched_and_nodata_stays():
    values = np.array([0, 0.3, np.nan, 1], np.float32).reshape(1, 2, 2)
    assert UNCALIBRATED.of_raster(values, 1) is values
    calibrated = Calibration(2.0).of_raster(values, 1)
    np.testing.assert_array_equal(np.isnan(calibrated), np.isnan(values))
    assert calibrated[0, 0, 0] == 0


@pytest.mark.parametrize("temperature", [0.0, 0.001, 1000.0, -1.0, float("nan"), float("inf")])
def test_a_card_refuses_a_temperature_that_is_none(temperature):
    with pytest.raises(ValueError, match=r"the temperature .* is not within 0\.01 to 100"):
        replace(CARD, temperature=temperature)


def test_a_card_of_before_has_the_temperature_one():
    item = replace(CARD, temperature=1.7).to_item()
    assert ModelCard.from_item(item).temperature == 1.7
    softmax = item["properties"]["mlm:output"][0]["post_processing_function"]["expression"]
    assert softmax == "torch.softmax(logits / 1.7, 1)"
    del item["properties"]["landslide:temperature"]
    assert ModelCard.from_item(item).temperature == 1
