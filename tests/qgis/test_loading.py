"""Outputs that QGIS loads after a run, as dialogs do: styled in every run, each by itself."""

import numpy as np
import processing
import pytest
from osgeo import gdal, osr
from qgis.core import (
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingOutputLayerDefinition,
)

pytestmark = pytest.mark.usefixtures("provider")


@pytest.fixture
def dem(tmp_path):
    """A plane that rises towards the north."""
    path = str(tmp_path / "dem.tif")
    dataset = gdal.GetDriverByName("GTiff").Create(path, 40, 30, 1, gdal.GDT_Float32)
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32632)
    dataset.SetProjection(crs.ExportToWkt())
    dataset.SetGeoTransform((500000, 10, 0, 5000000, 0, -10))
    rows = np.arange(30, dtype=np.float32)[::-1, None] * 10 + 1000
    dataset.GetRasterBand(1).WriteArray(np.repeat(rows, 40, axis=1))
    del dataset
    return path


def renderers(project):
    return sorted(layer.renderer().type() for layer in project.mapLayers().values())


def test_a_later_run_is_styled_as_the_first(engine, project, dem, tmp_path):
    for number in (1, 2, 3):
        wanted = {"INPUT": dem, "FACTORS": ["slope"], "OUTPUT": str(tmp_path / f"{number}.tif")}
        processing.runAndLoadResults("landslide:terrainfactors", wanted)
    assert renderers(project) == ["singlebandpseudocolor"] * 3


def test_a_check_of_the_parameters_has_nothing_loaded(project, dem):
    """Runs over single features and from scripts told of a layer that was not generated."""
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("landslide:terrainfactors")
    context = QgsProcessingContext()
    context.setProject(project)
    output = QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", project)
    fine, problem = algorithm.checkParameterValues({"INPUT": dem, "OUTPUT": output}, context)
    assert fine, problem
    assert not context.layersToLoadOnCompletion()


def test_two_outputs_of_one_style_do_not_end_qgis(engine, project, dem, tmp_path):
    """As a graphical model with two steps of the same kind gives them."""
    model = QgsProcessingModelAlgorithm("two", "test")
    source = QgsProcessingModelChildParameterSource
    for name in ("slope", "aspect"):
        step = QgsProcessingModelChildAlgorithm("landslide:terrainfactors")
        step.setChildId(name)
        step.addParameterSources("INPUT", [source.fromStaticValue(dem)])
        step.addParameterSources("FACTORS", [source.fromStaticValue([name])])
        output = QgsProcessingModelOutput(name)
        output.setChildId(name)
        output.setChildOutputName("OUTPUT")
        step.setModelOutputs({name: output})
        model.addChildAlgorithm(step)
    model.updateDestinationParameters()
    wanted = {f"{name}:{name}": str(tmp_path / f"{name}.tif") for name in ("slope", "aspect")}
    processing.runAndLoadResults(model, wanted)
    assert renderers(project) == ["singlebandpseudocolor"] * 2
