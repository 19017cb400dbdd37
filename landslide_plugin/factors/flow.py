"""Depressions filled and flow accumulated by Python and numpy alone.

Filling is richdem's work where its package is there; this takes a second for 200,000 cells.
"""

import math
from collections import deque
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation


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


def accumulate(receiver: NDArray[np.integer], amount: NDArray[np.float64]) -> None:
    """Add to each cell, in place, what all cells upstream of it hold.

    Args:
        receiver: for each cell the one that it drains to, itself where it drains nowhere, (cells,).
        amount: what each cell has of its own, same shape.
    """
    cells = np.arange(receiver.size)
    inflows = np.bincount(receiver[receiver != cells], minlength=receiver.size)
    ready = np.flatnonzero(inflows == 0)
    while ready.size:
        ready = ready[receiver[ready] != ready]
        below = receiver[ready]
        np.add.at(amount, below, amount[ready])
        np.subtract.at(inflows, below, 1)
        ready = np.unique(below[inflows[below] == 0])
