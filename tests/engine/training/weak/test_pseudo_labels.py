"""From places with yes and no to a weak model, its map, pseudo-labels and a second network."""

from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference.predict_command import predict
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN, SampleSet
from landslide_mapper.landslide_plugin.samples.samples_command import samples
from landslide_mapper.landslide_plugin.training.train_command import train
from landslide_mapper.landslide_plugin.training.weak.trainweak_command import trainweak
from landslide_mapper.models.model_file import load_card
from shapely.geometry import Point

SIZE, CELL = 192, 32
RUN: dict[str, Any] = {"device": "cpu", "progress": Progress()}


@pytest.fixture
def scene(make_raster):
    """Noise, with a bright square in the middle of every second cell."""
    values = np.random.default_rng(0).normal(60, 10, (3, SIZE, SIZE))
    for column, row in cells(1):
        values[:, row - 5 : row + 5, column - 5 : column + 5] += 80
    return make_raster("scene.tif", values.astype(np.float32), bands=["red", "green", "blue"])


def cells(kind):
    positions = range(CELL // 2, SIZE, CELL)
    return [(c, r) for c in positions for r in positions if (c + r) // CELL % 2 == kind]


def test_the_chain(tmp_path, tiny, scene):
    answers = [(each, kind) for kind in (0, 1) for each in cells(kind)]
    points = [Point(500000 + 10 * c, 5000000 - 10 * r) for (c, r), _ in answers]
    frame = gpd.GeoDataFrame({"slide": [kind for _, kind in answers]}, geometry=points, crs=32632)
    frame.to_file(tmp_path / "places.gpkg")
    named = {name: str(tmp_path / name) for name in ("places", "weak", "pseudo", "second")}
    samples(
        stack=scene, landslides=f"{named['places']}.gpkg", field="slide", tile_size=CELL,
        split="random", output=named["places"], progress=Progress(),
    )  # fmt: skip
    weak, second = f"{named['weak']}.safetensors", f"{named['second']}.safetensors"
    trainweak(
        samples=named["places"], model=weak, method="cam", encoder="resnet18", epochs=1,
        tile_size=32, depth=3, **RUN,
    )  # fmt: skip
    predict(stack=scene, model=weak, probability=f"{named['weak']}.tif", **RUN)
    with rasterio.open(f"{named['weak']}.tif") as dataset:
        low, high = np.quantile(dataset.read(1), (0.5, 0.8))
    samples(
        stack=scene, landslides=f"{named['weak']}.tif", low=float(low), high=float(high),
        tile_size=CELL, stride=16, split="random", output=named["pseudo"], progress=Progress(),
    )  # fmt: skip
    written = SampleSet.read(named["pseudo"])
    unknown = [(written.load(sample)[2] == UNKNOWN).mean() for sample in written.samples]
    assert written.labels == "pixel"
    assert 0.1 < np.mean(unknown) < 0.5
    train(samples=named["pseudo"], model=second, backbone="light", epochs=1, **RUN)
    predict(stack=scene, model=second, probability=f"{named['second']}.tif", **RUN)
    with rasterio.open(f"{named['second']}.tif") as dataset:
        assert dataset.shape == (SIZE, SIZE)
    assert load_card(second).training["data"] == "pseudo"
