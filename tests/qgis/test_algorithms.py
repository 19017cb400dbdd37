"""The interface of the algorithms: ids, keys, defaults, help; and runs of the factor layers."""

import ast
from pathlib import Path

import numpy as np
import processing
import pytest
from landslide_mapper.landslide_plugin.contract import choices
from landslide_mapper.landslide_plugin.contract.commands import COMMANDS
from landslide_mapper.landslide_plugin.contract.kinds import Several, Whole
from landslide_mapper.processing_algorithms import ALGORITHMS
from landslide_mapper.processing_algorithms.request import input_value
from osgeo import gdal, osr
from qgis.core import (
    NULL,
    QgsApplication,
    QgsFeature,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProject,
    QgsVectorLayer,
)
from qgis.gui import QgsGui, QgsProcessingGui
from qgis.PyQt.QtCore import QVariant

ROOT = Path(__file__).resolve().parents[2]

INTERFACE = {
    "terrainfactors": {
        "INPUT": "raster",
        "FACTORS": "enum",
        "SMOOTHING": "number",
        "Z_UNIT": "enum",
        "FILL": "enum",
        "OUTPUT": "rasterDestination",
    },
    "spectralindices": {
        "INPUT": "raster",
        "BANDS": "multilayer",
        "EARLIER": "raster",
        "INDICES": "enum",
        "SENSOR": "enum",
        "BLUE": "band",
        "GREEN": "band",
        "RED": "band",
        "NIR": "band",
        "SWIR1": "band",
        "SWIR2": "band",
        "SCALE": "number",
        "OFFSET": "number",
        "EARLIER_SCALE": "number",
        "EARLIER_OFFSET": "number",
        "FILL": "enum",
        "OUTPUT": "rasterDestination",
    },
    "streams": {
        "INPUT": "raster",
        "MIN_AREA": "number",
        "Z_UNIT": "enum",
        "FILL": "enum",
        "OUTPUT": "vectorDestination",
    },
    "distance": {
        "INPUT": "source",
        "REFERENCE": "raster",
        "NAME": "string",
        "MAX_DISTANCE": "number",
        "LEVELS": "enum",
        "BREAKS": "string",
        "OUTPUT": "rasterDestination",
    },
    "classes": {
        "INPUT": "layer",
        "FIELD": "expression",
        "REFERENCE": "raster",
        "NAME": "string",
        "ONE_HOT": "boolean",
        "OUTPUT": "rasterDestination",
    },
    "stack": {
        "LAYERS": "multilayer",
        "REFERENCE": "raster",
        "RESAMPLING": "enum",
        "AREA": "source",
        "SENSOR": "enum",
        "FILL": "enum",
        "SCALE": "number",
        "OFFSET": "number",
        "OUTPUT": "rasterDestination",
    },
    "factoranalysis": {
        "STACK": "raster",
        "LANDSLIDES": "layer",
        "CLASSES": "number",
        "AREA": "source",
        "SEED": "number",
        "FILL": "enum",
        "HTML": "fileDestination",
        "TABLE": "fileDestination",
    },
    "samples": {
        "STACK": "multilayer",
        "LANDSLIDES": "layer",
        "FIELD": "expression",
        "LOW": "number",
        "HIGH": "number",
        "AREA": "source",
        "TILE_SIZE": "number",
        "STRIDE": "number",
        "SPLIT": "enum",
        "BACKGROUND": "number",
        "HARD_NEGATIVES": "raster",
        "HARD_THRESHOLD": "number",
        "HARD_SHARE": "number",
        "VALIDATION": "number",
        "TEST": "number",
        "SEED": "number",
        "FILL": "enum",
        "OUTPUT": "folderDestination",
    },
    "importsamples": {
        "IMAGES": "file",
        "MASKS": "file",
        "WITHOUT": "file",
        "BANDS": "string",
        "RESOLUTION": "number",
        "LIMIT": "number",
        "MISSING": "enum",
        "INSTANCES": "boolean",
        "SPLIT": "enum",
        "VALIDATION": "number",
        "TEST": "number",
        "SEED": "number",
        "OUTPUT": "folderDestination",
    },
    "train": {
        "SAMPLES": "file",
        "ARCHITECTURE": "enum",
        "BACKBONE": "string",
        "PRETRAINED": "enum",
        "WEIGHTS": "file",
        "START_FROM": "file",
        "LOSS": "enum",
        "EPOCHS": "number",
        "BATCH_SIZE": "number",
        "LEARNING_RATE": "number",
        "OPTIMIZER": "enum",
        "SCHEDULE": "enum",
        "FROZEN_EPOCHS": "number",
        "PATIENCE": "number",
        "AVERAGING": "number",
        "FOLDS": "number",
        "AUGMENTATION": "enum",
        "ENHANCEMENT": "number",
        "TILE_SIZE": "number",
        "BANDS": "string",
        "DEVICE": "enum",
        "SEED": "number",
        "RESUME": "boolean",
        "MODEL": "fileDestination",
        "HTML": "fileDestination",
    },
    "exportmodel": {
        "MODEL": "file",
        "FORMAT": "enum",
        "TILE_SIZE": "number",
        "ANY_SIZE": "boolean",
        "OUTPUT": "fileDestination",
    },
    "trainweak": {
        "SAMPLES": "file",
        "METHOD": "enum",
        "EPOCHS": "number",
        "GAN_EPOCHS": "number",
        "TILE_SIZE": "number",
        "REDUCTION": "number",
        "THRESHOLD": "number",
        "ENCODER": "string",
        "DEPTH": "number",
        "PEAK": "number",
        "PRETRAINED": "enum",
        "BATCH_SIZE": "number",
        "GAN_BATCH_SIZE": "number",
        "LEARNING_RATE": "number",
        "WIDTH": "number",
        "BLOCKS": "number",
        "RESIDUAL": "boolean",
        "BANDS": "string",
        "DEVICE": "enum",
        "SEED": "number",
        "MODEL": "fileDestination",
        "HTML": "fileDestination",
    },
    "map": {
        "IMAGE": "raster",
        "DEM": "raster",
        "MODEL": "file",
        "RIVERS": "source",
        "FAULTS": "source",
        "GEOLOGY": "layer",
        "GEOLOGY_FIELD": "expression",
        "AREA": "source",
        "THRESHOLD": "number",
        "MIN_AREA": "number",
        "SENSOR": "enum",
        "SCALE": "number",
        "OFFSET": "number",
        "SMOOTHING": "number",
        "STREAM_AREA": "number",
        "Z_UNIT": "enum",
        "DEVICE": "enum",
        "FILL": "enum",
        "INVENTORY": "vectorDestination",
        "PROBABILITY": "rasterDestination",
        "HTML": "fileDestination",
    },
    "predict": {
        "STACK": "raster",
        "MODEL": "file",
        "AREA": "source",
        "THRESHOLD": "number",
        "TILE_SIZE": "number",
        "OVERLAP": "number",
        "BATCH_SIZE": "number",
        "DEVICE": "enum",
        "RUNTIME": "enum",
        "TTA": "boolean",
        "MORE_MODELS": "multilayer",
        "MORE_STACKS": "multilayer",
        "FILL": "enum",
        "PROBABILITY": "rasterDestination",
        "MASK": "rasterDestination",
        "UNCERTAINTY": "rasterDestination",
    },
    "detect": {
        "STACK": "raster",
        "MODEL": "file",
        "SCORE": "number",
        "TILE_SIZE": "number",
        "OVERLAP": "number",
        "AREA": "source",
        "DEVICE": "enum",
        "FILL": "enum",
        "OUTPUT": "vectorDestination",
        "MASK": "rasterDestination",
    },
    "vectorize": {
        "INPUT": "raster",
        "THRESHOLD": "number",
        "GROW": "number",
        "MIN_AREA": "number",
        "MAX_HOLE": "number",
        "OPENING": "number",
        "CLOSING": "number",
        "SPLIT": "enum",
        "SPLIT_DEPTH": "number",
        "PARTS": "boolean",
        "SIMPLIFY": "number",
        "SMOOTH": "number",
        "FACTORS": "raster",
        "MODEL": "string",
        "DATE": "string",
        "FILL": "enum",
        "OUTPUT": "vectorDestination",
    },
    "evaluate": {
        "PREDICTED": "multilayer",
        "REFERENCE": "layer",
        "AREA": "source",
        "THRESHOLD": "number",
        "TOLERANCE": "number",
        "BLOCK_SIZE": "number",
        "IMAGE": "raster",
        "HTML": "fileDestination",
        "JSON": "fileDestination",
        "CSV": "fileDestination",
    },
    "demoarea": {"SEED": "number", "SIZE": "number", "FOLDER": "folderDestination"},
    "setupengine": {
        "TORCH": "enum",
        "PYTHON": "file",
        "WHEELHOUSE": "file",
        "REMOVE_OLD": "boolean",
        "CUDA": "boolean",
    },
    "fetchmodel": {"NAME": "enum", "ADDRESS": "string"},
}
"""Id to keys and types of parameters: scripts and models rely on them, so they only grow."""

OTHER_OUTPUTS = {
    "factoranalysis": {"AUC_BLOCKS": "outputNumber", "AUC_RANDOM": "outputNumber"},
    "samples": {"TRAIN": "outputNumber", "IMBALANCE": "outputNumber"},
    "importsamples": {"TRAIN": "outputNumber", "IMBALANCE": "outputNumber"},
    "train": dict.fromkeys(("F1", "IOU", "THRESHOLD"), "outputNumber"),
    "exportmodel": {"DIFFERENCE": "outputNumber"},
    "setupengine": {
        **dict.fromkeys(("ENGINE", "PACKAGES", "DEVICE", "FOLDER"), "outputString"),
        **dict.fromkeys(("MEGAPIXELS_PER_SECOND", "SIZE"), "outputNumber"),
    },
    "trainweak": {"CAM_F1": "outputNumber", "GAN_F1": "outputNumber"},
    "map": {"COUNT": "outputNumber", "AREA_M2": "outputNumber"},
    "detect": {"COUNT": "outputNumber"},
    "vectorize": {"COUNT": "outputNumber", "AREA_M2": "outputNumber"},
    "evaluate": dict.fromkeys(
        (
            "OA",
            "PRECISION",
            "RECALL",
            "F1",
            "KAPPA",
            "IOU_LANDSLIDE",
            "IOU_BACKGROUND",
            "MIOU",
            "FPR",
            "MCC",
            "AREA_BIAS",
            "MAPPING_ERROR",
            "MATCHING",
            "MATCHING_MEDIAN",
            "BOUNDARY_F",
            "BOUNDARY_PRECISION",
            "BOUNDARY_RECALL",
            "HIT_RATE",
            "HIT_RATE_SMALL",
            "HIT_RATE_MEDIUM",
            "HIT_RATE_LARGE",
            "HIT_RATE_VERY_LARGE",
            "FALSE_ALARMS_KM2",
            "OBJECT_PRECISION",
            "OBJECT_RECALL",
            "OBJECT_F1",
            "SIZE_DISTANCE",
            "AVERAGE_PRECISION",
            "ROC_AUC",
            "BRIER",
            "BRIER_SKILL",
            "CALIBRATION_ERROR",
            "BEST_THRESHOLD",
            "BEST_F1",
            "AREA_KM2",
            "REFERENCE_AREA_M2",
            "PREDICTED_AREA_M2",
            "REFERENCE_LANDSLIDES",
            "PREDICTED_LANDSLIDES",
        ),
        "outputNumber",
    ),
    "demoarea": {
        "IMAGE": "outputRaster",
        "DEM": "outputRaster",
        "RIVERS": "outputVector",
        "FAULTS": "outputVector",
        "GEOLOGY": "outputVector",
        "LANDSLIDES": "outputVector",
    },
}
"""Outputs that are no destination parameters."""

COMMAND_NAMES = [name for name in INTERFACE if name in COMMANDS]
"""Algorithms that are one command of the engine; the set-up is not."""

GROUPS = {
    "Factor layers": {
        "terrainfactors",
        "spectralindices",
        "streams",
        "distance",
        "classes",
        "stack",
        "factoranalysis",
    },
    "Samples and training": {"samples", "importsamples", "train", "trainweak", "exportmodel"},
    "Mapping": {"map", "predict", "detect", "fetchmodel"},
    "Inventory and accuracy": {"vectorize", "evaluate"},
    "": {"demoarea", "setupengine"},
}

KINDS = {name.lower(): vars(getattr(choices, name)) for name in choices.__all__}
"""Id to the kinds of its parameters, by their keys."""

pytestmark = pytest.mark.usefixtures("provider")


def algorithm(name):
    found = QgsApplication.processingRegistry().algorithmById(f"landslide:{name}")
    assert found is not None, f"landslide:{name} is not registered"
    return found


def command_arguments(name):
    """Return the arguments of an engine command with their defaults, read from its source."""
    source = ROOT / "landslide_plugin" / (COMMANDS[name].replace(".", "/") + ".py")
    functions = ast.parse(source.read_text(encoding="utf-8")).body
    function = next(
        item for item in functions if isinstance(item, ast.FunctionDef) and item.name == name
    )
    pairs = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    return {item.arg: default for item, default in pairs if item.arg not in ("origin", "progress")}


def as_list(value):
    """Return a list that a choice has as one, and a line of text as words parted by commas."""
    return (
        value if isinstance(value, list) else [word for word in (value or "").split(", ") if word]
    )


# ---- the interface


def test_all_algorithms_are_listed_in_their_groups():
    listed = {kind.ID: kind.GROUP for kind in ALGORITHMS}
    assert listed == {name: group for group, names in GROUPS.items() for name in names}
    assert set(INTERFACE) == set(listed)


@pytest.mark.parametrize("name", INTERFACE)
def test_keys_and_types_are_those_promised(name):
    given = {item.name(): item.type() for item in algorithm(name).parameterDefinitions()}
    assert given == INTERFACE[name]


@pytest.mark.parametrize("name", [*COMMAND_NAMES, "setupengine"])
def test_other_outputs_are_those_promised(name):
    outputs = {item.name(): item.type() for item in algorithm(name).outputDefinitions()}
    others = {key: kind for key, kind in outputs.items() if key not in INTERFACE[name]}
    assert others == OTHER_OUTPUTS.get(name, {})
    destinations = {key for key, kind in INTERFACE[name].items() if kind.endswith("Destination")}
    assert destinations <= set(outputs)


@pytest.mark.parametrize("name", INTERFACE)
def test_help_says_what_when_method_source_and_each_parameter(name):
    alg = algorithm(name)
    text = alg.shortHelpString()
    for part in ("When: ", "Method: ", "Source"):
        assert part in text
    what = text.split("When: ")[0].strip()
    assert len(what) > 40 and what.endswith(".")
    for parameter in alg.parameterDefinitions():
        assert len(parameter.help()) > 10 and parameter.help().endswith("."), parameter.name()
        assert parameter.description()
    assert len(alg.tags()) > 3


@pytest.mark.parametrize("name", COMMAND_NAMES)
def test_keys_are_the_arguments_of_the_engine_command(name):
    assert {key.lower() for key in INTERFACE[name]} == set(command_arguments(name))


@pytest.mark.parametrize("name", COMMAND_NAMES)
def test_form_and_command_take_defaults_from_the_same_kind(name):
    arguments = command_arguments(name)
    for parameter in algorithm(name).parameterDefinitions():
        key, ours = parameter.name(), parameter.defaultValue()
        default = arguments[key.lower()]
        if default is None or parameter.isDestination():
            continue
        theirs = ast.unparse(default).removeprefix("choices.")
        if key in KINDS[name]:
            assert theirs.lower() == f"{name}.{key}.default".lower()
            expected = KINDS[name][key].default
            if isinstance(expected, tuple):
                ours, expected = as_list(ours), list(expected)
        else:
            expected = ast.literal_eval(theirs)
        # Not given is what the engine has as "", 0, () or None.
        assert (ours or None) == (expected or None), key


@pytest.mark.parametrize("name", COMMAND_NAMES)
def test_a_form_asks_what_the_kind_says(name):
    for parameter in algorithm(name).parameterDefinitions():
        kind = KINDS[name].get(parameter.name())
        if kind is None:
            assert parameter.type() not in ("enum", "number", "boolean")
            continue
        unit = getattr(kind, "unit", "")
        assert parameter.description() == (f"{kind.label} ({unit})" if unit else kind.label)
        if parameter.type() == "enum":
            assert parameter.usesStaticStrings() and parameter.options() == list(kind.words)
            assert parameter.allowMultiple() == isinstance(kind, Several)
            assert parameter.metadata()["widget_wrapper"]["labels"] == kind.words
        if parameter.type() == "number":
            low = kind.above if kind.low is None else kind.low
            assert low is None or parameter.minimum() == low
            assert kind.high is None or parameter.maximum() >= kind.high
            assert isinstance(kind, Whole) == (parameter.dataType() == parameter.Type.Integer)


@pytest.mark.parametrize("name", COMMAND_NAMES)
def test_what_the_engine_needs_is_not_optional(name):
    arguments = command_arguments(name)
    for parameter in algorithm(name).parameterDefinitions():
        if arguments[parameter.name().lower()] is None:
            assert not parameter.flags() & parameter.FlagOptional, parameter.name()


@pytest.mark.parametrize("nothing", [None, "", QVariant(), NULL])
def test_boxes_left_empty_give_nothing(nothing):
    """Dialogs give a null QVariant for an empty box of a file or field, qgis_process gives none."""
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    for kind in ALGORITHMS:
        algorithm = kind()
        algorithm.initAlgorithm({})
        for definition in algorithm.parameterDefinitions():
            if not definition.isDestination():
                given = {definition.name(): nothing}
                assert input_value(algorithm, definition, given, context, feedback) is None


@pytest.mark.parametrize("written", ["rock type", '"rock type"', ' "rock type" '])
@pytest.mark.parametrize(
    ("name", "key"), [("classes", "FIELD"), ("samples", "FIELD"), ("map", "GEOLOGY_FIELD")]
)
def test_a_field_is_its_name_with_the_dialogs_quotation_marks_or_without(name, key, written):
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    alg = algorithm(name)
    definition = alg.parameterDefinition(key)
    assert input_value(alg, definition, {key: written}, context, feedback) == "rock type"


def test_numbers_refuse_what_makes_no_sense():
    predict = algorithm("predict")
    for key, bad in (("OVERLAP", 1.5), ("THRESHOLD", 2), ("TILE_SIZE", -1)):
        definition = predict.parameterDefinition(key)
        assert not definition.checkValueIsAcceptable(bad), key
        assert definition.checkValueIsAcceptable(definition.minimum()), key


# ---- runs


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


def test_the_dialog_keeps_small_scales():
    """Landsat's 0.0000275, which the default of six decimals makes 0.000028."""
    definition = algorithm("spectralindices").parameterDefinition("SCALE")
    context = QgsProcessingContext()
    registry = QgsGui.processingGuiRegistry()
    wrapper = registry.createParameterWidgetWrapper(
        definition, QgsProcessingGui.WidgetType.Standard
    )
    widget = wrapper.createWrappedWidget(context)
    wrapper.setParameterValue(0.0000275, context)
    assert wrapper.parameterValue() == 0.0000275
    widget.deleteLater()


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
    made = processing.run(
        "landslide:vectorize",
        {"INPUT": path, "MIN_AREA": 1000, "OUTPUT": str(tmp_path / "inventory.gpkg")},
    )
    assert made["COUNT"] == 1
    assert made["AREA_M2"] == pytest.approx(20000, rel=2e-3)
    measured = processing.run(
        "landslide:evaluate",
        {"PREDICTED": made["OUTPUT"], "REFERENCE": path, "HTML": str(tmp_path / "report.html")},
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
