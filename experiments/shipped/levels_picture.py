"""Draws `docs/one_scene.jpg`: a part of Landslide4Sense's area A, as it comes and levelled.

`python -m experiments.shipped.levels_picture`. A part without holes, every fourth pixel;
each half in the light between its own 1st and 99th percentile, all bands alike.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .data import DATA, read_patch
from .levels import ROUNDED
from .lists import RECIPES, read_pieces

PICTURE = Path(__file__).parents[2] / "docs" / "one_scene.jpg"
ROWS, COLUMNS = range(32, 47), range(12, 22)
STEP = 4
SPACE = 8
"""White pixels between the halves."""


def main() -> int:
    """Draw it."""
    pieces = read_pieces(RECIPES / "landslide4sense.csv")
    halves = []
    for levelled in (False, True):
        patches = {}
        for file, (area, row, column, gain) in pieces.items():
            if area == "A" and row in ROWS and column in COLUMNS:
                folder, name = Path(file).parts[0], Path(file).stem
                values = read_patch(DATA / "landslide4sense_rgb" / folder, name)[0] + ROUNDED
                patches[row, column] = values[:, ::STEP, ::STEP] * (gain if levelled else 1)
        rows = [np.concatenate([patches[row, column] for column in COLUMNS], 2) for row in ROWS]
        halves.append(_seen(np.concatenate(rows, 1)))
    space = np.full((len(halves[0]), SPACE, 3), 255, np.uint8)
    Image.fromarray(np.concatenate([halves[0], space, halves[1]], 1)).save(PICTURE, quality=85)
    return 0


def _seen(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return an image for the eye, (rows, columns, 3), of (3, rows, columns)."""
    low, high = np.percentile(values, (1, 99))
    shown: NDArray[np.uint8] = (255 * np.clip((values - low) / (high - low), 0, 1) ** 0.7).astype(
        np.uint8
    )
    return shown.transpose(1, 2, 0)


if __name__ == "__main__":
    sys.exit(main())
