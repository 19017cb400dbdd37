"""What bands are called, and which is which."""

import pytest
from landslide_mapper.landslide_plugin.contract.choices import Map, SpectralIndices, Stack
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.raster.bands import (
    SENSORS,
    common_name,
    common_names,
    find_bands,
    name_from_file,
)

SENTINEL2_TEN = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"]
COMMON_TEN = [
    "blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir_narrow", "swir1",
    "swir2",
]  # fmt: skip


class TestNames:
    def test_sentinel_2_by_its_two_digits(self):
        assert [common_name(name) for name in SENTINEL2_TEN] == COMMON_TEN
        assert common_names(SENTINEL2_TEN) == COMMON_TEN

    def test_one_digit_says_nothing_without_the_sensor(self):
        assert common_name("B4") == "B4"
        assert common_name("B4", "landsat57") == "nir"
        assert common_name("B4", "landsat89") == "red"
        assert common_name("SR_B5", "landsat89") == "nir"
        assert common_name("B4", "sentinel2") == "red"

    def test_company_tells_the_sensor(self):
        assert common_names(["B2", "B8", "B8A", "B12"]) == ["blue", "nir", "nir_narrow", "swir2"]
        assert common_names(["B1", "B2", "B3"]) == ["B1", "B2", "B3"]

    @pytest.mark.parametrize("name", ["nir", "NIR", "Nir", "near infrared", "near_infrared"])
    def test_spellings(self, name):
        assert common_name(name) == "nir"

    @pytest.mark.parametrize("name", ["elevation", "slope", "ndvi", "lithology_basalt", "band_1"])
    def test_other_names_stay(self, name):
        assert common_name(name) == name

    @pytest.mark.parametrize(
        ("stem", "name"),
        [
            ("LT52240631988227CUB02_B4", "nir"),
            ("LC08_L2SP_042034_20200101_20200113_02_T1_SR_B4", "red"),
            ("LE07_L1TP_160039_B7", "swir2"),
            ("T32TPQ_20230523T101031_B04_10m", "red"),
            ("T32TPQ_20230523T101031_B8A", "nir_narrow"),
            ("AW3D30", "AW3D30"),
            ("image_B4", "image_B4"),
        ],
    )
    def test_files_of_one_band(self, stem, name):
        assert name_from_file(stem) == name

    @pytest.mark.parametrize(
        ("path", "name"),
        [
            ("/scene/T32TQQ_20230523T101031_B11_20m.jp2", "swir1"),
            ("LC08_L2SP_042034_20200101_20200113_02_T1_ST_B10.TIF", "thermal"),
            ("LC08_L1TP_042034_20200101_20200113_02_T1_B11.TIF", "thermal2"),
            ("LE07_L1TP_160039_20000101_20170101_01_T1_B6_VCID_2.TIF", "thermal2"),
            ("LC08_L1TP_042034_20200101_20200113_01_T1_sr_band4.tif", "red"),
            ("HLS.L30.T32TQQ.2023143T101031.v2.0.B05.tif", "nir"),
            ("HLS.S30.T32TQQ.2023143T101031.v2.0.B11.tif", "swir1"),
            ("cogs/20/H/MD/2022/10/S2B_20HMD_20221023_0_L2A/B11.tif", "swir1"),
            ("image_B11.tif", "image_B11"),
            ("GPKG:/area/factors.gpkg:slope", "slope"),
            ("GPKG:C:/area/factors.gpkg:slope", "slope"),
            ('NETCDF:"/area/factors.nc":slope', "slope"),
            ('HDF5:"/area/factors.h5"://group/slope', "slope"),
            ("/vsigzip//area/slope.tif.gz", "slope"),
            ("C:/area/slope.tif", "slope"),
            ("area/slope.asc", "slope"),
            ("area/slope.gpkg", "slope"),
            ("area/slope.tar.gz", "slope"),
            ("area/slope.nc", "slope"),
            ("area/10:31.tif", "10:31"),
        ],
    )
    def test_a_file_is_known_by_its_product_or_its_folder_s(self, path, name):
        assert name_from_file(path) == name


LANDSAT8 = ["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11"]


class TestCompany:
    """The names of an image's bands tell its sensor, if they do; a thermal band is never SWIR."""

    @pytest.mark.parametrize(
        "left_out", [set(), {"B8"}, {"B9"}, {"B8", "B9"}, {"B1", "B8", "B9"}, {"B8", "B10"}]
    )
    def test_landsat_8_by_its_thermal_bands(self, left_out):
        names = [name for name in LANDSAT8 if name not in left_out]
        result = dict(zip(names, common_names(names), strict=True))
        assert result["B11"] == "thermal2"
        assert [result[name] for name in ("B2", "B4", "B5", "B6", "B7")] == [
            "blue", "red", "nir", "swir1", "swir2",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "names",
        [
            ["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12"],
            ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"],
            ["b02", "b03", "b04", "b08", "b11"],
            ["B4, central wavelength 665 nm", "B8A, central wavelength 865 nm", "B11"],
            ["Band 8", "Band 8A", "Band 11"],
        ],
    )
    def test_b11_is_swir1_in_sentinel_2_s_company(self, names):
        assert "swir1" in common_names(names)

    @pytest.mark.parametrize(
        ("names", "common"),
        [
            (["SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B7"], "blue red nir"),
            (["SR_B1", "SR_B3", "SR_B4", "ST_B6"], "blue red nir thermal"),
            (["B1", "B3", "B4", "B61", "B62"], "blue red nir thermal thermal2"),
            (["B1", "B3", "B4", "B6_VCID_1", "B6_VCID_2"], "blue red nir thermal thermal2"),
            (["SR_B2", "SR_B4", "SR_B5", "SR_B6", "ST_B10"], "blue red nir swir1 thermal"),
            (["sr_b4", "sr_b5", "st_b10"], "red nir thermal"),
            (["B01", "B02", "B04", "B05", "B06", "B09", "B10", "B11"], "blue red nir swir1"),
        ],
    )
    def test_landsat_s_own(self, names, common):
        """The last are the harmonised HLS L30's, with two digits as Sentinel-2's."""
        assert set(common.split()) <= set(common_names(names))

    @pytest.mark.parametrize(
        "names",
        [
            ["B11"],
            ["B2", "B3", "B4", "B8", "B11"],
            ["B03", "B11"],
            ["B4", "B5", "B11"],
            ["Band 10", "Band 11"],
            ["SR_B4", "SR_B5"],
            ["B1", "B2", "B3", "B4", "B5", "B7"],
        ],
    )
    def test_what_may_be_either_keeps_its_name(self, names):
        result = common_names(names)
        assert not {"swir1", "swir2", "nir"} & set(result)
        with pytest.raises(InputError, match="SENSOR"):
            find_bands(names, ["swir1"])

    def test_two_digits_without_company_may_be_hls(self):
        """HLS L30 has B05 in the near infrared; both have blue, green and red alike."""
        result = common_names(["B02", "B03", "B04", "B05", "B06", "B07"])
        assert result == ["blue", "green", "red", "B05", "B06", "B07"]

    def test_the_path_tells_what_names_don_t(self):
        names = ["B2", "B4", "B5"]
        assert common_names(names, path="/data/LC08_L2SP_042034_20200101_02_T1.tif") == [
            "blue", "red", "nir",
        ]  # fmt: skip
        assert common_names(names, path="/data/LT05_L1TP_042034/stack.tif")[1] == "nir"
        assert common_names(names, path="/landsat8_and_sentinel2/stack.tif") == names

    def test_stac_s_nir08(self):
        assert common_names(["red", "nir08", "lwir11"]) == ["red", "nir", "thermal"]
        assert common_names(["red", "nir", "nir08", "swir16"]) == [
            "red", "nir", "nir_narrow", "swir1",
        ]  # fmt: skip


class TestFind:
    def test_by_common_names_in_any_order(self):
        assert find_bands(["nir", "Red", "slope"], ["red", "nir"]) == {"red": 1, "nir": 0}

    def test_by_sentinel_2_names(self):
        positions = find_bands(SENTINEL2_TEN, ["red", "nir", "swir1"])
        assert positions == {"red": 2, "nir": 6, "swir1": 8}

    @pytest.mark.parametrize(
        ("sensor", "count", "places"),
        [
            ("sentinel2", 10, (0, 1, 2, 6, 8, 9)),
            ("sentinel2", 12, (1, 2, 3, 7, 10, 11)),
            ("sentinel2", 13, (1, 2, 3, 7, 11, 12)),
            ("landsat57", 6, (0, 1, 2, 3, 4, 5)),
            ("landsat57", 7, (0, 1, 2, 3, 4, 6)),
            ("landsat89", 6, (0, 1, 2, 3, 4, 5)),
            ("landsat89", 7, (1, 2, 3, 4, 5, 6)),
        ],
    )
    def test_by_the_sensor_s_order_where_names_say_nothing(self, sensor, count, places):
        names = [f"band_{index}" for index in range(1, count + 1)]
        wanted = ["blue", "green", "red", "nir", "swir1", "swir2"]
        assert tuple(find_bands(names, wanted, sensor).values()) == places

    def test_what_is_given_goes_before_names(self):
        result = find_bands(["red", "nir", "x"], ["red", "nir"], "auto", {"nir": 2})
        assert result == {"red": 0, "nir": 2}

    def test_custom_takes_what_is_given_alone(self):
        assert find_bands(["red", "b"], ["red"], "custom", {"red": 1}) == {"red": 1}
        with pytest.raises(InputError, match="known as red"):
            find_bands(["red", "b"], ["red"], "custom")

    def test_the_missing_and_the_found_are_named(self):
        with pytest.raises(InputError, match=r"nir, swir1.*3 bands are: red, green, blue"):
            find_bands(["red", "green", "blue"], ["red", "nir", "swir1"])

    @pytest.mark.parametrize("command", [Map, SpectralIndices, Stack])
    def test_an_unknown_sensor(self, command):
        assert command.SENSOR.problem("spot").startswith("choose one of auto, sentinel2, ")

    def test_a_count_that_fits_no_file_of_the_sensor(self):
        with pytest.raises(InputError, match="known as"):
            find_bands([f"band_{index}" for index in range(5)], ["nir"], "landsat89")

    def test_every_sensor_has_the_bands_of_ndvi(self):
        for bands in SENSORS.values():
            assert {"red", "nir"} <= set(bands.values())
