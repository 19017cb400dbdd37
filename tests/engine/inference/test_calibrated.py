"""A model's temperature and a scene's landslide fraction, whatever runs the network."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import rasterio
import torch
from landslide_mapper.landslide_plugin.contract.errors import ModelFileError
from landslide_mapper.landslide_plugin.contract.tags import THRESHOLD
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference.exportmodel_command import exportmodel
from landslide_mapper.landslide_plugin.inference.predict_command import predict
from landslide_mapper.landslide_plugin.request import checked
from landslide_mapper.models.calibration import Calibration
from landslide_mapper.models.ensemble import Ensemble
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import save_model
from landslide_mapper.models.registry import build

BANDS = ["red", "green", "blue"]
SMALL = {"growth_rate": 4, "layers": [1, 1], "middle_layers": 1, "first_channels": 8}
CARD = ModelCard(
    name="small",
    architecture="fc_densenet",
    arguments=SMALL,
    task="semantic-segmentation",
    bands=BANDS,
    mean=[0.0] * 3,
    std=[1.0] * 3,
    resolution=10.0,
    tile_size=32,
    classes=["background", "landslide"],
    threshold=0.45,
    training={"landslide_share": 0.2},
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def network(seed=1, classes=2):
    torch.manual_seed(seed)
    network = build("fc_densenet", 3, classes, **SMALL)
    network(torch.randn(8, 3, 32, 32))
    return network.eval()


def calibrated(card, temperature):
    """Return the card of the same model with a temperature, its threshold brought along."""
    threshold = float(Calibration(temperature)(card.threshold))
    return replace(card, temperature=temperature, threshold=threshold)


@pytest.fixture
def mapped(tmp_path, make_raster):
    """Return a function that maps a stack by a model: probability, mask, deviation, threshold."""
    values = np.random.default_rng(2).normal(size=(3, 70, 90)).astype("float32")
    stack = make_raster("stack.tif", values, bands=BANDS)
    paths = {key: str(tmp_path / f"{key}.tif") for key in ("probability", "mask", "uncertainty")}

    def mapped(model, **options):
        given = {"stack": stack, "model": model, "device": "cpu", "runtime": "torch", **paths}
        given |= {"tile_size": 32, "overlap": 0.25, "tta": True, **options}
        predict(**checked("predict", predict, given), progress=Progress())
        rasters = []
        for path in filter(None, (given[key] for key in paths)):
            with rasterio.open(path) as dataset:
                rasters.append(dataset.read())
        with rasterio.open(paths["probability"]) as dataset:
            return (*rasters, float(dataset.tags()[THRESHOLD]))

    return mapped


@pytest.fixture
def saved(tmp_path):
    """Return a function that writes a model file."""

    def saved(card, networks=None, name="model"):
        path = str(tmp_path / f"{name}.safetensors")
        save_model(path, networks or network(classes=len(card.classes)), card)
        return path

    return saved


def logit(probability):
    return np.log(probability / (1 - probability))


def test_windows_overlap_and_the_mask_is_the_same_with_and_without_temperature(mapped, saved):
    before = mapped(saved(CARD))
    after = mapped(saved(calibrated(CARD, 2.0)))
    np.testing.assert_allclose(logit(after[0]), logit(before[0]) / 2, atol=1e-5)
    assert 0.05 < before[1].mean() < 0.95
    np.testing.assert_array_equal(after[1], before[1])
    assert after[3] == pytest.approx(float(Calibration(2.0)(before[3])))
    slope = after[0] * (1 - after[0]) / (2 * before[0] * (1 - before[0]))
    np.testing.assert_allclose(after[2], before[2] * slope, rtol=1e-3)


def test_a_file_of_folds_has_its_temperature_on_the_logit_of_the_mean(mapped, saved):
    folds = replace(CARD, members=2)
    networks = Ensemble([network(1), network(2)])
    before = mapped(saved(folds, networks), tta=False)
    after = mapped(saved(calibrated(folds, 3.0), networks), tta=False)
    assert after[2].max() > 0
    np.testing.assert_allclose(logit(after[0]), logit(before[0]) / 3, atol=1e-5)
    np.testing.assert_array_equal(after[1], before[1])


def test_the_scenes_fraction_moves_the_logit_and_the_threshold_stays(mapped, saved):
    model = saved(calibrated(CARD, 2.0))
    before, after = mapped(model), mapped(model, landslide_fraction=0.1)
    np.testing.assert_allclose(
        logit(after[0]) - logit(before[0]), logit(0.1) - logit(0.2), atol=1e-4
    )
    assert after[3] == before[3] and after[1].sum() < before[1].sum()
    np.testing.assert_array_equal(mapped(model, landslide_fraction=0.2)[1], before[1])


def test_a_model_that_does_not_say_its_patches_fraction_is_refused_with_one(mapped, saved):
    with pytest.raises(ModelFileError, match="The model small does not say which fraction"):
        mapped(saved(replace(CARD, training={})), landslide_fraction=0.1)


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_every_runtime_and_an_exported_graph_apply_the_temperature_once(
    runtime, mapped, saved, tmp_path
):
    """Without turns and overlap, before whose means a graph applies it, and a model file after."""
    model, graph = saved(calibrated(CARD, 2.0)), str(tmp_path / "out.onnx")
    plain: dict[str, Any] = {"tta": False, "overlap": 0.0, "uncertainty": ""}
    wanted = mapped(model, **plain)
    exportmodel(model=model, output=graph, tile_size=32, progress=Progress())
    near = 1e-4 if runtime == "onnx" else 0.02
    for path in (model, graph):
        result = mapped(path, runtime=runtime, **plain)
        np.testing.assert_allclose(result[0], wanted[0], atol=near)
        assert result[-1] == wanted[-1]


@pytest.mark.parametrize("kinds", [1, 3])
def test_other_programs_get_calibrated_probabilities_from_the_graph(kinds, saved, tmp_path):
    classes = ["background", "slide", "flow", "fall"][: kinds + 1]
    card, graph = calibrated(replace(CARD, classes=classes), 2.0), str(tmp_path / "out.onnx")
    exportmodel(model=saved(card), output=graph, progress=Progress())
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    result = session.run(None, {"image": images.numpy()})[0]
    with torch.inference_mode():
        plain = network(classes=kinds + 1)(images).softmax(1).numpy()
    np.testing.assert_allclose(logit(result[:, 0]), logit(plain[:, 0]) / 2, atol=1e-3)
    np.testing.assert_allclose(result.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(
        result[:, 1:] / result[:, 1:].sum(1, keepdims=True),
        plain[:, 1:] / plain[:, 1:].sum(1, keepdims=True),
        atol=1e-4,
    )
    keys = session.get_modelmeta().custom_metadata_map
    assert json.loads(keys["seg_thresh"]) == card.threshold
    assert json.loads(keys["stac_item"])["properties"]["landslide:temperature"] == 1
