"""In what units imagery is stored, told by paths, tags and the files beside it."""

import json
import math
import tarfile
import zipfile

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from hypothesis import given
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors.stack_command import stack
from landslide_mapper.landslide_plugin.raster.bands import layer_names
from landslide_mapper.landslide_plugin.raster.products import told_units
from landslide_mapper.landslide_plugin.raster.reflectance import (
    REFLECTANCE,
    given_units,
    read_as_reflectance,
    reflectance_units,
)
from landslide_mapper.landslide_plugin.raster.source import Source
from landslide_mapper.landslide_plugin.request import checked
from rasterio.transform import from_origin

SAFE = "S2B_MSIL2A_20230523T101031_N0509_R022_T32TQQ_20230523T141200.SAFE"
INSIDE = "GRANULE/L2A_T32TQQ_A032443_20230523T101031/IMG_DATA/R10m"
JP2 = "T32TQQ_20230523T101031_B04_10m"


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a small raster below the folder, and returns its path."""

    def write(name, values=1400, dtype="uint16", bands=None, count=1, tags=None, **options):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        array = np.broadcast_to(np.asarray(values), (count, 8, 8)).astype(dtype)
        place = {"crs": "EPSG:32632", "transform": from_origin(5e5, 5e6, 10, 10)}
        shape = {"count": count, "height": 8, "width": 8, "dtype": dtype}
        with rasterio.open(path, "w", driver="GTiff", **shape, **place, **options) as dataset:
            dataset.write(array)
            dataset.update_tags(**(tags or {}))
            for index, band in enumerate(bands or [], start=1):
                dataset.set_band_description(index, band)
        return path

    return write


def units(path, sensor="auto", band=None):
    """Return scale and offset that are told of a raster's band; None where nothing tells."""
    with Source.open(path) as source:
        found = reflectance_units(source, band or source.bands[0], sensor)
    return found and (pytest.approx(found.scale), pytest.approx(found.offset), found.certain)


PLUS_1000, HARMONISED, UNSURE = (1e-4, -0.1, True), (1e-4, 0.0, True), (1e-4, 0.0, False)
COLLECTION2 = (2.75e-5, -0.2, True)


class TestSentinel2Paths:
    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            (f"{SAFE}/{INSIDE}/{JP2}.tif", PLUS_1000),
            (SAFE.replace("N0509", "N0400") + f"/{JP2}.tif", PLUS_1000),
            (SAFE.replace("N0509", "N0301") + f"/{JP2}.tif", HARMONISED),
            ("S2A_MSIL1C_20170105T013442_N0500_R031_T53NMJ_20230101T000000_B04.tif", PLUS_1000),
            (
                "S2A_OPER_MSI_L1C_TL_EPA__20160605T113933_A000734_T32TQM_N02.04/x_B04.tif",
                HARMONISED,
            ),
            (SAFE.replace("N0509", "N9999") + f"/{JP2}.tif", UNSURE),
            ("COPERNICUS_S2_SR_HARMONIZED_20230523_B04.tif", HARMONISED),
            ("HLS.S30.T32TQQ.2023143T101031.v2.0.B04.tif", HARMONISED),
            (f"{JP2}.tif", UNSURE),
        ],
    )
    def test_the_baseline_in_a_folder_or_file_tells(self, written, path, expected):
        """Old dates that were processed anew, such as the third, count by their baseline."""
        assert units(written(path)) == expected

    @given(st.integers(1, 1199))
    def test_every_baseline_from_4_on_adds_1000(self, baseline):
        path = SAFE.replace("N0509", f"N{baseline:04d}") + "/B04.jp2"
        found = told_units(path, "B04", 0, {})
        assert found is not None
        assert found.offset == (-0.1 if baseline >= 400 else 0)

    def test_in_an_archive(self, written, tmp_path):
        inner = written(f"{SAFE}/{INSIDE}/{JP2}.tif")
        with zipfile.ZipFile(tmp_path / "download.zip", "w") as packed:
            packed.write(inner, inner.relative_to(tmp_path))
        name = f"/vsizip/{tmp_path}/download.zip/{inner.relative_to(tmp_path)}"
        assert units(name) == PLUS_1000

    def test_of_what_a_virtual_raster_is_made_of(self, written, tmp_path):
        files = [
            written(f"{SAFE}/{JP2}.tif"),
            written(f"{SAFE.replace('N0509', 'N0301')}/b_B08.tif"),
        ]
        assert units(_virtual(tmp_path / "both.vrt", [[files[0]], [files[1]]])) == PLUS_1000
        separate = _virtual(tmp_path / "apart.vrt", [[files[0]], [files[1]]], ["B04", "B08"])
        assert units(separate, band="B04") == PLUS_1000
        assert units(separate, band="B08") == HARMONISED
        mosaic = _virtual(tmp_path / "mosaic.vrt", [files], ["B04"])
        assert units(mosaic) is None

    def test_numbers_that_a_virtual_raster_scales_are_not_the_file_s(self, written, tmp_path):
        scaled = _virtual(
            tmp_path / "scaled.vrt", [[written(f"{SAFE}/{JP2}.tif")]], ["B04"],
            inside="<ScaleRatio>1</ScaleRatio><ScaleOffset>-1000</ScaleOffset>",
        )  # fmt: skip
        assert units(scaled) == UNSURE

    def test_of_a_file_over_which_qgis_lays_a_view(self, written, tmp_path):
        """The view, of a CRS or no-data values set on the layer, lies in a temporary folder."""
        file = written(f"{SAFE}/{JP2}.tif")
        (tmp_path / "temporary").mkdir()
        view = tmp_path / "temporary" / "renamed.vrt"
        rasterio.shutil.copy(file, view, driver="VRT")
        with rasterio.open(view, "r+") as dataset:
            dataset.update_tags(LANDSLIDE_FILE=str(file))
        assert units(view) == units(file) == PLUS_1000
        with Source.open(view) as source:
            assert layer_names(source) == ["red"]
            assert (source.path, source.file) == (str(view), str(file))


MTD = """<n1:Level-2A_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/x.xsd">
<n1:General_Info><Product_Image_Characteristics><QUANTIFICATION_VALUES_LIST>
<BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE></QUANTIFICATION_VALUES_LIST>
<BOA_ADD_OFFSET_VALUES_LIST><BOA_ADD_OFFSET band_id="3">-1000</BOA_ADD_OFFSET>
<BOA_ADD_OFFSET band_id="8">-500</BOA_ADD_OFFSET></BOA_ADD_OFFSET_VALUES_LIST>
</Product_Image_Characteristics></n1:General_Info></n1:Level-2A_User_Product>"""


class TestSentinel2Metadata:
    @pytest.mark.parametrize("place", ["", INSIDE + "/"])
    def test_the_product_s_xml_tells_each_band(self, written, tmp_path, place):
        red, narrow = written(f"renamed/{place}S2_B04.tif"), written(f"renamed/{place}S2_B8A.tif")
        (tmp_path / "renamed/MTD_MSIL2A.xml").write_text(MTD)
        assert units(red) == PLUS_1000
        assert units(narrow) == (1e-4, -0.05, True)

    def test_level_1(self, written, tmp_path):
        path = written("S2_B04.tif")
        level1 = MTD.replace("BOA_QUANT", "QUANT").replace("BOA_ADD", "RADIO_ADD")
        (tmp_path / "MTD_MSIL1C.xml").write_text(level1)
        assert units(path) == PLUS_1000

    def test_one_without_offsets_is_older(self, written, tmp_path):
        path = written("S2_B04.tif")
        (tmp_path / "MTD_MSIL2A.xml").write_text(MTD.split("<BOA_ADD")[0].split("<n1:G")[0] + (
            "<BOA_QUANTIFICATION_VALUE>10000</BOA_QUANTIFICATION_VALUE>"
            "</n1:Level-2A_User_Product>"
        ))  # fmt: skip
        assert units(path) == HARMONISED

    def test_in_an_archive(self, written, tmp_path):
        inner = written("x.SAFE/GRANULE/S2_B04.tif")
        for name in ("a.zip", "a.tar"):
            arcname = str(inner.relative_to(tmp_path))
            (tmp_path / "MTD_MSIL2A.xml").write_text(MTD)
            members = [(inner, arcname), (tmp_path / "MTD_MSIL2A.xml", "x.SAFE/MTD_MSIL2A.xml")]
            if name == "a.zip":
                with zipfile.ZipFile(tmp_path / name, "w") as packed:
                    for file, inside in members:
                        packed.write(file, inside)
            else:
                with tarfile.open(tmp_path / name, "w") as packed:
                    for file, inside in members:
                        packed.add(file, inside)
            (tmp_path / "MTD_MSIL2A.xml").unlink()
            kind = name.rpartition(".")[2]
            assert units(f"/vsi{kind}/{tmp_path}/{name}/{arcname}") == PLUS_1000

    @pytest.mark.parametrize("text", ["", "<x", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "<a/>"])
    def test_damaged_metadata_tell_nothing(self, written, tmp_path, text):
        path = written("S2_B04.tif")
        (tmp_path / "MTD_MSIL2A.xml").write_text(text)
        assert units(path) == UNSURE

    @pytest.mark.parametrize(
        ("tags", "expected"),
        [
            ({"PROCESSING_BASELINE": "05.09"}, PLUS_1000),
            ({"s2:processing_baseline": "02.14"}, HARMONISED),
            ({"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": "true"},
             HARMONISED),
            ({"PRODUCT_URI": SAFE}, PLUS_1000),
            ({"REFLECTANCE_SCALE": "0.001", "REFLECTANCE_OFFSET": "-0.02"}, (1e-3, -0.02, True)),
            ({"PROCESSING_BASELINE": "new"}, UNSURE),
        ],
    )  # fmt: skip
    def test_tags(self, written, tags, expected):
        assert units(written("image.tif", bands=["B04"], tags=tags)) == expected

    @pytest.mark.parametrize(
        ("properties", "stated", "expected"),
        [
            ({"s2:processing_baseline": "05.09"}, {}, PLUS_1000),
            ({"s2:processing_baseline": "03.01"}, {}, HARMONISED),
            # Earth Search states the offset of the product although it was taken off
            ({"earthsearch:boa_offset_applied": True, "s2:processing_baseline": "05.09"},
             {"raster:bands": [{"scale": 1e-4, "offset": -0.1}]}, HARMONISED),
            ({"earthsearch:boa_offset_applied": False, "s2:processing_baseline": "05.09"},
             {"raster:bands": [{"scale": 1e-4, "offset": -0.1}]}, PLUS_1000),
            ({}, {"bands": [{"raster:scale": 2e-4, "raster:offset": -0.3}]}, (2e-4, -0.3, True)),
            ({}, {"raster:scale": 2e-4}, (2e-4, 0.0, True)),
            ({}, {}, UNSURE),
        ],
    )  # fmt: skip
    def test_a_stac_item_beside_it(self, written, tmp_path, properties, stated, expected):
        path = written("scene/B04.tif")
        item = {
            "type": "Feature", "stac_version": "1.0.0", "id": "scene", "properties": properties,
            "assets": {"red": {"href": "https://x.org/scene/B04.tif", **stated}},
        }  # fmt: skip
        (tmp_path / "scene/item.json").write_text(json.dumps(item))
        (tmp_path / "scene/other.json").write_text("[1, 2]")
        assert units(path) == expected


GROUPS = {
    "IMAGE_ATTRIBUTES": {"SUN_ELEVATION": "30.0"},
    "LEVEL1_RADIOMETRIC_RESCALING": {
        "REFLECTANCE_MULT_BAND_4": "2.0E-05", "REFLECTANCE_ADD_BAND_4": "-0.1",
    },
    "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": {
        "REFLECTANCE_MULT_BAND_4": "2.9e-05", "REFLECTANCE_ADD_BAND_4": "-0.19",
    },
}  # fmt: skip


class TestLandsat:
    @pytest.mark.parametrize(
        ("path", "bands", "expected"),
        [
            ("LC08_L2SP_042034_20200101_20200113_02_T1_SR_B4.tif", None, COLLECTION2),
            ("LC09_L2SP_042034_20220101_20220113_02_T1/stack.tif", ["red"], COLLECTION2),
            ("/LE07_L2SR_042034_20000101_20200113_02_T1.tif", ["B3"], COLLECTION2),
            ("export.tif", ["SR_B4"], COLLECTION2),
            ("harmonized/LC09_L2SP_042034_20220101_20220113_02_T1.tif", ["red"], COLLECTION2),
            ("Harmonised/export.tif", ["SR_B4"], COLLECTION2),
            ("Harmonized/HLS.L30.T32TQQ.2023143T101031.v2.0.B04.tif", None, HARMONISED),
            ("LC08_L1TP_042034_20170101_20170113_01_T1_sr_band4.tif", None, HARMONISED),
            ("LC08_L1TP_042034_20200101_20200113_02_T1_B4.tif", None, None),
            ("LT52240631988227CUB02_B4.tif", None, None),
        ],
    )
    def test_names_tell(self, written, path, bands, expected):
        assert units(written(path.lstrip("/"), bands=bands)) == expected

    TEXT = """GROUP = LANDSAT_METADATA_FILE
  GROUP = IMAGE_ATTRIBUTES
    SUN_ELEVATION = 30.0
  END_GROUP = IMAGE_ATTRIBUTES
  GROUP = LEVEL1_RADIOMETRIC_RESCALING
    REFLECTANCE_MULT_BAND_4 = 2.0E-05
    REFLECTANCE_ADD_BAND_4 = -0.1
  END_GROUP = LEVEL1_RADIOMETRIC_RESCALING
  GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS
    REFLECTANCE_MULT_BAND_4 = 2.9e-05
    REFLECTANCE_ADD_BAND_4 = -0.19
  END_GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS
END_GROUP = LANDSAT_METADATA_FILE
END
"""

    @pytest.mark.parametrize("kind", ["txt", "json", "xml"])
    def test_the_mtl_file_tells_both_levels(self, written, tmp_path, kind):
        """Level 1 is divided by the sine of the sun's elevation, 30 degrees: 0.5."""
        one = "LC08_L1TP_042034_20200101_20200113_02_T1"
        two = "LC08_L2SP_042034_20200101_20200113_02_T1"
        paths = written(f"{one}_B4.tif"), written(f"{two}_SR_B4.tif")
        text = {
            "txt": self.TEXT,
            "json": json.dumps({"LANDSAT_METADATA_FILE": GROUPS}),
            "xml": "<LANDSAT_METADATA_FILE>" + "".join(
                f"<{group}>" + "".join(f"<{key}>{value}</{key}>" for key, value in said.items())
                + f"</{group}>"
                for group, said in GROUPS.items()
            ) + "</LANDSAT_METADATA_FILE>",
        }[kind]  # fmt: skip
        for scene in (one, two):
            (tmp_path / f"{scene}_MTL.{kind}").write_text(text)
        assert units(paths[0]) == (4e-5, -0.2, True)
        assert units(paths[1]) == (2.9e-5, -0.19, True)

    def test_another_scene_s_mtl_file_tells_nothing(self, written, tmp_path):
        path = written("LC08_L1TP_042034_20200101_20200113_02_T1_B4.tif")
        for day in ("20210101", "20210201"):
            (tmp_path / f"LC08_L1TP_042034_{day}_20210213_02_T1_MTL.txt").write_text(self.TEXT)
        assert units(path) is None


class TestFile:
    def test_what_it_declares_goes_before_its_product(self, written):
        path = written(f"{SAFE}/{JP2}.tif")
        with rasterio.open(path, "r+") as dataset:
            dataset.scales, dataset.offsets = [2e-4], [-0.3]
        assert units(path) == (2e-4, -0.3, True)

    @pytest.mark.parametrize("name", ["20230523_101031_3B_AnalyticMS_SR_clip.tif",
                                      "x_ortho_analytic_8b_sr.tif"])  # fmt: skip
    def test_planetscope_s_surface_reflectance(self, written, name):
        assert units(written(name, count=4), "planet4") == HARMONISED

    def test_integers_of_a_planet_or_of_nobody_are_not_known(self, written):
        assert units(written("image.tif", count=4), "planet4") is None
        assert units(written("image.tif", bands=["red"])) is None

    def test_decimal_numbers_are_reflectance_if_they_are_as_small(self, written):
        assert units(written("a.tif", 0.3, "float32", ["B04"])) == (1.0, 0.0, True)
        assert units(written("b.tif", 1400, "float32", ["B04"])) == UNSURE
        assert units(written(f"{SAFE}/c.tif", 1400, "float32", ["B04"])) == PLUS_1000


class TestReading:
    def read(self, path, given=None, sensor="auto"):
        texts = []
        progress = Progress(lambda event: texts.append(event.get("text")))
        with Source.open(path) as source:
            located = {band: (source, band) for band in source.bands}
            found = read_as_reflectance(located, sensor, given, progress=progress)
            values, _ = source.read()
            return values[:, 0, 0], found, source.scaling[source.bands[0]].unit, texts

    def test_values_become_reflectance(self, written):
        values, _, unit, texts = self.read(written(f"{SAFE}/x.tif", bands=["B04"]))
        assert values == pytest.approx(0.04)
        assert unit == REFLECTANCE
        assert any("value x 0.0001 -0.1, as its processing baseline is 05.09" in t for t in texts)

    def test_views_on_other_grids_are_read_so_too(self, written):
        with Source.open(written(f"{SAFE}/x.tif", bands=["B04"])) as source:
            grid = source.grid
            finer = type(grid)(grid.crs, from_origin(5e5, 5e6, 5, 5), 16, 16)
            view = source.on(finer)
            read_as_reflectance({"red": (source, "B04")}, progress=Progress())
            values, valid = view.read()
        np.testing.assert_allclose(values[valid], 0.04, atol=1e-6)

    def test_what_the_user_gives_goes_before_all(self, written):
        path = written(f"{SAFE}/x.tif", bands=["B04"])
        assert self.read(path, given_units(0.001, -1))[0] == pytest.approx(0.4)
        with rasterio.open(path, "r+") as dataset:
            dataset.scales = [5.0]
        assert self.read(path, given_units(0.001, -1))[0] == pytest.approx(0.4)

    def test_dark_pixels_prove_that_nothing_was_added(self, written):
        """Then the brighter bands of the same scene hold nothing added either."""
        values = np.array([400, 3000])[:, None, None]
        _, found, _, _ = self.read(written("x.tif", values, bands=["B04", "B08"], count=2))
        assert all(units.certain for units in found.values())
        _, found, _, _ = self.read(written("y.tif", values + 1000, bands=["B04", "B08"], count=2))
        assert not any(units.certain for units in found.values())

    @pytest.mark.parametrize(
        ("scale", "offset", "text"),
        [(None, -0.1, "without SCALE"), (0, None, "SCALE is 0: choose more than 0"),
         (-1, 0, "SCALE is -1: choose more than 0"), (math.nan, 0, "SCALE is NaN, but"),
         (1e-4, math.inf, "OFFSET is Infinity, but")],
    )  # fmt: skip
    def test_what_can_t_be_given(self, scale, offset, text):
        given = {"layers": ["a"], "output": "b", "scale": scale, "offset": offset}
        with pytest.raises(InputError, match=text):
            given = checked("stack", stack, given)
            given_units(given.get("scale"), given["offset"])


def _virtual(path, bands, names=None, inside=""):
    """Write a VRT with a list of files a band; a path relative to it where it is beside it."""
    size = 'xSize="8" ySize="8" xOff="0" yOff="0"'
    parts = []
    for number, files in enumerate(bands, start=1):
        named = f"<Description>{names[number - 1]}</Description>" if names else ""
        sources = "".join(
            f'<ComplexSource><SourceFilename relativeToVRT="1">'
            f"{file.relative_to(path.parent)}</SourceFilename><SourceBand>1</SourceBand>"
            f"<SrcRect {size}/><DstRect {size}/>{inside}</ComplexSource>"
            for file in files
        )
        parts.append(
            f'<VRTRasterBand dataType="UInt16" band="{number}">{named}{sources}</VRTRasterBand>'
        )
    path.write_text(
        '<VRTDataset rasterXSize="8" rasterYSize="8"><SRS>EPSG:32632</SRS>'
        f"<GeoTransform>5e5, 10, 0, 5e6, 0, -10</GeoTransform>{''.join(parts)}</VRTDataset>"
    )
    return path
