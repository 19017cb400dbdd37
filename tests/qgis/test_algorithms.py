"""The interface of the algorithms: ids, keys, defaults, help."""

import ast
from pathlib import Path

import pytest
from landslide_mapper.landslide_plugin.contract import choices
from landslide_mapper.landslide_plugin.contract.commands import COMMANDS
from landslide_mapper.landslide_plugin.contract.kinds import Several, Whole
from landslide_mapper.processing_algorithms import ALGORITHMS
from landslide_mapper.processing_algorithms.request import input_value
from qgis.core import (
    NULL,
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingFeedback,
)
from qgis.gui import QgsGui, QgsProcessingGui
from qgis.PyQt.QtCore import QVariant

from .interface import GROUPS, INTERFACE, OTHER_OUTPUTS

ROOT = Path(__file__).resolve().parents[2]

COMMAND_NAMES = [name for name in INTERFACE if name in COMMANDS]
"""Algorithms that are one command of the engine; the set-up is not."""

KINDS = {name.lower(): vars(getattr(choices, name)) for name in choices.__all__}
"""Id to the kinds of its parameters, by their keys."""

pytestmark = pytest.mark.usefixtures("provider")


def algorithm(name):
    result = QgsApplication.processingRegistry().algorithmById(f"landslide:{name}")
    assert result is not None, f"landslide:{name} is not registered"
    return result


def command_arguments(name):
    """Return the arguments of an engine command with their defaults, read from its source."""
    source = ROOT / "landslide_plugin" / (COMMANDS[name].replace(".", "/") + ".py")
    functions = ast.parse(source.read_text(encoding="utf-8")).body
    function = next(
        item for item in functions if isinstance(item, ast.FunctionDef) and item.name == name
    )
    pairs = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    return {item.arg: default for item, default in pairs if item.arg not in ("origin", "progress")}


def as_list(value):
    """Return a list that a choice has as one, and a line of text as words parted by commas."""
    return (
        value if isinstance(value, list) else [word for word in (value or "").split(", ") if word]
    )


def test_all_algorithms_are_listed_in_their_groups():
    listed = {kind.ID: kind.GROUP for kind in ALGORITHMS}
    assert listed == {name: group for group, names in GROUPS.items() for name in names}
    assert set(INTERFACE) == set(listed)


@pytest.mark.parametrize("name", INTERFACE)
def test_keys_and_types_are_those_promised(name):
    given = {item.name(): item.type() for item in algorithm(name).parameterDefinitions()}
    assert given == INTERFACE[name]


@pytest.mark.parametrize("name", [*COMMAND_NAMES, "setupengine"])
def test_other_outputs_are_those_promised(name):
    outputs = {item.name(): item.type() for item in algorithm(name).outputDefinitions()}
    others = {key: kind for key, kind in outputs.items() if key not in INTERFACE[name]}
    assert others == OTHER_OUTPUTS.get(name, {})
    destinations = {key for key, kind in INTERFACE[name].items() if kind.endswith("Destination")}
    assert destinations <= set(outputs)


@pytest.mark.parametrize("name", INTERFACE)
def test_help_says_what_when_method_source_and_each_parameter(name):
    alg = algorithm(name)
    text = alg.shortHelpString()
    for part in ("When: ", "Method: ", "Source"):
        assert part in text
    what = text.split("When: ")[0].strip()
    assert len(what) > 40 and what.endswith(".")
    for parameter in alg.parameterDefinitions():
        assert len(parameter.help()) > 10 and parameter.help().endswith("."), parameter.name()
        assert parameter.description()
    assert len(alg.tags()) > 3


@pytest.mark.parametrize("name", COMMAND_NAMES)
def test_keys_are_the_arguments_of_the_engine_command(name):
    assert {key.lower() for key in INTERFACE[name]} == set(command_arguments(name))


@pytest.mark.parametrize("name", COMMAND_NAMES)
def test_form_and_command_take_defaults_from_the_same_kind(name):
    arguments = command_arguments(name)
    for parameter in algorithm(name).parameterDefinitions():
        key, ours = parameter.name(), parameter.defaultValue()
        default = arguments[key.lower()]
        if default is None or parameter.isDestination():
            continue
        theirs = ast.unparse(default).removeprefix("choices.")
        if key in KINDS[name]:
            assert theirs.lower() == f"{name}.{key}.default".lower()
            expected = KINDS[name][key].default
            if isinstance(expected, tuple):
                ours, expected = as_list(ours), list(map(str, expected))
        else:
            expected = ast.literal_eval(theirs)
        # Not given is what the engine has as "", 0, () or None.
        assert (ours or None) == (expected or None), key


@pytest.mark.parametrize("name", COMMAND_NAMES)
def test_a_form_asks_what_the_kind_says(name):
    for parameter in algorithm(name).parameterDefinitions():
        kind = KINDS[name].get(parameter.name())
        if kind is None:
            assert parameter.type() not in ("enum", "number", "boolean")
            continue
        unit = getattr(kind, "unit", "")
        assert parameter.description() == (f"{kind.label} ({unit})" if unit else kind.label)
        if parameter.type() == "enum":
            assert parameter.usesStaticStrings() and parameter.options() == list(kind.words)
            assert parameter.allowMultiple() == isinstance(kind, Several)
            assert parameter.metadata()["widget_wrapper"]["labels"] == kind.words
        if parameter.type() == "number":
            low = kind.above if kind.low is None else kind.low
            assert low is None or parameter.minimum() == low
            assert kind.high is None or parameter.maximum() >= kind.high
            assert isinstance(kind, Whole) == (parameter.dataType() == parameter.Type.Integer)


@pytest.mark.parametrize("name", COMMAND_NAMES)
def test_what_the_engine_needs_is_not_optional(name):
    arguments = command_arguments(name)
    for parameter in algorithm(name).parameterDefinitions():
        if arguments[parameter.name().lower()] is None:
            assert not parameter.flags() & parameter.FlagOptional, parameter.name()


@pytest.mark.parametrize("nothing", [None, "", QVariant(), NULL])
def test_boxes_left_empty_give_nothing(nothing):
    """Dialogs give a null QVariant for an empty box of a file or field, qgis_process gives none."""
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    for kind in ALGORITHMS:
        algorithm = kind()
        algorithm.initAlgorithm({})
        for definition in algorithm.parameterDefinitions():
            if not definition.isDestination():
                given = {definition.name(): nothing}
                assert input_value(algorithm, definition, given, context, feedback) is None


@pytest.mark.parametrize("written", ["rock type", '"rock type"', ' "rock type" '])
@pytest.mark.parametrize(
    ("name", "key"), [("classes", "FIELD"), ("samples", "FIELD"), ("map", "GEOLOGY_FIELD")]
)
def test_a_field_is_its_name_with_the_dialogs_quotation_marks_or_without(name, key, written):
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    alg = algorithm(name)
    definition = alg.parameterDefinition(key)
    assert input_value(alg, definition, {key: written}, context, feedback) == "rock type"


def test_numbers_refuse_what_makes_no_sense():
    predict = algorithm("predict")
    for key, bad in (("OVERLAP", 1.5), ("THRESHOLD", 2), ("TILE_SIZE", -1)):
        definition = predict.parameterDefinition(key)
        assert not definition.checkValueIsAcceptable(bad), key
        assert definition.checkValueIsAcceptable(definition.minimum()), key


@pytest.mark.parametrize(("name", "key"), [("evaluate", "PREDICTED"), ("stack", "LAYERS")])
def test_no_layer_where_some_are_needed_is_told_before_the_run(name, key):
    fine, why = algorithm(name).checkParameterValues({key: []}, QgsProcessingContext())
    assert not fine and why.endswith(": choose at least one.")


def test_the_dialog_keeps_small_scales():
    """Landsat's 0.0000275, which the default of six decimals makes 0.000028."""
    definition = algorithm("spectralindices").parameterDefinition("SCALE")
    context = QgsProcessingContext()
    registry = QgsGui.processingGuiRegistry()
    wrapper = registry.createParameterWidgetWrapper(
        definition, QgsProcessingGui.WidgetType.Standard
    )
    widget = wrapper.createWrappedWidget(context)
    wrapper.setParameterValue(0.0000275, context)
    assert wrapper.parameterValue() == 0.0000275
    widget.deleteLater()
