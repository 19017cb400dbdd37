"""How patches are shared out among train, validation and test."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.contract.choices import ImportSamples, Samples
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.samples.patches import offsets
from landslide_mapper.landslide_plugin.samples.splits import (
    check_fractions,
    require_splits,
    split_at_random,
)


@given(st.integers(8, 400), st.integers(8, 64), st.integers(1, 64))
def test_windows_cover_every_pixel_and_stay_inside(length, tile, stride):
    stride, length = min(stride, tile), max(length, tile)
    starts = offsets(length, tile, stride)
    covered = np.zeros(length, bool)
    for start in starts:
        assert 0 <= start <= length - tile
        covered[start : start + tile] = True
    assert covered.all()
    assert len(set(starts)) == len(starts)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=200), st.integers(0, 9))
def test_random_split_keeps_the_shares_of_each_stratum(strata, seed):
    strata = np.array(strata)
    split = split_at_random(strata, (0.6, 0.2, 0.2), seed)
    for stratum in (0, 1):
        members = split[strata == stratum]
        for index, fraction in enumerate((0.6, 0.2, 0.2)):
            assert abs((members == index).sum() - fraction * len(members)) <= 1


def test_shares_that_leave_nothing_to_train_on_are_refused():
    with pytest.raises(InputError, match=r"0\.6 and test 0\.4 leave nothing to train on"):
        check_fractions(0.6, 0.4)


@pytest.mark.parametrize("command", [Samples, ImportSamples])
def test_a_share_out_of_range_is_refused(command):
    for validation in (0, 1):
        assert command.VALIDATION.problem(validation) == "choose more than 0 and at most 0.9"
    assert command.TEST.problem(-0.1) == "choose from 0 to 0.9"


def test_an_empty_split_is_refused_by_name():
    with pytest.raises(InputError, match="left for validation: choose a smaller tile size"):
        require_splits([3, 0, 0], (0.8, 0.2, 0))
