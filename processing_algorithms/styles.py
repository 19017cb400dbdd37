"""How results look when they are loaded: renderers made in code, so that they fit the data."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsColorRampLegendNodeSettings,
    QgsColorRampShader,
    QgsContrastEnhancement,
    QgsFeatureRenderer,
    QgsFillSymbol,
    QgsGradientColorRamp,
    QgsGradientStop,
    QgsHillshadeRenderer,
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
    QgsRasterRenderer,
    QgsRasterShader,
    QgsRendererCategory,
    QgsSingleBandGrayRenderer,
    QgsSingleBandPseudoColorRenderer,
    QgsSingleSymbolRenderer,
    QgsVectorLayer,
)
from qgis.PyQt import sip
from qgis.PyQt.QtGui import QColor, QPainter

from ..landslide_plugin.contract.fields import FIELDS
from ..landslide_plugin.contract.tags import THRESHOLD
from .ramps import DISTANCE, NEARNESS, PROBABILITY, UNCERTAINTY, Ramp, Stop, label, ramp_of

LANDSLIDE = QColor(215, 25, 28)
SOURCE = QColor(253, 141, 60)
WATER = QColor(31, 120, 180)
FAULT = QColor(35, 38, 42)
KINDS = tuple(
    map(QColor, ("#d7191c", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"))
)
"""Of kinds of landslide: red, then colours that all tell apart (Okabe and Ito 2008)."""
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


def kept(processor: StylePostProcessor) -> StylePostProcessor:
    """Return a post-processor for one layer of one run, as QGIS's context destroys it.

    One given to two layers or runs would end QGIS. Python's part is held until then, for without
    it QGIS would call the bare interface.
    """
    for other in list(_processors):
        if sip.isdeleted(other):
            _processors.discard(other)
    _processors.add(processor)
    return processor


def apply(style: str, layer: QgsMapLayer) -> None:
    """Style a layer.

    Args:
        style: "probability", "mask", "distance", "factors", "classes", "natural colours" or
            "relief" for rasters, "inventory", "lines", "faults" or "geology" for vectors.
        layer: left as it is when it is of the other kind.
    """
    if isinstance(layer, QgsRasterLayer) and style in _RASTER_STYLES:
        layer.setRenderer(_RASTER_STYLES[style](layer))
    elif isinstance(layer, QgsVectorLayer) and style in _VECTOR_STYLES:
        layer.setRenderer(_VECTOR_STYLES[style](layer))
        if style == "inventory":
            _name_fields(layer)
    layer.triggerRepaint()


_processors: set[StylePostProcessor] = set()


def _probability(layer: QgsRasterLayer) -> QgsSingleBandPseudoColorRenderer:
    """Draw probabilities; the legend tells from which one on there is landslide."""
    try:
        threshold = float(_file_metadata(layer).get(THRESHOLD, ""))
    except ValueError:
        threshold = -1.0
    if not 0 < threshold < 1:
        return _pseudo_color(layer, PROBABILITY)
    stops = dict(PROBABILITY.stops)
    stops[threshold] = _between(PROBABILITY.stops, threshold).name(QColor.NameFormat.HexArgb)
    words = {**PROBABILITY.words, threshold: f"{threshold:.3g} (threshold)"}
    marked = PROBABILITY._replace(stops=tuple(sorted(stops.items())), words=words)
    return _pseudo_color(layer, marked)


def _uncertainty(layer: QgsRasterLayer) -> QgsSingleBandPseudoColorRenderer:
    return _pseudo_color(layer, UNCERTAINTY)


def _distance(layer: QgsRasterLayer) -> QgsRasterRenderer:
    return _classes(layer) if _class_names(layer) else _pseudo_color(layer, DISTANCE)


def _mask(layer: QgsRasterLayer) -> QgsPalettedRasterRenderer:
    """Landslides in red, or each kind in a colour, where the raster names several."""
    named = sorted((value, name) for value, name in _class_names(layer).items() if value > 0)
    kinds = [(value, _words(name)) for value, name in named]
    if len(kinds) < 2:
        kinds = [(1, "landslide")]
    colors = _kind_colors(name for _, name in kinds)
    classes = [QgsPalettedRasterRenderer.Class(0, QColor(0, 0, 0, 0), "no landslide")]
    for value, name in kinds:
        classes.append(QgsPalettedRasterRenderer.Class(value, colors[name], name))
    return QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes)


def _classes(layer: QgsRasterLayer) -> QgsPalettedRasterRenderer:
    names = sorted(_class_names(layer).items())
    if not names:  # one band a class
        names = [(0, "another class"), (1, _band_name(layer, 1))]
    hues = _hues(len(names))
    if _metadata(layer).get("ordinal") == "yes":  # levels, which follow each other
        hues = [_between(NEARNESS, index / max(len(names) - 1, 1)) for index in range(len(names))]
    classes = [
        QgsPalettedRasterRenderer.Class(value, color, name)
        for (value, name), color in zip(names, hues)
    ]
    return QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes)


def _factors(layer: QgsRasterLayer) -> QgsRasterRenderer:
    """Show true colours where the bands are there, else the first band as fits what it is."""
    names = {_band_name(layer, band): band for band in range(1, layer.bandCount() + 1)}
    ramp = ramp_of(_band_name(layer, 1))
    if {"red", "green", "blue"} <= set(names):
        renderer = QgsMultiBandColorRenderer(
            layer.dataProvider(), names["red"], names["green"], names["blue"]
        )
    elif _class_names(layer):
        return _classes(layer)
    elif ramp is not None:
        return _pseudo_color(layer, ramp)
    else:
        renderer = QgsSingleBandGrayRenderer(layer.dataProvider(), 1)
    layer.setRenderer(renderer)
    layer.setContrastEnhancement(
        QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum,
        QgsRasterMinMaxOrigin.Limits.CumulativeCut,
    )
    return layer.renderer().clone()


def _natural_colours(layer: QgsRasterLayer) -> QgsRasterRenderer:
    """Show red, green and blue, stretched alike so that their balance stays."""
    provider, extent = layer.dataProvider(), layer.extent()
    names = {_band_name(layer, band): band for band in range(1, layer.bandCount() + 1)}
    bands = [names[name] for name in ("red", "green", "blue")]
    ends = [provider.cumulativeCut(band, 0.02, 0.98, extent, _SAMPLE_PIXELS) for band in bands]
    renderer = QgsMultiBandColorRenderer(provider, *bands)
    stretches = []
    for band in bands:
        stretch = QgsContrastEnhancement(provider.dataType(band))
        stretch.setMinimumValue(min(low for low, _ in ends))
        stretch.setMaximumValue(max(high for _, high in ends))
        stretch.setContrastEnhancementAlgorithm(
            QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum
        )
        stretches.append(stretch)
    renderer.setRedContrastEnhancement(stretches[0])
    renderer.setGreenContrastEnhancement(stretches[1])
    renderer.setBlueContrastEnhancement(stretches[2])
    return renderer


def _relief(layer: QgsRasterLayer) -> QgsHillshadeRenderer:
    renderer = QgsHillshadeRenderer(layer.dataProvider(), 1, 315, 45)
    renderer.setMultiDirectional(True)
    return renderer


def _inventory(layer: QgsVectorLayer) -> QgsFeatureRenderer:
    """Red outlines, or a colour a kind; source and runout apart, where they are told."""
    colors = _kind_colors(_values(layer, "kind"))
    parted = "source" in _values(layer, "part")
    if len(colors) < 2:
        if not parted:
            return QgsSingleSymbolRenderer(_outlined(LANDSLIDE))
        categories = [
            QgsRendererCategory("runout", _outlined(LANDSLIDE), "landslide, runout"),
            QgsRendererCategory("source", _outlined(SOURCE, hatched=True), "landslide, source"),
            QgsRendererCategory("", _outlined(LANDSLIDE), "landslide, whole"),
        ]
        return QgsCategorizedSymbolRenderer("part", categories)
    categories = []
    for name, color in colors.items():
        categories.append(QgsRendererCategory(name, _outlined(color), name))
        for part in ("runout", "source") if parted else ():
            both, hatched = f"{name}, {part}", part == "source"
            categories.append(QgsRendererCategory(both, _outlined(color, hatched), both))
    categories.append(QgsRendererCategory("", _outlined(FAULT), "landslide of another kind"))
    told = """concat("kind", ', ' || "part")""" if parted else "kind"
    return QgsCategorizedSymbolRenderer(told, categories)


def _outlined(color: QColor, hatched: bool = False) -> QgsFillSymbol:
    """Return a polygon's outline, with hatching as sources have."""
    style = "b_diagonal" if hatched else "no"
    outline = {"style": style, "color": color.name(), "outline_color": color.name()}
    return QgsFillSymbol.createSimple({**outline, "outline_width": "0.5"})


def _lines(layer: QgsVectorLayer) -> QgsFeatureRenderer:
    """Blue lines, wider the higher the stream order."""
    index = layer.fields().indexFromName("strahler")
    orders = sorted(value for value in layer.uniqueValues(index) if value) if index >= 0 else []
    if not orders:
        return QgsSingleSymbolRenderer(_line(0.4))
    categories = [
        QgsRendererCategory(order, _line(0.15 + 0.2 * order), f"stream of order {order}")
        for order in orders
    ]
    return QgsCategorizedSymbolRenderer("strahler", categories)


def _faults(layer: QgsVectorLayer) -> QgsFeatureRenderer:
    dashes = {"line_color": FAULT.name(), "line_width": "0.5", "line_style": "dash"}
    return QgsSingleSymbolRenderer(QgsLineSymbol.createSimple(dashes))


def _geology(layer: QgsVectorLayer) -> QgsFeatureRenderer:
    """A colour a lithology, through which the relief below shows."""
    layer.setBlendMode(QPainter.CompositionMode.CompositionMode_Multiply)
    names = sorted(layer.uniqueValues(layer.fields().indexFromName("lithology")))
    categories = []
    for name, hue in zip(names, _hues(len(names))):
        symbol = QgsFillSymbol.createSimple({"color": hue.name(), "outline_style": "no"})
        categories.append(QgsRendererCategory(name, symbol, str(name)))
    return QgsCategorizedSymbolRenderer("lithology", categories)


def _values(layer: QgsVectorLayer, field: str) -> list[str]:
    """Return the texts that a field holds; none where there is no such field."""
    index = layer.fields().indexFromName(field)
    return [value for value in layer.uniqueValues(index) if value] if index >= 0 else []


def _words(name: str) -> str:
    """Return a class's name as an inventory has it."""
    return name.replace("_", " ")


def _kind_colors(names: Iterable[str]) -> dict[str, QColor]:
    """Return the colour of each kind of landslide.

    The same in a mask and in its inventory, where this has all of the kinds that the mask names.
    """
    return {name: KINDS[index % len(KINDS)] for index, name in enumerate(sorted(set(names)))}


def _hues(count: int) -> list[QColor]:
    """Return colours of classes: the golden angle keeps the hues of neighbours apart."""
    return [QColor.fromHsv(int(index * 137.5) % 360, 110, 225) for index in range(count)]


def _line(width: float) -> QgsLineSymbol:
    return QgsLineSymbol.createSimple({"line_color": WATER.name(), "line_width": str(width)})


def _name_fields(layer: QgsVectorLayer) -> None:
    """Give the fields their aliases, which formats other than GeoPackage can't hold."""
    aliases = {field.short or name: field.alias for name, field in FIELDS.items()}
    aliases.update({name: field.alias for name, field in FIELDS.items()})
    for index, field in enumerate(layer.fields()):
        if field.name() in aliases:
            layer.setFieldAlias(index, aliases[field.name()])


_RASTER_STYLES = {
    "probability": _probability,
    "uncertainty": _uncertainty,
    "mask": _mask,
    "distance": _distance,
    "factors": _factors,
    "classes": _classes,
    "natural colours": _natural_colours,
    "relief": _relief,
}
_VECTOR_STYLES = {
    "inventory": _inventory,
    "lines": _lines,
    "faults": _faults,
    "geology": _geology,
}


def _pseudo_color(layer: QgsRasterLayer, ramp: Ramp) -> QgsSingleBandPseudoColorRenderer:
    """Draw the first band by a ramp, whose legend names values with their unit."""
    low, high = _range(layer, ramp)
    function = QgsColorRampShader(low, high)
    function.setColorRampType(QgsColorRampShader.Type.Interpolated)
    values = [(low + (high - low) * part, QColor(color)) for part, color in ramp.stops]
    function.setColorRampItemList(
        [
            QgsColorRampShader.ColorRampItem(value, color, label(value, ramp))
            for value, color in values
        ]
    )
    settings = QgsColorRampLegendNodeSettings()
    settings.setUseContinuousLegend(False)  # a bar could only tell the two ends
    function.setLegendSettings(settings)
    shader = QgsRasterShader(low, high)
    shader.setRasterShaderFunction(function)
    renderer = QgsSingleBandPseudoColorRenderer(layer.dataProvider(), 1, shader)
    renderer.setClassificationMin(low)
    renderer.setClassificationMax(high)
    return renderer


def _range(layer: QgsRasterLayer, ramp: Ramp) -> tuple[float, float]:
    """Return the values of the first and the last stop."""
    if ramp.low is not None and ramp.high is not None:
        return ramp.low, ramp.high
    provider, extent = layer.dataProvider(), layer.extent()
    flags = QgsRasterBandStats.Stats.Min | QgsRasterBandStats.Stats.Max
    statistics = provider.bandStatistics(1, flags, extent, _SAMPLE_PIXELS)
    low, high = statistics.minimumValue, statistics.maximumValue
    if ramp is not DISTANCE and high > low:
        # Without outliers, which would take most of the colours.
        low, high = provider.cumulativeCut(1, 0.02, 0.98, extent, _SAMPLE_PIXELS)
    if ramp.centred:
        high = max(abs(low), abs(high))
        low = -high
    low = low if ramp.low is None else ramp.low
    return (low, high) if high > low else (low, low + 1)


def _between(stops: tuple[Stop, ...], part: float) -> QColor:
    """Return the colour at a part, 0..1, of a ramp."""
    ramp = QgsGradientColorRamp(QColor(stops[0][1]), QColor(stops[-1][1]))
    ramp.setStops([QgsGradientStop(position, QColor(color)) for position, color in stops[1:-1]])
    return ramp.color(part)


def _band_name(layer: QgsRasterLayer, band: int) -> str:
    name: str = layer.bandName(band)
    return name.rpartition(": ")[2]


def _class_names(layer: QgsRasterLayer) -> dict[int, str]:
    """Return the names that the first band's metadata items class_<value> hold."""
    return {
        int(key[len("class_") :]): name
        for key, name in _metadata(layer).items()
        if key.startswith("class_") and key[len("class_") :].lstrip("-").isdigit()
    }


def _metadata(layer: QgsRasterLayer) -> dict[str, str]:
    """Return the first band's metadata items."""
    from osgeo import gdal  # comes with every QGIS

    dataset = gdal.Open(layer.source())
    return dataset.GetRasterBand(1).GetMetadata() if dataset is not None else {}


def _file_metadata(layer: QgsRasterLayer) -> dict[str, str]:
    """Return the file's own metadata items."""
    from osgeo import gdal

    dataset = gdal.Open(layer.source())
    return dataset.GetMetadata() if dataset is not None else {}
