"""Instance detection: landslides found in overlapping windows, each of them once."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import shapely
import torch
from numpy.typing import NDArray
from rasterio.features import shapes
from rasterio.windows import Window
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor, nn

from ..contract.errors import InputError, ModelFileError
from ..core.progress import Progress
from ..raster.resampling import resampled
from .accumulator import NO_NUMBERS
from .tiling import Tiling
from .windows import Input, Reader

MASK_THRESHOLD = 0.5
"""A pixel belongs to an instance from this mask value on (He et al. 2017, section 3)."""
SAME_LANDSLIDE = 0.5
"""Two detections are one landslide when they share this much of the smaller one's part that both
windows see."""


@dataclass
class Detections:
    """Landslides found.

    Attributes:
        polygons: shapely polygons in pixel coordinates (x = column, y = row), object, (n,).
        scores: float64, (n,), 0..1.
        windows: left, top, right, bottom in pixels of the window that saw it, float64, (n, 4).
    """

    polygons: NDArray[np.object_]
    scores: NDArray[np.float64]
    windows: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.scores)

    def of(self, indices: NDArray[np.intp]) -> "Detections":
        """Return some of them."""
        return Detections(self.polygons[indices], self.scores[indices], self.windows[indices])

    @classmethod
    def joined(cls, parts: Iterable["Detections"]) -> "Detections":
        """Return all in one."""
        whole = [cls(np.empty(0, object), np.empty(0), np.empty((0, 4))), *parts]
        return cls(
            np.concatenate([part.polygons for part in whole]),
            np.concatenate([part.scores for part in whole]),
            np.concatenate([part.windows for part in whole]),
        )


def detect_instances(
    network: nn.Module,
    reader: Reader,
    tiling: Tiling,
    *,
    side: int = 0,
    score: float = 0.5,
    device: torch.device | str = "cpu",
    progress: Progress,
) -> Detections:
    """Run an instance network over all windows and merge what overlapping windows both saw.

    Memory holds the polygons, no raster.

    Args:
        network: in evaluation mode, on `device`: a list of (C, H, W) to a list of dictionaries
            with scores (n,) and masks (n, 1, H, W) in 0..1, as torchvision's Mask R-CNN.
        reader: gives the windows' inputs.
        tiling: the windows.
        side: pixels of the side of what the network gets; windows are resampled to that and the
            masks back. 0 leaves them as they are.
        score: detections below are left out, 0..1.
        device: where the network is.
        progress: told of each window.

    Raises:
        InputError: the device's memory is too small for a window.
        ModelFileError: a score or a mask is no number.
    """
    merger = Merger()
    whole: list[Detections] = []
    with closing(reader.batches(1)) as batches:
        for done, batch in batches:
            for item in batch:
                whole.append(merger.finished_above(item.tile.row.start))
                window = torch.from_numpy(item.values).to(device)
                image = resampled(window[None], side, reader.bands)[0]
                result = _answer(network, image)
                masks, scores = result["masks"][:, 0].cpu().numpy(), result["scores"].cpu().numpy()
                if np.isnan(scores).any() or np.isnan(masks).any():
                    raise ModelFileError(NO_NUMBERS)
                merger.add(instance_polygons(masks, scores, item, score))
            progress.update(done / len(tiling))
    return Detections.joined([*whole, merger.finished_above(None)])


def _answer(network: nn.Module, image: Tensor) -> dict[str, Tensor]:
    try:
        with torch.inference_mode():
            (result,) = network([image])
    except torch.OutOfMemoryError as error:
        raise InputError(
            f"The memory of {image.device} is too small for a window of {image.shape[2]} x "
            f"{image.shape[1]} pixels: choose a smaller tile size."
        ) from error
    answer: dict[str, Tensor] = result
    return answer


class Merger:
    """Merges detections row by row of the windows, and gives away what no later one can change.

    So what is compared is never more than the landslides that the present windows touch, however
    high the raster is.
    """

    def __init__(self) -> None:
        self._open: list[Detections] = []
        self._top = 0

    def add(self, detections: Detections) -> None:
        """Add what a window found."""
        if len(detections):
            self._open.append(detections)

    def finished_above(self, row: int | None) -> Detections:
        """Return the landslides whose windows all end above a row, once; all when None.

        Args:
            row: the first row of the windows to come.
        """
        if row == self._top:
            return Detections.joined([])
        self._top = row or 0
        detections = Detections.joined(self._open)
        groups = same_landslide(detections)
        done = [row is None or detections.windows[group, 3].max() <= row for group in groups]
        kept = [group for group, closed in zip(groups, done, strict=True) if not closed]
        self._open = [detections.of(np.sort(np.concatenate(kept)))] if kept else []
        return united(
            detections, [group for group, closed in zip(groups, done, strict=True) if closed]
        )


def instance_polygons(
    masks: NDArray[np.float32], scores: NDArray[np.float32], item: Input, score: float
) -> Detections:
    """Return one polygon per instance of a window: the largest connected part of its mask.

    Args:
        masks: (n, side, side) in 0..1; of another side than the window's they are resampled.
        scores: (n,) in 0..1.
        item: the window; instances are cut to its valid pixels.
        score: instances below are left out.
    """
    window = item.tile.window
    rows, cols = item.valid.shape
    polygons, kept = [], []
    side = item.values.shape[-1]
    for mask, value in zip(masks, scores, strict=True):
        if value < score:
            continue
        whole = resampled(torch.from_numpy(mask)[None, None], side, ())[0, 0].numpy()
        inside = (whole[:rows, :cols] >= MASK_THRESHOLD) & item.valid
        if inside.any():
            polygons.append(_largest_part(inside, window))
            kept.append(float(value))
    frame = [window.col_off, window.row_off, window.col_off + cols, window.row_off + rows]
    return Detections(
        np.array(polygons, dtype=object),
        np.array(kept, dtype=float),
        np.tile(np.array(frame, dtype=float), (len(kept), 1)),
    )


def merge(detections: Detections) -> Detections:
    """Merge detections of one landslide: its polygons are united, its score is the highest."""
    return united(detections, same_landslide(detections))


def same_landslide(detections: Detections) -> list[NDArray[np.intp]]:
    """Return the indices of the detections of each landslide.

    Two detections are compared only where both of their windows look: there they must share
    `SAME_LANDSLIDE` of the smaller part. So a landslide that a window's border cuts is joined
    with its continuation however little of it lies in the overlap.
    """
    if not len(detections):
        return []
    first, second = _same(detections)
    links = coo_array(
        (np.ones(len(first)), (first, second)), shape=(len(detections), len(detections))
    )
    _, groups = connected_components(links, directed=False)
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)


def united(detections: Detections, groups: list[NDArray[np.intp]]) -> Detections:
    """Return one detection for each group: its union, its highest score, the windows' frame."""
    if not groups:
        return Detections.joined([])
    windows = np.stack(
        [
            np.concatenate(
                [detections.windows[group, :2].min(0), detections.windows[group, 2:].max(0)]
            )
            for group in groups
        ]
    )
    polygons = np.empty(len(groups), object)
    polygons[:] = [shapely.union_all(detections.polygons[group]) for group in groups]
    scores = np.array([detections.scores[group].max() for group in groups])
    return Detections(polygons, scores, windows)


def _same(detections: Detections) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pairs of detections that are one landslide."""
    tree = shapely.STRtree(detections.polygons)
    first, second = tree.query(detections.polygons, predicate="intersects")
    first, second = first[first < second], second[first < second]
    shared = np.concatenate(
        [
            np.maximum(detections.windows[first, :2], detections.windows[second, :2]),
            np.minimum(detections.windows[first, 2:], detections.windows[second, 2:]),
        ],
        axis=1,
    )
    zone = shapely.box(*shared.T)
    part_first = shapely.intersection(detections.polygons[first], zone)
    part_second = shapely.intersection(detections.polygons[second], zone)
    common = shapely.area(shapely.intersection(part_first, part_second))
    smaller = np.minimum(shapely.area(part_first), shapely.area(part_second))
    same = (common > 0) & (common >= SAME_LANDSLIDE * smaller)
    return first[same], second[same]


def _largest_part(mask: NDArray[np.bool_], window: Window) -> shapely.Polygon:
    """Return the largest 4-connected part of a mask as a polygon in pixel coordinates."""
    parts = [
        shapely.geometry.shape(geometry)
        for geometry, _ in shapes(mask.astype(np.uint8), mask=mask, connectivity=4)
    ]
    largest = max(parts, key=lambda part: part.area)
    offset = np.array([window.col_off, window.row_off])
    return shapely.transform(largest, lambda xy: xy + offset)
