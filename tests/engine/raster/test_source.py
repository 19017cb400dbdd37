"""Reading rasters: validity, halo, bands by name, other grids, bad input."""

import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError
from landslide_mapper.landslide_plugin.raster import Grid, Source
from landslide_mapper.landslide_plugin.raster.declared import unique_names
from pyproj import Transformer
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.transform import from_origin
from rasterio.warp import reproject
from rasterio.windows import Window

UTM = CRS.from_epsg(32632)
SHIFTED = Grid(UTM, from_origin(500053, 4999953, 7, 7), 40, 40)
PARTLY_OUTSIDE = Grid(UTM, from_origin(499800, 5000200, 10, 10), 40, 40)
METHODS = ("nearest", "bilinear", "average")
HOLE = (slice(10, 20), slice(10, 20))


@pytest.fixture
def values():
    return np.random.default_rng(1).integers(1, 200, (60, 60))


def read(path, grid=None, resampling="bilinear"):
    with Source.open(path) as source:
        return (source.on(grid, resampling) if grid else source).read()


class TestValidity:
    @pytest.mark.parametrize(
        ("dtype", "nodata"),
        [("uint8", 0), ("uint8", 255), ("int16", -32768), ("uint16", 65535), ("int32", -9999),
         ("float32", -9999), ("float32", np.nan), ("float32", 0),
         ("float64", -1.7976931348623157e308)],
    )  # fmt: skip
    def test_declared_nodata_of_every_type(self, make_raster, values, dtype, nodata):
        array = values.astype(dtype)
        array[HOLE] = nodata
        read_values, valid = read(make_raster("a.tif", array, nodata=nodata))
        assert not valid[0][HOLE].any() and valid.sum() == 3500
        assert (read_values[~valid] == 0).all() and read_values.dtype == np.float32

    @pytest.mark.parametrize("nodata", [-9999, 0, 0.1, 1e20, -1e32])
    def test_what_is_nodata_but_for_rounding_is_nodata_as_gdal_has_it(self, make_raster, nodata):
        steps = np.array([[-20, -2, -1, 0, 1, 2, 20]], np.float32) * np.finfo(np.float32).eps
        band = (nodata * (1 + steps)).astype(np.float32)
        path = make_raster("a.tif", np.stack([band, band[:, ::-1]]), nodata=nodata)
        with rasterio.open(path) as dataset:
            theirs = (dataset.read_masks() > 0) & (abs(dataset.read()) < 1e30)
        np.testing.assert_array_equal(read(path)[1], theirs)

    @pytest.mark.parametrize("fill", [np.nan, np.inf, -3.4028235e38, -3.4028226e38, 1e31])
    def test_undeclared_fill_of_floats(self, make_raster, values, fill):
        array = values.astype(np.float32)
        array[HOLE] = fill
        _, valid = read(make_raster("a.tif", array))
        assert not valid[0][HOLE].any() and valid.sum() == 3500

    @pytest.mark.parametrize("fill", [np.nan, -3.4028235e38, -3.4028226e38])
    def test_undeclared_fill_does_not_leak_into_resampled_neighbours(
        self, make_raster, values, fill
    ):
        array = values.astype(np.float32)
        array[HOLE] = fill
        resampled, valid = read(make_raster("a.tif", array), SHIFTED)
        assert 0 < (~valid).sum() <= 300
        assert resampled[valid].min() >= 1 and resampled[valid].max() < 200

    @pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
    @pytest.mark.parametrize("grid", [None, SHIFTED, PARTLY_OUTSIDE])
    def test_mask_bands_count(self, make_raster, values, dtype, grid):
        path = make_raster("a.tif", values.astype(dtype))
        mask = np.full(values.shape, 255, np.uint8)
        mask[HOLE] = 0
        with rasterio.open(path, "r+") as dataset:
            dataset.write_mask(mask)
        _, valid = read(path, grid)
        assert valid.sum() == {None: 3500, SHIFTED: 1404, PARTLY_OUTSIDE: 300}[grid]

    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    @pytest.mark.parametrize("grid", [None, SHIFTED, PARTLY_OUTSIDE])
    def test_alpha_is_no_band_but_counts(self, tmp_path, values, dtype, grid):
        opaque = np.full(values.shape, np.iinfo(dtype).max, dtype)
        opaque[HOLE] = 0
        path = tmp_path / "rgba.tif"
        with rasterio.open(
            path, "w", driver="GTiff", count=4, height=60, width=60, dtype=dtype, crs=UTM,
            transform=from_origin(500000, 5000000, 10, 10), photometric="rgb", alpha="yes",
        ) as dataset:  # fmt: skip
            dataset.write(np.stack([values.astype(dtype)] * 3 + [opaque]))
        with Source.open(path) as source:
            assert source.bands == ["red", "green", "blue"]
        _, valid = read(path, grid)
        assert valid[0].sum() == {None: 3500, SHIFTED: 1404, PARTLY_OUTSIDE: 300}[grid]

    @pytest.mark.parametrize("grid", [None, SHIFTED, PARTLY_OUTSIDE])
    @pytest.mark.parametrize(
        "roles",
        ["alpha red green blue", "red alpha", "red green blue undefined alpha", "red alpha blue"],
    )
    def test_alpha_at_any_place_among_any_number(self, tmp_path, values, roles, grid):
        """The n-th band but alpha holds n times the values, by its scale."""
        roles = [ColorInterp[role] for role in roles.split()]
        place = roles.index(ColorInterp.alpha)
        others = [number for number in range(1, len(roles) + 1) if number != place + 1]
        array = np.stack([values.astype(np.uint8)] * len(roles))
        array[place] = 255
        array[place][HOLE] = 0
        path = tmp_path / "alpha.tif"
        with rasterio.open(
            path, "w", driver="GTiff", count=len(roles), height=60, width=60, dtype="uint8",
            crs=UTM, transform=from_origin(500000, 5000000, 10, 10),
        ) as dataset:  # fmt: skip
            dataset.colorinterp = roles
            dataset.scales = np.insert(np.arange(1.0, len(roles)), place, 1.0)
            dataset.write(array)
        with Source.open(path) as source:
            assert [source.index_of(band) for band in source.bands] == others
            read_values, valid = (source.on(grid, "nearest") if grid else source).read()
        expected = {None: 3500, SHIFTED: 1404, PARTLY_OUTSIDE: 300}[grid]
        assert valid.sum(axis=(1, 2)).tolist() == [expected] * len(others)
        assert read_values[0].max() > 100
        for factor, band in enumerate(read_values, start=1):
            np.testing.assert_array_equal(band, factor * read_values[0])

    @pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
    def test_what_lies_outside_a_raster_without_nodata_is_invalid(self, make_raster, values, dtype):
        _, valid = read(make_raster("a.tif", values.astype(dtype)), PARTLY_OUTSIDE)
        assert valid[0, 20:, 20:].all() and valid.sum() == 400

    def test_real_mars_slope_has_undeclared_fill(self, data_dir):
        path = data_dir / "mars_mmls" / "images" / "col00078_row00028.tif"
        with Source.open(path) as source:
            values, valid = source.read()
        assert (~valid).sum(axis=(1, 2)).tolist() == [0, 128, 0, 0, 0, 0, 0]
        assert np.abs(values).max() < 1e5


def read_plain(path):
    with Source.open(path, need_crs=False) as source:
        return source.read()


class TestWindows:
    def test_a_window_reaching_over_every_edge_is_invalid_there(self, make_raster, values):
        path = make_raster("a.tif", values.astype(np.float32))
        with Source.open(path) as source:
            halo, valid = source.read(Window(-3, -2, 66, 65))
        assert halo.shape == (1, 65, 66)
        assert np.array_equal(halo[0, 2:62, 3:63], values)
        assert valid[0, 2:62, 3:63].all() and valid.sum() == 3600

    def test_a_window_apart_from_the_raster_is_invalid(self, make_raster, values):
        with Source.open(make_raster("a.tif", values.astype(np.float32))) as source:
            block, valid = source.read(Window(100, 0, 5, 5))
        assert not valid.any() and not block.any()

    def test_blocks_with_halo_equal_the_whole(self, make_raster, values):
        with Source.open(make_raster("a.tif", values.astype(np.float32))) as source:
            whole, _ = source.read(Window(-2, -2, 64, 64))
            for window in source.grid.row_blocks(17):
                part, _ = source.read(Window(-2, window.row_off - 2, 64, window.height + 4))
                assert np.array_equal(
                    part, whole[:, window.row_off : window.row_off + window.height + 4]
                )


class TestBands:
    def test_bands_are_read_by_name_in_the_order_wanted(self, make_raster):
        array = np.stack([np.full((3, 3), value, np.float32) for value in (1, 2, 3)])
        with Source.open(make_raster("a.tif", array, bands=["red", "nir", "red"])) as source:
            assert source.bands == ["red", "nir", "red_2"]
            values, _ = source.read(bands=["red_2", "red"])
            assert values[:, 0, 0].tolist() == [3, 1]
            with pytest.raises(InputError, match="no band named swir1; it has: red, nir, red_2"):
                source.read(bands=["swir1"])

    @pytest.mark.parametrize(
        ("names", "unique"),
        [
            (["b", "b", "c", "b"], ["b", "b_2", "c", "b_3"]),
            (["b", "b", "b_2"], ["b", "b_3", "b_2"]),
            (["b_2", "b", "b"], ["b_2", "b", "b_3"]),
        ],
    )
    def test_unique_names(self, names, unique):
        assert unique_names(names) == unique

    def test_nameless_bands_are_named_by_colour_or_number(self, make_raster):
        """Also what says it is red, but is called otherwise."""
        path = make_raster("a.tif", np.ones((4, 3, 3), np.uint8), bands=["infrared"])
        with rasterio.open(path, "r+") as dataset:
            roles = ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined
            dataset.colorinterp = roles
        with Source.open(path) as source:
            assert source.bands == ["infrared", "green", "blue", "band_4"]

    def test_scale_and_offset_of_the_file_are_applied(self, make_raster):
        array = np.full((2, 8, 8), 5, np.int16)
        array[:, 0, 0] = -1
        path = make_raster("a.tif", array, bands=["a", "b"], nodata=-1)
        with rasterio.open(path, "r+") as dataset:
            dataset.scales, dataset.offsets = (1.0, 0.5), (0.0, -1.0)
        other = Grid(UTM, from_origin(500003, 4999997, 5, 5), 5, 5)
        with Source.open(path) as source:
            for view in (source, source.on(other)):
                values, valid = view.read(bands=["b", "a"])
                assert values[:, -1, -1].tolist() == [1.5, 5]
                assert (values[~valid] == 0).all()

    def test_class_names_come_from_tags(self, make_raster):
        path = make_raster("a.tif", np.ones((3, 3), np.int16))
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(1, class_2="sandstone", **{"class_-1": "water"}, classic="no")
        with Source.open(path) as source:
            assert source.class_names("band_1") == {2: "sandstone", -1: "water"}


class TestOtherGrids:
    @pytest.mark.parametrize("resampling", ["bilinear", "nearest"])
    @pytest.mark.parametrize("dtype", ["float32", "int16"])
    def test_a_warped_view_equals_gdal_reproject(self, make_raster, values, resampling, dtype):
        seen, valid = read(make_raster("a.tif", values.astype(dtype)), SHIFTED, resampling)
        expected = np.full(SHIFTED.shape, np.nan, np.float32)
        reproject(
            values.astype(np.float32),
            expected,
            src_transform=from_origin(500000, 5000000, 10, 10),
            src_crs=UTM,
            dst_transform=SHIFTED.transform,
            dst_crs=SHIFTED.crs,
            dst_nodata=np.nan,
            resampling=Resampling[resampling],
        )
        assert np.array_equal(valid[0], np.isfinite(expected)) and valid.all()
        assert seen[0] == pytest.approx(expected, abs=1e-3)

    def test_a_plane_stays_a_plane_in_another_crs(self, make_raster):
        rows, columns = np.mgrid[:60, :60] + 0.5
        path = make_raster("a.tif", (columns + 2 * rows).astype(np.float32))
        degrees = Grid(CRS.from_epsg(4326), from_origin(9.001, 45.152, 1e-4, 1e-4), 50, 40)
        seen, valid = read(path, degrees)
        y, x = np.nonzero(valid[0])
        longitude, latitude = degrees.point(x + 0.5, y + 0.5)
        east, north = Transformer.from_crs(4326, 32632, always_xy=True).transform(
            longitude, latitude
        )
        plane = (east - 500000) / 10 + 2 * (5000000 - north) / 10
        inner = (seen[0][y, x] > 5) & (plane < 170)  # away from the raster's edge
        assert inner.sum() > 1000
        # GDAL's transform is off by an eighth of a pixel at most: 3 units a pixel.
        assert np.abs(seen[0][y, x] - plane)[inner].max() < 3 / 8

    def test_bilinear_of_a_much_finer_layer_skips_no_pixel(self, make_raster):
        """GDAL widens the kernel by the ratio: noise averages out, as its mean does."""
        noise = np.random.default_rng(3).normal(size=(400, 400)).astype(np.float32)
        path = make_raster("a.tif", noise)
        coarse = Grid(UTM, from_origin(500000, 5000000, 100, 100), 40, 40)
        spread = {method: read(path, coarse, method)[0].std() for method in METHODS}
        assert spread["average"] == pytest.approx(0.1, rel=0.1)  # of 100 pixels
        assert 0.05 < spread["bilinear"] < spread["average"]
        assert spread["nearest"] > 0.9

    def test_nearest_keeps_classes(self, make_raster, values):
        seen, _ = read(make_raster("a.tif", (values % 5 * 7).astype(np.int16)), SHIFTED, "nearest")
        assert set(np.unique(seen)) == {0, 7, 14, 21, 28}

    def test_the_same_grid_is_read_without_warping(self, make_raster, values):
        with Source.open(make_raster("a.tif", values.astype(np.float32))) as source:
            assert source.on(source.grid) is source

    def test_layers_apart_are_refused_and_the_message_says_where_each_lies(
        self, make_raster, values
    ):
        far = Grid(UTM, from_origin(700000, 5000000, 10, 10), 10, 10)
        with Source.open(make_raster("a.tif", values.astype(np.float32))) as source:
            with pytest.raises(GridError) as caught:
                source.on(far)
        message = str(caught.value)
        assert "x 500000 to 500600" in message and "x 700000 to 700100" in message

    def test_a_layer_of_another_planet_is_refused(self, make_raster, values):
        moon = CRS.from_proj4("+proj=eqc +a=1737400 +b=1737400 +units=m +no_defs")
        path = make_raster("moon.tif", values.astype(np.float32), crs=moon)
        with Source.open(path) as source, pytest.raises(GridError, match=r"moon\.tif .*brought to"):
            source.on(SHIFTED)

    def test_a_layer_over_the_antimeridian(self, make_raster, values):
        """UTM zone 1 reaches over 180 degrees; a grid in degrees lies on either side of it."""
        path = make_raster(
            "fiji.tif", values.astype(np.float32), crs="EPSG:32701",
            transform=from_origin(150000, 8176000, 1000, 1000),
        )  # fmt: skip
        for west in (179.8, -179.9):
            grid = Grid(CRS.from_epsg(4326), from_origin(west, -16.6, 0.01, 0.01), 10, 10)
            with Source.open(path) as source:
                assert source.on(grid).read()[1].any()

    def test_a_real_dem_whose_crs_has_no_code_is_brought_to_its_image(self, data_dir):
        """Olinda's: the file holds UTM 25 south's parameters, by which EPSG:32000 is found."""
        folder = data_dir / "samples" / "stars_olinda_l7_dem"
        with (
            Source.open(folder / "L7_ETMs.tif") as image,
            Source.open(folder / "olinda_dem_utm25s.tif", what="DEM") as dem,
        ):
            values, valid = dem.on(image.grid).read()
        assert valid.mean() > 0.9
        assert values.min() >= -10 and values.max() < 200  # the hills of Olinda


class TestBadInput:
    def test_missing_file(self, tmp_path):
        with pytest.raises(InputError, match=r"The DEM .*none\.tif does not exist"):
            Source.open(tmp_path / "none.tif", what="DEM")

    @pytest.mark.parametrize("content", [b"", b"no raster at all", b"II*\0\x08\0\0\0"])
    def test_not_a_raster(self, tmp_path, content):
        path = tmp_path / "text.tif"
        path.write_bytes(content)
        with pytest.raises(InputError, match="is not a raster that can be read"):
            Source.open(path)

    def test_no_crs(self, make_raster, values):
        path = make_raster("a.tif", values.astype(np.float32), crs=None)
        with pytest.raises(GridError, match=r"The DEM .* has no CRS"):
            Source.open(path, what="DEM")
        assert read_plain(path)[1].all()

    def test_control_points_are_no_grid(self, tmp_path):
        corners = [
            GroundControlPoint(row, col, 10 + col, 46 - row)
            for row, col in ((0, 0), (0, 2), (2, 0))
        ]
        with rasterio.open(
            tmp_path / "a.tif", "w", driver="GTiff", count=1, height=2, width=2, dtype="uint8"
        ) as dataset:
            dataset.gcps = corners, CRS.from_epsg(4326)
        with pytest.raises(GridError, match="control points or RPCs, not by a grid: warp"):
            Source.open(tmp_path / "a.tif", what="image")

    @pytest.mark.parametrize("place", [np.nan, np.inf, 1e30])
    def test_no_true_place(self, make_raster, values, place):
        path = make_raster("a.tif", values, transform=from_origin(place, 5e6, 10, 10))
        with pytest.raises(GridError, match=r"that is no number|tell them apart"):
            Source.open(path)

    @pytest.mark.parametrize(
        ("crs", "left", "top", "right"),
        [
            ("EPSG:4326", 500000, 5000000, False),
            ("EPSG:4326", -180.25, 90.25, True),  # whole degrees in the pixels' centres
            ("EPSG:4326", 355, 10, True),
            ("EPSG:4807", 2, 52, True),  # grads
            ("EPSG:4807", 2, 120, False),
        ],
    )
    def test_degrees_that_there_are_not(self, make_raster, values, crs, left, top, right):
        path = make_raster("a.tif", values, crs=crs, transform=from_origin(left, top, 0.5, 0.5))
        if right:
            Source.open(path).close()
            return
        with pytest.raises(GridError, match="no such degrees: assign the CRS"):
            Source.open(path)

    @pytest.mark.parametrize(("scale", "offset"), [(0, 0), (np.nan, 0), (1, np.inf)])
    def test_a_scale_that_gives_no_values(self, make_raster, values, scale, offset):
        path = make_raster("a.tif", values)
        with rasterio.open(path, "r+") as dataset:
            dataset.scales, dataset.offsets = (scale,) * dataset.count, (offset,) * dataset.count
        with pytest.raises(InputError, match="which give no values: correct them"):
            Source.open(path)

    def test_rotated(self, make_raster, values):
        transform = from_origin(500000, 5000000, 10, 10) @ rasterio.Affine.rotation(10)
        path = make_raster("a.tif", values.astype(np.float32), transform=transform)
        with pytest.raises(GridError, match="rotated"):
            Source.open(path)

    @pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
    def test_truncated(self, make_raster, tmp_path, share):
        noise = np.random.default_rng(2).normal(size=(200, 200)).astype(np.float32)
        whole = open(make_raster("whole.tif", noise), "rb").read()
        path = tmp_path / "truncated.tif"
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match="damaged"), Source.open(path) as source:
            source.read()


@pytest.mark.parametrize(("dtype", "nodata"), [("float32", -1), ("int16", 7), ("float32", None)])
def test_some_pixels_are_those_of_the_window(make_raster, values, dtype, nodata):
    path = make_raster("a.tif", values.astype(dtype), nodata=nodata)
    pixels = np.random.default_rng(0).permutation(600)[:50]
    window = Window(10, 20, 30, 20)
    with Source.open(path) as source:
        (some,), (known,) = source.read_some(
            window, source.bands[:1], lambda all_: all_.reshape(1, -1)[:, pixels]
        )
        (whole,), (valid,) = source.read(window)
    np.testing.assert_array_equal(some, whole.ravel()[pixels])
    np.testing.assert_array_equal(known, valid.ravel()[pixels])
