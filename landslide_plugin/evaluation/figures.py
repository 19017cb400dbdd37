"""The charts of the accuracy report."""

from typing import TYPE_CHECKING

import numpy as np

from ..reports.axes import number_logarithmic
from ..reports.page import lettering
from .compare import Comparison
from .objects import area_frequency
from .probability import Probabilities

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#7f7f7f"]
"""Of maps: Okabe and Ito's, told apart by colour-blind readers too, and two more."""
_REFERENCE = "#23262a"
_QUIET = "#9aa0a6"
_BINS_A_DECADE = 4

Curves = list[tuple[str, str, Probabilities]]
"""Name, colour and counts of each map that is a probability."""


def draw_precision_recall(maps: Curves, thresholds: list[float]) -> "Figure":
    """Draw precision against recall, with the thresholds used marked and the landslide share."""
    figure, axes = _axes()
    highest = 0.0
    for (name, colour, probabilities), threshold in zip(maps, thresholds, strict=True):
        curve = probabilities.curve()
        if curve is None:
            continue
        thin = curve.thinned()
        axes.plot(thin.recall, thin.precision, color=colour, label=lettering(name))
        highest = max(highest, float(thin.precision.max()))
        above = curve.threshold >= threshold
        if above.any():
            index = int(above.sum()) - 1
            axes.plot(curve.recall[index], curve.precision[index], "o", color=colour)
    fraction = maps[0][2].prevalence or 0.0
    axes.axhline(fraction, color=_QUIET, linestyle="--", label="landslide share (no skill)")
    axes.plot([], [], "o", color=_QUIET, label=f"at {_named(thresholds)}")
    axes.set(xlabel="Recall", ylabel="Precision", xlim=(0, 1), ylim=(0, _top(highest)))
    return _finished(figure, axes)


def draw_thresholds(maps: Curves, thresholds: list[float]) -> "Figure":
    """Draw F1 against the threshold, with the best one and the ones used marked."""
    figure, axes = _axes()
    highest = 0.0
    for name, colour, probabilities in maps:
        curve = probabilities.curve()
        if curve is None:
            continue
        thin = curve.thinned()
        axes.plot(thin.threshold, thin.f1, color=colour, label=lettering(name))
        highest = max(highest, curve.best[1])
        axes.plot(*curve.best, "*", color=colour, markersize=11)
    axes.plot([], [], "*", color=_QUIET, markersize=11, label="highest F1")
    several = len(set(thresholds)) > 1
    for (_, colour, _), threshold in zip(maps, thresholds, strict=True):
        axes.axvline(threshold, color=colour if several else _QUIET, linestyle="--")
    axes.plot([], [], color=_QUIET, linestyle="--", label=_named(thresholds))
    axes.set(xlabel="Threshold (probability)", ylabel="F1", xlim=(0, 1), ylim=(0, _top(highest)))
    return _finished(figure, axes)


def draw_reliability(maps: Curves) -> "Figure":
    """Draw the share of landslide against the probability, in ten bins."""
    figure, axes = _axes()
    axes.plot([0, 1], [0, 1], color=_QUIET, linestyle="--", label="reliable")
    for name, colour, reliability in maps:
        bins = reliability.reliability()
        used = bins.pixels > 0
        label = lettering(name)
        axes.plot(bins.probability[used], bins.share[used], "o-", color=colour, label=label)
    axes.set(
        xlabel="Mean probability of the bin", ylabel="Share of landslide", xlim=(0, 1), ylim=(0, 1)
    )
    return _finished(figure, axes)


def area_edges(comparison: Comparison) -> np.ndarray:
    """Return area bins of equal width in logarithm that hold all landslides, square metres."""
    every = [comparison.reference.area, *(one.landslides.area for one in comparison.results)]
    areas = np.concatenate(every)
    if not len(areas):
        return np.array([1.0, 10.0])
    low = np.floor(np.log10(areas.min()) * _BINS_A_DECADE)
    high = np.floor(np.log10(areas.max()) * _BINS_A_DECADE) + 1
    return 10 ** (np.arange(low, high + 1) / _BINS_A_DECADE)


def draw_area_frequency(comparison: Comparison, maps: list[tuple[str, str]]) -> "Figure":
    """Draw the probability density of landslide area, both axes in logarithm.

    Args:
        comparison: what was compared.
        maps: name and colour of each.
    """
    figure, axes = _axes()
    edges = area_edges(comparison)
    middles = np.sqrt(edges[:-1] * edges[1:])
    sets = [("reference", _REFERENCE, comparison.reference.area)]
    for (name, colour), one in zip(maps, comparison.results, strict=True):
        sets.append((name, colour, one.landslides.area))
    for name, colour, areas in sets:
        counts, density = area_frequency(areas, edges)
        used = counts > 0
        label = f"{lettering(name)} ({len(areas):,})"
        axes.loglog(middles[used], density[used], "o-", color=colour, markersize=4, label=label)
    axes.set(xlabel="Landslide area (m²)", ylabel="Probability density (1/m²)")
    number_logarithmic(axes.xaxis, edges[0], edges[-1], figure.get_figwidth())
    return _finished(figure, axes)


def _named(thresholds: list[float]) -> str:
    several = list(dict.fromkeys(thresholds))
    return f"threshold{'s' if len(several) > 1 else ''} {', '.join(f'{one:g}' for one in several)}"


def _axes() -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.2))
    return figure, figure.subplots()


def _finished(figure: "Figure", axes: "Axes") -> "Figure":
    axes.grid(color="#eceae4")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=1, frameon=False, fontsize=9)
    return figure


def _top(highest: float) -> float:
    """Return an upper limit for shares that leaves little of the chart empty."""
    return min(1.02, max(1.15 * highest, 0.05))
