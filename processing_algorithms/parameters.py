"""Short forms of the parameter definitions that the algorithms share."""

# QGIS 3.22 runs on Python 3.9 where `float | None` is not yet understood at run time.
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExpression,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

Declaration = Iterator[tuple[QgsProcessingParameterDefinition, str]]
"""What `declare` yields: each parameter with its help."""

Parameter = TypeVar("Parameter", bound=QgsProcessingParameterDefinition)

DEVICES = ("auto", "cpu", "cuda", "mps")
RUNTIMES = ("auto", "torch", "openvino", "onnx")
SENSORS = ("auto", "sentinel2", "landsat89", "landsat57", "planet4", "custom")
Z_UNITS = ("auto", "metre", "foot", "us_survey_foot")
FILLS = ("auto", "keep")
FILL_HELP = """What becomes of values that look like fill but are not declared as nodata: black or
white borders of images, elevations that no ground has, and -9999, -32768 and the like where no
other value is near. auto takes them for nodata and says on how many pixels; keep takes them as
values."""
MODEL_FILES = "Landslide model (*.safetensors)"
ANY_MODEL_FILES = "Models (*.safetensors *.onnx)"
HTML_FILES = "HTML report (*.html)"
Z_UNIT_HELP = (
    "What the DEM's heights are in; auto goes by the unit of the band, else by the vertical CRS, "
    "else takes metres. Elevations are given in metres."
)


def number(
    key: str,
    label: str,
    default: float | None,
    low: float | None = None,
    high: float | None = None,
) -> QgsProcessingParameterNumber:
    """Return a decimal number; optional, and empty at first, when `default` is None."""
    parameter = QgsProcessingParameterNumber(
        key,
        label,
        QgsProcessingParameterNumber.Type.Double,
        defaultValue=default,
        optional=default is None,
    )
    return _within(parameter, low, high)


def scaling(prefix: str = "", what: str = "") -> Declaration:
    """Yield SCALE and OFFSET, how an image's numbers become reflectance, and their help."""
    for key, label, low, told in (
        (
            "SCALE",
            "Scale to reflectance",
            0.0,
            "Reflectance is stored value x scale + offset. Empty for what file and product tell; "
            "docs/imagery_units.md lists what is known. Sentinel-2: 0.0001; Landsat Collection 2 "
            "surface reflectance: 0.0000275.",
        ),
        (
            "OFFSET",
            "Offset to reflectance",
            None,
            "Added after the scale, and given with it only. Sentinel-2 since processing baseline "
            "04.00: -0.1; Landsat Collection 2 surface reflectance: -0.2.",
        ),
    ):
        parameter = number(f"{prefix}{key}", f"{label}{what}", None, low)
        parameter.setMetadata({"widget_wrapper": {"decimals": 10}})  # of 0.0000275
        yield advanced(parameter), told


def whole(
    key: str, label: str, default: int, low: int | None = None, high: int | None = None
) -> QgsProcessingParameterNumber:
    """Return a whole number."""
    parameter = QgsProcessingParameterNumber(
        key, label, QgsProcessingParameterNumber.Type.Integer, defaultValue=default
    )
    return _within(parameter, low, high)


def choice(
    key: str, label: str, options: Sequence[str], default: str
) -> QgsProcessingParameterEnum:
    """Return a choice of one word, whose value is the word."""
    return QgsProcessingParameterEnum(
        key, label, list(options), defaultValue=default, usesStaticStrings=True
    )


def later(parameter: Parameter) -> Parameter:
    """Let models saved before the parameter existed stay valid: it may be left out."""
    parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagOptional)
    return parameter


def choices(
    key: str, label: str, options: Sequence[str], default: Sequence[str]
) -> QgsProcessingParameterEnum:
    """Return a choice of several words, whose value is the list of them."""
    return QgsProcessingParameterEnum(
        key,
        label,
        list(options),
        allowMultiple=True,
        defaultValue=list(default),
        usesStaticStrings=True,
    )


def text(key: str, label: str, default: str = "") -> QgsProcessingParameterString:
    """Return a line of text, optional when `default` is empty."""
    return QgsProcessingParameterString(
        key, label, defaultValue=default or None, optional=not default
    )


def hinted(
    parameter: QgsProcessingParameterString, hints: Sequence[str]
) -> QgsProcessingParameterString:
    """Have the dialog offer these words, while scripts may give others."""
    parameter.setMetadata({"widget_wrapper": {"value_hints": list(hints)}})
    return parameter


def field(key: str, label: str, layer: str) -> QgsProcessingParameterExpression:
    """Return an optional field of LAYER, an input that takes a raster as well.

    A parameter of type field ends QGIS (3.22 to 3.44) when its layer is a raster. The box of an
    expression lists the layer's fields too, and stays empty for a raster.
    """
    return QgsProcessingParameterExpression(
        key, label, parentLayerParameterName=layer, optional=True
    )


def vector(
    key: str,
    label: str,
    kind: QgsProcessing.SourceType = QgsProcessing.SourceType.TypeVectorAnyGeometry,
    optional: bool = False,
) -> QgsProcessingParameterFeatureSource:
    """Return a vector input of which the selected features alone can be used."""
    return QgsProcessingParameterFeatureSource(key, label, [kind], optional=optional)


def polygons_or_raster(key: str, label: str) -> QgsProcessingParameterMapLayer:
    """Return an input that takes a polygon layer or a raster."""
    kinds = [QgsProcessing.SourceType.TypeVectorPolygon, QgsProcessing.SourceType.TypeRaster]
    return QgsProcessingParameterMapLayer(key, label, types=kinds)


def area(label: str = "Only within these polygons") -> QgsProcessingParameterFeatureSource:
    """Return AREA, the optional polygons that limit the work."""
    return vector("AREA", label, QgsProcessing.SourceType.TypeVectorPolygon, optional=True)


def model_file(kinds: str = MODEL_FILES) -> QgsProcessingParameterFile:
    """Return MODEL, a model file to use."""
    return QgsProcessingParameterFile("MODEL", "Model file", fileFilter=kinds)


def z_unit() -> QgsProcessingParameterEnum:
    """Return Z_UNIT, what the heights of a DEM are in."""
    return advanced(later(choice("Z_UNIT", "Unit of the DEM's heights", Z_UNITS, "auto")))


def files(key: str, label: str) -> QgsProcessingParameterMultipleLayers:
    """Return an optional list of files."""
    return QgsProcessingParameterMultipleLayers(
        key, label, QgsProcessing.SourceType.TypeFile, optional=True
    )


def rasters(key: str, label: str) -> QgsProcessingParameterMultipleLayers:
    """Return an optional list of rasters."""
    return QgsProcessingParameterMultipleLayers(
        key, label, QgsProcessing.SourceType.TypeRaster, optional=True
    )


def device() -> QgsProcessingParameterEnum:
    """Return DEVICE, what the network runs on."""
    return advanced(choice("DEVICE", "Device", DEVICES, "auto"))


def fill() -> QgsProcessingParameterEnum:
    """Return FILL, what becomes of fill that nobody declared as nodata."""
    return advanced(later(choice("FILL", "Undeclared fill", FILLS, "auto")))


def advanced(parameter: Parameter) -> Parameter:
    """Put the parameter among the advanced ones."""
    flag = QgsProcessingParameterDefinition.Flag.FlagAdvanced
    parameter.setFlags(parameter.flags() | flag)
    return parameter


def _within(
    parameter: QgsProcessingParameterNumber, low: float | None, high: float | None
) -> QgsProcessingParameterNumber:
    if low is not None:
        parameter.setMinimum(low)
    if high is not None:
        parameter.setMaximum(high)
    return parameter
