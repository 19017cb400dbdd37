"""Spectral indices: formulas, bands in files, scale, change, division by zero, real images."""

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors import spectral
from landslide_mapper.landslide_plugin.factors.spectralindices_command import spectralindices
from landslide_mapper.landslide_plugin.request import checked
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin
from sklearn.metrics import roc_auc_score

SIX = ["blue", "green", "red", "nir", "swir1", "swir2"]
REFLECTANCE = [0.05, 0.08, 0.1, 0.4, 0.25, 0.15]


def run(path, output, **parameters):
    events = []
    given = {"input": str(path), "output": str(output), **parameters}
    given = checked("spectralindices", spectralindices, given)
    spectralindices(**given, progress=Progress(events.append))
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
    result, _ = run(path, tmp_path / "out.tif", indices=list(spectral.INDICES))
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
    assert set(result) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(result[name], value, rtol=1e-5, err_msg=name)


@given(arrays(np.float32, (6, 3, 3), elements=st.floats(-1, 2, width=32)))
def test_normalised_differences_stay_within_one(values):
    names = [name for name, index in spectral.INDICES.items() if not index.needs_reflectance]
    result, valid = spectral.derive(values, np.ones(values.shape, bool), SIX, names)
    assert np.all(np.abs(result[valid]) <= 1 + 1e-6)
    assert np.isfinite(result).all()


class TestNodata:
    def test_division_by_zero_is_nodata_in_that_index_alone(self, make_raster, tmp_path):
        values = np.array(image(REFLECTANCE))
        values[[2, 3], 0, 0] = 0  # red and nir
        path = make_raster("image.tif", values, bands=SIX)
        result, _ = run(path, tmp_path / "out.tif", indices=["ndvi", "mndwi"])
        assert result["ndvi"].mask.sum() == 1
        assert result["ndvi"].mask[0, 0]
        assert result["mndwi"].count() == 12

    def test_a_pixel_invalid_in_a_needed_band(self, make_raster, tmp_path):
        values = np.array(image(REFLECTANCE))
        values[2, 1, 1] = -9999
        values[0, 2, 2] = -9999  # blue: not needed
        path = make_raster("image.tif", values, bands=SIX, nodata=-9999)
        result, _ = run(path, tmp_path / "out.tif", indices=["ndvi"])
        assert result["ndvi"].mask.sum() == 1
        assert result["ndvi"].mask[1, 1]

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
        result, _ = run(path, tmp_path / "out.tif", indices=["ndvi", "savi"])
        np.testing.assert_allclose(result["ndvi"], 0.6, atol=1e-3)
        np.testing.assert_allclose(result["savi"], 1.5 * 0.3 / 1.0, atol=1e-3)

    def test_sentinel_2_integers_are_reflectance_times_10000(self, make_raster, tmp_path):
        path = make_raster("image.tif", image([1000, 4000], np.int16), bands=["B04", "B08"])
        result, texts = run(path, tmp_path / "out.tif", indices=["savi"])
        np.testing.assert_allclose(result["savi"], 0.45, rtol=1e-5)
        assert any("value x 0.0001, as" in text for text in texts)

    def test_landsat_surface_reflectance_without_a_scale_is_collection_2(
        self, make_raster, tmp_path
    ):
        """Its offset changes even ratios, so it can't be left out."""
        stored = np.round((np.array([0.1, 0.4]) + 0.2) / 2.75e-5)
        path = make_raster("image.tif", image(stored, np.uint16), bands=["SR_B4", "SR_B5"])
        result, texts = run(path, tmp_path / "out.tif", indices=["ndvi"], sensor="landsat89")
        np.testing.assert_allclose(result["ndvi"], 0.6, atol=1e-3)
        assert any("value x 2.75e-05 -0.2" in text for text in texts)

    def test_scale_of_bands_that_are_resampled(self, make_raster, tmp_path):
        fine = make_raster("fine.tif", image([0.1], pixels=(8, 8)), bands=["red"])
        coarse = make_raster(
            "coarse.tif", image([400], np.int16, (4, 4)), bands=["nir"],
            transform=from_origin(500000, 5000000, 20, 20),
        )  # fmt: skip
        with rasterio.open(coarse, "r+") as dataset:
            dataset.scales = [1e-3]
        result, _ = run(fine, tmp_path / "out.tif", bands=[coarse], indices=["ndvi"])
        np.testing.assert_allclose(result["ndvi"], 0.6, rtol=1e-5)

    def test_other_integers_warn_where_it_matters(self, make_raster, tmp_path):
        path = make_raster("image.tif", image([100, 200], np.uint8), bands=["red", "nir"])
        _, texts = run(path, tmp_path / "savi.tif", indices=["savi"])
        assert any("savi" in text and "reflectance from 0 to 1" in text for text in texts)

    @pytest.mark.parametrize("name", list(spectral.INDICES))
    @pytest.mark.parametrize(
        ("bands", "parameters"),
        [
            (SIX, {}),
            ([f"B{n}" for n in range(1, 8) if n != 6], {"sensor": "landsat57"}),
            (None, {"sensor": "landsat89"}),
            (["B02", "B03", "B04", "B8A", "B11", "B12"], {"sensor": "sentinel2"}),
        ],
    )
    def test_every_index_of_integers_of_unknown_offset_warns(
        self, make_raster, tmp_path, name, bands, parameters
    ):
        """An added offset changes ratios too."""
        values = image([8000, 8500, 9000, 18000, 12000, 10000], np.uint16)
        path = make_raster("image.tif", values, bands=bands)
        numbers = {"nir": 4} if parameters.get("sensor") == "sentinel2" else {}
        _, texts = run(path, tmp_path / "a.tif", indices=[name], **parameters, **numbers)
        assert any(text.startswith(f"{name} of the image may be wrong") for text in texts)
        assert any("SCALE and OFFSET" in text for text in texts)
        result, texts = run(
            path, tmp_path / "b.tif", indices=[name], scale=2.75e-5, offset=-0.2,
            **parameters, **numbers,
        )  # fmt: skip
        as_floats = make_raster("floats.tif", values * np.float32(2.75e-5) - 0.2, bands=SIX)
        expected, _ = run(as_floats, tmp_path / "c.tif", indices=[name])
        np.testing.assert_allclose(result[name], expected[name], atol=1e-5)
        assert len(texts) == 1
        assert "value x 2.75e-05 -0.2" in texts[0]


class TestBands:
    @pytest.mark.parametrize(
        ("values", "names", "told"),
        [
            ([0.4, 0.1], None, {"nir": 1, "red": 2}),
            ([0.05, 0.08, 0.1, 0.4], None, {"sensor": "planet4"}),
            ([0.1, 0.4], ["B3", "B4"], {"sensor": "landsat57"}),
        ],
        ids=["by numbers", "by sensor", "by names of a sensor"],
    )
    def test_bands_without_common_names_are_told(self, make_raster, tmp_path, values, names, told):
        path = make_raster("image.tif", image(values), bands=names)
        result, _ = run(path, tmp_path / "out.tif", indices=["ndvi"], **told)
        np.testing.assert_allclose(result["ndvi"], 0.6, rtol=1e-5)

    def test_a_band_of_opacity_counts_in_numbers_and_is_none_itself(self, make_raster, tmp_path):
        path = make_raster("image.tif", image([0.2, 0.9, 0.1, 1.0, 0.4, 0.7]))
        with rasterio.open(path, "r+") as dataset:
            dataset.colorinterp = (
                [ColorInterp.undefined] * 3 + [ColorInterp.alpha] + [ColorInterp.undefined] * 2
            )
        result, _ = run(path, tmp_path / "out.tif", indices=["ndvi"], nir=5, red=3)
        np.testing.assert_allclose(result["ndvi"], 0.6, rtol=1e-5)
        with pytest.raises(InputError, match=r"nir band is given as number 4.* 1, 2, 3, 5, 6: "):
            run(path, tmp_path / "out.tif", indices=["ndvi"], nir=4, red=3)

    @pytest.mark.parametrize(
        ("parameters", "text"),
        [
            ({}, "no band known as swir1; its 3 bands are: red, green, nir"),
            ({"indices": ["ndvi"], "nir": 7}, "nir band is given as number 7.* are 1, 2, 3: "),
            ({"indices": ["ndvi"], "sensor": "ikonos"}, 'SENSOR is "ikonos": choose one of auto, '),
            ({"indices": ["evi"]}, r'INDICES is ."evi".: choose from ndvi'),
            ({"indices": []}, r"INDICES is ..: choose from ndvi"),
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


class TestFiles:
    """An image whose bands lie in several files."""

    def test_bands_of_other_resolution_are_brought_to_the_image_s_grid(self, make_raster, tmp_path):
        """A 20 m band that rises to the east is met between its pixels."""
        metres = np.arange(16) * 10 + 5
        fine = make_raster("T32TPQ_B03_10m.tif", np.full((16, 16), 0.2, np.float32))
        rising = np.tile(np.arange(8) * 20 + 10, (8, 1)).astype(np.float32) / 1000
        coarse = make_raster(
            "T32TPQ_B11_20m.tif", rising, transform=from_origin(500000, 5000000, 20, 20)
        )
        result, _ = run(fine, tmp_path / "out.tif", bands=[coarse], indices=["mndwi"])
        assert result["mndwi"].shape == (16, 16)
        expected = (0.2 - metres / 1000) / (0.2 + metres / 1000)
        np.testing.assert_allclose(
            result["mndwi"][:, 1:-1], np.tile(expected, (16, 1))[:, 1:-1], atol=1e-5
        )

    def test_numbers_count_on_through_the_files(self, make_raster, tmp_path):
        one = make_raster("one.tif", image([0.9, 0.1]))
        two = make_raster("two.tif", image([0.4]))
        result, _ = run(one, tmp_path / "out.tif", bands=[two], indices=["ndvi"], red=2, nir=3)
        np.testing.assert_allclose(result["ndvi"], 0.6, rtol=1e-5)

    def test_the_image_may_be_among_its_bands(self, make_raster, tmp_path):
        red = make_raster("red.tif", image([0.1]), bands=["red"])
        nir = make_raster("nir.tif", image([0.4]), bands=["nir"])
        result, _ = run(red, tmp_path / "out.tif", bands=[red, nir], indices=["ndvi"], nir=2)
        np.testing.assert_allclose(result["ndvi"], 0.6, rtol=1e-5)

    def test_real_landsat_5_in_seven_files(self, data_dir, tmp_path):
        files = sorted((data_dir / "samples/rstoolbox_l5_amazon").glob("*_B?.TIF"))
        assert len(files) == 7
        result, _ = run(
            files[0], tmp_path / "out.tif", bands=[str(path) for path in files[1:]],
            indices=["ndvi", "nbr"],
        )  # fmt: skip
        stored = [rasterio.open(path).read(1).astype(np.float64) for path in files]
        red, nir, swir2 = stored[2], stored[3], stored[6]
        np.testing.assert_allclose(result["ndvi"], (nir - red) / (nir + red), atol=1e-6)
        np.testing.assert_allclose(result["nbr"], (nir - swir2) / (nir + swir2), atol=1e-6)
        assert np.median(result["ndvi"]) > 0.4  # rain forest


class TestChange:
    """The change of an index is earlier less later."""

    def test_sign(self, make_raster, tmp_path):
        """Woods that became bare ground."""
        woods, bare = [0.03, 0.06, 0.04, 0.4, 0.15, 0.08], [0.1, 0.13, 0.17, 0.25, 0.35, 0.3]
        before = make_raster("before.tif", image(woods), bands=SIX)
        after = make_raster("after.tif", image(bare), bands=SIX)
        names = list(spectral.INDICES)
        result, _ = run(after, tmp_path / "out.tif", earlier=before, indices=names)
        assert list(result) == [*names, *(f"d{name}" for name in names)]
        earlier, _ = run(before, tmp_path / "before_indices.tif", indices=names)
        for name in names:
            np.testing.assert_allclose(result[f"d{name}"], earlier[name] - result[name], atol=1e-6)
        signs = {name: np.sign(result[f"d{name}"].mean()) for name in names if name != "mndwi"}
        assert {name for name, sign in signs.items() if sign > 0} == {"ndvi", "savi", "nbr"}
        assert all(signs.values())

    def test_nothing_changed(self, make_raster, tmp_path):
        path = make_raster("image.tif", image(REFLECTANCE), bands=SIX)
        result, _ = run(path, tmp_path / "out.tif", earlier=path)
        assert np.all(result["dndvi"] == 0)
        assert result["dndvi"].count() == 12

    def test_it_is_nodata_where_one_of_the_images_is(self, make_raster, tmp_path):
        before, after = np.array(image(REFLECTANCE)), np.array(image(REFLECTANCE))
        before[2, 0, 0] = after[2, 1, 1] = -9999
        before[[2, 3], 2, 2] = 0
        result, _ = run(
            make_raster("after.tif", after, bands=SIX, nodata=-9999),
            tmp_path / "out.tif",
            earlier=make_raster("before.tif", before, bands=SIX, nodata=-9999),
            indices=["ndvi"],
        )
        assert np.argwhere(result["ndvi"].mask).tolist() == [[1, 1]]
        assert np.argwhere(result["dndvi"].mask).tolist() == [[0, 0], [1, 1], [2, 2]]

    def test_each_image_has_its_own_scale_and_grid(self, make_raster, tmp_path):
        after = make_raster("after.tif", image([0.2, 0.3]), bands=["red", "nir"])
        before = make_raster(
            "before.tif", image([4000, 1000], np.int16, (2, 3)), bands=["B08", "B04"],
            transform=from_origin(499990, 5000010, 30, 30),
        )  # fmt: skip
        result, _ = run(
            after, tmp_path / "out.tif", earlier=before, indices=["savi"], earlier_scale=1e-4
        )
        assert result["dsavi"].shape == (3, 4)
        np.testing.assert_allclose(result["dsavi"], 0.45 - 0.15, rtol=1e-5)

    def test_two_dates_of_one_ground_of_which_one_holds_an_offset(self, make_raster, tmp_path):
        """Corrected where each tells its own: by its values, its product or the user."""
        before = make_raster("pre.tif", image([400, 3000], np.uint16), bands=["B04", "B08"])
        after = make_raster("post.tif", image([1400, 4000], np.uint16), bands=["B04", "B08"])
        told = {"earlier": before, "indices": ["ndvi"]}
        with pytest.raises(InputError, match=r"added to the image's reflectance.*give SCALE and"):
            run(after, tmp_path / "out.tif", **told)
        with pytest.raises(InputError, match=r"earlier image's.*EARLIER_SCALE and EARLIER_OFFSET"):
            run(before, tmp_path / "out.tif", earlier=after, indices=["ndvi"])
        assert not (tmp_path / "out.tif").exists()
        result, _ = run(after, tmp_path / "out.tif", scale=1e-4, offset=-0.1, **told)
        np.testing.assert_allclose(result["dndvi"], 0, atol=1e-6)
        np.testing.assert_allclose(result["ndvi"], 2600 / 3400, rtol=1e-5)
        with rasterio.open(after, "r+") as dataset:
            dataset.update_tags(PROCESSING_BASELINE="05.09")
        result, texts = run(after, tmp_path / "told.tif", **told)
        np.testing.assert_allclose(result["dndvi"], 0, atol=1e-6)
        assert not any("may be wrong" in text for text in texts)

    def test_days_before_and_after_the_offset_came(self, make_raster, tmp_path):
        """25 January 2022; neither values nor products tell, so that one could have it."""
        bright = image([1400, 4000], np.uint16)
        before = make_raster("T32TQQ_20220120T101031.tif", bright, bands=["B04", "B08"])
        after = make_raster("T32TQQ_2022-01-30.tif", bright, bands=["B04", "B08"])
        with pytest.raises(InputError, match=r"25 January 2022.*SCALE.*EARLIER_SCALE"):
            run(after, tmp_path / "out.tif", earlier=before, indices=["ndvi"])
        _, texts = run(after, tmp_path / "out.tif", earlier=after, indices=["ndvi"])
        assert sum("may be wrong" in text for text in texts) == 2

    def test_an_offset_without_a_scale_is_refused(self, make_raster, tmp_path):
        path = make_raster("image.tif", image(REFLECTANCE), bands=SIX)
        with pytest.raises(InputError, match=r"EARLIER_OFFSET .* without EARLIER_SCALE"):
            run(path, tmp_path / "out.tif", earlier=path, earlier_offset=-0.1)

    @pytest.mark.parametrize("dtype", ["float32", "int16"])
    def test_what_one_band_of_the_earlier_image_lacks_is_no_change(
        self, make_raster, tmp_path, dtype
    ):
        """On another grid too; nothing changed on the ground."""
        red, nir = np.full((20, 20), 1000), np.full((20, 20), 4000)
        after = make_raster("after.tif", np.stack([red, nir]).astype(dtype), bands=["red", "nir"])
        nir = nir.copy()
        nir[5:10, 8:12] = -9999
        before = make_raster(
            "before.tif", np.stack([red, nir]).astype(dtype), bands=["red", "nir"], nodata=-9999,
            transform=from_origin(499996, 5000004, 10, 10),
        )  # fmt: skip
        result, _ = run(after, tmp_path / "out.tif", earlier=before, indices=["ndvi"])
        assert result["ndvi"].count() == 400
        assert 0 < np.ma.getmaskarray(result["dndvi"]).sum() < 40
        assert np.abs(result["dndvi"].compressed()).max() < 1e-6

    def test_what_the_earlier_image_lacks_is_said_of_it(self, make_raster, tmp_path):
        after = make_raster("after.tif", image(REFLECTANCE), bands=SIX)
        before = make_raster("before.tif", image([0.1, 0.2]), bands=["red", "green"])
        with pytest.raises(InputError, match="earlier image has no band known as nir"):
            run(after, tmp_path / "out.tif", earlier=before, indices=["ndvi"])
        assert not (tmp_path / "out.tif").exists()

    def test_real_landslides_stand_out_by_it(self, data_dir, tmp_path):
        """Emilia, rain of May 2023: how well dndvi alone parts landslides from the rest."""
        folder = data_dir / "emilia_s2"
        with rasterio.open(folder / "mask_4120.tif") as dataset:
            landslide = dataset.read(1).ravel() > 0
        areas = {}
        for date in ("20230523", "20230627"):
            result, _ = run(
                folder / f"s2_post_{date}_10bands.tif", tmp_path / f"{date}.tif",
                earlier=str(folder / "s2_pre_20230413_10bands.tif"), indices=["ndvi"],
            )  # fmt: skip
            areas[date] = roc_auc_score(landslide, result["dndvi"].compressed())
        assert areas["20230523"] == pytest.approx(0.829, abs=5e-3)  # a week after
        assert areas["20230627"] == pytest.approx(0.776, abs=5e-3)  # harvest is in it too


def test_blocks_don_t_show(make_raster, tmp_path, monkeypatch):
    values = np.random.default_rng(1).uniform(0, 1, (2, 600, 700)).astype(np.float32)
    path = make_raster("image.tif", values, bands=["red", "nir"])
    before = make_raster("before.tif", values[::-1], bands=["red", "nir"])
    whole, _ = run(path, tmp_path / "whole.tif", earlier=before, indices=["ndvi"])
    monkeypatch.setattr(spectral, "_BLOCK_MEGABYTES", 1e-6)  # blocks of 256 x 256
    blocks, _ = run(path, tmp_path / "blocks.tif", earlier=before, indices=["ndvi"])
    for name, index in whole.items():
        np.testing.assert_array_equal(index, blocks[name])


def test_real_sentinel_2(data_dir, tmp_path):
    """Emilia in May, after the rain: green fields and woods with bare scars, no open water."""
    path = data_dir / "emilia_s2/s2_post_20230523_10bands.tif"
    result, _ = run(path, tmp_path / "out.tif")
    with rasterio.open(path) as dataset:
        bands = dict(zip(dataset.descriptions, dataset.read().astype(np.float64), strict=True))
    ndvi = (bands["B08"] - bands["B04"]) / (bands["B08"] + bands["B04"])
    mndwi = (bands["B03"] - bands["B11"]) / (bands["B03"] + bands["B11"])
    np.testing.assert_allclose(result["ndvi"], ndvi, atol=1e-6)
    np.testing.assert_allclose(result["mndwi"], mndwi, atol=1e-6)
    assert 0.4 < np.median(ndvi) < 0.9
    assert np.median(mndwi) < -0.2


def test_real_sentinel_2_ndvi_falls_on_landslides(data_dir, tmp_path):
    result, _ = run(data_dir / "emilia_s2/s2_post_20230523_10bands.tif", tmp_path / "out.tif")
    with rasterio.open(data_dir / "emilia_s2/mask_4120.tif") as dataset:
        landslide = dataset.read(1) > 0
    assert landslide.sum() > 100
    assert result["ndvi"][landslide].mean() < result["ndvi"][~landslide].mean() - 0.1


def test_real_landsat_7(data_dir, tmp_path):
    path = data_dir / "samples/stars_olinda_l7_dem/L7_ETMs.tif"
    result, _ = run(path, tmp_path / "out.tif", sensor="landsat57")
    mndwi = result["mndwi"]
    assert (mndwi > 0.2).mean() > 0.05  # the sea off Olinda
    assert result["ndvi"][mndwi > 0.3].mean() < result["ndvi"][mndwi < 0].mean()
