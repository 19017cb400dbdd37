"""Values of parameters that take layers: found, checked, turned into what the engine opens."""

from __future__ import annotations

import os
from typing import Any

from qgis.core import (
    QgsMapLayer,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorLayer,
    QgsProcessingUtils,
    QgsProperty,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsVectorLayer,
)

from ..landslide_plugin.core.system import one_name
from .rasters import raster_file, raster_problem
from .vectors import vector_file

_HINTS = QgsProcessingUtils.LayerHint
_VECTORS = (QgsProcessingParameterFeatureSource, QgsProcessingParameterVectorLayer)


def takes_layers(definition: QgsProcessingParameterDefinition) -> bool:
    """Return whether the values are map layers."""
    if isinstance(definition, QgsProcessingParameterMultipleLayers):
        return bool(definition.layerType() != QgsProcessing.SourceType.TypeFile)
    one = (QgsProcessingParameterRasterLayer, QgsProcessingParameterMapLayer)
    return isinstance(definition, (*one, *_VECTORS))


def layer_files(
    definition: QgsProcessingParameterDefinition,
    given: Any,
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
) -> Any:
    """Return what the engine opens for a parameter that takes layers.

    Args:
        definition: the parameter.
        given: its value.
        context: of this run.
        feedback: of this run.

    Returns:
        A path or GDAL's name of a raster, `file|layername=name` for vectors; a list of them for a
        parameter that takes several.

    Raises:
        QgsProcessingException: the engine can't read a layer as it is shown.
    """
    several = isinstance(definition, QgsProcessingParameterMultipleLayers)
    files = []
    for item in _flat(given):
        layer, problem = _find(definition, item, context)
        if problem:
            raise QgsProcessingException(f"{definition.description()}: {problem}")
        wanted = item if isinstance(item, QgsProcessingFeatureSourceDefinition) else None
        if isinstance(layer, QgsRasterLayer):
            files.append(raster_file(layer))
        else:
            files.append(vector_file(layer, wanted, context, feedback))
    return files if several else files[0]


def files_behind(
    definition: QgsProcessingParameterDefinition, given: Any, context: QgsProcessingContext
) -> set[str]:
    """Return the files that layers are stored in, also of those that are exported for a run.

    As `one_name` has them.
    """
    if not takes_layers(definition):
        return set()
    files = (_find(definition, item, context)[0] for item in _flat(given) if item not in (None, ""))
    sources = [(layer.providerType(), layer.source()) for layer in files if layer is not None]
    decode = QgsProviderRegistry.instance().decodeUri
    paths = [str(decode(*source).get("path") or "") for source in sources]
    return {one_name(os.path.realpath(path)) for path in paths if os.path.exists(path)}


def layer_problem(
    definition: QgsProcessingParameterDefinition, item: Any, context: QgsProcessingContext
) -> str:
    """Return a sentence on why the engine can't read a layer as it is shown; empty if it can."""
    return "" if item in (None, "") else _find(definition, item, context)[1]


def _flat(given: Any) -> list[Any]:
    """Return the items of a list, also of lists in it, which models make; else the one item."""
    if not isinstance(given, list):
        return [given]
    return [item for part in given for item in _flat(part)]


def _find(
    definition: QgsProcessingParameterDefinition, item: Any, context: QgsProcessingContext
) -> tuple[QgsMapLayer | None, str]:
    """Return the layer that a value stands for, and what is wrong with it."""
    if isinstance(getattr(item, "source", None), QgsProperty):  # a definition, with more to it
        item = item.source
    if isinstance(item, QgsProperty):
        item, _ = item.valueAsString(context.expressionContext())
    layer, kind = item, "layer"
    if isinstance(definition, QgsProcessingParameterRasterLayer):
        kind = "raster"
    elif isinstance(definition, _VECTORS):
        kind = "vector layer"
    if isinstance(item, str):
        layer = _load(item, kind, context)
    if not isinstance(layer, QgsMapLayer):
        other = _load(item, "layer", context) if isinstance(item, str) and item else None
        if other is not None:
            return None, f"{other.name()} is not a {kind}: choose one."
        if isinstance(item, str) and not os.path.exists(item.split("|")[0]):
            return None, f"{item} does not exist: check the path."
        return None, f"{item} is not a {kind} that QGIS can read: it is damaged or of another kind."
    if not layer.isValid():
        return layer, f"{layer.name()} can't be read: its file is missing or damaged."
    if isinstance(layer, QgsRasterLayer):
        return layer, raster_problem(layer)
    if isinstance(layer, QgsVectorLayer):
        return layer, ""
    return layer, f"{layer.name()} is neither a raster nor a vector layer: convert it first."


def _load(text: str, kind: str, context: QgsProcessingContext) -> QgsMapLayer | None:
    """Return the layer of an id, name or path, also of what lies within a file."""
    hint = {"raster": _HINTS.Raster, "vector layer": _HINTS.Vector}.get(kind, _HINTS.UnknownType)
    layer = QgsProcessingUtils.mapLayerFromString(text, context, True, hint)
    # Processing opens files alone; once in its store, it knows what GDAL opens beside those.
    if layer is None and not os.path.exists(text):
        name = os.path.splitext(os.path.basename(text.replace(":", "/")))[0]
        if kind != "vector layer":
            layer = QgsRasterLayer(text, name, "gdal")
        if kind != "raster" and (layer is None or not layer.isValid()):
            layer = QgsVectorLayer(text, name, "ogr")
        if not layer.isValid():
            return None
        context.temporaryLayerStore().addMapLayer(layer)
    return layer
