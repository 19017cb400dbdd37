"""Train, validation and test at random, and folds; `blocks` keeps neighbours together."""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from ..contract.errors import InputError
from ..core.progress import Progress
from .sample_set import HARD, SPLITS, Sample, SampleSet

BLOCKS, BY_IMAGE, BY_PATCH = "blocks", "random by image", "random by patch"
SCENES = "scenes"
"""Kinds of split, as manifests name them; the size of the blocks follows the first."""

Fold = tuple[list[Sample], list[Sample]]
"""Patches to train on, and to validate on."""


def check_fractions(validation: float, test: float) -> tuple[float, float, float]:
    """Return the shares of train, validation and test.

    Raises:
        InputError: they leave nothing to train on.
    """
    if validation + test >= 1:
        raise InputError(
            f"Validation {validation:g} and test {test:g} leave nothing to train on: choose shares "
            "that are below 1 together."
        )
    return 1 - validation - test, validation, test


def split_at_random(
    strata: NDArray[np.int64], fractions: Sequence[float], seed: int
) -> NDArray[np.int64]:
    """Assign items to splits at random, within each stratum in the wished shares.

    Args:
        strata: the stratum of each item, (n,), such as "holds landslide".
        fractions: shares of train, validation and test; they sum to 1.
        seed: the same seed gives the same split.

    Returns:
        Index into `SPLITS`, (n,).
    """
    random = np.random.default_rng(seed)
    result = np.zeros(len(strata), np.int64)
    for stratum in np.unique(strata):
        members = random.permutation(np.flatnonzero(strata == stratum))
        ends = np.round(np.cumsum(fractions) * len(members)).astype(int)
        for index, part in enumerate(np.split(members, ends[:-1])):
            result[part] = index
    return result


def warn_of_shared_ground(
    outlines: NDArray[np.object_], split: NDArray[np.int64], what: str, progress: Progress
) -> None:
    """Tell how many items that judge a training show ground that it is trained on.

    Overlapping windows do, and images of one place at two dates.

    Args:
        outlines: polygons of the items in one CRS, (n,).
        split: index into `SPLITS` of each, (n,).
        what: they are, such as "patches".
        progress: where it is told.
    """
    # neighbours share a line, which is no ground
    margin = 0.01 * np.sqrt(shapely.area(outlines))
    inner = shapely.buffer(outlines, -margin, join_style="mitre")
    judging = inner[split > 0]
    tree = shapely.STRtree(inner[split == 0])
    shared = len(np.unique(tree.query(judging, predicate="intersects")[0]))
    if shared:
        progress.warning(
            f"{shared} of {len(judging)} {what} for validation and test show ground that training "
            "sees too, in a neighbour that overlaps or at another date: with the random split the "
            "figures are too good; the split by blocks keeps places apart."
        )


def folds(samples: SampleSet, count: int, seed: int) -> list[Fold]:
    """Share out the train and validation patches among folds; each validates once.

    Stratified: every fold gets about the same number of landslide pixels and of patches. Grouped:
    what belongs together stays together, so that the folds are as far apart as the set's own
    split, whose kind holds for them too. With spatial blocks a patch that reaches into blocks of
    two folds is left out, as pixels of one fold would be in the other; with images each image is a
    group; else each patch. Test patches are left out; those of folders that don't judge are
    trained on in each fold. Background that was drawn by false alarms judges in none, as in the
    set's own split: it is harder than the land's.

    Args:
        samples: the set.
        count: number of folds, at least 2.
        seed: the same seed gives the same folds.

    Raises:
        InputError: too few groups with landslides for so many folds.
    """
    patches = [sample for sample in samples.samples if sample.split != "test"]
    always = [sample for sample in patches if not samples.judges(sample)]
    patches = [sample for sample in patches if samples.judges(sample)]
    groups = [groups_of(samples, sample) for sample in patches]
    fold_of = _fold_of(patches, groups, count, seed, group_word(samples))
    reached = [{fold_of[group] for group in touched} for touched in groups]
    result: list[Fold] = []
    for fold in range(count):
        train = [patch for patch, of in zip(patches, reached, strict=True) if of.isdisjoint({fold})]
        validation = [
            patch
            for patch, of in zip(patches, reached, strict=True)
            if of == {fold} and patch.kind != HARD
        ]
        if not (_has_landslide(train) and _has_landslide(validation)):
            raise InputError(
                f"Fold {fold + 1} of {count} is left without landslides: choose fewer folds or "
                "make samples of more landslides."
            )
        result.append(([*train, *always], validation))
    return result


def balanced(patches: Sequence[Sample]) -> list[Sample]:
    """Return the patches with landslide and at most as many without, evenly out of all of these."""
    holding = [patch for patch in patches if patch.landslide_pixels]
    others = [patch for patch in patches if not patch.landslide_pixels]
    count = min(len(holding), len(others))
    return [*holding, *(others[number * len(others) // count] for number in range(count))]


def require_splits(counts: Sequence[int], fractions: Sequence[float], holds: bool = True) -> None:
    """Refuse a split that came out empty.

    Args:
        counts: patches of train, validation and test.
        fractions: the wished shares; a split with share 0 may be empty.
        holds: whether these are the patches with landslide, or those without.

    Raises:
        InputError: one is empty.
    """
    for name, count, fraction in zip(SPLITS, counts, fractions, strict=True):
        if fraction > 0 and not count:
            raise InputError(
                f"No patch {'with' if holds else 'without'} landslides is left for {name}: choose "
                "a smaller tile size, a larger area, another seed or share, or the random split."
            )


def groups_of(samples: SampleSet, sample: Sample) -> list[str]:
    """Return the groups that a patch reaches into, its own first; see `folds`."""
    if samples.split.startswith((BLOCKS, SCENES)):
        return [str(block) for block in dict.fromkeys((sample.block, *sample.blocks))]
    return [sample.source if samples.split == BY_IMAGE else sample.id]


def group_word(samples: SampleSet) -> str:
    """Return what these groups are, in the plural."""
    if samples.split.startswith(BLOCKS):
        return "spatial blocks"
    if samples.split == SCENES:
        return "scenes"
    return "images" if samples.split == BY_IMAGE else "patches"


def _fold_of(
    patches: Sequence[Sample], groups: Sequence[list[str]], count: int, seed: int, word: str
) -> dict[str, int]:
    """Return the fold of each group: the largest first, each to the fold that has least."""
    pixels = dict.fromkeys((group for touched in groups for group in touched), 0)
    members = dict.fromkeys(pixels, 0)
    for patch, (group, *_) in zip(patches, groups, strict=True):
        pixels[group] += patch.landslide_pixels
        members[group] += 1
    having = sum(value > 0 for value in pixels.values())
    if count < 2 or having < count:
        raise InputError(
            f"{count} folds can't be made: there must be at least 2, and no more than the "
            f"{having} {word} with landslides of the samples."
        )
    names = list(pixels)
    order = np.random.default_rng(seed).permutation(len(names))
    landslide, patch_count = np.zeros(count), np.zeros(count)
    result = {}
    for name in sorted((names[i] for i in order), key=lambda name: (-pixels[name], -members[name])):
        least = (patch_count, landslide) if pixels[name] else (landslide, patch_count)
        fold = int(np.lexsort(least)[0])
        landslide[fold] += pixels[name]
        patch_count[fold] += members[name]
        result[name] = fold
    return result


def _has_landslide(patches: Sequence[Sample]) -> bool:
    return any(patch.landslide_pixels for patch in patches)
