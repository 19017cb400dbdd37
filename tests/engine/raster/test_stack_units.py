"""Stacks of imagery: numbers become reflectance where it is known how."""

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import rasterio.warp
from landslide_mapper.landslide_plugin.contract.errors import InputError

from .stacking import run


class TestUnits:
    """Imagery becomes reflectance where it is known how; all else stays."""

    RED, NIR, HEIGHT, NDVI = 1400, 4000, 812, 3

    @pytest.fixture
    def layers(self, make_raster):
        rows = np.ones((8, 9))
        image = np.array([self.RED * rows, self.NIR * rows], np.uint16)
        told = make_raster("told.tif", image, bands=["B04", "B08"])
        with rasterio.open(told, "r+") as dataset:
            dataset.update_tags(PROCESSING_BASELINE="05.09")
        return {
            "told": told,
            "unsure": make_raster("unsure.tif", image, bands=["B04", "B08"]),
            "unknown": make_raster("unknown.tif", image, bands=["red", "nir"]),
            "picture": make_raster("picture.tif", image // 20, bands=["red", "nir"]),
            "dem": make_raster(
                "dem.tif", (self.HEIGHT * rows).astype(np.int16), bands=["elevation"]
            ),
            "index": make_raster("index.tif", (self.NDVI * rows).astype(np.int16), bands=["ndvi"]),
        }

    def units(self, path):
        with rasterio.open(path) as dataset:
            return dict(zip(dataset.descriptions, dataset.units, strict=True))

    def test_known_numbers_become_reflectance_and_say_so(self, layers, tmp_path):
        given = [layers["told"], layers["dem"], layers["index"]]
        result, texts = run(given, tmp_path / "a.tif")
        np.testing.assert_allclose(result["red"], 0.04, rtol=1e-5)
        np.testing.assert_allclose(result["nir"], 0.3, rtol=1e-5)
        assert (result["elevation"] == self.HEIGHT).all()
        assert (result["ndvi"] == self.NDVI).all()
        assert self.units(tmp_path / "a.tif") == {
            "red": "reflectance", "nir": "reflectance", "elevation": None, "ndvi": None,
        }  # fmt: skip
        assert any("red, nir of the layers is taken to be value x 0.0001 -0.1" in t for t in texts)

    def test_a_stack_of_a_stack_is_the_same(self, layers, tmp_path):
        first, _ = run([layers["told"]], tmp_path / "a.tif")
        second, texts = run([tmp_path / "a.tif"], tmp_path / "b.tif")
        np.testing.assert_array_equal(first["red"], second["red"])
        assert self.units(tmp_path / "b.tif")["red"] == "reflectance"
        assert not any("reflectance" in text for text in texts)

    def test_an_offset_that_may_be_there_is_asked_for(self, layers, tmp_path):
        _, texts = run([layers["unsure"]], tmp_path / "a.tif")
        assert any("whether an offset was added to the reflectance of red, nir" in t for t in texts)

    def test_unknown_numbers_stay_and_are_told_but_pictures(self, layers, tmp_path):
        result, texts = run([layers["unknown"]], tmp_path / "a.tif")
        assert (result["red"] == self.RED).all()
        told = [text for text in texts if "red, nir of the layers are of unknown units" in text]
        assert len(told) == 1 and ": give SCALE and OFFSET" in told[0]
        result, texts = run([layers["picture"]], tmp_path / "b.tif")
        assert (result["red"] == self.RED // 20).all()
        assert self.units(tmp_path / "b.tif")["red"] is None
        assert len(texts) == 1  # the table

    def test_scale_and_offset_given_count_for_digital_numbers_of_imagery(self, layers, tmp_path):
        given = [layers["unknown"], layers["dem"], layers["told"]]
        result, _ = run(given, tmp_path / "a.tif", scale=1e-3, offset=-1.0)
        for red in ("red", "red_2"):
            np.testing.assert_allclose(result[red], 0.4, rtol=1e-5)
        assert (result["elevation"] == self.HEIGHT).all()
        with pytest.raises(InputError, match="SCALE and OFFSET are given, but no band"):
            run([layers["dem"]], tmp_path / "b.tif", scale=1e-3)

    def test_two_dates_each_by_its_own(self, layers, make_raster, tmp_path):
        """Before and after, without change: one harmonised, one not."""
        image = np.full((2, 8, 9), [[[self.RED - 1000]], [[self.NIR - 1000]]], np.uint16)
        before = make_raster("S2_SR_HARMONIZED_before.tif", image, bands=["B04", "B08"])
        result, _ = run([layers["told"], before], tmp_path / "a.tif")
        np.testing.assert_allclose(result["red"], result["red_2"], atol=1e-6)
        np.testing.assert_allclose(result["nir"], result["nir_2"], atol=1e-6)

    def test_nodata_stays_nodata(self, make_raster, tmp_path):
        image = np.full((1, 8, 9), 1400, np.uint16)
        image[0, 2:4, 2:4] = 0
        path = make_raster("S2_SR_HARMONIZED.tif", image, bands=["B04"], nodata=0)
        result, _ = run([path], tmp_path / "a.tif")
        assert result["red"].mask.sum() == 4
        np.testing.assert_allclose(result["red"].compressed(), 0.14, rtol=1e-5)


@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_numbers_of_a_scene_in_a_corner_are_seen_to_be_no_reflectance(make_raster, tmp_path, kind):
    """As at the edge of a swath: most of the raster holds nothing."""
    image = np.zeros((2, 700, 700), kind)
    image[:, :60, :60] = 2000
    path = make_raster("tile.tif", image, bands=["B04", "B08"], nodata=0)
    _, texts = run([path], tmp_path / "a.tif")
    assert any("not known whether an offset was added" in text for text in texts)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert dataset.read(1)[0, 0] == pytest.approx(0.2)


def test_thermal_bands_are_not_short_wave_infrared(make_raster, tmp_path):
    """A top-of-atmosphere export of Landsat 8, whose sensor its bands tell."""
    names = ["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B9", "B10", "B11"]
    values = np.arange(1, 11, dtype=np.float32)[:, None, None] * np.ones((4, 5), np.float32)
    result, _ = run([make_raster("l8.tif", values, bands=names)], tmp_path / "stack.tif")
    assert result["swir1"].max() == 6
    assert result["thermal2"].max() == 10
