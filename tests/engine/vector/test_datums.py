"""Where PROJ takes one datum for another it is said: the layer lies elsewhere by some 100 m."""

import geopandas as gpd
import numpy as np
import pytest
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.evaluation.evaluate_command import evaluate
from landslide_mapper.landslide_plugin.raster.stack import LayerStack
from landslide_mapper.landslide_plugin.vector.datums import is_guess
from landslide_mapper.landslide_plugin.vector.layers import read_vector
from landslide_mapper.landslide_plugin.vector.shapes import read_shapes
from pyproj import CRS, Transformer
from rasterio.transform import from_origin
from shapely import box

KRASSOWSKY = "+proj=utm +zone=50 +ellps=krass +no_defs"


@pytest.mark.parametrize(
    ("system", "wanted", "place", "guess"),
    [
        (2433, 32649, (109, 30), True),  # Beijing 1954
        (2349, 32649, (109, 30), True),  # Xian 1980
        (KRASSOWSKY, 32650, (117, 40), True),
        (KRASSOWSKY.replace("+no", "+towgs84=15.8,-154.4,-82.3 +no"), 32650, (117, 40), False),
        (26710, 32610, (-122, 40), False),  # NAD27
        (31467, 25832, (9, 50), False),  # DHDN
        (4490, 32649, (109, 30), False),  # CGCS 2000, centimetres from WGS 84
        (32632, 3857, (9, 45), False),
    ],
)
def test_old_datums_without_a_known_way(system, wanted, place, guess):
    system = CRS.from_user_input(system)
    x, y = Transformer.from_crs(4326, system, always_xy=True).transform(*place)
    bounds = (x, y, x + 0.01, y + 0.01) if system.is_geographic else (x, y, x + 1e3, y + 1e3)
    assert is_guess(system, CRS.from_user_input(wanted), bounds) is guess


def test_whatever_is_brought_to_another_datum_tells_it(make_raster, tmp_path):
    layer = tmp_path / "old.gpkg"
    shape = box(500000, 4999500, 500500, 5000000)
    gpd.GeoDataFrame(geometry=[shape], crs=KRASSOWSKY).to_file(layer)
    grid = {"crs": "EPSG:32650", "transform": from_origin(500000, 5000000, 10, 10)}
    new = make_raster("new.tif", np.ones((50, 50), np.uint8), **grid)
    old = make_raster("old.tif", np.ones((50, 50), np.uint8), **{**grid, "crs": KRASSOWSKY})
    told = []
    sink = Progress(told.append)
    read_vector(layer, "faults", crs=32650, progress=sink)
    read_shapes(layer, "rivers", crs=32650, progress=sink)
    evaluate(predicted=new, reference=str(layer), progress=sink)
    LayerStack.open([new, old], progress=sink).close()
    warnings = [event["text"] for event in told if "No transformation" in event.get("text", "")]
    assert len(warnings) == 4
    named = ("the faults may", "the rivers may", "the reference may", "old.tif may lie some 100 m")
    assert all(name in text for name, text in zip(named, warnings, strict=True))
