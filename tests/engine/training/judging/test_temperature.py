"""The temperature from validation pixels: what is surer than right is found to be."""

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.evaluation.probability import Probabilities
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN
from landslide_mapper.landslide_plugin.training.judging.temperature import (
    FEWEST,
    HIGHEST,
    LOWEST,
    Fitted,
    Logits,
)
from scipy.optimize import minimize_scalar
from scipy.special import expit


def calibrated(pixels=400_000, middle=-2.0):
    """Return logits and labels of pixels that are landslide as often as these say."""
    rng = np.random.default_rng(0)
    logits = rng.normal(middle, 2, pixels).astype(np.float32)
    return logits, (rng.random(pixels) < expit(logits)).astype(np.uint16)


def counted(logits, labels):
    counts = Logits()
    counts.add(logits, labels)
    return counts


def test_a_calibrated_network_keeps_its_probabilities():
    counts = counted(*calibrated())
    assert counts.temperature() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("factor", [0.4, 3.0])
def test_logits_that_were_multiplied_are_divided_again(factor):
    logits, labels = calibrated()
    counts = counted(factor * logits, labels)
    assert counts.temperature() == pytest.approx(factor, rel=0.02)
    assert counts.error() > 0.02 > 0.005 > counts.error(counts.temperature())
    fitted = Fitted.to(counts)
    assert fitted.temperature == counts.temperature()
    assert f"Temperature {fitted.temperature:.3g}" in str(fitted)
    assert fitted.figures() == {
        "calibration_error": counts.error(fitted.temperature),
        "calibration_error_before": counts.error(),
    }


def test_no_other_temperature_makes_the_pixels_likelier():
    """By another way than the derivative: the likelihood of each pixel, without bins."""
    logits, labels = calibrated(20_000)
    logits = 2 * logits - 1

    def unlikely(temperature):
        return np.logaddexp(0, np.where(labels, -logits, logits) / temperature).mean()

    best = minimize_scalar(unlikely, bounds=(0.25, 20), method="bounded").x
    assert counted(logits, labels).temperature() == pytest.approx(best, rel=2e-3)


def test_the_error_is_that_of_evaluate():
    logits, labels = calibrated(20_000)
    whole = Probabilities()
    whole.add(expit(3 * logits / 2), labels > 0, np.ones(labels.shape, bool))
    wanted = whole.reliability().error
    assert counted(3 * logits, labels).error(2.0) == pytest.approx(wanted, abs=1e-3)


def test_too_few_pixels_of_a_class_give_no_temperature_and_are_counted():
    logits, labels = calibrated(4000)
    rare = np.where(np.cumsum(labels) < FEWEST, labels, 0)
    fitted = Fitted.to(counted(3 * logits, rare))
    few = int(rare.sum())
    assert few < FEWEST and fitted.temperature == 1 and fitted.before == fitted.after
    assert f"{few:,} pixels of the rarer class, and {FEWEST:,} are needed" in str(fitted)


def test_unlabelled_pixels_count_for_nothing_and_folds_add_up():
    logits, labels = calibrated(20_000)
    half = np.where(np.arange(20_000) < 10_000, labels, UNKNOWN).astype(np.uint16)
    other = np.where(np.arange(20_000) < 10_000, UNKNOWN, labels).astype(np.uint16)
    both = sum((counted(logits, half), counted(logits, other)), Logits())
    assert both.temperature() == counted(logits, labels).temperature()
    assert both.rarer == labels.sum()


@pytest.mark.parametrize(("sign", "end"), [(1, LOWEST), (-1, HIGHEST)])
def test_a_temperature_at_an_end_of_the_range_is_refused(sign, end):
    """Of a network that is always right or always wrong on the validation pixels."""
    labels = np.arange(4000, dtype=np.uint16) % 2
    counts = counted(sign * (4.0 * labels - 2), labels)
    fitted = Fitted.to(counts)
    assert counts.temperature() == end and fitted.temperature == 1
    assert f"temperature 1): the validation pixels are likeliest at {end:g}, an end" in str(fitted)
    assert set(fitted.figures().values()) == {counts.error()}


def test_a_temperature_that_makes_the_error_no_smaller_is_not_applied():
    """Some pixels that are surely wrong outweigh all others in the likelihood, not in the error."""
    logits, labels = calibrated()
    wrong = np.full(4000, 30, np.float32), np.zeros(4000, np.uint16)
    counts = counted(np.append(logits, wrong[0]), np.append(labels, wrong[1]))
    likeliest = counts.temperature()
    assert likeliest > 1.1 and counts.error(likeliest) > counts.error()
    fitted = Fitted.to(counts)
    assert fitted.temperature == 1
    assert set(fitted.figures().values()) == {counts.error()}
    assert (
        f"temperature 1): at {likeliest:.3g}, where the validation pixels are likeliest, the "
        f"expected calibration error on them is {counts.error(likeliest):.4f}, no smaller than "
        f"{counts.error():.4f} without it."
    ) in str(fitted)
