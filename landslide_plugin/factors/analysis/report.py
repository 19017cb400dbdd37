"""The report of a factor analysis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...core.provenance import Provenance
from ...reports.page import lettering, png, provenance, render
from .counts import Factor, Interval, Sample
from .importance import FOLDS, REPEATS, TREES, Importance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN_CLASSES = 20
"""Classes of a factor that are drawn, the largest; the table holds all."""
STRONG = 0.7
"""Correlation from which a pair of factors is named (Dormann et al. 2013, Ecography 36:27)."""

_UNITS = {
    "elevation": "m", "slope": "deg", "aspect": "deg", "curvature": "1/m", "plan_curvature": "1/m",
    "profile_curvature": "1/m", "tpi": "m", "tri": "m", "roughness": "m",
}  # fmt: skip
_MORE, _LESS, _NEUTRAL = "#d55e00", "#7a93a8", "#0072b2"
_WIDTH = 4.6
_DPI = 170


@dataclass(frozen=True)
class FactorResult:
    """What was found of one factor; measures are None where there is nothing to measure.

    Attributes:
        factor: which.
        varies: whether it has more than one value.
        intervals: its intervals or classes.
        gini: Gini importance.
        permutation: mean loss of AUC.
        deviation: standard deviation of that.
        auc: AUC of its values; below 0.5 landslides have low values. None where they have no
            order, as classes and directions.
        auc_intervals: AUC of its intervals ranked by landslide frequency.
        vif: variance inflation.
    """

    factor: Factor
    varies: bool
    intervals: list[Interval]
    gini: float | None
    permutation: float | None
    deviation: float | None
    auc: float | None
    auc_intervals: float | None
    vif: float | None


@dataclass(frozen=True, eq=False)
class Analysis:
    """What was found of all factors.

    Attributes:
        factors: in the stack's order.
        sample: what the forests were trained on.
        correlation: of the bands.
        importance: what the forests found.
    """

    factors: list[FactorResult]
    sample: Sample
    correlation: NDArray[np.float64]
    importance: Importance


def analysis_report(analysis: Analysis, origin: Provenance) -> str:
    """Return the report as an HTML page."""
    ranked, sample, importance = _ranked(analysis), analysis.sample, analysis.importance
    pixels = sample.background_pixels + sample.landslide_pixels
    ginis = [each.gini or 0 for each in ranked]
    losses = [each.permutation or 0 for each in ranked]
    spread = [each.deviation or 0 for each in ranked]
    names, matrix = _correlation(analysis)
    return render(
        "factors/analysis/report.html",
        provenance(origin),
        summary=summary(analysis),
        permutation=png(_bars(ranked, losses, spread, "AUC lost when shuffled"), _DPI)
        if importance.permutation
        else None,
        gini=png(_bars(ranked, ginis, None, "Gini importance"), _DPI),
        folds=len(importance.auc_blocks),
        repeats=REPEATS,
        importance=[
            (
                each.factor.name, each.permutation, each.deviation, each.gini, each.auc,
                each.auc_intervals, each.vif,
            )
            for each in ranked
        ],
        separation=_separation(importance),
        block_side=f"{importance.block_metres:,.0f}",
        ratios=[(each.factor.name, png(_ratios(each), _DPI)) for each in ranked],
        strong=f"{STRONG:g}",
        correlation=png(_heatmap(matrix, names), dpi=130) if len(names) > 1 else None,
        pairs=_strong_pairs(matrix, names),
        sample=sample,
        sampled=int(sample.landslide.sum()),
        percent=f"{100 * sample.landslide_pixels / pixels:.2f}",
        trees=TREES,
        most_folds=FOLDS,
        constant=[each.factor.name for each in analysis.factors if not each.varies],
    )  # fmt: skip


def summary(analysis: Analysis) -> str:
    """Return the result in two sentences."""
    ranked = _ranked(analysis)
    by = "permutation in unseen blocks" if analysis.importance.permutation else "Gini importance"
    names = [each.factor.name for each in ranked if (_score(each) or 0) > 0][:3]
    first = f"Of {len(ranked)} factors none helps to tell landslides from other ground ({by})."
    if names:
        verb = "matters" if len(names) == 1 else "matter"
        joined = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
        first = f"Of {len(ranked)} factors, {joined} {verb} most, by {by}."
    blocks, drawn = analysis.importance.auc_blocks, analysis.importance.auc_random
    if not blocks:
        return first
    return (
        f"{first} Together they tell landslide pixels from others with an AUC of "
        f"{np.mean(blocks):.2f} in blocks not trained on ({np.mean(drawn):.2f} when pixels are "
        "left out at random, where neighbours leak)."
    )


def _separation(importance: Importance) -> list[tuple[object, ...]]:
    """Return mean, extremes and number of the forest's AUC for both ways of leaving pixels out."""
    return [
        (name, float(np.mean(scores)), min(scores), max(scores), len(scores))
        for name, scores in (
            ("In blocks not trained on", importance.auc_blocks),
            ("On pixels left out at random", importance.auc_random),
        )
        if scores
    ]


def _correlation(analysis: Analysis) -> tuple[list[str], NDArray[np.float64]]:
    """Return the factors of values that vary, and how they correlate."""
    shown = [each.factor for each in analysis.factors if each.varies and not each.factor.classes]
    bands = [factor.bands[0] for factor in shown]
    return [factor.name for factor in shown], analysis.correlation[np.ix_(bands, bands)]


def _strong_pairs(matrix: NDArray[np.float64], names: list[str]) -> list[str]:
    return [
        f"{names[row]} and {names[column]}: {matrix[row, column]:.2f}"
        for row, column in zip(*np.triu_indices(len(names), 1), strict=True)
        if abs(matrix[row, column]) >= STRONG
    ]


def _ranked(analysis: Analysis) -> list[FactorResult]:
    """Return the factors that vary, the most important first."""
    varying = [each for each in analysis.factors if each.varies]
    return sorted(varying, key=lambda each: -(_score(each) or 0))


def _score(each: FactorResult) -> float | None:
    return each.gini if each.permutation is None else each.permutation


def _bars(
    ranked: Sequence[FactorResult],
    lengths: Sequence[float],
    spread: Sequence[float] | None,
    label: str,
) -> "Figure":
    """Draw one bar a factor, the first at the top."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(_WIDTH, 0.8 + 0.27 * len(ranked)), layout="constrained")
    axes = drawing.subplots()
    names = [lettering(each.factor.name) for each in ranked]
    axes.barh(names, lengths, xerr=spread, color=_NEUTRAL, height=0.7, ecolor="#444")
    axes.axvline(0, color="#444", linewidth=0.8)
    axes.invert_yaxis()
    axes.set_xlabel(label)
    _plain(axes)
    return drawing


def _ratios(each: FactorResult) -> "Figure":
    """Draw the frequency ratio of each interval or class."""
    from matplotlib.figure import Figure

    total = sum(interval.pixels for interval in each.intervals)
    intervals = [interval for interval in each.intervals if interval.pixels]
    if each.factor.classes:
        intervals = sorted(intervals, key=lambda item: -item.pixels)[:SHOWN_CLASSES]
    ratios = [interval.ratio or 0 for interval in intervals]
    drawing = Figure(figsize=(_WIDTH, 0.95 + 0.3 * len(ratios)), layout="constrained")
    axes = drawing.subplots()
    positions = np.arange(len(ratios))
    axes.barh(
        positions, ratios, color=[_MORE if ratio > 1 else _LESS for ratio in ratios], height=0.7
    )
    axes.axvline(1, color="#444", linewidth=0.8, linestyle="--")
    axes.set_yticks(positions, _labels(intervals))
    right = max(*ratios, 1) * 1.45
    for position, (interval, ratio) in enumerate(zip(intervals, ratios, strict=True)):
        text = f"{ratio:.2f}, {100 * interval.pixels / total:.0f} % of area"
        axes.text(right, position, text, va="center", ha="right", fontsize=8, color="#333")
    axes.set_xlim(0, right)
    axes.invert_yaxis()
    unit = unit_of(each.factor)
    name = lettering(each.factor.name)
    axes.set_title(f"{name} ({unit})" if unit else name, fontsize=10)
    axes.set_xlabel("Frequency ratio")
    _plain(axes)
    return drawing


def _heatmap(matrix: NDArray[np.float64], names: Sequence[str]) -> "Figure":
    from matplotlib.figure import Figure

    side = 1.9 + 0.36 * len(names)
    drawing = Figure(figsize=(side + 0.4, side), layout="constrained")
    axes = drawing.subplots()
    image = axes.imshow(matrix, vmin=-1, vmax=1, cmap="RdBu_r")
    names = [lettering(name) for name in names]
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    for (row, column), value in np.ndenumerate(matrix):
        colour = "white" if abs(value) > 0.6 else "black"
        text = f"{value:.1f}".replace("-0.0", "0.0")
        axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    bar = drawing.colorbar(image, ax=axes, shrink=0.7)
    bar.ax.tick_params(labelsize=8)
    bar.set_label("Pearson's r", fontsize=8)
    return drawing


def _plain(axes: "Axes") -> None:
    axes.tick_params(labelsize=8.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)


def _labels(intervals: Sequence[Interval]) -> list[str]:
    """Return class names, or bounds with as many decimals as their range asks for."""
    lows = [interval.low for interval in intervals if interval.low is not None]
    highs = [interval.high for interval in intervals if interval.high is not None]
    if not lows:
        names = [interval.label for interval in intervals]
        return [lettering(name if len(name) <= 24 else f"{name[:23]}…") for name in names]
    span = max(highs) - min(lows)
    decimals = max(0, 2 - int(np.floor(np.log10(span)))) if span > 0 else 2
    return [
        f"{low:.{decimals}f} to {high:.{decimals}f}" for low, high in zip(lows, highs, strict=True)
    ]


def unit_of(factor: Factor) -> str:
    """Return what a factor counts in, as its drawing says; "" where its name does not tell."""
    if factor.of_levels:
        return "level"
    return "m" if factor.name.endswith("_distance") else _UNITS.get(factor.name, "")
