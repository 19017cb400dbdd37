"""Looking at a raster on another grid: values of valid pixels alone, validity by their weight."""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject
from rasterio.windows import Window

from ..contract.errors import GridError
from .grid import Grid

if TYPE_CHECKING:
    from pyproj import Transformer

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Read = Callable[[Window], tuple[Floats, Mask]]
"""Takes a window inside a raster, returns values, 0 where invalid, and validity, (bands, y, x)."""

HALF = 0.5 - 1e-5
"""The share of its kernel's weight that must be valid for a pixel to be, but for rounding."""

_MOST_VALUES = 3_000_000
"""Values of the raster that are held at once; wide reductions are read in parts."""
_LEAST_SIDE = 16
"""Windows are not cut smaller, whatever they need: over the antimeridian, the whole width."""
_STRIP = 128
"""Columns warped in one go between two CRSs: GDAL takes what lies between them for straight.

Of a row of 1500 pixels of 8 m, places are so wrong by less than .01 pixels, not .1.
"""
_LATTICE = 33
"""Places a side that tell where a window lies in another CRS."""
_PLANE = CRS.from_epsg(3857)
"""Any one: within one CRS only pixels matter, and GDAL wants a name."""


class Warp:
    """The way from the pixels of a raster to those of another grid.

    One rule for all methods. A pixel's kernel lies over pixels of the raster: the one it falls in
    (nearest), the 2 x 2 or 4 x 4 around its centre (bilinear, cubic), wider by the ratio where the
    raster is the finer one, or all that it covers (average). Its value is the mean, by the
    kernel's weights, of those that are valid in the band, and it is valid where these have at
    least half of the weight. Beyond the raster's border there are no pixels to weigh: a pixel may
    be valid if its centre lies within, or, for the average, half of it.

    Args:
        own: the raster's grid.
        grid: the other one.

    Raises:
        GridError: there is no way from one CRS to the other.
    """

    def __init__(self, source: Grid, grid: Grid) -> None:
        self._source_grid = source
        self._grid = grid
        self._plane = source.crs == grid.crs
        # Rounded, so that a centre between two pixels goes to the same one in every window.
        self._corner = np.round(source.pixel(*grid.point(0, 0)), 7)
        self._step = grid.transform.a / source.transform.a, grid.transform.e / source.transform.e
        if not self._plane:
            self._step = self._step_in_the_middle()

    @property
    def offset(self) -> tuple[int, int] | None:
        """The grid's first column and row in the raster; None unless their pixels are the same."""
        if not self._plane:
            return None
        first = np.round(self._corner)
        last = np.ravel(self._pixels(np.array([self._grid.width]), np.array([self._grid.height])))
        apart = np.abs([self._corner - first, last - first - self._grid.shape[::-1]])
        return (int(first[0]), int(first[1])) if apart.max() < 1e-3 else None

    def read(self, read: Read, window: Window, bands: int, resampling: str) -> tuple[Floats, Mask]:
        """Return a window of the grid.

        Args:
            read: gives windows of the raster.
            window: pixels of the grid.
            bands: how many bands that gives.
            resampling: name of GDAL's method.

        Returns:
            Values, float32, (bands, rows, columns), 0 where invalid; and validity, same shape.
        """
        shape = (bands, int(window.height), int(window.width))
        values, valid = np.zeros(shape, np.float32), np.zeros(shape, bool)
        for part, needed in self._parts(window, bands, resampling):
            top, left = int(part.row_off - window.row_off), int(part.col_off - window.col_off)
            target = (..., slice(top, top + int(part.height)), slice(left, left + int(part.width)))
            values[target], valid[target] = self._resample(*read(needed), needed, part, resampling)
        return values, valid

    def _parts(
        self, window: Window, bands: int, resampling: str
    ) -> Iterator[tuple[Window, Window]]:
        """Yield parts of a window with what they need of the raster, which fits in memory."""
        needed = self._needed(window, resampling)
        if needed is None:
            return
        longer = max(window.width, window.height)
        if needed.width * needed.height * bands <= _MOST_VALUES or longer <= _LEAST_SIDE:
            yield window, needed
            return
        for half in _halves(window):
            yield from self._parts(half, bands, resampling)

    def _needed(self, window: Window, resampling: str) -> Window | None:
        """Return the raster's pixels that a window is made of; None where there are none."""
        lattice = 2 if self._plane else _LATTICE
        columns, rows = np.meshgrid(
            window.col_off + np.linspace(0, window.width, lattice),
            window.row_off + np.linspace(0, window.height, lattice),
        )
        ends = []
        axes = self._pixels(columns.ravel(), rows.ravel())
        for positions, step, size in zip(
            axes, self._step, self._source_grid.shape[::-1], strict=True
        ):
            positions = positions[np.isfinite(positions)]
            if not positions.size:
                return None
            reach = (2 if resampling == "cubic" else 1) * max(abs(step), 1) + 1
            if not self._plane:  # between the lattice's places the window may bulge
                reach += 1 + np.ptp(positions) / _LATTICE
            beyond = int(reach) if resampling == "average" else 0
            first = max(int(np.floor(positions.min() - reach)), -beyond)
            last = min(int(np.ceil(positions.max() + reach)), size + beyond)
            if first >= last:
                return None
            ends.append((first, last))
        (left, right), (top, bottom) = ends
        return Window(left, top, right - left, bottom - top)

    def _resample(
        self, values: Floats, valid: Mask, needed: Window, window: Window, resampling: str
    ) -> tuple[Floats, Mask]:
        """Return values and validity of a window, made of those of the raster that it needs."""
        if valid.all():
            warped = self._warp(values, needed, window, resampling)
            filled = ~np.isnan(warped)
            return np.where(filled, warped, np.float32(0)), filled
        masks, which = _distinct(valid)
        layers = np.concatenate([values, masks.astype(np.float32)])  # values are 0 where invalid
        warped = self._warp(layers, needed, window, resampling)
        weight = warped[len(values) :][which]
        filled = weight >= HALF  # False for NaN
        result = np.zeros(filled.shape, np.float32)
        np.divide(warped[: len(values)], weight, out=result, where=filled)
        return result, filled

    def _warp(self, layers: Floats, needed: Window, window: Window, resampling: str) -> Floats:
        """Return layers of the raster as a window of the grid has them, NaN outside the raster."""
        if self._plane:
            return self._reproject(layers, needed, window, resampling)
        shape = (len(layers), int(window.height), int(window.width))
        result = np.full(shape, np.nan, np.float32)
        for left in range(0, shape[2], _STRIP):
            width = min(_STRIP, shape[2] - left)
            strip = Window(window.col_off + left, window.row_off, width, shape[1])
            part = self._needed(strip, resampling)
            if part is not None:
                part = part.intersection(needed)
                top, start = int(part.row_off - needed.row_off), int(part.col_off - needed.col_off)
                rows, columns = slice(top, top + part.height), slice(start, start + part.width)
                cut = np.ascontiguousarray(layers[:, rows, columns])
                result[..., left : left + width] = self._reproject(cut, part, strip, resampling)
        return result

    def _reproject(self, layers: Floats, needed: Window, window: Window, resampling: str) -> Floats:
        result = np.empty((len(layers), int(window.height), int(window.width)), np.float32)
        reproject(
            layers,
            result,
            dst_nodata=np.nan,
            resampling=Resampling[resampling],
            # Said, as GDAL else takes what the rounded sides of a window come to.
            XSCALE=1 / abs(self._step[0]),
            YSCALE=1 / abs(self._step[1]),
            **self._frames(needed, window.col_off, window.row_off),
        )
        return result

    def _frames(self, needed: Window, column: float, row: float) -> dict[str, CRS | Affine]:
        """Return CRS and transform of a window of the raster, and of the grid from a pixel on."""
        if not self._plane:
            return {
                "src_crs": self._source_grid.crs,
                "src_transform": self._source_grid.window_transform(needed),
                "dst_crs": self._grid.crs,
                "dst_transform": self._grid.window_transform(Window(column, row, 1, 1)),
            }
        (left, top), (width, height) = self._pixels(column, row), self._step
        left, top = left - needed.col_off, top - needed.row_off
        # From 1 on, as GDAL takes a transform of ones and zeros for none.
        return {
            "src_crs": _PLANE,
            "src_transform": Affine(1, 0, 1, 0, -1, -1),
            "dst_crs": _PLANE,
            "dst_transform": Affine(width, 0, 1 + left, 0, -height, -1 - top),
        }

    def _pixels(self, columns: Any, rows: Any) -> tuple[Any, Any]:
        """Return where places of the grid lie in the raster, in pixels; infinite for nowhere."""
        if self._plane:
            (left, top), (width, height) = self._corner, self._step
            return left + columns * width, top + rows * height
        x, y = self._transformer.transform(*self._grid.point(columns, rows))
        if self._source_grid.crs is not None and self._source_grid.is_geographic:
            # on the turn around the Earth that the raster is on
            turn = 2 * np.pi / self._source_grid.crs.units_factor[1]
            left, _, right, _ = self._source_grid.bounds
            x = np.where(np.isfinite(x), x - turn * np.round((x - (left + right) / 2) / turn), x)
        return self._source_grid.pixel(x, y)

    @cached_property
    def _transformer(self) -> "Transformer":
        from pyproj import CRS as ProjCRS
        from pyproj import Transformer
        from pyproj.exceptions import ProjError

        try:
            crs, source = (
                ProjCRS.from_user_input(grid.crs) for grid in (self._grid, self._source_grid)
            )
            return Transformer.from_crs(crs, source, always_xy=True)
        except ProjError as error:
            raise GridError(
                f"There is no way from {self._source_grid.describe()} to {self._grid.describe()}: "
                "check the CRSs."
            ) from error

    def _step_in_the_middle(self) -> tuple[float, float]:
        """Return how many of the raster's columns and rows a pixel of the grid is wide and high.

        Measured where the grid is nearest to the raster's middle, for all windows.
        """
        left, bottom, right, top = self._source_grid.bounds
        middle = self._transformer.transform(
            (left + right) / 2, (bottom + top) / 2, direction="INVERSE"
        )
        column, row = np.clip(self._grid.pixel(*middle), 0, self._grid.shape[::-1])
        positions = np.array(self._pixels(column + np.array([0, 1, 0]), row + np.array([0, 0, 1])))
        width, height = np.hypot(*(positions[:, 1:] - positions[:, :1]).T)
        finite = np.isfinite([width, height]).all() and min(width, height) > 0
        return (float(width), float(height)) if finite else (1.0, 1.0)


def _halves(window: Window) -> list[Window]:
    """Return the two halves of a window, cut across its longer side."""
    left, top, width, height = (int(side) for side in window.flatten())
    if width > height:
        half = width // 2
        return [Window(left, top, half, height), Window(left + half, top, width - half, height)]
    half = height // 2
    return [Window(left, top, width, half), Window(left, top + half, width, height - half)]


def _distinct(valid: Mask) -> tuple[Mask, list[int]]:
    """Return the different masks among those of bands, and which of them each band has."""
    masks: list[Mask] = []
    which = []
    for mask in valid:
        same = (index for index, other in enumerate(masks) if np.array_equal(mask, other))
        which.append(next(same, len(masks)))
        if which[-1] == len(masks):
            masks.append(mask)
    return np.stack(masks), which
