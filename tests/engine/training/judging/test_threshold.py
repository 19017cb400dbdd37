"""The threshold of a network: half of the F1 that it gives, where that is as good as any."""

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.training.judging.temperature import Fitted, Logits
from landslide_mapper.landslide_plugin.training.loop.scores import Scores, nearest_threshold
from scipy.special import expit


def tile(logits, labels):
    scores = Scores()
    scores.add(expit(logits).astype(np.float32), labels > 0, np.ones(labels.shape, bool))
    return scores


def validated(factor=1.0, shift=0.0, seed=0, tiles=60, pixels=4000):
    """Return tiles of pixels that are landslide as often as their logits say, and these."""
    rng = np.random.default_rng(seed)
    counted, scores = Logits(), []
    for _ in range(tiles):
        logits = rng.normal(rng.normal(-3, 1), 2, pixels)
        labels = (rng.random(pixels) < expit(logits)).astype(np.uint16)
        given = (factor * logits + shift).astype(np.float32)
        counted.add(given, labels)
        scores.append(tile(given, labels))
    return Fitted.to(counted), scores


def f1(scores, threshold):
    return scores.figures(threshold)["f1"]


def test_of_calibrated_pixels_it_is_half_of_the_f1_that_is_the_highest():
    """Lipton et al. 2014, ECML PKDD, theorem 1."""
    fitted, tiles = validated()
    both = sum(tiles, Scores())
    highest = f1(both, both.best_threshold())
    threshold = fitted.threshold(tiles)
    assert threshold == pytest.approx(highest / 2, abs=0.01)
    assert both.best_threshold() == pytest.approx(highest / 2, abs=0.05)
    assert f1(both, threshold) > highest - 0.005


def test_a_network_that_is_too_sure_has_the_threshold_of_the_same_pixels():
    fitted, tiles = validated()
    surer, same = validated(factor=3)
    one, other = fitted.threshold(tiles), surer.threshold(same)
    assert (expit(3 * np.log(one / (1 - one)))) == pytest.approx(other, abs=0.01)


def test_one_large_landslide_decides_the_highest_f1_and_not_the_threshold():
    """Half of it is found with little doubt, as of no other: the top of the curve goes there."""
    fitted, tiles = validated()
    large = np.full(60_000, -2.0)
    tiles = [*tiles, tile(large, np.ones(len(large)))]
    both = sum(tiles, Scores())
    assert both.best_threshold() < 0.13
    assert 0.25 < fitted.threshold(tiles) < 0.45


def test_where_all_tiles_say_so_it_is_far_from_half():
    """A temperature can't mend what is too low everywhere; half would miss most."""
    fitted, tiles = validated(shift=-2.5)
    both = sum(tiles, Scores())
    best = both.best_threshold()
    assert best < 0.1 and f1(both, f1(both, best) / 2) < 0.6 * f1(both, best)
    threshold = fitted.threshold(tiles)
    assert abs(threshold - best) < 0.03 and f1(both, threshold) > 0.97 * f1(both, best)


def test_what_is_not_calibrated_has_the_highest_f1():
    _, tiles = validated()
    assert Fitted().threshold(tiles) == sum(tiles, Scores()).best_threshold()


def test_a_single_tile_has_no_error_and_the_highest_f1():
    _, (only,) = validated(tiles=1)
    assert nearest_threshold([only], 0.9) == only.best_threshold()


def test_thresholds_that_are_wanted_and_as_good_are_taken():
    """All of 0.1 to 0.9 tell these tiles apart."""
    tiles = [tile(np.array([-5.0, 5.0]), np.array([0, 1])) for _ in range(3)]
    assert [nearest_threshold(tiles, wanted) for wanted in (0.1, 0.62, 0.9)] == [0.1, 0.62, 0.9]
