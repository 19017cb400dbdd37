"""A patch turned on the map: directions keep their values, or turn along."""

import numpy as np
import pytest
import torch
from landslide_mapper.landslide_plugin.raster.turning import (
    directions_turned,
    turn,
    turn_bands,
    turn_directions,
    turnings,
)

BANDS = ["elevation", "aspect", "northness", "eastness"]
ALONG = directions_turned(BANDS, along=True)


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


@pytest.mark.parametrize("quarters, mirrored", turnings(ALONG))
def test_turned_bands_are_the_bands_of_the_turned_dem(elevation, quarters, mirrored):
    expected = bands_of(turn(elevation, quarters, mirrored).copy())
    result = turn_bands(bands_of(elevation), ALONG, quarters, mirrored)
    assert (expected[1] == -1).any()
    difference = np.abs(result - expected)
    difference[1] = np.minimum(difference[1], 360 - difference[1])
    assert difference.max() < 1e-3


def test_directions_keep_their_values_unless_they_are_to_turn(elevation):
    bands = bands_of(elevation)
    kept = directions_turned(BANDS, along=False)
    assert not kept
    assert len(turnings(directions_turned(["northness"], along=False))) == 8
    for turning in turnings(kept):
        np.testing.assert_array_equal(turn_bands(bands, kept, *turning), turn(bands, *turning))


@pytest.mark.parametrize("angle, mirrored", [(90, False), (30, True)])
def test_tensors_turn_as_arrays_do(elevation, angle, mirrored):
    values = bands_of(elevation)
    tensor = torch.from_numpy(values.copy())
    turn_directions(values, ALONG, angle, mirrored)
    turn_directions(tensor, ALONG, angle, mirrored)
    np.testing.assert_allclose(tensor.numpy(), values, atol=1e-4)


def test_there_are_eight_turnings_all_different(elevation):
    result = {turn(elevation, *turning).tobytes() for turning in turnings(ALONG)}
    assert len(result) == 8


def test_a_lone_component_is_never_turned_by_a_quarter():
    for bands in (["slope", "northness"], ["eastness"]):
        alone = directions_turned(bands, along=True)
        assert {quarters for quarters, _ in turnings(alone)} == {0, 2}


@pytest.mark.parametrize("kept", [["northness"], ["eastness"]])
def test_a_lone_component_is_turned_by_half_a_turn(elevation, kept):
    index = BANDS.index(kept[0])
    alone = directions_turned(kept, along=True)
    for quarters, mirrored in turnings(alone):
        expected = bands_of(turn(elevation, quarters, mirrored).copy())[[index]]
        result = turn_bands(bands_of(elevation)[[index]], alone, quarters, mirrored)
        np.testing.assert_allclose(result, expected, atol=1e-5)


def test_the_patch_itself_is_left_alone(elevation):
    before = bands_of(elevation)
    values = before.copy()
    turn_bands(values, ALONG, 0, True)
    np.testing.assert_array_equal(values, before)
