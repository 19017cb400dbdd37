"""Landslides as polygons and as rasters on a grid."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import example, given
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.raster import undeclared
from landslide_mapper.landslide_plugin.raster.grid import Grid
from landslide_mapper.landslide_plugin.raster.landslides import (
    UNLABELLED,
    Mask,
    Polygons,
    is_raster,
    least_landslide,
)
from landslide_mapper.landslide_plugin.raster.source import Source
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.windows import Window
from shapely.geometry import Point, box

GRID = Grid(CRS.from_epsg(32632), from_origin(0, 100, 10, 10), 10, 10)
WHOLE = Window(0, 0, 10, 10)


def polygons(*shapes):
    return Polygons(gpd.GeoDataFrame(geometry=list(shapes), crs="EPSG:32632"), GRID)


def test_pixels_whose_centre_is_inside():
    ids = polygons(box(14, 64, 36, 96)).ids(WHOLE)
    expected = np.zeros((10, 10), int)
    expected[0:4, 1:4] = 1
    # centres at x 15, 25, 35 and y 95, 85, 75, 65
    assert (ids == expected).all()


def test_polygon_between_the_centres_takes_one_pixel():
    ids = polygons(box(16, 71, 24, 74)).ids(WHOLE)
    assert (ids > 0).sum() == 1
    assert ids[2, 1] == 1 or ids[2, 2] == 1


def test_tiny_polygon_is_not_swallowed_by_a_large_one():
    ids = polygons(box(16, 71, 19, 74), box(0, 0, 100, 100)).ids(WHOLE)
    assert ids[2, 1] == 1
    assert (ids == 2).sum() == 99


@pytest.mark.parametrize("nothing", [255, -1])
def test_what_stands_for_nothing_beside_numbers_of_landslides_is_not_known(make_raster, nothing):
    numbers = np.array([[0, 1, 2], [0, nothing, nothing]], np.int16)
    said = []
    with Source.open(make_raster("m.tif", numbers)) as mask:
        assert least_landslide(mask, None, "", Progress(said.append)) is None
        ids = Mask(mask).ids(Window(0, 0, 3, 2))
    assert ids.tolist() == [[0, 1, 1], [0, UNLABELLED, UNLABELLED]]
    (text,) = [event["text"] for event in said if "text" in event and "declare" in event["text"]]
    assert text.startswith(f"{nothing} on 33 % of the pixels of")


@pytest.mark.parametrize("nodata", [None, 255])
def test_whole_numbers_that_may_be_probabilities_are_said_to_be_landslide(make_raster, nodata):
    said = []
    with Source.open(make_raster("m.tif", np.array([[0, 30, 80]], np.uint8), nodata=nodata)) as one:
        assert least_landslide(one, None, "say from which on", Progress(said.append)) is None
        assert least_landslide(one, 50, "", Progress(said.append)) == 50
    (text,) = [event["text"] for event in said if "text" in event]
    assert "has whole numbers up to 80, and all above 0 are taken for landslide" in text


def test_looking_through_a_mask_tells_how_far_it_is(make_raster, monkeypatch):
    monkeypatch.setattr(undeclared, "_MEGABYTES", 0.01)  # blocks of 256 rows
    events: list[dict[str, float]] = []
    with Source.open(make_raster("tall.tif", np.ones((1024, 8), np.uint8))) as mask:
        least_landslide(mask, None, "", Progress(events.append, 0.2, 0.4))
    assert [event["percent"] for event in events] == [20, 25, 30, 35]


def test_a_mask_of_255_alone_is_one(make_raster):
    with Source.open(make_raster("m.tif", np.array([[0, 255]], np.uint8))) as mask:
        assert least_landslide(mask, None, "", Progress()) is None
        assert Mask(mask).ids(Window(0, 0, 2, 1)).tolist() == [[0, 1]]


def test_overlap_goes_to_the_later():
    ids = polygons(box(0, 0, 60, 100), box(40, 0, 100, 100)).ids(WHOLE)
    assert (ids[:, :4] == 1).all()
    assert (ids[:, 4:] == 2).all()


@given(
    st.lists(st.tuples(st.floats(-20, 120), st.floats(-20, 120), st.floats(0.5, 40)), max_size=8),
    st.integers(-3, 9),
    st.integers(-3, 9),
    st.integers(1, 12),
)
@example([(0.0, 0.0, 3.5)], 0, 0, 10)  # at the corner of four pixels
def test_a_window_is_a_part_of_the_whole(circles, column, row, size):
    """Also for polygons cut by the window's edge, and windows over the grid's edge."""
    layer = polygons(*(Point(x, y).buffer(radius) for x, y, radius in circles))
    around = layer.ids(Window(-20, -20, 60, 60))
    part = around[row + 20 : row + 20 + size, column + 20 : column + 20 + size]
    assert (layer.ids(Window(column, row, size, size)) == part).all()


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0.01, 8))
def test_no_polygon_on_the_grid_vanishes(x, y, radius):
    layer = polygons(Point(x, y).buffer(radius))
    assert (layer.ids(Window(-5, -5, 20, 20)) == 1).any()


def test_mask_numbers_by_eight_neighbours_and_knows_nodata(make_raster):
    values = np.array([[1, 0, 0, 7], [0, 1, 0, 7], [0, 0, 0, 9]], np.uint8)
    with Source.open(make_raster("m.tif", values, nodata=9)) as source:
        ids = Mask(source).ids(Window(0, 0, 5, 3))
    assert ids.tolist() == [
        [1, 0, 0, 2, UNLABELLED],
        [0, 1, 0, 2, UNLABELLED],
        [0, 0, 0, UNLABELLED, UNLABELLED],
    ]


@pytest.mark.parametrize("shift", [0, 0.01])
def test_zero_is_background_where_a_mask_declares_it_as_nodata(make_raster, shift):
    """Many masks do so; read as they are, or on another grid. What is outside stays unknown."""
    path = make_raster("mask.tif", np.array([[0, 1, 0, 0]], np.uint8), nodata=0)
    with Source.open(path, zero_is_data=True) as source:
        transform = source.grid.transform * Affine.translation(shift, 0)
        grid = Grid(source.grid.crs, transform, 6 if shift else 4, 1)
        ids = Mask(source.on(grid, "nearest")).ids(Window(0, 0, 6, 1))
    assert ids[0].tolist() == [0, 1, 0, 0, UNLABELLED, UNLABELLED]
    with Source.open(path) as source:
        assert (Mask(source).ids(Window(0, 0, 4, 1))[0] == UNLABELLED).tolist() == [1, 0, 1, 1]


def test_mask_threshold_is_inclusive(make_raster):
    values = np.array([[0.4, 0.5, np.nan, 0.6]], np.float32)
    with Source.open(make_raster("m.tif", values)) as source:
        ids = Mask(source, 0.5).ids(Window(0, 0, 4, 1))
    assert ids.tolist() == [[0, 1, UNLABELLED, 2]]


def test_what_is_a_raster(make_raster, tmp_path):
    raster = make_raster("a.tif", np.ones((3, 3), np.uint8))
    vector = tmp_path / "b.gpkg"
    gpd.GeoDataFrame(geometry=[box(0, 0, 1, 1)], crs="EPSG:32632").to_file(vector)
    broken = tmp_path / "c.tif"
    broken.write_text("x")
    assert is_raster(raster)
    assert is_raster(broken)
    assert not is_raster(vector)
    assert not is_raster(f"{vector}|layername=b")
    assert not is_raster(tmp_path / "gone.tif")
    assert not is_raster(f"{vector}|layerid=0")


def test_a_geopackage_of_rasters_and_polygons_is_neither(tmp_path):
    path = tmp_path / "both.gpkg"
    grid = {"crs": "EPSG:32632", "transform": from_origin(0, 10, 1, 1), "width": 8, "height": 8}
    with rasterio.open(path, "w", driver="GPKG", count=1, dtype="uint8", **grid) as dataset:
        dataset.write(np.ones((1, 8, 8), np.uint8))
    assert is_raster(path)
    gpd.GeoDataFrame(geometry=[box(0, 0, 1, 1)], crs=32632).to_file(path, layer="a", mode="a")
    with pytest.raises(
        InputError, match=r"holds rasters and the layer a: name one by .*\|layername=a"
    ):
        is_raster(path)
    assert not is_raster(f"{path}|layername=a")
    assert is_raster(f"GPKG:{path}:both")


def test_overlap_with_the_grid():
    assert polygons(box(90, 90, 200, 200)).overlaps_grid()
    assert not polygons(box(200, 200, 300, 300)).overlaps_grid()
