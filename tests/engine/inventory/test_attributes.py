"""Measures and statistics of landslides."""

import re
import sqlite3
from contextlib import closing
from xml.etree import ElementTree

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.contract.errors import OutputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inventory.attributes import (
    FIELDS,
    confidence,
    make_inventory,
)
from landslide_mapper.landslide_plugin.inventory.layer import write_inventory
from landslide_mapper.landslide_plugin.inventory.measures import extents, measures
from landslide_mapper.landslide_plugin.inventory.statistics import Statistics
from pyproj import Transformer

SQUARE = shapely.box(500000, 4999900, 500100, 5000000)


def test_a_hectare_on_the_central_meridian():
    """The UTM scale factor there is 0.9996, so true lengths are 1/0.9996 times longer."""
    area, perimeter = measures(np.array([SQUARE], object), "EPSG:32632")
    assert area[0] == pytest.approx(10000 / 0.9996**2, rel=1e-5)
    assert perimeter[0] == pytest.approx(400 / 0.9996, rel=1e-5)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:3035", "EPSG:27572", "EPSG:2056"])
def test_area_is_the_same_on_any_crs(crs):
    """EPSG:27572 counts in grads from Paris, EPSG:3857 is far from true to scale."""
    area, perimeter = measures(np.array([SQUARE], object), "EPSG:32632")
    move = Transformer.from_crs("EPSG:32632", crs, always_xy=True)
    moved = shapely.transform(SQUARE, lambda xy: np.stack(move.transform(*xy.T), axis=1))
    other_area, other_perimeter = measures(np.array([moved], object), crs)
    assert other_area[0] == pytest.approx(area[0], rel=1e-3)
    assert other_perimeter[0] == pytest.approx(perimeter[0], rel=1e-3)


def test_holes_are_not_counted_in_the_area_and_not_in_the_perimeter():
    ring = SQUARE.difference(shapely.box(500040, 4999940, 500060, 4999960))
    area, perimeter = measures(np.array([SQUARE, ring], object), "EPSG:32632")
    assert area[0] - area[1] == pytest.approx(400, rel=1e-3)
    assert perimeter[0] == pytest.approx(perimeter[1])


def test_mars_has_its_own_ellipsoid():
    mars = "+proj=eqc +R=3396190 +units=m +no_defs"
    area, _ = measures(np.array([shapely.box(0, 0, 1000, 1000)], object), mars)
    assert area[0] == pytest.approx(1e6, rel=1e-3)


def test_a_plain_image_is_measured_in_its_own_units():
    area, perimeter = measures(np.array([shapely.box(0, 0, 3, 5)], object), None)
    assert (area[0], perimeter[0]) == (15, 16)


def test_an_inventory_has_all_fields_in_order_and_null_where_unknown():
    frame = make_inventory(np.array([SQUARE], object), "EPSG:32632", {"score": [0.7]})
    assert list(frame.columns) == [*FIELDS, "geometry"]
    assert frame["id"].tolist() == [1] and frame["score"].tolist() == [0.7]
    assert frame[["prob_mean", "slope_mean", "model"]].isna().all(axis=None)


def test_an_empty_inventory_has_all_fields_and_types():
    frame = make_inventory(np.empty(0, object), "EPSG:32632", {"score": [], "model": "m"})
    assert frame.empty and list(frame.columns) == [*FIELDS, "geometry"]
    assert {name: str(frame[name].dtype) for name in FIELDS} == {
        name: field.kind for name, field in FIELDS.items()
    }
    assert frame.crs.to_epsg() == 32632


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), rows=st.integers(1, 12), share=st.floats(0, 1))
def test_statistics_equal_those_of_each_landslides_pixels(seed, rows, share):
    random = np.random.default_rng(seed)
    numbers = random.integers(0, 6, (rows, 9))
    groups = np.array([0, 1, 0, 2, 2])  # numbers 1 and 3 are one landslide, 4 and 5 too
    values = random.normal(500, 200, numbers.shape).astype("float32")
    valid = random.random(numbers.shape) < share
    statistics = Statistics()
    for top in range(0, rows, 4):
        block = slice(top, top + 4)
        statistics.add(numbers[block], values[block], valid[block])
    result = statistics.result(groups, 3)
    for group in range(3):
        mine = np.isin(numbers, 1 + np.flatnonzero(groups == group)) & valid
        chosen = values[mine].astype(float)
        expected = {
            "min": chosen.min() if chosen.size else np.nan,
            "max": chosen.max() if chosen.size else np.nan,
            "mean": chosen.mean() if chosen.size else np.nan,
        }
        assert {name: result[name][group] for name in expected} == pytest.approx(
            expected, nan_ok=True
        )


def test_the_mean_of_directions_is_circular():
    statistics = Statistics(circular=True)
    numbers = np.array([[1, 1, 2, 2, 3, 3]])
    degrees = np.array([[350, 30, 170, 190, 0, 180]], "float32")
    statistics.add(numbers, degrees, np.ones(numbers.shape, bool))
    mean = statistics.result(np.array([0, 1, 2]), 3)["mean"]
    assert mean[:2] == pytest.approx([10, 180])
    assert np.isnan(mean[2])


def test_a_mean_direction_a_hair_west_of_north_is_0():
    statistics = Statistics(circular=True)
    degrees = np.array([[350, 10, 360]], "float32")
    statistics.add(np.ones((1, 3), int), degrees, np.ones((1, 3), bool))
    assert 0 <= statistics.result(np.array([0]), 1)["mean"][0] < 1e-6


BARE = np.array([shapely.box(500000, 4999900, 500060, 5000000)], object)
"""60 m wide and 100 m from south to north, on the central meridian."""


@pytest.mark.parametrize(
    ("direction", "length", "width"),
    [(0, 100, 60), (180, 100, 60), (90, 60, 100), (np.nan, 100, 60), (45, 113.1, 113.1)],
)
@pytest.mark.parametrize("crs", ["EPSG:32632", None])
def test_length_is_the_extent_down_the_slope(direction, length, width, crs):
    result = extents(BARE, crs, np.array([direction]))
    assert (result[0][0], result[1][0]) == pytest.approx((length, width), rel=1e-3)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857"])
def test_length_is_in_metres_on_any_crs(crs):
    move = Transformer.from_crs("EPSG:32632", crs, always_xy=True)
    moved = shapely.transform(BARE, lambda xy: np.stack(move.transform(*xy.T), axis=1))
    result = extents(moved, crs, np.array([0.0]))
    assert (result[0][0], result[1][0]) == pytest.approx((100, 60), rel=2e-3)


def test_directions_count_from_true_north_where_the_way_up_the_map_is_another_one():
    move = Transformer.from_crs("EPSG:32632", "EPSG:3413", always_xy=True)
    moved = shapely.transform(BARE, lambda xy: np.stack(move.transform(*xy.T), axis=1))
    length, width = extents(moved, "EPSG:3413", np.array([0.0]), north_is_true=True)
    assert (length[0], width[0]) == pytest.approx((100, 60), rel=2e-3)
    length, _ = extents(moved, "EPSG:3413", np.array([0.0]))  # 54 degrees off
    assert length[0] > 105


def test_confidence_in_the_steps_of_the_usgs():
    mean = np.array([0.95, 0.9, 0.8, 0.75, 0.6, 0.5, 0.39, np.nan])
    assert confidence(mean).tolist()[:-1] == [8, 8, 5, 5, 3, 2, 1]
    assert confidence(np.array([0.9], np.float32).astype(float)).tolist() == [8]
    assert pd.isna(confidence(mean)[7])


def test_field_names_survive_a_shapefile():
    names = [field.short or name for name, field in FIELDS.items()]
    assert max(map(len, names)) <= 10 and len(set(names)) == len(names)


def test_names_and_numbers_survive_each_format(tmp_path):
    columns = {"prob_mean": [0.93], "aspect_mean": [12.0], "date": "2018-09-06"}
    frame = make_inventory(np.array([SQUARE], object), "EPSG:32632", columns)
    for ending in ("gpkg", "shp", "shp.zip", "geojson", "fgb"):
        said = []
        path = str(tmp_path / f"inventory.{ending}")
        write_inventory(frame, path, Progress(said.append))
        back = gpd.read_file(path, layer=0)
        short = {field.short: name for name, field in FIELDS.items() if field.short}
        row = back.rename(columns=short).iloc[0]
        assert row.aspect_mean == 12 and row.confidence == 8 and str(row.date)[:10] == "2018-09-06"
        assert bool(said) == ending.startswith("shp")


def test_a_geopackage_holds_aliases_and_a_style(tmp_path):
    path = tmp_path / "inventory.gpkg"
    frame = make_inventory(np.array([SQUARE], object), "EPSG:32632", {})
    write_inventory(frame, str(path), Progress())
    with closing(sqlite3.connect(path)) as database:
        titles = dict(database.execute("SELECT column_name, title FROM gpkg_data_columns"))
        styles = database.execute("SELECT f_table_name, styleQML, update_time FROM layer_styles")
        ((layer, style, time),) = styles
    assert re.fullmatch(r"[\d-]{10}T[\d:.]{12}Z", time)  # as OGC 12-128 has them
    assert titles["area_m2"] == "Area (m²)" and set(titles) == set(FIELDS)
    assert layer == "inventory"
    root = ElementTree.fromstring(style)  # noqa: S314 - our own
    assert [item.get("field") for item in root.iterfind("aliases/*")] == list(FIELDS)


def test_a_disk_that_fails_while_the_style_is_added_is_told_of(tmp_path, monkeypatch):
    def fails(path):
        raise sqlite3.OperationalError("disk I/O error")

    frame = make_inventory(np.array([SQUARE], object), "EPSG:32632", {})
    monkeypatch.setattr(sqlite3, "connect", fails)
    with pytest.raises(OutputError, match="disk I/O error"):
        write_inventory(frame, str(tmp_path / "inventory.gpkg"), Progress())
    assert not list(tmp_path.iterdir())


def test_a_polygon_that_is_but_a_line_is_as_long_and_of_no_width():
    line = shapely.Polygon([(500000, 5000000), (500030, 5000040), (500000, 5000000)])
    shapes = np.array([line, SQUARE], object)
    length, width = extents(shapes, "EPSG:32632", np.full(2, np.nan))
    assert length[0] == pytest.approx(50, rel=1e-3) and width[0] == 0
    assert width[1] > 0
