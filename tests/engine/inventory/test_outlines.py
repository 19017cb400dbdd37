"""Outlines assembled from corners, held against GDAL's."""

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from landslide_mapper.landslide_plugin.inventory.outlines import Polygonizer, outline
from rasterio.features import geometry_mask, shapes
from rasterio.transform import Affine
from scipy.ndimage import label

MASKS = arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24)))
TOUCHING_ITSELF = np.array([[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 1]], bool)
OPEN_AT_A_CORNER = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], bool)


def trace(mask, rows=256):
    polygonizer = Polygonizer()
    numbers = []
    for top in range(0, len(mask), rows):
        block, parts = outline(mask[top : top + rows], top)
        numbers.append(np.where(parts > 0, parts + polygonizer.add(block), 0))
    return *polygonizer.finish(), np.concatenate(numbers)


def test_a_square_is_a_square():
    mask = np.zeros((20, 20), bool)
    mask[5:15, 2:12] = True
    polygons, groups, _ = trace(mask)
    assert len(polygons) == 1 and list(groups) == [0]
    assert polygons[0].equals(shapely.box(2, 5, 12, 15))
    assert len(polygons[0].exterior.coords) == 5


def test_nothing_gives_no_polygon():
    polygons, groups, _ = trace(np.zeros((9, 9), bool))
    assert len(polygons) == 0 and len(groups) == 0


def test_pixels_that_share_a_corner_only_are_two_landslides():
    polygons, _, _ = trace(np.eye(2, dtype=bool))
    assert len(polygons) == 2 and shapely.is_valid(polygons).all()


def test_a_landslide_that_touches_itself_is_valid():
    (polygon,), _, _ = trace(TOUCHING_ITSELF)
    assert polygon.is_valid and len(polygon.interiors) == 2 and polygon.area == 14
    (polygon,), _, _ = trace(OPEN_AT_A_CORNER)
    assert polygon.is_valid and len(polygon.interiors) == 1 and polygon.area == 7


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


def test_a_long_spiral_is_followed_to_its_end():
    mask = np.zeros((201, 201), bool)
    mask[::4], mask[2::8, 0], mask[6::8, -1] = True, True, True
    mask[1::8, 0] = mask[3::8, 0] = mask[5::8, -1] = mask[7::8, -1] = True
    polygons, _, _ = trace(mask, rows=7)
    assert len(polygons) == 1 and polygons[0].is_valid and polygons[0].area == mask.sum()


@settings(max_examples=60)
@given(mask=MASKS)
@example(mask=TOUCHING_ITSELF)
@example(mask=OPEN_AT_A_CORNER)
def test_polygons_are_those_that_gdal_finds(mask):
    theirs = [
        shapely.geometry.shape(geometry)
        for geometry, _ in shapes(mask.astype(np.uint8), mask=mask, connectivity=4)
    ]
    ours, _, _ = trace(mask)
    same = sorted(shapely.to_wkb(shapely.normalize(polygon)) for polygon in ours)
    assert same == sorted(shapely.to_wkb(shapely.normalize(polygon)) for polygon in theirs)


@settings(max_examples=60)
@given(mask=MASKS, rows=st.integers(1, 8))
@example(mask=TOUCHING_ITSELF, rows=1)
@example(mask=OPEN_AT_A_CORNER, rows=2)
def test_blocks_give_the_same_landslides_as_the_whole(mask, rows):
    whole, _, _ = trace(mask)
    blocks, groups, numbers = trace(mask, rows)
    assert len(blocks) == len(whole) == label(mask)[1]
    assert shapely.is_valid(blocks).all()
    assert sorted(map(shapely.normalize, blocks), key=shapely.to_wkb) == sorted(
        map(shapely.normalize, whole), key=shapely.to_wkb
    )
    index = np.concatenate([[-1], groups])[numbers]
    for number, polygon in enumerate(blocks):
        inside = geometry_mask([polygon], mask.shape, Affine.identity(), invert=True)
        np.testing.assert_array_equal(inside, index == number)


@pytest.mark.parametrize("fill", [False, True])
def test_extreme_masks(fill):
    polygons, _, _ = trace(np.full((5, 7), fill), rows=2)
    assert [polygon.area for polygon in polygons] == ([35] if fill else [])
