"""Cuts tiles out of patches: at their pixels, or turned and scaled about a point.

Beyond the patch a tile goes on with its mirror image, as windows do at a raster's border in
prediction, and its labels are not known. Empty ground there would tell where a patch ends, and with
it where the landslide in its middle is.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ...samples.sample_set import UNKNOWN

Shape = tuple[int, int]


class Patch(NamedTuple):
    """Pixels with their labels.

    Attributes:
        values: float32 (bands, rows, columns), unscaled.
        valid: bool (rows, columns): valid in all bands.
        labels: uint16 (rows, columns): 0 background, 1..n one landslide each, or `UNKNOWN`.
    """

    values: NDArray[np.float32]
    valid: NDArray[np.bool_]
    labels: NDArray[np.uint16]

    @property
    def shape(self) -> Shape:
        """Rows and columns."""
        return self.valid.shape[0], self.valid.shape[1]

    @property
    def landslide(self) -> NDArray[np.bool_]:
        """Where landslide is known to be, bool (rows, columns)."""
        return (self.labels > 0) & (self.labels < UNKNOWN)


def random_corner(patch: Patch, shape: Shape, rng: np.random.Generator) -> Shape:
    """Choose row and column of a window; with landslides, so that it holds a pixel of one.

    Negative where the patch is smaller than the window.
    """
    spare = [side - wanted for side, wanted in zip(patch.shape, shape, strict=True)]
    hold = None
    if max(spare) > 0:
        landslide = np.flatnonzero(patch.landslide)
        if landslide.size:
            hold = np.unravel_index(rng.choice(landslide), patch.shape)
    corner = []
    for axis, room in enumerate(spare):
        low, high = min(room, 0), max(room, 0)
        if hold is not None and room > 0:
            low, high = max(low, int(hold[axis]) - shape[axis] + 1), min(high, int(hold[axis]))
        corner.append(int(rng.integers(low, high + 1)))
    return corner[0], corner[1]


def any_corner(patch: Patch, shape: Shape, rng: np.random.Generator) -> Shape:
    """Choose row and column of a window whose centre is anywhere in the patch."""
    row, col = (
        round(rng.uniform(0, side) - wanted / 2)
        for side, wanted in zip(patch.shape, shape, strict=True)
    )
    return row, col


def cut(patch: Patch, row: int, col: int, shape: Shape) -> Patch:
    """Cut the window whose upper left pixel is at row and column."""
    height, width = patch.shape
    if (row, col) == (0, 0) and shape == (height, width):
        return patch
    rows, cols = np.arange(row, row + shape[0]), np.arange(col, col + shape[1])
    inside = ((rows >= 0) & (rows < height))[:, np.newaxis] & (cols >= 0) & (cols < width)
    down, across = np.ix_(_mirrored(rows, height), _mirrored(cols, width))
    labels = np.where(inside, patch.labels[down, across], UNKNOWN).astype(np.uint16)
    return Patch(patch.values[:, down, across], patch.valid[down, across], labels)


def _mirrored(indices: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Return places along a side with those beyond it mirrored at its first or last pixel."""
    period = max(2 * (length - 1), 1)
    folded = indices % period
    return np.minimum(folded, period - folded)


def unknown(bands: int, shape: Shape) -> Patch:
    """Return a patch of which nothing is known."""
    return Patch(
        np.zeros((bands, *shape), np.float32),
        np.zeros(shape, bool),
        np.full(shape, UNKNOWN, np.uint16),
    )


def warp(
    patch: Patch,
    centre: tuple[float, float],
    shape: Shape,
    angle: float,
    step: float,
    nearest: list[int],
) -> Patch:
    """Cut a window turned and scaled about its centre.

    Values are interpolated between the valid pixels around, labels taken from the nearest. The
    directions that bands hold are left as they are.

    Args:
        patch: what to cut from.
        centre: row and column of the window's centre in the patch, where whole numbers are the
            centres of pixels.
        shape: rows and columns of the window.
        angle: degrees by which the window's content is turned to the left.
        step: pixels of the patch from one pixel of the window to the next.
        nearest: numbers of the bands to be taken from the nearest pixel as well.
    """
    grid = _grid(patch.shape, centre, shape, angle, step)
    weighted = np.concatenate([patch.values * patch.valid, patch.valid[np.newaxis]])
    *values, weight = _sample(weighted.astype(np.float32), grid, "bilinear", "reflection")
    valid = weight >= 0.5
    result = np.stack(values) / np.where(valid, weight, 1) * valid
    # one more than the label, as the sampler gives 0 beyond the patch
    (labels,) = _sample(patch.labels[np.newaxis].astype(np.float32) + 1, grid, "nearest", "zeros")
    if nearest:
        result[nearest] = _sample(patch.values[nearest], grid, "nearest", "reflection") * valid
    landslide = valid & (labels > 0)
    return Patch(result, valid, np.where(landslide, labels - 1, UNKNOWN).astype(np.uint16))


def _grid(
    size: Shape, centre: tuple[float, float], shape: Shape, angle: float, step: float
) -> torch.Tensor:
    """Return where each pixel of the window lies in the patch, as `grid_sample` wants it."""
    down, right = np.meshgrid(
        *((np.arange(side) - (side - 1) / 2) * step for side in shape), indexing="ij"
    )
    sine, cosine = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    rows = centre[0] + cosine * down + sine * right
    cols = centre[1] - sine * down + cosine * right
    points = np.stack([(2 * cols + 1) / size[1] - 1, (2 * rows + 1) / size[0] - 1], axis=-1)
    return torch.from_numpy(points[np.newaxis].astype(np.float32))


def _sample(
    bands: NDArray[np.float32], grid: torch.Tensor, mode: str, beyond: str
) -> NDArray[np.float32]:
    sampled = functional.grid_sample(
        torch.from_numpy(bands[np.newaxis]), grid, mode, padding_mode=beyond, align_corners=False
    )
    return sampled[0].numpy()
