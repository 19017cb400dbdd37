"""The report of a factor analysis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...core.provenance import Provenance
from ...reports.page import (
    Section,
    figure,
    gallery,
    lettering,
    listing,
    page,
    paragraph,
    provenance,
    table,
)
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
        auc: AUC of its values; below 0.5 landslides have low values.
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
    return page(
        "Factors and landslides",
        [
            Section("Importance", _importance(analysis)),
            Section("How far the factors tell landslides", _separation(analysis)),
            Section("Landslide frequency", _frequency(analysis)),
            Section("Factors that say the same", _dependence(analysis)),
            Section("Data", _data(analysis)),
            provenance(origin),
        ],
        lead=summary(analysis),
    )


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


def _importance(analysis: Analysis) -> str:
    ranked = _ranked(analysis)
    figures = [
        figure(
            _bars(ranked, [each.gini or 0 for each in ranked], None, "Gini importance"),
            "Gini importance of each factor",
            dpi=_DPI,
        )
    ]
    if analysis.importance.permutation:
        losses = [each.permutation or 0 for each in ranked]
        spread = [each.deviation or 0 for each in ranked]
        figures.insert(
            0,
            figure(
                _bars(ranked, losses, spread, "AUC lost when shuffled"),
                "Permutation importance of each factor",
                dpi=_DPI,
            ),
        )
    header = (
        "Factor", "Permutation", "Deviation", "Gini", "AUC alone", "AUC of intervals", "VIF",
    )  # fmt: skip
    rows = [
        (
            each.factor.name, each.permutation, each.deviation, each.gini, each.auc,
            each.auc_intervals, each.vif,
        )
        for each in ranked
    ]  # fmt: skip
    return (
        gallery(figures)
        + paragraph(
            "Read the permutation importance first: the loss of AUC, in blocks that the forest "
            "has not seen, when a factor's values are shuffled; lines are one standard deviation "
            f"over {len(analysis.importance.auc_blocks)} folds and {REPEATS} shuffles. The Gini "
            "importance, as Gao et al. 2021 report it, comes from the training pixels and is "
            "biased: it favours continuous factors of many values over classes and levels, and "
            "gives something even to noise (Strobl et al. 2007). Factors that say the same share "
            "their importance in both, so a low one may still be a good factor alone."
        )
        + table(header, rows)
        + paragraph(
            "AUC alone ranks pixels by the factor's values: 0.5 tells nothing, below 0.5 "
            "landslides have low values; classes have none. AUC of intervals ranks them by the "
            "landslide frequency of their interval or class, so that it sees a factor whose "
            "middle values matter. VIF is variance inflation: above 5 to 10, the other factors "
            "say the same, and at inf they determine the factor; for classes it is the "
            "generalised factor brought to one degree of freedom (Fox and Monette 1992)."
        )
    )


def _separation(analysis: Analysis) -> str:
    rows = [
        (name, float(np.mean(scores)), min(scores), max(scores), len(scores))
        for name, scores in (
            ("In blocks not trained on", analysis.importance.auc_blocks),
            ("On pixels left out at random", analysis.importance.auc_random),
        )
        if scores
    ]
    if not rows:
        return paragraph("There are too few landslide pixels to train and test a forest.")
    header = ("AUC of the forest", "Mean", "Lowest fold", "Highest fold", "Folds")
    return table(header, rows) + paragraph(
        "Pixels of one landslide look alike. Left out at random they have neighbours in the "
        "training, so that the forest knows them by their place rather than by their factors; "
        "the gap between the two rows shows it. The first row is what to expect of an unseen "
        f"area nearby. Blocks are squares of {analysis.importance.block_metres:,.0f} m; where "
        "that is less than a landslide's length, blocks leak too."
    )


def _frequency(analysis: Analysis) -> str:
    figures = [
        figure(_ratios(each), f"Frequency ratio by interval of {each.factor.name}", dpi=_DPI)
        for each in _ranked(analysis)
    ]
    return paragraph(
        "Each bar is a natural-break interval (Jenks) or a class. Its length is the frequency "
        "ratio: the share of landslide pixels there over the share in the whole area; above 1, "
        "in orange, landslides are more frequent than elsewhere. To the right stand the ratio and "
        "how much of the area the interval covers: a ratio on a sliver of the area says little. "
        "All valid pixels are counted."
    ) + gallery(figures)


def _dependence(analysis: Analysis) -> str:
    shown = [each.factor for each in analysis.factors if each.varies and not each.factor.classes]
    if len(shown) < 2:
        return paragraph("There are fewer than two factors of values to correlate.")
    bands = [factor.bands[0] for factor in shown]
    matrix = analysis.correlation[np.ix_(bands, bands)]
    names = [factor.name for factor in shown]
    pairs = [
        f"{names[row]} and {names[column]}: {matrix[row, column]:.2f}"
        for row, column in zip(*np.triu_indices(len(names), 1), strict=True)
        if abs(matrix[row, column]) >= STRONG
    ]
    found = listing(pairs) if pairs else paragraph("No pair reaches that.")
    return (
        figure(_heatmap(matrix, names), "Correlation matrix of the factors", dpi=130)
        + paragraph(
            "Pearson's correlation over all valid pixels. Of a pair at or above "
            f"{STRONG:g} or at or below -{STRONG:g}, one could be left out:"
        )
        + found
    )


def _data(analysis: Analysis) -> str:
    sample = analysis.sample
    pixels = sample.background_pixels + sample.landslide_pixels
    rows: list[tuple[str, object]] = [
        ("Valid pixels", pixels),
        ("Landslide pixels", sample.landslide_pixels),
        ("Landslide share", f"{100 * sample.landslide_pixels / pixels:.2f} %"),
        ("Sampled landslide pixels", int(sample.landslide.sum())),
        ("Sampled other pixels", int((~sample.landslide).sum())),
        ("Forest", f"{TREES} trees, at most {FOLDS} folds"),
    ]
    constant = [each.factor.name for each in analysis.factors if not each.varies]
    if constant:
        rows.append(("Constant, not analysed", ", ".join(constant)))
    return table((), rows)


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
    places = np.arange(len(ratios))
    axes.barh(places, ratios, color=[_MORE if ratio > 1 else _LESS for ratio in ratios], height=0.7)
    axes.axvline(1, color="#444", linewidth=0.8, linestyle="--")
    axes.set_yticks(places, _labels(intervals))
    right = max(*ratios, 1) * 1.45
    for place, (interval, ratio) in enumerate(zip(intervals, ratios, strict=True)):
        text = f"{ratio:.2f}, {100 * interval.pixels / total:.0f} % of area"
        axes.text(right, place, text, va="center", ha="right", fontsize=8, color="#333")
    axes.set_xlim(0, right)
    axes.invert_yaxis()
    unit = _unit(each.factor.name)
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


def _unit(name: str) -> str:
    return "m" if name.endswith("_distance") else _UNITS.get(name, "")
