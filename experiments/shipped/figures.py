"""What is counted of a mapped image, and what many images' counts come to, with standard errors.

Every figure stands beside that of a constant mask. Images without landslide count all, each so
little that they weigh as many as there are with landslide; without any, all is of those with.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN, SampleSet
from landslide_mapper.landslide_plugin.training.judging.baselines import constant_mask
from numpy.typing import NDArray

CORNER = 0.7
"""Share of the side that an off-centre crop keeps."""
FALSE_AREA = 0.005
"""Share of an image without landslide from which false area is noticed."""
BINS = 10
"""Of the calibration error, as `evaluate` has them."""
DRAWS = 400
"""Times that images are drawn anew for a standard error (bootstrap: Efron 1979, Ann. Stat. 7:1)."""

Mask = NDArray[np.bool_]
Predict = Callable[[NDArray[np.float32]], Mask]
Counts = NDArray[np.float64]
"""Of an image: true and false positives, false and true negatives, IoU, whether false area is
noticed, 1; then pixels, sum of probabilities and landslide pixels in each of `BINS`. (n, columns)
of many."""
_TP, _FP, _FN, _TN, _IOU, _FALSE, _ONE = range(7)


class Image(NamedTuple):
    """An image with its truth.

    Attributes:
        name: its file's, without ending.
        values: float32, (bands, rows, columns).
        truth: where landslide is, (rows, columns).
        known: where that is known.
    """

    name: str
    values: NDArray[np.float32]
    truth: Mask
    known: Mask


def images_of(samples: SampleSet, split: str) -> Iterator[Image]:
    """Yield the images of a split."""
    for sample in samples.of_split(split):
        values, valid, labels = samples.load(sample)
        known = valid & (labels != UNKNOWN)
        yield Image(Path(sample.source).stem, values, (labels > 0) & known, known)


def corners(images: Iterable[Image]) -> list[Image]:
    """Return a corner of each image with landslide, drawn at random: `CORNER` of each side."""
    rng, result = np.random.default_rng(0), []
    for name, values, truth, known in images:
        if truth.any():
            ends = rng.integers(2, size=2).astype(bool)
            row, col = (_end(*part) for part in zip(truth.shape, ends, strict=True))
            result.append(Image(name, values[:, row, col], truth[row, col], known[row, col]))
    return result


def _end(length: int, last: bool) -> slice:
    kept = round(CORNER * length)
    return slice(length - kept, length) if last else slice(0, kept)


def constant_way(samples: SampleSet) -> Predict:
    """Return what marks the mean mask of the train images with landslide on any image."""
    constant = constant_mask(
        samples.load(sample)[2] for sample in samples.of_split("train") if sample.landslide_pixels
    )
    return lambda values: constant.on(values.shape[1:])


def count(image: Image, mask: Mask, probability: NDArray[np.float32] | None = None) -> Counts:
    """Return the counts of an image, of its known pixels; without probability its bins are 0."""
    truth, mapped = image.truth[image.known], mask[image.known]
    tp, fp = (mapped & truth).sum(), (mapped & ~truth).sum()
    fn, tn = (~mapped & truth).sum(), (~mapped & ~truth).sum()
    union = tp + fp + fn
    single = [tp, fp, fn, tn, tp / union if union else 0, fp > FALSE_AREA * truth.size, 1]
    bins = np.zeros((3, BINS))
    if probability is not None:
        sure = probability[image.known].astype(np.float64)
        number = np.minimum(sure * BINS, BINS - 1).astype(np.int64)
        for row, weights in zip(bins, (None, sure, truth), strict=True):
            row[:] = np.bincount(number, weights, minlength=BINS)
    return np.array([*single, *bins.ravel()], np.float64)


def figures(
    counts: Sequence[Counts], cropped: Sequence[Counts], seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Return each figure with its standard error over images.

    Args:
        counts: of each image, with landslide or without.
        cropped: of the corners of those with.
        seed: of the draws.
    """
    rows, corner = np.array(counts), np.array(cropped)
    holds = rows[:, _TP] + rows[:, _FN] > 0
    parts = rows[holds], rows[~holds], corner
    rng = np.random.default_rng(seed)
    # corners are drawn with their images
    drawn = [_weights(len(part), rng) for part in parts[:2]]
    whole = _figures(*(part.sum(0) for part in parts))
    again = _figures(
        *(weights @ part for weights, part in zip([*drawn, drawn[0]], parts, strict=True))
    )
    return {name: (float(whole[name]), float(np.std(again[name]))) for name in whole}


def _weights(number: int, rng: np.random.Generator) -> NDArray[np.int64]:
    if not number:
        return np.zeros((DRAWS, 0), np.int64)
    return rng.multinomial(number, np.full(number, 1 / number), size=DRAWS)


def _figures(landslide: Counts, others: Counts, corner: Counts) -> dict[str, Any]:
    """Return figures of sums of counts, (..., columns)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        as_many = np.where(others[..., _ONE] > 0, landslide[..., _ONE] / others[..., _ONE], 0)
        both = landslide + others * as_many[..., None]
        pixels, sums, truth = np.moveaxis(
            both[..., -3 * BINS :].reshape(*both.shape[:-1], 3, -1), -2, 0
        )
        return {
            "IoU": _iou(landslide),
            "IoU on corners": _iou(corner),
            "F1 with as many without": 2
            * both[..., _TP]
            / (2 * both[..., _TP] + both[..., _FP] + both[..., _FN]),
            "share with false area": others[..., _FALSE] / others[..., _ONE],
            "ECE": abs(sums - truth).sum(-1) / pixels.sum(-1),
            "precision": landslide[..., _TP] / (landslide[..., _TP] + landslide[..., _FP]),
            "recall": landslide[..., _TP] / (landslide[..., _TP] + landslide[..., _FN]),
            "mean IoU of an image": landslide[..., _IOU] / landslide[..., _ONE],
            "false positive rate without": others[..., _FP] / (others[..., _FP] + others[..., _TN]),
        }


def _iou(sums: Counts) -> Any:
    return sums[..., _TP] / (sums[..., _TP] + sums[..., _FP] + sums[..., _FN])


def compare(ways: dict[str, Predict], samples: SampleSet) -> dict[str, Any]:
    """Return the figures of each way to map single images, on the test split."""
    images = list(images_of(samples, "test"))
    cropped = corners(images)
    result: dict[str, Any] = {
        "images with landslide": len(cropped),
        "images without": len(images) - len(cropped),
    }
    for name, way in ways.items():
        whole, cut = (
            [count(each, way(each.values)) for each in part] for part in (images, cropped)
        )
        result[name] = figures(whole, cut)
    return result


def mean_of(folds: Sequence[Mapping[str, Mapping[str, Sequence[float]]]]) -> dict[str, Any]:
    """Return the mean of each figure of some folds, by way to map, with its standard error.

    The folds have no image in common, so that their errors add up by squares.
    """
    return {
        way: {
            name: (
                sum(fold[way][name][0] for fold in folds) / len(folds),
                sum(fold[way][name][1] ** 2 for fold in folds) ** 0.5 / len(folds),
            )
            for name in names
        }
        for way, names in folds[0].items()
    }


def table(ways: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Return a table in Markdown: a line a way to map, a column a figure."""
    names = list(next(iter(ways.values())))
    lines = [f"| mapped | {' | '.join(names)} |", "| --- |" + " --- |" * len(names)]
    for way, values in ways.items():
        cells = (f"{value:.3f} ± {error:.3f}" for value, error in (values[name] for name in names))
        lines.append(f"| {way} | {' | '.join(cells)} |".replace("nan ± nan", ""))
    return "\n".join(lines)
