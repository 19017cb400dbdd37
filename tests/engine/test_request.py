"""What a command is asked is checked against its signature: one sentence for each wrong value."""

import io
from collections.abc import Sequence

import pytest
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.request import checked, read_request


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


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_is_one_of_those_that_all_generators_take(seed):
    def seeded(*, seed: int = 0, progress: Progress):
        return {}

    with pytest.raises(InputError, match=f"SEED is {seed}: choose one from 0 to 4294967295"):
        checked("seeded", seeded, {"seed": seed})


def test_null_is_what_is_not_given():
    assert given(size=None, names=None, limit=None) == {"input": "a.tif"}


@pytest.mark.parametrize(
    "line", ["", "3", "[" * 100_000, '{"a": 1' + "0" * 5000 + "}", "\ufeff{}", '{"parameters": []}']
)
def test_what_is_no_request(line):
    with pytest.raises(InputError, match="not one line of JSON"):
        read_request(io.StringIO(line))
