"""Reading a probability raster or a mask block by block, traced and measured on the way."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy import ndimage

from ..contract.errors import InputError
from ..core.ahead import read_ahead
from ..core.progress import Progress
from ..core.system import cores
from ..raster import Source
from ..raster.heights import require_metres
from ..raster.reflectance import sampled
from ..raster.undeclared import mark_fill
from .division import PROBABILITY, Layers
from .kinds import (
    Kind,
    band_of,
    check_classes,
    is_mask,
    kinds_of,
    probability_of,
    probability_of_any,
)
from .morphology import Morphology, reach
from .outlines import Block, Polygonizer, outline
from .statistics import Statistics

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

SLOPE = "slope"
TERRAIN = {
    "elevation": "bilinear",
    SLOPE: "bilinear",
    "aspect": "nearest",
    "river_distance": "bilinear",
}
"""Bands of the factor stack that are used, and how they are brought to the input's grid: angles
can't be interpolated."""
FLAT_WITHIN = 50.0
"""Metres to each side within which a slope is averaged before it is called flat: single pixels of a
DEM are rough, and would cut a landslide to pieces."""
_ROUNDED = 1e-6
"""Degrees by which sums may differ from block to block."""
BLOCK_MEGABYTES = 32.0
WORKING_COPIES = 12
MOST_THREADS = 4
PIXELS_AT_ONCE = 16_000_000
"""In the blocks of all threads, about 25 bytes each; one block may be larger."""


class Scene:
    """A probability raster or a mask, and the terrain on its grid.

    A raster of a floating type, or one with a scale, holds probabilities, 0..1. Another of an
    integer type is a mask: 0 is background, 1 or 255 is landslide (see `mark_unknown` for both);
    one that names several classes holds their numbers.

    Args:
        source: the raster; its band `landslide_probability`, or else its first, or all of those
            that tell kinds apart.
        terrain: band name to the factor stack that has it, on the raster's grid; each opened for
            itself, for threads read them at once.
        base: probability from which a pixel is landslide.
        kind: of the landslides that are wanted; None for all.
        min_slope: degrees; flatter ground, see `FLAT_WITHIN`, counts as invalid.
    """

    def __init__(
        self,
        source: Source,
        terrain: dict[str, Source],
        base: float,
        kind: Kind | None = None,
        min_slope: float = 0.0,
    ) -> None:
        self.source, self.terrain, self.base, self.kind = source, terrain, base, kind
        self._min_slope = min_slope
        self._kinds = kinds_of(source) if kind else []
        self.is_mask = is_mask(source)
        self.statistics = {
            layer: Statistics(circular=layer == "aspect") for layer in (PROBABILITY, *terrain)
        }

    def probability(self, window: Window) -> tuple[NDArray[np.float32], Mask]:
        """Return probabilities, 0 or 1 for a mask, and their validity, (rows, columns).

        Raises:
            InputError: the raster holds something else.
        """
        values, valid = self.source.read(window, self._bands)
        path = self.source.path
        if self.is_mask and self.kind:
            check_classes(values[0], self._kinds, path)
        else:
            values = _checked(values, self.is_mask, path)
        result = probability_of(self.kind, values, self.is_mask) if self.kind else values[0]
        valid = np.all(valid, axis=0)
        return result, valid & ~self._flat(window) if self._min_slope > 0 else valid

    def _flat(self, window: Window) -> Mask:
        """Return which ground is too flat; that of unknown slope is not."""
        grid = self.source.grid
        (width,), (height,) = grid.pixel_metres(np.array([grid.height / 2]))
        within = reach(FLAT_WITHIN, grid)
        rows, columns = int(within / height), int(within / width)
        slope, valid = self._terrain(SLOPE, _widened(window, rows, columns))
        sums, counts = (
            ndimage.uniform_filter(values, (2 * rows + 1, 2 * columns + 1), mode="constant")
            for values in (np.where(valid, slope, 0).astype(float), valid.astype(float))
        )
        flat: Mask = valid & (sums < (self._min_slope - _ROUNDED) * counts)
        return flat[rows : rows + window.height, columns : columns + window.width]

    def require_fit(self) -> None:
        """Refuse a raster by some of its pixels, before any work; `probability` looks at all.

        Raises:
            InputError: it holds no probabilities, or is no mask.
        """
        for band in self._bands:
            values = sampled(self.source, band)
            if self.is_mask:
                values = values[values >= 0]  # others may mean nothing, see `mark_unknown`
            if self.is_mask and self.kind:
                check_classes(values, self._kinds, self.source.path)
            else:
                _checked(values, self.is_mask, self.source.path)

    @property
    def _bands(self) -> list[str]:
        return list(self.source.bands) if self.kind and not self.is_mask else [band_of(self.source)]

    def layers(self, window: Window, names: Sequence[str] | None = None) -> Layers:
        """Return values and validity of probability and terrain, (rows, columns) each.

        Args:
            window: pixels of the raster.
            names: of those that are wanted; all when None.
        """
        return {
            name: self.probability(window) if name == PROBABILITY else self._terrain(name, window)
            for name in ((PROBABILITY, *self.terrain) if names is None else names)
        }

    def measure(self, numbers: Ints, layers: Layers) -> None:
        """Add pixels to the statistics.

        Args:
            numbers: of the landslide of each pixel, 0 for none.
            layers: values and validity of probability and terrain, same shape each.
        """
        probability, valid = layers[PROBABILITY]
        counted = np.where(valid & (probability >= self.base), numbers, 0)
        for name, statistics in self.statistics.items():
            statistics.add(counted, *layers[name])

    def trace(self, morphology: Morphology, progress: Progress) -> tuple[NDArray[np.object_], Ints]:
        """Walk over the raster once, measuring.

        Returns:
            What `Polygonizer.finish` gives.
        """
        polygonizer = Polygonizer()
        grid = self.source.grid
        rows = grid.rows_within(BLOCK_MEGABYTES, WORKING_COPIES)
        windows = list(grid.row_blocks(rows))
        work = partial(self._block, morphology=morphology)
        for outlined, summaries in read_ahead(work, windows, _threads(rows * grid.width)):
            before = polygonizer.add(outlined)
            for name, summary in summaries.items():
                self.statistics[name].append(summary, before)
            progress.update((outlined.row + outlined.rows) / grid.height)
        return polygonizer.finish()

    def _others(self, window: Window) -> Mask | None:
        """Return where landslides of other kinds are, (rows, columns); None where all are one."""
        if self.kind is None:
            return None
        values, _ = self.source.read(window, self._bands)
        here = probability_of(self.kind, values, self.is_mask)
        others: Mask = (probability_of_any(values, self.is_mask) >= self.base) & (here == 0)
        return others

    def _terrain(self, name: str, window: Window) -> tuple[NDArray[np.float32], Mask]:
        (values,), (valid,) = self.terrain[name].read(window, [name])
        return values, _has_terrain(name, values, valid)

    def _block(
        self, window: Window, morphology: Morphology
    ) -> tuple[Block, dict[str, NDArray[np.float64]]]:
        """Outline and measure a block of rows; threads do so for several at a time."""
        rows, columns = morphology.halo
        wide = _widened(window, rows, columns)
        probability, valid = self.probability(wide)
        mask = valid & (probability >= self.base)
        if morphology:
            inner = slice(rows, rows + window.height), slice(columns, columns + window.width)
            mask = morphology.apply(mask, valid, self._others(wide))[inner]
            probability, valid = probability[inner], valid[inner]
        outlined, numbers = outline(mask, int(window.row_off))
        pixels = np.flatnonzero(mask)
        number = numbers.ravel()[pixels]
        del numbers, mask  # several threads hold as much
        order = np.argsort(number, kind="stable")
        pixels, number = pixels[order], number[order]
        values, counted = probability.ravel()[pixels], valid.ravel()[pixels]
        number[~(counted & (values >= self.base))] = 0  # closed gaps are not measured
        summaries = {PROBABILITY: self.statistics[PROBABILITY].summary(number, values, counted)}
        del probability, valid

        def choose(layers: NDArray[Any]) -> NDArray[Any]:
            return layers.reshape(len(layers), -1)[:, pixels]

        for name in self.terrain if pixels.size else ():
            (values,), (counted,) = self.terrain[name].read_some(window, [name], choose)
            counted = _has_terrain(name, values, counted)
            summaries[name] = self.statistics[name].summary(number, values, counted)
        return outlined, summaries


def open_terrain(
    factors: str, source: Source, stack: ExitStack, fill: str, progress: Progress
) -> dict[str, Source]:
    """Return a view on the input's grid per terrain band that the factor stack has.

    Args:
        factors: path of the factor stack.
        source: the input.
        stack: closes the files.
        fill: see `mark_fill`.
        progress: where to warn; told how much is searched for fill.

    Raises:
        InputError: it has none, or its elevation is not in metres.
        GridError: it lies elsewhere.
    """
    layer = stack.enter_context(Source.open(factors, what="factor stack"))
    require_metres(layer)
    # River distance in levels is not in metres.
    names = [name for name in TERRAIN if name in layer.bands and not layer.class_names(name)]
    if not names:
        raise InputError(
            f"The factor stack {factors} has none of the bands {', '.join(TERRAIN)}; it has "
            f"{', '.join(layer.bands)}: name the bands or leave the stack out."
        )
    mark_fill([layer], fill, progress, bands=names, within=source.grid)
    views = {}
    for name in names:  # read by several threads
        view = stack.enter_context(Source.open(factors))
        view.fill = layer.fill
        views[name] = view.on(source.grid, TERRAIN[name])
    return views


def _widened(window: Window, rows: int, columns: int) -> Window:
    return Window(
        window.col_off - columns,
        window.row_off - rows,
        window.width + 2 * columns,
        window.height + 2 * rows,
    )


def _has_terrain(name: str, values: NDArray[np.float32], valid: Mask) -> Mask:
    """Return which values of a band count: flat ground has no aspect."""
    return valid & (values >= 0) if name == "aspect" else valid


def _threads(pixels: int) -> int:
    """Return how many blocks of so many pixels are worked on at once."""
    return max(1, min(MOST_THREADS, cores(), PIXELS_AT_ONCE // pixels))


def _checked(values: NDArray[np.float32], is_mask: bool, path: str) -> NDArray[np.float32]:
    """Return probabilities, 0 or 1 for a mask; refuse anything else. Invalid ones are 0."""
    low, high = values.min(initial=0), values.max(initial=0)
    if is_mask:
        if not ((values == 0) | (values == 1) | (values == 255)).all():
            raise InputError(
                f"{path} is of an integer type, so it must be a mask of 0 and 1 (or 255), but it "
                f"holds values from {low:g} to {high:g}: give a mask, or probabilities from 0 to 1 "
                "of a floating type (divide by 100 or 255 first)."
            )
        return (values > 0).astype(np.float32)
    if low < -1e-3 or high > 1 + 1e-3:
        raise InputError(
            f"{path} holds values from {low:g} to {high:g}, so it is no probability raster: "
            "probabilities run from 0 to 1 (divide by 100 or 255 first)."
        )
    return values
