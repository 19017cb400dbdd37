"""Landslide maps from image labels alone, on Bijie, like Table 1 of Zhou et al. 2022.

`python -m experiments.weak STAGE ...`, with the engine's Python; no stage named, all of them. Each
leaves its model and a JSON file in the work folder; what stands there is not made again, and an
interrupted training goes on. The masks of the train and validation images are used by the
supervised network and the constant mask alone. `--quick` trains an epoch, to see that all runs.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from landslide_mapper.landslide_plugin.core.progress import Progress, print_texts
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN, SampleSet
from landslide_mapper.landslide_plugin.training.train_command import train
from landslide_mapper.landslide_plugin.training.weak.trainweak_command import trainweak
from landslide_mapper.models.calibration import calibration_of
from landslide_mapper.models.model_file import load_card, load_model
from landslide_mapper.models.weak import WeakNetwork
from numpy.typing import NDArray
from torch.nn import functional

from .shipped.data import RGB, bijie
from .shipped.figures import Mask, Predict, compare, constant_way
from .weak_reduced import as_given, reduce_image, reduce_samples

UNSURE = 0.2
"""Distance from a probability of 0.5 within which a pseudo-label is not known."""
GENERATOR = ("width", "blocks", "residual", "grey", "threshold", "difference")
"""Arguments of the network that are CycleGAN's."""
LITE0, LITE0_DEPTH = "tu-tf_efficientnet_lite0", 3
"""Encoder whose weights come with the engine, and its stages: a place then sees 67 pixels."""
Scaled = tuple[torch.nn.Module, list[float], list[float]]
Views = tuple[WeakNetwork, list[float], list[float]]


@dataclass(frozen=True)
class Plan:
    """How large and long.

    Attributes:
        reduction: pixels along a side that become one.
        tile_size: after it.
        depth: stages of the classifier's encoder; with 2 a place of its map sees less than a tile.
        cam_epochs: of the classifier.
        gan_epochs: of CycleGAN.
        peak: share of the activation map by which the second classifier judges.
        threshold: grey levels from which CycleGAN's difference is landslide; 0 has them chosen by
            the labels of the validation images.
        epochs: of the networks trained on masks or pseudo-labels.
    """

    reduction: int = 4
    tile_size: int = 64
    encoder: str = "resnet18"
    depth: int = 2
    peak: float = 0.15
    width: int = 16
    blocks: int = 3
    residual: int = 1
    threshold: float = 0.0
    cam_epochs: int = 20
    gan_epochs: int = 40
    epochs: int = 20
    seed: int = 0


class Work:
    """The folder that the stages share.

    Args:
        folder: for models and figures.
        samples: Bijie as samples, made where it is missing.
        plan: sizes and epochs.
    """

    def __init__(self, folder: Path, samples: Path, plan: Plan) -> None:
        self.folder, self.plan = folder, plan
        folder.mkdir(parents=True, exist_ok=True)
        if not (samples / "manifest.json").exists():
            bijie(samples)
        self.samples = SampleSet.read(samples)

    def run(self, stage: str) -> None:
        """Make a stage unless its figures stand already."""
        file = self.folder / f"{stage}.json"
        if file.exists():
            print(f"{stage}: {file} stands", flush=True)
            return
        print(f"{stage}:", flush=True)
        began = time.monotonic()
        figures = STAGES[stage](self)
        figures |= {"plan": asdict(self.plan), "seconds": round(time.monotonic() - began)}
        file.write_text(json.dumps(figures, indent=1))
        print(json.dumps(figures, indent=1), flush=True)

    def model(self, name: str) -> Path:
        """Return where a model is kept."""
        return self.folder / f"{name}.safetensors"

    def reduced(self) -> Path:
        """Return the folder of the reduced images with their masks."""
        return reduce_samples(self.samples, self.folder / "reduced", self.plan.reduction, as_given)


def train_classifier(work: Work, name: str) -> dict[str, Any]:
    """Train one of `CLASSIFIERS`; lite0 stands in for the source's pretrained ResNet-50."""
    plan = work.plan
    own: dict[str, Any] = {"encoder": plan.encoder, "depth": plan.depth}
    if name.startswith("lite0"):
        learnt = "auto" if name == "lite0" else "none"
        own = {"encoder": LITE0, "depth": LITE0_DEPTH, "pretrained": learnt}
    peak = 1.0 if name == "cam" else plan.peak
    return _train_weak(work, "cam", name, epochs=plan.cam_epochs, peak=peak, **own)


def train_cyclegan(work: Work) -> dict[str, Any]:
    """Train CycleGAN."""
    plan = work.plan
    return _train_weak(
        work,
        "cyclegan",
        "cyclegan",
        gan_epochs=plan.gan_epochs,
        width=plan.width,
        blocks=plan.blocks,
        residual=bool(plan.residual),
        threshold=plan.threshold,
    )


def train_supervised(work: Work) -> dict[str, Any]:
    """Train on the masks."""
    return _train_masks(work, "supervised", work.reduced())


def train_pseudo(work: Work, name: str) -> dict[str, Any]:
    """Train on what both views, or CycleGAN alone, map in images with landslide."""
    both = _both(work, "peak")
    network = _view(both, "cyclegan") if name == "pseudo-cyclegan" else both
    probability = Coarse(network, work.plan).probability

    def labels(values: NDArray[np.float32], given: NDArray[np.uint16]) -> NDArray[np.uint16]:
        if not given.any():  # the image's label says that there is none
            return given
        sure = probability(values)
        mapped = (sure > 0.5).astype(np.uint16)
        return np.where(abs(sure - 0.5) < UNSURE, UNKNOWN, mapped).astype(np.uint16)

    folder = reduce_samples(work.samples, work.folder / name, work.plan.reduction, labels)
    return _train_masks(work, name, folder)


def measure(work: Work) -> dict[str, Any]:
    """Measure all that is trained on the test split at full resolution, masks included."""
    plan = work.plan
    ways: dict[str, Predict] = {"constant mask": constant_way(work.samples)}
    for part, name in CLASSIFIERS.items():
        if not work.model(part).exists():
            continue
        both = _both(work, part)
        ways[name] = Coarse(_view(both, "cam"), plan)
        ways["CycleGAN"] = Coarse(_view(both, "cyclegan"), plan)
        ways[f"{name}, CycleGAN"] = Coarse(both, plan)
    ways["all marked"] = lambda values: np.ones(values.shape[1:], bool)
    for name in ("supervised", "pseudo", "pseudo-cyclegan"):
        if work.model(name).exists():
            loaded = load_model(str(work.model(name)))
            card = loaded.card
            threshold = float(calibration_of([card]).inverse(card.threshold))
            ways[name] = Coarse((loaded.network, card.mean, card.std), plan, threshold)
    return compare(ways, work.samples)


CLASSIFIERS = {
    "cam": "CAM",
    "peak": "CAM by its peak",
    "lite0": "CAM by its peak, lite0 pretrained",
    "lite0-random": "CAM by its peak, lite0",
}
"""Stage to how its figures are called."""
STAGES: dict[str, Callable[[Work], dict[str, Any]]] = {
    **{name: partial(train_classifier, name=name) for name in CLASSIFIERS},
    "cyclegan": train_cyclegan,
    "supervised": train_supervised,
    **{name: partial(train_pseudo, name=name) for name in ("pseudo", "pseudo-cyclegan")},
    "figures": measure,
}


class Coarse:
    """Maps an image of full resolution by a network of reduced ones.

    Args:
        scaled: the network, and means and standard deviations of its bands.
        plan: reduction, and the tile size that smaller images are continued to by their mirror
            image, as in training.
        threshold: probability from which a pixel is landslide.
    """

    def __init__(self, scaled: Scaled, plan: Plan, threshold: float = 0.5) -> None:
        self._network, mean, std = scaled
        self._mean, self._std = (np.array(part, np.float32)[:, None, None] for part in (mean, std))
        self._plan, self._threshold = plan, threshold

    def __call__(self, values: NDArray[np.float32]) -> Mask:
        """Return where an unscaled image, (bands, rows, columns), shows landslide."""
        step = self._plan.reduction
        coarse = torch.from_numpy(self.probability(reduce_image(values, step)))[None, None]
        fine = functional.interpolate(coarse, values.shape[1:], mode="bilinear")[0, 0]
        return fine.numpy() > self._threshold

    def probability(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how sure each pixel of a reduced image is landslide."""
        height, width = values.shape[1:]
        gaps = [max(self._plan.tile_size - side, 0) for side in (height, width)]
        around = [(0, 0), *((gap // 2, gap - gap // 2) for gap in gaps)]
        scaled = np.pad((values - self._mean) / self._std, around, mode="symmetric")
        with torch.inference_mode():
            logits = self._network(torch.from_numpy(scaled)[None]).float()
        top, left = around[1][0], around[2][0]
        sure = logits.softmax(1)[0, 1, top : top + height, left : left + width]
        result: NDArray[np.float32] = sure.numpy()
        return result


def _train_weak(work: Work, method: str, name: str, **settings: Any) -> dict[str, Any]:
    """Run the command `trainweak`; return what it says and what the card says of the training."""
    model = work.model(name)
    result = trainweak(
        samples=str(work.reduced()),
        model=str(model),
        html=str(model.with_suffix(".html")),
        method=method,
        tile_size=work.plan.tile_size,
        seed=work.plan.seed,
        progress=Progress(print_texts),
        **settings,
    )
    return {**result, **load_card(str(model)).training}


def _train_masks(work: Work, name: str, samples: Path) -> dict[str, Any]:
    """Run the command `train`."""
    return train(
        samples=str(samples),
        model=str(work.model(name)),
        architecture="compact_unet",
        backbone="light",
        loss="focal_dice",
        epochs=work.plan.epochs,
        batch_size=16,
        tile_size=work.plan.tile_size,
        seed=work.plan.seed,
        progress=Progress(print_texts),
    )


def _both(work: Work, name: str) -> Views:
    """Return the network of both views, put together of a classifier and CycleGAN."""
    cam, gan = (load_model(str(work.model(n))) for n in (name, "cyclegan"))
    arguments = {**cam.card.arguments, "method": "both"}
    arguments |= {key: value for key, value in gan.card.arguments.items() if key in GENERATOR}
    network = WeakNetwork(len(RGB), 2, **arguments)
    network.load_state_dict({**cam.network.state_dict(), **gan.network.state_dict()})
    return network.eval(), cam.card.mean, cam.card.std


def _view(both: Views, method: str) -> Views:
    """Return the network with one of its views alone."""
    network, mean, std = both
    alone = copy(network)
    alone._modules = dict(network._modules)
    if method == "cam":
        alone.generator = None
    if method == "cyclegan":
        alone.classifier = None
    return alone, mean, std


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the stages that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stages", nargs="*", choices=[*STAGES, []])
    parser.add_argument("--quick", action="store_true", help="an epoch each")
    parser.add_argument("--work", type=Path, help="folder; build/weak by default")
    parser.add_argument("--samples", type=Path, help="Bijie as samples; made in the work folder")
    for name, value in asdict(Plan()).items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(value), default=value)
    given = parser.parse_args(arguments)
    plan = Plan(**{name: getattr(given, name) for name in asdict(Plan())})
    if given.quick:
        plan = replace(plan, cam_epochs=1, gan_epochs=1, epochs=1, width=8, blocks=1)
    folder = given.work or Path("build") / ("weak-quick" if given.quick else "weak")
    work = Work(folder, given.samples or folder / "samples", plan)
    for stage in given.stages or STAGES:
        work.run(stage)
    return 0


if __name__ == "__main__":
    sys.exit(main())
