"""Kinds of parameters: what a value may be, for QGIS's forms and the engine's check alike.

A kind is an attribute of a class in `choices`, whose name is the parameter's key in QGIS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Kind:
    """What all kinds have.

    Attributes:
        label: what forms call the parameter.
    """

    label: str

    key = ""
    """The parameter's key, such as BATCH_SIZE; the class that holds the kind gives it."""

    def __set_name__(self, owner: type, name: str) -> None:
        """Take the attribute's name as the key; a kind that several classes share keeps it."""
        if self.key not in ("", name):
            raise TypeError(f"{owner.__name__}.{name} is known as {self.key} already")
        object.__setattr__(self, "key", name)

    def problem(self, value: Any) -> str:
        """Return how to mend a value of the right type that does not fit, or "" where it does."""
        return ""


@dataclass(frozen=True, eq=False)
class Choice(Kind):
    """One word of several.

    Attributes:
        words: each word that scripts give, and what forms show for it.
        default: the word that is taken where none is given.
    """

    words: Mapping[str, str]
    default: str

    def problem(self, value: str) -> str:
        """Return how to mend a value that is none of the words, or "" where it is one."""
        return "" if value in self.words else f"choose one of {', '.join(self.words)}"


@dataclass(frozen=True, eq=False)
class Several(Kind):
    """Some words of several.

    Attributes:
        words: as of `Choice`.
        default: the words that are taken where none are given.
        needs_one: whether an empty list is refused.
    """

    words: Mapping[str, str]
    default: tuple[str, ...]
    needs_one: bool = False

    def problem(self, value: Sequence[str]) -> str:
        """Return how to mend a value of which an item is none of the words, or ""."""
        fits = all(item in self.words for item in value) and (value or not self.needs_one)
        return "" if fits else f"choose from {', '.join(self.words)}"


@dataclass(frozen=True, eq=False)
class _Range(Kind):
    low: float | None = None
    high: float | None = None
    above: float | None = None
    unit: str = ""

    def problem(self, value: Any) -> str:
        """Return how to mend a number outside the range, or a list that holds one; else ""."""
        numbers = value if isinstance(value, (list, tuple)) else [value]
        return "" if all(map(self._holds, numbers)) else f"choose {self._range()}"

    def _holds(self, number: float) -> bool:
        return (
            (self.low is None or number >= self.low)
            and (self.high is None or number <= self.high)
            and (self.above is None or number > self.above)
        )

    def _range(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        high = "" if self.high is None else f"{self.high:.15g}{unit}"
        if self.above is not None:
            return f"more than {self.above:.15g}{unit}" + (f" and at most {high}" if high else "")
        if self.low is None:
            return f"{high} or less"
        return f"from {self.low:.15g} to {high}" if high else f"{self.low:.15g}{unit} or more"


@dataclass(frozen=True, eq=False)
class Number(_Range):
    """A decimal number.

    Attributes:
        low: the least value; none when None.
        high: the largest value; none when None.
        above: what the value must be larger than; nothing when None. A form, which can't leave
            one value out, has it as the least.
        unit: what it is counted in, such as "m"; forms show it after the label.
        default: what is taken where none is given.
    """

    default: float = 0.0


@dataclass(frozen=True, eq=False)
class OptionalNumber(_Range):
    """A decimal number that may be left out, which is None; attributes as of `Number`."""

    default: None = None


@dataclass(frozen=True, eq=False)
class Whole(_Range):
    """A whole number; attributes as of `Number`."""

    default: int = 0


@dataclass(frozen=True, eq=False)
class Numbers(_Range):
    """A list of decimal numbers, each within the range; attributes as of `Number`.

    Forms have a line of text for it, in which commas part the numbers.

    Attributes:
        count: how many there must be; any number of them when 0. None are right too where none is
            the default.
        whole: whether each must be a whole number.
    """

    default: tuple[float, ...] = ()
    count: int = 0
    whole: bool = False

    def problem(self, value: Any) -> str:
        """Return how to mend a list of another length, or a number that does not fit; else ""."""
        what = "whole numbers" if self.whole else "numbers"
        if self.count and len(value) != self.count and (value or self.default):
            return f"choose {self.count} {what}"
        if self.whole and not all(number % 1 == 0 for number in value):
            return f"choose {what}"
        return super().problem(value)


@dataclass(frozen=True, eq=False)
class Flag(Kind):
    """Yes or no; `default` is what is taken where neither is given."""

    default: bool = False


@dataclass(frozen=True, eq=False)
class Text(Kind):
    """A line of text.

    Attributes:
        default: what is taken where none is given; "" where the text may be left out.
        hints: texts that forms offer, while scripts may give others.
        begins: what a text begins with, one of these; with anything where there are none.
    """

    default: str = ""
    hints: tuple[str, ...] = ()
    begins: tuple[str, ...] = ()

    def problem(self, value: str) -> str:
        """Return how to mend a text that begins otherwise, or "" where it doesn't or is empty."""
        fits = not value or not self.begins or value.startswith(self.begins)
        return "" if fits else f"it begins with {' or '.join(self.begins)}"


@dataclass(frozen=True, eq=False)
class Texts(Kind):
    """A list of texts; forms have a line of text for it, in which commas part them."""

    default: tuple[str, ...] = ()
