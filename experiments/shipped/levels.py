"""How bright each patch of Landslide4Sense is beside its neighbours.

The patches are pieces of scenes, and their images were stretched to 8 bits one by one: of those
that are at hand as published too, each value is 255 times the published one divided by the highest
of the patch, in any band, rounded down. Neighbours go on across their seams, so what both sides of
these say gives one factor a patch by which all are pieces of one scene again. Labels have no part.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.linalg import lsqr

ROUNDED = 0.5
"""What rounding down takes away, in the mean."""
LEAST_SPREAD = 0.02
"""Spread of the ratios along a seam, in logarithms, up to which its weight is 1."""
NEAR = 6
"""Patches that a group without a seam to the others is compared with."""
NEAR_WEIGHT = 0.01
"""Weight of the likeness of patches that lie near each other beside that of a seam."""

Cell = tuple[int, int]


def levels(images: NDArray[np.uint8], cells: Sequence[Cell]) -> NDArray[np.float64]:
    """Return the factor of each patch by which neighbours go on across their seams, (n,).

    Least squares of the factors' logarithms: across each seam the median ratio of both lines of
    pixels, all bands together, weighted by how little the ratios spread; and, of far less weight,
    patches that lie near each other are alike in their medians, which tells how bright those are
    that touch none. The factors' geometric mean is 1.

    Args:
        images: (n, bands, rows, columns).
        cells: row and column of each, counted in patches.
    """
    values = np.log(images + ROUNDED)
    middle = np.median(values.reshape(len(values), -1), axis=1)
    pairs, ratios, weights = _seams(values, cells)
    near = _near(cells)
    pairs = np.concatenate([pairs, near])
    ratios = np.concatenate([ratios, middle[near[:, 1]] - middle[near[:, 0]]])
    weights = np.concatenate([weights, np.full(len(near), NEAR_WEIGHT)])
    number = np.arange(len(pairs))
    rows, columns = np.concatenate([number, number]), pairs.T.ravel()
    matrix = csr_array(
        (np.concatenate([weights, -weights]), (rows, columns)), shape=(len(pairs), len(cells))
    )
    logarithms = lsqr(matrix, weights * ratios, atol=1e-12, btol=1e-12, iter_lim=20 * len(cells))[0]
    factors: NDArray[np.float64] = np.exp(logarithms - logarithms.mean())
    return factors


def _seams(
    values: NDArray[np.float64], cells: Sequence[Cell]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return pairs of neighbours, the logarithm of the second by the first, and its weight."""
    at = {cell: number for number, cell in enumerate(cells)}
    pairs, ratios, spreads = [], [], []
    for (row, column), first in at.items():
        for cell, ends, begins in (
            ((row, column + 1), np.s_[:, :, -1], np.s_[:, :, 0]),
            ((row + 1, column), np.s_[:, -1], np.s_[:, 0]),
        ):
            if cell in at:
                ratio = values[at[cell]][begins] - values[first][ends]
                pairs.append((first, at[cell]))
                ratios.append(np.median(ratio))
                spreads.append(np.median(np.abs(ratio - ratios[-1])))
    weights = LEAST_SPREAD / np.maximum(spreads, LEAST_SPREAD)
    return np.array(pairs, int).reshape(-1, 2), np.array(ratios), weights


def _near(cells: Sequence[Cell]) -> NDArray[np.int64]:
    """Return pairs of patches of which one is among those that lie nearest to the other."""
    places = np.array(cells)
    distances = np.linalg.norm(places[:, None] - places, axis=2)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, 1 : NEAR + 1]
    first = np.repeat(np.arange(len(cells)), nearest.shape[1])
    return np.stack([first, nearest.ravel()], axis=1)
