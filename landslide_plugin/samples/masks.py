"""What masks of tiles mean: values, palettes, colours, transparency, and what lossy formats leave.

One rule holds for all masks of a set, as a single one may show only ground.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from ..contract.errors import InputError
from ..core.progress import Progress
from ..raster.undeclared import CLASSES, MASKED, counted, stands_for_unknown
from ..raster.validity import UNDECLARED_FILL
from .tile_files import RASTERS, open_array, open_tile

LOSSY = (".jpg", ".jpeg", ".webp")
_HUE = 48
"""Distance of the highest and the lowest of three colours from which on a set is coloured."""
_OPAQUE = 128
_MANY = 16
"""More values than this are not those of classes."""
_NAMED = 8

Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class MaskPixels:
    """A mask as its file shows it; all (rows, columns).

    Attributes:
        value: of a band, or the brightness 0..255 of a colour.
        number: tells landslides apart where each has a value or a colour of its own.
        valid: False at nodata.
        hue: how far a colour is from grey, 0..255; None of masks without colours.
        alpha: 0 transparent to 255 opaque; None of masks without.
        lossy: whether the file's format changes values.
    """

    value: NDArray[Any]
    number: NDArray[Any]
    valid: Flags
    hue: NDArray[np.uint8] | None = None
    alpha: NDArray[np.uint8] | None = None
    lossy: bool = False

    @property
    def opaque(self) -> Flags:
        """Which pixels are not transparent."""
        if self.alpha is None:
            return np.ones(self.value.shape, bool)
        return self.alpha >= _OPAQUE


@dataclass(frozen=True)
class MaskRule:
    """Which pixels of a set's masks are landslide.

    Attributes:
        hue: distance from grey from which on; 0 where colours don't tell.
        by_alpha: whether it is what is opaque.
        least: value from which on; None for any above 0.
        unknown: value of what is not known; None where there is none.
        below: whether whole numbers below 0 are not known either.
    """

    hue: float = 0.0
    by_alpha: bool = False
    least: float | None = None
    unknown: float | None = None
    below: bool = False

    def apply(self, pixels: MaskPixels) -> tuple[Flags, Flags]:
        """Return what is landslide, and what is known, (rows, columns)."""
        if self.hue:
            coloured = np.zeros(pixels.value.shape) if pixels.hue is None else pixels.hue
            return (coloured >= self.hue) & pixels.opaque & pixels.valid, pixels.valid
        if self.by_alpha and pixels.alpha is not None:
            return pixels.opaque & pixels.valid, pixels.valid
        value = pixels.value
        landslide = value > 0 if self.least is None else value >= self.least
        valid = pixels.valid & pixels.opaque
        if self.unknown is not None:
            valid &= value != self.unknown
        if self.below:
            valid &= ~_is_below(value)
        return landslide & valid, valid


PLAIN = MaskRule()
"""Any value above 0 is landslide."""


class MaskSurvey:
    """Looks at all masks of a set, and then says what they mean.

    Attributes:
        highest: value of any known pixel.
    """

    def __init__(self) -> None:
        self.highest = 0.0
        self._hues: set[int] = set()
        self._counts: dict[float, int] = {}
        self._below: set[float] = set()
        self._fractions = self._lossy = self._transparent = False
        self._opaque = [np.inf, -np.inf]
        """Lowest and highest opaque value of masks with alpha."""

    def add(self, pixels: MaskPixels) -> None:
        """Look at a mask."""
        if pixels.hue is not None:
            self._hues.update(np.unique(pixels.hue[pixels.opaque]).tolist())
        if pixels.alpha is not None:
            shown = pixels.value[pixels.opaque]
            self._transparent |= shown.size < pixels.value.size
            self._opaque[0] = min(self._opaque[0], float(shown.min(initial=255)))
            self._opaque[1] = max(self._opaque[1], float(shown.max(initial=0)))
        self._lossy |= pixels.lossy
        value = pixels.value[pixels.valid & pixels.opaque]
        self.highest = max(self.highest, float(value.max(initial=0)))
        if value.dtype.kind in "if" and len(self._below) <= CLASSES:
            self._below.update(np.unique(value[_is_below(value)]).tolist())
        if value.dtype.kind == "f" and not self._fractions:
            self._fractions = bool((value != np.floor(value)).any())
        if not self._fractions:
            for one, count in zip(*counted(value), strict=True):
                self._counts[float(one)] = self._counts.get(float(one), 0) + int(count)

    @property
    def _highest_hue(self) -> int:
        return max(self._hues, default=0)

    def rule(self, instances: bool, progress: Progress) -> MaskRule:
        """Return what the masks mean, and tell it where it is not plain.

        Args:
            instances: whether values number landslides.
            progress: where it is told.
        """
        if self._highest_hue >= _HUE:
            progress.message(
                "The masks are coloured: what has a hue is landslide; black, grey, white and "
                "transparent pixels are not."
            )
            return MaskRule(hue=self._least_hue(instances))
        low, high = self._opaque
        if self._transparent and not low < high / 2:
            progress.message("The masks are transparent but for the landslides, which are opaque.")
            return MaskRule(by_alpha=True)
        if self._transparent:
            progress.warning(
                "The masks are black and white, and transparent elsewhere: what is transparent is "
                "not known."
            )
        return self._by_value(instances, progress)

    def _least_hue(self, instances: bool) -> float:
        """Return half the highest hue where edges are blurred, else what is below any class's."""
        if instances and not self._lossy:
            return 1.0
        return self._highest_hue / 2 if len(self._hues) > _MANY else min(_HUE, self._highest_hue)

    def _by_value(self, instances: bool, progress: Progress) -> MaskRule:
        rule = self._of_values(instances, progress)
        if not 0 < len(self._below) <= CLASSES:  # many are what resampling leaves beside edges
            return rule
        named = ", ".join(f"{value:g}" for value in sorted(self._below)[:_NAMED])
        progress.warning(
            f"The masks hold {named}, and numbers below 0 are taken as not known: set them to 0 if "
            "they are ground."
        )
        return replace(rule, below=True)

    def _of_values(self, instances: bool, progress: Progress) -> MaskRule:
        values = sorted(value for value in self._counts if value > 0)
        if self._fractions or self._is_blurred():
            least = 0.5 if self._fractions and self.highest <= 1 else self.highest / 2
            half = ", half the highest" if least == self.highest / 2 else ""
            progress.message(
                f"The masks hold many values up to {self.highest:g}, as lossy formats and "
                f"resampling leave them: landslide is from {least:g} on{half}."
            )
            return MaskRule(least=least)
        if instances or len(values) < 2:
            return PLAIN
        named = ", ".join(f"{value:g}" for value in values[:_NAMED])
        more = f" and {len(values) - _NAMED} more" if len(values) > _NAMED else ""
        told = f"The masks hold the values {named}{more} beside 0"
        if stands_for_unknown(values):
            progress.warning(f"{told}: 255 is taken as not known, what is below for landslide.")
            return MaskRule(unknown=MASKED)
        progress.warning(
            f"{told}: each is taken for landslide. If one of them is not, set it to 0, or declare "
            "it as nodata."
        )
        return PLAIN

    def _is_blurred(self) -> bool:
        """Return whether values lie about 0 and the highest, as blurred edges leave them.

        Numbers of classes or landslides lie anywhere between.
        """
        if self._lossy and self.highest > _HUE:
            return True
        values = np.array(list(self._counts), np.float64)
        counts = np.array(list(self._counts.values()))
        low, high = values <= self.highest / 8, values >= self.highest * 7 / 8
        if len(values) <= _MANY and (len(values) <= 3 or self.highest < 128):
            return False  # numbers of classes
        return bool(counts[~low & ~high].sum() < counts[values > 0].sum() / 2)


def _is_below(value: NDArray[Any]) -> Flags:
    """Return which are whole numbers below 0; resampling leaves fractions there."""
    below: Flags = (value < 0) & (value == np.floor(value))
    return below


def read_mask(path: Path) -> MaskPixels:
    """Read a mask as its file shows it: of a palette the colours, not their numbers.

    Of a mask whose nodata value is 0 all pixels are known: tools that burn polygons declare so
    what is no landslide, and nothing would be left of the background.

    Raises:
        InputError: damaged, of another kind, or with bands that are neither one nor three colours.
    """
    if path.suffix.lower() not in RASTERS:
        with open_array(path, "mask") as array:
            return _of_bands(_bands_first(np.asarray(array)), path)
    with open_tile(path, "mask") as source:
        dataset = source.dataset
        palette = _palette(dataset)
        if palette is not None:
            index = dataset.read(1)
            return _of_colours(palette[index].transpose(2, 0, 1), index, path)
        colours = [i for i in dataset.indexes if dataset.colorinterp[i - 1] != ColorInterp.alpha]
        alpha = [i for i in dataset.indexes if i not in colours]
        bands = dataset.read(colours)
        if alpha:
            return _of_bands(bands, path, _bytes(dataset.read(alpha[0])))
        valid = dataset.read_masks(1) > 0 if dataset.nodata != 0 else None
        return _of_bands(bands, path, valid=valid)


def _of_bands(
    bands: NDArray[Any],
    path: Path,
    alpha: NDArray[np.uint8] | None = None,
    valid: Flags | None = None,
) -> MaskPixels:
    if len(bands) == 3:
        colours = _bytes(bands)
        if alpha is not None:
            colours = np.concatenate([colours, alpha[np.newaxis]])
        number = (colours[:3].astype(np.uint32) << np.array([16, 8, 0])[:, None, None]).sum(axis=0)
        return _of_colours(colours, number, path)
    if len(bands) != 1:
        raise InputError(
            f"The mask {path} has {len(bands)} bands: a mask has one, or the three of a picture; "
            "leave the band that marks landslides alone."
        )
    (value,) = bands
    if value.dtype.kind == "b":
        value = value.astype(np.uint8)
    if value.dtype.kind == "f":
        with np.errstate(over="ignore"):
            filled = np.abs(value) < UNDECLARED_FILL  # False for NaN too
        valid = filled if valid is None else valid & filled
        value = np.where(valid, value, 0)
    if valid is None:
        valid = np.ones(value.shape, bool)
    lossy = path.suffix.lower() in LOSSY
    return MaskPixels(value=value, number=value, valid=valid, alpha=alpha, lossy=lossy)


def _of_colours(colours: NDArray[np.uint8], number: NDArray[Any], path: Path) -> MaskPixels:
    """Return a mask of red, green, blue and, if there is a fourth, alpha."""
    bright, dark = colours[:3].max(axis=0), colours[:3].min(axis=0)
    alpha = colours[3] if len(colours) > 3 else None
    valid = np.ones(bright.shape, bool)
    lossy = path.suffix.lower() in LOSSY
    return MaskPixels(
        value=bright, number=number, valid=valid, hue=bright - dark, alpha=alpha, lossy=lossy
    )


def _palette(dataset: DatasetReader) -> NDArray[np.uint8] | None:
    """Return red, green, blue and alpha of each value, (256, 4); None where values are meant."""
    if dataset.count != 1 or dataset.colorinterp[0] != ColorInterp.palette:
        return None
    table = dataset.colormap(1)
    if len(set(table.values())) < 2 or dataset.dtypes[0] != "uint8":
        return None
    colours = np.zeros((256, 4), np.uint8)
    for value, colour in table.items():
        colours[value] = colour
    return colours


def _bytes(bands: NDArray[Any]) -> NDArray[np.uint8]:
    """Return colours as 0..255."""
    if bands.dtype == np.uint8:
        return bands
    if bands.dtype.kind == "u":
        return (bands // (np.iinfo(bands.dtype).max // 255)).astype(np.uint8)
    values = np.nan_to_num(bands.astype(np.float32), posinf=0, neginf=0)
    scale = 255 if values.max(initial=0) <= 1 else 1
    return np.clip(values * scale, 0, 255).astype(np.uint8)


def _bands_first(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array's bands, (bands, rows, columns), whichever axis holds them."""
    if array.ndim == 2:
        return array[np.newaxis]
    axis = 0 if array.shape[0] <= min(array.shape[1:]) else 2
    return np.moveaxis(array, axis, 0)
