"""Fill that a raster holds and does not declare: which pixels hold it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from .pieces import PackedMask

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Collar:
    """The pixels of an image that are black, or white, in all its bands.

    Attributes:
        bands: GDAL's numbers of these bands.
        low: lowest value that is fill, as it is stored.
        high: highest; that of lossless files is the same.
        mask: where they are.
        count: how many pixels that is.
    """

    bands: tuple[int, ...]
    low: float
    high: float
    mask: PackedMask
    count: int


@dataclass(frozen=True)
class Fill:
    """Undeclared fill of a raster, by GDAL's numbers of bands; values are as they are stored.

    Attributes:
        voids: values of a band that are fill, and how many pixels hold each.
        limits: lowest and highest elevation, and how many pixels lie beyond.
        collars: black or white parts of images.
        pixels: how many were looked at.
    """

    voids: Mapping[int, Mapping[float, int]] = field(default_factory=dict)
    limits: Mapping[int, tuple[float, float, int]] = field(default_factory=dict)
    collars: Sequence[Collar] = ()
    pixels: int = 0

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.voids or self.limits or self.collars)

    def of(
        self,
        values: Floats,
        indexes: Sequence[int],
        window: Window,
        choose: Callable[[NDArray[Any]], NDArray[Any]] = lambda layers: layers,
    ) -> Mask:
        """Return which of a window's values are fill.

        Args:
            values: as they are stored, the first axis that of the bands.
            indexes: GDAL's numbers of the bands.
            window: where they lie in the raster.
            choose: what `values` were chosen by, of (bands, rows, columns).
        """
        filled = np.zeros(values.shape, bool)
        for band, here, index in zip(values, filled, indexes, strict=True):
            for void in self.voids.get(index, ()):
                here |= band == np.float32(void)
            if index in self.limits:
                low, high, _ = self.limits[index]
                here |= (band < low) | (band > high)
        for collar in self.collars:
            held = [position for position, index in enumerate(indexes) if index in collar.bands]
            if held:
                filled[held] |= choose(collar.mask.read(window)[None])
        return filled

    def describe(self) -> str:
        """Return what was found and on which share of the pixels, for a sentence."""
        counts: Counter[str] = Counter()
        for band in self.voids.values():
            for void, count in band.items():
                counts[f"{void:g}"] = max(counts[f"{void:g}"], count)
        for low, high, count in self.limits.values():
            counts[f"elevations below {low:g} or above {high:g}"] += count
        for collar in self.collars:
            bands = " in all bands" if len(collar.bands) > 1 else ""
            span = f" to {collar.high:g}" if collar.high > collar.low else ""
            counts[f"{collar.low:g}{span}{bands}"] += collar.count
        fractions = {what: count / max(self.pixels, 1) for what, count in counts.items()}
        told = [f"{what} on {_percent(fraction)}" for what, fraction in fractions.items()]
        return f"{' and '.join(told)} of the pixels"


def _percent(fraction: float) -> str:
    return "less than 0.01 %" if fraction < 1e-4 else f"{100 * fraction:.2g} %"
