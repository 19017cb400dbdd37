"""The report of a map: what was mapped, by which model, out of what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import geopandas as gpd
import numpy as np
from pyproj.exceptions import ProjError

from ..core.provenance import NO_ORIGIN, Provenance
from ..raster.source import Source
from ..reports.page import png, provenance, render
from ..vector.layers import read_vector
from .choice import Choice
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
_TRAINING = {
    "data": "Trained on",
    "sources": "Sources",
    "train_samples": "Training samples",
    "split": "Split in training",
}
_MEASURED = {
    "split": "Measured on",
    "precision": "Precision: part of what it mapped there that was landslide",
    "recall": "Recall: part of the landslides there that it mapped",
    "f1": "F1: harmonic mean of the two",
    "iou": "IoU: landslide in both its map and the reference / in either",
}
"""Entries of a model's card to what the report calls them."""
_BLOCK_MEGABYTES = 32.0
_MOST_LETTERS = 160
"""Letters of a model's fact that are shown."""


@dataclass(frozen=True)
class Mapped:
    """What a run of `map` makes.

    Attributes:
        inventory: path of the polygons.
        probability: path of the raster.
        ground: path of the raster behind the outlines.
        chosen: the model.
        threshold: probability from which a pixel is landslide.
        min_area: smallest polygon kept, m2.
        min_slope: degrees below which ground holds no landslide; 0 for none.
        date: of the scene; "" where unknown.
        steps: what was derived.
        origin: the run.
    """

    inventory: str
    probability: str
    ground: str
    chosen: Choice
    threshold: float
    min_area: float
    min_slope: float
    date: str
    steps: list[str] = field(default_factory=list)
    origin: Provenance = NO_ORIGIN


def map_report(mapped: Mapped, warnings: Sequence[str]) -> str:
    """Return the report as an HTML page, with what was warned of on the way."""
    landslides = read_vector(mapped.inventory, "inventory", may_be_empty=True)
    areas = landslides["area_m2"].to_numpy()
    order = [int(row) for row in np.argsort(-areas)[:LARGEST]]
    with Source.open(mapped.probability, what="probability") as source:
        grid, area = source.grid, _valid_area(source)
    with Source.open(mapped.ground) as image:
        picture = png(draw_map(landslides, order, grid, image), colours=256)
    card = mapped.chosen.card
    return render(
        "chain/report.html",
        provenance(mapped.origin),
        card=card,
        count=len(areas),
        area=f"{area / 1e6:,.4g}",
        short_area=f"{area / 1e6:,.3g}",
        landslide_area=_area(float(areas.sum())),
        density=f"{1e6 * len(areas) / area:,.3g}",
        percent=f"{100 * areas.sum() / area:.3g}",
        median=_area(float(np.median(areas))) if len(areas) else None,
        largest=_area(float(areas.max())) if len(areas) else None,
        confidence=_confidence(landslides),
        threshold=f"{mapped.threshold:g}",
        threshold_is_models=mapped.threshold == card.threshold,
        model_threshold=f"{card.threshold:g}",
        min_area=_area(mapped.min_area) if mapped.min_area else None,
        min_slope=f"{mapped.min_slope:g}°" if mapped.min_slope else None,
        date=mapped.date,
        warnings=warnings,
        picture=picture,
        grid=grid.describe(),
        listed=_largest(landslides.iloc[order]),
        sizes=png(draw_sizes(areas)) if len(areas) else None,
        reason=mapped.chosen.reason,
        resolution=f"{card.resolution:g}" if card.resolution else None,
        made_on=card.created[:10] or None,
        training=_facts(card.training, _TRAINING),
        measured=_facts(card.metrics, _MEASURED),
        steps=mapped.steps,
    )


def _confidence(landslides: gpd.GeoDataFrame) -> str | None:
    """Return how many landslides have each step of confidence; None where none has one."""
    steps = landslides["confidence"].dropna().astype(int).value_counts()
    counted = [
        f"{steps[step]:,} {word} ({step})" for step, word in CONFIDENCE_WORDS if step in steps
    ]
    return ", ".join(counted) if len(steps) else None


def _largest(landslides: gpd.GeoDataFrame) -> list[tuple[object, ...]]:
    """Return a row of numbers and words for each landslide, numbered as they come.

    Args:
        landslides: some of an inventory, indexed by their rows there.
    """
    return [
        (
            number,
            index + 1,  # its id, which a format may call otherwise, as .kmz does
            _area(row["area_m2"]),
            where,
            _rounded(row["prob_mean"], 2),
            _rounded(row["relief_m"], 0),
            _rounded(row["slope_mean"], 0),
        )
        for number, (where, (index, row)) in enumerate(
            zip(_coordinates_of(landslides), landslides.iterrows(), strict=True), start=1
        )
    ]


def _facts(given: Mapping[str, object], labels: Mapping[str, str]) -> list[list[str]]:
    """Return those of a card's entries that are there, in words."""
    result = []
    for name, label in labels.items():
        value = given.get(name)
        if isinstance(value, float):
            value = f"{value:.3g}"
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        if value not in (None, ""):
            text = str(value)
            shown = text if len(text) <= _MOST_LETTERS else text[:_MOST_LETTERS] + "…"
            result.append([label, shown])
    return result


def _valid_area(source: Source) -> float:
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


def _coordinates_of(landslides: gpd.GeoDataFrame) -> list[str]:
    """Return where landslides lie: on Earth in degrees, elsewhere in their CRS's coordinates."""
    points = landslides.geometry.representative_point()
    try:
        return [_coordinates(point.x, point.y) for point in points.to_crs(4326)]
    except ProjError:  # of Mars, or of a site alone
        return [f"x\u00a0{point.x:.8g} y\u00a0{point.y:.8g}" for point in points]


def _coordinates(longitude: float, latitude: float) -> str:
    east, north = "EW"[longitude < 0], "NS"[latitude < 0]
    return f"{abs(latitude):.5f}°\u00a0{north} {abs(longitude):.5f}°\u00a0{east}"


def _rounded(value: float | None, digits: int) -> str:
    return "" if value is None or np.isnan(value) else f"{value:.{digits}f}"
