"""Distance: against shapely, scipy and geodesics; levels; features outside; bad input."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.errors import GridError, InputError
from landslide_mapper.landslide_plugin.factors import distance as rooms
from landslide_mapper.landslide_plugin.factors.commands import distance
from landslide_mapper.landslide_plugin.progress import Progress
from landslide_mapper.landslide_plugin.raster import Grid, Source
from pyproj import Geod
from rasterio.crs import CRS
from rasterio.features import rasterize
from rasterio.transform import from_origin
from scipy.ndimage import distance_transform_edt

UTM = CRS.from_epsg(32632)
GRID = Grid(UTM, from_origin(500000, 5000000, 10, 10), 60, 50)


def centres(grid):
    rows, columns = np.mgrid[: grid.height, : grid.width] + 0.5
    x, y = grid.transform * (columns.ravel(), rows.ravel())
    return x.reshape(grid.shape), y.reshape(grid.shape)


def measure(shapes, grid=GRID, limit=np.inf):
    frame = gpd.GeoDataFrame(geometry=list(shapes), crs=grid.crs)
    return np.concatenate([block for _, block in rooms.stream_distance(frame, grid, limit)])


def exact(shapes, grid=GRID):
    x, y = centres(grid)
    return shapely.distance(shapely.points(x, y), shapely.union_all(list(shapes)))


LINE = shapely.LineString([(499900, 4999900), (500200, 4999700), (500350, 4999980)])
POLYGON = shapely.Polygon(
    shapely.box(500400, 4999600, 500550, 4999700).exterior.coords,
    [shapely.box(500440, 4999630, 500510, 4999670).exterior.coords],
)
POINT = shapely.Point(500111, 4999555)


class TestAgainstShapely:
    @pytest.mark.parametrize("shapes", [[LINE], [POLYGON], [POINT], [LINE, POLYGON, POINT]])
    def test_lines_polygons_points(self, shapes):
        assert measure(shapes) == pytest.approx(exact(shapes), abs=0.03)

    def test_multi_parts(self):
        shapes = [shapely.MultiLineString([LINE, LINE.reverse()]), shapely.MultiPoint([POINT])]
        assert measure(shapes) == pytest.approx(exact(shapes), abs=0.03)

    def test_inside_a_polygon_is_0_and_its_hole_is_outside(self):
        near = measure([POLYGON])
        x, y = centres(GRID)
        inside = shapely.contains_xy(POLYGON, x, y)
        assert inside.any() and (near[inside] == 0).all() and (near[~inside] > 0).all()

    @settings(max_examples=30, deadline=None)
    @given(
        st.lists(
            st.tuples(st.floats(499700, 501000), st.floats(4999200, 5000300)),
            min_size=2,
            max_size=6,
            unique=True,
        )
    )
    def test_any_line_is_exact_within_a_quarter_pixel_and_mostly_far_better(self, points):
        shapes = [shapely.LineString(points)]
        error = np.abs(measure(shapes) - exact(shapes))
        assert error.max() <= 2.5
        assert np.median(error) < 0.01

    def test_real_rivers(self, data_dir):
        with Source.open(data_dir / "kashmir" / "AW3D30.tif") as dem:
            grid = dem.grid
        faults = gpd.read_file(data_dir / "kashmir" / "Confirmed_faults.shp").to_crs(grid.crs)
        near = measure(faults.geometry, grid)
        x, y = centres(grid)
        rng = np.random.default_rng(0)
        rows, columns = rng.integers(0, grid.height, 500), rng.integers(0, grid.width, 500)
        union = shapely.union_all(shapely.force_2d(faults.geometry.array))
        true = shapely.distance(shapely.points(x[rows, columns], y[rows, columns]), union)
        assert np.abs(near[rows, columns] - true).max() < 0.05  # metres, at 28.6 m pixels


class TestAgainstScipy:
    @pytest.mark.parametrize("shapes", [[LINE], [LINE, POLYGON]])
    def test_within_half_a_pixel_diagonal_of_the_transform_of_touched_pixels(self, shapes):
        grid = Grid(UTM, from_origin(499800, 5000100, 10, 10), 90, 70)  # holds all of them
        touched = rasterize(shapes, grid.shape, transform=grid.transform, all_touched=True)
        transform = distance_transform_edt(touched == 0, sampling=10)
        assert np.abs(measure(shapes, grid) - transform).max() <= 10 * np.sqrt(2) / 2 + 1e-4


class TestGeographic:
    @pytest.mark.parametrize("latitude", [-45.0, 0.0, 34.6, 70.0])
    def test_metres_are_geodesic(self, latitude):
        grid = Grid(CRS.from_epsg(4326), from_origin(10, latitude + 0.25, 0.01, 0.01), 50, 50)
        x, y = centres(grid)
        near = measure([shapely.Point(10.13, latitude)], grid)
        _, _, geodesic = Geod(ellps="WGS84").inv(
            np.full(x.size, 10.13), np.full(x.size, latitude), x.ravel(), y.ravel()
        )
        assert near.ravel() == pytest.approx(geodesic, abs=0.2)  # up to 50 km away

    def test_a_line_outside_counts_at_high_latitude(self):
        grid = Grid(CRS.from_epsg(4326), from_origin(10, 70, 0.01, 0.01), 40, 40)
        south = shapely.LineString([(9, 69.5), (12, 69.5)])  # 11 km south of the grid
        west = shapely.Point(9.9, 69.8)  # 4 km west of it: nearer, though more degrees away
        near = measure([south, west], grid)
        _, _, geodesic = Geod(ellps="WGS84").inv(9.9, 69.8, 10.005, 69.795)
        assert near[20, 0] == pytest.approx(geodesic, abs=0.5)


class TestOutsideAndLimits:
    def test_features_outside_the_reference_count(self):
        outside = shapely.LineString([(499950, 4999000), (499950, 5001000)])
        assert measure([outside])[:, 0] == pytest.approx(np.full(50, 55.0))
        assert measure([outside, POINT]) == pytest.approx(exact([outside, POINT]), abs=0.03)

    @pytest.mark.parametrize("limit", [1, 35, 120, 5000])
    def test_a_limit_caps_and_changes_nothing_else(self, limit):
        shapes = [LINE, POLYGON]
        capped = measure(shapes, limit=limit)
        assert capped == pytest.approx(np.minimum(exact(shapes), limit), abs=0.03)
        assert capped.max() <= limit

    def test_all_within_the_diagonal_but_beyond_the_limit_is_the_limit(self):
        assert (measure([shapely.Point(500900, 4999800)], limit=50) == 50).all()

    def test_features_far_away_are_refused_with_both_extents(self):
        with pytest.raises(GridError, match=r"9\.1e\+06.*x 500000 to 500600"):
            measure([shapely.Point(300000, 9.1e6)])

    def test_feet(self):
        crs = CRS.from_epsg(2263)
        grid = Grid(crs, from_origin(900000, 200000, 100, 100), 5, 5)
        near = measure([shapely.Point(900050, 199950)], grid)
        assert near[0, :3] == pytest.approx([0, 30.48006, 60.96012], abs=1e-3)

    def test_blocks_do_not_show(self, monkeypatch):
        whole = measure([LINE, POLYGON])
        monkeypatch.setattr(rooms, "_BLOCK_PIXELS", 60 * 7)
        assert np.array_equal(measure([LINE, POLYGON]), whole)


class TestLevels:
    BREAKS = (30, 200, 500, 1000, 2000)

    def test_six_levels_of_yang_2022(self):
        metres = np.array([0, 30, 30.1, 200, 350, 1000, 1000.5, 2000, 2001, 1e6], np.float32)
        assert rooms.to_levels(metres, self.BREAKS).tolist() == [0, 0, 1, 1, 2, 3, 4, 4, 5, 5]

    def test_level_names(self):
        assert rooms.level_names([30, 200]) == {0: "0 to 30 m", 1: "30 to 200 m", 2: "above 200 m"}

    @pytest.mark.parametrize("breaks", [[0, 10], [-5], [10, 10], [20, 10], [float("nan")]])
    def test_breaks_must_ascend_above_0(self, breaks):
        with pytest.raises(InputError, match="each larger than the one before"):
            rooms.check_breaks(breaks, 0)

    def test_a_break_beyond_the_maximum_distance_is_refused(self):
        with pytest.raises(InputError, match="lies beyond the maximum distance 100 m"):
            rooms.check_breaks([50, 200], 100)


@pytest.fixture
def rivers(tmp_path):
    path = tmp_path / "rivers.gpkg"
    gpd.GeoDataFrame(geometry=[LINE], crs=UTM.to_wkt()).to_crs(4326).to_file(path)
    return str(path)


@pytest.fixture
def reference(make_raster):
    return make_raster("reference.tif", np.ones((50, 60), np.float32))


class TestCommand:
    def run(self, tmp_path, **parameters):
        output = tmp_path / "distance.tif"
        assert distance(output=str(output), progress=Progress(), **parameters) == {
            "output": str(output)
        }
        with rasterio.open(output) as dataset:
            return dataset.read(1), dataset.profile, dataset.descriptions, dataset.tags(1)

    def test_continuous_in_another_crs(self, tmp_path, rivers, reference):
        metres, profile, names, _ = self.run(tmp_path, input=rivers, reference=reference)
        assert names == ("river_distance",)
        assert (profile["dtype"], profile["nodata"]) == ("float32", -9999)
        assert metres == pytest.approx(exact([LINE]), abs=0.05)

    def test_levels(self, tmp_path, rivers, reference):
        levels, profile, names, tags = self.run(
            tmp_path, input=rivers, reference=reference, name="river", breaks=[30, 200]
        )
        assert (profile["dtype"], profile["nodata"], names) == ("uint8", 255, ("river",))
        assert tags["class_1"] == "30 to 200 m"
        assert np.array_equal(levels, rooms.to_levels(measure([LINE]), [30, 200]))

    def test_no_features(self, tmp_path, reference):
        empty = tmp_path / "empty.gpkg"
        gpd.GeoDataFrame(geometry=[], crs=32632).to_file(empty)
        with pytest.raises(InputError, match="holds no"):
            self.run(tmp_path, input=str(empty), reference=reference)
        assert not (tmp_path / "distance.tif").exists()

    def test_features_without_crs(self, tmp_path, reference):
        path = tmp_path / "nocrs.shp"
        gpd.GeoDataFrame(geometry=[LINE]).to_file(path)
        with pytest.raises(GridError, match="no CRS"):
            self.run(tmp_path, input=str(path), reference=reference)

    def test_negative_maximum(self, tmp_path, rivers, reference):
        with pytest.raises(InputError, match="choose 0 or more"):
            self.run(tmp_path, input=rivers, reference=reference, max_distance=-1)

    def test_far_away_leaves_no_file(self, tmp_path, reference):
        path = tmp_path / "far.gpkg"
        gpd.GeoDataFrame(geometry=[shapely.Point(10, -80)], crs=4326).to_file(path)
        with pytest.raises(GridError, match="far from the reference"):
            self.run(tmp_path, input=str(path), reference=reference)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["far.gpkg", "reference.tif"]
