"""Train, validation and test by place: each is a region of blocks, so that neighbours don't leak.

Windows across the border of two regions are dropped. Regions are connected, as far as the area is,
which keeps borders short, and so large that what is left of each is the wished share.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.warp import transform

from ..core.progress import Progress
from ..raster.grid import Grid
from .patches import Candidates
from .splits import BLOCKS

DROPPED = -1
BLOCK_TILES = 4
"""Side of the largest blocks, in tiles."""
TOLERANCE = 0.03
"""How far the kept shares of patches may be from the wished ones for blocks not to be smaller."""
_LEAST_BLOCKS = 10
"""Blocks with landslides that a split is drawn from, where the area is large enough."""
_DRAWS, _ROUNDS = 20, 5
"""Pairs of places that regions grow around, and how often each pair's regions are mended."""
_LOSS = 0.25
"""What a dropped share weighs beside one that differs from the wish."""

Outcome = Callable[[NDArray[np.int64]], NDArray[np.int64]]
"""Makes of the split of each block that of each item, `DROPPED` where it is in two."""


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


def split_by_blocks(
    candidates: Sequence[Candidates],
    grids: Sequence[Grid],
    tile_size: int,
    fractions: Sequence[float],
    seed: int,
) -> Split:
    """Assign windows by the region that they lie in; those across two are dropped.

    Regions consist of blocks, squares of four tiles in the first stack's CRS, of fewer where the
    landslides would lie in less than ten of them, or the kept shares be off by more than
    `TOLERANCE`; stacks that overlap share their blocks. The shares are those of the windows with
    landslides and, as well as can be, of their pixels and of background.

    Args:
        candidates: windows of each stack.
        grids: grid of each stack.
        tile_size: side of a window in pixels.
        fractions: shares of train, validation and test.
        seed: the same seed gives the same split.
    """
    pixels = np.concatenate([windows.landslide for windows in candidates])
    measures = np.stack([pixels > 0, pixels, pixels == 0], axis=1).astype(np.float64)

    def draw(tiles: int) -> tuple["_Drawn", NDArray[np.int64]]:
        cells, corners = _corner_blocks(candidates, grids, tile_size, tiles * tile_size)

        def outcome(assigned: NDArray[np.int64]) -> NDArray[np.int64]:
            each = assigned[corners]
            return np.where((each == each[0]).all(axis=0), each[0], DROPPED)

        return _draw(cells, corners[0], measures, fractions, outcome, seed), corners

    drawn, corners, tiles = _largest(draw)
    ends = np.cumsum([len(windows) for windows in candidates])[:-1]
    side = tiles * tile_size
    return Split(
        np.split(drawn.split, ends),
        np.split(corners[0], ends),
        np.split(corners.T, ends),
        f"{BLOCKS} of {side} x {side} pixels",
    )


def split_images(
    outlines: NDArray[np.object_],
    measures: NDArray[np.float64],
    side: float,
    pixel: float,
    fractions: Sequence[float],
    seed: int,
    progress: Progress,
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Assign images by the region that their centre lies in; see `split_by_blocks`.

    Of two that overlap across regions the one for training is dropped, or else that for validation.

    Args:
        outlines: polygons of the images in one CRS, (n,).
        measures: what is to be shared out, the first foremost, (n, any); the second tells of
            landslides. No split is left without any of it where that can be.
        side: of an image, in the units of the outlines.
        pixel: likewise; what overlaps by less than a quarter of it does not.
        fractions: shares of train, validation and test.
        seed: the same seed gives the same split.
        progress: told how many are dropped.

    Returns:
        Index into `SPLITS` or `DROPPED`, and number of the block, each (n,), and the blocks' side
        in images.
    """
    centres = shapely.get_coordinates(shapely.centroid(outlines))
    first = centres.min(axis=0) - side / 2
    inner = shapely.buffer(outlines, -pixel / 4, join_style="mitre")
    one, other = shapely.STRtree(inner).query(inner, predicate="intersects")

    def draw(tiles: int) -> tuple["_Drawn", NDArray[np.int64]]:
        places = np.floor((centres - first) / (tiles * side)).astype(np.int64)
        cells, block = np.unique(places, axis=0, return_inverse=True)
        block = block.reshape(-1)

        def outcome(assigned: NDArray[np.int64]) -> NDArray[np.int64]:
            index = assigned[block]
            return _without(index, np.unique(one[index[one] < index[other]]))

        return _draw(cells, block, measures, fractions, outcome, seed), block

    drawn, block, tiles = _largest(draw)
    if dropped := int((drawn.split == DROPPED).sum()):
        progress.message(f"{dropped} images overlap one of another split and are left out.")
    return drawn.split, block, tiles


@dataclass(frozen=True)
class _Drawn:
    """A split of items.

    Attributes:
        split: of each item.
        error: how far from the wish; the smaller, the better.
        off: largest difference of a kept share of patches from the wished one.
        blocks: how many of them hold landslides.
    """

    split: NDArray[np.int64]
    error: float
    off: float
    blocks: int


def _largest(
    draw: Callable[[int], tuple[_Drawn, NDArray[np.int64]]],
) -> tuple[_Drawn, NDArray[np.int64], int]:
    """Return the split by the largest blocks that fit the wish, or else the best, and their side.

    Args:
        draw: returns the split by blocks of so many tiles, and the blocks of the items.
    """
    tried = []
    for tiles in range(BLOCK_TILES, 0, -1):
        tried.append((*draw(tiles), tiles))
        if tried[-1][0].blocks >= _LEAST_BLOCKS and tried[-1][0].off <= TOLERANCE:
            return tried[-1]
    enough = [each for each in tried if each[0].blocks >= _LEAST_BLOCKS]
    return min(enough or tried[-1:], key=lambda each: each[0].error)


def _draw(
    cells: NDArray[np.int64],
    home: NDArray[np.int64],
    measures: NDArray[np.float64],
    fractions: Sequence[float],
    outcome: Outcome,
    seed: int,
) -> _Drawn:
    """Return the best of several splits into regions around random blocks.

    Args:
        cells: column and row of each block, (blocks, 2).
        home: the block of each item, (n,).
        measures: as of `split_images`.
        fractions: shares of train, validation and test.
        outcome: says what is dropped.
        seed: of the places.
    """
    wished = np.array(fractions)
    random = np.random.default_rng(seed)
    held = np.bincount(home, measures[:, 0], minlength=len(cells))
    # blocks without count a little, so that they are shared out likewise
    weights = held + 1e-3 * max(held.max(initial=0), 1)
    blocks = len(np.unique(home[measures[:, 1] > 0]))
    drawn = []
    for _ in range(_DRAWS):
        centres = cells[random.integers(len(cells), size=len(wished))]
        targets = wished
        for _ in range(_ROUNDS):
            split = outcome(_regions(cells, weights, targets, centres))
            error, shares = _error(split, measures, wished)
            off = float(np.abs(shares - wished).max())
            drawn.append(_Drawn(split, error, off, blocks))
            # what lost more at its borders is to be larger
            targets = targets * wished / np.maximum(shares, wished / 4 + 1e-9)
            targets = targets / targets.sum()
    return min(drawn, key=lambda each: each.error)


def _regions(
    cells: NDArray[np.int64],
    weights: NDArray[np.float64],
    targets: NDArray[np.float64],
    centres: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the split of each block: test and validation are what is nearest to their centres."""
    result = np.zeros(len(cells), np.int64)
    for index in (2, 1):
        free = np.flatnonzero(result == 0)
        if not targets[index] or len(free) < 2:
            continue
        distance = ((cells[free] - centres[index]) ** 2).sum(axis=1)
        nearest = free[np.argsort(distance, kind="stable")]
        gathered = np.cumsum(weights[nearest])[:-1]
        count = 1 + int(np.argmin(np.abs(gathered - targets[index] * weights.sum())))
        result[nearest[:count]] = index
    return result


def _error(
    split: NDArray[np.int64], measures: NDArray[np.float64], wished: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Return how far a split is from the wish, and the shares that it keeps of the first measure.

    Each measure counts half as much as the one before; a split that is left without one counts
    most, above all that for training.
    """
    kept = np.stack([measures[split == index].sum(axis=0) for index in range(len(wished))])
    total = kept.sum(axis=0)
    shares = kept / np.maximum(total, 1)
    off = np.abs(shares - wished[:, np.newaxis]).max(axis=0)
    occurring = measures.sum(axis=0) > 0
    importance = occurring / 2.0 ** np.arange(len(off))
    empty = ((kept == 0) & (wished > 0)[:, np.newaxis] & occurring).any(axis=1) @ (3, 2, 1)
    lost = 1 - total[0] / measures[:, 0].sum()
    return float(off @ importance + _LOSS * lost + empty), shares[:, 0]


def _without(split: NDArray[np.int64], which: NDArray[np.int64]) -> NDArray[np.int64]:
    split = split.copy()
    split[which] = DROPPED
    return split


def _corner_blocks(
    candidates: Sequence[Candidates], grids: Sequence[Grid], tile_size: int, side: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the blocks' rows and columns, and the numbers of those of each window's corners.

    No window is larger than a block, so its four corner pixels, (4, n), meet every block that it
    meets.
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
    cells, numbers = np.unique(np.concatenate(corners, axis=1), axis=1, return_inverse=True)
    return cells.T.astype(np.int64), numbers.reshape(4, -1)
