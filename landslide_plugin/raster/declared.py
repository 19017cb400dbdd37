"""What a file says of its bands: names, unique, and how stored numbers become values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from math import isfinite

from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from ..contract.errors import InputError
from ..contract.tags import FILE

_COLOURS = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


@dataclass(frozen=True)
class Scaling:
    """What a band's stored numbers are multiplied by, what is added then, and the unit they get."""

    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""


def file_of(dataset: DatasetReader) -> str:
    """Return the file over which QGIS laid a dataset to set its CRS or no-data values; "" if none.

    Its names, and what lies beside it, tell more than those of the VRT in a temporary folder.
    """
    return str(dataset.tags().get(FILE, "")) if dataset.driver == "VRT" else ""


def band_numbers(dataset: DatasetReader) -> dict[str, int]:
    """Return GDAL's numbers of the bands but alpha, by description, else colour, else band_N."""
    numbers, names = [], []
    for number, description, role in zip(
        dataset.indexes, dataset.descriptions, dataset.colorinterp, strict=True
    ):
        if role != ColorInterp.alpha:
            named = description or (role.name if role in _COLOURS else f"band_{number}")
            numbers.append(number)
            names.append(named.strip())
    return dict(zip(unique_names(names), numbers, strict=True))


def scaling_of(dataset: DatasetReader, numbers: Mapping[str, int]) -> dict[str, Scaling]:
    """Return what a file declares of its bands' scale, offset and unit.

    Raises:
        InputError: a scale or offset that no value can be made with.
    """
    scales, offsets, units = dataset.scales, dataset.offsets, dataset.units
    for band, number in numbers.items():
        scale, offset = scales[number - 1], offsets[number - 1]
        if not (isfinite(scale) and isfinite(offset) and scale):
            raise InputError(
                f"{dataset.name} declares the scale {scale:g} and offset {offset:g} for its band "
                f"{band}, which give no values: correct them (gdal_edit -scale 1 -offset 0)."
            )
    return {
        band: Scaling(scales[number - 1], offsets[number - 1], units[number - 1] or "")
        for band, number in numbers.items()
    }


def unique_names(names: Sequence[str]) -> list[str]:
    """Return the names with repeated ones numbered: b, b_2, b_3."""
    taken = set(names)
    result: list[str] = []
    for index, name in enumerate(names):
        unique = name
        if name in names[:index]:
            unique = next(f"{name}_{n}" for n in count(2) if f"{name}_{n}" not in taken)
        taken.add(unique)
        result.append(unique)
    return result
