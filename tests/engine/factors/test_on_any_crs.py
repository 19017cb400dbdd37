"""Terrain and streams in true metres: the same ground laid down in many CRSs."""

from typing import Any

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors import streams as stream_lines
from landslide_mapper.landslide_plugin.factors.flow import NEIGHBOURS
from landslide_mapper.landslide_plugin.factors.smoothing import smooth
from landslide_mapper.landslide_plugin.factors.terrainfactors_command import terrainfactors
from landslide_mapper.landslide_plugin.raster.grid import Grid
from landslide_mapper.landslide_plugin.raster.source import Source
from pyproj import CRS as ProjCRS
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.transform import from_origin

SIZE = 41
PLACES = [
    # CRS, longitude, latitude of the middle (of Greenwich), pixel in the CRS's units
    pytest.param(32632, 9.0, 46.0, 10.0, id="UTM"),
    pytest.param(3857, 10.0, 0.0, 10.0, id="Web Mercator at the equator"),
    pytest.param(3857, 10.0, 45.0, 10.0, id="Web Mercator at 45 N"),
    pytest.param(3857, 10.0, 60.0, 20.0, id="Web Mercator at 60 N"),
    pytest.param(4087, 10.0, 60.0, 10.0, id="plate carree"),
    pytest.param(4326, 10.0, 60.0, 1e-4, id="degrees"),
    pytest.param(4807, 2.5, 45.0, 1e-4, id="grads from Paris"),
    pytest.param(2263, -74.0, 40.7, 30.0, id="US survey feet"),
    pytest.param(3413, 30.0, 62.0, 10.0, id="polar stereographic"),
    pytest.param(27700, -2.0, 52.0, 10.0, id="British national grid"),
    pytest.param(3035, 44.0, 39.0, 10.0, id="equal-area, at its edge"),
    pytest.param(32632, 30.0, 55.0, 10.0, id="UTM, far outside its zone"),
    pytest.param("ESRI:54008", 60.0, 50.0, 10.0, id="sinusoidal"),
    pytest.param(3031, 20.0, -89.999, 10.0, id="polar stereographic, the pole within"),
]


class Ground:
    """The ground around a place, and a grid on it.

    Attributes:
        grid: SIZE x SIZE pixels.
        east: metres towards true east of the middle, of each pixel; so is `north`.
        turn: bearing of the way up the map in the middle, degrees.
    """

    def __init__(self, crs, longitude, latitude, pixel, size=SIZE):
        known: Any = ProjCRS.from_user_input(crs)
        base = known.geodetic_crs
        x, y = Transformer.from_crs(4326, known, always_xy=True).transform(longitude, latitude)
        transform = from_origin(x - pixel * size / 2, y + pixel * size / 2, pixel, pixel)
        self.grid = Grid(CRS.from_user_input(crs), transform, size, size)
        to_base = Transformer.from_crs(known, base, always_xy=True)
        degrees = np.degrees(base.axis_info[0].unit_conversion_factor)
        positions = np.arange(size) + 0.5
        longitudes, latitudes = (
            np.asarray(value) * degrees
            for value in to_base.transform(*self.grid.point(*np.meshgrid(positions, positions)))
        )
        middle = size // 2
        here = np.full_like(longitudes, longitudes[middle, middle])
        there = np.full_like(latitudes, latitudes[middle, middle])
        azimuth, _, away = base.get_geod().inv(here, there, longitudes, latitudes)
        self.east = away * np.sin(np.radians(azimuth))
        self.north = away * np.cos(np.radians(azimuth))
        self.turn = azimuth[middle - 1, middle]

    def file(self, make_raster, heights):
        return make_raster("dem.tif", heights, crs=self.grid.crs, transform=self.grid.transform)

    def factors(self, make_raster, tmp_path, heights, names):
        output = tmp_path / "factors.tif"
        dem = str(self.file(make_raster, heights.astype(np.float32)))
        terrainfactors(input=dem, output=str(output), factors=names, progress=Progress())
        with Source.open(output) as source:
            return dict(zip(names, source.read()[0], strict=True))


@pytest.mark.parametrize(("crs", "longitude", "latitude", "pixel"), PLACES)
class TestTheSameGround:
    @pytest.mark.parametrize("direction", [20.0, 135.0])
    def test_a_plane_of_45_degrees(
        self, crs, longitude, latitude, pixel, direction, make_raster, tmp_path
    ):
        ground = Ground(crs, longitude, latitude, pixel)
        angle = np.radians(direction)
        plane = 1000 - (np.sin(angle) * ground.east + np.cos(angle) * ground.north)
        names = ["slope", "aspect", "northness", "eastness", "curvature"]
        result = ground.factors(make_raster, tmp_path, plane, names)
        assert np.abs(result["slope"] - 45).max() < 0.1
        assert np.abs(result["curvature"]).max() < 1e-4
        middle = SIZE // 2, SIZE // 2
        north = ground.turn if ground.grid.keeps_crs_metres else 0.0
        aspect = np.radians(direction - north)
        off = np.degrees(np.radians(result["aspect"][middle]) - aspect)
        assert abs((off + 180) % 360 - 180) < 0.1
        assert result["northness"][middle] == pytest.approx(np.cos(aspect), abs=2e-3)
        assert result["eastness"][middle] == pytest.approx(np.sin(aspect), abs=2e-3)

    def test_a_bowl_bends_by_its_second_derivatives(
        self, crs, longitude, latitude, pixel, make_raster, tmp_path
    ):
        """z = k (x2 + y2) / 2 bends by k along and across the fall line, whichever way it falls."""
        ground = Ground(crs, longitude, latitude, pixel)
        bowl = 0.002 / 2 * (ground.east**2 + ground.north**2)
        names = ["profile_curvature", "plan_curvature", "curvature"]
        result = ground.factors(make_raster, tmp_path, bowl, names)
        inner = (slice(2, 14), slice(2, -2))  # off the middle, where it is flat
        within = 3e-3 if ground.grid.keeps_crs_metres else 1e-3
        assert result["profile_curvature"][inner] == pytest.approx(0.002, rel=2 * within)
        assert result["plan_curvature"][inner] == pytest.approx(-0.002, rel=2 * within)
        assert result["curvature"][inner] == pytest.approx(-0.004, rel=2 * within)

    def test_smoothing_is_a_gaussian_in_metres(self, crs, longitude, latitude, pixel, make_raster):
        """It lifts z = k (x2 + y2) by 2 k sigma2 everywhere."""
        ground = Ground(crs, longitude, latitude, pixel)
        bowl = (0.01 * (ground.east**2 + ground.north**2)).astype(np.float32)
        sigma = 2 * ground.grid.resolution
        result = smooth(bowl, np.ones(bowl.shape, bool), ground.grid, 0, sigma)
        inner = (slice(12, -12),) * 2
        skewed = np.abs(ground.grid.pixels().cosine).max()
        assert result[inner] - bowl[inner] == pytest.approx(0.02 * sigma**2, rel=5e-3 + skewed**2)

    def test_what_a_funnel_drains_is_its_area(self, crs, longitude, latitude, pixel):
        ground = Ground(crs, longitude, latitude, pixel)
        valid = np.ones((SIZE, SIZE), bool)
        valid[SIZE // 2, SIZE // 2 + 1 :] = False  # a way out, or the funnel would be filled
        funnel = np.where(valid, np.hypot(ground.east, ground.north), 0).astype(np.float32)
        filled = stream_lines.fill_depressions(funnel, valid)
        directions = stream_lines.flow_directions(filled, ground.grid)
        drained = stream_lines.drained_area(directions, valid, ground.grid)
        east_down, east_across = np.gradient(ground.east)
        north_down, north_across = np.gradient(ground.north)
        area = np.abs(east_across * north_down - north_across * east_down)
        outlets = valid & (directions == 0)
        assert drained[outlets].sum() == pytest.approx(area[valid].sum() / 1e6, rel=2e-3)


def test_water_takes_the_steepest_way_on_the_ground():
    """On a sheared map both diagonals are of a length on the plane, but not on the ground."""
    ground = Ground("ESRI:54008", 60.0, 50.0, 10.0, size=3)
    heights = np.full((3, 3), 10.0)
    heights[1, 1], heights[0, 0], heights[0, 2] = 9, 8, 8
    directions = stream_lines.flow_directions(heights, ground.grid)
    away = np.hypot(ground.east, ground.north)
    nearer = (0, 0) if away[0, 0] < away[0, 2] else (0, 2)
    assert abs(away[0, 0] / away[0, 2] - 1) > 0.1
    row, column = NEIGHBOURS[directions[1, 1]]
    assert (1 + row, 1 + column) == nearer


class TestTelling:
    def said(self, make_raster, tmp_path, crs, longitude, latitude):
        ground = Ground(crs, longitude, latitude, 10.0, size=5)
        events = []
        terrainfactors(
            input=str(ground.file(make_raster, np.zeros((5, 5), np.float32))),
            output=str(tmp_path / "out.tif"),
            progress=Progress(events.append),
        )
        return [event["text"] for event in events if event["type"] != "progress"]

    def test_the_ground_and_true_north(self, make_raster, tmp_path):
        metres, north = self.said(make_raster, tmp_path, 3413, 30.0, 62.0)
        assert metres == "A metre of EPSG:3413 is 0.9708 m on the ground here: the ground counts."
        assert "true north, from which the way up the map is up to 75 degrees off" in north

    def test_a_local_crs_is_in_its_own_units(self, make_raster, tmp_path):
        site = 'LOCAL_CS["site grid",UNIT["metre",1],AXIS["E",EAST],AXIS["N",NORTH]]'
        heights = np.add.outer(np.zeros(5), 10.0 * np.arange(5)).astype(np.float32)
        dem = make_raster("dem.tif", heights, crs=site, transform=from_origin(0, 0, 10, 10))
        events, output = [], str(tmp_path / "out.tif")
        terrainfactors(
            input=str(dem), output=output, factors=["slope"], progress=Progress(events.append)
        )
        with Source.open(output) as source:
            assert source.read()[0] == pytest.approx(45, abs=1e-3)
        (warning,) = [event["text"] for event in events if event["type"] == "warning"]
        assert warning.startswith("site grid has no place on Earth")
