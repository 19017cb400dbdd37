"""Many files as one image: any cut is read as the whole, and what is no one image is refused."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError
from landslide_mapper.landslide_plugin.raster import Source
from landslide_mapper.landslide_plugin.raster.scene_date import scene_date
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

from .tiling import checkerboard, cut, damage

HOLE = (slice(None), slice(15, 25), slice(5, 35))
SHAPE = (40, 50)
KINDS = {
    "no nodata": ("uint8", None),
    "no nodata, decimal": ("float32", None),
    "nodata 0": ("uint16", 0),
    "nodata -9999": ("float32", -9999),
    "nodata NaN": ("float64", np.nan),
    "a mask": ("uint8", "mask"),
    "opacity": ("uint8", "alpha"),
}


@pytest.fixture
def make_whole(make_raster):
    """Return a function that writes a raster of two bands with a hole, of a kind of `KINDS`."""

    def make(kind, name="whole.tif"):
        dtype, nodata = KINDS[kind]
        values = np.random.default_rng(1).integers(1, 200, (2, *SHAPE)).astype(dtype)
        if nodata == "alpha":
            opacity = np.full((1, *SHAPE), 255, np.uint8)
            opacity[HOLE] = 0
            values = np.concatenate([values, opacity])
        elif nodata not in (None, "mask"):
            values[HOLE] = nodata
        declared = nodata if isinstance(nodata, int | float) else None
        path = make_raster(name, values, nodata=declared, bands=["red", "nir"])
        with rasterio.open(path, "r+") as dataset:
            if nodata == "mask":
                mask = np.full(SHAPE, 255, np.uint8)
                mask[HOLE[1:]] = 0
                dataset.write_mask(mask)
            if nodata == "alpha":
                dataset.colorinterp = [ColorInterp.gray, ColorInterp.undefined, ColorInterp.alpha]
        return path

    return make


def look(path):
    with Source.open(path) as source:
        return source.grid, source.bands, *source.read()


def assert_same(path, other):
    grid, bands, values, valid = look(path)
    others_grid, others_bands, others_values, others_valid = look(other)
    assert grid == others_grid and bands == others_bands
    np.testing.assert_array_equal(valid, others_valid)
    np.testing.assert_array_equal(values, others_values)


class TestReadAsTheWhole:
    @pytest.mark.parametrize("kind", KINDS)
    def test_whatever_tells_what_is_valid(self, make_whole, tmp_path, kind):
        whole = make_whole(kind)
        cut(whole, tmp_path / "tiles", checkerboard(SHAPE, (11, 20), (30,)))
        assert_same(tmp_path / "tiles", whole)

    @pytest.mark.parametrize("kind", KINDS)
    def test_where_tiles_overlap(self, make_whole, tmp_path, kind):
        whole = make_whole(kind)
        cut(whole, tmp_path / "tiles", [(0, 0, 50, 25), (0, 10, 30, 30), (20, 10, 30, 30)])
        assert_same(tmp_path / "tiles", whole)

    @pytest.mark.parametrize("kind", KINDS)
    def test_but_where_no_tile_lies(self, make_whole, tmp_path, kind):
        whole = make_whole(kind)
        cut(whole, tmp_path / "tiles", [(0, 0, 50, 10), (0, 20, 20, 20)])
        grid, _, values, valid = look(tmp_path / "tiles")
        _, _, whole_values, whole_valid = look(whole)
        inside = np.zeros(SHAPE, bool)
        inside[:10] = inside[20:, :20] = True
        assert grid.shape == SHAPE
        np.testing.assert_array_equal(valid, whole_valid & inside)
        np.testing.assert_array_equal(values, np.where(inside, whole_values, 0))

    @given(data=st.data())
    def test_however_it_is_cut(self, tmp_path_factory, data):
        folder = tmp_path_factory.mktemp("cut")
        height, width = (data.draw(st.integers(2, 30)) for _ in range(2))
        rows = sorted(data.draw(st.sets(st.integers(1, height - 1), max_size=3)))
        columns = sorted(data.draw(st.sets(st.integers(1, width - 1), max_size=3)))
        values = np.random.default_rng(2).integers(0, 3, (1, height, width)).astype(np.int16)
        transform = from_origin(572840.7534930229, 4735732.131120141, 10, 10)
        with rasterio.open(
            folder / "whole.tif", "w", driver="GTiff", count=1, height=height, width=width,
            dtype="int16", nodata=0, crs="EPSG:32654", transform=transform,
        ) as dataset:  # fmt: skip
            dataset.write(values)
        windows = checkerboard((height, width), rows, columns)
        files = cut(folder / "whole.tif", folder / "tiles", data.draw(st.permutations(windows)))
        assert len(files) == len(windows)
        assert_same(folder / "tiles", folder / "whole.tif")

    def test_the_first_valid_pixel_of_an_overlap_counts_once(self, make_raster, tmp_path):
        for name, value, hole in (("b.tif", 1, 0), ("a.tif", 2, 3)):
            values = np.full((4, 4), value, np.uint8)
            values[:, :hole] = 0
            make_raster(name, values, nodata=0)
        (tmp_path / "list.txt").write_text("b.tif\n\na.tif\n")
        assert look(tmp_path)[2].tolist() == [[[1, 1, 1, 2]] * 4]  # by name
        assert (look(tmp_path / "list.txt")[2] == 1).all()  # as listed

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_lists_are_read_as_windows_writes_them(self, make_raster, tmp_path, encoding):
        make_raster("ä b.tif", np.ones((4, 4), np.uint8))
        (tmp_path / "list.txt").write_text(f'"{tmp_path}/ä b.tif"\r\nä b.tif\r\n', encoding)
        assert (look(tmp_path / "list.txt")[2] == 1).all()

    def test_tiles_whose_nodata_differ_keep_their_values(self, make_raster, tmp_path):
        east = from_origin(500020, 5000000, 10, 10)
        make_raster("a.tif", np.array([[0, 7]], np.uint8), nodata=7)
        make_raster("b.tif", np.array([[0, 7]], np.uint8), nodata=0, transform=east)
        _, _, values, valid = look(tmp_path)
        assert valid.tolist() == [[[True, False, False, True]]]
        assert values.tolist() == [[[0, 0, 0, 7]]]

    def test_what_tiles_say_of_bands_is_said_of_all(self, make_whole, tmp_path):
        whole = make_whole("nodata 0")
        with rasterio.open(whole, "r+") as dataset:
            dataset.scales, dataset.offsets = (0.0001, 1), (-0.1, 0)
            dataset.units = ("reflectance", "m")
            dataset.update_tags(2, class_1="Marl", class_2="Tuff")
            dataset.update_tags(LANDSLIDE_DATE="2018-09-06")
        files = cut(whole, tmp_path / "tiles", checkerboard(SHAPE, (20,), ()))
        assert_same(tmp_path / "tiles", whole)
        with Source.open(tmp_path / "tiles") as source, Source.open(whole) as one:
            assert source.scaling == one.scaling
            assert source.class_names("nir") == {1: "Marl", 2: "Tuff"}
            assert source.is_classes("nir") and not source.is_classes("red")
            assert scene_date(source) == "2018-09-06"
        with rasterio.open(files[1], "r+") as dataset:
            dataset.update_tags(LANDSLIDE_DATE="2018-09-11")
        with Source.open(tmp_path / "tiles") as source:
            assert scene_date(source) == ""


class TestRefused:
    @pytest.fixture
    def tiles(self, make_raster, tmp_path):
        """Two tiles side by side; a function that writes another second one."""
        (tmp_path / "tiles").mkdir()
        values = np.ones((2, 4, 4), np.uint8)
        east = from_origin(500040, 5000000, 10, 10)

        def make(name="b.tif", array=values, **options):
            options = {"transform": east, "bands": ["red", "nir"], **options}
            return make_raster(f"tiles/{name}", array, **options)

        make("a.tif", transform=from_origin(500000, 5000000, 10, 10))
        return make

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({"bands": ["nir", "red"]}, r"b.tif has other bands \(nir, red, not red, nir\) than"),
            ({"array": np.ones((1, 4, 4), np.uint8), "bands": ["red"]}, r"bands \(red, not red, "),
            ({"array": np.ones((2, 4, 4), np.int16)}, r"values \(int16, int16, not uint8, uint8\)"),
            ({"transform": from_origin(500040, 5000000, 20, 20)}, "has pixels of 20 x 20, not the"),
            ({"transform": from_origin(500045, 5000000, 10, 10)}, "lies 0.5 pixels beside"),
            (
                {"crs": "EPSG:32633"},
                r"of 2 CRSs \(EPSG:32632 of a.tif; EPSG:32633 of b.tif\): make an image of each",
            ),
            ({"crs": None}, "b.tif has no CRS"),
        ],
    )
    def test_tiles_that_make_no_one_image_are_named(self, tiles, tmp_path, options, reason):
        tiles(**options)
        with pytest.raises((InputError, GridError), match=reason) as error:
            Source.open(tmp_path / "tiles", what="stack")
        assert str(error.value).startswith(f"The stack {tmp_path / 'tiles'} can't be read as one")
        assert str(tmp_path / "tiles" / "b.tif") in str(error.value) or "b.tif;" not in reason

    def test_tiles_of_other_units_or_classes(self, tiles, tmp_path):
        with rasterio.open(tiles(), "r+") as dataset:
            dataset.scales = (0.1, 1)
        with pytest.raises(InputError, match=r"b.tif has other scale, offset or unit \(0.1 0, 1 0"):
            Source.open(tmp_path / "tiles")
        with rasterio.open(tiles(), "r+") as dataset:
            dataset.update_tags(1, class_1="Marl")
        with pytest.raises(InputError, match=r"b.tif has other classes than"):
            Source.open(tmp_path / "tiles")

    def test_a_tile_that_is_damaged(self, tiles, tmp_path):
        (tmp_path / "tiles" / "b.tif").write_bytes(b"II*\0")
        with pytest.raises(InputError, match=r"as one image: the file .*b.tif is not a raster"):
            Source.open(tmp_path / "tiles")

    def test_a_tile_of_a_list_that_is_missing(self, tiles, tmp_path):
        listed = tmp_path / "list.txt"
        listed.write_text("tiles/a.tif\ntiles/none.tif")
        with pytest.raises(InputError, match=r"the file .*none.tif does not exist"):
            Source.open(listed)

    def test_a_tile_of_a_folder_that_links_to_what_is_gone(self, tiles, tmp_path):
        Path(tiles()).rename(tmp_path / "elsewhere.tif")
        (tmp_path / "tiles" / "b.tif").symlink_to(tmp_path / "gone.tif")
        with pytest.raises(InputError, match=r"the file .*b.tif does not exist"):
            Source.open(tmp_path / "tiles")

    def test_a_tile_that_turns_out_damaged_when_it_is_read(self, tiles, tmp_path):
        damage(tiles())
        with (
            Source.open(tmp_path / "tiles") as source,
            pytest.raises(InputError, match=r"rows 0 to 4: its file .*b.tif is damaged"),
        ):
            source.read()

    def test_a_folder_without_rasters(self, tmp_path):
        (tmp_path / "notes.txt").write_text("nothing")
        with pytest.raises(InputError, match="is a folder without rasters"):
            Source.open(tmp_path)

    def test_a_text_that_is_no_list(self, tmp_path):
        (tmp_path / "notes.txt").write_text("nothing")
        with pytest.raises(InputError, match=r"notes.txt is not a raster that can be read"):
            Source.open(tmp_path / "notes.txt")

    def test_a_grid_of_text_is_no_list(self, tmp_path):
        (tmp_path / "dem.txt").write_text(
            "ncols 2\nnrows 1\nxllcorner 0\nyllcorner 0\ncellsize 1\n5 6\n"
        )
        with Source.open(tmp_path / "dem.txt", need_crs=False) as source:
            assert source.read()[0].tolist() == [[[5, 6]]]


@pytest.mark.parametrize("ends", [("B02", "B03"), ("slope", "aspect"), ("RED", "NIR")])
def test_files_of_one_scene_with_a_band_each_are_no_tiles(make_raster, tmp_path, ends):
    (tmp_path / "scene").mkdir()
    for end in ends:
        make_raster(f"scene/T33TUM_20200101_{end}.tif", np.ones((4, 4), np.uint16))
    with pytest.raises(InputError, match=r"of the ground of which .* give the bands as layers of"):
        look(tmp_path / "scene")


@pytest.mark.parametrize("names", [("a_B1", "a_B2"), ("T33_B02", "T34_B02"), ("x_2020", "x_2021")])
def test_sheets_tiles_of_one_band_and_other_days_are_tiles(make_raster, tmp_path, names):
    (tmp_path / "scene").mkdir()
    for number, name in enumerate(names):
        left = 500000 if "2021" in name else 500000 + 40 * number
        transform = from_origin(left, 5000000, 10, 10)
        make_raster(f"scene/{name}.tif", np.ones((4, 4), np.uint16), transform=transform)
    assert look(tmp_path / "scene")[2].all()


@pytest.mark.parametrize("lefts", [(179.9, -180), (-180, 179.9)])
def test_files_to_both_sides_of_the_180th_meridian_are_refused(make_raster, tmp_path, lefts):
    (tmp_path / "fiji").mkdir()
    for name, left in zip("ab", lefts, strict=True):
        transform = from_origin(left, -17, 0.01, 0.01)
        make_raster(f"fiji/{name}.tif", np.ones((5, 10), np.uint8), "EPSG:4326", transform)
    with pytest.raises(GridError, match=r"both sides of the 180th meridian, such as [ab]\.tif and"):
        look(tmp_path / "fiji")


@pytest.mark.parametrize("lefts", [(-180, 0), (-30, 10), (-180, -90, 0, 90)])
def test_files_all_over_the_earth_or_about_greenwich_are_one_image(make_raster, tmp_path, lefts):
    (tmp_path / "earth").mkdir()
    for left in lefts:
        side = 360 / len(lefts) / 10 if len(lefts) > 2 or -180 in lefts else 1
        transform = from_origin(left, 5, side, side)
        make_raster(f"earth/{left}.tif", np.ones((1, 10), np.uint8), "EPSG:4326", transform)
    assert look(tmp_path / "earth")[0].width >= 10 * len(lefts)


@pytest.fixture
def two_products(make_raster, tmp_path):
    """Return a function that writes tiles of Sentinel-2 from before and after its offset."""

    def write(bands, dtype):
        (tmp_path / "scene").mkdir()
        for left, (year, baseline) in enumerate((("2020", "N0208"), ("2023", "N0509"))):
            name = f"S2A_MSIL2A_{year}0523T101031_{baseline}_R022_T32TQQ_{year}0523T141200_B04.tif"
            transform = from_origin(500000 + 40 * left, 5000000, 10, 10)
            values = np.full((len(bands or "1"), 4, 4), 100, dtype)
            make_raster(f"scene/{name}", values, transform=transform, bands=bands)
        return tmp_path / "scene"

    return write


@pytest.mark.parametrize("bands", [["B04", "B08"], ["red"], None])
def test_products_whose_names_say_different_offsets_are_refused(two_products, bands):
    with pytest.raises(InputError, match=r"reflectance \(value x 0\.0001 -0\.1, not value x"):
        look(two_products(bands, np.uint16))


@pytest.mark.parametrize(("bands", "dtype"), [(["red"], np.uint8), (["scl"], np.uint16)])
def test_their_pictures_and_classes_are_one_image(two_products, bands, dtype):
    assert look(two_products(bands, dtype))[3].all()


@pytest.mark.parametrize(("end", "name"), [("B04", "B04"), ("slope", "slope"), ("x", "band_1")])
def test_the_band_that_all_names_tell_is_the_image_s(make_raster, tmp_path, end, name):
    (tmp_path / "scene").mkdir()
    for left, tile in enumerate(("T33TUM", "T33TVM")):
        transform = from_origin(500000 + 40 * left, 5000000, 10, 10)
        values = np.ones((4, 4), np.uint16)
        make_raster(f"scene/{tile}_20230101_{end}.tif", values, transform=transform)
    assert look(tmp_path / "scene")[1] == [name]
