"""The plugin and its provider; how parameters become a request; how results look."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from landslide_mapper.landslide_plugin import engine_lookup
from landslide_mapper.landslide_plugin.contract.commands import COMMANDS, OUTPUTS
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.engine_process import EngineCanceled, EngineFailure
from landslide_mapper.processing_algorithms import ALGORITHMS, algorithm, styles
from osgeo import gdal, osr
from qgis.core import (
    QgsApplication,
    QgsFeature,
    QgsGeometry,
    QgsPalettedRasterRenderer,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
    QgsProject,
    QgsRasterLayer,
    QgsVectorFileWriter,
    QgsVectorLayer,
)

ROOT = Path(__file__).resolve().parents[2]


class Everything(algorithm.EngineAlgorithm):
    """Has a parameter of each kind."""

    ID = "everything"
    NAME = "Everything"
    GROUP = "Factor layers"
    HELP = """
        First line
        goes on.

        Second paragraph.
    """
    STYLES = {"RASTER": "probability"}  # noqa: RUF012

    def declare(self):
        number, kinds = QgsProcessingParameterNumber, ["slope", "aspect", "twi"]
        yield QgsProcessingParameterRasterLayer("DEM", "DEM", optional=True), "A DEM."
        yield (
            QgsProcessingParameterFeatureSource("RIVERS", "Rivers", optional=True),
            "Lines.",
        )
        yield (
            QgsProcessingParameterMultipleLayers(
                "LAYERS", "Layers", QgsProcessing.SourceType.TypeRaster, optional=True
            ),
            "Rasters.",
        )
        yield QgsProcessingParameterFile("MODEL", "Model", optional=True), "A file."
        yield number("COUNT", "Count", number.Integer, 3, True, 1), "A whole number."
        yield number("SHARE", "Share", number.Double, None, True, 0, 1), "A number."
        yield QgsProcessingParameterBoolean("FLAG", "Flag", False), "Yes or no."
        yield QgsProcessingParameterString("TITLE", "Title", optional=True), "A text."
        yield (
            QgsProcessingParameterBand("BAND", "Band", None, "DEM", optional=True),
            "A band.",
        )
        yield (
            QgsProcessingParameterEnum(
                "FACTORS", "Factors", kinds, True, ["slope"], usesStaticStrings=True
            ),
            "Several.",
        )
        yield (
            QgsProcessingParameterEnum(
                "FACTOR", "Factor", kinds, False, "twi", usesStaticStrings=True
            ),
            "One.",
        )
        yield QgsProcessingParameterRasterDestination("RASTER", "Raster", optional=True), "Out."
        yield QgsProcessingParameterVectorDestination("VECTOR", "Vector", optional=True), "Out."
        yield (
            QgsProcessingParameterFileDestination("HTML", "Report", "HTML (*.html)", optional=True),
            "Out.",
        )
        yield QgsProcessingParameterFolderDestination("FOLDER", "Folder", optional=True), "Out."

    def numbers(self):
        return {"F1": "F1 score"}


DEFAULTS = {"count": 3, "flag": False, "factors": ["slope"], "factor": "twi"}


@pytest.fixture
def run(provider, feedback, monkeypatch):
    """Run an algorithm; return the request that the engine would get, and the results."""

    def run_it(answer=None, context=None, **parameters):
        sent = {}

        def run_command(command, request, feedback):
            sent.update(command=command, request=request)
            if isinstance(answer, Exception):
                raise answer
            return answer or {}

        monkeypatch.setattr(algorithm, "run_command", run_command)
        monkeypatch.setattr(algorithm, "find_engine", lambda: Path(sys.executable))
        parameters = {"RASTER": None, "VECTOR": None, "HTML": None, "FOLDER": None, **parameters}
        used = context or QgsProcessingContext()
        used.setProject(QgsProject.instance())
        alg = Everything().create()
        assert alg.checkParameterValues(parameters, used) == (True, "")
        results, fine = alg.run(parameters, used, feedback, {}, False)
        assert fine
        return sent.get("request"), results

    return run_it


@pytest.fixture
def raster(tmp_path):
    """Write a synthetic raster; return its path."""

    def write(name, array, kind=gdal.GDT_Float32, bands=(), items=None):
        array = np.atleast_3d(np.asarray(array).T).T
        path = str(tmp_path / name)
        count, height, width = array.shape
        dataset = gdal.GetDriverByName("GTiff").Create(path, width, height, count, kind)
        crs = osr.SpatialReference()
        crs.ImportFromEPSG(32632)
        dataset.SetProjection(crs.ExportToWkt())
        dataset.SetGeoTransform((500000, 10, 0, 5000000, 0, -10))
        for number, values in enumerate(array, start=1):
            dataset.GetRasterBand(number).WriteArray(values)
            if bands:
                dataset.GetRasterBand(number).SetDescription(bands[number - 1])
            dataset.GetRasterBand(number).SetMetadata(items or {})
        return path

    return write


@pytest.fixture
def memory_layer():
    """Two lines, the second selected, in the project."""
    layer = QgsVectorLayer("LineString?crs=EPSG:32632&field=name:string", "rivers", "memory")
    for name, x in (("a", 0), ("b", 100)):
        feature = QgsFeature(layer.fields())
        feature.setGeometry(QgsGeometry.fromWkt(f"LINESTRING({x} 0, {x} 10)"))
        feature["name"] = name
        layer.dataProvider().addFeature(feature)
    QgsProject.instance().addMapLayer(layer)
    layer.select(2)
    yield layer
    QgsProject.instance().removeMapLayer(layer.id())


def names_in(path):
    return [feature["name"] for feature in QgsVectorLayer(path, "x", "ogr").getFeatures()]


class TestPlugin:
    def test_provider_and_setting_come_and_go(self, provider):
        registry = QgsApplication.processingRegistry()
        assert registry.providerById("landslide") is provider
        assert (provider.id(), provider.name()) == ("landslide", "Landslide Mapper")
        assert not provider.icon().isNull()
        assert provider.icon().pixmap(32, 32).toImage().pixelColor(16, 22).alpha() > 0

    def test_an_update_leaves_no_algorithm_of_before_in_memory(self, tmp_path):
        """QGIS forgets the modules that it has noted, and it notes those of import statements."""
        (tmp_path / "landslide_mapper").symlink_to(ROOT)
        program = """if True:
            import qgis.utils
            qgis.utils.available_plugins.append("landslide_mapper")
            from landslide_mapper.processing_algorithms import ALGORITHMS
            noted = qgis.utils._plugin_modules["landslide_mapper"]
            print(len(ALGORITHMS), {kind.__module__ for kind in ALGORITHMS} - noted)
        """
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.strip() == f"{len(ALGORITHMS)} set()"

    def test_without_engine_all_is_listed_and_says_what_to_do(self, provider, no_engine):
        listed = {result.name(): result for result in provider.algorithms()}
        assert {kind.ID for kind in ALGORITHMS} <= set(listed)
        for kind in ALGORITHMS:
            can, why = listed[kind.ID].canExecute()
            if kind.ID in ("setupengine", "fetchmodel"):
                assert can
            else:
                assert not can
                assert 'run "Set up the engine"' in why

    def test_with_an_engine_all_can_run(self, provider, monkeypatch):
        monkeypatch.setenv(engine_lookup.VARIABLE, sys.executable)
        assert all(result.canExecute()[0] for result in provider.algorithms())

    def test_the_graphical_models_are_listed_whole(self, provider):
        files = list((ROOT / "processing_algorithms" / "workflows").glob("*.model3"))
        models = [result for result in provider.algorithms() if hasattr(result, "childAlgorithms")]
        assert len(models) == len(files) > 0
        for model in models:
            children = model.childAlgorithms().values()
            assert children and all(child.algorithm() is not None for child in children)
            assert model.destinationParameterDefinitions()

    def test_qgis_process_lists_it(self, tmp_path):
        folder = tmp_path / "plugins"
        folder.mkdir()
        (folder / "landslide_mapper").symlink_to(ROOT)
        environment = {
            **os.environ,
            "QGIS_PLUGINPATH": str(folder),
            "QGIS_CUSTOM_CONFIG_PATH": str(tmp_path / "profile"),
            "QT_QPA_PLATFORM": "offscreen",
        }
        for words in (["plugins", "enable", "landslide_mapper"], ["list"]):
            done = subprocess.run(
                ["/usr/bin/qgis_process.bin", *words],
                env=environment, capture_output=True, text=True, check=True,
            )  # fmt: skip
        for kind in ALGORITHMS:
            assert f"landslide:{kind.ID}\t{kind.NAME}" in done.stdout


class TestDescription:
    def test_group_id_and_help(self):
        alg = Everything().create()
        assert alg.groupId() == "factorlayers"
        lines = alg.shortHelpString().split("\n")
        assert lines[:2] == ["First line goes on.", "Second paragraph."]
        assert "COUNT (Count): A whole number." in lines
        assert alg.parameterDefinition("COUNT").help() == "A whole number."
        assert alg.outputDefinition("F1").type() == "outputNumber"


class TestRequest:
    def test_what_is_not_given_is_left_out(self, run):
        assert run()[0] == DEFAULTS

    def test_numbers_may_come_as_text_as_from_qgis_process(self, run):
        request, _ = run(COUNT="7", SHARE="0.25", FLAG="true", FACTORS=["aspect", "twi"])
        assert request["count"] == 7
        assert request["share"] == 0.25
        assert request["flag"] is True
        assert request["factors"] == ["aspect", "twi"]

    def test_zero_is_given(self, run):
        assert run(SHARE=0.0)[0]["share"] == 0.0

    def test_a_raster_is_a_path_whether_file_or_layer(self, run, raster):
        path = raster("dem.tif", np.ones((4, 4)))
        layer = QgsRasterLayer(path, "dem")
        QgsProject.instance().addMapLayer(layer)
        for given in (path, layer, layer.id()):
            assert run(DEM=given, BAND=1)[0] == {**DEFAULTS, "dem": path, "band": 1}
        assert run(LAYERS=[path, layer.id()])[0]["layers"] == [path, path]
        QgsProject.instance().removeMapLayer(layer.id())

    def test_relative_paths_are_those_of_the_caller(self, run, raster, tmp_path, monkeypatch):
        path = raster("dem.tif", np.ones((4, 4)))
        monkeypatch.chdir(tmp_path)
        request, _ = run(DEM="dem.tif", MODEL="dem.tif", RASTER="out.tif", FOLDER="samples")
        assert (request["dem"], request["model"]) == (path, path)
        assert request["raster"] == str(tmp_path / "out.tif")
        assert request["folder"] == str(tmp_path / "samples")

    def test_a_memory_layer_is_exported(self, run, memory_layer):
        context = QgsProcessingContext()
        path = run(RIVERS=memory_layer.id(), context=context)[0]["rivers"]
        assert path.endswith(".gpkg")
        assert names_in(path) == ["a", "b"]

    def test_only_selected_features_when_asked(self, run, memory_layer):
        context = QgsProcessingContext()
        chosen = QgsProcessingFeatureSourceDefinition(memory_layer.id(), True)
        assert names_in(run(RIVERS=chosen, context=context)[0]["rivers"]) == ["b"]

    def test_a_filter_holds(self, run, memory_layer, tmp_path):
        path, context = str(tmp_path / "rivers.gpkg"), QgsProcessingContext()
        QgsVectorFileWriter.writeAsVectorFormatV3(
            memory_layer, path, context.transformContext(), QgsVectorFileWriter.SaveVectorOptions()
        )
        layer = QgsVectorLayer(path, "rivers", "ogr")
        QgsProject.instance().addMapLayer(layer)
        assert run(RIVERS=layer.id(), context=context)[0]["rivers"].startswith(path)
        assert layer.setSubsetString("name = 'a'")
        assert names_in(run(RIVERS=layer.id(), context=context)[0]["rivers"]) == ["a"]
        QgsProject.instance().removeMapLayer(layer.id())

    def test_temporary_outputs_get_a_path(self, run):
        request, _ = run(RASTER="TEMPORARY_OUTPUT", FOLDER="TEMPORARY_OUTPUT")
        assert request["raster"].endswith(".tif")
        assert os.path.isabs(request["folder"])
        assert Path(request["folder"]).parent.is_dir()

    @pytest.mark.parametrize(
        ("key", "value", "sentence"),
        [
            ("DEM", "/nowhere/dem.tif", "DEM: /nowhere/dem.tif does not exist: check the path."),
            ("RIVERS", "/nowhere/r.gpkg", "Rivers: /nowhere/r.gpkg does not exist"),
            ("MODEL", "/nowhere/m.safetensors", "Model: /nowhere/m.safetensors does not exist"),
            ("LAYERS", ["/nowhere/a.tif"], "Layers: /nowhere/a.tif does not exist"),
            ("DEM", __file__, "DEM: .* is not a raster that QGIS can read"),
            ("FACTORS", ["slope", "slop"], "Factors: slop is none of slope, aspect, twi."),
            ("FACTORS", "slope,1", "Factors: 1 is none of slope, aspect, twi."),
            ("FACTOR", "x", "Factor: x is none of slope, aspect, twi."),
            ("SHARE", "1.5", "Share: 1.5 is not within 0 to 1."),
            ("COUNT", 0, "Count: 0 is not within 1 upwards."),
            ("COUNT", 8.5, "Count: 8.5 is no whole number."),
            ("COUNT", "3000000000", "Count: 3000000000 is not within 1 to 2147483647."),
            ("SHARE", "0,5", "Share: 0,5 is no number: write it with a point, such as 0.5."),
            ("FLAG", "no", "Flag: no is neither true nor false."),
            ("RASTER", "out.png", r"Raster: .*\.png.* not supported"),
        ],
    )
    def test_what_is_wrong_with_a_value_is_told_before_the_run(
        self, provider, key, value, sentence
    ):
        alg = Everything().create()
        alg.setProvider(provider)
        fine, why = alg.checkParameterValues({key: value}, QgsProcessingContext())
        assert not fine
        assert re.search(sentence, why)

    def test_a_database_is_no_destination(self, run):
        with pytest.raises(QgsProcessingException, match="is not a file: choose one"):
            run(VECTOR="ogr:dbname='/tmp/x.gpkg' table=\"t\" (geom)")


class TestResult:
    def test_declared_outputs_come_back_under_their_keys(self, run, tmp_path):
        path = str(tmp_path / "a.tif")
        answer = {"raster": path, "f1": 0.5, "inner": 3}
        assert run(answer, RASTER=path)[1] == {"RASTER": path, "F1": 0.5}

    def test_what_the_user_can_mend_comes_without_traceback(self, run):
        with pytest.raises(QgsProcessingException) as caught:
            run(InputError("The DEM has no CRS: assign one."))
        assert str(caught.value) == "The DEM has no CRS: assign one."

    def test_the_traceback_of_a_bug_goes_to_the_log(self, run, feedback):
        with pytest.raises(QgsProcessingException) as caught:
            run(EngineFailure("Unexpected KeyError.", "Traceback ..."))
        assert str(caught.value) == "Unexpected KeyError."
        assert "Traceback ..." in feedback.log

    def test_a_canceled_run_has_no_results(self, run):
        assert run(EngineCanceled())[1] == {}

    def test_a_layer_that_gets_loaded_is_styled(self, run, raster):
        path = raster("p.tif", [[0.0, 1.0]])
        project, context = QgsProject(), QgsProcessingContext()
        run(RASTER=QgsProcessingOutputLayerDefinition(path, project), context=context)
        processor = context.layerToLoadOnCompletionDetails(path).postProcessor()
        layer = QgsRasterLayer(path, "p")
        processor.postProcessLayer(layer, context, None)
        assert layer.renderer().type() == "singlebandpseudocolor"


class TestStyles:
    def test_probability_lets_what_is_unlikely_through(self, qgis_app, raster):
        layer = QgsRasterLayer(raster("p.tif", [[0.0, 1.0]]), "p")
        styles.apply("probability", layer)
        shader = layer.renderer().shader()
        assert shader.shade(0.0)[4] == 0
        assert shader.shade(1.0)[4] == 255

    def test_mask_shows_landslides_only(self, qgis_app, raster):
        layer = QgsRasterLayer(raster("m.tif", [[0, 1]], gdal.GDT_Byte), "m")
        styles.apply("mask", layer)
        colors = {item.value: item.color.alpha() for item in layer.renderer().classes()}
        assert colors == {0: 0, 1: 255}

    def test_classes_have_their_names(self, qgis_app, raster):
        items = {"class_1": "granite", "class_2": "marl", "STATISTICS_MEAN": "1"}
        layer = QgsRasterLayer(raster("c.tif", [[1, 2]], gdal.GDT_Int16, items=items), "c")
        styles.apply("classes", layer)
        assert isinstance(layer.renderer(), QgsPalettedRasterRenderer)
        labels = {item.value: item.label for item in layer.renderer().classes()}
        assert labels == {1: "granite", 2: "marl"}

    def test_distance_spans_the_data(self, qgis_app, raster):
        layer = QgsRasterLayer(raster("d.tif", [[0.0, 400.0]]), "d")
        styles.apply("distance", layer)
        assert layer.renderer().classificationMax() == 400

    def test_factors_show_true_colours_where_there_are_any(self, qgis_app, raster):
        array = np.random.default_rng(0).random((4, 8, 8))
        bands = ["blue", "green", "red", "slope"]
        layer = QgsRasterLayer(raster("s.tif", array, bands=bands), "s")
        styles.apply("factors", layer)
        renderer = layer.renderer()
        assert (renderer.redBand(), renderer.greenBand(), renderer.blueBand()) == (3, 2, 1)
        grey = QgsRasterLayer(raster("t.tif", array[:2], bands=["unheard", "of"]), "t")
        styles.apply("factors", grey)
        assert grey.renderer().usesBands() == [1]
        assert grey.renderer().contrastEnhancement().maximumValue() <= 1

    @pytest.mark.parametrize(("kind", "style"), [("Polygon", "inventory"), ("LineString", "lines")])
    def test_vectors(self, qgis_app, kind, style):
        layer = QgsVectorLayer(f"{kind}?crs=EPSG:32632", "x", "memory")
        styles.apply(style, layer)
        symbol = layer.renderer().symbol().symbolLayer(0)
        color = symbol.strokeColor() if kind == "Polygon" else symbol.color()
        assert color.name() in ("#d7191c", "#1f78b4")

    def test_a_style_leaves_layers_of_the_other_kind_alone(self, qgis_app):
        layer = QgsVectorLayer("Point?crs=EPSG:32632", "x", "memory")
        before = layer.renderer().type()
        styles.apply("probability", layer)
        assert layer.renderer().type() == before


def test_the_worker_knows_every_destination_as_an_output(provider):
    """So that none of them is an input, another output or in the work of another run."""
    for result in provider.algorithms():
        if result.name() in set(COMMANDS) - {"recipe"}:  # whose steps claim what they write
            keys = {each.name().lower() for each in result.destinationParameterDefinitions()}
            assert keys == set(OUTPUTS.get(result.name(), ("output",)))
