"""Spectral indices of an image, by formulas over bands with common names."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window

from ..contract.errors import InputError
from ..core.progress import Progress
from ..raster.bands import find_bands
from ..raster.products import Units
from ..raster.reflectance import ADDED_SINCE, day_in_path, read_as_reflectance, remedy
from ..raster.stack import LayerStack
from ..raster.undeclared import IMAGE

Floats = NDArray[np.float32]
Blocks = Iterator[tuple[Window, Floats, NDArray[np.bool_]]]

_BLOCK_MEGABYTES = 96

CHANGE = "d"
"""What the name of an index's change begins with: dndvi.

One rule for all: earlier less later, as Key & Benson 2006 (USDA RMRS-GTR-164) define dNBR. So where
a landslide bares green ground, dndvi, dsavi and dnbr are positive, dbsi, dndbi, dbrightness and
dndwi negative.
"""


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


@dataclass(frozen=True)
class Image:
    """An image, of one file or several, read as reflectance by the bands' common names.

    Attributes:
        layers: its files on one grid.
        needed: common name to the layers' name of each band that the indices need.
        units: how these bands became reflectance; None for one whose numbers stay as they are.
    """

    layers: LayerStack
    needed: dict[str, str]
    units: dict[str, Units | None]

    def read(self, window: Window) -> tuple[Floats, NDArray[np.bool_]]:
        """Return the needed bands' reflectance and validity, (bands, rows, columns)."""
        return self.layers.read(window, list(self.needed.values()))

    @property
    def is_certain(self) -> bool:
        """Whether it is known of every band whether something was added to its reflectance."""
        return all(units is not None and units.certain for units in self.units.values())

    @property
    def day(self) -> str:
        """When it was taken, as the files' names say: year, month, day; "" where they don't."""
        return max(day_in_path(origin) for origin in self.layers.origins)


def open_image(
    paths: Sequence[str | Path],
    names: Sequence[str],
    opened: ExitStack,
    *,
    sensor: str = "auto",
    numbers: Mapping[str, int] | None = None,
    given: Units | None = None,
    reference: str | Path = "",
    what: str = "image",
    fill: str = "keep",
    progress: Progress,
) -> Image:
    """Open an image and find the bands that indices need.

    Args:
        paths: its files; bands of another resolution are brought to the first file's grid.
        names: keys of `INDICES`.
        opened: closes the files.
        sensor: as `find_bands`.
        numbers: common name to band number from 1, as QGIS counts, through all files; 0 is not
            given. They go before names.
        given: units that go before what the image tells.
        reference: the raster whose grid counts instead.
        what: the image's role in messages.
        fill: see `mark_fill`.
        progress: where it is said how numbers are understood.

    Raises:
        InputError: as `Source.open` and `find_bands`, or a number that is no band's.
        GridError: as `LayerStack.open`.
    """
    layers = opened.enter_context(
        LayerStack.open(
            paths,
            reference=reference,
            sensor=sensor,
            what=what,
            fill=fill,
            kind=IMAGE,
            progress=progress,
        )
    )
    wanted = list(dict.fromkeys(band for name in names for band in INDICES[name].bands))
    indices = find_bands(layers.bands, wanted, sensor, _given(layers, numbers or {}, what), what)
    needed = {band: layers.bands[index] for band, index in indices.items()}
    located = {band: layers.source_of(name) for band, name in needed.items()}
    units = read_as_reflectance(located, sensor, given, what=what, progress=progress)
    image = Image(layers, needed, units)
    _warn_of_units(image, names, what, progress)
    return image


def require_same_units(image: Image, earlier: Image) -> None:
    """Refuse a change between images of which one alone may have an offset.

    Raises:
        InputError: so it is; the sentence says how to mend it.
    """
    if image.is_certain != earlier.is_certain:
        what, prefix = ("earlier image", "EARLIER_") if image.is_certain else ("image", "")
        raise InputError(
            f"It is not known whether an offset was added to the {what}'s reflectance, as it is "
            f"of the other image, and their difference would show it: {remedy(prefix)}."
        )
    if not image.is_certain and earlier.day and earlier.day < ADDED_SINCE <= image.day:
        raise InputError(
            "The images were taken before and after Sentinel-2's products got an offset (25 "
            f"January 2022), and nothing tells of theirs: {remedy()}, and likewise "
            "EARLIER_SCALE and EARLIER_OFFSET."
        )


def stream_indices(images: Sequence[Image], names: Sequence[str]) -> Blocks:
    """Derive indices by blocks, top to bottom.

    Args:
        images: the image, and an earlier one on the same grid where the change is wanted too.
        names: keys of `INDICES`.

    Yields:
        Windows, float32 (bands, rows, columns), which are the indices and then, with an earlier
        image, their change (see `CHANGE`), and validity, bool, same shape: False where a band that
        the index needs is not valid in one of the images or its divisor is 0.
    """
    arrays = 2 * len(images) * (len(names) + len(images[0].needed))
    for window in images[0].layers.grid.windows(_BLOCK_MEGABYTES, arrays):
        derived = [derive(*image.read(window), list(image.needed), names) for image in images]
        values, valid = derived[0]
        for before, before_valid in derived[1:]:
            change = np.where(before_valid & valid, before - values, 0)
            values, valid = (
                np.concatenate([values, change]),
                np.concatenate([valid, before_valid & valid]),
            )
        yield window, values, valid


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
    for index, name in enumerate(names):
        needed = [bands.index(band) for band in INDICES[name].bands]
        dividend, divisor = INDICES[name].formula(*reflectance[needed])
        good[index] = valid[needed].all(axis=0) & (divisor != 0)
        np.divide(dividend, divisor, out=result[index], where=good[index])
    return result, good


def _given(layers: LayerStack, numbers: Mapping[str, int], what: str) -> dict[str, int]:
    """Return which of the layers' bands are given by number; opacity counts, but is none."""
    indices: dict[int, int] = {}
    before = 0
    last: DatasetReader | None = None
    for index, name in enumerate(layers.bands):
        source, band = layers.source_of(name)
        if last is not None and source.dataset is not last:
            before += last.count
        last = source.dataset
        indices.setdefault(before + source.index_of(band), index)
    given = {name: number for name, number in numbers.items() if number}
    for name, number in given.items():
        if number not in indices:
            raise InputError(
                f"The {name} band is given as number {number}, but the {what}'s bands of values "
                f"are {', '.join(map(str, indices))}: choose one of these."
            )
    return {name: indices[number] for name, number in given.items()}


def _warn_of_units(image: Image, names: Sequence[str], what: str, progress: Progress) -> None:
    """Warn of the indices that are not of reflectance for certain: offsets change ratios too."""
    doubtful = {band for band, units in image.units.items() if units is None or not units.certain}
    touched = [name for name in names if doubtful & set(INDICES[name].bands)]
    if not touched:
        return
    scaled = [name for name in touched if INDICES[name].needs_reflectance]
    besides = f" ({', '.join(scaled)} want reflectance from 0 to 1)" if scaled else ""
    progress.warning(
        f"{', '.join(touched)} of the {what} may be wrong{besides}: it is not known whether an "
        "offset was added to the reflectance in its numbers; "
        f"{remedy('EARLIER_' if what == 'earlier image' else '')}."
    )
