"""The same ground has the same area, whatever its CRS and whichever algorithm says so."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from landslide_mapper.landslide_plugin.evaluation.commands import evaluate
from landslide_mapper.landslide_plugin.inventory.commands import vectorize
from landslide_mapper.landslide_plugin.progress import Progress
from pyproj import CRS as ProjCRS
from pyproj import Geod, Transformer
from rasterio.features import rasterize
from rasterio.transform import from_origin

PLACES = [
    # CRS, longitude, latitude (of Greenwich)
    pytest.param("EPSG:32632", 9.0, 47.0, id="UTM"),
    pytest.param("EPSG:32632", 12.9, 3.0, id="UTM beyond its zone, which keeps its metres"),
    pytest.param("EPSG:32632", 16.0, 3.0, id="UTM far beyond its zone"),
    pytest.param("EPSG:3857", 10.0, 0.0, id="Web Mercator on the equator"),
    pytest.param("EPSG:3857", 10.0, 45.0, id="Web Mercator at 45 N"),
    pytest.param("EPSG:3857", 10.0, 60.0, id="Web Mercator at 60 N"),
    pytest.param("EPSG:4087", 10.0, 60.0, id="plate carree"),
    pytest.param("EPSG:4326", 10.0, 60.0, id="degrees"),
    pytest.param("EPSG:4807", 2.5, 45.0, id="grads from Paris"),
    pytest.param("EPSG:2263", -74.0, 40.7, id="US survey feet"),
    pytest.param("EPSG:3413", -45.0, 75.0, id="polar stereographic"),
    pytest.param("EPSG:3413", 30.0, 60.0, id="polar stereographic, far from the pole"),
    pytest.param("EPSG:27700", -2.0, 52.0, id="British national grid"),
    pytest.param("EPSG:3035", 10.0, 52.0, id="equal-area"),
    pytest.param("EPSG:3035", -24.0, 36.0, id="equal-area, at its edge"),
    pytest.param("ESRI:54008", 100.0, 55.0, id="sinusoidal"),
]


class Circle:
    """A circle of an area on the ground round a place, on a raster of so many pixels a side.

    Attributes:
        area: geodesic, of the circle as it is drawn.
        raster: a probability, .9 within.
        polygon: a layer of it.
    """

    def __init__(self, folder, crs, longitude, latitude, area=1e6, side=400):
        known = ProjCRS.from_user_input(crs)
        to_map = Transformer.from_crs("EPSG:4326", known, always_xy=True)
        geod = Geod(ellps="WGS84")
        bearings = np.linspace(0, 360, 721)[:-1]
        radius = np.full(720, np.sqrt(area / np.pi))
        start = np.full(720, longitude), np.full(720, latitude)
        degrees = geod.fwd(*start, bearings, radius)[:2]
        self.area = abs(geod.polygon_area_perimeter(*degrees)[0])
        circle = shapely.Polygon(np.stack(to_map.transform(*degrees), axis=1))
        left, bottom, right, top = circle.bounds
        self.transform = from_origin(
            left - (right - left) / 10,
            top + (top - bottom) / 10,
            1.2 * (right - left) / side,
            1.2 * (top - bottom) / side,
        )
        inside = rasterize([circle], (side, side), transform=self.transform, dtype="uint8")
        self.crs, self.mask, self.side = crs, inside, side
        self.raster = str(folder / "probability.tif")
        with rasterio.open(
            self.raster,
            "w",
            driver="GTiff",
            count=1,
            height=side,
            width=side,
            dtype="float32",
            crs=crs,
            transform=self.transform,
        ) as dataset:
            dataset.write(inside.astype(np.float32) * 0.9, 1)
        self.polygon = str(folder / "circle.gpkg")
        gpd.GeoDataFrame(geometry=[circle], crs=crs).to_file(self.polygon)


@pytest.mark.parametrize(("crs", "longitude", "latitude"), PLACES)
class TestCircle:
    def test_its_inventory_and_its_report_say_the_same_area(
        self, tmp_path, crs, longitude, latitude
    ):
        circle = Circle(tmp_path, crs, longitude, latitude)
        output = str(tmp_path / "out.gpkg")
        drawn = vectorize(input=circle.raster, output=output, threshold=0.5, progress=Progress())
        judged = evaluate(
            predicted=circle.raster, reference=circle.polygon, threshold=0.5, progress=Progress()
        )
        assert drawn["area_m2"] == pytest.approx(circle.area, rel=2e-3)
        assert judged["predicted_area_m2"] == pytest.approx(circle.area, rel=2e-3)
        assert judged["reference_area_m2"] == pytest.approx(circle.area, rel=2e-3)
        assert judged["predicted_area_m2"] == pytest.approx(drawn["area_m2"], rel=2e-4)

    def test_the_smallest_area_and_the_largest_hole_are_of_the_ground(
        self, tmp_path, crs, longitude, latitude
    ):
        circle = Circle(tmp_path, crs, longitude, latitude, side=100)
        with rasterio.open(circle.raster, "r+") as dataset:
            values = dataset.read(1)
            values[40:60, 40:60] = 0
            dataset.write(values, 1)
        output = str(tmp_path / "out.gpkg")

        def area(**sizes):
            options = {"input": circle.raster, "output": output, "threshold": 0.5} | sizes
            return vectorize(**options, progress=Progress())["area_m2"]

        whole = circle.area * circle.mask.sum() / circle.mask.sum()
        hole = whole * 400 / circle.mask.sum()
        assert area() == pytest.approx(whole - hole, rel=5e-3)
        assert area(max_hole=0.99 * hole) == pytest.approx(whole - hole, rel=5e-3)
        assert area(max_hole=1.01 * hole) == pytest.approx(whole, rel=5e-3)
        assert area(min_area=0.99 * (whole - hole)) > 0
        assert area(min_area=1.01 * (whole - hole)) == 0
