"""The report of a map: what was mapped, by which model, out of what."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import geopandas as gpd
import numpy as np

from ...models.model_card import ModelCard
from ..core.provenance import NO_ORIGIN, Provenance
from ..raster.grid import Grid
from ..raster.source import Source
from ..reports.page import (
    Section,
    caution,
    figure,
    listing,
    page,
    paragraph,
    provenance,
    subheading,
    table,
)
from ..vector.layers import read_vector
from .drawings import draw_map, draw_sizes

LARGEST = 5
"""Landslides that are listed one by one."""
CONFIDENCE_WORDS = (
    (8, "high confidence"),
    (5, "confident"),
    (3, "likely"),
    (2, "probable"),
    (1, "possible"),
)
"""Steps of the USGS national inventory, as `inventory.fields` has them."""
_BLOCK_MEGABYTES = 32.0
_MEASURED = "Measured"
_MOST_LETTERS = 160
"""Letters of a model's fact that are shown."""


@dataclass(frozen=True)
class Mapped:
    """What a run of `map` made and came across.

    Attributes:
        inventory: path of the polygons.
        probability: path of the raster.
        ground: path of the raster behind the outlines.
        card: of the model.
        reason: why that model.
        threshold: probability from which a pixel is landslide.
        min_area: smallest polygon kept, m2.
        date: of the scene; "" where unknown.
        steps: what was derived.
        warnings: raised on the way.
        origin: the run.
    """

    inventory: str
    probability: str
    ground: str
    card: ModelCard
    reason: str
    threshold: float
    min_area: float
    date: str
    steps: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    origin: Provenance = NO_ORIGIN


def map_report(mapped: Mapped) -> str:
    """Return the report as an HTML page."""
    landslides = read_vector(mapped.inventory, "inventory", may_be_empty=True)
    with Source.open(mapped.probability, what="probability") as source:
        grid, area = source.grid, _known_area(source)
    largest = [int(row) for row in np.argsort(-landslides["area_m2"].to_numpy())[:LARGEST]]
    sections = [Section("What was mapped", _figures(landslides, area, mapped))]
    if mapped.warnings:
        warned = "".join(map(caution, mapped.warnings))
        sections.append(Section("Beware", warned))
    sections.append(_picture(landslides, largest, grid, mapped))
    if largest:
        sections.append(_sizes(landslides, largest))
    sections += [_model(mapped), _derived(mapped), provenance(mapped.origin)]
    return page("Landslide map", sections, lead=_lead(landslides, area, mapped))


def _lead(landslides: gpd.GeoDataFrame, area: float, mapped: Mapped) -> str:
    count, sum_of = len(landslides), float(landslides["area_m2"].sum())
    if not count:
        return (
            f"The model {mapped.card.name} finds no landslide in {area / 1e6:,.3g} km². That is "
            "no proof that there is none."
        )
    return (
        f"The model {mapped.card.name} maps {count:,} {_plural(count)} of {_area(sum_of)} in all "
        f"in {area / 1e6:,.3g} km²: {1e6 * count / area:,.3g} per km², "
        f"{100 * sum_of / area:.3g} % of the ground. A machine drew them: look at each "
        "before it is used."
    )


def _figures(landslides: gpd.GeoDataFrame, area: float, mapped: Mapped) -> str:
    areas = landslides["area_m2"].to_numpy()
    rows: list[tuple[str, str]] = [
        ("Ground mapped", f"{area / 1e6:,.4g} km²"),
        ("Landslides", f"{len(areas):,}"),
        ("Landslides per km²", f"{1e6 * len(areas) / area:,.3g}"),
        ("Their area", f"{_area(float(areas.sum()))} ({100 * areas.sum() / area:.3g} %)"),
    ]
    if len(areas):
        rows.append(("Median landslide", _area(float(np.median(areas)))))
        rows.append(("Largest landslide", _area(float(areas.max()))))
    steps = landslides["confidence"].dropna().astype(int).value_counts()
    if len(steps):
        counted = [
            f"{steps[step]:,} {word} ({step})" for step, word in CONFIDENCE_WORDS if step in steps
        ]
        rows.append(("Confidence (USGS steps)", ", ".join(counted)))
    own = mapped.card.threshold
    other = "the model's own" if mapped.threshold == own else f"the model's own is {own:g}"
    rows.append(("Threshold", f"probability {mapped.threshold:g} ({other})"))
    if mapped.min_area:
        rows.append(("Smallest landslide kept", _area(mapped.min_area)))
    rows.append(("Date of the scene", mapped.date or "not in the image's metadata"))
    return table((), rows)


def _picture(
    landslides: gpd.GeoDataFrame, largest: list[int], grid: Grid, mapped: Mapped
) -> Section:
    with Source.open(mapped.ground) as image:
        drawing = draw_map(landslides, largest, grid, image)
    numbers = f" Numbers mark the {len(largest)} largest, listed below." if largest else ""
    return Section(
        "The map",
        figure(
            drawing,
            "Outlines of the mapped landslides over the ground",
            f"Outlines in red, {grid.describe()}. North is up.{numbers}",
            colours=256,
        ),
    )


def _sizes(landslides: gpd.GeoDataFrame, largest: list[int]) -> Section:
    first = landslides.iloc[largest]
    places = first.geometry.representative_point().to_crs(4326)
    rows = [
        (
            number,
            int(row["id"]),
            _area(row["area_m2"]),
            _place(place.x, place.y),
            _rounded(row["prob_mean"], 2),
            _rounded(row["relief_m"], 0),
            _rounded(row["slope_mean"], 0),
        )
        for number, (place, (_, row)) in enumerate(
            zip(places, first.iterrows(), strict=True), start=1
        )
    ]
    header = ("", "Polygon", "Area", "Place", "Mean probability", "Relief (m)", "Slope (degrees)")
    drawing = draw_sizes(landslides["area_m2"].to_numpy())
    return Section(
        "Sizes",
        subheading("The largest")
        + table(header, rows)
        + subheading("How many of each size")
        + figure(drawing, "Number of landslides by area", "Bins of equal width in the logarithm."),
    )


def _model(mapped: Mapped) -> Section:
    card = mapped.card
    limits = card.limits
    size = f"{card.resolution:g} m a pixel" if card.resolution else "not stated"
    facts = {
        "Bands": ", ".join(card.bands),
        "Made for": size,
        "Architecture": card.architecture,
        "Made on": card.created[:10],
        "Licence": card.licence,
        **_facts("Training", card.training, ("data", "sources", "train_samples", "split")),
        **_facts(_MEASURED, card.metrics, ("split", "f1", "iou", "precision", "recall")),
    }
    told = (
        paragraph("Its card says where it does not work:") + listing(limits)
        if limits
        else paragraph("Its card names no limits, so none are known: not that there are none.")
    )
    rows = [(name, value) for name, value in facts.items() if value]
    measured = (
        paragraph("What was measured says how it did there, not on this scene.")
        if any(name.startswith(_MEASURED) for name in facts)
        else ""
    )
    return Section("The model", paragraph(mapped.reason) + table((), rows) + measured + told)


def _facts(group: str, given: Mapping[str, object], names: tuple[str, ...]) -> dict[str, str]:
    """Return those of a card's entries that are there, in words."""
    result = {}
    for name in names:
        value = given.get(name)
        if isinstance(value, float):
            value = f"{value:.3g}"
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        if value not in (None, ""):
            text = str(value)
            shown = text if len(text) <= _MOST_LETTERS else text[:_MOST_LETTERS] + "…"
            result[f"{group}: {name.replace('_', ' ')}"] = shown
    return result


def _derived(mapped: Mapped) -> Section:
    if mapped.steps:
        return Section("What was derived", listing(mapped.steps))
    return Section("What was derived", paragraph("Nothing: the image was enough for the model."))


def _known_area(source: Source) -> float:
    """Return the area of the pixels that have a probability, square metres."""
    grid, total = source.grid, 0.0
    for window in grid.row_blocks(grid.rows_within(_BLOCK_MEGABYTES, 1)):
        valid = source.read(window, source.bands[:1])[1][0]
        areas = grid.part(window).geodesic_areas(columns=np.arange(grid.width))
        total += float(np.where(valid, areas, 0).sum())
    return total


def _area(metres: float) -> str:
    """Return an area in the unit that suits it."""
    if metres >= 1e6:
        return f"{metres / 1e6:,.3g}\u00a0km²"
    return f"{metres / 1e4:,.3g}\u00a0ha" if metres >= 1e5 else f"{metres:,.0f}\u00a0m²"


def _place(longitude: float, latitude: float) -> str:
    east, north = "EW"[longitude < 0], "NS"[latitude < 0]
    return f"{abs(latitude):.5f}°\u00a0{north} {abs(longitude):.5f}°\u00a0{east}"


def _rounded(value: float | None, digits: int) -> str:
    return "" if value is None or np.isnan(value) else f"{value:.{digits}f}"


def _plural(count: int) -> str:
    return "landslide" if count == 1 else "landslides"
