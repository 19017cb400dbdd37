"""A stack and a model in different units: what reaches the network is what it was trained on."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference.fit import fit_units
from landslide_mapper.landslide_plugin.inference.predict_command import predict
from landslide_mapper.landslide_plugin.inference.tiling import Tiling
from landslide_mapper.landslide_plugin.inference.windows import Reader
from landslide_mapper.landslide_plugin.raster import Source
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import save_model
from landslide_mapper.models.registry import build

SMALL = {"growth_rate": 4, "layers": [1], "middle_layers": 1, "first_channels": 8}
CARD = ModelCard(
    name="m", architecture="fc_densenet", arguments=SMALL, task="semantic-segmentation",
    bands=["red", "slope", "nir"], mean=[0.1, 20.0, 0.3], std=[0.05, 10.0, 0.1], resolution=10.0,
    tile_size=32, classes=["background", "landslide"], units=["reflectance", "", "reflectance"],
)  # fmt: skip
OLD = replace(CARD, mean=[1000.0, 20.0, 3000.0], std=[500.0, 10.0, 1000.0], units=[])
"""Trained on reflectance x 10000 before cards told units."""
PICTURE = replace(CARD, mean=[75.0, 20.0, 90.0], std=[37.0, 10.0, 33.0], units=[])
SHAPE = 64, 64


@pytest.fixture
def stacks(make_raster):
    """The same ground as reflectance, as Sentinel-2 holds it, and as numbers of no known units."""
    rng = np.random.default_rng(0)
    red, nir = rng.uniform(0.02, 0.2, SHAPE), rng.uniform(0.2, 0.5, SHAPE)
    slope = rng.uniform(0, 50, SHAPE)

    def stored(name, scale, offset, **tags):
        values = [np.round((red - offset) / scale), slope, np.round((nir - offset) / scale)]
        path = make_raster(name, np.array(values, np.float32), bands=CARD.bands)
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(**tags)
        return path

    reflectance = np.array([red, slope, nir], np.float32)
    return {
        "reflectance": make_raster("reflectance.tif", reflectance, bands=CARD.bands),
        "plus 1000": stored("plus.tif", 1e-4, -0.1, PROCESSING_BASELINE="05.09"),
        "landsat": stored("LC08_L2SP_042034_20200101_20200113_02_T1.tif", 2.75e-5, -0.2),
        "unknown": stored("unknown.tif", 1e-4, 0.0),
    }


def network_gets(path, card):
    """Return what a network is given, and what was said."""
    events = []
    with Source.open(path) as source:
        fitted = fit_units(card, source, Progress(events.append))
        tiling = Tiling(source.grid.shape, 64)
        given = Reader(source, fitted, tiling).read(next(iter(tiling)))
    assert given is not None
    return given.values, [(event["type"], event["text"]) for event in events]


@pytest.mark.parametrize("card", [CARD, replace(CARD, units=[]), OLD], ids=["told", "guess", "old"])
@pytest.mark.parametrize("stored", ["reflectance", "plus 1000", "landsat"])
def test_the_network_gets_the_numbers_of_its_training(stacks, card, stored):
    """One z-score for one ground, whatever the stack stores and the model was trained on."""
    with rasterio.open(stacks["reflectance"]) as dataset:
        ground = dataset.read()
    mean, std = (np.array(part)[:, None, None] for part in (CARD.mean, CARD.std))
    given, said = network_gets(stacks[stored], card)
    np.testing.assert_allclose(given, (ground - mean) / std, atol=2e-3)
    assert all(kind == "message" for kind, _ in said)


def test_numbers_of_unknown_units_are_warned_of(stacks):
    _, said = network_gets(stacks["unknown"], CARD)
    assert [kind for kind, _ in said] == ["warning"]
    assert "red, nir" in said[0][1]
    assert "unknown units" in said[0][1]
    assert "stack its layers anew with SCALE and OFFSET" in said[0][1]


def test_a_model_of_such_numbers_gets_them_as_they_are(stacks):
    given, said = network_gets(stacks["unknown"], OLD)
    with rasterio.open(stacks["unknown"]) as dataset:
        stored = dataset.read()
    mean, std = (np.array(part)[:, None, None] for part in (OLD.mean, OLD.std))
    np.testing.assert_allclose(given, (stored - mean) / std, atol=1e-4)
    assert said == []


def test_reflectance_given_to_a_model_of_pictures_is_noticed(stacks):
    """Its z-scores are all near -2, which is not far from the training's mean."""
    _, said = network_gets(stacks["reflectance"], PICTURE)
    assert [kind for kind, _ in said] == ["warning"]
    assert "red, nir are on another scale" in said[0][1]


@pytest.mark.parametrize(
    ("mean", "std", "is_told"), [(420, 150, True), (200, 130, True), (130, 70, False)]
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_bytes_given_to_a_model_of_larger_numbers_are_noticed(
    make_raster, mean, std, is_told, dtype
):
    """Of 11 bits, say: no numbers up to 255 have its mean and deviation."""
    values = np.random.default_rng(0).integers(0, 256, (3, *SHAPE)).astype(dtype)
    path = make_raster("bytes.tif", values, bands=CARD.bands)
    card = replace(PICTURE, mean=[mean, 20.0, mean], std=[std, 10.0, std])
    _, said = network_gets(path, card)
    assert ["red, nir are on another scale" in text for _, text in said] == [True] * is_told


def test_a_card_with_a_light_of_its_own_is_left_alone(stacks):
    lit = replace(OLD, scene={"low": [1.0, 2.0, 3.0], "high": [4.0, 5.0, 6.0]})
    with Source.open(stacks["plus 1000"]) as source:
        assert fit_units(lit, source, Progress()) is lit
        assert source.scaling["red"].unit == ""


def test_predict_maps_one_ground_alike(stacks, tmp_path):
    """Also an ensemble of members that were trained on different numbers."""
    files = {"told": CARD, "old": OLD}
    for name, card in files.items():
        torch.manual_seed(1)
        network = build("fc_densenet", 3, 2, **SMALL)
        save_model(tmp_path / f"{name}.safetensors", network, card)
    maps = []
    for number, (stored, model, more) in enumerate([
        ("reflectance", "told", []), ("plus 1000", "told", []), ("landsat", "old", []),
        ("reflectance", "old", ["told"]), ("plus 1000", "told", ["old"]),
    ]):  # fmt: skip
        output = tmp_path / f"{number}.tif"
        predict(
            stack=stacks[stored], model=str(tmp_path / f"{model}.safetensors"),
            more_models=[str(tmp_path / f"{name}.safetensors") for name in more],
            probability=str(output), runtime="torch", device="cpu", progress=Progress(),
        )  # fmt: skip
        with rasterio.open(output) as dataset:
            maps.append(dataset.read(1))
    assert maps[0].std() > 1e-3
    for result in maps[1:]:
        np.testing.assert_allclose(result, maps[0], atol=2e-3)


def test_units_travel_in_the_model_file():
    item = CARD.to_item()
    assert ModelCard.from_item(item).units == CARD.units
    del item["properties"]["landslide:units"]
    assert ModelCard.from_item(item).units == []
    with pytest.raises(ValueError, match="units differ in number"):
        replace(CARD, units=["reflectance"])
