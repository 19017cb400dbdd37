"""The list of images that a data set brings along: its parts, gains, and where each image lies."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..contract.errors import InputError
from .tile_files import SUFFIXES

FILE_COLUMNS = ("file", "name", "image", "filename", "file_name", "id")
SPLIT_COLUMNS = ("split", "part", "set", "subset", "partition", "fold")
GAIN_COLUMNS = ("gain", "factor")
SCENE_COLUMNS = ("scene", "area", "site")
ROW_COLUMNS = ("row",)
COLUMN_COLUMNS = ("column", "col")
COLUMNS = (
    FILE_COLUMNS, SPLIT_COLUMNS, GAIN_COLUMNS, SCENE_COLUMNS, ROW_COLUMNS, COLUMN_COLUMNS,
)  # fmt: skip
"""What the columns of a list may be called, the first that is there counts; in capitals too."""

Cell = tuple[str, int, int]


@dataclass(frozen=True)
class Entry:
    """What a list says of an image.

    Attributes:
        part: which one of the data set it belongs to, in lower case.
        gain: what its values are multiplied by. It undoes a stretch that an image was given by
            itself, so that those of one scene are in one light again.
        cell: the scene that it is a piece of, and its row and column there, counted in images;
            None where nothing is said.
    """

    part: str
    gain: float = 1.0
    cell: Cell | None = None


@dataclass(frozen=True)
class ImageList:
    """What a list says of images.

    Attributes:
        path: of its file.
        entries: by the image's path without ending.
    """

    path: str
    entries: dict[str, Entry]

    @classmethod
    def read(cls, path: str) -> "ImageList":
        """Read a list.

        Args:
            path: CSV file with a column of files and one of parts; see `FILE_COLUMNS`. Columns of
                gains and of scenes, rows and columns may be there too.

        Raises:
            InputError: it can't be read, lacks a column, or says two things of an image, or a gain
                that is no number above 0, or a row that is no whole number.
        """
        try:
            with open(path, encoding="utf-8-sig", newline="") as file:
                head = file.readline()
                delimiter = max(",;\t", key=head.count)
                rows = list(csv.reader([head, *file], delimiter=delimiter))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(
                f"The list {path} can't be read ({error}): it must be a CSV file in UTF-8."
            ) from error
        at = _columns(rows[0] if rows else [], path)
        result: dict[str, Entry] = {}
        for row in rows[1:]:
            image, part, gain, scene, *cell = (_text(row, number) for number in at)
            if not image or len(row) <= max(at[:2]):
                continue
            name = _plain(image)
            entry = Entry(part.lower(), _gain(gain, name, path), _cell(scene, cell, name, path))
            before = result.setdefault(name, entry)
            if before.part != entry.part:
                raise InputError(
                    f"The list {path} names {name} in {before.part} and in {entry.part}."
                )
            if before != entry:
                raise InputError(f"The list {path} names {name} twice, with two gains or cells.")
        return cls(path, result)

    def of(self, images: Sequence[str]) -> list[Entry | None]:
        """Return what is said of each of some images; None of those that are not named.

        Args:
            images: their paths within their folder. The list has these, or their ends, with or
                without ending.

        Raises:
            InputError: none is named, or two by one name.
        """
        used: dict[str, str] = {}
        result = []
        for image in images:
            names = [name for name in _tails(image) if name in self.entries]
            if names and names[0] in used:
                raise InputError(
                    f"{self.path} names {names[0]}, and both {used[names[0]]} and {image} are "
                    "called so: give their paths in the list."
                )
            if names:
                used[names[0]] = image
            result.append(self.entries[names[0]] if names else None)
        if not any(entry and entry.part for entry in result):
            raise InputError(
                f"{self.path} names no image of the folder, such as {images[0]}: its column of "
                "files must hold their names or paths."
            )
        return result


def list_name(path: str) -> str:
    """Return how manifests call the split by a list."""
    return f"list {Path(path).name}"


def _columns(head: Sequence[str], path: str) -> list[int]:
    """Return the numbers of the columns of files, parts, gains, scenes, rows and columns.

    -1 stands for those that may be missing, and are.

    Raises:
        InputError: that of files or parts is missing.
    """
    names = [name.strip().lower() for name in head]
    numbers = []
    for columns in COLUMNS:
        usual = [name for name in columns if name in names]
        if not usual and columns in (FILE_COLUMNS, SPLIT_COLUMNS):
            raise InputError(
                f"The list {path} has no column called {' or '.join(columns[:3])}: its first line "
                "must name one column of files and one of splits."
            )
        numbers.append(names.index(usual[0]) if usual else -1)
    return numbers


def _text(row: Sequence[str], number: int) -> str:
    return row[number].strip() if 0 <= number < len(row) else ""


def _gain(text: str, name: str, path: str) -> float:
    try:
        gain = float(text or 1)
    except ValueError:
        gain = math.nan
    if not 0 < gain < math.inf:
        raise InputError(
            f"The list {path} gives {name} the gain {text}: it must be a number above 0."
        )
    return gain


def _cell(scene: str, cell: Sequence[str], name: str, path: str) -> Cell | None:
    if not all(cell):
        return None
    try:
        row, column = map(int, cell)
    except ValueError as error:
        raise InputError(
            f"The list {path} says that {name} lies in row {cell[0]}, column {cell[1]}: they must "
            "be whole numbers, counted in images."
        ) from error
    return scene, row, column


def _tails(image: str) -> list[str]:
    """Return a path without ending and what it ends with, the longest first."""
    parts = PurePosixPath(_plain(image)).parts
    return ["/".join(parts[first:]) for first in range(len(parts))]


def _plain(name: str) -> str:
    """Return a name as a list and a folder have in common."""
    path = PurePosixPath(name.replace("\\", "/"))
    return str(path.with_suffix("") if path.suffix.lower() in SUFFIXES else path)
