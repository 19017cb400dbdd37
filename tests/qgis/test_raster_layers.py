"""What is set on a raster layer in QGIS is what the engine reads, or the sentence why it can't."""

import gzip
import json
import math
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from landslide_mapper.processing_algorithms.request import input_value, problem_of
from osgeo import gdal, osr
from qgis.core import (
    QgsApplication,
    QgsContrastEnhancement,
    QgsCoordinateReferenceSystem,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
    QgsRasterRange,
)

from .conftest import ROOT

READER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from landslide_plugin.worker import register_package
register_package()
from landslide_mapper.landslide_plugin.raster import Source
for line in sys.stdin:
    with Source.open(line.strip(), need_crs=False) as source:
        values, valid = source.read()
        crs = source.dataset.crs
    values = [[float(v) if ok else None for v, ok in zip(*pair)]
              for pair in zip(values.reshape(len(values), -1), valid.reshape(len(valid), -1))]
    print(json.dumps({"bands": source.bands, "crs": crs and crs.to_wkt(), "values": values}))
    sys.stdout.flush()
"""

pytestmark = pytest.mark.usefixtures("provider")


@pytest.fixture(scope="module")
def engine_reads(engine_python):
    """A function that reads a raster as the engine does: band names, CRS, values, None invalid."""
    process: Any = subprocess.Popen(
        [engine_python, "-c", READER, ROOT],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip

    def read(path):
        process.stdin.write(f"{path}\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield read
    process.stdin.close()
    process.wait()


@pytest.fixture
def dem(tmp_path):
    """A GeoTIFF with 1 2 / 3 4, nodata 4, in EPSG:32632."""
    return write(tmp_path / "dem.tif", [[[1, 2], [3, 4]]], nodata=4)


def write(path, bands, nodata=None, epsg=32632, kind=gdal.GDT_Float32, names=()):
    bands = np.asarray(bands, float)
    dataset = gdal.GetDriverByName("GTiff").Create(
        str(path), bands.shape[2], bands.shape[1], len(bands), kind
    )
    if epsg:
        crs = osr.SpatialReference()
        crs.ImportFromEPSG(epsg)
        dataset.SetProjection(crs.ExportToWkt())
    dataset.SetGeoTransform((500000, 10, 0, 5000000, 0, -10))
    for number, values in enumerate(bands, start=1):
        if nodata is not None:
            dataset.GetRasterBand(number).SetNoDataValue(nodata)
        dataset.GetRasterBand(number).WriteArray(values)
        if names:
            dataset.GetRasterBand(number).SetDescription(names[number - 1])
    return str(path)


def request(given, name="terrainfactors", key="INPUT"):
    """Return what the engine would get for a layer."""
    algorithm = QgsApplication.processingRegistry().createAlgorithmById(f"landslide:{name}")
    definition, context = algorithm.parameterDefinition(key), QgsProcessingContext()
    context.setProject(QgsProject.instance())
    return input_value(algorithm, definition, {key: given}, context, QgsProcessingFeedback())


def problem(given, name="terrainfactors", key="INPUT"):
    algorithm = QgsApplication.processingRegistry().createAlgorithmById(f"landslide:{name}")
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    return problem_of(algorithm.parameterDefinition(key), given, context)


def no_data(value):
    return [QgsRasterRange(value, value)]


class TestNothingSet:
    def test_the_file_itself_is_read(self, dem):
        layer = QgsRasterLayer(dem, "dem")
        assert request(layer) == dem
        assert request([layer, dem], "stack", "LAYERS") == [dem, dem]

    def test_style_has_no_say(self, dem):
        layer = QgsRasterLayer(dem, "dem")
        layer.renderer().setOpacity(0.3)
        layer.brightnessFilter().setBrightness(80)
        layer.setContrastEnhancement(
            QgsContrastEnhancement.ContrastEnhancementAlgorithm.ClipToMinimumMaximum
        )
        assert request(layer) == dem


class TestCrs:
    def test_an_assigned_crs_counts(self, tmp_path, engine_reads):
        path = write(tmp_path / "slope.tif", [[[1, 2], [3, 4]]], nodata=4, epsg=None)
        layer = QgsRasterLayer(path, "slope")
        layer.setCrs(QgsCoordinateReferenceSystem("EPSG:25832"))
        read = engine_reads(request(layer))
        assert "ETRS89" in read["crs"]
        assert read["values"] == [[1, 2, 3, None]]

    def test_a_band_without_name_is_still_called_after_the_file(self, dem):
        layer = QgsRasterLayer(dem, "another name")
        layer.setCrs(QgsCoordinateReferenceSystem("EPSG:25832"))
        assert Path(request(layer)).stem == "dem"

    def test_a_corrected_crs_counts(self, dem, engine_reads):
        layer = QgsRasterLayer(dem, "dem")
        layer.setCrs(QgsCoordinateReferenceSystem("EPSG:2056"))
        assert "LV95" in engine_reads(request(layer))["crs"]
        assert "LV95" in engine_reads(request([layer], "stack", "LAYERS")[0])["crs"]

    def test_axes_of_a_geographic_crs_stay_as_the_file_has_them(self, tmp_path, engine_python):
        path, out = write(tmp_path / "dem.tif", [[[1, 2], [3, 4]]], epsg=4326), tmp_path / "o.tif"
        dataset = gdal.Open(path, gdal.GA_Update)
        dataset.SetGeoTransform((100, 0.1, 0, 20, 0, -0.1))  # 100 is no latitude
        dataset = None
        layer = QgsRasterLayer(path, "dem")
        layer.setCrs(QgsCoordinateReferenceSystem("EPSG:4258"))
        code = (
            "import rasterio, rasterio.warp, sys; d = rasterio.open(sys.argv[1]); print(list("
            "rasterio.warp.transform_bounds(d.crs, 'EPSG:4326', *d.bounds)))"
        )
        done = subprocess.run(
            [engine_python, "-c", code, request(layer)], capture_output=True, text=True, check=True
        )
        assert np.allclose(json.loads(done.stdout), [100, 19.8, 100.2, 20], atol=1e-5), out

    def test_a_crs_of_ones_own_counts(self, dem, engine_reads):
        layer = QgsRasterLayer(dem, "dem")
        own = "+proj=laea +lat_0=10.5 +lon_0=20.25 +ellps=GRS80 +units=m"
        layer.setCrs(QgsCoordinateReferenceSystem.fromProj(own))
        read = engine_reads(request(layer))["crs"]
        assert "Lambert" in read and "20.25" in read

    def test_a_crs_taken_away_is_gone(self, dem, engine_reads):
        layer = QgsRasterLayer(dem, "dem")
        layer.setCrs(QgsCoordinateReferenceSystem())
        assert not engine_reads(request(layer))["crs"]


class TestWhatTheFileSays:
    def test_it_is_kept_beside_what_is_set(self, tmp_path):
        path = write(tmp_path / "a.tif", [[[1, 2], [3, 4]]], kind=gdal.GDT_Int16, names=["height"])
        dataset = gdal.Open(path, gdal.GA_Update)
        dataset.SetMetadataItem("ACQUISITIONDATETIME", "2023-05-23", "IMAGERY")
        dataset.SetMetadataItem("LANDSLIDE_THRESHOLD", "0.7")
        band = dataset.GetRasterBand(1)
        band.SetUnitType("ft")
        band.SetScale(0.5)
        band.SetOffset(-10)
        band.SetCategoryNames(["sea", "land"])
        band.SetMetadataItem("class_1", "land")
        band.ComputeStatistics(False)
        dataset = band = None
        layer = QgsRasterLayer(path, "a")
        layer.dataProvider().setUserNoDataValue(1, no_data(1) + no_data(2))
        view = gdal.Open(request(layer))
        band = view.GetRasterBand(1)
        assert band.GetDescription() == "height"
        assert (band.GetUnitType(), band.GetScale(), band.GetOffset()) == ("ft", 0.5, -10)
        assert band.GetCategoryNames() == ["sea", "land"]
        assert band.GetMetadata() == {"class_1": "land"}  # and statistics of pixels now missing not
        assert view.GetMetadataItem("ACQUISITIONDATETIME", "IMAGERY") == "2023-05-23"
        assert view.GetMetadataItem("LANDSLIDE_THRESHOLD") == "0.7"
        assert view.GetMetadataItem("LANDSLIDE_FILE") == path


class TestNoData:
    def test_an_additional_value_counts_beside_the_files_own(self, dem, engine_reads):
        layer = QgsRasterLayer(dem, "dem")
        layer.dataProvider().setUserNoDataValue(1, no_data(2))
        assert engine_reads(request(layer))["values"] == [[1, None, 3, None]]

    def test_an_additional_value_counts_where_the_file_has_none(self, tmp_path, engine_reads):
        path = write(tmp_path / "a.tif", [[[1, 2], [0, 4]]], kind=gdal.GDT_Byte)
        layer = QgsRasterLayer(path, "a")
        layer.dataProvider().setUserNoDataValue(1, no_data(0))
        assert engine_reads(request(layer))["values"] == [[1, 2, None, 4]]

    @pytest.mark.parametrize("kind", [gdal.GDT_Float32, gdal.GDT_Int16, gdal.GDT_Float64])
    def test_several_values_differ_by_band(self, tmp_path, engine_reads, kind):
        bands = [[[1, 2], [3, -9999]], [[1, 2], [3, 4]], [[1, 2], [3, 4]]]
        path = write(tmp_path / "a.tif", bands, -9999, kind=kind, names=("x", "y", "z"))
        layer = QgsRasterLayer(path, "a")
        layer.dataProvider().setUserNoDataValue(1, no_data(1) + no_data(3))
        layer.dataProvider().setUserNoDataValue(3, no_data(4))
        read = engine_reads(request(layer))
        assert read["values"] == [[None, 2, None, None], [1, 2, 3, 4], [1, 2, 3, None]]
        assert read["bands"] == ["x", "y", "z"]

    def test_the_files_own_value_is_data_when_switched_off(self, dem, engine_reads):
        layer = QgsRasterLayer(dem, "dem")
        layer.dataProvider().setUseSourceNoDataValue(1, False)
        assert engine_reads(request(layer))["values"] == [[1, 2, 3, 4]]
        layer.dataProvider().setUserNoDataValue(1, no_data(1))
        assert engine_reads(request(layer))["values"] == [[None, 2, 3, 4]]

    def test_not_a_number_stays_what_it_is(self, tmp_path, engine_reads):
        path = write(tmp_path / "a.tif", [[[1, math.nan], [3, 4]]], nodata=math.nan)
        layer = QgsRasterLayer(path, "a")
        layer.dataProvider().setUserNoDataValue(1, no_data(3))
        assert engine_reads(request(layer))["values"] == [[1, None, None, 4]]

    def test_the_files_mask_still_holds(self, tmp_path, engine_reads):
        path = write(tmp_path / "a.tif", [[[1, 2], [3, 4]]])
        dataset = gdal.Open(path, gdal.GA_Update)
        dataset.CreateMaskBand(gdal.GMF_PER_DATASET)
        dataset.GetRasterBand(1).GetMaskBand().WriteArray(np.array([[0, 255], [255, 255]]))
        dataset = None
        layer = QgsRasterLayer(path, "a")
        assert engine_reads(path)["values"] == [[None, 2, 3, 4]]
        layer.setCrs(QgsCoordinateReferenceSystem("EPSG:2056"))
        assert engine_reads(request(layer))["values"] == [[None, 2, 3, 4]]
        layer.dataProvider().setUserNoDataValue(1, no_data(3) + no_data(4))
        assert engine_reads(request(layer))["values"] == [[None, 2, None, None]]

    @pytest.mark.parametrize("seed", range(12))
    def test_whatever_is_set(self, tmp_path, engine_reads, seed):
        """Bands, types, the file's own value, its switch, further values and the CRS at random."""
        draw = np.random.default_rng(seed)
        kinds = [gdal.GDT_Byte, gdal.GDT_UInt16, gdal.GDT_Int32, gdal.GDT_Float32, gdal.GDT_Float64]
        bands = draw.integers(1, 7, (int(draw.integers(1, 4)), 5, 4)).astype(float)
        own = None if draw.random() < 0.3 else int(draw.integers(0, 7))
        path = write(tmp_path / "a.tif", bands, own, kind=kinds[seed % len(kinds)])
        layer = QgsRasterLayer(path, "a")
        if draw.random() < 0.5:
            layer.setCrs(QgsCoordinateReferenceSystem("EPSG:2056"))
        expected = []
        for number, band in enumerate(bands, start=1):
            further = draw.choice(7, int(draw.integers(0, 4)), replace=False).tolist()
            counts = bool(draw.random() < 0.6)
            provider = layer.dataProvider()
            provider.setUserNoDataValue(number, [QgsRasterRange(v, v) for v in further])
            provider.setUseSourceNoDataValue(number, counts)
            missing = further + ([own] if counts and own is not None else [])
            expected.append([None if value in missing else value for value in band.ravel()])
        assert engine_reads(request(layer))["values"] == expected

    def test_a_range_is_refused(self, dem):
        layer = QgsRasterLayer(dem, "dem")
        layer.dataProvider().setUserNoDataValue(1, [QgsRasterRange(1, 2)])
        assert "a range of no-data values (1 to 2)" in problem(layer)


class TestWhereItLies:
    @pytest.fixture
    def packed(self, dem, tmp_path):
        with zipfile.ZipFile(tmp_path / "dem.zip", "w") as archive:
            archive.write(dem, "dem.tif")
            archive.write(dem, "a folder/other.tif")
        with tarfile.open(tmp_path / "dem.tar", "w") as archive:
            archive.add(dem, "dem.tif")
        with open(dem, "rb") as file, gzip.open(tmp_path / "dem.tif.gz", "wb") as packed:
            packed.write(file.read())
        return tmp_path

    @pytest.mark.parametrize(
        "name",
        [
            "/vsizip/{}/dem.zip/dem.tif",
            "/vsizip/{}/dem.zip/a folder/other.tif",
            "/vsitar/{}/dem.tar/dem.tif",
            "/vsigzip/{}/dem.tif.gz",
        ],
    )
    def test_in_an_archive(self, packed, engine_reads, name):
        layer = QgsRasterLayer(name.format(packed), "dem")
        assert layer.isValid()
        assert engine_reads(request(layer))["values"] == [[1, 2, 3, None]]
        assert engine_reads(request(layer.source()))["values"] == [[1, 2, 3, None]]
        layer.dataProvider().setUserNoDataValue(1, no_data(2))
        assert engine_reads(request(layer))["values"] == [[1, None, 3, None]]

    def test_in_a_geopackage_of_several(self, dem, tmp_path, engine_reads):
        other = write(tmp_path / "other.tif", [[[5, 6], [7, 8]]])
        path = str(tmp_path / "both.gpkg")
        gdal.Translate(path, dem, format="GPKG", creationOptions=["RASTER_TABLE=one"])
        gdal.Translate(
            path,
            other,
            format="GPKG",
            creationOptions=["RASTER_TABLE=two", "APPEND_SUBDATASET=YES"],
        )
        layer = QgsRasterLayer(f"GPKG:{path}:two", "two")
        assert engine_reads(request(layer))["values"][0][:4] == [5, 6, 7, 8]

    def test_in_a_netcdf(self, dem, tmp_path, engine_reads):
        path = str(tmp_path / "dem.nc")
        gdal.Translate(path, dem, format="netCDF")
        layer = QgsRasterLayer(f'NETCDF:"{path}":Band1', "dem")
        assert layer.isValid()
        assert engine_reads(request(layer))["values"] == [[1, 2, 3, None]]

    def test_in_a_vrt(self, dem, tmp_path, engine_reads):
        path = str(tmp_path / "dem.vrt")
        gdal.BuildVRT(path, [dem])
        layer = QgsRasterLayer(path, "dem")
        layer.dataProvider().setUserNoDataValue(1, no_data(2))
        assert engine_reads(request(layer))["values"] == [[1, None, 3, None]]

    def test_options_of_opening_count(self, tmp_path, engine_reads):
        path = write(tmp_path / "a.tif", np.arange(16.0).reshape(1, 4, 4))
        gdal.Open(path, gdal.GA_Update).BuildOverviews("NEAREST", [2])
        layer = QgsRasterLayer(f"{path}|option:OVERVIEW_LEVEL=0", "a")
        assert layer.width() == 2
        assert len(engine_reads(request(layer))["values"][0]) == 4


class TestRefused:
    @pytest.mark.parametrize("name", ["terrainfactors", "stack"])
    def test_tiles_of_a_server(self, name):
        uri = "type=xyz&url=http://localhost/%7Bz%7D/%7Bx%7D/%7By%7D.png&zmax=3&zmin=0"
        layer = QgsRasterLayer(uri, "tiles", "wms")
        QgsProject.instance().addMapLayer(layer)
        key, given = {
            "terrainfactors": ("INPUT", layer.id()), "stack": ("LAYERS", [layer.id()])
        }[name]  # fmt: skip
        said = problem(given, name, key)
        with pytest.raises(QgsProcessingException, match="tiles is not a file but wms: export it"):
            request(given, name, key)
        QgsProject.instance().removeMapLayer(layer.id())
        assert "tiles is not a file but wms: export it as a GeoTIFF first." in said

    def test_a_server_in_a_file(self, tmp_path):
        path = tmp_path / "server.xml"
        path.write_text(
            '<GDAL_WMS><Service name="TMS"><ServerUrl>http://localhost/${z}/${x}/${y}</ServerUrl>'
            "</Service><DataWindow><UpperLeftX>-20037508</UpperLeftX><UpperLeftY>20037508"
            "</UpperLeftY><LowerRightX>20037508</LowerRightX><LowerRightY>-20037508</LowerRightY>"
            "<TileLevel>3</TileLevel></DataWindow><Projection>EPSG:3857</Projection></GDAL_WMS>",
            encoding="utf-8",
        )
        assert "server is not a file but WMS" in problem(QgsRasterLayer(str(path), "server"))

    def test_a_raster_in_memory(self, dem):
        gdal.Translate("/vsimem/a.tif", dem)
        assert "a is not a file but memory" in problem(QgsRasterLayer("/vsimem/a.tif", "a"))
        gdal.Unlink("/vsimem/a.tif")

    def test_a_file_that_is_gone(self, dem):
        layer = QgsRasterLayer(dem, "dem")
        os.remove(dem)
        gone = QgsRasterLayer(dem, "dem")
        assert not gone.isValid()
        assert "dem can't be read: its file is missing or damaged." in problem(gone)
        assert layer.name() == "dem"
