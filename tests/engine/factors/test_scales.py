"""Terrain within a radius: known surfaces, any pixels, holes, blocks; against scipy."""

import threading
import time

import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors import chunks, scales, smoothing, terrain_blocks
from landslide_mapper.landslide_plugin.factors.terrainfactors_command import terrainfactors
from rasterio.transform import from_origin
from scipy.ndimage import generic_filter

SIZES = [(10.0, 10.0), (5.0, 10.0)]


def run(path, output, radii, **parameters):
    """Return the bands within radii by name."""
    terrainfactors(
        input=str(path),
        output=str(output),
        factors=["slope"],
        radii=radii,
        progress=Progress(),
        **parameters,
    )
    with rasterio.open(output) as dataset:
        values = dataset.read(masked=True)
        return dict(zip(dataset.descriptions, values, strict=True))


def from_the_middle(size, side=61):
    """Return metres east and south of the middle."""
    half = side // 2
    south, east = np.mgrid[-half : half + 1, -half : half + 1]
    return east * size[0], south * size[1]


@pytest.fixture
def derived(make_raster, tmp_path):
    def derive(heights, size=(10.0, 10.0), radii=(100,), **parameters):
        transform = from_origin(500000, 5000000, *size)
        path = make_raster("dem.tif", heights.astype(np.float32), transform=transform, nodata=-9999)
        return run(path, tmp_path / "out.tif", list(radii), **parameters)

    return derive


def test_each_radius_has_its_bands(derived):
    bands = derived(np.zeros((40, 40)), radii=(50, 100, 50))
    factors = ["tpi", "relief", "openness", "curvature", "plan_curvature", "profile_curvature"]
    expected = [f"{factor}_{radius}m" for radius in (50, 100) for factor in factors]
    assert list(bands) == ["slope", *expected]


def test_level_ground_is_open_by_90_degrees_and_has_no_relief(derived):
    bands = derived(np.full((30, 30), 700.0))
    np.testing.assert_allclose(bands["openness_100m"], 90)
    for name in ("tpi", "relief", "curvature", "plan_curvature", "profile_curvature"):
        np.testing.assert_allclose(bands[f"{name}_100m"], 0, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_the_relief_of_a_plane_is_its_gradient_times_the_diameter(derived, size):
    east, south = from_the_middle(size)
    for heights in (1000 + 0.3 * east, 1000 + 0.3 * south):
        bands = derived(heights, size)
        assert bands["relief_100m"][30, 30] == pytest.approx(0.3 * 200, rel=1e-4)
        assert bands["tpi_100m"][30, 30] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("gradient", [0.5, -0.5])
def test_the_tip_of_a_cone_is_open_by_90_degrees_less_its_slope(derived, size, gradient):
    """A pit less, a peak more; the mean of a cone's heights in a circle is 2/3 of its rim's."""
    distance = np.hypot(*from_the_middle(size))
    bands = derived(1000 + gradient * distance, size)
    tip = {name: band[30, 30] for name, band in bands.items()}
    assert tip["openness_100m"] == pytest.approx(90 - np.degrees(np.arctan(gradient)), abs=1e-3)
    assert tip["relief_100m"] == pytest.approx(50, rel=1e-4)
    assert tip["tpi_100m"] == pytest.approx(-gradient * 200 / 3, rel=0.03)


@pytest.mark.parametrize("size", SIZES)
def test_a_paraboloid_keeps_its_curvature_at_any_radius(derived, size):
    east, south = from_the_middle(size)
    bands = derived(1000 - 0.001 * (east**2 + south**2), size, radii=(20, 60))
    for radius in (20, 60):
        assert bands[f"curvature_{radius}m"][30, 30] == pytest.approx(0.004, rel=0.02)


def test_they_are_those_of_a_window_by_scipy_and_of_rays_one_by_one(derived):
    heights = np.random.default_rng(0).normal(500, 30, (57, 63))
    bands = derived(heights, radii=(250,))
    heights = heights.astype(np.float32)
    down, across = np.mgrid[-25:26, -25:26]
    disc = np.hypot(down, across) <= 25  # 7 and 24 lie on it; 1 and 25, at 25.02, beyond
    relief = generic_filter(heights, np.ptp, footprint=disc)
    inner = slice(25, -25), slice(25, -25)
    np.testing.assert_allclose(bands["relief_250m"][inner], relief[inner], rtol=1e-5)
    around = disc & (np.hypot(down, across) > 0)
    tpi = heights - generic_filter(heights.astype(float), np.mean, footprint=around)
    np.testing.assert_allclose(bands["tpi_250m"][inner], tpi[inner], atol=1e-3)
    angles = []
    for row, column in [(0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1)]:
        step = 10 * np.hypot(row, column)
        rises = [
            (heights[28 + n * row, 30 + n * column] - heights[28, 30]) / (n * step)
            for n in range(1, int(250 / step) + 1)
        ]
        angles.append(90 - np.degrees(np.arctan(max(rises))))
    assert bands["openness_250m"][28, 30] == pytest.approx(np.mean(angles), abs=1e-3)


def test_holes_and_edges_are_left_out(derived):
    heights = np.random.default_rng(1).normal(500, 5, (40, 40))
    holed = heights.copy()
    holed[10:14, 10:20] = -9999
    bands = derived(holed, radii=(50,))
    for band in bands.values():
        np.testing.assert_array_equal(np.ma.getmaskarray(band), holed == -9999)
        assert np.isfinite(band.compressed()).all()
    assert bands["relief_50m"].max() < 60


@pytest.mark.parametrize("crs", [32632, 4326])
@pytest.mark.parametrize("rows", [1, 7, 16])
def test_blocks_do_not_show(make_raster, tmp_path, monkeypatch, crs, rows):
    heights = np.random.default_rng(2).normal(500, 30, (50, 30)).astype(np.float32)
    heights[20:24, 5:9] = -9999
    transform = from_origin(10, 60, 3e-4, 2e-4) if crs == 4326 else from_origin(5e5, 5e6, 10, 20)
    path = make_raster("dem.tif", heights, transform=transform, crs=crs, nodata=-9999)
    whole = run(path, tmp_path / "whole.tif", [45, 90])
    monkeypatch.setattr(terrain_blocks, "block_rows", lambda grid, bands: rows)
    parted = run(path, tmp_path / "parted.tif", [45, 90])
    for name, band in whole.items():
        np.testing.assert_array_equal(parted[name], band, err_msg=name)


@pytest.mark.parametrize("crs", [32632, 4326])
def test_threads_work_on_it_and_do_not_show(make_raster, tmp_path, monkeypatch, crs):
    heights = np.random.default_rng(3).normal(500, 30, (50, 30)).astype(np.float32)
    heights[20:24, 5:9] = -9999
    transform = from_origin(10, 60, 3e-4, 2e-4) if crs == 4326 else from_origin(5e5, 5e6, 10, 20)
    path = make_raster("dem.tif", heights, transform=transform, crs=crs, nodata=-9999)
    working = set()

    def noted(function):
        def noting(*arguments, **options):
            working.add((function.__name__, threading.get_ident()))
            time.sleep(1e-4)  # has the other threads begin
            return function(*arguments, **options)

        return noting

    for module, name in ((scales, "maximum_filter1d"), (smoothing, "correlate1d")):
        monkeypatch.setattr(module, name, noted(getattr(module, name)))
    monkeypatch.setattr(chunks, "cores", lambda: 1)
    alone = run(path, tmp_path / "alone.tif", [45, 90], smoothing=20)
    working.clear()
    monkeypatch.setattr(chunks, "cores", lambda: 3)
    shared = run(path, tmp_path / "shared.tif", [45, 90], smoothing=20)
    for name, band in alone.items():
        np.testing.assert_array_equal(shared[name], band, err_msg=name)
    for name in ("maximum_filter1d", "correlate1d"):
        threads = {thread for function, thread in working if function == name}
        assert len(threads - {threading.get_ident()}) > 1, name


def test_on_degrees_metres_are_those_of_the_ground(make_raster, tmp_path):
    """At 60 degrees north a degree of longitude is half of one of latitude."""
    transform = from_origin(10, 60, 2e-4, 1e-4)  # about 11 x 11 m
    heights = 0.5 * 11.15 * np.hypot(*from_the_middle((1, 1), 41)).astype(np.float32)
    path = make_raster("dem.tif", 1000 + heights, transform=transform, crs=4326)
    bands = run(path, tmp_path / "out.tif", [150])
    assert bands["openness_150m"][20, 20] == pytest.approx(90 - np.degrees(np.arctan(0.5)), abs=0.2)
    assert bands["relief_150m"][20, 20] == pytest.approx(0.5 * 150, rel=0.06)


@pytest.mark.parametrize("radius", [3.0, 5000.0])
def test_a_radius_that_does_not_fit_the_dem_is_one_sentence(derived, radius):
    with pytest.raises(InputError, match=r"does not fit the DEM, whose pixels have 10 m and which"):
        derived(np.zeros((30, 40)), radii=(radius,))


def test_the_names_are_those_of_the_radii():
    assert scales.band_names([2.5])[0] == "tpi_2.5m"
