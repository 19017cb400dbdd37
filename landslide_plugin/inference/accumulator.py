"""The rows of the output to which windows still add."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.windows import Window
from torch import Tensor

from ..contract.errors import ModelFileError
from ..raster import Grid
from .tiling import Span, Tiling
from .windows import Input

BLOCK_ROWS = 256
"""Rows are handed over in blocks as high as the tiles of the files they go to, so that each of
these is compressed and written once."""

Write = Callable[[NDArray[np.float32], NDArray[np.bool_], Window], None]
"""Gets finished rows: values, float32, (channels, rows, columns), validity, bool, (rows, columns),
and their window; every row once, from top to bottom."""

NO_NUMBERS = (
    "The model gives results that are no numbers: check the units of the stack's bands, or train "
    "it again."
)


class Accumulator:
    """Sums the weighted values of overlapping windows, on the device that they are computed on.

    What it holds is a window's height and a block's of the output, however high the raster is.

    Args:
        grid: the output's grid.
        tiling: the windows.
        channels: values a pixel.
        device: where the values are.
        write: gets the finished rows.
        finished: rows that are written already, whole blocks; what windows add to them is dropped.

    Raises:
        ModelFileError: from `add` and `finish`, where a value is no number.
    """

    def __init__(
        self,
        grid: Grid,
        tiling: Tiling,
        channels: int,
        device: torch.device,
        write: Write,
        finished: int = 0,
    ) -> None:
        self._grid = grid
        self._write = write
        self._top = finished
        self._valid = np.zeros((tiling.size + BLOCK_ROWS, grid.width), bool)
        self._values = torch.zeros(channels, *self._valid.shape, device=device)
        self._weights: dict[Span, Tensor] = {}

    def add(self, item: Input, values: Tensor) -> None:
        """Add a window's values, float32, (channels, size, size); windows come in order."""
        window = item.tile.window
        self._finish_above(int(window.row_off))
        skipped = max(self._top - int(window.row_off), 0)
        height, width = item.valid.shape
        if skipped >= height:
            return
        first = int(window.row_off) + skipped - self._top
        rows = slice(first, first + height - skipped)
        cols = slice(int(window.col_off), int(window.col_off) + width)
        weights = self._of(item.tile.row)[skipped:, None] * self._of(item.tile.col)
        self._values[:, rows, cols].addcmul_(values[:, skipped:height, :width], weights)
        self._valid[rows, cols] |= item.valid[skipped:]

    def finish(self) -> None:
        """Hand over what is left, down to the last row."""
        self._finish_above(self._grid.height)
        if self._top < self._grid.height:
            self._hand_over(self._grid.height - self._top)

    def _of(self, span: Span) -> Tensor:
        if span not in self._weights:
            self._weights[span] = torch.from_numpy(span.weights).to(self._values.device)
        return self._weights[span]

    def _finish_above(self, row: int) -> None:
        """Hand over the blocks that end above `row`, and move on to the next ones."""
        while self._top + BLOCK_ROWS <= row:
            self._hand_over(BLOCK_ROWS)

    def _hand_over(self, count: int) -> None:
        window = Window(0, self._top, self._grid.width, count)
        # Weights sum to one but for the last digit.
        values = self._values[:, :count].clamp(0, 1).cpu().numpy()
        if np.isnan(values.sum()):
            raise ModelFileError(NO_NUMBERS)
        self._write(values, self._valid[:count].copy(), window)
        kept = self._values.shape[1] - count
        for first in range(0, kept, count):  # in place: a copy of the slab would be the peak
            end = min(first + count, kept)
            self._values[:, first:end] = self._values[:, first + count : end + count]
        self._values[:, kept:] = 0
        self._valid[:-count] = self._valid[count:]
        self._valid[-count:] = False
        self._top += count
