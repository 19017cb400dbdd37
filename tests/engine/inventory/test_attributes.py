"""Measures and statistics of landslides."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.inventory.attributes import (
    FIELDS,
    Statistics,
    make_inventory,
)
from landslide_mapper.landslide_plugin.inventory.measures import measures
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


@settings(max_examples=60, deadline=None)
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
