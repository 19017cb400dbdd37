"""Spectral indices: formulas, how bands are found, scale, division by zero, real Sentinel-2."""

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from landslide_mapper.landslide_plugin.errors import GridError, InputError
from landslide_mapper.landslide_plugin.factors import spectral
from landslide_mapper.landslide_plugin.factors.commands import spectralindices
from landslide_mapper.landslide_plugin.progress import Progress

SIX = ["blue", "green", "red", "nir", "swir1", "swir2"]
REFLECTANCE = [0.05, 0.08, 0.1, 0.4, 0.25, 0.15]


def run(path, output, **parameters):
    events = []
    spectralindices(
        input=str(path), output=str(output), progress=Progress(events.append), **parameters
    )
    with rasterio.open(output) as dataset:
        bands = {
            name: dataset.read(index, masked=True)
            for index, name in enumerate(dataset.descriptions, start=1)
        }
    return bands, [event["text"] for event in events if "text" in event]


def image(values, dtype=np.float32, pixels=(3, 4)):
    return np.broadcast_to(np.array(values, dtype)[:, None, None], (len(values), *pixels))


def test_formulas(make_raster, tmp_path):
    path = make_raster("image.tif", image(REFLECTANCE), bands=SIX)
    found, _ = run(path, tmp_path / "out.tif", indices=list(spectral.INDICES))
    blue, green, red, nir, swir1, swir2 = REFLECTANCE
    expected = {
        "ndvi": (nir - red) / (nir + red),
        "mndwi": (green - swir1) / (green + swir1),
        "ndwi": (green - nir) / (green + nir),
        "ndbi": (swir1 - nir) / (swir1 + nir),
        "bsi": (swir1 + red - nir - blue) / (swir1 + red + nir + blue),
        "savi": 1.5 * (nir - red) / (nir + red + 0.5),
        "nbr": (nir - swir2) / (nir + swir2),
        "brightness": (blue + green + red) / 3,
    }
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, err_msg=name)


@given(arrays(np.float32, (6, 3, 3), elements=st.floats(-1, 2, width=32)))
def test_normalised_differences_stay_within_one(values):
    names = [name for name, index in spectral.INDICES.items() if not index.needs_reflectance]
    found, valid = spectral.derive(values, np.ones(values.shape, bool), SIX, names)
    assert np.all(np.abs(found[valid]) <= 1 + 1e-6)
    assert np.isfinite(found).all()


class TestNodata:
    def test_division_by_zero_is_nodata_in_that_index_alone(self, make_raster, tmp_path):
        values = np.array(image(REFLECTANCE))
        values[[2, 3], 0, 0] = 0  # red and nir
        path = make_raster("image.tif", values, bands=SIX)
        found, _ = run(path, tmp_path / "out.tif", indices=["ndvi", "mndwi"])
        assert found["ndvi"].mask.sum() == 1
        assert found["ndvi"].mask[0, 0]
        assert found["mndwi"].count() == 12

    def test_a_pixel_invalid_in_a_needed_band(self, make_raster, tmp_path):
        values = np.array(image(REFLECTANCE))
        values[2, 1, 1] = -9999
        values[0, 2, 2] = -9999  # blue: not needed
        path = make_raster("image.tif", values, bands=SIX, nodata=-9999)
        found, _ = run(path, tmp_path / "out.tif", indices=["ndvi"])
        assert found["ndvi"].mask.sum() == 1
        assert found["ndvi"].mask[1, 1]

    def test_an_image_without_a_valid_pixel_is_refused(self, make_raster, tmp_path):
        path = make_raster("image.tif", image([0] * 6), bands=SIX, nodata=0)
        with pytest.raises(InputError, match="no valid pixel"):
            run(path, tmp_path / "out.tif")
        assert not (tmp_path / "out.tif").exists()


class TestScale:
    def test_scale_and_offset_of_the_file_count(self, make_raster, tmp_path):
        """Landsat's collection 2: reflectance = 2.75e-5 DN - 0.2."""
        stored = (np.array(REFLECTANCE) + 0.2) / 2.75e-5
        path = make_raster("image.tif", image(stored), bands=SIX)
        with rasterio.open(path, "r+") as dataset:
            dataset.scales, dataset.offsets = [2.75e-5] * 6, [-0.2] * 6
        found, _ = run(path, tmp_path / "out.tif", indices=["ndvi", "savi"])
        np.testing.assert_allclose(found["ndvi"], 0.6, atol=1e-3)
        np.testing.assert_allclose(found["savi"], 1.5 * 0.3 / 1.0, atol=1e-3)

    def test_sentinel_2_integers_are_reflectance_times_10000(self, make_raster, tmp_path):
        path = make_raster("image.tif", image([1000, 4000], np.int16), bands=["B04", "B08"])
        found, texts = run(path, tmp_path / "out.tif", indices=["savi"])
        np.testing.assert_allclose(found["savi"], 0.45, rtol=1e-5)
        assert any("10 000" in text for text in texts)

    def test_other_integers_warn_where_it_matters(self, make_raster, tmp_path):
        path = make_raster("image.tif", image([100, 200], np.uint8), bands=["red", "nir"])
        _, texts = run(path, tmp_path / "savi.tif", indices=["savi"])
        assert any("savi" in text and "reflectance" in text for text in texts)
        _, texts = run(path, tmp_path / "ndvi.tif", indices=["ndvi"])
        assert texts == []


class TestBands:
    def test_by_numbers(self, make_raster, tmp_path):
        path = make_raster("image.tif", image([0.4, 0.1]))
        found, _ = run(path, tmp_path / "out.tif", indices=["ndvi"], nir=1, red=2)
        np.testing.assert_allclose(found["ndvi"], 0.6, rtol=1e-5)

    def test_by_sensor(self, make_raster, tmp_path):
        path = make_raster("image.tif", image([0.05, 0.08, 0.1, 0.4]))
        found, _ = run(path, tmp_path / "out.tif", indices=["ndvi"], sensor="planet4")
        np.testing.assert_allclose(found["ndvi"], 0.6, rtol=1e-5)

    def test_landsat_names_with_their_sensor(self, make_raster, tmp_path):
        path = make_raster("image.tif", image([0.1, 0.4]), bands=["B3", "B4"])
        found, _ = run(path, tmp_path / "out.tif", indices=["ndvi"], sensor="landsat57")
        np.testing.assert_allclose(found["ndvi"], 0.6, rtol=1e-5)

    @pytest.mark.parametrize(
        ("parameters", "text"),
        [
            ({}, "no band known as swir1; its 3 bands are: red, green, nir"),
            ({"indices": ["ndvi"], "nir": 7}, "nir band is given as number 7"),
            ({"indices": ["ndvi"], "sensor": "ikonos"}, "no sensor ikonos"),
            ({"indices": ["evi"]}, "Unknown spectral indices: evi"),
            ({"indices": []}, "none given"),
        ],
    )
    def test_what_can_t_be_found_is_named(self, make_raster, tmp_path, parameters, text):
        path = make_raster("image.tif", image([0.1, 0.2, 0.4]), bands=["red", "green", "nir"])
        with pytest.raises(InputError, match=text):
            run(path, tmp_path / "out.tif", **parameters)
        assert not (tmp_path / "out.tif").exists()

    def test_an_image_without_crs_is_refused(self, make_raster, tmp_path):
        path = make_raster("image.tif", image(REFLECTANCE), bands=SIX, crs=None)
        with pytest.raises(GridError, match="no CRS"):
            run(path, tmp_path / "out.tif")


def test_real_sentinel_2(data_dir, tmp_path):
    """Emilia in May, after the rain: green fields and woods with bare scars, no open water."""
    path = data_dir / "emilia_s2/s2_post_20230523_10bands.tif"
    found, _ = run(path, tmp_path / "out.tif")
    with rasterio.open(path) as dataset:
        bands = dict(zip(dataset.descriptions, dataset.read().astype(np.float64), strict=True))
    ndvi = (bands["B08"] - bands["B04"]) / (bands["B08"] + bands["B04"])
    mndwi = (bands["B03"] - bands["B11"]) / (bands["B03"] + bands["B11"])
    np.testing.assert_allclose(found["ndvi"], ndvi, atol=1e-6)
    np.testing.assert_allclose(found["mndwi"], mndwi, atol=1e-6)
    assert 0.4 < np.median(ndvi) < 0.9
    assert np.median(mndwi) < -0.2


def test_real_sentinel_2_ndvi_falls_on_landslides(data_dir, tmp_path):
    found, _ = run(data_dir / "emilia_s2/s2_post_20230523_10bands.tif", tmp_path / "out.tif")
    with rasterio.open(data_dir / "emilia_s2/mask_4120.tif") as dataset:
        landslide = dataset.read(1) > 0
    assert landslide.sum() > 100
    assert found["ndvi"][landslide].mean() < found["ndvi"][~landslide].mean() - 0.1


def test_real_landsat_7(data_dir, tmp_path):
    path = data_dir / "samples/stars_olinda_l7_dem/L7_ETMs.tif"
    found, _ = run(path, tmp_path / "out.tif", sensor="landsat57")
    mndwi = found["mndwi"]
    assert (mndwi > 0.2).mean() > 0.05  # the sea off Olinda
    assert found["ndvi"][mndwi > 0.3].mean() < found["ndvi"][mndwi < 0].mean()
