"""Batches of tiles cut from the samples: scaled, turned, and read ahead."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from ..progress import Progress
from ..samples.sample_set import UNKNOWN, Sample, SampleSet
from .augmentation import turn, turn_bands, turnings

MEMORY = 2**30
"""Bytes of patches that are kept; what goes beyond is read from the disk in each epoch."""
AHEAD = 2
"""Batches that are made while the network is busy."""

Patch = tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.uint16]]


@dataclass(frozen=True)
class Batch:
    """Tiles of one size.

    Attributes:
        images: float32 (N, bands, size, size), z-scored, 0 where invalid.
        labels: uint16 (N, size, size): 0 background, 1..n one landslide each, or `UNKNOWN`.
    """

    images: Tensor
    labels: NDArray[np.uint16]


class Tiles:
    """The tiles of a sample set.

    A training tile is cut at random from its patch, on a landslide if there is one, turned and
    mirrored; validation tiles cover their patch. A patch smaller than the tile is filled up with
    unknown pixels.

    Args:
        samples: the set.
        bands: names of the bands to use.
        size: side of the tiles in pixels.
        seed: together with epoch and sample it determines each training tile.
    """

    def __init__(self, samples: SampleSet, bands: list[str], size: int, seed: int) -> None:
        self.samples = samples
        self.bands = bands
        self.size = size
        self.seed = seed
        index = [samples.bands.index(band) for band in bands]
        self.mean = [samples.mean[i] for i in index]
        self.std = [samples.std[i] for i in index]
        self.train = samples.of_split("train")
        self.validation = samples.of_split("validation")
        self._kept: dict[str, Patch] = {}
        self._room = MEMORY

    def scan(self, progress: Progress) -> list[str]:
        """Read every patch once; return the bands that are constant in the train patches.

        Raises:
            InputError: a patch is damaged.
        """
        low = np.full(len(self.bands), np.inf)
        high = -low
        patches = [*self.train, *self.validation]
        for sample in progress.track(patches, len(patches)):
            values, valid, _ = self._patch(sample)
            if sample.split == "train" and valid.any():
                known = values[:, valid]
                low, high = np.minimum(low, known.min(1)), np.maximum(high, known.max(1))
        if not np.isfinite(low).all():
            raise InputError(
                f"No train patch of {self.samples.folder} has a pixel that is valid in all bands: "
                "leave out the band that is empty and make the samples anew."
            )
        return [band for band, a, b in zip(self.bands, low, high, strict=True) if a == b]

    def train_batches(self, epoch: int, batch_size: int) -> Iterator[Batch]:
        """Yield every train patch once, shuffled, in batches of nearly equal size."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.train))
        # Equal sizes: batch normalization on a last batch of one or two would spoil the weights.
        groups = np.array_split(order, self.train_steps(batch_size))

        def make(group: NDArray[np.int64]) -> Batch:
            return self._batch([self._train_tile(epoch, int(number)) for number in group])

        return _ahead(make, groups)

    def train_steps(self, batch_size: int) -> int:
        """Return how many batches an epoch has."""
        return max(1, -(-len(self.train) // batch_size))

    def validation_batches(self, batch_size: int) -> Iterator[Batch]:
        """Yield tiles that cover every validation patch."""
        corners = self._validation_corners()
        starts = range(0, len(corners), batch_size)

        def make(start: int) -> Batch:
            chosen = corners[start : start + batch_size]
            return self._batch(
                [self._cut(self._patch(sample), row, col) for sample, row, col in chosen]
            )

        return _ahead(make, starts)

    def validation_steps(self, batch_size: int) -> int:
        """Return how many batches the validation has."""
        return -(-len(self._validation_corners()) // batch_size)

    def validation_name(self, number: int) -> str:
        """Return where the validation tile of a number, from 0, comes from."""
        sample, row, col = self._validation_corners()[number]
        column, line = sample.window[0] + col, sample.window[1] + row
        return f"{Path(sample.source).name}, column {column}, row {line}"

    def showcase(self, count: int) -> Batch:
        """Return up to `count` validation tiles, evenly chosen from the patches with landslide."""
        patches = [sample for sample in self.validation if sample.landslide_pixels]
        chosen = np.unique(np.linspace(0, len(patches) - 1, count).round().astype(int))
        return self._batch([self._fullest(patches[number]) for number in chosen])

    def _fullest(self, sample: Sample) -> Patch:
        """Return the validation tile of a patch with most landslide pixels."""
        patch = self._patch(sample)
        corners = [corner for corner in self._validation_corners() if corner[0] is sample]
        tiles = [self._cut(patch, row, col) for _, row, col in corners]
        return max(tiles, key=lambda tile: ((tile[2] > 0) & (tile[2] < UNKNOWN)).sum())

    def _validation_corners(self) -> list[tuple[Sample, int, int]]:
        return [
            (sample, row, col)
            for sample in self.validation
            for row in range(0, sample.window[3], self.size)
            for col in range(0, sample.window[2], self.size)
        ]

    def _patch(self, sample: Sample) -> Patch:
        if sample.id in self._kept:
            return self._kept[sample.id]
        patch = self.samples.load(sample, self.bands)
        size = sum(part.nbytes for part in patch)
        if size <= self._room:
            self._room -= size
            self._kept[sample.id] = patch
        return patch

    def _train_tile(self, epoch: int, number: int) -> Patch:
        rng = np.random.default_rng([self.seed, epoch, number])
        patch = self._patch(self.train[number])
        values, valid, labels = self._cut(patch, *self._random_corner(patch[2], rng))
        choices = turnings(self.bands)
        quarters, mirrored = choices[rng.integers(len(choices))]
        return (
            turn_bands(values, self.bands, quarters, mirrored),
            turn(valid, quarters, mirrored),
            turn(labels, quarters, mirrored),
        )

    def _random_corner(
        self, labels: NDArray[np.uint16], rng: np.random.Generator
    ) -> tuple[int, int]:
        """Choose row and column of a tile; with landslides, so that it holds a pixel of one.

        Negative where the patch is smaller than the tile.
        """
        spare = [side - self.size for side in labels.shape]
        hold = None
        if max(spare) > 0:
            landslide = np.flatnonzero((labels > 0) & (labels < UNKNOWN))
            if landslide.size:
                hold = np.unravel_index(rng.choice(landslide), labels.shape)
        corner = []
        for axis, room in enumerate(spare):
            low, high = min(room, 0), max(room, 0)
            if hold is not None and room > 0:
                low, high = max(low, hold[axis] - self.size + 1), min(high, hold[axis])
            corner.append(int(rng.integers(low, high + 1)))
        return corner[0], corner[1]

    def _cut(self, patch: Patch, row: int, col: int) -> Patch:
        """Cut the tile whose upper left pixel is at row and column; beyond the patch is unknown."""
        values, valid, labels = patch
        height, width = labels.shape
        if (height, width) == (self.size, self.size):
            return patch
        rows = slice(max(row, 0), min(row + self.size, height))
        cols = slice(max(col, 0), min(col + self.size, width))
        place = (
            slice(rows.start - row, rows.stop - row),
            slice(cols.start - col, cols.stop - col),
        )
        square = (self.size, self.size)
        cut = (
            np.zeros((len(values), *square), np.float32),
            np.zeros(square, bool),
            np.full(square, UNKNOWN, np.uint16),
        )
        cut[0][:, *place] = values[:, rows, cols]
        cut[1][place] = valid[rows, cols]
        cut[2][place] = labels[rows, cols]
        return cut

    def _batch(self, tiles: list[Patch]) -> Batch:
        mean = np.asarray(self.mean, np.float32)[:, None, None]
        std = np.asarray(self.std, np.float32)[:, None, None]
        images = np.stack([(values - mean) / std * valid for values, valid, _ in tiles])
        return Batch(torch.from_numpy(images), np.stack([labels for _, _, labels in tiles]))


def _ahead(make: Callable[..., Batch], items: Iterable) -> Iterator[Batch]:
    """Yield make(item) of each item, the next ones being made in a thread meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        waiting: deque = deque()
        for item in items:
            waiting.append(pool.submit(make, item))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
