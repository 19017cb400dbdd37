"""The unit of a DEM's heights: what its band says, else its vertical CRS, else metres."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rasterio.crs import CRS

from ..contract.errors import InputError
from ..core.progress import Progress
from .source import Source
from .surface import as_pyproj

AUTO = "auto"
Z_UNITS = {"metre": 1.0, "foot": 0.3048, "us_survey_foot": 1200 / 3937}
"""Units that heights can be said to be in, with their length in metres."""

_MULTIPLES = {
    "mm": 1e-3, "millimetre": 1e-3, "cm": 1e-2, "centimetre": 1e-2, "dm": 0.1, "decimetre": 0.1,
    "m": 1.0, "mtr": 1.0, "metre": 1.0, "km": 1e3, "kilometre": 1e3,
}  # fmt: skip
_COUNT = re.compile(r"\s*(\d+(?:[.,]\d+)?(?:e[+-]?\d+)?)[\s*]*(?=[a-z])", re.IGNORECASE)
"""What a unit may begin with, such as 0.1 m."""
_CLOSE = 1e-9
"""Metres; the two feet differ by 6e-7."""


def metres_of_heights(dem: Source, z_unit: str, progress: Progress) -> float:
    """Return what the heights of a DEM's first band are multiplied by to be metres.

    Args:
        dem: the DEM; scale and offset of its file come first.
        z_unit: a key of `Z_UNITS`, or "auto".
        progress: told where heights are not in metres, where that is doubtful, and of what else
            may be meant otherwise.
    """
    if len(dem.bands) > 1:
        progress.warning(f"The DEM has {len(dem.bands)} bands: the first one is taken.")
    if dem.is_classes(dem.bands[0]):
        progress.warning(
            f"The first band of {dem.path} holds classes or colours, as its colour table or names "
            "say, and their numbers are taken as heights: give the DEM itself, if it is a picture "
            "of one."
        )
    if _counts_down(dem.dataset.crs):
        progress.warning(
            f"The vertical CRS of {dem.path} counts down, as for depths, and its values are taken "
            "as heights, upwards: if they are depths, turn their sign first (raster calculator)."
        )
    declared = _declared(dem, dem.bands[0])
    metres = declared.metres
    if z_unit != AUTO:
        chosen = Z_UNITS[z_unit]
        if metres is not None and abs(metres - chosen) > _CLOSE:
            progress.warning(
                f"The heights of {dem.path} are taken as {_name(chosen)}, as was set, though the "
                f"file says {_name(metres)}."
            )
        return chosen
    _tell_doubt(dem, declared, progress)
    if metres is not None and abs(metres - 1) > _CLOSE:
        progress.message(
            f"The heights of {dem.path} are {_name(metres)}, as the file says: turned into metres."
        )
    return 1.0 if metres is None else metres


def require_metres(source: Source, names: Sequence[str] | None = None) -> None:
    """Refuse a layer whose elevation is declared in another unit than metres.

    Args:
        source: the layer.
        names: what its bands count as; their own names when None.

    Raises:
        InputError: it has such a band.
    """
    for band, name in zip(source.bands, names or source.bands, strict=True):
        metres = _declared(source, band).metres if name == "elevation" else None
        if metres is not None and abs(metres - 1) > _CLOSE:
            raise InputError(
                f"The elevation of {source.path} is in {_name(metres)}: derive it from that DEM by "
                "Terrain factors, which turns heights into metres."
            )


def length_of(unit: str) -> float | None:
    """Return the length in metres of a unit as files spell it; None of another or no unit."""
    count = _COUNT.match(unit)
    if count:
        one = length_of(unit[count.end() :])
        return one and one * float(count.group(1).replace(",", "."))
    words = re.sub(r"[^a-z]+", " ", unit.lower()).replace("meter", "metre").split()
    if {"ft", "foot", "feet", "usft", "ftus"} & set(words):
        surveyed = {"us", "survey", "usft", "ftus"} & set(words)
        return Z_UNITS["us_survey_foot" if surveyed else "foot"]
    return _MULTIPLES.get(words[0].removesuffix("s")) if words else None


@dataclass(frozen=True)
class _Declared:
    """What a file says of a band's unit: as text and, if known, metres; and of its vertical CRS."""

    text: str
    band: float | None
    vertical: float | None

    @property
    def metres(self) -> float | None:
        return self.vertical if self.band is None else self.band


def _declared(source: Source, band: str) -> _Declared:
    text = (source.dataset.units[source.index_of(band) - 1] or "").strip()
    return _Declared(text, length_of(text), _vertical_unit(source.dataset.crs))


def _tell_doubt(dem: Source, declared: _Declared, progress: Progress) -> None:
    """Warn where the unit of a DEM's heights had to be guessed."""
    said, vertical = declared.band, declared.vertical
    if declared.text and said is None:
        doubt = f"The heights of {dem.path} have the unit {declared.text}, which is not known"
    elif said is not None and vertical is not None and abs(said - vertical) > _CLOSE:
        doubt = f"The band of {dem.path} says {_name(said)}, its vertical CRS {_name(vertical)}"
    elif declared.metres is None and _is_in_feet(dem):
        doubt = f"The CRS of {dem.path} is in feet, and nothing says what its heights are in"
    else:
        return
    taken = _name(1.0 if declared.metres is None else declared.metres)
    progress.warning(
        f"{doubt}: they are taken as {taken}; choose the unit of the heights if that is wrong."
    )


def _counts_down(crs: CRS | None) -> bool:
    axes = [] if crs is None else as_pyproj(crs).axis_info
    return len(axes) > 2 and axes[2].direction == "down"


def _vertical_unit(crs: CRS | None) -> float | None:
    """Return the length in metres of a CRS's unit of height; None where it has none."""
    axes = [] if crs is None else as_pyproj(crs).axis_info
    return float(axes[2].unit_conversion_factor) if len(axes) > 2 else None


def _is_in_feet(dem: Source) -> bool:
    crs = dem.grid.crs
    return bool(crs is not None and crs.is_projected and crs.linear_units_factor[1] != 1)


def _name(metres: float) -> str:
    """Return the name of a unit by its length, in the plural."""
    names = {1.0: "metres", 0.3048: "feet", 0.30480061: "US survey feet"}
    return names.get(round(metres, 8), f"units of {metres:g} m")
