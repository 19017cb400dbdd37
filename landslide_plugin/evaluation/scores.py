"""Every score of a map, and what the two maps that need no work score beside it."""

from dataclasses import dataclass

import numpy as np

from .compare import Comparison, Result
from .metrics import METRICS, Confusion, all_metrics
from .objects import MATCH, size_distance

Values = dict[str, float | None]
"""Key of `SCORES` to value; None where undefined."""

SIZES = {
    "small": ("below 1,000 m²", 0.0, 1e3),
    "medium": ("1,000 to 10,000 m²", 1e3, 1e4),
    "large": ("10,000 to 100,000 m²", 1e4, 1e5),
    "very_large": ("from 100,000 m²", 1e5, np.inf),
}
"""Size classes of landslides: words, and area from and below in square metres."""


@dataclass(frozen=True)
class Score:
    """A score and how a report explains it.

    Attributes:
        group: "pixels", "area", "landslides" or "probability".
        title: its name in words.
        definition: one line.
    """

    group: str
    title: str
    definition: str


SCORES = {
    **{key: Score("pixels", one.title, one.definition) for key, one in METRICS.items()},
    "area_bias": Score("area", "Area bias", "mapped area / reference area - 1; 0 is unbiased"),
    "mapping_error": Score(
        "area",
        "Mapping error E",
        "(union - intersection) / union of the landslide areas (Carrara et al. 1992)",
    ),
    "matching": Score(
        "area",
        "Degree of matching M",
        "1 - E, intersection / union of the areas (Galli et al. 2008)",
    ),
    "matching_median": Score(
        "area",
        "Matching of single landslides",
        "median over the touched reference landslides of M with the best landslide of the map",
    ),
    "boundary_f": Score(
        "area", "Boundary F", "harmonic mean of boundary precision and recall within the tolerance"
    ),
    "boundary_precision": Score(
        "area", "Boundary precision", "share of the mapped outline near the reference's"
    ),
    "boundary_recall": Score(
        "area", "Boundary recall", "share of the reference's outline that has the map's near"
    ),
    "hit_rate": Score(
        "landslides", "Hit rate", "share of the reference's landslides that the map touches"
    ),
    **{
        f"hit_rate_{key}": Score("landslides", f"Hit rate, {words}", "of that area alone")
        for key, (words, _, _) in SIZES.items()
    },
    "false_alarms_km2": Score(
        "landslides",
        "False alarms per km²",
        "mapped landslides that touch none of the reference, per km² compared",
    ),
    "object_precision": Score(
        "landslides", "Precision, landslides", f"share of the mapped ones matched at IoU > {MATCH}"
    ),
    "object_recall": Score(
        "landslides",
        "Recall, landslides",
        f"share of the reference's ones matched at IoU > {MATCH}",
    ),
    "object_f1": Score("landslides", "F1, landslides", "harmonic mean of the two"),
    "size_distance": Score(
        "landslides",
        "Distance of size distributions",
        "greatest gap of the cumulative area distributions (Kolmogorov-Smirnov), 0 is equal",
    ),
    "average_precision": Score(
        "probability",
        "Average precision",
        "area under the precision-recall curve, without interpolation",
    ),
    "roc_auc": Score(
        "probability",
        "ROC AUC",
        "chance that a landslide pixel has a higher probability than another",
    ),
    "brier": Score("probability", "Brier score", "mean squared error of the probability; 0 best"),
    "brier_skill": Score(
        "probability", "Brier skill", "1 - Brier score / that of the landslide share everywhere"
    ),
    "calibration_error": Score(
        "probability",
        "Calibration error",
        "mean gap of probability and landslide share in ten bins",
    ),
    "best_threshold": Score(
        "probability", "Best threshold", "the one with the highest F1 and IoU on these pixels"
    ),
    "best_f1": Score("probability", "F1 at the best threshold", "chosen on these very pixels"),
}
"""Every score by its key, which is also that of the JSON file and, in capitals, of the output."""


def scores(comparison: Comparison, result: Result) -> Values:
    """Return all scores of a map."""
    values: Values = dict.fromkeys(SCORES)
    values |= all_metrics(result.confusion)
    tp, fp, fn, _ = result.areas
    values |= _areas(tp, fp, fn)
    touched = result.reference_agreement.touched
    if touched.any():
        values["matching_median"] = float(np.median(result.reference_agreement.best[touched]))
    boundary = result.boundary
    values |= {
        "boundary_f": boundary.f_score,
        "boundary_precision": boundary.precision,
        "boundary_recall": boundary.recall,
        "hit_rate": _fraction(touched),
        "false_alarms_km2": float((~result.right.touched).sum() / (comparison.area / 1e6)),
        "size_distance": size_distance(
            comparison.reference.area, result.landslides.area, comparison.mean_pixel
        ),
    }
    for key, (_, low, high) in SIZES.items():
        of_size = (comparison.reference.area >= low) & (comparison.reference.area < high)
        values[f"hit_rate_{key}"] = _fraction(touched[of_size])
    matched, right = result.reference_agreement.matched, result.right.matched
    # each match is one landslide of both, so these are the counts of a confusion matrix
    objects = Confusion(int(right.sum()), int((~right).sum()), int((~matched).sum()))
    for key in ("precision", "recall", "f1"):
        values[f"object_{key}"] = METRICS[key].value(objects)
    return values | _probability(result)


def no_landslide(comparison: Comparison, result: Result) -> Values:
    """Return what a map without any landslide scores on the same pixels."""
    tp, _, fn, _ = result.areas
    values = _trivial(comparison, result, result.confusion.without_landslides(), 0.0)
    if len(comparison.reference):
        values |= {"object_recall": 0.0, "object_f1": 0.0}
    return values | _areas(0, 0, tp + fn) | {"false_alarms_km2": 0.0}


def all_landslide(comparison: Comparison, result: Result) -> Values:
    """Return what a map of nothing but landslide scores on the same pixels."""
    tp, fp, fn, tn = result.areas
    values = _trivial(comparison, result, result.confusion.all_landslide(), 1.0)
    return values | _areas(tp + fn, fp + tn, 0)


def _trivial(comparison: Comparison, result: Result, counts: Confusion, value: float) -> Values:
    """Return what holds for a map of one value everywhere, which has no outline and no skill."""
    values: Values = dict.fromkeys(SCORES)
    values |= all_metrics(counts)
    boundary = result.boundary
    if boundary.reference:
        values |= {"boundary_f": 0.0, "boundary_recall": 0.0}
    areas = comparison.reference.area
    for key, low, high in (
        ("hit_rate", 0.0, np.inf),
        *((f"hit_rate_{name}", low, high) for name, (_, low, high) in SIZES.items()),
    ):
        if ((areas >= low) & (areas < high)).any():
            values[key] = value
    if result.probabilities is not None and result.probabilities.prevalence is not None:
        fraction = result.probabilities.prevalence
        brier = 1 - fraction if value else fraction
        values |= {"brier": brier, "calibration_error": brier}
        if fraction > 0:
            values["average_precision"] = fraction
        if 0 < fraction < 1:
            values["roc_auc"] = 0.5
            values["brier_skill"] = 1 - brier / (fraction * (1 - fraction))
    return values


def _areas(tp: float, fp: float, fn: float) -> Values:
    """Return bias, mapping error and matching of landslide areas in square metres.

    E = ((A u B) - (A n B)) / (A u B) and M = 1 - E, of the areas A and B of two inventories
    (Carrara et al. 1992, ITC Journal 1992:172; Galli et al. 2008, Geomorphology 94:268). M is the
    IoU of landslide, with pixels weighed by their true area.
    """
    union = tp + fp + fn
    return {
        "area_bias": (tp + fp) / (tp + fn) - 1 if tp + fn else None,
        "mapping_error": (fp + fn) / union if union else None,
        "matching": tp / union if union else None,
    }


def _probability(result: Result) -> Values:
    judged = result.probabilities
    if judged is None:
        return {}
    curve = judged.curve()
    threshold, f1 = curve.best if curve else (None, None)
    return {
        "average_precision": judged.average_precision,
        "roc_auc": judged.roc_auc,
        "brier": judged.brier,
        "brier_skill": judged.brier_skill,
        "calibration_error": judged.reliability().error,
        "best_threshold": threshold,
        "best_f1": f1,
    }


def _fraction(flags: np.ndarray) -> float | None:
    return float(flags.mean()) if len(flags) else None
