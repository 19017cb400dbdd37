"""The table of an inventory."""

from collections.abc import Mapping
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..contract.fields import CONFIDENCE, FIELDS
from .measures import extents, measures

__all__ = ["FIELDS", "confidence", "make_inventory"]

MEASURED_AT_ONCE = 5000
"""Polygons: measuring takes several copies of their points."""


def make_inventory(
    polygons: NDArray[np.object_],
    crs: object | None,
    columns: Mapping[str, Any],
    north_is_true: bool = False,
) -> gpd.GeoDataFrame:
    """Return an inventory layer with all `FIELDS`, measured.

    Args:
        polygons: in the CRS's coordinates, object, (n,).
        crs: their CRS; None for a plain image, whose pixels then count as metres.
        columns: values, (n,) each or one for all, of the fields that are known. `aspect_mean`
            gives the direction of length, `prob_mean` the confidence.
        north_is_true: whether `aspect_mean` counts from true north, see `extents`.
    """
    unknown = np.full(len(polygons), np.nan)
    direction = np.asarray(columns.get("aspect_mean", unknown))
    pieces = len(polygons) // MEASURED_AT_ONCE + 1
    sizes = [
        np.stack([*measures(some, crs), *extents(some, crs, down, north_is_true)])
        for some, down in zip(
            np.array_split(polygons, pieces), np.array_split(direction, pieces), strict=True
        )
    ]
    area, perimeter, length, width = np.concatenate(sizes, axis=1)
    numbers = np.arange(1, len(polygons) + 1)
    values: dict[str, Any] = {
        "id": numbers,
        "slide_id": numbers,
        "area_m2": area,
        "perimeter_m": perimeter,
        "length_m": length,
        "width_m": width,
        "confidence": confidence(np.asarray(columns.get("prob_mean", unknown), float)),
    }
    values |= dict(columns)
    rows = pd.RangeIndex(len(polygons))
    table = {
        name: pd.Series(values.get(name), rows, dtype=field.kind) for name, field in FIELDS.items()
    }
    return gpd.GeoDataFrame(table, geometry=gpd.GeoSeries(list(polygons), crs=crs), crs=crs)


def confidence(probability: NDArray[np.float64]) -> "pd.Series[Any]":
    """Return the step of confidence for mean probabilities, (n,); NULL for NaN.

    The rule is that of `fields.CONFIDENCE`.
    """
    least = sorted(CONFIDENCE)
    # Single precision's 0.9 is a little less than 0.9.
    step = np.searchsorted(np.array(least) - 1e-6, probability, side="right") - 1
    steps = pd.Series(np.array([CONFIDENCE[one] for one in least])[step.clip(0)], dtype="Int16")
    return steps.mask(np.isnan(probability))
