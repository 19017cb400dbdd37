"""Terrain factors, each a function of the 3 x 3 windows of a DEM; and the table of them.

Metres: a window knows its pixel's width and height on the ground, which differ from row to row on a
geographic CRS. North is the grid's where the grid keeps its own metres, else true north. Elevations
are metres. How edges and holes are treated is said in `neighbourhood`.
"""

from collections.abc import Callable

import numpy as np

from ..contract.choices import TerrainFactors
from ..contract.errors import InputError
from ..raster.relief import light
from ..raster.source import Source
from .neighbourhood import FLAT_ASPECT, Floats, Neighbourhood

ASPECT_CLASSES = (
    "flat",
    "north",
    "northeast",
    "east",
    "southeast",
    "south",
    "southwest",
    "west",
    "northwest",
)
"""Names of the values 0 to 8 of `aspect_class`."""

LEAST_TANGENT = 0.001
"""Slopes below this (1 m in 1 km) count as this in `twi`: a lake's would be infinite."""


def elevation(windows: Neighbourhood) -> Floats:
    """Elevation of the DEM, smoothed where smoothing is asked for, in metres."""
    return windows.cells[4]


def slope(windows: Neighbourhood) -> Floats:
    """Slope in degrees, 0 to 90 (Horn 1981, as gdaldem)."""
    return np.degrees(np.arctan(windows.steepness))


def aspect(windows: Neighbourhood) -> Floats:
    """Direction of descent in degrees clockwise from north, 0 to 360; `FLAT_ASPECT` where flat."""
    return windows.aspect


def aspect_class(windows: Neighbourhood) -> Floats:
    """Aspect in nine classes, see `ASPECT_CLASSES` (Gao et al. 2021, IEEE JSTARS 14:7881).

    0 where flat, 1 north (337.5 to 22.5 degrees), then clockwise in steps of 45 degrees.
    """
    degrees = windows.aspect
    octants = np.floor((degrees + 22.5) / 45) % 8 + 1
    octants[degrees == FLAT_ASPECT] = 0
    return octants


def northness(windows: Neighbourhood) -> Floats:
    """Cosine of the aspect, -1 to 1; 0 where flat."""
    return _quotient(windows.compass_fall[1], windows.steepness)


def eastness(windows: Neighbourhood) -> Floats:
    """Sine of the aspect, -1 to 1; 0 where flat."""
    return _quotient(windows.compass_fall[0], windows.steepness)


def plan_curvature(windows: Neighbourhood) -> Floats:
    """Curvature across the fall line in 1/m, positive on ridges and noses, negative in hollows.

    Zevenbergen & Thorne 1987, Earth Surf. Process. Landf. 12:47, with the signs of ArcGIS and
    richdem, whose values are 100 times these.
    """
    return -windows.along_and_across[1]


def profile_curvature(windows: Neighbourhood) -> Floats:
    """Curvature along the fall line in 1/m, positive where the slope is concave (a foot).

    Zevenbergen & Thorne 1987, with the signs of ArcGIS and richdem, whose values are 100 times
    these.
    """
    return windows.along_and_across[0]


def curvature(windows: Neighbourhood) -> Floats:
    """Total curvature in 1/m, plan less profile, positive where convex (as ArcGIS, less its 100).

    Zevenbergen & Thorne 1987: -2 (D + E).
    """
    half_xx, half_yy, _ = windows.second
    return -2 * (half_xx + half_yy)


def tpi(windows: Neighbourhood) -> Floats:
    """Topographic position in metres: elevation less the mean of its 8 neighbours (gdaldem)."""
    total = np.zeros_like(windows.cells[4])
    for difference in windows.from_centre:
        total -= difference
    total /= 8
    return total


def tri(windows: Neighbourhood) -> Floats:
    """Terrain ruggedness in metres: root of the summed squares of the 8 differences.

    Riley et al. 1999, Intermountain J. Sci. 5:23; gdaldem's default.
    """
    total = np.zeros_like(windows.cells[4])
    for difference in windows.from_centre:
        total += difference * difference
    return np.sqrt(total, out=total)


def roughness(windows: Neighbourhood) -> Floats:
    """Highest less lowest of the nine cells in metres (Wilson et al. 2007; gdaldem)."""
    highest = lowest = windows.cells[0]
    for cell in windows.cells[1:]:
        highest, lowest = np.maximum(highest, cell), np.minimum(lowest, cell)
    return highest - lowest


def hillshade(windows: Neighbourhood) -> Floats:
    """Light from the map's upper left at 45 degrees, 1 to 255, as gdaldem before rounding."""
    right, up = windows.fall
    grey: Floats = 1 + 254 * np.maximum(light(right, up, windows.steepness), 0)
    return grey


def twi(windows: Neighbourhood) -> Floats:
    """Topographic wetness, ln(a / tan slope), of the specific catchment area a in metres.

    Beven & Kirkby 1979, Hydrol. Sci. Bull. 24:43. The slope is not taken below `LEAST_TANGENT`;
    for the catchment see `wetness`.
    """
    return np.log(windows.catchment / np.maximum(windows.steepness, np.float32(LEAST_TANGENT)))


FACTORS: dict[str, Callable[[Neighbourhood], Floats]] = {
    name: globals()[name] for name in TerrainFactors.FACTORS.words
}
"""Factor name to the function that derives it."""

CLASSES = {aspect_class.__name__: dict(enumerate(ASPECT_CLASSES))}
"""Categorical factor to its values' names."""

DIRECTIONS = tuple(function.__name__ for function in (aspect, aspect_class, northness, eastness))
"""Factors that count from north."""

OF_THE_WHOLE = (twi.__name__,)
"""Factors that need the whole DEM at once, for the windows' `catchment`."""


def check_dem(dem: Source, smoothing: float) -> None:
    """Refuse what has no slope.

    Raises:
        InputError: fewer than 2 x 2 pixels, or a smoothing wider than the DEM.
    """
    rows, columns = dem.grid.shape
    if rows < 2 or columns < 2:
        raise InputError(
            f"The DEM {dem.path} has {columns} x {rows} pixels: terrain factors need at least "
            "2 x 2."
        )
    extent = max(rows, columns) * dem.grid.resolution
    if smoothing > extent:
        raise InputError(
            f"The smoothing of {smoothing:g} m does not fit the DEM, which is {extent:.0f} m wide: "
            "give 0 (none) or a few pixels' size."
        )


def _quotient(part: Floats, whole: Floats) -> Floats:
    """Return part / whole, 0 where both are 0."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
