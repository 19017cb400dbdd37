"""Topographic wetness: known surfaces, the rest of the chain on a real DEM, memory."""

import numpy as np
import pytest
import rasterio
import scipy.sparse
import scipy.sparse.linalg
from hypothesis import given
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core import memory
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors import streams, terrain, wetness
from landslide_mapper.landslide_plugin.factors.flow import NEIGHBOURS
from landslide_mapper.landslide_plugin.factors.terrainfactors_command import terrainfactors
from landslide_mapper.landslide_plugin.raster import Grid
from landslide_mapper.landslide_plugin.raster.source import Source
from landslide_mapper.landslide_plugin.raster.stack import LayerStack
from landslide_mapper.landslide_plugin.raster.surface import Pixels
from rasterio.crs import CRS
from rasterio.transform import from_origin


def run(path, output, factors, progress=None, **parameters):
    terrainfactors(
        input=str(path),
        output=str(output),
        factors=factors,
        progress=progress or Progress(),
        **parameters,
    )
    with rasterio.open(output) as dataset:
        return dict(zip(factors, dataset.read(masked=True), strict=True))


def plane(rows, columns, gradient, pixel):
    """Falls towards the south."""
    return np.repeat(-gradient * pixel * np.arange(rows, dtype=np.float32), columns).reshape(
        rows, columns
    )


SIZES = [(10.0, 10.0), (25.0, 25.0), (5.0, 20.0)]


@pytest.mark.parametrize("size", SIZES)
def test_on_a_plane_each_row_drains_all_rows_above(make_raster, tmp_path, size):
    """In the middle, which what is different at the edges does not reach in 20 rows."""
    transform = from_origin(500000, 5000000, *size)
    path = make_raster("dem.tif", 500 + plane(21, 51, 0.25, size[1]), transform=transform)
    twi = run(path, tmp_path / "out.tif", ["twi"])["twi"]
    expected = np.log(size[1] * np.arange(1, 21) / 0.25)
    np.testing.assert_allclose(twi[:-1, 25], expected, rtol=1e-5)


def catchment(heights, size):
    """Return the specific catchment area in metres, by the steps of `specific_catchment`."""
    grid = Grid(CRS.from_epsg(32632), from_origin(500000, 5000000, *size), *heights.shape[::-1])
    valid = np.ones(heights.shape, bool)
    portions, way = wetness.flow_portions(streams.fill_depressions(heights, valid), grid)
    return streams.accumulated(portions, valid, grid) * 1e6 * way / np.prod(size)


def around_the_middle(size):
    """Return metres east and south of the middle of 101 x 101 pixels, and out to their edge."""
    south, east = np.mgrid[-50:51, -50:51] * np.array(size[::-1])[:, np.newaxis, np.newaxis]
    return east, south, 50 * min(size)


@pytest.mark.parametrize("size", [(10.0, 10.0), (7.0, 10.0), (10.0, 5.0)])
def test_on_a_cone_it_is_half_the_radius(size):
    """By D8 it is .11 to 1.83 of that."""
    east, south, edge = around_the_middle(size)
    radius = np.hypot(east, south)
    inside = (radius > 80) & (radius < edge - 30)
    ratio = catchment(3000 - 0.5 * radius, size)[inside] / (radius[inside] / 2)
    low, high = np.percentile(ratio, [5, 95])
    assert 0.95 < low < high < 1.1


@pytest.mark.parametrize("size", [(10.0, 10.0), (7.0, 10.0), (10.0, 5.0)])
@pytest.mark.parametrize("bearing", [0, 22.5, 45, 60, 90])
def test_on_a_plane_it_is_the_distance_to_the_divide_in_any_direction(size, bearing):
    east, south, edge = around_the_middle(size)
    cosine, sine = np.cos(np.radians(bearing)), np.sin(np.radians(bearing))
    away = np.abs(east * cosine + south * sine)
    aside = np.abs(south * cosine - east * sine)
    inside = (away > 60) & (away < 0.6 * edge) & (aside < 0.3 * edge)
    ratio = catchment(3000 - 0.3 * away, size)[inside] / away[inside]
    assert ratio.min() > 0.99 and ratio.max() < 1.1


@given(
    width=st.floats(1, 100),
    shape=st.floats(0.4, 2.5),
    cosine=st.floats(-0.35, 0.35),
    direction=st.floats(0, 2 * np.pi),
)
def test_water_of_a_plane_runs_down_its_slope_on_pixels_of_any_shape(
    width, shape, cosine, direction
):
    height, sine = width * shape, np.sqrt(1 - cosine**2)
    sizes = {"width": width, "height": height, "cosine": cosine, "east": 0.0, "north": 1.0}
    pixels = Pixels(**{name: np.full((1, 1), value) for name, value in sizes.items()})
    weights = wetness._weights(pixels)
    down = np.array([np.cos(direction), np.sin(direction)])
    mean = np.zeros(2)
    for (row, column), weight in weights.items():
        # along a row, and along a column, which leans against it
        way = column * np.array([width, 0]) + row * height * np.array([-cosine, sine])
        mean += weight.item() * max(way @ down, 0) * way
    assert min(weight.item() for weight in weights.values()) >= 0
    assert mean / np.hypot(*mean) == pytest.approx(down, abs=1e-6)


def test_on_square_pixels_the_weights_are_those_of_quinn():
    """Contour lengths of .5 and .354 pixels over ways of 1 and 1.414: 1 to 1/2."""
    grid = Grid(CRS.from_epsg(32632), from_origin(500000, 5000000, 10, 10), 3, 3)
    heights = np.array([[10.0, 10, 9], [10, 10, 8], [10, 10, 10]])
    portions, way = wetness.flow_portions(heights, grid)
    middle = portions[2, 2]
    assert middle[0] == 0 and middle[[4, 5]] == pytest.approx([0.5 / 2.5, 2 / 2.5])
    assert middle.sum() == pytest.approx(1)
    assert way[1, 1] == pytest.approx(10 * np.hypot(1, 0.2))
    assert portions[2, 3, 0] == -1 and way[1, 2] == 10  # nothing flows from the lowest cell


def test_flat_ground_is_wet_but_not_infinitely(make_raster, tmp_path):
    path = make_raster("dem.tif", np.full((30, 30), 80, np.float32))
    twi = run(path, tmp_path / "out.tif", ["twi"])["twi"]
    assert twi.count() == 900
    assert twi.min() == pytest.approx(np.log(10 / terrain.LEAST_TANGENT))
    assert twi.max() <= np.log(90000 / 10 / terrain.LEAST_TANGENT)


def test_a_valley_is_wetter_than_its_ridges(make_raster, tmp_path):
    down, across = np.mgrid[0:60, -30:31].astype(np.float32)
    path = make_raster("dem.tif", 1000 - 2 * down + 3 * np.abs(across))
    twi = run(path, tmp_path / "out.tif", ["twi"])["twi"]
    assert np.all(np.argmax(twi[10:], axis=1) == 30)
    assert twi[50, 30] > twi[50, 3] + 3


def test_nodata_stays_nodata_and_other_factors_stay_as_they_are(make_raster, tmp_path):
    heights = np.random.default_rng(0).normal(500, 20, (80, 70)).astype(np.float32)
    heights[20:30, 20:35] = heights[:5, :9] = -9999
    path = make_raster("dem.tif", heights, nodata=-9999)
    alone = run(path, tmp_path / "alone.tif", ["slope", "tpi"])
    both = run(path, tmp_path / "both.tif", ["slope", "twi", "tpi"])
    np.testing.assert_array_equal(np.ma.getmaskarray(both["twi"]), heights == -9999)
    assert np.isfinite(both["twi"].compressed()).all()
    for name in alone:
        np.testing.assert_array_equal(alone[name], both[name])


@pytest.mark.parametrize(
    "file", ["kashmir/AW3D30.tif", "samples/qgis_training_srtm/srtm_41_19_4326.tif"]
)
@pytest.mark.parametrize("smoothing", [0.0, 60.0])
def test_real_dems_are_what_their_streams_and_slopes_say(data_dir, tmp_path, file, smoothing):
    parameters = {"smoothing": smoothing}
    result = run(data_dir / file, tmp_path / "out.tif", ["twi", "slope", "elevation"], **parameters)
    with Source.open(tmp_path / "out.tif") as source:
        (elevation,), (valid,) = source.read(bands=["elevation"])
        grid = source.grid
    portions, way = wetness.flow_portions(streams.fill_depressions(elevation, valid), grid)
    area = np.broadcast_to(np.prod(grid.pixel_metres(), axis=0)[:, np.newaxis], valid.shape)
    flow = scipy.sparse.eye_array(valid.size, format="csc") - upstream(portions)
    drained = scipy.sparse.linalg.spsolve(flow, (area * valid).ravel()).reshape(valid.shape)
    catchment = np.maximum(drained * way / area, np.sqrt(area))
    tangent = np.maximum(np.tan(np.radians(result["slope"].astype(np.float64))), 0.001)
    np.testing.assert_allclose(
        result["twi"][valid], np.log(catchment[valid] / tangent[valid]), atol=2e-3
    )


def upstream(portions):
    """Return a matrix that gives each cell what its neighbours hand on."""
    shape = np.array(portions.shape[:2]) - 2
    row, column, number = np.nonzero(portions[1:-1, 1:-1, 1:])
    share = portions[1:-1, 1:-1, 1:][row, column, number].astype(np.float64)
    down, right = np.array(NEIGHBOURS[1:])[number].T
    to, start = ((row + down) * shape[1] + column + right, row * shape[1] + column)
    return scipy.sparse.csc_array((share, (to, start)), shape=(shape.prod(), shape.prod()))


def test_the_memory_is_said_where_it_is_much_and_refused_before_anything_is_read(
    make_raster, tmp_path, monkeypatch
):
    path = make_raster("dem.tif", np.zeros((50, 60), np.float32))
    for least, told in ((memory.WORTH_TELLING, False), (1.0, True)):
        events = []
        monkeypatch.setattr(memory, "WORTH_TELLING", least)
        run(path, tmp_path / "out.tif", ["twi"], Progress(events.append))
        assert any("GB of memory" in event.get("text", "") for event in events) == told
        (tmp_path / "out.tif").unlink()
    monkeypatch.setattr(memory, "available_memory", lambda: 1000.0)
    with pytest.raises(InputError, match=r"twi.*GB are free"):
        run(path, tmp_path / "out.tif", ["twi"])
    assert not (tmp_path / "out.tif").exists()
    run(path, tmp_path / "out.tif", ["slope"])  # needs no more than a few rows


def test_the_aspect_s_classes_are_named_and_a_stack_has_a_band_for_each(make_raster, tmp_path):
    heights = np.random.default_rng(0).normal(500, 20, (40, 40)).astype(np.float32)
    path = make_raster("dem.tif", heights)
    result = run(path, tmp_path / "out.tif", ["slope", "aspect_class", "aspect"])
    with Source.open(tmp_path / "out.tif") as source:
        assert source.class_names("aspect_class") == dict(enumerate(terrain.ASPECT_CLASSES))
        assert source.class_names("slope") == {}
    with LayerStack.open([tmp_path / "out.tif"]) as stack:
        classes = [f"aspect_class_{name}" for name in terrain.ASPECT_CLASSES]
        assert stack.bands == ["slope", *classes, "aspect"]
        values, _ = stack.read(None or next(stack.grid.row_blocks(40)))
    one_hot = values[1:10]
    np.testing.assert_array_equal(one_hot.sum(axis=0), 1)
    np.testing.assert_array_equal(one_hot.argmax(axis=0), result["aspect_class"])
