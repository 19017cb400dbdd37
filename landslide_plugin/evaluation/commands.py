"""Command `evaluate`."""

import json as json_format
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from ..errors import InputError
from ..outputs import whole_file
from ..progress import Progress
from ..provenance import CURRENT
from ..raster.source import Source, require_overlap
from .compare import Comparison, Layer, common_grid, compare
from .metrics import all_metrics
from .report import accuracy_report, summary


def evaluate(
    *,
    predicted: str,
    reference: str,
    html: str = "",
    json: str = "",
    area: str = "",
    threshold: float = 0.5,
    image: str = "",
    progress: Progress,
) -> dict[str, Any]:
    """Compare a landslide map with a reference.

    The comparison is made on the pixels of the prediction, of the reference when only that is a
    raster, or on pixels chosen for polygons; only where both are known and inside the area. A
    raster of whole numbers is landslide above 0, one of fractions at or above the threshold.

    Args:
        predicted: the map to judge, raster (mask or probability) or polygons.
        reference: the truth, raster or polygons.
        html: report to write; none when empty.
        json: file of all numbers to write; none when empty.
        area: polygons that limit the comparison.
        threshold: least probability of landslide.
        image: background of the error map in the report.
        progress: told the result.

    Returns:
        `html`, `json`, every metric of `METRICS` (None where undefined), the counts `tp`, `fp`,
        `fn`, `tn`, and `hit_rate`, the share of reference landslides touched by the map, with its
        counts.

    Raises:
        InputError: layers that can't be read, lie apart, or hold neither mask nor probability.
        GridError: layers without CRS.
        OutputError: an output can't be written.
    """
    if not 0 < threshold <= 1:
        raise InputError(f"The threshold {threshold:g} is no probability: choose one above 0 to 1.")
    with ExitStack() as files:
        partial_html = files.enter_context(whole_file(html)) if html else None
        partial_json = files.enter_context(whole_file(json)) if json else None
        ours = Layer.open(predicted, "predicted map", files, progress)
        truth = Layer.open(reference, "reference", files, progress)
        limits = Layer.polygons(area, "area", progress) if area else None
        grid = common_grid(ours, truth, limits, progress)
        background = _open_image(image, files)
        if background is not None:
            require_overlap(background.grid, image, grid)
        comparison = compare(
            ours.on(grid, threshold, progress),
            truth.on(grid, threshold, progress),
            limits.on(grid, threshold, progress) if limits else None,
            progress.part(0, 0.9),
        )
        values = _values(comparison)
        progress.message(summary(comparison))
        if partial_html:
            page = accuracy_report(comparison, predicted, reference, background)
            partial_html.write_text(page, encoding="utf-8")
        if partial_json:
            content = {**values, "grid": grid.describe(), **CURRENT.tags()}
            partial_json.write_text(json_format.dumps(content, indent=1), encoding="utf-8")
        progress.update(1)
    return {"html": html, "json": json, **values}


def _open_image(path: str, files: ExitStack) -> Source | None:
    return files.enter_context(Source.open(path, what="image")) if path else None


def _values(comparison: Comparison) -> dict[str, Any]:
    total, hit = comparison.reference
    mapped, right = comparison.predicted
    return {
        **all_metrics(comparison.confusion),
        **asdict(comparison.confusion),
        "hit_rate": hit / total if total else None,
        "reference_landslides": total,
        "reference_landslides_hit": hit,
        "predicted_landslides": mapped,
        "predicted_landslides_hit": right,
    }
