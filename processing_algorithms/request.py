"""Turns the values of Processing parameters into what a JSON request carries."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsExpression,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingDestinationParameter,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterCrs,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExpression,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMatrix,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRange,
    QgsProcessingParameters,
    QgsProperty,
)
from qgis.PyQt.QtCore import QVariant

from ..landslide_plugin.core.system import name_problem
from .layers import layer_files, layer_problem, takes_layers

ITEMS, NUMBERS, TEXTS = "items", "numbers", "texts"
"""Which of the two a line of text holds, in its metadata, where it is a list."""

_UNLIMITED = 1e9
"""Limits beyond this are QGIS's own for numbers without one."""

_LARGEST_WHOLE = 2**31 - 1
"""Larger whole numbers QGIS takes for 0."""


def plain(
    parameters: dict[str, Any],
    definitions: Iterable[QgsProcessingParameterDefinition],
    context: QgsProcessingContext,
) -> dict[str, Any]:
    """Return parameters with expressions evaluated, and what Python writes as Processing has it.

    Processing's own functions evaluate some kinds only, take a list for a text or a number as if
    nothing were given, and know no `pathlib.Path`.
    """
    result = dict(parameters)
    for definition in definitions:
        if definition.name() in result:
            result[definition.name()] = _plain(result[definition.name()], definition, context)
    return result


def is_destination(definition: QgsProcessingParameterDefinition) -> bool:
    """Return whether the parameter names an output."""
    return isinstance(definition, QgsProcessingDestinationParameter)


def input_value(
    algorithm: QgsProcessingAlgorithm,
    definition: QgsProcessingParameterDefinition,
    parameters: dict[str, Any],
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
) -> Any:
    """Return the value of an input parameter as the engine takes it.

    Args:
        algorithm: whose parameter it is.
        definition: the parameter.
        parameters: all values of this run.
        context: of this run.
        feedback: of this run.

    Returns:
        Layers and files as absolute paths, lists of them for multiple ones, enum choices as
        strings, numbers, booleans; None where nothing is given.

    Raises:
        QgsProcessingException: a layer that is no file that the engine can read.
    """
    name = definition.name()
    given = parameters.get(name, definition.defaultValue())
    if given is None or given == "" or given == [] or _is_null(given):
        return None
    values = (parameters, name, context)
    if takes_layers(definition):
        return layer_files(definition, given, context, feedback)
    return _plain_value(algorithm, definition, values)


def is_list(definition: QgsProcessingParameterDefinition) -> bool:
    """Return whether the parameter is a line of text that holds a list."""
    return ITEMS in definition.metadata()


def listed(value: str | None, definition: QgsProcessingParameterDefinition) -> list[Any]:
    """Return the items of a text that parts them by commas.

    Raises:
        QgsProcessingException: an item is no number, where numbers are asked for.
    """
    words = [word for word in (part.strip() for part in (value or "").split(",")) if word]
    try:
        return [float(word) for word in words] if definition.metadata()[ITEMS] == NUMBERS else words
    except ValueError:
        raise QgsProcessingException(
            f"{definition.description()}: {value!r} is no list of numbers: part them by commas, "
            "such as 30, 200, 500."
        ) from None


def destination(
    algorithm: QgsProcessingAlgorithm,
    definition: QgsProcessingParameterDefinition,
    parameters: dict[str, Any],
    context: QgsProcessingContext,
) -> str:
    """Return the absolute path of an output; empty when it is not wanted.

    Raises:
        QgsProcessingException: the destination is a database table, not a file.
    """
    if parameters.get(definition.name(), definition.defaultValue()) in (None, ""):
        return ""
    files = (QgsProcessingParameterFileDestination, QgsProcessingParameterFolderDestination)
    if isinstance(definition, files):
        path = algorithm.parameterAsFileOutput(parameters, definition.name(), context)
    else:
        path = algorithm.parameterAsOutputLayer(parameters, definition.name(), context)
    if path.startswith(("ogr:", "postgis:", "memory:")):
        raise QgsProcessingException(
            f"{definition.description()}: {path} is not a file: choose one, such as a .gpkg."
        )
    problem = name_problem(path)  # as given: made absolute, some are devices on Windows
    if problem:
        raise QgsProcessingException(f"{definition.description()}: {path}: {problem}.")
    # Few shells put the home folder for ~ behind a key's =, and JSON does not.
    return os.path.abspath(os.path.expanduser(path)) if path else ""


def problem_of(
    definition: QgsProcessingParameterDefinition,
    value: Any,
    context: QgsProcessingContext,
) -> str:
    """Return a sentence on what is wrong with a value, or an empty string.

    Processing itself would say "Incorrect parameter value" alone.
    """
    if is_destination(definition):
        trial = QgsProcessingContext()  # some versions of QGIS have it load the output
        trial.setExpressionContext(context.expressionContext())
        fits, problem = definition.isSupportedOutputValue(value, trial) if value else (True, "")
        return "" if fits else f"{definition.description()}: {problem}."
    problem = ""
    if isinstance(value, QgsProperty):
        problem = f"the expression {value.expressionString()} has no value here."
    elif isinstance(value, list) and len(value) > 1 and not _takes_several(definition):
        problem = f"takes one value, not {len(value)}."
    is_optional = definition.flags() & QgsProcessingParameterDefinition.Flag.FlagOptional
    if value == [] and takes_layers(definition) and not is_optional:
        problem = "choose at least one."
    for item in value if isinstance(value, list) else [value]:
        if isinstance(definition, QgsProcessingParameterEnum):
            problem = problem or _wrong_choice(definition, item)
        elif isinstance(definition, QgsProcessingParameterNumber):
            problem = problem or _wrong_number(definition, item)
        elif isinstance(definition, QgsProcessingParameterBoolean):
            problem = problem or _neither_true_nor_false(item)
        elif isinstance(definition, QgsProcessingParameterBand):
            problem = problem or _no_band_number(item)
        elif isinstance(definition, QgsProcessingParameterCrs):
            problem = problem or _no_crs(definition, item, context)
        elif takes_layers(definition):
            problem = problem or layer_problem(definition, item, context)
        elif _takes_files(definition) and item:
            problem = problem or _missing_file(item) or _wrong_ending(definition, item)
    return f"{definition.description()}: {problem}" if problem else ""


def unknown_keys(parameters: dict[str, Any], keys: list[str]) -> str:
    """Return a sentence on parameters that an algorithm lacks, which QGIS passes over."""
    unknown = [key for key in parameters if key not in keys]
    if not unknown:
        return ""
    return (
        f"{', '.join(unknown)}: no parameter is called so, and nothing comes of it; they are "
        f"{', '.join(keys)}."
    )


def _plain(
    value: Any, definition: QgsProcessingParameterDefinition, context: QgsProcessingContext
) -> Any:
    """Return a value as in `plain`; an expression that can't be evaluated stays one."""
    value = _evaluated(value, context)
    several = _takes_several(definition)
    if isinstance(value, (list, tuple)):
        items = [_evaluated(item, context) for item in value]
        if is_list(definition):
            return ", ".join(map(str, items))
        return items[0] if len(items) == 1 and not several else items
    if several and isinstance(definition, QgsProcessingParameterEnum) and isinstance(value, str):
        return [word for word in map(str.strip, value.split(",")) if word]
    return value


def _evaluated(value: Any, context: QgsProcessingContext) -> Any:
    """Return an expression's value, where it has one, and a path as text."""
    if isinstance(value, QgsProperty):
        result, fine = value.value(context.expressionContext())
        return result if fine else value
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _takes_several(definition: QgsProcessingParameterDefinition) -> bool:
    """Return whether a list of values is meant."""
    lists = (
        QgsProcessingParameterMatrix,
        QgsProcessingParameterMultipleLayers,
        QgsProcessingParameterRange,
    )
    some = (QgsProcessingParameterBand, QgsProcessingParameterEnum)
    return isinstance(definition, lists) or (
        isinstance(definition, some) and bool(definition.allowMultiple())
    )


def _wrong_choice(definition: QgsProcessingParameterEnum, value: Any) -> str:
    if not definition.usesStaticStrings() or value in (None, ""):
        return ""
    words = str(value).split(",") if definition.allowMultiple() else [str(value)]
    wrong = [word for word in words if word not in definition.options()]
    return f"{wrong[0]} is none of {', '.join(definition.options())}." if wrong else ""


def _wrong_number(definition: QgsProcessingParameterNumber, value: Any) -> str:
    try:
        number = float(value)
    except TypeError:
        return ""  # not given, or an expression
    except ValueError:  # QGIS takes a text that is no number for 0 where none need be given
        return f"{value} is no number: write it with a point, such as 0.5." if value else ""
    low, high = definition.minimum(), definition.maximum()
    if definition.dataType() == QgsProcessingParameterNumber.Type.Integer:
        if number % 1:  # which QGIS would round
            return f"{number:g} is no whole number."
        high = min(high, _LARGEST_WHOLE)
    if low <= number <= high:
        return ""
    upper = f" to {high:.10g}" if high < _UNLIMITED or number > high else " upwards"
    return f"{number:.10g} is not within {low:g}{upper}."


def _neither_true_nor_false(value: Any) -> str:
    """Return what is wrong with a switch's text: QGIS takes all but false and 0 for true."""
    if not isinstance(value, str) or value.lower() in ("true", "false", "1", "0", ""):
        return ""
    return f"{value} is neither true nor false."


def _no_band_number(value: Any) -> str:
    """Return what is wrong with a band: QGIS takes a name for 0."""
    if value in (None, "") or _is_null(value):
        return ""
    if str(value).strip().isdecimal() or (
        isinstance(value, float) and value > 0 and value % 1 == 0
    ):
        return ""
    return f"{value} is no number of a band: they count from 1, as QGIS shows them."


def _no_crs(
    definition: QgsProcessingParameterCrs, value: Any, context: QgsProcessingContext
) -> str:
    """Return what is wrong with a CRS: QGIS takes one that it does not know for none."""
    boxes_without = isinstance(value, QgsCoordinateReferenceSystem) and not value.isValid()
    if value in (None, "") or _is_null(value) or boxes_without:
        return ""
    crs = QgsProcessingParameters.parameterAsCrs(definition, {definition.name(): value}, context)
    return "" if crs.isValid() else f"{value} is no CRS: write it as in EPSG:32654."


def _takes_files(definition: QgsProcessingParameterDefinition) -> bool:
    """Return whether the values are files or folders."""
    if isinstance(definition, QgsProcessingParameterMultipleLayers):
        return bool(definition.layerType() == QgsProcessing.SourceType.TypeFile)
    return isinstance(definition, QgsProcessingParameterFile)


def _missing_file(text: str) -> str:
    exists = _is_address(text) or os.path.exists(text)
    return "" if exists else f"{text} does not exist: check the path."


def _wrong_ending(definition: QgsProcessingParameterDefinition, text: str) -> str:
    """Return what is wrong with a file of another kind than the dialog offers."""
    if isinstance(definition, QgsProcessingParameterMultipleLayers):
        return ""
    fits = definition.checkValueIsAcceptable(text)
    return "" if fits else f"{text} is of another kind than {definition.fileFilter()}."


def _is_address(text: str) -> bool:
    """Return whether a text is an address, or a name of GDAL's file systems, and no path."""
    return "://" in text or text.startswith("/vsi")


def _is_null(given: Any) -> bool:
    """Return whether a dialog's box was left empty: some give a null QVariant then."""
    return isinstance(given, QVariant) and given.isNull()


def _plain_value(
    algorithm: QgsProcessingAlgorithm,
    definition: QgsProcessingParameterDefinition,
    values: tuple[dict[str, Any], str, QgsProcessingContext],
) -> Any:
    if isinstance(definition, QgsProcessingParameterEnum):
        return _choice(algorithm, definition, values)
    if isinstance(definition, QgsProcessingParameterNumber):
        whole = definition.dataType() == QgsProcessingParameterNumber.Type.Integer
        return algorithm.parameterAsInt(*values) if whole else algorithm.parameterAsDouble(*values)
    if isinstance(definition, QgsProcessingParameterBoolean):
        return algorithm.parameterAsBool(*values)
    if isinstance(definition, QgsProcessingParameterCrs):
        crs = algorithm.parameterAsCrs(*values)
        name = crs.authid()  # that of a user's own means nothing outside QGIS
        return (crs.toWkt() if name.startswith("USER:") else name or crs.toWkt()) or None
    if isinstance(definition, QgsProcessingParameterBand):
        bands = algorithm.parameterAsInts(*values)
        return bands if definition.allowMultiple() else bands[0]
    if isinstance(definition, QgsProcessingParameterExpression):
        return _field_name(algorithm.parameterAsString(*values).strip())
    if isinstance(definition, QgsProcessingParameterFile):
        path = algorithm.parameterAsFile(*values)
        return path if _is_address(path) else os.path.abspath(path)
    if isinstance(definition, QgsProcessingParameterMultipleLayers):
        return [os.path.abspath(path) for path in algorithm.parameterAsFileList(*values)]
    if isinstance(definition, QgsProcessingParameterRange):
        return algorithm.parameterAsRange(*values)
    if isinstance(definition, QgsProcessingParameterMatrix):
        return [float(cell) for cell in algorithm.parameterAsMatrix(*values)]
    return algorithm.parameterAsString(*values)


def _field_name(text: str) -> str:
    """Return the name of a field that is written as an expression, in quotation marks."""
    expression = QgsExpression(text)
    return str(expression.rootNode().name()) if expression.isField() else text


def _choice(
    algorithm: QgsProcessingAlgorithm,
    definition: QgsProcessingParameterEnum,
    values: tuple[dict[str, Any], str, QgsProcessingContext],
) -> Any:
    if definition.usesStaticStrings():
        if definition.allowMultiple():
            return algorithm.parameterAsEnumStrings(*values)
        return algorithm.parameterAsEnumString(*values)
    if definition.allowMultiple():
        return algorithm.parameterAsEnums(*values)
    return algorithm.parameterAsEnum(*values)
