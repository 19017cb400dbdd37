"""Landslides cut up: watershed, source and runout, and the polygons of the pieces."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from landslide_mapper.landslide_plugin.inventory.division import traced
from landslide_mapper.landslide_plugin.inventory.watershed import (
    RUNOUT,
    SOURCE,
    basins,
    distance_to_edge,
    smooth,
    source_and_runout,
)
from rasterio.windows import Window
from scipy.ndimage import label

LINE = np.array([[0.2, 0.9, 0.5, 0.3, 0.6, 0.8, 0.4]])
EVERYWHERE = np.ones(LINE.shape, bool)


def discs(*centres, radius=9, shape=(30, 60)):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.any([(rows - y) ** 2 + (columns - x) ** 2 <= radius**2 for y, x in centres], axis=0)


def test_peaks_are_parted_at_a_deep_saddle():
    """0.3 is less than half of the lower peak, 0.8."""
    assert basins(LINE, EVERYWHERE, 0.5, 1).tolist() == [[1, 1, 1, 2, 2, 2, 2]]
    assert basins(LINE, EVERYWHERE, 0.7, 1).max() == 1  # 0.3 is more than 0.24


def test_small_basins_are_merged():
    assert basins(LINE, EVERYWHERE, 0.5, 4).max() == 1


def test_a_plateau_is_one_basin():
    inside = discs((15, 20), (15, 36))
    assert basins(np.ones(inside.shape), inside, 0.5, 1).max() == 1


def test_two_discs_are_parted_at_their_neck():
    inside = discs((15, 20), (15, 36))
    pieces = basins(distance_to_edge(inside, 10, 10), inside, 0.3, 4)
    assert pieces.max() == 2
    assert set(pieces[:, :27][inside[:, :27]]) == {pieces[15, 20]}
    assert set(pieces[:, 30:][inside[:, 30:]]) == {pieces[15, 36]}


def test_one_disc_stays_whole():
    inside = discs((15, 20))
    assert basins(distance_to_edge(inside, 10, 10), inside, 0.5, 4).max() == 1


@settings(max_examples=60)
@given(
    surface=arrays(np.float64, (9, 11), elements=st.floats(0, 1)),
    inside=arrays(bool, (9, 11)),
    depth=st.floats(0, 1),
    least=st.integers(1, 12),
)
def test_basins_are_connected_and_cover_the_pixels(surface, inside, depth, least):
    pieces = basins(surface, inside, depth, least)
    np.testing.assert_array_equal(pieces > 0, inside)
    for number in range(1, pieces.max() + 1):
        assert label(pieces == number)[1] == 1


def test_source_is_the_upper_third():
    inside = np.ones((30, 4), bool)
    elevation = np.repeat(np.arange(30.0)[::-1, None], 4, axis=1)
    parts = source_and_runout(elevation, inside)
    assert (parts[:10] == SOURCE).all() and (parts[10:] == RUNOUT).all()


def test_flat_ground_has_no_source():
    inside = np.ones((5, 5), bool)
    assert (source_and_runout(np.full((5, 5), 7.0), inside) == RUNOUT).all()


@settings(max_examples=60)
@given(elevation=arrays(np.float64, (8, 8), elements=st.integers(0, 9)))
def test_source_and_runout_are_connected(elevation):
    parts = source_and_runout(elevation.astype(float), np.ones((8, 8), bool))
    assert label(parts == SOURCE)[1] <= 1 and label(parts == RUNOUT)[1] <= 1
    assert (parts > 0).all()


def test_smoothing_looks_at_valid_pixels_only():
    values, valid = np.full((9, 9), 5, np.float32), np.ones((9, 9), bool)
    values[4, 4], valid[4, 4] = 0, False
    np.testing.assert_allclose(smooth(values, valid), 5, rtol=1e-6)


@settings(max_examples=40)
@given(numbers=arrays(np.int64, (9, 9), elements=st.integers(0, 3)))
def test_traced_pieces_are_a_coverage(numbers):
    """Two that share an edge have the same points on it, and the pixels' area is kept."""
    patches, count = np.zeros_like(numbers), 0
    for value in (1, 2, 3):
        labels, result = label(numbers == value)
        patches += np.where(labels > 0, labels + count, 0)
        count += result
    if not count:
        return
    pieces = traced(patches, Window(100, 50, 9, 9))
    assert shapely.coverage_is_valid(pieces)
    assert shapely.area(pieces) == pytest.approx(np.bincount(patches.ravel())[1:])
    left, top, right, bottom = shapely.total_bounds(pieces)
    assert left >= 100 and top >= 50 and right <= 109 and bottom <= 59
