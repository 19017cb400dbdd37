"""The command `evaluate` and its report."""

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError, OutputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.evaluation import compare
from landslide_mapper.landslide_plugin.evaluation.layers import RasterReader
from landslide_mapper.landslide_plugin.evaluation.metrics import METRICS, Confusion, all_metrics
from landslide_mapper.landslide_plugin.raster.grid import Grid
from landslide_mapper.landslide_plugin.raster.landslides import Polygons
from landslide_mapper.landslide_plugin.raster.source import Source
from rasterio.transform import from_origin
from rasterio.windows import Window
from shapely.geometry import box

from .judging import LEFT, TOP, masks, run


@pytest.fixture
def make_polygons(tmp_path):
    """Return a function that writes rectangles of pixels, (column, row, width, height)."""

    def make(name, *places, crs="EPSG:32632"):
        shapes = [
            box(LEFT + 10 * c, TOP - 10 * (r + h), LEFT + 10 * (c + w), TOP - 10 * r)
            for c, r, w, h in places
        ]
        frame = gpd.GeoDataFrame(geometry=shapes, crs="EPSG:32632")
        frame = frame.set_crs(None, allow_override=True) if crs is None else frame.to_crs(crs)
        frame.to_file(tmp_path / name)
        return str(tmp_path / name)

    return make


def counts(values):
    return tuple(values[key] for key in ("tp", "fp", "fn", "tn"))


def test_masks_give_the_counts_of_numpy(make_raster):
    ours, truth = masks()
    values = run(make_raster("p.tif", ours), make_raster("r.tif", truth))
    expected = Confusion.of(ours > 0, truth > 0)
    assert counts(values) == (expected.tp, expected.fp, expected.fn, expected.tn)
    assert {key: values[key] for key in METRICS} == all_metrics(expected)


def test_probability_is_cut_at_the_threshold(make_raster):
    probability = np.linspace(0, 1, 101, dtype=np.float32).reshape(1, 101)
    path = make_raster("p.tif", probability)
    truth = make_raster("r.tif", np.ones((1, 101), np.uint8))
    for threshold in (0.25, 0.5, 1.0):
        values = run(path, truth, threshold=threshold)
        assert values["tp"] == (probability >= threshold).sum()


def test_polygons_against_raster_both_ways(make_raster, make_polygons):
    mask = np.zeros((60, 80), np.uint8)
    mask[10:20, 10:30] = 1
    raster = make_raster("mask.tif", mask)
    polygons = make_polygons("p.gpkg", (20, 10, 20, 10), (60, 40, 5, 5))
    one, other = run(raster, polygons), run(polygons, raster)
    assert counts(one) == (100, 100, 125, 60 * 80 - 325)
    assert counts(other) == (100, 125, 100, 60 * 80 - 325)
    assert (one["hit_rate"], one["reference_landslides"]) == (0.5, 2)
    assert (other["hit_rate"], other["predicted_landslides_hit"]) == (1, 1)


def test_polygons_against_polygons(make_polygons):
    """Area ratios come out right on the grid that is made for them."""
    ours = make_polygons("o.gpkg", (0, 0, 20, 10))
    truth = make_polygons("t.gpkg", (10, 0, 20, 10))
    events = []
    values = run(ours, truth, events)
    assert values["iou_landslide"] == pytest.approx(1 / 3, abs=0.02)
    assert any("overall accuracy depends" in event.get("text", "") for event in events)
    assert run(ours, ours)["f1"] == 1
    area = make_polygons("a.gpkg", (0, 0, 100, 100))
    values = run(ours, truth, area=area)
    assert (values["tp"] + values["fp"]) / sum(counts(values)) == pytest.approx(0.02, rel=0.05)


def test_degrees_against_metres(make_raster, make_polygons):
    mask = np.zeros((60, 80), np.uint8)
    mask[10:30, 10:40] = 1
    polygons = make_polygons("p.gpkg", (10, 10, 30, 20), crs="EPSG:4326")
    events = []
    values = run(make_raster("mask.tif", mask), polygons, events)
    assert values["f1"] == 1
    assert any("reference is brought to EPSG:32632" in event.get("text", "") for event in events)
    assert run(polygons, polygons)["f1"] == 1  # compared in UTM


def test_only_known_pixels_inside_the_area_count(make_raster, make_polygons):
    ours, truth = masks(1)
    ours[:5], truth[:, :7] = 255, 9
    area = make_polygons("a.gpkg", (0, 0, 40, 60))
    values = run(
        make_raster("p.tif", ours, nodata=255), make_raster("r.tif", truth, nodata=9), area=area
    )
    expected = Confusion.of(ours[5:, 7:40] == 1, truth[5:, 7:40] == 1)
    assert counts(values) == (expected.tp, expected.fp, expected.fn, expected.tn)


def test_many_blocks_give_the_same_as_one(make_raster, monkeypatch):
    ours, truth = masks(2, (90, 70))
    paths = make_raster("p.tif", ours), make_raster("r.tif", truth)
    whole = run(*paths)
    monkeypatch.setattr(Grid, "rows_within", lambda self, megabytes, bands, multiple=1: multiple)
    monkeypatch.setattr(compare, "MAP_PIXELS", 50)
    events = []
    same = {
        key: pytest.approx(value, rel=1e-12) if isinstance(value, float) else value
        for key, value in whole.items()
    }
    assert run(*paths, events) == same  # areas are no whole numbers, so their sums are rounded
    percents = [event["percent"] for event in events if event["type"] == "progress"]
    assert len(percents) > 5
    assert percents[-1] == 100


def test_error_map_counts_every_pixel_once(make_raster, monkeypatch):
    monkeypatch.setattr(compare, "MAP_PIXELS", 16)
    ours, truth = masks(3, (61, 83))
    with (
        Source.open(make_raster("p.tif", ours)) as one,
        Source.open(make_raster("r.tif", truth)) as other,
    ):
        readers = [RasterReader(source, None) for source in (one, other)]
        window = Window(0, 0, 83, 61)
        values = compare.compare(readers[:1], readers[1], None, one.grid, window, 0, Progress())
    assert values.step == 6
    (result,) = values.results
    assert result.errors.shape == (3, 11, 14)
    assert values.valid.shape == (11, 14)
    confusion = result.confusion
    sums = result.errors.sum(axis=(1, 2))
    assert tuple(sums) == (confusion.tp, confusion.fp, confusion.fn)
    assert values.valid.sum() == 61 * 83 == confusion.total


def test_json_has_null_for_undefined(make_raster, tmp_path):
    empty = make_raster("e.tif", np.zeros((9, 9), np.uint8))
    path = tmp_path / "m.json"
    values = run(empty, empty, json=str(path))
    read = json.loads(path.read_text())
    assert read["precision"] is None is values["precision"]
    assert (read["oa"], read["tn"], read["fpr"]) == (1, 81, 0)
    assert read["LANDSLIDE_VERSION"]


def test_whole_numbers_above_one_are_warned_of(make_raster):
    ours, truth = masks(6)
    events = []
    values = run(make_raster("p.tif", ours * 255), make_raster("r.tif", truth), events)
    expected = Confusion.of(ours > 0, truth > 0)
    assert values["tp"] == expected.tp
    warnings = [event["text"] for event in events if event["type"] == "warning"]
    assert any("whole numbers up to 255" in text for text in warnings)


@pytest.mark.parametrize("nothing", [255, -1])
def test_what_stands_for_nothing_in_a_mask_is_not_compared(make_raster, nothing):
    ours, truth = masks(6)
    whole = ours.astype(np.int16), truth.astype(np.int16)
    for number, part in enumerate(whole):
        part[10 * number : 10 * number + 10] = nothing
    events = []
    paths = [make_raster(f"{name}.tif", part) for name, part in zip("pr", whole, strict=True)]
    values = run(paths[0], paths[1], events)
    expected = Confusion.of(ours[20:] > 0, truth[20:] > 0)
    assert (values["tp"], values["tn"]) == (expected.tp, expected.tn)
    assert sum(f"{nothing} on" in event.get("text", "") for event in events) == 2
    assert not any("whole numbers up to" in event.get("text", "") for event in events)


def test_bad_input(make_raster, make_polygons, tmp_path):
    ours, truth = masks(7)
    good, other = make_raster("p.tif", ours), make_raster("r.tif", truth)
    away = make_raster("away.tif", truth, transform=from_origin(0, 0, 10, 10))
    blind = make_raster("blind.tif", truth, crs=None)
    blind_polygons = make_polygons("blind.shp", (1, 1, 2, 2), crs=None)
    far = make_polygons("far.gpkg", (9000, 0, 5, 5))
    percent = make_raster("percent.tif", ours.astype(np.float32) * 100)
    empty = make_raster("empty.tif", np.full((60, 80), 255, np.uint8), nodata=255)
    (tmp_path / "text.tif").write_text("no raster")
    text = str(tmp_path / "text.tif")
    html, missing = str(tmp_path / "out.html"), str(tmp_path / "no" / "out.html")
    before = sorted(tmp_path.iterdir())
    cases = [
        (InputError, "predicted map layer gone does not exist", {"predicted": "gone"}),
        (InputError, "reference .*text.tif is not a raster", {"reference": text}),
        (GridError, "does not overlap", {"reference": away}),
        (GridError, "reference .* has no CRS", {"reference": blind}),
        (GridError, "reference layer .* has no CRS", {"reference": blind_polygons}),
        (InputError, "reference layer .* lies outside", {"reference": far}),
        (InputError, "area layer .* lies outside", {"area": far}),
        (InputError, "area layer gone does not exist", {"area": "gone"}),
        (InputError, "values from 0 to 100: give a mask, or", {"predicted": percent}),
        (InputError, "No pixel is known", {"predicted": empty}),
        (InputError, "THRESHOLD is 0: choose", {"threshold": 0}),
        (GridError, "does not overlap", {"image": away}),
        (OutputError, "no does not exist", {"html": missing}),
    ]
    for error, match, options in cases:
        given = {"predicted": good, "reference": other, "html": html, **options}
        with pytest.raises(error, match=match) as caught:
            run(**given)
        assert "\n" not in str(caught.value)
        assert sorted(tmp_path.iterdir()) == before


def test_an_earlier_report_survives_a_failure(make_raster, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("earlier")
    good = make_raster("p.tif", masks()[0])
    with pytest.raises(InputError):
        run(good, "gone", html=str(path))
    assert path.read_text() == "earlier"


def test_kashmir_polygons_against_themselves_rasterised(data_dir, make_raster):
    """3819 real polygons: the raster made of them agrees with them everywhere."""
    polygons = str(data_dir / "kashmir" / "landslides.shp")
    with rasterio.open(data_dir / "kashmir" / "AW3D30.tif") as dataset:
        grid = Grid.of(dataset)
    ids = Polygons(gpd.read_file(polygons), grid).ids(Window(0, 0, grid.width, grid.height))
    mask = (ids > 0).astype(np.uint8)
    values = run(make_raster("mask.tif", mask, crs=grid.crs, transform=grid.transform), polygons)
    assert values["f1"] == values["kappa"] == values["hit_rate"] == 1
    assert values["reference_landslides"] == len(np.unique(ids)) - 1 > 3700
    assert values["tp"] == mask.sum()


def test_kashmir_polygons_against_polygons(data_dir, tmp_path):
    polygons = str(data_dir / "kashmir" / "landslides.shp")
    path = Path(tmp_path / "report.html")
    dem = str(data_dir / "kashmir" / "AW3D30.tif")
    values = run(polygons, polygons, html=str(path), image=dem)
    assert values["f1"] == values["iou_landslide"] == 1
    assert 1e5 < path.stat().st_size < 1e6


@pytest.mark.parametrize("name", [r"$\frac$", "$a$_$b$", r"a\$b$^$"])
def test_dollars_in_a_name_are_no_formula(make_raster, tmp_path, name):
    probability = np.random.default_rng(1).random((40, 40), np.float32)
    path = make_raster("p.tif", probability)
    path = Path(path).rename(tmp_path / f"{name}.tif")
    page = tmp_path / "report.html"
    run(str(path), make_raster("r.tif", masks(shape=(40, 40))[1]), html=str(page), threshold=0.5)
    assert name in page.read_text(encoding="utf-8")
