"""What a few labelled patches of another region are worth to a model that maps it.

`python -m experiments.shipped.few FOLDER [--seeds 0 1 2] [--patches 4 16]`: of area C of
Landslide4Sense, which `rgb-10m` has not seen, some patches of the upper rows are labelled; the
lower rows, a row of patches further, judge. The scene is mapped by `predict`, as C's patches put
together in one light: with the model and its own threshold, with the threshold that is best on the
labelled patches, by the model trained on with these (START_FROM), and by a network that begins with
ImageNet's weights and learns from these alone. Samples, models and figures are kept in FOLDER.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.samples.importsamples_command import importsamples
from landslide_mapper.landslide_plugin.training.train_command import train
from landslide_mapper.models.model_file import load_card
from numpy.typing import NDArray

from .data import RGB
from .figures import Image
from .lists import RECIPES, read_pieces, write
from .regions import LIST, MARGIN, PATCHES, patches, put_together, worth

MODEL = RECIPES.parent / "weights" / "rgb-10m.safetensors"
AREA = "C"
LAST_LABELLED, FIRST_JUDGING = 4, 6
"""Rows of patches; the one between keeps ground that both would see out of both."""
VALIDATION = 4
"""One of so many labelled patches chooses epoch and threshold."""
STEPS, EPOCHS, BATCH = 100, 20, 8
BEGUN_WITH: Mapping[str, dict[str, Any]] = {
    "rgb-10m": {
        "start_from": str(MODEL), "architecture": "", "backbone": "", "pretrained": "auto",
        "decoder": (),
    },
    "imagenet": {},
}  # fmt: skip

Maps = Mapping[str, NDArray[np.float32]]


def drawn(number: int, seed: int) -> list[str]:
    """Return the files that are labelled, smaller draws of a seed a part of larger ones.

    Args:
        number: how many.
        seed: of the draw.
    """
    rows = {file: piece[1] for file, piece in read_pieces(LIST).items() if piece[0] == AREA}
    pool = sorted(file for file, row in rows.items() if row <= LAST_LABELLED)
    order = np.random.default_rng(seed).permutation(len(pool))
    return [pool[index] for index in order[:number]]


def judging() -> list[str]:
    """Return the files that judge."""
    pieces = read_pieces(LIST).items()
    return sorted(file for file, (area, row, *_) in pieces if area == AREA and row >= FIRST_JUDGING)


def learning(files: Sequence[str]) -> int:
    """Return how many of the labelled patches, the first ones, are trained on."""
    return len(files) - len(files) // VALIDATION


def trained_on(folder: Path, start: str, files: Sequence[str], seed: int) -> Path:
    """Return a model that has learnt from some patches; one that is there already is taken."""
    name = f"{len(files)}-{seed}"
    model = folder / f"{start}-{name}.safetensors"
    if model.exists():
        return model
    steps = json.loads((RECIPES / "rgb-10m.json").read_text(encoding="utf-8"))["steps"]
    train(
        **{
            **steps[-1]["parameters"], "samples": str(_samples(folder / name, files)), "html": "",
            "model": str(model), "seed": seed, "epochs": EPOCHS, "batch_size": BATCH,
            "passes": round(STEPS / EPOCHS * BATCH / learning(files)), "averaging": 0.95,
            "scene_light": False,  # the patches are of the scene that is mapped
            **BEGUN_WITH[start],
        },
        progress=Progress(),
    )  # fmt: skip
    return model


def _samples(folder: Path, files: Sequence[str]) -> Path:
    """Return some patches as samples, the last ones for validation; made if need be."""
    if folder.exists():
        return folder
    first = learning(files)
    parts = {file: "train" if at < first else "validation" for at, file in enumerate(files)}
    its = folder.with_suffix(".csv")
    rows = [
        (file, parts.get(file, "unlabelled"), *piece) for file, piece in read_pieces(LIST).items()
    ]
    write(its, ("file", "split", "scene", "row", "column", "gain"), rows)
    importsamples(
        images=str(PATCHES), masks=str(PATCHES), bands=RGB, resolution=10, split="list",
        split_list=str(its), margin=MARGIN, output=str(folder), progress=Progress(),
    )  # fmt: skip
    return folder


def mapped(model: Path, images: Sequence[Image], folder: Path) -> Maps:
    """Return the map of the whole area, by the patch."""
    maps = put_together(model, images, folder)
    return {image.name: each for image, each in zip(images, maps, strict=True)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--patches", nargs="+", type=int, default=[4, 16])
    parser.add_argument("--begun-with", nargs="+", choices=list(BEGUN_WITH), default=["rgb-10m"])
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    images = list(patches(AREA))
    judges = {Path(file).stem for file in judging()}

    def tell(way: str, maps: Maps, threshold: float, **facts: Any) -> None:
        test = [image for image in images if image.name in judges]
        figures = worth([maps[image.name] for image in test], test, threshold)
        text = json.dumps({"way": way, **facts, "threshold": round(threshold, 3), **figures})
        with (given.folder / "figures.jsonl").open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")
        print(text, flush=True)

    as_it_ships = mapped(MODEL, images, given.folder)
    tell("as it ships", as_it_ships, load_card(MODEL).threshold)
    for seed in given.seeds:
        for number in given.patches:
            files = drawn(number, seed)
            names = {Path(file).stem for file in files}
            labelled = [image for image in images if image.name in names]
            best = worth([as_it_ships[image.name] for image in labelled], labelled, 0.5)["at"]
            tell("its threshold by them", as_it_ships, best, patches=number, seed=seed)
            for start in given.begun_with:
                model = trained_on(given.folder, start, files, seed)
                maps = mapped(model, images, given.folder)
                way = f"trained on them, begun with {start}"
                tell(way, maps, load_card(model).threshold, patches=number, seed=seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
