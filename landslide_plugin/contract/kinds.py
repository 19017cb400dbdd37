"""Kinds of parameters: what a value may be, for QGIS's forms and the engine's check alike.

A kind is an attribute of a class in `choices`, whose name is the parameter's key in QGIS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class Kind:
    """What all kinds have: a key, a label, and a sentence for a value that does not fit."""

    key = ""
    """The parameter's key, such as BATCH_SIZE; the class that holds the kind gives it."""

    def __set_name__(self, owner: type, name: str) -> None:
        """Take the attribute's name as the key; a kind that several classes share keeps it."""
        if self.key not in ("", name):
            raise TypeError(f"{owner.__name__}.{name} is known as {self.key} already")
        object.__setattr__(self, "key", name)


@dataclass(frozen=True)
class Choice(Kind):
    """One word of several.

    Attributes:
        label: what forms call the parameter.
        words: each word that scripts give, and what forms show for it.
        default: the word that is taken where none is given.
    """

    label: str
    words: Mapping[str, str]
    default: str

    def problem(self, value: str) -> str:
        """Return how to mend a value that is none of the words, or "" where it is one."""
        return "" if value in self.words else f"choose one of {', '.join(self.words)}"


@dataclass(frozen=True)
class Several(Kind):
    """Some words of several; attributes as of `Choice`, `default` a tuple of words."""

    label: str
    words: Mapping[str, str]
    default: tuple[str, ...]

    def problem(self, value: Sequence[str]) -> str:
        """Return how to mend a value of which an item is none of the words, or ""."""
        fits = all(item in self.words for item in value)
        return "" if fits else f"choose from {', '.join(self.words)}"


@dataclass(frozen=True)
class _Range(Kind):
    label: str
    low: float | None = None
    high: float | None = None
    unit: str = ""

    def problem(self, value: float) -> str:
        """Return how to mend a value outside the range, or "" where it is within."""
        above = self.low is None or value >= self.low
        below = self.high is None or value <= self.high
        if above and below:
            return ""
        unit = f" {self.unit}" if self.unit else ""
        if self.high is None:
            return f"choose {self.low:g}{unit} or more"
        if self.low is None:
            return f"choose {self.high:g}{unit} or less"
        return f"choose from {self.low:g} to {self.high:g}{unit}"


@dataclass(frozen=True)
class Number(_Range):
    """A decimal number.

    Attributes:
        label: what forms call the parameter; they add the unit.
        low: the least value; none when None.
        high: the largest value; none when None.
        unit: what it is counted in, such as "m".
        default: what is taken where none is given.
    """

    default: float = 0.0


@dataclass(frozen=True)
class OptionalNumber(_Range):
    """A decimal number that may be left out, which is None; attributes as of `Number`."""

    default: None = None


@dataclass(frozen=True)
class Whole(_Range):
    """A whole number; attributes as of `Number`."""

    default: int = 0
