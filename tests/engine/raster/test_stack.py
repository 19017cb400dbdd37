"""Stacks: one validity mask, names, classes, statistics, and bad input."""

import threading
import time
from collections import Counter

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import rasterio.warp
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors.terrainfactors_command import terrainfactors
from landslide_mapper.landslide_plugin.raster import stack as stack_module
from landslide_mapper.landslide_plugin.raster.source import Source
from landslide_mapper.landslide_plugin.raster.stack import LayerStack
from landslide_mapper.landslide_plugin.raster.statistics import BandStatistics
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from .stacking import noise, run


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

    def test_threads_read_it_and_do_not_show(self, make_raster, tmp_path, monkeypatch):
        """GDAL is asked for a file's pixels by one of them at a time."""
        paths = [
            make_raster("one.tif", noise(1, (2, 600, 700)), bands=["a", "b"]),
            make_raster(
                "two.tif",
                noise(2, (1200, 1300)),
                crs=32633,
                transform=from_origin(21500, 5027000, 10, 10),
            ),
        ]
        monkeypatch.setattr(stack_module, "_BLOCK_MEGABYTES", 1e-6)  # blocks of 256 x 256
        monkeypatch.setattr(stack_module, "cores", lambda: 1)
        alone, table = run(paths, tmp_path / "alone.tif")
        reading, most, threads, values_of = Counter(), Counter(), set(), Source._values

        def noted(source, *arguments):
            reading[source.path] += 1
            most[source.path] = max(most[source.path], reading[source.path])
            threads.add(threading.get_ident())
            time.sleep(0.01)  # has the other threads come
            values = values_of(source, *arguments)
            reading[source.path] -= 1
            return values

        monkeypatch.setattr(Source, "_values", noted)
        monkeypatch.setattr(stack_module, "cores", lambda: 3)
        shared, table_of_threads = run(paths, tmp_path / "shared.tif")
        assert table == table_of_threads
        for name, values in alone.items():
            np.testing.assert_array_equal(np.ma.getmaskarray(values), shared[name].mask)
            np.testing.assert_array_equal(values, shared[name])
        assert len(threads) > 2 and set(most.values()) == {1}


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

    def test_a_layer_that_is_damaged_is_named_and_no_full_disk(
        self, make_raster, tmp_path, monkeypatch
    ):
        """Threads read it while what came before is written."""
        monkeypatch.setattr(stack_module, "_BLOCK_MEGABYTES", 1e-6)
        good, bad = (make_raster(name, noise(seed, (2048, 256))) for seed, name in enumerate("ab"))
        with rasterio.open(bad) as dataset:
            values, profile = dataset.read(), dataset.profile
        with rasterio.open(bad, "w", **profile | {"compress": "deflate"}) as dataset:
            dataset.write(values)
        with open(bad, "r+b") as file:
            file.seek(-100_000, 2)
            file.write(bytes(90_000))
        with pytest.raises(InputError, match=r"b can't be read at rows .* the file is damaged"):
            run([good, bad], tmp_path / "out.tif", fill="keep")
        assert not (tmp_path / "out.tif").exists()

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
