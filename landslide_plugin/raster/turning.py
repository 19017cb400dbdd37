"""Turned and mirrored patches, and what becomes of the directions that their bands hold.

Flips and quarter turns as in Yang, S. et al. 2022 and Chen et al. 2022. Which way a slope faces is
a covariate of the ground, as its height is: where landslides lie on southern slopes, a patch that
is turned must go on saying so. Directions can be turned along instead, as a slope that faced north
faces west after a quarter turn of the map to the left; then every exposure is as likely, and bands
of directions tell of a place's form alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

ASPECT = "aspect"
NORTHNESS = "northness"
EASTNESS = "eastness"

Array = TypeVar("Array", NDArray[np.float32], Tensor)
Directions = Mapping[str, int]
"""Numbers of the bands whose values turn with a patch, by their names."""


def directions_turned(bands: Sequence[str], along: bool) -> Directions:
    """Return the bands whose values turn with a patch: none, or all directions.

    The one rule of training, on masks and on image labels, and of test-time augmentation.

    Args:
        bands: names of the patch's bands.
        along: whether directions turn along; they keep their values otherwise.
    """
    if not along:
        return {}
    return {name: bands.index(name) for name in (ASPECT, NORTHNESS, EASTNESS) if name in bands}


def turnings(directions: Directions) -> list[tuple[int, bool]]:
    """Return the (quarter turns, mirrored) that can be applied to patches.

    Where one of northness and eastness turns without the other, an odd quarter turn can't be made,
    as each becomes the other.
    """
    quarters = (0, 1, 2, 3) if can_turn_freely(directions) else (0, 2)
    return [(quarter, mirrored) for quarter in quarters for mirrored in (False, True)]


def can_turn_freely(directions: Directions) -> bool:
    """Whether any angle will do: not where one of northness and eastness turns alone."""
    return (NORTHNESS in directions) == (EASTNESS in directions)


def turn(array: NDArray[Any], quarters: int, mirrored: bool) -> NDArray[Any]:
    """Mirror a patch left to right if asked to, then turn it to the left.

    Args:
        array: (..., rows, columns).
        quarters: number of quarter turns to the left.
        mirrored: whether to mirror first.
    """
    array = array[..., ::-1] if mirrored else array
    return np.rot90(array, quarters, axes=(-2, -1))


def turn_bands(
    values: NDArray[np.float32], directions: Directions, quarters: int, mirrored: bool
) -> NDArray[np.float32]:
    """Turn a patch as `turn` does, and the directions in it.

    Args:
        values: (bands, rows, columns), as in `turn_directions`.
        directions: see `directions_turned`.
        quarters: one that `turnings` allows.
        mirrored: whether to mirror first.
    """
    turned = np.ascontiguousarray(turn(values, quarters, mirrored))
    turn_directions(turned, directions, 90 * quarters, mirrored)
    return turned


def turn_directions(
    values: Array, directions: Directions, angle: float, mirrored: bool = False
) -> None:
    """Turn, in place, the directions in a patch that was mirrored, then turned to the left.

    Args:
        values: (bands, ...), unscaled: aspect in degrees clockwise from north, below 0 where flat;
            northness and eastness its cosine and sine.
        directions: see `directions_turned`.
        angle: degrees, any for which `can_turn_freely` holds, else a multiple of 180.
        mirrored: whether it was mirrored left to right first.
    """
    if ASPECT in directions:
        aspect = values[directions[ASPECT]]
        flat = aspect < 0
        turned = ((-aspect if mirrored else aspect) - angle) % 360
        values[directions[ASPECT]] = aspect * flat + turned * ~flat
    north, east = (
        values[directions[name]] if name in directions else 0 for name in (NORTHNESS, EASTNESS)
    )
    east = -east if mirrored else east
    cosine, sine = float(np.cos(np.radians(angle))), float(np.sin(np.radians(angle)))
    turned_north, turned_east = north * cosine + east * sine, east * cosine - north * sine
    if NORTHNESS in directions:
        values[directions[NORTHNESS]] = turned_north
    if EASTNESS in directions:
        values[directions[EASTNESS]] = turned_east
