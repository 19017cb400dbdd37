"""Draws what a model of image labels sees: `python -m experiments.weak_pictures PICTURE.jpg`.

Of Landslide4Sense (MIT), whose pixels may be shown: quarters of its train patches with much
landslide and with none, random weights at the start, `trainweak` as it comes but for its size.
With the engine's Python; an interrupted training goes on.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from landslide_mapper.landslide_plugin.core.progress import Progress, print_texts
from landslide_mapper.landslide_plugin.samples.sample_set import SampleSet
from landslide_mapper.landslide_plugin.samples.sample_writer import SampleWriter
from landslide_mapper.landslide_plugin.training.weak.images import Images
from landslide_mapper.landslide_plugin.training.weak.report import SHOWN, draw_views
from landslide_mapper.landslide_plugin.training.weak.trainweak_command import trainweak
from landslide_mapper.models.model_file import load_model
from landslide_mapper.models.weak import WeakNetwork

from .shipped.data import DATA, RGB, add_patch, read_patch

PIECE = 64
"""Side of a quarter in pixels."""
MANY = 80
"""Landslide pixels from which a quarter counts as landslide; those with fewer are left out."""
EACH = 600
"""Quarters of either kind that are trained on; a tenth as many validate."""


def quarters(folder: Path, seed: int) -> None:
    """Write quarters with landslide and without as samples, drawn by the seed."""
    folder.mkdir(parents=True)
    writer = SampleWriter(folder, RGB)
    source = DATA / "landslide4sense_rgb" / "train"
    names = sorted(path.stem for path in (source / "images").iterdir())
    wanted = {True: round(1.1 * EACH), False: round(1.1 * EACH)}
    landslide = pixels = 0
    for name in np.random.default_rng(seed).permutation(names):
        image, labels = read_patch(source, str(name))
        # Patches, not quarters, are parted, so that neighbours stay together.
        split = "validation" if min(wanted.values()) > EACH else "train"
        for row, col in np.ndindex(2, 2):
            part = slice(row * PIECE, (row + 1) * PIECE), slice(col * PIECE, (col + 1) * PIECE)
            count = int((labels[part] > 0).sum())
            if 0 < count < MANY or not wanted[count > 0]:
                continue
            wanted[count > 0] -= 1
            landslide, pixels = landslide + count, pixels + PIECE**2
            place = (col * PIECE, row * PIECE)
            add_patch(writer, image[:, *part], labels[part], split, str(name), place)
    writer.finish(
        resolution=10.0,
        crs=None,
        tile_size=PIECE,
        split="random by patch",
        seed=seed,
        sources=[str(source)],
        before=(landslide, pixels - landslide),
        progress=Progress(),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--work", type=Path, default=Path("build/weak_pictures"))
    parser.add_argument("--gan-epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    samples, model = given.work / "samples", given.work / "weak.safetensors"
    if not (samples / "manifest.json").exists():
        quarters(samples, given.seed)
    if not model.exists():
        trainweak(
            samples=str(samples), model=str(model), html=str(model.with_suffix(".html")),
            encoder="resnet18", epochs=10, gan_epochs=given.gan_epochs, tile_size=PIECE, width=16,
            blocks=3, seed=given.seed, progress=Progress(print_texts),
        )  # fmt: skip
    loaded = load_model(str(model))
    network, card = loaded.network, loaded.card
    if not isinstance(network, WeakNetwork):
        raise TypeError(f"{model} is no model of image labels")
    images = Images(SampleSet.read(samples), card.bands, card.tile_size, given.seed)
    drawing = draw_views(network, images, images.validation[True][:SHOWN])
    drawing.savefig(given.picture, dpi=90)
    return 0


if __name__ == "__main__":
    sys.exit(main())
