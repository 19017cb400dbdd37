"""The ground that maps are drawn on, and the bar of its scale."""

import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.raster import Grid, Source
from landslide_mapper.landslide_plugin.reports.ground import PAPER, draw_scale_bar, ground
from matplotlib.figure import Figure
from pyproj import Geod
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


@pytest.mark.parametrize(
    ("code", "left", "top", "step"),
    [(32632, 5e5, 6.65e6, 20), (3857, 1_113_194.9, 8_399_737.9, 40), (4326, 10, 60, 4e-4)],
)
def test_a_scale_bar_is_as_long_as_it_says(code, left, top, step):
    """In degrees at 60 N a pixel is half as wide as it is high."""
    grid = Grid(CRS.from_epsg(code), from_origin(left, top, step, step), 300, 300)
    axes = Figure().add_subplot()
    draw_scale_bar(axes, grid)
    from_x, to_x = np.asarray(axes.lines[0].get_xdata(), float)
    said = float(axes.texts[0].get_text().removesuffix(" km"))
    assert said in (0.5, 1)
    metres = (to_x - from_x) * grid.pixel_metres(np.array([150]))[0][0]
    assert metres == pytest.approx(1000 * said, rel=1e-3)
    if code == 4326:
        east = Geod(ellps="WGS84").inv(10, 59.94, 10 + step * (to_x - from_x), 59.94)[2]
        assert east == pytest.approx(1000 * said, rel=1e-3)
