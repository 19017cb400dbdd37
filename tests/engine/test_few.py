"""`experiments.shipped.few`: which patches are labelled, and which judge."""

import inspect

import pytest
from landslide_mapper.landslide_plugin.training.train_command import train

from experiments.shipped.few import BEGUN_WITH, LIST, drawn, judging
from experiments.shipped.lists import read_pieces

PIECES = read_pieces(LIST)


def rows(files):
    return {PIECES[file][1] for file in files}


def test_all_are_of_one_region_and_none_that_is_labelled_touches_one_that_judges():
    labelled, judges = drawn(16, 0), judging()
    assert {PIECES[file][0] for file in (*labelled, *judges)} == {"C"}
    assert max(rows(labelled)) + 1 < min(rows(judges))
    assert len(set(labelled)) == 16
    assert len(judges) == 24


@pytest.mark.parametrize("seed", [0, 1])
def test_a_smaller_draw_is_part_of_a_larger_one(seed):
    assert drawn(8, seed) == drawn(16, seed)[:8]


def test_seeds_draw_other_patches():
    assert set(drawn(4, 0)) != set(drawn(4, 1))


@pytest.mark.parametrize("start", BEGUN_WITH.values(), ids=BEGUN_WITH)
def test_a_start_asks_for_what_there_is(start):
    assert start.keys() <= inspect.signature(train).parameters.keys()
