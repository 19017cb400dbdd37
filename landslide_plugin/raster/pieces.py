"""Connected pieces of a mask that is seen row block by row block, and masks kept packed."""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy import ndimage

Mask = NDArray[np.bool_]

_TOUCHING = np.ones((3, 3), bool)


@dataclass(frozen=True)
class PackedMask:
    """A mask of a window of a raster, kept compressed, so that its size hardly counts.

    Attributes:
        window: the part of the raster that it covers; it is False elsewhere.
        rows: rows a block.
        blocks: the blocks from top to bottom, a bit a pixel, deflated; empty where all is False.
    """

    window: Window
    rows: int
    blocks: tuple[bytes, ...]

    def read(self, window: Window) -> Mask:
        """Return the mask of a window of the raster, (rows, columns)."""
        result = np.zeros((int(window.height), int(window.width)), bool)
        top, left = (int(a - b) for a, b in zip(_corner(window), _corner(self.window), strict=True))
        first, last = max(left, 0), min(left + result.shape[1], int(self.window.width))
        height = int(self.window.height)
        for number in range(max(top, 0) // self.rows, len(self.blocks)):
            start, stop = number * self.rows, min((number + 1) * self.rows, height)
            begin, end = max(start, top), min(stop, top + result.shape[0])
            if begin >= top + result.shape[0]:
                break
            if self.blocks[number] and begin < end and first < last:
                block = unpacked(self.blocks[number], (stop - start, int(self.window.width)))
                part = block[begin - start : end - start, first:last]
                result[begin - top : end - top, first - left : last - left] = part
        return result


def packed(mask: Mask) -> bytes:
    """Return a mask deflated, a bit a pixel; empty when all of it is False."""
    return zlib.compress(np.packbits(mask).tobytes(), 1) if mask.any() else b""


def unpacked(data: bytes, shape: tuple[int, int]) -> Mask:
    """Return what `packed` was given."""
    if not data:
        return np.zeros(shape, bool)
    bits = np.frombuffer(zlib.decompress(data), np.uint8)
    return np.unpackbits(bits, count=shape[0] * shape[1]).reshape(shape).astype(bool)


class Pieces:
    """The connected pieces of a mask, edges and corners touching, gathered block by block.

    Nothing but packed blocks and a few numbers a piece is held.

    Args:
        window: the part of a raster that the mask covers.
        rows: rows of each block but the last.
        blurred: pixels around a piece that are overlooked where its rim is looked at.
    """

    def __init__(self, window: Window, rows: int, blurred: int = 0) -> None:
        self._window, self._rows, self._blurred = window, rows, blurred
        self._blocks: list[bytes] = []
        self._firsts: list[int] = []
        self._parents = np.zeros(1, np.int64)  # of each label; 0 is no piece
        self._counts = np.zeros((3, 1), np.int64)  # of its pixels, its rim, what is alike there
        self._above = np.zeros(int(window.width), np.int64)
        self._sides: list[NDArray[np.int64]] = []  # first and last column, block by block
        self._top = self._above

    @property
    def width(self) -> int:
        """Columns of a block."""
        return int(self._window.width)

    def add(self, mask: Mask, alike: Mask) -> None:
        """Count in the next block, full width.

        Args:
            mask: of the pieces, (rows, columns).
            alike: what is not in the mask, but nearly.
        """
        labels, count = np.broadcast_to(np.int64(0), mask.shape), 0  # takes no memory
        if mask.any():
            labels = np.zeros(mask.shape, np.int64)
            count = ndimage.label(mask, _TOUCHING, output=labels)
        before = len(self._parents) - 1
        self._firsts.append(before)
        self._blocks.append(packed(mask))
        counts = np.zeros((3, count), np.int64)
        if count:
            rim = self._rim(labels)
            for total, part in zip(counts, (labels, rim, rim * alike), strict=True):
                total[:] = np.bincount(part.ravel(), minlength=count + 1)[1:]
            labels[labels > 0] += before
        self._counts = np.concatenate([self._counts, counts], axis=1)
        self._parents = np.concatenate([self._parents, np.arange(before + 1, before + count + 1)])
        if len(self._blocks) == 1:
            self._top = labels[0].copy()
        self._join(labels[0])
        self._above = labels[-1].copy()
        self._sides.append(labels[:, [0, -1]].copy())

    def chosen(self, run: int, area: int | None, inside: bool) -> tuple[PackedMask, int]:
        """Return pieces with a sharp rim that lie along the border or are large, and their pixels.

        A rim is sharp where at most half of it is alike.

        Args:
            run: pixels in a row along one side of the border that make a piece lie along it; a
                side shorter than that is enough where all of it is in one piece.
            area: pixels that make a piece large; None for none.
            inside: whether large pieces count that don't touch the border.
        """
        roots = self._parents
        while (roots[roots] != roots).any():
            roots = roots[roots]
        areas, rims, alike = (np.bincount(roots, part, len(roots)) for part in self._counts)
        large = areas >= (np.inf if area is None else area)
        good = np.zeros(len(roots), bool)
        sides = np.concatenate(self._sides)
        for line in (self._top, self._above, sides[:, 0], sides[:, 1]):
            good[roots[line]] |= large[roots[line]]
            for start, stop in _runs(line > 0):
                if stop - start >= min(run, len(line)):
                    good[roots[line[start]]] = True
        if inside:
            good |= large
        good &= 2 * alike <= rims
        good[0] = False
        if not good.any():
            return PackedMask(self._window, self._rows, ()), 0
        kept = tuple(self._kept(number, good[roots]) for number in range(len(self._blocks)))
        return PackedMask(self._window, self._rows, kept), int(areas[good].sum())

    def _rim(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the pixels around each piece, beyond what is blurred, with the piece's label."""
        inner = labels > 0
        if self._blurred:
            inner = ndimage.binary_dilation(inner, _TOUCHING, self._blurred)
        wide = ndimage.grey_dilation(labels, size=2 * self._blurred + 3)
        rim: NDArray[np.int64] = np.where(inner, 0, wide)
        return rim

    def _kept(self, number: int, good: Mask) -> bytes:
        """Return a block's pixels that belong to good labels, packed."""
        if not self._blocks[number]:
            return b""
        rows = min(self._rows, int(self._window.height) - number * self._rows)
        mask = unpacked(self._blocks[number], (rows, int(self._window.width)))
        labels, count = ndimage.label(mask, _TOUCHING)
        first = self._firsts[number]
        kept = np.concatenate([[False], good[first + 1 : first + count + 1]])
        return packed(kept[labels])

    def _join(self, row: NDArray[np.int64]) -> None:
        """Make one of the pieces of the row above and of the next that touch."""
        padded = np.pad(self._above, 1)
        for shift in range(3):
            above = padded[shift : shift + len(row)]
            touching = (above > 0) & (row > 0)
            for one, other in np.unique(np.stack([above[touching], row[touching]]), axis=1).T:
                first, second = sorted((self._root(one), self._root(other)))
                self._parents[second] = first

    def _root(self, label: int) -> int:
        while self._parents[label] != label:
            self._parents[label] = self._parents[self._parents[label]]
            label = self._parents[label]
        return int(label)


def _corner(window: Window) -> tuple[int, int]:
    return int(window.row_off), int(window.col_off)


def _runs(line: Mask) -> list[tuple[int, int]]:
    """Return where each run of True begins and ends."""
    steps = np.flatnonzero(np.diff(np.pad(line, 1).astype(np.int8)))
    return list(zip(steps[::2].tolist(), steps[1::2].tolist(), strict=True))
