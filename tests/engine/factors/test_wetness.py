"""Topographic wetness: known surfaces, the rest of the chain on a real DEM, memory."""

import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core import memory
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors import streams, terrain
from landslide_mapper.landslide_plugin.factors.terrainfactors_command import terrainfactors
from landslide_mapper.landslide_plugin.raster.source import Source
from landslide_mapper.landslide_plugin.raster.stack import LayerStack
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


@pytest.mark.parametrize("pixel", [10.0, 25.0])
def test_on_a_plane_each_row_drains_all_rows_above(make_raster, tmp_path, pixel):
    transform = from_origin(500000, 5000000, pixel, pixel)
    path = make_raster("dem.tif", 500 + plane(20, 9, 0.25, pixel), transform=transform)
    twi = run(path, tmp_path / "out.tif", ["twi"])["twi"]
    expected = np.log(pixel * np.arange(1, 21) / 0.25)
    np.testing.assert_allclose(twi, np.repeat(expected, 9).reshape(20, 9), rtol=1e-5)


def test_pixels_that_are_not_square_count_with_the_root_of_their_area(make_raster, tmp_path):
    transform = from_origin(500000, 5000000, 5, 20)
    path = make_raster("dem.tif", 500 + plane(20, 9, 0.25, 20), transform=transform)
    twi = run(path, tmp_path / "out.tif", ["twi"])["twi"]
    expected = np.log(100 * np.arange(1, 21) / 10 / 0.25)
    np.testing.assert_allclose(twi[:, 4], expected, rtol=1e-5)


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
    filled = streams.fill_depressions(elevation, valid)
    drained = streams.drained_area(streams.flow_directions(filled, grid), valid, grid)
    dx, dy = grid.pixel_metres()
    catchment = drained * 1e6 / np.sqrt(dx * dy)[:, np.newaxis]
    tangent = np.maximum(np.tan(np.radians(result["slope"].astype(np.float64))), 0.001)
    np.testing.assert_allclose(
        result["twi"][valid], np.log(catchment[valid] / tangent[valid]), atol=2e-3
    )


def test_the_memory_is_said_and_refused_before_anything_is_read(make_raster, tmp_path, monkeypatch):
    events = []
    path = make_raster("dem.tif", np.zeros((50, 60), np.float32))
    run(path, tmp_path / "out.tif", ["twi"], Progress(events.append))
    assert any("GB of memory" in event.get("text", "") for event in events)
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
