"""Looks for fill that a raster holds and does not declare.

Three kinds are told from data. Single values that stand for "nothing here" (-9999, -32768), where
no other value lies near. Elevations that no ground has, unless the values go on there, as those of
a sea floor do. And pixels that are black, or white, in all bands of an image at once, where they
lie along its border or, in more than 8 bits, in large pieces: shadow and glint are speckle.

All is decided once from all pixels of a raster, so that no window or tile changes it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from .fill import Collar, Fill
from .pieces import Pieces

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

VOIDS = (
    -999.0, -9999.0, -32767.0, -32768.0, -99999.0, -999999.0, float(-(2**31)),
    32767.0, 65535.0, float(2**31 - 1), float(2**32 - 1), 1e20,
)  # fmt: skip
"""Values that programs write where there is nothing."""
NEAR = 0.5
"""No other value lies within this share of a void's size around it, or it is data."""
FEW = 0.01
"""So many others for each pixel of a void are overlooked."""
SHORE = 50.0
"""Metres around 0 in which a DEM that reaches the sea has ground; in others 0 is a void."""
GROUND = (-500.0, 9000.0)
"""Lowest and highest elevation of ground in metres: the Dead Sea's shore, Mount Everest's top."""
PLANETS = (-12_000.0, 22_000.0)
"""No elevation lies beyond, be it of a sea floor or of Mars."""
GAP = 500.0
"""Values go on beyond `GROUND` while the next one is no farther than these metres."""
RUN = 16
"""Pixels in a row along the border, of a band of black or white."""
PIECE = RUN * RUN
"""Pixels of a piece that touches the border (but for losses), or within more than 8 bits."""
FEW_CLASSES = 16
"""Nameless bands of whole numbers up to this are taken for classes, not for an image."""
BLUR = (5.0, 3)
"""Black and white of 8 bits differ by so much, and so many pixels around are neither, where a file
is compressed with losses (JPEG)."""
ALIKE = (10.0, 0.9)
"""Up to this value a pixel is nearly black, and from this share of the highest on nearly white. A
piece whose rim is so is no border but shadow, night or cloud."""
CLOUDS = 0.05
"""Where more is nearly white than this share of what is white, there are clouds and no border."""

_STEP = 100.0
"""Width in metres of the bins in which elevations beyond `GROUND` are counted."""


@dataclass(frozen=True)
class Sought:
    """What is looked for in a raster, by GDAL's numbers of its bands.

    Attributes:
        types: the type of each band that may hold voids, as it is stored.
        elevations: of the bands that hold elevations, by how much the stored value grows with a
            metre, and that of 0 metres.
        images: bands that are of one image, to the values, lowest and highest, that its border may
            hold in all.
        named: whether the images' bands are known to be such by their names.
    """

    types: Mapping[int, np.dtype]
    elevations: Mapping[int, tuple[float, float]]
    images: Mapping[tuple[int, ...], Sequence[tuple[float, float]]]
    named: bool

    @property
    def indexes(self) -> list[int]:
        """The bands that must be read, in order."""
        voids = {n for n, kind in self.types.items() if any(_may_be_void(v, kind) for v in VOIDS)}
        return sorted(voids.union(self.elevations, *self.images))


class Search:
    """Looks at a raster block by block, and says in the end what fill it holds.

    Args:
        sought: what is looked for.
        window: the part of the raster that is looked at.
        rows: rows of each block but the last.
    """

    def __init__(self, sought: Sought, window: Window, rows: int) -> None:
        self._voids = {
            index: {v: _Void(NEAR * abs(v)) for v in VOIDS if _may_be_void(v, kind)}
            for index, kind in sought.types.items()
        }
        for index, (metre, _) in sought.elevations.items():
            self._voids[index][0.0] = _Void(SHORE * abs(metre), beside_ground=True)
        self._elevations = {
            index: _Elevations(*units) for index, units in sought.elevations.items()
        }
        self._collars = [
            _Collar(
                bands=bands,
                low=low,
                high=high,
                alike=_alike(low, high, bands, sought.types),
                pieces=pieces,
                named=sought.named,
            )
            for bands, values in sought.images.items()
            for low, high in values
            for pieces in [Pieces(window, rows, BLUR[1] if high > low else 0)]
        ]
        self._types = sought.types
        self._pixels = int(window.width) * int(window.height)

    def add(self, values: Floats, valid: Mask, indexes: Sequence[int]) -> None:
        """Look at the next block, or the next piece of it from left to right.

        Args:
            values: as they are stored, (bands, rows, columns).
            valid: what is not nodata anyway, same shape.
            indexes: GDAL's numbers of the bands.
        """
        for index, band, mask in zip(indexes, values, valid, strict=True):
            count = int(np.count_nonzero(mask))
            if not count:
                continue
            low, high = float(band.min()), float(band.max())  # of nodata too, NaN if that is
            voids = self._voids.get(index, {})
            if index not in self._elevations and not any(
                one.may_be_near(void, low, high) for void, one in voids.items()
            ):
                for sought in voids.values():
                    sought.others += count
                continue
            numbers = band if count == band.size else band[mask]
            low, high = float(numbers.min()), float(numbers.max())
            for void, sought in voids.items():
                sought.add(void, numbers, low, high)
            if index in self._elevations:
                self._elevations[index].add(numbers, low, high)
        for collar in self._collars:
            positions = [indexes.index(index) for index in collar.bands]
            collar.add(values[positions], valid[positions])

    def finish(self) -> Fill:
        """Return what was found."""
        voids = {
            index: {void: one.count for void, one in each.items() if one.is_fill}
            for index, each in self._voids.items()
        }
        measured = {index: seen.limits() for index, seen in self._elevations.items()}
        limits = {index: seen for index, seen in measured.items() if seen}
        collars = [collar.finish(self._types) for collar in self._collars]
        return Fill(
            {index: seen for index, seen in voids.items() if seen and index not in limits},
            limits,
            [collar for collar in collars if collar],
            self._pixels,
        )


@dataclass
class _Void:
    """How many pixels hold a value, one near it, and any other."""

    margin: float
    beside_ground: bool = False
    count: int = 0
    near: int = 0
    others: int = 0

    @property
    def is_fill(self) -> bool:
        few = min(self.count, self.others) if self.beside_ground else self.count
        # Of a plain or the sea around a rock there is hardly anything else.
        return FEW * self.count < few and self.near <= FEW * few

    def may_be_near(self, void: float, low: float, high: float) -> bool:
        """Whether values of a range, which may be NaN, can lie near the void."""
        return not (high <= void - self.margin or low >= void + self.margin)

    def add(self, void: float, values: Floats, low: float, high: float) -> None:
        self.others += values.size
        if not self.may_be_near(void, low, high):
            return
        first, last = void - self.margin, void + self.margin
        near = values[(values > first) & (values < last)]
        equal = near == np.float32(void)
        self.count, self.others = self.count + int(equal.sum()), self.others - int(equal.sum())
        self.near += int((~equal & ~np.isin(near, np.array(VOIDS, np.float32))).sum())


class _Elevations:
    """The elevations of a band that no ground has, by bins, and the range of the others.

    Args:
        metre: the stored value of a metre.
        zero: the stored value of 0 metres.
    """

    def __init__(self, metre: float, zero: float) -> None:
        self._metre, self._zero = metre, zero
        self._range = (np.inf, -np.inf)
        self._bins: Counter[int] = Counter()
        self._ground = 0

    def add(self, values: Floats, low: float, high: float) -> None:
        """Count in stored values, of which these are the lowest and the highest."""
        least, most = (self._stored(limit) for limit in GROUND)
        if least <= low and high <= most:
            inside = values
        else:
            beyond = (values < least) | (values > most)
            inside = values[~beyond]
            bins = np.floor((values[beyond].astype(float) - self._zero) / self._metre / _STEP)
            for number, count in zip(*np.unique(bins, return_counts=True), strict=True):
                self._bins[int(number)] += int(count)
        if inside.size:
            metres = [(float(v) - self._zero) / self._metre for v in (inside.min(), inside.max())]
            self._range = min(self._range[0], metres[0]), max(self._range[1], metres[1])
            self._ground += inside.size

    def limits(self) -> tuple[float, float, int] | None:
        """Return what elevations count, as they are stored, and how many pixels lie beyond.

        None where all do, or where most lie beyond: they are no metres then.
        """
        if not self._bins or not self._ground:
            return None
        depths = {-number - 1: count for number, count in self._bins.items()}
        low = -self._reach(depths, -self._range[0], -GROUND[0], -PLANETS[0])
        high = self._reach(self._bins, self._range[1], GROUND[1], PLANETS[1])
        beyond = sum(c for n, c in self._bins.items() if n * _STEP < low or n * _STEP >= high)
        if not 0 < beyond <= self._ground:
            return None
        return self._stored(low), self._stored(high), beyond

    def _reach(self, bins: Mapping[int, int], top: float, ground: float, most: float) -> float:
        """Return up to where values go on, negated for the lower limit.

        A few that go on beyond what planets have are a mixture of voids and their neighbours.
        """
        reached, count = top, 0
        for number in sorted(number for number in bins if number * _STEP >= ground):
            if number * _STEP - reached > GAP:
                break
            reached = (number + 1) * _STEP
            count += bins[number]
        blended = reached > most and count <= FEW * self._ground
        return ground if blended else max(reached, ground)

    def _stored(self, metres: float) -> float:
        return metres * self._metre + self._zero


@dataclass(kw_only=True)
class _Collar:
    """Where an image is black, or white, in all bands."""

    bands: tuple[int, ...]
    low: float
    high: float
    alike: float
    pieces: Pieces
    named: bool
    near: int = 0
    highest: float = 0.0
    row: list[tuple[Mask, Mask]] = field(default_factory=list)

    def add(self, values: Floats, valid: Mask) -> None:
        self.row.append(self._seen(values, valid))
        if sum(mask.shape[1] for mask, _ in self.row) == self.pieces.width:
            self.pieces.add(*map(_side_by_side, zip(*self.row, strict=True)))
            self.row = []

    def _seen(self, values: Floats, valid: Mask) -> tuple[Mask, Mask]:
        """Return where it may be, and what is nearly like it."""
        if not valid.any():  # as in most of a country's rectangle
            none = np.zeros(valid.shape[1:], bool)
            return none, none
        low, high = np.float32(self.low), np.float32(self.high)
        same = _in_all(values, lambda band: (band >= low) & (band <= high)) & valid.any(axis=0)
        near = _in_all(values, lambda band: band >= self.alike if self.low else band <= self.alike)
        if self.low:
            self.near += int((near & ~same).sum())
        if not self.named:
            self.highest = max(self.highest, float(values.max(where=valid, initial=0)))
        return same, near

    def finish(self, types: Mapping[int, np.dtype]) -> Collar | None:
        if not self.named and self.highest <= FEW_CLASSES:
            return None
        inside = any(types[index].itemsize > 1 for index in self.bands)
        area = PIECE if self.low == self.high else None
        mask, count = self.pieces.chosen(RUN, area, inside)
        if not count or (self.low and self.near > CLOUDS * count):
            return None
        return Collar(bands=self.bands, low=self.low, high=self.high, mask=mask, count=count)


def _side_by_side(masks: Sequence[Mask]) -> Mask:
    return masks[0] if len(masks) == 1 else np.concatenate(masks, axis=1)


def _in_all(values: Floats, holds: Callable[[Floats], Mask]) -> Mask:
    """Return where something holds in all bands; later ones are not asked where it nowhere does."""
    result = holds(values[0])
    for band in values[1:]:
        if not result.any():
            break
        result &= holds(band)
    return result


def _alike(low: float, high: float, bands: Sequence[int], types: Mapping[int, np.dtype]) -> float:
    """Return up to, or for white from, which value pixels are nearly what a border holds."""
    if any(types[index].kind == "f" for index in bands):
        return 0.0  # as no unit is known
    return ALIKE[1] * high if low else ALIKE[0]


def _may_be_void(void: float, kind: np.dtype) -> bool:
    """Return whether a band of a type can hold a value, other than by saturation."""
    if kind.kind == "f":
        return True
    limits = np.iinfo(kind)
    return kind.itemsize > 1 and limits.min <= void < limits.max


def collar_values(types: Sequence[np.dtype], lossy: bool) -> list[tuple[float, float]]:
    """Return what the border of an image may hold, lowest and highest: black, then white.

    Args:
        types: those of its bands; fractions have no white.
        lossy: whether it is compressed so that values come out a little different.
    """
    if any(kind.kind == "f" for kind in types):
        return [(0.0, 0.0)]
    white = float(min(np.iinfo(kind).max for kind in types))
    blur = BLUR[0] if lossy and white == 255 else 0.0
    return [(0.0, blur), (white - blur, white)]
