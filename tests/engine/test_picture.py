"""The ground that maps are drawn on."""

import numpy as np
import rasterio
from landslide_mapper.landslide_plugin.picture import PAPER, ground
from landslide_mapper.landslide_plugin.raster import Grid, Source
from rasterio.crs import CRS
from rasterio.transform import from_origin

COARSE = Grid(CRS.from_epsg(32632), from_origin(500000, 5000000, 100, 100), 6, 5)


def test_what_a_band_lacks_is_paper_in_it_and_shifts_no_light(make_raster):
    """Nodata of one band is not averaged with the others' values."""
    random = np.random.default_rng(1)
    bands = random.uniform(0.1, 0.3, (3, 50, 60)).astype(np.float32)
    whole = make_raster("whole.tif", bands, bands=["red", "green", "blue"])
    bands[0, :, 30:] = -9999
    part = make_raster("part.tif", bands, bands=["red", "green", "blue"], nodata=-9999)
    with Source.open(whole) as all_of_it, Source.open(part) as lacking:
        expected, seen = ground(COARSE, all_of_it), ground(COARSE, lacking)
    np.testing.assert_allclose(seen[..., 1:], expected[..., 1:], atol=1e-6)
    assert (seen[:, 3:, 0] == PAPER).all()
    assert seen[:, :3, 0].min() < 0.4 and seen[:, :3, 0].max() > 0.9


def test_classes_are_not_averaged(make_raster):
    codes = np.random.default_rng(1).choice([10, 80], (50, 60)).astype(np.uint8)
    path = make_raster("cover.tif", codes)
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {10: (0, 100, 0, 255), 80: (0, 0, 200, 255)})
    with Source.open(path) as source:
        assert len(np.unique(ground(COARSE, source))) == 2
