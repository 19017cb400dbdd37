"""Trains `rgb-10m` in ways that differ in one thing, and says what each is worth elsewhere.

`python -m experiments.shipped.regions FOLDER WAY [WAY ...] [--epochs 12] [--seed 0] [--test]`; the
ways are those of `WAYS`. Trained on area A of Landslide4Sense as the recipe says, and judged by
`predict`: on A's validation patches, which chose epoch and threshold, and on those of C, another
region, one by one in the light that patches have; on the scenes that these are pieces of and on
Emilia-Romagna, whose light is fitted. With `--test` on A's test part too, which is noted.
Samples, models and figures are kept in FOLDER.
"""

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference.predict_command import predict
from landslide_mapper.landslide_plugin.samples.importsamples_command import importsamples
from landslide_mapper.landslide_plugin.samples.sample_set import SampleSet
from landslide_mapper.landslide_plugin.training.train_command import train
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import load_card, load_model, save_model
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve

from .data import DATA, RGB, coarsened, read_patch
from .figures import Image
from .levels import ROUNDED
from .lists import RECIPES, read_list, read_pieces
from .measure import look
from .pseudo import ground_alone, labelled_by
from .scenes import map_images, map_mosaic

PATCHES = DATA / "landslide4sense_rgb"
LIST = RECIPES / "landslide4sense.csv"
MARGIN = 64
"""As in the recipe."""
BIJIE_FACTOR = 4
"""Bijie's pixels of .8 m are averaged to so many times that, and shown as if of 10 m: its
landslides are then as large as those of Landslide4Sense, in pixels."""
VHR = RECIPES.parent / "weights" / "rgb-vhr.safetensors"
AS_IT_LIES: dict[str, Any] = {"scales": [], "turned": False}
"""All ways but the recipe's own, which reads an image enlarged and in quarter turns."""
COMPACT: dict[str, Any] = {
    "architecture": "compact_unet", "backbone": "light", "pretrained": "none", "decoder": (),
    "loss": "cross_entropy_dice", "tile_size": 96,
}  # fmt: skip
WAYS: dict[str, dict[str, Any]] = {
    "recipe": {},
    "as it lies": {},
    "enlarged": {"scales": [0.5]},
    "turned": {"turned": True},
    "learnt unturned": {"augmentation": ["scale", "light", "contrast", "colour"]},
    "random encoder": {"pretrained": "none"},
    "begun with rgb-vhr": {
        "start_from": str(VHR), "architecture": "", "backbone": "", "pretrained": "auto",
        "decoder": (),
    },
    "with Bijie": {"more": ["bijie"]},
    "with C": {"more": ["C"]},
    "with flat ground": {"more": ["ground"]},
    "scales 1, 2, 4": {"scales": [1, 2, 4]},
    "lite1": {"backbone": "tu-tf_efficientnet_lite1"},
    "lite2": {"backbone": "tu-tf_efficientnet_lite2"},
    "self-trained": {"taught by": "as it lies"},
    "taught by a compact U-Net": {"taught by": "compact U-Net"},
    "taught by a compact U-Net on Emilia": {"taught by": "compact U-Net", "without Iburi": True},
    "compact U-Net": COMPACT,
    "compact U-Net, enlarged": {**COMPACT, "scales": [0.5]},
    "compact U-Net, with C": {**COMPACT, "more": ["C"]},
    "compact U-Net, self-trained": {**COMPACT, "taught by": "compact U-Net"},
    "compact U-Net, self-trained on Emilia": {
        **COMPACT, "taught by": "compact U-Net", "without Iburi": True,
    },
}  # fmt: skip
"""What differs from `AS_IT_LIES`, and that from the recipe's parameters. `more` names further
samples, see `further`, "taught by" the way whose model labels unlabelled ground: `pseudo`; that is
Iburi and Emilia, or "without Iburi" the latter alone.
"""
EMILIA = DATA / "emilia_s2"
EMILIA_BANDS = ("B04", "B03", "B02")
EMILIA_SCENES = {"May": "s2_post_20230523_10bands.tif", "June": "s2_post_20230627_10bands.tif"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("ways", nargs="+", choices=list(WAYS))
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--test", action="store_true")
    given = parser.parse_args(arguments)
    for way in given.ways:
        model = trained(given.folder, way, given.epochs, given.seed)
        looks = look(model, given.folder / "samples") if given.test else None
        told = judged(model, given.test)
        told["looked at before"] = looks
        text = json.dumps({"way": way, "epochs": given.epochs, "seed": given.seed, **told})
        with (given.folder / "figures.jsonl").open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")
        print(text, flush=True)
    return 0


def trained(folder: Path, way: str, epochs: int, seed: int) -> Path:
    """Return a model trained in a way; one that is there already is taken."""
    name = re.sub(r"\W+", "_", way)
    model = folder / f"{name}-{epochs}-{seed}.safetensors"
    if model.exists():
        return model
    steps = json.loads((RECIPES / "rgb-10m.json").read_text(encoding="utf-8"))["steps"]
    changed = {**({} if way == "recipe" else AS_IT_LIES), **WAYS[way]}
    more = [further(folder, name) for name in changed.pop("more", [])]
    samples = samples_of(folder)
    if teacher := changed.pop("taught by", ""):
        taught = trained(folder, teacher, epochs, seed)
        iburi = not changed.pop("without Iburi", False)
        more.append(labelled_by(taught, folder / f"of_{taught.stem}_{iburi}", iburi))
    train(
        **{
            **steps[-1]["parameters"], "samples": str(samples), "epochs": epochs,
            "seed": seed, "model": str(model), "html": "", "more_samples": list(map(str, more)),
            **changed,
        },
        progress=Progress(),
    )  # fmt: skip
    return model


def samples_of(folder: Path) -> Path:
    """Return the samples of the recipe, made if need be."""
    samples = folder / "samples"
    if not samples.exists():
        importsamples(
            images=str(PATCHES), masks=str(PATCHES), bands=RGB, resolution=10, split="list",
            split_list=str(LIST), margin=MARGIN, output=str(samples), progress=Progress(),
        )  # fmt: skip
    return samples


def further(folder: Path, name: str) -> Path:
    """Return C's patches, flat ground or Bijie's images made coarse as samples; made if need be."""
    samples, fine = folder / name, folder / f"{name}_fine"
    if name == "ground":
        return ground_alone(SampleSet.read(samples_of(folder)), samples)
    if name == "C" and not samples.exists():
        importsamples(
            images=str(PATCHES), masks=str(PATCHES), bands=RGB, resolution=10, split="list",
            split_list=str(LIST), train_parts=["C"], margin=MARGIN, output=str(samples),
            progress=Progress(),
        )  # fmt: skip
    elif not samples.exists():
        images = DATA / "bijie" / "images"
        importsamples(
            images=str(images), masks=str(DATA / "bijie" / "masks"), bands=RGB,
            resolution=10 / BIJIE_FACTOR, validation=0.05, test=0, output=str(fine),
            progress=Progress(),
        )  # fmt: skip
        coarsened(SampleSet.read(fine), samples, BIJIE_FACTOR)
    return samples


def judged(model: Path, test: bool) -> dict[str, Any]:
    """Return the figures of a model on each part."""
    card = load_card(model)
    told: dict[str, Any] = {"threshold": card.threshold}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        plain = work / "plain.safetensors"
        loaded = load_model(model)
        save_model(plain, loaded.network, _without_light(card), half=True)
        parts = {"A, validation": "validation", "C": "C", **({"A, test": "test"} if test else {})}
        for label, part in parts.items():
            images = list(patches(part))
            told[label] = worth(_mapped(plain, images, None, work), images, card.threshold)
            name = f"{label}, put together"
            told[name] = worth(put_together(model, images, work), images, card.threshold)
        images = list(patches("C"))
        told["C, side by side"] = worth(_mapped(model, images, 0, work), images, card.threshold)
        for label, scene in EMILIA_SCENES.items():
            told[f"Emilia, {label}"] = _emilia(model, EMILIA / scene, work, card.threshold)
    return told


def patches(part: str) -> Iterator[Image]:
    """Yield the patches of a part of the list."""
    for file, its in read_list(LIST).items():
        if its == part:
            path = Path(file)
            values, labels = read_patch(PATCHES / path.parts[0], path.stem)
            yield Image(
                path.stem, values.astype(np.float32), labels > 0, np.ones(labels.shape, bool)
            )


def _without_light(card: ModelCard) -> ModelCard:
    return replace(card, scene={})


def put_together(model: Path, images: Sequence[Image], folder: Path) -> list[NDArray[np.float32]]:
    """Return the maps of patches that are put together to the scene that they were cut from."""
    pieces = {Path(file).stem: piece for file, piece in read_pieces(LIST).items()}
    levelled = [
        image._replace(values=(image.values + ROUNDED) * np.float32(pieces[image.name][3]))
        for image in images
    ]
    places = [pieces[image.name][1:3] for image in images]
    with tempfile.TemporaryDirectory(dir=folder) as work:
        return map_mosaic(model, levelled, places, 10.0, Path(work))


def _mapped(
    model: Path, images: Sequence[Image], gap: int | None, folder: Path
) -> list[NDArray[np.float32]]:
    with tempfile.TemporaryDirectory(dir=folder) as work:
        return [sure for sure, _ in map_images(model, images, gap, 10.0, Path(work))]


def worth(
    maps: Sequence[NDArray[np.float32]], images: Sequence[Image], threshold: float
) -> dict[str, float]:
    """Return average precision, F1 at a threshold, and the highest F1 with the level it is at.

    Args:
        maps: probabilities of each image.
        images: with their truth.
        threshold: the model's.
    """
    sure = np.concatenate([each.ravel() for each in maps])
    truth = np.concatenate([each.truth.ravel() for each in images])
    precision, recall, levels = precision_recall_curve(truth, sure)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    marked = sure >= threshold
    own = 2 * (marked & truth).sum() / max(marked.sum() + truth.sum(), 1)
    best = int(f1[:-1].argmax())
    return {
        "AP": round(float(average_precision_score(truth, sure)), 4),
        "F1": round(float(own), 4),
        "best F1": round(float(f1[best]), 4),
        "at": round(float(levels[best]), 3),
    }


def _emilia(model: Path, scene: Path, folder: Path, threshold: float) -> dict[str, float]:
    stack, out = folder / "stack.tif", folder / "emilia.tif"
    with rasterio.open(scene) as source:
        profile = source.profile | {"count": 3}
        numbers = [source.descriptions.index(band) + 1 for band in EMILIA_BANDS]
        with rasterio.open(stack, "w", **profile) as output:
            output.write(source.read(numbers))
            output.descriptions = RGB
    predict(stack=str(stack), model=str(model), probability=str(out), progress=Progress())
    with rasterio.open(out) as mapped, rasterio.open(EMILIA / "mask_4120.tif") as mask:
        sure, truth = mapped.read(1, masked=True).filled(0), mask.read(1) > 0
    image = Image("emilia", sure[None], truth, np.ones(truth.shape, bool))
    return worth([sure], [image], threshold)


if __name__ == "__main__":
    sys.exit(main())
