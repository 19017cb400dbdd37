"""A small stack with landslides at known places (synthetic)."""

import geopandas as gpd
import numpy as np
import pytest
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.request import checked
from landslide_mapper.landslide_plugin.samples.sample_set import SampleSet
from landslide_mapper.landslide_plugin.samples.samples_command import samples
from shapely.geometry import box

LEFT, TOP, PIXEL = 500000, 5000000, 10


def make(tmp_path, stack, landslides, events=None, **options):
    """Run the command; return its values and the set."""
    tmp_path.mkdir(exist_ok=True)
    output = str(tmp_path / "samples")
    sink = events.append if events is not None else None
    given = {"tile_size": 32, "stride": 16, **options}
    given |= {"stack": stack, "landslides": landslides, "output": output}
    values = samples(**checked("samples", samples, given), progress=Progress(sink))
    return values, SampleSet.read(output)


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
