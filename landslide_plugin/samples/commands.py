"""Commands `samples` and `importsamples`."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from rasterio.windows import Window

from ..errors import GridError, InputError
from ..landslides import Landslides, Mask, Polygons, is_raster, read_polygons
from ..outputs import whole_folder
from ..progress import Progress
from ..raster.source import Source
from .import_tiles import find_tiles, import_tiles
from .patches import (
    Candidates,
    find_candidates,
    is_mostly_known,
    read_patch,
    require_same_bands,
    require_tile_fits,
)
from .sample_set import SPLITS, UNKNOWN, SampleSet
from .sample_writer import SampleWriter
from .splits import (
    BY_PATCH,
    Split,
    check_shares,
    require_splits,
    split_at_random,
    split_by_blocks,
)


def samples(
    *,
    stack: list[str] | str,
    landslides: str,
    output: str,
    area: str = "",
    tile_size: int = 64,
    stride: int = 32,
    split: str = "blocks",
    background: float = 1.0,
    validation: float = 0.2,
    test: float = 0.0,
    seed: int = 0,
    progress: Progress,
) -> dict[str, Any]:
    """Cut labelled patches out of one or several stacks, seeded on landslides.

    Patches follow Gao et al. 2021 (IEEE JSTARS 14:7881): windows of 64 pixels at a stride of 32
    that hold landslide pixels, and background windows in a chosen ratio.

    Args:
        stack: rasters with the same bands and pixel size.
        landslides: polygons, or a mask raster (landslide above 0; its nodata is not known).
        output: folder to make.
        area: polygons; only windows at least half inside are cut, and pixels outside are labelled
            as not known.
        tile_size: side of the patches in pixels.
        stride: step between neighbouring windows in pixels.
        split: "blocks" (spatial, neighbours don't leak) or "random" (by patch).
        background: patches without landslide per patch with one.
        validation: share of validation patches.
        test: share of test patches.
        seed: of the split and of the choice of background.
        progress: told counts and class balance.

    Returns:
        `output`, the counts `train`, `validation` and `test`, and `imbalance`.

    Raises:
        InputError: bad numbers, layers without landslides, a split that comes out empty.
        GridError: layers without CRS, or that don't overlap.
        OutputError: the folder isn't empty, or can't be written.
    """
    shares = check_shares(validation, test)
    _check_numbers(tile_size, stride, background, split)
    paths = [stack] if isinstance(stack, str) else list(stack)
    if not paths:
        raise InputError("No stack is given: choose at least one raster.")
    with ExitStack() as files, whole_folder(output) as folder:
        stacks = [files.enter_context(Source.open(path, what="stack")) for path in paths]
        require_same_bands(stacks)
        for source in stacks:
            require_tile_fits(source.grid, source.path, tile_size)
        layers = _layers(stacks, landslides, area, progress)
        cutter = _Cutter(layers, SampleWriter(folder, stacks[0].bands), tile_size)
        cutter.find(stride, progress.part(0, 0.2))
        parts = cutter.assign(split, shares, seed)
        cutter.cut(parts, shares, background, seed, progress.part(0.2, 1))
        names = {source.grid.crs.to_string() for source in stacks if source.grid.crs}
        made = cutter.writer.finish(
            split=parts.description,
            seed=seed,
            tile_size=tile_size,
            resolution=stacks[0].grid.resolution,
            crs=names.pop() if len(names) == 1 else None,
            sources=paths,
            progress=progress,
        )
    progress.update(1)
    return _result(output, made)


def importsamples(
    *,
    images: str,
    masks: str,
    output: str,
    bands: Sequence[str] = ("red", "green", "blue"),
    resolution: float = 0,
    limit: int = 0,
    validation: float = 0.2,
    test: float = 0.0,
    seed: int = 0,
    progress: Progress,
) -> dict[str, Any]:
    """Import plain image tiles with masks, as public data sets come (Bijie, Landslide4Sense).

    Args:
        images: folder of images, .png .jpg .tif .webp, of any size.
        masks: folder of masks (landslide above 0) of the same stem, or `mask_7` for `image_7`;
            an image without a mask holds no landslide.
        output: folder to make.
        bands: names of the images' bands.
        resolution: pixel size in metres; 0 when unknown.
        limit: at most so many images, drawn from those with landslides first; 0 for all.
        validation: share of validation images.
        test: share of test images.
        seed: of the split and of the draw.
        progress: told counts and class balance.

    Returns:
        `output`, the counts `train`, `validation` and `test`, and `imbalance`.

    Raises:
        InputError: no images, no mask fits, sizes or bands differ, damaged files.
        OutputError: the folder isn't empty, or can't be written.
    """
    shares = check_shares(validation, test)
    if resolution < 0 or limit < 0:
        raise InputError("The resolution and the limit can't be negative: 0 means unknown and all.")
    if not bands:
        raise InputError("No band names are given: name the bands of the images in their order.")
    with whole_folder(output) as folder:
        tiles = find_tiles(images, masks, list(bands), limit, seed, progress)
        made = import_tiles(
            tiles, SampleWriter(folder, list(bands)), images, resolution, shares, seed, progress
        )
    progress.update(1)
    return _result(output, made)


@dataclass(frozen=True)
class _Layer:
    stack: Source
    landslides: Landslides
    area: Polygons | None


class _Cutter:
    """Finds, assigns and writes the patches of all stacks."""

    def __init__(self, layers: list[_Layer], writer: SampleWriter, tile_size: int) -> None:
        self.layers = layers
        self.writer = writer
        self.tile_size = tile_size
        self.candidates: list[Candidates] = []

    def find(self, stride: int, progress: Progress) -> None:
        count = len(self.layers)
        self.candidates = [
            find_candidates(
                layer.landslides,
                layer.area,
                self.tile_size,
                stride,
                progress.part(index / count, (index + 1) / count),
            )
            for index, layer in enumerate(self.layers)
        ]
        if not any((windows.landslide > 0).any() for windows in self.candidates):
            raise InputError(
                "No landslide lies within the stack and the area: check the layers' CRS and extent."
            )

    def assign(self, kind: str, shares: Sequence[float], seed: int) -> Split:
        if kind == "blocks":
            grids = [layer.stack.grid for layer in self.layers]
            split = split_by_blocks(self.candidates, grids, self.tile_size, shares, seed)
        else:
            holds = np.concatenate([windows.landslide > 0 for windows in self.candidates])
            ends = np.cumsum([len(windows) for windows in self.candidates])[:-1]
            drawn = split_at_random(holds.astype(np.int64), shares, seed)
            blocks = np.split(np.zeros(len(holds), np.int64), ends)
            touched = [part[:, np.newaxis] for part in blocks]
            split = Split(np.split(drawn, ends), blocks, touched, BY_PATCH)
        seeds = [sum(map(len, self._windows(split, index, True))) for index in range(len(SPLITS))]
        require_splits(seeds, shares)
        return split

    def cut(
        self,
        split: Split,
        shares: Sequence[float],
        background: float,
        seed: int,
        progress: Progress,
    ) -> None:
        """Write landslide patches, then as many background patches as they ask for."""
        random = np.random.default_rng(seed)
        written = [0] * len(SPLITS)
        for index, name in enumerate(SPLITS):
            part = progress.part(sum(shares[:index]), sum(shares[: index + 1]))
            seeds = self._windows(split, index, True)
            total = max(sum(map(len, seeds)), 1)
            for place in part.part(0, 0.5).track(self._pairs(seeds), total):
                written[index] += self._write(place, split, name, True)
            wanted = round(background * written[index])
            others = list(self._pairs(self._windows(split, index, False)))
            found = 0
            for drawn in random.permutation(len(others)):
                if found >= wanted:
                    break
                found += self._write(others[drawn], split, name, False)
                part.part(0.5, 1).update(found / wanted)
            if found < wanted:
                progress.warning(
                    f"{name}: only {found} of {wanted} background patches were found; a smaller "
                    "stride or tile size gives more."
                )
        require_splits(written, shares)

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

    def _write(self, which: tuple[int, int], split: Split, name: str, landslide: bool) -> bool:
        """Write a window unless it is mostly nodata, or its landslides are; say whether."""
        number, index = which
        layer, windows, size = self.layers[number], self.candidates[number], self.tile_size
        place = (int(windows.columns[index]), int(windows.rows[index]), size, size)
        window = Window(*place)
        values, valid, labels = read_patch(
            layer.stack, self.writer.bands, layer.landslides, layer.area, window
        )
        holds = bool(((labels > 0) & (labels != UNKNOWN)).any())
        if holds != landslide or not is_mostly_known(labels):
            return False
        self.writer.add(
            values,
            valid,
            labels,
            split=name,
            source=layer.stack.path,
            window=place,
            block=int(split.block[number][index]),
            blocks=tuple(int(block) for block in np.unique(split.touched[number][index])),
            crs=layer.stack.grid.crs,
            transform=layer.stack.grid.window_transform(window),
        )
        return True


def _layers(
    stacks: Sequence[Source], landslides: str, area: str, progress: Progress
) -> list[_Layer]:
    """Bring labels and area to each stack's grid; stacks outside the area are left out."""
    mask = Source.open(landslides, what="landslide mask") if is_raster(landslides) else None
    layers = []
    for stack in stacks:
        limits = read_polygons(area, stack.grid, "area", progress) if area else None
        if limits is not None and not limits.overlaps_grid():
            continue
        labels: Landslides
        if mask is None:
            labels = read_polygons(landslides, stack.grid, "landslides", progress)
        else:
            labels = Mask(mask.on(stack.grid, "nearest"))
        layers.append(_Layer(stack, labels, limits))
    if not layers:
        raise GridError(f"The area {area} lies outside the stack: draw it within it.")
    return layers


def _check_numbers(tile_size: int, stride: int, background: float, split: str) -> None:
    if tile_size < 8 or not 1 <= stride <= tile_size:
        raise InputError(
            f"Tile size {tile_size} and stride {stride} don't fit: the tile must have at least 8 "
            "pixels, and the stride must lie between 1 and the tile size."
        )
    if background < 0:
        raise InputError("The ratio of background patches can't be negative: choose 0 or more.")
    if split not in ("blocks", "random"):
        raise InputError(f"There is no split {split!r}: choose blocks or random.")


def _result(output: str, made: SampleSet) -> dict[str, Any]:
    counts = {name: len(made.of_split(name)) for name in SPLITS}
    return {"output": output, **counts, "imbalance": made.imbalance}
