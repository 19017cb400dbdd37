"""Images of fewer and larger pixels, as `weak` shows them to its networks."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from affine import Affine
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN, Sample, SampleSet
from landslide_mapper.landslide_plugin.samples.sample_writer import SampleWriter
from numpy.typing import NDArray

COVERED = 0.5
"""Share of a coarse pixel from which it counts as landslide."""
Labels = Callable[[NDArray[np.float32], NDArray[np.uint16]], NDArray[np.uint16]]


def reduce_image(values: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Return the means of (step, step) pixels; what remains at right and below is left out."""
    height, width = (max(side // step, 1) for side in values.shape[-2:])
    cut = values[..., : height * step, : width * step]
    blocks = cut.reshape(*values.shape[:-2], height, step, width, step)
    reduced: NDArray[np.float32] = blocks.mean((-3, -1), dtype=np.float32)
    return reduced


def reduce_samples(samples: SampleSet, folder: Path, step: int, labels: Labels) -> Path:
    """Write the train and validation images reduced, with labels made of image and mask."""
    if (folder / "manifest.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=False)
    writer = SampleWriter(folder, samples.bands)
    for sample in samples.samples:
        if sample.split != "test":
            _add_reduced(writer, samples, sample, step, labels)
    counts = [sum(s.landslide_pixels for s in samples.samples), 0]
    counts[1] = sum(s.window[2] * s.window[3] for s in samples.samples) - counts[0]
    writer.finish(
        resolution=samples.resolution and samples.resolution * step,
        crs=None,
        tile_size=64,
        split=samples.split,
        seed=samples.seed,
        sources=samples.sources,
        before=(counts[0], counts[1]),
        progress=Progress(),
    )
    return folder


def _add_reduced(
    writer: SampleWriter, samples: SampleSet, sample: Sample, step: int, labels: Labels
) -> None:
    values, _, mask = samples.load(sample)
    fraction = reduce_image(((mask > 0) & (mask != UNKNOWN)).astype(np.float32), step)
    landslide = fraction >= min(COVERED, fraction.max()) if fraction.any() else fraction > 0
    reduced = reduce_image(values, step)
    writer.add(
        reduced.round().astype(np.uint8),
        np.ones(fraction.shape, bool),
        labels(reduced, landslide.astype(np.uint16)),
        split=sample.split,
        source=sample.source,
        window=(0, 0, *fraction.shape[::-1]),
        transform=Affine.scale(step * (samples.resolution or 1.0)),
    )


def as_given(values: NDArray[np.float32], mask: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return the labels as the masks have them."""
    return mask
