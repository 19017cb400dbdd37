"""Trains the models that ship: `python -m experiments.shipped.train NAME`, by the engine's Python.

But for `stack-demo`, which the command `recipe` makes by `models/recipes/stack-demo.json`.

The work goes on where it was if it was interrupted. `--quick` trains about a minute, to see that
the recipe learns. The data are found by `LANDSLIDE_DATA`, or at `../shared/data`.
"""

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from landslide_mapper.landslide_plugin.core.progress import Progress, print_texts
from landslide_mapper.landslide_plugin.samples.sample_set import Sample, SampleSet
from landslide_mapper.landslide_plugin.training.card import light_of
from landslide_mapper.landslide_plugin.training.loop.contracts import Outcome, Settings
from landslide_mapper.landslide_plugin.training.loop.losses import cross_entropy, dice
from landslide_mapper.landslide_plugin.training.loop.scores import Scores
from landslide_mapper.landslide_plugin.training.loop.semantic import SemanticTask
from landslide_mapper.landslide_plugin.training.loop.trainer import fit
from landslide_mapper.landslide_plugin.training.tiles.augmentation import Augmentation
from landslide_mapper.landslide_plugin.training.tiles.batches import Tiles
from landslide_mapper.models.compact_unet import CompactUNet
from landslide_mapper.models.device import autocast, describe, pick_device
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import save_model
from landslide_mapper.models.registry import SEMANTIC_TASK, backbone_arguments
from numpy.typing import NDArray
from PIL import Image as Picture
from torch import Tensor, nn
from torch.nn.functional import interpolate

from .data import RGB, bijie, coarsened, landslide4sense, of_one_side
from .figures import Image, read_image
from .measure import measure

RESIZED = 256
"""Pixels of the side to which images are resized."""


@dataclass(frozen=True)
class Stage:
    """A part of a training.

    Attributes:
        resolution: metres a pixel of the images.
        tile_size: in pixels.
        epochs: their number.
        learning_rate: the highest.
        side: pixels of the side to which all images are brought, whatever ground they show, the
            resolution being that of their mean; 0 leaves their ground as large as it is.
    """

    resolution: float
    tile_size: int
    epochs: int
    learning_rate: float
    side: int = 0


@dataclass(frozen=True)
class Recipe:
    """How a model that ships is trained.

    Attributes:
        samples: makes the sample folder at a path.
        backbone: of the compact U-Net.
        stages: one after another, each beginning with the weights of the one before.
        augmentation: names; see `Augmentation`.
        enhancement: share of tiles spliced from several patches; no landslide is in the middle of
            these, and their backgrounds change as in a scene.
        largest_scale: a pixel may stand for so much more or less ground.
        repeat: how often a patch with landslide is seen in an epoch.
        resolution: metres a pixel of the samples.
        licence: terms of data and weights.
        every: of so many train samples one is used.
        scales: at which the trained network reads an image; see `CompactUNet`. It is trained at
            one: trained at all together it learnt the images by heart.
        scene: whether the images' level says nothing, so that a scene is to be brought to theirs.
        data: what the card says of the samples.
        limits: sentences on where the model does not work; `map` warns with them.
    """

    samples: Callable[[Path], None]
    backbone: str
    stages: tuple[Stage, ...]
    augmentation: tuple[str, ...]
    enhancement: float
    repeat: int
    resolution: float
    licence: str
    data: str
    limits: tuple[str, ...]
    scales: tuple[int, ...] = (1,)
    scene: bool = False
    every: int = 1
    batch_size: int = 16
    seed: int = 0
    averaging: float = 0.998
    largest_scale: float = Augmentation.largest_scale


RECIPES = {
    "vhr-rgb": Recipe(
        samples=bijie,
        backbone="standard",
        stages=(Stage(1.6, 128, 27, 2e-3, side=160),),
        augmentation=(
            *("flip", "quarter_turn", "rotate", "scale"),
            *("gain", "brightness", "contrast", "colour"),
        ),
        enhancement=0.2,
        largest_scale=1.7,
        repeat=3,
        scales=(1, 2, 4),
        resolution=0.8,
        licence="Trained on Bijie (Ji et al. 2020), free for research, licence not stated",
        data=(
            "Bijie landslide set (Ji et al. 2020, Landslides 17:1337): TripleSat images of 0.8 m "
            "of Bijie, Guizhou, China; all landslides lie in the middle of their images"
        ),
        limits=(
            "Trained in one region, on images of 0.8 m in red, green and blue, averaged to 1.6 m: "
            "elsewhere, and with pixels below 0.5 or above 2 m, expect it to be worse than its "
            "figures.",
            "Bare soil, quarries, building sites, roads and river banks look like landslides to "
            "it; clouds, snow and deep shadow it has never seen: look at each polygon.",
        ),
    ),
    "sentinel2-rgb": Recipe(
        samples=landslide4sense,
        backbone="light",
        stages=(Stage(10.0, 96, 30, 2e-3),),
        augmentation=("flip", "quarter_turn", "scale", "gain", "brightness", "contrast", "colour"),
        enhancement=0.3,
        repeat=1,
        resolution=10.0,
        licence="Trained on Landslide4Sense (Ghorbanzadeh et al. 2022), MIT",
        data=(
            "Landslide4Sense (Ghorbanzadeh et al. 2022, IEEE TGRS 60), red, green and blue of "
            "Sentinel-2 at about 10 m, stretched to 8 bits patch by patch; fresh landslides of "
            "earthquakes and rainstorms in Japan (Iburi), India, Nepal and Taiwan; neighbouring "
            "patches may lie in different parts, which flatters the figures"
        ),
        limits=(
            "It sees fresh scars without vegetation that are 30 m wide or more, in red, green and "
            "blue of Sentinel-2 alone: fields, river beds, roads, rock and snow look alike to it.",
            "The scene's light is fitted by its 2nd and 98th percentiles: clouds, snow or much "
            "water in the scene spoil that; mask them or cut the scene first.",
        ),
        scene=True,
    ),
}


def train(name: str, work: Path, quick: bool = False) -> Path:
    """Train one of `RECIPES`; return the model file, in `work`.

    Args:
        name: key of the recipe.
        work: folder of samples, checkpoints and result; what stands there already is used.
        quick: about a minute instead of the whole.
    """
    recipe = RECIPES[name]
    if quick:
        stage = replace(recipe.stages[-1], tile_size=96, epochs=2, learning_rate=2e-3)
        recipe = replace(recipe, stages=(stage,), every=4)
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "samples" / "manifest.json").exists():
        recipe.samples(work / "samples")
    samples = SampleSet.read(work / "samples")
    torch.manual_seed(recipe.seed)
    arguments = backbone_arguments("compact_unet", recipe.backbone)
    network = CompactUNet(len(RGB), 2, **arguments)
    for number, stage in enumerate(recipe.stages, start=1):
        print(f"stage {number}: {stage}", flush=True)
        at_stage = _at(stage, samples, work)
        outcome = _train_stage(network, recipe, stage, at_stage, work / f"stage{number}.checkpoint")
    if recipe.scales != (1,):
        network.scales, arguments["scales"] = recipe.scales, list(recipe.scales)
    path = work / f"{name}.safetensors"
    card = _card(name, recipe, at_stage, arguments, outcome.best.threshold, outcome.figures)
    if recipe.stages[-1].side or recipe.scales != (1,):
        scores = _validated(network, card, samples, recipe.every)
        card.threshold = scores.best_threshold()
        card.metrics |= scores.figures(card.threshold)
    save_model(path, network, card, half=True)
    if not quick:
        card.metrics["test"] = measure([(path, samples.folder)])
        save_model(path, network, card, half=True)
    return path


def _at(stage: Stage, samples: SampleSet, work: Path) -> SampleSet:
    """Return the samples as a stage wants them, which are made if they are not there."""
    factor = stage.resolution / (samples.resolution or stage.resolution)
    if factor == 1 and not stage.side:
        return samples
    folder = work / (f"samples-{stage.side}px" if stage.side else f"samples-{stage.resolution:g}m")
    if not (folder / "manifest.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        if stage.side:
            of_one_side(samples, folder, stage.side)
        else:
            coarsened(samples, folder, factor)
    return SampleSet.read(folder)


def _train_stage(
    network: torch.nn.Module, recipe: Recipe, stage: Stage, samples: SampleSet, checkpoint: Path
) -> Outcome:
    """Train one stage, or read its result from its checkpoint."""
    train = [
        sample
        for sample in samples.of_split("train")[:: recipe.every]
        for _ in range(recipe.repeat if sample.landslide_pixels else 1)
    ]
    tiles = Tiles(
        samples,
        RGB,
        stage.tile_size,
        recipe.seed,
        train=train,
        validation=_balanced(samples.of_split("validation")),
        augmentation=replace(
            Augmentation.parse(recipe.augmentation), largest_scale=recipe.largest_scale
        ),
        enhancement=recipe.enhancement,
        pasted=0.0,
    )
    settings = Settings(
        epochs=stage.epochs,
        batch_size=recipe.batch_size,
        learning_rate=stage.learning_rate,
        seed=recipe.seed,
        device=pick_device("auto"),
        averaging=recipe.averaging,
    )
    # Of what decides the result alone, so that later stages may change while the first one stands.
    shaping = (
        *(stage, recipe.augmentation, recipe.largest_scale),
        *(recipe.enhancement, recipe.repeat, recipe.every),
    )
    task = SemanticTask(_loss)
    return fit(network, task, tiles, settings, Progress(print_texts), checkpoint, repr(shaping))


def _balanced(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples with landslide and at most as many without, so that both count."""
    landslide = [sample for sample in samples if sample.landslide_pixels]
    others = [sample for sample in samples if not sample.landslide_pixels]
    return [*landslide, *others[: len(landslide)]]


def _loss(logits: Tensor, classes: Tensor) -> Tensor:
    return cross_entropy(logits, classes) + dice(logits, classes)


class Model:
    """A network on images of a resolution, which are brought to its own.

    Args:
        network: gives logits.
        card: its scaling, resolution and threshold.
        resolution: of the images; None where it is not known.
    """

    def __init__(self, network: nn.Module, card: ModelCard, resolution: float | None) -> None:
        self.network, self.card = network.cpu().eval(), card
        self._factor = resolution / card.resolution if resolution and card.resolution else 1.0

    def probability(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of landslide of an unscaled image, (bands, rows, columns)."""
        mean, std = (
            np.array(part, np.float32)[:, None, None] for part in (self.card.mean, self.card.std)
        )
        images = torch.from_numpy((values - mean) / std)[None]
        size = tuple(images.shape[-2:])
        own = tuple(max(1, round(length * self._factor)) for length in size)
        if own != size:
            images = interpolate(images, own, mode="bilinear", antialias=True)
        with torch.inference_mode(), autocast(torch.device("cpu")):
            logits = self.network(images)
        probability = logits.float().softmax(1)[:, 1:]
        if own != size:
            probability = interpolate(probability, size, mode="bilinear")
        result: NDArray[np.float32] = probability[0, 0].numpy()
        return result


def resized(image: Image, side: int) -> Image:
    """Return an image with as many rows and columns, means of what they cover; as it is with 0."""
    if not side:
        return image

    def at_side(band: NDArray[Any]) -> NDArray[np.float32]:
        picture = Picture.fromarray(band.astype(np.float32))
        return np.asarray(picture.resize((side, side), Picture.Resampling.BILINEAR))

    values = np.stack([at_side(band) for band in image.values])
    return Image(image.name, values, at_side(image.truth) >= 0.5, at_side(image.known) >= 0.5)


def _validated(network: CompactUNet, card: ModelCard, samples: SampleSet, every: int = 1) -> Scores:
    """Return the counts on validation images, or one of so many, at every threshold.

    Of each image as it is and resized to one side, so that few large ones don't decide alone.
    """
    model, scores = Model(network, card, samples.resolution), Scores()
    for sample in _balanced(samples.of_split("validation"))[::every]:
        for side in (0, RESIZED):
            image = resized(read_image(samples, sample), side)
            scores.add(model.probability(image.values), image.truth, image.known)
    return scores


def _card(
    name: str,
    recipe: Recipe,
    samples: SampleSet,
    arguments: dict[str, Any],
    threshold: float,
    figures: dict[str, float | None],
) -> ModelCard:
    return ModelCard(
        name=name,
        architecture="compact_unet",
        arguments=arguments,
        task=SEMANTIC_TASK,
        bands=RGB,
        mean=samples.mean,
        std=samples.std,
        scene=light_of(samples, RGB) if recipe.scene else {},
        resolution=recipe.stages[-1].resolution,
        tile_size=recipe.stages[-1].tile_size,
        classes=list(samples.classes),
        threshold=threshold,
        training={
            "data": recipe.data,
            "limits": list(recipe.limits),
            "stages": [vars(stage) for stage in recipe.stages],
            "augmentation": list(recipe.augmentation),
            "enhancement": recipe.enhancement,
            "loss": "cross entropy + dice",
            "split": samples.split,
            "split_seed": samples.seed,
            "seed": recipe.seed,
            "train_samples": len(samples.of_split("train")),
            "validation_samples": len(samples.of_split("validation")),
            "landslide_share": samples.imbalance,
            "device": describe(pick_device("auto")),
            "torch": torch.__version__,
        },
        metrics={"split": f"validation part, {samples.split}", **figures},
        licence=recipe.licence,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the model that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument(
        "--quick", action="store_true", help="about a minute, to see that it learns"
    )
    parser.add_argument("--work", type=Path, help="folder; build/weights/NAME by default")
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args(arguments)
    work = given.work or Path("build/weights") / (given.name + ("-quick" if given.quick else ""))
    if given.threads:
        torch.set_num_threads(given.threads)
    print(train(given.name, work, given.quick))
    return 0


if __name__ == "__main__":
    sys.exit(main())
