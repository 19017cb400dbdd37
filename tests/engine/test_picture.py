"""What is drawn on maps in reports."""

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.picture import draw_scale_bar
from landslide_mapper.landslide_plugin.raster.grid import Grid
from matplotlib.figure import Figure
from pyproj import Geod
from rasterio.crs import CRS
from rasterio.transform import from_origin


@pytest.mark.parametrize(
    ("code", "left", "top", "step"),
    [(32632, 5e5, 6.65e6, 20), (3857, 1_113_194.9, 8_399_737.9, 40), (4326, 10, 60, 4e-4)],
)
def test_a_scale_bar_is_as_long_as_it_says(code, left, top, step):
    """In degrees at 60 N a pixel is half as wide as it is high."""
    grid = Grid(CRS.from_epsg(code), from_origin(left, top, step, step), 300, 300)
    axes = Figure().add_subplot()
    draw_scale_bar(axes, grid)
    from_x, to_x = axes.lines[0].get_xdata()
    said = float(axes.texts[0].get_text().removesuffix(" km"))
    assert said in (0.5, 1)
    metres = (to_x - from_x) * grid.pixel_metres(np.array([150]))[0][0]
    assert metres == pytest.approx(1000 * said, rel=1e-3)
    if code == 4326:
        east = Geod(ellps="WGS84").inv(10, 59.94, 10 + step * (to_x - from_x), 59.94)[2]
        assert east == pytest.approx(1000 * said, rel=1e-3)
