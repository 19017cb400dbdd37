"""Measures a model on test images as they are mapped by users: by `predict`, single and in scenes.

`python -m experiments.shipped.measure MODEL SAMPLES [MODEL SAMPLES ...]`, SAMPLES being the folder
of samples that the recipe of MODEL made, whose test split training never saw. Of several pairs, one
for each fold, the means are printed, with standard errors over images; with `--json` a file gets
the figures of each fold, beside those of others that it has. `models/recipes/looked_at.csv` gets a
line: how often a part of the data was looked at decides what its figures are worth. With
`--validation` that split is measured instead, by which a recipe may be changed, and nothing is
noted.
"""

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from landslide_mapper.landslide_plugin.samples.sample_set import SampleSet
from landslide_mapper.models.known_models import digest_of
from landslide_mapper.models.model_file import load_card

from .figures import Counts, Image, constant_way, corners, count, figures, images_of, mean_of, table
from .lists import RECIPES, read_list, read_pieces
from .scenes import LAYOUTS, Corner, map_images, map_mosaic

LOOKED_AT = RECIPES / "looked_at.csv"
CONSTANT = "constant mask"
PIECES = "the scene that they are pieces of"


def measure(model: Path, folder: Path, split: str = "test", tta: bool = False) -> dict[str, Any]:
    """Return the figures of a model and of a constant mask on a split.

    Args:
        model: its file.
        folder: its samples, at the resolution of their images.
        split: "test" or "validation".
        tta: see `map_images`.
    """
    samples, training = SampleSet.read(folder), load_card(model).training
    images = list(images_of(samples, split))
    cropped = corners(images)

    def mapped(part: Sequence[Image], gap: int | None) -> list[Counts]:
        with tempfile.TemporaryDirectory() as work:
            maps = map_images(model, part, gap, samples.resolution or 1.0, Path(work), tta)
            return [count(one, mask, sure) for one, (sure, mask) in zip(part, maps, strict=True)]

    ways = {way: figures(mapped(images, gap), mapped(cropped, gap)) for way, gap in LAYOUTS.items()}
    if places := places_of(samples, split):
        ways[PIECES] = _as_pieces(model, images, places, samples.resolution or 1.0)
    constant = constant_way(samples)
    whole, cut = ([count(one, constant(one.values)) for one in part] for part in (images, cropped))
    ways[CONSTANT] = figures(whole, cut)
    return {
        "part": part_of(samples, split),
        "epochs": training.get("epochs"),
        "training images": training.get("train_samples"),
        "images with landslide": len(cropped),
        "images without": len(images) - len(cropped),
        "ways": ways,
    }


def _as_pieces(
    model: Path, images: Sequence[Image], places: Sequence[Corner], resolution: float
) -> dict[str, tuple[float, float]]:
    """Return the figures of images that are mapped as the scene that they are pieces of."""
    with tempfile.TemporaryDirectory() as work:
        maps = map_mosaic(model, images, places, resolution, Path(work))
    mapped = [one._replace(values=sure[None]) for one, sure in zip(images, maps, strict=True)]
    threshold = load_card(model).threshold
    whole, cut = (
        [count(one, one.values[0] >= threshold, one.values[0]) for one in part]
        for part in (mapped, corners(mapped))
    )
    return figures(whole, cut)


def places_of(samples: SampleSet, split: str) -> list[Corner]:
    """Return row and column of each image of a split in its scene, if their list says so."""
    path = RECIPES / samples.split.removeprefix("list ")
    pieces = read_pieces(path) if path.is_file() else {}
    return [pieces[sample.source][1:3] for sample in samples.of_split(split) if pieces]


def part_of(samples: SampleSet, split: str = "test") -> str:
    """Return what a split of some samples is called: its list's parts, where it has one."""
    name = samples.split.removeprefix("list ")
    if not (RECIPES / name).is_file():
        return f"{samples.folder.name}, {samples.split}, seed {samples.seed}"
    parts = read_list(RECIPES / name)
    files = [Path(sample.source) for sample in samples.of_split(split)]
    named = {parts.get(file.stem) or parts.get(file.as_posix(), "") for file in files}
    return f"{name} {' '.join(sorted(named))}"


def look(model: Path, folder: Path, log: Path = LOOKED_AT) -> int:
    """Note that a model's test part is looked at; return how often it was before."""
    with log.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    samples = SampleSet.read(folder)
    part, number = part_of(samples), len(samples.of_split("test"))
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    with log.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((day, part, number, model.stem, digest_of(model)[7:19]))
    return sum(line["data"] == part for line in lines)


def keep(results: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the figures of folds to a file, in the place of those that it has of the same parts."""
    before = json.loads(path.read_text(encoding="utf-8"))["folds"] if path.exists() else []
    folds = {each["part"]: each for each in (*before, *results)}
    text = json.dumps({"folds": [folds[part] for part in sorted(folds)]}, indent=1)
    path.write_text(f"{text}\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path, nargs="+", metavar="MODEL SAMPLES")
    parser.add_argument("--json", type=Path, help="file that gets the figures")
    parser.add_argument("--validation", action="store_true", help="on that split; it is not noted")
    parser.add_argument("--tta", action="store_true", help="windows turned and mirrored too")
    given = parser.parse_args(arguments)
    if len(given.pairs) % 2:
        parser.error("give each model with its samples")
    pairs = list(zip(given.pairs[::2], given.pairs[1::2], strict=True))
    split = "validation" if given.validation else "test"
    results = []
    for pair in pairs:
        looks = 0 if given.validation else look(*pair)
        results.append({"looks": looks, **measure(*pair, split, given.tta)})
    if given.json:
        keep(results, given.json)
    for result in results:
        print(
            f"{result['part']}: {result['images with landslide']} images of the {split} split with "
            f"landslide, {result['images without']} without; looked at {result['looks']} times "
            "before."
        )
    print(f"\n{table(mean_of([result['ways'] for result in results]))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
