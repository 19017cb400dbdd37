"""What a model is trained on and from: all that the result depends on besides `Settings`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..contract.errors import InputError
from ..samples.sample_set import IMAGE_LABELS, Sample, SampleSet
from ..samples.splits import Fold, balanced, folds
from .loop.contracts import Task
from .loop.losses import tuned
from .loop.semantic import SemanticTask
from .start import Start
from .tiles.augmentation import SCALE, TURN_DIRECTIONS, VIEW, Augmentation
from .tiles.batches import Tiles

SMALLEST_TILE, LARGEST_TILE = 16, 2048
EVENLY = ", at most as many patches without landslide as with"
FAR_MEAN, FAR_STD = 5.0, 1.0
"""Samples whose mean is more deviations away than this from the model's, or whose deviation is more
powers of ten larger or smaller, have other units."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training's ingredients.

    Attributes:
        data: the samples.
        start: what the network begins from.
        bands: names of the bands to use.
        mean: what is taken from each band.
        std: what it is then divided by.
        size: side of the tiles in pixels.
        loss: its name.
        tuning: what the loss takes besides; see `losses.tuned`.
        augmentation: of the training tiles.
        enhancement: share of tiles with another background.
        pasted: share of these whose landslide is pasted; the others are spliced.
        passes: times that train patches with landslide are seen in an epoch.
        folds: number of parts that take turns as validation; below 2 for the set's own split.
        balanced_validation: whether at most as many validation patches without landslide as with
            choose epoch and threshold.
        seed: of folds and tiles.
    """

    data: SampleSet
    start: Start
    bands: list[str]
    mean: list[float]
    std: list[float]
    size: int
    loss: str
    tuning: dict[str, Any]
    augmentation: Augmentation
    enhancement: float
    pasted: float
    passes: int
    folds: int
    balanced_validation: bool
    seed: int

    def check(self) -> None:
        """Refuse what can't be trained, before any long work.

        Raises:
            InputError: the samples are unfit, or their size or the folds don't go with the network.
        """
        if self.data.labels == IMAGE_LABELS:
            raise InputError(
                f"The samples {self.data.folder} say of each image whether it holds a landslide, "
                "not where: train on them by 'Train a model from image labels' "
                "(landslide:trainweak)."
            )
        if not SMALLEST_TILE <= self.size <= LARGEST_TILE:
            raise InputError(
                f"The tile size {self.size} must be within {SMALLEST_TILE} to {LARGEST_TILE} "
                "pixels."
            )
        if self.folds > 1 and self.start.is_instance:
            raise InputError(
                f"{self.start.architecture} finds single landslides, which can't be averaged over "
                "folds: set the folds to 0."
            )
        if self.start.arguments.get("turned") and self.augmentation.directions(self.bands):
            raise InputError(
                "A network that reads in quarter turns (TURNED) leaves directions in bands as they "
                "are: train without AUGMENTATION's turn_directions, or don't have it read turned."
            )
        if self.data.imbalance >= 1:
            raise InputError(
                f"The train samples of {self.data.folder} hold landslide only: make the samples "
                "anew with background."
            )

    def parts(self) -> list[Fold]:
        """Return the (train, validation) patches of each training.

        Raises:
            InputError: there are none, or without landslide, or too few for the folds.
        """
        if self.folds > 1:
            return folds(self.data, self.folds, self.seed)
        train, validation = self.data.of_split("train"), self.data.of_split("validation")
        for name, patches in (("train", train), ("validation", validation)):
            if not patches:
                raise InputError(
                    f"{self.data.folder} has no {name} samples: make the samples anew with more "
                    "blocks, smaller tiles or another share for validation."
                )
            if not any(sample.landslide_pixels for sample in patches):
                raise InputError(
                    f"No {name} sample of {self.data.folder} holds a landslide: make the samples "
                    "anew with more landslides, or with another seed or share for validation."
                )
        return [(train, validation)]

    def judges(self, fold: Fold) -> Fold:
        """Return one of the `parts` with those patches that choose its epoch and threshold."""
        train, validation = fold
        return train, balanced(validation) if self.balanced_validation else validation

    def tiles(self, fold: Fold, seed: int) -> Tiles:
        """Return the tiles of one of the `parts`."""
        train, validation = fold
        tiles = Tiles(
            self.data,
            self.bands,
            self.size,
            seed,
            self._passed(train),
            validation,
            self.augmentation,
            self.enhancement,
            self.pasted,
            max(self.start.arguments.get("scales", (1,))),
        )
        tiles.mean, tiles.std = self.mean, self.std
        return tiles

    def _passed(self, patches: Sequence[Sample]) -> list[Sample]:
        """Return train patches as often as an epoch sees them."""
        return [
            patch for patch in patches for _ in range(self.passes if patch.landslide_pixels else 1)
        ]

    def task(self) -> Task:
        """Return what the loop asks of this kind of network."""
        if self.start.is_instance:
            from .loop.instances import InstanceTask

            return InstanceTask()
        return SemanticTask(tuned(self.loss, **self.tuning))

    def fingerprint(self) -> str:
        """Return a text that differs where the recipe does; the folder may have moved."""
        facts = {
            **vars(self),
            "data": replace(self.data, folder=Path()),
            "start": self.start.recipe(),
        }
        if self.data.further:
            facts["further"] = self.data.further
        return repr(facts)

    def facts(self) -> dict[str, Any]:
        """Return what the model card tells of it."""
        data, augmented = self.data, self.augmentation
        counts = [len(patches) for patches in self.judges(self.parts()[0])]
        card = self.start.card
        return {
            "data": data.folder.name,
            **self._further(),
            "sources": [Path(source).name for source in data.sources],
            "train_samples": counts[0],
            "validation_samples": counts[1],
            "landslide_share": data.imbalance,
            "split": data.split,
            "split_seed": data.seed,
            "folds": self.folds,
            **({"balanced_validation": True} if self.balanced_validation else {}),
            "loss": "the network's own" if self.start.is_instance else self.loss,
            **self.tuning,
            "backbone": self.start.backbone,
            "pretrained": self.start.pretrained,
            "start_from": card.name if card else "",
            "augmentation": ", ".join(augmented.names) or "none",
            "turn_directions": TURN_DIRECTIONS in augmented.names,
            **({"views": list(augmented.views)} if VIEW in augmented.names else {}),
            **({"largest_scale": augmented.largest_scale} if SCALE in augmented.names else {}),
            "enhancement": self.enhancement,
            **({"pasted": self.pasted} if self.enhancement else {}),
            "passes": self.passes,
        }

    def _further(self) -> dict[str, Any]:
        """Return what the card tells of further folders of samples."""
        further = self.data.further
        if further is None:
            return {}
        return {
            "more_data": [folder.name for folder in further.folders],
            "samples_weights": further.weights,
            "more_validation": further.judging,
        }

    def split(self) -> str:
        """Return in words what the validation figures are measured on."""
        kind = self.data.split_in_words()
        even = EVENLY if self.balanced_validation else ""
        if self.folds > 1:
            return f"{self.folds}-fold cross-validation {kind}, seed {self.seed}{even}"
        return f"validation part of a split {kind}, seed {self.data.seed}{even}"

    def validated(self) -> int:
        """Return the number of patches that the figures are measured on."""
        judges = map(self.judges, self.parts())
        return len({sample.id for _, patches in judges for sample in patches})


def scaling(
    data: SampleSet, bands: list[str], start: Start
) -> tuple[list[float], list[float], str]:
    """Return means and deviations to scale the bands by, and a warning or "".

    They are those that the network to start from knows, unless its units are others; bands that it
    does not know are scaled by the samples.
    """
    index = [data.bands.index(band) for band in bands]
    statistics = [data.mean[i] for i in index], [data.std[i] for i in index]
    if start.card is None:
        return *statistics, ""
    card = start.card
    names = [*bands, *card.bands]  # the latter's values count
    means = dict(zip(names, [*statistics[0], *card.mean], strict=True))
    stds = dict(zip(names, [*statistics[1], *card.std], strict=True))
    strange = [
        band
        for band, mean, std in zip(bands, *statistics, strict=True)
        if abs(mean - means[band]) / stds[band] > FAR_MEAN
        or abs(np.log10(std / stds[band])) > FAR_STD
    ]
    if not strange:
        return [means[band] for band in bands], [stds[band] for band in bands], ""
    warning = (
        f"The values of {', '.join(strange)} are far from those that the model to start from was "
        "trained on: the bands are scaled anew."
    )
    return *statistics, warning
