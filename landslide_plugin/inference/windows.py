"""Windows read ahead, scaled as the model wants them, and where a result is wanted."""

import hashlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import TypeVar

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import geometry_mask
from rasterio.windows import Window
from shapely.geometry.base import BaseGeometry

from ...models.model_card import ModelCard
from ..contract.errors import GridError
from ..core.ahead import read_ahead
from ..core.memory import give_back
from ..core.progress import Progress
from ..raster import Grid, Source
from ..raster.validity import nearest_valid
from ..vector.layers import read_vector
from .fit import require_bands
from .stack import Stack
from .tiling import Tile, Tiling
from .units import Unit, rows_together

P = TypeVar("P", np.float32, np.bool_)
FAR_FROM_TRAINING = 5.0
"""A band whose mean lies this many standard deviations from the training set's is warned of."""
MEGABYTES_AT_ONCE = 16.0
"""Neighbouring windows are read in one go up to this size, so that what they share is read once."""


class Area:
    """The part of a grid that is wanted; threads may ask at once.

    Args:
        geometry: polygons in the grid's CRS.
        grid: the grid.
    """

    def __init__(self, geometry: BaseGeometry, grid: Grid) -> None:
        self._geometry = geometry
        self._grid = grid
        self._turn = Lock()  # what is prepared is made when first asked for, unguarded by GEOS
        shapely.prepare(geometry)

    @classmethod
    def read(
        cls, path: str | Path, grid: Grid, progress: Progress, may_lie_apart: bool = False
    ) -> "Area":
        """Read the polygons of a layer.

        Args:
            path: the layer.
            grid: the stack's grid.
            progress: where to warn.
            may_lie_apart: whether all of the polygons may lie outside the grid.

        Raises:
            InputError: no polygon layer.
            GridError: the polygons lie outside the grid, or one of the two has no CRS.
        """
        if grid.crs is None:
            raise GridError("The stack has no CRS, so no area can be cut out: assign one first.")
        frame = read_vector(path, "area", crs=grid.crs, kinds=("Polygon",), progress=progress)
        area = cls(frame.geometry.union_all(), grid)
        if not (area.is_on_grid or may_lie_apart):
            raise GridError(
                f"The area {path} does not overlap the stack ({grid.describe()}): check its CRS."
            )
        return area

    @property
    def is_on_grid(self) -> bool:
        """Whether some of it lies on the grid."""
        return bool(self._geometry.intersects(shapely.box(*self._grid.bounds)))

    def digest(self) -> str:
        """Return what tells this area from others."""
        return hashlib.sha256(self.binary()).hexdigest()

    def binary(self) -> bytes:
        """Return the polygons as well-known binary."""
        binary: bytes = shapely.to_wkb(self._geometry)
        return binary

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """Return which pixels of a window have their centre in the area, bool, (rows, columns)."""
        shape = int(window.height), int(window.width)
        transform = self._grid.window_transform(window)
        corners = [transform * (0, 0), transform * (shape[1], shape[0])]
        frame = shapely.box(*np.min(corners, axis=0), *np.max(corners, axis=0))
        with self._turn:
            if not self._geometry.intersects(frame):
                return np.zeros(shape, bool)
            if self._geometry.contains(frame):
                return np.ones(shape, bool)
        parts = shapely.get_parts(shapely.intersection(self._geometry, frame))
        polygons = parts[shapely.get_dimensions(parts) == 2]  # GDAL draws lines and points too
        if not len(polygons):
            return np.zeros(shape, bool)
        mask: NDArray[np.bool_] = geometry_mask(polygons, shape, transform, invert=True)
        return mask


@dataclass(frozen=True)
class Input:
    """What a network gets of one window.

    Attributes:
        tile: the window.
        values: float32, (bands, size, size), z-scored, those of the nearest valid pixel where
            invalid, mirrored beyond the raster's border.
        valid: bool, (rows, columns) of the window: valid in all bands and within the area.
    """

    tile: Tile
    values: NDArray[np.float32]
    valid: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Neighbouring windows that are read in one go.

    Attributes:
        inputs: of those with a valid pixel that is wanted.
        done: windows up to here, counted from the raster's first.
        total: the sum of the scaled values of the valid pixels, float64, (bands,).
        count: how many pixels that are.
        last: whether a batch must end here.
    """

    inputs: list[Input]
    done: int
    total: NDArray[np.float64]
    count: int
    last: bool


class Reader:
    """Reads windows as the model wants them: bands by name, scaled by the training's statistics.

    Args:
        source: the stack.
        card: the model's card.
        tiling: the windows.
        area: where a result is wanted; everywhere when None.
        threads: threads that read and scale.

    Attributes:
        bands: names of the bands that it hands out.
        count: valid pixels that were handed out so far.

    Raises:
        ModelFileError: the stack lacks bands that the model wants.
    """

    def __init__(
        self,
        source: Source,
        card: ModelCard,
        tiling: Tiling,
        area: Area | None = None,
        threads: int = 1,
    ) -> None:
        require_bands(source, card)
        self.bands = list(card.bands)
        self._mean = np.array(card.mean, np.float32)[:, None, None]
        self._std = np.array(card.std, np.float32)[:, None, None]
        self._tiling = tiling
        self._area = area
        self._threads = threads
        self._stack, self._scaling = Stack.of(source), source.scaling
        self._sources: SimpleQueue[Source] = SimpleQueue()  # each serves one thread at a time
        self._sources.put(source)
        self._sum = np.zeros(len(self.bands))
        self.count = 0

    def batches(
        self, batch_size: int, units: Iterable[Unit] | None = None
    ) -> Generator[tuple[int, list[Input]], None, None]:
        """Yield how many windows were looked at so far, and the next ones to compute.

        Windows are read ahead in threads, so the generator is to be closed before the source.
        Those without a valid pixel are left out; wide empty parts yield empty lists, which show
        progress and leave room for a cancel. Which windows of a unit share a batch does not depend
        on the others, so that a run that goes on computes the same numbers.

        Args:
            batch_size: windows a batch, at most.
            units: those to read, in their order; all windows, row by row, when None.
        """
        batch: list[Input] = []
        with ExitStack() as opened:
            for _ in range(self._threads - 1):
                again = opened.enter_context(self._stack.open())
                again.scaling = self._scaling
                self._sources.put(again)
            tiles = self._chunks(batch_size, self._rows(units))
            chunks = read_ahead(self._load, tiles, self._threads, batch_size)
            for chunk in opened.enter_context(closing(chunks)):
                self._sum += chunk.total
                self.count += chunk.count
                batch += chunk.inputs
                while len(batch) >= batch_size or (batch and chunk.last):
                    yield chunk.done, batch[:batch_size]
                    batch = batch[batch_size:]
                if chunk.last:
                    give_back()
                yield chunk.done, []

    def read(self, tile: Tile) -> Input | None:
        """Return a window's input; None when none of its pixels is valid and wanted."""
        inputs = self._load(([tile], 0, True)).inputs
        return inputs[0] if inputs else None

    def far_bands(self) -> dict[str, float]:
        """Return bands far from the training's statistics, and how far, in standard deviations."""
        means = self._sum / max(self.count, 1)
        return {
            band: float(mean)
            for band, mean in zip(self.bands, means, strict=True)
            if abs(mean) > FAR_FROM_TRAINING
        }

    def warn_if_far(self, progress: Progress) -> None:
        """Warn of bands whose values lie far from those that the model was trained on."""
        far = self.far_bands()
        if far:
            named = ", ".join(f"{band} ({mean:+.0f})" for band, mean in far.items())
            progress.warning(
                "The stack lies far from what the model was trained on, in standard deviations: "
                f"{named}; check the units and the order of the bands, the result may be poor."
            )

    def _rows(self, units: Iterable[Unit] | None) -> Iterator[tuple[int, range]]:
        """Yield rows of windows to read: the row's number, and those of its columns of windows."""
        if units is None:
            columns = range(len(self._tiling.cols))
            yield from ((row, columns) for row in range(len(self._tiling.rows)))
        else:
            for unit in units:
                yield from ((row, unit.cols) for row in range(unit.first, unit.end))

    def _chunks(
        self, batch_size: int, wanted: Iterable[tuple[int, range]]
    ) -> Iterator[tuple[list[Tile], int, bool]]:
        """Yield neighbouring windows, how many windows end there, and whether a batch must."""
        rows, cols = self._tiling.rows, self._tiling.cols
        together = rows_together(self._tiling, batch_size)
        most = max(1, int(MEGABYTES_AT_ONCE * 1e6 / (4 * len(self.bands) * self._tiling.size**2)))
        for number, columns in wanted:
            ends = (number + 1) % together == 0 or number + 1 == len(rows)
            for left in columns[::most]:
                right = min(left + most, columns.stop)
                tiles = [Tile(rows[number], col) for col in cols[left:right]]
                yield tiles, number * len(cols) + right, ends and right == columns.stop

    def _load(self, chunk: tuple[list[Tile], int, bool]) -> Chunk:
        tiles, done, last = chunk
        areas = [None if self._area is None else self._area.mask(tile.window) for tile in tiles]
        wanted = [index for index, mask in enumerate(areas) if mask is None or mask.any()]
        inputs: list[Input] = []
        total, count = np.zeros(len(self.bands)), 0
        if wanted:
            first, end = tiles[wanted[0]].window, tiles[wanted[-1]].window
            width = end.col_off + end.width - first.col_off
            values, valid = self._scaled(Window(first.col_off, first.row_off, width, first.height))
            total, count = values.sum(axis=2).sum(axis=1, dtype=np.float64), int(valid.sum())
            for index in wanted:
                window = tiles[index].window
                left = int(window.col_off - first.col_off)
                cols = slice(left, left + int(window.width))
                mask = areas[index]
                kept = valid[:, cols] if mask is None else valid[:, cols] & mask
                if kept.any():
                    gone_on = nearest_valid(values[:, :, cols], valid[:, cols])
                    inputs.append(Input(tiles[index], self._padded(gone_on), kept))
        return Chunk(inputs=inputs, done=done, total=total, count=count, last=last)

    def _scaled(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        source = self._sources.get()
        try:
            values, band_valid = source.read(window, self.bands)
        finally:
            self._sources.put(source)
        valid = np.all(band_valid, axis=0)
        values -= self._mean
        values /= self._std
        if not valid.all():
            values *= valid  # what was read is finite
        return values, valid

    def _padded(self, values: NDArray[P]) -> NDArray[P]:
        """Mirror the rows and columns beyond the raster's border."""
        rows, cols = (self._tiling.size - length for length in values.shape[-2:])
        if not rows and not cols:
            return values
        widths = ((0, 0),) * (values.ndim - 2) + ((0, rows), (0, cols))
        return np.pad(values, widths, mode="reflect")


def warn_of_no_pixel(path: str, bands: Iterable[str], in_area: bool, progress: Progress) -> None:
    """Warn that a model had no pixel to look at: an empty map says that there is no landslide."""
    progress.warning(
        f"{path} has no pixel{' in the area' if in_area else ''} that is valid in "
        f"{', '.join(bands)} at once: nothing was mapped. Check its nodata values."
    )
