"""Pixels on the ground: measured on the ellipsoid, whatever the CRS."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.contract.errors import GridError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.raster.grid import Grid, tell_metres
from pyproj import CRS as ProjCRS
from pyproj import Geod, Transformer
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.windows import Window

WGS84 = Geod(ellps="WGS84")
MOON = "+proj=stere +lat_0=-90 +R=1737400 +units=m +no_defs"
FAR_UTM = 32632
PLACES = [
    # CRS, longitude, latitude of the middle (Greenwich), pixel in the CRS's units
    pytest.param(FAR_UTM, 9.5, 46.0, 10.0, id="UTM"),
    pytest.param(FAR_UTM, 25.0, 46.0, 10.0, id="UTM far outside its zone"),
    pytest.param(3857, 10.0, 0.0, 10.0, id="Web Mercator at the equator"),
    pytest.param(3857, 10.0, 45.0, 10.0, id="Web Mercator at 45 N"),
    pytest.param(3857, 10.0, 60.0, 10.0, id="Web Mercator at 60 N"),
    pytest.param(3857, 10.0, -80.0, 10.0, id="Web Mercator at 80 S"),
    pytest.param(4087, 10.0, 60.0, 10.0, id="plate carree"),
    pytest.param(4326, 10.0, 60.0, 1e-4, id="degrees"),
    pytest.param(4979, 179.9999, -40.0, 1e-4, id="degrees with heights, at the antimeridian"),
    pytest.param(4807, 2.5, 45.0, 1e-4, id="grads from Paris"),
    pytest.param(2263, -74.0, 40.7, 30.0, id="US survey feet"),
    pytest.param(3413, -45.0, 60.0, 10.0, id="polar stereographic"),
    pytest.param(3031, 100.0, -89.9, 10.0, id="polar stereographic near the pole"),
    pytest.param(27700, -2.0, 52.0, 10.0, id="British national grid"),
    pytest.param(3035, 10.0, 52.0, 10.0, id="LAEA in its middle"),
    pytest.param(3035, 44.0, 39.0, 10.0, id="LAEA at its edge"),
    pytest.param(3035, -20.0, 28.0, 10.0, id="LAEA at its other edge"),
    pytest.param("ESRI:54008", 60.0, 50.0, 10.0, id="sinusoidal"),
    pytest.param("EPSG:32633+5773", 15.0, 50.0, 10.0, id="compound"),
]


def grid_at(crs, longitude, latitude, pixel, shape=(9, 7)):
    """Return a grid whose middle lies at a place."""
    known = ProjCRS.from_user_input(crs)
    x, y = Transformer.from_crs(4326, known, always_xy=True).transform(longitude, latitude)[:2]
    left, top = x - pixel * shape[1] / 2, y + pixel * shape[0] / 2
    return Grid(
        CRS.from_user_input(known.to_wkt()), from_origin(left, top, pixel, pixel), *shape[::-1]
    )


def by_geodesics(grid, rows, columns):
    """Return pixel width, height and the cosine between them, of geodesics over some pixels."""
    known: Any = ProjCRS.from_user_input(grid.crs)
    known = known.sub_crs_list[0] if known.is_compound else known
    base = known.source_crs if known.is_geographic and known.is_derived else known.geodetic_crs
    to_base = Transformer.from_crs(known, base, always_xy=True)
    degrees = np.degrees(base.axis_info[0].unit_conversion_factor)
    geod, reach = base.get_geod(), 10.0

    def way(row, column):  # geodesics are of no use for directions beside a pole
        (x1, y1), (x2, y2) = (
            grid.point(columns + 0.5 + sign * column, rows + 0.5 + sign * row) for sign in (-1, 1)
        )
        start, end = to_base.transform(x1, y1), to_base.transform(x2, y2)
        forth, back, length = geod.inv(*(np.asarray(v) * degrees for v in (*start, *end)))
        turned = (np.asarray(back) - forth) % 360 - 180
        return np.asarray(length) / (2 * reach), np.radians(forth + turned / 2)

    (width, east), (height, north) = way(0, reach), way(-reach, 0)
    return width, height, np.cos(east - north)


@pytest.mark.parametrize(("crs", "longitude", "latitude", "pixel"), PLACES)
class TestOfAnyCrs:
    def test_pixels_have_their_size_on_the_ground(self, crs, longitude, latitude, pixel):
        grid = grid_at(crs, longitude, latitude, pixel)
        width, height, cosine = by_geodesics(grid, 4.0, 3.0)
        (dx,), (dy,) = grid.pixel_metres(np.array([4.0]))
        within = 2e-3 if grid.keeps_crs_metres else 2e-6
        assert dx == pytest.approx(width, rel=within)
        assert dy == pytest.approx(height, rel=within)
        area = width * height * np.sqrt(1 - cosine**2)
        assert grid.pixel_areas(np.array([4.0])) == pytest.approx(area, rel=2 * within)

    def test_own_metres_are_kept_where_the_scale_is_within_two_in_a_thousand(
        self, crs, longitude, latitude, pixel
    ):
        grid = grid_at(crs, longitude, latitude, pixel)
        if not grid.is_geographic:
            unit = grid.crs.linear_units_factor[1]
            width, height, cosine = by_geodesics(grid, 4.0, 3.0)
            off = max(abs(width / pixel / unit - 1), abs(height / pixel / unit - 1), abs(cosine))
            assert grid.keeps_crs_metres == (off < 2e-3)
            if grid.keeps_crs_metres:
                assert grid.pixel_metres()[0].tolist() == [pixel * unit] * 9


METHODS = [
    "lcc +lat_1={a} +lat_2={b} +lat_0={b}", "aea +lat_1={a} +lat_2={b} +lat_0={b}",
    "laea +lat_0={a}", "aeqd +lat_0={a}", "stere +lat_0={a}", "tmerc +lat_0={a}", "cass +lat_0={a}",
    "merc +lat_ts={a}", "cea +lat_ts={a}", "eqc +lat_ts={a}", "poly +lat_0={a}", "sinu", "moll",
    "eck4", "krovak", "omerc +lat_0={a} +lonc=5 +alpha={b}", "somerc +lat_0={a}",
]  # fmt: skip


@given(
    st.sampled_from(METHODS),
    st.sampled_from(["+ellps=GRS80", "+ellps=bessel", "+R=3396190", "+ellps=GRS80 +units=us-ft"]),
    st.integers(-60, 60).filter(bool),
    st.integers(1, 60),
    st.floats(-15, 15),
    st.floats(-70, 70),
    st.sampled_from([0.5, 10.0, 100.0]),
)
@settings(max_examples=150)
def test_pixels_of_any_projection_have_their_size_on_the_ground(
    method, ellipsoid, first, second, longitude, latitude, pixel
):
    text = f"+proj={method.format(a=first, b=second + 0.5)} {ellipsoid}"
    known = ProjCRS.from_user_input(text)
    to_map = Transformer.from_crs(known.geodetic_crs, known, always_xy=True)
    x, y = to_map.transform(longitude, latitude, errcheck=False)
    assume(np.isfinite([x, y]).all() and max(abs(x), abs(y)) < 1e8)
    grid = Grid(CRS.from_user_input(known), from_origin(x, y, pixel, pixel), 30, 30)
    width, height, cosine = by_geodesics(grid, 15.0, 15.0)
    assume(np.isfinite([width, height]).all() and 1e-3 < width / pixel < 1e3)
    assert not grid.ground.is_local
    (dx,), (dy,) = grid.pixel_metres(np.array([15.0]))
    within = 2e-3 if grid.keeps_crs_metres else 1e-4
    assert (dx, dy) == pytest.approx((width, height), rel=within)
    area = width * height * np.sqrt(1 - cosine**2)
    assert grid.pixel_areas(np.array([15.0]))[0] == pytest.approx(area, rel=3 * within)


@pytest.mark.parametrize(
    ("crs", "bounds"),
    [
        pytest.param(3035, (2.4e6, 1.3e6, 7.4e6, 5.5e6), id="LAEA, all of Europe"),
        pytest.param(3413, (-2.5e6, -3e6, 2.5e6, 3e6), id="polar, the pole within"),
        pytest.param("ESRI:54008", (4e6, 1e6, 7e6, 6e6), id="sinusoidal"),
        pytest.param(32632, (5e5, 4e6, 2.5e6, 6e6), id="UTM, four zones"),
    ],
)
def test_between_the_places_measured_pixels_are_interpolated(crs, bounds):
    left, bottom, right, top = bounds
    grid = Grid(CRS.from_user_input(crs), from_origin(left, top, 1000, 1000), 0, 0)
    grid = Grid(grid.crs, grid.transform, int((right - left) / 1000), int((top - bottom) / 1000))
    random = np.random.default_rng(1)
    rows = np.sort(random.integers(0, grid.height, 40)).astype(float)
    columns = np.sort(random.integers(0, grid.width, 50)).astype(float)
    result = grid.pixels(rows, columns)
    width, height, cosine = by_geodesics(grid, *np.meshgrid(rows, columns, indexing="ij"))
    assert result.width == pytest.approx(width, rel=2e-4)
    assert result.height == pytest.approx(height, rel=2e-4)
    away = np.hypot(*np.meshgrid(*grid.point(columns + 0.5, rows + 0.5))) > 5e5
    assert np.broadcast_to(result.cosine, width.shape)[away] == pytest.approx(
        cosine[away], abs=5e-4
    )
    assert grid.metres_vary > 0.01


def test_the_way_up_a_polar_map_turns_round_the_pole():
    grid = Grid(CRS.from_epsg(3413), from_origin(-1e6, 1e6, 1e4, 1e4), 200, 200)
    rows, columns = np.arange(200.0), np.arange(200.0)
    x, y = grid.point(*np.meshgrid(columns + 0.5, rows + 0.5))
    inverse = Transformer.from_crs(3413, 4326, always_xy=True)
    longitude, latitude = inverse.transform(x, y)
    up = WGS84.inv(longitude, latitude, *inverse.transform(x, y + 1))[0]
    off = (np.degrees(grid.pixels(rows, columns).bearing) - up + 180) % 360 - 180
    assert np.abs(off).max() < 0.1
    assert grid.ground.turn > 179


def test_rows_alone_are_told_at_the_middle_column():
    grid = Grid(CRS.from_epsg(3035), from_origin(6e6, 2e6, 1000, 1000), 1000, 50)
    dx, _ = grid.pixel_metres()
    all_dx, _ = grid.pixel_metres(np.arange(50.0), np.arange(1000.0))
    assert all_dx.shape == (50, 1000)
    assert dx == pytest.approx(all_dx[:, 499:501].mean(axis=1))


@pytest.mark.parametrize("crs", [32632, 3857, 4326, 4087])
def test_where_a_row_has_one_size_there_is_one_value_a_row(crs):
    grid = grid_at(crs, 9.0, 46.0, 1e-3 if crs == 4326 else 100, (40, 300))
    dx, dy = grid.pixel_metres(np.arange(5.0), np.arange(300.0))
    assert dx.shape == dy.shape == (5, 1)


@given(st.integers(0, 300), st.integers(0, 400), st.integers(1, 100), st.integers(1, 100))
def test_a_part_measures_what_the_whole_measures(row, column, height, width):
    whole = Grid(CRS.from_epsg(3035), from_origin(6.5e6, 2e6, 1000, 1000), 500, 400)
    part = whole.part(Window(column, row, width, height))
    rows, columns = np.arange(float(height)), np.arange(float(width))
    assert part.pixel_areas(rows, columns) == pytest.approx(
        whole.pixel_areas(rows + row, columns + column)
    )
    assert part.shape == (height, width)
    assert part.keeps_crs_metres == whole.keeps_crs_metres


def test_rows_at_the_pole_and_beyond_have_a_width():
    grid = Grid(CRS.from_epsg(4326), from_origin(-180.25, 90.25, 0.5, 0.5), 721, 361)
    dx, dy = grid.pixel_metres()
    assert np.all(dx > 0) and np.all(dy > 5e4)
    assert dx[0] < dx[1] < dx[2]
    assert dx[0] == pytest.approx(dx[-1])


def test_the_moon_is_measured_as_the_moon():
    grid = Grid(CRS.from_user_input(MOON), from_origin(3e5, 3e5, 100, 100), 5, 5)
    width, height, _ = by_geodesics(grid, 2.0, 2.0)
    assert grid.pixel_metres()[0][2] == pytest.approx(width, rel=1e-5)
    assert grid.pixel_metres()[1][2] == pytest.approx(height, rel=1e-5)


def test_a_planet_whose_longitudes_count_west():
    """Jupiter, flattened by 1 in 15, in an orthographic projection: true in its middle."""
    jupiter = CRS.from_user_input("IAU_2015:59966")
    grid = Grid(jupiter, from_origin(-50, 2e7, 10, 10), 10, 10)
    assert not grid.keeps_crs_metres
    known: Any = ProjCRS.from_user_input("IAU_2015:59966")
    geod = known.get_geod()
    inverse = Transformer.from_crs(known, "IAU_2015:59901")
    (south, north), _ = inverse.transform([0, 0], [2e7 - 500, 2e7 + 500])
    _, _, metres = geod.inv(0, south, 0, north)
    assert grid.pixel_metres()[1] == pytest.approx(metres / 100, rel=1e-4)
    assert grid.pixel_metres()[0] == pytest.approx(10, rel=1e-4)
    middle = Grid(jupiter, from_origin(-50, 50, 10, 10), 10, 10)
    assert middle.keeps_crs_metres and not middle.ground.is_local


def test_methods_of_the_sphere_are_not_taken_for_those_of_the_ellipsoid():
    """EPSG:9311 projects the ellipsoid's latitudes as if it were a sphere."""
    grid = grid_at(9311, -75.0, 45.0, 10.0)
    known: Any = ProjCRS.from_epsg(9311)
    x, y = grid.point(3.5, 4.5)
    inverse = Transformer.from_crs(known, known.geodetic_crs, always_xy=True)
    xs, ys = inverse.transform([x - 50, x + 50], [y, y])
    _, _, metres = known.get_geod().inv(xs[0], ys[0], xs[1], ys[1])
    assert grid.pixel_metres()[0][4] == pytest.approx(metres / 10, rel=1e-5)


def test_turned_poles_are_measured_on_the_ellipsoid_below():
    turned = ProjCRS.from_user_input(
        "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +datum=WGS84 +type=crs"
    )
    grid = Grid(CRS.from_wkt(turned.to_wkt()), from_origin(5, 3, 0.1, 0.1), 5, 5)
    base = Transformer.from_crs(turned, turned.source_crs, always_xy=True)
    xs, ys = base.transform([5.2, 5.3, 5.25, 5.25], [2.75, 2.75, 2.7, 2.8])
    _, _, (width, height) = WGS84.inv(xs[::2], ys[::2], xs[1::2], ys[1::2])
    assert grid.pixel_metres()[0][2] == pytest.approx(width, rel=1e-5)
    assert grid.pixel_metres()[1][2] == pytest.approx(height, rel=1e-5)


class TestWithoutAPlace:
    SITE = CRS.from_wkt('LOCAL_CS["site grid",UNIT["foot",0.3048],AXIS["E",EAST],AXIS["N",NORTH]]')

    def test_a_local_crs_counts_in_its_unit(self):
        grid = Grid(self.SITE, from_origin(0, 0, 10, 10), 4, 4)
        assert grid.pixel_metres()[0] == pytest.approx([3.048] * 4)
        assert grid.keeps_crs_metres and grid.ground.is_local

    def test_and_says_so(self):
        said = []
        tell_metres(Grid(self.SITE, from_origin(0, 0, 10, 10), 4, 4), Progress(said.append))
        assert [event["type"] for event in said] == ["warning"]
        assert "site grid has no place on Earth" in said[0]["text"]

    def test_a_geocentric_crs_is_refused(self):
        grid = Grid(CRS.from_epsg(4978), from_origin(0, 0, 10, 10), 4, 4)
        with pytest.raises(GridError, match="geocentric"):
            grid.pixel_metres()

    def test_coordinates_beyond_a_projection_count_in_its_unit(self):
        grid = Grid(CRS.from_user_input("ESRI:54009"), from_origin(9e7, 9e7, 10, 10), 4, 4)
        assert grid.pixel_metres()[0].tolist() == [10] * 4
        assert grid.ground.is_local


class TestTelling:
    def said(self, grid, one_size_for=""):
        events = []
        tell_metres(grid, Progress(events.append), one_size_for)
        return [event["text"] for event in events]

    def test_nothing_in_utm_or_degrees(self):
        assert self.said(grid_at(32632, 9, 46, 10)) == []
        assert self.said(grid_at(4326, 9, 46, 1e-4)) == []

    def test_that_the_ground_counts(self):
        assert self.said(grid_at(3857, 9, 60, 10)) == [
            "A metre of EPSG:3857 is 0.5004 m on the ground here: the ground counts."
        ]

    def test_that_one_size_serves_for_all(self):
        tall = Grid(CRS.from_epsg(4326), from_origin(9, 62, 0.1, 0.1), 20, 40)
        (text,) = self.said(tall, "the opening")
        assert text.startswith("Pixels differ by 13% in size within the raster; the opening takes")
        assert self.said(grid_at(4326, 9, 46, 1e-4), "the opening") == []
