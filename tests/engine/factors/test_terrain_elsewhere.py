"""Terrain factors of real DEMs against gdaldem and richdem."""

import shutil
import subprocess

import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.factors.neighbourhood import FLAT_ASPECT
from landslide_mapper.landslide_plugin.raster.source import Source
from rasterio.transform import from_origin

from .deriving import apart, run

gdaldem_needed = pytest.mark.skipif(shutil.which("gdaldem") is None, reason="no gdaldem here")


def gdaldem(mode, dem, output, *options):
    subprocess.run(["gdaldem", mode, dem, output, "-q", *options], check=True)
    with rasterio.open(output) as dataset:
        return dataset.read(1, masked=True)


@gdaldem_needed
class TestAgainstGdaldem:
    @pytest.mark.parametrize(
        "file",
        [
            "kashmir/AW3D30.tif",
            "samples/qgis_training_srtm/dem25.tif",
            "emilia_s2/dem_around_4120_9km_10m.tif",
            "iburi_s2/dsm_aw3d30_utm54n_10m.tif",
        ],
    )
    def test_real_dems_in_metres_edges_included(self, data_dir, tmp_path, file):
        """All but the four corners, and beside nodata, where the rules differ."""
        dem = data_dir / file
        result = run(dem, tmp_path / "ours.tif")
        with Source.open(dem) as source:
            valid = source.read()[1][0]
        whole = valid.copy()
        for shift in (-1, 1):
            for axis in (0, 1):
                rolled = np.roll(valid, shift, axis)
                whole &= rolled & np.roll(rolled, 1, 1 - axis) & np.roll(rolled, -1, 1 - axis)
        whole[[0, 0, -1, -1], [0, -1, 0, -1]] = False
        assert whole.mean() > 0.5
        tolerances = {"slope": 1e-3, "tpi": 1e-3, "tri": 1e-3, "roughness": 1e-6, "hillshade": 0.51}
        for name, tolerance in tolerances.items():
            mode = name.upper() if name in ("tpi", "tri") else name
            theirs = gdaldem(mode, dem, tmp_path / f"{name}.tif", "-compute_edges")
            difference = np.abs(result[name] - theirs)[whole]
            assert difference.count() > 0.99 * whole.sum()
            assert difference.max() < tolerance, name
        theirs = gdaldem("aspect", dem, tmp_path / "aspect.tif", "-compute_edges")
        flat = np.ma.getmaskarray(theirs) & whole
        assert np.all(result["aspect"][flat] == FLAT_ASPECT)
        steep = (
            whole & ~flat & (result["slope"].filled(0) > 5)
        )  # theirs is coarse where nearly flat
        assert apart(result["aspect"], theirs)[steep].max() < 0.01

    def test_srtm_in_degrees_by_the_metres_of_its_row(self, data_dir, tmp_path):
        """Each row as gdaldem sees it if told that row's metres as the pixel's size."""
        dem = data_dir / "samples/qgis_training_srtm/srtm_41_19_4326.tif"
        result = run(dem, tmp_path / "ours.tif", ["slope"])["slope"]
        with Source.open(dem) as source:
            heights, valid = (part[0] for part in source.read())
            dx, dy = source.grid.pixel_metres()
        assert dx[0] != pytest.approx(dy[0], rel=0.1)
        compared = 0
        for row in (1, 200, 400, 617):
            rows = slice(row - 1, row + 2)
            if not valid[rows].all():
                continue
            profile = {
                "driver": "GTiff", "count": 1, "height": 3, "width": heights.shape[1],
                "dtype": "float32", "crs": "EPSG:32734",
                "transform": from_origin(0, 0, dx[row], dy[row]),
            }  # fmt: skip
            with rasterio.open(tmp_path / "strip.tif", "w", **profile) as strip:
                strip.write(heights[rows], 1)
            theirs = gdaldem("slope", tmp_path / "strip.tif", tmp_path / "slope.tif")
            assert np.abs(result[row, 1:-1] - theirs[1, 1:-1]).max() < 1e-3
            compared += 1
        assert compared >= 2

    def test_srtm_in_degrees_agrees_with_itself_in_utm(self, data_dir, tmp_path):
        dem = data_dir / "samples/qgis_training_srtm/srtm_41_19_4326.tif"
        degrees = run(dem, tmp_path / "degrees.tif", ["slope"])["slope"]
        utm, back = tmp_path / "utm.tif", tmp_path / "back.tif"
        warp = ["gdalwarp", "-q", "-r", "bilinear"]
        subprocess.run([*warp, "-t_srs", "EPSG:32734", dem, utm], check=True)
        run(utm, tmp_path / "slope.tif", ["slope"])
        with rasterio.open(dem) as source:
            bounds, size = [str(value) for value in source.bounds], source.shape
        subprocess.run(
            [
                *warp, "-t_srs", "EPSG:4326", "-te", *bounds, "-ts", str(size[1]), str(size[0]),
                tmp_path / "slope.tif", back,
            ],
            check=True,
        )  # fmt: skip
        with rasterio.open(back) as dataset:
            metres = dataset.read(1, masked=True)
        difference = np.ma.abs(degrees - metres)[5:-5, 5:-5].compressed()
        assert difference.size > 100_000
        assert np.median(difference) < 0.5


def test_aspect_is_exact_where_it_is_nearly_flat_too(data_dir, tmp_path):
    """gdaldem sums elevations in float32 and is off by up to 0.16 degrees here."""
    dem = data_dir / "kashmir/AW3D30.tif"
    result = run(dem, tmp_path / "out.tif", ["aspect", "elevation"])
    z = result["elevation"].filled(0).astype(np.float64)
    a, b, c = z[:-2, :-2], z[:-2, 1:-1], z[:-2, 2:]
    d, f = z[1:-1, :-2], z[1:-1, 2:]
    g, h, i = z[2:, :-2], z[2:, 1:-1], z[2:, 2:]
    east = (a + 2 * d + g) - (c + 2 * f + i)
    north = (g + 2 * h + i) - (a + 2 * b + c)
    expected = np.degrees(np.arctan2(east, north))
    assert apart(result["aspect"][1:-1, 1:-1], expected).max() < 1e-3


def test_curvatures_are_a_hundredth_of_richdem_s(data_dir, tmp_path):
    richdem = pytest.importorskip("richdem")
    result = run(data_dir / "kashmir/AW3D30.tif", tmp_path / "out.tif")
    dem = richdem.rdarray(result["elevation"].filled(-9999), no_data=-9999)
    with rasterio.open(data_dir / "kashmir/AW3D30.tif") as dataset:
        dem.geotransform = dataset.transform.to_gdal()
    for ours, theirs in (
        ("plan_curvature", "planform_curvature"),
        ("profile_curvature", "profile_curvature"),
        ("curvature", "curvature"),
    ):
        expected = np.asarray(richdem.TerrainAttribute(dem, theirs))[1:-1, 1:-1] / 100
        np.testing.assert_allclose(result[ours][1:-1, 1:-1], expected, atol=1e-6)
