"""Import of plain image tiles with masks, as public landslide data sets come."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from ..errors import InputError
from ..landslides import Mask
from ..progress import Progress
from ..raster.source import Source
from .patches import numbered
from .sample_set import SPLITS, SampleSet
from .sample_writer import SampleWriter
from .splits import BY_IMAGE, require_splits, split_at_random

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Tile:
    """An image with its mask.

    Attributes:
        image: path of the image.
        mask: path of its mask; None when it holds no landslide.
        shape: rows and columns.
        has_landslide: whether any pixel of the mask is set.
    """

    image: Path
    mask: Path | None
    shape: tuple[int, int]
    has_landslide: bool


def find_tiles(
    images: str | Path,
    masks: str | Path,
    bands: list[str],
    limit: int,
    seed: int,
    progress: Progress,
) -> list[Tile]:
    """List images with their masks, all checked, sorted by name.

    Args:
        images: folder of images.
        masks: folder of masks; it may be the same.
        bands: names of the images' bands.
        limit: at most so many, drawn by seed from those with landslides and, when these are too
            few, from the others; 0 for all.
        seed: of the draw.
        progress: told of images without a mask.

    Raises:
        InputError: a folder is missing, holds nothing fit, or an image and its mask differ.
    """
    pairs = _pairs(Path(images), Path(masks))
    matched = sum(mask is not None for mask in pairs.values())
    if not matched:
        raise InputError(
            f"No mask in {masks} has the name of an image in {images}: masks must have the same "
            "name, or mask_7 for image_7."
        )
    if matched < len(pairs):
        progress.message(
            f"{len(pairs) - matched} of {len(pairs)} images have no mask and are taken as without "
            "landslide."
        )
    looked = progress.part(0, 0.3).track(pairs.items(), len(pairs))
    tiles = [_tile(image, mask, bands) for image, mask in looked]
    if not any(tile.has_landslide for tile in tiles):
        raise InputError(f"No mask in {masks} has a landslide pixel (a value above 0).")
    return _draw(tiles, limit, seed)


def import_tiles(
    tiles: Sequence[Tile],
    writer: SampleWriter,
    source: str,
    resolution: float,
    shares: Sequence[float],
    seed: int,
    progress: Progress,
) -> SampleSet:
    """Write tiles as samples, split at random by image.

    Args:
        tiles: what to write.
        writer: where to.
        source: the folder they come from, for the manifest.
        resolution: pixel size in metres; 0 when unknown.
        shares: shares of train, validation and test.
        seed: of the split.
        progress: updated each tile.

    Raises:
        InputError: a split comes out empty, or a file is damaged.
    """
    strata = np.array([tile.has_landslide for tile in tiles], np.int64)
    split = split_at_random(strata, shares, seed)
    require_splits([int(strata[split == index].sum()) for index in range(len(shares))], shares)
    pairs = zip(tiles, split, strict=True)
    for tile, index in progress.part(0.3, 1).track(pairs, len(tiles)):
        _write(tile, int(index), writer, resolution)
    return writer.finish(
        split=BY_IMAGE,
        seed=seed,
        tile_size=round(median(max(tile.shape) for tile in tiles)),
        resolution=resolution or None,
        crs=None,
        sources=[source],
        progress=progress,
    )


def _write(tile: Tile, split: int, writer: SampleWriter, resolution: float) -> None:
    with _open(tile.image, "image") as image:
        values, valid = image.read()
        if image.dataset.dtypes[0] == "uint8":
            values = values.astype(np.uint8)
        transform, crs = image.dataset.transform, image.dataset.crs
    if crs is None:
        # a transform that is not the identity, or readers would call the file not georeferenced
        pixel = resolution or 1.0
        transform = Affine(pixel, 0, 0, 0, -pixel, tile.shape[0] * pixel)
    height, width = tile.shape
    writer.add(
        values,
        valid,
        numbered(_ids(tile)),
        split=SPLITS[split],
        source=tile.image.name,
        window=(0, 0, width, height),
        crs=crs,
        transform=transform,
    )


def _ids(tile: Tile) -> NDArray[np.int32]:
    """Return the landslides of a tile by 8-connected component; see `Mask`."""
    height, width = tile.shape
    if tile.mask is None:
        return np.zeros((height, width), np.int32)
    with _open(tile.mask, "mask") as source:
        return Mask(source).ids(Window(0, 0, width, height))


def _tile(image: Path, mask: Path | None, bands: list[str]) -> Tile:
    with _open(image, "image") as source:
        shape = source.grid.shape
        if len(source.bands) != len(bands):
            raise InputError(
                f"{image} has {len(source.bands)} bands, but {len(bands)} are named "
                f"({', '.join(bands)}): name each band of the images."
            )
    if mask is None:
        return Tile(image, None, shape, False)
    with _open(mask, "mask") as source:
        if source.grid.shape != shape:
            height, width = source.grid.shape
            raise InputError(
                f"{mask} is {width} x {height} pixels, but its image {image.name} is {shape[1]} x "
                f"{shape[0]}: masks must fit their images."
            )
        (values,), (valid,) = source.read(bands=source.bands[:1])
    return Tile(image, mask, shape, bool((values[valid] > 0).any()))


def _draw(tiles: list[Tile], limit: int, seed: int) -> list[Tile]:
    """Take `limit` tiles, those with landslides first."""
    if not limit or limit >= len(tiles):
        return tiles
    random = np.random.default_rng(seed)
    holds = np.array([tile.has_landslide for tile in tiles])
    order = [random.permutation(np.flatnonzero(flag)) for flag in (holds, ~holds)]
    chosen = sorted(np.concatenate(order)[:limit])
    return [tiles[index] for index in chosen]


def _pairs(images: Path, masks: Path) -> dict[Path, Path | None]:
    """Return each image's mask; None for an image that has none."""
    for folder, what in ((images, "images"), (masks, "masks")):
        if not folder.is_dir():
            raise InputError(f"The folder of {what} {folder} does not exist: check the path.")
    by_stem = {path.stem: path for path in _files(masks)}
    mixed = images.resolve() == masks.resolve()
    pairs = {
        image: _mask_of(image, by_stem)
        for image in _files(images)
        if not (mixed and "mask" in image.stem)
    }
    if not pairs:
        raise InputError(
            f"{images} holds no image ({', '.join(SUFFIXES)}): choose the folder that holds them."
        )
    return pairs


def _mask_of(image: Path, by_stem: dict[str, Path]) -> Path | None:
    names = (image.stem, image.stem.replace("image", "mask"), f"{image.stem}_mask")
    found = (by_stem[name] for name in names if name in by_stem)
    return next((mask for mask in found if mask != image), None)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def _open(path: Path, what: str) -> Source:
    """Open a tile, which may well have no georeference."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return Source.open(path, what=what, need_crs=False)
