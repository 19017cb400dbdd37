"""Where pixels lie: straight ways between them against geodesics."""

from typing import Any

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.contract.errors import GridError
from landslide_mapper.landslide_plugin.raster.grid import Grid
from landslide_mapper.landslide_plugin.raster.positions import Positions
from landslide_mapper.landslide_plugin.raster.surface import ellipsoid_of
from pyproj import CRS as ProjCRS
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin
from rasterio.windows import Window

GRIDS = [
    ("EPSG:4326", 10, 62, 0.01),
    ("EPSG:4807", 2, 52, 0.01),
    ("EPSG:3857", 1e6, 8.4e6, 2000),
    ("EPSG:3035", 900_000, 950_000, 1000),
    ("EPSG:3413", -200_000, 200_000, 3000),
    ("ESRI:54009", 9e6, 6e6, 20_000),
]


@pytest.mark.parametrize(("crs", "left", "top", "step"), GRIDS)
def test_ways_are_geodesics(crs, left, top, step):
    grid = Grid(CRS.from_user_input(crs), from_origin(left, top, step, step), 150, 100)
    assert not grid.keeps_crs_metres
    rows, columns = np.random.default_rng(0).integers(0, 100, (2, 2, 50))
    known: Any = ProjCRS.from_user_input(crs)
    degrees = np.degrees(known.geodetic_crs.axis_info[0].unit_conversion_factor)
    there = Transformer.from_crs(known, known.geodetic_crs, always_xy=True)
    longitude, latitude = (
        np.asarray(angle) * degrees
        for angle in there.transform(*grid.point(columns + 0.5, rows + 0.5))
    )
    expected = known.get_geod().inv(longitude[0], latitude[0], longitude[1], latitude[1])[2]
    positions = Positions(grid)
    places = positions.at(rows, columns)
    result = positions.along(np.linalg.norm(places[0] - places[1], axis=1))
    assert result == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("crs", "left", "top", "step"), GRIDS)
def test_a_window_is_interpolated_to_millimetres(crs, left, top, step):
    grid = Grid(CRS.from_user_input(crs), from_origin(left, top, step / 10, step / 10), 150, 100)
    window = Window(-20, 10, 150, 80)
    rows, columns = np.mgrid[10:90, -20:130]
    result = Positions(grid).window(window)
    assert result == pytest.approx(Positions(grid).at(rows, columns), abs=2e-3)
    assert Positions(grid).window(Window(5, 5, 1, 2)).shape == (2, 1, 3)


def test_a_grid_that_keeps_its_metres_lies_in_the_plane():
    grid = Grid(CRS.from_epsg(32632), from_origin(500000, 5000000, 10, 20), 30, 30)
    positions = Positions(grid)
    assert positions.at(np.array([0, 2]), np.array([0, 3])).tolist() == [[0, 0], [30, 40]]
    assert positions.on_map(500005.0, 4999990.0).tolist() == [0, 0]
    assert positions.along(123.0) == 123.0
    image = Positions(Grid(None, Affine.identity(), 4, 4))
    assert image.window(Window(0, 0, 4, 4))[2, 3].tolist() == [3, 2]


def test_beside_the_world_there_is_no_place():
    world = Grid(CRS.from_user_input("ESRI:54009"), from_origin(-18e6, 9e6, 4e5, 4e5), 90, 45)
    places = Positions(world).window(Window(0, 0, 90, 45))
    known = np.array(np.isfinite(places).all(axis=2))
    assert not known[0, 0] and known[22, 45]
    assert known.mean() == pytest.approx(np.pi / 4, abs=0.02)


@pytest.mark.parametrize(
    ("crs", "turn"),
    [
        ("EPSG:4326", 360),
        ("EPSG:4807", 400),
        ("EPSG:3857", 2 * 20037508.343),
        ("EPSG:3832", 2 * 20037508.343),
        ("EPSG:4087", 2 * 20037508.343),
        ("EPSG:3035", 0),
        ("EPSG:3413", 0),
        ("EPSG:32632", 0),
        ("ESRI:54009", 0),
    ],
)
def test_maps_that_repeat_themselves(crs, turn):
    assert ellipsoid_of(CRS.from_user_input(crs)).turn == pytest.approx(turn, rel=1e-6)


def test_no_crs_has_no_ellipsoid():
    with pytest.raises(GridError, match="no ellipsoid"):
        ellipsoid_of(None)
