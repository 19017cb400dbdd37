"""Import of plain image tiles, with masks or parted in two folders, as public data sets come."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from scipy.ndimage import label

from ..contract.errors import InputError
from ..core.progress import Progress
from ..raster.landslides import UNLABELLED
from .blocks import DROPPED, split_images
from .given_splits import Parts, list_name, split_by_folders, split_by_list, with_validation
from .masks import PLAIN, MaskPixels, MaskRule, MaskSurvey, read_mask
from .pairing import image_files, pair_files
from .patches import numbered
from .sample_set import BACKGROUND, IMAGE_LABELS, LANDSLIDE, SPLITS, SampleSet
from .sample_writer import SampleWriter
from .splits import BLOCKS, BY_IMAGE, require_splits, split_at_random, warn_of_shared_ground
from .tile_files import TileHeader, read_header, read_tile

ALIKE = 1.1
"""Factor between pixel sizes from which on they are others."""
_EIGHT_NEIGHBOURS = np.ones((3, 3), int)


@dataclass(frozen=True, kw_only=True)
class Tile:
    """An image with its mask, or with what is known of it as a whole.

    Attributes:
        image: path of the image.
        mask: path of its mask; None where there is none.
        rule: what its mask means.
        header: what the image's file says of itself.
        background: known pixels without landslide.
        landslide: pixels with.
        source: the image's name in the manifest.
        holds: whether it holds a landslide.
    """

    image: Path
    mask: Path | None
    rule: MaskRule
    header: TileHeader
    background: int
    landslide: int
    source: str
    holds: bool


def find_tiles(
    images: str,
    masks: str,
    without: str,
    bands: list[str],
    missing: str,
    limit: int,
    seed: int,
    instances: bool,
    progress: Progress,
) -> list[Tile]:
    """List images with their masks, all checked, sorted by name.

    Args:
        images: folder of images; see `pair_files`. "" for none but those without landslide.
        masks: folder of masks; it may be the same. Empty where all images hold a landslide of
            which it is not known where.
        without: folder of more images, none of which holds a landslide; "" for none.
        bands: names of the images' bands.
        missing: what an image without a mask is: "background", or "left_out".
        limit: at most so many, drawn by seed from those with landslides and, when these are too
            few, from the others; without masks half of them from each. 0 for all.
        seed: of the draw.
        instances: whether the masks' values number landslides.
        progress: told of images without a mask, and how masks are read.

    Raises:
        InputError: a folder is missing, holds nothing fit, or an image and its mask differ.
    """
    folder, clear = Path(images or without), Path(without or images)
    but = folder if images else None
    others = image_files(clear, "images without landslide", but=but) if without else []
    pairs: dict[Path, Path | None] = {}
    if masks:
        pairs = _masked(folder, Path(masks), missing, progress)
    elif images:
        pairs = dict.fromkeys(image_files(folder, "images", but=clear))
    inside = set(others)  # the one folder may lie in the other
    # of two folders each image's name says which
    root = folder if masks else folder.parent
    wanted = [(image, mask, root) for image, mask in pairs.items() if image not in inside]
    wanted += [(image, None, clear.parent if images else clear) for image in others]
    looked = progress.part(0, 0.3).track(wanted, len(wanted))
    survey = MaskSurvey()
    tiles = [
        _tile(image, mask, bands, root, survey, holds=not masks and image not in inside)
        for image, mask, root in looked
    ]
    _require_alike(tiles)
    if masks:
        rule = survey.rule(instances, progress)
        if rule != PLAIN:
            tiles = [
                _counted(replace(tile, rule=rule), read_mask(tile.mask)) if tile.mask else tile
                for tile in tiles
            ]
    if images and not any(tile.holds for tile in tiles):
        raise InputError(f"No mask in {masks} has a landslide pixel (a value above 0).")
    return _draw(tiles, limit, seed, half=not masks)


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
        split_list: the list.
        parts: which parts of the list, or folders, are for which split.
        fractions: shares of train, validation and test.
        seed: of the split.
    """

    folders: Sequence[str]
    resolution: float
    instances: bool
    split: str
    split_list: str
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
        assigned = zip(tiles, split, block, strict=True)
        for tile, index, number in progress.part(0.3, 1).track(assigned, len(tiles)):
            if index != DROPPED:
                self._write(tile, SPLITS[index], int(number), writer)
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
            if self.split == "list":
                index = split_by_list(self.split_list, images, self.parts, progress)
            else:
                index = split_by_folders(images, self.parts, progress)
            index = with_validation(index, holds, self.fractions[1], self.seed, progress)
            return index, none, list_name(self.split_list) if self.split_list else "folders"
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

    def _write(self, tile: Tile, split: str, block: int, writer: SampleWriter) -> None:
        values, valid = read_tile(tile.image, "image", tile.header.bands)
        height, width = tile.header.shape
        transform, crs = tile.header.transform, tile.header.crs
        if crs is None:
            # a transform that is not the identity, or readers would call the file not georeferenced
            pixel = self.resolution or 1.0
            transform = Affine(pixel, 0, 0, 0, -pixel, height * pixel)
        writer.add(
            values,
            valid,
            numbered(self._ids(tile)),
            split=split,
            source=tile.source,
            window=(0, 0, width, height),
            block=block,
            kind=(LANDSLIDE if tile.holds else BACKGROUND) if tile.mask is None else "",
            labels_from=tile.mask.relative_to(self.folders[1]).as_posix() if tile.mask else "",
            crs=crs,
            transform=transform,
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
            ids = label(landslide, _EIGHT_NEIGHBOURS)[0]
        ids[~valid] = UNLABELLED
        return ids.astype(np.int32)


def _outline(header: TileHeader) -> shapely.Polygon:
    height, width = header.shape
    corners = ((0, 0), (width, 0), (width, height), (0, height))
    return shapely.Polygon([header.transform * corner for corner in corners])


def _require_alike(tiles: Sequence[Tile]) -> None:
    """Refuse images that hold numbers of several kinds, which are in other units."""
    first = tiles[0]
    for tile in tiles:
        if tile.header.numbers != first.header.numbers:
            raise InputError(
                f"{tile.image} holds {tile.header.numbers}, and {first.image} "
                f"{first.header.numbers}, so that their units differ: bring all images to one type."
            )


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


def _masked(images: Path, masks: Path, missing: str, progress: Progress) -> dict[Path, Path | None]:
    """Return each image's mask; those without only where they are background."""
    pairs = pair_files(images, masks)
    bare = sum(mask is None for mask in pairs.values())
    if bare == len(pairs):
        raise InputError(
            f"No mask in {masks} has the name of an image in {images}: masks must have the same "
            "name, or mask_7 for image_7."
        )
    if bare:
        fate = "are taken as without landslide" if missing == "background" else "are left out"
        progress.message(f"{bare} of {len(pairs)} images have no mask and {fate}.")
    if missing == "background":
        return pairs
    return {image: mask for image, mask in pairs.items() if mask is not None}


def _tile(
    image: Path, mask: Path | None, bands: list[str], root: Path, survey: MaskSurvey, holds: bool
) -> Tile:
    """Return an image, named from `root` on; `holds` says of one without mask what it is.

    The survey sees its mask, whose landslides are counted as those of a plain one.
    """
    header = read_header(image, "image", len(bands))
    if header.bands != len(bands):
        raise InputError(
            f"{image} has {header.bands} bands, but {len(bands)} are named "
            f"({', '.join(bands)}): name each band of the images."
        )
    source = image.relative_to(root).as_posix()
    tile = Tile(
        image=image,
        mask=mask,
        rule=PLAIN,
        header=header,
        background=0,
        landslide=0,
        source=source,
        holds=holds,
    )
    if mask is None:
        return tile if holds else replace(tile, background=math.prod(header.shape))
    shape = read_header(mask, "mask", 1).shape
    if shape != header.shape:
        raise InputError(
            f"{mask} is {shape[1]} x {shape[0]} pixels, but its image {image.name} is "
            f"{header.shape[1]} x {header.shape[0]}: masks must fit their images."
        )
    marked = read_mask(mask)
    survey.add(marked)
    return _counted(tile, marked)


def _counted(tile: Tile, pixels: MaskPixels) -> Tile:
    landslide, valid = tile.rule.apply(pixels)
    count = int(landslide.sum())
    return replace(tile, landslide=count, background=int(valid.sum()) - count, holds=count > 0)


def _draw(tiles: list[Tile], limit: int, seed: int, half: bool) -> list[Tile]:
    """Take `limit` tiles, those with landslides first, or as many of either kind."""
    if not limit or limit >= len(tiles):
        return tiles
    random = np.random.default_rng(seed)
    holds = np.array([tile.holds for tile in tiles])
    order = [random.permutation(np.flatnonzero(flag)) for flag in (holds, ~holds)]
    if half:
        first = max(limit - limit // 2, limit - len(order[1]))
        order = [order[0][:first], *order[1:], order[0][first:]]
    chosen = sorted(np.concatenate(order)[:limit])
    return [tiles[index] for index in chosen]
