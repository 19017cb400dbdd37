"""The accuracy report."""

from dataclasses import dataclass

from ..core.provenance import Provenance
from ..raster.source import Source
from ..reports.page import (
    Section,
    figure,
    gallery,
    listing,
    page,
    paragraph,
    provenance,
    subheading,
    table,
)
from .compare import Comparison, Result
from .error_map import draw_error_map
from .figures import (
    draw_area_frequency,
    draw_precision_recall,
    draw_reliability,
    draw_thresholds,
)
from .intervals import DRAWS, FEWEST_BLOCKS, Interval
from .scores import SCORES, SIZES, Values

_CHIEF = ("f1", "iou_landslide", "precision", "recall", "kappa", "matching", "boundary_f",
          "hit_rate", "false_alarms_km2", "average_precision")  # fmt: skip
_INTERVAL = "95\u00a0%\u00a0interval"
_DIFFERENCES = ("f1", "iou_landslide", "precision", "recall", "hit_rate", "false_alarms_km2")
_GROUPS = {
    "pixels": "Pixels",
    "area": "Areas and outlines",
    "landslides": "Landslides",
    "probability": "Probability",
}


@dataclass(frozen=True)
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
    with_probability = [one for one in maps if one.result.probabilities is not None]
    sections = [_compared(maps)] if len(maps) > 1 else []
    sections += [
        _error_maps(comparison, maps, image),
        Section("Pixels", _tables("pixels", maps) + paragraph(_pixel_note(comparison, maps))),
        Section("Areas and outlines", _tables("area", maps)),
        _landslides(comparison, maps),
    ]
    if with_probability:
        sections.append(_probability(with_probability))
    told = provenance(origin, setting.sources)
    sections += [_confusion(maps), _method(comparison, setting), told]
    title = "Accuracy of the landslide map" + ("s" if len(maps) > 1 else "")
    return page(title, sections, lead=summary(comparison, maps))


def summary(comparison: Comparison, maps: list[Judged]) -> str:
    """Return the result in a few sentences, of the first map and of the best by F1."""
    first = maps[0]
    total, hit = len(comparison.reference), int(first.result.found.touched.sum())
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


def _compared(maps: list[Judged]) -> Section:
    header = ("Score", *(one.name for one in maps), "No landslide", "All landslide")
    # what trivial maps score as a probability is known where a map is one
    last = max(maps, key=lambda one: one.result.probabilities is not None)
    columns = [*(one.values for one in maps), last.no_landslide, last.all_landslide]
    rows = [(SCORES[key].title, *(values[key] for values in columns)) for key in _CHIEF]
    first = maps[0].name
    differences = [
        (one.name, SCORES[key].title, value, _bounds(bounds), _verdict(bounds))
        for one in maps[1:]
        for key in _DIFFERENCES
        for value, bounds in [one.differences[key]]
    ]
    return Section(
        "The maps side by side",
        table(header, rows)
        + paragraph(f"How the other maps differ from {first}, on the same draws of blocks:")
        + table(("Map", "Score", f"Minus {first}", _INTERVAL, ""), differences),
    )


def _error_maps(comparison: Comparison, maps: list[Judged], image: Source | None) -> Section:
    note = f"Where the map is right and wrong, {comparison.map_grid.describe()}."
    if comparison.step > 1:
        note += (
            f" One pixel of the picture stands for {comparison.step} x {comparison.step}; its "
            "colour is that of most of the landslide in it, so small landslides look larger."
        )
    content = ""
    for one in maps:
        alt = f"Map of landslide that {one.name} found, missed and falsely mapped"
        drawing = draw_error_map(comparison, one.result, image)
        title = subheading(one.name) if len(maps) > 1 else ""
        content += title + figure(drawing, alt, "" if len(maps) > 1 else note)
    return Section(
        "Error map" if len(maps) == 1 else "Error maps",
        content + (paragraph(note) if len(maps) > 1 else ""),
    )


def _tables(group: str, maps: list[Judged]) -> str:
    keys = [key for key, score in SCORES.items() if score.group == group]
    sure = any(key in maps[0].intervals for key in keys)
    header = ("Score", "This\u00a0map", *([_INTERVAL] if sure else []), "No landslide",
              "All landslide", "Meaning")  # fmt: skip
    content = ""
    for one in maps:
        rows = [
            (
                SCORES[key].title,
                one.values[key],
                *([_bounds(one.intervals[key]) if key in one.intervals else ""] if sure else []),
                one.no_landslide[key],
                one.all_landslide[key],
                SCORES[key].definition,
            )
            for key in keys
        ]
        content += (subheading(one.name) if len(maps) > 1 else "") + table(header, rows)
    return content


def _pixel_note(comparison: Comparison, maps: list[Judged]) -> str:
    counts = maps[0].result.confusion
    share = (counts.tp + counts.fn) / counts.total
    return (
        f"Landslide is {100 * share:.2f} % of the {counts.total:,} pixels compared "
        f"({comparison.area / 1e6:,.4g} km2). The columns on the right are what a map without any "
        "landslide and one of nothing but landslide score on the same pixels: a score that is high "
        "there says little."
    )


def _landslides(comparison: Comparison, maps: list[Judged]) -> Section:
    drawing = draw_area_frequency(comparison, [(one.name, one.colour) for one in maps])
    note = (
        "Probability density of landslide area, p(A) = (1 / N) dN / dA (Malamud et al. 2004), both "
        "axes logarithmic; in brackets the number of landslides."
    )
    return Section(
        "Landslides",
        _tables("landslides", maps)
        + paragraph("How many landslides there are, by area:")
        + _sizes(comparison, maps)
        + figure(drawing, "Frequency of landslide areas in map and reference", note),
    )


def _sizes(comparison: Comparison, maps: list[Judged]) -> str:
    areas = comparison.reference.area
    rows = []
    for one in maps:
        for words, low, high in SIZES.values():
            of_size = (areas >= low) & (areas < high)
            touched = int(one.result.found.touched[of_size].sum())
            sizes = one.result.landslides.area
            mapped = int(((sizes >= low) & (sizes < high)).sum())
            rows.append((one.name, words, int(of_size.sum()), touched, mapped))
    header = ("Map", "Area", "In the reference", "Touched by the map", "In the map")
    return table(header, rows)


def _probability(maps: list[Judged]) -> Section:
    found = [
        (one.name, one.colour, one.result.probabilities)
        for one in maps
        if one.result.probabilities is not None
    ]
    thresholds = [one.threshold for one in maps if one.threshold is not None]
    charts = [
        figure(
            draw_precision_recall(found, thresholds),
            "Precision against recall",
            "Precision and recall at every threshold.",
        ),
        figure(
            draw_thresholds(found, thresholds),
            "F1 against threshold",
            "F1 at every threshold. The best one is chosen on these very pixels: F1 there is too "
            "good; use the threshold on another area to judge it.",
        ),
        figure(
            draw_reliability(found),
            "Reliability diagram",
            "Reliability: below the dashed line the probability promises too much.",
        ),
    ]
    return Section("Probability", _tables("probability", maps) + gallery(charts))


def _confusion(maps: list[Judged]) -> Section:
    header = ("Pixels", "Reference: landslide", "Reference: background", "Sum")
    content = ""
    for one in maps:
        counts = one.result.confusion
        rows = [
            ("Map: landslide", counts.tp, counts.fp, counts.tp + counts.fp),
            ("Map: background", counts.fn, counts.tn, counts.fn + counts.tn),
            ("Sum", counts.tp + counts.fn, counts.fp + counts.tn, counts.total),
        ]
        content += (subheading(one.name) if len(maps) > 1 else "") + table(header, rows)
    return Section("Confusion matrix", content)


def _method(comparison: Comparison, setting: Setting) -> Section:
    grid = comparison.grid
    if setting.blocks < FEWEST_BLOCKS:
        sure = (
            f"The area holds {setting.blocks} blocks of {setting.block_side:,.0f} m, fewer than "
            f"{FEWEST_BLOCKS}: intervals are undefined."
        )
    else:
        sure = (
            f"Intervals hold 95 % of {DRAWS:,} draws of {setting.blocks} blocks of "
            f"{setting.block_side:,.0f} m, with replacement. Single pixels are not independent; if "
            "landslides of neighbouring blocks are alike too, the intervals are still too narrow."
        )
    items = [
        f"Compared on pixels of {grid.resolution:.4g} m ({grid.describe()}), where all layers are "
        "known and inside the area; landslides are measured and counted by their part inside.",
        "Landslide pixels that touch, corners included, are one landslide of a raster; a polygon "
        "is one landslide.",
        f"Outlines agree where they lie within {comparison.tolerance:.4g} m of each other; where "
        "landslide ends at the edge of what is compared there is no outline.",
        sure,
        "Undefined means that the score has no value here, such as precision of a map without "
        "landslide; it is not zero.",
        *setting.notes,
    ]
    return Section("How it was measured", listing(items))


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
