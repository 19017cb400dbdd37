"""Writes the lists of splits in `models/recipes`: `python -m experiments.shipped.lists`.

Landslide4Sense by its layout on the ground, Bijie by five folds that nothing but an image's name
decides, so that they stay what they are. The lists hold names, and for Landslide4Sense where each
patch lies in its area, and the gain that makes it a piece of that again: see `levels`.
"""

import csv
import hashlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from .data import DATA, read_patch
from .levels import levels

RECIPES = Path(__file__).parents[2] / "models" / "recipes"
OVERLAPS = Path(__file__).with_name("bijie_overlaps.csv")
"""Pairs of Bijie's images that show one place; see `overlaps`."""
FOLDS = 5
LAST_TRAIN_ROW = 40
"""Of area A's patches for training; what lies below, to the gap before the test, is validation."""


def landslide4sense_part(area: str, row: int, part: str) -> str:
    """Return what a patch is for: train, validation, gap or test, or its area but for A.

    Args:
        area: A is the large one.
        row: of the patch in its area.
        part: what the layout calls it.
    """
    if area != "A":
        return area
    return "validation" if part == "train" and row > LAST_TRAIN_ROW else part


def landslide4sense_rows(layout: Path) -> list[tuple[str, str]]:
    """Return file and split of each patch."""
    with layout.open(encoding="utf-8", newline="") as file:
        return [
            (
                f"{row['part']}/images/{row['file']}.webp",
                landslide4sense_part(row["area"], int(row["row"]), row["part"]),
            )
            for row in csv.DictReader(file)
        ]


def landslide4sense_pieces(layout: Path) -> list[tuple[str, int, int, float]]:
    """Return area, row, column and gain of each patch; each area is levelled by itself."""
    with layout.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    pieces = [(line["area"], int(line["row"]), int(line["column"]), 1.0) for line in lines]
    for area in {piece[0] for piece in pieces}:
        its = [number for number, piece in enumerate(pieces) if piece[0] == area]
        images = [
            read_patch(layout.parent / lines[number]["part"], lines[number]["file"])[0]
            for number in its
        ]
        gains = levels(np.stack(images), [pieces[number][1:3] for number in its])
        for number, gain in zip(its, gains, strict=True):
            pieces[number] = (*pieces[number][:3], float(f"{gain:.3g}"))
    return pieces


def folds_of(names: Iterable[str], pairs: Iterable[Sequence[str]]) -> dict[str, int]:
    """Return the fold of each image: as many with and without landslide in each, places whole.

    Groups of images that show one place are dealt out in the order of a hash, the largest first, to
    the fold that has the fewest of their kind.

    Args:
        names: of the images; those with landslide begin with "ls".
        pairs: images that show one place.
    """
    groups = {name: [name] for name in names}
    for first, second in pairs:
        if groups[first] is not groups[second]:
            groups[first].extend(groups[second])
            for name in groups[second]:
                groups[name] = groups[first]
    unique = {id(group): sorted(group) for group in groups.values()}.values()
    counts = {kind: [0] * FOLDS for kind in ("ls", "nls")}
    result = {}
    for group in sorted(unique, key=lambda group: (-len(group), _hash(group[0]))):
        kinds = [name.split("_")[0] for name in group]
        taken = [sum(counts[kind][fold] for kind in set(kinds)) for fold in range(FOLDS)]
        fold = taken.index(min(taken))
        for name, kind in zip(group, kinds, strict=True):
            result[name] = fold
            counts[kind][fold] += 1
    return result


def in_hashed_order(names: Iterable[str]) -> list[str]:
    """Return names in an order that nothing but each name decides."""
    return sorted(names, key=_hash)


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def read_list(path: Path) -> dict[str, str]:
    """Return the part of each file of a list."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row[0]: row[1] for row in list(csv.reader(file))[1:]}


def read_pieces(path: Path) -> dict[str, tuple[str, int, int, float]]:
    """Return area, row, column and gain of each file of a list; nothing of one that has none."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    return {
        line["file"]: (line["scene"], int(line["row"]), int(line["column"]), float(line["gain"]))
        for line in lines
        if "gain" in line
    }


def read_pairs() -> list[list[str]]:
    """Return the pairs of images that show one place."""
    with OVERLAPS.open(encoding="utf-8", newline="") as file:
        return [[row["first"], row["second"]] for row in csv.DictReader(file)]


def write(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a list, one line an image."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows])


def main() -> int:
    """Write both lists."""
    layout = DATA / "landslide4sense_rgb" / "layout.csv"
    rows = [
        (*row, *piece)
        for row, piece in zip(
            landslide4sense_rows(layout), landslide4sense_pieces(layout), strict=True
        )
    ]
    head = ("file", "split", "scene", "row", "column", "gain")
    write(RECIPES / "landslide4sense.csv", head, rows)
    images = sorted((DATA / "bijie" / "images").iterdir())
    folds: Mapping[str, int] = folds_of([path.stem for path in images], read_pairs())
    write(RECIPES / "bijie.csv", ("file", "fold"), sorted(folds.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
