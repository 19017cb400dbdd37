"""Which kinds of landslide a raster tells apart, such as slides, falls and flows.

`predict` writes a band of probabilities for each class of a model that knows several, and a mask of
their numbers. A pixel is landslide where all bands together reach the threshold, and of the kind
whose band is the highest: the mask's rule.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..contract.errors import InputError
from ..raster import Source

BAND = "landslide_probability"
"""Of rasters that tell no kinds apart."""
ENDING = "_probability"
NODATA = 255
"""Of masks whose file does not declare it."""


@dataclass(frozen=True)
class Kind:
    """One of the kinds.

    Attributes:
        name: of the class.
        number: its value in a mask; its band's place, from 1, among those of probabilities.
    """

    name: str
    number: int


def band_of(source: Source) -> str:
    """Return the name of the band of probabilities, or else of the first."""
    return BAND if BAND in source.bands else source.bands[0]


def is_mask(source: Source) -> bool:
    """Return whether a raster holds whole numbers, not probabilities; see `Scene`."""
    index = source.index_of(band_of(source)) - 1
    scaled = (source.dataset.scales[index], source.dataset.offsets[index]) != (1, 0)
    return bool(np.dtype(source.dataset.dtypes[index]).kind != "f" and not scaled)


def kinds_of(source: Source) -> list[Kind]:
    """Return the kinds that a raster tells apart; none where it knows landslides alone.

    Args:
        source: bands of probabilities, `NAME_probability` each, or a mask with names of classes.
    """
    if is_mask(source):
        names = source.all_class_names(band_of(source))
        kinds = [Kind(names[number], number) for number in sorted(set(names) - {0, NODATA})]
    elif all(band.endswith(ENDING) for band in source.bands):
        names = {number: _words(band) for number, band in enumerate(source.bands, start=1)}
        kinds = [Kind(name, number) for number, name in names.items()]
    else:
        return []
    return kinds if len(kinds) > 1 else []


def probability_of_any(values: NDArray[np.float32], is_mask: bool) -> NDArray[np.float32]:
    """Return the probability of landslide of whatever kind; 0 or 1 for a mask.

    Args:
        values: (1, rows, columns) of a mask, else (kinds, rows, columns), 0..1; 0 where invalid.
        is_mask: whether they are numbers of classes.

    Returns:
        float32, (rows, columns).
    """
    if is_mask:
        marked: NDArray[np.float32] = ((values[0] > 0) & (values[0] != NODATA)).astype(np.float32)
        return marked
    together: NDArray[np.float32] = values.sum(axis=0).clip(max=1)
    return together


def probability_of(kind: Kind, values: NDArray[np.float32], is_mask: bool) -> NDArray[np.float32]:
    """Return the probability of landslide where it is of a kind, else 0; 0 or 1 for a mask.

    Args:
        kind: the kind.
        values: see `probability_of_any`.
        is_mask: likewise.

    Returns:
        float32, (rows, columns).
    """
    if is_mask:
        marked: NDArray[np.float32] = (values[0] == kind.number).astype(np.float32)
        return marked
    of_it = values.argmax(axis=0) + 1 == kind.number
    result: NDArray[np.float32] = np.where(of_it, probability_of_any(values, is_mask), 0)
    return result


def check_classes(values: NDArray[np.float32], kinds: list[Kind], path: str) -> None:
    """Check that a mask holds no class without a name, which would be lost.

    Raises:
        InputError: it does.
    """
    allowed = [0, NODATA, *(kind.number for kind in kinds)]
    strange = values[~np.isin(values, allowed)]
    if strange.size:
        raise InputError(
            f"{path} holds the class {strange.min():g}, for which it has no name: name it in the "
            "file's table of categories, or set these pixels to 0."
        )


def _words(band: str) -> str:
    return band.removesuffix(ENDING).replace("_", " ")
