"""A model made: trained, measured on what was kept for that, and written."""

import signal
from dataclasses import replace
from statistics import mean
from typing import Any

from ...models.calibration import Calibration
from ...models.device import describe
from ...models.model_card import ModelCard
from ...models.model_file import save_model
from ..contract.errors import InputError, OutputError
from ..core.interruption import accept
from ..core.progress import Progress
from ..core.provenance import Provenance
from ..outputs.whole import together
from .card import Description, card_of, light_of
from .judging.held_out import HeldOut, measure_held_out
from .judging.report import write_runs_report
from .loop import checkpoint
from .loop.contracts import Settings
from .runs import Job, Result, train_folds

LATE = 0.9
"""Part of all epochs after which the best one is among the last."""


def make_model(
    job: Job, description: Description, html: str, origin: Provenance, progress: Progress
) -> dict[str, Any]:
    """Train, and write what came of it.

    Args:
        job: what is trained, and the model file.
        description: what is said of the model.
        html: output report; none when empty.
        origin: what the outputs tell of the run.
        progress: told of each batch.

    Returns:
        What the command `train` does.

    Ended by SIGTERM (`SystemExit`), it writes the best model so far and leaves the checkpoint.

    Raises:
        InputError: the samples are unfit.
        OutputError: an output can't be written; the checkpoint is left then.
    """
    recipe, settings, parts = job.recipe, job.settings, job.recipe.parts()
    patches, validation = parts[0]
    constant = recipe.tiles(parts[0], settings.seed).scan(progress.part(0.0, 0.02))
    _warn_of_constant(constant, recipe.bands, progress)
    scene = light_of(recipe.data, recipe.bands) if description.scene_light else {}
    progress.message(
        f"Training {recipe.start.architecture} on {len(patches)} samples of {len(recipe.bands)} "
        f"bands, {len(validation)} for validation, on {describe(settings.device)}."
    )
    result = train_folds(job, parts, progress.part(0.02, 0.96))
    _hint_at_more(result, settings, progress)
    if not recipe.start.is_instance and not result.canceled:
        progress.message(str(result.calibration))
    result, held_out = _test(job, result, progress.part(0.96, 0.98))
    card = card_of(job, result, description, scene, held_out)
    origin = origin.with_model(card.name)
    _save(job, result, card, description.half, held_out, html, origin, progress)
    checkpoint.remove(job.model)
    progress.update(1.0)
    figures = result.figures()
    return {
        "model": str(job.model),
        "html": html,
        "f1": figures["f1"] or 0.0,
        "iou": figures["iou"] or 0.0,
        "loss": mean(fold.outcome.best.loss for fold in result.folds),
        "threshold": card.threshold,
        **{f"test_{name}": card.metrics.get("test", {}).get(name) for name in ("f1", "iou")},
        "epochs": sum(len(fold.outcome.history) for fold in result.folds),
    }


def _test(job: Job, result: Result, progress: Progress) -> tuple[Result, HeldOut | None]:
    """Measure the whole model on the test samples; None where there are none, or on a cancel."""
    recipe, settings = job.recipe, job.settings
    patches = recipe.data.of_split("test")
    if result.canceled or not patches:
        return result, None
    tiles = recipe.tiles((recipe.data.of_split("train"), patches), settings.seed)
    network = result.network.to(settings.device).eval()
    try:
        held_out = measure_held_out(
            network,
            recipe.task(),
            tiles,
            result.threshold,
            Calibration(result.calibration.temperature),
            settings.batch_size,
            progress,
        )
    except (SystemExit, KeyboardInterrupt):
        accept()
        return replace(result, canceled=True), None
    progress.message(str(held_out))
    return result, held_out


def _hint_at_more(result: Result, settings: Settings, progress: Progress) -> None:
    best = [fold.outcome.best.number for fold in result.folds]
    if not result.canceled and min(best) > LATE * settings.epochs:
        progress.message(
            f"The best of {settings.epochs} epochs was among the last ones ({min(best)}): with "
            "more of them the model may become better."
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


def _save(
    job: Job,
    result: Result,
    card: ModelCard,
    half: bool,
    held_out: HeldOut | None,
    html: str,
    origin: Provenance,
    progress: Progress,
) -> None:
    """Write the model and the report; where that fails the training is not lost.

    Raises:
        OutputError: a file can't be written.
        SystemExit: the training was canceled; the model is written.
    """
    try:
        with together():
            save_model(job.model, result.network, card, half=half)
            if html and not result.canceled:
                write_runs_report(
                    html,
                    result.runs,
                    result.calibration,
                    card,
                    job.recipe.data,
                    job.settings,
                    origin,
                    held_out,
                )
    except OutputError as error:
        if not checkpoint.files_of(job.model):
            raise
        raise OutputError(
            f"{error} The training itself is kept beside it: run it again with the same settings, "
            "and it only writes the model."
        ) from error
    if result.canceled:
        progress.message(f"Canceled: {job.model} is the best model so far.")
        raise SystemExit(128 + signal.SIGTERM)
