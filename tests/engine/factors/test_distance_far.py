"""Distance to features far from a small area, and the memory of what is wide or not square."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors import distance as rooms
from landslide_mapper.landslide_plugin.factors.distance_command import distance
from landslide_mapper.landslide_plugin.raster import Grid
from landslide_mapper.landslide_plugin.vector.shapes import Shapes
from rasterio.crs import CRS
from rasterio.transform import from_origin

LEFT, TOP = 500000, 5000000
UTM = CRS.from_epsg(32632)


@pytest.mark.parametrize("limit", [0, 300])
def test_a_small_area_may_have_its_nearest_fault_far_away(make_raster, tmp_path, limit):
    fault = shapely.Point(LEFT - 40_000, TOP)
    gpd.GeoDataFrame(geometry=[fault], crs=32632).to_file(tmp_path / "fault.gpkg")
    distance(
        input=str(tmp_path / "fault.gpkg"),
        reference=make_raster("area.tif", np.ones((30, 40), np.float32)),
        output=str(tmp_path / "out.tif"),
        max_distance=limit,
        progress=Progress(),
    )
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert dataset.read(1).min() == pytest.approx(limit or 40_000, abs=8)


@pytest.mark.parametrize(
    ("width", "scale", "each"), [(400, 1, 16), (400, 2, 40), (50_000, 1, 40)], ids=str
)
def test_what_opencv_can_not_do_needs_more_memory(width, scale, each):
    """Pixels that are not square, and very many: scipy keeps places beside distances."""
    grid = Grid(UTM, from_origin(LEFT, TOP, 1, scale), width, 20)
    ends = [shapely.Point(x, TOP - 5) for x in (LEFT, LEFT + width)]
    blocks = rooms.plan_blocks(Shapes(ends), grid)
    around = max(block.around.width * block.around.height for block in blocks)
    assert rooms.memory_needed(blocks, grid) == each * around
