"""The same ground has the same area, whatever its CRS and whichever algorithm says so."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.evaluation.evaluate_command import evaluate
from landslide_mapper.landslide_plugin.inventory.vectorize_command import vectorize
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
            drawn = vectorize(
                input=circle.raster, output=output, threshold=0.5, progress=Progress(), **sizes
            )
            return drawn["area_m2"]

        whole = circle.area * circle.mask.sum() / circle.mask.sum()
        hole = whole * 400 / circle.mask.sum()
        assert area() == pytest.approx(whole - hole, rel=5e-3)
        assert area(max_hole=0.99 * hole) == pytest.approx(whole - hole, rel=5e-3)
        assert area(max_hole=1.01 * hole) == pytest.approx(whole, rel=5e-3)
        assert area(min_area=0.99 * (whole - hole)) > 0
        assert area(min_area=1.01 * (whole - hole)) == 0


def probability(folder, mask, crs, left, top, step):
    path = str(folder / "p.tif")
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=1,
        height=mask.shape[0],
        width=mask.shape[1],
        dtype="float32",
        crs=crs,
        transform=from_origin(left, top, step, step),
    ) as dataset:
        dataset.write(mask.astype(np.float32), 1)
    return path


class TestWhereTheScaleVaries:
    """Polar stereographic from the pole to 56 N: the same pixels are 1.0 to 1.2 in scale."""

    STEP = 5000.0

    @pytest.fixture
    def path(self, tmp_path):
        """Two squares of 20 x 20 pixels along one row: one at the pole, one 4000 km away."""
        mask = np.zeros((60, 900), bool)
        mask[20:40, 20:40] = mask[20:40, 860:880] = True
        return probability(tmp_path, mask, "EPSG:3995", -150_000, 150_000, self.STEP)

    def true(self, first_column):
        left = -150_000 + self.STEP * first_column
        square = shapely.box(left, -50_000, left + 20 * self.STEP, 50_000)
        edge = shapely.get_coordinates(shapely.segmentize(square, self.STEP / 5))
        to_base = Transformer.from_crs("EPSG:3995", "EPSG:4326", always_xy=True)
        return abs(Geod(ellps="WGS84").polygon_area_perimeter(*to_base.transform(*edge.T))[0])

    def test_each_has_its_own_area(self, tmp_path, path):
        far, near = self.true(860), self.true(20)
        assert near > 1.2 * far
        output = str(tmp_path / "out.gpkg")
        vectorize(input=path, output=output, threshold=0.5, progress=Progress())
        areas = sorted(gpd.read_file(output).area_m2)
        assert areas == pytest.approx([far, near], rel=2e-3)
        judged = evaluate(predicted=path, reference=path, threshold=0.5, progress=Progress())
        assert judged["predicted_area_m2"] == pytest.approx(far + near, rel=2e-3)

    def test_the_smallest_area_keeps_and_drops_by_place(self, tmp_path, path):
        limit = (self.true(860) + self.true(20)) / 2
        output = str(tmp_path / "out.gpkg")
        vectorize(input=path, output=output, threshold=0.5, min_area=limit, progress=Progress())
        (kept,) = gpd.read_file(output).geometry
        assert abs(kept.centroid.x) < 1e5

    def test_one_size_for_all_is_told(self, tmp_path, path):
        events = []
        options = {"input": path, "output": str(tmp_path / "out.gpkg"), "threshold": 0.5}
        vectorize(**options, progress=Progress(events.append))
        assert not any(event["type"] == "warning" for event in events)
        vectorize(**options, opening=6000, simplify=5000, progress=Progress(events.append))
        (told,) = [event["text"] for event in events if event["type"] == "warning"]
        assert told.startswith("Pixels differ by 12%") and "opening and simplification" in told


def test_outlines_agree_within_metres_of_the_ground(tmp_path, make_raster):
    """Squares 3 pixels apart: 30 m on the ground, though 60 m on Web Mercator's map at 60 N."""
    masks = np.zeros((2, 60, 60), np.uint8)
    masks[0, 20:40, 20:40] = masks[1, 20:40, 23:43] = 1
    scores = {}
    for code, left, top, step in ((32632, 5e5, 6.65e6, 10), (3857, 1_113_194.9, 8_399_737.9, 20)):
        transform = from_origin(left, top, step, step)
        maps = [
            make_raster(f"{code}-{number}.tif", mask, f"EPSG:{code}", transform)
            for number, mask in enumerate(masks)
        ]
        scores[code] = [
            evaluate(
                predicted=maps[0], reference=maps[1], tolerance=tolerance, progress=Progress()
            )["boundary_f"]
            for tolerance in (0, 25, 31)
        ]
    assert scores[3857] == scores[32632]
    assert scores[3857][0] == scores[3857][1] < 1 == scores[3857][2]


LOCAL = 'LOCAL_CS["site grid",UNIT["metre",1]]'


def test_a_site_s_own_grid_counts_in_its_metres_and_says_so_once(tmp_path):
    mask = np.zeros((40, 40), bool)
    mask[10:20, 10:30] = True
    path = probability(tmp_path, mask, LOCAL, 1000, 1000, 2)
    for command, options in (
        (vectorize, {"input": path, "output": str(tmp_path / "out.gpkg"), "closing": 4}),
        (evaluate, {"predicted": path, "reference": path}),
    ):
        events = []
        result = command(**options, threshold=0.5, progress=Progress(events.append))
        area = result.get("area_m2") or result["predicted_area_m2"]
        assert area == pytest.approx(200 * 4)
        (told,) = [event["text"] for event in events if event["type"] == "warning"]
        assert "no place on Earth" in told
