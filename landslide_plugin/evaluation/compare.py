"""Landslide maps held against one reference on one grid, block by block."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..contract.errors import InputError
from ..core.progress import Progress
from ..raster.grid import Grid
from ..raster.positions import Positions
from .boundary import BoundaryCounts, Outline, compare_outlines, outline
from .layers import Reader, Reading
from .metrics import Confusion
from .objects import Agreement, Landslides, Objects, Pairs
from .probability import Probabilities

MAP_PIXELS = 1200
"""Longest side of the error map."""
MOST_TOLERANCE_PIXELS = 100
_BLOCK_MEGABYTES = 32
_SAMPLES = 9
_NEARLY = 1.01
"""So much of two pixels' side is two pixels too, where pixels are not quite the same."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one map scored.

    Attributes:
        confusion: pixel counts.
        areas: square metres of TP, FP, FN and TN, float64, (4,).
        errors: pixels of TP, FP and FN in each cell, int32, (3, rows, columns).
        landslides: the map's landslides.
        found: how the reference's landslides lie on the map's.
        right: how the map's landslides lie on the reference's.
        boundary: pixels of the outlines.
        probabilities: counts by probability; None of masks and polygons.
    """

    confusion: Confusion
    areas: NDArray[np.float64]
    errors: NDArray[np.int32]
    landslides: Landslides
    reference_agreement: Agreement
    right: Agreement
    boundary: BoundaryCounts
    probabilities: Probabilities | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a comparison found; all maps are compared on the same pixels.

    Attributes:
        grid: the pixels looked at.
        step: pixels a cell: cells are the pixels of the error map, and what blocks are made of.
        valid: compared pixels in each cell, int32, (rows, columns).
        area: square metres compared.
        tolerance: metres that outlines may lie apart.
        reference: the reference's landslides.
        results: one a map.
    """

    grid: Grid
    step: int
    valid: NDArray[np.int32]
    area: float
    tolerance: float
    reference: Landslides
    results: list[Result]

    @property
    def mean_pixel(self) -> float:
        """Square metres of a compared pixel, in the mean."""
        return self.area / int(self.valid.sum())

    @property
    def map_grid(self) -> Grid:
        """The grid of the cells."""
        return self.grid.coarsened(self.step)


def compare(
    maps: Sequence[Reader],
    reference: Reader,
    area: Reader | None,
    grid: Grid,
    window: Window,
    tolerance: float,
    progress: Progress,
) -> Comparison:
    """Compare maps with a reference where all of them are known, inside the area.

    Args:
        maps: to judge, on the grid.
        reference: the truth, on the same grid.
        area: only what lies inside is compared; None for no limit.
        grid: their grid.
        window: the part of it to look at.
        tolerance: metres that outlines may lie apart; 0 for the side of two pixels.
        progress: updated each block.

    Raises:
        InputError: no pixel is known in all, or the tolerance is far beyond the pixels.
    """
    part = grid.part(window)
    widths, heights = part.pixel_metres(columns=np.linspace(0, part.width - 1, _SAMPLES))
    least = float(min(widths.min(), heights.min()))
    if not tolerance:
        tolerance = 2 * float(np.sqrt((widths * heights).max()))
        tolerance *= 1 if part.keeps_crs_metres else _NEARLY
    if tolerance > MOST_TOLERANCE_PIXELS * part.resolution:
        raise InputError(
            f"The tolerance of {tolerance:g} m is more than {MOST_TOLERANCE_PIXELS} pixels of "
            f"{part.resolution:.3g} m: choose a smaller one."
        )
    halo = min(int(np.ceil(tolerance / least)) + 1, part.height)
    step = part.step_within(MAP_PIXELS)
    total = _Total(part, step, reference, maps)
    blocks = list(part.row_blocks(part.rows_within(_BLOCK_MEGABYTES, 6 + 6 * len(maps), 4 * step)))
    for block in progress.track(blocks, len(blocks)):
        tall = Window(
            window.col_off,
            window.row_off + block.row_off - halo,
            block.width,
            block.height + 2 * halo,
        )
        truth, ours = reference.read(tall), [one.read(tall) for one in maps]
        rows = np.arange(block.row_off - halo, block.row_off + block.height + halo)
        valid = ((rows >= 0) & (rows < part.height))[:, np.newaxis] & truth.valid
        for reading in ours:
            valid &= reading.valid
        if area is not None:
            valid &= area.read(tall).ids > 0
        total.add(truth, ours, valid, int(block.row_off), halo, tolerance)
    if not total.valid.any():
        raise InputError(
            "No pixel is known in map, reference and area together: check that they overlap and "
            "aren't nodata there."
        )
    return total.comparison(tolerance)


class _Total:
    """Sums over the blocks."""

    def __init__(self, grid: Grid, step: int, reference: Reader, maps: Sequence[Reader]) -> None:
        self.grid, self.step = grid, step
        self._positions = Positions(grid)
        shape = grid.coarsened(step).shape
        self.valid = np.zeros(shape, np.int32)
        self.area = 0.0
        self.reference = Objects(reference.ids_are_global)
        self.maps = [_MapTotal(one, shape) for one in maps]

    def add(
        self,
        truth: Reading,
        ours: list[Reading],
        valid: NDArray[np.bool_],
        first_row: int,
        halo: int,
        tolerance: float,
    ) -> None:
        """Add a block, read with `halo` more rows above and below."""
        inner = slice(halo, valid.shape[0] - halo)
        rows = np.arange(first_row, first_row + valid.shape[0] - 2 * halo)
        pixel_area = self.grid.geodesic_areas(rows, np.arange(self.grid.width))
        self.area += _area(valid[inner], pixel_area)
        self._count(self.valid, valid[inner], first_row)
        landslide = (truth.ids > 0) & valid

        def positions(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
            return self._positions.at(rows + (first_row - halo), columns)

        edge = Outline(outline(landslide, valid), inner, positions)
        truth_ids = np.where(valid[inner], truth.ids[inner], 0)
        numbers = self.reference.add(truth_ids, pixel_area, first_row)
        for one, reading in zip(self.maps, ours, strict=True):
            mapped = (reading.ids > 0) & valid
            one.boundary += compare_outlines(
                Outline(outline(mapped, valid), inner, positions), edge, tolerance
            )
            ids = np.where(valid[inner], reading.ids[inner], 0)
            one.pairs.add(numbers, one.objects.add(ids, pixel_area, first_row), pixel_area)
            if one.probabilities is not None and reading.probability is not None:
                one.probabilities.add(reading.probability[inner], landslide[inner], valid[inner])
            confusion = (
                mapped[inner] & landslide[inner],
                mapped[inner] & ~landslide[inner],
                ~mapped[inner] & landslide[inner],
                valid[inner] & ~mapped[inner] & ~landslide[inner],
            )
            for index, flags in enumerate(confusion):
                one.counts[index] += int(flags.sum())
                one.areas[index] += _area(flags, pixel_area)
                if index < len(one.errors):
                    self._count(one.errors[index], flags, first_row)

    def comparison(self, tolerance: float) -> Comparison:
        """Return what was found."""
        results = []
        for one in self.maps:
            of_reference, right = one.pairs.agreement(self.reference, one.objects)
            results.append(
                Result(
                    confusion=Confusion(*one.counts),
                    areas=one.areas,
                    errors=one.errors,
                    landslides=one.objects.landslides(),
                    reference_agreement=of_reference,
                    right=right,
                    boundary=one.boundary,
                    probabilities=one.probabilities,
                )
            )
        return Comparison(
            grid=self.grid,
            step=self.step,
            valid=self.valid,
            area=self.area,
            tolerance=tolerance,
            reference=self.reference.landslides(),
            results=results,
        )

    def _count(self, cells: NDArray[np.int32], flags: NDArray[np.bool_], first_row: int) -> None:
        """Count pixels in each cell; the block begins with a row of cells."""
        step, first = self.step, first_row // self.step
        rows, columns = (-(-side // step) for side in flags.shape)
        padded = np.zeros((rows * step, columns * step), np.int32)
        padded[: flags.shape[0], : flags.shape[1]] = flags
        sums = padded.reshape(rows, step, columns, step).sum(axis=(1, 3))
        cells[first : first + rows] = sums


def _area(flags: NDArray[np.bool_], pixel_area: NDArray[np.float64]) -> float:
    """Return the square metres of pixels, whose areas are (rows, columns) or (rows, 1)."""
    if pixel_area.shape[1] == 1:
        return float(flags.sum(axis=1) @ pixel_area[:, 0])
    return float(pixel_area[flags].sum())


class _MapTotal:
    """Sums of one map."""

    def __init__(self, one: Reader, shape: tuple[int, ...]) -> None:
        self.counts = [0, 0, 0, 0]
        self.areas = np.zeros(4)
        self.errors = np.zeros((3, *shape), np.int32)
        self.objects = Objects(one.ids_are_global)
        self.pairs = Pairs()
        self.boundary = BoundaryCounts()
        self.probabilities = Probabilities() if one.is_probability else None
