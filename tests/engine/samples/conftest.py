"""A small stack with landslides at known places (synthetic)."""

import geopandas as gpd
import numpy as np
import pytest
from shapely.geometry import box

LEFT, TOP, PIXEL = 500000, 5000000, 10


@pytest.fixture
def square():
    """Return a function that returns the polygon of these pixels of the stack."""

    def make(column, row, width):
        left, top = LEFT + column * PIXEL, TOP - row * PIXEL
        return box(left, top - width * PIXEL, left + width * PIXEL, top)

    return make


@pytest.fixture
def make_polygons(tmp_path):
    """Return a function that writes polygons as GeoPackage and returns its path."""

    def make(name, shapes, crs="EPSG:32632"):
        path = tmp_path / name
        gpd.GeoDataFrame(geometry=list(shapes), crs=crs).to_file(path)
        return str(path)

    return make


@pytest.fixture
def stack(make_raster):
    """256 x 256 pixels, two bands; band b is a ramp."""
    random = np.random.default_rng(1)
    ramp = np.tile(np.arange(256, dtype=np.float32), (256, 1))
    noise = random.normal(5, 2, (256, 256)).astype(np.float32)
    return make_raster("stack.tif", np.stack([noise, ramp]), nodata=-9999, bands=["a", "b"])


@pytest.fixture
def landslides(make_polygons, square):
    """Sixteen landslides of 6 x 6 pixels, one in the middle of every 64 x 64 pixels."""
    positions = [(column, row) for column in range(28, 256, 64) for row in range(28, 256, 64)]
    return make_polygons("landslides.gpkg", [square(*place, 6) for place in positions])
