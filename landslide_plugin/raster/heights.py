"""The unit of a DEM's heights: what its band says, else its vertical CRS, else metres."""

import re
from typing import Any

from ..errors import InputError
from ..progress import Progress
from .source import Source

AUTO = "auto"
Z_UNITS = {"metre": 1.0, "foot": 0.3048, "us_survey_foot": 1200 / 3937}
"""Units that heights can be said to be in, with their length in metres."""

_MULTIPLES = {
    "mm": 1e-3, "millimetre": 1e-3, "cm": 1e-2, "centimetre": 1e-2, "dm": 0.1, "decimetre": 0.1,
    "m": 1.0, "mtr": 1.0, "metre": 1.0, "km": 1e3, "kilometre": 1e3,
}  # fmt: skip
_CLOSE = 1e-9
"""Metres; the two feet differ by 6e-7."""


def metres_of_heights(dem: Source, z_unit: str, progress: Progress) -> float:
    """Return what the heights of a DEM's first band are multiplied by to be metres.

    Args:
        dem: the DEM; scale and offset of its file come first.
        z_unit: a key of `Z_UNITS`, or "auto".
        progress: told where heights are not in metres, and where that is doubtful.

    Raises:
        InputError: there is no such unit.
    """
    if z_unit not in (AUTO, *Z_UNITS):
        raise InputError(
            f"There is no unit of heights {z_unit}: choose {', '.join((AUTO, *Z_UNITS))}."
        )
    text = (dem.dataset.units[dem.index_of(dem.bands[0]) - 1] or "").strip()
    said, vertical = length_of(text), _vertical_unit(dem.dataset.crs)
    found = vertical if said is None else said
    if z_unit != AUTO:
        chosen = Z_UNITS[z_unit]
        if found is not None and abs(found - chosen) > _CLOSE:
            progress.warning(
                f"The heights of {dem.path} are taken as {_name(chosen)}, as was set, though the "
                f"file says {_name(found)}."
            )
        return chosen
    if text and said is None:
        taken = f"taken as {_name(1.0 if found is None else found)}"
        progress.warning(
            f"The heights of {dem.path} have the unit {text}, which is not known: they are "
            f"{taken}; choose the unit of the heights if that is wrong."
        )
    elif said is not None and vertical is not None and abs(said - vertical) > _CLOSE:
        progress.warning(
            f"The band of {dem.path} says {_name(said)}, its vertical CRS {_name(vertical)}: the "
            "band is believed; choose the unit of the heights if that is wrong."
        )
    elif found is None and _is_in_feet(dem):
        progress.warning(
            f"The CRS of {dem.path} is in feet, and nothing says what its heights are in: they are "
            "taken as metres; choose the unit of the heights if that is wrong."
        )
    if found is not None and abs(found - 1) > _CLOSE:
        progress.message(
            f"The heights of {dem.path} are {_name(found)}, as the file says: turned into metres."
        )
    return 1.0 if found is None else found


def length_of(unit: str) -> float | None:
    """Return the length in metres of a unit as files spell it; None of another or no unit."""
    words = re.sub(r"[^a-z]+", " ", unit.lower()).replace("meter", "metre").split()
    if {"ft", "foot", "feet", "usft", "ftus"} & set(words):
        surveyed = {"us", "survey", "usft", "ftus"} & set(words)
        return Z_UNITS["us_survey_foot" if surveyed else "foot"]
    return _MULTIPLES.get(words[0].removesuffix("s")) if words else None


def _vertical_unit(crs: Any) -> float | None:
    """Return the length in metres of a CRS's unit of height; None where it has none."""
    from pyproj import CRS as ProjCRS

    axes = ProjCRS.from_user_input(crs).axis_info
    return float(axes[2].unit_conversion_factor) if len(axes) > 2 else None


def _is_in_feet(dem: Source) -> bool:
    crs = dem.grid.crs
    return bool(crs is not None and crs.is_projected and crs.linear_units_factor[1] != 1)


def _name(metres: float) -> str:
    """Return the name of a unit by its length, in the plural."""
    names = {1.0: "metres", 0.3048: "feet", 0.30480061: "US survey feet"}
    return names.get(round(metres, 8), f"units of {metres:g} m")
