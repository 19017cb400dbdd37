"""The threshold of a probability raster travels with it, through whatever copies its metadata."""

import json
import subprocess

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.contract.tags import MODEL
from landslide_mapper.landslide_plugin.contract.tags import THRESHOLD as TAG
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.evaluation.evaluate_command import evaluate
from landslide_mapper.landslide_plugin.factors.analysis.factoranalysis_command import factoranalysis
from landslide_mapper.landslide_plugin.inventory.vectorize_command import vectorize
from landslide_mapper.landslide_plugin.raster import Source
from landslide_mapper.landslide_plugin.raster.threshold import (
    Threshold,
    carried,
    threshold_tag,
)
from landslide_mapper.landslide_plugin.samples.samples_command import samples
from landslide_mapper.models.known_models import WEIGHTS
from landslide_mapper.models.model_file import load_card
from rasterio.transform import from_origin

STEPS = np.repeat(np.linspace(0, 1, 11, dtype=np.float32), 10)[np.newaxis].repeat(40, 0)
"""Columns of ten pixels each of 0, 0.1 ... 1."""
SHIPPED = {path.stem: load_card(path).threshold for path in WEIGHTS.glob("*.safetensors")}


@pytest.fixture
def make(make_raster):
    """Return a function that writes a probability raster with metadata items."""

    def make(name="p.tif", tags=None, values=STEPS, **options):
        path = make_raster(name, values, nodata=-9999, **options)
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(**tags or {})
        return path

    return make


def threshold(path, asked=None):
    with Source.open(path) as source:
        return Threshold.of(source, asked)


def made_by(name, **parameters):
    return {
        "LANDSLIDE_ALGORITHM": "landslide:predict",
        "LANDSLIDE_MODEL": name,
        "LANDSLIDE_PARAMETERS": json.dumps(parameters),
    }


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 0.695, 1.0])
def test_what_is_written_is_read_to_the_last_digit(make, value):
    assert threshold(make(tags=threshold_tag(value))).value == value


@pytest.mark.parametrize(
    ("tags", "value", "origin"),
    [
        ({}, 0.5, "tells of no threshold"),
        ({TAG: "0.7"}, 0.7, "carried by the raster"),
        ({TAG: "0.7", "LANDSLIDE_MODEL": "mine"}, 0.7, "carried by the raster of the model mine"),
        ({TAG: "*"}, 0.5, "tells of no threshold"),  # of a mosaic that GDAL warped together
        ({TAG: "nan"}, 0.5, "tells of no threshold"),
        ({TAG: "70"}, 0.5, "tells of no threshold"),
        (made_by("sentinel2-rgb"), SHIPPED["sentinel2-rgb"], "that of the model sentinel2-rgb"),
        (made_by("sentinel2-rgb", threshold=0.2), 0.2, "the one the raster was made with"),
        (made_by("rgb-vhr", model="gone.safetensors"), SHIPPED["rgb-vhr"], "that of the model"),
        (made_by("../rgb-vhr"), 0.5, "tells of no threshold"),
        (made_by("rgb-vhr") | {"LANDSLIDE_PARAMETERS": "[1]"}, SHIPPED["rgb-vhr"], "the model"),
        (made_by("sentinel2-rgb") | {"LANDSLIDE_ALGORITHM": "landslide:stack"}, 0.5, "of no thr"),
    ],
)  # fmt: skip
def test_it_is_the_rasters_else_its_models_else_a_half(make, tags, value, origin):
    result = threshold(make(tags=tags))
    assert result.value == value and origin in str(result)


def test_what_the_user_asks_for_counts_and_what_the_raster_carries_is_told(make):
    path = make(tags={TAG: "0.7"})
    assert str(threshold(path, 0.5)) == "0.5 (as asked for; the raster carries 0.7)"
    assert str(threshold(path, 0.7)) == "0.7 (as asked for)"
    assert threshold(make("q.tif"), 0.0).value == 0


def test_copies_windows_and_mosaics_of_gdal_keep_it(make, tmp_path):
    tags = {TAG: "0.7"}
    east = from_origin(500000 + 1100, 5000000, 10, 10)
    paths = [make("a.tif", tags), make("b.tif", tags, transform=east)]
    written = {
        "copy.tif": ["gdal_translate", "-co", "COMPRESS=LZW", paths[0]],
        "window.vrt": ["gdal_translate", "-of", "VRT", "-srcwin", "10", "5", "20", "20", paths[0]],
        "warped.tif": ["gdalwarp", "-t_srs", "EPSG:25832", *paths],
        "mosaic.vrt": ["gdalbuildvrt"],
    }
    for name, command in written.items():
        target = str(tmp_path / name)
        inputs = [target, *paths] if name == "mosaic.vrt" else [target]
        try:
            subprocess.run([*command, *inputs], check=True, capture_output=True)
        except FileNotFoundError:
            pytest.skip("GDAL's commands are absent")
        assert threshold(target).value == 0.7, name


def test_a_mosaic_of_mosaics_keeps_it(make, tmp_path):
    path, names = make(tags={TAG: "0.7"}), ["inner.vrt", "outer.vrt"]
    for name in names:
        target = str(tmp_path / name)
        try:
            subprocess.run(["gdalbuildvrt", target, path], check=True, capture_output=True)
        except FileNotFoundError:
            pytest.skip("GDAL's commands are absent")
        path = target
    assert threshold(path).value == 0.7


def test_a_mosaic_of_two_models_needs_to_be_told(make, tmp_path):
    east = from_origin(500000 + 1100, 5000000, 10, 10)
    paths = [make("a.tif", {TAG: "0.7"}), make("b.tif", {TAG: "0.4"}, transform=east)]
    mosaic = str(tmp_path / "mosaic.vrt")
    try:
        subprocess.run(["gdalbuildvrt", mosaic, *paths], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("GDAL's commands are absent")
    with pytest.raises(InputError, match=r"different thresholds, 0\.4 and 0\.7: give the thresh"):
        threshold(mosaic)
    assert threshold(mosaic, 0.6).value == 0.6


def test_an_empty_threshold_draws_the_inventory_of_the_rasters_own(make, tmp_path):
    def drawn(path, **options):
        events = []
        output = str(tmp_path / "inventory.gpkg")
        result = vectorize(input=path, output=output, progress=Progress(events.append), **options)
        return round(result["area_m2"] / 4000), " ".join(event.get("text", "") for event in events)

    path = make(tags={TAG: "0.7"})
    columns, told = drawn(path)
    assert columns == 40 and "0.7 (carried by the raster)" in told
    columns, told = drawn(path, threshold=0.5)
    assert columns == 60 and "0.5 (as asked for; the raster carries 0.7)" in told
    columns, told = drawn(make("none.tif"))
    assert columns == 60 and "0.5 (as the raster tells of no threshold)" in told
    columns, told = drawn(path, grow=0.3)
    assert columns == 80
    with pytest.raises(InputError, match=r"grow down to 0\.8 from a threshold of 0\.7"):
        drawn(path, grow=0.8)


def test_an_inventory_says_its_threshold(make, tmp_path):
    import pyogrio

    output = str(tmp_path / "inventory.gpkg")
    vectorize(input=make(tags={TAG: "0.7"}), output=output, progress=Progress())
    assert pyogrio.read_info(output, layer="inventory")["layer_metadata"][TAG] == "0.7"


@pytest.mark.parametrize(("other", "told"), [("0.6", None), ("0.7", "0.7")])
def test_an_inventory_of_several_thresholds_says_none(make, tmp_path, other, told):
    import pyogrio

    rasters = [
        make(f"{number}.tif", tags={TAG: part, MODEL: part})
        for number, part in enumerate(["0.7", other])
    ]
    output = str(tmp_path / "inventory.gpkg")
    vectorize(input=rasters[0], more_inputs=rasters[1:], output=output, progress=Progress())
    tags = pyogrio.read_info(output, layer="inventory")["layer_metadata"]
    assert (tags.get(TAG), tags.get(MODEL)) == (told, told)


def test_each_map_is_judged_at_its_own_threshold(make, make_raster, tmp_path):
    truth = make_raster("truth.tif", (STEPS >= 0.6).astype(np.uint8))
    maps = [make("a.tif", {TAG: "0.7"}), make("b.tif", {TAG: "0.4"}), make("c.tif")]
    report, page, events = tmp_path / "report.json", tmp_path / "report.html", []
    evaluate(
        predicted=maps, reference=truth, json=str(report), html=str(page),
        progress=Progress(events.append),
    )  # fmt: skip
    result = json.loads(report.read_text())
    assert result["threshold"] == 0.7
    assert [one["threshold"] for one in result["maps"]] == [0.7, 0.4, 0.5]
    mapped = [one["tp"] + one["fp"] for one in result["maps"]]
    assert mapped == [1600, 2800, 2400]
    assert "predicted map b is landslide where it is at least 0.4 (carried by" in page.read_text()
    evaluate(predicted=maps, reference=truth, json=str(report), threshold=0.9, progress=Progress())
    result = json.loads(report.read_text())
    assert [one["tp"] + one["fp"] for one in result["maps"]] == [800, 800, 800]


def test_a_mask_has_no_threshold(make_raster, tmp_path):
    mask = make_raster("mask.tif", (STEPS >= 0.6).astype(np.uint8))
    with rasterio.open(mask, "r+") as dataset:
        dataset.update_tags(**{TAG: "0.7"})
    report = tmp_path / "report.json"
    result = evaluate(predicted=mask, reference=mask, json=str(report), progress=Progress())
    assert result["f1"] == 1 and json.loads(report.read_text())["threshold"] is None
    with Source.open(mask) as source:
        threshold = carried(source)
    assert threshold is not None and threshold.value == 0.7


def test_pseudo_labels_and_false_alarms_begin_at_the_rasters_threshold(make, make_raster, tmp_path):
    stack = make_raster("stack.tif", np.random.default_rng(0).normal(size=STEPS.shape))
    path = make(tags={TAG: "0.7"})
    events = []
    written = samples(
        stack=stack, landslides=path, output=str(tmp_path / "samples"), tile_size=8, stride=8,
        split="random", hard_negatives=path, progress=Progress(events.append),
    )  # fmt: skip
    told = " ".join(event.get("text", "") for event in events)
    assert "p.tif is landslide where it is at least 0.7 (carried by the raster)" in told
    assert "False alarms are background where" in told and "all above 0" not in told
    assert "before sampling: 1 : 1.8." in told  # 40 columns of 110
    assert written["train"] > 0


def test_bytes_with_a_scale_are_probabilities_too(make, make_raster, tmp_path):
    stack = make_raster("stack.tif", np.random.default_rng(0).normal(size=STEPS.shape))
    path = make_raster("bytes.tif", np.round(STEPS * 200).astype(np.uint8))
    with rasterio.open(path, "r+") as dataset:
        dataset.scales = (1 / 200,)
        dataset.update_tags(**{TAG: "0.65"})
    events = []
    samples(
        stack=stack, landslides=path, output=str(tmp_path / "samples"), tile_size=8, stride=8,
        split="random", progress=Progress(events.append),
    )  # fmt: skip
    told = " ".join(event.get("text", "") for event in events)
    assert "at least 0.65" in told and "before sampling: 1 : 1.8." in told


def test_probabilities_rounded_to_whole_numbers_are_told_of(make, make_raster, tmp_path):
    """As gdal_translate -ot Byte leaves them, with their name and threshold: half is landslide."""
    path = make(tags=threshold_tag(0.75), bands=["landslide_probability"])
    subprocess.run(["gdal_translate", "-q", "-ot", "Byte", path, tmp_path / "b.tif"], check=True)
    reference = make_raster("r.tif", (STEPS >= 0.75).astype(np.uint8))
    for name in ("p.tif", "b.tif", "r.tif"):
        one, events = str(tmp_path / name), []
        sink = Progress(events.append)
        evaluate(predicted=one, reference=reference, progress=sink)
        vectorize(input=one, output=str(tmp_path / "i.gpkg"), progress=sink)
        told = [event["text"] for event in events if "were rounded" in event.get("text", "")]
        assert len(told) == (2 if name == "b.tif" else 0)


def test_that_one_of_several_bands_alone_counts_is_told(make, make_raster, tmp_path):
    """Such as the picture of a mask, or the probabilities of several kinds of landslide."""
    stack = make_raster("stack.tif", np.random.default_rng(0).normal(size=STEPS.shape))
    path = make("kinds.tif", {TAG: "0.7"}, np.stack([STEPS, 1 - STEPS]), bands=["fall", "flow"])
    events = []
    progress = Progress(events.append)
    vectorize(input=path, output=str(tmp_path / "i.gpkg"), progress=progress)
    samples(
        stack=stack, landslides=path, output=str(tmp_path / "samples"), tile_size=8, stride=8,
        split="random", progress=progress,
    )  # fmt: skip
    told = [event["text"] for event in events if event["type"] == "warning"]
    assert sum("Of the 2 bands of" in text and "the first, fall" in text for text in told) == 2
    events.clear()
    named = make(
        "named.tif", {}, np.stack([1 - STEPS, STEPS]), bands=["b", "landslide_probability"]
    )
    result = vectorize(input=named, output=str(tmp_path / "n.gpkg"), progress=progress)
    assert round(result["area_m2"] / 4000) == 60
    assert not [event for event in events if event["type"] == "warning"]


def test_factors_are_analysed_at_the_rasters_threshold(make, make_raster, tmp_path):
    few = STEPS[:12]
    stack = make_raster("stack.tif", few + np.float32(1), bands=["elevation"])
    table = tmp_path / "table.csv"

    def landslide_pixels(path):
        events = []
        factoranalysis(
            stack=stack, landslides=path, table=str(table), progress=Progress(events.append)
        )
        lines = [line.split(",") for line in table.read_text().splitlines()]
        column = lines[0].index("landslide_pixels")
        told = " ".join(event.get("text", "") for event in events)
        return sum(int(line[column]) for line in lines[1:]), told

    assert landslide_pixels(make(tags={TAG: "0.7"}, values=few))[0] == 480
    count, told = landslide_pixels(make("none.tif", values=few))
    assert count == 1200 and "all above 0 are taken for landslide" in told
