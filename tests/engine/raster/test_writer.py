"""Writing rasters: what is in the file, and full disks, which GDAL keeps quiet about."""

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from landslide_mapper.landslide_plugin.contract.errors import OutputError
from landslide_mapper.landslide_plugin.core.ahead import read_ahead
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.raster import Grid, RasterWriter, Source
from landslide_mapper.landslide_plugin.raster.writer import NODATA, _late_errors
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.transform import from_origin
from rasterio.windows import Window

UTM = CRS.from_epsg(32632)


def square(side):
    return Grid(UTM, from_origin(500000, 5000000, 10, 10), side, side)


def write_noise(path, side, rows=256, dtype="uint8", noisy_rows=None, quiet=7):
    """Write noise, which does not compress, and return how many rows were accepted."""
    rng, accepted = np.random.default_rng(0), []
    with RasterWriter(path, square(side), ["noise"], dtype) as writer:
        for window in writer.grid.row_blocks(rows):
            block = rng.integers(0, 255, (window.height, side)).astype(dtype)
            if noisy_rows is not None and window.row_off >= noisy_rows:
                block[:] = quiet
            writer.write(block, window)
            accepted.append(window.height)
    return sum(accepted)


class TestContent:
    @pytest.mark.parametrize("overviews", ["", "nearest"])
    @pytest.mark.parametrize("dtype", sorted(NODATA))
    def test_every_type_comes_back_with_its_nodata(self, tmp_path, dtype, overviews):
        values = np.random.default_rng(1).integers(0, 100, (2, 300, 300)).astype(dtype)
        valid = np.random.default_rng(2).random((300, 300)) > 0.3
        with RasterWriter(
            tmp_path / "a.tif", square(300), ["a", "b"], dtype, overviews=overviews
        ) as writer:
            for window in writer.grid.row_blocks(70):
                part = slice(window.row_off, window.row_off + window.height)
                writer.write(values[:, part], window, valid[part])
        with rasterio.open(tmp_path / "a.tif") as dataset:
            assert dataset.dtypes == (dtype, dtype) and dataset.nodata == NODATA[dtype]
            assert dataset.profile["tiled"] and dataset.compression.name == "zstd"
            raw = dataset.read()
        assert np.array_equal(raw, np.where(valid, values, NODATA[dtype]))
        with Source.open(tmp_path / "a.tif") as source:
            read, mask = source.read()
        assert np.array_equal(mask, np.stack([valid, valid]))
        assert np.array_equal(read[mask], values[np.stack([valid, valid])])

    @pytest.mark.parametrize("overviews", ["", "nearest"])
    def test_names_classes_units_and_tags(self, tmp_path, overviews):
        with RasterWriter(
            tmp_path / "a.tif", square(10), ["lithology"], "int16", {"NOTE": "x"}, {1: "shale"},
            overviews=overviews,
        ) as writer:  # fmt: skip
            writer.write(np.ones((10, 10), np.int16), next(writer.grid.row_blocks(10)))
            writer.tag_band(1, {"STATISTICS_MEAN": "1"})
            writer.set_unit(1, "m")
        with rasterio.open(tmp_path / "a.tif") as dataset:
            tags = dataset.tags()
            assert dataset.descriptions == ("lithology",) and dataset.crs == UTM
            assert dataset.tags(1) == {"class_1": "shale", "STATISTICS_MEAN": "1"}
            assert dataset.units == ("m",)
        assert tags == {"AREA_OR_POINT": "Area", "NOTE": "x"}
        assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]

    def test_smaller_copies_are_of_valid_pixels_alone(self, tmp_path):
        values = np.full((1024, 1024), 0.5, np.float32)
        valid = np.arange(1024)[:, np.newaxis] >= np.array([[512]])
        with RasterWriter(tmp_path / "a.tif", square(1024), ["p"], overviews="average") as writer:
            writer.write(values, Window(0, 0, 1024, 1024), np.broadcast_to(valid, values.shape))
        with rasterio.open(tmp_path / "a.tif") as dataset:
            assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert dataset.overviews(1) == [2, 4]
        with rasterio.open(tmp_path / "a.tif", overview_level=1) as dataset:
            small = dataset.read(1)
        assert small.shape == (256, 256)
        assert (small[:128] == NODATA["float32"]).all() and (small[128:] == 0.5).all()

    def test_replaces_what_stood_there(self, tmp_path):
        for side in (300, 20):
            write_noise(tmp_path / "a.tif", side)
        with rasterio.open(tmp_path / "a.tif") as dataset:
            assert dataset.width == 20
        assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


class TestOptimizing:
    """The copy to a cloud-optimized GeoTIFF, which takes GDAL minutes for a large map."""

    @staticmethod
    def write(path, sink):
        noise = np.random.default_rng(0).random((2, 1500, 1500)).astype(np.float32)
        with RasterWriter(path, square(1500), ["a", "b"], overviews="average") as writer:
            writer.write(noise, Window(0, 0, 1500, 1500))
            writer.finish(Progress(sink))

    def test_tells_how_far_it_is(self, tmp_path):
        events = []
        self.write(tmp_path / "a.tif", events.append)
        percents = [event["percent"] for event in events]
        assert len(percents) > 20 and percents == sorted(percents) and percents[-1] == 100

    @pytest.mark.parametrize("moment", [10, 80])
    @pytest.mark.parametrize("error", [SystemExit, ZeroDivisionError])
    def test_ends_by_what_is_raised_where_it_tells(self, tmp_path, moment, error):
        """Which comes through GDAL, whose callbacks can't raise."""

        def stop(event):
            if event["percent"] > moment:
                raise error

        path = tmp_path / "a.tif"
        path.write_bytes(b"old")
        with pytest.raises(error):
            self.write(path, stop)
        assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]

    def test_is_that_of_a_plain_copy_to_the_last_bit(self, tmp_path):
        self.write(tmp_path / "a.tif", lambda event: None)
        options = {"driver": "COG", "compress": "zstd", "level": 1, "predictor": "yes"}
        options |= {"blocksize": 256, "overview_resampling": "average", "bigtiff": "if_safer"}
        with RasterWriter(tmp_path / "plain.tif", square(1500), ["a", "b"]) as writer:
            noise = np.random.default_rng(0).random((2, 1500, 1500)).astype(np.float32)
            writer.write(noise, Window(0, 0, 1500, 1500))
        rasterio.shutil.copy(tmp_path / "plain.tif", tmp_path / "copy.tif", **options)
        assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "copy.tif").read_bytes()


class TestFailure:
    def test_an_error_in_between_leaves_the_old_file(self, tmp_path):
        path = tmp_path / "a.tif"
        path.write_bytes(b"old")
        with pytest.raises(ZeroDivisionError), RasterWriter(path, square(300), ["a"]) as writer:
            writer.write(np.ones((300, 300), np.float32), next(writer.grid.row_blocks(300)))
            raise ZeroDivisionError
        assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]

    def test_missing_folder(self, tmp_path):
        with pytest.raises(OutputError, match="does not exist"):
            write_noise(tmp_path / "none" / "a.tif", 20)

    def test_read_only_folder(self, read_only_folder):
        with pytest.raises(OutputError, match="can't be written"):
            write_noise(read_only_folder / "a.tif", 20)


class TestFullDisk:
    @pytest.mark.parametrize("rows", [256, 100, 5000])
    @pytest.mark.parametrize("side", [1448, 1460, 2000])
    def test_is_noticed_whenever_gdal_writes(self, small_disk, side, rows):
        """A little and far too much, block by block, and at the very end (all rows at once)."""
        path = small_disk / "a.tif"
        path.write_bytes(b"old")
        with pytest.raises(OutputError, match="disk is full"):
            write_noise(path, side, rows)
        assert path.read_bytes() == b"old" and list(small_disk.iterdir()) == [path]

    @pytest.mark.parametrize("quiet", [7, 255])
    def test_small_blocks_after_the_failed_one_do_not_hide_it(self, small_disk, quiet):
        with pytest.raises(OutputError, match="disk is full"):
            write_noise(small_disk / "a.tif", 2000, 200, noisy_rows=1200, quiet=quiet)
        assert not list(small_disk.iterdir())

    def test_space_that_is_freed_before_the_end_does_not_hide_it(self, small_disk):
        """The lost block lies in the middle then, and file and directory look sound."""
        filler = small_disk / "filler"
        filler.write_bytes(np.random.default_rng(1).bytes(1_500_000))
        noise = np.random.default_rng(0).integers(0, 255, (2048, 2048)).astype("uint8")
        noise[1024:] = 7
        with (
            pytest.raises(OutputError, match="disk is full"),
            RasterWriter(small_disk / "a.tif", square(2048), ["a"], "uint8") as writer,
        ):
            for window in writer.grid.row_blocks(256):
                if window.row_off == 1280:
                    filler.unlink()
                writer.write(noise[window.row_off : window.row_off + 256], window)
        assert not (small_disk / "a.tif").exists()

    def test_long_work_ends_early(self, small_disk):
        grid, written = square(4096), 0
        with (
            pytest.raises(OutputError),
            RasterWriter(small_disk / "a.tif", grid, ["a"], "uint8") as writer,
        ):
            for window in grid.row_blocks(256):
                block = np.random.default_rng(0).integers(0, 255, (256, 4096)).astype("uint8")
                writer.write(block, window)
                written += 256
        assert written < 2048  # half of the rows; the disk holds an eighth

    def test_a_file_that_fits_once_but_not_beside_its_optimized_copy(self, small_disk):
        path = small_disk / "a.tif"
        path.write_bytes(b"old")
        noise = np.random.default_rng(0).integers(0, 255, (1300, 1300)).astype("uint8")
        with (
            pytest.raises(OutputError, match="disk is full"),
            RasterWriter(path, square(1300), ["a"], "uint8", overviews="nearest") as writer,
        ):
            writer.write(noise, Window(0, 0, 1300, 1300))
        assert path.read_bytes() == b"old" and list(small_disk.iterdir()) == [path]

    def test_what_fits_is_written(self, small_disk):
        assert write_noise(small_disk / "a.tif", 1400) == 1400
        with rasterio.open(small_disk / "a.tif") as dataset:
            assert dataset.read(1).std() > 60


@pytest.mark.parametrize("name", ["map.png", "map.gpkg", "map.vrt", "map.IMG"])
def test_a_name_that_promises_another_format_is_refused(tmp_path, name):
    with (
        pytest.raises(OutputError, match=r"choose a name that ends in \.tif"),
        RasterWriter(tmp_path / name, square(300), ["a"]),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_what_threads_fail_to_read_meanwhile_is_no_error_of_writing(tmp_path):
    (tmp_path / "no.tif").write_text("no raster")

    def read(_):
        with pytest.raises(RasterioError):
            rasterio.open(tmp_path / "no.tif")

    with _late_errors() as errors:
        assert list(read_ahead(read, [0])) == [None] and not errors
        read(0)  # it is heard in this one
    assert errors
