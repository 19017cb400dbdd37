"""Distance to lines, polygons or points: exact between pixel centres, in metres, block by block.

The features are the pixels that they touch, and those have distance 0. Every other pixel has the
Euclidean distance from its centre to the nearest centre of such a pixel (Felzenszwalb and
Huttenlocher 2012, Theory of Computing 8:415), so that it is within half a pixel's diagonal of the
distance to the feature itself. Features outside the grid count like those inside: every block of
rows is read with a margin as wide as its longest distance, which a coarse transform bounds before.

Where the grid does not keep its own metres the distance is that on the ellipsoid, whatever the CRS
(see `raster.positions`), to .3 %: a pixel that is hardly farther may be taken for the nearest.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.windows import Window
from scipy.spatial import KDTree

from ..contract.errors import InputError
from ..core.ahead import read_ahead
from ..raster import Grid
from ..raster.positions import Floats, Positions
from ..raster.surface import Pixels
from ..vector.shapes import Shapes
from .reach import Block, Reach

Inner = tuple[slice, slice]


@dataclass(frozen=True)
class Levels:
    """Levels of distances.

    Attributes:
        breaks: ascending metres between the levels.
        half_width: metres to each side of lines and points that are still the features' surface,
            from which the breaks count; polygons show theirs. Where it is above 0 the surface is a
            level of its own.
    """

    breaks: tuple[float, ...]
    half_width: float = 0.0


LEVELS = {"yang2022": Levels((200, 500, 1000, 2000), half_width=30)}
"""Presets: six river levels, the first of which is the river (R. Yang et al. 2022, Remote Sens.
14:2206)."""

_BLOCK_PIXELS = 8_000_000
_BYTES_PER_PIXEL, _BYTES_WITHOUT_OPENCV = 16, 40
_GROUND_BLOCK_PIXELS = 1_000_000
_GROUND_BLOCK_ROWS = 256  # pixels' sizes change from row to row
_GROUND_BYTES_PER_PIXEL = 20
_GROUND_BYTES_PER_INNER_PIXEL = 150
_NEARLY = 0.0025
"""By how much a pixel may be farther than the nearest one and be taken for it."""
_ROUNDED = 1 + 1e-6
"""Of a break: three pixels of .3 m are a hair more than .9 m."""
_SAMPLES = 9
_OPENCV_LARGEST = 46340  # the square of rows + columns must fit int32


def plan_blocks(
    features: Shapes, grid: Grid, limit: float = np.inf, half_width: float = 0.0
) -> list[Block]:
    """Cut the grid into blocks whose margins hold the nearest feature of each of their pixels.

    Args:
        features: lines, polygons or points in the grid's CRS.
        grid: where distances are wanted, at pixel centres.
        limit: longer distances are not needed, metres.
        half_width: see `Levels`.

    Raises:
        GridError: all features lie farther from the grid than its diagonal, the limit and 50 km.
    """
    reach = Reach(features, grid, limit + half_width, half_width)
    usual, most = max(1, _BLOCK_PIXELS // grid.width), 3
    if not grid.keeps_crs_metres:
        usual, most = min(max(1, _GROUND_BLOCK_PIXELS // grid.width), _GROUND_BLOCK_ROWS), 8
    blocks, top = [], 0
    while top < grid.height:
        rows = min(usual, grid.height - top)
        block = reach.block(top, rows)
        # Where all is far the margin would be most of the work: take more rows at once.
        while block.around.height > most * rows and top + rows < grid.height:
            rows = min(2 * rows, grid.height - top)
            block = reach.block(top, rows)
        blocks.append(block)
        top += rows
    return blocks


def memory_needed(blocks: Sequence[Block], grid: Grid) -> int:
    """Return the bytes that the largest block needs."""
    sizes = [
        (block.around.width * block.around.height, block.window.width * block.window.height)
        for block in blocks
    ]
    if grid.keeps_crs_metres:
        side = _sides(grid)
        opencv = all(
            _suits_opencv((block.around.height, block.around.width), side) for block in blocks
        )
        each = _BYTES_PER_PIXEL if opencv else _BYTES_WITHOUT_OPENCV
        return int(max(each * around for around, _ in sizes))
    return int(
        max(
            _GROUND_BYTES_PER_PIXEL * around + _GROUND_BYTES_PER_INNER_PIXEL * inner
            for around, inner in sizes
        )
    )


def stream_distance(
    features: Shapes,
    grid: Grid,
    blocks: Sequence[Block],
    limit: float = np.inf,
    half_width: float = 0.0,
) -> Iterator[tuple[Window, NDArray[np.float32]]]:
    """Yield the distance to the nearest feature, block by block; 0 inside polygons.

    Args:
        features: lines, polygons or points in the grid's CRS.
        grid: where distances are wanted, at pixel centres.
        blocks: as planned for these.
        limit: longer distances are given as this, metres.
        half_width: see `Levels`; distances are those to the surface.

    Yields:
        A full-width window and metres, float32, (rows, columns); NaN beyond the projection.
    """
    transform = _in_the_plane if grid.keeps_crs_metres else _on_the_ground
    surfaces = _surfaces(features, half_width)

    def measure(block: Block) -> tuple[Window, NDArray[np.float32]]:
        return block.window, reduce(np.minimum, (to(block, *surface) for surface in surfaces))

    def to(block: Block, shapes: Shapes, half_width: float) -> NDArray[np.float32]:
        around = grid.part(block.around)
        empty = _untouched(shapes, around)
        if empty.all():
            return np.full((block.window.height, block.window.width), limit, np.float32)
        distance = transform(empty, around, _inner(block), limit + half_width)
        if half_width:
            distance -= np.float32(half_width)
            np.maximum(distance, 0, out=distance)
        if math.isfinite(limit):
            np.minimum(distance, np.float32(limit), out=distance)
        return distance

    yield from read_ahead(measure, blocks)


def preset(levels: str, breaks: Sequence[float]) -> Levels:
    """Return the levels of a preset, or of the breaks given where there is none.

    Raises:
        InputError: breaks beside a preset.
    """
    if levels == "none":
        return Levels(tuple(breaks))
    if breaks:
        raise InputError(f"Give either the levels {levels} or breaks of your own, not both.")
    return LEVELS[levels]


def check_breaks(breaks: Sequence[float], max_distance: float) -> list[float]:
    """Return the breaks between levels.

    Raises:
        InputError: they are not positive and ascending, too many, or beyond the maximum distance.
    """
    values = [float(value) for value in breaks]
    if not all(low < high for low, high in pairwise([0.0, *values])):
        raise InputError(
            f"The breaks {', '.join(f'{value:g}' for value in values)} must be distances in "
            "metres above 0, each larger than the one before."
        )
    if len(values) > 254:
        raise InputError(f"There are {len(values)} breaks: give at most 254.")
    if values and 0 < max_distance < values[-1]:
        raise InputError(
            f"The break {values[-1]:g} m lies beyond the maximum distance {max_distance:g} m: "
            "leave the maximum distance at 0 or remove the break."
        )
    return values


def to_levels(distance: NDArray[np.float32], breaks: Sequence[float]) -> NDArray[np.uint8]:
    """Return levels 0..n: how many breaks lie below each distance (R. Yang et al. 2022)."""
    ends = np.asarray(breaks) * _ROUNDED
    return np.searchsorted(ends, distance, side="left").astype(np.uint8)


def level_names(breaks: Sequence[float]) -> dict[int, str]:
    """Return the level numbers with their names, such as "30 to 200 m"; "surface" at break 0."""
    edges = [f"{value:g}" for value in (0, *breaks)]
    names = [f"{low} to {high} m" if low != high else "surface" for low, high in pairwise(edges)]
    return dict(enumerate([*names, f"above {edges[-1]} m"]))


def _surfaces(features: Shapes, half_width: float) -> list[tuple[Shapes, float]]:
    """Return the features, parted in those that reach `half_width` beyond themselves and others."""
    if not half_width:
        return [(features, 0.0)]
    polygons = shapely.get_dimensions(features.geometries) == 2
    parted = [(features.geometries[~polygons], half_width), (features.geometries[polygons], 0.0)]
    return [(Shapes(some), wide) for some, wide in parted if len(some)]


def _untouched(features: Shapes, grid: Grid) -> NDArray[np.uint8]:
    """Return 0 in the pixels that a feature touches, 1 in all others."""
    # Shapes are not clipped: where one runs along pixels' edges, rounding would show in the blocks.
    near = features.near(shapely.box(*grid.bounds).buffer(grid.transform.a))
    if not len(near):
        return np.ones(grid.shape, np.uint8)
    burnt: NDArray[np.uint8] = rasterize(
        near,
        grid.shape,
        fill=1,
        default_value=0,
        transform=grid.transform,
        all_touched=True,
        dtype="uint8",
    )
    return burnt


def _in_the_plane(
    empty: NDArray[np.uint8], around: Grid, inner: Inner, _limit: float
) -> NDArray[np.float32]:
    """Return the metres to the nearest touched pixel in a part of the grid."""
    return _nearest_distance(empty, _sides(around))[inner]


def _sides(grid: Grid) -> tuple[float, float]:
    """Return the height and the width of a pixel in metres, where all are alike."""
    width, height = (float(size[0]) for size in grid.pixel_metres(np.zeros(1)))
    return height, width


def _suits_opencv(shape: tuple[int, ...], size: tuple[float, float]) -> bool:
    """Whether OpenCV's transform, the fastest, can do: square pixels only, and it overflows."""
    return math.isclose(*size) and sum(shape) < _OPENCV_LARGEST


def _nearest_distance(empty: NDArray[np.uint8], size: tuple[float, float]) -> NDArray[np.float32]:
    """Return the distance of each pixel to the nearest 0, pixels being of a height and width."""
    if _suits_opencv(empty.shape, size):
        pixels = cv2.distanceTransform(empty, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        # Its last digit varies from run to run; the square of a distance in pixels is whole.
        np.rint(np.multiply(pixels, pixels, out=pixels), out=pixels)
        return np.multiply(np.sqrt(pixels, out=pixels), np.float32(size[1]), out=pixels)
    from scipy.ndimage import distance_transform_edt  # loading it takes a tenth of a second

    return np.asarray(distance_transform_edt(empty, sampling=size), np.float32)


def _on_the_ground(
    empty: NDArray[np.uint8], around: Grid, inner: Inner, limit: float
) -> NDArray[np.float32]:
    """Return the same where the grid's metres are not the ground's.

    The pixel that is nearest in the plane is so on the ground, or nearly, if pixels are alike on
    the way to it. Beyond that the nearest one is looked for in space.
    """
    positions = Positions(around)
    # Nearest is always one at the edge of those that features touch.
    rows, columns = np.nonzero(cv2.erode(1 - empty, np.ones((3, 3), np.uint8)) < 1 - empty)
    touched = positions.at(rows, columns)
    placed = np.isfinite(touched).all(axis=1)
    if not placed.all():
        empty[rows[~placed], columns[~placed]] = 1
        return _on_the_ground(empty, around, inner, limit)
    if not len(rows):
        return np.where(empty[inner], limit, 0).astype(np.float32)
    here = positions.window(Window.from_slices(*inner))
    number = np.zeros(empty.shape, np.int32)
    number[rows, columns] = np.arange(len(rows))
    straight = here - touched[number[_nearest_in_the_plane(empty, around, inner)]]
    straight = np.sqrt(np.einsum("ijk,ijk->ij", straight, straight))
    far = straight > _alike_within(around, inner)
    if far.any():
        tree = KDTree(touched)
        straight[far] = tree.query(here[far], distance_upper_bound=limit, workers=-1)[0]
    straight[empty[inner] == 0] = 0
    distance: NDArray[np.float64] = positions.along(straight)
    return distance.astype(np.float32)


def _nearest_in_the_plane(
    empty: NDArray[np.uint8], around: Grid, inner: Inner
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return row and column of the touched pixel nearest to each of a part of the grid."""
    from scipy.ndimage import distance_transform_edt

    width, height = (size.item() for size in around.pixel_metres(*_middle(inner)))
    nearest = distance_transform_edt(
        empty, sampling=(height, width), return_distances=False, return_indices=True
    )
    return nearest[0][inner], nearest[1][inner]


def _alike_within(around: Grid, inner: Inner) -> float:
    """Return the metres within which the nearest pixel in the plane is nearest on the ground.

    Nearly so: a farther one, taken for it, is at most `_NEARLY` farther. Pixels larger or smaller
    than those in the middle, which the plane knows, change no choice. Those of another shape do,
    and those that are larger or smaller on one way than on the other.
    """
    rows, columns = (np.unique(np.linspace(side.start, side.stop - 1, _SAMPLES)) for side in inner)
    middle = around.pixels(*_middle(inner))
    pixels = around.pixels(rows, columns)
    shape = np.log(pixels.width / pixels.height) - np.log(middle.width / middle.height)
    other_shape = float(np.abs(shape).max() + np.abs(pixels.cosine).max())
    change = sum(
        float(np.abs(np.diff(np.log(size), axis=axis) / way).max(initial=0))
        for axis, way in enumerate(_ways(pixels, rows, columns))
        for size in (pixels.width, pixels.height)
    )  # of the logarithm of a length, a metre
    if other_shape >= _NEARLY:
        return 0.0
    return (_NEARLY - other_shape) / change if change else np.inf


def _ways(pixels: Pixels, rows: Floats, columns: Floats) -> tuple[Floats, Floats]:
    """Return the metres between each two samples, along columns and along rows."""
    down, across = np.diff(rows)[:, np.newaxis], np.diff(columns)
    if pixels.width.shape[1] == 1:
        across = across[:0]  # all are alike
    return down * pixels.height[:-1], across * pixels.width[:, 1:]


def _middle(part: Inner) -> tuple[Floats, Floats]:
    """Return the row and the column in the middle."""
    row, column = (np.array([(side.start + side.stop - 1) / 2]) for side in part)
    return row, column


def _inner(block: Block) -> Inner:
    """Return where a block lies in its surroundings."""
    row = int(block.window.row_off - block.around.row_off)
    column = int(block.window.col_off - block.around.col_off)
    return (
        slice(row, row + int(block.window.height)),
        slice(column, column + int(block.window.width)),
    )
