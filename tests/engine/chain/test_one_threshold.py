"""One model, one threshold: single steps draw the inventory that the whole chain draws."""

from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import torch
from landslide_mapper.landslide_plugin.chain.map_command import map as map_landslides
from landslide_mapper.landslide_plugin.contract.tags import THRESHOLD as TAG
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors.stack_command import stack
from landslide_mapper.landslide_plugin.inference.exportmodel_command import exportmodel
from landslide_mapper.landslide_plugin.inference.predict_command import predict
from landslide_mapper.landslide_plugin.inventory.vectorize_command import vectorize
from landslide_mapper.models.known_models import WEIGHTS
from landslide_mapper.models.model_file import load_card
from rasterio.windows import Window


def told(events):
    return " ".join(event.get("text", "") for event in events)


def tag_of(path):
    with rasterio.open(path) as dataset:
        return dataset.tags().get(TAG)


@pytest.fixture
def single_steps(tmp_path):
    """Return a function that stacks, predicts and vectorizes with nothing but the defaults."""

    def run(image, model, **options):
        paths = {name: str(tmp_path / f"single_{name}") for name in ("s.tif", "p.tif", "i.gpkg")}
        stack(layers=[image], output=paths["s.tif"], progress=Progress())
        predict(
            stack=paths["s.tif"], model=model, probability=paths["p.tif"], progress=Progress(),
            **options,
        )  # fmt: skip
        events = []
        vectorize(input=paths["p.tif"], output=paths["i.gpkg"], progress=Progress(events.append))
        return gpd.read_file(paths["i.gpkg"], layer=0), tag_of(paths["p.tif"]), told(events)

    return run


@pytest.fixture
def middling(make_model, layers, tmp_path):
    """A model whose threshold half of the pixels reach."""
    del layers["dem"], layers["rivers"]
    probability = str(tmp_path / "any.tif")
    torch.manual_seed(0)
    model = make_model(["red", "nir"], mean=1600, std=800)
    stack(layers=[layers["image"]], output=str(tmp_path / "any_stack.tif"), progress=Progress())
    predict(
        stack=str(tmp_path / "any_stack.tif"), model=model, probability=probability,
        progress=Progress(),
    )  # fmt: skip
    with rasterio.open(probability) as dataset:
        half = float(np.median(dataset.read(1)))
    torch.manual_seed(0)
    return make_model(["red", "nir"], half, mean=1600, std=800), half


@pytest.mark.parametrize("date", ["", "2018-09-06"])
def test_single_steps_give_the_inventory_of_the_chain(layers, middling, single_steps, date):
    model, threshold = middling
    if date:
        with rasterio.open(layers["image"], "r+") as dataset:
            dataset.update_tags(ns="IMAGERY", ACQUISITIONDATETIME=f"{date} 10:00:00")
    whole = map_landslides(**layers, model=model)
    inventory = gpd.read_file(whole["inventory"], layer=0)
    result, tag, message = single_steps(layers["image"], model)
    assert len(inventory) > 10 and abs(threshold - 0.5) > 1e-3
    assert float(tag) == threshold == float(tag_of(whole["probability"]))
    assert "of the model untrained" in message
    assert result.geometry.geom_equals(inventory.geometry).all()
    assert set(result.date) == {date or None}
    assert result.drop(columns="geometry").equals(inventory.drop(columns="geometry"))


def test_a_threshold_given_to_predict_is_the_inventorys(layers, middling, single_steps):
    model, threshold = middling
    result, tag, _ = single_steps(layers["image"], model, threshold=threshold - 0.01)
    assert tag == repr(threshold - 0.01)
    given = map_landslides(**layers, model=model, threshold=threshold - 0.01)
    assert result.area_m2.sum() == given["area_m2"]
    own = map_landslides(**layers, model=model)
    assert given["area_m2"] > own["area_m2"]


def test_mask_and_further_stacks_carry_it_too_and_uncertainty_does_not(layers, middling, tmp_path):
    model, threshold = middling
    names = ("probability", "mask", "uncertainty")
    paths: dict[str, Any] = {name: str(tmp_path / f"{name}.tif") for name in names}
    stack_path = str(tmp_path / "any_stack.tif")
    predict(
        stack=stack_path, model=model, more_stacks=[stack_path], tta=True, **paths,
        progress=Progress(),
    )  # fmt: skip
    assert tag_of(paths["probability"]) == tag_of(paths["mask"]) == repr(threshold)
    assert tag_of(str(tmp_path / "probability_any_stack.tif")) == repr(threshold)
    assert tag_of(paths["uncertainty"]) is None


def test_an_onnx_models_threshold_travels_too(layers, middling, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    model, threshold = middling
    graph, probability = str(tmp_path / "model.onnx"), str(tmp_path / "p.tif")
    exportmodel(model=model, output=graph, format="onnx", progress=Progress())
    predict(
        stack=str(tmp_path / "any_stack.tif"), model=graph, probability=probability,
        progress=Progress(),
    )  # fmt: skip
    assert tag_of(probability) == repr(threshold)


def test_of_models_whose_thresholds_differ_the_first_counts_and_it_is_told(
    layers, middling, make_model, tmp_path
):
    _, threshold = middling
    other = tmp_path / "other.safetensors"
    (tmp_path / "model.safetensors").rename(other)
    second = make_model(["red", "nir"], threshold=0.9)
    events, probability = [], str(tmp_path / "p.tif")
    predict(
        stack=str(tmp_path / "any_stack.tif"), model=str(other), more_models=[second],
        probability=probability, progress=Progress(events.append),
    )  # fmt: skip
    assert tag_of(probability) == repr(threshold)
    assert "The models' thresholds differ" in told(events)


def test_single_steps_of_a_shipped_model_on_real_ground(data_dir, single_steps, tmp_path):
    """A window of Iburi, where every hill slid in 2018."""
    image = str(tmp_path / "iburi.tif")
    path = data_dir / "iburi_s2" / "s2_post_B02B03B04_utm54n_10m.tif"
    with rasterio.open(path) as source:
        window = Window(500, 300, 256, 256)
        profile = source.profile | {"width": 256, "height": 256, "driver": "GTiff"}
        profile["transform"] = source.window_transform(window)
        with rasterio.open(image, "w", **profile) as cut:
            cut.write(source.read(window=window))
            cut.descriptions = source.descriptions
    model = str(WEIGHTS / "sentinel2-rgb.safetensors")
    options = {name: str(tmp_path / f"whole.{name}") for name in ("tif", "gpkg")}
    whole = map_landslides(
        image=image, model=model, inventory=options["gpkg"], probability=options["tif"],
        progress=Progress(),
    )  # fmt: skip
    inventory = gpd.read_file(options["gpkg"], layer=0)
    result, tag, _ = single_steps(image, model)
    assert float(tag) == load_card(model).threshold != 0.5
    assert whole["count"] > 20
    assert result.geometry.geom_equals(inventory.geometry).all()
    assert result.area_m2.sum() == pytest.approx(whole["area_m2"], abs=1e-6)
