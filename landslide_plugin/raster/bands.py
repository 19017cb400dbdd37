"""What the bands of sensors are called, and which of an image's bands is which.

Sentinel-2 writes two digits (B02 .. B12, B8A), Landsat one (B1 .. B7) and means another band by
the same number from one Landsat to the next, so a bare "B4" says nothing without its sensor.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from .source import Source

_SENTINEL2 = {
    "B1": "coastal",
    "B2": "blue",
    "B3": "green",
    "B4": "red",
    "B5": "rededge1",
    "B6": "rededge2",
    "B7": "rededge3",
    "B8": "nir",
    "B8A": "nir_narrow",
    "B9": "water_vapour",
    "B10": "cirrus",
    "B11": "swir1",
    "B12": "swir2",
}
_LANDSAT57 = {
    "B1": "blue",
    "B2": "green",
    "B3": "red",
    "B4": "nir",
    "B5": "swir1",
    "B6": "thermal",
    "B7": "swir2",
    "B8": "pan",
}
_LANDSAT89 = {
    "B1": "coastal",
    "B2": "blue",
    "B3": "green",
    "B4": "red",
    "B5": "nir",
    "B6": "swir1",
    "B7": "swir2",
    "B8": "pan",
    "B9": "cirrus",
    "B10": "thermal",
    "B11": "thermal2",
}
_PLANET4 = {"B1": "blue", "B2": "green", "B3": "red", "B4": "nir"}

SENSORS: dict[str, dict[str, str]] = {
    "sentinel2": _SENTINEL2,
    "landsat57": _LANDSAT57,
    "landsat89": _LANDSAT89,
    "planet4": _PLANET4,
}
"""Sensor to its bands in order: the sensor's own name (zeros stripped) to the common name."""

_LEFT_OUT: dict[str, dict[int, set[str]]] = {
    "sentinel2": {
        13: set(),
        12: {"B10"},
        10: {"B1", "B9", "B10"},
        6: {"B1", "B5", "B6", "B7", "B8A", "B9", "B10"},
        4: {"B1", "B5", "B6", "B7", "B8A", "B9", "B10", "B11", "B12"},
    },
    "landsat57": {8: set(), 7: {"B8"}, 6: {"B6", "B8"}},
    "landsat89": {11: set(), 7: {"B8", "B9", "B10", "B11"}, 6: {"B1", "B8", "B9", "B10", "B11"}},
    "planet4": {4: set()},
}
"""Sensor to the number of bands of a file to the bands that files of that many leave out."""

_ALIASES = {
    "blue": "blue",
    "green": "green",
    "red": "red",
    "nir": "nir",
    "nearinfrared": "nir",
    "swir1": "swir1",
    "swir16": "swir1",
    "swir2": "swir2",
    "swir22": "swir2",
    "rededge1": "rededge1",
    "rededge2": "rededge2",
    "rededge3": "rededge3",
    "nirnarrow": "nir_narrow",
    "coastal": "coastal",
}
"""Spellings of common names, without case, spaces and underscores (swir16: STAC's eo extension)."""

_OWN_NAME = re.compile(r"(?:SR_)?B0?(\d{1,2}|8A)", re.IGNORECASE)
_SENTINEL2_ONLY = re.compile(r"B0\d|B8A|B12", re.IGNORECASE)
_LANDSAT_FILE = re.compile(r"L[TEMCO]0?([4-9])", re.IGNORECASE)
_BAND_AT_END = re.compile(r"[_.]((?:SR_)?B(?:\d{1,2}|8A))(?:_\d+m)?$", re.IGNORECASE)
_LANDSAT_SURFACE = re.compile(r"SR_B\d", re.IGNORECASE)

_UNITS = {"sentinel2": (1e-4, 0.0), "landsat": (2.75e-5, -0.2)}
"""Scale and offset from integers to reflectance that the makers publish but don't write in files.

Copernicus Sentinel-2 products (the offset of 1000 of scenes since 25 January 2022 left to the
file), and USGS LSDS-1619, Landsat 8-9 Collection 2 Level 2 Science Product Guide, table 6-1 (the
same for Landsat 4 to 7, LSDS-1618).
"""


def common_name(name: str, sensor: str = "auto") -> str:
    """Return the common name of a band: blue, green, red, nir, swir1, swir2, rededge1, ...

    Args:
        name: a common name in any spelling, or the sensor's own, such as "B04" or "SR_B4".
        sensor: a key of `SENSORS`; "auto" knows Sentinel-2's names by their two digits and
            leaves Landsat's alone, as they mean other bands from one Landsat to the next.

    Returns:
        The common name; the name itself where it is not known.
    """
    plain = re.sub(r"[\s_-]", "", name).lower()
    if plain in _ALIASES:
        return _ALIASES[plain]
    own = _OWN_NAME.fullmatch(name.strip())
    if own is None:
        return name
    if sensor == "auto":
        certain = _SENTINEL2_ONLY.fullmatch(name.strip()) or name.strip().upper() == "B11"
        sensor = "sentinel2" if certain else ""
    return SENSORS.get(sensor, {}).get(f"B{own.group(1).upper()}", name)


def common_names(names: Sequence[str], sensor: str = "auto") -> list[str]:
    """Return the common names of an image's bands, told from each other's company.

    Like `common_name`, but with "auto" one name that only Sentinel-2 has (B8A, B12, B02) makes
    all of them Sentinel-2's, so that B2 beside B12 is blue.
    """
    if sensor == "auto" and is_sentinel2(names):
        sensor = "sentinel2"
    return [common_name(name, sensor) for name in names]


def is_sentinel2(names: Sequence[str]) -> bool:
    """Whether one of the names is one that only Sentinel-2's bands have."""
    return any(_SENTINEL2_ONLY.fullmatch(name.strip()) for name in names)


def layer_names(source: Source, sensor: str = "auto") -> list[str]:
    """Return the common names of a raster's bands; a nameless only band is named by its file."""
    if _nameless(source):
        return [name_from_file(Path(source.path).stem, sensor)]
    return common_names(source.bands, sensor)


def name_from_file(stem: str, sensor: str = "auto") -> str:
    """Return the common name of the band that a single-band file holds, from its file name.

    Args:
        stem: such as "LT52240631988227CUB02_B4" (nir), "T32TPQ_20230523T101031_B04_10m" (red).
        sensor: a key of `SENSORS`; "auto" knows Landsat's files by the beginning of their names.

    Returns:
        The common name, or the stem where the sensor or band can't be told.
    """
    band = _BAND_AT_END.search(stem)
    if band is None:
        return stem
    landsat = _LANDSAT_FILE.match(stem)
    if sensor == "auto" and landsat is not None:
        sensor = "landsat89" if int(landsat.group(1)) >= 8 else "landsat57"
    found = common_name(band.group(1), sensor)
    return stem if found == band.group(1) else found


def reflectance_units(
    source: Source, band: str, sensor: str = "auto"
) -> tuple[float, float] | None:
    """Return scale and offset from values read to reflectance; None where nothing tells them.

    Floats and what the file declares itself are taken as reflectance already.
    """
    place = source.index_of(band) - 1
    declared = (source.original.scales[place], source.original.offsets[place]) != (1, 0)
    if declared or np.dtype(source.original.dtypes[place]).kind not in "iu":
        return 1.0, 0.0
    name, company = band, source.bands
    if _nameless(source):
        in_file = _BAND_AT_END.search(Path(source.path).stem)
        name = in_file.group(1) if in_file else ""
        company = [name]
    if _LANDSAT_SURFACE.fullmatch(name):
        return _UNITS["landsat"]
    if sensor == "sentinel2" or (sensor == "auto" and is_sentinel2(company)):
        return _UNITS["sentinel2"]
    return None


def find_bands(
    names: Sequence[str],
    wanted: Sequence[str],
    sensor: str = "auto",
    numbers: Mapping[str, int] | None = None,
    what: str = "image",
) -> dict[str, int]:
    """Find bands by number, by name, or by their place in a sensor's order.

    Args:
        names: the image's band names, in order.
        wanted: common names.
        sensor: a key of `SENSORS`, "auto" (by names) or "custom" (by numbers alone).
        numbers: common name to band number from 1; 0 is not given. They go before names.
        what: the image's role in messages.

    Returns:
        Common name to place in `names`, from 0, for each wanted band.

    Raises:
        InputError: an unknown sensor, a number beyond the bands, or a band not found; the message
            names the missing bands and those there are.
    """
    if sensor not in (*SENSORS, "auto", "custom"):
        raise InputError(
            f"There is no sensor {sensor}: choose auto, custom or one of {', '.join(SENSORS)}."
        )
    given = {name: number for name, number in (numbers or {}).items() if number}
    for name, number in given.items():
        if not 1 <= number <= len(names):
            raise InputError(
                f"The {name} band is given as number {number}, but the {what} has {len(names)} "
                "bands: choose a number from 1."
            )
    places = {} if sensor == "custom" else _places(names, sensor)
    places.update({name: number - 1 for name, number in given.items()})
    missing = [name for name in wanted if name not in places]
    if missing:
        raise InputError(
            f"The {what} has no band known as {', '.join(missing)}; its {len(names)} bands are: "
            f"{', '.join(names)}. Choose the sensor or give the band numbers."
        )
    return {name: places[name] for name in wanted}


def _nameless(source: Source) -> bool:
    return len(source.bands) == 1 and not source.original.descriptions[0]


def _places(names: Sequence[str], sensor: str) -> dict[str, int]:
    """Return common name to place, by the names, or by the sensor's order where they say nothing.

    A sensor's order is trusted only if no name is known and the count fits one of its files.
    """
    common = common_names(names, sensor)
    known = any(
        new != old or new in _ALIASES.values() for new, old in zip(common, names, strict=True)
    )
    left_out = _LEFT_OUT.get(sensor, {}).get(len(names))
    if not known and left_out is not None:
        common = [new for own, new in SENSORS[sensor].items() if own not in left_out]
    places: dict[str, int] = {}
    for place, name in enumerate(common):
        places.setdefault(name, place)
    return places
