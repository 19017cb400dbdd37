"""Stacks of layers on other grids, of other CRSs, and of an area."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.shutil
import rasterio.warp
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError
from landslide_mapper.landslide_plugin.raster.source import Source
from rasterio.crs import CRS
from rasterio.transform import from_origin
from shapely.geometry import Polygon, box

from .stacking import noise, run


class TestGrids:
    def test_another_resolution_is_bilinear(self, make_raster, tmp_path):
        x = np.arange(30) * 10 + 5.0
        fine = make_raster("fine.tif", np.tile(x, (20, 1)).astype("f4"), bands=["a"])
        coarse = make_raster(
            "coarse.tif", np.tile(np.arange(15) * 20 + 10.0, (10, 1)).astype("f4"), bands=["b"],
            transform=from_origin(500000, 5000000, 20, 20),
        )  # fmt: skip
        result, _ = run([fine, coarse], tmp_path / "out.tif")
        np.testing.assert_allclose(result["b"][:, 1:-1], result["a"][:, 1:-1], atol=1e-3)

    def test_another_crs(self, make_raster, tmp_path):
        """A band of latitudes read on a UTM grid."""
        flat = make_raster("flat.tif", noise(1), bands=["a"])
        transform = from_origin(8.95, 45.2, 1e-4, 1e-4)
        rows = np.tile((45.2 - (np.arange(1000) + 0.5) * 1e-4)[:, None], (1, 1000))
        latitude = make_raster(
            "latitude.tif", (rows - 45).astype("f4"), crs="EPSG:4326", transform=transform
        )
        result, _ = run([flat, latitude], tmp_path / "out.tif")
        with rasterio.open(flat) as dataset:
            top = dataset.xy(0, 0)
        expected = rasterio.warp.transform("EPSG:32632", "EPSG:4326", [top[0]], [top[1]])[1][0]
        assert result["latitude"][0, 0] == pytest.approx(expected - 45, abs=1e-5)
        assert result["latitude"].count() == 600

    def test_the_reference_decides(self, make_raster, tmp_path):
        fine = make_raster("fine.tif", noise(1), bands=["a"])
        coarse = make_raster(
            "coarse.tif", noise(2, (8, 9)), transform=from_origin(500000, 5000000, 25, 25)
        )
        run([fine], tmp_path / "out.tif", reference=coarse)
        with Source.open(coarse) as reference, Source.open(tmp_path / "out.tif") as out:
            assert out.grid.same_as(reference.grid)

    def test_a_layer_that_covers_a_part_is_nodata_elsewhere(self, make_raster, tmp_path):
        """Its pixels lie on the grid's, so they are read, not warped."""
        whole, part = noise(1), noise(2, (5, 6))
        paths = [
            make_raster("whole.tif", whole, bands=["a"]),
            make_raster(
                "part.tif", part, bands=["b"], transform=from_origin(500040, 4999970, 10, 10)
            ),
        ]
        result, _ = run(paths, tmp_path / "out.tif")
        np.testing.assert_array_equal(result["b"][3:8, 4:10], part)
        assert result["b"].count() == result["a"].count() == 30

    def test_classes_are_never_blended(self, make_raster, make_classes, tmp_path):
        slope = make_raster("slope.tif", noise(1), bands=["slope"])
        coarse = make_raster(
            "coarse.tif", noise(2, (10, 15)), transform=from_origin(499993, 5000004, 21, 21)
        )
        codes = np.random.default_rng(3).integers(1, 4, (10, 15))
        rocks = make_classes("rocks.tif", codes, {1: "a", 2: "b", 3: "c"}, coarse)
        result, _ = run([slope, rocks], tmp_path / "out.tif")
        classes = np.ma.stack([result[f"lithology_{name}"] for name in "abc"])
        assert set(np.unique(classes.compressed())) == {0, 1}
        assert np.all(classes.sum(axis=0).compressed() == 1)

    def test_aspect_is_not_blended_over_north(self, make_raster, tmp_path):
        slope = make_raster("slope.tif", noise(1), bands=["slope"])
        north = make_raster(
            "aspect.tif",
            np.tile(np.array([359, 1], np.float32), (10, 8)),
            bands=["aspect"],
            transform=from_origin(499993, 5000004, 21, 21),
        )
        result, _ = run([slope, north], tmp_path / "out.tif")
        assert set(np.unique(result["aspect"].compressed())) == {1, 359}

    def test_aspect_is_known_by_its_final_name(self, make_raster, tmp_path):
        """By its file's, or with a number, as a second one has."""
        slope = make_raster("slope.tif", noise(1), bands=["slope"])
        angles, shifted = (
            np.tile(np.array([359, 1], np.float32), (20, 15)),
            from_origin(500005, 5e6, 10, 10),
        )
        north = make_raster("aspect.tif", angles, transform=shifted)
        again = make_raster("other.tif", angles, transform=shifted, bands=["aspect"])
        result, _ = run([slope, north, again], tmp_path / "out.tif")
        assert list(result) == ["slope", "aspect", "aspect_2"]
        for name in ("aspect", "aspect_2"):
            assert set(np.unique(result[name].compressed())) == {1, 359}

    def test_classes_without_our_names_keep_their_values(self, make_raster, tmp_path):
        """And are known as classes by whoever reads the stack."""
        slope = make_raster("slope.tif", noise(1), bands=["slope"])
        codes = np.random.default_rng(2).choice([10, 80], (20, 30)).astype(np.uint8)
        shifted = from_origin(500005, 5000005, 10, 10)
        cover = make_raster("cover.tif", codes, transform=shifted)
        with rasterio.open(cover, "r+") as dataset:
            dataset.write_colormap(1, {10: (0, 100, 0, 255), 80: (0, 0, 200, 255)})
        result, texts = run([slope, cover], tmp_path / "one.tif", resampling="average")
        assert set(np.unique(result["cover"].compressed())) == {10, 80}
        assert any(text.startswith("cover: classes by") for text in texts)
        moved = make_raster("moved.tif", noise(1), transform=shifted)
        again, _ = run([moved, tmp_path / "one.tif"], tmp_path / "two.tif")
        assert set(np.unique(again["cover"].compressed())) == {10, 80}

    def test_levels_are_still_levels_in_a_stack(self, make_raster, tmp_path):
        path = make_raster("d.tif", np.ones((20, 30), np.float32), bands=["river_distance"])
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(1, ordinal="yes", class_1="0 to 30 m", class_2="30 to 200 m")
        run([path], tmp_path / "out.tif")
        with Source.open(tmp_path / "out.tif") as source:
            assert source.is_ordinal("river_distance")
            assert source.class_names("river_distance") == {1: "0 to 30 m", 2: "30 to 200 m"}

    @pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic", "average"])
    @pytest.mark.parametrize(("dtype", "nodata"), [("float32", -9999), ("uint16", 0)])
    def test_nodata_of_one_band_is_nodata(self, make_raster, tmp_path, dtype, nodata, resampling):
        """As of a scene's edge in the short-wave infrared, on a grid of shifted pixels."""
        bands = np.full((2, 20, 30), 1500, dtype)
        bands[1, :, 20:] = nodata
        scene = make_raster(
            "scene.tif", bands, bands=["green", "swir1"], nodata=nodata,
            transform=from_origin(499997, 5000004, 10, 10),
        )  # fmt: skip
        ground = make_raster("ground.tif", noise(1, (18, 28)), bands=["elevation"])
        result, _ = run([ground, scene], tmp_path / "out.tif", resampling=resampling)
        expected = np.zeros((18, 28), bool)
        expected[:, 20:] = True
        np.testing.assert_array_equal(result["swir1"].mask, expected)
        assert set(np.unique(result["swir1"].compressed())) == {1500}

    def test_a_local_grid_is_stacked_with_its_own_kind_alone(self, make_raster, tmp_path):
        """An engineering CRS, as drones write; on the Earth it has no place."""
        local = CRS.from_wkt('LOCAL_CS["site grid",UNIT["metre",1]]')
        site = make_raster("site.tif", noise(1), crs=local, bands=["a"])
        again = make_raster(
            "again.tif", noise(2), crs=local, bands=["b"], transform=from_origin(500004, 5e6, 9, 9)
        )
        result, _ = run([site, again], tmp_path / "out.tif")
        assert result["b"].count() == 18 * 27 and not result["a"].mask[:18, 1:27].any()
        earth = make_raster("earth.tif", noise(3))
        with pytest.raises(GridError, match=r"site\.tif .*can't be brought to EPSG:32632"):
            run([earth, site], tmp_path / "other.tif")


class TestArea:
    def test_outside_is_nodata_and_the_extent_is_cut_along_pixels(
        self, make_raster, make_area, tmp_path
    ):
        values = noise(1)
        path = make_raster("one.tif", values, bands=["a"])
        triangle = Polygon([(500052, 4999948), (500148, 4999948), (500052, 4999852)])
        result, _ = run([path], tmp_path / "out.tif", area=make_area(triangle))
        with rasterio.open(tmp_path / "out.tif") as dataset:
            assert tuple(dataset.bounds) == (500050, 4999850, 500150, 4999950)
        assert result["a"].shape == (10, 10)
        np.testing.assert_array_equal(
            result["a"].compressed(), values[5:15, 5:15][~result["a"].mask]
        )
        assert not result["a"].mask[0, 0]
        assert result["a"].mask[9, 9]

    def test_an_area_in_another_crs(self, make_raster, make_area, tmp_path):
        path = make_raster("one.tif", noise(1), bands=["a"])
        square = gpd.GeoSeries([box(500050, 4999850, 500150, 4999950)], crs="EPSG:32632")
        area = make_area(square.to_crs("EPSG:4326").iloc[0], crs="EPSG:4326")
        result, _ = run([path], tmp_path / "out.tif", area=area)
        assert result["a"].count() == 100

    def test_an_area_elsewhere_is_refused(self, make_raster, make_area, tmp_path):
        path = make_raster("one.tif", noise(1))
        with pytest.raises(GridError, match="does not overlap"):
            run([path], tmp_path / "out.tif", area=make_area(box(0, 0, 10, 10)))

    def test_an_area_between_pixel_centres_is_refused(self, make_raster, make_area, tmp_path):
        path = make_raster("one.tif", noise(1))
        area = make_area(box(500051, 4999941, 500053, 4999943))
        with pytest.raises(InputError, match="no pixel's centre"):
            run([path], tmp_path / "out.tif", area=area)
        assert not (tmp_path / "out.tif").exists()
