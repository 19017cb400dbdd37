"""Terrain factors: known surfaces, properties, rims, blocks and smoothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from landslide_mapper.landslide_plugin.factors import chunks, terrain, terrain_blocks
from landslide_mapper.landslide_plugin.factors.neighbourhood import FLAT_ASPECT
from rasterio.transform import from_origin

from .deriving import ALL, apart, coordinates, derive, run


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
        monkeypatch.setattr(chunks, "_PIXELS", 1)  # chunks of 8 rows
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
