"""An untrained network, and a synthetic hill to map with it."""

import geopandas as gpd
import numpy as np
import pytest
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import save_model
from landslide_mapper.models.registry import build
from shapely import LineString


@pytest.fixture
def make_model(tmp_path):
    def make(bands, threshold=0.5, mean=0.0, std=1.0, metrics=None, **training):
        arguments = {"growth_rate": 4, "layers": [1], "middle_layers": 1, "first_channels": 8}
        card = ModelCard(
            name="untrained", architecture="fc_densenet", arguments=arguments, bands=bands,
            task="semantic-segmentation", mean=[mean] * len(bands), std=[std] * len(bands),
            resolution=10.0, tile_size=32, classes=["background", "landslide"], threshold=threshold,
            training=training, metrics=metrics or {}, licence="CC0-1.0",
        )  # fmt: skip
        path = tmp_path / "model.safetensors"
        save_model(path, build("fc_densenet", len(bands), 2, **arguments), card)
        return str(path)

    return make


@pytest.fixture
def layers(make_raster, tmp_path):
    """Image and DEM of 80 x 70 pixels, a river, and an empty folder for the results."""
    rows, columns = np.mgrid[:80, :70]
    hill = 300 + 100 * np.cos(rows / 20) * np.sin(columns / 15) + rows / 10
    image = np.random.default_rng(0).integers(200, 3000, (2, 80, 70)).astype(np.uint16)
    river = gpd.GeoDataFrame(
        geometry=[LineString([(500000, 4999500), (500700, 4999600)])], crs="EPSG:32632"
    )
    river.to_file(tmp_path / "rivers.gpkg")
    folder = tmp_path / "results"
    folder.mkdir()
    return {
        "image": make_raster("image.tif", image, bands=["B04", "B08"]),
        "dem": make_raster("dem.tif", hill.astype(np.float32)),
        "rivers": str(tmp_path / "rivers.gpkg"),
        "inventory": str(folder / "inventory.gpkg"),
        "probability": str(folder / "probability.tif"),
        "progress": Progress(),
    }
