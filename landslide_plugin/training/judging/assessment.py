"""How good a trained network is on its validation samples, and what needs no network."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ...core.progress import Progress
from ...evaluation.metrics import Confusion
from ...samples.sample_set import UNKNOWN
from ..loop.contracts import Task
from ..loop.scores import Scores
from ..tiles.batches import Batch, Tiles
from .baselines import ConstantMask, baselines, constant_mask

EXAMPLES = 3
"""Best tiles shown, and as many worst."""
COUNTED = 32
"""Batches of the first epoch in which the share of landslide is counted."""
_COMPOSITES = (["red", "green", "blue"], ["nir", "red", "green"])
_GREYS = ("hillshade", "slope")


@dataclass(frozen=True, kw_only=True)
class Example:
    """One validation tile with what the network made of it.

    Attributes:
        name: image or stack that it comes from, and where in it.
        image: the bands to show, z-scored, float32 (1 or 3, size, size).
        labels: as in `Batch`, uint16 (size, size).
        probability: float32 (size, size).
        counts: at the chosen threshold.
    """

    name: str
    image: NDArray[np.float32]
    labels: NDArray[np.uint16]
    probability: NDArray[np.float32]
    counts: Confusion


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """What was found on the validation samples.

    Attributes:
        tiles: counts of each validation tile at every threshold.
        threshold: the chosen one.
        train: patches that were trained on.
        validation: patches that were validated on.
        baselines: counts on the same pixels without a network; see `baselines.NO_NETWORK`.
        constant: the constant mask, made of the training masks.
        seen: share of landslide among the known pixels of training tiles, as the network gets
            them: cut, turned, enhanced.
        shown: names of the bands of the examples' images.
        best: tiles with landslide of the highest IoU, best first.
        worst: of the others those with most wrong pixels, worst first.
    """

    tiles: Sequence[Scores]
    threshold: float
    train: int
    validation: int
    baselines: dict[str, Confusion]
    constant: ConstantMask
    seen: float
    shown: list[str]
    best: list[Example]
    worst: list[Example]

    @property
    def scores(self) -> Scores:
        """Counts of all tiles at every threshold."""
        return sum(self.tiles, Scores())

    @property
    def counts(self) -> Confusion:
        """Confusion matrix at the chosen one."""
        return self.scores.confusion(self.threshold)


def judge(
    network: nn.Module, task: Task, data: Tiles, progress: Progress, batch_size: int = 8
) -> list[Scores]:
    """Return the counts of each validation tile at every threshold.

    Args:
        network: in evaluation mode; it is left on its device.
        task: its kind.
        data: only `validation` patches are read.
        progress: told of each batch.
        batch_size: tiles at once.
    """
    return list(_Run(network, task, data, batch_size).judge(progress))


def assess(
    network: nn.Module,
    task: Task,
    data: Tiles,
    tiles: Sequence[Scores],
    threshold: float,
    batch_size: int = 8,
) -> Assessment:
    """Hold a network against what needs none, and choose the tiles to be shown.

    Args:
        network: in evaluation mode; it is left on its device.
        task: its kind.
        data: what it was trained on; only `train` and `validation` patches are read.
        tiles: what `judge` returns.
        threshold: probability from which a pixel is landslide.
        batch_size: tiles at once.
    """
    run = _Run(network, task, data, batch_size)
    best, worst = choose_examples([tile.confusion(threshold) for tile in tiles])
    examples = run.examples([*best, *worst], threshold)
    train = {sample.id: sample for sample in data.train}  # once, however often an epoch sees it
    constant = constant_mask(map(data.labels, train.values()))
    return Assessment(
        tiles=tiles,
        threshold=threshold,
        train=len(train),
        validation=len(data.validation),
        baselines=baselines(constant, map(data.labels, data.validation)),
        constant=constant,
        seen=_fraction_seen(data, batch_size),
        shown=shown_bands(data.bands),
        best=[examples[number] for number in best],
        worst=[examples[number] for number in worst],
    )


def choose_examples(tiles: Sequence[Confusion]) -> tuple[list[int], list[int]]:
    """Return the numbers of the best and of the worst tiles, see `Assessment`."""
    wrong = [counts.fp + counts.fn for counts in tiles]
    held = [number for number, counts in enumerate(tiles) if counts.tp]
    best = sorted(held, key=lambda number: -tiles[number].tp / (tiles[number].tp + wrong[number]))
    best = best[:EXAMPLES]
    others = [number for number in range(len(tiles)) if wrong[number] and number not in best]
    return best, sorted(others, key=lambda number: -wrong[number])[:EXAMPLES]


def shown_bands(bands: Sequence[str]) -> list[str]:
    """Return the three bands to show in red, green and blue, or one to show in grey."""
    for names in _COMPOSITES:
        if set(names) <= set(bands):
            return list(names)
    return [next((name for name in _GREYS if name in bands), bands[0])]


class _Run:
    """A network on the validation tiles."""

    def __init__(self, network: nn.Module, task: Task, data: Tiles, batch_size: int) -> None:
        self._network = network
        self._task = task
        self._data = data
        self._batch_size = batch_size
        self._device = next(network.parameters()).device

    def judge(self, progress: Progress) -> Iterator[Scores]:
        """Yield the scores of each tile."""
        batches = self._data.validation_batches(self._batch_size)
        total = self._data.validation_steps(self._batch_size)
        for batch in progress.track(batches, total):
            for probability, labels in zip(self._probability(batch), batch.labels, strict=True):
                tile = Scores()
                tile.add(probability, labels > 0, labels != UNKNOWN)
                yield tile

    def examples(self, numbers: Sequence[int], threshold: float) -> dict[int, Example]:
        """Return some tiles by their number; they are made once more."""
        shown = [self._data.bands.index(name) for name in shown_bands(self._data.bands)]
        batches = self._data.validation_batches(self._batch_size)
        examples: dict[int, Example] = {}
        first = 0
        for batch in batches:
            inside = [n - first for n in numbers if first <= n < first + len(batch.labels)]
            if inside:
                part = Batch(batch.images[inside], batch.labels[inside])
                for index, probability in zip(inside, self._probability(part), strict=True):
                    labels, mapped = batch.labels[index], probability >= threshold
                    examples[first + index] = Example(
                        name=self._data.validation_name(first + index),
                        image=batch.images[index, shown].numpy(),
                        labels=labels,
                        probability=probability,
                        counts=Confusion.of(mapped, labels > 0, labels != UNKNOWN),
                    )
            first += len(batch.labels)
        return examples

    def _probability(self, batch: Batch) -> NDArray[np.float32]:
        with torch.inference_mode():
            return self._task.probability(self._network, batch, self._device)


def _fraction_seen(data: Tiles, batch_size: int) -> float:
    landslide = labelled = 0
    for batch in islice(data.train_batches(1, batch_size), COUNTED):
        mask = batch.labels != UNKNOWN
        labelled += int(mask.sum())
        landslide += int(((batch.labels > 0) & mask).sum())
    return landslide / max(labelled, 1)
