"""A kind knows its key, and how to mend what does not fit."""

import pytest
from landslide_mapper.landslide_plugin.contract import choices
from landslide_mapper.landslide_plugin.contract.kinds import (
    Choice,
    Kind,
    Number,
    Numbers,
    OptionalNumber,
    Several,
    Whole,
)

WORDS = {"a": "The first", "b": "The second"}
NAMES = choices.__all__


def kinds_of(name):
    """Return the kinds of a command's class, by their keys."""
    return {
        key: kind for key, kind in vars(getattr(choices, name)).items() if isinstance(kind, Kind)
    }


ALL = [(name, key, kind) for name in NAMES for key, kind in kinds_of(name).items()]


@pytest.mark.parametrize(
    ("kind", "good", "bad", "mend"),
    [
        (Choice("", WORDS, "a"), "b", "c", "choose one of a, b"),
        (Several("", WORDS, ("a",)), ["b", "a"], ["a", "c"], "choose from a, b"),
        (Several("", WORDS, ("a",)), [], ["The first"], "choose from a, b"),
        (Whole("", low=1), 1, 0, "choose 1 or more"),
        (Whole("", low=0, high=2**32 - 1), 2**32 - 1, 2**32, "choose from 0 to 4294967295"),
        (Number("", low=0.0, high=0.9), 0.9, 0.91, "choose from 0 to 0.9"),
        (Number("", low=0.0, unit="m"), 0.0, -0.1, "choose 0 m or more"),
        (Number("", high=5.0, unit="m"), -9.0, 5.5, "choose 5 m or less"),
        (Number("", above=0.0, high=1.0), 1.0, 0.0, "choose more than 0 and at most 1"),
        (Number("", above=0.0, unit="km2"), 1e-9, 0.0, "choose more than 0 km2"),
        (Number("", low=0.0), 0.0, float("nan"), "choose 0 or more"),
        (OptionalNumber("", low=0.0, high=1.0), 0.5, 1.5, "choose from 0 to 1"),
        (Numbers("", low=1.0, count=2), [], [1], "choose 2 numbers"),
        (Numbers("", low=1.0, count=2, default=(1.0, 2.0)), [3, 4], [], "choose 2 numbers"),
        (Numbers("", low=1.0, whole=True), [1, 2.0], [1, 2.5], "choose whole numbers"),
        (Numbers("", count=2, whole=True), [3, -4], [1], "choose 2 whole numbers"),
        (Numbers("", low=1.0, whole=True), [1], [float("inf")], "choose whole numbers"),
        (Numbers("", high=9.0, whole=True), [1], [10**400], "choose 9 or less"),
        (Numbers("", above=0.0, unit="m"), [1, 2.5], [1, 0], "choose more than 0 m"),
    ],
)
def test_a_kind_tells_how_to_mend_what_does_not_fit(kind, good, bad, mend):
    assert kind.problem(good) == ""
    assert kind.problem(bad) == mend


def test_a_kind_is_known_by_one_key():
    size = Whole("Size", low=1)

    class Command:
        SIZE = size

    class Other:
        SIZE = size

    assert Command.SIZE.key == Other.SIZE.key == "SIZE"
    with pytest.raises((TypeError, RuntimeError)):

        class Another:
            WIDTH = size


@pytest.mark.parametrize(("name", "key", "kind"), ALL, ids=[f"{n}.{k}" for n, k, _ in ALL])
def test_a_default_is_one_of_the_values_and_everything_has_a_label(name, key, kind):
    assert kind.key == key
    assert kind.label and "(m" not in kind.label
    if kind.default is not None:
        assert kind.problem(kind.default) == ""
    for word, label in getattr(kind, "words", {}).items():
        assert word and (label[0].isupper() or label[0].isdigit())
