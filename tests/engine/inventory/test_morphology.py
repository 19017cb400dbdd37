"""Opening and closing, held against scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.inventory.morphology import Brush, Morphology
from landslide_mapper.landslide_plugin.raster import Grid
from rasterio.crs import CRS
from rasterio.transform import from_origin
from scipy import ndimage

GRID = Grid(CRS.from_epsg(32632), from_origin(500000, 5000000, 10, 10), 40, 40)


def morphology(opening, closing, grid=GRID):
    return Morphology(Brush(opening, grid, "opening"), Brush(closing, grid, "closing"))


def test_a_brush_is_a_disc_in_metres():
    assert Brush(20, GRID, "opening").pixels.sum() == 13
    oblong = Grid(GRID.crs, from_origin(0, 0, 10, 20), 40, 40)
    assert Brush(20, oblong, "opening").pixels.shape == (3, 5)
    assert not Brush(9, GRID, "opening")


@pytest.mark.parametrize("side", [0.05, 0.1, 0.2, 0.3, 0.7, 2.4])
@pytest.mark.parametrize("pixels", [1, 2, 3, 6, 10])
def test_a_radius_of_whole_pixels_reaches_all_of_them_whatever_rounding_makes_of_it(side, pixels):
    """Three pixels of .1 m are a hair more than .3 m, and a foot has no end of decimals."""
    metres = Grid(GRID.crs, from_origin(500000, 5000000, side, side), 40, 40)
    feet = Grid(CRS.from_epsg(2263), from_origin(980000, 200000, side, side), 40, 40)
    expected = Brush(10 * pixels, GRID, "opening").pixels
    for radius, grid in ((round(pixels * side, 2), metres), (pixels * side * 1200 / 3937, feet)):
        np.testing.assert_array_equal(Brush(float(f"{radius:.6g}"), grid, "").pixels, expected)


def test_opening_takes_specks_and_closing_fills_gaps():
    mask, valid = np.zeros((20, 20), bool), np.ones((20, 20), bool)
    mask[5:15, 5:15], mask[9, 9], mask[2, 2] = True, False, True
    opened, closed = morphology(10, 0).apply(mask, valid), morphology(0, 10).apply(mask, valid)
    assert not opened[2, 2] and not opened[9, 9]
    assert closed[2, 2] and closed[9, 9]


def test_what_is_not_known_neither_becomes_landslide_nor_gnaws_at_it():
    mask, valid = np.zeros((20, 20), bool), np.ones((20, 20), bool)
    mask[5:15, 5:15] = True
    mask[:, 14:], valid[:, 14:] = False, False
    np.testing.assert_array_equal(morphology(0, 30).apply(mask, valid)[:, 14:], False)
    assert morphology(10, 0).apply(mask, valid)[6:14, 13].all()


@settings(max_examples=60)
@given(
    mask=arrays(bool, (18, 18)),
    opening=st.sampled_from([0, 10, 20]),
    closing=st.sampled_from([0, 15]),
)
def test_scipy_finds_the_same(mask, opening, closing):
    mask = np.pad(mask, 8)
    expected = mask
    if opening:
        expected = ndimage.binary_opening(expected, Brush(opening, GRID, "").pixels)
    if closing:
        expected = ndimage.binary_closing(expected, Brush(closing, GRID, "").pixels)
    ours = morphology(opening, closing).apply(mask, np.ones(mask.shape, bool))
    np.testing.assert_array_equal(ours, expected)


def test_a_brush_of_many_pixels_is_refused():
    with pytest.raises(InputError, match=r"opening of 600 m is more than 50 pixels.*500 m"):
        Brush(600, GRID, "opening")


def test_a_brush_is_as_wide_on_the_ground_on_any_crs():
    """At 60 N pixels of 20 on Web Mercator's map are 10 m wide; in degrees half as wide as high."""
    mercator = Grid(CRS.from_epsg(3857), from_origin(1_113_194.9, 8_399_737.9, 20, 20), 40, 40)
    for radius in (10, 20, 50):
        np.testing.assert_array_equal(
            Brush(radius, mercator, "opening").pixels, Brush(radius, GRID, "opening").pixels
        )
    step = 10 / 111_400
    degrees = Grid(CRS.from_epsg(4326), from_origin(10, 60, 2 * step, step), 40, 40)
    np.testing.assert_array_equal(
        Brush(20, degrees, "opening").pixels, Brush(20, GRID, "opening").pixels
    )
    with pytest.raises(InputError, match=r"opening of 600 m.*choose at most 500.4 m"):
        Brush(600, mercator, "opening")
