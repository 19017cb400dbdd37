"""The training loop, the same for all networks."""

import hashlib
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ....models.device import exact_depthwise
from ...contract.errors import OutputError
from ...core.interruption import accept
from ...core.progress import Progress
from ...core.system import replace
from ...samples.sample_set import UNKNOWN
from ..tiles.batches import Batch
from . import checkpoint as checkpoints
from .averaging import Average
from .contracts import (
    ALL_EPOCHS,
    CANCELED,
    EARLY,
    Data,
    Epoch,
    Outcome,
    Remembering,
    Settings,
    Task,
)
from .memory import Memory
from .optimization import Optimization
from .scores import Scores

CHECKPOINT_SECONDS = 120.0
"""Time after which the state is written within an epoch; at its end it is always written."""
MESSAGE_SECONDS = 60.0
"""Time after which a long epoch tells how far it is."""


def fit(
    network: nn.Module,
    task: Task,
    data: Data,
    settings: Settings,
    progress: Progress,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    resume: bool = True,
) -> Outcome:
    """Train a network in place; at the end it has the weights of its best epoch.

    Best is the highest F1 on validation pixels, at the threshold that is best for it. Ended by
    SIGTERM (`SystemExit`) after an epoch at least, it returns the best so far.

    Args:
        network: moved to the device.
        task: loss and probability of this kind of network.
        data: the batches.
        settings: how.
        progress: told of each batch; a message per epoch.
        checkpoint: file that takes the state at times; if it stands there already, from the same
            settings and fingerprint, training goes on from it. It is left to the caller to remove.
        fingerprint: of all else that the result depends on, such as the samples.
        resume: whether to go on; else what this very training has left is removed first.

    Raises:
        InputError: the loss is no number any more, or the memory does not suffice.
    """
    network.to(settings.device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    training = _Training(network, task, data, settings, progress)
    if checkpoint is not None:
        digest = _digest(network, settings, fingerprint)
        if not resume:
            checkpoints.forget(checkpoint, digest)
        training.keep_in(checkpoint, digest)
    ending = ALL_EPOCHS
    try:
        with exact_depthwise(network, settings.device):
            while not training.done():
                training.one_epoch()
        if training.state.epoch <= settings.epochs:
            ending = EARLY
    except (SystemExit, KeyboardInterrupt):
        if training.best is None:
            raise
        accept()
        ending = CANCELED
    return training.finish(ending)


@dataclass
class _State:
    """What changes from step to step, besides tensors; JSON-able by `asdict`.

    Attributes:
        epoch: the one in work, from 1.
        step: steps done in it.
        loss: sum of their losses.
        seconds: spent on it before the last start.
        history: the epochs before it.
    """

    epoch: int = 1
    step: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    history: list[Epoch] = field(default_factory=list)


@dataclass(frozen=True)
class _Best:
    """The best epoch so far, the first of equals, with its weights on the CPU."""

    epoch: Epoch
    figures: dict[str, float | None]
    weights: dict[str, Tensor]


class _Training:
    """A training under way."""

    def __init__(
        self, network: nn.Module, task: Task, data: Data, settings: Settings, progress: Progress
    ) -> None:
        self.network, self.task, self.data = network, task, data
        self.settings, self.progress = settings, progress
        self.state = _State()
        self.best: _Best | None = None
        self.average = Average(network, settings.averaging) if settings.averaging else None
        self.optimization = Optimization(network, task, settings, progress)
        self.memory = Memory(progress)
        self.steps = data.train_steps(settings.batch_size)
        self._file: Path | None = None
        self._digest = ""
        self._warned = False
        self._written = self._told = time.monotonic()
        self._steps_done, self._began = 0, time.monotonic()

    @property
    def measured(self) -> nn.Module:
        """The network that is validated and kept."""
        return self.average.network if self.average else self.network

    def done(self) -> bool:
        """Return whether all epochs are made or the patience is used up."""
        state, patience = self.state, self.settings.patience
        if state.epoch > self.settings.epochs:
            return True
        if not patience or self.best is None:
            return False
        return state.history[-1].number - self.best.epoch.number >= patience

    def one_epoch(self) -> None:
        """Make what is left of the epoch in work, and judge it."""
        state, settings = self.state, self.settings
        part = self.progress.part(
            (state.epoch - 1) / settings.epochs, state.epoch / settings.epochs
        )
        per_epoch = self.steps + self.data.validation_steps(settings.batch_size)
        started = time.monotonic() - state.seconds
        self.network.train()
        batches = self.data.train_batches(state.epoch, settings.batch_size, state.step)
        for batch in batches:
            state.loss += self._step(batch)
            state.step += 1
            state.seconds = time.monotonic() - started
            part.update(state.step / per_epoch)
            self._tell()
            if time.monotonic() - self._written >= CHECKPOINT_SECONDS:
                self._write()
        scores = self._validate(part.part(self.steps / per_epoch, 1.0))
        self._judge(scores, time.monotonic() - started)
        self._write()

    def finish(self, ending: str) -> Outcome:
        """Give the network its best weights."""
        if self.best is None:
            raise ValueError("no epoch to train")
        self.network.load_state_dict(self.best.weights)
        self.network.eval()
        precision = self.optimization.precision.name
        return Outcome(
            history=self.state.history,
            best=self.best.epoch,
            figures=self.best.figures,
            ending=ending,
            precision=precision,
        )

    def keep_in(self, file: Path, digest: str) -> None:
        """Go on from the checkpoint if it fits, and write it from now on.

        One of other samples or settings is set aside, where it is found when these come again.
        """
        self._file, self._digest = file, digest
        saved = self._fitting(file)
        if saved is None:
            return
        self._restore(saved)
        self._written = time.monotonic()
        where = f"epoch {self.state.epoch}, step {self.state.step + 1}"
        self.progress.message(
            f"Going on from {file.name}: {'nothing is left to train' if self.done() else where}."
        )

    def _fitting(self, file: Path) -> checkpoints.Saved | None:
        """Return the checkpoint that fits, which then has the file's name."""
        if file.exists():
            saved = checkpoints.read(file)
            if saved is None:
                self.progress.message(f"{file.name} is damaged: training begins anew.")
            elif saved.facts.get("digest") == self._digest:
                return saved
            else:
                kept = checkpoints.set_aside(file, saved)
                self.progress.message(
                    f"{file.name} is of other samples or settings, so that this training begins "
                    f"anew; it is kept as {kept.name}: to go on with it, run again with these."
                )
        kept = checkpoints.aside(file, self._digest)
        saved = checkpoints.read(kept)
        if saved is not None and saved.facts.get("digest") == self._digest:
            replace(kept, file)
            return saved
        return None

    def _step(self, batch: Batch) -> float:
        """Make one step; return the loss."""
        done = (self.state.epoch - 1) * self.steps + self.state.step
        fraction = done / (self.steps * self.settings.epochs)
        loss = self.optimization.step(batch, self.memory, self.state.epoch, fraction)
        if self.average:
            self.average.update(done + 1)
        self._steps_done += 1
        return loss

    def _validate(self, progress: Progress) -> Scores:
        network, device = self.measured.eval(), self.settings.device
        scores = Scores()

        def measure(parts: list[Batch]) -> NDArray[np.float32]:
            return np.concatenate([self.task.probability(network, part, device) for part in parts])

        checked = self.optimization.precision.checked
        total = self.data.validation_steps(self.settings.batch_size)
        batches = self.data.validation_batches(self.settings.batch_size)
        with torch.inference_mode():
            for batch in progress.track(batches, total):
                probability = checked(partial(self.memory.run, batch, measure))
                scores.add(probability, batch.labels > 0, batch.labels != UNKNOWN)
        return scores

    def _judge(self, scores: Scores, seconds: float) -> None:
        """Close the epoch; keep its weights if it is the best."""
        state = self.state
        threshold = scores.best_threshold()
        figures = scores.figures(threshold)
        loss = state.loss / self.steps
        f1, iou = figures["f1"] or 0.0, figures["iou"] or 0.0
        epoch = Epoch(
            number=state.epoch, loss=loss, f1=f1, iou=iou, threshold=threshold, seconds=seconds
        )
        if self.best is None or self.settings.last or f1 > self.best.epoch.f1:
            # On the CPU: a GPU's memory is for the training.
            weights = self.measured.state_dict()
            self.best = _Best(
                epoch, figures, {name: value.cpu().clone() for name, value in weights.items()}
            )
        state.history.append(epoch)
        state.epoch, state.step, state.loss, state.seconds = state.epoch + 1, 0, 0.0, 0.0
        self.progress.message(
            f"Epoch {epoch.number} of {self.settings.epochs}: loss {loss:.4f}, validation "
            f"F1 {f1:.3f}, IoU {iou:.3f} ({seconds:.0f} s{self._left()})"
        )
        self._told = time.monotonic()

    def _tell(self) -> None:
        """Tell in a long epoch how far it is."""
        if time.monotonic() - self._told < MESSAGE_SECONDS:
            return
        self._told = time.monotonic()
        state = self.state
        self.progress.message(
            f"Epoch {state.epoch} of {self.settings.epochs}, step {state.step} of {self.steps}: "
            f"loss {state.loss / state.step:.4f}{self._left()}"
        )

    def _left(self) -> str:
        """Return in words how long all epochs will still take."""
        done = (self.state.epoch - 1) * self.steps + self.state.step
        left = self.steps * self.settings.epochs - done
        if not left or not self._steps_done:
            return ""
        seconds = (time.monotonic() - self._began) / self._steps_done * left
        return f", about {_duration(seconds)} left"

    def _write(self) -> None:
        """Write the checkpoint; a full disk does not end the training."""
        if self._file is None:
            return
        saved = checkpoints.Saved(
            {"digest": self._digest, "state": asdict(self.state), "half": self.task.half}
        )
        if self.best:
            saved.facts["best"] = {"epoch": asdict(self.best.epoch), "figures": self.best.figures}
            saved.add("best", self.best.weights)
        if not self.done():
            self._add_way(saved)
        try:
            checkpoints.write(self._file, saved)
            self._warned = False
        except OutputError as error:
            if not self._warned:
                self.progress.warning(
                    f"The state of the training can't be written to {self._file} ({error}): "
                    "training goes on, but free some space: interrupted now, it must begin anew."
                )
            self._warned = True
        self._written = time.monotonic()

    def _add_way(self, saved: checkpoints.Saved) -> None:
        """Add what is needed to go on, but not when all is done."""
        saved.facts |= {"parts": self.memory.parts, "optimization": self.optimization.facts()}
        saved.add("network", self.network.state_dict())
        saved.add("optimizer", self.optimization.tensors())
        saved.add("random", checkpoints.random_tensors(self.settings.device))
        if self.average:
            saved.add("average", self.average.network.state_dict())
        if isinstance(self.task, Remembering):
            tensors, saved.facts["task"] = self.task.memory()
            saved.add("task", tensors)

    def _restore(self, saved: checkpoints.Saved) -> None:
        state = saved.facts["state"]
        history = [Epoch(**row) for row in state["history"]]
        self.state = _State(**{**state, "history": history})
        if best := saved.facts.get("best"):
            self.best = _Best(Epoch(**best["epoch"]), best["figures"], saved.part("best"))
        self.task.half = saved.facts["half"]
        if self.done():
            return
        self.memory.parts = saved.facts["parts"]
        self.network.load_state_dict(saved.part("network"))
        self.optimization.restore(saved.part("optimizer"), saved.facts["optimization"])
        checkpoints.restore_random(self.settings.device, saved.part("random"))
        if self.average:
            self.average.network.load_state_dict(saved.part("average"))
        if isinstance(self.task, Remembering) and "task" in saved.facts:
            self.task.recall(saved.part("task"), saved.facts["task"], self.settings.device)


def _digest(network: nn.Module, settings: Settings, fingerprint: str) -> str:
    """Return a text that differs where the network's build, the settings or fingerprint do.

    The device may change.
    """
    shapes = [(name, tuple(value.shape)) for name, value in network.state_dict().items()]
    facts = {**asdict(settings), "device": ""}
    return hashlib.sha256(f"{shapes} {facts} {fingerprint}".encode()).hexdigest()


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
