"""The command exportmodel: what is exported runs elsewhere, and here again, as before."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pystac
import pytest
import torch
from landslide_mapper.landslide_plugin.contract.errors import (
    InputError,
    ModelFileError,
    OutputError,
)
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference import exportmodel_command as export_command
from landslide_mapper.landslide_plugin.inference.exportmodel_command import exportmodel
from landslide_mapper.landslide_plugin.inference.runtimes import Wish, open_graph
from landslide_mapper.landslide_plugin.request import checked
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import LoadedModel, save_model
from landslide_mapper.models.registry import build
from pystac.extensions.mlm import MLMExtension

CPU = torch.device("cpu")
SMALL = {"growth_rate": 4, "layers": [1, 1], "middle_layers": 1, "first_channels": 8}
CARD = ModelCard(
    name="small",
    architecture="fc_densenet",
    arguments=SMALL,
    task="semantic-segmentation",
    bands=["red", "green", "blue"],
    mean=[100.0, 110.0, 120.0],
    std=[40.0, 50.0, 60.0],
    resolution=0.8,
    tile_size=80,
    classes=["background", "landslide"],
    threshold=0.4,
    training={"data": "generated"},
    metrics={"f1": 0.5},
    licence="CC-BY-4.0",
)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    network = build("fc_densenet", 3, 2, **SMALL)
    network(torch.randn(8, 3, 32, 32))
    return network.eval()


@pytest.fixture
def model(tmp_path, network):
    path = tmp_path / "small.safetensors"
    save_model(path, network, CARD)
    return str(path)


def export(model, tmp_path, name="out.onnx", **options):
    output = str(tmp_path / name)
    given = checked("exportmodel", exportmodel, {"model": model, "output": output, **options})
    return exportmodel(**given, progress=Progress())


def deepness(path, pixels):
    """Return what Deepness computes of 8-bit pixels, (rows, columns, bands), by its keys alone."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    keys = session.get_modelmeta().custom_metadata_map
    assert json.loads(keys["model_type"]) == "Segmentor"
    size = session.get_inputs()[0].shape[-1]
    assert pixels.shape[:2] == (size, size) and json.loads(keys["tiles_size"]) == size
    scaled = pixels[np.newaxis] * np.float32(1 / 255)
    mean, std = (np.array(json.loads(keys[f"standardization_{key}"])) for key in ("mean", "std"))
    scaled = ((scaled - mean) / std).transpose(0, 3, 1, 2).astype("float32")
    return session.run(None, {session.get_inputs()[0].name: scaled})[0][0], keys


def test_deepness_sees_the_same_probabilities(model, network, tmp_path):
    result = export(model, tmp_path)
    assert result["tile_size"] == 96 and result["difference"] < 1e-4
    pixels = np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype("uint8")
    values, keys = deepness(result["output"], pixels)
    scaled = (pixels.transpose(2, 0, 1) - np.array(CARD.mean)[:, None, None]) / np.array(CARD.std)[
        :, None, None
    ]
    with torch.inference_mode():
        expected = network(torch.from_numpy(scaled).float()[None]).softmax(1)[0].numpy()
    np.testing.assert_allclose(values, expected, atol=1e-4)
    assert json.loads(keys["class_names"]) == {"0": "background", "1": "landslide"}
    assert json.loads(keys["resolution"]) == 80  # cm
    assert json.loads(keys["seg_thresh"]) == 0.4 and json.loads(keys["tiles_overlap"]) == 25


def test_it_reads_back_here(model, network, tmp_path):
    path = export(model, tmp_path)["output"]
    images = torch.randn(3, 3, 96, 96)
    with torch.inference_mode():
        expected = network(images).softmax(1)
    for name in ("onnx", "openvino"):
        member = open_graph(Path(path), Wish(device=CPU, name=name))
        runtime, card = member.runtime, member.card
        assert runtime.name.startswith(name) and runtime.fixed_size == (96, 96)
        near = 1e-4 if name == "onnx" else 0.05
        torch.testing.assert_close(runtime.run(images), expected, atol=near, rtol=0)
    assert card == replace(CARD, architecture="onnx", arguments={}, tile_size=96)


def test_its_light_and_units_read_back_here_too(network, tmp_path):
    """Else a scene would be taken as it is, far from what the model was trained on."""
    scene = {"low": [10.0, 20.0, 30.0], "high": [200.0, 210.0, 220.0]}
    full = replace(CARD, scene=scene, units=["", "", "reflectance"], temperature=1.5)
    save_model(tmp_path / "full.safetensors", network, full)
    path = export(str(tmp_path / "full.safetensors"), tmp_path)["output"]
    card = open_graph(Path(path), Wish(device=CPU, name="onnx")).card
    assert card == replace(full, architecture="onnx", arguments={}, tile_size=96, temperature=1.0)


def test_any_size(model, network, tmp_path):
    path = export(model, tmp_path, any_size=True)["output"]
    member = open_graph(Path(path), Wish(device=CPU, name="onnx"))
    runtime, card = member.runtime, member.card
    assert runtime.fixed_size is None and card.tile_size == 96
    for shape in ((1, 3, 160, 64), (2, 3, 50, 70)):
        images = torch.randn(shape)
        with torch.inference_mode():
            expected = network(images).softmax(1)
        result = runtime.run(images)
        assert result.shape == expected.shape
        # the network pads to a multiple of 4, the graph to one of 32: alike but at the far edges
        near = (slice(None), slice(None), slice(shape[2] - 20), slice(shape[3] - 20))
        torch.testing.assert_close(result[near], expected[near], atol=2e-2, rtol=0)
    images = torch.randn(1, 3, 128, 64)
    with torch.inference_mode():
        expected = network(images).softmax(1)
    torch.testing.assert_close(runtime.run(images), expected, atol=1e-4, rtol=0)


def test_the_item_names_a_model_on_another_drive_of_windows_by_its_address(
    model, tmp_path, monkeypatch
):
    def relpath(path, start):
        raise ValueError("path is on mount 'C:', start on mount 'D:'")

    monkeypatch.setattr(os.path, "relpath", relpath)
    item = json.loads(Path(export(model, tmp_path, "a.json", format="stac")["output"]).read_text())
    assert item["assets"]["model"]["href"] == Path(model).resolve().as_uri()


def test_the_item_is_valid_stac(model, tmp_path):
    folder = tmp_path / "catalogue"
    folder.mkdir()
    result = export(model, folder, "small.json", format="stac")
    item = pystac.Item.from_file(result["output"])
    described = MLMExtension.ext(item)
    assert described.architecture == "fc_densenet" and (described.total_parameters or 0) > 1000
    assert item.assets["model"].href.endswith("../small.safetensors")
    path = export(model, tmp_path)["output"]
    keys = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    item = pystac.Item.from_dict(json.loads(keys["stac_item"]))
    assert MLMExtension.ext(item).framework == "ONNX"
    assert item.assets["model"].href == "out.onnx"


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"name": "out.json"}, InputError, "must end in .onnx"),
        ({"name": "out.onnx", "format": "stac"}, InputError, "must end in .json"),
        ({"format": "pt"}, InputError, 'FORMAT is "pt": choose one of onnx, stac'),
        ({"tile_size": -1}, InputError, "TILE_SIZE is -1: choose from 0 to 8192 pixels"),
        ({"name": "none/out.onnx"}, OutputError, "does not exist"),
        ({"model": "nowhere.safetensors"}, ModelFileError, "does not exist"),
    ],
)
def test_bad_parameters(model, tmp_path, options, error, named):
    given = {"model": model, "tmp_path": tmp_path, **options}
    with pytest.raises(error, match=named):
        export(**given)
    assert os.listdir(tmp_path) == ["small.safetensors"]


def test_models_that_find_objects_are_described_but_not_exported(model, tmp_path, monkeypatch):
    card = replace(CARD, architecture="mask_rcnn", arguments={}, task="instance-segmentation")
    monkeypatch.setattr(
        export_command, "load_model", lambda path: LoadedModel(torch.nn.Identity(), card)
    )
    with pytest.raises(ModelFileError, match="choose the format stac"):
        export(model, tmp_path)
    export(model, tmp_path, "objects.json", format="stac")
    assert sorted(os.listdir(tmp_path)) == ["objects.json", "small.safetensors"]


def test_a_graph_that_computes_something_else_is_not_written(model, tmp_path, monkeypatch):
    monkeypatch.setattr(export_command, "TOLERANCE", -1.0)
    with pytest.raises(ModelFileError, match="differ by"):
        export(model, tmp_path)
    assert os.listdir(tmp_path) == ["small.safetensors"]
