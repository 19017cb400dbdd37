"""Import of plain image tiles, with masks or parted in two folders, as public data sets come."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from scipy.ndimage import label

from ..contract.errors import InputError
from ..core.progress import Progress
from ..raster.landslides import UNLABELLED
from .around import EIGHT_NEIGHBOURS, Around, Pixels
from .blocks import DROPPED, split_images
from .find_tiles import Tile
from .given_splits import Parts, split_by_folders, split_by_list, with_validation
from .image_list import Entry, ImageList, list_name
from .masks import read_mask
from .patches import numbered
from .sample_set import BACKGROUND, IMAGE_LABELS, LANDSLIDE, SPLITS, SampleSet
from .sample_writer import SampleWriter
from .splits import BLOCKS, BY_IMAGE, require_splits, split_at_random, warn_of_shared_ground
from .tile_files import TileHeader, read_tile

ALIKE = 1.1
"""Factor between pixel sizes from which on they are others."""
TRAIN = SPLITS.index("train")


@dataclass(frozen=True, kw_only=True)
class TileImport:
    """How tiles become samples.

    Attributes:
        folders: those of images, masks and images without landslide, for the manifest.
        resolution: pixel size in metres; 0 for that of the files, where they have one.
        instances: whether the masks' values number landslides, instead of connected pixels being
            one.
        split: "random" by image, by spatial "blocks" of georeferenced tiles, or given, by a "list"
            or by "folders".
        split_list: the list, if any.
        gains: whether values are multiplied by what the list says.
        margin: pixels of its neighbours that each train tile gets around itself, where the list
            says in which row and column of a scene each lies.
        parts: which parts of the list, or folders, are for which split.
        fractions: shares of train, validation and test.
        seed: of the split.
    """

    folders: Sequence[str]
    resolution: float
    instances: bool
    split: str
    split_list: ImageList | None
    gains: bool
    margin: int
    parts: Parts
    fractions: Sequence[float]
    seed: int

    def run(self, tiles: Sequence[Tile], writer: SampleWriter, progress: Progress) -> SampleSet:
        """Write tiles as samples.

        Args:
            tiles: what to write.
            writer: where to.
            progress: updated each tile.

        Raises:
            InputError: a split comes out empty, or a file is damaged.
        """
        size = round(median(max(tile.header.shape) for tile in tiles))
        split, block, kind = self._split(tiles, size, progress)
        holds = np.array([tile.holds for tile in tiles])
        by_image = writer.labels == IMAGE_LABELS
        given = self.split in ("list", "folders")
        for flag in () if given else (True, False) if by_image else (bool(holds.any()),):
            counts = [int((holds[split == index] == flag).sum()) for index in range(len(SPLITS))]
            require_splits(counts, self.fractions, flag)
        entries = self._entries(tiles)
        gains = self._gains(entries)
        around = self._around(tiles, split, entries, gains)
        for number in progress.part(0.3, 1).track(range(len(tiles)), len(tiles)):
            index, tile = split[number], tiles[number]
            if index == DROPPED:
                continue
            pixels = (
                around.read(number)
                if around and index == TRAIN
                else self._read(tile, gains[number])
            )
            self._write(tile, pixels, SPLITS[index], int(block[number]), writer)
        before = sum(tile.landslide for tile in tiles), sum(tile.background for tile in tiles)
        names = {tile.header.crs.to_string() if tile.header.crs else None for tile in tiles}
        return writer.finish(
            split=kind,
            seed=self.seed,
            tile_size=size,
            resolution=_resolution(tiles, self.resolution, progress),
            crs=names.pop() if len(names) == 1 else None,
            sources=list(dict.fromkeys(filter(None, self.folders))),
            before=None if by_image else before,
            progress=progress,
        )

    def _split(
        self, tiles: Sequence[Tile], size: int, progress: Progress
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], str]:
        """Return the split and the block of each tile, and the kind of split."""
        holds = np.array([tile.holds for tile in tiles], np.int64)
        if not holds.any():
            holds = 1 - holds  # none is wanted in particular
        none = np.zeros(len(tiles), np.int64)
        if self.split in ("list", "folders"):
            images = [tile.source for tile in tiles]
            listed = self.split_list
            index = (
                split_by_list(listed, images, self.parts, progress)
                if listed
                else split_by_folders(images, self.parts, progress)
            )
            index = with_validation(index, holds, self.fractions[1], self.seed, progress)
            return index, none, list_name(listed.path) if listed else "folders"
        if self.split == "random":
            drawn = split_at_random(holds, self.fractions, self.seed)
            if len({tile.header.crs for tile in tiles}) == 1 and tiles[0].header.crs is not None:
                outlines = np.array([_outline(tile.header) for tile in tiles])
                warn_of_shared_ground(outlines, drawn, "images", progress)
            return drawn, none, BY_IMAGE
        if len({tile.header.crs for tile in tiles}) > 1 or tiles[0].header.crs is None:
            raise InputError(
                "The images can't be split by blocks, as they have no georeference or not all "
                "the same CRS: choose the random split."
            )
        outlines = np.array([_outline(tile.header) for tile in tiles])
        pixel = abs(tiles[0].header.transform.a)
        landslide = [tile.landslide for tile in tiles]
        measures = np.stack([np.ones(len(tiles)), holds, landslide], axis=1)
        split, block, count = split_images(
            outlines, measures, size * pixel, pixel, self.fractions, self.seed, progress
        )
        return split, block, f"{BLOCKS} of {count * size} x {count * size} pixels"

    def _entries(self, tiles: Sequence[Tile]) -> Sequence[Entry | None]:
        """Return what the list says of each tile."""
        if not self.split_list:
            return [None] * len(tiles)
        return self.split_list.of([tile.source for tile in tiles])

    def _gains(self, entries: Sequence[Entry | None]) -> list[float | None]:
        """Return what the values of each tile are multiplied by; None where all of them stay."""
        gains = [entry.gain if entry else 1.0 for entry in entries]
        stay = not self.gains or set(gains) == {1.0}
        return [None if stay else gain for gain in gains]

    def _around(
        self,
        tiles: Sequence[Tile],
        split: NDArray[np.int64],
        entries: Sequence[Entry | None],
        gains: Sequence[float | None],
    ) -> Around | None:
        """Return what is around the train tiles, each other alone; None where it is not wanted."""
        if not self.margin:
            return None
        cells = [
            entry.cell if entry and index == TRAIN else None
            for entry, index in zip(entries, split, strict=True)
        ]
        return Around(cells, lambda number: self._read(tiles[number], gains[number]), self.margin)

    def _read(self, tile: Tile, gain: float | None) -> Pixels:
        values, valid = read_tile(tile.image, "image", tile.header.bands)
        if gain is not None:
            values = (values * gain).astype(np.float32)
        return Pixels(values, valid, self._ids(tile))

    def _write(
        self,
        tile: Tile,
        pixels: Pixels,
        split: str,
        block: int,
        writer: SampleWriter,
    ) -> None:
        height, width = pixels.ids.shape
        margin = (width - tile.header.shape[1]) // 2
        transform, crs = tile.header.transform, tile.header.crs
        if crs is None:
            # a transform that is not the identity, or readers would call the file not georeferenced
            pixel = self.resolution or 1.0
            transform = Affine(pixel, 0, 0, 0, -pixel, tile.header.shape[0] * pixel)
        writer.add(
            pixels.values,
            pixels.valid,
            numbered(pixels.ids),
            split=split,
            source=tile.source,
            window=(-margin, -margin, width, height),
            block=block,
            kind=(LANDSLIDE if tile.holds else BACKGROUND) if tile.mask is None else "",
            labels_from=tile.mask.relative_to(self.folders[1]).as_posix() if tile.mask else "",
            crs=crs,
            transform=transform * Affine.translation(-margin, -margin),
        )

    def _ids(self, tile: Tile) -> NDArray[np.int32]:
        """Return the landslides of a tile by number, `UNLABELLED` where the mask has no data."""
        if tile.mask is None:
            return np.full(tile.header.shape, UNLABELLED if tile.holds else 0, np.int32)
        pixels = read_mask(tile.mask)
        landslide, valid = tile.rule.apply(pixels)
        if self.instances:
            ids = np.zeros(landslide.shape, np.int32)
            ids[landslide] = np.unique(pixels.number[landslide], return_inverse=True)[1] + 1
        else:
            ids = label(landslide, EIGHT_NEIGHBOURS)[0]
        ids[~valid] = UNLABELLED
        return ids.astype(np.int32)


def _outline(header: TileHeader) -> shapely.Polygon:
    height, width = header.shape
    corners = ((0, 0), (width, 0), (width, height), (0, height))
    return shapely.Polygon([header.transform * corner for corner in corners])


def _resolution(tiles: Sequence[Tile], asked: float, progress: Progress) -> float | None:
    """Return how wide the pixels are: as asked for, else as the files say, None where none does.

    Raises:
        InputError: nothing is asked for, and files say different things.
    """
    said = sorted(tile.header.resolution for tile in tiles if tile.header.resolution)
    if not said:
        return asked or None
    low, high = said[0], said[-1]
    told = f"pixels of {low:.3g}{f' to {high:.3g}' if high > ALIKE * low else ''} m"
    if asked:
        if high > ALIKE * asked or ALIKE * low < asked:
            progress.warning(
                f"The images have {told}, as their files say, and RESOLUTION says {asked:g} m: "
                "that counts."
            )
        return asked
    if high > ALIKE * low:
        raise InputError(
            f"The images have {told}: import those of each size by themselves, or say by "
            "RESOLUTION which counts."
        )
    return tiles[0].header.resolution or low
