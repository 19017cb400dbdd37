"""The demo area in a project: which layers are loaded, in which order, and how they look."""

import os

import numpy as np
import processing
import pytest
from osgeo import gdal
from processing.gui import Postprocessing
from qgis.core import (
    QgsApplication,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProcessingContext,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
)
from qgis.PyQt.QtCore import QSize

pytestmark = pytest.mark.usefixtures("provider")
ORDER = ["Landslides", "Faults", "Rivers", "Image", "Geology", "DEM"]


def run(folder, project, feedback, **parameters):
    """Run it as its dialog does; return what it returns, and the context."""
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("landslide:demoarea")
    context = QgsProcessingContext()
    if project is not None:
        context.setProject(project)
    parameters = {"SIZE": 256, "FOLDER": str(folder), **parameters}
    values, done = algorithm.run(parameters, context, feedback)
    assert done, feedback.errors
    assert Postprocessing.handleAlgorithmResults(
        algorithm, context, feedback, parameters=parameters
    )
    return values, context


def groups(project):
    return {
        group.name(): [node.layer().name() for node in group.findLayers()]
        for group in project.layerTreeRoot().findGroups()
    }


def drawn(project, layers, path):
    """Return what QGIS draws of layers, (rows, columns, 3)."""
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(layers[0].crs())
    settings.setExtent(layers[-1].extent())
    settings.setOutputSize(QSize(512, 512))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(str(path))
    return gdal.Open(str(path)).ReadAsArray()[:3].transpose(1, 2, 0).astype(float)


def test_layers_are_loaded_in_order_with_styles(engine, project, feedback, tmp_path):
    values, _ = run(tmp_path / "area", project, feedback)
    assert groups(project) == {"Synthetic demo area, seed 0": ORDER}
    layers = {layer.name(): layer for layer in project.mapLayers().values()}
    assert len(layers) == len(ORDER) and all(layer.isValid() for layer in layers.values())
    assert layers["Image"].source() == values["IMAGE"]
    kinds = {name: layer.renderer().type() for name, layer in layers.items()}
    assert kinds == {
        "Landslides": "singleSymbol",
        "Faults": "singleSymbol",
        "Rivers": "categorizedSymbol",
        "Image": "multibandcolor",
        "Geology": "categorizedSymbol",
        "DEM": "hillshade",
    }
    image = layers["Image"].renderer()
    assert [layers["Image"].bandName(band).split(": ")[1] for band in image.usesBands()] == [
        "red", "green", "blue"
    ]  # fmt: skip
    lithologies = {category.label() for category in layers["Geology"].renderer().categories()}
    assert lithologies == {"granite", "sandstone", "mudstone"}


def test_the_map_is_in_natural_colours(engine, project, feedback, tmp_path):
    """Green woods, brown soil: neither black, nor burnt out, nor grey."""
    run(tmp_path / "area", project, feedback, SEED=1)
    layers = [node.layer() for node in project.layerTreeRoot().findLayers()]
    names = [layer.name() for layer in layers]
    keep = os.environ.get("LANDSLIDE_PICTURES")
    folder = tmp_path if keep is None else type(tmp_path)(keep)
    image = drawn(project, [layers[names.index("Image")]], folder / "image.png")
    _, green, blue = image.reshape(-1, 3).T
    assert np.mean(image == 255) < 0.05 and np.mean(image == 0) < 0.05
    assert 40 < image.mean() < 180 and image.std() > 25
    assert np.mean(green > blue) > 0.7  # vegetation and soil, not a blue or grey cast
    whole = drawn(project, layers, folder / "map.png")
    lines = np.abs(whole - image).max(axis=2) > 60  # landslides, rivers and faults lie on top
    assert 0.005 < lines.mean() < 0.4
    below = [layers[names.index("Geology")], layers[names.index("DEM")]]
    ground = drawn(project, below, folder / "ground.png")
    relief = drawn(project, below[1:], folder / "relief.png")
    assert ground.std() > 20 and (ground <= relief + 2).all()  # colours multiplied on the relief


def test_another_area_gets_a_group_of_its_own(engine, project, feedback, tmp_path):
    run(tmp_path / "one", project, feedback)
    run(tmp_path / "two", project, feedback, SEED=2)
    assert groups(project) == {
        "Synthetic demo area, seed 2": ORDER,
        "Synthetic demo area, seed 0": ORDER,
    }


def test_without_a_project_nothing_is_loaded(engine, project, feedback, tmp_path):
    values, context = run(tmp_path / "area", None, feedback)
    assert not context.layersToLoadOnCompletion() and not project.mapLayers()
    assert os.path.exists(values["IMAGE"])


def test_a_script_gets_paths_and_loads_nothing(engine, project, tmp_path):
    values = processing.run("landslide:demoarea", {"SIZE": 256, "FOLDER": str(tmp_path / "area")})
    assert os.path.exists(values["DEM"]) and not project.mapLayers()


def test_a_model_goes_on_with_its_layers(engine, project, tmp_path):
    source = QgsProcessingModelChildParameterSource
    demo = QgsProcessingModelChildAlgorithm("landslide:demoarea")
    demo.setChildId("demo")
    demo.addParameterSources("SIZE", [source.fromStaticValue(256)])
    demo.addParameterSources("FOLDER", [source.fromStaticValue(str(tmp_path / "area"))])
    distance = QgsProcessingModelChildAlgorithm("landslide:distance")
    distance.setChildId("distance")
    distance.addParameterSources("INPUT", [source.fromChildOutput("demo", "RIVERS")])
    distance.addParameterSources("REFERENCE", [source.fromChildOutput("demo", "DEM")])
    distance.addParameterSources("NAME", [source.fromStaticValue("river_distance")])
    output = QgsProcessingModelOutput("Distance")
    output.setChildId("distance")
    output.setChildOutputName("OUTPUT")
    distance.setModelOutputs({"Distance": output})
    model = QgsProcessingModelAlgorithm("demo", "test")
    model.addChildAlgorithm(demo)
    model.addChildAlgorithm(distance)
    model.updateDestinationParameters()
    values = processing.run(model, {"distance:Distance": str(tmp_path / "distance.tif")})
    assert gdal.Open(values["distance:Distance"]).ReadAsArray().shape == (256, 256)
    assert not project.mapLayers()
