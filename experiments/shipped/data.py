"""The samples that the shipped models are trained on, made of the data at hand."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from affine import Affine
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.samples.importsamples_command import importsamples
from landslide_mapper.landslide_plugin.samples.sample_set import SampleSet
from landslide_mapper.landslide_plugin.samples.sample_writer import SampleWriter
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import label

RGB = ["red", "green", "blue"]
DATA = Path(os.environ.get("LANDSLIDE_DATA") or Path(__file__).parents[3] / "shared" / "data")
VALIDATION = 0.1
"""Share of Landslide4Sense's train patches that choose the epoch and the threshold."""
PIECE = 64
"""Side in pixels of the landslide-free pieces of Landslide4Sense's patches."""


def bijie(folder: Path) -> None:
    """Import the Bijie set: all images, a random split by image, 18.5 % kept for the test."""
    importsamples(
        images=str(DATA / "bijie" / "images"),
        masks=str(DATA / "bijie" / "masks"),
        output=str(folder),
        bands=RGB,
        resolution=0.8,
        validation=0.08,
        test=0.185,
        seed=0,
        progress=Progress(),
    )


def coarsened(samples: SampleSet, folder: Path, factor: float) -> None:
    """Write samples anew with pixels `factor` times as large, means of those they cover.

    Splits and sources stay; a pixel is landslide if half of it was.
    """
    _anew(samples, folder, factor, lambda length: round(length / factor), Image.Resampling.BOX)


def of_one_side(samples: SampleSet, folder: Path, side: int) -> None:
    """Write samples anew, each with as many rows and columns, whatever ground it shows.

    Splits and sources stay; the resolution is that of an image of the mean area.
    """
    areas = [sample.window[2] * sample.window[3] for sample in samples.samples]
    factor = float(np.sqrt(np.mean(areas))) / side
    _anew(samples, folder, factor, lambda _: side, Image.Resampling.BILINEAR)


def _anew(
    samples: SampleSet,
    folder: Path,
    factor: float,
    length: Callable[[int], int],
    resampling: Image.Resampling,
) -> None:
    """Write samples with sides of other lengths, and pixels `factor` times as large."""
    folder.mkdir(parents=True)
    writer = SampleWriter(folder, samples.bands)
    landslide = pixels = 0
    for sample in samples.samples:
        values, valid, labels = samples.load(sample)
        if not valid.all():
            raise ValueError(f"{sample.source} has pixels of no value")
        height, width = (max(1, length(side)) for side in valid.shape)
        size = width, height
        image = Image.fromarray(values.astype(np.uint8).transpose(1, 2, 0))
        mask = Image.fromarray((labels > 0).astype(np.float32))
        marked = np.asarray(mask.resize(size, resampling)) >= 0.5
        landslide, pixels = landslide + sample.landslide_pixels, pixels + labels.size
        add_patch(
            writer,
            np.asarray(image.resize(size, resampling)).transpose(2, 0, 1),
            label(marked, np.ones((3, 3)))[0].astype(np.uint16),
            sample.split,
            sample.source,
            (0, 0),
        )
    writer.finish(
        resolution=(samples.resolution or 1.0) * factor,
        crs=None,
        tile_size=max(1, round(samples.tile_size / factor)),
        split=samples.split,
        seed=samples.seed,
        sources=samples.sources,
        before=(landslide, pixels - landslide),
        progress=Progress(),
    )


def landslide4sense(folder: Path) -> None:
    """Import Landslide4Sense RGB; its validation patches become the test split.

    Nearly every patch holds landslides. So that there are samples without, the quarters of train
    and test patches that hold none are samples of their own.
    """
    source = DATA / "landslide4sense_rgb"
    folder.mkdir(parents=True)
    writer = SampleWriter(folder, RGB)
    names = sorted(path.stem for path in (source / "train" / "images").iterdir())
    drawn = np.random.default_rng(0).permutation(len(names))[: round(VALIDATION * len(names))]
    kept = {names[number] for number in drawn}
    landslide = pixels = 0
    for name in names:
        image, labels = read_patch(source / "train", name)
        landslide, pixels = landslide + int((labels > 0).sum()), pixels + labels.size
        add_patch(writer, image, labels, "validation" if name in kept else "train", name, (0, 0))
        if name not in kept:
            _add_pieces(writer, image, labels, name, "train")
    for path in sorted((source / "validation" / "images").iterdir()):
        image, labels = read_patch(source / "validation", path.stem)
        add_patch(writer, image, labels, "test", path.stem, (0, 0))
        _add_pieces(writer, image, labels, path.stem, "test")
    writer.finish(
        resolution=10.0,
        crs=None,
        tile_size=128,
        split="Landslide4Sense's own validation patches as test, the rest random by patch",
        seed=0,
        sources=[str(source)],
        before=(landslide, pixels - landslide),
        progress=Progress(),
    )


def read_patch(folder: Path, name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Return an image, (3, rows, columns), and its landslides, numbered."""
    with Image.open(folder / "images" / f"{name}.webp") as image:
        values = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    with Image.open(folder / "masks" / f"{name.replace('image', 'mask')}.png") as mask:
        landslide = np.asarray(mask.convert("L")) > 0
    return values, label(landslide, np.ones((3, 3)))[0].astype(np.uint16)


def add_patch(
    writer: SampleWriter,
    image: NDArray[np.uint8],
    labels: NDArray[np.uint16],
    split: str,
    name: str,
    corner: tuple[int, int],
) -> None:
    """Add a patch, (3, rows, columns), or a part of it, from a column and row on."""
    height, width = labels.shape
    writer.add(
        image,
        np.ones((height, width), bool),
        labels,
        split=split,
        source=name,
        window=(*corner, width, height),
        transform=Affine.scale(10.0, -10.0),
    )


def _add_pieces(
    writer: SampleWriter,
    image: NDArray[np.uint8],
    labels: NDArray[np.uint16],
    name: str,
    split: str,
) -> None:
    """Add the pieces that hold no landslide, as samples of their own."""
    for row in range(0, labels.shape[0] - PIECE + 1, PIECE):
        for col in range(0, labels.shape[1] - PIECE + 1, PIECE):
            place = slice(row, row + PIECE), slice(col, col + PIECE)
            if not labels[place].any():
                add_patch(writer, image[:, *place], labels[place], split, name, (col, row))
