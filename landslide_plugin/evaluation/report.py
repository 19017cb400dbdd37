"""The accuracy report."""

from dataclasses import dataclass

from ..core.provenance import Provenance
from ..raster.source import Source
from ..reports.page import png, provenance, render
from .compare import Comparison, Result
from .error_map import draw_error_map
from .figures import draw_area_frequency, draw_precision_recall, draw_reliability, draw_thresholds
from .intervals import DRAWS, FEWEST_BLOCKS, Interval
from .scores import SCORES, SIZES, Values

_CHIEF = ("f1", "iou_landslide", "precision", "recall", "kappa", "matching", "boundary_f",
          "hit_rate", "false_alarms_km2", "average_precision")  # fmt: skip
_DIFFERENCES = ("f1", "iou_landslide", "precision", "recall", "hit_rate", "false_alarms_km2")
_GROUPS = ("pixels", "area", "landslides", "probability")

Rows = list[tuple[object, ...]]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A map with its scores.

    Attributes:
        name: of the map.
        colour: of its curves.
        threshold: the least probability of landslide; None of masks and polygons.
        result: what was counted.
        values: its scores.
        intervals: of the scores that have one.
        no_landslide: what a map without landslide scores.
        all_landslide: what a map of nothing but landslide scores.
        differences: from the first map's scores, with intervals; empty for the first.
    """

    name: str
    colour: str
    threshold: float | None
    result: Result
    values: Values
    intervals: dict[str, Interval]
    no_landslide: Values
    all_landslide: Values
    differences: dict[str, tuple[float | None, Interval]]


@dataclass(frozen=True)
class Setting:
    """How a comparison was made.

    Attributes:
        block_side: of the blocks drawn for intervals, metres.
        blocks: how many there are.
        notes: what was done to the layers, and what to beware of.
        sources: role of each layer to its path.
    """

    block_side: float
    blocks: int
    notes: list[str]
    sources: dict[str, str]


def accuracy_report(
    comparison: Comparison,
    maps: list[Judged],
    setting: Setting,
    image: Source | None,
    origin: Provenance,
) -> str:
    """Return the report as an HTML page.

    Args:
        comparison: what was found.
        maps: the maps that were judged.
        setting: how.
        image: background of the error maps; None for none.
        origin: the run.
    """
    counts = maps[0].result.confusion
    curves = [(one.name, one.colour) for one in maps]
    return render(
        "evaluation/report.html",
        provenance(origin, setting.sources),
        summary=summary(comparison, maps),
        maps=[
            {
                "name": one.name,
                "error_map": png(draw_error_map(comparison, one.result, image)),
                "scores": {group: _scores(group, one, maps[0]) for group in _GROUPS},
                "confusion": one.result.confusion,
            }
            for one in maps
        ],
        chief=_side_by_side(maps),
        differences=_differences(maps),
        picture_grid=comparison.map_grid.describe(),
        step=comparison.step,
        with_interval=[group for group in _GROUPS if _has_interval(group, maps[0])],
        percent=f"{100 * (counts.tp + counts.fn) / counts.total:.2f}",
        pixels=f"{counts.total:,}",
        area=f"{comparison.area / 1e6:,.4g}",
        sizes=_sizes(comparison, maps),
        area_frequency=png(draw_area_frequency(comparison, curves)),
        charts=_charts(maps),
        blocks=setting.blocks,
        block_side=f"{setting.block_side:,.0f}",
        fewest_blocks=FEWEST_BLOCKS,
        draws=f"{DRAWS:,}",
        grid=comparison.grid.describe(),
        resolution=f"{comparison.grid.resolution:.4g}",
        tolerance=f"{comparison.tolerance:.4g}",
        notes=setting.notes,
    )


def summary(comparison: Comparison, maps: list[Judged]) -> str:
    """Return the result in a few sentences, of the first map and of the best by F1."""
    first = maps[0]
    total, hit = len(comparison.reference), int(first.result.reference_agreement.touched.sum())
    name = "The map" if len(maps) == 1 else first.name
    text = (
        f"{name} finds {_percent(first.values['recall'])} of the landslide area, and "
        f"{_percent(first.values['precision'])} of what it maps is landslide (F1 "
        f"{_short(first.values['f1'])}, IoU {_short(first.values['iou_landslide'])}). It touches "
        f"{hit:,} of the reference's {total:,} landslides."
    )
    best = max(maps, key=lambda one: one.values["f1"] or 0.0)
    if len(maps) > 1:
        text += f" Of the {len(maps)} maps {best.name} has the highest F1, "
        text += f"{_short(best.values['f1'])}."
    return text


def _side_by_side(maps: list[Judged]) -> Rows:
    """Return the chief scores of all maps and of the two that need no work."""
    # what trivial maps score as a probability is known where a map is one
    last = max(maps, key=lambda one: one.result.probabilities is not None)
    columns = [*(one.values for one in maps), last.no_landslide, last.all_landslide]
    return [(SCORES[key].title, *(values[key] for values in columns)) for key in _CHIEF]


def _differences(maps: list[Judged]) -> Rows:
    return [
        (one.name, SCORES[key].title, value, _bounds(bounds), _verdict(bounds))
        for one in maps[1:]
        for key in _DIFFERENCES
        for value, bounds in [one.differences[key]]
    ]


def _scores(group: str, one: Judged, first: Judged) -> Rows:
    """Return the scores of a group, with a cell for intervals where the first map has some."""
    if group == "probability" and one.result.probabilities is None:
        return []
    sure = _has_interval(group, first)
    return [
        (
            score.title,
            one.values[key],
            *([_bounds(one.intervals[key]) if key in one.intervals else ""] if sure else []),
            one.no_landslide[key],
            one.all_landslide[key],
            score.definition,
        )
        for key, score in SCORES.items()
        if score.group == group
    ]


def _has_interval(group: str, one: Judged) -> bool:
    return any(SCORES[key].group == group for key in one.intervals)


def _sizes(comparison: Comparison, maps: list[Judged]) -> Rows:
    areas = comparison.reference.area
    rows: Rows = []
    for one in maps:
        for words, low, high in SIZES.values():
            of_size = (areas >= low) & (areas < high)
            touched = int(one.result.reference_agreement.touched[of_size].sum())
            sizes = one.result.landslides.area
            mapped = int(((sizes >= low) & (sizes < high)).sum())
            rows.append((one.name, words, int(of_size.sum()), touched, mapped))
    return rows


def _charts(maps: list[Judged]) -> dict[str, str]:
    """Return the pictures of the maps of probability; none where no map is one."""
    probable = [
        (one.name, one.colour, one.result.probabilities)
        for one in maps
        if one.result.probabilities is not None
    ]
    thresholds = [one.threshold for one in maps if one.threshold is not None]
    if not probable:
        return {}
    return {
        "precision_recall": png(draw_precision_recall(probable, thresholds)),
        "thresholds": png(draw_thresholds(probable, thresholds)),
        "reliability": png(draw_reliability(probable)),
    }


def _bounds(bounds: Interval) -> str:
    return "undefined" if bounds is None else f"{bounds[0]:.3f}\u00a0to\u00a0{bounds[1]:.3f}"


def _verdict(bounds: Interval) -> str:
    if bounds is None:
        return ""
    return "differs" if bounds[0] > 0 or bounds[1] < 0 else "may be chance"


def _percent(value: float | None) -> str:
    return "an undefined share" if value is None else f"{100 * value:.1f} %"


def _short(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
