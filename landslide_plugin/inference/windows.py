"""Overlapping windows over a raster, read ahead, scaled, and blended row by row.

The blending weights are made per axis and sum to one at every pixel beforehand, so that a slab of
one window's height is all that is held of the output, however high the raster is.
"""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import geometry_mask
from rasterio.windows import Window
from shapely.geometry.base import BaseGeometry

from ...models.model_card import ModelCard
from ..errors import GridError, InputError, ModelFileError
from ..progress import Progress
from ..raster import Grid, Source
from ..vector import read_vector

T = TypeVar("T")
FAR_FROM_TRAINING = 5.0
"""A band whose mean lies this many standard deviations from the training set's is warned of."""


@dataclass(frozen=True)
class Span:
    """The place of a window on one axis: its first pixel, and its weights, float32, (size,)."""

    start: int
    weights: NDArray[np.float32]


@dataclass(frozen=True)
class Tile:
    """A window of the raster: where it stands on both axes."""

    row: Span
    col: Span

    @property
    def window(self) -> Window:
        """The pixels it covers, none of them outside the raster."""
        return Window(self.col.start, self.row.start, len(self.col.weights), len(self.row.weights))


class Tiling:
    """All windows of a raster, row by row, from top to bottom.

    Args:
        shape: rows and columns of the raster.
        size: pixels of a window's side; windows of a smaller raster are as small as it is.
        overlap: share of the side that neighbours have in common, 0 to 0.9.

    Raises:
        InputError: size or overlap out of range.
    """

    def __init__(self, shape: tuple[int, int], size: int, overlap: float) -> None:
        if size < 16:
            raise InputError(f"The tile size is {size} pixels: choose 16 or more.")
        if not 0 <= overlap <= 0.9:
            raise InputError(f"The overlap is {overlap}: choose a share of 0 to 0.9.")
        self.size = size
        self.rows = spans(shape[0], size, overlap)
        self.cols = spans(shape[1], size, overlap)

    def __len__(self) -> int:
        return len(self.rows) * len(self.cols)

    def __iter__(self) -> Iterator[Tile]:
        return (Tile(row, col) for row in self.rows for col in self.cols)


def spans(length: int, size: int, overlap: float) -> list[Span]:
    """Return the windows along one axis, with weights that sum to one at each pixel.

    Where windows overlap, the outer quarter of the overlap is left to the neighbour (there the
    network sees too little beyond the window's border) and the half between is blended with a
    Hann ramp, sin^2, as is common for sliding windows (Pielawski and Wählby 2020, PLOS ONE 15:
    e0229839). At the raster's border, and with a single window, the weight is one.

    Args:
        length: pixels of the raster along this axis.
        size: pixels of a window along this axis.
        overlap: share of a window that it has in common with the next.
    """
    if length <= size:
        return [Span(0, np.ones(length, np.float32))]
    shared = round(size * overlap)
    starts = [*range(0, length - size, size - shared), length - size]
    margin = shared // 4
    ramp = shared - 2 * margin
    rise = np.ones(size)
    rise[:margin] = 0
    rise[margin : margin + ramp] = np.sin(np.pi / 2 * (np.arange(ramp) + 0.5) / max(ramp, 1)) ** 2
    weights = [np.ones(size) if start == 0 else rise.copy() for start in starts]
    for weight in weights[:-1]:
        weight *= rise[::-1]
    total = np.zeros(length)
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + size] += weight
    return [
        Span(start, (weight / total[start : start + size]).astype(np.float32))
        for start, weight in zip(starts, weights, strict=True)
    ]


class Area:
    """The part of a grid that is wanted.

    Args:
        geometry: polygons in the grid's CRS.
        grid: the grid.
    """

    def __init__(self, geometry: BaseGeometry, grid: Grid) -> None:
        self._geometry = geometry
        self._grid = grid
        shapely.prepare(geometry)

    @classmethod
    def read(cls, path: str | Path, grid: Grid, progress: Progress) -> "Area":
        """Read the polygons of a layer.

        Raises:
            InputError: no polygon layer.
            GridError: the polygons lie outside the grid, or one of the two has no CRS.
        """
        if grid.crs is None:
            raise GridError("The stack has no CRS, so no area can be cut out: assign one first.")
        frame = read_vector(path, "area", crs=grid.crs, kinds=("Polygon",), progress=progress)
        area = cls(frame.geometry.union_all(), grid)
        if not area._geometry.intersects(shapely.box(*grid.bounds)):
            raise GridError(
                f"The area {path} does not overlap the stack ({grid.describe()}): check its CRS."
            )
        return area

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """Return which pixels of a window have their centre in the area, bool, (rows, columns)."""
        shape = int(window.height), int(window.width)
        transform = self._grid.window_transform(window)
        corners = [transform * (0, 0), transform * (shape[1], shape[0])]
        frame = shapely.box(*np.min(corners, axis=0), *np.max(corners, axis=0))
        if not self._geometry.intersects(frame):
            return np.zeros(shape, bool)
        if self._geometry.contains(frame):
            return np.ones(shape, bool)
        part = shapely.intersection(self._geometry, frame)
        return geometry_mask([part], shape, transform, invert=True)


@dataclass(frozen=True)
class Input:
    """What a network gets of one window.

    Attributes:
        tile: the window.
        values: float32, (bands, size, size), z-scored, 0 where invalid, mirrored beyond a small
            raster's border.
        valid: bool, (rows, columns) of the window: valid in all bands and within the area.
    """

    tile: Tile
    values: NDArray[np.float32]
    valid: NDArray[np.bool_]


class Reader:
    """Reads windows as the model wants them: bands by name, scaled by the training's statistics.

    Args:
        source: the stack.
        card: the model's card.
        tiling: the windows.
        area: where a result is wanted; everywhere when None.

    Raises:
        ModelFileError: the stack lacks bands that the model wants.
    """

    def __init__(
        self, source: Source, card: ModelCard, tiling: Tiling, area: Area | None = None
    ) -> None:
        require_bands(source, card)
        self._source = source
        self._bands = list(card.bands)
        self._mean = np.array(card.mean, np.float32)[:, None, None]
        self._std = np.array(card.std, np.float32)[:, None, None]
        self._tiling = tiling
        self._area = area
        self._sum = np.zeros(len(self._bands))
        self._count = 0

    def batches(
        self, batch_size: int, scan: int = 256
    ) -> Generator[tuple[int, list[Input]], None, None]:
        """Yield how many windows were looked at so far, and the next ones to compute.

        The batches are read ahead in a thread, so the generator is to be closed before the source.
        Windows without a valid pixel are left out. A batch is cut short after `scan` windows, so
        that wide empty parts show progress and leave room for a cancel.
        """
        return read_ahead(self._batches(batch_size, max(scan, batch_size)))

    def _batches(self, batch_size: int, scan: int) -> Iterator[tuple[int, list[Input]]]:
        batch: list[Input] = []
        done = emitted = 0
        for done, tile in enumerate(self._tiling, start=1):
            item = self.read(tile)
            if item is not None:
                batch.append(item)
            if len(batch) == batch_size or done - emitted == scan:
                yield done, batch
                batch, emitted = [], done
        if done > emitted:
            yield done, batch

    def read(self, tile: Tile) -> Input | None:
        """Return a window's input; None when none of its pixels is valid and wanted."""
        wanted = None if self._area is None else self._area.mask(tile.window)
        if wanted is not None and not wanted.any():
            return None
        values, band_valid = self._source.read(tile.window, self._bands)
        valid = band_valid.all(axis=0)
        values = np.where(valid, (values - self._mean) / self._std, 0).astype(np.float32)
        self._sum += values.sum(axis=(1, 2), dtype=np.float64)
        self._count += int(valid.sum())
        kept = valid if wanted is None else valid & wanted
        return Input(tile, self._padded(values), kept) if kept.any() else None

    def far_bands(self) -> dict[str, float]:
        """Return bands far from the training's statistics, and how far, in standard deviations."""
        means = self._sum / max(self._count, 1)
        return {
            band: float(mean)
            for band, mean in zip(self._bands, means, strict=True)
            if abs(mean) > FAR_FROM_TRAINING
        }

    def _padded(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        rows, cols = (self._tiling.size - length for length in values.shape[1:])
        if not rows and not cols:
            return values
        return np.pad(values, ((0, 0), (0, rows), (0, cols)), mode="symmetric")


class Slab:
    """The rows of the output to which windows still add.

    Args:
        grid: the output's grid.
        size: rows of a window.
        write: gets finished rows: values, float32, (rows, columns), validity, bool, same shape,
            and their window; every row once, from top to bottom. The arrays are reused afterwards.
    """

    def __init__(
        self,
        grid: Grid,
        size: int,
        write: Callable[[NDArray[np.float32], NDArray[np.bool_], Window], None],
    ) -> None:
        self._grid = grid
        self._write = write
        self._top = 0
        self._values = np.zeros((min(size, grid.height), grid.width), np.float32)
        self._valid = np.zeros(self._values.shape, bool)

    def add(self, item: Input, values: NDArray[np.float32]) -> None:
        """Add a window's values, float32, (rows, columns) or larger; windows come in order."""
        window = item.tile.window
        self._finish_above(int(window.row_off))
        rows = slice(0, int(window.height))
        cols = slice(int(window.col_off), int(window.col_off + window.width))
        weights = np.outer(item.tile.row.weights, item.tile.col.weights)
        self._values[rows, cols] += values[: weights.shape[0], : weights.shape[1]] * weights
        self._valid[rows, cols] |= item.valid

    def finish(self) -> None:
        """Write what is left, down to the last row."""
        self._finish_above(self._grid.height)

    def _finish_above(self, row: int) -> None:
        """Write the rows above `row` and move the slab down to it."""
        while self._top < row:
            count = min(row - self._top, len(self._values))
            window = Window(0, self._top, self._grid.width, count)
            self._write(self._values[:count], self._valid[:count], window)
            for rows in (self._values, self._valid):
                rows[:-count] = rows[count:]
                rows[-count:] = 0
            self._top += count


def require_bands(source: Source, card: ModelCard) -> None:
    """Refuse a stack that lacks bands of the model.

    Raises:
        ModelFileError: it does; the message names them and those the stack has.
    """
    missing = [band for band in card.bands if band not in source.bands]
    if missing:
        raise ModelFileError(
            f"The stack {source.path} lacks {', '.join(missing)}, which the model {card.name} "
            f"wants; it has {', '.join(source.bands)}: add the missing bands or name them so."
        )


def read_ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Yield the items; while one is worked on, the next is made in a thread."""
    end = object()
    with ThreadPoolExecutor(max_workers=1) as pool:
        pending = pool.submit(next, items, end)
        while (item := pending.result()) is not end:
            pending = pool.submit(next, items, end)
            yield item  # type: ignore[misc]
