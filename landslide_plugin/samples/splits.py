"""Train, validation and test, or folds: by block, so that neighbours don't leak, or at random."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.warp import transform

from ..contract.errors import InputError
from ..core.progress import Progress
from ..raster.grid import Grid
from .patches import Candidates
from .sample_set import SPLITS, Sample, SampleSet

DROPPED = -1
BLOCK_TILES = 4
BLOCKS, BY_IMAGE, BY_PATCH = "blocks", "random by image", "random by patch"
"""Kinds of split, as manifests name them; the size of the blocks follows the first."""
_LEAST_BLOCKS = 10
"""Blocks with landslides that a split is drawn from, where the area is large enough."""


Fold = tuple[list[Sample], list[Sample]]
"""Patches to train on, and to validate on."""


@dataclass(frozen=True)
class Split:
    """Which window goes where.

    Attributes:
        split: index into `SPLITS`, or `DROPPED`, int, one list entry a stack, each (n,).
        block: number of the spatial block of the window's first pixel, likewise.
        touched: numbers of the blocks that the window's corners lie in, likewise, each (n, any).
        description: the kind of split in words.
    """

    split: list[NDArray[np.int64]]
    block: list[NDArray[np.int64]]
    touched: list[NDArray[np.int64]]
    description: str


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


def split_by_blocks(
    candidates: Sequence[Candidates],
    grids: Sequence[Grid],
    tile_size: int,
    fractions: Sequence[float],
    seed: int,
) -> Split:
    """Assign windows by the spatial block they lie in; those across two splits are dropped.

    Blocks are squares of four tiles in the first stack's CRS, of fewer where the landslides would
    lie in less than ten of them; stacks that overlap share their blocks. Blocks are taken in random
    order, each by the split that is furthest behind its share of landslide windows.

    Args:
        candidates: windows of each stack.
        grids: grid of each stack.
        tile_size: side of a window in pixels.
        fractions: shares of train, validation and test.
        seed: the same seed gives the same split.
    """
    for tiles in range(BLOCK_TILES, 0, -1):
        corners = _corner_blocks(candidates, grids, tile_size, tiles * tile_size)
        landslide = np.concatenate([windows.landslide > 0 for windows in candidates])
        home = corners[0]
        if len(np.unique(home[landslide])) >= _LEAST_BLOCKS:
            break
    size = int(corners.max()) + 1
    weights = np.bincount(home, landslide, minlength=size).astype(np.float64)
    assigned = _assign(weights, fractions, np.random.default_rng(seed))[corners]
    split = np.where((assigned == assigned[0]).all(axis=0), assigned[0], DROPPED)
    ends = np.cumsum([len(windows) for windows in candidates])[:-1]
    side = tiles * tile_size
    return Split(
        np.split(split, ends),
        np.split(home, ends),
        np.split(corners.T, ends),
        f"{BLOCKS} of {side} x {side} pixels",
    )


def split_sites(
    centres: NDArray[np.float64],
    landslide: NDArray[np.int64],
    side: float,
    fractions: Sequence[float],
    seed: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Assign tiles by the spatial block that their centre lies in; see `split_by_blocks`.

    Args:
        centres: x and y of each tile, (n, 2).
        landslide: whether each holds landslide, (n,).
        side: of a tile, in the units of the centres.
        fractions: shares of train, validation and test.
        seed: the same seed gives the same split.

    Returns:
        Index into `SPLITS` and number of the block, each (n,), and the blocks' side in tiles.
    """
    first = centres.min(axis=0) - side / 2
    for tiles in range(BLOCK_TILES, 0, -1):
        cells = np.floor((centres - first) / (tiles * side)).astype(np.int64)
        block = np.unique(cells, axis=0, return_inverse=True)[1].reshape(-1)
        if len(np.unique(block[landslide > 0])) >= _LEAST_BLOCKS:
            break
    weights = np.bincount(block, landslide).astype(np.float64)
    return _assign(weights, fractions, np.random.default_rng(seed))[block], block, tiles


def folds(samples: SampleSet, count: int, seed: int) -> list[Fold]:
    """Share out the train and validation patches among folds; each validates once.

    Stratified: every fold gets about the same number of landslide pixels and of patches. Grouped:
    what belongs together stays together, so that the folds are as far apart as the set's own
    split, whose kind holds for them too. With spatial blocks a patch that reaches into blocks of
    two folds is left out, as pixels of one fold would be in the other; with images each image is a
    group; else each patch. Test patches are left out.

    Args:
        samples: the set.
        count: number of folds, at least 2.
        seed: the same seed gives the same folds.

    Raises:
        InputError: too few groups with landslides for so many folds.
    """
    patches = [sample for sample in samples.samples if sample.split != "test"]
    groups = [_groups(samples, sample) for sample in patches]
    fold_of = _fold_of(patches, groups, count, seed, _word(samples))
    reached = [{fold_of[group] for group in touched} for touched in groups]
    result: list[Fold] = []
    for fold in range(count):
        train = [patch for patch, of in zip(patches, reached, strict=True) if of.isdisjoint({fold})]
        validation = [patch for patch, of in zip(patches, reached, strict=True) if of == {fold}]
        if not (_has_landslide(train) and _has_landslide(validation)):
            raise InputError(
                f"Fold {fold + 1} of {count} is left without landslides: choose fewer folds or "
                "make samples of more landslides."
            )
        result.append((train, validation))
    return result


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


def _corner_blocks(
    candidates: Sequence[Candidates], grids: Sequence[Grid], tile_size: int, side: int
) -> NDArray[np.int64]:
    """Return the numbers of the blocks that the four corner pixels of each window lie in, (4, n).

    No window is larger than a block, so its corners meet every block that it meets.
    """
    first = grids[0]
    left, top = first.transform * (0, 0)
    step_x, step_y = side * first.transform.a, side * first.transform.e
    keys = []
    for windows, grid in zip(candidates, grids, strict=True):
        for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
            columns = windows.columns + 0.5 + right * (tile_size - 1)
            rows = windows.rows + 0.5 + down * (tile_size - 1)
            xs = grid.transform.c + grid.transform.a * columns
            ys = grid.transform.f + grid.transform.e * rows
            if grid.crs != first.crs:
                xs, ys = (np.array(each) for each in transform(grid.crs, first.crs, xs, ys))
            keys.append(np.stack([np.floor((ys - top) / step_y), np.floor((xs - left) / step_x)]))
    corners = [np.concatenate(keys[corner::4], axis=1) for corner in range(4)]
    numbers = np.unique(np.concatenate(corners, axis=1), axis=1, return_inverse=True)[1]
    return numbers.reshape(4, -1)


def _assign(
    weights: NDArray[np.float64], fractions: Sequence[float], random: np.random.Generator
) -> NDArray[np.int64]:
    """Return the split of each block, so that each has about its share of the weight."""
    wished = np.array(fractions)
    have = np.zeros(len(wished))
    result = np.zeros(len(weights), np.int64)
    # blocks without landslide count a little, so that background is shared out likewise
    weights = weights + 1e-3 * max(weights.max(initial=0), 1)
    for block in random.permutation(len(weights)):
        behind = np.where(wished > 0, wished * (have.sum() + weights[block]) - have, -np.inf)
        result[block] = int(np.argmax(behind))
        have[result[block]] += weights[block]
    return result


def _groups(samples: SampleSet, sample: Sample) -> list[str]:
    """Return the groups that a patch reaches into, its own first."""
    if samples.split.startswith(BLOCKS):
        return [str(block) for block in dict.fromkeys((sample.block, *sample.blocks))]
    return [sample.source if samples.split == BY_IMAGE else sample.id]


def _word(samples: SampleSet) -> str:
    if samples.split.startswith(BLOCKS):
        return "spatial blocks"
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
