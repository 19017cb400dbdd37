"""The card of a trained model: what the training knows, and what whoever trains says of it."""

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...models.calibration import Calibration
from ...models.device import describe
from ...models.model_card import ModelCard, plain_stem
from ...models.registry import task_of
from ..contract.errors import InputError
from ..inference.light import PERCENTILES
from ..samples.sample_set import SampleSet
from .judging.held_out import HeldOut
from .runs import Job, Result

NAMES = re.compile(r"[a-zA-Z][\w.-]+[a-zA-Z0-9]")
"""Names that the STAC extension allows."""
LIGHT_PIXELS = 4_000_000
"""Pixels, evenly spread over the train samples, that their percentiles are taken from."""


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a training can't know of its model.

    Attributes:
        name: of the model; its file's when empty.
        licence: SPDX identifier or text.
        data: what the samples show, and whose they are; the folder's name when empty.
        limits: where the model does not work; `map` warns with it.
        synthetic: whether the samples are generated.
        scene_light: whether the samples' level of light says nothing, as each was stretched by
            itself: a scene is brought to their low and high values then.
        half: whether weights are stored in 16 bits.
        unlabelled: names of scenes that it has learnt from without labels.
    """

    name: str = ""
    licence: str = ""
    data: str = ""
    limits: str = ""
    synthetic: bool = False
    scene_light: bool = False
    half: bool = False
    unlabelled: Sequence[str] = ()

    def check(self) -> None:
        """Refuse a name that no card takes.

        Raises:
            InputError: it is such a name.
        """
        if self.name and not NAMES.fullmatch(self.name):
            raise InputError(
                f"No model can be called {self.name!r}: begin with a letter, and take letters, "
                "digits, '_', '.' and '-', three of them at least."
            )

    def facts(self) -> dict[str, Any]:
        """Return what the part of the card on training tells of it."""
        return {
            **({"data": self.data} if self.data else {}),
            **({"limits": [self.limits]} if self.limits else {}),
            **({"synthetic": True} if self.synthetic else {}),
            "weights": "float16" if self.half else "float32",
            **({"unlabelled": list(self.unlabelled)} if self.unlabelled else {}),
        }


def card_of(
    job: Job,
    result: Result,
    description: Description,
    scene: dict[str, list[float]],
    held_out: HeldOut | None,
) -> ModelCard:
    """Return the card of what a training made.

    Args:
        job: what was trained.
        result: what came of it.
        description: what is said of it.
        scene: what `light_of` returns, or nothing.
        held_out: its figures on test patches, where it has any.
    """
    recipe, settings, calibrated = job.recipe, job.settings, result.calibration
    return ModelCard(
        name=description.name or _name_of(job.model),
        architecture=recipe.start.architecture,
        arguments=recipe.start.arguments,
        task=task_of(recipe.start.architecture),
        bands=recipe.bands,
        mean=recipe.mean,
        std=recipe.std,
        resolution=recipe.data.resolution,
        tile_size=recipe.size,
        classes=list(recipe.data.classes),
        threshold=float(Calibration(calibrated.temperature)(result.threshold)),
        temperature=calibrated.temperature,
        training={
            **recipe.facts(),
            **{key: value for key, value in asdict(settings).items() if key != "device"},
            "ending": result.ending(settings, max(recipe.folds, 1)),
            "best_epoch": result.folds[0].outcome.best.number,
            "seconds": round(result.seconds),
            "device": describe(settings.device),
            "precision": result.precision,
            "torch": torch.__version__,
            **description.facts(),
        },
        metrics={
            "split": recipe.split(),
            "samples": recipe.validated(),
            **result.figures(),
            **calibrated.figures(),
            **({"test": held_out.facts()} if held_out else {}),
        },
        licence=description.licence,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        members=len(result.folds),
        scene=scene,
        units=recipe.data.units_of(recipe.bands),
    )


def light_of(data: SampleSet, bands: list[str]) -> dict[str, list[float]]:
    """Return the low and the high value of each band over the train patches.

    Raises:
        InputError: nearly all values of a band are the same.
    """
    patches = data.of_split("train")
    step = math.ceil(sum(math.prod(patch.window[2:]) for patch in patches) / LIGHT_PIXELS)
    pixels = []
    for patch in patches:
        values, valid, _ = data.load(patch, bands)
        pixels.append(values[:, valid][:, ::step])
    low, high = np.percentile(np.concatenate(pixels, axis=1), PERCENTILES, axis=1)
    flat = [band for band, a, b in zip(bands, low, high, strict=True) if a == b]
    if flat:
        raise InputError(
            f"{', '.join(flat)} hardly varies in the train samples, so that no scene can be "
            "brought to their light: leave the band out, or the scene as it is (SCENE_LIGHT)."
        )
    return {"low": low.tolist(), "high": high.tolist()}


def _name_of(path: Path) -> str:
    """Return the file's stem as a name that the STAC extension allows."""
    stem = plain_stem(path)
    return stem if NAMES.fullmatch(stem) else f"model-{stem or 1}"
