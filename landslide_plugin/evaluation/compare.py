"""Two landslide maps, each raster or polygons, compared on one grid block by block."""

from contextlib import ExitStack
from dataclasses import dataclass, field

import geopandas as gpd
import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.windows import Window

from ..errors import GridError, InputError
from ..landslides import NOT_KNOWN, Landslides, Mask, Polygons, is_raster
from ..progress import Progress
from ..raster.grid import Grid
from ..raster.source import Source
from ..vector import read_vector
from .metrics import Confusion
from .objects import Objects

MAP_PIXELS = 1200
"""Longest side of the error map."""
_MOST_PIXELS = 1e8
_LOOK = 1024
_BLOCK_MEGABYTES = 32


@dataclass
class Comparison:
    """What a comparison found.

    Attributes:
        grid: the grid compared on.
        confusion: pixel counts.
        reference: landslides of the reference, and those that the prediction touches.
        predicted: landslides of the prediction, and those that touch the reference.
        step: pixels of the grid a pixel of the map.
        errors: pixels of TP, FP, FN and of known class in each pixel of the map, int32,
            (4, rows, columns).
    """

    grid: Grid
    step: int
    errors: NDArray[np.int32]
    confusion: Confusion = field(default_factory=Confusion)
    reference: tuple[int, int] = (0, 0)
    predicted: tuple[int, int] = (0, 0)

    @property
    def map_grid(self) -> Grid:
        """The grid of the error map."""
        height, width = self.errors.shape[1:]
        return Grid(self.grid.crs, self.grid.transform * Affine.scale(self.step), width, height)


def compare(
    predicted: Landslides, reference: Landslides, area: Landslides | None, progress: Progress
) -> Comparison:
    """Compare two maps where both are known, inside the area.

    Args:
        predicted: the map to judge.
        reference: the truth, on the same grid.
        area: only what lies inside is compared; None for no limit.
        progress: updated each block.

    Raises:
        InputError: no pixel is known in both.
    """
    grid = predicted.grid
    step = max(1, -(-max(grid.shape) // MAP_PIXELS))
    shape = tuple(-(-side // step) for side in grid.shape)
    result = Comparison(grid, step, np.zeros((4, *shape), np.int32))
    found = Objects(isinstance(reference, Polygons))
    mapped = Objects(isinstance(predicted, Polygons))
    blocks = list(grid.row_blocks(grid.rows_within(_BLOCK_MEGABYTES, 8, 4 * step)))
    for window in progress.track(blocks, len(blocks)):
        ours, truth = predicted.ids(window), reference.ids(window)
        known = (ours != NOT_KNOWN) & (truth != NOT_KNOWN)
        if area is not None:
            known &= area.ids(window) > 0
        ours, truth = np.where(known, ours, 0), np.where(known, truth, 0)
        _count(result, ours > 0, truth > 0, known, window)
        found.add(truth, ours > 0)
        mapped.add(ours, truth > 0)
    if not result.confusion.total:
        raise InputError(
            "No pixel is known in prediction, reference and area together: check that they overlap "
            "and aren't nodata there."
        )
    result.reference, result.predicted = found.counts(), mapped.counts()
    return result


@dataclass(frozen=True)
class Layer:
    """A map before it is brought to the common grid.

    Attributes:
        path: where it was read.
        what: its role in messages.
        data: an open raster, or polygons with a CRS.
    """

    path: str
    what: str
    data: Source | gpd.GeoDataFrame

    @classmethod
    def open(cls, path: str, what: str, files: ExitStack, progress: Progress) -> "Layer":
        """Open a raster or read polygons.

        Raises:
            InputError: missing, unreadable or without polygons.
            GridError: no CRS.
        """
        if is_raster(path):
            return cls(path, what, files.enter_context(Source.open(path, what=what)))
        return cls.polygons(path, what, progress)

    @classmethod
    def polygons(cls, path: str, what: str, progress: Progress) -> "Layer":
        """Read polygons; errors as `open`."""
        frame = read_vector(path, what, kinds=("Polygon",), progress=progress)
        if frame.crs is None:
            raise GridError(f"The {what} layer {path} has no CRS: assign its projection first.")
        return cls(path, what, frame)

    def on(self, grid: Grid, threshold: float, progress: Progress) -> Landslides:
        """Return the map on a grid, and tell what was done to bring it there.

        Raises:
            InputError: it lies elsewhere, or its values are no mask and no probability.
        """
        data = self.data
        crs = data.grid.crs if isinstance(data, Source) else data.crs
        if crs != grid.crs:
            progress.message(f"The {self.what} is brought to {grid.describe().split(',')[0]}.")
        if isinstance(data, Source):
            return _mask(data, grid, self.what, threshold, progress)
        polygons = Polygons(data.to_crs(grid.crs), grid)
        if not polygons.overlaps_grid():
            raise InputError(
                f"The {self.what} layer {self.path} lies outside {grid.describe()}: check its CRS "
                "and extent."
            )
        return polygons


def common_grid(predicted: Layer, reference: Layer, area: Layer | None, progress: Progress) -> Grid:
    """Return the grid to compare on: the prediction's, the reference's, or one made for polygons.

    Polygons are compared on pixels of a tenth of the side of the reference's median landslide,
    within the area or else within the box around both layers.
    """
    sources = [layer.data for layer in (predicted, reference) if isinstance(layer.data, Source)]
    if sources:
        return sources[0].grid
    if area is None:
        progress.warning(
            "Both layers are polygons and no area is given: what is neither counts as background "
            "within the box around both, and overall accuracy depends on that box."
        )
    around = [predicted.data, reference.data] if area is None else [area.data]
    return _polygon_grid(reference.data, around, progress)


def _polygon_grid(
    truth: gpd.GeoDataFrame, around: list[gpd.GeoDataFrame], progress: Progress
) -> Grid:
    crs = truth.crs if truth.crs.is_projected else truth.estimate_utm_crs()
    boxes = np.array([frame.to_crs(crs).total_bounds for frame in around])
    left, bottom = boxes[:, :2].min(axis=0)
    right, top = boxes[:, 2:].max(axis=0)
    pixel = float(np.sqrt(truth.to_crs(crs).area.median())) / 10
    pixel = max(pixel, float(np.sqrt((right - left) * (top - bottom) / _MOST_PIXELS)))
    progress.message(f"The polygons are compared on pixels of {pixel:.3g} CRS units.")
    width, height = (int(np.ceil(side / pixel)) + 2 for side in (right - left, top - bottom))
    transform = Affine(pixel, 0, left - pixel, 0, -pixel, top + pixel)
    return Grid(CRS.from_user_input(crs), transform, width, height)


def _count(
    result: Comparison,
    ours: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    known: NDArray[np.bool_],
    window: Window,
) -> None:
    result.confusion = result.confusion + Confusion.of(ours, truth, known)
    step = result.step
    first = int(window.row_off) // step
    for index, flags in enumerate((ours & truth, ours & ~truth, ~ours & truth, known)):
        rows, columns = (-(-side // step) for side in flags.shape)
        padded = np.zeros((rows * step, columns * step), np.int32)
        padded[: flags.shape[0], : flags.shape[1]] = flags
        sums = padded.reshape(rows, step, columns, step).sum(axis=(1, 3))
        result.errors[index, first : first + rows] = sums


def _mask(
    raster: Source, grid: Grid, what: str, threshold: float, progress: Progress
) -> Landslides:
    """Return a raster as mask; its values, looked at in a thinned copy, say how it is read."""
    if len(raster.bands) > 1:
        progress.message(f"Of the {what} the first band, {raster.bands[0]}, is taken.")
    height, width = (min(side, _LOOK) for side in raster.grid.shape)
    looked = raster.dataset.read(1, out_shape=(height, width), masked=True).compressed()
    values = looked[np.isfinite(looked)]
    low, high = (values.min(), values.max()) if values.size else (0, 0)
    view = raster.on(grid, "nearest")
    if np.dtype(raster.dataset.dtypes[0]).kind == "f":
        if (low < 0 or high > 1) and abs(high) < 1e38 and abs(low) < 1e38:
            raise InputError(
                f"The {what} {raster.path} holds values from {low:g} to {high:g}: give a mask, or "
                "a probability from 0 to 1."
            )
        progress.message(f"The {what} is landslide where it is at least {threshold:g}.")
        return Mask(view, threshold)
    if high > 1:
        progress.warning(
            f"The {what} {raster.path} holds whole numbers up to {high}: every value above 0 is "
            "taken as landslide; declare its nodata value if one of them means that."
        )
    return Mask(view)
