"""How the ground is lit."""

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.raster import Grid
from landslide_mapper.landslide_plugin.raster.relief import hillshade, light
from rasterio.crs import CRS
from rasterio.transform import from_origin

GRID = Grid(CRS.from_epsg(32632), from_origin(500000, 5000000, 10, 10), 60, 50)


@pytest.mark.parametrize(
    ("right", "up", "expected"),
    [(0, 0, np.sqrt(0.5)), (-np.sqrt(0.5), np.sqrt(0.5), 1), (np.sqrt(0.5), -np.sqrt(0.5), 0)],
    ids=["flat", "towards the light", "along the light"],
)
def test_light_is_the_cosine_of_its_angle_to_the_slope(right, up, expected):
    assert light(right, up, np.hypot(right, up)) == pytest.approx(expected, abs=1e-12)


def test_pictures_are_lit_as_matplotlib_lights_them():
    from matplotlib.colors import LightSource

    heights = np.random.default_rng(1).normal(500, 20, GRID.shape).astype(np.float32)
    expected = LightSource(315, 45).hillshade(heights, dx=10, dy=10)
    result = hillshade(heights, np.ones(GRID.shape, bool), GRID)
    np.testing.assert_allclose(result, expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 60), (50, 1), (1, 1)])
def test_a_single_row_or_column_is_lit_too(shape):
    grid = Grid(GRID.crs, GRID.transform, shape[1], shape[0])
    heights = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape) ** 2
    result = hillshade(heights, np.ones(shape, bool), grid)
    assert result.shape == shape and np.isfinite(result).all()
