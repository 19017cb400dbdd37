"""The report of a map, and what the chain tells the inventory."""

import re
import shutil
from functools import partial
from html import unescape
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.chain import map_command as commands
from landslide_mapper.landslide_plugin.chain.choice import choose_model
from landslide_mapper.landslide_plugin.chain.map_command import map as map_landslides
from landslide_mapper.landslide_plugin.contract.errors import OutputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.raster import Source
from landslide_mapper.landslide_plugin.raster.scene_date import scene_date
from shapely import Point, box


def text_of(path):
    page = Path(path).read_text(encoding="utf-8").replace("\n", " ")
    return unescape(re.sub(r"<[^>]+>", " ", page))


@pytest.fixture
def predicted(monkeypatch, make_raster):
    """Have the network say this instead: six landslides, or none."""

    def give(landslides, crs="EPSG:32632"):
        rows, columns = np.mgrid[:80, :70]
        probability = np.full((80, 70), 0.1, np.float32)
        for number in range(landslides):
            row, column = 10 + 11 * number, 8 + 9 * number
            near = (rows - row) ** 2 + (columns - column) ** 2 < (2 + number / 2) ** 2
            probability[near] = 0.8
        path = make_raster("predicted.tif", probability, crs=crs, nodata=-9999)
        monkeypatch.setattr(
            commands, "predict", lambda *, probability, **_: shutil.copy(path, probability)
        )

    return give


def test_the_report_says_what_was_mapped_and_how(layers, make_model, predicted, tmp_path):
    predicted(6)
    html = str(tmp_path / "results" / "map.html")
    model = make_model(
        ["red", "slope", "river_distance"], limits=["Clouds look like slides."], smoothing=15,
        metrics={"recall": 0.636, "split": "validation part"},
    )  # fmt: skip
    events = []
    layers["progress"] = Progress(events.append)
    values = map_landslides(**layers, model=model, html=html)
    inventory = gpd.read_file(values["inventory"], layer="inventory")
    assert values["html"] == html and values["count"] == 6
    assert inventory.river_m.notna().all()
    page, text = Path(html).read_text(encoding="utf-8"), text_of(html)
    assert "6 landslides" in text and "10.7 per km²" in text  # in 0.56 km2
    assert "Landslides per km²" in text and "6 confident (5)" in text
    assert "smoothed by 15 m: elevation, slope, aspect" in text
    assert "The distance to rivers." in text and "Clouds look like slides." in text
    assert "The model untrained was given" in text and "smoothing" not in inventory
    assert re.search(r"Recall: part of the landslides there that it mapped\s+0\.636", text)
    assert re.search(r"45\.1\d+°\sN 9\.0\d+°\sE", text)
    assert page.count("data:image/png;base64,") == 2
    assert not re.search(r"(src|href)=\"(?!data:)", page) and "<script" not in page
    percents = [event["percent"] for event in events if event["type"] == "progress"]
    assert percents == sorted(percents) and percents[-1] == 100


def test_an_inventory_of_a_format_that_renames_its_ids_has_a_report_too(
    layers, make_model, predicted, tmp_path
):
    predicted(6)
    layers["inventory"] = str(tmp_path / "results" / "inventory.kmz")
    html = str(tmp_path / "results" / "map.html")
    values = map_landslides(**layers, model=make_model(["red"]), html=html)
    assert Path(values["inventory"]).exists()
    assert re.search(r"Slope \(degrees\)\s+1\s+6\s", text_of(html)), "the largest is the last"


def test_warnings_on_the_way_are_in_the_report(layers, make_model, predicted, tmp_path):
    predicted(1)
    shapes = [box(500000, 4999200, 500700, 5000000), Point(500100, 4999900)]
    layers["area"] = str(tmp_path / "area.gpkg")
    gpd.GeoDataFrame(geometry=shapes, crs="EPSG:32632").to_file(layers["area"])
    events = []
    layers["progress"] = Progress(events.append)
    html = str(tmp_path / "map.html")
    map_landslides(**layers, model=make_model(["red"]), html=html)
    warnings = [event["text"] for event in events if event["type"] == "warning"]
    assert warnings and all(warning in text_of(html) for warning in warnings)


def test_why_a_model_that_ships_was_taken_is_in_the_report(
    layers, make_model, predicted, tmp_path, monkeypatch
):
    predicted(1)
    make_model(["red"], limits=["Clouds look like slides."])
    monkeypatch.setattr(commands, "choose_model", partial(choose_model, paths=[tmp_path]))
    html = str(tmp_path / "map.html")
    map_landslides(**layers, html=html)
    text = text_of(html)
    assert "Taken is the model untrained, for red and 10 m a pixel; the image has 10 m." in text
    assert text.count("Clouds look like slides.") == 2  # a warning on the way, and the card's


def test_an_empty_map_has_a_report_too(layers, make_model, predicted, tmp_path):
    predicted(0)
    html = str(tmp_path / "map.html")
    del layers["dem"], layers["rivers"]
    values = map_landslides(**layers, model=make_model(["red"]), html=html)
    assert values["count"] == 0
    assert "finds no landslide in 0.56 km²" in text_of(html)
    assert "Nothing: the image was enough" in text_of(html)


@pytest.mark.parametrize(
    "crs",
    ["+proj=eqc +R=3396190 +units=m", 'LOCAL_CS["site",UNIT["metre",1]]'],
    ids=["Mars", "site"],
)
def test_landslides_that_are_nowhere_on_earth_have_coordinates_of_their_map(
    layers, make_model, make_raster, predicted, tmp_path, crs
):
    predicted(1, crs)
    image = np.random.default_rng(0).random((1, 80, 70), np.float32)
    layers["image"] = make_raster("there.tif", image, crs=crs, bands=["red"])
    del layers["dem"], layers["rivers"]
    html = str(tmp_path / "map.html")
    assert map_landslides(**layers, model=make_model(["red"]), html=html)["count"] == 1
    assert re.search(r"x\s50008\d(\.\d+)? y\s4999\d", text_of(html))


def test_what_a_model_says_stays_a_text(layers, make_model, predicted, tmp_path):
    predicted(1)
    html = str(tmp_path / "map.html")
    said = "<script>1</script>{{ 7 * 7 }}"
    map_landslides(**layers, model=make_model(["red"], limits=[said], data=said), html=html)
    page = Path(html).read_text(encoding="utf-8")
    assert "<script" not in page and "49" not in re.findall(r"<h2>The model.*", page, re.S)[0]
    assert page.count("&lt;script&gt;1&lt;/script&gt;{{ 7 * 7 }}") == 2


def test_smoothing_is_the_models_unless_given(layers, make_model, predicted, tmp_path):
    predicted(1)
    html = str(tmp_path / "map.html")
    model = make_model(["slope"], smoothing=15)
    map_landslides(**layers, model=model, html=html, smoothing=0.0)
    assert "not smoothed: elevation" in text_of(html)


def test_a_report_that_can_not_be_written_is_told_before_the_work(layers, make_model, tmp_path):
    with pytest.raises(OutputError, match="nowhere"):
        map_landslides(**layers, model="not even opened", html=str(tmp_path / "nowhere" / "a.html"))


def test_geology_may_be_a_class_raster(layers, make_model, make_raster):
    codes = np.ones((80, 70), np.uint8)
    codes[:, 35:] = 2
    layers["geology"] = make_raster("geology.tif", codes)
    with rasterio.open(layers["geology"], "r+") as dataset:
        dataset.update_tags(1, class_1="Granite", class_2="Marl")
    model = make_model(["red", "lithology_granite", "lithology_marl"])
    assert map_landslides(**layers, model=model, threshold=0.0)["count"] == 1


@pytest.mark.parametrize(
    ("tags", "day"),
    [
        ({"LANDSLIDE_DATE": "2018-09-06"}, "2018-09-06"),
        ({"DATE_ACQUIRED": "20180911"}, "2018-09-11"),
        ({"PRODUCT_START_TIME": "2018-09-12T01:26:49.024Z"}, "2018-09-12"),
        ({"DATE_ACQUIRED": "0000-00-00", "SENSING_TIME": "2018-01-02"}, "2018-01-02"),
        ({"TIFFTAG_DATETIME": "2020:01:01 00:00:00"}, ""),  # when the file was made
        ({}, ""),
    ],
)
def test_the_date_is_that_of_the_scene(make_raster, tags, day):
    path = make_raster("image.tif", np.ones((1, 2, 2), np.uint8))
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(**tags)
    with Source.open(path) as source:
        assert scene_date(source) == day


def test_the_inventory_bears_the_date(layers, make_model, predicted):
    predicted(1)
    with rasterio.open(layers["image"], "r+") as dataset:
        dataset.update_tags(ns="IMAGERY", ACQUISITIONDATETIME="2018-09-06 10:00:00")
    values = map_landslides(**layers, model=make_model(["red"]))
    assert set(gpd.read_file(values["inventory"], layer="inventory").date) == {"2018-09-06"}
