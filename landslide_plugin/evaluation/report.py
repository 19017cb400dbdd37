"""The accuracy report."""

from ..raster.source import Source
from ..report import Section, figure, page, paragraph, provenance, table
from .compare import Comparison
from .error_map import draw_error_map
from .metrics import METRICS, all_metrics


def accuracy_report(
    comparison: Comparison, predicted: str, reference: str, image: Source | None
) -> str:
    """Return the report as an HTML page.

    Args:
        comparison: what was found.
        predicted: name of the map that was judged.
        reference: name of the truth.
        image: background of the error map; None for none.
    """
    return page(
        "Accuracy of the landslide map",
        [
            _metrics(comparison),
            _objects(comparison),
            _confusion(comparison),
            _error_map(comparison, image),
            provenance({"Predicted": predicted, "Reference": reference}),
        ],
        lead=summary(comparison),
    )


def summary(comparison: Comparison) -> str:
    """Return the result in two sentences."""
    values = all_metrics(comparison.confusion)
    total, hit = comparison.reference
    return (
        f"The map finds {_percent(values['recall'])} of the landslide area, and "
        f"{_percent(values['precision'])} of what it maps is landslide (F1 {_short(values['f1'])}, "
        f"IoU {_short(values['iou_landslide'])}). It touches {hit:,} of the reference's {total:,} "
        "landslides."
    )


def _metrics(comparison: Comparison) -> Section:
    counts = comparison.confusion
    ours, empty = all_metrics(counts), all_metrics(counts.without_landslides())
    rows = [
        (metric.title, ours[key], empty[key], metric.definition) for key, metric in METRICS.items()
    ]
    share = (counts.tp + counts.fn) / counts.total
    note = (
        f"Landslide is {100 * share:.2f} % of the {counts.total:,} pixels compared. The third "
        "column is what a map without any landslide scores on the same pixels: a metric that is "
        "high there says little. Pixels of one landslide are not independent, so the number of "
        "pixels says nothing about the uncertainty of these figures."
    )
    header = ("Metric", "This map", "No landslide anywhere", "Meaning")
    return Section("Metrics", table(header, rows) + paragraph(note))


def _objects(comparison: Comparison) -> Section:
    pairs = {
        "of the reference, touched by the map": comparison.reference,
        "of the map, touching the reference": comparison.predicted,
    }
    rows = [
        (name, touched, total, touched / total if total else None)
        for name, (total, touched) in pairs.items()
    ]
    return Section("Landslides", table(("Landslides", "Touched", "All", "Share"), rows))


def _confusion(comparison: Comparison) -> Section:
    counts = comparison.confusion
    header = ("Pixels", "Reference: landslide", "Reference: background", "Sum")
    rows = [
        ("Map: landslide", counts.tp, counts.fp, counts.tp + counts.fp),
        ("Map: background", counts.fn, counts.tn, counts.fn + counts.tn),
        ("Sum", counts.tp + counts.fn, counts.fp + counts.tn, counts.total),
    ]
    return Section("Confusion matrix", table(header, rows))


def _error_map(comparison: Comparison, image: Source | None) -> Section:
    note = f"Where the map is right and wrong, {comparison.map_grid.describe()}."
    if comparison.step > 1:
        note += (
            f" One pixel of the picture stands for {comparison.step} x {comparison.step}; its "
            "colour is that of most of the landslide in it, so small landslides look larger."
        )
    drawing = draw_error_map(comparison, image)
    alt = "Map of landslide that was found, missed and falsely mapped"
    return Section("Error map", figure(drawing, alt, note))


def _percent(value: float | None) -> str:
    return "an undefined share" if value is None else f"{100 * value:.1f} %"


def _short(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
