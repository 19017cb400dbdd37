"""Runs of the algorithms that derive layers and measure maps, as a script calls them."""

import re
import zipfile
from pathlib import Path

import numpy as np
import processing
import pytest
from osgeo import gdal, osr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsProcessing,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.usefixtures("provider")


def write_raster(path, array, bands=(), size=10.0, nodata=None):
    array = np.atleast_3d(array.T).T
    kind = gdal.GDT_Byte if array.dtype == np.uint8 else gdal.GDT_Float32
    count, height, width = array.shape
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), width, height, count, kind)
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32632)
    dataset.SetProjection(crs.ExportToWkt())
    dataset.SetGeoTransform((500000, size, 0, 5000000, 0, -size))
    for number, band in enumerate(array, start=1):
        if nodata is not None:
            dataset.GetRasterBand(number).SetNoDataValue(nodata)
        dataset.GetRasterBand(number).WriteArray(band)
        if bands:
            dataset.GetRasterBand(number).SetDescription(bands[number - 1])
    return str(path)


def read_raster(path):
    dataset = gdal.Open(path)
    names = [dataset.GetRasterBand(i + 1).GetDescription() for i in range(dataset.RasterCount)]
    return dict(zip(names, np.atleast_3d(dataset.ReadAsArray().T).T, strict=True))


def layer_of(kind, *features):
    """Return a memory layer of WKT geometries with the field `name`."""
    layer = QgsVectorLayer(f"{kind}?crs=EPSG:32632&field=name:string", "features", "memory")
    for name, wkt in features:
        feature = QgsFeature(layer.fields())
        feature.setGeometry(QgsGeometry.fromWkt(wkt))
        feature["name"] = name
        layer.dataProvider().addFeature(feature)
    return layer


@pytest.fixture
def dem(tmp_path):
    """A plane that rises by 45 degrees towards the north: 40 x 30 pixels of 10 m."""
    rows = np.arange(30, dtype=np.float32)[::-1, None] * 10 + 1000
    return write_raster(tmp_path / "dem.tif", np.repeat(rows, 40, axis=1))


def test_terrain_of_a_plane(engine, dem, tmp_path):
    out = str(tmp_path / "terrain.tif")
    parameters = {"INPUT": dem, "FACTORS": ["slope", "aspect", "northness"], "OUTPUT": out}
    assert processing.run("landslide:terrainfactors", parameters)["OUTPUT"] == out
    bands = read_raster(out)
    assert list(bands) == ["slope", "aspect", "northness"]
    np.testing.assert_allclose(bands["slope"], 45, atol=1e-3)
    np.testing.assert_allclose(bands["aspect"], 180, atol=1e-3)
    np.testing.assert_allclose(bands["northness"], -1, atol=1e-5)


def test_indices_by_chosen_bands(engine, tmp_path):
    image = np.stack([np.full((20, 20), value, np.float32) for value in (0.1, 0.3)])
    path = write_raster(tmp_path / "image.tif", image)
    parameters = {
        "INPUT": path,
        "INDICES": ["ndvi"],
        "SENSOR": "custom",
        "RED": 1,
        "NIR": 2,
        "OUTPUT": str(tmp_path / "ndvi.tif"),
    }
    bands = read_raster(processing.run("landslide:spectralindices", parameters)["OUTPUT"])
    np.testing.assert_allclose(bands["ndvi"], 0.5, atol=1e-6)


def test_indices_of_files_and_their_change(engine, tmp_path):
    """Red and NIR in a file each, and an image from before with both."""
    red, nir = (
        write_raster(tmp_path / f"{name}.tif", np.full((20, 20), value, np.float32), [name])
        for name, value in (("red", 0.2), ("nir", 0.3))
    )
    before = np.stack([np.full((20, 20), value, np.float32) for value in (0.1, 0.4)])
    parameters = {
        "INPUT": red,
        "BANDS": [nir],
        "EARLIER": write_raster(tmp_path / "before.tif", before, ["red", "nir"]),
        "INDICES": ["ndvi"],
        "OUTPUT": str(tmp_path / "indices.tif"),
    }
    bands = read_raster(processing.run("landslide:spectralindices", parameters)["OUTPUT"])
    assert list(bands) == ["ndvi", "dndvi"]
    np.testing.assert_allclose(bands["ndvi"], 0.2, atol=1e-6)
    np.testing.assert_allclose(bands["dndvi"], 0.6 - 0.2, atol=1e-6)


def test_distance_from_selected_features_only(engine, dem, tmp_path):
    rivers = layer_of(
        "LineString",
        ("west", "LINESTRING(500005 4999000, 500005 5001000)"),
        ("east", "LINESTRING(500395 4999000, 500395 5001000)"),
    )
    QgsProject.instance().addMapLayer(rivers)
    rivers.select(next(f.id() for f in rivers.getFeatures() if f["name"] == "east"))
    parameters = {
        "INPUT": QgsProcessingFeatureSourceDefinition(rivers.id(), selectedFeaturesOnly=True),
        "REFERENCE": dem,
        "OUTPUT": str(tmp_path / "distance.tif"),
    }
    bands = read_raster(processing.run("landslide:distance", parameters)["OUTPUT"])
    QgsProject.instance().removeMapLayer(rivers.id())
    np.testing.assert_allclose(bands["river_distance"][5], np.arange(390, -1, -10), atol=0.01)


def test_distance_in_levels(engine, dem, tmp_path):
    rivers = layer_of("LineString", ("west", "LINESTRING(500005 4999000, 500005 5001000)"))
    parameters = {
        "INPUT": rivers,
        "REFERENCE": dem,
        "BREAKS": "30, 200",
        "OUTPUT": str(tmp_path / "levels.tif"),
    }
    levels = read_raster(processing.run("landslide:distance", parameters)["OUTPUT"])
    row = levels["river_distance"][5].astype(int)
    assert row[1] == 0 and row[10] == 1 and row[39] == 2


def test_breaks_that_are_no_numbers_are_refused(engine, dem, tmp_path):
    rivers = layer_of("LineString", ("west", "LINESTRING(500005 4999000, 500005 5001000)"))
    out = tmp_path / "levels.tif"
    parameters = {"INPUT": rivers, "REFERENCE": dem, "BREAKS": "30; 200", "OUTPUT": str(out)}
    with pytest.raises(QgsProcessingException, match="part them by commas"):
        processing.run("landslide:distance", parameters)
    assert not out.exists()


def test_classes_and_stack(engine, dem, tmp_path):
    geology = layer_of(
        "Polygon",
        (
            "Granite",
            "POLYGON((499990 4990000,500200 4990000,500200 5000100,499990 5000100,499990 4990000))",
        ),
        (
            "Marl",
            "POLYGON((500200 4990000,500500 4990000,500500 5000100,500200 5000100,500200 4990000))",
        ),
    )
    lithology = processing.run(
        "landslide:classes",
        {
            "INPUT": geology,
            "FIELD": "name",
            "REFERENCE": dem,
            "OUTPUT": str(tmp_path / "lithology.tif"),
        },
    )["OUTPUT"]
    stack = processing.run(
        "landslide:stack",
        {"LAYERS": [dem, lithology], "OUTPUT": str(tmp_path / "stack.tif")},
    )["OUTPUT"]
    bands = read_raster(stack)
    assert list(bands)[1:] == ["lithology_granite", "lithology_marl"]
    assert (bands["lithology_granite"][:, :20] == 1).all()
    assert (bands["lithology_marl"][:, 20:] == 1).all()
    assert (bands["lithology_granite"] + bands["lithology_marl"] == 1).all()


def test_streams_follow_the_valley(engine, tmp_path):
    rows, columns = np.mgrid[:60, :61].astype(np.float32)
    valley = write_raster(tmp_path / "valley.tif", abs(columns - 30) * 5 + (60 - rows) * 2)
    parameters = {"INPUT": valley, "MIN_AREA": 0.1, "OUTPUT": str(tmp_path / "streams.gpkg")}
    streams = QgsVectorLayer(processing.run("landslide:streams", parameters)["OUTPUT"])
    points = [point for feature in streams.getFeatures() for point in feature.geometry().vertices()]
    assert points
    assert {round(point.x()) for point in points} == {500305}


def test_inventory_of_a_mask_and_its_accuracy(engine, tmp_path):
    mask = np.zeros((50, 50), np.uint8)
    mask[10:20, 10:30] = 1
    mask[40, 40] = 1
    path = write_raster(tmp_path / "mask.tif", mask, nodata=255)
    written = processing.run(
        "landslide:vectorize",
        {"INPUT": path, "MIN_AREA": 1000, "OUTPUT": str(tmp_path / "inventory.gpkg")},
    )
    assert written["COUNT"] == 1
    assert written["AREA_M2"] == pytest.approx(20000, rel=2e-3)
    measured = processing.run(
        "landslide:evaluate",
        {"PREDICTED": written["OUTPUT"], "REFERENCE": path, "HTML": str(tmp_path / "report.html")},
    )
    assert measured["PRECISION"] == 1
    assert measured["RECALL"] == pytest.approx(200 / 201)
    assert measured["HIT_RATE"] == 0.5
    assert (tmp_path / "report.html").stat().st_size > 1000


def test_a_measure_that_is_not_defined_is_empty(engine, tmp_path):
    nothing = write_raster(tmp_path / "nothing.tif", np.zeros((20, 20), np.uint8), nodata=255)
    measured = processing.run("landslide:evaluate", {"PREDICTED": nothing, "REFERENCE": nothing})
    assert measured["OA"] == 1
    assert measured["RECALL"] is None and measured["F1"] is None


@pytest.fixture
def tiles(dem, tmp_path):
    """The plane in two tiles, in a folder."""
    folder = tmp_path / "tiles"
    folder.mkdir()
    for name, first in (("west", 0), ("east", 25)):
        gdal.Translate(str(folder / f"{name}.tif"), dem, srcWin=[first, 0, 40 - first, 30])
    return folder


def test_tiles_become_one_image_that_qgis_shows_and_algorithms_read(engine, dem, tiles, tmp_path):
    image = processing.run("landslide:mosaic", {"INPUT": str(tiles), "OUTPUT": "TEMPORARY_OUTPUT"})
    assert image["OUTPUT"].endswith(".vrt") and image["COUNT"] == 2
    layer = QgsRasterLayer(image["OUTPUT"])
    assert layer.isValid() and (layer.width(), layer.height()) == (40, 30)
    results = [
        processing.run("landslide:terrainfactors", {"INPUT": one, "OUTPUT": str(tmp_path / out)})
        for one, out in ((layer, "tiles.tif"), (dem, "whole.tif"))
    ]
    parts, whole = (read_raster(one["OUTPUT"]) for one in results)
    np.testing.assert_array_equal(parts["slope"], whole["slope"])


@pytest.mark.parametrize("chosen", [lambda layer: layer.crs(), lambda layer: layer.crs().toWkt()])
def test_files_of_one_crs_are_chosen_by_it(engine, dem, tiles, tmp_path, chosen):
    gdal.Warp(str(tiles / "far.tif"), dem, dstSRS="EPSG:32633")
    zone = chosen(QgsRasterLayer(str(dem)))
    parameters = {"INPUT": str(tiles), "ZONE": zone, "OUTPUT": str(tmp_path / "image.vrt")}
    assert processing.run("landslide:mosaic", parameters)["COUNT"] == 2
    with pytest.raises(QgsProcessingException, match="of 2 CRSs"):
        processing.run("landslide:mosaic", {**parameters, "ZONE": None})


def test_the_address_of_a_search_reaches_the_engine_as_it_is(engine, tmp_path):
    address = "http://127.0.0.1:9/search?limit=1"
    parameters = {"INPUT": address, "OUTPUT": str(tmp_path / "image.vrt")}
    with pytest.raises(QgsProcessingException, match=re.escape(f"{address} can't be fetched")):
        processing.run("landslide:mosaic", parameters)


def test_a_folder_in_an_archive_reaches_the_engine_as_it_is(engine, tiles, tmp_path):
    with zipfile.ZipFile(tmp_path / "tiles.zip", "w") as archive:
        for file in tiles.iterdir():
            archive.write(file, file.name)
    folder = f"/vsizip/{tmp_path}/tiles.zip/"
    parameters = {"INPUT": folder, "OUTPUT": str(tmp_path / "image.vrt")}
    assert processing.run("landslide:mosaic", parameters)["COUNT"] == 2


def test_files_of_a_crs_that_the_user_made_are_chosen_by_it(engine, dem, tmp_path, monkeypatch):
    crs = QgsCoordinateReferenceSystem.fromProj("+proj=tmerc +lon_0=9.3 +k=1 +ellps=GRS80 +units=m")
    gdal.Warp(str(tmp_path / "own.tif"), dem, dstSRS=crs.toWkt())
    monkeypatch.setattr(QgsCoordinateReferenceSystem, "authid", lambda _: "USER:100000")
    parameters = {"INPUT": str(tmp_path), "ZONE": crs, "OUTPUT": str(tmp_path / "image.vrt")}
    assert processing.run("landslide:mosaic", parameters)["COUNT"] == 1


def test_an_image_of_tiles_that_is_no_vrt_is_refused(engine, tiles, tmp_path):
    parameters = {"INPUT": str(tiles), "OUTPUT": str(tmp_path / "image.tif")}
    with pytest.raises(QgsProcessingException, match="ends in"):
        processing.run("landslide:mosaic", parameters)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(("form", "ending"), [("stac", ".json"), ("onnx", ".onnx")])
def test_a_temporary_model_has_the_ending_of_its_format(form, ending):
    """QGIS gives it the parameter's first one, and the engine refuses another format's."""
    model = str(ROOT / "models" / "weights" / "sentinel2-rgb.safetensors")
    output = QgsProcessing.TEMPORARY_OUTPUT
    parameters = {"MODEL": model, "FORMAT": form, "OUTPUT": output}
    written = processing.run("landslide:exportmodel", parameters)["OUTPUT"]
    assert Path(written).suffix == ending and Path(written).stat().st_size > 1000
