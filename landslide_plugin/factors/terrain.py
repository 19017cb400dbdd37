"""Terrain factors from 3 x 3 windows of a DEM: slope, aspect, curvatures, positions, roughness.

Metres: the pixel's width and height are taken row by row from the grid, so that geographic CRS
and pixels that are not square come out right. Elevations are metres.

Edges and holes: outside the DEM and at nodata a neighbour is extrapolated linearly, along its row
or its column (the mean where both can), else across the window's centre; where nothing is there
to extrapolate from it takes the centre's elevation. A plane so keeps its slope up to the rim. At
the DEM's edges this is what `gdaldem -compute_edges` does, save in the four corner pixels, where
it repeats a column; beside nodata it repeats the centre, which halves slopes.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..errors import InputError
from ..progress import Progress
from ..raster.bands import to_physical
from ..raster.source import Source
from .smoothing import halo_rows, smooth

Floats = NDArray[np.float32]
Blocks = Iterator[tuple[Window, Floats, NDArray[np.bool_]]]

FLAT_ASPECT = -1.0
"""Aspect of pixels without slope, as ArcGIS has it: valid, so that lakes stay in a stack."""

_BLOCK_MEGABYTES = 96
_CHUNK_PIXELS = 1 << 16  # a chunk's arrays stay in a core's cache
_THREADS = 4
_CORNERS = (
    (0, (1, 2), (3, 6)),
    (2, (1, 0), (5, 8)),
    (6, (7, 8), (3, 0)),
    (8, (7, 6), (5, 2)),
)
"""Corner of a window, the two cells beyond it in its row, and in its column, nearest first."""


class Neighbourhood:
    """The 3 x 3 windows of many pixels: a b c over d e f over g h i, north up.

    Attributes:
        cells: nine arrays of one shape, float32 metres, in the order a to i.
        dx: pixel width in metres, of a shape that broadcasts to theirs.
        dy: pixel height in metres.
    """

    def __init__(self, cells: Sequence[Floats], dx: Floats, dy: Floats) -> None:
        self.cells = cells
        self.dx = dx
        self.dy = dy

    @cached_property
    def fall(self) -> tuple[Floats, Floats]:
        """Descent per metre towards east and towards north (Horn 1981, Proc. IEEE 69:14)."""
        a, b, c, d, _, f, g, h, i = self.cells
        falling, rising = a - i, c - g
        east = d - f
        east *= 2
        east += falling
        east -= rising
        east /= 8 * self.dx
        north = h - b
        north *= 2
        north -= falling
        north -= rising
        north /= 8 * self.dy
        return east, north

    @cached_property
    def steepness(self) -> Floats:
        """Tangent of the slope."""
        east, north = self.fall
        square = east * east
        square += north * north
        return np.sqrt(square, out=square)

    @cached_property
    def second(self) -> tuple[Floats, Floats, Floats]:
        """D, E and F of Zevenbergen & Thorne: half of z_xx, half of z_yy, and z_xy, in 1/m."""
        a, b, c, d, e, f, g, h, i = self.cells
        # Differences to the centre are nearly exact in float32; sums of elevations are not.
        return (
            ((d - e) + (f - e)) / (2 * self.dx**2),
            ((b - e) + (h - e)) / (2 * self.dy**2),
            ((c - a) + (g - i)) / (4 * self.dx * self.dy),
        )

    @cached_property
    def along_and_across(self) -> tuple[Floats, Floats]:
        """Second derivative of the elevation along and across the fall line; 0 where flat."""
        _, b, _, d, _, f, _, h, _ = self.cells
        half_xx, half_yy, xy = self.second
        x, y = (f - d) / (2 * self.dx), (b - h) / (2 * self.dy)
        xx, yy, both = x * x, y * y, x * y * xy
        square = xx + yy
        square[square == 0] = np.inf
        along = 2 * (half_xx * xx + half_yy * yy + both) / square
        across = 2 * (half_xx * yy + half_yy * xx - both) / square
        return along, across


def elevation(windows: Neighbourhood) -> Floats:
    """Elevation of the DEM, smoothed where smoothing is asked for, in metres."""
    return windows.cells[4]


def slope(windows: Neighbourhood) -> Floats:
    """Slope in degrees, 0 to 90 (Horn 1981, as gdaldem)."""
    return np.degrees(np.arctan(windows.steepness))


def aspect(windows: Neighbourhood) -> Floats:
    """Direction of descent in degrees clockwise from north, 0 to 360; `FLAT_ASPECT` where flat."""
    east, north = windows.fall
    degrees = np.degrees(np.arctan2(east, north))
    np.add(degrees, 360, out=degrees, where=degrees < 0)
    degrees[degrees >= 360] = 0  # what float32 makes of a hair below 360
    degrees[windows.steepness == 0] = FLAT_ASPECT
    return degrees


def northness(windows: Neighbourhood) -> Floats:
    """Cosine of the aspect, -1 to 1; 0 where flat."""
    return _share(windows.fall[1], windows.steepness)


def eastness(windows: Neighbourhood) -> Floats:
    """Sine of the aspect, -1 to 1; 0 where flat."""
    return _share(windows.fall[0], windows.steepness)


def plan_curvature(windows: Neighbourhood) -> Floats:
    """Curvature across the fall line in 1/m, positive on ridges and noses, negative in hollows.

    Zevenbergen & Thorne 1987, Earth Surf. Process. Landf. 12:47, with the signs of ArcGIS and
    richdem, whose values are 100 times these.
    """
    return -windows.along_and_across[1]


def profile_curvature(windows: Neighbourhood) -> Floats:
    """Curvature along the fall line in 1/m, positive where the slope is concave (a foot).

    Zevenbergen & Thorne 1987, with the signs of ArcGIS and richdem, whose values are 100 times
    these.
    """
    return windows.along_and_across[0]


def curvature(windows: Neighbourhood) -> Floats:
    """Total curvature in 1/m, plan less profile, positive where convex (as ArcGIS, less its 100).

    Zevenbergen & Thorne 1987: -2 (D + E).
    """
    half_xx, half_yy, _ = windows.second
    return -2 * (half_xx + half_yy)


def tpi(windows: Neighbourhood) -> Floats:
    """Topographic position in metres: elevation less the mean of its 8 neighbours (gdaldem)."""
    total = np.zeros_like(windows.cells[4])
    for difference in _from_centre(windows):
        total -= difference
    return total / 8


def tri(windows: Neighbourhood) -> Floats:
    """Terrain ruggedness in metres: root of the summed squares of the 8 differences.

    Riley et al. 1999, Intermountain J. Sci. 5:23; gdaldem's default.
    """
    total = np.zeros_like(windows.cells[4])
    for difference in _from_centre(windows):
        total += difference * difference
    return np.sqrt(total, out=total)


def roughness(windows: Neighbourhood) -> Floats:
    """Highest less lowest of the nine cells in metres (Wilson et al. 2007; gdaldem)."""
    highest = lowest = windows.cells[0]
    for cell in windows.cells[1:]:
        highest, lowest = np.maximum(highest, cell), np.minimum(lowest, cell)
    return highest - lowest


def hillshade(windows: Neighbourhood) -> Floats:
    """Light from the north-west at 45 degrees, 1 (shadow) to 255, as gdaldem before rounding."""
    east, north = windows.fall
    # The surface's normal (east, north, 1) on the sun's direction (-1/2, 1/2, 1/sqrt 2).
    light = (0.5 * (north - east) + math.sqrt(0.5)) / np.sqrt(1 + windows.steepness**2)
    return 1 + 254 * np.maximum(light, 0)


FACTORS: dict[str, Callable[[Neighbourhood], Floats]] = {
    function.__name__: function
    for function in (
        elevation,
        slope,
        aspect,
        northness,
        eastness,
        plan_curvature,
        profile_curvature,
        curvature,
        tpi,
        tri,
        roughness,
        hillshade,
    )
}
"""Factor name to the function that derives it."""

DEFAULT = ("elevation", "slope", "aspect", "plan_curvature", "profile_curvature")


def check_factors(names: Sequence[str]) -> list[str]:
    """Return the names without repetition.

    Raises:
        InputError: none, or an unknown one.
    """
    unknown = [name for name in names if name not in FACTORS]
    if unknown or not names:
        raise InputError(
            f"Unknown terrain factors: {', '.join(unknown) or 'none given'}; there are: "
            f"{', '.join(FACTORS)}."
        )
    return list(dict.fromkeys(names))


def check_dem(dem: Source, smoothing: float, progress: Progress) -> None:
    """Refuse what has no slope, and warn of what may be meant otherwise.

    Raises:
        InputError: fewer than 2 x 2 pixels, or a smoothing that is negative or wider than the DEM.
    """
    rows, columns = dem.grid.shape
    if rows < 2 or columns < 2:
        raise InputError(
            f"The DEM {dem.path} has {columns} x {rows} pixels: terrain factors need at least "
            "2 x 2."
        )
    extent = max(rows, columns) * dem.grid.resolution
    if not 0 <= smoothing <= extent:
        raise InputError(
            f"The smoothing of {smoothing:g} m does not fit the DEM, which is {extent:.0f} m wide: "
            "give 0 (none) or a few pixels' size."
        )
    if len(dem.bands) > 1:
        progress.warning(f"The DEM has {len(dem.bands)} bands: the first one is taken.")
    crs = dem.grid.crs
    if crs is not None and not crs.is_geographic and crs.linear_units_factor[1] != 1:
        progress.warning("The DEM's CRS is not in metres; its elevations are taken as metres.")


def stream_factors(dem: Source, names: Sequence[str], smoothing: float = 0.0) -> Blocks:
    """Derive factors by blocks of rows, in one pass over the DEM.

    Args:
        dem: the DEM; its first band counts.
        names: keys of `FACTORS`.
        smoothing: sigma in metres of a Gaussian applied to the DEM first; 0 = none.

    Yields:
        Windows from top to bottom, factors float32 (factors, rows, columns), and validity, bool,
        (rows, columns).
    """
    grid = dem.grid
    halo = halo_rows(grid, smoothing)
    for window in grid.row_blocks(grid.rows_within(_BLOCK_MEGABYTES, 2 * len(names) + 4)):
        top, rows = int(window.row_off), int(window.height)
        around = Window(-1, top - halo - 1, grid.width + 2, rows + 2 * halo + 2)
        values, mask = dem.read(around, dem.bands[:1])
        heights, valid = to_physical(values, dem, dem.bands[:1])[0], mask[0]
        if smoothing > 0:
            heights = smooth(heights, valid, grid, top - halo - 1, smoothing)
        margin = slice(halo, halo + rows + 2)
        heights, valid = heights[margin], valid[margin]
        dx, dy = grid.pixel_metres(np.arange(top, top + rows, dtype=np.float64))
        yield window, derive(heights, valid, dx, dy, names), valid[1:-1, 1:-1]


def derive(
    heights: Floats,
    valid: NDArray[np.bool_],
    dx: NDArray,
    dy: NDArray,
    names: Sequence[str],
) -> Floats:
    """Derive factors of a block that has a margin of one pixel on each side.

    Args:
        heights: (rows + 2, columns + 2), metres.
        valid: same shape; the margin is False where it lies outside the DEM.
        dx: pixel width of each row in metres, (rows,).
        dy: pixel height of each row in metres, (rows,).
        names: keys of `FACTORS`.

    Returns:
        (factors, rows, columns), without meaning where the pixel is not valid.
    """
    rows, columns = heights.shape[0] - 2, heights.shape[1] - 2
    result = np.empty((len(names), rows, columns), np.float32)
    dx, dy = dx.astype(np.float32), dy.astype(np.float32)
    step = max(_CHUNK_PIXELS // columns, 8)

    def derive_rows(start: int) -> None:
        stop = min(start + step, rows)
        around = slice(start, stop + 2)
        part = result[:, start:stop]
        _derive_open(heights[around], dx[start:stop], dy[start:stop], names, part)
        _derive_rims(heights[around], valid[around], dx[start:stop], dy[start:stop], names, part)

    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(derive_rows, range(0, rows, step)):
            pass
    return result


def _derive_open(
    heights: Floats, dx: Floats, dy: Floats, names: Sequence[str], result: Floats
) -> None:
    """Derive factors as if every pixel were there."""
    rows, columns = result.shape[1:]
    cells = [heights[y : y + rows, x : x + columns] for y in range(3) for x in range(3)]
    windows = Neighbourhood(cells, dx[:, np.newaxis], dy[:, np.newaxis])
    for band, name in zip(result, names, strict=True):
        band[...] = FACTORS[name](windows)


def _derive_rims(
    heights: Floats,
    valid: NDArray[np.bool_],
    dx: Floats,
    dy: Floats,
    names: Sequence[str],
    result: Floats,
) -> None:
    """Derive factors again where a neighbour is missing, from mended windows."""
    columns_whole = valid[:-2] & valid[1:-1] & valid[2:]
    whole = columns_whole[:, :-2] & columns_whole[:, 1:-1] & columns_whole[:, 2:]
    rows, columns = np.nonzero(valid[1:-1, 1:-1] & ~whole)
    if rows.size == 0:
        return
    at = [(rows + y, columns + x) for y in range(3) for x in range(3)]
    cells = _mend([heights[cell] for cell in at], [valid[cell] for cell in at])
    windows = Neighbourhood(cells, dx[rows], dy[rows])
    for band, name in zip(result, names, strict=True):
        band[rows, columns] = FACTORS[name](windows)


def _mend(cells: list[Floats], there: list[NDArray[np.bool_]]) -> list[Floats]:
    """Extrapolate the missing neighbours; the rule is in the module's docstring."""
    mended = list(cells)
    for side in (1, 3, 5, 7):
        across = np.where(there[8 - side], 2 * cells[4] - cells[8 - side], cells[4])
        mended[side] = np.where(there[side], cells[side], across)
    for corner, row, column in _CORNERS:
        lines = [
            (there[near] & there[far], 2 * cells[near] - cells[far]) for near, far in (row, column)
        ]
        count = np.sum([can for can, _ in lines], axis=0, dtype=np.float32)
        total = np.sum([np.where(can, value, 0) for can, value in lines], axis=0)
        across = np.where(there[8 - corner], 2 * cells[4] - cells[8 - corner], cells[4])
        beyond = np.where(count > 0, total / np.maximum(count, 1), across)
        mended[corner] = np.where(there[corner], cells[corner], beyond)
    return mended


def _from_centre(windows: Neighbourhood) -> Iterator[Floats]:
    """Yield neighbour less centre, for the 8 neighbours."""
    centre = windows.cells[4]
    return (cell - centre for place, cell in enumerate(windows.cells) if place != 4)


def _share(part: Floats, whole: Floats) -> Floats:
    """Return part / whole, 0 where both are 0."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
