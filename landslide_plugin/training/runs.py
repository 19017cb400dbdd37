"""The trainings that make one model: a single one, or one a fold (K-fold, Chen et al. 2022)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from torch import nn

from ...models.ensemble import Ensemble
from ..core.interruption import accept
from ..core.progress import Progress
from ..samples.splits import Fold
from .judging.assessment import Assessment, assess, judge
from .judging.report import Run
from .judging.temperature import Fitted, Logits, count_logits
from .loop.checkpoint import beside
from .loop.contracts import ALL_EPOCHS, CANCELED, Outcome, Settings
from .loop.scores import Scores
from .loop.semantic import SemanticTask
from .loop.trainer import fit
from .recipe import Recipe

JUDGED = 0.05
"""Share of a training's progress that its calibration and assessment take."""


@dataclass(frozen=True)
class Job:
    """What all the folds have in common.

    Attributes:
        recipe: on what and from what.
        settings: how; each fold has a seed of its own, from this one.
        model: the model file to be, beside which the checkpoints lie.
        judged: whether each training is assessed in full at its end.
        resume: whether trainings go on from what interrupted ones have left.
    """

    recipe: Recipe
    settings: Settings
    model: Path
    judged: bool
    resume: bool = True


@dataclass(frozen=True)
class Trained:
    """What came of one fold, with its tiles' statistics.

    Attributes:
        network: with its best weights.
        outcome: its course.
        logits: of its validation pixels; none of a canceled training, or of single objects.
        tiles: what was counted of each validation tile; none of a canceled training.
        assessment: None where it was not asked for, or the training was canceled.
    """

    network: nn.Module
    outcome: Outcome
    logits: Logits = field(default_factory=Logits)
    tiles: Sequence[Scores] = ()
    assessment: Assessment | None = None

    @property
    def threshold(self) -> float:
        """The probability, as the network gives it, from which a pixel is landslide."""
        if not self.tiles:
            return self.outcome.best.threshold
        return Fitted.to(self.logits).threshold(self.tiles)

    @property
    def figures(self) -> dict[str, float | None]:
        """Its figures on validation tiles at its threshold."""
        if not self.tiles:
            return self.outcome.figures
        return sum(self.tiles, Scores()).figures(self.threshold)


@dataclass(frozen=True)
class Result:
    """What came of all folds that were made."""

    folds: list[Trained]
    canceled: bool

    @property
    def network(self) -> nn.Module:
        """The network to keep: that of the only fold, or all of them together."""
        members = [fold.network for fold in self.folds]
        return members[0] if len(members) == 1 else Ensemble(members)

    @property
    def runs(self) -> list[Run]:
        """The folds as the report wants them."""
        return [Run(fold.outcome, fold.assessment) for fold in self.folds if fold.assessment]

    @property
    def threshold(self) -> float:
        """The probability from which a pixel is landslide, by the validation tiles of all folds.

        It is one of probabilities as the networks give them, without a temperature.
        """
        if not all(fold.tiles for fold in self.folds):
            return round(mean(fold.outcome.best.threshold for fold in self.folds), 3)
        return self.calibration.threshold([tile for fold in self.folds for tile in fold.tiles])

    @property
    def calibration(self) -> Fitted:
        """The temperature for the validation pixels of all folds together."""
        return Fitted.to(sum((fold.logits for fold in self.folds), Logits()))

    @property
    def seconds(self) -> float:
        """Time of all epochs."""
        return sum(epoch.seconds for fold in self.folds for epoch in fold.outcome.history)

    @property
    def precision(self) -> str:
        """The precision of all folds, in words."""
        return ", ".join(sorted({fold.outcome.precision for fold in self.folds}))

    def figures(self) -> dict[str, Any]:
        """Return the validation figures; of several folds their means, spread and each."""
        each = [fold.figures for fold in self.folds]
        if len(each) == 1:
            return dict(each[0])
        means: dict[str, float | None] = {}
        spread: dict[str, float] = {}
        for name in each[0]:
            values = [value for figures in each if (value := figures[name]) is not None]
            means[name] = mean(values) if values else None
            if len(values) > 1:
                spread[name] = stdev(values)
        return {**means, "spread": spread, "folds": each}

    def ending(self, settings: Settings, wanted: int) -> str:
        """Say how the training ended."""
        if self.canceled and wanted > 1:
            return f"{CANCELED} in fold {len(self.folds)} of {wanted}: unfinished"
        outcome = self.folds[0].outcome
        if wanted > 1 or outcome.ending == ALL_EPOCHS:
            return ", ".join(sorted({fold.outcome.ending for fold in self.folds}))
        words = f"{outcome.ending} after {len(outcome.history)} of {settings.epochs} epochs"
        return f"{words}: unfinished" if self.canceled else words


def train_folds(job: Job, folds: Sequence[Fold], progress: Progress) -> Result:
    """Train each fold in turn.

    Ended by SIGTERM (`SystemExit`) when one network has been measured at least, it returns what
    there is.

    Raises:
        InputError: see `fit`.
    """
    trained: list[Trained] = []
    for number, (fold, part) in enumerate(zip(folds, progress.parts(len(folds)), strict=True)):
        if len(folds) > 1:
            part.message(f"Fold {number + 1} of {len(folds)}:")
        try:
            _train_fold(job, fold, number if len(folds) > 1 else None, part, trained)
        except (SystemExit, KeyboardInterrupt):
            if not trained:
                raise
            accept()
            return Result(trained, canceled=True)
        if trained[-1].outcome.ending == CANCELED:
            return Result(trained, canceled=True)
    return Result(trained, canceled=False)


def _train_fold(
    job: Job, fold: Fold, number: int | None, progress: Progress, trained: list[Trained]
) -> None:
    """Add one trained network to the list, where a cancel during its assessment leaves it."""
    recipe, settings = job.recipe, job.settings
    settings = replace(settings, seed=settings.seed + (number or 0))
    tiles, task = recipe.tiles(recipe.judges(fold), settings.seed), recipe.task()
    network = recipe.start.network(tiles.bands, len(recipe.data.classes), settings.seed)
    outcome = fit(
        network,
        task,
        tiles,
        settings,
        progress.part(0.0, 1 - JUDGED),
        beside(job.model, number),
        f"{recipe.fingerprint()} {number}",
        job.resume,
    )
    trained.append(Trained(network, outcome))
    if outcome.ending == CANCELED:
        return
    if isinstance(task, SemanticTask):
        part = progress.part(1 - JUDGED, 1 - JUDGED / 2)
        of_all = recipe.tiles(fold, settings.seed)
        logits = count_logits(network, task, of_all, settings.batch_size, part)
        trained[-1] = replace(trained[-1], logits=logits)
    counted = judge(network, task, tiles, progress.part(1 - JUDGED / 2, 1.0), settings.batch_size)
    trained[-1] = replace(trained[-1], tiles=counted)
    if job.judged:
        assessment = assess(
            network, task, tiles, counted, trained[-1].threshold, settings.batch_size
        )
        trained[-1] = replace(trained[-1], assessment=assessment)
    network.cpu()
