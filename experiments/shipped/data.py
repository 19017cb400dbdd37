"""Samples for experiments, made of the data at hand."""

import os
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


def bijie(folder: Path) -> None:
    """Import the Bijie set: all images, split as for `vhr-rgb`, 18.5 % kept for the test."""
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
    folder.mkdir(parents=True)
    writer = SampleWriter(folder, samples.bands)
    landslide = pixels = 0
    for sample in samples.samples:
        values, valid, labels = samples.load(sample)
        if not valid.all():
            raise ValueError(f"{sample.source} has pixels of no value")
        height, width = (max(1, round(length / factor)) for length in valid.shape)
        size = width, height
        image = Image.fromarray(values.astype(np.uint8).transpose(1, 2, 0))
        mask = Image.fromarray((labels > 0).astype(np.float32))
        marked = np.asarray(mask.resize(size, Image.Resampling.BOX)) >= 0.5
        landslide, pixels = landslide + sample.landslide_pixels, pixels + labels.size
        add_patch(
            writer,
            np.asarray(image.resize(size, Image.Resampling.BOX)).transpose(2, 0, 1),
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
