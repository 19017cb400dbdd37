"""The 3 x 3 windows of a DEM: their derivatives, and neighbours that are missing.

Edges and holes: outside the DEM and at nodata a neighbour is extrapolated linearly, along its row
or its column (the mean where both can), else across the window's centre; where nothing is there
to extrapolate from it takes the centre's elevation. A plane so keeps its slope up to the rim. At
the DEM's edges this is what `gdaldem -compute_edges` does, save in the four corner pixels, where
it repeats a column; beside nodata it repeats the centre, which halves slopes.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..raster.surface import Pixels

Floats = NDArray[np.float32]

FLAT_ASPECT = -1.0
"""Aspect of pixels without slope, as ArcGIS has it: valid, so that lakes stay in a stack."""

NOTHING: Floats = np.empty(0, np.float32)

_CORNERS = ((0, (1, 2), (3, 6)), (2, (1, 0), (5, 8)), (6, (7, 8), (3, 0)), (8, (7, 6), (5, 2)))
"""Corner of a window, the two cells beyond it in its row, and in its column, nearest first."""


class Neighbourhood:
    """The 3 x 3 windows of many pixels: a b c over d e f over g h i, north up.

    Attributes:
        cells: nine arrays of one shape, float32 metres, in the order a to i.
        dx: pixel width in metres, of a shape that broadcasts to theirs.
        dy: pixel height in metres.
        catchment: specific catchment area of the centres in metres, of their shape; empty unless
            a factor needs it.
    """

    def __init__(
        self, cells: Sequence[Floats], pixels: Pixels, catchment: Floats = NOTHING
    ) -> None:
        self.cells = cells
        self.dx, self.dy = pixels.width, pixels.height
        self.catchment = catchment
        self._pixels = pixels
        self._cosine = pixels.cosine if pixels.cosine.any() else None

    @cached_property
    def fall(self) -> tuple[Floats, Floats]:
        """Descent per metre towards the map's right and its top (Horn 1981, Proc. IEEE 69:14)."""
        a, b, c, d, _, f, g, h, i = self.cells
        falling, rising = a - i, c - g
        right = d - f
        right *= 2
        right += falling
        right -= rising
        right /= 8 * self.dx
        up = h - b
        up *= 2
        up -= falling
        up -= rising
        up /= 8 * self.dy
        return self._upright(right, up), up

    @cached_property
    def compass_fall(self) -> tuple[Floats, Floats]:
        """Descent per metre towards east and towards north."""
        right, up = self.fall
        east, north = self._pixels.east, self._pixels.north
        if not east.any():
            return right, up
        cosine, sine = (part / np.hypot(east, north) for part in (north, east))
        return right * cosine + up * sine, up * cosine - right * sine

    @cached_property
    def steepness(self) -> Floats:
        """Tangent of the slope."""
        right, up = self.fall
        square = right * right
        square += up * up
        steepness: Floats = np.sqrt(square, out=square)
        return steepness

    @cached_property
    def aspect(self) -> Floats:
        """Direction of descent, degrees clockwise from north, 0 to 360; `FLAT_ASPECT` if flat."""
        east, north = self.compass_fall
        degrees = np.arctan2(east, north)
        degrees *= np.float32(180 / np.pi)
        np.add(degrees, 360, out=degrees, where=degrees < 0)
        degrees[degrees >= 360] = 0  # what float32 makes of a hair below 360
        degrees[self.steepness == 0] = FLAT_ASPECT
        return degrees

    @cached_property
    def second(self) -> tuple[Floats, Floats, Floats]:
        """D, E and F of Zevenbergen & Thorne: half of z_xx, half of z_yy, and z_xy, in 1/m."""
        a, b, c, d, e, f, g, h, i = self.cells
        # Differences to the centre are nearly exact in float32; sums of elevations are not.
        half_xx = ((d - e) + (f - e)) / (2 * self.dx**2)
        half_yy = ((b - e) + (h - e)) / (2 * self.dy**2)
        xy = ((c - a) + (g - i)) / (4 * self.dx * self.dy)
        if self._cosine is not None:
            cosine, square = self._cosine, 1 - self._cosine**2
            xy = self._upright(xy, 2 * half_yy)
            half_xx = (half_xx - np.sqrt(square) * cosine * xy - cosine**2 * half_yy) / square
        return half_xx, half_yy, xy

    @cached_property
    def along_and_across(self) -> tuple[Floats, Floats]:
        """Second derivative of the elevation along and across the fall line; 0 where flat."""
        _, b, _, d, _, f, _, h, _ = self.cells
        half_xx, half_yy, xy = self.second
        x, y = (f - d) / (2 * self.dx), (b - h) / (2 * self.dy)
        x = self._upright(x, y)
        xx, yy, both = x * x, y * y, x * y * xy
        square = xx + yy
        square[square == 0] = np.inf
        along = 2 * (half_xx * xx + half_yy * yy + both) / square
        across = 2 * (half_xx * yy + half_yy * xx - both) / square
        return along, across

    def _upright(self, along_row: Floats, up: Floats) -> Floats:
        """Return a derivative along a row as that at right angles to the column."""
        if self._cosine is None:
            return along_row
        upright: Floats = np.divide(along_row - self._cosine * up, np.sqrt(1 - self._cosine**2))
        return upright

    @property
    def from_centre(self) -> Iterator[Floats]:
        """Neighbour less centre, for the 8 neighbours."""
        centre = self.cells[4]
        return (cell - centre for index, cell in enumerate(self.cells) if index != 4)


def mend(cells: list[Floats], valid: list[NDArray[np.bool_]]) -> list[Floats]:
    """Extrapolate the missing neighbours; the rule is in the module's docstring."""
    mended = list(cells)
    for side in (1, 3, 5, 7):
        across = np.where(valid[8 - side], 2 * cells[4] - cells[8 - side], cells[4])
        mended[side] = np.where(valid[side], cells[side], across)
    for corner, row, column in _CORNERS:
        lines = [
            (valid[near] & valid[far], 2 * cells[near] - cells[far]) for near, far in (row, column)
        ]
        count = np.sum([can for can, _ in lines], axis=0, dtype=np.float32)
        total = np.sum([np.where(can, value, 0) for can, value in lines], axis=0)
        across = np.where(valid[8 - corner], 2 * cells[4] - cells[8 - corner], cells[4])
        beyond = np.where(count > 0, total / np.maximum(count, 1), across)
        mended[corner] = np.where(valid[corner], cells[corner], beyond)
    return mended
