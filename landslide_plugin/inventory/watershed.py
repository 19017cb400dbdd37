"""Cutting a landslide's pixels up: at saddles of a surface, or into source and runout.

scikit-image's `watershed` (0.26) floods from the peaks, and would stand for the first lines of
`basins` alone: it merges nothing by relative depth or by size. Of the 18 million pixels above 0.35
of a raster of 5000 x 5000 it parts, merged by the same rule, all but 10 alike, in 107 s instead of
37 s and 2.1 GB instead of 3.1 GB. Where many pixels are of one height, as distances are, it cuts
elsewhere (1 to 5 % of the pixels), and a flat landslide gets no basin at all. It weighs 37 MB.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, label

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

SOURCE, RUNOUT = 1, 2


def basins(surface: Floats, inside: Mask, depth: float, least: int) -> Ints:
    """Part pixels where the surface has a deep saddle between two peaks.

    Method: watershed by steepest ascent (each pixel belongs to the peak that it climbs to), then
    basins are merged over the highest saddles first (dynamics: Grimaud 1992, SPIE 1769:292), unless
    the saddle lies deep below the lower of both peaks.

    Args:
        surface: heights, from 0; (rows, columns).
        inside: the pixels to part, 4-connected, same shape.
        depth: how much of the lower peak's height the saddle must lack, 0..1.
        least: basins with fewer pixels are merged in any case.

    Returns:
        Number of the basin, from 1, 0 outside; (rows, columns). Each is 4-connected.
    """
    height = np.pad(np.where(inside, surface, -np.inf), 1, constant_values=-np.inf)
    flat, width = height.ravel(), height.shape[1]
    pixels = np.flatnonzero(flat > -np.inf)
    # Ranks, for two pixels of one height must not both be the higher one.
    rank = np.full(flat.size, -1)
    rank[pixels[np.argsort(flat[pixels], kind="stable")]] = np.arange(pixels.size)
    near = pixels[:, None] + [0, 1, -1, width, -width]
    up = np.arange(flat.size)
    up[pixels] = near[np.arange(pixels.size), rank[near].argmax(axis=1)]
    while (up != up[up]).any():
        up = up[up]
    peaks, basin = np.unique(up[pixels], return_inverse=True)
    number = np.full(flat.size, -1)
    number[pixels] = basin
    sizes = np.bincount(basin, minlength=peaks.size)
    final = _merged(flat[peaks], sizes, _saddles(flat, number, pixels, width), depth, least)
    number[pixels] = final[basin] + 1
    number[number < 0] = 0
    return number.reshape(height.shape)[1:-1, 1:-1]


def distance_to_edge(inside: Mask, dx: float, dy: float) -> Floats:
    """Return metres to the nearest pixel outside: a surface whose saddles are necks."""
    distance: Floats = distance_transform_edt(np.pad(inside, 1), sampling=(dy, dx))[1:-1, 1:-1]
    return distance


def smooth(values: NDArray[np.float32], valid: Mask) -> Floats:
    """Return values smoothed by a Gaussian of one pixel, over valid pixels only."""
    weight = gaussian_filter(valid.astype(float), 1)
    total = gaussian_filter(np.where(valid, values, 0).astype(float), 1)
    mean: Floats = np.divide(total, weight, out=np.zeros_like(total), where=weight > 1e-6)
    return mean


def source_and_runout(elevation: Floats, inside: Mask) -> Ints:
    """Part a landslide's pixels in source, the upper third of its elevations, and runout.

    Each of both is 4-connected: the largest piece of the upper third is the source; of the rest the
    largest piece is the runout, and what the source cuts off from that is source too.

    Args:
        elevation: (rows, columns).
        inside: the landslide's pixels, 4-connected, same shape.

    Returns:
        `SOURCE`, `RUNOUT` or 0; (rows, columns).
    """
    heights = elevation[inside]
    upper = inside & (elevation > heights.max() - np.ptp(heights) / 3)
    runout = _largest(inside & ~_largest(upper))
    return np.where(runout, RUNOUT, np.where(inside, SOURCE, 0))


def _largest(mask: Mask) -> Mask:
    labels, _ = label(mask)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    largest: Mask = (labels == sizes.argmax()) & mask
    return largest


def _saddles(flat: Floats, number: Ints, pixels: Ints, width: int) -> list[tuple[float, int, int]]:
    """Return the highest saddle between each two basins that touch: height and both numbers."""
    here = np.concatenate([pixels, pixels])
    beside = np.concatenate([pixels + 1, pixels + width])
    border = (number[beside] >= 0) & (number[here] != number[beside])
    here, beside = here[border], beside[border]
    height = np.minimum(flat[here], flat[beside])
    low, high = np.sort(np.stack([number[here], number[beside]]), axis=0)
    order = np.lexsort((-height, high, low))
    pairs = np.stack([low, high], axis=1)[order]
    first = np.append(True, (np.diff(pairs, axis=0) != 0).any(axis=1))[: len(pairs)]
    return [
        (float(saddle), int(one), int(other))
        for saddle, (one, other) in zip(height[order][first], pairs[first], strict=True)
    ]


def _merged(
    peaks: Floats, sizes: Ints, saddles: list[tuple[float, int, int]], depth: float, least: int
) -> Ints:
    """Return the number, from 0, of the merged basin of each basin."""
    parent, peak, size = list(range(len(peaks))), peaks.tolist(), sizes.tolist()

    def root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for saddle, one, other in sorted(saddles, reverse=True):
        a, b = root(one), root(other)
        shallow = saddle >= (1 - depth) * min(peak[a], peak[b])
        if a != b and (shallow or min(size[a], size[b]) < least):
            parent[b] = a
            peak[a], size[a] = max(peak[a], peak[b]), size[a] + size[b]
    return np.unique([root(one) for one in range(len(peaks))], return_inverse=True)[1]
