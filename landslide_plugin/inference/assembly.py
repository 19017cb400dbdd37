"""Units put together to the rows of a raster, with the sums of a run without units."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.windows import Window

from ..contract.errors import OutputError
from ..core.progress import Progress
from .accumulator import Weights
from .tiling import WIDEST, Tiling
from .units import Part, Unit

BLOCK_ROWS = 256
"""Rows are handed over in blocks as high as the tiles of the files they go to, so that each of
these is compressed and written once."""

Write = Callable[[NDArray[np.float32], NDArray[np.bool_], Window], None]
"""Gets finished rows: values, float32, (channels, rows, columns), validity, bool, (rows, columns),
and their window; every row once, from top to bottom, a wide raster's in pieces. The arrays are
written anew afterwards."""


class Kept(Protocol):
    """Units that are finished already, and room for those that are finished now."""

    def keep(self, unit: Unit, part: Part) -> None:
        """Keep a unit."""

    def load(self, unit: Unit) -> Part | None:
        """Return what is kept of a unit; None where nothing is."""


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
        self._abreast: list[Part] = []
        self._open: list[NDArray[np.float32]] = []
        self.next = 0

    @property
    def is_wide(self) -> bool:
        """Whether units lie abreast."""
        return len(self._tiling.strips) > 1

    def add(self, unit: Unit, part: Part) -> None:
        """Add the next unit; its rows are finished once those abreast of it are there."""
        self._abreast.append(part)
        self.next = unit.number + 1
        if len(self._abreast) < len(self._tiling.strips):
            return
        row, self._abreast = self._abreast, []
        units = self._units[self.next - len(row) : self.next]
        if unit.shared:
            self._put(units, list(map(self._seam, units, row, self._open)))
        below = self._units[self.next].shared if self.next < len(self._units) else 0
        end = row[0].values.shape[1] - below
        self._put(units, [part.values[:, :end] for part in row])
        self._open = [part.values[:, end:].copy() for part in row]

    def _seam(self, unit: Unit, part: Part, begun: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the sums of the rows that a unit shares with the one above, finished."""
        sums = torch.from_numpy(begun).to(self._device)
        rows = self._tiling.rows[unit.first : unit.first + unit.reaching]
        cols = self._tiling.cols[unit.cols.start : unit.cols.stop]
        for row, above in zip(rows, part.above, strict=True):
            first = row.start - unit.top
            height = min(unit.shared - first, len(row.weights))
            for col, each in zip(cols, torch.tensor(above, device=self._device), strict=True):
                width, left = len(col.weights), col.start - unit.left
                sums[:, first : first + height, left : left + width].addcmul_(
                    each[:, first : first + height, :width], self._weights(row, col, 0, height)
                )
        return sums.cpu().numpy()

    def _put(self, units: Sequence[Unit], strips: Sequence[NDArray[np.float32]]) -> None:
        """Take finished rows of all strips, and hand over the blocks that they fill."""
        done, rows = 0, strips[0].shape[1]
        while done < rows:
            first = self._rows % BLOCK_ROWS
            count = min(self._block.shape[1] - first, rows - done)
            for unit, values in zip(units, strips, strict=True):
                block = self._block[:, first : first + count, unit.left : unit.right]
                values = values[:, done : done + count]
                block[..., : unit.beside] += values[..., : unit.beside]
                block[..., unit.beside :] = values[..., unit.beside :]
            done += count
            self._rows += count
            if self._rows % BLOCK_ROWS == 0 or self._rows == self._height:
                self._hand_over(first + count)

    def _hand_over(self, count: int) -> None:
        """Hand over the first rows of the block, which are the raster's last so far."""
        for left in range(0, self._block.shape[2], WIDEST):
            block = self._block[:, :count, left : left + WIDEST]
            valid = ~np.isnan(block[0])
            np.clip(block, 0, 1, out=block)  # weights sum to one but for the last digit
            np.copyto(block, 0, where=~valid)
            self._write(block, valid, Window(left, self._rows - count, block.shape[2], count))


class Completion:
    """Adds units to an assembly as soon as all above them are finished, whoever finished them.

    Args:
        assembly: of the raster, still empty.
        units: all of the raster.
        kept: where finished units are kept; those of a run that was broken off are there already.

    Attributes:
        missing: units that are still to be computed, top to bottom.
    """

    def __init__(self, assembly: Assembly, units: Sequence[Unit], kept: Kept | None) -> None:
        self._assembly = assembly
        self._units = units
        self._kept = kept
        self.missing = [unit for unit in units if kept is None or kept.load(unit) is None]
        self._awaited = {unit.number for unit in self.missing}

    def begin(self, progress: Progress) -> None:
        """Add what is kept from the first row on, and tell of a run that was broken off."""
        self._add_kept()
        if self.missing and len(self.missing) < len(self._units):
            progress.message(
                f"Going on from row {self.missing[0].top} of {self._units[-1].bottom} of a run "
                "that was broken off."
            )

    def computed(self, unit: Unit, part: Part) -> None:
        """Keep and add a unit; units come in their order."""
        if self._kept is not None:
            self._kept.keep(unit, part)
        if self._kept is not None and self._assembly.is_wide:
            self.noticed(unit)  # not held in memory until those abreast of it are there
        else:
            self._assembly.add(unit, part)
            self._add_kept()

    def noticed(self, unit: Unit) -> None:
        """Take note of a unit that somebody else has kept; units come in any order."""
        self._awaited.discard(unit.number)
        self._add_kept()

    def _add_kept(self) -> None:
        """Add the units that are kept, up to the next one that is not."""
        while (number := self._assembly.next) < len(self._units) and number not in self._awaited:
            part = self._kept.load(self._units[number]) if self._kept is not None else None
            if part is None:
                raise OutputError(
                    "Rows that were kept of a run that was broken off were changed while they were "
                    "read: start it once more."
                )
            self._assembly.add(self._units[number], part)
