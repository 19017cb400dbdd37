"""Natural breaks with known answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.factors.analysis.natural_breaks import natural_breaks


def test_breaks_lie_between_clumps(random):
    values = np.concatenate([random.normal(mean, 0.1, 500) for mean in (0, 5, 20)])
    breaks = natural_breaks(values.astype(np.float32), np.ones(1500), values.max(), 3)
    assert 0 < breaks[0] < 4.5 and 5 < breaks[1] < 19.5
    assert breaks[2] == np.float32(values.max())


@pytest.mark.parametrize("height", [0, 4500, 5e6])
def test_breaks_lie_as_far_up_as_the_values(random, height):
    """As northings do, and the ground of a plateau: float32 has 7 digits."""
    values = np.round(random.gamma(2, 20, 400)).astype(np.float32)
    breaks = natural_breaks(values, np.ones(400), values.max(), 5)
    up = values + np.float32(height)
    np.testing.assert_array_equal(
        natural_breaks(up, np.ones(400), up.max(), 5), breaks + np.float32(height)
    )


def test_few_values_are_their_own_intervals():
    values = np.array([0, 1, 1, 3], np.float32)
    assert natural_breaks(values, np.ones(4), 3, 5).tolist() == [0, 1, 3]
    assert natural_breaks(values[:1], np.ones(1), 0, 5).tolist() == [0]


def test_a_weight_counts_as_that_many_values(random):
    values = np.sort(random.gamma(2, 1, 400)).astype(np.float32)
    weights = random.integers(1, 5, 400)
    repeated = np.repeat(values, weights)
    np.testing.assert_array_equal(
        natural_breaks(values, weights.astype(float), values.max(), 4),
        natural_breaks(repeated, np.ones(len(repeated)), values.max(), 4),
    )


@settings(max_examples=25)
@given(
    st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=60), st.integers(2, 6), st.data()
)
def test_breaks_ascend_and_end_at_the_highest(values, classes, data):
    array = np.array(values, np.float32)
    highest = float(np.float32(array.max() + data.draw(st.sampled_from([0, 1]))))
    breaks = natural_breaks(array, np.ones(len(array)), highest, classes)
    assert 1 <= len(breaks) <= classes
    assert (np.diff(breaks) > 0).all()
    assert breaks[-1] == highest
