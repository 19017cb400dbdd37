"""Holes, simplification and smoothing of a coverage."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from landslide_mapper.landslide_plugin.inventory.division import traced
from landslide_mapper.landslide_plugin.inventory.holes import without_holes
from landslide_mapper.landslide_plugin.inventory.outlines import Polygonizer, outline
from landslide_mapper.landslide_plugin.inventory.polygons import simplified, smoothed, to_map
from landslide_mapper.landslide_plugin.raster import Grid
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin
from rasterio.windows import Window
from scipy.ndimage import label

GRID = Grid(CRS.from_epsg(32632), from_origin(500000, 5000000, 10, 10), 40, 40)
MASKS = arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24)))


def label_all(classes):
    """Number the 4-connected patches of equal class, from 1."""
    numbers, count = np.zeros_like(classes), 0
    for value in np.unique(classes):
        patches, result = label(classes == value)
        numbers += np.where(patches > 0, patches + count, 0)
        count += result
    return numbers.astype(np.int64)


def trace(mask):
    polygonizer = Polygonizer()
    polygonizer.add(outline(mask, 0)[0])
    return polygonizer.finish()[0]


@pytest.mark.parametrize(("max_hole", "left"), [(0, 2), (100, 1), (399, 1), (400, 0)])
def test_holes_up_to_the_limit_are_filled(max_hole, left):
    mask = np.ones((20, 20), bool)
    mask[4, 4] = False  # 100 m²
    mask[10:12, 10:12] = False  # 400 m²
    polygons = trace(mask)
    filled, _ = without_holes(polygons, max_hole, GRID)
    assert len(filled[0].interiors) == left
    assert len(polygons[0].interiors) == 2


def test_a_hole_of_just_the_limit_is_filled_whatever_rounding_makes_of_it():
    mask = np.ones((20, 20), bool)
    mask[4:9, 4:9] = False  # 25 pixels of .2 x .2 m
    grid = Grid(GRID.crs, from_origin(500000, 5000000, 0.2, 0.2), 20, 20)
    assert not without_holes(trace(mask), 1.0, grid)[0][0].interiors


def test_a_landslide_in_a_filled_hole_is_part_of_what_surrounds_it():
    mask = np.ones((20, 20), bool)
    mask[5:15, 5:15] = False
    mask[8:12, 8:12] = True  # an island
    polygons = trace(mask)
    filled, owner = without_holes(polygons, 10000, GRID)
    outer, island = np.argsort(-shapely.area(filled))
    assert filled[outer].area == 400 and owner.tolist() == [outer, outer]
    assert without_holes(polygons, 8000, GRID)[1].tolist() == [0, 1]
    assert island in (0, 1)


@settings(max_examples=40)
@given(mask=MASKS, tolerance=st.floats(0.1, 30), rounds=st.integers(0, 3))
def test_changed_polygons_are_valid_apart_and_none_is_lost(mask, tolerance, rounds):
    polygons = trace(mask)
    changed = smoothed(simplified(polygons, tolerance), rounds)
    assert len(changed) == len(polygons)
    assert shapely.is_valid(changed).all() and not shapely.is_empty(changed).any()
    assert all(geometry.geom_type == "Polygon" for geometry in changed)
    assert shapely.union_all(changed).area == pytest.approx(shapely.area(changed).sum())


@settings(max_examples=40)
@given(
    classes=arrays(
        np.int32, st.tuples(st.integers(2, 16), st.integers(2, 16)), elements=st.integers(1, 4)
    ),
    tolerance=st.floats(0, 20),
    rounds=st.integers(0, 3),
)
def test_shared_edges_stay_shared(classes, tolerance, rounds):
    """The classes fill a rectangle: what they cover together has neither gap nor overlap."""
    pieces = traced(label_all(classes), Window(0, 0, 0, 0))
    changed = smoothed(simplified(pieces, tolerance), rounds)
    assert shapely.coverage_is_valid(changed)
    union = shapely.union_all(changed)
    assert union.area == pytest.approx(shapely.area(changed).sum(), rel=1e-12)
    assert len(union.interiors) == 0  # no gap


def test_smoothing_rounds_a_square():
    square = np.array([shapely.box(0, 0, 8, 8)], object)
    (octagon,) = smoothed(square, 1)
    assert len(octagon.exterior.coords) == 9 and octagon.area == 64 - 4 * 2
    assert smoothed(square, 0) is square


def test_smoothing_keeps_the_place_where_two_touch():
    mask = np.zeros((12, 12), bool)
    mask[1:6, 1:6] = mask[6:11, 6:11] = True
    first, second = smoothed(trace(mask), 3)
    assert first.touches(second) and first.intersection(second).equals(shapely.Point(6, 6))


def test_simplifying_drops_the_stairs():
    rows, cols = np.mgrid[:60, :60]
    mask = np.abs(rows - cols) < 12
    polygons = trace(mask)
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
