"""Opens the dialogs of all algorithms in QGIS's own Python; run by test_dialogs.py.

Its argument is a folder for files. It prints what it is about to do before it does it, so that
after a crash the last line says what crashed.
"""

import os
import sys
from pathlib import Path
from unittest import mock

import qgis.utils
from osgeo import gdal, osr
from qgis.core import (
    QgsApplication,
    QgsProcessingContext,
    QgsProject,
    QgsRasterLayer,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis.gui import QgsMapCanvas, QgsMessageBar
from qgis.PyQt.QtWidgets import QComboBox, QMainWindow

LAYER_TYPES = {"raster", "vector", "source", "layer", "multilayer"}


def start():
    """Return a window of a QGIS that has the plugin loaded."""
    window = QMainWindow()
    iface = mock.Mock()
    iface.mainWindow.return_value = window
    iface.mapCanvas.return_value = QgsMapCanvas(window)
    iface.messageBar.return_value = QgsMessageBar(window)
    iface.browserModel.return_value = iface.activeLayer.return_value = None
    qgis.utils.iface = iface  # before Processing's dialogs are imported: they look for it then
    from processing.core.Processing import Processing

    Processing.initialize()
    from landslide_mapper import classFactory

    plugin = classFactory(iface)
    plugin.initProcessing()
    return window, plugin


def write_layers(folder):
    """Write a raster and polygons with a field; return their paths."""
    paths = {"raster": str(folder / "raster.tif"), "vector": str(folder / "vector.gpkg")}
    dataset = gdal.GetDriverByName("GTiff").Create(paths["raster"], 10, 10, 3)
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32632)
    dataset.SetProjection(crs.ExportToWkt())
    dataset.SetGeoTransform((500000, 10, 0, 5000000, 0, -10))
    dataset = None
    polygons = QgsVectorLayer("Polygon?crs=EPSG:32632&field=rock:string", "v", "memory")
    options = QgsVectorFileWriter.SaveVectorOptions()
    context = QgsProject.instance().transformContext()
    QgsVectorFileWriter.writeAsVectorFormatV3(polygons, paths["vector"], context, options)
    return paths


def open_all(window, provider, given):
    """Open each dialog in the project as it is and set each of its inputs to each layer."""
    from processing.gui.AlgorithmDialog import AlgorithmDialog
    from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog

    names = " and ".join(layer.name() for layer in QgsProject.instance().mapLayers().values())
    for algorithm in provider.algorithms():
        place = f"{algorithm.name()}, project with {names or 'no layer'}"
        print(f"{place}: opened", flush=True)
        dialog = AlgorithmDialog(algorithm.create(), parent=window)
        wrappers = dialog.mainWidget().wrappers
        for key, wrapper in wrappers.items():
            if wrapper.parameterDefinition().type() not in LAYER_TYPES:
                continue
            for value in given:
                print(f"{place}: {key} set to {value}", flush=True)
                wrapper.setParameterValue(value, QgsProcessingContext())
                if value == given[1]:  # the polygons
                    print_fields(place, wrappers)
        print(f"{place}: closed", flush=True)
        dialog.deleteLater()
        print(f"{place}: opened as a batch", flush=True)
        BatchAlgorithmDialog(algorithm.create(), parent=window).deleteLater()
        QgsApplication.processEvents()


def print_fields(place, wrappers):
    """Print which fields the dialog offers."""
    for key, wrapper in wrappers.items():
        if wrapper.parameterDefinition().type() == "expression":
            box = wrapper.wrappedWidget().findChild(QComboBox)
            items = filter(None, (box.itemText(number) for number in range(box.count())))
            print(f"{place}: {key} offers {', '.join(items)}", flush=True)


def main():
    application = QgsApplication([], True)
    application.initQgis()
    window, plugin = start()
    paths = write_layers(Path(sys.argv[1]))
    for kinds in (("raster",), ("vector",), ("raster", "vector"), ()):
        QgsProject.instance().clear()
        layers = []
        if "raster" in kinds:
            layers.append(QgsRasterLayer(paths["raster"], "a raster"))
        if "vector" in kinds:
            layers.append(QgsVectorLayer(paths["vector"], "polygons"))
        QgsProject.instance().addMapLayers(layers)
        open_all(window, plugin.provider, [*paths.values(), *(layer.id() for layer in layers)])
    print("all opened", flush=True)
    os._exit(0)  # Qt's timers complain when Python takes the dialogs apart


main()
