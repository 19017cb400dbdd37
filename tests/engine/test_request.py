"""What a command is asked is checked against its signature: one sentence for each wrong value."""

import inspect
import io
import json
from collections.abc import Sequence
from typing import Annotated, get_args, get_origin

import pytest
from landslide_mapper.landslide_plugin.answer import find_command
from landslide_mapper.landslide_plugin.contract import choices
from landslide_mapper.landslide_plugin.contract.commands import COMMANDS
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.contract.kinds import Kind
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.request import FROM_WORKER, checked, paths_of, read_request


def command(
    *,
    input: str,
    size: int = 3,
    share: float = 0.5,
    limit: float | None = None,
    wide: bool = False,
    names: Sequence[str] = (),
    breaks: Sequence[float] = (),
    maps: str | list[str] = "",
    progress: Progress,
):
    return {}


def given(**parameters):
    return checked("command", command, {"input": "a.tif", **parameters})


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        ("size", 4, 4),
        ("size", 4.0, 4),
        ("share", 1, 1.0),
        ("limit", 0, 0.0),
        ("wide", True, True),
        ("names", ["a", "$b"], ["a", "$b"]),
        ("breaks", [1, 2.5], [1.0, 2.5]),
        ("maps", "a", "a"),
        ("maps", ["a", "b"], ["a", "b"]),
    ],
)
def test_what_a_parameter_takes(key, value, kept):
    result = given(**{key: value})[key]
    assert result == kept and type(result) is type(kept)


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("input", 3, "a text"),
        ("input", "a\0b", "a text"),
        ("input", "\ud800", "a text"),
        ("input", ["a"], "a text"),
        ("input", None, "a text"),
        ("size", "4", "a whole number"),
        ("size", 4.5, "a whole number"),
        ("size", True, "a whole number"),
        ("size", 2**70, "a whole number"),
        ("size", float("nan"), "a whole number"),
        ("size", float("inf"), "a whole number"),
        ("share", "0.5", "a finite number"),
        ("share", float("nan"), "a finite number"),
        ("share", float("-inf"), "a finite number"),
        ("share", 10**400, "a finite number"),
        ("limit", [1], "a finite number"),
        ("wide", 1, "true or false"),
        ("wide", "true", "true or false"),
        ("names", "red", "a list in which each item is a text"),
        ("names", ["red", 3], "a list in which each item is a text"),
        ("breaks", {"a": 1}, "a list in which each item is a finite number"),
        ("maps", [1], "a text or a list in which each item is a text"),
    ],
)
def test_what_it_does_not_take_is_named(key, value, wanted):
    with pytest.raises(InputError) as caught:
        given(**{key: value})
    text = str(caught.value)
    assert text.startswith(f"command: {key.upper()} is ")
    assert text.endswith(f", but it takes {wanted}.")
    assert len(text) < 200


@pytest.mark.parametrize(
    ("name", "key", "value", "mend"),
    [
        ("train", "batch_size", 0, "choose 1 or more"),
        ("train", "loss", "hinge", "choose one of cross_entropy, cross_entropy_dice, "),
        ("train", "augmentation", ["flip", "spin"], "choose from flip, quarter_turn, "),
        ("train", "learning_rate", 0, "choose more than 0 and at most 1"),
        ("train", "seed", -1, "choose from 0 to 4294967295"),
        ("train", "seed", 2**32, "choose from 0 to 4294967295"),
        ("samples", "stride", 0, "choose from 1 to 2048 pixels"),
        ("distance", "breaks", [30, -1], "choose more than 0 m"),
        ("vectorize", "threshold", 1.5, "choose from 0 to 1"),
    ],
)
def test_a_value_that_its_kind_does_not_take_is_told_how_to_mend(name, key, value, mend):
    function = find_command(name)
    parameters = inspect.signature(function).parameters.values()
    needed = {
        item.name: "a"
        for item in parameters
        if item.default is item.empty and item.name not in FROM_WORKER
    }
    checked(name, function, needed)
    with pytest.raises(InputError) as caught:
        checked(name, function, {**needed, key: value})
    assert str(caught.value).startswith(f"{name}: {key.upper()} is {json.dumps(value)}: {mend}")
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_number_word_and_flag_bears_its_kind_and_default(name):
    """Layers, files, fields and free texts have none; these are texts, empty where not needed."""
    kinds = {
        key.lower(): kind
        for command in choices.__all__
        if command.lower() == name
        for key, kind in vars(getattr(choices, command)).items()
        if isinstance(kind, Kind)
    }
    borne = {}
    function = find_command(name)
    for key, item in inspect.signature(function).parameters.items():
        if get_origin(item.annotation) is Annotated:
            borne[key] = get_args(item.annotation)[1]
            assert item.default == borne[key].default, key
        elif key not in FROM_WORKER:
            assert item.default in (item.empty, "", ()), key
    assert borne == kinds


def test_null_is_what_is_not_given():
    assert given(size=None, names=None, limit=None) == {"input": "a.tif"}


@pytest.mark.parametrize(
    "line", ["", "3", "[" * 100_000, '{"a": 1' + "0" * 5000 + "}", "\ufeff{}", '{"parameters": []}']
)
def test_what_is_no_request(line):
    with pytest.raises(InputError, match="not one line of JSON"):
        read_request(io.StringIO(line))


@pytest.mark.parametrize("name", ["classes", "vectorize", "recipe", "samples"])
def test_parameters_of_no_kind_are_paths_but_for_some_words(name):
    paths = {
        "classes": ["input", "reference", "output"],
        "vectorize": ["input", "output", "more_inputs", "factors"],
        "recipe": ["recipe", "folder", "data"],
        "samples": ["stack", "landslides", "output", "area", "hard_negatives"],
    }
    assert sorted(paths_of(find_command(name))) == sorted(paths[name])
