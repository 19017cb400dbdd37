"""Natural breaks: intervals of values that differ little within and much between them."""

import warnings

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_REPRESENTATIVES = 1000
"""Quantiles that breaks are computed from; the library's time grows with their square."""


def natural_breaks(
    values: Floats, weights: NDArray[np.float64], highest: float, classes: int
) -> Floats:
    """Return upper bounds of intervals that differ most from each other (Jenks 1967).

    Args:
        values: (n,).
        weights: how much each counts, (n,).
        highest: the last bound.
        classes: intervals wanted; fewer come back where there are fewer different values.

    Returns:
        Ascending, at most `classes` of them; each belongs to the interval below.

    Sources: Fisher 1958, J. Am. Stat. Assoc. 53:789, by the library mapclassify.
    """
    kinds = np.unique(values)
    if len(kinds) > classes:
        kinds = _fisher_jenks(_quantiles(values, weights), classes)
    kinds = kinds[kinds < highest]
    return np.append(kinds[: classes - 1], np.float32(highest))


def _quantiles(values: Floats, weights: NDArray[np.float64]) -> Floats:
    """Return evenly spaced quantiles of weighted values."""
    order = np.argsort(values)
    upto = np.cumsum(weights[order])
    wanted = (np.arange(_REPRESENTATIVES) + 0.5) / _REPRESENTATIVES * upto[-1]
    quantiles: Floats = values[order][np.searchsorted(upto, wanted)]
    return quantiles


def _fisher_jenks(values: Floats, classes: int) -> Floats:
    kinds = np.unique(values)
    if len(kinds) <= classes:
        return kinds
    from mapclassify import FisherJenks

    # The library squares in the values' own type: far from 0 the digits that differ would be lost.
    exact = values.astype(np.float64)
    middle = exact.mean()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it would be faster with numba
        # The library repeats a bound where values repeat much.
        bounds = np.asarray(FisherJenks(exact - middle, classes).bins) + middle
    return np.unique(bounds.astype(np.float32))
