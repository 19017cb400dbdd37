"""Batches of whole images with one label each, half of them with a landslide."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ...contract.choices import TrainWeak
from ...contract.errors import InputError
from ...raster.resampling import resampled
from ...raster.turning import directions_turned, turn_bands, turnings
from ...raster.validity import nearest_valid
from ...samples.sample_set import Sample, SampleSet
from ..tiles.batches import Batch

RESIZE = "resize"
TURN_DIRECTIONS = False
"""Whether directions in bands turn with an image."""
FEWEST = 2
"""Images of each kind below which nothing can be learnt."""


class Images:
    """The images of a sample set as the training loop is fed with them.

    Their label alone is used: whether the samples say that there is a landslide somewhere. An
    image is reduced, cut to the tile at random (validation: from its middle) and, where it is
    smaller, continued by its mirror image; or the whole of it is resized to the tile, as in Zhou et
    al. 2022. Images without landslide are cut to the size of one with landslide first: else the
    size alone could tell them apart.

    Args:
        samples: the set.
        bands: names of the bands to use.
        size: side of the tiles in pixels, after the reduction.
        seed: of order and cuts.
        reduction: pixels along a side that become one, by their mean.
        fit: "crop" or "resize".

    Raises:
        InputError: a split lacks images of one kind.
    """

    def __init__(
        self,
        samples: SampleSet,
        bands: Sequence[str],
        size: int,
        seed: int,
        reduction: int = 1,
        fit: str = TrainWeak.FIT.default,
    ) -> None:
        self.samples, self.bands, self.size = samples, list(bands), size
        self.seed, self.reduction, self.fit = seed, reduction, fit
        index = [samples.bands.index(band) for band in bands]
        self.mean = [samples.mean[number] for number in index]
        self.std = [samples.std[number] for number in index]
        self.train = self._split("train")
        self.validation = self._split("validation")
        self._shapes = [sample.window[3:1:-1] for sample in self.train[True]]

    @property
    def step(self) -> float:
        """Pixels of the samples along one of the tiles; of resized images, in the mean."""
        if self.fit == RESIZE:
            return float(np.mean(self._shapes)) / self.size
        return float(self.reduction)

    def train_batches(self, epoch: int, batch_size: int, first: int = 0) -> Iterator[Batch]:
        """Yield batches in which images with landslide and without take turns.

        In an epoch each image with landslide comes once, and as many without.
        """
        rng = np.random.default_rng([self.seed, epoch])
        half = self._half(batch_size)
        orders = {kind: rng.permutation(len(self.train[kind])) for kind in (True, False)}
        for step in range(first, self.train_steps(batch_size)):
            chosen = [
                self.train[kind][orders[kind][number % len(orders[kind])]]
                for number in range(step * half, (step + 1) * half)
                for kind in (True, False)
            ]
            rngs = (np.random.default_rng([self.seed, epoch, step, n]) for n in range(len(chosen)))
            yield self._batch(chosen, rngs)

    def train_steps(self, batch_size: int) -> int:
        """Return how many batches an epoch has."""
        return -(-len(self.train[True]) // self._half(batch_size))

    def validation_batches(self, batch_size: int) -> Iterator[Batch]:
        """Yield the validation images, each once."""
        every = [*self.validation[True], *self.validation[False]]
        for start in range(0, len(every), batch_size):
            chosen = every[start : start + batch_size]
            yield self._batch(chosen, [None] * len(chosen), start)

    def validation_steps(self, batch_size: int) -> int:
        """Return how many batches these are."""
        return -(-sum(map(len, self.validation.values())) // batch_size)

    def tile(self, sample: Sample) -> NDArray[np.float32]:
        """Return the middle of an image, or all of it resized, z-scored, (bands, size, size)."""
        return self._scaled(self._fit(self._reduced(sample), None))

    def _split(self, name: str) -> dict[bool, list[Sample]]:
        chosen = self.samples.of_split(name)
        kinds = {
            kind: [sample for sample in chosen if sample.holds_landslide == kind]
            for kind in (True, False)
        }
        for kind, word in ((True, "with"), (False, "without")):
            if len(kinds[kind]) < FEWEST:
                raise InputError(
                    f"The {name} part of {self.samples.folder} has {len(kinds[kind])} images {word}"
                    f" landslide: image labels teach by comparing both kinds, give at least "
                    f"{FEWEST} of each."
                )
        return kinds

    def _batch(
        self,
        chosen: Sequence[Sample],
        rngs: Iterator[np.random.Generator] | Sequence[None],
        number: int = 0,
    ) -> Batch:
        tiles, labels = [], []
        for offset, (sample, rng) in enumerate(zip(chosen, rngs, strict=True)):
            values = self._reduced(sample)
            if not sample.holds_landslide:
                cutter = rng or np.random.default_rng([self.seed, number + offset])
                shape = self._shapes[cutter.integers(len(self._shapes))]
                wanted = [max(side // self.reduction, 1) for side in shape]
                values = self._window(values, wanted, cutter)
            tile = self._fit(values, rng)
            if rng is not None:
                directions = directions_turned(self.bands, along=TURN_DIRECTIONS)
                choices = turnings(directions)
                tile = turn_bands(tile, directions, *choices[rng.integers(len(choices))])
            tiles.append(self._scaled(tile))
            labels.append(int(sample.holds_landslide))
        images = torch.from_numpy(np.stack(tiles))
        return Batch(images, np.array(labels, np.uint16)[:, None, None])

    def _reduced(self, sample: Sample) -> NDArray[np.float32]:
        """Return an image, unscaled, with the nearest valid pixel's values where invalid."""
        values, valid, _ = self.samples.load(sample, self.bands)
        mean = np.array(self.mean, np.float32)[:, None, None]
        values = nearest_valid(np.where(valid, values, mean), valid)
        step = self.reduction
        if step == 1:
            return values
        height, width = (max(side // step, 1) * step for side in values.shape[1:])
        to_a_step = [(0, 0), *((0, max(step - side, 0)) for side in values.shape[1:])]
        padded = np.pad(values, to_a_step, mode="edge")[:, :height, :width]
        bands = len(values)
        blocks = padded.reshape(bands, height // step, step, width // step, step)
        reduced: NDArray[np.float32] = blocks.mean((2, 4))
        return reduced

    def _fit(
        self, values: NDArray[np.float32], rng: np.random.Generator | None
    ) -> NDArray[np.float32]:
        if self.fit == RESIZE:
            whole = torch.from_numpy(np.ascontiguousarray(values))[None]
            return resampled(whole, self.size, self.bands)[0].numpy()
        values = self._window(values, (self.size, self.size), rng)
        short = [self.size - side for side in values.shape[1:]]
        around = [(gap // 2, gap - gap // 2) for gap in short]
        return np.pad(values, [(0, 0), *around], mode="symmetric")

    @staticmethod
    def _window(
        values: NDArray[np.float32], wanted: Sequence[int], rng: np.random.Generator | None
    ) -> NDArray[np.float32]:
        """Cut to at most the size wanted, at random or from the middle."""
        spans = []
        for side, length in zip(values.shape[1:], wanted, strict=True):
            spare = max(side - length, 0)
            start = spare // 2 if rng is None else int(rng.integers(spare + 1))
            spans.append(slice(start, start + length))
        return values[:, *spans]

    def _scaled(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        mean, std = (np.array(part, np.float32)[:, None, None] for part in (self.mean, self.std))
        return np.ascontiguousarray((values - mean) / std)

    def _half(self, batch_size: int) -> int:
        return max(batch_size // 2, 1)
