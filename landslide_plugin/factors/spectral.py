"""Spectral indices of an image, by formulas over bands with common names."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..errors import InputError
from ..progress import Progress
from ..raster.bands import find_bands, is_sentinel2, to_physical
from ..raster.source import Source

Floats = NDArray[np.float32]
Blocks = Iterator[tuple[Window, Floats, NDArray[np.bool_]]]

_BLOCK_MEGABYTES = 96
_SENTINEL2_SCALE = 1e-4


@dataclass(frozen=True)
class Index:
    """A spectral index.

    Attributes:
        bands: the common names of the bands it needs, in the order its formula takes them.
        formula: takes reflectances of any one shape; returns the dividend and the divisor.
        source: who published it.
        needs_reflectance: whether its value changes with the image's scale.
    """

    bands: tuple[str, ...]
    formula: Callable[..., tuple[Floats, Floats]]
    source: str
    needs_reflectance: bool = False


def _difference(one: Floats, other: Floats) -> tuple[Floats, Floats]:
    return one - other, one + other


def _bare_soil(blue: Floats, red: Floats, nir: Floats, swir1: Floats) -> tuple[Floats, Floats]:
    return _difference(swir1 + red, nir + blue)


def _soil_adjusted(nir: Floats, red: Floats) -> tuple[Floats, Floats]:
    return 1.5 * (nir - red), nir + red + 0.5


def _brightness(blue: Floats, green: Floats, red: Floats) -> tuple[Floats, Floats]:
    return blue + green + red, np.full_like(red, 3)


INDICES: dict[str, Index] = {
    "ndvi": Index(("nir", "red"), _difference, "Rouse et al. 1974, NASA SP-351"),
    "mndwi": Index(("green", "swir1"), _difference, "Xu 2006, Int. J. Remote Sens. 27:3025"),
    "ndwi": Index(("green", "nir"), _difference, "McFeeters 1996, Int. J. Remote Sens. 17:1425"),
    "ndbi": Index(("swir1", "nir"), _difference, "Zha et al. 2003, Int. J. Remote Sens. 24:583"),
    "bsi": Index(
        ("blue", "red", "nir", "swir1"), _bare_soil, "Rikimaru et al. 2002, Trop. Ecol. 43:39"
    ),
    "savi": Index(
        ("nir", "red"), _soil_adjusted, "Huete 1988, Remote Sens. Environ. 25:295, L = 0.5", True
    ),
    "nbr": Index(("nir", "swir2"), _difference, "Key & Benson 2006, USDA RMRS-GTR-164"),
    "brightness": Index(("blue", "green", "red"), _brightness, "mean of the visible bands", True),
}
"""Index name to its bands and formula."""

DEFAULT = ("ndvi", "mndwi")


def check_indices(names: Sequence[str]) -> list[str]:
    """Return the names without repetition.

    Raises:
        InputError: none, or an unknown one.
    """
    unknown = [name for name in names if name not in INDICES]
    if unknown or not names:
        raise InputError(
            f"Unknown spectral indices: {', '.join(unknown) or 'none given'}; there are: "
            f"{', '.join(INDICES)}."
        )
    return list(dict.fromkeys(names))


def find_needed(
    image: Source, names: Sequence[str], sensor: str, numbers: Mapping[str, int]
) -> dict[str, str]:
    """Return common name to the image's own name for each band that the indices need.

    Raises:
        InputError: as `find_bands`.
    """
    wanted = list(dict.fromkeys(band for name in names for band in INDICES[name].bands))
    places = find_bands(image.bands, wanted, sensor, numbers)
    return {band: image.bands[place] for band, place in places.items()}


def reflectance_scale(
    image: Source,
    needed: Mapping[str, str],
    names: Sequence[str],
    sensor: str,
    progress: Progress,
) -> float:
    """Return what turns the image's values into reflectance where its file does not say.

    Ratios don't mind; SAVI and brightness do. Sentinel-2's integers are reflectance times 10 000;
    of other integers without a scale nothing is known, and a warning says so.
    """
    places = [image.bands.index(band) for band in needed.values()]
    integers = all(np.dtype(image.dataset.dtypes[place]).kind in "iu" for place in places)
    declared = any(image.dataset.scales[place] != 1 for place in places)
    minding = [name for name in names if INDICES[name].needs_reflectance]
    if not minding or declared or not integers:
        return 1.0
    if sensor == "sentinel2" or (sensor == "auto" and is_sentinel2(image.bands)):
        progress.message("Sentinel-2 integers are taken as reflectance times 10 000.")
        return _SENTINEL2_SCALE
    progress.warning(
        f"{', '.join(minding)} want reflectance from 0 to 1, but the image holds integers without "
        "a scale: their values are on the image's own scale."
    )
    return 1.0


def stream_indices(
    image: Source, names: Sequence[str], needed: Mapping[str, str], scale: float = 1.0
) -> Blocks:
    """Derive indices by blocks of rows.

    Args:
        image: the image; scale and offset that it declares are applied.
        names: keys of `INDICES`.
        needed: common name to the image's band, as `find_needed` returns.
        scale: applied to all bands besides.

    Yields:
        Windows from top to bottom, indices float32 (indices, rows, columns) and validity, bool,
        same shape: False where a band the index needs is not valid or the divisor is 0.
    """
    own_names = list(needed.values())
    rows = image.grid.rows_within(_BLOCK_MEGABYTES, 2 * len(names) + 2 * len(own_names))
    for window in image.grid.row_blocks(rows):
        values, mask = image.read(window, own_names)
        values = to_physical(values, image, own_names)
        values *= scale
        yield (window, *derive(values, mask, list(needed), names))


def derive(
    values: Floats, valid: NDArray[np.bool_], bands: Sequence[str], names: Sequence[str]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Derive indices of a block.

    Reflectance below 0, which atmospheric correction leaves in shadow, counts as 0: a normalised
    difference so stays within -1 and 1.

    Args:
        values: reflectance, (bands, rows, columns).
        valid: same shape.
        bands: their common names.
        names: keys of `INDICES`.

    Returns:
        Indices and their validity, (indices, rows, columns).
    """
    shape = (len(names), *values.shape[1:])
    result, good = np.zeros(shape, np.float32), np.zeros(shape, bool)
    reflectance = np.maximum(values, 0)
    for place, name in enumerate(names):
        needed = [bands.index(band) for band in INDICES[name].bands]
        dividend, divisor = INDICES[name].formula(*reflectance[needed])
        good[place] = valid[needed].all(axis=0) & (divisor != 0)
        np.divide(dividend, divisor, out=result[place], where=good[place])
    return result, good
