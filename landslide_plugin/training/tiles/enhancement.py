"""Background enhancement: landslides set before other backgrounds (Yang, R. et al. 2022).

Remote Sens. 14:2206. Splicing joins a landslide tile with three background tiles; the modified
CutMix pastes the bounding box of one landslide at a random place. A pixel moves with its label
and with ALL of its bands, so that imagery and factors go on telling of the same ground; nothing is
resampled, so that the resolution stays that of the set.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...samples.sample_set import UNKNOWN
from .cutting import Patch, Shape, cut, random_corner, unknown

NEAREST_EDGE = 0.3
"""Share of the side that the tiles' common corner keeps from the edges of a spliced tile."""

Take = Callable[[bool, Shape], Patch]


def splice(take: Take, bands: int, size: int, rng: np.random.Generator) -> Patch:
    """Join one piece with a landslide and three of background, which meet at a random point.

    Args:
        take: returns a piece with or without landslide, of a shape.
        bands: their number.
        size: side of the tile in pixels.
        rng: what chance is drawn from.
    """
    low, high = round(NEAREST_EDGE * size), round((1 - NEAREST_EDGE) * size)
    middle_row, middle_col = (int(value) for value in rng.integers(low, high + 1, 2))
    home = int(rng.integers(4))
    tile = unknown(bands, (size, size))
    for quarter in range(4):
        row, height = ((0, middle_row), (middle_row, size - middle_row))[quarter // 2]
        col, width = ((0, middle_col), (middle_col, size - middle_col))[quarter % 2]
        lay(tile, take(quarter == home, (height, width)), row, col)
    return tile


def paste(target: Patch, piece: Patch, rng: np.random.Generator) -> Patch:
    """Return a tile with a piece pasted at a random place, wholly inside.

    Args:
        target: the tile; it is left alone.
        piece: no larger than the tile.
        rng: what chance is drawn from.
    """
    tile = Patch(target.values.copy(), target.valid.copy(), target.labels.copy())
    row, col = (
        int(rng.integers(side - piece_side + 1))
        for side, piece_side in zip(tile.shape, piece.shape, strict=True)
    )
    lay(tile, piece, row, col)
    return tile


def landslide_box(patch: Patch, largest: int, rng: np.random.Generator) -> Patch:
    """Cut the bounding box of one landslide, drawn at random; all of it when there is none.

    What else lies in the box comes with it, other landslides with their labels.

    Args:
        patch: to cut from.
        largest: side in pixels; of a larger box a part is taken that holds landslide.
        rng: what chance is drawn from.
    """
    ids = np.unique(patch.labels[patch.landslide])
    box = patch
    if ids.size:
        inside = patch.labels == rng.choice(ids)
        rows, cols = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        shape = int(rows[-1] - rows[0] + 1), int(cols[-1] - cols[0] + 1)
        box = cut(patch, int(rows[0]), int(cols[0]), shape)
    shape = min(box.shape[0], largest), min(box.shape[1], largest)
    return cut(box, *random_corner(box, shape, rng), shape)


def lay(tile: Patch, piece: Patch, row: int, col: int) -> None:
    """Write a piece into a tile, in place; its landslides get numbers that the tile has not."""
    height, width = piece.shape
    window = slice(row, row + height), slice(col, col + width)
    tile.values[:, *window] = piece.values
    tile.valid[window] = piece.valid
    tile.labels[window] = 0
    taken = tile.labels[tile.landslide].max(initial=0)
    tile.labels[window] = _numbered_from(piece.labels, int(taken))


def _numbered_from(labels: NDArray[np.uint16], taken: int) -> NDArray[np.uint16]:
    landslide = (labels > 0) & (labels < UNKNOWN)
    result = labels.copy()
    result[landslide] = np.unique(labels[landslide], return_inverse=True)[1] + taken + 1
    return result
