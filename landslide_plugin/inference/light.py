"""The light of a scene: one offset and one gain a band for all files that the scene lies in.

A model of images whose level says nothing, such as tiles that were stretched to 8 bits, keeps the
low and the high value of each band in its card. A scene then gets one offset and one gain a band,
so that its own low and high percentile come to lie there. One for the scene, never one for a tile
or a file: a tile of forest must not look like one of bare rock.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ...models.model_card import ModelCard
from ..contract.errors import InputError
from ..core.progress import Progress
from ..raster import Grid, Source

PERCENTILES = (2.0, 98.0)
"""What counts as low and as high."""
LOOKED_AT = 1_000_000
"""Pixels of a scene, evenly spread, that the percentiles are taken from."""
UNIT = 20.0
"""Between high values of a scene and of a part of it there is no larger factor, as a rule."""
_MEGABYTES = 64.0

Read = tuple[NDArray[np.float32], NDArray[np.bool_]]
"""Values and their validity, the first axis that of the bands."""


@dataclass(frozen=True)
class Light:
    """The low and the high value of each band of a scene, float64, (bands,)."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]


def lattice_step(grids: Iterable[Grid]) -> int:
    """Return how many pixels lie between those that are looked at, on both axes."""
    pixels = sum(grid.width * grid.height for grid in grids)
    return max(1, round(math.sqrt(pixels / LOOKED_AT)))


class Lattice:
    """The pixels of a raster on a lattice of the map, which its light is taken from.

    It is one of the map, not of the raster: of a scene that is cut along its pixels, the parts have
    the same ones as the whole.

    Args:
        bands: names of all bands whose pixels may be wanted.
        step: pixels from one to the next, on both axes.
    """

    def __init__(self, bands: Sequence[str], step: int) -> None:
        self._bands = list(bands)
        self._step = step
        self._kept: list[tuple[Window, NDArray[np.float32], NDArray[np.bool_]]] = []

    def see(
        self,
        source: Source,
        window: Window,
        values: NDArray[np.float32],
        valid: NDArray[np.bool_],
        indexes: Sequence[int],
    ) -> None:
        """Take the pixels of a block that was read anyway; see `undeclared.Seen`.

        Of one raster, and of all of it.
        """
        wanted = [source.index_of(band) for band in self._bands]
        if set(wanted) <= set(indexes):
            places, choose = [indexes.index(one) for one in wanted], self._of(source, window)
            self._kept.append((window, choose(values)[places], choose(valid)[places]))

    def pixels(
        self, source: Source, bands: Sequence[str], progress: Progress
    ) -> NDArray[np.float32]:
        """Return the pixels that are valid in all of some bands, (bands, n), in no certain order.

        Args:
            source: the raster; it is read where its pixels were not taken before.
            bands: names of the bands.
            progress: told of each block.

        Raises:
            InputError: the file is damaged.
        """
        blocks = self._seen(source, bands) if self._kept else self._read(source, bands, progress)
        # Copied block by block: what is read there is a view of the whole block.
        pixels = [values[:, valid.all(axis=0)] for values, valid in blocks]
        progress.update(1)
        return np.concatenate(pixels, axis=1)

    def _seen(self, source: Source, bands: Sequence[str]) -> Iterator[Read]:
        places = [self._bands.index(band) for band in bands]
        for window, values, valid in self._kept:
            choose = self._of(source, window)
            yield source.understood(values[places], valid[places], window, bands, choose)

    def _read(self, source: Source, bands: Sequence[str], progress: Progress) -> Iterator[Read]:
        for window in source.grid.windows(_MEGABYTES, 2 * len(bands)):
            yield source.read_some(window, bands, self._of(source, window))
            progress.update((window.row_off + window.height) / source.grid.height)

    def _of(self, source: Source, window: Window) -> Callable[[NDArray[Any]], NDArray[Any]]:
        """Return what takes the lattice's pixels out of a window's, (bands, rows, columns)."""
        transform = source.grid.transform
        left, top = (
            math.floor(round(corner / side, 3))
            for corner, side in ((transform.c, transform.a), (transform.f, transform.e))
        )
        rows = slice(-(top + int(window.row_off)) % self._step, None, self._step)
        cols = slice(-(left + int(window.col_off)) % self._step, None, self._step)
        return itemgetter(np.s_[:, rows, cols])


def light_of(pixels: Sequence[NDArray[np.float32]], card: ModelCard, progress: Progress) -> Light:
    """Return the light of a scene.

    Args:
        pixels: of each file of the scene, (bands, n); see `Lattice`.
        card: the model's.
        progress: told of it.

    Raises:
        InputError: the scene holds nothing, or a band is constant.
    """
    usable = np.concatenate(pixels, axis=1).astype(float)
    if not usable.size:
        raise InputError("The stack holds no valid pixel: check its nodata value.")
    low, high = np.percentile(usable, PERCENTILES, axis=1)
    flat = [band for band, span in zip(card.bands, high - low, strict=True) if span <= 0]
    if flat:
        raise InputError(
            f"The stack's {', '.join(flat)} hardly varies, so that it can't be brought to the "
            f"light that the model {card.name} was trained in: check the band."
        )
    told = ", ".join(
        f"{band} {a:.4g} to {b:.4g}" for band, a, b in zip(card.bands, low, high, strict=True)
    )
    progress.message(
        f"The scene's light, from the {PERCENTILES[0]:g}nd to the {PERCENTILES[1]:g}th percentile"
        f"{f' of {len(pixels)} stacks' if len(pixels) > 1 else ''}, is brought to that of the "
        f"training: {told}."
    )
    return Light(low, high)


def in_other_units(pixels: NDArray[np.float32], light: Light) -> bool:
    """Return whether pixels can't be of a scene of this light, as of 0..1 where it is of 0..10000.

    Args:
        pixels: (bands, n).
        light: the scene's.
    """
    if not pixels.size:
        return False
    high = np.abs(np.percentile(pixels, PERCENTILES[1], axis=1))
    ratio = np.maximum(high, 1e-12) / np.maximum(np.abs(light.high), 1e-12)
    return bool((np.maximum(ratio, 1 / ratio) > UNIT).any())


def in_light(card: ModelCard, light: Light) -> ModelCard:
    """Return a card that keeps low and high values with the means that suit a scene's light."""
    low, high = (np.array(card.scene[name], float) for name in ("low", "high"))
    gain = (high - low) / (light.high - light.low)
    mean = light.low + (np.array(card.mean) - low) / gain
    return replace(card, mean=mean.tolist(), std=(np.array(card.std) / gain).tolist())


def fit_to_scene(card: ModelCard, sources: Sequence[Source], progress: Progress) -> ModelCard:
    """Return the card with the mean and standard deviation that suit the light of some files.

    Args:
        card: returned as it is when it keeps no low and high values.
        sources: the scene's files, with the model's bands.
        progress: told of each block, and of the light.

    Raises:
        InputError: the scene holds nothing, or a band is constant.
    """
    if not card.scene:
        return card
    step = lattice_step(source.grid for source in sources)
    pixels = [
        Lattice(card.bands, step).pixels(source, card.bands, part)
        for source, part in zip(sources, progress.parts(len(sources)), strict=True)
    ]
    return in_light(card, light_of(pixels, card, progress))
