"""Landslides found in a scene, with what is known of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..core.progress import Progress
from .division import ELEVATION, PROBABILITY, Divider, Layers, divide
from .holes import without_holes
from .morphology import Morphology
from .trace import Scene

Ints = NDArray[np.int64]


COLUMNS = {
    "prob_mean": (PROBABILITY, "mean"),
    "prob_max": (PROBABILITY, "max"),
    "elev_min": (ELEVATION, "min"),
    "elev_max": (ELEVATION, "max"),
    "slope_mean": ("slope", "mean"),
    "aspect_mean": ("aspect", "mean"),
    "river_m": ("river_distance", "min"),
}
"""Field to the layer and the statistic that it is."""


@dataclass(frozen=True)
class TracedLandslides:
    """Polygons in pixel coordinates, the landslide and part that each is, and their pixels.

    `groups` is the index of the polygon of each number in the statistics, -1 for none.
    """

    polygons: NDArray[np.object_]
    slide: Ints
    part: NDArray[np.object_]
    groups: Ints


def find_landslides(
    scene: Scene, threshold: float, max_hole: float, morphology: Morphology, progress: Progress
) -> tuple[NDArray[np.object_], Ints]:
    """Trace the landslides and fill their holes.

    Args:
        scene: the probability or mask, with the layers that are measured.
        threshold: probability that a landslide reaches somewhere.
        max_hole: m2 of the holes that are filled.
        morphology: opening and closing of the mask.
        progress: where to report.

    Returns:
        Polygons in pixel coordinates, and `groups` as in `TracedLandslides`.
    """
    polygons, groups = scene.trace(morphology, progress)
    # None that doesn't reach the threshold, and none that closing alone has made.
    highest = scene.statistics[PROBABILITY].result(groups, len(polygons))["max"]
    polygons, groups = _kept(polygons, groups, highest >= np.float32(threshold))  # as pixels are
    polygons, owner = without_holes(polygons, max_hole, scene.source.grid)
    groups = _renumbered(groups, owner)
    return _kept(polygons, groups, owner == np.arange(len(owner)))


def cut_up(
    scene: Scene, polygons: NDArray[np.object_], groups: Ints, divider: Divider, progress: Progress
) -> TracedLandslides:
    """Cut landslides up.

    Args:
        scene: where they were found.
        polygons: see `find_landslides`.
        groups: likewise.
        divider: what cuts complexes up; falsy for none.
        progress: where to report.
    """
    if not divider:
        whole = np.arange(1, len(polygons) + 1)
        return TracedLandslides(polygons, whole, np.full(len(polygons), None, object), groups)
    count = len(groups)

    def measure(numbers: Ints, layers: Layers) -> None:
        scene.measure(np.where(numbers > 0, numbers + count, 0), layers)

    cut = divide(polygons, divider, scene.layers, measure, progress)
    if cut.too_large:
        progress.warning(f"{cut.too_large} landslides are too large to be cut up: left whole.")
    if cut.unknown:
        progress.warning(
            f"{cut.unknown} landslides have pixels without an elevation: not cut up by it."
        )
    number = np.full(len(polygons), -1)
    number[cut.origin[cut.whole]] = np.flatnonzero(cut.whole)
    groups = np.concatenate([_renumbered(groups, number), np.flatnonzero(~cut.whole)])
    return TracedLandslides(cut.polygons, cut.slide, cut.part, groups)


def _kept(
    polygons: NDArray[np.object_], groups: Ints, keep: NDArray[np.bool_]
) -> tuple[NDArray[np.object_], Ints]:
    """Return the polygons that are kept, and the groups numbered accordingly."""
    number = np.where(keep, np.cumsum(keep) - 1, -1)
    return polygons[keep], _renumbered(groups, number)


def _renumbered(groups: Ints, number: Ints) -> Ints:
    """Return the groups of polygons of other numbers, -1 for none; all are, without polygons."""
    return np.where(groups >= 0, number[groups], -1) if len(number) else np.full_like(groups, -1)


def columns_of(scene: Scene, groups: Ints, count: int) -> dict[str, Any]:
    """Return the fields that are statistics of pixels."""
    results = {name: item.result(groups, count) for name, item in scene.statistics.items()}
    columns: dict[str, Any] = {
        name: results[layer][kind] for name, (layer, kind) in COLUMNS.items() if layer in results
    }
    if scene.is_mask:
        del columns["prob_mean"], columns["prob_max"]
    if "river_m" in columns:  # where it is not known, a river may be nearer
        whole = results["river_distance"]["pixels"] == results[PROBABILITY]["pixels"]
        columns["river_m"] = np.where(whole, columns["river_m"], np.nan)
    if ELEVATION in results:
        columns["relief_m"] = columns["elev_max"] - columns["elev_min"]
    return columns


def joined(frames: Sequence[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    """Return the inventories of several kinds as one; no number is a landslide's of two."""
    before = 0
    for frame in frames:
        frame["slide_id"] += before
        before = int(frame["slide_id"].max()) if len(frame) else before
    filled = [frame for frame in frames if len(frame)] or list(frames[:1])
    return filled[0] if len(filled) == 1 else pd.concat(filled, ignore_index=True)


def large_ones(frame: gpd.GeoDataFrame, min_area: float) -> gpd.GeoDataFrame:
    """Drop landslides below the smallest area, parts together, and number what is left."""
    whole = frame.groupby("slide_id")["area_m2"].transform("sum")
    frame = frame[whole >= min_area].reset_index(drop=True)
    frame["id"] = np.arange(1, len(frame) + 1, dtype=np.int32)
    frame["slide_id"] = (frame.groupby("slide_id").ngroup() + 1).astype("int32")
    return frame
