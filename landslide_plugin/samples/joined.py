"""Several folders of samples as one set: labelled and pseudo-labelled, of one sensor."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely

from ..contract.errors import InputError
from ..core.progress import Progress
from ..raster.bands import is_imagery
from ..raster.kinds import LEVELS
from ..raster.reflectance import REFLECTANCE
from .sample_set import Further, Sample, SampleSet

_ALIKE = 0.1
"""How much pixel sizes may differ, as part of the first's."""
_LIKELY = 10
"""Factor between the deviations of a band in two sets from which on its units differ, as a rule."""


def join(
    sets: Sequence[SampleSet], weights: Sequence[float], judging: bool, progress: Progress
) -> SampleSet:
    """Return the samples of all folders as one set.

    Bands are those that all have, by name, in the order of the first. Its mean, deviation and share
    of landslide are those of the train patches of all, each patch weighing by its pixels and by how
    often it is drawn.

    Args:
        sets: the folders; the first one's split, seed and tile size are the set's.
        weights: how often a patch of each is drawn in an epoch; 1 each when empty.
        judging: whether the others' validation and test patches judge too; else only their train
            patches are in the set.
        progress: told what is left out.

    Raises:
        InputError: another number of weights, no common band, or other labels, pixel sizes or
            units; or the same folder twice.
    """
    first = sets[0]
    weights = list(weights) or [1.0] * len(sets)
    if len(weights) != len(sets):
        raise InputError(
            f"{len(weights)} weights are given for {len(sets)} folders of samples: give one for "
            "each, that of the first one first."
        )
    if len({one.folder.resolve() for one in sets}) < len(sets):
        raise InputError("A folder of samples is given twice: weigh it instead.")
    for other in sets[1:]:
        _require_alike(first, other)
        _warn_of_units(first, other, progress)
    bands = [band for band in first.bands if all(band in other.bands for other in sets)]
    if not bands:
        raise InputError(
            f"No band is in all folders of samples: {first.folder} has {', '.join(first.bands)}."
        )
    if missing := [band for band in first.bands if band not in bands]:
        progress.message(f"Not in all folders of samples, so left out: {', '.join(missing)}.")
    mean, std = _statistics(sets, weights, bands)
    train = _train_pixels(sets, weights)
    samples, block = [], 0
    for number, one in enumerate(sets):
        taken = one.samples if judging or not number else one.of_split("train")
        samples += [_renamed(sample, number, block) for sample in taken]
        block = 1 + max((max(each.block, *each.blocks, 0) for each in samples), default=0)
    left_out = sum(map(len, (one.samples for one in sets))) - len(samples)
    if left_out:
        progress.message(
            f"{left_out} validation and test samples of the further folders are left out: the "
            "first folder alone says how good the model is."
        )
    _warn_of_shared_ground(first, samples, progress)
    return replace(
        first,
        bands=bands,
        mean=mean,
        std=std,
        imbalance=float(np.average([one.imbalance for one in sets], weights=train)),
        sources=list(dict.fromkeys(source for one in sets for source in one.sources)),
        samples=samples,
        units=first.units_of(bands),
        further=Further([one.folder for one in sets[1:]], weights, judging),
    )


def _require_alike(first: SampleSet, other: SampleSet) -> None:
    if other.labels != first.labels:
        raise InputError(
            f"{first.folder} has labels of each {first.labels}, and {other.folder} of each "
            f"{other.labels}: train on folders of one kind."
        )
    sizes = first.resolution, other.resolution
    if all(sizes) and abs((sizes[1] or 0) / (sizes[0] or 1) - 1) > _ALIKE:
        raise InputError(
            f"{other.folder} has pixels of {sizes[1]:.3g} m, but {first.folder} of "
            f"{sizes[0]:.3g} m: resample the images to one pixel size."
        )
    common = [band for band in first.bands if band in other.bands]
    units = zip(common, first.units_of(common), other.units_of(common), strict=False)
    for band, one, two in units:
        if (one == REFLECTANCE) != (two == REFLECTANCE):
            raise InputError(
                f"The band {band} is reflectance in one of {first.folder} and {other.folder} and "
                "of unknown units in the other: make that one anew from a stack in reflectance."
            )
        if (one == LEVELS) != (two == LEVELS):
            raise InputError(
                f"The band {band} holds levels in one of {first.folder} and {other.folder}, and "
                "not in the other: make both from layers that are derived alike."
            )


def _warn_of_units(first: SampleSet, other: SampleSet, progress: Progress) -> None:
    """Tell of bands of imagery that vary much more in one set than in another."""
    spread = dict(zip(other.bands, other.std, strict=True))
    strange = [
        band
        for band, std in zip(first.bands, first.std, strict=True)
        if is_imagery(band) and band in spread and not 1 / _LIKELY < spread[band] / std < _LIKELY
    ]
    if strange:
        progress.warning(
            f"The numbers of {', '.join(strange)} vary more than {_LIKELY} times as much in one of "
            f"{first.folder} and {other.folder} as in the other, as in other units: make both in "
            "the same ones."
        )


def _warn_of_shared_ground(first: SampleSet, samples: list[Sample], progress: Progress) -> None:
    """Tell how many patches of the first set that judge are seen in a further folder's training.

    Only patches of one raster can be held against each other.
    """
    shared, judging = 0, [sample for sample in first.samples if sample.split != "train"]
    for source in first.sources:
        ours = [outline(sample) for sample in judging if sample.source == source]
        further = [s for s in samples if "/" in s.id and s.split == "train" and s.source == source]
        tree = shapely.STRtree([outline(sample) for sample in further])
        shared += len(np.unique(tree.query(ours, predicate="intersects")[0])) if ours else 0
    if shared:
        progress.warning(
            f"{shared} of {len(judging)} validation and test samples show ground that a further "
            "folder trains on, so that the figures are too good: make its samples elsewhere, or "
            "with an area that leaves this ground out."
        )


def outline(sample: Sample) -> shapely.Geometry:
    """Return the pixels of its source that a sample shows; neighbours do not touch."""
    column, row, width, height = sample.window
    return shapely.box(column + 0.5, row + 0.5, column + width - 0.5, row + height - 0.5)


def _train_pixels(sets: Sequence[SampleSet], weights: Sequence[float]) -> list[float]:
    """Return the train pixels of each set times its weight."""
    return [
        weight * sum(sample.window[2] * sample.window[3] for sample in one.of_split("train"))
        for one, weight in zip(sets, weights, strict=True)
    ]


def _statistics(
    sets: Sequence[SampleSet], weights: Sequence[float], bands: list[str]
) -> tuple[list[float], list[float]]:
    """Return mean and deviation of each band over the train patches of all sets."""
    pixels = np.array(_train_pixels(sets, weights))[:, np.newaxis]
    at = [[one.bands.index(band) for band in bands] for one in sets]
    means, stds = (
        np.array(
            [[getattr(one, key)[i] for i in index] for one, index in zip(sets, at, strict=True)]
        )
        for key in ("mean", "std")
    )
    share_of_set = pixels / max(pixels.sum(), 1)
    mean = (share_of_set * means).sum(axis=0)
    variance = (share_of_set * (stds**2 + (means - mean) ** 2)).sum(axis=0)
    return mean.tolist(), np.sqrt(variance).tolist()


def _renamed(sample: Sample, number: int, block: int) -> Sample:
    """Return a sample of a further folder with a name and blocks that no other has."""
    if not number:
        return sample
    return replace(
        sample,
        id=f"{number}/{sample.id}",
        block=sample.block + block,
        blocks=tuple(each + block for each in sample.blocks),
    )
