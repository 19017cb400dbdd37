"""The grid: true metres on any CRS, windows, likeness."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.contract.errors import GridError
from landslide_mapper.landslide_plugin.raster.grid import Grid, require_north_up
from pyproj import Geod
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin
from rasterio.windows import Window

UTM = CRS.from_epsg(32632)
WGS84 = CRS.from_epsg(4326)


def utm_grid(width=30, height=20, step=10.0):
    return Grid(UTM, from_origin(500000, 5000000, step, step), width, height)


@pytest.mark.parametrize("latitude", [-75.0, -33.0, 0.0, 12.5, 45.0, 60.0, 85.0])
def test_pixels_in_degrees_have_the_geodesic_size_of_their_row(latitude):
    step = 1 / 3600
    grid = Grid(WGS84, from_origin(10, latitude + step / 2, step, step), 4, 1)
    dx, dy = grid.pixel_metres()
    geod = Geod(ellps="WGS84")
    _, _, east = geod.inv(10, latitude, 10 + step, latitude)
    _, _, north = geod.inv(10, latitude - step / 2, 10, latitude + step / 2)
    assert dx[0] == pytest.approx(east, rel=1e-6)
    assert dy[0] == pytest.approx(north, rel=1e-6)


def test_pixel_size_changes_from_row_to_row_and_beyond_the_grid():
    grid = Grid(WGS84, from_origin(10, 60, 0.1, 0.1), 3, 50)
    dx, dy = grid.pixel_metres()
    assert np.all(np.diff(dx) > 0)  # rows go south, towards the equator
    assert np.all(np.diff(dy) < 0)
    outside, _ = grid.pixel_metres(np.array([-1.0, 50.0]))
    assert outside[0] < dx[0] and outside[1] > dx[-1]


def test_feet_become_metres():
    feet = Grid(CRS.from_epsg(2263), from_origin(900000, 200000, 100, 50), 3, 2)  # US survey feet
    dx, dy = feet.pixel_metres()
    assert dx == pytest.approx([30.48006, 30.48006], abs=1e-4)
    assert dy == pytest.approx([15.24003, 15.24003], abs=1e-4)
    assert feet.resolution == pytest.approx(np.sqrt(dx[0] * dy[0]))


def test_a_plain_image_counts_its_pixels_as_metres():
    grid = Grid(None, Affine.identity(), 4, 3)
    assert grid.pixel_metres()[0].tolist() == [1, 1, 1]
    assert "no CRS" in grid.describe()


def test_mars_has_its_own_radius():
    mars = CRS.from_wkt(
        'GEOGCS["Mars 2000",DATUM["Mars",SPHEROID["Mars",3396190,0]],PRIMEM["0",0],'
        'UNIT["degree",0.0174532925199433]]'
    )
    grid = Grid(mars, from_origin(0, 0.5, 1, 1), 1, 1)
    assert grid.pixel_metres()[1][0] == pytest.approx(np.radians(3396190))


@given(st.integers(1, 400), st.integers(1, 500))
def test_row_blocks_cover_every_row_once(height, rows):
    windows = list(utm_grid(height=height).row_blocks(rows))
    covered = [row for w in windows for row in range(w.row_off, w.row_off + w.height)]
    assert covered == list(range(height))
    assert all(window.width == 30 and window.height <= rows for window in windows)


@given(st.floats(0.1, 1000), st.integers(1, 50), st.integers(1, 100000))
def test_rows_within_keeps_the_budget_or_gives_one_row_of_tiles(megabytes, bands, width):
    rows = utm_grid(width=width).rows_within(megabytes, bands)
    assert rows % 256 == 0
    assert rows == 256 or rows * width * bands * 4 <= megabytes * 1e6


def test_grids_are_the_same_within_a_thousandth_of_a_pixel():
    grid = utm_grid()
    near = Grid(UTM, from_origin(500000.005, 5000000, 10, 10), 30, 20)
    shifted = Grid(UTM, from_origin(500000.5, 5000000, 10, 10), 30, 20)
    assert grid.same_as(near)
    assert not grid.same_as(shifted)
    assert not grid.same_as(utm_grid(width=31))
    assert not grid.same_as(Grid(CRS.from_epsg(32633), grid.transform, 30, 20))
    assert not grid.same_as(Grid(UTM, from_origin(500000, 5000000, 10.01, 10), 30, 20))


def test_a_window_begins_where_its_corner_lies():
    transform = utm_grid().window_transform(Window(3, 2, 5, 5))
    assert transform == from_origin(500030, 4999980, 10, 10)


def test_places_on_the_map_and_in_pixels():
    grid = utm_grid()
    assert grid.point(0, 0) == (500000, 5000000)
    assert grid.point(1.5, 2) == (500015, 4999980)
    assert grid.pixel(*grid.point(7.25, -3)) == (7.25, -3)
    assert grid.bounds == (500000, 4999800, 500300, 5000000)


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 2000))
def test_a_coarsened_grid_holds_all_of_the_ground_and_no_more_than_wanted(width, height, most):
    grid = utm_grid(width, height)
    step = grid.step_within(most)
    coarse = grid.coarsened(step)
    assert max(coarse.shape) <= most and coarse.point(1, 1) == grid.point(step, step)
    assert 0 <= coarse.width * step - width < step and 0 <= coarse.height * step - height < step
    assert step == 1 or max(grid.coarsened(step - 1).shape) > most


@given(st.integers(1, 2000), st.integers(1, 2000), st.floats(0.1, 100), st.integers(1, 40))
def test_windows_cover_every_pixel_once_within_the_budget(width, height, megabytes, bands):
    covered = np.zeros((height, width), np.uint8)
    for window in utm_grid(width, height).windows(megabytes, bands):
        rows, columns = window.toslices()
        covered[rows, columns] += 1
        assert window.col_off % 256 == window.row_off % 256 == 0
        tiles = window.width <= 256 and window.height <= 256
        assert tiles or window.width * window.height * bands * 4 <= megabytes * 1e6
    assert (covered == 1).all()


class TestDescribe:
    def test_code_extent_and_place_on_earth(self):
        assert utm_grid().describe() == (
            "EPSG:32632, x 500000 to 500300, y 4999800 to 5000000, near 45.15 N 9.00 E"
        )

    def test_degrees_say_the_place_themselves(self):
        grid = Grid(WGS84, from_origin(-9, -45, 0.1, 0.1), 10, 10)
        assert grid.describe() == "EPSG:4326, x -9 to -8, y -46 to -45"

    def test_a_crs_without_code_is_named(self):
        moon = CRS.from_proj4("+proj=eqc +a=1737400 +b=1737400 +units=m +no_defs")
        name = Grid(moon, from_origin(0, 1000, 10, 10), 10, 10).describe().split(",")[0]
        assert name and "[" not in name


@pytest.mark.parametrize(
    "transform", [Affine(10, 1, 0, 0, -10, 0), Affine(10, 0, 0, 0, 10, 0), Affine.rotation(30)]
)
def test_rotated_and_south_up_rasters_are_refused(transform):
    with pytest.raises(GridError, match=r"DEM x\.tif is rotated or not north-up"):
        require_north_up(transform, "The DEM x.tif")
