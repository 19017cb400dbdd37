"""Values as models, batches, qgis_process and scripts write them: each reaches the engine, or is
refused in a sentence; none is dropped in silence."""

from pathlib import Path

import processing
import pytest
from landslide_mapper.processing_algorithms import algorithm
from osgeo import gdal, osr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsProcessingException,
    QgsProject,
    QgsProperty,
    QgsVectorLayer,
)

pytestmark = pytest.mark.usefixtures("provider", "engine")


@pytest.fixture
def asked(monkeypatch):
    """What the engine was asked; it answers nothing."""
    request = {}
    monkeypatch.setattr(
        algorithm, "run_command", lambda command, given, feedback: request.update(given) or {}
    )
    return request


@pytest.fixture
def raster(tmp_path):
    path = tmp_path / "raster.tif"
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), 4, 4)
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32632)
    dataset.SetProjection(crs.ExportToWkt())
    dataset.SetGeoTransform((500000, 10, 0, 5000000, 0, -10))
    del dataset
    return path


@pytest.fixture
def lines():
    layer = QgsVectorLayer("LineString?crs=EPSG:32632&field=name:string", "lines", "memory")
    feature = QgsFeature(layer.fields())
    feature.setGeometry(QgsGeometry.fromWkt("LINESTRING(500000 5000000, 500010 5000010)"))
    layer.dataProvider().addFeature(feature)
    return layer


def distance(lines, raster, **given):
    given = {
        "REFERENCE": str(raster),
        "NAME": "x",
        "OUTPUT": str(raster.with_name("o.tif")),
        **given,
    }
    processing.run("landslide:distance", {"INPUT": lines, **given})


def terrain(raster, **given):
    given = {"INPUT": str(raster), "OUTPUT": str(raster.with_name("o.tif")), **given}
    processing.run("landslide:terrainfactors", given)


@pytest.mark.parametrize(
    "breaks", [[30, 200], (30, "200"), ["30", "200"], "30, 200", QgsProperty.fromValue("30, 200"),
               QgsProperty.fromExpression("array(30, 200)")]
)  # fmt: skip
def test_a_list_in_a_line_of_text_may_be_a_list(asked, lines, raster, breaks):
    """As a repeated key of qgis_process is, JSON's lists, and arrays of expressions."""
    distance(lines, raster, BREAKS=breaks)
    assert asked["breaks"] == [30, 200]


@pytest.mark.parametrize(
    ("key", "several"), [("MAX_DISTANCE", [100, 200]), ("NAME", ["a", "b"]), ("LEVELS", ["a", "b"])]
)
def test_several_values_where_one_is_meant_are_refused(asked, lines, raster, key, several):
    with pytest.raises(QgsProcessingException, match="takes one value, not 2"):
        distance(lines, raster, **{key: several})
    assert not asked


def test_several_layers_where_one_is_meant_are_refused(asked, raster):
    with pytest.raises(QgsProcessingException, match="DEM: takes one value, not 2"):
        terrain(raster, INPUT=[str(raster), str(raster)])
    terrain(raster, INPUT=[str(raster)])
    assert asked["input"] == str(raster)


@pytest.mark.parametrize(
    "words",
    [
        "slope,aspect",
        "slope, aspect",
        ["slope", "aspect"],
        ("slope", "aspect"),
        QgsProperty.fromExpression("array('slope', 'aspect')"),
    ],
)
def test_words_may_be_a_line_of_text_a_list_or_an_expression(asked, raster, words):
    terrain(raster, FACTORS=words, FILL=QgsProperty.fromExpression("'keep'"))
    assert asked["factors"] == ["slope", "aspect"] and asked["fill"] == "keep"


def test_files_layers_and_outputs_may_be_paths_of_python_and_expressions(asked, raster, tmp_path):
    terrain(Path(raster), OUTPUT=Path(tmp_path / "path.tif"))
    assert asked["input"] == str(raster) and asked["output"] == str(tmp_path / "path.tif")
    model = tmp_path / "m.safetensors"
    model.touch()
    given = {
        "STACK": QgsProperty.fromExpression(f"'{raster}'"),
        "PROBABILITY": str(tmp_path / "p.tif"),
    }
    for value in (model, QgsProperty.fromExpression(f"'{model}'")):
        processing.run("landslide:predict", {**given, "MODEL": value})
        assert asked.pop("model") == str(model) and asked["stack"] == str(raster)
    stacked = {"LAYERS": (raster, raster), "OUTPUT": str(tmp_path / "stack.tif")}
    processing.run("landslide:stack", stacked)
    assert asked["layers"] == [str(raster)] * 2


def test_an_output_in_the_home_folder_lies_there(asked, raster):
    """It lay in a folder called ~ of the current one."""
    terrain(raster, OUTPUT="~/terrain.tif")
    assert asked["output"] == str(Path.home() / "terrain.tif")


def test_an_expression_without_a_value_is_refused(asked, raster):
    with pytest.raises(QgsProcessingException, match=r"expression nonsense.* has no value here"):
        terrain(raster, SMOOTHING=QgsProperty.fromExpression("nonsense()"))


def test_a_band_by_its_name_is_refused(asked, raster):
    """QGIS took it for the band 0."""
    given = {"INPUT": str(raster), "RED": "B04", "OUTPUT": str(raster.with_name("o.tif"))}
    with pytest.raises(QgsProcessingException, match="B04 is no number of a band"):
        processing.run("landslide:spectralindices", given)
    processing.run("landslide:spectralindices", {**given, "RED": "1", "NIR": 1.0, "GREEN": None})
    assert asked["red"] == asked["nir"] == 1


def test_a_crs_that_is_unknown_is_refused(asked, raster):
    """QGIS took it for none, so that all files counted."""
    given = {"TILES": [str(raster)], "OUTPUT": str(raster.with_name("o.vrt"))}
    with pytest.raises(QgsProcessingException, match="EPSG:99999 is no CRS"):
        processing.run("landslide:mosaic", {**given, "ZONE": "EPSG:99999"})
    processing.run("landslide:mosaic", {**given, "ZONE": "EPSG:32632"})
    assert asked.pop("zone") == "EPSG:32632"
    processing.run("landslide:mosaic", {**given, "ZONE": QgsCoordinateReferenceSystem()})
    assert "zone" not in asked


def test_a_parameter_that_there_is_not_is_warned_of(asked, raster, feedback):
    given = {"INPUT": str(raster), "OUTPUT": str(raster.with_name("o.gpkg")), "TRESHOLD": 0.9}
    processing.run("landslide:vectorize", given, feedback=feedback)
    (warning,) = feedback.warnings
    assert warning.startswith("TRESHOLD: no parameter is called so") and " THRESHOLD," in warning
    del given["TRESHOLD"]
    processing.run("landslide:vectorize", given, feedback=feedback)
    assert len(feedback.warnings) == 1


def test_a_file_of_another_kind_is_refused_with_what_is_meant(asked, raster, tmp_path):
    given = {"STACK": str(raster), "MODEL": str(raster), "PROBABILITY": str(tmp_path / "p.tif")}
    with pytest.raises(QgsProcessingException, match=r"raster.tif is of another kind than Models"):
        processing.run("landslide:predict", given)


def test_a_layer_of_another_kind_is_told_from_one_that_is_missing(asked, lines, raster):
    QgsProject.instance().addMapLayer(lines)
    with pytest.raises(QgsProcessingException, match="DEM: lines is not a raster: choose one"):
        terrain(raster, INPUT=lines.id())
    QgsProject.instance().takeMapLayer(lines)


def test_a_layer_with_a_long_name_is_exported(asked, lines, raster):
    lines.setName("Hang " * 80)
    distance(lines, raster)
    assert Path(asked["input"].split("|")[0]).exists()
