"""Turned and mirrored patches, with the bands that hold directions turned along.

Flips and quarter turns as in Yang, S. et al. 2022 and Chen et al. 2022. A patch turned on the map
looks into other directions: a slope that faced north faces west after a quarter turn to the left.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ASPECT = "aspect"
NORTHNESS = "northness"
EASTNESS = "eastness"


def turnings(bands: Sequence[str]) -> list[tuple[int, bool]]:
    """Return the (quarter turns, mirrored) that can be applied to patches of these bands.

    Where one of northness and eastness is missing, an odd quarter turn can't be made, as each
    becomes the other.
    """
    quarters = (0, 1, 2, 3) if can_turn_freely(bands) else (0, 2)
    return [(quarter, mirrored) for quarter in quarters for mirrored in (False, True)]


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
    values: NDArray[np.float32], bands: Sequence[str], quarters: int, mirrored: bool
) -> NDArray[np.float32]:
    """Turn a patch as `turn` does, and the directions in it.

    Args:
        values: (bands, rows, columns), unscaled: aspect in degrees clockwise from north, below 0
            where flat; northness and eastness its cosine and sine.
        bands: band names.
        quarters: one that `turnings` allows.
        mirrored: whether to mirror first.
    """
    turned = np.ascontiguousarray(turn(values, quarters, mirrored))
    names = list(bands)
    if ASPECT in names:
        aspect = turned[names.index(ASPECT)]
        flat = aspect < 0
        new = ((-aspect if mirrored else aspect) - 90 * quarters) % 360
        turned[names.index(ASPECT)] = np.where(flat, aspect, new)
    if EASTNESS in names and mirrored:
        turned[names.index(EASTNESS)] *= -1
    if quarters % 4:
        _turn_vector(turned, names, quarters)
    return turned


def can_turn_freely(bands: Sequence[str]) -> bool:
    """Whether any angle will do: not where one of northness and eastness is missing."""
    return (NORTHNESS in bands) == (EASTNESS in bands)


def turn_directions(values: NDArray[np.float32], bands: Sequence[str], angle: float) -> None:
    """Turn, in place, the directions in a patch that was turned to the left by any angle.

    Args:
        values: (bands, rows, columns), as in `turn_bands`.
        bands: band names for which `can_turn_freely` holds.
        angle: degrees.
    """
    names = list(bands)
    if ASPECT in names:
        aspect = values[names.index(ASPECT)]
        aspect[:] = np.where(aspect < 0, aspect, (aspect - angle) % 360)
    if NORTHNESS in names:
        both = [names.index(NORTHNESS), names.index(EASTNESS)]
        north, east = values[both]
        sine, cosine = np.sin(np.radians(angle)), np.cos(np.radians(angle))
        values[both] = np.stack([north * cosine + east * sine, east * cosine - north * sine])


def _turn_vector(values: NDArray[np.float32], names: list[str], quarters: int) -> None:
    """Turn northness and eastness: cos(a - 90) = sin(a), sin(a - 90) = -cos(a)."""
    if NORTHNESS in names and EASTNESS in names:
        both = [names.index(NORTHNESS), names.index(EASTNESS)]
        for _ in range(quarters % 4):
            north, east = values[both]
            values[both] = np.stack([east, -north])
    elif quarters % 4 == 2:
        for name in {NORTHNESS, EASTNESS} & set(names):
            values[names.index(name)] *= -1
