"""The numbers of a comparison, for programs: JSON and CSV."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..core.provenance import Provenance
from ..reports.table import write_csv
from .compare import Comparison, Result
from .figures import area_edges
from .objects import area_frequency
from .report import Judged, Setting
from .scores import SCORES


def numbers_of(comparison: Comparison, one: Judged) -> dict[str, Any]:
    """Return the scores of a map, and what they were counted from."""
    result = one.result
    tp, fp, fn, _ = (float(value) for value in result.areas)
    return {
        **one.values,
        **asdict(result.confusion),
        "area_km2": comparison.area / 1e6,
        "reference_area_m2": tp + fn,
        "predicted_area_m2": tp + fp,
        "reference_landslides": len(comparison.reference),
        "reference_landslides_hit": int(result.reference_agreement.touched.sum()),
        "predicted_landslides": len(result.landslides),
        "predicted_landslides_hit": int(result.right.touched.sum()),
    }


def all_numbers(
    comparison: Comparison, maps: list[Judged], setting: Setting, origin: Provenance
) -> dict[str, Any]:
    """Return what the JSON file holds: the first map's scores, all maps', and the run's origin."""
    edges = area_edges(comparison)
    return {
        **numbers_of(comparison, maps[0]),
        "maps": [
            {
                "name": one.name,
                "threshold": one.threshold,
                **numbers_of(comparison, one),
                "intervals": one.intervals,
                "no_landslide": one.no_landslide,
                "all_landslide": one.all_landslide,
                "differences_to_first": {
                    key: {"value": value, "interval": bounds}
                    for key, (value, bounds) in one.differences.items()
                },
                "area_frequency": _frequency(one.result.landslides.area, edges),
                **_curves(one.result),
            }
            for one in maps
        ],
        "reference_area_frequency": _frequency(comparison.reference.area, edges),
        "area_edges_m2": edges.tolist(),
        "threshold": maps[0].threshold,
        "tolerance_m": comparison.tolerance,
        "blocks": setting.blocks,
        "block_size_m": setting.block_side,
        "notes": setting.notes,
        "grid": comparison.grid.describe(),
        "sources": setting.sources,
        **origin.tags(),
    }


def write_table(path: Path, maps: list[Judged]) -> None:
    """Write one row a map and score; cells of undefined values are empty."""
    header = ["map", "score", "value", "low", "high", "no_landslide", "all_landslide", "title"]
    rows = []
    for one in maps:
        for key, score in SCORES.items():
            low, high = one.intervals.get(key) or (None, None)
            trivial = one.no_landslide[key], one.all_landslide[key]
            rows.append([one.name, key, one.values[key], low, high, *trivial, score.title])
    write_csv(path, header, rows)


def _frequency(areas: np.ndarray, edges: np.ndarray) -> dict[str, list[Any]]:
    counts, density = area_frequency(areas, edges)
    return {"count": counts.tolist(), "density_per_m2": _listed(density)}


def _curves(result: Result) -> dict[str, Any]:
    if result.probabilities is None:
        return {}
    curve, bins = result.probabilities.curve(), result.probabilities.reliability()
    points = {key: part.tolist() for key, part in vars(curve.thinned()).items()} if curve else None
    return {
        "precision_recall": points,
        "reliability": {key: _listed(part) for key, part in vars(bins).items()},
    }


def _listed(values: np.ndarray) -> list[Any]:
    """Return numbers for JSON, which knows no NaN."""
    return [None if value != value else value for value in values.tolist()]
