"""Short forms of the parameter definitions that the algorithms share."""

# QGIS 3.22 runs on Python 3.9 where `float | None` is not yet understood at run time.
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterBoolean,
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

from ..landslide_plugin.contract.choices import shared
from ..landslide_plugin.contract.kinds import (
    Choice,
    Flag,
    Kind,
    Number,
    Numbers,
    OptionalNumber,
    Several,
    Text,
    Texts,
    Whole,
)
from .request import ITEMS, NUMBERS, TEXTS

Declaration = Iterator[tuple[QgsProcessingParameterDefinition, str]]
"""What `declare` yields: each parameter with its help."""

Parameter = TypeVar("Parameter", bound=QgsProcessingParameterDefinition)

_LABELLED = f"{__package__}.dialogs.labels.Labelled"
"""What dialogs call for the widget of a choice."""

DEVICE_HELP = "What the network runs on; a GPU, where there is one, is taken by itself."
FILL_HELP = """What becomes of values that look like fill but are not declared as nodata: black or
white borders of images, elevations that no ground has, and -9999, -32768 and the like where no
other value is near. Where they are taken for nodata, the log says on how many pixels."""
FRACTION_HELP = """Part of the scene that is landslide, 0 to 1, where it is about known: 0.01 for
one in a hundred. Probabilities are then brought to it from the fraction in the patches that the
model was trained on, which hold more landslide than the land does; the threshold stays, so that
fewer pixels reach it where landslides are rarer. Empty for no such step."""
MODEL_FILES = "Landslide model (*.safetensors)"
ANY_MODEL_FILES = "Models (*.safetensors *.onnx)"
HTML_FILES = "HTML report (*.html)"
Z_UNIT_HELP = (
    "What the DEM's heights are in. A file says it by the unit of its band, else by its vertical "
    "CRS; one that does not is taken to be in metres. Elevations are given in metres."
)


def asked(kind: Kind) -> Any:
    """Return the parameter of a kind, which may be left out where the kind has no default."""
    if isinstance(kind, (Choice, Several)):
        return _choice(kind)
    if isinstance(kind, (Number, OptionalNumber, Whole)):
        return _number(kind)
    if isinstance(kind, Flag):
        return QgsProcessingParameterBoolean(kind.key, kind.label, kind.default)
    if isinstance(kind, Text):
        return _hinted(text(kind.key, kind.label, kind.default), kind.hints)
    if isinstance(kind, (Texts, Numbers)):
        return _list(kind)
    raise TypeError(f"{kind.key}: no form has a {type(kind).__name__}")


def scaling(scale: OptionalNumber, offset: OptionalNumber) -> Declaration:
    """Yield how an image's numbers become reflectance, and the help."""
    for kind, told in (
        (
            scale,
            "Reflectance is stored value x scale + offset. Empty for what file and product tell; "
            "docs/imagery_units.md lists what is known. Sentinel-2: 0.0001; Landsat Collection 2 "
            "surface reflectance: 0.0000275.",
        ),
        (
            offset,
            "Added after the scale, and given with it only. Sentinel-2 since processing baseline "
            "04.00: -0.1; Landsat Collection 2 surface reflectance: -0.2.",
        ),
    ):
        parameter = asked(kind)
        parameter.setMetadata({"widget_wrapper": {"decimals": 10}})  # of 0.0000275
        yield advanced(parameter), told


def crew() -> Declaration:
    """Yield who computes beside the engine's own process, and the help."""
    yield (
        advanced(later(asked(shared.WORKERS))),
        """Processes that the windows are shared out to, each with one thread and a model of its
        own in memory; 0 for none. They want Dask, which comes with the engine. Pixels stay the
        same, but for the last digit where PyTorch computes.""",
    )
    yield (
        advanced(later(asked(shared.SCHEDULER))),
        """Such as tcp://10.0.0.5:8786: its workers compute, on any number of machines that see
        all files under the same paths. Who runs the scheduler can run programs here, so give
        one that you trust. Empty for none. See docs/scale.md.""",
    )


def later(parameter: Parameter) -> Parameter:
    """Let models saved before the parameter existed stay valid: it may be left out."""
    parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagOptional)
    return parameter


def text(key: str, label: str, default: str = "") -> QgsProcessingParameterString:
    """Return a line of text, optional when `default` is empty."""
    return QgsProcessingParameterString(
        key, label, defaultValue=default or None, optional=not default
    )


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
    return advanced(later(asked(shared.Z_UNIT)))


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
    return advanced(asked(shared.DEVICE))


def fill() -> QgsProcessingParameterEnum:
    """Return FILL, what becomes of fill that nobody declared as nodata."""
    return advanced(later(asked(shared.FILL)))


def advanced(parameter: Parameter) -> Parameter:
    """Put the parameter among the advanced ones."""
    flag = QgsProcessingParameterDefinition.Flag.FlagAdvanced
    parameter.setFlags(parameter.flags() | flag)
    return parameter


def _with_unit(kind: Number | OptionalNumber | Whole | Numbers) -> str:
    return f"{kind.label} ({kind.unit})" if kind.unit else kind.label


def _choice(kind: Choice | Several) -> QgsProcessingParameterEnum:
    """Return a choice whose value is the word, or the words, and whose dialogs show labels."""
    several = isinstance(kind, Several)
    parameter = QgsProcessingParameterEnum(
        kind.key,
        kind.label,
        list(kind.words),
        allowMultiple=several,
        defaultValue=list(kind.default) if several else kind.default,
        usesStaticStrings=True,
    )
    parameter.setMetadata({"widget_wrapper": {"class": _LABELLED, "labels": dict(kind.words)}})
    return parameter


def _number(kind: Number | OptionalNumber | Whole) -> QgsProcessingParameterNumber:
    types = QgsProcessingParameterNumber.Type
    parameter = QgsProcessingParameterNumber(
        kind.key,
        _with_unit(kind),
        types.Integer if isinstance(kind, Whole) else types.Double,
        defaultValue=kind.default,
        optional=kind.default is None,
    )
    low = kind.above if kind.low is None else kind.low
    if low is not None:
        parameter.setMinimum(low)
    # The box of a whole number ends at this, and a larger limit would overflow to a negative one.
    if kind.high is not None and kind.high < 2**31:
        parameter.setMaximum(kind.high)
    return parameter


def _list(kind: Texts | Numbers) -> QgsProcessingParameterString:
    if isinstance(kind, Numbers):
        label, items = _with_unit(kind), NUMBERS
    else:
        label, items = kind.label, TEXTS
    parameter = text(kind.key, label, ", ".join(map(str, kind.default)))
    parameter.setMetadata({ITEMS: items})
    return parameter


def _hinted(
    parameter: QgsProcessingParameterString, hints: Sequence[str]
) -> QgsProcessingParameterString:
    """Have the dialog offer these words, while scripts may give others."""
    if hints:
        parameter.setMetadata({"widget_wrapper": {"value_hints": list(hints)}})
    return parameter
