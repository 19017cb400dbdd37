"""The command predict, with real model files."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import torch
from landslide_mapper.landslide_plugin.contract.errors import (
    InputError,
    ModelFileError,
    OutputError,
)
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference.predict_command import predict
from landslide_mapper.landslide_plugin.request import checked
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import save_model
from landslide_mapper.models.registry import build
from rasterio.transform import Affine, from_origin

WORKER = Path(__file__).resolve().parents[3] / "landslide_plugin" / "worker.py"
SMALL = {"growth_rate": 4, "layers": [1, 1], "middle_layers": 1, "first_channels": 8}
BANDS = ["red", "slope", "nir"]


def card(task="semantic-segmentation", **changes):
    architecture = "mask_rcnn" if task == "instance-segmentation" else "fc_densenet"
    settings = {
        "name": "small",
        "architecture": architecture,
        "arguments": {} if architecture == "mask_rcnn" else SMALL,
        "task": task,
        "bands": BANDS,
        "mean": [0.0, 20.0, 0.0],
        "std": [1.0, 10.0, 1.0],
        "resolution": 10.0,
        "tile_size": 32,
        "classes": ["background", "landslide"],
        "threshold": 0.4,
    }
    return ModelCard(**{**settings, **changes})


def saved(path, model_card):
    torch.manual_seed(1)
    bands, classes = len(model_card.bands), len(model_card.classes)
    network = build(model_card.architecture, bands, classes, **model_card.arguments)
    save_model(path, network, model_card)
    return str(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("model") / "small.safetensors", card())


@pytest.fixture(scope="module")
def instance_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "objects.safetensors"
    return saved(path, card("instance-segmentation", tile_size=64))


def layers(rows=70, cols=90):
    values = np.random.default_rng(2).normal(size=(4, rows, cols)).astype("float32")
    values[1] = 20 + 10 * values[1]
    return dict(zip(["nir", "slope", "ndvi", "red"], values, strict=True))


@pytest.fixture
def run(tmp_path, model):
    """Predict into the test's folder; return probability, mask and what was said."""

    def run(stack, **parameters):
        events = []
        given = {
            "stack": stack,
            "model": model,
            "probability": str(tmp_path / "p.tif"),
            "mask": str(tmp_path / "m.tif"),
            "device": "cpu",
            **parameters,
        }
        given = checked("predict", predict, given)
        result = predict(**given, progress=Progress(events.append))
        with rasterio.open(result["probability"]) as dataset:
            probability = dataset.read(1)
        with rasterio.open(result["mask"]) as dataset:
            mask = dataset.read(1)
        return probability, mask, [event["text"] for event in events if "text" in event]

    return run


def stack_of(make_raster, bands, name="stack.tif", **options):
    return make_raster(name, np.stack(list(bands.values())), bands=list(bands), **options)


def test_outputs_are_named_tagged_and_consistent(make_raster, run, tmp_path):
    probability, mask, _ = run(stack_of(make_raster, layers()))
    assert probability.shape == (70, 90)
    assert ((probability > 0) & (probability < 1)).all()
    np.testing.assert_array_equal(mask, probability >= 0.4)
    assert 0 < mask.mean() < 1
    with rasterio.open(tmp_path / "p.tif") as dataset:
        assert dataset.descriptions == ("landslide_probability",)
        assert (dataset.dtypes[0], dataset.nodata) == ("float32", -9999)
        assert dataset.tags()["LANDSLIDE_MODEL"] == "small"
        assert dataset.crs.to_epsg() == 32632
    with rasterio.open(tmp_path / "m.tif") as dataset:
        assert (dataset.dtypes[0], dataset.nodata) == ("uint8", 255)
        assert dataset.tags(1)["class_1"] == "landslide"


def test_bands_in_another_order_give_the_same(make_raster, run):
    bands = layers()
    first, _, _ = run(stack_of(make_raster, bands))
    turned = {name: bands[name] for name in reversed(bands)}
    second, _, _ = run(stack_of(make_raster, turned, "turned.tif"))
    np.testing.assert_array_equal(first, second)


def test_a_threshold_that_is_given_goes_before_the_models(make_raster, run):
    probability, mask, _ = run(stack_of(make_raster, layers()), threshold=0.6)
    np.testing.assert_array_equal(mask, probability >= 0.6)


def test_nodata_in_a_needed_band_is_nodata_in_both(make_raster, run):
    bands = layers()
    bands["slope"][10:20, 30:50] = -9999
    bands["ndvi"][60:, 80:] = -9999  # not needed
    probability, mask, _ = run(stack_of(make_raster, bands, nodata=-9999))
    expected = np.zeros((70, 90), bool)
    expected[10:20, 30:50] = True
    np.testing.assert_array_equal(probability == -9999, expected)
    np.testing.assert_array_equal(mask == 255, expected)


def test_a_stack_without_a_valid_pixel_is_mapped_as_nothing_and_that_is_said(make_raster, run):
    bands = layers()
    bands["slope"][:35], bands["red"][35:] = -9999, -9999
    probability, _, said = run(stack_of(make_raster, bands, nodata=-9999))
    assert (probability == -9999).all()
    assert any("has no pixel that is valid in" in text for text in said)


@pytest.mark.parametrize("shape", [(5, 7), (1, 1), (33, 31)])
def test_a_raster_smaller_than_the_window(make_raster, run, shape):
    probability, _, _ = run(stack_of(make_raster, layers(*shape)))
    assert probability.shape == shape and (probability >= 0).all()


def test_only_the_area_is_mapped(make_raster, run, tmp_path):
    area = tmp_path / "area.gpkg"
    square = gpd.GeoSeries([shapely.box(500100, 4999800, 500200, 4999900)], crs="EPSG:32632")
    gpd.GeoDataFrame(geometry=square.to_crs("EPSG:4326")).to_file(area)
    probability, mask, _ = run(stack_of(make_raster, layers()), area=str(area))
    assert (probability[10:20, 10:20] >= 0).all()
    assert (probability >= 0).sum() == 100 == (mask != 255).sum()


def test_a_stack_of_other_pixels_or_values_is_warned_of(make_raster, run):
    coarse = from_origin(500000, 5000000, 30, 30)
    bands = layers()
    bands["red"] = bands["red"] + 500
    _, _, said = run(stack_of(make_raster, bands, transform=coarse))
    assert any("30 m" in text and "10 m" in text and "poor" in text for text in said)
    assert any("red (+500)" in text and "slope" not in text for text in said)
    _, _, said = run(stack_of(make_raster, layers()))
    assert not any("poor" in text for text in said)
    fine = from_origin(500000, 5000000, 2, 2)
    _, _, said = run(stack_of(make_raster, layers(), transform=fine))
    assert any("2 m" in text and "averaged" in text and "poor" not in text for text in said)


@pytest.mark.parametrize("learnt", ["levels", ""])
@pytest.mark.parametrize("held", ["levels", ""])
def test_levels_where_a_distance_was_learnt_are_warned_of(make_raster, run, tmp_path, learnt, held):
    """Few levels lie so near to the mean of a distance that its value tells nothing."""
    path = stack_of(make_raster, layers())
    if held:
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(2, ordinal="yes", class_0="near", class_1="far")
    model = saved(tmp_path / "levels.safetensors", card(units=["", learnt, ""]))
    _, _, said = run(path, model=model)
    assert any("The band slope" in text and "poor" in text for text in said) == (held != learnt)


def refused(tmp_path, kept):
    return sorted(os.listdir(tmp_path)) == sorted(kept)


def test_missing_bands_are_one_sentence_and_nothing_is_written(make_raster, run, tmp_path):
    path = stack_of(make_raster, {"blue": layers()["nir"], "slope": layers()["slope"]})
    with pytest.raises(ModelFileError) as caught:
        run(path)
    assert "lacks red, nir" in str(caught.value) and "it has blue, slope" in str(caught.value)
    assert refused(tmp_path, ["stack.tif"])


BAD = [
    ({"threshold": 1.5}, InputError, "THRESHOLD is 1.5: choose from 0 to 1"),
    ({"overlap": 1.0}, InputError, "OVERLAP is 1.0: choose from 0 to 0.9"),
    ({"tile_size": 4}, InputError, "tile size"),
    ({"batch_size": -1}, InputError, "BATCH_SIZE is -1: choose from 0 to 65536"),
    ({"device": "abacus"}, InputError, "abacus"),
    ({"area": "nowhere.gpkg"}, InputError, "does not exist"),
    ({"stack": "nowhere.tif"}, InputError, "does not exist"),
    ({"model": "nowhere.safetensors"}, ModelFileError, "does not exist"),
    ({"probability": "/no/such/folder/p.tif"}, OutputError, "does not exist"),
    ({"mask": "/no/such/folder/m.tif"}, OutputError, "does not exist"),
]


@pytest.mark.parametrize(("parameters", "error", "named"), BAD)
def test_bad_parameters(make_raster, run, tmp_path, parameters, error, named):
    path = stack_of(make_raster, layers())
    with pytest.raises(error, match=named):
        run(**{"stack": path, **parameters})
    assert refused(tmp_path, ["stack.tif"])


def test_what_is_no_model_or_no_raster(make_raster, run, tmp_path, model):
    path = stack_of(make_raster, layers())
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(Path(model).read_bytes()[:-1000])
    pickled = tmp_path / "pickle.safetensors"
    torch.save({"a": 1}, pickled)
    for bad in (cut, pickled):
        with pytest.raises(ModelFileError):
            run(path, model=str(bad))
    with pytest.raises(InputError, match="not a raster"):
        run(str(cut))
    assert refused(tmp_path, ["stack.tif", cut.name, pickled.name])


def test_a_model_that_finds_objects_is_refused(make_raster, run, tmp_path, instance_model):
    path = stack_of(make_raster, layers())
    with pytest.raises(ModelFileError, match="algorithm detect"):
        run(path, model=instance_model)
    assert refused(tmp_path, ["stack.tif"])


def test_a_plain_image_is_mapped_with_a_warning(make_raster, run):
    """A tile without CRS."""
    path = stack_of(make_raster, layers(40, 80), crs=None, transform=Affine.identity())
    probability, _, said = run(path)
    assert probability.shape == (40, 80) and any("no CRS" in text for text in said)


@pytest.fixture
def running(make_raster, tmp_path, model):
    """A worker in the middle of predict, over outputs that stood before."""
    stack = stack_of(make_raster, layers(4000, 400))
    old = [tmp_path / "p.tif", tmp_path / "m.tif"]
    for path in old:
        path.write_bytes(b"old")
    request = {
        "command": "predict",
        "parameters": {
            "stack": stack,
            "model": model,
            "probability": str(old[0]),
            "mask": str(old[1]),
            "device": "cpu",
            "runtime": "torch",
            "tile_size": 64,
        },
    }
    process: Any = subprocess.Popen(
        [sys.executable, str(WORKER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    for line in process.stdout:
        event = json.loads(line)
        assert event["type"] in ("started", "progress", "message"), event
        if event["type"] == "progress" and event["percent"] > 2:
            break
    assert process.poll() is None
    yield process, old
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_cancel_ends_soon_and_leaves_nothing(running, tmp_path):
    """Soon in terms of the work, which is slow on a busy machine too."""
    process, old = running
    process.send_signal(signal.SIGTERM)
    later = [json.loads(line) for line in process.stdout]
    assert process.wait(60) == 128 + signal.SIGTERM
    assert all(event.get("percent", 0) < 50 for event in later)
    assert [path.read_bytes() for path in old] == [b"old", b"old"]
    left = [name for name in os.listdir(tmp_path) if not name.startswith(".resume-p.tif-")]
    assert sorted(left) == ["m.tif", "p.tif", "stack.tif"]


def test_kill_leaves_the_old_outputs(running):
    process, old = running
    process.kill()
    process.wait(60)
    assert [path.read_bytes() for path in old] == [b"old", b"old"]
