"""Writes a recipe of Bijie that learns from a share of its training images: for a learning curve.

`python -m experiments.shipped.curve FOLDER --share 0.5 --test 0 --validation 1`, then
`recipe` with FOLDER/rgb-vhr.json and the same folds. Images are left out in the order of a hash, so
that a smaller share is part of each larger one, with and without landslide alike; validation and
test stay whole. So that all shares take as many steps, its epochs are more by as much as the
images are fewer.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .lists import RECIPES, in_hashed_order, read_list, write

RECIPE = "rgb-vhr.json"


def thinned(folds: Mapping[str, str], share: float, whole: Sequence[str]) -> dict[str, str]:
    """Return the folds of the images that stay.

    Args:
        folds: of all images.
        share: of the images of each kind, landslide or none, that stays in each fold.
        whole: folds that stay as they are.
    """
    kept = {}
    for fold in sorted(set(folds.values())):
        for kind in ("ls", "nls"):
            names = in_hashed_order(
                name for name in folds if folds[name] == fold and name.split("_")[0] == kind
            )
            number = len(names) if fold in whole else max(1, round(share * len(names)))
            kept.update(dict.fromkeys(names[:number], fold))
    return kept


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the recipe and its list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="an empty one")
    parser.add_argument("--share", type=float, required=True)
    parser.add_argument("--test", default="0")
    parser.add_argument("--validation", default="1")
    given = parser.parse_args(arguments)
    if not 0 < given.share <= 1:
        parser.error("the share is above 0 and at most 1")
    given.folder.mkdir(parents=True, exist_ok=True)
    folds = thinned(read_list(RECIPES / "bijie.csv"), given.share, (given.test, given.validation))
    write(given.folder / "bijie.csv", ("file", "fold"), sorted(folds.items()))
    recipe = json.loads((RECIPES / RECIPE).read_text(encoding="utf-8"))
    recipe["values"]["epochs"] = round(recipe["values"]["epochs"] / given.share)
    (given.folder / RECIPE).write_text(json.dumps(recipe, indent=2), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
