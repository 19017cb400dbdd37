"""A patch turned on the map looks into other directions."""

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.training.tiles.turning import turn, turn_bands, turnings

BANDS = ["elevation", "aspect", "northness", "eastness"]


def bands_of(elevation):
    """Aspect and its parts from an elevation whose rows go south, as terrain factors define them.

    The DEM is the truth: what the bands of the turned DEM are, the turned bands must be.
    """
    south, east = np.gradient(elevation)
    downhill_east, downhill_north = -east, south
    aspect = np.degrees(np.arctan2(downhill_east, downhill_north)) % 360
    flat = np.hypot(east, south) == 0
    north = np.where(flat, 0, np.cos(np.radians(aspect)))
    easting = np.where(flat, 0, np.sin(np.radians(aspect)))
    return np.stack([elevation, np.where(flat, -1, aspect), north, easting]).astype(np.float32)


@pytest.fixture
def elevation():
    rows, cols = np.mgrid[:12, :12]
    surface = np.sin(rows / 3) * 10 + np.cos(cols / 5) * 7 + rows * 0.3
    surface[4:9, 4:9] = 5.0  # a lake, with flat pixels inside
    return surface


@pytest.mark.parametrize("quarters, mirrored", turnings(BANDS))
def test_turned_bands_are_the_bands_of_the_turned_dem(elevation, quarters, mirrored):
    expected = bands_of(turn(elevation, quarters, mirrored).copy())
    result = turn_bands(bands_of(elevation), BANDS, quarters, mirrored)
    assert (expected[1] == -1).any()
    difference = np.abs(result - expected)
    difference[1] = np.minimum(difference[1], 360 - difference[1])
    assert difference.max() < 1e-3


def test_there_are_eight_turnings_all_different(elevation):
    result = {turn(elevation, *turning).tobytes() for turning in turnings(BANDS)}
    assert len(result) == 8


def test_a_lone_component_is_never_turned_by_a_quarter():
    for bands in (["slope", "northness"], ["eastness"]):
        assert {quarters for quarters, _ in turnings(bands)} == {0, 2}


@pytest.mark.parametrize("kept", [["northness"], ["eastness"]])
def test_a_lone_component_is_turned_by_half_a_turn(elevation, kept):
    index = BANDS.index(kept[0])
    for quarters, mirrored in turnings(kept):
        expected = bands_of(turn(elevation, quarters, mirrored).copy())[[index]]
        result = turn_bands(bands_of(elevation)[[index]], kept, quarters, mirrored)
        np.testing.assert_allclose(result, expected, atol=1e-5)


def test_the_patch_itself_is_left_alone(elevation):
    before = bands_of(elevation)
    values = before.copy()
    turn_bands(values, BANDS, 0, True)
    np.testing.assert_array_equal(values, before)
