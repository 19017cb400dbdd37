"""Depressions filled and flow accumulated by Python and numpy alone.

Filling is richdem's work where its package is there; this takes a second for 200,000 cells.
"""

import math
from collections import deque
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

NEIGHBOURS = ((0, 0), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1))
"""Row and column steps of the directions 0 (none) to 8, numbered as richdem does: 1 is west."""


def fill_depressions(elevation: NDArray[np.float64], nodata: float) -> None:
    """Fill depressions in place so that every cell has a lower way out.

    Algorithm 3 of Barnes, Lehman and Mulla 2014 (Priority-Flood+Epsilon): from the outlets, which
    are the cells beside nodata, the lowest cell that was reached is left first; what lies no
    higher behind it is lifted by the smallest step that float64 can make.

    Args:
        elevation: (rows, columns), nodata all along its rim.
        nodata: what its cells without data hold.
    """
    outside = elevation == nodata
    columns = elevation.shape[1]
    steps = [row * columns + column for row in (-1, 0, 1) for column in (-1, 0, 1)]
    level = elevation.ravel().tolist()
    outlets = np.flatnonzero(binary_dilation(outside, np.ones((3, 3))) & ~outside)
    closed = bytearray(outside.ravel())
    for cell in outlets.tolist():
        closed[cell] = True
    higher = sorted((level[cell], cell) for cell in outlets.tolist())
    lifted: deque[int] = deque()
    while higher or lifted:
        if lifted and not (higher and higher[0][0] == level[lifted[0]]):
            cell = lifted.popleft()
        else:
            cell = heappop(higher)[1]
        least = math.nextafter(level[cell], math.inf)
        for step in steps:
            other = cell + step
            if closed[other]:
                continue
            closed[other] = True
            if level[other] <= least:
                level[other] = least
                lifted.append(other)
            else:
                heappush(higher, (level[other], other))
    elevation.ravel()[:] = level


def accumulate(portions: NDArray[np.float32], amount: NDArray[np.float64]) -> None:
    """Add to each cell, in place, its share of what all cells upstream of it hold.

    Args:
        portions: (rows, columns, 9): what part of a cell's goes to each of `NEIGHBOURS`, in no
            circle; none from the cells of the rim.
        amount: what each cell has of its own, (rows, columns).
    """
    columns = amount.shape[1]
    steps = [row * columns + column for row, column in NEIGHBOURS]
    shares, held = portions.reshape(-1, len(steps)), amount.reshape(-1)
    inflows = np.zeros(held.size, np.int8)
    for number, step in enumerate(steps[1:], start=1):
        inflows[np.flatnonzero(shares[:, number] > 0) + step] += 1
    ready = np.flatnonzero(inflows == 0)
    while ready.size:
        below = []
        for number, step in enumerate(steps[1:], start=1):
            portion = shares[ready, number]
            flows = portion > 0
            to = ready[flows] + step  # each cell once
            held[to] += held[ready[flows]] * portion[flows]
            inflows[to] -= 1
            below.append(to)
        reached = np.unique(np.concatenate(below))
        ready = reached[inflows[reached] == 0]
