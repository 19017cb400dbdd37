"""Polygons of a mask that arrives in blocks of rows, assembled from the corners of its outlines.

Pixels that share an edge belong to one landslide (4-connected): pixels that only share a corner
would give polygons that touch themselves, which are invalid. All is done on arrays: tracing pixel
by pixel took half of the time of an inventory.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Ints = NDArray[np.int64]
Numbers = NDArray[np.int32]


class Corners(NamedTuple):
    """Places where an outline turns, in the order found; all (n,).

    Attributes:
        x: column of the lattice.
        y: row of the lattice.
        quadrant: where the pixel lies that the outline turns around: 0 north-west, 1 north-east,
            2 south-west, 3 south-east.
        convex: whether that pixel is landslide, bool.
        number: number of the part that the outline belongs to.
        other: at a place where two landslide pixels only touch, the number of the other one's
            part; else 0.
    """

    x: Ints
    y: Ints
    quadrant: Ints
    convex: NDArray[np.bool_]
    number: Ints
    other: Ints


@dataclass(frozen=True, kw_only=True)
class Block:
    """The landslides of a block of rows, outlined as far as the block alone tells.

    Attributes:
        row: its first one.
        rows: how many.
        count: how many parts of landslides it holds; they are numbered from 1.
        first: numbers along its first row, (columns,).
        last: numbers along its last row, (columns,).
        whole: numbers of the parts that reach neither of these rows, ascending, (n,).
        polygons: those parts, in pixel coordinates, object, (n,).
        corners: those of the other parts, without the ones on the lines above and below the block.
    """

    row: int
    rows: int
    count: int
    first: Numbers
    last: Numbers
    whole: Ints
    polygons: NDArray[np.object_]
    corners: Corners


def outline(mask: NDArray[np.bool_], row: int) -> tuple[Block, Numbers]:
    """Number and outline the landslides of a block; threads may do so for many at a time.

    Args:
        mask: bool, (rows, columns), all columns of the raster.
        row: its first row.

    Returns:
        What `Polygonizer.add` takes, and the number of the part that each pixel belongs to, from
        1, 0 outside; (rows, columns).
    """
    numbers = np.empty(mask.shape, np.int32)
    count = label(mask, output=numbers)
    first, last = numbers[0].copy(), numbers[-1].copy()
    corners = _find_corners(first, numbers[1:], row + 1)
    is_open = np.zeros(count + 1, bool)
    is_open[first] = is_open[last] = True
    of_open = is_open[corners.number]
    alone = np.arange(count)
    polygons, whole = _polygons(_parted(_chosen(corners, ~of_open), alone), alone)
    rest = _chosen(corners, of_open)
    return Block(
        row=row,
        rows=len(mask),
        count=count,
        first=first,
        last=last,
        whole=whole + 1,
        polygons=polygons,
        corners=rest,
    ), numbers


class Polygonizer:
    """Makes polygons of blocks of whole rows that arrive from top to bottom.

    Memory holds the polygons, and the corners of what reaches from block to block.
    """

    def __init__(self) -> None:
        self._corners: list[Corners] = []
        self._whole: list[tuple[Ints, NDArray[np.object_]]] = []
        self._seams: list[Ints] = [np.empty((0, 2), np.int64)]
        self._count = 0
        self._last: Ints | None = None
        self._bottom = 0

    def add(self, block: Block) -> int:
        """Add what `outline` made of the next block.

        Returns:
            What is to be added to the block's numbers, so that no two blocks share one.
        """
        before = self._count
        first, last = (
            np.where(numbers > 0, numbers + np.int64(before), 0)
            for numbers in (block.first, block.last)
        )
        above = np.zeros_like(first) if self._last is None else self._last
        pairs = np.stack([above, first], axis=1)
        self._seams.append(np.unique(pairs[(pairs > 0).all(axis=1)], axis=0))
        self._whole.append((block.whole + before, block.polygons))
        corners = block.corners
        self._corners += [
            _find_corners(above, first[None], block.row),
            corners._replace(
                number=corners.number + before,
                other=np.where(corners.other > 0, corners.other + before, 0),
            ),
        ]
        self._last = last
        self._bottom = block.row + block.rows
        self._count += block.count
        return before

    def finish(self) -> tuple[NDArray[np.object_], Ints]:
        """Join what meets at the seams and close the outlines.

        Returns:
            Valid polygons in pixel coordinates (x = column, y = row), object, (n,); and for each
            part's number, from 1 on, the index of its polygon, (parts,).
        """
        if self._last is not None:
            below = np.zeros((1, self._last.size), np.int64)
            self._corners.append(_find_corners(self._last, below, self._bottom))
        pairs = np.concatenate(self._seams) - 1
        links = coo_array((np.ones(len(pairs)), pairs.T), shape=(self._count, self._count))
        count, groups = connected_components(links, directed=False)
        groups = groups.astype(np.int64)
        polygons = np.empty(count if self._count else 0, object)
        if not self._count:
            return polygons, groups
        for numbers, whole in self._whole:
            polygons[groups[numbers - 1]] = whole
        joined, group = _polygons(_parted(_together(self._corners), groups), groups)
        polygons[group] = joined
        return polygons, groups


def _find_corners(above: Ints | Numbers, numbers: Ints | Numbers, row: int) -> Corners:
    """Return the corners on the lattice's lines from the one above some rows to above the last.

    Args:
        above: numbers of the row above them, (columns,).
        numbers: theirs, (rows, columns).
        row: the first of them.
    """
    rows, columns = numbers.shape
    on = np.zeros((rows + 1, columns + 2), bool)  # the row above, a column on either side
    on[0, 1:-1], on[1:, 1:-1] = above > 0, numbers > 0
    pixels = on[:-1, :-1], on[:-1, 1:], on[1:, :-1], on[1:, 1:]
    across = pixels[0] ^ pixels[1]
    turns = across ^ (pixels[2] ^ pixels[3])  # one or three of four
    touches = across & (pixels[0] ^ pixels[2]) & ~turns  # two on a diagonal
    y, x = np.divmod(np.flatnonzero(turns | touches), columns + 1)
    around = np.zeros((len(x), 4), np.int64)
    for quadrant, pixel in enumerate(pixels):
        north, east = quadrant < 2, quadrant % 2
        here = pixel[y, x]
        near_y, near_x = y[here] - north, x[here] - 1 + east
        around[here, quadrant] = np.where(near_y < 0, above[near_x], numbers[near_y, near_x])
    return _together(_corners(x, y + row, around))


def _corners(x: Ints, y: Ints, around: Ints) -> list[Corners]:
    """Return the corners at places.

    Args:
        x: column of the lattice, (n,).
        y: row of the lattice, (n,).
        around: numbers of the pixels in the four quadrants, (n, 4).
    """
    on = around > 0
    count = on.sum(axis=1)
    convex = count == 1
    odd = np.where(convex, on.argmax(axis=1), on.argmin(axis=1))
    one = Corners(x, y, odd, convex, around.max(axis=1), np.zeros_like(x))
    result = [_chosen(one, count != 2)]
    for side in range(4):
        # Two pixels that touch: a corner around each of them.
        pixel = np.full_like(x, side)
        two = Corners(x, y, pixel, count == 2, around[:, side], around[:, 3 - side])
        result.append(_chosen(two, (count == 2) & on[:, side]))
    return result


def _parted(corners: Corners, groups: Ints) -> Corners:
    """Turn around the other pixels where a landslide touches itself.

    There the outline would pass twice through a point. Turning around the two pixels that are no
    landslide gives two rings that touch, as a valid polygon may have them.
    """
    touching = np.flatnonzero(corners.other)
    same = groups[corners.number[touching] - 1] == groups[corners.other[touching] - 1]
    flipped = touching[same]
    corners.quadrant[flipped] ^= 1  # the neighbour on the same row: one of the other diagonal
    corners.convex[flipped] = False
    return corners


def _polygons(corners: Corners, groups: Ints) -> tuple[NDArray[np.object_], Ints]:
    """Return the polygon of each group that has corners, all of its own, and those groups."""
    if not len(corners.x):
        return np.empty(0, object), np.empty(0, np.int64)
    ring, order = _rings(_next(corners))
    x, y = corners.x[order], corners.y[order]
    starts = np.flatnonzero(np.diff(ring, prepend=-1))
    size = np.diff(starts, append=len(ring))
    # Closed: the first point of each ring again after its last.
    ends = starts + size
    xy = np.insert(np.stack([x, y], axis=1).astype(float), ends, 0, axis=0)
    closed_starts = starts + np.arange(len(starts))
    closing = closed_starts + size
    xy[closing] = xy[closed_starts]
    index = np.repeat(np.arange(len(starts)), size + 1)
    cross = xy[:-1, 0] * xy[1:, 1] - xy[1:, 0] * xy[:-1, 1]
    cross = np.append(cross, 0.0)
    cross[closing] = 0
    is_hole = np.add.reduceat(cross, closed_starts) < 0
    group = groups[corners.number[order][starts] - 1]
    rings = shapely.linearrings(xy, indices=index)
    by_polygon = np.lexsort((is_hole, group))  # the outer ring first
    which, index = np.unique(group[by_polygon], return_inverse=True)
    return shapely.polygons(rings[by_polygon], indices=index), which


def _next(corners: Corners) -> Ints:
    """Return for each corner the next one along its outline, landslide to the right on a map.

    Along a line of the lattice, pieces of outline run from one corner to the next, then from the
    third to the fourth, and so on.
    """
    east, south = corners.quadrant % 2, corners.quadrant // 2
    by_row = _partner((corners.y * (corners.x.max() + 1) + corners.x) * 2 + east)
    by_column = _partner((corners.x * (corners.y.max() + 1) + corners.y) * 2 + south)
    falling = east == south  # north-west and south-east
    return np.where(corners.convex == falling, by_row, by_column)


def _partner(position: Ints) -> Ints:
    """Return for each corner the one that is paired with it along a line."""
    order = np.argsort(position, kind="stable")
    partner = np.empty_like(order)
    partner[order[0::2]], partner[order[1::2]] = order[1::2], order[0::2]
    return partner


def _rings(following: Ints) -> tuple[Ints, Ints]:
    """Return the ring of each corner, and the corners in order of ring and place on it.

    Rings are followed by doubling the step (Wyllie 1979), so all at once.

    Args:
        following: the next corner of each corner, a permutation, (n,).

    Returns:
        The first corner of its ring for the corners in order, and that order, both (n,).
    """
    first, step = np.arange(len(following)), following
    while True:
        smaller = np.minimum(first, first[step])
        if (smaller == first).all() and (first == first[following]).all():
            break
        first, step = smaller, step[step]
    leads = first == np.arange(len(following))
    step = np.where(leads, first, following)
    left = (~leads).astype(np.int64)  # steps to the first corner
    while (step != first).any():
        left, step = left + left[step], step[step]
    left[leads] = len(following)
    order = np.lexsort((-left, first))
    return first[order], order


def _chosen(corners: Corners, chosen: NDArray[np.bool_]) -> Corners:
    return Corners(*(column[chosen] for column in corners))  # type: ignore[arg-type]


def _together(corners: list[Corners]) -> Corners:
    return Corners(*map(np.concatenate, zip(*corners, strict=True)))
