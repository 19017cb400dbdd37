"""Colours and units of what rasters show: which band is drawn how."""

from __future__ import annotations

from typing import NamedTuple

Stop = tuple[float, str]  # fraction of the range 0..1, "#rrggbb" or "#aarrggbb"


class Ramp(NamedTuple):
    """How a band of numbers is drawn.

    Attributes:
        stops: fraction of the range, and colour as Qt reads it.
        low: value of the first stop; that of the data when None.
        high: value of the last stop; that of the data when None.
        unit: follows the numbers in the legend.
        centred: whether zero must be in the middle of a range taken from the data.
        words: label of a value in the legend, instead of the number.
    """

    stops: tuple[Stop, ...]
    low: float | None = None
    high: float | None = None
    unit: str = ""
    centred: bool = False
    words: dict[float, str] = {}


HEIGHTS = ((0, "#2f6b3c"), (0.25, "#a5bd7a"), (0.5, "#e8dba4"), (0.75, "#a8794f"), (1, "#f7f4f2"))
STEEPNESS = ((0, "#ffffe5"), (0.25, "#fed976"), (0.5, "#fd8d3c"), (0.75, "#d7301f"), (1, "#67000d"))
COMPASS = ((0, "#3b5fc0"), (0.25, "#e8d94c"), (0.5, "#b3321f"), (0.75, "#d59ac4"), (1, "#3b5fc0"))
EITHER_WAY = (
    (0, "#2166ac"),
    (0.25, "#92c5de"),
    (0.5, "#f7f7f7"),
    (0.75, "#f4a582"),
    (1, "#b2182b"),
)
ROUGHNESS = ((0, "#fcfbfd"), (0.33, "#bcbddc"), (0.66, "#807dba"), (1, "#3f007d"))
WETNESS = ((0, "#fff7e6"), (0.33, "#b3cde3"), (0.66, "#4a90c2"), (1, "#08306b"))
GREENNESS = ((0, "#8c6239"), (0.33, "#e6d8b0"), (0.66, "#7fb95c"), (1, "#0b5d1e"))
WATER = ((0, "#8c510a"), (0.25, "#dfc27d"), (0.5, "#f5f5f5"), (0.75, "#80b1d3"), (1, "#08519c"))
NEARNESS = ((0, "#08306b"), (0.1, "#2171b5"), (0.4, "#9ecae1"), (1, "#f7fbff"))
GREYS = ((0, "#000000"), (0.5, "#808080"), (1, "#ffffff"))

PROBABILITY = Ramp(
    (
        (0, "#00ffffb2"),
        (0.25, "#6efed976"),
        (0.5, "#c8fd8d3c"),
        (0.75, "#e6f03b20"),
        (1, "#800026"),
    ),
    0,
    1,
    words={0: "0 (no landslide)", 1: "1 (landslide)"},
)
"""What is unlikely lets the image below through."""

UNCERTAINTY = Ramp(
    ((0, "#00542788"), (0.5, "#b4998ec3"), (1, "#542788")),
    0,
    0.5,
    words={0: "0 (all answers agree)", 0.5: "0.5 (none do)"},
)
"""Standard deviations of probabilities, at most one half."""

DISTANCE = Ramp(NEARNESS, 0, None, "m")
CHANGE = Ramp(EITHER_WAY, centred=True)

_VEGETATION = Ramp(GREENNESS, -0.2, 0.9)
_OPEN_WATER = Ramp(WATER, -0.8, 0.8)
_GROUND = Ramp(EITHER_WAY, -0.6, 0.6)
_CURVATURE = Ramp(EITHER_WAY, unit="m⁻¹", centred=True)

BANDS = {
    "elevation": Ramp(HEIGHTS, unit="m"),
    "slope": Ramp(STEEPNESS, 0, 60, "°"),
    "aspect": Ramp(
        COMPASS,
        0,
        360,
        "°",
        words={
            0: "north (0°)",
            90: "east (90°)",
            180: "south (180°)",
            270: "west (270°)",
            360: "north (360°)",
        },
    ),
    "northness": Ramp(EITHER_WAY, -1, 1, words={-1: "-1 (south)", 1: "1 (north)"}),
    "eastness": Ramp(EITHER_WAY, -1, 1, words={-1: "-1 (west)", 1: "1 (east)"}),
    "plan_curvature": _CURVATURE,
    "profile_curvature": _CURVATURE,
    "curvature": _CURVATURE,
    "tpi": Ramp(EITHER_WAY, unit="m", centred=True),
    "tri": Ramp(ROUGHNESS, 0, None, "m"),
    "roughness": Ramp(ROUGHNESS, 0, None, "m"),
    "twi": Ramp(WETNESS),
    "hillshade": Ramp(GREYS, 0, 255),
    "ndvi": _VEGETATION,
    "savi": _VEGETATION,
    "ndwi": _OPEN_WATER,
    "mndwi": _OPEN_WATER,
    "ndbi": _GROUND,
    "bsi": _GROUND,
    "nbr": _GROUND,
    "brightness": Ramp(GREYS),
}
"""Name of a band to its ramp."""


def ramp_of(band: str) -> Ramp | None:
    """Return the ramp of a band by its name; None for one that is not known."""
    if band in BANDS:
        return BANDS[band]
    if band.endswith("_distance"):
        return DISTANCE
    return CHANGE if band[:1] == "d" and band[1:] in BANDS else None


def label(value: float, ramp: Ramp) -> str:
    """Return what the legend says of a value."""
    for stop, words in ramp.words.items():
        if abs(stop - value) < 1e-9:
            return words
    number = f"{value:.4g}" if abs(value) >= 1000 else f"{value:.3g}"
    number = "0" if number == "-0" else number
    return f"{number}{'' if ramp.unit == '°' else ' '}{ramp.unit}".strip()
