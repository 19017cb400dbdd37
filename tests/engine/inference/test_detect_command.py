"""The commands detect and device."""

import json
import os

import geopandas as gpd
import numpy as np
import pytest
import shapely
import torch
from landslide_mapper.landslide_plugin.contract.errors import (
    InputError,
    ModelFileError,
    OutputError,
)
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference import detect_command, device_command
from landslide_mapper.landslide_plugin.inference.detect_command import detect
from landslide_mapper.landslide_plugin.inference.device_command import device
from landslide_mapper.landslide_plugin.inventory.attributes import FIELDS
from landslide_mapper.landslide_plugin.request import checked
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import LoadedModel, save_model
from landslide_mapper.models.registry import build
from rasterio.transform import Affine, from_origin

BANDS = ["red", "slope", "nir"]


def card(**changes):
    settings = {
        "name": "small",
        "architecture": "mask_rcnn",
        "arguments": {},
        "task": "instance-segmentation",
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
def instance_model(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("model") / "objects.safetensors", card(tile_size=64))


def stack_of(make_raster, bands, name="stack.tif", **options):
    return make_raster(name, np.stack(list(bands.values())), bands=list(bands), **options)


def layers(rows=70, cols=90):
    values = np.random.default_rng(2).normal(size=(3, rows, cols)).astype("float32")
    values[1] = 20 + 10 * values[1]
    return dict(zip(["nir", "slope", "red"], values, strict=True))


def refused(tmp_path, kept):
    return sorted(os.listdir(tmp_path)) == sorted(kept)


def test_a_model_that_marks_pixels_is_refused(make_raster, tmp_path):
    small = {"growth_rate": 4, "layers": [1, 1], "middle_layers": 1, "first_channels": 8}
    marks = card(architecture="fc_densenet", arguments=small, task="semantic-segmentation")
    model = saved(tmp_path / "m.safetensors", marks)
    output = str(tmp_path / "o.gpkg")
    with pytest.raises(ModelFileError, match="algorithm predict"):
        detect(
            stack=stack_of(make_raster, layers()), model=model, output=output, progress=Progress()
        )
    assert refused(tmp_path, ["stack.tif", "m.safetensors"])


class Bright(torch.nn.Module):
    """Stands in for a trained detector: what is bright is one landslide."""

    def forward(self, images):
        result = []
        for image in images:
            mask = (image[0] > 0.5)[None, None].float()
            there = bool(mask.any())
            result.append({"masks": mask[:there], "scores": torch.full((int(there),), 0.75)})
        return result


def test_detect_writes_the_inventory(make_raster, tmp_path, monkeypatch):
    """One synthetic landslide over a window's border."""
    monkeypatch.setattr(detect_command, "load_model", lambda path: LoadedModel(Bright(), card()))
    bands = {name: np.zeros((40, 80), "float32") for name in BANDS}
    bands["red"][10:20, 15:45] = 1
    output = str(tmp_path / "o.gpkg")
    result = detect(
        stack=stack_of(make_raster, bands), model="m", output=output, progress=Progress()
    )
    frame = gpd.read_file(output)
    assert result == {"output": output, "mask": None, "count": 1}
    assert [name for name in frame.columns if name != "geometry"] == list(FIELDS)
    assert frame.geometry[0].equals(shapely.box(500150, 4999800, 500450, 4999900))
    assert frame.score[0] == 0.75 and frame.model[0] == "small"
    assert frame.area_m2[0] == pytest.approx(30000, rel=2e-3)


@pytest.mark.parametrize(
    ("pixel", "size"), [(5.0, 64), (10.0, 32), (12.0, 32), (20.0, 16)], ids=str
)
def test_the_network_gets_pixels_as_wide_as_it_has_learnt(
    make_raster, tmp_path, monkeypatch, pixel, size
):
    """Trained at 10 m with tiles of 32; what it finds lies where it is, whatever the pixels."""
    seen = []

    class Watched(Bright):
        def forward(self, images):
            seen.extend(tuple(image.shape) for image in images)
            return super().forward(images)

    monkeypatch.setattr(detect_command, "load_model", lambda path: LoadedModel(Watched(), card()))
    bands = {name: np.zeros((size * 2, size * 3), "float32") for name in BANDS}
    bands["red"][size // 2 : size, size // 2 : size * 2] = 1
    place = from_origin(500000, 5000000, pixel, pixel)
    output = str(tmp_path / "o.gpkg")
    stack = stack_of(make_raster, bands, transform=place)
    detect(stack=stack, model="m", output=output, progress=Progress())
    (polygon,) = gpd.read_file(output).geometry
    left, top = 500000 + size // 2 * pixel, 5000000 - size // 2 * pixel
    truth = shapely.box(left, top - size // 2 * pixel, left + 3 * (size // 2) * pixel, top)
    assert polygon.symmetric_difference(truth).area <= truth.length * pixel
    assert set(seen) == {(3, 32, 32)}


def test_a_stack_without_a_valid_pixel_is_told_from_one_without_landslides(
    make_raster, tmp_path, monkeypatch
):
    monkeypatch.setattr(detect_command, "load_model", lambda path: LoadedModel(Bright(), card()))
    told = {}
    for slope in (20.0, -1.0):
        bands = {name: np.zeros((40, 40), "float32") for name in BANDS}
        bands["slope"][:] = slope
        stack, events = stack_of(make_raster, bands, nodata=-1), []
        output = str(tmp_path / "o.gpkg")
        detect(stack=stack, model="m", output=output, progress=Progress(events.append))
        told[slope] = " ".join(event.get("text", "") for event in events)
    assert "No landslide with a score of" in told[20] and "nothing was mapped" not in told[20]
    assert "valid in red, slope, nir at once: nothing was mapped" in told[-1]
    assert "No landslide with" not in told[-1]


def test_a_plain_image_is_searched(make_raster, tmp_path, monkeypatch):
    """A tile without CRS; its polygons lie where QGIS shows it, below the origin."""
    bands = {name: np.zeros((40, 80), "float32") for name in BANDS}
    bands["red"][10:20, 15:45] = 1
    path = stack_of(make_raster, bands, crs=None, transform=Affine.identity())
    monkeypatch.setattr(detect_command, "load_model", lambda path: LoadedModel(Bright(), card()))
    output = str(tmp_path / "o.gpkg")
    detect(stack=path, model="m", output=output, progress=Progress())
    frame = gpd.read_file(output)
    assert frame.geometry[0].equals(shapely.box(15, -20, 45, -10))
    assert frame.area_m2[0] == 300


def test_detect_with_a_real_network_that_has_learnt_nothing(make_raster, tmp_path, instance_model):
    """Mask R-CNN of random weights: whatever it finds is a valid layer."""
    output = str(tmp_path / "o.gpkg")
    result = detect(
        stack=stack_of(make_raster, layers(64, 64)),
        model=instance_model,
        output=output,
        score=0.0,
        device="cpu",
        progress=Progress(),
    )
    frame = gpd.read_file(output)
    assert len(frame) == result["count"] and frame.is_valid.all()
    assert frame.score.between(0, 1).all()


@pytest.mark.parametrize(
    ("parameters", "error", "named"),
    [
        ({"score": 2}, InputError, "SCORE is 2: choose from 0 to 1"),
        ({"overlap": -1}, InputError, "OVERLAP is -1: choose from 0 to 0.9"),
        ({"tile_size": 4}, InputError, "tile size"),
        ({"output": "/no/such/folder/o.gpkg"}, OutputError, "does not exist"),
        ({"stack": "nowhere.tif"}, InputError, "does not exist"),
    ],
)
def test_bad_parameters_of_detect(make_raster, tmp_path, instance_model, parameters, error, named):
    given = {
        "stack": stack_of(make_raster, layers()),
        "model": instance_model,
        "output": str(tmp_path / "o.gpkg"),
    }
    with pytest.raises(error, match=named):
        detect(**checked("detect", detect, {**given, **parameters}), progress=Progress())
    assert refused(tmp_path, ["stack.tif"])


def test_device_tells_what_is_there(monkeypatch):
    monkeypatch.setattr(device_command, "SPEED_SECONDS", 0.1)
    result = device(device="cpu", progress=Progress())
    assert "CPU" in result["device"] and result["megapixels_per_second"] > 0
    assert result["packages"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    json.dumps(result)
