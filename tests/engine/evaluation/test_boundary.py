"""Outlines of two maps within a tolerance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from landslide_mapper.landslide_plugin.evaluation.boundary import (
    BoundaryCounts,
    Outline,
    compare_outlines,
    outline,
)
from scipy.ndimage import binary_erosion, distance_transform_edt


def counted(ours, truth, tolerance, pixel=(1.0, 1.0), valid=None):
    valid = np.ones(ours.shape, bool) if valid is None else valid

    def places(rows, columns):
        return np.stack([rows * pixel[0], columns * pixel[1]], axis=1)

    one, other = (
        Outline(outline(mask & valid, valid), slice(0, len(mask)), places) for mask in (ours, truth)
    )
    return compare_outlines(one, other, tolerance)


def square(column, size=30):
    mask = np.zeros((size, size), bool)
    mask[5:15, column : column + 10] = True
    return mask


def test_outline_is_the_rim_of_landslide_beside_background():
    mask = square(5)
    rim = outline(mask, np.ones(mask.shape, bool))
    assert rim.sum() == 36
    assert np.array_equal(rim, mask & ~binary_erosion(mask))


def test_there_is_no_outline_at_the_border_of_what_is_known():
    mask, valid = square(5), np.ones((30, 30), bool)
    valid[:, :10] = False
    rim = outline(mask, valid)
    assert rim[5:15, 10].sum() == 2  # only the corners, which end above and below
    assert not rim[:, :10].any()
    assert not outline(np.ones((4, 4), bool), np.ones((4, 4), bool)).any()


def test_shifted_square_agrees_within_the_shift():
    """Three pixels of 10 m to the side: all outlines lie within 30 m, the sides not within 20."""
    ours, truth = square(8), square(5)
    assert counted(ours, truth, 30, (10, 10)).f_score == 1
    partly = counted(ours, truth, 20, (10, 10))
    # the two sides of 10 pixels, but the two of each that lie within 20 m of the other's rows
    assert 0 < partly.f_score < 1
    assert partly.precision == partly.recall
    assert counted(ours, truth, 0, (10, 10)).mapped_near == 14  # where top and bottom overlap


def test_pixels_may_be_wider_than_high():
    ours, truth = square(6), square(5)
    assert counted(ours, truth, 25, (10, 30)).f_score < 1
    assert counted(ours, truth, 30, (10, 30)).f_score == 1


@settings(max_examples=30)
@given(arrays(bool, (9, 11)), arrays(bool, (9, 11)), st.floats(0, 5))
def test_equal_to_a_distance_transform(ours, truth, tolerance):
    whole = np.ones(ours.shape, bool)
    edges = outline(ours, whole), outline(truth, whole)
    result = counted(ours, truth, tolerance)
    for edge, other, near in (
        (edges[0], edges[1], result.mapped_near),
        (edges[1], edges[0], result.reference_near),
    ):
        far = distance_transform_edt(~other) if other.any() else np.full(other.shape, np.inf)
        assert near == (edge & (far <= tolerance + 1e-6)).sum()


def test_undefined_only_where_neither_has_an_outline():
    assert BoundaryCounts().f_score is None
    assert BoundaryCounts(mapped=3).f_score == 0
    assert BoundaryCounts(reference=3).precision is None
    assert BoundaryCounts(4, 2, 8, 8).f_score == pytest.approx(2 * 0.5 / 1.5)
