"""Finds the windows of stacks that become patches, shares them out and writes them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.windows import Window

from ..contract.errors import GridError, InputError
from ..core.progress import Progress
from ..raster.landslides import (
    Landslides,
    Mask,
    Polygons,
    is_raster,
    least_landslide,
    read_polygons,
)
from ..raster.source import Source
from .blocks import Split, split_by_blocks
from .patches import Candidates, find_candidates, is_mostly_labelled, read_patch
from .sample_set import BACKGROUND, HARD, LANDSLIDE, SPLITS, UNKNOWN
from .sample_writer import SampleWriter
from .scenes import split_by_scene
from .splits import BY_PATCH, SCENES, require_splits, split_at_random, warn_of_shared_ground


@dataclass(frozen=True)
class Layer:
    """A stack with what lies on its grid.

    Attributes:
        stack: the images.
        landslides: the labels.
        area: what lies outside is not known; None for no limit.
        alarms: raster that is high where background is taken for landslide; None where there is
            none.
    """

    stack: Source
    landslides: Landslides
    area: Polygons | None
    alarms: Source | None


@dataclass(frozen=True)
class Hardness:
    """How hard background is drawn.

    Attributes:
        threshold: value of the raster of alarms from which on background is taken for landslide.
        fraction: share of the train background patches drawn by how much of them is.
    """

    threshold: float
    fraction: float


class Cutter:
    """Finds, assigns and writes the patches of all stacks.

    Attributes:
        candidates: the windows of each stack.
        pixels: landslide and background pixels of the labelled area, nodata not taken off.

    Args:
        layers: stacks with their labels.
        writer: where patches go to.
        tile_size: side of a patch in pixels.
    """

    def __init__(self, layers: list[Layer], writer: SampleWriter, tile_size: int) -> None:
        self.layers = layers
        self.writer = writer
        self.tile_size = tile_size
        self.candidates: list[Candidates] = []
        self.pixels = (0, 0)
        self._hard_fraction = 0.0
        self._seen = np.zeros(len(writer.bands), bool)

    def find(self, stride: int, hardness: Hardness, progress: Progress) -> None:
        """List the windows.

        Args:
            stride: step between windows in pixels.
            hardness: how hard background is told and drawn.
            progress: updated each strip.

        Raises:
            InputError: there is no landslide.
        """
        self._hard_fraction = hardness.fraction
        self.candidates = [
            find_candidates(
                layer.landslides,
                layer.area,
                self.tile_size,
                stride,
                part,
                layer.alarms,
                hardness.threshold,
            )
            for layer, part in zip(self.layers, progress.parts(len(self.layers)), strict=True)
        ]
        landslide, background = (
            sum(windows.pixels[kind] for windows in self.candidates) for kind in (0, 1)
        )
        self.pixels = landslide, background
        if not any((windows.landslide > 0).any() for windows in self.candidates):
            if landslide:
                raise InputError(
                    f"{landslide} pixels are landslide, but in no tile around them is half known: "
                    "the rest lies outside the area, or is nodata in the landslides' raster, where "
                    "0 is what is no landslide."
                )
            raise InputError(
                "No landslide lies within the stack and the area: check the layers' CRS and extent."
            )

    def assign(self, kind: str, fractions: Sequence[float], seed: int, progress: Progress) -> Split:
        """Share the windows out; `kind` is "blocks", "scene" or "random".

        Raises:
            InputError: a split comes out without landslides.
        """
        if kind == "scene":
            split = self._by_scene(fractions, seed, progress)
        elif kind == "blocks":
            grids = [layer.stack.grid for layer in self.layers]
            split = split_by_blocks(self.candidates, grids, self.tile_size, fractions, seed)
        else:
            holds = np.concatenate([windows.landslide > 0 for windows in self.candidates])
            ends = np.cumsum([len(windows) for windows in self.candidates])[:-1]
            drawn = split_at_random(holds.astype(np.int64), fractions, seed)
            outlines = np.concatenate(list(self._outlines()))
            warn_of_shared_ground(outlines[holds], drawn[holds], "landslide patches", progress)
            blocks = np.split(np.zeros(len(holds), np.int64), ends)
            touched = [part[:, np.newaxis] for part in blocks]
            split = Split(np.split(drawn, ends), blocks, touched, BY_PATCH)
        seeds = [sum(map(len, self._windows(split, index, True))) for index in range(len(SPLITS))]
        require_splits(seeds, fractions)
        return split

    def _by_scene(self, fractions: Sequence[float], seed: int, progress: Progress) -> Split:
        stacks = [layer.stack for layer in self.layers]
        held = [float((windows.landslide > 0).sum()) for windows in self.candidates]
        index, scene = split_by_scene(stacks, held, fractions, seed, progress)
        lengths = [len(windows) for windows in self.candidates]
        split, block = (
            [np.full(length, of) for length, of in zip(lengths, each, strict=True)]
            for each in (index, scene)
        )
        return Split(split, block, [part[:, np.newaxis] for part in block], SCENES)

    def cut(
        self,
        split: Split,
        fractions: Sequence[float],
        background: float,
        seed: int,
        progress: Progress,
    ) -> None:
        """Write landslide patches, then as many background patches as they ask for.

        Raises:
            InputError: a split comes out without landslides, or a band is nodata everywhere.
        """
        random = np.random.default_rng(seed)
        written = [0] * len(SPLITS)
        for index, name in enumerate(SPLITS):
            part = progress.part(sum(fractions[:index]), sum(fractions[: index + 1]))
            seeds = self._windows(split, index, True)
            total = max(sum(map(len, seeds)), 1)
            for pair in part.part(0, 0.5).track(self._pairs(seeds), total):
                written[index] += self._write(pair, split, name, LANDSLIDE)
            wanted = round(background * written[index])
            drawn = self._cut_background(split, index, wanted, random, part.part(0.5, 1))
            if drawn < wanted:
                progress.warning(
                    f"{name}: only {drawn} of {wanted} background patches were found; a smaller "
                    "stride or tile size gives more."
                )
        self._require_seen()
        require_splits(written, fractions)

    def _cut_background(
        self, split: Split, index: int, wanted: int, random: np.random.Generator, progress: Progress
    ) -> int:
        """Write background patches, of train some by their false alarms; return how many."""
        name = SPLITS[index]
        windows = self._windows(split, index, False)
        others = list(self._pairs(windows))
        order = random.permutation(len(others))
        hard: set[int] = set()
        count = 0
        if self._hard_fraction and name == "train":
            score = np.concatenate(
                [each.score[which] for each, which in zip(self.candidates, windows, strict=True)]
            )
            wanted_hard = round(self._hard_fraction * wanted)
            for drawn in _by_weight(score, random):
                if count >= wanted_hard:
                    break
                hard.add(int(drawn))
                count += self._write(others[drawn], split, name, HARD)
                progress.update(count / wanted)
            progress.message(
                f"{name}: {count} of {wanted} background patches were drawn by their false alarms."
            )
        for drawn in order:
            if count >= wanted:
                break
            if drawn not in hard:
                count += self._write(others[drawn], split, name, BACKGROUND)
                progress.update(count / wanted)
        return count

    def _outlines(self) -> Iterator[NDArray[np.object_]]:
        """Yield the outlines of each layer's windows, in the first stack's CRS."""
        crs = self.layers[0].stack.grid.crs
        for layer, windows in zip(self.layers, self.candidates, strict=True):
            to_map = layer.stack.grid.transform
            left, top = (to_map.c + to_map.a * windows.columns, to_map.f + to_map.e * windows.rows)
            right, bottom = left + to_map.a * self.tile_size, top + to_map.e * self.tile_size
            boxes = shapely.box(left, bottom, right, top)
            yield np.asarray(gpd.GeoSeries(boxes, crs=layer.stack.grid.crs).to_crs(crs))

    def _require_seen(self) -> None:
        """Refuse stacks of which a band is nodata wherever patches were looked for."""
        bands = zip(self.writer.bands, self._seen, strict=True)
        empty = [band for band, seen in bands if not seen]
        if empty:
            raise InputError(
                f"The band {', '.join(empty)} is nodata wherever there are landslides: leave it "
                "out of the stack, or mend its layer."
            )

    def _windows(self, split: Split, index: int, landslide: bool) -> list[np.ndarray]:
        """Return the numbers of a split's windows with or without landslide, a list a stack."""
        return [
            np.flatnonzero((chosen == index) & ((windows.landslide > 0) == landslide))
            for chosen, windows in zip(split.split, self.candidates, strict=True)
        ]

    @staticmethod
    def _pairs(numbers: list[np.ndarray]) -> Iterator[tuple[int, int]]:
        for layer, windows in enumerate(numbers):
            for window in windows:
                yield layer, int(window)

    def _write(self, which: tuple[int, int], split: Split, name: str, kind: str) -> bool:
        """Write a window unless it is mostly nodata, or its landslides are; say whether."""
        number, index = which
        layer, windows, size = self.layers[number], self.candidates[number], self.tile_size
        offset_and_size = (int(windows.columns[index]), int(windows.rows[index]), size, size)
        window = Window(*offset_and_size)
        values, valid, labels = read_patch(
            layer.stack, self.writer.bands, layer.landslides, layer.area, window
        )
        self._seen |= valid.any(axis=(1, 2))
        holds = bool(((labels > 0) & (labels != UNKNOWN)).any())
        if holds != (kind == LANDSLIDE) or not is_mostly_labelled(labels):
            return False
        self.writer.add(
            values,
            valid,
            labels,
            split=name,
            source=layer.stack.path,
            window=offset_and_size,
            block=int(split.block[number][index]),
            blocks=tuple(int(block) for block in np.unique(split.touched[number][index])),
            kind=kind,
            crs=layer.stack.grid.crs,
            transform=layer.stack.grid.window_transform(window),
        )
        return True


def find_layers(
    stacks: Sequence[Source],
    landslides: str,
    low: float | None,
    high: float | None,
    area: str,
    alarms: str,
    progress: Progress,
) -> list[Layer]:
    """Bring labels, area and alarms to each stack's grid; stacks outside the area are left out.

    Args:
        stacks: the images.
        landslides: path of polygons or a raster.
        low: value of the raster below which there is no landslide; None for `high`.
        high: value from which on there is; None for the threshold that the raster carries, or
            else any above 0.
        area: path of polygons; none when empty.
        alarms: path of the raster of alarms; none when empty.
        progress: told of polygons left out, and how much of a raster is looked at.

    Raises:
        InputError: a layer can't be read, or the values don't fit it.
        GridError: a layer lies elsewhere.
    """
    mask = None
    if is_raster(landslides):
        mask = Source.open(landslides, what="landslide mask", zero_is_data=True)
        remedy = "say by low and high from which on they are"
        high = least_landslide(mask, high, remedy, progress)
    _check_values(landslides, mask, low, high, progress)
    alarm = Source.open(alarms, what="raster of false alarms") if alarms else None
    if alarm is not None and len(alarm.bands) > 1:
        progress.warning(
            f"Of the {len(alarm.bands)} bands of {alarms} the first, {alarm.bands[0]}, alone says "
            "where false alarms are: export the one that does if it is another."
        )
    layers = []
    for stack in stacks:
        limits = read_polygons(area, stack.grid, "area", progress) if area else None
        if limits is not None and not limits.overlaps_grid():
            continue
        labels: Landslides
        if mask is None:
            labels = read_polygons(landslides, stack.grid, "landslides", progress)
        else:
            labels = Mask(mask.on(stack.grid, "nearest"), high, low)
        layers.append(Layer(stack, labels, limits, alarm and alarm.on(stack.grid)))
    if not layers:
        raise GridError(f"The area {area} lies outside the stack: draw it within it.")
    return layers


def _check_values(
    landslides: str, mask: Source | None, low: float | None, high: float | None, progress: Progress
) -> None:
    """Refuse values that don't tell a raster's landslides, warn of those that hardly do."""
    if mask is None:
        if low is not None or high is not None:
            raise InputError(
                f"{landslides} holds polygons, which have no probability: leave low and high empty."
            )
        return
    if low is not None and (high is None or low > high):
        raise InputError(
            f"Low {low:g} needs a high that is not below it: pixels below low are background, from "
            "high on landslide, and between them not known."
        )
    if mask.dataset.nodata == 0:
        progress.message(
            f"{landslides} declares 0 as nodata: it is taken for no landslide. Draw an area where "
            "part of it was not looked at."
        )


def _by_weight(weights: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the items with weight in random order, heavy ones likely first.

    Drawing without replacement as Efraimidis and Spirakis 2006: by u^(1/weight), u within 0..1.
    """
    drawn = np.log(rng.random(len(weights))) / np.where(weights > 0, weights, 1)
    order = np.argsort(-drawn, kind="stable")
    return order[weights[order] > 0]
