"""Splits that a data set brings along: in a table of its images, or as folders of these names."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ..contract.errors import InputError
from ..core.progress import Progress
from .blocks import DROPPED
from .image_list import ImageList
from .sample_set import SPLITS
from .splits import split_at_random

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
    listed: ImageList, images: Sequence[str], parts: Parts, progress: Progress
) -> NDArray[np.int64]:
    """Return the split of each image by a table.

    Args:
        listed: the table.
        images: their paths within the folder of images.
        parts: which of the table's are for which split.
        progress: told which go nowhere.

    Returns:
        Index into `SPLITS`, or `DROPPED` for images that are not in the list or in another part.

    Raises:
        InputError: the list lacks a part that is asked for, names no image, or two by one name.
    """
    _require(parts, [entry.part for entry in listed.entries.values()], f"The list {listed.path}")
    words = [entry.part if entry else "" for entry in listed.of(images)]
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
