"""Scores of probabilities against scikit-learn and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from landslide_mapper.landslide_plugin.evaluation.metrics import METRICS, Confusion
from landslide_mapper.landslide_plugin.evaluation.probability import Probabilities
from sklearn import metrics as reference

SAMPLES = st.integers(1, 60).flatmap(
    lambda size: st.tuples(
        arrays(np.int64, size, elements=st.integers(0, 10_000)), arrays(bool, size)
    )
)


def counted(probability, truth, cut=None):
    """Count in two blocks."""
    result = Probabilities()
    for part in (slice(0, cut), slice(cut, None)) if cut else (slice(None),):
        block = np.asarray(probability, np.float32)[part]
        result.add(block, np.asarray(truth, bool)[part], np.ones(len(block), bool))
    return result


@settings(max_examples=30)
@given(SAMPLES, st.integers(1, 60))
def test_equal_to_scikit_learn(sample, cut):
    steps, truth = sample
    probability = (steps / 10_000).astype(np.float32)
    result = counted(probability, truth, cut)
    assert result.total == len(truth)
    assert result.brier == pytest.approx(np.mean((probability - truth) ** 2.0), abs=1e-6)
    assert (result.average_precision is None) == (not truth.any())
    if truth.any():
        expected = reference.average_precision_score(truth, probability)
        assert result.average_precision == pytest.approx(expected)
        curve = result.curve()
        assert np.array_equal(curve.threshold, np.unique(steps)[::-1] / 10_000)
        threshold, f1 = curve.best
        every = [reference.f1_score(truth, steps >= step) for step in np.unique(steps)]
        assert f1 == pytest.approx(max(every))
        assert f1 == pytest.approx(reference.f1_score(truth, probability >= np.float32(threshold)))
    assert (result.roc_auc is None) == (truth.all() or not truth.any())
    if result.roc_auc is not None:
        assert result.roc_auc == pytest.approx(reference.roc_auc_score(truth, probability))


def test_any_float_is_nearly_exact():
    random = np.random.default_rng(0)
    truth = random.random(20_000) < 0.1
    probability = np.clip(random.normal(0.3 + 0.3 * truth, 0.2), 0, 1).astype(np.float32)
    result = counted(probability, truth)
    expected = reference.average_precision_score(truth, probability)
    assert result.average_precision == pytest.approx(expected, abs=1e-3)
    assert result.roc_auc == pytest.approx(reference.roc_auc_score(truth, probability), abs=1e-4)
    assert result.brier == pytest.approx(reference.brier_score_loss(truth, probability))


def test_f1_at_a_threshold_is_that_of_the_mask():
    """0.7 in float32 lies a little below 0.7: it still counts at a threshold of 0.7."""
    probability = np.array([0.2, 0.7, 0.7, 0.9], np.float32)
    truth = np.array([False, True, False, True])
    curve = counted(probability, truth).curve()
    at = list(curve.threshold).index(0.7)
    mask = Confusion.of(probability >= np.float32(0.7), truth)
    assert curve.f1[at] == METRICS["f1"].value(mask) == pytest.approx(0.8)


def test_reliability_by_hand():
    """Twenty pixels: ten at 0.05, one of them landslide; ten at 0.95, five of them."""
    probability = [0.05] * 10 + [0.95] * 10
    truth = [True] + [False] * 9 + [True] * 5 + [False] * 5
    bins = counted(probability, truth).reliability()
    assert bins.pixels.tolist() == [10, 0, 0, 0, 0, 0, 0, 0, 0, 10]
    assert bins.probability[[0, 9]] == pytest.approx([0.05, 0.95])
    assert bins.share[[0, 9]] == pytest.approx([0.1, 0.5])
    assert np.isnan(bins.share[1:9]).all()
    assert bins.error == pytest.approx((0.05 + 0.45) / 2)


def test_certainty_falls_into_the_outer_bins():
    bins = counted([0, 1, 0.1, 0.9], [0, 1, 0, 1]).reliability()
    assert bins.pixels.tolist() == [1, 1, 0, 0, 0, 0, 0, 0, 0, 2]


def test_skill_is_measured_against_the_landslide_share():
    truth = [True] * 2 + [False] * 8
    assert counted([0.2] * 10, truth).brier_skill == pytest.approx(0, abs=1e-6)
    assert counted(truth, truth).brier_skill == 1
    assert counted([0.2] * 10, [False] * 10).brier_skill is None


def test_undefined_without_pixels_or_landslide():
    nothing = Probabilities()
    assert nothing.brier is nothing.prevalence is nothing.average_precision is None
    assert nothing.reliability().error is None
    background = counted([0.1, 0.2], [False, False])
    assert background.average_precision is background.roc_auc is background.curve() is None
    assert background.brier == pytest.approx(0.025)


def test_thinned_curve_keeps_ends_and_best():
    random = np.random.default_rng(1)
    truth = random.random(50_000) < 0.05
    curve = counted(np.clip(random.normal(0.4 + 0.2 * truth, 0.15), 0, 1), truth).curve()
    thin = curve.thinned(100)
    assert len(thin.threshold) <= 101 < len(curve.threshold)
    assert thin.best == curve.best
    for whole, part in zip(vars(curve).values(), vars(thin).values(), strict=True):
        assert (whole[0], whole[-1]) == (part[0], part[-1])
