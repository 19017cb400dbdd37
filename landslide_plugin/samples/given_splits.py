"""Splits that a data set brings along: in a table of its images, or as folders of these names."""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ..contract.errors import InputError
from ..core.progress import Progress
from .blocks import DROPPED
from .sample_set import SPLITS
from .splits import split_at_random
from .tile_files import SUFFIXES

FILE_COLUMNS = ("file", "name", "image", "filename", "file_name", "id")
SPLIT_COLUMNS = ("split", "part", "set", "subset", "partition", "fold")
"""What the two columns of a list may be called, the first that is there counts; in capitals too."""
USUAL = (("train", "training"), ("validation", "val", "valid", "validate"), ("test", "testing"))
"""What parts for the splits, in the order of `SPLITS`, are usually called."""
OTHERS = "others"
"""Stands for all parts that are not named."""


class Parts:
    """Which parts of a data set are for which split, those of any other for none.

    Args:
        named: parts for each of `SPLITS`, in this order; none for those with the usual names.

    Raises:
        InputError: a part is named for two splits.
    """

    def __init__(self, named: Sequence[Sequence[str]] = ((), (), ())) -> None:
        cleaned = [[part.strip().lower() for part in parts if part.strip()] for parts in named]
        self.asked = {part for parts in cleaned for part in parts} - {OTHERS}
        self._of: dict[str, int] = {}
        for split, (parts, usual) in enumerate(zip(cleaned, USUAL, strict=True)):
            for part in parts or usual:
                if self._of.setdefault(part, split) != split:
                    raise InputError(
                        f"The part {part} is named for {SPLITS[self._of[part]]} and for "
                        f"{SPLITS[split]}: name each part once."
                    )

    def __contains__(self, part: str) -> bool:
        """Return whether a part is for a split by its own name."""
        return part in self._of

    def split(self, part: str) -> int:
        """Return the number of a part's split, or `DROPPED`; "" is no part."""
        others = self._of.get(OTHERS, DROPPED) if part else DROPPED
        return self._of.get(part, others)


def split_by_list(
    path: str, images: Sequence[str], parts: Parts, progress: Progress
) -> NDArray[np.int64]:
    """Return the split of each image by a table.

    Args:
        path: CSV file with a column of files and one of splits; see `FILE_COLUMNS`. A file is the
            image's path within the folder of images, or the end of it, with or without its ending.
        images: their paths within the folder.
        parts: which of the table's are for which split.
        progress: told which go nowhere.

    Returns:
        Index into `SPLITS`, or `DROPPED` for images that are not in the list or in another part.

    Raises:
        InputError: the list can't be read, lacks a column or a part that is asked for, names no
            image, or one in two parts.
    """
    of_name = _read(path)
    _require(parts, of_name.values(), f"The list {path}")
    used: dict[str, str] = {}
    words = []
    for image in images:
        names = [name for name in _tails(image) if name in of_name]
        if names and names[0] in used:
            raise InputError(
                f"{path} names {names[0]}, and both {used[names[0]]} and {image} are called so: "
                "give their paths in the list."
            )
        if names:
            used[names[0]] = image
        words.append(of_name[names[0]] if names else "")
    if not any(words):
        raise InputError(
            f"{path} names no image of the folder, such as {images[0]}: its column of files must "
            "hold their names or paths."
        )
    return _assigned(words, parts, "are not in the list", progress)


def split_by_folders(images: Sequence[str], parts: Parts, progress: Progress) -> NDArray[np.int64]:
    """Return the split of each image by the folder of this name that it lies in.

    Args:
        images: their paths within the folder of images.
        parts: which folders are for which split.
        progress: told which go nowhere.

    Returns:
        Index into `SPLITS`, or `DROPPED` for images that lie in no such folder.

    Raises:
        InputError: there is no such folder, or not one that is asked for.
    """
    words = []
    for image in images:
        folders = [folder.lower() for folder in PurePosixPath(image).parts[:-1]]
        named = [folder for folder in folders if folder in parts]
        words.append((named or folders or [""])[0])
    _require(parts, words, "The folder of images")
    if not any(word in parts for word in words):
        raise InputError(
            "The folder of images holds no folders train, validation and test: choose the folder "
            "about them, or another split."
        )
    return _assigned(words, parts, "lie in no folder", progress)


def with_validation(
    split: NDArray[np.int64],
    holds: NDArray[np.int64],
    fraction: float,
    seed: int,
    progress: Progress,
) -> NDArray[np.int64]:
    """Return a given split, with validation drawn from train where it brings none.

    Args:
        split: index into `SPLITS`, or `DROPPED`, (n,).
        holds: whether each image holds a landslide, (n,).
        fraction: share of the train images that is drawn then.
        seed: of the draw.
        progress: told of it.

    Raises:
        InputError: no image with landslides is left for train or validation.
    """
    if not (split == 1).any():
        train = np.flatnonzero(split == 0)
        split = split.copy()
        split[train] = split_at_random(holds[train], (1 - fraction, fraction, 0.0), seed)
        progress.message(
            f"The data set has no part for validation: {int((split == 1).sum())} images are drawn "
            "at random from those for training."
        )
    for index in (0, 1):
        if not holds[split == index].any():
            raise InputError(
                f"The given split has no image with landslides for {SPLITS[index]}: mend the list "
                "or the folders, name its parts, or choose another split."
            )
    return split


def _read(path: str) -> dict[str, str]:
    """Return the word of each name in a list, both in lower case but for the name."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            delimiter = max(",;\t", key=head.count)
            rows = list(csv.reader([head, *file], delimiter=delimiter))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"The list {path} can't be read ({error}): it must be a CSV file in UTF-8."
        ) from error
    names = [name.strip().lower() for name in rows[0]] if rows else []
    at = []
    for columns in (FILE_COLUMNS, SPLIT_COLUMNS):
        usual = [name for name in columns if name in names]
        if not usual:
            raise InputError(
                f"The list {path} has no column called {' or '.join(columns[:3])}: its first line "
                "must name one column of files and one of splits."
            )
        at.append(names.index(usual[0]))
    result: dict[str, str] = {}
    for row in rows[1:]:
        if len(row) <= max(at) or not row[at[0]].strip():
            continue
        name, word = _plain(row[at[0]].strip()), row[at[1]].strip().lower()
        if result.setdefault(name, word) != word:
            raise InputError(f"The list {path} names {name} in {result[name]} and in {word}.")
    return result


def _require(parts: Parts, words: Iterable[str], what: str) -> None:
    """Refuse parts that are asked for and not there."""
    present = {word for word in words if word}
    if missing := sorted(parts.asked - present):
        raise InputError(
            f"{what} has no part {', '.join(missing)}; it has {', '.join(sorted(present))}."
        )


def _assigned(
    words: Sequence[str], parts: Parts, nowhere: str, progress: Progress
) -> NDArray[np.int64]:
    """Return the splits of words; tell in a sentence of images that have none."""
    result = np.array([parts.split(word) for word in words], np.int64)
    others = Counter(word for word, split in zip(words, result, strict=True) if split == DROPPED)
    if others:
        told = [f"{count} {f'in {word}' if word else nowhere}" for word, count in others.items()]
        progress.message(
            f"{others.total()} images go nowhere, as they are neither for training nor for "
            f"validation or test: {', '.join(told)}."
        )
    return result


def _tails(image: str) -> list[str]:
    """Return a path without ending and what it ends with, the longest first."""
    parts = PurePosixPath(_plain(image)).parts
    return ["/".join(parts[first:]) for first in range(len(parts))]


def _plain(name: str) -> str:
    """Return a name as a list and a folder have in common."""
    path = PurePosixPath(name.replace("\\", "/"))
    return str(path.with_suffix("") if path.suffix.lower() in SUFFIXES else path)


def list_name(path: str) -> str:
    """Return how manifests call the split by a list."""
    return f"list {Path(path).name}"
