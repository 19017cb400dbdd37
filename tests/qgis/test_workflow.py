"""The graphical model that the plugin ships: what it is made of, and a run."""

from pathlib import Path

import numpy as np
import processing
import pytest
from osgeo import gdal
from qgis.core import QgsApplication, QgsProcessingModelAlgorithm, QgsVectorLayer

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "processing_algorithms" / "workflows" / "landslide_inventory.model3"
STEPS = {"spectralindices", "terrainfactors", "distance", "stack", "predict", "vectorize"}

pytestmark = pytest.mark.usefixtures("provider")


@pytest.fixture
def model():
    model = QgsProcessingModelAlgorithm()
    assert model.fromFile(str(MODEL))
    return model


def test_model_is_valid(model):
    valid, issues = model.validate()
    assert valid, issues
    assert model.displayName() == "Landslide inventory from image, DEM and rivers"


def test_inputs_and_outputs_are_those_documented(model):
    assert [item.name() for item in model.parameterDefinitions()] == [
        "image",
        "dem",
        "rivers",
        "model",
        "threshold",
        "min_area",
        "predict:Probability",
        "vectorize:Inventory",
    ]
    text = model.shortHelpString()
    for item in model.parameterDefinitions():
        assert item.help() or item.description() in text


def test_steps_are_algorithms_of_this_provider(model):
    children = {key: child.algorithmId() for key, child in model.childAlgorithms().items()}
    assert children == {step: f"landslide:{step}" for step in STEPS}
    for child in model.childAlgorithms().values():
        assert child.algorithm() is not None
        known = {item.name() for item in child.algorithm().parameterDefinitions()}
        assert set(child.parameterSources()) <= known


def test_boxes_do_not_lie_on_each_other(model):
    boxes = [*model.childAlgorithms().values(), *model.parameterComponents().values()]
    for child in model.childAlgorithms().values():
        boxes += child.modelOutputs().values()
    positions = [(box.position().x(), box.position().y()) for box in boxes]
    for number, (x, y) in enumerate(positions):
        for left, top in positions[:number]:
            assert abs(x - left) >= 250 or abs(y - top) >= 100


def test_it_pins_no_threshold_and_no_overlap(model):
    """Left empty, it gives the inventory of Map landslides."""
    threshold = model.parameterDefinition("threshold")
    assert threshold.defaultValue() is None
    assert threshold.flags() & threshold.FlagOptional
    children = model.childAlgorithms()
    assert "THRESHOLD" not in children["vectorize"].parameterSources()
    (source,) = children["predict"].parameterSources()["THRESHOLD"]
    assert source.parameterName() == "threshold"
    assert "OVERLAP" not in children["predict"].parameterSources()


def test_provider_lists_the_model():
    listed = QgsApplication.processingRegistry().providerById("landslide").algorithms()
    assert "Landslide inventory from image, DEM and rivers" in {item.name() for item in listed}


def test_run_from_demo_area_to_inventory(engine, model, tmp_path):
    area = processing.run("landslide:demoarea", {"SIZE": 256, "FOLDER": str(tmp_path / "area")})
    terrain = processing.run(
        "landslide:terrainfactors",
        {
            "INPUT": area["DEM"],
            "FACTORS": ["elevation", "slope"],
            "OUTPUT": str(tmp_path / "terrain.tif"),
        },
    )
    stack = processing.run(
        "landslide:stack",
        {"LAYERS": [area["IMAGE"], terrain["OUTPUT"]], "OUTPUT": str(tmp_path / "stack.tif")},
    )
    samples = processing.run(
        "landslide:samples",
        {
            "STACK": [stack["OUTPUT"]],
            "LANDSLIDES": area["LANDSLIDES"],
            "TILE_SIZE": 32,
            "SPLIT": "random",
            "OUTPUT": str(tmp_path / "samples"),
        },
    )
    assert samples["TRAIN"] > 0
    trained = processing.run(
        "landslide:train",
        {
            "SAMPLES": samples["OUTPUT"],
            "BACKBONE": "light",
            "BANDS": "slope, red, nir",
            "EPOCHS": 1,
            "DEVICE": "cpu",
            "MODEL": str(tmp_path / "model.safetensors"),
        },
    )
    inputs = {
        "image": area["IMAGE"],
        "dem": area["DEM"],
        "rivers": area["RIVERS"],
        "model": trained["MODEL"],
        "threshold": 0.1,
        "min_area": 500,
        "predict:Probability": str(tmp_path / "probability.tif"),
        "vectorize:Inventory": str(tmp_path / "inventory.gpkg"),
    }
    mapped = processing.run(model, inputs)
    probability = gdal.Open(mapped["predict:Probability"]).ReadAsArray()
    assert probability.shape == (256, 256)
    valid = probability[probability != -9999]
    assert valid.size > 60000 and valid.min() >= 0 and valid.max() <= 1 and np.ptp(valid) > 0.01
    inventory = QgsVectorLayer(mapped["vectorize:Inventory"])
    assert inventory.isValid()
    assert {"area_m2", "prob_mean", "slope_mean"} <= set(inventory.fields().names())
    assert all(feature["area_m2"] >= 500 for feature in inventory.getFeatures())
    carried = gdal.Open(mapped["predict:Probability"]).GetMetadataItem("LANDSLIDE_THRESHOLD")
    assert carried == "0.1"
    del inputs["threshold"]
    inputs["predict:Probability"] = str(tmp_path / "own.tif")
    inputs["vectorize:Inventory"] = str(tmp_path / "own.gpkg")
    mapped = processing.run(model, inputs)
    carried = gdal.Open(mapped["predict:Probability"]).GetMetadataItem("LANDSLIDE_THRESHOLD")
    assert float(carried) == pytest.approx(trained["THRESHOLD"])
