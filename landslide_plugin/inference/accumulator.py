"""The rows of the output to which windows still add."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..contract.errors import ModelFileError
from .tiling import Span, Tiling
from .units import Part, Unit, shapes
from .windows import Input

NO_NUMBERS = (
    "The model gives results that are no numbers: check the units of the stack's bands, or train "
    "it again."
)

Finished = Callable[[Unit, Part], None]
"""Gets each unit with what its windows give, in the units' order."""


class Weights:
    """The weights of windows, brought to a device once for each span."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._of: dict[Span, Tensor] = {}

    def __call__(self, row: Span, col: Span, first: int = 0, end: int | None = None) -> Tensor:
        """Return those of a window's rows from `first` to before `end`, (rows, columns)."""
        return self._span(row)[first:end, None] * self._span(col)

    def _span(self, span: Span) -> Tensor:
        if span not in self._of:
            self._of[span] = torch.from_numpy(span.weights).to(self._device)
        return self._of[span]


class Accumulator:
    """Sums the weighted values of overlapping windows, on the device that they are computed on.

    What it holds is a unit's part of the output, however large the raster is.

    Args:
        tiling: the windows.
        units: that are computed, in their order.
        channels: values a pixel.
        device: where the values are.
        finished: gets each unit.

    Raises:
        ModelFileError: from `add` and `finish`, where a value is no number.
    """

    def __init__(
        self,
        tiling: Tiling,
        units: Sequence[Unit],
        channels: int,
        device: torch.device,
        finished: Finished,
    ) -> None:
        self._tiling = tiling
        self._units = list(units)
        self._channels = channels
        self._device = device
        self._finished = finished
        self._rows = {row.start: number for number, row in enumerate(tiling.rows)}
        self._cols = {col.start: number for number, col in enumerate(tiling.cols)}
        self._weights = Weights(device)
        self._begin()

    def add(self, item: Input, values: Tensor) -> None:
        """Add a window's values, float32, (channels, size, size); windows come in order."""
        tile, window = item.tile, item.tile.window
        row, col = self._rows[tile.row.start], self._cols[tile.col.start]
        while not self._units[0].holds(row, col):
            self._hand_over()
        unit = self._units[0]
        height, width = item.valid.shape
        first, left = int(window.row_off) - unit.top, int(window.col_off) - unit.left
        rows, cols = slice(first, first + height), slice(left, left + width)
        values = values[:, :height, :width]
        self._values[:, rows, cols].addcmul_(values, self._weights(tile.row, tile.col))
        self._valid[rows, cols] |= item.valid
        reached = min(unit.shared - first, height)
        if row - unit.first < unit.reaching and reached > 0:
            said = values[:, :reached].cpu().numpy()
            window_above = self._above[row - unit.first, col - unit.cols.start]
            window_above[:, first : first + reached, :width] = said

    def finish(self) -> None:
        """Hand over what is left, down to the last unit."""
        while self._units:
            self._hand_over()

    def _begin(self) -> None:
        """Have room for the next unit."""
        if self._units:
            unit = self._units[0]
            height, width = unit.bottom - unit.top, unit.right - unit.left
            above = shapes(unit, self._tiling, self._channels)[1]
            self._valid = np.zeros((height, width), bool)
            self._values = torch.zeros(self._channels, height, width, device=self._device)
            self._above = np.zeros(above, np.float32)

    def _hand_over(self) -> None:
        unit = self._units.pop(0)
        values: NDArray[np.float32] = self._values[:, unit.shared :].cpu().numpy()
        if np.isnan(values.sum()) or np.isnan(self._above.sum()):
            raise ModelFileError(NO_NUMBERS)
        np.copyto(values, np.float32("nan"), where=~self._valid[unit.shared :])
        part = Part(values, self._above)
        self._begin()
        self._finished(unit, part)
