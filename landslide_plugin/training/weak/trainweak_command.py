"""The command `trainweak`."""

import hashlib
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import nn

from ....models.cyclegan import CycleGAN
from ....models.device import describe, pick_device
from ....models.model_card import ModelCard, plain_stem
from ....models.model_file import check_model_path, save_model
from ....models.pretrained import require_encoder
from ....models.registry import SEMANTIC_TASK
from ....models.weak import THRESHOLD, Classifier, WeakNetwork, fitting_difference, grey_levels
from ...contract.choices import TrainWeak
from ...contract.errors import DivergedError, InputError
from ...core.progress import Progress
from ...core.provenance import NO_ORIGIN, Provenance
from ...outputs.whole import require_folder, together
from ...samples.sample_set import SampleSet
from ..loop import checkpoint
from ..loop.contracts import CANCELED, Outcome, Settings
from ..loop.trainer import fit
from ..start import weights_source
from .images import TURN_DIRECTIONS, Images
from .report import write_weak_report
from .tasks import ClassifierTask, CycleGanTask
from .thresholds import activation_cut, assemble, chosen_threshold, is_eight_bit

GAN_RATE, GAN_MOMENTUM = 2e-4, 0.5
"""Learning rate and beta 1 of CycleGAN's Adam (Zhu et al. 2017, section 7.1 and its code)."""
AVERAGING = 0.99
SPANS = {
    "cam": {"cam": (0.0, 1.0)},
    "cyclegan": {"cyclegan": (0.0, 0.95)},
    "both": {"cam": (0.0, 0.3), "cyclegan": (0.3, 0.95)},
}
"""Each training's part of the progress, by method."""


def trainweak(
    *,
    samples: str,
    model: str,
    html: str = "",
    method: Annotated[str, TrainWeak.METHOD] = TrainWeak.METHOD.default,
    encoder: Annotated[str, TrainWeak.ENCODER] = TrainWeak.ENCODER.default,
    pretrained: Annotated[str, TrainWeak.PRETRAINED] = TrainWeak.PRETRAINED.default,
    epochs: Annotated[int, TrainWeak.EPOCHS] = TrainWeak.EPOCHS.default,
    gan_epochs: Annotated[int, TrainWeak.GAN_EPOCHS] = TrainWeak.GAN_EPOCHS.default,
    batch_size: Annotated[int, TrainWeak.BATCH_SIZE] = TrainWeak.BATCH_SIZE.default,
    gan_batch_size: Annotated[int, TrainWeak.GAN_BATCH_SIZE] = TrainWeak.GAN_BATCH_SIZE.default,
    learning_rate: Annotated[float, TrainWeak.LEARNING_RATE] = TrainWeak.LEARNING_RATE.default,
    tile_size: Annotated[int, TrainWeak.TILE_SIZE] = TrainWeak.TILE_SIZE.default,
    reduction: Annotated[int, TrainWeak.REDUCTION] = TrainWeak.REDUCTION.default,
    fit: Annotated[str, TrainWeak.FIT] = TrainWeak.FIT.default,
    width: Annotated[int, TrainWeak.WIDTH] = TrainWeak.WIDTH.default,
    blocks: Annotated[int, TrainWeak.BLOCKS] = TrainWeak.BLOCKS.default,
    residual: Annotated[bool, TrainWeak.RESIDUAL] = TrainWeak.RESIDUAL.default,
    threshold: Annotated[float, TrainWeak.THRESHOLD] = TrainWeak.THRESHOLD.default,
    difference: Annotated[str, TrainWeak.DIFFERENCE] = TrainWeak.DIFFERENCE.default,
    depth: Annotated[int, TrainWeak.DEPTH] = TrainWeak.DEPTH.default,
    peak: Annotated[float, TrainWeak.PEAK] = TrainWeak.PEAK.default,
    bands: Annotated[Sequence[str], TrainWeak.BANDS] = TrainWeak.BANDS.default,
    device: Annotated[str, TrainWeak.DEVICE] = TrainWeak.DEVICE.default,
    seed: Annotated[int, TrainWeak.SEED] = TrainWeak.SEED.default,
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Train a landslide mapper from image labels: which samples hold a landslide, not where.

    Args:
        samples: folder of samples, with landslide and without; masks in them are not used.
        model: output `.safetensors` file, which `predict` runs like any other.
        html: output report; none when empty.
        method: "cam", "cyclegan" or "both", their intersection.
        encoder: of the classifier, any of segmentation-models-pytorch.
        pretrained: whether it begins with weights learnt on photographs, as of `train`.
        epochs: of the classifier.
        gan_epochs: of CycleGAN.
        batch_size: images in a step of the classifier, half of them with landslide.
        gan_batch_size: images in a step of CycleGAN.
        learning_rate: of the classifier.
        tile_size: side of the images in pixels, after the reduction.
        reduction: pixels along a side that become one.
        fit: how images come to that side, "crop" or "resize" as a whole.
        width: channels of CycleGAN's first layer.
        blocks: residual blocks of its generators.
        residual: whether these give the change of an image instead of the image anew.
        threshold: grey levels (0..255) from which a difference is landslide; 0 to have it chosen
            by the labels of the validation images.
        difference: "grey", that of grey images, "bands", the sum of what the bands change, or
            "auto", grey for red, green and blue of 8 bits and bands for others.
        depth: stages of the classifier's encoder, each of which halves its map.
        peak: share of the map, its highest part, by which the classifier judges an image.
        bands: names of the bands to use; all when empty.
        device: "auto", "cpu", "cuda" or "mps".
        seed: of weights, order and cuts.
        origin: what the outputs tell of the run.
        progress: told of each step.

    Returns:
        `model`, `html`, `threshold`, and the F1 of the image labels on validation images by
        activation (`cam_f1`) and by difference (`gan_f1`), None where not trained.

    Ended by SIGTERM (`SystemExit`) in its last training, it writes the best model so far, if the
    validation images have set its levels within the seconds that are left; the checkpoints stay.

    Raises:
        InputError: the samples or settings are unfit, or a training has diverged; what was
            reached before stands in the checkpoint beside the model.
    """
    for path in filter(None, (model, html)):
        require_folder(path)
    check_model_path(model)
    require_encoder(encoder)
    data = SampleSet.read(samples)
    names = list(bands or data.bands)
    data.require_bands(names)
    images = Images(data, names, tile_size, seed, reduction, fit)
    eight_bit = is_eight_bit(images)
    grey = grey_levels(images.bands, images.std, eight_bit)
    difference = fitting_difference(difference, images.bands, eight_bit)
    run = _Run(images, method, pick_device(device), seed, model, progress)
    progress.message(
        f"{len(images.train[True])} images with landslide and {len(images.train[False])} without, "
        f"on {describe(run.device)}."
    )
    classifier = gan = cam = translated = None
    if method != "cyclegan":
        torch.manual_seed(seed)
        weights = weights_source(pretrained, encoder)
        classifier = Classifier(len(images.bands), encoder, weights, depth, peak)
        settings = run.settings(epochs, batch_size, learning_rate)
        begun = f"cam {weights} {peak}" if weights or peak < 1 else "cam"
        cam = run.fit(classifier, ClassifierTask(), settings, "cam", begun)
        if cam.ending == CANCELED and method == "both":
            raise SystemExit(128 + signal.SIGTERM)
    if method != "cam":
        torch.manual_seed(seed)
        gan = CycleGAN(len(images.bands), width, blocks, residual)
        task = CycleGanTask(grey, threshold or THRESHOLD, seed, difference)
        settings = run.settings(gan_epochs, gan_batch_size, GAN_RATE)
        translated = run.fit_gan(gan, task, settings, "residual" if residual else "")
        threshold = threshold or chosen_threshold(gan, task, images, run.device)
    arguments = {
        "method": method,
        "encoder": encoder,
        "width": width,
        "blocks": blocks,
        "grey": grey,
        "threshold": threshold or THRESHOLD,
        "depth": depth,
        "residual": residual,
        "difference": difference,
    }
    if classifier is not None:
        arguments["cut"] = activation_cut(classifier, images, run.device)
    network = assemble(len(images.bands), classifier, gan, arguments)
    run.save(network, arguments, {"cam": cam, "cyclegan": translated}, html, origin)
    return {
        "model": model,
        "html": html,
        "threshold": arguments["threshold"],
        "cam_f1": cam.best.f1 if cam else None,
        "gan_f1": translated.best.f1 if translated else None,
    }


class _Run:
    """What both trainings share."""

    def __init__(
        self,
        images: Images,
        method: str,
        device: torch.device,
        seed: int,
        model: str,
        progress: Progress,
    ) -> None:
        self.images, self.device, self.seed = images, device, seed
        self._spans, self._model, self._progress = SPANS[method], model, progress

    def settings(self, epochs: int, batch_size: int, rate: float) -> Settings:
        return Settings(
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=rate,
            seed=self.seed,
            device=self.device,
            averaging=AVERAGING,
        )

    def fit(
        self, network: nn.Module, task: Any, settings: Settings, part: str, begun: str
    ) -> Outcome:
        """Train one part; it goes on from its checkpoint if that has `begun` alike."""
        self._progress.message(f"Training {part}; F1 and IoU are those of image labels.")
        data = self.images
        facts = [
            replace(data.samples, folder=Path()),  # which may have moved
            data.bands,
            data.size,
            data.reduction,
            data.fit,
            begun or part,
        ]
        fingerprint = hashlib.sha256(repr(facts).encode()).hexdigest()
        file, progress = self._checkpoint(part), self._progress.part(*self._spans[part])
        return fit(network, task, data, settings, progress, file, fingerprint)

    def fit_gan(self, gan: CycleGAN, task: CycleGanTask, settings: Settings, begun: str) -> Outcome:
        """Train CycleGAN, by its own optimizer.

        Raises:
            InputError: it has diverged.
        """
        settings = replace(settings, optimizer="adam", momentum=GAN_MOMENTUM, last=True)
        try:
            return self.fit(gan, task, settings, "cyclegan", begun)
        except DivergedError as error:
            raise InputError(
                "The training of CycleGAN has failed, its loss is not a number any more: choose "
                "another seed, a larger batch size of CycleGAN, or that it changes images; "
                f"its last good state is kept in {self._checkpoint('cyclegan')}."
            ) from error

    def save(
        self,
        network: WeakNetwork,
        arguments: dict[str, Any],
        outcomes: Mapping[str, Outcome | None],
        html: str,
        origin: Provenance,
    ) -> None:
        """Write the model and the report; then the checkpoints go.

        Raises:
            SystemExit: a training was canceled; the model is written, the checkpoints are left.
        """
        model, images = self._model, self.images
        card = _card(model, images, arguments, self, outcomes)
        canceled = any(part and part.ending == CANCELED for part in outcomes.values())
        with together():
            save_model(model, network, card)
            if html and not canceled:
                origin = origin.with_model(card.name)
                write_weak_report(html, network, images, card, outcomes, origin)
        if canceled:
            self._progress.message(f"Canceled: {model} is the best model so far.")
            raise SystemExit(128 + signal.SIGTERM)
        for part in outcomes:
            self._checkpoint(part).unlink(missing_ok=True)
        self._progress.update(1.0)

    def _checkpoint(self, part: str) -> Path:
        """Return where a part's state is kept."""
        return checkpoint.beside(f"{self._model}.{part}")


def _card(
    model: str,
    images: Images,
    arguments: dict[str, Any],
    run: _Run,
    outcomes: Mapping[str, Outcome | None],
) -> ModelCard:
    data = images.samples
    epochs = {name: part for name, part in outcomes.items() if part}
    return ModelCard(
        name=f"weak-{plain_stem(Path(model)) or 1}",
        architecture="weak",
        arguments=arguments,
        task=SEMANTIC_TASK,
        bands=images.bands,
        mean=images.mean,
        std=images.std,
        resolution=data.resolution and data.resolution * images.step,
        tile_size=images.size,
        classes=list(data.classes),
        training={
            "data": data.folder.name,
            "labels": "one an image",
            "fit": images.fit,
            "turn_directions": TURN_DIRECTIONS,
            "split": data.split,
            "split_seed": data.seed,
            "seed": run.seed,
            "images_with_landslide": len(images.train[True]),
            "images_without": len(images.train[False]),
            "epochs": {name: len(part.history) for name, part in epochs.items()},
            "device": describe(run.device),
            "precision": {name: part.precision for name, part in epochs.items()},
            "torch": torch.__version__,
        },
        metrics={
            "split": f"labels of the validation images, {data.split}",
            **{f"{name}_f1_of_image_labels": part.best.f1 for name, part in epochs.items()},
        },
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        units=data.units_of(images.bands),
    )
