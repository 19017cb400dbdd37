"""Stacks: one grid, one validity mask, names, classes, areas, statistics, and bad input."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.shutil
import rasterio.warp
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors.stack_command import stack
from landslide_mapper.landslide_plugin.factors.terrainfactors_command import terrainfactors
from landslide_mapper.landslide_plugin.raster import stack as stack_module
from landslide_mapper.landslide_plugin.raster.source import Source
from landslide_mapper.landslide_plugin.raster.stack import LayerStack
from landslide_mapper.landslide_plugin.raster.statistics import BandStatistics
from landslide_mapper.landslide_plugin.raster.writer import RasterWriter
from landslide_mapper.landslide_plugin.request import checked
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window
from shapely.geometry import Polygon, box


def run(layers, output, **parameters):
    events = []
    given = {"layers": [str(layer) for layer in layers], "output": str(output), **parameters}
    stack(**checked("stack", stack, given), progress=Progress(events.append))
    with rasterio.open(output) as dataset:
        bands = {
            name: dataset.read(index, masked=True)
            for index, name in enumerate(dataset.descriptions, start=1)
        }
    return bands, [event["text"] for event in events if "text" in event]


def noise(seed, shape=(20, 30)):
    return np.random.default_rng(seed).uniform(0, 10, shape).astype(np.float32)


@pytest.fixture
def make_classes(make_raster, tmp_path):
    """Return a function that writes a categorical raster and returns its path."""

    def make(name, array, classes, like, band="lithology"):
        with Source.open(like) as source:
            grid = source.grid
        path = tmp_path / name
        with RasterWriter(path, grid, [band], "int16", classes=classes) as writer:
            writer.write(array.astype(np.int16), Window(0, 0, grid.width, grid.height))
        return str(path)

    return make


@pytest.fixture
def make_area(tmp_path):
    """Return a function that writes polygons as a layer and returns its path."""

    def make(*polygons, crs="EPSG:32632"):
        path = tmp_path / "area.gpkg"
        gpd.GeoDataFrame(geometry=list(polygons), crs=crs).to_file(path)
        return str(path)

    return make


class TestBands:
    def test_layers_follow_each_other_unchanged(self, make_raster, tmp_path):
        one, two = noise(1, (2, 20, 30)), noise(2)
        paths = [
            make_raster("one.tif", one, bands=["red", "nir"]),
            make_raster("two.tif", two, bands=["slope"]),
        ]
        result, _ = run(paths, tmp_path / "out.tif")
        assert list(result) == ["red", "nir", "slope"]
        np.testing.assert_array_equal(result["nir"], one[1])
        np.testing.assert_array_equal(result["slope"], two)

    def test_names_are_made_unique(self, make_raster, tmp_path):
        paths = [make_raster(f"{n}.tif", noise(n), bands=["slope"]) for n in range(3)]
        result, _ = run(paths, tmp_path / "out.tif")
        assert list(result) == ["slope", "slope_2", "slope_3"]

    def test_sentinel_2_names_become_common_ones(self, make_raster, tmp_path):
        path = make_raster("s2.tif", noise(1, (4, 20, 30)), bands=["B02", "B08", "B8A", "B11"])
        result, _ = run([path], tmp_path / "out.tif")
        assert list(result) == ["blue", "nir", "nir_narrow", "swir1"]

    def test_classes_become_one_band_each(self, make_raster, make_classes, tmp_path):
        slope = make_raster("slope.tif", noise(1), bands=["slope"])
        codes = np.tile([1, 2, 7], (20, 10))
        codes[0, 0] = -32768
        rocks = make_classes("rocks.tif", codes, {1: "Basalt", 2: "Marl & clay", 7: "?"}, slope)
        result, _ = run([slope, rocks], tmp_path / "out.tif")
        assert list(result) == ["slope", "lithology_basalt", "lithology_marl_clay", "lithology_7"]
        np.testing.assert_array_equal(result["lithology_basalt"].filled(0), codes == 1)
        np.testing.assert_array_equal(result["lithology_marl_clay"].filled(0), codes == 2)
        assert all(values.mask[0, 0] for values in result.values())

    def test_a_value_without_a_name_is_in_no_class(self, make_raster, make_classes, tmp_path):
        slope = make_raster("slope.tif", noise(1), bands=["slope"])
        rocks = make_classes("rocks.tif", np.tile([1, 5], (20, 15)), {1: "Basalt"}, slope)
        result, _ = run([rocks], tmp_path / "out.tif")
        assert list(result) == ["lithology_basalt"]
        assert result["lithology_basalt"].sum() == 300
        assert result["lithology_basalt"].count() == 600


class TestValidity:
    def test_a_pixel_invalid_in_one_band_is_nodata_in_all(self, make_raster, tmp_path):
        one, two = noise(1), noise(2)
        one[3, 4], two[5, 6] = -1, np.nan
        paths = [
            make_raster("one.tif", one, bands=["a"], nodata=-1),
            make_raster("two.tif", two, bands=["b"]),
        ]
        result, _ = run(paths, tmp_path / "out.tif")
        for values in result.values():
            assert np.argwhere(values.mask).tolist() == [[3, 4], [5, 6]]

    def test_blocks_don_t_show(self, make_raster, tmp_path, monkeypatch):
        paths = [
            make_raster("one.tif", noise(1, (2, 600, 700)), bands=["a", "b"]),
            make_raster(
                "two.tif", noise(2, (300, 350)), transform=from_origin(500003, 4999993, 19, 19)
            ),
        ]
        whole, table = run(paths, tmp_path / "whole.tif")
        monkeypatch.setattr(stack_module, "_BLOCK_MEGABYTES", 1e-6)  # blocks of 256 x 256
        blocks, table_of_blocks = run(paths, tmp_path / "blocks.tif")
        assert table == table_of_blocks
        for name, values in whole.items():
            np.testing.assert_array_equal(np.ma.getmaskarray(values), blocks[name].mask)
            np.testing.assert_allclose(values, blocks[name], atol=1e-4)


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


class TestStatistics:
    def test_they_are_those_of_the_valid_pixels(self, make_raster, tmp_path):
        one, two = noise(1), noise(2)
        one[:10] = -1
        paths = [
            make_raster("one.tif", one, bands=["a"], nodata=-1),
            make_raster("two.tif", two, bands=["b"]),
        ]
        _, texts = run(paths, tmp_path / "out.tif")
        with rasterio.open(tmp_path / "out.tif") as dataset:
            for index, values in ((1, one), (2, two)):
                tags = {key: float(value) for key, value in dataset.tags(index).items()}
                valid = values[10:].astype(np.float64)
                assert tags["STATISTICS_MEAN"] == pytest.approx(valid.mean())
                assert tags["STATISTICS_STDDEV"] == pytest.approx(valid.std())
                assert tags["STATISTICS_MINIMUM"] == pytest.approx(valid.min())
                assert tags["STATISTICS_MAXIMUM"] == pytest.approx(valid.max())
        lines = texts[-1].splitlines()
        assert lines[0].split() == ["band", "source", "min", "mean", "max", "nodata"]
        assert lines[1].split()[:2] == ["a", "one.tif"]
        assert lines[1].endswith("50.0 %")
        assert lines[2].endswith("0.0 %")

    def test_pieces_add_up_even_far_from_zero(self):
        values = (np.random.default_rng(1).normal(1e5, 1, 10_000)).astype(np.float32)
        band = BandStatistics("a", "a.tif")
        for piece in np.split(values, [10, 10, 5000]):
            band.add(piece)
        assert band.count == 10_000
        assert band.mean == pytest.approx(values.mean(dtype=np.float64), rel=1e-9)
        assert band.deviation == pytest.approx(values.std(dtype=np.float64), rel=1e-6)


class TestLayerStack:
    def test_it_reads_like_a_source(self, make_raster):
        values = noise(1, (2, 20, 30))
        path = make_raster("one.tif", values, bands=["a", "b"])
        window = Window(-3, -2, 10, 8)
        with LayerStack.open([path]) as layers, Source.open(path) as source:
            for bands in (None, ["b"], ["b", "a"]):
                ours, theirs = layers.read(window, bands), source.read(window, bands)
                np.testing.assert_array_equal(ours[0], theirs[0])
                np.testing.assert_array_equal(ours[1], theirs[1])

    def test_a_band_that_is_not_there_is_named(self, make_raster):
        path = make_raster("one.tif", noise(1), bands=["a"])
        with LayerStack.open([path]) as layers, pytest.raises(InputError, match=r"slope.*has: a"):
            layers.read(bands=["slope"])


class TestBadInput:
    def refused(self, layers, tmp_path, error, text, **parameters):
        output = tmp_path / "out.tif"
        with pytest.raises(error, match=text) as caught:
            run(layers, output, **parameters)
        assert "\n" not in str(caught.value)
        assert not output.exists()
        assert not list(tmp_path.glob(".partial-*"))

    def test_no_layers(self, tmp_path):
        self.refused([], tmp_path, InputError, "no layer")

    def test_unknown_resampling(self, make_raster, tmp_path):
        path = make_raster("one.tif", noise(1))
        self.refused([path], tmp_path, InputError, "choose one of nearest", resampling="sharp")

    def test_missing_layer_or_reference(self, make_raster, tmp_path):
        path = make_raster("one.tif", noise(1))
        self.refused([path, tmp_path / "x.tif"], tmp_path, InputError, "x.tif does not exist")
        self.refused(
            [path],
            tmp_path,
            InputError,
            "reference .*x.tif does not",
            reference=str(tmp_path / "x.tif"),
        )

    def test_a_layer_without_crs(self, make_raster, tmp_path):
        paths = [make_raster("one.tif", noise(1)), make_raster("two.tif", noise(2), crs=None)]
        self.refused(paths, tmp_path, GridError, "two.tif has no CRS")

    def test_layers_that_lie_apart(self, make_raster, tmp_path):
        paths = [
            make_raster("one.tif", noise(1)),
            make_raster("two.tif", noise(2), transform=from_origin(700000, 4000000, 10, 10)),
        ]
        self.refused(paths, tmp_path, GridError, "two.tif .* does not overlap")

    def test_a_layer_of_nodata_is_named(self, make_raster, tmp_path):
        paths = [
            make_raster("one.tif", noise(1)),
            make_raster("empty.tif", np.full((20, 30), -1, np.float32), nodata=-1, bands=["b"]),
        ]
        self.refused(paths, tmp_path, InputError, r"empty.tif \(band b\) has no valid pixel")

    def test_layers_that_are_never_valid_together(self, make_raster, tmp_path):
        left, right = noise(1), noise(2)
        left[:, 15:] = right[:, :15] = -1
        paths = [
            make_raster("left.tif", left, nodata=-1, bands=["a"]),
            make_raster("right.tif", right, nodata=-1, bands=["b"]),
        ]
        self.refused(paths, tmp_path, InputError, r"No pixel is valid in all.*a 50 %, b 50 %")


class TestRealData:
    def test_kashmir_terrain_geology_and_area(self, data_dir, make_classes, tmp_path):
        """Terrain, lithology one-hot and another DEM of the same pixels, cut to the landslides."""
        dem = str(data_dir / "kashmir/AW3D30.tif")
        terrainfactors(
            input=dem, output=str(tmp_path / "terrain.tif"), factors=["elevation", "slope"],
            progress=Progress(),
        )  # fmt: skip
        with rasterio.open(data_dir / "kashmir/Geology.tif") as dataset:
            geology = dataset.read(1)
        codes = [int(code) for code in np.unique(geology)]
        rocks = make_classes("rocks.tif", geology, {code: f"unit {code}" for code in codes}, dem)
        area = str(data_dir / "kashmir/landslides.shp")
        result, texts = run([tmp_path / "terrain.tif", rocks], tmp_path / "all.tif")
        assert list(result) == ["elevation", "slope", *(f"lithology_unit_{code}" for code in codes)]
        classes = np.ma.stack([result[f"lithology_unit_{code}"] for code in codes])
        assert np.all(classes.sum(axis=0) == 1)
        for code, one_hot in zip(codes, classes, strict=True):
            assert one_hot.sum() == (geology == code).sum()
        assert len(texts[-1].splitlines()) == 1 + len(result)

        landslides, _ = run([tmp_path / "terrain.tif"], tmp_path / "landslides.tif", area=area)
        fraction = landslides["slope"].count() / result["slope"].count()
        assert 0.001 < fraction < 0.2
        assert landslides["slope"].mean() > result["slope"].mean()  # they lie on the steep ground

    def test_layers_of_other_crs_and_extent(self, data_dir, tmp_path):
        """Emilia's image, a DEM that reaches beyond it, and that DEM warped to degrees."""
        image = data_dir / "emilia_s2/s2_post_20230523_10bands.tif"
        around = data_dir / "emilia_s2/dem_around_4120_9km_10m.tif"
        degrees = tmp_path / "degrees.tif"
        with (
            rasterio.open(around) as dataset,
            WarpedVRT(dataset, crs="EPSG:4326", resampling=Resampling.bilinear) as view,
        ):
            rasterio.shutil.copy(view, degrees, driver="GTiff")
        result, _ = run([image, around, degrees], tmp_path / "out.tif")
        assert list(result)[:3] == ["blue", "green", "red"]
        assert list(result)[-2:] == ["dem_around_4120_9km_10m", "degrees"]
        metres, warped = result["dem_around_4120_9km_10m"], result["degrees"]
        with rasterio.open(data_dir / "emilia_s2/dem_4120.tif") as dataset:
            assert np.ma.abs(metres - dataset.read(1)).mean() < 1
        assert warped.count() == 128 * 128
        # The DEM has steps of whole metres every 30 m, which warping rounds off; a shift of one
        # pixel would show as twice this.
        assert np.ma.abs(metres - warped).mean() < 1.6
        assert np.ma.abs(metres[:, 1:] - warped[:, :-1]).mean() > 2

    def test_olinda_s_dem_lies_on_its_image(self, data_dir, tmp_path):
        """Its CRS has no code, only parameters, and they are right: UTM 25 south on GRS 80."""
        folder = data_dir / "samples/stars_olinda_l7_dem"
        result, _ = run(
            [folder / "L7_ETMs.tif", folder / "olinda_dem_utm25s.tif"], tmp_path / "o.tif"
        )
        height = result["olinda_dem_utm25s"]
        green, swir1 = result["band_2"], result["band_5"]
        sea = (green > 1.5 * swir1) & ~height.mask
        assert sea.sum() > 1000
        assert np.ma.median(height[sea]) < 2 < np.ma.median(height[~sea])

    def test_landsat_5_files_are_named_by_their_band(self, data_dir, tmp_path):
        folder = data_dir / "samples/rstoolbox_l5_amazon"
        files = sorted(folder.glob("*_B?.TIF"))
        assert len(files) == 7
        result, _ = run(files, tmp_path / "out.tif")
        assert list(result) == ["blue", "green", "red", "nir", "swir1", "thermal", "swir2"]


class TestUnits:
    """Imagery becomes reflectance where it is known how; all else stays."""

    RED, NIR, HEIGHT, NDVI = 1400, 4000, 812, 3

    @pytest.fixture
    def layers(self, make_raster):
        rows = np.ones((8, 9))
        image = np.array([self.RED * rows, self.NIR * rows], np.uint16)
        told = make_raster("told.tif", image, bands=["B04", "B08"])
        with rasterio.open(told, "r+") as dataset:
            dataset.update_tags(PROCESSING_BASELINE="05.09")
        return {
            "told": told,
            "unsure": make_raster("unsure.tif", image, bands=["B04", "B08"]),
            "unknown": make_raster("unknown.tif", image, bands=["red", "nir"]),
            "picture": make_raster("picture.tif", image // 20, bands=["red", "nir"]),
            "dem": make_raster(
                "dem.tif", (self.HEIGHT * rows).astype(np.int16), bands=["elevation"]
            ),
            "index": make_raster("index.tif", (self.NDVI * rows).astype(np.int16), bands=["ndvi"]),
        }

    def units(self, path):
        with rasterio.open(path) as dataset:
            return dict(zip(dataset.descriptions, dataset.units, strict=True))

    def test_known_numbers_become_reflectance_and_say_so(self, layers, tmp_path):
        given = [layers["told"], layers["dem"], layers["index"]]
        result, texts = run(given, tmp_path / "a.tif")
        np.testing.assert_allclose(result["red"], 0.04, rtol=1e-5)
        np.testing.assert_allclose(result["nir"], 0.3, rtol=1e-5)
        assert (result["elevation"] == self.HEIGHT).all()
        assert (result["ndvi"] == self.NDVI).all()
        assert self.units(tmp_path / "a.tif") == {
            "red": "reflectance", "nir": "reflectance", "elevation": None, "ndvi": None,
        }  # fmt: skip
        assert any("red, nir of the layers is taken to be value x 0.0001 -0.1" in t for t in texts)

    def test_a_stack_of_a_stack_is_the_same(self, layers, tmp_path):
        first, _ = run([layers["told"]], tmp_path / "a.tif")
        second, texts = run([tmp_path / "a.tif"], tmp_path / "b.tif")
        np.testing.assert_array_equal(first["red"], second["red"])
        assert self.units(tmp_path / "b.tif")["red"] == "reflectance"
        assert not any("reflectance" in text for text in texts)

    def test_an_offset_that_may_be_there_is_asked_for(self, layers, tmp_path):
        _, texts = run([layers["unsure"]], tmp_path / "a.tif")
        assert any("whether an offset was added to the reflectance of red, nir" in t for t in texts)

    def test_unknown_numbers_stay_and_are_told_but_pictures(self, layers, tmp_path):
        result, texts = run([layers["unknown"]], tmp_path / "a.tif")
        assert (result["red"] == self.RED).all()
        told = [text for text in texts if "red, nir of the layers are of unknown units" in text]
        assert len(told) == 1 and ": give SCALE and OFFSET" in told[0]
        result, texts = run([layers["picture"]], tmp_path / "b.tif")
        assert (result["red"] == self.RED // 20).all()
        assert self.units(tmp_path / "b.tif")["red"] is None
        assert len(texts) == 1  # the table

    def test_scale_and_offset_given_count_for_digital_numbers_of_imagery(self, layers, tmp_path):
        given = [layers["unknown"], layers["dem"], layers["told"]]
        result, _ = run(given, tmp_path / "a.tif", scale=1e-3, offset=-1.0)
        for red in ("red", "red_2"):
            np.testing.assert_allclose(result[red], 0.4, rtol=1e-5)
        assert (result["elevation"] == self.HEIGHT).all()
        with pytest.raises(InputError, match="SCALE and OFFSET are given, but no band"):
            run([layers["dem"]], tmp_path / "b.tif", scale=1e-3)

    def test_two_dates_each_by_its_own(self, layers, make_raster, tmp_path):
        """Before and after, without change: one harmonised, one not."""
        image = np.full((2, 8, 9), [[[self.RED - 1000]], [[self.NIR - 1000]]], np.uint16)
        before = make_raster("S2_SR_HARMONIZED_before.tif", image, bands=["B04", "B08"])
        result, _ = run([layers["told"], before], tmp_path / "a.tif")
        np.testing.assert_allclose(result["red"], result["red_2"], atol=1e-6)
        np.testing.assert_allclose(result["nir"], result["nir_2"], atol=1e-6)

    def test_nodata_stays_nodata(self, make_raster, tmp_path):
        image = np.full((1, 8, 9), 1400, np.uint16)
        image[0, 2:4, 2:4] = 0
        path = make_raster("S2_SR_HARMONIZED.tif", image, bands=["B04"], nodata=0)
        result, _ = run([path], tmp_path / "a.tif")
        assert result["red"].mask.sum() == 4
        np.testing.assert_allclose(result["red"].compressed(), 0.14, rtol=1e-5)


def test_thermal_bands_are_not_short_wave_infrared(make_raster, tmp_path):
    """A top-of-atmosphere export of Landsat 8, whose sensor its bands tell."""
    names = ["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B9", "B10", "B11"]
    values = np.arange(1, 11, dtype=np.float32)[:, None, None] * np.ones((4, 5), np.float32)
    result, _ = run([make_raster("l8.tif", values, bands=names)], tmp_path / "stack.tif")
    assert result["swir1"].max() == 6
    assert result["thermal2"].max() == 10
