"""What lies around a tile that is a piece of a scene: a margin of its neighbours.

Cut from one tile alone, all that a network is shown lies within it, and beyond its edges there is
nothing but its mirror image; with a margin tiles for training are cut anywhere in the scene.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from ..contract.errors import InputError
from ..raster.landslides import UNLABELLED
from .image_list import Cell

EIGHT_NEIGHBOURS = np.ones((3, 3), int)


@dataclass(frozen=True)
class Pixels:
    """What is known of a tile.

    Attributes:
        values: (bands, rows, columns).
        valid: whether they are, same shape.
        ids: landslides by number, `UNLABELLED` where nothing is known, (rows, columns).
    """

    values: NDArray[np.float32]
    valid: NDArray[np.bool_]
    ids: NDArray[np.int32]


class Around:
    """Tiles of some scenes, and what is around each.

    Args:
        cells: scene, row and column of each tile; None of those that go nowhere.
        read: reads a tile by its number.
        margin: pixels around a tile.

    Raises:
        InputError: no cell is known, or two tiles lie in one.
    """

    def __init__(
        self, cells: Sequence[Cell | None], read: Callable[[int], Pixels], margin: int
    ) -> None:
        self._cells = cells
        self._read = read
        self._margin = margin
        self._at: dict[Cell, int] = {}
        for number, cell in enumerate(cells):
            if cell is not None and self._at.setdefault(cell, number) != number:
                raise InputError(
                    f"The list has two images in row {cell[1]}, column {cell[2]}"
                    f"{f' of {cell[0]}' if cell[0] else ''}: one of them lies elsewhere, or in "
                    "another scene (a column scene tells)."
                )
        if not self._at:
            raise InputError(
                "MARGIN is of the neighbours in a scene, but the list has no columns row and "
                "column that say where its images lie: add them, or leave MARGIN at 0."
            )

    def read(self, number: int) -> Pixels:
        """Return a tile with what is around it; nothing is known where no neighbour lies."""
        here, margin = self._read(number), self._margin
        _, height, width = here.values.shape
        sides = ((0, 0), (margin, margin), (margin, margin))
        values, valid = np.pad(here.values, sides), np.pad(here.valid, sides)
        ids = np.pad(here.ids, margin, constant_values=UNLABELLED)
        for down, right in product((-1, 0, 1), repeat=2):
            beside = self._beside(number, down, right)
            if beside is None:
                continue
            other = self._read(beside)
            if other.values.shape != here.values.shape or margin > min(height, width):
                raise InputError(
                    f"MARGIN is {margin} pixels: the tiles must be at least as large, and all of "
                    "one size."
                )
            rows, columns = _parts(down, height, margin), _parts(right, width, margin)
            to, of = (rows[0], columns[0]), (rows[1], columns[1])
            values[:, *to], valid[:, *to] = other.values[:, *of], other.valid[:, *of]
            ids[to] = other.ids[of]
        joined = label(ids > 0, EIGHT_NEIGHBOURS)[0]
        return Pixels(values, valid, np.where(ids == UNLABELLED, ids, joined).astype(np.int32))

    def _beside(self, number: int, down: int, right: int) -> int | None:
        """Return the number of a neighbour, if there is one."""
        cell = self._cells[number]
        if cell is None or not (down or right):
            return None
        scene, row, column = cell
        return self._at.get((scene, row + down, column + right))


def _parts(step: int, length: int, margin: int) -> tuple[slice, slice]:
    """Return where a neighbour goes along one axis, and what of it."""
    if step < 0:
        return slice(0, margin), slice(length - margin, length)
    if step > 0:
        return slice(margin + length, None), slice(0, margin)
    return slice(margin, margin + length), slice(0, length)
