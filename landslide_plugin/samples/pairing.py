"""Which mask belongs to which image, by the ways in which data sets name their files."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from ..contract.errors import InputError
from .tile_files import SUFFIXES

_MASK_WORDS = {"mask", "masks", "label", "labels", "gt", "groundtruth", "annotation", "annotations"}
_IMAGE_WORDS = {"image", "images", "img", "imgs"}
_PARTS = re.compile(r"[_\-. ]+|(?<=[a-z])(?=\d)", re.IGNORECASE)

Key = tuple[str, ...]


def pair_files(images: Path, masks: Path) -> dict[Path, Path | None]:
    """Return each image's mask, sorted by image; None for an image that has none.

    Both folders are searched with all folders in them. Names are compared without their endings
    and without words such as image and mask, in the names of folders too: `a/image_7.png` fits
    `a/mask_7.png`, `img/x.h5` fits `mask/x.h5`, `x.jpg` fits `x_mask.png`. Where one folder holds
    both, the masks are the files with such a word.

    Raises:
        InputError: a folder is missing, holds no image, or a mask could belong to two images.
    """
    for folder, what in ((images, "images"), (masks, "masks")):
        _require_folder(folder, what)
    pictures, mask_files = _told_apart(images, masks)
    _require_some(pictures, images)
    pairs = dict.fromkeys(pictures, None) | _pairs(pictures, images, mask_files, masks)
    taken: dict[Path, Path] = {}
    for image, mask in pairs.items():
        if mask is not None and mask in taken:
            raise InputError(
                f"The mask {mask} fits two images, {taken[mask]} and {image}: remove one or rename "
                "it."
            )
        if mask is not None:
            taken[mask] = image
    return pairs


def image_files(folder: Path, what: str, but: Path | None) -> list[Path]:
    """Return the images of a folder and all folders in it, sorted.

    Args:
        folder: the folder.
        what: "images" or the like.
        but: a folder whose images are left out where it lies in the other; None for none.

    Raises:
        InputError: the folder is missing, holds no image, or is that to be left out.
    """
    _require_folder(folder, what)
    apart = but and but.resolve()
    if folder.resolve() == apart:
        raise InputError(
            f"{folder} is given both for images with and for images without landslide: choose a "
            "folder for each."
        )
    within = apart is not None and folder.resolve() in apart.parents
    pictures = [
        path for path in _files(folder) if not within or apart not in path.resolve().parents
    ]
    _require_some(pictures, folder)
    return pictures


def _require_folder(folder: Path, what: str) -> None:
    if not folder.is_dir():
        raise InputError(f"The folder of {what} {folder} does not exist: check the path.")


def _require_some(files: list[Path], folder: Path) -> None:
    if not files:
        raise InputError(
            f"{folder} holds no image ({', '.join(SUFFIXES)}): choose the folder that holds them."
        )


def _pairs(
    pictures: list[Path], images: Path, mask_files: list[Path], masks: Path
) -> dict[Path, Path]:
    """Return the pairs, by the name in its folders or, where that finds none, the name alone."""
    result: dict[Path, Path] = {}
    for whole in (True, False):
        by_key = defaultdict(list)
        for mask in mask_files:
            by_key[_key(mask, masks, whole)].append(mask)
        for image in pictures:
            alike = by_key.get(_key(image, images, whole), [])
            exact = [mask for mask in alike if mask.stem == image.stem]
            if len(alike) > 1 and len(exact) != 1:
                raise InputError(
                    f"The image {image} could have the mask {alike[0]} or {alike[1]}: remove one "
                    "or rename it."
                )
            if alike and image not in result:
                result[image] = (exact or alike)[0]
        if result:
            break
    return result


def _told_apart(images: Path, masks: Path) -> tuple[list[Path], list[Path]]:
    """Return the image and the mask files."""
    root, mask_root = images.resolve(), masks.resolve()
    pictures, mask_files = _files(images), _files(masks)
    if root == mask_root or mask_root in root.parents:
        # one folder for both, or the masks lie about the folder of images
        mask_files = [path for path in mask_files if _is_mask(path, masks)]
    if root == mask_root:
        pictures = [path for path in pictures if not _is_mask(path, images)]
    elif root in mask_root.parents:
        pictures = [path for path in pictures if mask_root not in path.resolve().parents]
    return pictures, mask_files


def _is_mask(path: Path, root: Path) -> bool:
    parts = path.relative_to(root).with_suffix("").parts
    return any(word in _MASK_WORDS for part in parts for word in _words(part))


def _key(path: Path, root: Path, whole: bool) -> Key:
    """Return what an image's and its mask's names have in common."""
    parts = path.relative_to(root).with_suffix("").parts
    left_out = _MASK_WORDS | _IMAGE_WORDS
    kept = [
        tuple(word for word in _words(part) if word not in left_out)
        for part in (parts if whole else parts[-1:])
    ]
    return tuple("_".join(words) for words in kept if words)


def _words(name: str) -> Iterable[str]:
    return (word for word in _PARTS.split(name.lower()) if word)


def _files(folder: Path) -> list[Path]:
    """Return the files of images in a folder and all in it, links to folders among them, sorted.

    A folder that several links lead to counts once, so that no link can lead in a circle. What is
    hidden is none: a Mac puts a file ._x.png beside each x.png on other systems' disks.
    """
    files, seen = [], set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(parent)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        shown = (name for name in names if not name.startswith("."))
        files += [path for name in shown if (path := Path(parent) / name).is_file()]
    return sorted(path for path in files if path.suffix.lower() in SUFFIXES)
