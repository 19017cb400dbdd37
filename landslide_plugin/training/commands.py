"""The command `train`."""

import re
import signal
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from ...models.model_card import ModelCard
from ...models.model_file import check_model_path, save_model
from ...models.registry import INSTANCE_TASK, backbone_arguments, build, task_of
from ..device import describe, pick_device
from ..errors import InputError
from ..outputs import require_folder
from ..progress import Progress
from ..provenance import CURRENT
from ..samples.sample_set import SampleSet
from .checkpoint import beside, remove
from .contracts import ALL_EPOCHS, CANCELED, Outcome, Settings, Task
from .losses import find_loss
from .report import write_training_report
from .semantic import SemanticTask
from .tiles import Tiles
from .trainer import fit

SMALLEST_TILE, LARGEST_TILE = 16, 2048


def train(
    *,
    samples: str,
    model: str,
    html: str = "",
    architecture: str = "fc_densenet",
    backbone: str = "",
    loss: str = "cross_entropy",
    epochs: int = 20,
    batch_size: int = 8,
    learning_rate: float = 1e-3,
    tile_size: int = 0,
    device: str = "auto",
    seed: int = 0,
    bands: Sequence[str] = (),
    schedule: str = "one_cycle",
    patience: int = 0,
    averaging: float = 0.0,
    resume: bool = True,
    progress: Progress,
) -> dict[str, Any]:
    """Train a network on a folder of samples.

    Args:
        samples: the folder, made by `samples` or `importsamples`.
        model: output `.safetensors` file.
        html: output report; none when empty.
        architecture: "fc_densenet" (semantic) or "mask_rcnn" (instances).
        backbone: a named setting of the architecture; its first when empty.
        loss: of semantic networks; see `losses`. Mask R-CNN has its own.
        epochs: times that every train patch is seen.
        batch_size: patches per step.
        learning_rate: highest of the one-cycle schedule.
        tile_size: side of the training tiles in pixels; 0 for that of the samples.
        device: "auto", "cpu", "cuda" or "mps".
        seed: same seed, machine and settings, same model.
        bands: names of the bands to use; all when empty.
        schedule: course of the learning rate; see `schedule`.
        patience: epochs without a better one after which training ends; 0 for never.
        averaging: decay of the running average of the weights (EMA), 0 for none.
        resume: whether to go on from the checkpoint beside `model` that an interrupted training
            with the same samples and settings has left.
        progress: told of each batch.

    Returns:
        `model`, `html`, and of the kept epoch `f1`, `iou` (validation pixels) and `loss`
        (training); `epochs`, the number trained.

    Ended by SIGTERM (`SystemExit`), it writes the best model so far and leaves the checkpoint.

    Raises:
        InputError: the samples or settings are unfit.
        OutputError: an output can't be written.
        MissingPackageError: the device is not there.
    """
    for path in filter(None, (model, html)):
        require_folder(path)
    check_model_path(model)
    data = SampleSet.read(samples)
    names = _check_bands(data, bands)
    size = _check_settings(data, tile_size, epochs, batch_size, learning_rate)
    task = _task(architecture, loss)
    arguments = backbone_arguments(architecture, backbone)
    settings = Settings(
        epochs,
        batch_size,
        learning_rate,
        seed,
        pick_device(device),
        schedule=schedule,
        patience=patience,
        averaging=averaging,
    )
    tiles = Tiles(data, names, size, seed)
    _check_splits(data, tiles)
    _warn_of_constant(tiles.scan(progress.part(0.0, 0.02)), names, progress)

    torch.manual_seed(seed)
    network = build(architecture, len(names), len(data.classes), **arguments)
    progress.message(
        f"Training {architecture} on {len(tiles.train)} samples of {len(names)} bands, "
        f"{len(tiles.validation)} for validation, on {describe(settings.device)}."
    )
    checkpoint = beside(model)
    if not resume:
        remove(checkpoint)
    recipe = [replace(data, folder=Path()), architecture, arguments, names, size, loss]
    outcome = fit(
        network, task, tiles, settings, progress.part(0.02, 0.98), checkpoint, repr(recipe)
    )
    card = ModelCard(
        name=_model_name(model),
        architecture=architecture,
        arguments=arguments,
        task=task_of(architecture),
        bands=names,
        mean=tiles.mean,
        std=tiles.std,
        resolution=data.resolution,
        tile_size=size,
        classes=list(data.classes),
        threshold=outcome.best.threshold,
        training=_training(tiles, settings, outcome, {"loss": loss, "backbone": backbone}),
        metrics={"split": _split(data), "samples": len(tiles.validation), **outcome.figures},
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    CURRENT.model = card.name
    save_model(model, network, card)
    if outcome.ending == CANCELED:
        progress.message(f"Canceled; {model} is the best of {len(outcome.history)} epochs.")
        raise SystemExit(128 + signal.SIGTERM)
    if html:
        write_training_report(html, network, task, tiles, card, outcome, settings)
    remove(checkpoint)
    progress.update(1.0)
    return {
        "model": model,
        "html": html,
        "f1": outcome.best.f1,
        "iou": outcome.best.iou,
        "loss": outcome.best.loss,
        "epochs": len(outcome.history),
    }


def _task(architecture: str, loss: str) -> Task:
    if task_of(architecture) == INSTANCE_TASK:
        from .instances import InstanceTask

        return InstanceTask()
    return SemanticTask(find_loss(loss))


def _check_bands(data: SampleSet, wanted: Sequence[str]) -> list[str]:
    missing = [band for band in wanted if band not in data.bands]
    if missing:
        raise InputError(
            f"The samples have no band {', '.join(missing)}; they have {', '.join(data.bands)}."
        )
    if len(set(wanted)) < len(wanted):
        raise InputError(f"A band is named twice in {', '.join(wanted)}: name each once.")
    return list(wanted or data.bands)


def _check_settings(
    data: SampleSet, tile_size: int, epochs: int, batch_size: int, learning_rate: float
) -> int:
    """Check the numbers; return the tile size to use."""
    if epochs < 1 or batch_size < 1:
        raise InputError("The epochs and the batch size must be at least 1.")
    if not 0 < learning_rate <= 1:
        raise InputError(f"The learning rate {learning_rate:g} must be above 0 and at most 1.")
    size = tile_size or data.tile_size
    if not SMALLEST_TILE <= size <= LARGEST_TILE:
        raise InputError(
            f"The tile size {size} must be within {SMALLEST_TILE} to {LARGEST_TILE} pixels."
        )
    return size


def _check_splits(data: SampleSet, tiles: Tiles) -> None:
    for name, patches in (("train", tiles.train), ("validation", tiles.validation)):
        if not patches:
            raise InputError(
                f"{data.folder} has no {name} samples: make the samples anew with more blocks, "
                "smaller tiles or another share for validation."
            )
        if not any(sample.landslide_pixels for sample in patches):
            raise InputError(
                f"No {name} sample of {data.folder} holds a landslide: make the samples anew with "
                "more landslides, or with another seed or share for validation."
            )


def _warn_of_constant(constant: list[str], bands: list[str], progress: Progress) -> None:
    if len(constant) == len(bands):
        raise InputError(
            f"Every band is constant in the train samples ({', '.join(bands)}): there is nothing "
            "to learn from."
        )
    if constant:
        progress.warning(
            f"Constant in all train samples, so that nothing is learnt from it: "
            f"{', '.join(constant)}; leave it out by choosing the bands."
        )


def _training(
    tiles: Tiles, settings: Settings, outcome: Outcome, extra: dict[str, Any]
) -> dict[str, Any]:
    data = tiles.samples
    return {
        "data": data.folder.name,
        "sources": [Path(source).name for source in data.sources],
        "train_samples": len(tiles.train),
        "validation_samples": len(tiles.validation),
        "landslide_share": data.imbalance,
        "split": data.split,
        "split_seed": data.seed,
        "seed": settings.seed,
        "epochs": settings.epochs,
        "ending": _ending(outcome, settings),
        "best_epoch": outcome.best.number,
        **extra,
        "batch_size": settings.batch_size,
        "learning_rate": settings.learning_rate,
        "schedule": settings.schedule,
        "averaging": settings.averaging,
        "augmentation": "quarter turns and mirroring",
        "seconds": round(sum(epoch.seconds for epoch in outcome.history)),
        "device": describe(settings.device),
        "torch": torch.__version__,
    }


def _ending(outcome: Outcome, settings: Settings) -> str:
    if outcome.ending == ALL_EPOCHS:
        return outcome.ending
    return f"{outcome.ending} after {len(outcome.history)} of {settings.epochs} epochs"


def _split(data: SampleSet) -> str:
    return f"validation part of a split by {data.split}, seed {data.seed}"


def _model_name(path: str) -> str:
    """Return the file's stem as a name that the STAC extension allows."""
    stem = re.sub(r"[^a-zA-Z0-9_.-]+", "-", Path(path).stem).strip("-_.")
    return stem if re.fullmatch(r"[a-zA-Z][\w.-]+[a-zA-Z0-9]", stem) else f"model-{stem or 1}"
