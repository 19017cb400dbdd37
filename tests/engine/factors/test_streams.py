"""Streams: filling, D8, drained area, links; known shapes, richdem as a check, real DEMs."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError, OutputError
from landslide_mapper.landslide_plugin.core import memory
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors import streams as rooms
from landslide_mapper.landslide_plugin.factors.flow import NEIGHBOURS
from landslide_mapper.landslide_plugin.factors.streams_command import streams
from landslide_mapper.landslide_plugin.raster import Grid, Source
from landslide_mapper.landslide_plugin.request import checked
from pyproj import Geod
from rasterio.crs import CRS
from rasterio.transform import from_origin

UTM = CRS.from_epsg(32632)


def grid_of(array, step=100.0, crs=UTM, left=500000.0, top=5000000.0):
    return Grid(crs, from_origin(left, top, step, step), array.shape[1], array.shape[0])


def network(elevation, min_area, valid=None, **where):
    elevation = np.asarray(elevation, np.float32)
    valid = np.ones(elevation.shape, bool) if valid is None else valid
    return rooms.stream_network(elevation, valid, grid_of(elevation, **where), min_area, Progress())


def routed(elevation, valid=None):
    elevation = np.asarray(elevation, np.float32)
    valid = np.ones(elevation.shape, bool) if valid is None else valid
    filled = rooms.fill_depressions(elevation, valid)
    directions = rooms.flow_directions(filled, grid_of(elevation))
    return filled, directions, rooms.drained_area(directions, valid, grid_of(elevation))


def valley(rows=21, columns=15):
    """A V-shaped valley along the middle column that falls to the south."""
    row, column = np.mgrid[:rows, :columns]
    return 1000.0 - row + 10.0 * np.abs(column - columns // 2)


class TestKnownShapes:
    def test_a_valley_has_one_stream_in_its_middle_flowing_south(self):
        frame = network(valley(), min_area=0.3)
        assert len(frame) == 1
        x, y = frame.geometry[0].xy
        assert set(x) == {500750.0}  # the middle column's centre
        assert np.all(np.diff(y) < 0) and y[-1] == 5000000 - 2050  # down to the last row
        assert frame.strahler[0] == 1
        assert frame.drained_km2[0] == pytest.approx(21 * 15 * 0.01)  # all cells

    def test_cells_that_make_no_line_are_told(self):
        plane = 100.0 - np.mgrid[:6, :5][0]  # each column drains by itself, .06 km2 at its end
        with pytest.raises(InputError, match=r"0\.06 km2 lie alone, at the edge"):
            network(plane, min_area=0.06)

    def test_a_stream_begins_where_the_area_is_drained(self):
        # Row r of the valley brings 15 cells of 0.01 km2: 0.3 km2 are reached in the second row.
        line = network(valley(), min_area=0.3).geometry[0]
        assert line.coords[0] == (500750.0, 5000000 - 150)

    def test_two_equal_valleys_meet_in_a_stream_of_order_two(self):
        rows, columns = np.mgrid[:40, :41]
        arms = np.minimum(abs(columns - 20 + (20 - rows)), abs(columns - 20 - (20 - rows)))
        elevation = 1000.0 - rows + 10.0 * np.where(rows < 20, arms, abs(columns - 20))
        frame = network(elevation, min_area=1.0)
        assert frame.strahler.tolist() == [1, 1, 2]
        ends = [line.coords[-1] for line in frame.geometry]
        assert ends[0] == ends[1] == frame.geometry[2].coords[0]
        assert frame.drained_km2[2] > frame.drained_km2[0] + frame.drained_km2[1]

    def test_length_is_geodesic(self):
        frame = network(valley(), min_area=0.3)
        geographic = frame.to_crs(4326).geometry[0]
        assert frame.length_m[0] == pytest.approx(Geod(ellps="WGS84").geometry_length(geographic))
        assert frame.length_m[0] == pytest.approx(1900 / 0.9996, rel=1e-5)  # UTM's scale

    def test_a_local_crs_in_feet_has_lengths_in_metres(self):
        feet = CRS.from_wkt('LOCAL_CS["site",UNIT["foot",0.3048]]')
        frame = network(valley(), min_area=0.03, crs=feet)
        assert frame.length_m[0] == pytest.approx(0.3048 * frame.geometry[0].length)

    def test_a_geographic_dem_has_true_areas_and_lengths(self):
        step = 1 / 1200
        frame = network(valley(), 0.05, crs=CRS.from_epsg(4326), left=10.0, top=60.0, step=step)
        dx, dy = grid_of(valley(), step, CRS.from_epsg(4326), 10.0, 60.0).pixel_metres()
        assert len(frame) == 1
        assert frame.drained_km2[0] == pytest.approx(15 * (dx * dy).sum() / 1e6)
        assert frame.length_m[0] == pytest.approx(
            dy.mean() * (shapely.get_num_coordinates(frame.geometry[0]) - 1), rel=1e-4
        )

    def test_steepest_descent_counts_true_distances_not_the_lowest_neighbour(self):
        # South-east is lower, but farther: 1.2 over 1.41 cells is less steep than 1 over 1.
        elevation = np.full((3, 3), 20.0)
        elevation[1, 1], elevation[2, 1], elevation[2, 2] = 10, 9.0, 8.8
        directions = rooms.flow_directions(elevation, grid_of(elevation))
        assert NEIGHBOURS[directions[1, 1]] == (1, 0)


class TestFilling:
    def test_heights_keep_all_their_digits(self):
        # A slope of 2**-12 m a row, the least step that float32 has at 4000 m, drains as it is.
        column = np.float32(4000) - np.arange(3, 43, dtype=np.float32) / 4096
        elevation = np.repeat(column, 9).reshape(40, 9)
        elevation[0, 0] = 100
        filled = rooms.fill_depressions(elevation, np.ones(elevation.shape, bool))
        np.testing.assert_array_equal(filled - 1000 + 100, elevation)

    def test_nothing_is_lowered_and_every_cell_has_a_lower_neighbour_or_lies_at_the_edge(self):
        elevation = np.random.default_rng(3).normal(100, 10, (60, 50)).astype(np.float32)
        filled, directions, _ = routed(elevation)
        assert (filled >= elevation - elevation.min() + 1000 - 1e-4).all()
        assert (directions[1:-1, 1:-1] > 0).all()

    def test_all_area_reaches_an_outlet_at_the_edge(self):
        elevation = np.random.default_rng(4).normal(100, 10, (60, 50)).astype(np.float32)
        _, directions, drained = routed(elevation)
        outlets = directions == 0
        assert not outlets[1:-1, 1:-1].any()
        assert drained[outlets].sum() == pytest.approx(60 * 50 * 0.01)

    def test_a_flat_plain_drains(self):
        _, directions, drained = routed(np.full((30, 30), 7.0))
        assert (directions[1:-1, 1:-1] > 0).all()
        assert drained[directions == 0].sum() == pytest.approx(9.0)

    def test_water_leaves_into_nodata_at_the_margin(self):
        elevation, valid = valley(), np.ones((21, 15), bool)
        valid[15:] = False
        frame = network(np.where(valid, elevation, 0), 0.3, valid)
        assert len(frame) == 1
        assert frame.geometry[0].coords[-1] == (500750.0, 5000000 - 1450)
        assert frame.drained_km2[0] == pytest.approx(15 * 15 * 0.01)

    def test_a_hole_in_the_valley_is_bridged_and_has_no_area(self):
        elevation, valid = valley(), np.ones((21, 15), bool)
        valid[9:12, 6:9] = False
        frame = network(np.where(valid, elevation, 0), 0.3, valid)
        outlet = frame.sort_values("drained_km2").iloc[-1]
        assert outlet.geometry.coords[-1] == (500750.0, 5000000 - 2050)
        assert outlet.drained_km2 == pytest.approx((21 * 15 - 9) * 0.01)

    def test_accumulation_follows_our_directions(self):
        elevation = np.random.default_rng(5).normal(100, 10, (40, 40)).astype(np.float32)
        _, directions, drained = routed(elevation)
        expected = np.full(directions.shape, 0.01)
        filled = rooms.fill_depressions(elevation, np.ones((40, 40), bool))
        for flat in np.argsort(filled, axis=None)[::-1]:
            row, column = divmod(int(flat), 40)
            step = NEIGHBOURS[directions[row, column]]
            if step != (0, 0):
                expected[row + step[0], column + step[1]] += expected[row, column]
        assert drained == pytest.approx(expected)


def check_network(frame, elevation, grid, min_area):
    """What must hold for the streams of any DEM."""
    starts = {line.coords[0] for line in frame.geometry}
    ends = [line.coords[-1] for line in frame.geometry]
    left, bottom, right, top = grid.bounds
    margin = shapely.box(left, bottom, right, top).boundary.buffer(grid.transform.a * 0.75)
    for end in ends:
        assert end in starts or shapely.Point(end).within(margin)
    assert (frame.drained_km2 >= min_area).all()
    assert frame.geometry.is_simple.all()
    assert frame.id.tolist() == list(range(1, len(frame) + 1))
    coordinates = shapely.get_coordinates(frame.geometry.array)
    columns, rows = ~grid.transform * (coordinates[:, 0], coordinates[:, 1])
    heights = elevation[rows.astype(int), columns.astype(int)]
    # Downhill from end to end; a few metres of noise lie in filled cells.
    line = np.repeat(np.arange(len(frame)), shapely.get_num_coordinates(frame.geometry.array))
    first = np.array([heights[line == number][0] for number in range(len(frame))])
    last = np.array([heights[line == number][-1] for number in range(len(frame))])
    assert np.mean(first >= last) > 0.95
    return heights


class TestRealDems:
    def test_kashmir(self, data_dir, tmp_path):
        path = data_dir / "kashmir" / "AW3D30.tif"
        output = tmp_path / "streams.gpkg"
        events = []
        result = streams(
            input=str(path), output=str(output), min_area=1.0, progress=Progress(events.append)
        )
        frame = gpd.read_file(output)
        assert result["count"] == len(frame) == 341
        assert frame.crs.to_epsg() == 32643
        assert frame.strahler.max() == 4
        assert events[-1] == {"type": "progress", "percent": 100.0}
        with Source.open(path) as dem:
            elevation, grid = dem.read()[0][0], dem.grid
        heights = check_network(frame, elevation, grid, 1.0)
        # Streams run in valleys: below the mean of their surroundings (a kilometre square).
        from scipy.ndimage import uniform_filter

        surroundings = uniform_filter(elevation, 35)
        coordinates = shapely.get_coordinates(frame.geometry.array)
        columns, rows = ~grid.transform * (coordinates[:, 0], coordinates[:, 1])
        lower = heights < surroundings[rows.astype(int), columns.astype(int)]
        assert lower.mean() > 0.97

    def test_srtm_in_degrees(self, data_dir, tmp_path):
        path = data_dir / "samples" / "qgis_training_srtm" / "srtm_41_19_4326.tif"
        output = tmp_path / "streams.gpkg"
        streams(input=str(path), output=str(output), min_area=5, progress=Progress())
        with Source.open(path) as dem:
            elevation, grid = dem.read()[0][0], dem.grid
        frame = gpd.read_file(output)
        check_network(frame, elevation, grid, 5)
        dx, dy = grid.pixel_metres()
        whole = (dx * dy).sum() * grid.width / 1e6
        assert frame.drained_km2.max() < whole

    def test_a_finer_network_holds_the_coarser_one(self, data_dir):
        with Source.open(data_dir / "kashmir" / "AW3D30.tif") as dem:
            elevation, valid = (part[0] for part in dem.read())
            coarse, fine = (
                rooms.stream_network(elevation, valid, dem.grid, area, Progress())
                for area in (5.0, 0.5)
            )
        cells = {tuple(point) for point in shapely.get_coordinates(fine.geometry.array)}
        assert {tuple(point) for point in shapely.get_coordinates(coarse.geometry.array)} <= cells


class TestBadInput:
    def run(self, path, tmp_path, **parameters):
        given = {"input": path, "output": str(tmp_path / "out.gpkg"), **parameters}
        return streams(**checked("streams", streams, given), progress=Progress())

    @pytest.mark.parametrize("area", [0, -1, float("nan")])
    def test_minimum_area_must_be_above_0(self, make_raster, tmp_path, area):
        with pytest.raises(InputError, match=r"choose more than 0 km2|takes a finite number"):
            self.run(make_raster("a.tif", valley()), tmp_path, min_area=area)

    def test_nothing_drains_that_much(self, make_raster, tmp_path):
        path = make_raster("a.tif", valley().astype(np.float32))
        with pytest.raises(InputError, match=r"drains 5 km2, the largest area is 0\.0315 km2"):
            self.run(path, tmp_path, min_area=5)
        assert not (tmp_path / "out.gpkg").exists()

    def test_one_pixel(self, make_raster, tmp_path):
        with pytest.raises(InputError, match="has 1 x 1 cells"):
            self.run(make_raster("a.tif", np.ones((1, 1), np.float32)), tmp_path)

    def test_nodata_only(self, make_raster, tmp_path):
        path = make_raster("a.tif", np.full((9, 9), -9999, np.float32), nodata=-9999)
        with pytest.raises(InputError, match="no valid pixel"):
            self.run(path, tmp_path)

    def test_no_crs(self, make_raster, tmp_path):
        with pytest.raises(GridError, match="no CRS"):
            self.run(make_raster("a.tif", valley(), crs=None), tmp_path)

    def test_unknown_output_format(self, make_raster, tmp_path):
        with pytest.raises(OutputError, match="ending"):
            streams(
                input=make_raster("a.tif", valley()),
                output=str(tmp_path / "out.nonsense"),
                progress=Progress(),
            )

    def test_too_little_memory_is_said_with_both_figures(self, make_raster, tmp_path, monkeypatch):
        monkeypatch.setattr(memory, "available_memory", lambda: 1e9)
        huge = Grid(UTM, from_origin(0, 0, 1, 1), 100000, 1000)
        with pytest.raises(
            InputError, match=r"about (6\.50|8\.00) GB of memory and 1\.00 GB are free"
        ):
            rooms.require_memory(huge, Progress())
