"""Distance: against scipy, shapely and geodesics; levels; features outside; bad input."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError
from landslide_mapper.landslide_plugin.core import memory
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors import distance as rooms
from landslide_mapper.landslide_plugin.factors import reach
from landslide_mapper.landslide_plugin.factors.distance_command import distance
from landslide_mapper.landslide_plugin.factors.stack_command import stack
from landslide_mapper.landslide_plugin.raster import Grid, Source
from landslide_mapper.landslide_plugin.request import checked
from landslide_mapper.landslide_plugin.vector.shapes import Shapes
from pyproj import Geod
from rasterio.crs import CRS
from rasterio.features import rasterize
from rasterio.transform import from_origin
from rasterio.windows import Window
from scipy.ndimage import distance_transform_edt

UTM = CRS.from_epsg(32632)
GRID = Grid(UTM, from_origin(500000, 5000000, 10, 10), 60, 50)


def centres(grid):
    rows, columns = np.mgrid[: grid.height, : grid.width] + 0.5
    x, y = grid.transform * (columns.ravel(), rows.ravel())
    return x.reshape(grid.shape), y.reshape(grid.shape)


def measure(shapes, grid=GRID, limit=np.inf, half_width=0.0):
    features = Shapes(list(shapes))
    blocks = rooms.plan_blocks(features, grid, limit, half_width)
    parts = rooms.stream_distance(features, grid, blocks, limit, half_width)
    return np.concatenate([block for _, block in parts])


def exact(shapes, grid=GRID):
    """Metres from pixel centres to the features themselves."""
    x, y = centres(grid)
    return shapely.distance(shapely.points(x, y), shapely.union_all(list(shapes)))


def transform(shapes, grid=GRID, limit=np.inf):
    """Metres from pixel centres to those of touched pixels, by scipy on a grid large enough."""
    edge = int(2 * max(grid.shape)) + 10
    window = Window(-edge, -edge, grid.width + 2 * edge, grid.height + 2 * edge)
    large = Grid(grid.crs, grid.window_transform(window), window.width, window.height)
    touched = rasterize(shapes, large.shape, transform=large.transform, all_touched=True)
    width, height = (size[0] for size in grid.pixel_metres())
    metres = distance_transform_edt(touched == 0, sampling=(height, width))
    return np.minimum(metres[edge : edge + grid.height, edge : edge + grid.width], limit)


LINE = shapely.LineString([(499903, 4999901), (500204, 4999702), (500351, 4999983)])
POLYGON = shapely.Polygon(
    shapely.box(500400, 4999600, 500550, 4999700).exterior.coords,
    [shapely.box(500440, 4999630, 500510, 4999670).exterior.coords],
)
POINT = shapely.Point(500111, 4999555)


class TestAgainstScipy:
    @pytest.mark.parametrize("shapes", [[LINE], [POLYGON], [POINT], [LINE, POLYGON, POINT]])
    def test_lines_polygons_points(self, shapes):
        assert measure(shapes) == pytest.approx(transform(shapes), abs=1e-2)  # 1e-3 pixel

    @settings(max_examples=60)
    @given(
        points=st.lists(
            st.tuples(st.floats(499700, 501000), st.floats(4999200, 5000300)),
            min_size=2,
            max_size=6,
            unique=True,
        ),
        size=st.tuples(st.integers(1, 60), st.integers(1, 50)),
        pixel=st.sampled_from([(10, 10), (10, 30), (25, 10)]),
        limit=st.sampled_from([np.inf, 50.0, 300.0]),
        block=st.sampled_from([60, 600, 10**6]),
        coarse=st.sampled_from([4, 256]),
    )
    def test_any_line_inside_or_outside_on_any_pixels_in_any_blocks(
        self, points, size, pixel, limit, block, coarse
    ):
        shapes = [shapely.LineString(points)]
        grid = Grid(UTM, from_origin(500000, 5000000, *pixel), *size)
        assume(shapes[0].distance(shapely.box(*grid.bounds)) < np.hypot(*size) * 10)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rooms, "_BLOCK_PIXELS", block)
            patch.setattr(reach, "_COARSE_CELLS", coarse)
            near = measure(shapes, grid, limit)
        assert near == pytest.approx(transform(shapes, grid, limit), abs=1e-2)

    def test_real_faults(self, data_dir):
        """Kashmir at a third of its resolution: many faults lie or end outside the DEM."""
        with Source.open(data_dir / "kashmir" / "AW3D30.tif") as dem:
            fine = dem.grid
        left, _, _, top = fine.bounds
        step = 3 * fine.transform.a
        grid = Grid(fine.crs, from_origin(left, top, step, step), fine.width // 3, fine.height // 3)
        faults = gpd.read_file(data_dir / "kashmir" / "Confirmed_faults.shp").to_crs(grid.crs)
        shapes = shapely.force_2d(faults.geometry.array)
        assert not shapely.box(*grid.bounds).contains(shapely.box(*faults.total_bounds))
        assert measure(shapes, grid) == pytest.approx(transform(shapes, grid), abs=1e-3 * step)

    def test_a_grid_too_large_for_opencv(self, monkeypatch):
        fast = measure([LINE, POLYGON])
        monkeypatch.setattr(rooms, "_OPENCV_LARGEST", 50)
        assert measure([LINE, POLYGON]) == pytest.approx(fast, abs=1e-3)


class TestAgainstShapely:
    @pytest.mark.parametrize("shapes", [[LINE], [POLYGON], [POINT], [LINE, POLYGON, POINT]])
    def test_within_half_a_pixel_diagonal_of_the_features(self, shapes):
        assert np.abs(measure(shapes) - exact(shapes)).max() <= 10 * np.sqrt(2) / 2 + 1e-3

    def test_multi_parts(self):
        parts = [shapely.MultiLineString([LINE, LINE]), shapely.MultiPoint([POINT])]
        assert np.array_equal(measure(parts), measure([LINE, POINT]))  # to the last bit

    def test_inside_a_polygon_is_0_and_its_hole_is_outside(self):
        near = measure([POLYGON])
        x, y = centres(GRID)
        assert (near[shapely.contains_xy(POLYGON, x, y)] == 0).all()
        assert near[35, 47] == pytest.approx(20)  # in the hole, two pixels from its edge
        assert near[0, 0] > 300

    def test_a_polygon_thinner_than_a_pixel_is_not_lost(self):
        thin = shapely.box(500000, 4999801, 500600, 4999803)
        assert measure([thin])[:, 7] == pytest.approx(np.abs(np.arange(50) - 19) * 10)


class TestGeographic:
    @pytest.mark.parametrize("latitude", [-45.0, 0.0, 34.6, 70.0])
    def test_metres_are_geodesic(self, latitude):
        grid = Grid(CRS.from_epsg(4326), from_origin(10, latitude + 0.255, 0.01, 0.01), 50, 50)
        x, y = centres(grid)
        near = measure([shapely.Point(10.135, latitude)], grid)  # a pixel's centre
        _, _, geodesic = Geod(ellps="WGS84").inv(
            np.full(x.size, 10.135), np.full(x.size, latitude), x.ravel(), y.ravel()
        )
        assert near.ravel() == pytest.approx(geodesic, abs=0.2)  # up to 50 km away

    def test_of_two_far_apart_the_nearer_one_counts(self, monkeypatch):
        """At 60 degrees a degree of longitude is half as long, and changes from row to row."""
        monkeypatch.setattr(rooms, "_GROUND_BLOCK_PIXELS", 60 * 5)
        grid = Grid(CRS.from_epsg(4326), from_origin(10, 60.2, 0.005, 0.005), 60, 80)
        x, y = centres(grid)
        points = [(10.0025, 60.0025), (10.2525, 60.1525), (10.0525, 59.9025)]  # pixels' centres
        near = measure([shapely.Point(point) for point in points], grid)
        geodesic = [
            Geod(ellps="WGS84").inv(
                np.full(x.size, east), np.full(x.size, north), x.ravel(), y.ravel()
            )[2]
            for east, north in points
        ]
        assert near.ravel() == pytest.approx(np.min(geodesic, axis=0), rel=1e-3, abs=0.05)

    def test_real_rivers_agree_with_utm(self, data_dir):
        """SRTM of South Africa in degrees, against the same rivers in UTM."""
        folder = data_dir / "samples" / "qgis_training_srtm"
        with Source.open(next(folder.glob("srtm*.tif"))) as dem:
            grid = dem.grid
        rivers = gpd.read_file(next(folder.glob("*rivers*"))).to_crs(grid.crs)
        rivers = rivers[rivers.intersects(shapely.box(*grid.bounds))]
        near = measure(rivers.geometry, grid)
        rng = np.random.default_rng(0)
        rows, columns = rng.integers(0, grid.height, 300), rng.integers(0, grid.width, 300)
        x, y = centres(grid)
        points = gpd.GeoSeries.from_xy(x[rows, columns], y[rows, columns], crs=4326)
        utm = rivers.estimate_utm_crs()
        true = points.to_crs(utm).distance(rivers.to_crs(utm).union_all())
        apart = np.abs(near[rows, columns] - true)
        assert apart.max() < 0.75 * np.hypot(*(size.max() for size in grid.pixel_metres())) + 5
        assert np.median(true) > 100

    def test_a_line_outside_counts_at_high_latitude(self):
        grid = Grid(CRS.from_epsg(4326), from_origin(10, 70, 0.01, 0.01), 40, 40)
        south = shapely.LineString([(9, 69.5), (12, 69.5)])  # 11 km south of the grid
        west = shapely.Point(9.9, 69.8)  # 4 km west of it: nearer, though more degrees away
        near = measure([south, west], grid)
        _, _, geodesic = Geod(ellps="WGS84").inv(9.9, 69.8, 10.005, 69.795)
        assert near[20, 0] == pytest.approx(geodesic, abs=600)  # half a pixel's diagonal


class TestOutsideAndLimits:
    def test_features_outside_the_reference_count(self):
        outside = shapely.LineString([(499955, 4999000), (499955, 5001000)])
        assert measure([outside])[:, 0] == pytest.approx(np.full(50, 50.0))
        assert measure([outside, POINT]) == pytest.approx(transform([outside, POINT]), abs=1e-2)

    @pytest.mark.parametrize("limit", [1, 35, 120, 5000])
    def test_a_limit_caps_and_changes_nothing_else(self, limit):
        shapes = [LINE, POLYGON]
        capped = measure(shapes, limit=limit)
        assert capped == pytest.approx(transform(shapes, limit=limit), abs=1e-2)
        assert capped.max() <= limit

    def test_all_within_the_diagonal_but_beyond_the_limit_is_the_limit(self):
        assert (measure([shapely.Point(500900, 4999800)], limit=50) == 50).all()

    def test_features_far_away_are_refused_with_both_extents(self):
        with pytest.raises(GridError, match=r"300000, 9100000.*x 500000 to 500600"):
            measure([shapely.Point(300000, 9.1e6)])

    def test_feet(self):
        crs = CRS.from_epsg(2263)
        grid = Grid(crs, from_origin(900000, 200000, 100, 100), 5, 5)
        near = measure([shapely.Point(900050, 199950)], grid)
        assert near[0, :3] == pytest.approx([0, 30.48006, 60.96012], abs=1e-3)

    def test_blocks_do_not_show(self, monkeypatch):
        whole = measure([LINE, POLYGON])
        monkeypatch.setattr(rooms, "_BLOCK_PIXELS", 60 * 7)
        assert measure([LINE, POLYGON]) == pytest.approx(whole, abs=1e-3)


class TestSurface:
    """A line at the left of pixels of 10 m, of which 30 m to each side are the river's."""

    RIVER = shapely.LineString([(500005, 4990000), (500005, 5010000)])
    LAKE = shapely.box(500200, 4990000, 500210, 5010000)

    def test_the_distance_of_a_line_begins_at_its_surface(self):
        expected = np.maximum(10.0 * np.arange(60) - 30, 0)
        assert measure([self.RIVER], half_width=30)[20] == pytest.approx(expected)

    def test_a_polygon_is_its_own_surface(self):
        assert np.array_equal(measure([self.LAKE], half_width=30), measure([self.LAKE]))

    def test_the_limit_counts_from_the_surface(self):
        capped = measure([self.RIVER], limit=100, half_width=30)[20]
        assert capped[:15] == pytest.approx([*[0] * 4, *range(10, 101, 10), 100])

    def test_of_a_line_and_a_polygon_the_nearer_surface_counts(self):
        both = measure([self.RIVER, self.LAKE], half_width=30)
        each = [measure([shape], half_width=30) for shape in (self.RIVER, self.LAKE)]
        assert both == pytest.approx(np.minimum(*each))

    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 2**32 - 1))
    def test_blocks_hold_a_line_that_is_farther_than_the_polygon_but_whose_surface_is_nearer(
        self, seed
    ):
        grid = Grid(UTM, from_origin(500000, 5000000, 2, 2), 60, 50)  # pixels less than 30 m
        place = np.random.default_rng(seed)
        x, y = 500000 + place.uniform(-60, 180, 6), 5000000 - place.uniform(-60, 160, 6)
        shapes = [
            shapely.LineString(np.column_stack([x[:2], y[:2]])),
            shapely.Point(x[2], y[2]),
            shapely.Polygon(np.column_stack([x[3:], y[3:]])),
        ]
        touched = [
            transform([shape], grid) - wide for shape, wide in zip(shapes, (30, 30, 0), strict=True)
        ]
        expected = np.maximum(np.min(touched, axis=0), 0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rooms, "_BLOCK_PIXELS", 60 * 5)
            found = measure(shapes, grid, half_width=30)
        assert found == pytest.approx(expected, abs=1e-2)


class TestLevels:
    BREAKS = (30, 200, 500, 1000, 2000)

    def test_six_levels_of_yang_2022(self):
        metres = np.array([0, 30, 30.1, 200, 350, 1000, 1000.5, 2000, 2001, 1e6], np.float32)
        assert rooms.to_levels(metres, self.BREAKS).tolist() == [0, 0, 1, 1, 2, 3, 4, 4, 5, 5]

    @pytest.mark.parametrize("side", [0.05, 0.3, 0.6, 2.4])
    def test_a_pixel_at_a_break_lies_below_it_whatever_rounding_makes_of_it(self, side):
        grid = Grid(CRS.from_epsg(32632), from_origin(500000, 5000000, side, side), 60, 1)
        point = shapely.Point(500000 + side / 2, 5000000 - side / 2)
        breaks = np.round(np.arange(1, 60) * side, 2).tolist()
        levels = rooms.to_levels(measure([point], grid), breaks)
        assert levels.tolist() == [[0, *range(59)]]

    def test_level_names(self):
        assert rooms.level_names([30, 200]) == {0: "0 to 30 m", 1: "30 to 200 m", 2: "above 200 m"}

    @pytest.mark.parametrize("breaks", [[0, 10], [-5], [10, 10], [20, 10], [float("nan")]])
    def test_breaks_must_ascend_above_0(self, breaks):
        with pytest.raises(InputError, match="each larger than the one before"):
            rooms.check_breaks(breaks, 0)

    def test_a_break_beyond_the_maximum_distance_is_refused(self):
        with pytest.raises(InputError, match="lies beyond the maximum distance 100 m"):
            rooms.check_breaks([50, 200], 100)


def exact_levels(shapes):
    """Pixel distances of a line that went to degrees and back: touched pixels may differ."""
    return measure(gpd.GeoSeries(shapes, crs=UTM).to_crs(4326).to_crs(UTM).array)


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
        given = checked("distance", distance, {"output": str(output), **parameters})
        assert distance(**given, progress=Progress()) == {"output": str(output)}
        with rasterio.open(output) as dataset:
            return dataset.read(1), dataset.profile, dataset.descriptions, dataset.tags(1)

    def test_continuous_in_another_crs(self, tmp_path, rivers, reference):
        metres, profile, names, _ = self.run(tmp_path, input=rivers, reference=reference)
        assert names == ("river_distance",)
        assert (profile["dtype"], profile["nodata"]) == ("float32", -9999)
        assert np.abs(metres - exact([LINE])).max() < 7.2

    def test_levels(self, tmp_path, rivers, reference):
        levels, profile, names, tags = self.run(
            tmp_path, input=rivers, reference=reference, name="river", breaks=[30, 200]
        )
        assert (profile["dtype"], profile["nodata"], names) == ("uint8", 255, ("river",))
        assert tags["class_1"] == "30 to 200 m"
        assert np.array_equal(levels, rooms.to_levels(exact_levels([LINE]), [30, 200]))

    def test_the_six_levels_of_yang_2022_are_a_preset(self, tmp_path, rivers, reference):
        six, _, _, tags = self.run(tmp_path, input=rivers, reference=reference, levels="yang2022")
        names = [tags[f"class_{level}"] for level in range(6)]
        assert names[:2] == ["surface", "0 to 200 m"] and names[5] == "above 2000 m"
        same = self.run(
            tmp_path, input=rivers, reference=reference, breaks=[30, 230, 530, 1030, 2030]
        )
        assert np.array_equal(six, same[0])

    def test_levels_of_a_water_s_polygon_begin_at_its_outline(self, tmp_path, make_raster):
        """Pixels of 100 m: its own column, then two up to 200 m, three up to 500 m, and so on."""
        lake = tmp_path / "lake.gpkg"
        outline = shapely.box(500010, 4990000, 500090, 5000000)
        gpd.GeoDataFrame(geometry=[outline], crs=UTM.to_wkt()).to_file(lake)
        transform = from_origin(500000, 5000000, 100, 100)
        reference = make_raster("wide.tif", np.ones((1, 24), np.float32), transform=transform)
        levels = self.run(tmp_path, input=str(lake), reference=reference, levels="yang2022")[0]
        expected = [0, 1, 1, 2, 2, 2, *[3] * 5, *[4] * 10, *[5] * 3]
        assert levels[0].tolist() == expected

    def test_levels_are_ordinal_one_band_in_the_stack(self, tmp_path, rivers, make_raster):
        size = np.ones((50, 60), np.float32)
        reference = make_raster("wide.tif", size, transform=from_origin(500000, 5000000, 100, 100))
        levels = self.run(tmp_path, input=rivers, reference=reference, levels="yang2022")[0]
        stack(
            layers=[str(reference), str(tmp_path / "distance.tif")],
            output=str(tmp_path / "stack.tif"),
            progress=Progress(),
        )
        with rasterio.open(tmp_path / "stack.tif") as dataset:
            assert dataset.descriptions[1:] == ("river_distance",)
            assert np.array_equal(dataset.read(2), levels)
        assert set(np.unique(levels)) == {0, 1, 2, 3, 4, 5}

    @pytest.mark.parametrize(
        ("parameters", "text"),
        [
            ({"levels": "yang2022", "breaks": [10]}, "either the levels yang2022 or breaks"),
            ({"levels": "gao"}, 'LEVELS is "gao": choose one of none, yang2022'),
            ({"levels": "yang2022", "max_distance": 100}, "break 2000 m lies beyond"),
            ({"max_distance": -1}, "choose 0 m or more"),
            ({"max_distance": float("nan")}, "takes a finite number"),
        ],
    )
    def test_parameters_that_do_not_fit(self, tmp_path, rivers, reference, parameters, text):
        with pytest.raises(InputError, match=text):
            self.run(tmp_path, input=rivers, reference=reference, **parameters)
        assert not (tmp_path / "distance.tif").exists()

    def test_a_maximum_of_0_is_none(self, tmp_path, rivers, reference):
        free = self.run(tmp_path, input=rivers, reference=reference)[0]
        zero = self.run(tmp_path, input=rivers, reference=reference, max_distance=0)[0]
        assert np.array_equal(free, zero) and zero.max() > 250

    @pytest.mark.parametrize("shape", [(1, 40), (40, 1)])
    def test_a_reference_of_one_row_or_column(self, tmp_path, rivers, make_raster, shape):
        metres = self.run(
            tmp_path, input=rivers, reference=make_raster("thin.tif", np.ones(shape, np.float32))
        )[0]
        grid = Grid(UTM, from_origin(500000, 5000000, 10, 10), shape[1], shape[0])
        assert np.abs(metres - exact([LINE], grid)).max() < 7.2

    def test_a_rotated_reference(self, tmp_path, rivers, make_raster):
        turned = from_origin(500000, 5000000, 10, 10) * Affine.rotation(20)
        path = make_raster("turned.tif", np.ones((5, 5), np.float32), transform=turned)
        with pytest.raises(GridError, match="rotated"):
            self.run(tmp_path, input=rivers, reference=path)

    def test_what_can_not_fit_in_memory_is_refused_with_both_figures(
        self, tmp_path, rivers, reference, monkeypatch
    ):
        monkeypatch.setattr(memory, "available_memory", lambda: 1000.0)
        with pytest.raises(InputError, match=r"60 x 50 pixels need about .* GB .* are free: give"):
            self.run(tmp_path, input=rivers, reference=reference)
        assert not (tmp_path / "distance.tif").exists()

    def test_a_maximum_distance_bounds_the_memory(self):
        """Ten times the height takes no more; without a maximum, far from all, it would."""
        features = Shapes([POINT])
        low, high = (Grid(UTM, GRID.transform, 6000, rows) for rows in (20_000, 200_000))
        needed = [
            rooms.memory_needed(rooms.plan_blocks(features, grid, 2000), grid)
            for grid in (low, high)
        ]
        assert needed[1] <= needed[0] < 600e6
        assert rooms.memory_needed(rooms.plan_blocks(features, high), high) > 5e9

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

    def test_far_away_leaves_no_file(self, tmp_path, reference):
        path = tmp_path / "far.gpkg"
        gpd.GeoDataFrame(geometry=[shapely.Point(10, -80)], crs=4326).to_file(path)
        with pytest.raises(GridError, match="far from the reference"):
            self.run(tmp_path, input=str(path), reference=reference)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["far.gpkg", "reference.tif"]
