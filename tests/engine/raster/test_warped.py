"""Views on other grids: what is valid there, and of what its values are made."""

from operator import itemgetter

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.raster import Grid, Source, warped
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.transform import Affine, from_origin
from rasterio.windows import Window

UTM = CRS.from_epsg(32632)
LEFT, TOP, PIXEL = 500000, 5000000, 10
NODATA = {
    "uint8": (0, 255, 7), "int8": (-128, 0), "uint16": (0, 65535), "int16": (-32768, 0, -9999),
    "int32": (-9999, 2147483647), "uint32": (0, 4294967295),
    "float32": (-9999, 0, np.nan, -3.4028234663852886e38), "float64": (-9999, np.nan, 1e20),
}  # fmt: skip


def write(path, values, dtype, nodata, transform=None):
    """Write a band; values of (0, 1) become whole numbers far from each type's nodata."""
    transform = transform or from_origin(LEFT, TOP, PIXEL, PIXEL)
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=values.shape[0], width=values.shape[1],
        dtype=dtype, crs=UTM, transform=transform, nodata=nodata,
    ) as dataset:  # fmt: skip
        dataset.write(values.astype(dtype), 1)
    return path


def separate(path, files):
    """Write a VRT of a file a band, as gdalbuildvrt -separate makes it."""
    names = {"uint8": "Byte", "int8": "Int8"}
    bands = []
    for number, file in enumerate(files, start=1):
        with rasterio.open(file) as dataset:
            kind, nodata, (height, width) = dataset.dtypes[0], dataset.nodata, dataset.shape
            srs, transform = dataset.crs.to_wkt(), dataset.transform.to_gdal()
        bands.append(
            f'<VRTRasterBand dataType="{names.get(kind, kind.capitalize().replace("int", "Int"))}" '
            f'band="{number}"><NoDataValue>{nodata!r}</NoDataValue><SimpleSource><SourceFilename '
            f'relativeToVRT="1">{file.name}</SourceFilename><SourceBand>1</SourceBand>'
            "</SimpleSource></VRTRasterBand>"
        )
    path.write_text(
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}"><SRS>{srs}</SRS><GeoTransform>'
        f"{', '.join(map(repr, transform))}</GeoTransform>{''.join(bands)}</VRTDataset>"
    )
    return path


def weights(first, step, count, size, method):
    """Return the weight of each of `size` pixels in each of `count`, and where all lie within.

    The kernels are those of Keys 1981 (cubic, a = -1/2), the tent and the box.
    """
    centre = first + (np.arange(count)[:, None] + 0.5) * step
    place = np.arange(size) + 0.5
    scale = 1 / step if 1 / step < 0.95 else 1.0  # GDAL widens kernels from there on
    apart = np.abs(place - centre) * scale
    if method == "nearest":
        kernel = (np.floor(centre) == np.arange(size)).astype(float)
    elif method == "bilinear":
        kernel = np.maximum(1 - apart, 0)
    elif method == "cubic":
        near = 1.5 * apart**3 - 2.5 * apart**2 + 1
        far = -0.5 * apart**3 + 2.5 * apart**2 - 4 * apart + 2
        kernel = np.where(apart <= 1, near, np.where(apart < 2, far, 0))
    else:
        low, high = centre - step / 2, centre + step / 2
        kernel = np.clip(np.minimum(high, place + 0.5) - np.maximum(low, place - 0.5), 0, None)
    reach = {"nearest": 0, "bilinear": 1 / scale, "cubic": 2 / scale, "average": step / 2}[method]
    within = ((centre - reach > 0) & (centre + reach < size)).ravel()
    total = kernel.sum(axis=1, keepdims=True)
    return np.divide(kernel, total, out=np.zeros_like(kernel), where=total > 0), within


@st.composite
def layers(draw):
    """Draw the shape, the bands (dtype, nodata, seed, share of holes), method, shift and step."""
    bands = []
    for _ in range(draw(st.integers(1, 3))):
        dtype = draw(st.sampled_from(sorted(NODATA)))
        nodata = draw(st.sampled_from(NODATA[dtype]))
        bands.append((dtype, nodata, draw(st.integers(0, 999)), draw(st.floats(0, 0.7))))
    method = draw(st.sampled_from(["nearest", "bilinear", "cubic", "average"]))
    shift = st.floats(-2, 4).map(lambda place: round(place, 2) + 0.00371)
    step = draw(st.sampled_from([1, 1, 0.5, 1 / 3, 0.4, 2, 3, 2.5]))
    return draw(st.tuples(st.integers(9, 26), st.integers(9, 26))), bands, method, (
        draw(shift), draw(shift)
    ), step  # fmt: skip


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(case=layers())
def test_a_view_is_a_plain_resampling_of_the_valid_pixels_of_each_band(case, tmp_path):
    (height, width), bands, method, (left, top), step = case
    values, holes, files = [], [], []
    for number, (dtype, nodata, seed, fraction) in enumerate(bands):
        random = np.random.default_rng(seed)
        band = random.integers(20, 120, (height, width)).astype(float)
        hole = random.random((height, width)) < fraction
        written = np.where(hole, nodata, band)
        files.append(write(tmp_path / f"{number}.tif", written, dtype, nodata))
        values.append(band)
        holes.append(hole)
    path = separate(tmp_path / "bands.vrt", files)
    shape = int(height / step) + 2, int(width / step) + 2
    corner = LEFT + left * PIXEL, TOP - top * PIXEL
    grid = Grid(UTM, from_origin(*corner, PIXEL * step, PIXEL * step), shape[1], shape[0])
    down, rows_within = weights(top, step, shape[0], height, method)
    across, columns_within = weights(left, step, shape[1], width, method)
    within = rows_within[:, None] & columns_within
    with Source.open(path) as source:
        seen, valid = source.on(grid, method).read()
    for band, hole, result, there in zip(values, holes, seen, valid, strict=True):
        fraction = down @ ~hole @ across.T
        mean = down @ np.where(hole, 0, band) @ across.T / np.where(fraction > 0.1, fraction, 1)
        clear = within & (np.abs(fraction - 0.5) > 1e-3)
        np.testing.assert_array_equal(there[clear], fraction[clear] > 0.5)
        both = there & clear
        np.testing.assert_allclose(result[both], mean[both], atol=2e-3)
        assert not result[~there].any()


def test_bands_of_many_types_are_read_together(tmp_path):
    files = [
        write(tmp_path / f"{dtype}.tif", np.full((4, 5), number + 3.0), dtype, 0)
        for number, dtype in enumerate(NODATA)
    ]
    with Source.open(separate(tmp_path / "all.vrt", files)) as source:
        values, valid = source.read()
        every = source.read_some(Window(0, 0, 5, 4), ["uint16"], itemgetter(np.s_[:, ::3, ::4]))
        (pixels,), (known,) = every
    assert values[:, 0, 0].tolist() == list(range(3, 3 + len(NODATA))) and valid.all()
    assert pixels.tolist() == [[5, 5], [5, 5]] and known.all()


@pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic", "average"])
def test_a_raster_reaches_to_its_border(make_raster, method):
    """Its outermost half pixels are seen too, the corners as well, and nothing beyond them."""
    path = make_raster("a.tif", np.ones((6, 5), np.float32), nodata=0)
    grid = Grid(UTM, from_origin(LEFT - 10, TOP + 10, 1, 1), 70, 80)
    with Source.open(path) as source:
        _, valid = source.on(grid, method).read()
    expected = np.zeros((80, 70), bool)
    expected[10:70, 10:60] = True
    np.testing.assert_array_equal(valid[0], expected)


def test_a_mask_and_an_alpha_band_count_by_their_weight(tmp_path):
    """Of two columns of pixels that a new one lies between, one is masked or transparent."""
    for kind in ("mask", "alpha"):
        path = tmp_path / f"{kind}.tif"
        band = np.tile(np.array([50, 200], np.uint8), (6, 4))
        with rasterio.open(
            path, "w", driver="GTiff", count=2, height=6, width=8, dtype="uint8", crs=UTM,
            transform=from_origin(LEFT, TOP, PIXEL, PIXEL),
        ) as dataset:  # fmt: skip
            dataset.colorinterp = ColorInterp.gray, (
                ColorInterp.alpha if kind == "alpha" else ColorInterp.undefined
            )  # fmt: skip
            dataset.write(np.stack([band, np.where(band == 50, 255, 0).astype(np.uint8)]))
            if kind == "mask":
                dataset.write_mask(np.where(band == 50, 255, 0).astype(np.uint8))
        for shift, valid in ((3, [1, 0, 1, 0, 1, 0, 1]), (5, [1] * 7), (7, [0, 1, 0, 1, 0, 1, 0])):
            grid = Grid(UTM, from_origin(LEFT + shift, TOP, PIXEL, PIXEL), 7, 6)
            with Source.open(path) as source:
                values, there = source.on(grid).read(bands=source.bands[:1])
            assert there[0].tolist() == np.tile(np.array(valid, bool), (6, 1)).tolist()
            assert set(values[there]) == {50}


@pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic", "average"])
@pytest.mark.parametrize("step", [0.3, 1, 2.3])
@pytest.mark.parametrize("crs", [UTM, CRS.from_epsg(4326)])
def test_neither_windows_nor_parts_show(make_raster, monkeypatch, method, step, crs):
    random = np.random.default_rng(1)
    array = random.uniform(0, 10, (90, 110)).astype(np.float32)
    array[random.random(array.shape) < 0.1] = -1
    path = make_raster("a.tif", array, nodata=-1)
    size = step * (1.25e-4 if crs != UTM else 10)
    corner = (9.0003, 45.1532) if crs != UTM else (LEFT + 23.7, TOP + 41.3)
    grid = Grid(crs, from_origin(*corner, size, size), int(80 / step), int(70 / step))
    with Source.open(path) as source:
        view = source.on(grid, method)
        whole, valid = view.read()
        monkeypatch.setattr(warped, "_MOST_VALUES", 900)
        parts, parts_valid = view.read()
        blocks = [view.read(window) for window in grid.row_blocks(17)]
    joined = np.concatenate([block for block, _ in blocks], axis=1)
    joined_valid = np.concatenate([block for _, block in blocks], axis=1)
    assert 0.5 < valid.mean() < 1
    for other, other_valid in ((parts, parts_valid), (joined, joined_valid)):
        flipped = (other_valid != valid).mean()  # GDAL's way to another CRS is straight in pieces
        assert flipped == 0 if crs == UTM else flipped < 1e-2
        apart = np.abs(other - whole)[valid & other_valid]
        assert apart.max() < 1e-4 if crs == UTM else np.quantile(apart, 0.99) < 0.2


def test_a_wide_reduction_is_the_mean_of_what_each_pixel_covers(make_raster, monkeypatch):
    random = np.random.default_rng(2)
    array = random.uniform(0, 10, (400, 300)).astype(np.float32)
    array[:, :100][random.random((400, 100)) < 0.6] = -1
    array[:, 100:][random.random((400, 200)) < 0.3] = -1
    path = make_raster("a.tif", array, nodata=-1)
    monkeypatch.setattr(warped, "_MOST_VALUES", 5000)
    with Source.open(path) as source:
        (values,), (valid,) = source.on(
            Grid(UTM, from_origin(LEFT, TOP, 500, 500), 6, 8), "average"
        ).read()
    tiles = np.ma.masked_equal(array, -1).reshape(8, 50, 6, 50)
    assert valid.tolist() == [[False] * 2 + [True] * 4] * 8
    np.testing.assert_allclose(values[:, 2:], tiles.mean(axis=(1, 3))[:, 2:], rtol=1e-5)


def test_holes_stay_where_they_are_in_another_crs(make_raster):
    rows, columns = np.mgrid[:60, :60]
    array = np.where((rows // 10 + columns // 10) % 2, 1000.0, -9999).astype(np.float32)
    path = make_raster("a.tif", np.stack([array, np.full_like(array, 7)]), nodata=-9999)
    grid = Grid(CRS.from_epsg(4326), from_origin(9.0006, 45.1529, 6e-5, 6e-5), 90, 70)
    with Source.open(path) as source:
        near = source.on(grid, "nearest").read()[1]
        for method in ("bilinear", "cubic", "average"):
            values, valid = source.on(grid, method).read()
            assert valid[1].all() and (values[1] == 7).all()
            assert (valid[0] != near[0]).mean() < 0.05  # at edges and where four squares meet
            np.testing.assert_allclose(values[0][valid[0]], 1000, rtol=1e-5)


def test_places_in_another_crs_are_exact(make_raster):
    """A plane over rows as long as scenes are, held against PROJ."""
    plane = np.add.outer(2 * np.arange(300.0), np.arange(2000.0)).astype(np.float32)
    path = make_raster("a.tif", plane)
    grid = Grid(CRS.from_epsg(4326), from_origin(9.001, 45.145, 1e-4, 8e-5), 2400, 200)
    with Source.open(path) as source:
        (values,), (valid,) = source.on(grid).read()
    rows, columns = np.nonzero(valid)
    to_utm = Transformer.from_crs(4326, 32632, always_xy=True)
    east, north = to_utm.transform(*grid.point(columns + 0.5, rows + 0.5))
    expected = (east - LEFT) / 10 - 0.5 + 2 * ((TOP - north) / 10 - 0.5)
    assert valid.mean() > 0.5
    assert np.abs(values[valid] - expected).max() < 3 * 0.01


@pytest.mark.parametrize(("west", "width"), [(-180, 720), (170, 40)])
def test_degrees_of_either_turn_are_seen_over_the_antimeridian(make_raster, west, width):
    """A raster of the whole Earth, or from 170 to 190 E, on UTM zone 60 at 180."""
    longitude = west + (np.arange(width) + 0.5) / 2
    world = np.tile(np.cos(np.radians(longitude)), (360, 1)).astype(np.float32)
    path = make_raster("w.tif", world, crs="EPSG:4326", transform=from_origin(west, 90, 0.5, 0.5))
    grid = Grid(CRS.from_epsg(32760), from_origin(600000, 8176000, 10000, 10000), 40, 30)
    with Source.open(path) as source:
        values, valid = source.on(grid).read()
    assert valid.all()
    assert values.max() < np.cos(np.radians(177)) and values.min() > -1.0001


def test_a_layer_on_a_grid_of_the_whole_earth_is_seen_where_it_lies(make_raster):
    path = make_raster(
        "a.tif", np.ones((60, 60), np.float32), transform=from_origin(LEFT, TOP, 10000, 10000)
    )
    grid = Grid(CRS.from_epsg(4326), from_origin(-180, 90, 0.5, 0.5), 720, 360)
    with Source.open(path) as source:
        _, (valid,) = source.on(grid).read()
    rows, columns = np.nonzero(valid)
    longitude, latitude = grid.point(columns + 0.5, rows + 0.5)
    assert 8.9 < longitude.min() < 9.5 and longitude.max() < 18
    assert 39 < latitude.min() < 40 and 44.5 < latitude.max() < 45.3


def test_pixels_that_lie_on_the_grid_s_are_read_as_they_are(make_raster):
    array = np.arange(30, dtype=np.float32).reshape(5, 6)
    path = make_raster("a.tif", array)
    with Source.open(path) as source:
        view = source.on(Grid(UTM, from_origin(LEFT - 20, TOP - 10, 10, 10), 5, 3), "cubic")
        values, valid = view.read()
    assert values[0].tolist() == [[0, 0, 6, 7, 8], [0, 0, 12, 13, 14], [0, 0, 18, 19, 20]]
    assert valid[0].tolist() == [[False, False, True, True, True]] * 3


def test_a_plane_without_a_crs_is_seen_in_its_pixels(make_raster):
    """As plain image tiles are, whose rows run down from 0."""
    array = np.arange(64, dtype=np.float32).reshape(8, 8)
    path = make_raster("a.tif", array, crs=None, transform=Affine.identity())
    with Source.open(path, need_crs=False) as source:
        (values,), (valid,) = source.on(Grid(None, Affine.scale(2, 2), 4, 4), "average").read()
    assert valid.all()
    np.testing.assert_allclose(values, array.reshape(4, 2, 4, 2).mean(axis=(1, 3)))


def test_complex_numbers_are_refused(make_raster):
    path = make_raster("slc.tif", np.ones((3, 3), np.complex64))
    with pytest.raises(InputError, match="complex numbers"):
        Source.open(path)
