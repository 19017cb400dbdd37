"""Measures a model on test images as they are mapped by users: by `predict`, single and in scenes.

`python -m experiments.shipped.measure MODEL SAMPLES [MODEL SAMPLES ...]`, SAMPLES being the folder
of samples that the recipe of MODEL made, whose test split training never saw. Of several pairs, as
one for each fold, all images count alike. Figures are printed, and written as JSON with `--json`,
with standard errors over images. `models/recipes/looked_at.csv` gets a line: how often a part of
the data was looked at decides what its figures are worth. With `--validation` that split is
measured instead, by which a recipe may be changed, and nothing is noted.
"""

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from landslide_mapper.landslide_plugin.samples.sample_set import SampleSet
from landslide_mapper.models.known_models import digest_of
from landslide_mapper.models.model_file import load_card

from .figures import Counts, constant_way, corners, count, figures, images_of, table
from .lists import RECIPES, read_list
from .scenes import LAYOUTS, map_images

LOOKED_AT = RECIPES / "looked_at.csv"
CONSTANT = "constant mask"


def measure(
    pairs: Sequence[tuple[Path, Path]], split: str = "test", tta: bool = False
) -> dict[str, Any]:
    """Return the figures of models, each on a split of its samples, and of a constant mask.

    Args:
        pairs: of a model's file and a folder of samples, at the resolution of their images.
        split: "test" or "validation".
        tta: see `map_images`.
    """
    counts: dict[str, tuple[list[Counts], list[Counts]]] = {
        way: ([], []) for way in (*LAYOUTS, CONSTANT)
    }
    for model, folder in pairs:
        samples = SampleSet.read(folder)
        images, constant = list(images_of(samples, split)), constant_way(samples)
        for kind, part in enumerate((images, corners(images))):
            for way, gap in LAYOUTS.items():
                with tempfile.TemporaryDirectory() as work:
                    mapped = map_images(
                        model, part, gap, samples.resolution or 1.0, Path(work), tta
                    )
                    counts[way][kind].extend(
                        count(image, mask, sure)
                        for image, (sure, mask) in zip(part, mapped, strict=True)
                    )
            counts[CONSTANT][kind].extend(count(each, constant(each.values)) for each in part)
    whole, cropped = counts[CONSTANT]
    trainings = [load_card(model).training for model, _ in pairs]
    return {
        "models": len(pairs),
        "epochs": [each.get("epochs") for each in trainings],
        "training images": [each.get("train_samples") for each in trainings],
        "images with landslide": len(cropped),
        "images without": len(whole) - len(cropped),
        "ways": {way: figures(*parts) for way, parts in counts.items()},
    }


def part_of(samples: SampleSet) -> str:
    """Return what the test part of some samples is called: its list's parts, where it has one."""
    name = samples.split.removeprefix("list ")
    if not (RECIPES / name).is_file():
        return f"{samples.folder.name}, {samples.split}, seed {samples.seed}"
    parts = read_list(RECIPES / name)
    files = [Path(sample.source) for sample in samples.of_split("test")]
    tested = {parts.get(file.stem) or parts.get(file.as_posix(), "") for file in files}
    return f"{name} {' '.join(sorted(tested))}"


def look(pairs: Sequence[tuple[Path, Path]], log: Path = LOOKED_AT) -> int:
    """Note that models are measured on their test parts; return how often one was looked at before.

    Of several parts the largest number counts.
    """
    with log.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    before = 0
    with log.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for model, folder in pairs:
            samples = SampleSet.read(folder)
            part, number = part_of(samples), len(samples.of_split("test"))
            before = max(before, sum(line["data"] == part for line in lines))
            day = datetime.now(UTC).strftime("%Y-%m-%d")
            writer.writerow((day, part, number, model.stem, digest_of(model)[7:19]))
    return before


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path, nargs="+", metavar="MODEL SAMPLES")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--validation", action="store_true", help="on that split; it is not noted")
    parser.add_argument("--tta", action="store_true", help="windows turned and mirrored too")
    given = parser.parse_args(arguments)
    if len(given.pairs) % 2:
        parser.error("give each model with its samples")
    pairs = list(zip(given.pairs[::2], given.pairs[1::2], strict=True))
    looks = 0 if given.validation else look(pairs)
    split = "validation" if given.validation else "test"
    result = {"looks": looks, **measure(pairs, split, given.tta)}
    if given.json:
        given.json.write_text(f"{json.dumps(result, indent=1)}\n", encoding="utf-8")
    print(
        f"{result['images with landslide']} images of the {split} split with landslide, "
        f"{result['images without']} without; looked at {looks} times before.\n\n"
        f"{table(result['ways'])}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
