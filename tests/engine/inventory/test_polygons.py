"""Polygons of masks, made block by block."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from landslide_mapper.landslide_plugin.inventory.outlines import Polygonizer
from landslide_mapper.landslide_plugin.inventory.polygons import (
    simplified,
    to_map,
    without_holes,
)
from landslide_mapper.landslide_plugin.raster import Grid
from rasterio.crs import CRS
from rasterio.features import geometry_mask
from rasterio.transform import Affine, from_origin
from rasterio.windows import Window
from scipy.ndimage import label

GRID = Grid(CRS.from_epsg(32632), from_origin(500000, 5000000, 10, 10), 40, 40)
MASKS = arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24)))


def trace(mask, rows=256):
    polygonizer = Polygonizer()
    numbers = [
        polygonizer.add(mask[top : top + rows], Window(0, top, mask.shape[1], rows))
        for top in range(0, len(mask), rows)
    ]
    return *polygonizer.finish(), np.concatenate(numbers)


def test_a_square_is_a_square():
    mask = np.zeros((20, 20), bool)
    mask[5:15, 2:12] = True
    polygons, groups, _ = trace(mask)
    assert len(polygons) == 1 and list(groups) == [0]
    assert polygons[0].equals(shapely.box(2, 5, 12, 15))


def test_nothing_gives_no_polygon():
    polygons, groups, _ = trace(np.zeros((9, 9), bool))
    assert len(polygons) == 0 and len(groups) == 0


def test_pixels_that_share_a_corner_only_are_two_landslides():
    polygons, _, _ = trace(np.eye(2, dtype=bool))
    assert len(polygons) == 2 and shapely.is_valid(polygons).all()


def test_a_shape_over_many_seams_is_one_polygon_without_points_on_them():
    mask = np.zeros((30, 10), bool)
    mask[2:28, 3:6] = True
    polygons, _, _ = trace(mask, rows=4)
    assert len(polygons) == 1
    assert len(polygons[0].exterior.coords) == 5
    assert polygons[0].equals(shapely.box(3, 2, 6, 28))


def test_arms_that_meet_below_are_one_landslide():
    mask = np.zeros((12, 12), bool)
    mask[0:10, 1] = mask[0:10, 9] = mask[9, 1:10] = True
    polygons, _, _ = trace(mask, rows=3)
    assert len(polygons) == 1 and polygons[0].area == mask.sum()


@settings(max_examples=150, deadline=None)
@given(mask=MASKS, rows=st.integers(1, 8))
def test_blocks_give_the_same_landslides_as_the_whole(mask, rows):
    whole, _, _ = trace(mask)
    blocks, groups, numbers = trace(mask, rows)
    assert len(blocks) == len(whole) == label(mask)[1]
    assert shapely.is_valid(blocks).all()
    assert shapely.union_all(blocks).equals(shapely.union_all(whole))
    index = np.concatenate([[-1], groups])[numbers]
    for number, polygon in enumerate(blocks):
        inside = geometry_mask([polygon], mask.shape, Affine.identity(), invert=True)
        np.testing.assert_array_equal(inside, index == number)


@pytest.mark.parametrize(("max_hole", "left"), [(0, 2), (100, 1), (399, 1), (400, 0)])
def test_holes_up_to_the_limit_are_filled(max_hole, left):
    mask = np.ones((20, 20), bool)
    mask[4, 4] = False  # 100 m²
    mask[10:12, 10:12] = False  # 400 m²
    polygons, _, _ = trace(mask)
    filled, _ = without_holes(polygons, max_hole, GRID)
    assert len(filled[0].interiors) == left
    assert len(polygons[0].interiors) == 2


@settings(max_examples=100, deadline=None)
@given(mask=MASKS, tolerance=st.floats(0.1, 30))
def test_simplified_polygons_are_valid_apart_and_none_is_lost(mask, tolerance):
    polygons, _, _ = trace(mask)
    simple = simplified(polygons, tolerance)
    assert len(simple) == len(polygons)
    assert shapely.is_valid(simple).all() and not shapely.is_empty(simple).any()
    assert all(geometry.geom_type == "Polygon" for geometry in simple)
    union = shapely.union_all(simple).area
    assert union == pytest.approx(shapely.area(simple).sum())


def test_simplifying_drops_the_stairs():
    rows, cols = np.mgrid[:60, :60]
    mask = np.abs(rows - cols) < 12
    polygons, _, _ = trace(mask)
    simple = simplified(polygons, 2)
    assert shapely.get_num_coordinates(simple)[0] < shapely.get_num_coordinates(polygons)[0] / 4
    assert simple[0].area == pytest.approx(polygons[0].area, rel=0.02)


def test_map_coordinates():
    square = np.array([shapely.box(2, 5, 12, 15)], object)
    expected = shapely.box(500020, 4999850, 500120, 4999950)
    assert to_map(square, GRID)[0].equals(expected)


def test_a_plain_image_lies_below_the_origin_as_in_qgis():
    plain = Grid(None, Affine.identity(), 40, 40)
    square = np.array([shapely.box(2, 5, 12, 15)], object)
    assert to_map(square, plain)[0].equals(shapely.box(2, -15, 12, -5))
