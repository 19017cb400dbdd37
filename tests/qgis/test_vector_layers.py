"""What a vector layer shows in QGIS is what the engine reads, or the sentence why it can't."""

import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import processing
import pytest
from landslide_mapper.processing_algorithms.request import input_value, problem_of
from osgeo import gdal, osr
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsField,
    QgsGeometry,
    QgsMeshLayer,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProject,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsVectorLayerJoinInfo,
)

ROOT = Path(__file__).resolve().parents[2]

READER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from landslide_plugin.worker import register_package
register_package()
from landslide_mapper.landslide_plugin.vector.layers import read_vector
for line in sys.stdin:
    frame = read_vector(line.strip(), "class", may_be_empty=True)
    crs = frame.crs and frame.crs.name
    table = frame.drop(columns="geometry").astype(object).where(lambda cells: cells.notna(), None)
    x = frame.geometry.bounds.minx.tolist()
    print(json.dumps({"crs": crs, "x": x, **table.to_dict("list")}), flush=True)
"""

pytestmark = pytest.mark.usefixtures("provider")


@pytest.fixture(scope="module")
def engine_reads(engine_python):
    """A function that reads a layer as the engine does: CRS, left edges and fields."""
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


def square(x, **values):
    """Return what makes a feature: a square of 1 at x, and its fields."""
    return f"POLYGON(({x} 0,{x} 1,{x + 1} 1,{x + 1} 0,{x} 0))", values


def feature_of(layer, wkt, values):
    feature = QgsFeature(layer.fields())
    feature.setGeometry(QgsGeometry.fromWkt(wkt))
    for name, value in values.items():
        feature[name] = value
    return feature


def memory_layer(*features, fields="field=rock:string&field=code:integer", name="geology"):
    layer = QgsVectorLayer(f"Polygon?crs=EPSG:32632&{fields}", name, "memory")
    layer.dataProvider().addFeatures([feature_of(layer, *given) for given in features])
    return layer


def save(layer, path, name="", **options):
    """Write a layer into a file, beside the layers that it has."""
    settings = QgsVectorFileWriter.SaveVectorOptions()
    settings.driverName = QgsVectorFileWriter.driverForExtension(Path(path).suffix)
    settings.layerName = name or Path(path).stem
    if Path(path).exists():
        settings.actionOnExistingFile = (
            QgsVectorFileWriter.ActionOnExistingFile.CreateOrOverwriteLayer
        )
    for key, value in options.items():
        setattr(settings, key, value)
    context = QgsProject.instance().transformContext()
    assert QgsVectorFileWriter.writeAsVectorFormatV3(layer, str(path), context, settings)[0] == 0
    return str(path)


@pytest.fixture
def stored(tmp_path):
    """A layer of a GeoPackage: granite, marl, slate at x 0, 1, 2."""
    layer = memory_layer(
        square(0, rock="granite", code=1), square(1, rock="marl", code=2),
        square(2, rock="slate", code=3),
    )  # fmt: skip
    path = save(layer, tmp_path / "geology.gpkg")
    stored = QgsVectorLayer(f"{path}|layername=geology", "geology", "ogr")
    QgsProject.instance().addMapLayer(stored)
    yield stored
    QgsProject.instance().removeMapLayer(stored.id())


@pytest.fixture
def request_of(feedback):
    def ask(given, name="classes", key="INPUT"):
        algorithm = QgsApplication.processingRegistry().createAlgorithmById(f"landslide:{name}")
        context = QgsProcessingContext()
        context.setProject(QgsProject.instance())
        definition = algorithm.parameterDefinition(key)
        assert problem_of(definition, given, context) == ""
        return input_value(algorithm, definition, {key: given}, context, feedback)

    return ask


INPUTS = [("classes", "INPUT"), ("distance", "INPUT"), ("evaluate", "PREDICTED")]
"""Parameters of the three types that take vector layers."""


@pytest.mark.parametrize(("name", "key"), INPUTS)
class TestEveryInput:
    def asked(self, request_of, layer, name, key):
        given = [layer.id()] if name == "evaluate" else layer.id()
        asked = request_of(given, name, key)
        return asked[0] if name == "evaluate" else asked

    def test_a_file_that_says_the_same_is_read_itself(self, stored, request_of, name, key):
        assert self.asked(request_of, stored, name, key) == stored.source()

    def test_a_corrected_crs_counts(self, stored, request_of, engine_reads, name, key):
        stored.setCrs(QgsCoordinateReferenceSystem("EPSG:25833"))
        read = engine_reads(self.asked(request_of, stored, name, key))
        assert (read["crs"], read["x"]) == ("ETRS89 / UTM zone 33N", [0, 1, 2])

    def test_a_filter_counts(self, stored, request_of, engine_reads, name, key):
        assert stored.setSubsetString("rock <> 'marl'")
        assert engine_reads(self.asked(request_of, stored, name, key))["x"] == [0, 2]

    def test_unsaved_edits_count(self, stored, request_of, engine_reads, name, key):
        stored.startEditing()
        stored.deleteFeature(1)
        stored.changeAttributeValue(2, stored.fields().indexOf("rock"), "chalk")
        stored.changeAttributeValue(3, stored.fields().indexOf("code"), "7")
        moved = QgsGeometry.fromWkt(square(20)[0])
        stored.changeGeometry(3, moved)
        # A new feature has no key yet: forms show a word, and a copied one repeats its original's.
        for given in (square(5, rock="new", fid="Autogenerate"), square(6, rock="copy", fid=2)):
            stored.addFeature(feature_of(stored, *given))
        read = engine_reads(self.asked(request_of, stored, name, key))
        assert read["code"][read["rock"].index("slate")] == 7
        assert dict(zip(read["x"], read["rock"])) == {  # noqa: B905 - Python 3.9
            1: "chalk", 20: "slate", 5: "new", 6: "copy"
        }  # fmt: skip
        stored.rollBack()

    def test_edits_that_were_saved_need_no_copy(self, stored, request_of, name, key):
        stored.startEditing()
        stored.changeAttributeValue(2, stored.fields().indexOf("rock"), "chalk")
        assert stored.commitChanges(False)
        assert self.asked(request_of, stored, name, key) == stored.source()
        stored.rollBack()


class TestFields:
    def test_a_virtual_field(self, stored, request_of, engine_reads):
        stored.addExpressionField(
            "upper(rock)", QgsField("loud", stored.fields().field("rock").type())
        )
        assert engine_reads(request_of(stored))["loud"] == ["GRANITE", "MARL", "SLATE"]

    def test_a_joined_field(self, stored, request_of, engine_reads):
        table = QgsVectorLayer("None?field=key:integer&field=age:string", "ages", "memory")
        for key, age in ((1, "Permian"), (3, "Devonian")):
            feature = QgsFeature(table.fields())
            feature.setAttributes([key, age])
            table.dataProvider().addFeature(feature)
        QgsProject.instance().addMapLayer(table)
        join = QgsVectorLayerJoinInfo()
        join.setJoinLayer(table)
        join.setJoinFieldName("key")
        join.setTargetFieldName("code")
        join.setUsingMemoryCache(True)
        assert stored.addJoin(join)
        assert engine_reads(request_of(stored))["ages_age"] == ["Permian", None, "Devonian"]
        QgsProject.instance().removeMapLayer(table.id())

    def test_a_virtual_field_makes_classes(self, stored, engine, tmp_path):
        """What the engine made of it before: it has no field loud."""
        stored.addExpressionField(
            "upper(rock)", QgsField("loud", stored.fields().field("rock").type())
        )
        reference = write_raster(tmp_path / "reference.tif")
        out = str(tmp_path / "classes.tif")
        parameters = {"INPUT": stored, "FIELD": "loud", "REFERENCE": reference, "OUTPUT": out}
        processing.run("landslide:classes", parameters)
        dataset = gdal.Open(out)
        items = dataset.GetRasterBand(1).GetMetadata()
        assert {items[f"class_{code}"] for code in (1, 2, 3)} == {"GRANITE", "MARL", "SLATE"}

    def test_text_of_another_encoding(self, tmp_path, request_of, engine_reads):
        layer = memory_layer(square(0, rock="Flysch é", code=1))
        path = save(layer, tmp_path / "geology.shp", fileEncoding="ISO-8859-1")
        Path(path).with_suffix(".cpg").unlink()  # now nothing tells it but who sets it
        stored = QgsVectorLayer(path, "geology", "ogr")
        stored.setProviderEncoding("ISO-8859-1")
        shown = next(stored.getFeatures())["rock"]
        assert engine_reads(request_of(stored))["rock"] == [shown]

    def test_a_field_that_no_file_takes_is_left_out(self, request_of, engine_reads):
        layer = memory_layer(square(0, rock="marl"), fields="field=rock:string&field=tags:map")
        assert engine_reads(request_of(layer))["rock"] == ["marl"]

    def test_fields_named_as_a_geopackage_names_its_own(self, request_of, engine_reads):
        names = ["geom", "fid", "row_number", "Rock", "rock"]
        fields = "&".join(f"field={name}:string" for name in names)
        layer = memory_layer(square(0, **{name: name for name in names}), fields=fields)
        read = engine_reads(request_of(layer))
        assert [read[name] for name in [*names[:4], "rock_2"]] == [[name] for name in names]


class TestFeatures:
    def test_selected_ones(self, stored, request_of, engine_reads):
        stored.select(2)
        chosen = QgsProcessingFeatureSourceDefinition(stored.id(), True)
        assert engine_reads(request_of(chosen, "distance"))["x"] == [1]
        assert engine_reads(request_of(chosen, "classes"))["x"] == [1]

    def test_the_first_ones(self, stored, request_of, engine_reads):
        first = QgsProcessingFeatureSourceDefinition(stored.id(), False, 2)
        assert engine_reads(request_of(first, "distance"))["x"] == [0, 1]

    def test_selected_ones_of_a_filtered_layer_with_edits(self, stored, request_of, engine_reads):
        assert stored.setSubsetString("code > 1")
        stored.startEditing()
        stored.changeAttributeValue(3, stored.fields().indexOf("rock"), "chalk")
        stored.select(3)
        chosen = QgsProcessingFeatureSourceDefinition(stored.id(), True)
        assert engine_reads(request_of(chosen, "distance"))["rock"] == ["chalk"]
        stored.rollBack()

    def test_of_a_query_over_layers(self, stored, request_of, engine_reads):
        query = "?query=SELECT rock, st_translate(geometry, 10, 0, 0) AS geometry FROM geology"
        layer = QgsVectorLayer(query, "moved", "virtual")
        assert layer.isValid()
        assert engine_reads(request_of(layer))["x"] == [10, 11, 12]


def test_the_file_of_an_exported_layer_is_no_output(stored, engine, tmp_path):
    """The engine reads a copy, and could not know that it writes over what was copied."""
    assert stored.setSubsetString("code > 1")
    path = stored.source().split("|")[0]
    before = Path(path).read_bytes()
    probability = write_raster(tmp_path / "probability.tif")
    parameters = {"PREDICTED": [stored.id()], "REFERENCE": probability, "JSON": path}
    with pytest.raises(QgsProcessingException, match=r"geology\.gpkg is read in this run"):
        processing.run("landslide:evaluate", parameters)
    assert Path(path).read_bytes() == before


class TestWhereTheyLie:
    def test_in_memory(self, request_of, engine_reads):
        layer = memory_layer(square(0, rock="marl"), name="Geology 1:50/000")
        path = request_of(layer)
        assert engine_reads(path)["rock"] == ["marl"]
        assert Path(path).stem == "Geology_1_50_000"

    @pytest.mark.parametrize("ending", ["shp", "geojson", "gpkg"])
    def test_in_an_archive(self, tmp_path, stored, request_of, engine_reads, ending):
        path = Path(save(stored, tmp_path / f"packed.{ending}"))
        with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
            for part in tmp_path.glob("packed.*"):
                if part.suffix != ".zip":
                    archive.write(part, part.name)
        for part in tmp_path.glob("packed.*"):
            if part.suffix != ".zip":
                part.unlink()
        layer = QgsVectorLayer(f"/vsizip/{tmp_path}/packed.zip/{path.name}", "packed", "ogr")
        assert layer.isValid()
        for given in (layer, layer.source(), f"{tmp_path}/packed.zip"):
            assert engine_reads(request_of(given))["rock"] == ["granite", "marl", "slate"]

    def test_by_number_in_a_file(self, stored, tmp_path, request_of, engine_reads):
        path = save(stored, tmp_path / "two.gpkg")
        save(memory_layer(square(7, rock="clay")), path, "other")
        layer = QgsVectorLayer(f"{path}|layerid=1", "x", "ogr")
        assert request_of(layer) == f"{path}|layername=other"
        assert engine_reads(request_of(layer))["x"] == [7]

    def test_of_one_geometry_among_several(self, tmp_path, request_of, engine_reads):
        path = tmp_path / "mixed.geojson"
        point = {"type": "Point", "coordinates": [50, 0]}
        ring = {"type": "Polygon", "coordinates": [[[3, 0], [3, 1], [4, 1], [3, 0]]]}
        features = [{"type": "Feature", "properties": {}, "geometry": g} for g in (point, ring)]
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        layer = QgsVectorLayer(f"{path}|geometrytype=Polygon", "x", "ogr")
        assert engine_reads(request_of(layer))["x"] == [3]

    def test_which_of_several_was_taken_is_said(self, stored, request_of, engine_reads, feedback):
        path = stored.source().split("|")[0]
        save(memory_layer(square(7, rock="clay")), path, "other")
        assert engine_reads(request_of(path))["x"] == [0, 1, 2]
        (warning,) = feedback.warnings
        assert "several layers, of which geology was taken; the others are other" in warning
        assert f"{path}|layername=other" in warning

    def test_a_single_layer_needs_no_word(self, stored, request_of, feedback):
        request_of(stored.source().split("|")[0])
        request_of(stored.id())
        assert feedback.warnings == []

    def test_a_mesh_is_refused(self, tmp_path):
        path = tmp_path / "mesh.2dm"
        path.write_text("MESH2D\nND 1 0 0 1\nND 2 1 0 1\nND 3 0 1 1\nE3T 1 1 2 3 1\n")
        mesh = QgsMeshLayer(str(path), "a mesh", "mdal")
        assert mesh.isValid()
        algorithm = QgsApplication.processingRegistry().createAlgorithmById("landslide:classes")
        said = problem_of(algorithm.parameterDefinition("INPUT"), mesh, QgsProcessingContext())
        assert "a mesh is neither a raster nor a vector layer" in said


def write_raster(path):
    """Write a raster of 4 x 2 pixels of 1 over the squares."""
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), 4, 2, 1)
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32632)
    dataset.SetProjection(crs.ExportToWkt())
    dataset.SetGeoTransform((0, 1, 0, 1, 0, -1))
    return str(path)
