"""Finds plain image tiles with their masks, or parted in two folders, and checks them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..contract.errors import InputError
from ..core.progress import Progress
from .masks import PLAIN, MaskPixels, MaskRule, MaskSurvey, read_mask
from .pairing import image_files, pair_files
from .tile_files import TileHeader, read_header


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


def _require_alike(tiles: Sequence[Tile]) -> None:
    """Refuse images that hold numbers of several kinds, which are in other units."""
    first = tiles[0]
    for tile in tiles:
        if tile.header.numbers != first.header.numbers:
            raise InputError(
                f"{tile.image} holds {tile.header.numbers}, and {first.image} "
                f"{first.header.numbers}, so that their units differ: bring all images to one type."
            )


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
