"""VRTs: they say what their files say, and what can't be read in them is named."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.raster import Source
from rasterio.transform import from_origin

from .tiling import build_vrt, checkerboard, cut, damage

SHAPE = (40, 50)


@pytest.fixture
def whole(make_raster):
    """A raster of two bands, one of classes, that says all that a file can say of them."""
    values = np.random.default_rng(1).integers(1, 200, (2, *SHAPE)).astype(np.uint16)
    path = make_raster("whole.tif", values, nodata=0, bands=["B04", "lithology"])
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = (0.0001, 1), (-0.1, 0)
        dataset.units = ("reflectance", "")
        dataset.update_tags(2, class_1="Marl", class_2="Tuff")
        dataset.update_tags(LANDSLIDE_DATE="2018-09-06")
    return path


@pytest.fixture
def tiles(whole, tmp_path):
    return cut(whole, tmp_path / "tiles", checkerboard(SHAPE, (20,), (30,)))


def test_bands_in_a_file_each_that_lie_on_each_other_are_refused(make_raster, tmp_path):
    files = [
        make_raster(f"S2_{band}.tif", np.full((4, 4), value, np.uint16))
        for band, value in (("B02", 1), ("B03", 2))
    ]
    with pytest.raises(InputError, match=r"S2_B03\.tif for the same ground, which hold different"):
        Source.open(build_vrt(tmp_path / "on.vrt", *files))
    with Source.open(build_vrt(tmp_path / "beside.vrt", *files, separate=True)) as source:
        assert source.read()[0][:, 0, 0].tolist() == [1, 2]


def test_a_virtual_raster_of_tiles_says_what_they_say(whole, tiles, tmp_path):
    path = build_vrt(tmp_path / "whole.vrt", *tiles)
    with Source.open(path) as source, Source.open(whole) as one:
        assert source.bands == ["B04", "lithology"] and source.grid == one.grid
        assert source.scaling == one.scaling
        assert source.class_names("lithology") == {1: "Marl", 2: "Tuff"}
        assert source.dataset.tags()["LANDSLIDE_DATE"] == "2018-09-06"
        for mine, theirs in zip(source.read(), one.read(), strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("aside", [-0.3, -0.004, 0.3])
def test_tiles_a_fraction_of_a_pixel_beside_the_grid_keep_their_pixels(
    whole, tiles, tmp_path, aside
):
    with rasterio.open(tiles[3], "r+") as tile:
        tile.transform *= Affine.translation(aside, aside)
    path = build_vrt(tmp_path / "whole.vrt", *tiles)
    with Source.open(path) as source, Source.open(whole) as one:
        np.testing.assert_array_equal(source.read()[0], one.read()[0])


def test_a_virtual_raster_of_a_virtual_raster_elsewhere(whole, tiles, tmp_path):
    inner = build_vrt(tmp_path / "tiles" / "inner.vrt", *tiles)
    path = build_vrt(tmp_path / "outer.vrt", inner)
    with Source.open(path) as source:
        assert source.bands == ["B04", "lithology"]
        assert source.class_names("lithology") == {1: "Marl", 2: "Tuff"}


def test_a_virtual_raster_of_bands_says_the_name_of_each(make_raster, tmp_path):
    parts = [
        make_raster(f"{name}.tif", np.full(SHAPE, value, np.uint8), bands=[name])
        for value, name in enumerate(("blue", "nir"), start=1)
    ]
    with Source.open(build_vrt(tmp_path / "both.vrt", *parts, separate=True)) as source:
        assert source.bands == ["blue", "nir"]
        assert source.read(bands=["nir"])[0].max() == 2


def test_a_virtual_raster_of_files_without_names_takes_those_of_the_files(make_raster, tmp_path):
    values = np.ones(SHAPE, np.uint16)
    files = ("T54TWN_20180911T012649_B04_10m", "T54TWN_20180911T012649_B08_10m", "slope")
    parts = [make_raster(f"{file}.tif", values) for file in files]
    with Source.open(build_vrt(tmp_path / "all.vrt", *parts, separate=True)) as source:
        assert source.bands == ["red", "nir", "slope"]


def test_what_it_says_itself_counts(tiles, tmp_path):
    path = Path(build_vrt(tmp_path / "whole.vrt", *tiles))
    text = path.read_text().replace(
        '<VRTRasterBand dataType="UInt16" band="1">',
        '<VRTRasterBand dataType="UInt16" band="1"><Description>red</Description><Scale>3</Scale>',
    )
    path.write_text(text)
    with Source.open(path) as source:
        assert source.bands == ["red", "lithology"] and source.scaling["red"].scale == 3


def test_files_that_name_a_band_otherwise_are_refused(make_raster, tmp_path):
    values = np.ones((2, 4, 4), np.uint8)
    make_raster("a.tif", values, bands=["red", "nir"])
    east = from_origin(500040, 5000000, 10, 10)
    make_raster("b.tif", values, bands=["nir", "red"], transform=east)
    path = build_vrt(tmp_path / "both.vrt", str(tmp_path / "a.tif"), str(tmp_path / "b.tif"))
    with pytest.raises(InputError, match=r"Band 1 of the raster .* red in .*a.tif, nir in .*b.tif"):
        Source.open(path)


def test_files_that_scale_a_band_otherwise_are_refused(make_raster, tmp_path):
    values = np.full((4, 4), 5000, np.uint16)
    files = [
        make_raster(f"{name}.tif", values, transform=from_origin(left, 5_000_000, 10, 10))
        for name, left in (("a", 500_000), ("b", 500_040))
    ]
    path = build_vrt(tmp_path / "both.vrt", *files)
    with rasterio.open(files[1], "r+") as dataset:
        dataset.scales, dataset.offsets = (0.0001,), (-0.1,)
    with pytest.raises(InputError, match=r"several: x 1 \+0 in .*a.tif, x 0.0001 -0.1 in .*b.tif"):
        Source.open(path)


@pytest.mark.parametrize("content", [None, b"II*\0"])
def test_a_file_of_it_that_is_missing_or_damaged_is_named(tiles, tmp_path, content):
    path = build_vrt(tmp_path / "whole.vrt", *tiles)
    Path(tiles[2]).unlink()
    if content:
        Path(tiles[2]).write_bytes(content)
    with pytest.raises(InputError, match=r"The DEM .*whole.vrt can't be read whole: the file .*_2"):
        Source.open(path, what="DEM")


def test_a_file_of_it_that_turns_out_damaged_is_named(tiles, tmp_path):
    path = build_vrt(tmp_path / "whole.vrt", *tiles)
    damage(tiles[3])
    with (
        Source.open(path) as source,
        pytest.raises(InputError, match=r"rows 0 to 40: its file .*tile_3.tif is damaged"),
    ):
        source.read()


def test_values_that_a_virtual_raster_changes_are_not_said_to_be_the_files(whole, tmp_path):
    path = Path(build_vrt(tmp_path / "whole.vrt", whole))
    text = path.read_text().replace("<NODATA>0</NODATA>", "<ScaleRatio>2</ScaleRatio>")
    path.write_text(text)
    with Source.open(path) as source:
        assert source.bands == ["band_1", "band_2"]
