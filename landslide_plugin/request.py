"""What a command is asked: read, and checked against the command's signature."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, TextIO, Union, get_args, get_origin, get_type_hints

from .contract.errors import InputError

FROM_WORKER = ("origin", "progress")
"""What a command takes beside its parameters: the run that its outputs tell of, where to report."""
WORDS = (
    "classes.field", "samples.field", "map.geology_field", "mosaic.zone", "vectorize.date",
    "vectorize.model",
)  # fmt: skip
"""Parameters of no kind that are no paths, behind their commands."""
_LARGEST = 2**63
"""Whole numbers from here on fit into no type that is calculated with."""
_LONGEST_LINE = 2**26
_SHOWN = 60
"""Letters that are shown of a wrong value."""


def read_request(lines: TextIO) -> dict[str, Any]:
    """Read a request of one line of JSON.

    Raises:
        InputError: it is none.
    """
    try:
        request = json.loads(lines.readline(_LONGEST_LINE))
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict) or not isinstance(request.get("parameters", {}), dict):
        raise InputError(
            'The request is not one line of JSON such as {"command": "streams", "parameters": {}}.'
        )
    return request


def checked(
    name: str, function: Callable[..., dict[str, Any]], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a command's arguments, checked against its annotations.

    What is null and may be left out is left out; a whole number without decimals may be given
    where a number is wanted, and the other way round.

    Args:
        name: the command, for messages.
        function: its function, whose last parameters are `FROM_WORKER`.
        given: the request's parameters.

    Raises:
        InputError: an unknown or missing parameter, a value of another type, or one that the kind
            in its annotation does not take; numbers that are not finite or beyond all types, and
            texts that are no Unicode, are of no type.
    """
    names = {
        key: item
        for key, item in inspect.signature(function).parameters.items()
        if key not in FROM_WORKER
    }
    optional = {key for key, item in names.items() if item.default is not item.empty}
    given = {key: value for key, value in given.items() if value is not None or key not in optional}
    unknown = sorted(set(given) - set(names))
    missing = [key for key in names if key not in optional and key not in given]
    if unknown or missing:
        raise InputError(
            f"{name}: unknown parameters {unknown}, missing parameters {missing}; "
            f"it takes {', '.join(names)}."
        )
    hints = get_type_hints(function, include_extras=True)
    return {key: _fitting(name, key, value, hints.get(key, Any)) for key, value in given.items()}


def paths_of(function: Callable[..., dict[str, Any]]) -> list[str]:
    """Return the parameters of a command that are paths: those of no kind, but for `WORDS`."""
    hints = get_type_hints(function, include_extras=True)
    plain = [key for key in inspect.signature(function).parameters if key not in FROM_WORKER]
    plain = [key for key in plain if get_origin(hints[key]) is not Annotated]
    return [key for key in plain if f"{function.__name__}.{key}" not in WORDS]


def _fitting(name: str, key: str, value: Any, hint: Any) -> Any:
    """Return a value as the annotation's type; its kind, where it bears one, is asked."""
    plain, *kinds = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    taken = _of_type(name, key, value, plain)
    problem = next(filter(None, (kind.problem(taken) for kind in kinds)), "")
    if problem:
        raise InputError(f"{name}: {key.upper()} is {_shown(value)}: {problem}.")
    return taken


def _of_type(name: str, key: str, value: Any, hint: Any) -> Any:
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    for kind in kinds:
        try:
            return _as(kind, value)
        except (TypeError, ValueError, OverflowError):
            continue
    wanted = " or ".join(_words(kind) for kind in kinds if kind is not type(None))
    raise InputError(f"{name}: {key.upper()} is {_shown(value)}, but it takes {wanted}.")


def _as(kind: Any, value: Any) -> Any:
    """Return a value as a type; raise TypeError, ValueError or OverflowError if it is none."""
    if kind is Any:
        return value
    if get_origin(kind) in (list, Sequence):
        if not isinstance(value, list | tuple):
            raise TypeError
        return [_as(get_args(kind)[0], item) for item in value]
    if kind is str:
        if not isinstance(value, str) or "\0" in value:
            raise TypeError
        value.encode()  # half a surrogate pair is no text
        return value
    if kind is bool:
        if not isinstance(value, bool):
            raise TypeError
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    if kind is float:
        number = float(value)
        if not math.isfinite(number):
            raise ValueError
        return number
    if abs(value) >= _LARGEST or value != int(value):
        raise ValueError
    return int(value)


def _words(kind: Any) -> str:
    if get_origin(kind) in (list, Sequence):
        return f"a list in which each item is {_words(get_args(kind)[0])}"
    return {
        str: "a text",
        bool: "true or false",
        int: "a whole number",
        float: "a finite number",
    }[kind]


def _shown(value: Any) -> str:
    """Return a value as JSON writes it, its beginning where it is long."""
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
