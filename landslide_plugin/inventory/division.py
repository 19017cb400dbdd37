"""Cutting up landslides: touching ones apart, and each into source and runout.

Each landslide is looked at by itself, in the window of pixels around it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import geometry_mask, shapes
from rasterio.windows import Window

from ..core.progress import Progress
from ..raster import Grid
from ..raster.surface import Pixels
from .polygons import junctions, neighbours
from .watershed import RUNOUT, SOURCE, basins, distance_to_edge, smooth, source_and_runout

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Layers = dict[str, tuple[NDArray[np.float32], Mask]]

PROBABILITY, ELEVATION = "prob", "elevation"
LARGEST_WINDOW = 16_000_000
"""Pixels; larger landslides are not cut up."""
MARGIN = 4
"""Pixels that are read around a landslide, so that smoothing sees what lies beside it."""
PART_NAMES = {SOURCE: "source", RUNOUT: "runout"}


@dataclass(kw_only=True)
class Divided:
    """Landslides cut up.

    Attributes:
        polygons: in pixel coordinates, object, (n,).
        origin: index of the landslide that each was cut from, (n,).
        slide: number, from 1, of the landslide that each is part of now, (n,).
        part: "source", "runout" or None, object, (n,).
        whole: whether it is uncut, bool, (n,).
        too_large: how many were too large to be looked at.
        unknown: how many have pixels of unknown elevation, by which they were not cut up.
    """

    polygons: NDArray[np.object_]
    origin: Ints
    slide: Ints
    part: NDArray[np.object_]
    whole: Mask
    too_large: int
    unknown: int


@dataclass(frozen=True, kw_only=True)
class Divider:
    """How landslides are cut up.

    Attributes:
        grid: their grid.
        split: "none", or by what: "probability", "necks" or "drainage".
        depth: see `basins`.
        parts: whether to part source and runout.
        least_area: smallest landslide that may come of a split, square metres.
        base: probability from which pixels are landslide.
    """

    grid: Grid
    split: str
    depth: float
    parts: bool
    least_area: float
    base: float

    def __bool__(self) -> bool:
        return self.split != "none" or self.parts

    @property
    def layers(self) -> list[str]:
        """The layers by which landslides are cut up."""
        by = {"probability": {PROBABILITY}, "drainage": {ELEVATION}}.get(self.split, set())
        return sorted(by | ({ELEVATION} if self.parts else set()))

    def smallest(self, row: float, column: float) -> int:
        """Return the pixels of the smallest landslide that may be cut up where it lies."""
        return 2 if self.parts else 2 * self._least(row, column)

    def labels(self, inside: Mask, layers: Layers, row: float, column: float) -> Ints:
        """Return the number of the piece of each pixel, 0 outside.

        Twice the number of the landslide, from 1, plus 1 for runout.
        """
        pieces, is_known = inside.astype(np.int64), has_heights(inside, layers)
        if self.split != "none" and (is_known or self.split != "drainage"):
            surface = self._surface(inside, layers, self._pixel(row, column))
            pieces = basins(surface, inside, self.depth, self._least(row, column))
        labels = 2 * pieces
        if self.parts and is_known:
            elevation = smooth(*layers[ELEVATION])
            for piece in range(1, int(pieces.max()) + 1):
                mine = pieces == piece
                labels += (source_and_runout(elevation, mine) == RUNOUT) & mine
        return labels

    def _pixel(self, row: float, column: float) -> Pixels:
        return self.grid.ground.pixels_at(np.array([row]), np.array([column]))

    def _least(self, row: float, column: float) -> int:
        return max(int(np.ceil(self.least_area / self._pixel(row, column).area.item())), 4)

    def _surface(self, inside: Mask, layers: Layers, pixel: Pixels) -> NDArray[np.float64]:
        if self.split == "necks":
            return distance_to_edge(inside, pixel.width.item(), pixel.height.item())
        if self.split == "probability":
            return np.maximum(smooth(*layers[PROBABILITY]) - self.base, 0)
        elevation = smooth(*layers[ELEVATION])
        depth: NDArray[np.float64] = elevation[inside].max() - elevation
        return depth


def has_heights(inside: Mask, layers: Layers) -> bool:
    """Return whether the elevation of all of a landslide is known, if it is among the layers."""
    return ELEVATION not in layers or bool(layers[ELEVATION][1][inside].all())


def divide(
    polygons: NDArray[np.object_],
    divider: Divider,
    read: Callable[[Window, Sequence[str] | None], Layers],
    measure: Callable[[Ints, Layers], None],
    progress: Progress,
) -> Divided:
    """Cut landslides up.

    Args:
        polygons: in pixel coordinates, object, (n,).
        divider: how.
        read: gives layers of a window, which may reach over the raster's edge, by their names; all
            for None.
        measure: is told of the pixels of all pieces: their number, from 1, in the order of those
            that are not `whole`, 0 outside; and the window's layers.
        progress: told of each landslide.
    """
    divided: list[tuple[shapely.Polygon, int, int, str | None, bool]] = []
    slides = pieces = too_large = unknown = 0
    for index, polygon in enumerate(polygons):
        left, top, right, bottom = (int(edge) for edge in polygon.bounds)
        window = Window(
            left - MARGIN, top - MARGIN, right - left + 2 * MARGIN, bottom - top + 2 * MARGIN
        )
        middle = (top + bottom) / 2, (left + right) / 2
        labels = np.zeros(1, np.int64)
        if window.width * window.height > LARGEST_WINDOW:
            too_large += 1
        elif polygon.area >= divider.smallest(*middle):
            move = Affine.translation(window.col_off, window.row_off)
            shape = int(window.height), int(window.width)
            inside = geometry_mask([polygon], shape, move, invert=True)
            layers = read(window, divider.layers)
            labels = divider.labels(inside, layers, *middle)
            unknown += not has_heights(inside, layers)
        kinds = np.unique(labels[labels > 0])
        if len(kinds) < 2:
            divided.append((polygon, index, slides + 1, None, True))
            slides += 1
        else:
            numbers = np.append(0, np.searchsorted(kinds, np.arange(1, kinds[-1] + 1)) + 1)[labels]
            for piece, kind in zip(traced(numbers, window), kinds.tolist(), strict=True):
                paired = kind ^ 1 in kinds
                part = PART_NAMES[SOURCE + kind % 2] if paired else None
                divided.append((piece, index, slides + kind // 2, part, False))
            measure(np.where(labels > 0, numbers + pieces, 0), read(window, None))
            pieces += len(kinds)
            slides += int(kinds[-1]) // 2
        progress.update((index + 1) / len(polygons))
    pieces_of, origin, slide, part_of, whole = zip(*divided, strict=True) if divided else [()] * 5
    return Divided(
        polygons=np.array(pieces_of, object),
        origin=np.array(origin, np.int64),
        slide=np.array(slide, np.int64),
        part=np.array(part_of, object),
        whole=np.array(whole, bool),
        too_large=too_large,
        unknown=unknown,
    )


def traced(numbers: Ints, window: Window) -> NDArray[np.object_]:
    """Return the polygon of each number, in pixel coordinates, with all points they share."""
    polygons = np.empty(int(numbers.max()), object)
    for geometry, number in shapes(numbers.astype(np.int32), mask=numbers > 0, connectivity=4):
        polygons[int(number) - 1] = shapely.geometry.shape(geometry)
    rings, of_polygon = shapely.get_rings(polygons, return_index=True)
    # All points of the lattice, of which those are kept where an outline turns or others meet it.
    dense = shapely.segmentize(rings, 1.0)
    xy, ring = shapely.get_coordinates(dense, return_index=True)
    closing = np.append(np.diff(ring) > 0, True)
    xy, ring = np.round(xy[~closing]), ring[~closing]
    before, after = neighbours(ring)
    turns = (xy[before] + xy[after] != 2 * xy).any(axis=1)
    kept = turns | junctions(xy, ring)
    kept_rings = shapely.linearrings(
        xy[kept] + [window.col_off, window.row_off], indices=ring[kept]
    )
    traced: NDArray[np.object_] = shapely.polygons(kept_rings, indices=of_polygon)
    return traced
