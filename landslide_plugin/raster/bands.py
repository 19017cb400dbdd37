"""What the bands of sensors are called, and which of an image's bands is which.

Sentinel-2 writes two digits (B02 .. B12, B8A), Landsat one (B1 .. B7) and means another band by
the same number from one Landsat to the next, so a bare "B4" says nothing without its sensor.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from ..contract.choices import SpectralIndices, TerrainFactors
from ..contract.errors import InputError

if TYPE_CHECKING:
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

IMAGERY = {
    *(name for bands in SENSORS.values() for name in bands.values()),
    "grey",
    "gray",
} - {"thermal", "thermal2", "water_vapour", "cirrus"}
"""Common names of bands that hold reflected light."""

_DERIVED = {*TerrainFactors.FACTORS.words, *SpectralIndices.INDICES.words, "dem"}

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
    "rededge071": "rededge1",
    "rededge075": "rededge2",
    "rededge078": "rededge3",
    "nirnarrow": "nir_narrow",
    "nir08": "nir_narrow",
    "nir09": "water_vapour",
    "coastal": "coastal",
    "lwir": "thermal",
    "lwir11": "thermal",
    "lwir12": "thermal2",
}
"""Spellings of common names, without case, spaces and underscores (swir16: STAC's eo extension)."""

_S2_ONLY = {"8A", "12"}
_IN_A_FILE = re.compile(r"\w{2,}:")
"""What GDAL's names of subdatasets begin with, such as GPKG: and NETCDF:, and no drive does."""

_ENDINGS = {
    ".tif", ".tiff", ".jp2", ".img", ".vrt", ".jpg", ".png", ".bil", ".dat", ".hdr", ".asc", ".hgt",
    ".gpkg", ".nc", ".zip", ".tar", ".tgz", ".gz",
}  # fmt: skip

_NATIVE_NAME = re.compile(r"(?:(SR|ST)_)?B(0?)(\d{1,2}|8A)", re.IGNORECASE)
_SPELLED_OUT = re.compile(r"Band[ _-]?0?(\d{1,2}|8A)", re.IGNORECASE)
_THERMAL = re.compile(r"B6_?VCID_?([12])|B6([12])|ST_B0?(?:6|10)()", re.IGNORECASE)
_WITH_WAVELENGTH = re.compile(r"(B\w+), central wavelength.*", re.IGNORECASE)
_BAND_AT_END = re.compile(
    r"(?:^|[_.-])((?:S[RT]_)?B(?:and)?(?:\d{1,2}|8A)|B6_VCID_[12])(?:_\d+m)?$", re.IGNORECASE
)

_PRODUCTS = {
    "sentinel2": r"(?<![A-Z0-9])(S2[A-D]?_|T\d\d[C-X][A-Z]{2}_)|HLS\.S30|sentinel[-_ ]?2",
    "landsat89": r"(?<![A-Z0-9])L[COT]0?[89](?=[_\d])|HLS\.L30|landsat[-_ ]?[89]",
    "landsat57": r"(?<![A-Z0-9])L[TEM]0?[4-7](?=[_\d])|landsat[-_ ]?[4-7]",
}
"""Sensor to how the names of its products, tiles and scenes begin."""


def common_name(name: str, sensor: str = "auto") -> str:
    """Return the common name of a band: blue, green, red, nir, swir1, swir2, rededge1, ...

    Args:
        name: a common name in any spelling, or the sensor's own, such as "B04" or "SR_B4".
        sensor: a key of `SENSORS`; "auto" knows Sentinel-2's names by their two digits and
            leaves Landsat's alone, as they mean other bands from one Landsat to the next. B11,
            thermal with Landsat 8, is Sentinel-2's here; `common_names` knows better.

    Returns:
        The common name; the name itself where it is not known.
    """
    plain = re.sub(r"[\s_-]", "", name).lower()
    if plain in _ALIASES:
        return _ALIASES[plain]
    hot = _THERMAL.fullmatch(name.strip())
    if hot is not None:
        return "thermal2" if "2" in hot.groups() else "thermal"
    number = _number(name)
    if sensor == "auto":
        certain = number in {*_S2_ONLY, "11"} or _is_padded(name)
        sensor = "sentinel2" if certain else ""
    return SENSORS.get(sensor, {}).get(f"B{number}", name)


def common_names(names: Sequence[str], sensor: str = "auto", path: str = "") -> list[str]:
    """Return the common names of an image's bands, told from each other's company.

    Like `common_name`, but with "auto" the bands' company tells the sensor (`told_sensor`), so
    that B2 beside B12 is blue. What can be either is left as it is.

    Args:
        names: of all bands.
        sensor: as `common_name`.
        path: of the file, whose name may tell the sensor too.
    """
    plain = [_plain(name, names) for name in names]
    if sensor == "auto":
        sensor = told_sensor(plain, path)
    if sensor:
        common = [common_name(name, sensor) for name in plain]
    else:
        common = [_common_to_all(name) for name in plain]
    if "nir" not in common and not any(name.startswith("rededge") for name in common):
        common = [
            "nir" if _is_nir08(name) else new for name, new in zip(names, common, strict=True)
        ]
    return [
        name if new == before else new
        for name, before, new in zip(names, plain, common, strict=True)
    ]


def told_sensor(names: Sequence[str], path: str = "") -> str:
    """Return the sensor that band names tell, else the names in a path; "" where neither does.

    B8A and B12 are Sentinel-2's alone, and so is B08 with two digits (of the harmonised HLS L30,
    the one Landsat product that writes two, no pan band is published). B10, or B11 beside B9 or
    Landsat's near and short-wave infrared, without these is Landsat 8's or 9's.
    """
    numbers = {_number(name) for name in names} - {""}
    if numbers & _S2_ONLY or any(name.strip().upper() == "B08" for name in names):
        return "sentinel2"
    surface = {_number(name) for name in names if name.strip().upper().startswith("SR_")}
    thermal = {_number(name) for name in names if name.strip().upper().startswith("ST_")}
    if "6" in surface or "10" in thermal:
        return "landsat89"
    if "6" in thermal or surface == {"1", "2", "3", "4", "5", "7"}:
        return "landsat57"
    if any(_THERMAL.fullmatch(name.strip()) for name in names):
        return "landsat57"
    if ("10" in numbers and len(numbers) > 1) or {"9", "11"} <= numbers:
        return "landsat89"
    if "11" in numbers and {"2", "3", "4", "5", "6", "7"} <= numbers and "8" not in numbers:
        return "landsat89"
    return sensor_in_path(path)


def sensor_in_path(path: str) -> str:
    """Return the sensor whose product a path names, the nearest folder first; "" for none."""
    for part in reversed(PurePath(path.replace("\\", "/")).parts):
        told = [key for key, name in _PRODUCTS.items() if re.search(name, part, re.IGNORECASE)]
        if told:
            return told[0] if len(told) == 1 else ""
    return ""


def is_imagery(name: str) -> bool:
    """Whether a band of this common name holds reflected light; repeated ones bear a number."""
    return name in IMAGERY or re.sub(r"_\d+$", "", name) in IMAGERY


def layer_names(source: "Source", sensor: str = "auto") -> list[str]:
    """Return the common names of a raster's bands; a nameless only band is named by its file."""
    if is_nameless(source):
        return [name_from_file(source.file, sensor)]
    return common_names(source.bands, sensor, source.file)


def is_nameless(source: "Source") -> bool:
    """Whether a raster's only band has no name of its own."""
    return len(source.bands) == 1 and not source.dataset.descriptions[0]


def name_from_file(path: str, sensor: str = "auto") -> str:
    """Return the common name of the band that a single-band file holds, from its file name.

    Args:
        path: such as "LT52240631988227CUB02_B4" (nir), "T32TPQ_20230523T101031_B04_10m" (red),
            with or without folders and ending; of GDAL's name of what lies in a file
            (`NETCDF:"a.nc":slope`) the last part.
        sensor: a key of `SENSORS`; "auto" knows Landsat's and Sentinel-2's files by the beginning
            of their names, or of the folders' that they lie in.

    Returns:
        The common name, or the file's name without its ending where the sensor or band can't be
        told.
    """
    stem = Path(path).name
    if _IN_A_FILE.match(path):
        stem = stem.rsplit(":", 1)[-1].strip('"')
    while Path(stem).suffix.lower() in _ENDINGS:
        stem = Path(stem).stem
    band = native_name_in_file(stem)
    common = common_names([band], sensor, path)[0] if band else ""
    return stem if common == band else common


def native_name_in_file(stem: str) -> str:
    """Return the sensor's own name of a band at the end of a file's name; "" for none."""
    band = _BAND_AT_END.search(stem)
    return re.sub("band", "B", band.group(1), flags=re.IGNORECASE) if band else ""


def band_in_path(path: str) -> str:
    """Return the band that a file's name ends with, a sensor's, nir or slope; "" for none."""
    stem = PurePath(path.replace("\\", "/")).stem
    native = native_name_in_file(stem)
    last = common_name(re.split(r"[_\W]", stem)[-1].lower())
    return native or (last if last in IMAGERY or last in _DERIVED else "")


def find_bands(
    names: Sequence[str],
    wanted: Sequence[str],
    sensor: str = "auto",
    given: Mapping[str, int] | None = None,
    what: str = "image",
) -> dict[str, int]:
    """Find bands by what is given, by name, or by their place in a sensor's order.

    Args:
        names: the image's band names, in order.
        wanted: common names.
        sensor: a key of `SENSORS`, "auto" (by names) or "custom" (by what is given alone).
        given: common name to place in `names`, from 0; goes before names.
        what: the image's role in messages.

    Returns:
        Common name to place in `names`, from 0, for each wanted band.

    Raises:
        InputError: a band not found; the message names the missing bands and those there are.
    """
    indices = {} if sensor == "custom" else _indices(names, sensor)
    indices.update(given or {})
    missing = [name for name in wanted if name not in indices]
    if missing:
        raise InputError(
            f"The {what} has no band known as {', '.join(missing)}; its {len(names)} bands are: "
            f"{', '.join(names)}. Choose the sensor (SENSOR), or give the band numbers."
        )
    return {name: indices[name] for name in wanted}


def _number(name: str) -> str:
    """Return the number in a sensor's own name of a band: "4" of B04, "8A" of b8a; "" for none."""
    match = _NATIVE_NAME.fullmatch(name.strip())
    return match.group(3).upper() if match else ""


def _is_padded(name: str) -> bool:
    match = _NATIVE_NAME.fullmatch(name.strip())
    return match is not None and bool(match.group(2))


def _plain(name: str, company: Sequence[str]) -> str:
    """Return B11 of "B11, central wavelength ..." and of "Band 11" beside a "Band 8A".

    Without that, the number in "Band 11" is its place in the file.
    """
    told = _WITH_WAVELENGTH.fullmatch(name.strip())
    if told is not None:
        return told.group(1)
    spelled = _SPELLED_OUT.fullmatch(name.strip())
    if spelled is not None and any(re.fullmatch(r"Band[ _-]?8A", one, re.I) for one in company):
        return f"B{spelled.group(1)}"
    return name


def _common_to_all(name: str) -> str:
    """Return the common name where the sensors that write two digits agree on it: B01 to B04."""
    if _number(name) and not (_is_padded(name) and _number(name) in {"1", "2", "3", "4"}):
        return name if _THERMAL.fullmatch(name.strip()) is None else common_name(name)
    return common_name(name)


def _is_nir08(name: str) -> bool:
    """Whether STAC's nir08 stands for it: the near infrared of a Landsat, Sentinel-2's narrow."""
    return re.sub(r"[\s_-]", "", name).lower() == "nir08"


def _indices(names: Sequence[str], sensor: str) -> dict[str, int]:
    """Return common name to place, by the names, or by the sensor's order where they say nothing.

    A sensor's order is trusted only if no name is known and the count fits one of its files.
    """
    common = common_names(names, sensor)
    settled = any(
        new != old or new in _ALIASES.values() for new, old in zip(common, names, strict=True)
    )
    left_out = _LEFT_OUT.get(sensor, {}).get(len(names))
    if not settled and left_out is not None:
        common = [new for native, new in SENSORS[sensor].items() if native not in left_out]
    indices: dict[str, int] = {}
    for index, name in enumerate(common):
        indices.setdefault(name, index)
    return indices
