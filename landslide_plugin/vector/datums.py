"""Datums between which PROJ knows no way, and takes the one for the other."""

from functools import cache

from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from pyproj.transformer import AreaOfInterest, TransformerGroup

from ..core.progress import Progress

_ALIKE = 0.5
"""Metres: those of WGS 84, GRS 1980 and CGCS 2000, whose datums are within metres of each other,
have radii that differ less; datums of others lie 50 to 1000 m apart."""

Bounds = tuple[float, float, float, float]


def tell_guess(
    system: object, wanted: object, bounds: Bounds, what: str, progress: Progress
) -> None:
    """Warn where coordinates of an older datum will be taken for those of another.

    Args:
        system: CRS of a layer.
        wanted: the one that it is brought to.
        bounds: left, bottom, right and top of the layer, in its CRS.
        what: the layer, in words.
        progress: where to warn.
    """
    if system is None or wanted is None or system == wanted:
        return
    system, wanted = CRS.from_user_input(system), CRS.from_user_input(wanted)
    if is_guess(system, wanted, bounds):
        progress.warning(
            f"No transformation from {system.name} to {wanted.name} is known here, so that the "
            f"{what} may lie some 100 m off: bring it to that CRS by one for its area first, such "
            "as QGIS or the country's survey offers."
        )


@cache
def is_guess(system: CRS, wanted: CRS, bounds: Bounds) -> bool:
    """Return whether PROJ would take one datum for the other; see `tell_guess`."""
    ours, theirs, degrees = system.ellipsoid, wanted.ellipsoid, system.geodetic_crs
    if ours is None or theirs is None or degrees is None:
        return False
    if abs(ours.semi_major_metre - theirs.semi_major_metre) < _ALIKE:
        return False
    try:
        to_degrees = Transformer.from_crs(system, degrees, always_xy=True)
        area = AreaOfInterest(*to_degrees.transform_bounds(*bounds))
        ways = TransformerGroup(system, wanted, always_xy=True, area_of_interest=area).transformers
    except (ProjError, ValueError):  # none, or bounds that the CRS has no degrees for
        return False
    return bool(ways) and "ballpark" in ways[0].description.lower()
