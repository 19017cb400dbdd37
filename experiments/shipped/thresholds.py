"""Tries ways to choose a threshold by few images, on others that the same network has mapped.

`python -m experiments.shipped.thresholds MODEL SAMPLES`, as for `measure`, but on the validation
split. All its images are mapped by `predict`, in each layout; then a share of them, drawn again and
again, chooses the threshold, and the others tell what it is worth. Images without landslide choose
and tell at most as many as there are with, as in `train` with BALANCED_VALIDATION; false area is
of all of the others.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from landslide_mapper.landslide_plugin.samples.sample_set import SampleSet
from landslide_mapper.landslide_plugin.training.judging.temperature import Fitted
from landslide_mapper.landslide_plugin.training.loop.scores import Scores
from numpy.typing import NDArray

from .figures import FALSE_AREA, Image, images_of
from .measure import part_of
from .scenes import LAYOUTS, map_images

SHARES = (0.5, 0.25, 0.1)
DRAWS = 200


def highest(images: Sequence[Scores]) -> float:
    """Return the threshold with the highest F1."""
    return sum(images, Scores()).best_threshold()


def half(images: Sequence[Scores]) -> float:
    """Return half of the highest F1."""
    return (sum(images, Scores()).figures(highest(images))["f1"] or 0.0) / 2


WAYS: dict[str, Callable[[Sequence[Scores]], float]] = {
    "highest F1": highest,
    "half of the highest F1": half,
    "nearest to half within a standard error": Fitted(before=1.0, after=0.0, rarer=10**9).threshold,
}
"""The last is that of `train`, at temperature 1: maps have calibrated probabilities."""


class Mapped(NamedTuple):
    """What was counted of an image, in all layouts.

    Attributes:
        scores: at every threshold.
        landslide: whether it holds any.
        false: for each layout the highest threshold at which false area is noticed.
    """

    scores: Scores
    landslide: bool
    false: list[float]


def mapped(model: Path, samples: SampleSet) -> list[Mapped]:
    """Return what is counted of each image of the validation split."""
    images = list(images_of(samples, "validation"))
    result = [Mapped(Scores(), bool(image.truth.any()), []) for image in images]
    for gap in LAYOUTS.values():
        with tempfile.TemporaryDirectory() as work:
            maps = map_images(model, images, gap, samples.resolution or 1.0, Path(work))
            for image, one, (sure, _) in zip(images, result, maps, strict=True):
                one.scores.add(sure, image.truth, image.known)
                one.false.append(_noticed(image, sure))
    return result


def _noticed(image: Image, sure: NDArray[np.float32]) -> float:
    """Return the highest threshold at which more than `FALSE_AREA` of an image is false."""
    false = np.sort(np.where(image.truth, 0, sure)[image.known])[::-1]
    return float(false[int(FALSE_AREA * len(false))])


def tried(images: Sequence[Mapped], share: float) -> dict[str, NDArray[np.float64]]:
    """Return for each way threshold, F1 and share with false area of each draw, (draws, 3)."""
    rng = np.random.default_rng(0)
    kinds = [[one for one in images if one.landslide == kind] for kind in (True, False)]
    result: dict[str, list[tuple[float, float, float]]] = {way: [] for way in WAYS}
    for _ in range(DRAWS):
        drawn = [[kind[number] for number in rng.permutation(len(kind))] for kind in kinds]
        ends = [round(share * len(kind)) for kind in drawn]
        choosing = [kind[:end] for kind, end in zip(drawn, ends, strict=True)]
        telling = [kind[end:] for kind, end in zip(drawn, ends, strict=True)]
        told = sum(_balanced(telling), Scores())
        for way, choose in WAYS.items():
            threshold = choose(_balanced(choosing))
            false = np.mean(np.array([one.false for one in telling[1]]) >= threshold)
            f1 = told.figures(threshold)["f1"] or 0.0
            result[way].append((threshold, f1, float(false)))
    return {way: np.array(rows) for way, rows in result.items()}


def _balanced(kinds: Sequence[Sequence[Mapped]]) -> list[Scores]:
    landslide, others = kinds
    return [one.scores for one in (*landslide, *others[: len(landslide)])]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table in Markdown, means and standard deviations over draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("samples", type=Path)
    given = parser.parse_args(arguments)
    samples = SampleSet.read(given.samples)
    images = mapped(given.model, samples)
    print(f"{part_of(samples, 'validation')}, {len(images)} images\n")
    print("| images | chosen by | threshold | F1 on the others | share with false area there |")
    print("| --- | --- | --- | --- | --- |")
    for share in SHARES:
        for way, rows in tried(images, share).items():
            cells = (f"{m:.3f} ± {s:.3f}" for m, s in zip(rows.mean(0), rows.std(0), strict=True))
            print(f"| {share:.0%} | {way} | {' | '.join(cells)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
