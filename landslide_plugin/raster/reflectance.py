"""In what units a raster's imagery is stored, and reading it as reflectance."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..contract.errors import InputError
from ..core.access import parse_xml
from ..core.progress import Progress
from .bands import SENSORS, common_names, is_imagery, is_nameless, native_name_in_file, told_sensor
from .declared import Scaling
from .products import SENTINEL2_SCALE, Units, told_units
from .source import Source

LAYERS = "layers"
"""The role in messages of what is being stacked; stacks that are there are mended by another."""
REFLECTANCE = "reflectance"
"""The unit of bands from 0 to 1, as it is written into files."""
LARGEST = 2.0
"""No ground reflects more, so what is larger is a digital number, whatever its type."""
ADDED_SINCE = "20220125"
"""The day from which on Sentinel-2's products hold an offset when they are first processed."""

_DAY = re.compile(r"(?<!\d)(20\d\d)[-_]?(0[1-9]|1[0-2])[-_]?([0-3]\d)(?!\d)")
_DARKEST = 800
"""Numbers below this in `_DARK` of the pixels hold no added 1000: the ground would be darker than
nothing by more than atmospheric correction ever is."""
_DARK = 0.05
_DECLARED = "the file declares it"
_DARK_TELLS = "its dark pixels leave no room for an added 1000"
_UNSURE = Units(SENTINEL2_SCALE, 0.0, "nothing tells of an added 1000", certain=False)
_LOOKED_AT = 3
"""Squares along each side of a raster that its values are looked at in."""
_SIDE = 64
_FEW = 1000
"""Fewer values in these squares say too little: the raster is looked through for more."""
_MEGABYTES = 16

Located = Mapping[str, tuple[Source, str]]
"""Name of a band to the raster that holds it and its name there."""


def given_units(scale: float | None, offset: float | None, what: str = "") -> Units | None:
    """Return the units that a user gives; None where none are given.

    Args:
        scale: what numbers are multiplied by; None for what is known.
        offset: what is added then; None is 0.
        what: the parameters' prefix in messages, such as "EARLIER_".

    Raises:
        InputError: an offset without a scale.
    """
    if scale is None and offset is None:
        return None
    if scale is None:
        raise InputError(
            f"{what}OFFSET {offset:g} is given without {what}SCALE: give both, as reflectance is "
            f"value x {what}SCALE + {what}OFFSET."
        )
    return Units(scale, offset or 0.0, f"{what}SCALE and {what}OFFSET say so")


def reflectance_units(source: Source, band: str, sensor: str = "auto") -> Units | None:
    """Return how a band's stored numbers become reflectance; None where nothing tells.

    What the file declares counts first, then what the product tells (`products.told_units`), then
    the sensor. Numbers of a float type up to `LARGEST` are reflectance.

    Args:
        source: the raster.
        band: its name there.
        sensor: as `common_names` takes it.
    """
    declared = source.scaling[band]
    if declared.unit == REFLECTANCE or (declared.scale, declared.offset) != (1, 0):
        return Units(declared.scale, declared.offset, _DECLARED)
    if _is_reflectance(source, band):
        return Units(1.0, 0.0, "they are decimal numbers")
    number = source.index_of(band)
    tags = _tags(source, number)
    paths = _files(source, number)
    sensor = _sensor(source, sensor)
    native = _native_name(source, band, sensor)
    is_bytes = source.dataset.dtypes[number - 1] == "uint8"
    told = {told_units(path, native, number - 1, tags, is_bytes) for path in paths}
    if len(told) == 1 and None not in told:
        return told.pop()
    if len(told) > 1:
        return None  # a mosaic of products that differ
    is_sentinel2 = sensor == "sentinel2" or re.fullmatch(r"B0\d", native, re.IGNORECASE)
    return _UNSURE if is_sentinel2 and not is_picture(source, band) else None


def read_as_reflectance(
    bands: Located,
    sensor: str = "auto",
    given: Units | None = None,
    *,
    what: str = "image",
    progress: Progress,
) -> dict[str, Units | None]:
    """Have bands of imagery read as reflectance from now on, where their units are known.

    Bands of one scene that lie in a file each are told from each other's values too.

    Args:
        bands: what to read so.
        sensor: as `common_names` takes it.
        given: what the user says, which goes before all else.
        what: their role in messages.
        progress: told how integers are understood.

    Returns:
        The units of each band; None where they are not known, and numbers stay as they are.
    """
    result = {
        name: given or reflectance_units(source, band, sensor)
        for name, (source, band) in bands.items()
    }
    unsure = {name: bands[name] for name, units in result.items() if units and not units.certain}
    dark = {
        _scene(source) for source, band in unsure.values() if _holds_no_offset(source, band, sensor)
    }
    for name, (source, _) in unsure.items():
        if _scene(source) in dark:
            result[name] = replace(_UNSURE, told=_DARK_TELLS, certain=True)
    for name, units in result.items():
        if units is not None:
            source, band = bands[name]
            source.scaling[band] = Scaling(units.scale, units.offset, REFLECTANCE)
    for units in sorted({one for one in result.values() if one}, key=str):
        if (units.scale, units.offset) != (1, 0) and units.told != _DECLARED:
            named = ", ".join(name for name, one in result.items() if one == units)
            progress.message(
                f"Reflectance of {named} of the {what} is taken to be value x {units.scale:g}"
                f"{f' {units.offset:+g}' if units.offset else ''}, as {units.told}."
            )
    return result


def take_as_reflectance(
    bands: Located,
    sensor: str = "auto",
    given: Units | None = None,
    *,
    what: str = "stack",
    progress: Progress,
) -> dict[str, Units | None]:
    """Have what is known of imagery read as reflectance, and warn of what is not.

    Nothing is said of numbers up to 255, whose level says little: pictures in natural colours.

    Args:
        bands: bands of imagery.
        sensor: as `common_names` takes it.
        given: what the user says of those that hold digital numbers.
        what: their role in messages.
        progress: told how numbers are understood.

    Returns:
        The units of each band; None where they are not known, and numbers stay as they are.

    Raises:
        InputError: units are given, but no band holds digital numbers.
    """
    numbers = {name: located for name, located in bands.items() if not _is_reflectance(*located)}
    if given and not numbers:
        raise InputError(
            "SCALE and OFFSET are given, but no band of the layers is known as one of imagery "
            "that holds digital numbers: choose the SENSOR, or leave them empty."
        )
    decimal = {name: located for name, located in bands.items() if name not in numbers}
    result = {
        **read_as_reflectance(decimal, sensor, what=what, progress=progress),
        **read_as_reflectance(numbers, sensor, given, what=what, progress=progress),
    }
    warn_of_unknown(result, bands, what, progress)
    return result


def warn_of_unknown(
    told: Mapping[str, Units | None], bands: Located, what: str, progress: Progress
) -> None:
    """Warn of bands of imagery whose units are not known, or their offset, but for pictures."""
    mend = remedy("", "give" if what == LAYERS else "stack its layers anew with")
    unsure = [name for name, units in told.items() if units and not units.certain]
    strange = [
        name for name, units in told.items() if units is None and not is_picture(*bands[name])
    ]
    if unsure:
        progress.warning(
            f"It is not known whether an offset was added to the reflectance of {', '.join(unsure)}"
            f" of the {what}: {mend}."
        )
    if strange:
        progress.warning(
            f"The numbers of {', '.join(strange)} of the {what} are of unknown units, and stay as "
            f"they are: {mend}."
        )


def remedy(prefix: str = "", first: str = "give") -> str:
    """Return what a user can give where units are not known; `first` leads over to the keys."""
    return (
        f"{first} {prefix}SCALE and {prefix}OFFSET (Sentinel-2: 0.0001, and -0.1 since processing "
        "baseline 04.00, else 0; Landsat Collection 2 surface reflectance: 0.0000275 and -0.2)"
    )


def day_in_path(path: str) -> str:
    """Return the first day in a file's name, else its folders', as yyyymmdd; "" for none."""
    for part in reversed(PurePath(path.replace("\\", "/")).parts):
        match = _DAY.search(part)
        if match:
            return "".join(match.groups())
    return ""


def sampled(source: Source, band: str) -> NDArray[np.float32]:
    """Return valid values of a band from squares spread over a raster, as they are read, (n,).

    Where these hold next to nothing, as of a scene that fills a corner of its tile, they are from
    the first parts of the raster that hold enough.
    """
    height, width = source.grid.shape
    squares = [
        Window(
            round((width - _SIDE) * (col + 0.5) / _LOOKED_AT),
            round((height - _SIDE) * (row + 0.5) / _LOOKED_AT),
            _SIDE,
            _SIDE,
        )
        for row in range(_LOOKED_AT)
        for col in range(_LOOKED_AT)
    ]
    sample = _valid_values(source, band, squares)
    if sample.size >= _FEW:
        return sample
    return _valid_values(source, band, source.grid.windows(_MEGABYTES, 1), _FEW)


def _valid_values(
    source: Source, band: str, windows: Iterable[Window], enough: float = np.inf
) -> NDArray[np.float32]:
    """Return what windows hold, (n,), until that is enough."""
    samples, count = [np.empty(0, np.float32)], 0
    for window in windows:
        values, valid = source.read(window, [band])
        samples.append(values[valid])
        count += samples[-1].size
        if count >= enough:
            break
    return np.concatenate(samples)


def _is_reflectance(source: Source, band: str) -> bool:
    """Whether a band's numbers are decimal ones in the range of reflectance."""
    if np.dtype(source.dataset.dtypes[source.index_of(band) - 1]).kind in "iu":
        return False
    values = sampled(source, band)
    return not values.size or bool(np.percentile(np.abs(values), 98) <= LARGEST)


def is_picture(source: Source, band: str) -> bool:
    """Whether a band's numbers go up to 255."""
    if source.dataset.dtypes[source.index_of(band) - 1] == "uint8":
        return True
    values = sampled(source, band)
    return not values.size or float(values.max()) <= 255


def _holds_no_offset(source: Source, band: str, sensor: str) -> bool:
    """Whether values of this band or another one of the image prove that no 1000 was added."""
    names = common_names(source.bands, sensor, source.file)
    light = [native for native, name in zip(source.bands, names, strict=True) if is_imagery(name)]
    for native in dict.fromkeys([band, *light]):
        values = sampled(source, native)
        stored = values[values > 0]
        if stored.size and np.quantile(stored, _DARK) < _DARKEST:
            return True
    return False


def _sensor(source: Source, sensor: str) -> str:
    """Return the sensor that is given, or told by bands and path; "" for none."""
    if sensor != "auto":
        return sensor if sensor in SENSORS else ""
    names = source.bands
    if is_nameless(source):
        names = [native_name_in_file(PurePath(source.file).stem)]
    return told_sensor(names, source.file)


def _native_name(source: Source, band: str, sensor: str) -> str:
    """Return the sensor's own name of a band, "B4" of "red" too; "" where it is not known."""
    name = native_name_in_file(PurePath(source.file).stem) if is_nameless(source) else band
    common = re.sub(r"_\d+$", "", common_names([name], sensor or "auto")[0])
    back = {new: match for match, new in SENSORS.get(sensor, {}).items()}
    match = re.fullmatch(r"(?:SR_)?B(?:\d{1,2}|8A)", name, re.IGNORECASE)
    return name if match else back.get(common, "")


def _files(source: Source, number: int) -> Sequence[str]:
    """Return the files that a band's pixels are from: those that a virtual raster names."""
    if source.file != source.path:
        with Source.open(source.file, need_crs=False) as file:
            return _files(file, number)
    if source.dataset.driver != "VRT":
        return [source.path]
    root = parse_xml(source.dataset.tags(ns="xml:VRT").get("xml:VRT", ""))
    if root is None:
        return [source.path]
    elements = [band for band in root.findall("VRTRasterBand") if band.get("band") == str(number)]
    if any(True for band in elements for _ in band.iter("ScaleRatio")):
        return [source.path]  # no longer what the files hold
    sources = [*(one for band in elements for one in band.iter("SourceFilename"))]
    named = [
        str(Path(source.path).parent / (one.text or ""))
        if one.get("relativeToVRT") == "1"
        else one.text or ""
        for one in sources or root.iter("SourceDataset")
    ]
    return list(dict.fromkeys(named)) or [source.path]


def _tags(source: Source, number: int) -> dict[str, str]:
    dataset = source.dataset
    return {**dataset.tags(), **dataset.tags(ns="IMAGERY"), **dataset.tags(number)}


def _scene(source: Source) -> str:
    """Return what the files of one scene have in common: their names without the band's."""
    if not is_nameless(source):
        return source.file
    stem = PurePath(source.file).stem
    return re.sub(r"[_.-]?(?:S[RT]_)?B(?:and)?(?:\d{1,2}|8A)(?:_\d+m)?$", "", stem, flags=re.I)
