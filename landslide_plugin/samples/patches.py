"""Where patches are cut: windows around landslides and windows of background.

After Gao et al. 2021: small windows (64 pixels at a stride of 32) are seeded on the landslides, so
that the rare class is in most of them, and background is added in a chosen ratio.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..contract.errors import InputError
from ..core.progress import Progress
from ..raster.grid import Grid
from ..raster.landslides import UNLABELLED, Landslides, Polygons
from ..raster.source import Source
from .sample_set import UNKNOWN

LEAST_LABELLED = 0.5
"""Windows of which less than this share is known (valid, inside the area) are left out."""


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The windows of a stack that may become patches.

    Attributes:
        columns: left columns, int, (n,).
        rows: top rows, int, (n,).
        landslide: landslide pixels in each, before nodata is taken off, int, (n,).
        score: pixels of background that are taken for landslide, likewise; zeros where there is no
            raster that says so.
        pixels: landslide and background pixels of the labelled area.
    """

    columns: NDArray[np.int64]
    rows: NDArray[np.int64]
    landslide: NDArray[np.int64]
    score: NDArray[np.int64]
    pixels: tuple[int, int]

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.columns)


def find_candidates(
    landslides: Landslides,
    area: Polygons | None,
    tile_size: int,
    stride: int,
    progress: Progress,
    alarms: Source | None = None,
    threshold: float = 0.5,
) -> Candidates:
    """List the windows of the stride grid, with the last row and column flush with the edge.

    The labels are read in strips as high as a window, so memory grows with the width only.

    Args:
        landslides: the labels, on the stack's grid.
        area: windows less than half in it are left out; None for no limit.
        tile_size: side of the windows in pixels.
        stride: step between windows in pixels.
        progress: updated each strip.
        alarms: raster on the stack's grid; background at or above the threshold is taken for
            landslide. None for none.
        threshold: of that raster.
    """
    grid = landslides.grid
    columns = offsets(grid.width, tile_size, stride)
    kept_windows: list[tuple[NDArray[np.int64], ...]] = []
    rows = offsets(grid.height, tile_size, stride)
    pixels = np.zeros(2, np.int64)
    counted = 0
    for row in progress.track(rows, len(rows)):
        strip = Window(0, int(row), grid.width, tile_size)
        ids = labelled_ids(landslides, area, strip)
        labelled = _window_sums(ids != UNLABELLED, columns, tile_size)
        landslide = _window_sums(ids > 0, columns, tile_size)
        false_alarm = np.zeros(ids.shape, bool)
        if alarms is not None:
            values, valid = (part[0] for part in alarms.read(strip, alarms.bands[:1]))
            false_alarm = valid & (values >= threshold) & (ids == 0)
        score = _window_sums(false_alarm, columns, tile_size)
        kept = labelled >= LEAST_LABELLED * tile_size**2
        row_of_each = np.full(int(kept.sum()), row)
        kept_windows.append((columns[kept], row_of_each, landslide[kept], score[kept]))
        new = ids[counted - row :]
        pixels += (int((new > 0).sum()), int((new == 0).sum()))
        counted = row + tile_size
    lefts, tops, landslide, score = (
        np.concatenate(part).astype(np.int64) for part in zip(*kept_windows, strict=True)
    )
    return Candidates(
        columns=lefts,
        rows=tops,
        landslide=landslide,
        score=score,
        pixels=(int(pixels[0]), int(pixels[1])),
    )


def read_patch(
    stack: Source,
    bands: Sequence[str],
    landslides: Landslides,
    area: Polygons | None,
    window: Window,
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.uint16]]:
    """Read one window.

    Args:
        stack: the images.
        bands: their bands, in the order wanted.
        landslides: the labels, on the stack's grid.
        area: what lies outside is not known; None for no limit.
        window: which.

    Returns:
        Values and validity, (bands, rows, columns), and labels, uint16, (rows, columns):
        landslides numbered from 1, `UNKNOWN` outside the area and at pixels invalid in any band.
    """
    values, valid = stack.read(window, bands)
    ids = labelled_ids(landslides, area, window)
    ids[~valid.all(axis=0)] = UNLABELLED
    return values, valid, numbered(ids)


def labelled_ids(
    landslides: Landslides, area: Polygons | None, window: Window
) -> NDArray[np.int32]:
    """Return the landslides' ids in a window, `UNLABELLED` outside the area."""
    ids = landslides.ids(window)
    if area is not None:
        ids[area.ids(window) == 0] = UNLABELLED
    return ids


def numbered(ids: NDArray[np.int32]) -> NDArray[np.uint16]:
    """Return labels with the landslides of a patch numbered from 1 without gaps."""
    labels = np.full(ids.shape, UNKNOWN, np.uint16)
    labels[ids == 0] = 0
    labels[ids > 0] = np.unique(ids[ids > 0], return_inverse=True)[1] + 1
    return labels


def is_mostly_labelled(labels: NDArray[np.uint16]) -> bool:
    """Whether a patch is worth keeping."""
    return float((labels != UNKNOWN).mean()) >= LEAST_LABELLED


def offsets(length: int, tile_size: int, stride: int) -> NDArray[np.int64]:
    """Return where windows start along one side: every stride, and flush with the end."""
    last = length - tile_size
    starts = list(range(0, last + 1, stride))
    return np.array(starts if starts[-1] == last else [*starts, last], np.int64)


def require_same_bands(stacks: Sequence[Source], progress: Progress) -> None:
    """Refuse stacks whose bands or pixel sizes differ.

    Of classes of one factor each stack gets those that only others hold, as 0 everywhere.

    Args:
        stacks: all of them.
        progress: told of such classes.

    Raises:
        InputError: they do; the message names the first such stack.
    """
    first = stacks[0]
    for stack in stacks:
        if absent := _add_absent_classes(stack, stacks):
            progress.message(
                f"{stack.path} has no class {', '.join(absent)}, which others have: 0 there."
            )
    for stack in stacks[1:]:
        if sorted(stack.bands) != sorted(first.bands):
            raise InputError(
                f"{stack.path} has the bands {', '.join(stack.bands)}, but {first.path} has "
                f"{', '.join(first.bands)}: stack the same layers for both."
            )
        if not 0.9 < stack.grid.resolution / first.grid.resolution < 1.1:
            raise InputError(
                f"{stack.path} has pixels of {stack.grid.resolution:.3g} m, but {first.path} of "
                f"{first.grid.resolution:.3g} m: resample them to one pixel size."
            )


def _add_absent_classes(stack: Source, stacks: Sequence[Source]) -> list[str]:
    """Give a stack a band of 0 for each class of its factors that only others hold; return these.

    Stacks of separate maps of geology have a band for each class that occurs in each.
    """
    factors = {told[0]: band for band in stack.bands if (told := stack.class_of(band))}
    added = []
    for other in stacks:
        for band in other.bands:
            told = other.class_of(band)
            if told and told[0] in factors and band not in stack.bands:
                stack.add_zeros(band, factors[told[0]])
                added.append(band)
    return added


def require_tile_fits(grid: Grid, path: str, tile_size: int) -> None:
    """Refuse a stack smaller than a window.

    Raises:
        InputError: it is.
    """
    if min(grid.shape) < tile_size:
        raise InputError(
            f"{path} is {grid.width} x {grid.height} pixels, smaller than the tile of {tile_size}: "
            "choose a smaller tile size."
        )


def _window_sums(
    flags: NDArray[np.bool_], columns: NDArray[np.int64], tile_size: int
) -> NDArray[np.int64]:
    """Return how many pixels are set in each window of a strip."""
    total = np.concatenate([[0], np.cumsum(flags.sum(axis=0))])
    sums: NDArray[np.int64] = total[columns + tile_size] - total[columns]
    return sums
