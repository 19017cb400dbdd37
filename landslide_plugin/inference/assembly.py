"""Units put together to the rows of a raster, with the sums of a run without units."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.windows import Window

from .accumulator import Weights
from .tiling import Tiling
from .units import Part, Unit

BLOCK_ROWS = 256
"""Rows are handed over in blocks as high as the tiles of the files they go to, so that each of
these is compressed and written once."""

Write = Callable[[NDArray[np.float32], NDArray[np.bool_], Window], None]
"""Gets finished rows: values, float32, (channels, rows, columns), validity, bool, (rows, columns),
and their window; every row once, from top to bottom. The arrays are written anew afterwards."""


class Assembly:
    """Adds to the last sums of a unit what the next one says of them; hands over blocks of rows.

    Args:
        tiling: the windows.
        units: all of the raster.
        shape: channels, rows and columns of the raster.
        device: of the kind that the sums were made on, for others round otherwise.
        write: gets the finished rows.

    Attributes:
        next: number of the unit that is to be added next.
    """

    def __init__(
        self,
        tiling: Tiling,
        units: Sequence[Unit],
        shape: tuple[int, int, int],
        device: torch.device,
        write: Write,
    ) -> None:
        channels, self._height, width = shape
        self._tiling = tiling
        self._units = units
        self._device = device
        self._write = write
        self._weights = Weights(device)
        self._block = np.empty((channels, min(BLOCK_ROWS, self._height), width), np.float32)
        self._rows = 0
        self.next = 0

    def add(self, unit: Unit, part: Part) -> None:
        """Add the next unit, top to bottom."""
        if unit.shared:
            self._put(self._seam(unit, part))
        self.next = unit.number + 1
        below = self._units[self.next].shared if self.next < len(self._units) else 0
        end = part.values.shape[1] - below
        self._put(part.values[:, :end])
        self._open = part.values[:, end:].copy()

    def _seam(self, unit: Unit, part: Part) -> NDArray[np.float32]:
        """Return the sums of the rows that a unit shares with the one above, finished."""
        sums = torch.from_numpy(self._open).to(self._device)
        rows = self._tiling.rows[unit.first : unit.first + unit.reaching]
        for row, above in zip(rows, torch.from_numpy(part.above).to(self._device), strict=True):
            first = row.start - unit.top
            height = min(unit.shared - first, len(row.weights))
            for col, said in zip(self._tiling.cols, above, strict=True):
                width = len(col.weights)
                sums[:, first : first + height, col.start : col.start + width].addcmul_(
                    said[:, first : first + height, :width], self._weights(row, col, 0, height)
                )
        return sums.cpu().numpy()

    def _put(self, values: NDArray[np.float32]) -> None:
        """Take finished rows, and hand over the blocks that they fill."""
        while values.shape[1]:
            first = self._rows % BLOCK_ROWS
            count = min(self._block.shape[1] - first, values.shape[1])
            self._block[:, first : first + count] = values[:, :count]
            values = values[:, count:]
            self._rows += count
            if self._rows % BLOCK_ROWS == 0 or self._rows == self._height:
                self._hand_over(first + count)

    def _hand_over(self, count: int) -> None:
        """Hand over the first rows of the block, which are the raster's last so far."""
        block = self._block[:, :count]
        valid = ~np.isnan(block[0])
        np.clip(block, 0, 1, out=block)  # weights sum to one but for the last digit
        np.copyto(block, 0, where=~valid)
        self._write(block, valid, Window(0, self._rows - count, block.shape[2], count))
