"""Vector layers as QGIS shows them: the file where it says the same, else exported features."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

from qgis.core import (
    QgsDataProvider,
    QgsFeature,
    QgsFeatureRequest,
    QgsField,
    QgsFields,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProcessingUtils,
    QgsProviderRegistry,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QMetaType

FORMATS = {".gpkg", ".shp", ".geojson", ".json", ".fgb", ".gml", ".kml", ".sqlite"}
"""Endings of files that the engine reads as they are; any other layer is exported."""

_LONGEST_STEM = 60
"""Letters of a layer's name in that of its exported file, which systems bound."""


def vector_file(
    layer: QgsVectorLayer,
    wanted: QgsProcessingFeatureSourceDefinition | None,
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
) -> str:
    """Return what the engine reads: the layer's file, or a file of the features that it shows.

    The latter where these differ from what is stored, by unsaved edits, joined or virtual fields,
    a filter, a CRS or an encoding set in QGIS, and where only some are wanted.

    Args:
        layer: the layer.
        wanted: which of its features; all when None.
        context: of this run.
        feedback: of this run.

    Raises:
        QgsProcessingException: a feature can't be exported.
    """
    parts = _parts(layer)
    if _some_only(wanted) or not _stored_as_shown(layer, parts):
        return _exported(layer, wanted, context)
    path = os.path.abspath(parts["path"])
    name = parts.get("layerName")
    if not name:
        name, *others = _layers_in(layer)
        if others and "layerId" not in parts:
            feedback.pushWarning(
                f"{path} holds several layers, of which {name} was taken; the others are "
                f"{', '.join(others)}: choose one by {path}|layername={others[0]}, say."
            )
    return f"{path}|layername={name}"


def _parts(layer: QgsVectorLayer) -> dict[str, Any]:
    """Return what a layer's source is made of, without what is empty; nothing if not of OGR."""
    if layer.dataProvider().name() != "ogr":
        return {}
    parts = QgsProviderRegistry.instance().decodeUri("ogr", layer.source())
    return {key: value for key, value in parts.items() if value or isinstance(value, int)}


def _some_only(wanted: QgsProcessingFeatureSourceDefinition | None) -> bool:
    return wanted is not None and bool(
        wanted.selectedFeaturesOnly or wanted.featureLimit >= 0 or _filter(wanted)
    )


def _filter(wanted: QgsProcessingFeatureSourceDefinition) -> str:
    return str(getattr(wanted, "filterExpression", ""))  # QGIS 3.32 and later


def _stored_as_shown(layer: QgsVectorLayer, parts: dict[str, Any]) -> bool:
    path, fields, provider = parts.get("path", ""), layer.fields(), layer.dataProvider()
    return (
        set(parts) <= {"path", "layerName", "layerId"}  # no filter, archive, opening option
        and os.path.splitext(path)[1].lower() in FORMATS
        and os.path.exists(path)
        and layer.crs() == provider.crs()
        and not layer.isModified()
        and provider.encoding() == "UTF-8"  # what OGR takes the file's own encoding into
        and all(
            fields.fieldOrigin(index) == QgsFields.FieldOrigin.OriginProvider
            for index in range(fields.count())
        )
    )


def _layers_in(layer: QgsVectorLayer) -> list[str]:
    """Return the layers of a file, the one that QGIS took first."""
    separator = QgsDataProvider.sublayerSeparator()
    names = [text.split(separator)[1] for text in layer.dataProvider().subLayers()]
    return list(dict.fromkeys(names))  # a layer of several kinds of geometry comes several times


def _exported(
    layer: QgsVectorLayer,
    wanted: QgsProcessingFeatureSourceDefinition | None,
    context: QgsProcessingContext,
) -> str:
    """Write the features that a layer shows into a GeoPackage of its name; return its path."""
    stem = re.sub(r"[^\w.-]+", "_", layer.name())[:_LONGEST_STEM] or "layer"
    path: str = QgsProcessingUtils.generateTempFilename(f"{stem}.gpkg")
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.layerName = stem
    # A field fid may repeat in unsaved features, and one may be called geom.
    options.layerOptions = ["FID=landslide_row", "GEOMETRY_NAME=landslide_shape"]
    kept = [
        index
        for index, field in enumerate(layer.fields())
        if field.type() != QMetaType.Type.QVariantMap
    ]
    fields = QgsFields()
    for index in kept:
        field = QgsField(layer.fields().at(index))
        while fields.lookupField(field.name()) >= 0:  # whatever its capitals, as in a GeoPackage
            field.setName(f"{field.name()}_2")
        fields.append(field)
    writer = QgsVectorFileWriter.create(
        path, fields, layer.wkbType(), layer.crs(), context.transformContext(), options
    )
    fine = writer.hasError() == QgsVectorFileWriter.WriterError.NoError
    for feature in _features(layer, wanted) if fine else ():
        values = [_stored(layer.fields().at(index), feature.attribute(index)) for index in kept]
        feature.setFields(fields)
        feature.setAttributes(values)
        fine = fine and writer.addFeature(feature)
    if not fine:
        raise QgsProcessingException(
            f"{layer.name()} can't be exported for the engine ({writer.errorMessage()}): save it "
            "as a GeoPackage first."
        )
    del writer  # which closes the file
    return path


def _features(
    layer: QgsVectorLayer, wanted: QgsProcessingFeatureSourceDefinition | None
) -> Iterator[QgsFeature]:
    request = QgsFeatureRequest()
    if wanted is not None and _filter(wanted):
        request.setFilterExpression(_filter(wanted))
    if wanted is not None and wanted.featureLimit >= 0:
        request.setLimit(wanted.featureLimit)
    selected = wanted is not None and wanted.selectedFeaturesOnly
    get = layer.getSelectedFeatures if selected else layer.getFeatures
    features: Iterator[QgsFeature] = get(request)
    return features


def _stored(field: QgsField, value: Any) -> Any:
    """Return a value as a file takes it: a key to be made up when edits are saved is none yet."""
    if field.isNumeric() and isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return None
    return value
