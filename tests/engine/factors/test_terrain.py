"""Terrain factors: known surfaces, gdaldem and richdem on real DEMs, rims, blocks, bad input."""

import shutil
import subprocess

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors import terrain, terrain_blocks
from landslide_mapper.landslide_plugin.factors.neighbourhood import FLAT_ASPECT
from landslide_mapper.landslide_plugin.factors.terrain_blocks import Block
from landslide_mapper.landslide_plugin.factors.terrainfactors_command import terrainfactors
from landslide_mapper.landslide_plugin.raster.grid import Grid
from landslide_mapper.landslide_plugin.raster.source import Source
from landslide_mapper.landslide_plugin.request import checked
from rasterio.transform import from_origin

ALL = list(terrain.FACTORS)
gdaldem_needed = pytest.mark.skipif(shutil.which("gdaldem") is None, reason="no gdaldem here")


def derive(heights, names, dx=10.0, dy=10.0, valid=None):
    """Return name to factor of an array of elevations, nothing beyond its edges."""
    heights = np.asarray(heights, np.float32)
    there = np.ones(heights.shape, bool) if valid is None else valid
    block = Block(
        np.pad(np.where(there, heights, 0), 1),
        np.pad(there, 1),
        Grid(None, from_origin(0, 0, dx, dy), *heights.shape[::-1]),
        np.full(heights.shape, np.sqrt(dx * dy), np.float32),
    )
    values = terrain_blocks.derive(block, names)
    return dict(zip(names, values, strict=True))


def coordinates(size, pixel):
    """Return x towards east and y towards north of the pixels, 0 in the middle."""
    axis = (np.arange(size) - size // 2) * pixel
    return np.meshgrid(axis, -axis)


def apart(one, other):
    """Return the angle between directions, degrees."""
    return np.abs((one - other + 180) % 360 - 180)


def run(path, output, factors=ALL, smoothing=0.0):
    terrainfactors(
        input=str(path),
        output=str(output),
        factors=factors,
        smoothing=smoothing,
        progress=Progress(),
    )
    return read(output)


def read(path):
    with rasterio.open(path) as dataset:
        return {
            name: dataset.read(index, masked=True)
            for index, name in enumerate(dataset.descriptions, start=1)
        }


def gdaldem(mode, dem, output, *options):
    subprocess.run(["gdaldem", mode, dem, output, "-q", *options], check=True)
    with rasterio.open(output) as dataset:
        return dataset.read(1, masked=True)


class TestKnownSurfaces:
    @pytest.mark.parametrize("direction", [0, 30, 45, 90, 135, 180, 225, 270, 300, 359])
    def test_plane_at_45_degrees_has_its_slope_and_aspect_up_to_the_edge(self, direction):
        x, y = coordinates(9, 10)
        angle = np.radians(direction)
        result = derive(-(np.sin(angle) * x + np.cos(angle) * y), ALL)
        np.testing.assert_allclose(result["slope"], 45, atol=1e-4)
        assert apart(result["aspect"], direction).max() < 1e-3
        np.testing.assert_allclose(result["eastness"], np.sin(angle), atol=1e-5)
        np.testing.assert_allclose(result["northness"], np.cos(angle), atol=1e-5)
        for name in ("plan_curvature", "profile_curvature", "curvature", "tpi"):
            np.testing.assert_allclose(result[name], 0, atol=1e-5)

    def test_flat_ground_has_no_direction_but_is_valid(self):
        result = derive(np.full((5, 5), 812.5), ALL)
        assert np.all(result["aspect"] == FLAT_ASPECT)
        for name in set(ALL) - {"aspect", "elevation", "hillshade", "twi"}:
            assert np.all(result[name] == 0), name
        np.testing.assert_allclose(result["hillshade"], 1 + 254 * np.sqrt(0.5), rtol=1e-6)

    def test_pixels_that_are_not_square(self):
        x, y = np.meshgrid(np.arange(7) * 5.0, -np.arange(7) * 20.0)
        result = derive(-(0.3 * x + 0.4 * y), ["slope", "aspect"], dx=5, dy=20)
        np.testing.assert_allclose(result["slope"], np.degrees(np.arctan(0.5)), atol=1e-4)
        np.testing.assert_allclose(result["aspect"], np.degrees(np.arctan2(0.3, 0.4)), atol=1e-3)

    @pytest.mark.parametrize("bend", [0.002, -0.002])
    def test_paraboloid_has_its_second_derivatives(self, bend):
        """z = bend (x2 + y2) bends by 2 bend along and across the fall line; a bowl is concave."""
        x, y = coordinates(41, 10)
        result = derive(1000 + bend * (x**2 + y**2), ALL)
        off_middle = np.hypot(x, y)[1:-1, 1:-1] > 0
        inner = {name: values[1:-1, 1:-1][off_middle] for name, values in result.items()}
        np.testing.assert_allclose(inner["profile_curvature"], 2 * bend, rtol=1e-2)
        np.testing.assert_allclose(inner["plan_curvature"], -2 * bend, rtol=1e-2)
        np.testing.assert_allclose(inner["curvature"], -4 * bend, rtol=1e-2)
        assert np.all(np.sign(inner["tpi"]) == -np.sign(bend))

    def test_cone_is_straight_along_its_fall_line_and_round_across(self):
        """A cone of gradient 0.5 has no profile curvature; across it bends by 0.5 / r."""
        x, y = coordinates(61, 10)
        radius = np.hypot(x, y)
        result = derive(500 - 0.5 * radius, ALL)
        far = (radius > 150) & (radius < 280)
        np.testing.assert_allclose(result["slope"][far], np.degrees(np.arctan(0.5)), rtol=2e-3)
        np.testing.assert_allclose(result["profile_curvature"][far], 0, atol=2e-5)
        np.testing.assert_allclose(result["plan_curvature"][far], 0.5 / radius[far], rtol=2e-2)
        assert apart(result["aspect"], np.degrees(np.arctan2(x, y)))[far].max() < 0.2

    def test_sphere_has_its_slope_aspect_and_second_derivatives(self):
        """z = root(R2 - r2): z_rr = -R2 / z3 along the fall line, z_r / r = -1 / z across."""
        x, y = coordinates(81, 10)
        radius, sphere = np.hypot(x, y), 1000.0
        z = np.sqrt(sphere**2 - radius**2)
        result = derive(z, ALL)
        far = (radius > 100) & (radius < 380)
        np.testing.assert_allclose(
            result["slope"][far], np.degrees(np.arcsin(radius / sphere))[far], atol=0.01
        )
        assert apart(result["aspect"], np.degrees(np.arctan2(x, y)))[far].max() < 0.02
        along, across = sphere**2 / z[far] ** 3, 1 / z[far]
        np.testing.assert_allclose(result["profile_curvature"][far], -along, rtol=5e-3)
        np.testing.assert_allclose(result["plan_curvature"][far], across, rtol=5e-3)
        np.testing.assert_allclose(result["curvature"][far], along + across, rtol=5e-3)

    @pytest.mark.parametrize(
        ("direction", "name"),
        [
            (0, "north"), (22, "north"), (23, "northeast"), (90, "east"), (135, "southeast"),
            (180, "south"), (225, "southwest"), (292, "west"), (293, "northwest"),
            (337, "northwest"), (338, "north"), (359.9, "north"),
        ],
    )  # fmt: skip
    def test_aspect_falls_in_eight_classes_and_flat_is_the_ninth(self, direction, name):
        x, y = coordinates(5, 10)
        angle = np.radians(direction)
        result = derive(-(np.sin(angle) * x + np.cos(angle) * y), ["aspect_class"])
        assert np.all(result["aspect_class"] == terrain.ASPECT_CLASSES.index(name))
        assert np.all(derive(0 * x, ["aspect_class"])["aspect_class"] == 0)

    def test_saddle_bends_up_along_one_diagonal_and_down_along_the_other(self):
        """z = k x y: on the line y = x the fall line climbs along the diagonal, bending by k."""
        x, y = coordinates(21, 10)
        result = derive(0.001 * x * y, ALL)
        at = (5, 15)  # y = x = 50 m
        assert result["profile_curvature"][at] == pytest.approx(0.001, rel=1e-3)
        assert result["plan_curvature"][at] == pytest.approx(0.001, rel=1e-3)
        assert result["curvature"][at] == pytest.approx(0, abs=1e-6)

    def test_a_step_of_one_pixel(self):
        heights = np.zeros((5, 5))
        heights[2, 2] = 8
        result = derive(heights, ["tpi", "tri", "roughness"])
        assert result["tpi"][2, 2] == 8
        assert result["tpi"][2, 1] == -1
        assert result["tri"][2, 2] == pytest.approx(np.sqrt(8 * 64))
        assert result["tri"][1, 1] == 8
        assert result["roughness"][1, 1] == result["roughness"][2, 2] == 8


class TestProperties:
    heights = arrays(np.float32, (7, 9), elements=st.integers(0, 500).map(float))

    @given(heights)
    @settings(max_examples=60)
    def test_a_turn_by_90_degrees_turns_the_aspect_and_leaves_the_rest(self, heights):
        holes = heights < 20
        still = derive(heights, ALL, valid=~holes)
        turned = derive(np.rot90(heights, -1), ALL, valid=np.rot90(~holes, -1))  # clockwise
        for name in ("slope", "plan_curvature", "profile_curvature", "tpi", "tri", "roughness"):
            back = np.rot90(turned[name])[~holes]
            np.testing.assert_allclose(back, still[name][~holes], rtol=1e-4, atol=1e-4)
        sloping = (still["slope"] > 0.5) & ~holes
        difference = apart(np.rot90(turned["aspect"]), still["aspect"] + 90)
        assert difference[sloping].max(initial=0) < 0.01

    @given(heights, st.integers(-400, 8000))
    @settings(max_examples=40)
    def test_a_constant_changes_the_elevation_alone(self, heights, constant):
        low, high = derive(heights, ALL), derive(heights + np.float32(constant), ALL)
        for name in set(ALL) - {"elevation"}:
            np.testing.assert_allclose(high[name], low[name], rtol=1e-4, atol=1e-4)

    @given(heights)
    @settings(max_examples=40)
    def test_ranges(self, heights):
        result = derive(heights, ALL)
        assert np.all((result["slope"] >= 0) & (result["slope"] < 90))
        aspect = result["aspect"]
        assert np.all(((aspect >= 0) & (aspect < 360)) | (aspect == FLAT_ASPECT))
        length = np.hypot(result["northness"], result["eastness"])
        np.testing.assert_allclose(length, (result["slope"] > 0).astype(float), atol=1e-5)
        assert np.all((result["hillshade"] >= 1) & (result["hillshade"] <= 255.001))


class TestRims:
    def test_a_plane_keeps_its_slope_beside_holes(self):
        x, y = coordinates(15, 10)
        valid = np.ones(x.shape, bool)
        valid[4:7, 5:9] = valid[10, 3] = valid[0, 12] = valid[11:13, 11] = False
        result = derive(0.4 * x - 0.2 * y, ["slope", "aspect", "tpi"], valid=valid)
        expected = np.degrees(np.arctan(np.hypot(0.4, 0.2)))
        np.testing.assert_allclose(result["slope"][valid], expected, atol=1e-3)
        np.testing.assert_allclose(result["tpi"][valid], 0, atol=1e-3)

    def test_a_lone_pixel_is_flat(self):
        valid = np.zeros((5, 5), bool)
        valid[2, 2] = True
        result = derive(np.full((5, 5), 300.0), ["slope", "aspect"], valid=valid)
        assert (result["slope"][2, 2], result["aspect"][2, 2]) == (0, FLAT_ASPECT)

    def test_nodata_stays_nodata_and_nothing_else_becomes_it(self, make_raster, tmp_path):
        heights = np.random.default_rng(1).normal(500, 30, (40, 50)).astype(np.float32)
        heights[10:20, 15:30] = -32768
        heights[0, 0] = np.nan
        heights[30, 40] = -3.4e38  # undeclared fill
        path = make_raster("dem.tif", heights, nodata=-32768)
        result = run(path, tmp_path / "out.tif")
        expected = (heights < -1000) | np.isnan(heights)
        for name, values in result.items():
            np.testing.assert_array_equal(np.ma.getmaskarray(values), expected, err_msg=name)
            assert np.isfinite(values.compressed()).all()

    @pytest.mark.parametrize("smoothing", [0.0, 25.0])
    @pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:4326"])
    def test_blocks_don_t_show(self, make_raster, tmp_path, monkeypatch, smoothing, crs):
        heights = np.random.default_rng(2).normal(500, 30, (700, 60)).astype(np.float32)
        heights[250:262, 20:40] = -9999
        pixel = 10 if crs == "EPSG:32632" else 1e-4
        transform = from_origin(10, 46, pixel, pixel)
        path = make_raster("dem.tif", heights, crs=crs, transform=transform, nodata=-9999)
        whole = run(path, tmp_path / "whole.tif", smoothing=smoothing)
        monkeypatch.setattr(terrain_blocks, "_BLOCK_MEGABYTES", 1e-6)  # blocks of 256 rows
        monkeypatch.setattr(terrain_blocks, "_CHUNK_PIXELS", 1)  # chunks of 8 rows
        blocks = run(path, tmp_path / "blocks.tif", smoothing=smoothing)
        for name in ALL:
            difference = np.abs(whole[name] - blocks[name])
            if name == "aspect":
                difference = np.minimum(difference, 360 - difference)
            assert difference.max() < 1e-4, name


class TestSmoothing:
    def test_a_plane_stays_a_plane_away_from_edges(self, make_raster, tmp_path):
        x, y = coordinates(101, 10)
        path = make_raster("dem.tif", (1000 + 0.3 * x + 0.1 * y).astype(np.float32))
        result = run(path, tmp_path / "out.tif", ["elevation", "slope"], smoothing=30)
        inner = (slice(14, -14), slice(14, -14))
        np.testing.assert_allclose(
            result["elevation"][inner], (1000 + 0.3 * x + 0.1 * y)[inner], atol=1e-3
        )
        np.testing.assert_allclose(
            result["slope"][inner], np.degrees(np.arctan(np.hypot(0.3, 0.1))), atol=1e-2
        )

    def test_it_is_a_gaussian_in_metres(self, make_raster, tmp_path):
        """One peak becomes a Gaussian; its second moment is sigma squared, in metres."""
        peak = np.zeros((81, 161), np.float32)
        peak[40, 80] = 1000
        path = make_raster("dem.tif", peak, transform=from_origin(0, 0, 5, 10))
        result = run(path, tmp_path / "out.tif", ["elevation"], smoothing=40)["elevation"]
        assert result.sum() == pytest.approx(1000, rel=1e-4)
        across = ((np.arange(161) - 80) * 5.0) ** 2
        down = ((np.arange(81) - 40) * 10.0) ** 2
        assert np.sqrt((result.sum(axis=0) * across).sum() / 1000) == pytest.approx(40, rel=0.01)
        assert np.sqrt((result.sum(axis=1) * down).sum() / 1000) == pytest.approx(40, rel=0.01)

    def test_holes_and_edges_don_t_bleed_in(self, make_raster, tmp_path):
        heights = np.full((60, 60), 1500, np.float32)
        heights[20:30, 20:30] = -9999
        path = make_raster("dem.tif", heights, nodata=-9999)
        result = run(path, tmp_path / "out.tif", ["elevation", "slope"], smoothing=50)
        assert result["elevation"].count() == 60 * 60 - 100
        np.testing.assert_allclose(result["elevation"].compressed(), 1500, atol=1e-3)
        assert result["slope"].max() < 0.01


@gdaldem_needed
class TestAgainstGdaldem:
    @pytest.mark.parametrize(
        "file",
        [
            "kashmir/AW3D30.tif",
            "samples/qgis_training_srtm/dem25.tif",
            "emilia_s2/dem_around_4120_9km_10m.tif",
            "iburi_s2/dsm_aw3d30_utm54n_10m.tif",
        ],
    )
    def test_real_dems_in_metres_edges_included(self, data_dir, tmp_path, file):
        """All but the four corners, and beside nodata, where the rules differ."""
        dem = data_dir / file
        result = run(dem, tmp_path / "ours.tif")
        with Source.open(dem) as source:
            valid = source.read()[1][0]
        whole = valid.copy()
        for shift in (-1, 1):
            for axis in (0, 1):
                rolled = np.roll(valid, shift, axis)
                whole &= rolled & np.roll(rolled, 1, 1 - axis) & np.roll(rolled, -1, 1 - axis)
        whole[[0, 0, -1, -1], [0, -1, 0, -1]] = False
        assert whole.mean() > 0.5
        tolerances = {"slope": 1e-3, "tpi": 1e-3, "tri": 1e-3, "roughness": 1e-6, "hillshade": 0.51}
        for name, tolerance in tolerances.items():
            mode = name.upper() if name in ("tpi", "tri") else name
            theirs = gdaldem(mode, dem, tmp_path / f"{name}.tif", "-compute_edges")
            difference = np.abs(result[name] - theirs)[whole]
            assert difference.count() > 0.99 * whole.sum()
            assert difference.max() < tolerance, name
        theirs = gdaldem("aspect", dem, tmp_path / "aspect.tif", "-compute_edges")
        flat = np.ma.getmaskarray(theirs) & whole
        assert np.all(result["aspect"][flat] == FLAT_ASPECT)
        steep = (
            whole & ~flat & (result["slope"].filled(0) > 5)
        )  # theirs is coarse where nearly flat
        assert apart(result["aspect"], theirs)[steep].max() < 0.01

    def test_srtm_in_degrees_by_the_metres_of_its_row(self, data_dir, tmp_path):
        """Each row as gdaldem sees it if told that row's metres as the pixel's size."""
        dem = data_dir / "samples/qgis_training_srtm/srtm_41_19_4326.tif"
        result = run(dem, tmp_path / "ours.tif", ["slope"])["slope"]
        with Source.open(dem) as source:
            heights, valid = (part[0] for part in source.read())
            dx, dy = source.grid.pixel_metres()
        assert dx[0] != pytest.approx(dy[0], rel=0.1)
        compared = 0
        for row in (1, 200, 400, 617):
            rows = slice(row - 1, row + 2)
            if not valid[rows].all():
                continue
            profile = {
                "driver": "GTiff", "count": 1, "height": 3, "width": heights.shape[1],
                "dtype": "float32", "crs": "EPSG:32734",
                "transform": from_origin(0, 0, dx[row], dy[row]),
            }  # fmt: skip
            with rasterio.open(tmp_path / "strip.tif", "w", **profile) as strip:
                strip.write(heights[rows], 1)
            theirs = gdaldem("slope", tmp_path / "strip.tif", tmp_path / "slope.tif")
            assert np.abs(result[row, 1:-1] - theirs[1, 1:-1]).max() < 1e-3
            compared += 1
        assert compared >= 2

    def test_srtm_in_degrees_agrees_with_itself_in_utm(self, data_dir, tmp_path):
        dem = data_dir / "samples/qgis_training_srtm/srtm_41_19_4326.tif"
        degrees = run(dem, tmp_path / "degrees.tif", ["slope"])["slope"]
        utm, back = tmp_path / "utm.tif", tmp_path / "back.tif"
        warp = ["gdalwarp", "-q", "-r", "bilinear"]
        subprocess.run([*warp, "-t_srs", "EPSG:32734", dem, utm], check=True)
        run(utm, tmp_path / "slope.tif", ["slope"])
        with rasterio.open(dem) as source:
            bounds, size = [str(value) for value in source.bounds], source.shape
        subprocess.run(
            [
                *warp, "-t_srs", "EPSG:4326", "-te", *bounds, "-ts", str(size[1]), str(size[0]),
                tmp_path / "slope.tif", back,
            ],
            check=True,
        )  # fmt: skip
        with rasterio.open(back) as dataset:
            metres = dataset.read(1, masked=True)
        difference = np.ma.abs(degrees - metres)[5:-5, 5:-5].compressed()
        assert difference.size > 100_000
        assert np.median(difference) < 0.5


def test_aspect_is_exact_where_it_is_nearly_flat_too(data_dir, tmp_path):
    """gdaldem sums elevations in float32 and is off by up to 0.16 degrees here."""
    dem = data_dir / "kashmir/AW3D30.tif"
    result = run(dem, tmp_path / "out.tif", ["aspect", "elevation"])
    z = result["elevation"].filled(0).astype(np.float64)
    a, b, c = z[:-2, :-2], z[:-2, 1:-1], z[:-2, 2:]
    d, f = z[1:-1, :-2], z[1:-1, 2:]
    g, h, i = z[2:, :-2], z[2:, 1:-1], z[2:, 2:]
    east = (a + 2 * d + g) - (c + 2 * f + i)
    north = (g + 2 * h + i) - (a + 2 * b + c)
    expected = np.degrees(np.arctan2(east, north))
    assert apart(result["aspect"][1:-1, 1:-1], expected).max() < 1e-3


def test_curvatures_are_a_hundredth_of_richdem_s(data_dir, tmp_path):
    richdem = pytest.importorskip("richdem")
    result = run(data_dir / "kashmir/AW3D30.tif", tmp_path / "out.tif")
    dem = richdem.rdarray(result["elevation"].filled(-9999), no_data=-9999)
    with rasterio.open(data_dir / "kashmir/AW3D30.tif") as dataset:
        dem.geotransform = dataset.transform.to_gdal()
    for ours, theirs in (
        ("plan_curvature", "planform_curvature"),
        ("profile_curvature", "profile_curvature"),
        ("curvature", "curvature"),
    ):
        expected = np.asarray(richdem.TerrainAttribute(dem, theirs))[1:-1, 1:-1] / 100
        np.testing.assert_allclose(result[ours][1:-1, 1:-1], expected, atol=1e-6)


class TestCommand:
    def test_bands_are_named_in_the_order_asked_and_say_where_they_are_from(
        self, make_raster, tmp_path
    ):
        path = make_raster("dem.tif", np.random.default_rng(0).normal(size=(20, 30)).astype("f4"))
        output = tmp_path / "out.tif"
        values = terrainfactors(
            input=path, output=str(output), factors=["slope", "elevation"], progress=Progress()
        )
        assert values == {"output": str(output)}
        with rasterio.open(output) as dataset:
            assert dataset.descriptions == ("slope", "elevation")
            assert dataset.nodata == -9999
            assert dataset.tags()["LANDSLIDE_VERSION"]

    def test_scale_and_offset_of_the_file_count(self, make_raster, tmp_path):
        x, _ = coordinates(9, 10)
        path = make_raster("dem.tif", (x * 10).astype(np.int16))
        with rasterio.open(path, "r+") as dataset:
            dataset.scales, dataset.offsets = (0.1,), (100.0,)
        result = run(path, tmp_path / "out.tif", ["elevation", "slope"])
        np.testing.assert_allclose(result["slope"], 45, atol=1e-4)
        np.testing.assert_allclose(result["elevation"], x + 100, atol=1e-4)

    def test_several_bands_warn(self, make_raster, tmp_path):
        events = []
        path = make_raster("dem.tif", np.zeros((2, 5, 5), np.float32))
        terrainfactors(
            input=path, output=str(tmp_path / "out.tif"), progress=Progress(events.append)
        )
        assert any("2 bands" in event.get("text", "") for event in events)

    def test_a_crs_in_feet_is_honoured_and_warned_of(self, make_raster, tmp_path):
        events = []
        x, _ = coordinates(9, 1000)
        path = make_raster(
            "dem.tif", (x * 0.3048006).astype("f4"), crs="EPSG:2263",
            transform=from_origin(900000, 200000, 1000, 1000),
        )  # fmt: skip
        output = tmp_path / "out.tif"
        terrainfactors(
            input=path, output=str(output), factors=["slope"], progress=Progress(events.append)
        )
        np.testing.assert_allclose(read(output)["slope"], 45, atol=1e-3)
        assert any(event["type"] == "warning" for event in events)

    @pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1)])
    def test_a_dem_of_one_pixel_row_or_column_is_refused(self, make_raster, tmp_path, shape):
        path = make_raster("dem.tif", np.zeros(shape, np.float32))
        self.refused(path, tmp_path, InputError, "at least 2 x 2")

    def test_a_dem_without_crs_is_refused(self, make_raster, tmp_path):
        path = make_raster("dem.tif", np.zeros((5, 5), np.float32), crs=None)
        self.refused(path, tmp_path, GridError, "no CRS")

    def test_a_rotated_dem_is_refused(self, make_raster, tmp_path):
        rotated = from_origin(500000, 5000000, 10, 10) @ Affine.rotation(30)
        path = make_raster("dem.tif", np.zeros((5, 5), np.float32), transform=rotated)
        self.refused(path, tmp_path, GridError, "rotated")

    @pytest.mark.parametrize("declared", [float("nan"), None])
    def test_nan_is_nodata_declared_or_not(self, make_raster, tmp_path, declared):
        heights = np.full((9, 9), 100, np.float32)
        heights[4, 4] = np.nan
        path = make_raster("dem.tif", heights, nodata=declared)
        result = run(path, tmp_path / "out.tif")
        for name, values in result.items():
            np.testing.assert_array_equal(np.ma.getmaskarray(values), np.isnan(heights), name)
        assert result["slope"].max() == 0

    def test_a_dem_of_nan_alone_is_refused(self, make_raster, tmp_path):
        path = make_raster("dem.tif", np.full((5, 5), np.nan, np.float32), nodata=np.nan)
        self.refused(path, tmp_path, InputError, "no valid pixel")
        self.refused(path, tmp_path, InputError, "no valid pixel", factors=["twi"])

    def test_a_cancelled_run_ends_at_once_and_leaves_nothing(self, make_raster, tmp_path):
        path = make_raster("dem.tif", np.zeros((2000, 40), np.float32))
        old = tmp_path / "out.tif"
        old.write_text("old")

        def cancel(event):
            raise SystemExit(143)

        with pytest.raises(SystemExit):
            terrainfactors(input=str(path), output=str(old), progress=Progress(cancel))
        assert old.read_text() == "old"
        assert not list(tmp_path.glob(".partial-*"))

    def test_a_dem_of_nodata_alone_is_refused(self, make_raster, tmp_path):
        path = make_raster("dem.tif", np.full((5, 5), -1, np.float32), nodata=-1)
        self.refused(path, tmp_path, InputError, "no valid pixel")

    def test_a_missing_file_is_refused(self, tmp_path):
        self.refused(tmp_path / "none.tif", tmp_path, InputError, "does not exist")

    def test_what_is_no_raster_is_refused(self, tmp_path):
        (tmp_path / "text.tif").write_text("no raster")
        self.refused(tmp_path / "text.tif", tmp_path, InputError, "not a raster")

    def test_unknown_factors_are_named(self, make_raster, tmp_path):
        path = make_raster("dem.tif", np.zeros((5, 5), np.float32))
        self.refused(path, tmp_path, InputError, "wetness", factors=["slope", "wetness"])
        self.refused(path, tmp_path, InputError, "choose from elevation", factors=[])

    @pytest.mark.parametrize("smoothing", [-1.0, 1e6, float("nan")])
    def test_a_smoothing_that_does_not_fit_is_refused(self, make_raster, tmp_path, smoothing):
        path = make_raster("dem.tif", np.zeros((5, 5), np.float32))
        self.refused(path, tmp_path, InputError, "(?i)smoothing", smoothing=smoothing)

    @staticmethod
    def refused(path, tmp_path, error, text, **parameters):
        output = tmp_path / "out.tif"
        with pytest.raises(error, match=text) as caught:
            given = {"input": str(path), "output": str(output), **parameters}
            given = checked("terrainfactors", terrainfactors, given)
            terrainfactors(**given, progress=Progress())
        assert "\n" not in str(caught.value)
        assert not output.exists()
        assert not list(tmp_path.glob(".partial-*"))
