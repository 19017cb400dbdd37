"""How results look when they are loaded: renderers made in code, so that they fit the data."""

from __future__ import annotations

from qgis.core import (
    QgsColorRampShader,
    QgsContrastEnhancement,
    QgsFillSymbol,
    QgsLineSymbol,
    QgsMapLayer,
    QgsMultiBandColorRenderer,
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsRasterBandStats,
    QgsRasterLayer,
    QgsRasterMinMaxOrigin,
    QgsRasterShader,
    QgsSingleBandGrayRenderer,
    QgsSingleBandPseudoColorRenderer,
    QgsSingleSymbolRenderer,
    QgsSymbol,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor

LANDSLIDE = QColor(215, 25, 28)

PROBABILITY = (
    (0.0, QColor(255, 255, 178, 0)),
    (0.25, QColor(254, 217, 118, 110)),
    (0.5, QColor(253, 141, 60, 200)),
    (0.75, QColor(240, 59, 32, 230)),
    (1.0, QColor(128, 0, 38, 255)),
)
"""Fraction of the range and colour; what is unlikely lets the image below through."""

DISTANCE = (
    (0.0, QColor(8, 48, 107)),
    (0.1, QColor(33, 113, 181)),
    (0.4, QColor(158, 202, 225)),
    (1.0, QColor(247, 251, 255)),
)

_SAMPLE_PIXELS = 250_000


class StylePostProcessor(QgsProcessingLayerPostProcessorInterface):
    """Styles a layer after Processing has loaded it.

    Args:
        style: a name that `apply` knows.
    """

    def __init__(self, style: str) -> None:
        super().__init__()
        self._style = style

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Style the layer; Processing calls this in the main thread."""
        apply(self._style, layer)


def post_processor(style: str) -> StylePostProcessor:
    """Return the post-processor of a style; Processing does not keep it, so this module does."""
    if style not in _processors:
        _processors[style] = StylePostProcessor(style)
    return _processors[style]


def apply(style: str, layer: QgsMapLayer) -> None:
    """Style a layer.

    Args:
        style: "probability", "mask", "distance", "factors" or "classes" for rasters,
            "inventory" or "lines" for vectors.
        layer: left as it is when it is of the other kind.
    """
    if isinstance(layer, QgsRasterLayer) and style in _RASTER_STYLES:
        layer.setRenderer(_RASTER_STYLES[style](layer))
    elif isinstance(layer, QgsVectorLayer) and style in _VECTOR_STYLES:
        layer.setRenderer(QgsSingleSymbolRenderer(_VECTOR_STYLES[style]()))
    layer.triggerRepaint()


_processors: dict[str, StylePostProcessor] = {}


def _probability(layer: QgsRasterLayer) -> QgsSingleBandPseudoColorRenderer:
    return _ramp(layer, PROBABILITY, 0.0, 1.0)


def _distance(layer: QgsRasterLayer) -> QgsSingleBandPseudoColorRenderer:
    statistics = layer.dataProvider().bandStatistics(
        1, QgsRasterBandStats.Min | QgsRasterBandStats.Max, layer.extent(), _SAMPLE_PIXELS
    )
    return _ramp(layer, DISTANCE, statistics.minimumValue, statistics.maximumValue)


def _mask(layer: QgsRasterLayer) -> QgsPalettedRasterRenderer:
    classes = [
        QgsPalettedRasterRenderer.Class(0, QColor(0, 0, 0, 0), "no landslide"),
        QgsPalettedRasterRenderer.Class(1, LANDSLIDE, "landslide"),
    ]
    return QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes)


def _classes(layer: QgsRasterLayer) -> QgsPalettedRasterRenderer:
    names = sorted(_class_names(layer).items())
    classes = [
        # The golden angle keeps the hues of neighbouring classes apart, however many there are.
        QgsPalettedRasterRenderer.Class(
            value, QColor.fromHsv(int(index * 137.5) % 360, 110, 225), name
        )
        for index, (value, name) in enumerate(names)
    ]
    return QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes)


def _factors(layer: QgsRasterLayer) -> QgsMultiBandColorRenderer | QgsSingleBandGrayRenderer:
    """Show true colours where the bands are there, else the first band in grey."""
    names = {
        layer.bandName(band).rpartition(": ")[2]: band for band in range(1, layer.bandCount() + 1)
    }
    if {"red", "green", "blue"} <= set(names):
        renderer = QgsMultiBandColorRenderer(
            layer.dataProvider(), names["red"], names["green"], names["blue"]
        )
    else:
        renderer = QgsSingleBandGrayRenderer(layer.dataProvider(), 1)
    layer.setRenderer(renderer)
    layer.setContrastEnhancement(
        QgsContrastEnhancement.StretchToMinimumMaximum, QgsRasterMinMaxOrigin.CumulativeCut
    )
    return layer.renderer().clone()


def _inventory() -> QgsSymbol:
    return QgsFillSymbol.createSimple(
        {"style": "no", "outline_color": LANDSLIDE.name(), "outline_width": "0.5"}
    )


def _lines() -> QgsSymbol:
    return QgsLineSymbol.createSimple({"line_color": "#1f78b4", "line_width": "0.4"})


_RASTER_STYLES = {
    "probability": _probability,
    "mask": _mask,
    "distance": _distance,
    "factors": _factors,
    "classes": _classes,
}
_VECTOR_STYLES = {"inventory": _inventory, "lines": _lines}


def _ramp(
    layer: QgsRasterLayer, stops: tuple[tuple[float, QColor], ...], low: float, high: float
) -> QgsSingleBandPseudoColorRenderer:
    function = QgsColorRampShader(low, high)
    function.setColorRampType(QgsColorRampShader.Interpolated)
    function.setColorRampItemList(
        [
            QgsColorRampShader.ColorRampItem(value, color, f"{value:.4g}")
            for value, color in ((low + (high - low) * part, color) for part, color in stops)
        ]
    )
    shader = QgsRasterShader(low, high)
    shader.setRasterShaderFunction(function)
    renderer = QgsSingleBandPseudoColorRenderer(layer.dataProvider(), 1, shader)
    renderer.setClassificationMin(low)
    renderer.setClassificationMax(high)
    return renderer


def _class_names(layer: QgsRasterLayer) -> dict[int, str]:
    """Return the names that the band's metadata items class_<value> hold."""
    from osgeo import gdal  # comes with every QGIS

    dataset = gdal.Open(layer.source())
    items = dataset.GetRasterBand(1).GetMetadata() if dataset is not None else {}
    return {
        int(key[len("class_") :]): name
        for key, name in items.items()
        if key.startswith("class_") and key[len("class_") :].lstrip("-").isdigit()
    }
