"""Which layer each band of a model comes from."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..contract.errors import InputError
from ..factors.scales import radius_of
from ..factors.spectral import INDICES
from ..factors.terrain import FACTORS
from ..raster.kinds import LEVELS

ATTRIBUTE_FACTORS = ("elevation", "slope", "aspect")
"""Terrain factors that the inventory's attributes are drawn from, whatever the model wants."""

ASPECT_CLASS = "aspect_class"
"""The factor that a stack splits into one band a class."""

RIVERS, FAULTS, GEOLOGY = "river_distance", "fault_distance", "lithology"


@dataclass(frozen=True)
class Given:
    """The layers beside the image, "" where there is none.

    Attributes:
        dem: elevation.
        rivers: river lines.
        faults: fault lines.
        geology: lithology polygons, or a class raster.
    """

    dem: str = ""
    rivers: str = ""
    faults: str = ""
    geology: str = ""


@dataclass
class Plan:
    """What has to be derived so that a stack holds the bands a model wants.

    Attributes:
        terrain: factors to derive from the DEM.
        radii: metres within which factors are derived from it too; see `scales`.
        indices: spectral indices to derive from the image.
        image: bands that the image itself must hold.
        rivers: whether the distance to rivers is wanted.
        faults: whether the distance to faults is wanted.
        geology: bands of classes of lithology that the model wants, 1 where the class is, else 0.
        terrain_in_model: whether the model itself wants terrain, not the attributes alone.
        rivers_in_model: whether the model itself wants the distance to rivers.
    """

    terrain: list[str] = field(default_factory=list)
    radii: list[float] = field(default_factory=list)
    indices: list[str] = field(default_factory=list)
    image: list[str] = field(default_factory=list)
    rivers: bool = False
    faults: bool = False
    geology: list[str] = field(default_factory=list)
    terrain_in_model: bool = False
    rivers_in_model: bool = False

    @property
    def of_the_dem(self) -> str:
        """What is derived from the DEM, in words."""
        names = ", ".join(self.terrain)
        radii = ", ".join(f"{radius:g}" for radius in self.radii)
        return f"{names} and factors within {radii} m" if radii else names

    def describe(self) -> str:
        """Return what is derived, for the log."""
        parts = []
        if self.terrain:
            parts.append(f"from the DEM {self.of_the_dem}")
        if self.indices:
            parts.append("from the image " + ", ".join(self.indices))
        names = {"rivers": self.rivers, "faults": self.faults}
        parts += [f"the distance to {name}" for name, wanted in names.items() if wanted]
        if self.geology:
            parts.append("lithology classes")
        return "Derives " + "; ".join(parts) + "." if parts else "Derives nothing."


def plan(bands: Sequence[str], given: Given, units: Sequence[str] = ()) -> Plan:
    """Find for each band that a model wants the layer it comes from.

    Args:
        bands: the model's bands.
        given: the layers beside the image. With a DEM, `ATTRIBUTE_FACTORS` are derived in any
            case, and with rivers the distance to them.
        units: of the bands, as the model's card has them; none where it says nothing.

    Raises:
        InputError: a band needs a layer that was not given, or is a distance in levels.
    """
    levels = [band for band, unit in zip(bands, units, strict=False) if unit == LEVELS]
    if levels:
        raise InputError(
            f"The model wants {', '.join(levels)} in levels, as it was trained, and distances are "
            "derived in metres here: derive the levels by Distance to rivers, faults or roads, "
            "stack them, and run Predict landslide probability."
        )
    result = Plan(terrain=list(ATTRIBUTE_FACTORS) if given.dem else [], rivers=bool(given.rivers))
    for band in bands:
        factor = ASPECT_CLASS if band.startswith(f"{ASPECT_CLASS}_") else band
        if factor in FACTORS:
            result.terrain_in_model = True
            if factor not in result.terrain:
                result.terrain.append(factor)
        elif (radius := radius_of(band)) is not None:
            result.terrain_in_model = True
            if radius not in result.radii:
                result.radii.append(radius)
        elif band in INDICES:
            result.indices.append(band)
        elif band == RIVERS:
            result.rivers = result.rivers_in_model = True
        elif band == FAULTS:
            result.faults = True
        elif band.startswith(f"{GEOLOGY}_"):
            result.geology.append(band)
        else:
            result.image.append(band)
    _require(result, bands, given)
    return result


def _require(wanted: Plan, bands: Sequence[str], given: Given) -> None:
    """Refuse a plan without the layers that it needs."""
    terrain = [*wanted.terrain, *filter(radius_of, bands)]
    if terrain and not given.dem:
        raise InputError(f"The model wants {', '.join(terrain)}: give a DEM.")
    if wanted.rivers and not (given.rivers or given.dem):
        raise InputError(f"The model wants the band {RIVERS}: give rivers, or a DEM for streams.")
    if wanted.faults and not given.faults:
        raise InputError(f"The model wants the band {FAULTS}: give a layer of faults.")
    if wanted.geology and not given.geology:
        raise InputError(f"The model wants {GEOLOGY} classes: give a geology layer and its field.")
