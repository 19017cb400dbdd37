"""Landslides as objects, put together from blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from landslide_mapper.landslide_plugin.evaluation.objects import (
    Objects,
    Pairs,
    area_frequency,
    size_distance,
)
from scipy.ndimage import label
from scipy.stats import ks_2samp

EIGHT = np.ones((3, 3), int)
ONE = np.ones((100, 1))


def gathered(ours, other, rows):
    """Return objects and pairs of two masks, given in blocks of rows."""
    objects, pairs = [Objects(False), Objects(False)], Pairs()
    for start in range(0, len(ours), rows):
        block = slice(start, start + rows)
        height = len(ours[block])
        first, second = (
            one.add(label(mask[block], EIGHT)[0].astype(np.int32), ONE[:height], start)
            for one, mask in zip(objects, (ours, other), strict=True)
        )
        pairs.add(first, second, ONE[:height])
    return objects, pairs


@settings(max_examples=50)
@given(arrays(bool, (12, 9)), arrays(bool, (12, 9)), st.integers(1, 12))
def test_blocks_give_the_same_objects_as_the_whole(ours, other, rows):
    """Components are joined across block borders, diagonally too."""
    (one, another), pairs = gathered(ours, other, rows)
    whole, count = label(ours, EIGHT)
    whole_other = label(other, EIGHT)[0]
    landslides = one.landslides()
    assert len(landslides) == count
    expected = sorted(
        ((whole == k).sum(), *np.argwhere(whole == k).mean(axis=0)) for k in range(1, count + 1)
    )
    result = sorted(zip(landslides.area, landslides.row, landslides.column, strict=True))
    assert np.allclose(result, expected)
    result, right = pairs.agreement(one, another)
    assert result.touched.sum() == len(set(whole[other & ours]))
    assert right.touched.sum() == len(set(whole_other[other & ours]))
    assert result.overlap.sum() == right.overlap.sum() == (ours & other).sum()
    best = [
        max(
            ((whole == k) & (whole_other == j)).sum() / ((whole == k) | (whole_other == j)).sum()
            for j in range(whole_other.max() + 1)
            if j
        )
        if whole_other.max()
        else 0
        for k in range(1, count + 1)
    ]
    assert np.allclose(sorted(result.best), sorted(best))
    assert result.matched.sum() == right.matched.sum()


def test_polygon_in_two_blocks_is_one():
    objects = Objects(ids_are_global=True)
    ids = np.array([[7, 7, 0], [0, 0, 3]], np.int32)
    objects.add(ids, np.array([[10.0], [20.0]]), 0)
    objects.add(ids, np.array([[10.0], [20.0]]), 2)
    landslides = objects.landslides()
    assert landslides.area.tolist() == [40, 40]
    assert landslides.row.tolist() == [2, 1]  # of number 3, then of number 7
    assert landslides.column.tolist() == [2, 0.5]


def test_nothing():
    objects = Objects(ids_are_global=False)
    objects.add(np.full((3, 3), -1, np.int32), ONE[:3])
    assert len(objects.landslides()) == len(Objects(True).landslides()) == 0
    result, right = Pairs().agreement(objects, Objects(True))
    assert len(result.touched) == len(right.matched) == 0


def test_two_halves_of_one_landslide_are_hits_but_no_match():
    """A map that splits a landslide touches it; each half has an IoU of no more than a half."""
    truth = np.zeros((5, 11), bool)
    truth[1:4] = True
    ours = truth.copy()
    ours[:, 5] = False
    (one, another), pairs = gathered(truth, ours, 5)
    result, right = pairs.agreement(one, another)
    assert result.touched.tolist() == [True]
    assert result.best == pytest.approx([5 / 11])
    assert not result.matched.any()
    assert not right.matched.any()
    assert result.overlap.tolist() == [30]


@settings(max_examples=50)
@given(
    arrays(float, st.integers(1, 30), elements=st.integers(1, 20).map(float)),
    arrays(float, st.integers(1, 30), elements=st.integers(1, 20).map(float)),
)
def test_size_distance_is_that_of_scipy(one, other):
    expected = ks_2samp(one, other, method="asymp").statistic
    assert size_distance(one, other, 1.0) == pytest.approx(expected)


def test_size_distance_of_an_empty_map_is_undefined():
    assert size_distance(np.empty(0), np.ones(3), 1.0) is None


def test_landslides_of_as_many_pixels_are_as_large_though_no_two_pixels_quite_are():
    """As of a map that is moved sideways: in UTM a pixel's area changes from column to column."""
    areas = np.array([400.0, 400.0, 900.0, 2500.0])
    assert size_distance(areas, areas * (1 + 1e-7), 100.0) == 0


@pytest.mark.parametrize("half", [slice(0, 1), slice(1, 2)])
def test_half_of_a_landslide_is_no_match_whichever_half_it_is(half):
    pixel_area = np.array([[100.0, 100.0 * (1 + 1e-7)]] * 4)
    whole, part = np.ones((4, 2), np.int32), np.zeros((4, 2), np.int32)
    part[:, half] = 1
    objects, pairs = [Objects(False), Objects(False)], Pairs()
    pairs.add(objects[0].add(whole, pixel_area), objects[1].add(part, pixel_area), pixel_area)
    assert not any(one.matched.any() for one in pairs.agreement(*objects))


def test_area_density_integrates_to_one():
    areas = np.random.default_rng(0).lognormal(7, 1, 500)
    edges = 10 ** np.arange(0, 9, 0.25)
    counts, density = area_frequency(areas, edges)
    assert counts.sum() == 500
    assert (density * np.diff(edges)).sum() == pytest.approx(1)
    assert np.isnan(area_frequency(np.empty(0), edges)[1]).all()
