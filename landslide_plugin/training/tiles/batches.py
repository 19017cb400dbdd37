"""Batches of tiles cut from the samples: scaled, turned, and read ahead."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, repeat
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...contract.choices import Train
from ...contract.errors import InputError
from ...core.ahead import read_ahead
from ...core.memory import available_memory
from ...core.progress import Progress
from ...raster.validity import nearest_valid
from ...samples.sample_set import UNKNOWN, Sample, SampleSet
from .augmentation import Augmentation
from .cutting import Patch, Shape, cut
from .enhancement import landslide_box, paste, splice

MEMORY, MEMORY_SHARE = 2**32, 0.25
"""Bytes of patches that are kept at most, and share of the free memory, of which a container may
have less than the system tells; what goes beyond is read in each epoch."""
WINDOW = 512
"""Side of what a map shows such a network at once; validation tiles grow no further."""
STEP = 32
"""Validation tiles that are larger than training's have a side of a multiple of so many pixels, so
that patches of nearly one size go through the network together."""
AHEAD = 2
"""Batches that are made while the network is busy, each in a thread of its own."""


@dataclass(frozen=True)
class Batch:
    """Tiles of one size.

    Attributes:
        images: float32 (N, bands, size, size), z-scored, those of the nearest valid pixel where
            invalid, 0 in a tile without any.
        labels: uint16 (N, size, size): 0 background, 1..n one landslide each, or `UNKNOWN`.
    """

    images: Tensor
    labels: NDArray[np.uint16]


class _Cut(NamedTuple):
    """A validation tile: its patch, the pixel from which on it tells, and its side."""

    sample: Sample
    row: int
    col: int
    side: int


class Tiles:
    """The tiles of a sample set.

    A training tile is cut at random from its patch, on a landslide if there is one, and changed
    by augmentation; validation tiles cover their patch as it is, each pixel known once. A patch
    smaller than the tile is filled up with unknown pixels.

    A network that reads at several scales is judged at all of them: validation tiles are as many
    times larger, up to the patch and to a map's windows, so that its coarsest reading sees in them
    as many pixels as a training tile has.

    Args:
        samples: the set.
        bands: names of the bands to use.
        size: side of the tiles in pixels.
        seed: together with epoch and sample it determines each training tile, whatever the number
            of threads.
        train: patches to train on; those of the set's train split when None.
        validation: patches to validate on; those of the set's validation split when None.
        augmentation: what happens to training tiles, and what copies there are of them.
        enhancement: share of the training tiles, 0..1, that are spliced or pasted anew from a
            patch with landslide and others without (of those with, where the set has no other).
        pasted: share of these that are pasted, the rest is spliced.
        coarsest: by how much the network reduces an image for its coarsest reading.

    Raises:
        InputError: the share is out of its range.
    """

    def __init__(
        self,
        samples: SampleSet,
        bands: list[str],
        size: int,
        seed: int,
        train: Sequence[Sample] | None = None,
        validation: Sequence[Sample] | None = None,
        augmentation: Augmentation | None = None,
        enhancement: float = 0.0,
        pasted: float = Train.PASTED.default,
        coarsest: float = 1,
    ) -> None:
        self.samples = samples
        self.bands = bands
        self.size = size
        self.seed = seed
        self.augmentation = augmentation or Augmentation()
        self.enhancement = enhancement
        self.pasted = pasted
        index = [samples.bands.index(band) for band in bands]
        self.mean = [samples.mean[i] for i in index]
        self.std = [samples.std[i] for i in index]
        self.train = list(samples.of_split("train") if train is None else train)
        self.validation = list(samples.of_split("validation") if validation is None else validation)
        self._landslides = [sample for sample in self.train if sample.landslide_pixels]
        self._backgrounds = [sample for sample in self.train if not sample.landslide_pixels]
        copies = [
            (sample, name) for name in self.augmentation.copies for sample in self._landslides
        ]
        tiles = [*((sample, "") for sample in self.train), *copies]
        repeats = [math.ceil(samples.weight(sample)) for sample, _ in tiles]
        self._drawn = list(chain.from_iterable(map(repeat, tiles, repeats)))
        self._chance = np.array(
            [samples.weight(s) / math.ceil(samples.weight(s)) for s, _ in self._drawn]
        )
        self._cuts = sorted(self._validation_cuts(coarsest), key=lambda cut: cut.side)
        self._kept: dict[str, Patch] = {}
        self._room = min(MEMORY, MEMORY_SHARE * available_memory())
        self._lock = Lock()

    def scan(self, progress: Progress) -> list[str]:
        """Read every patch once; return the bands that are constant in the train patches.

        Raises:
            InputError: a patch is damaged.
        """
        low = np.full(len(self.bands), np.inf)
        high = -low
        patches = [*self.train, *self.validation]
        for number, sample in enumerate(progress.track(patches, len(patches))):
            values, valid, _ = self._patch(sample)
            if number < len(self.train) and valid.any():
                usable = values[:, valid]
                low, high = np.minimum(low, usable.min(1)), np.maximum(high, usable.max(1))
        if not np.isfinite(low).all():
            raise InputError(
                f"No train patch of {self.samples.folder} has a pixel that is valid in all bands: "
                "leave out the band that is empty and make the samples anew."
            )
        return [band for band, a, b in zip(self.bands, low, high, strict=True) if a == b]

    @property
    def epoch_size(self) -> int:
        """Tiles that an epoch trains on."""
        return max(1, int(self._chance.sum() + 1e-6))

    def train_batches(self, epoch: int, batch_size: int, first: int = 0) -> Iterator[Batch]:
        """Yield every train patch once and all copies, shuffled, in batches of nearly equal size.

        Where the samples are of several folders, each patch as often as its folder's weight says.

        Args:
            epoch: number of the epoch; each has an order and tiles of its own.
            batch_size: largest number of tiles in a batch.
            first: batches to leave out at the beginning, for going on within an epoch.
        """
        order = self._order(epoch)
        # Equal sizes: batch normalization on a last batch of one or two would spoil the weights.
        groups = np.array_split(order, self.train_steps(batch_size))

        def make(group: NDArray[np.int64]) -> Batch:
            return self._batch([self._train_tile(epoch, int(number)) for number in group])

        return read_ahead(make, groups[first:], AHEAD)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """Return the numbers of an epoch's tiles, shuffled.

        Those of chance 1 are all in it, of the others as many as their chances add up to
        (systematic sampling, Madow 1949).
        """
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(len(self._drawn))
        if self.epoch_size == len(order):
            return order
        ends = np.cumsum(self._chance[order])
        steps = (np.arange(self.epoch_size) + rng.random()) * ends[-1] / self.epoch_size
        chosen: NDArray[np.int64] = order[np.searchsorted(ends, steps)]
        return chosen

    def train_steps(self, batch_size: int) -> int:
        """Return how many batches an epoch has."""
        return max(1, -(-self.epoch_size // batch_size))

    def validation_batches(self, batch_size: int) -> Iterator[Batch]:
        """Yield tiles that cover every validation patch."""

        def make(cuts: Sequence[_Cut]) -> Batch:
            return self._batch([self._validation_tile(cut) for cut in cuts])

        return read_ahead(make, self._validation_groups(batch_size), AHEAD)

    def validation_steps(self, batch_size: int) -> int:
        """Return how many batches the validation has."""
        return len(self._validation_groups(batch_size))

    def validation_patches(self) -> list[Sample]:
        """Return the patch that each validation tile covers a part of."""
        return [cut.sample for cut in self._cuts]

    def labels(self, sample: Sample) -> NDArray[np.uint16]:
        """Return the labels of a whole patch, uint16 (rows, columns), as of `Batch`."""
        return self._patch(sample).labels

    def validation_name(self, number: int) -> str:
        """Return where the validation tile of a number, from 0, comes from."""
        sample, row, col, _ = self._cuts[number]
        column, line = sample.window[0] + col, sample.window[1] + row
        return f"{Path(sample.source).name}, column {column}, row {line}"

    def _validation_tile(self, wanted: _Cut) -> Patch:
        """Cut the tile that is to tell of the pixels from a row and column on.

        At the lower and right edge it begins before them, so that it sees what is around them.
        """
        sample, row, col, length = wanted
        patch = self._patch(sample)
        top, left = (
            max(min(first, side - length), 0)
            for first, side in zip((row, col), patch.shape, strict=True)
        )
        tile = cut(patch, top, left, (length, length))
        if (top, left) == (row, col):
            return tile
        labels = np.full_like(tile.labels, UNKNOWN)
        labels[row - top :, col - left :] = tile.labels[row - top :, col - left :]
        return tile._replace(labels=labels)

    def _validation_cuts(self, coarsest: float) -> Iterator[_Cut]:
        for sample in self.validation:
            cols, rows = sample.window[2:]
            whole = -(-max(rows, cols) // STEP) * STEP
            side = max(self.size, min(whole, int(coarsest * self.size), WINDOW))
            for row in range(0, rows, side):
                for col in range(0, cols, side):
                    yield _Cut(sample, row, col, side)

    def _validation_groups(self, batch_size: int) -> list[list[_Cut]]:
        """Return the tiles of each batch: of one size, with no more pixels than training's have."""
        groups: list[list[_Cut]] = []
        for side, alike in groupby(self._cuts, key=lambda cut: cut.side):
            cuts, most = list(alike), max(batch_size * self.size**2 // side**2, 1)
            groups.extend(cuts[first : first + most] for first in range(0, len(cuts), most))
        return groups

    def _patch(self, sample: Sample) -> Patch:
        if sample.id in self._kept:
            return self._kept[sample.id]
        patch = Patch(*self.samples.load(sample, self.bands))
        size = sum(part.nbytes for part in patch)
        with self._lock:
            if size <= self._room and sample.id not in self._kept:
                self._room -= size
                self._kept[sample.id] = patch
        return patch

    def _train_tile(self, epoch: int, number: int) -> Patch:
        rng = np.random.default_rng([self.seed, epoch, number])
        sample, copied_by = self._drawn[number]
        if self._landslides and rng.random() < self.enhancement:
            tile = self._enhanced(sample, rng)
        else:
            tile = self._augmented(sample, (self.size, self.size), rng)
        if copied_by:
            tile = self.augmentation.copy(tile, copied_by, self.bands, self.std, rng)
        tile = self.augmentation.recolour(tile, self.bands, self.mean, self.std, rng)
        return self.augmentation.hide(tile, rng)

    def _augmented(self, sample: Sample, shape: Shape, rng: np.random.Generator) -> Patch:
        return self.augmentation.cut(self._patch(sample), shape, self.bands, rng)

    def _enhanced(self, sample: Sample, rng: np.random.Generator) -> Patch:
        """Make a tile of the sample and of random others: spliced or pasted."""
        holds = bool(sample.landslide_pixels)
        landslide = sample if holds else _any_of(self._landslides, rng)

        def background() -> Sample:
            return _any_of(self._backgrounds or self._landslides, rng)

        if rng.random() >= self.pasted:

            def take(wanted: bool, shape: Shape) -> Patch:
                return self._augmented(landslide if wanted else background(), shape, rng)

            return splice(take, len(self.bands), self.size, rng)
        target = self._augmented(background() if holds else sample, (self.size, self.size), rng)
        box = landslide_box(self._patch(landslide), self.size, rng)
        return paste(target, self.augmentation.turn(box, self.bands, rng), rng)

    def _batch(self, tiles: list[Patch]) -> Batch:
        mean = np.asarray(self.mean, np.float32)[:, None, None]
        std = np.asarray(self.std, np.float32)[:, None, None]
        images = np.stack(
            [nearest_valid((values - mean) / std * valid, valid) for values, valid, _ in tiles]
        )
        return Batch(torch.from_numpy(images), np.stack([labels for _, _, labels in tiles]))


def _any_of(samples: list[Sample], rng: np.random.Generator) -> Sample:
    return samples[int(rng.integers(len(samples)))]
