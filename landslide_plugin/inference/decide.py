"""Decides a job: runtimes, light and windows of all its stacks, before any of them is mapped.

Nothing here depends on how busy the machine is, or on which part of a scene lies in which file.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray

from ...models.calibration import calibration_of
from ...models.model_card import ModelCard
from ..core.progress import Progress
from ..raster import Grid, Source
from ..raster.declared import Scaling
from ..raster.scene_date import scene_date
from .fit import fit_units, open_stack
from .light import Lattice, in_light, in_other_units, lattice_step, light_of
from .members import open_members
from .plan import MemberPlan, Plan, versions_of
from .predictor import Predictor
from .resume import content_of, digest_of
from .runtimes import Member, Wish
from .sizes import batch_for, side_of, window_sides, windows_of
from .stack import Stack
from .tiling import Tiling


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a user leaves open or asks for; see the parameters of `predict`.

    Attributes:
        threads: that PyTorch is to compute with; 0 for those it has here.
        light: raster of the scene whose light the stacks are in; empty for that of the stacks.
    """

    device: torch.device
    runtime: str = "auto"
    tile_size: int = 0
    overlap: float | None = None
    batch_size: int = 0
    threshold: float | None = None
    turns: bool = False
    uncertainty: bool = False
    fill: str = "auto"
    landslide_fraction: float | None = None
    threads: int = 0
    light: str = ""


@dataclass(frozen=True)
class Scene:
    """A stack with its plan, and what was found out on the way to it.

    Attributes:
        plan: what decides its pixels.
        predictor: the models, in its units and light.
        stack: what it is opened by.
    """

    plan: Plan
    predictor: Predictor
    stack: Stack

    @contextmanager
    def open(self) -> Iterator[Source]:
        """Open the stack, to be read as the plan says.

        Raises:
            InputError: it can't be read any more.
        """
        with self.stack.open() as source:
            for band, (scale, offset) in self.plan.scaling.items():
                source.scaling[band] = Scaling(scale, offset)
            yield source


@dataclass(frozen=True)
class _Fitted:
    """A stack that was looked at: the models' cards in its units, and their pixels for the light.

    Attributes:
        stack: the stack.
        content: see `content_of`.
        grid: its grid.
        scaling: scale and offset of bands that are read otherwise than their file declares.
        cards: a member each.
        pixels: of each set of bands whose light is fitted.
        date: of the scene; empty where it is not known.
    """

    stack: Stack
    content: str
    grid: Grid
    scaling: dict[str, tuple[float, float]]
    cards: list[ModelCard]
    pixels: dict[tuple[str, ...], NDArray[np.float32]]
    date: str


def decide(
    models: Sequence[str], stacks: Sequence[str], wishes: Wishes, progress: Progress
) -> list[Scene]:
    """Open the models, look at all stacks, and decide what their pixels hang on.

    The runtime is chosen by the work of the whole job, and models that are fitted to a scene's
    light get one light for all stacks.

    Args:
        models: model files.
        stacks: of one scene, where the models are fitted to its light.
        wishes: what is asked for.
        progress: told of the choices, and how much is looked at.

    Raises:
        InputError: a missing or unfit input, or windows that are too small.
        GridError: a stack and a model don't fit.
        ModelFileError: a bad model file, or a stack lacks bands of a model.
    """
    looked = [_look(path) for path in stacks]
    grids = [grid for _, grid in looked]
    Tiling(grids[0].shape, wishes.tile_size or 64, wishes.overlap)  # refuses what makes no windows
    wish = Wish(
        device=wishes.device,
        name=wishes.runtime,
        windows=lambda card: windows_of(grids, card, wishes.tile_size, wishes.device),
        progress=progress,
    )
    with looked[0][0].open() as source:
        members = open_members(models, source, wish, wishes.tile_size)
    joint = Predictor(members, turns=wishes.turns, uncertainty=wishes.uncertainty)
    threshold = _threshold(wishes.threshold, [member.card for member in members], progress)
    lights = [_look(wishes.light)] if wishes.light else []
    step = lattice_step([grid for _, grid in lights] or grids)
    *parts, last = progress.parts(len(stacks) + 1)
    fitted = [
        _fit(stack, members, joint.card, wishes.fill, step, part)
        for (stack, _), part in zip(looked, parts, strict=True)
    ]
    lit_as = fitted
    if wishes.light and any(member.card.scene for member in members):
        lit_as = [_fit(lights[0][0], members, joint.card, wishes.fill, step, last)]
    elif wishes.light:
        progress.message(f"No model is fitted to a scene's light: {wishes.light} has no effect.")
    common = _CommonPart(models, members, wishes, threshold)
    return [common.scene(one) for one in _in_one_light(fitted, lit_as, progress)]


def _look(path: str) -> tuple[Stack, Grid]:
    """Return what a stack is opened by from now on, and its grid."""
    with Stack(path).open() as source:
        return Stack.of(source), source.grid


def _fit(
    stack: Stack,
    members: Sequence[Member],
    joint: ModelCard,
    fill: str,
    step: int,
    progress: Progress,
) -> _Fitted:
    """Look at one stack; see `_Fitted`."""
    with stack.open() as source:
        content = content_of(source, [band for band in joint.bands if band in source.bands])
    searching, lighting = progress.parts(2)
    lit = {tuple(member.card.bands) for member in members if member.card.scene}
    lattice = Lattice(list(dict.fromkeys(chain(*lit))), step)
    with open_stack(stack, joint, searching, fill, lattice.see if lit else None) as source:
        declared = dict(source.scaling)
        cards = [fit_units(member.card, source, progress) for member in members]
        scaling = {
            band: (now.scale, now.offset)
            for band, now in source.scaling.items()
            if now != declared[band]
        }
        return _Fitted(
            stack=Stack.of(source),
            content=content,
            grid=source.grid,
            scaling=scaling,
            cards=cards,
            pixels={bands: lattice.pixels(source, bands, lighting) for bands in lit},
            date=scene_date(source),
        )


def _in_one_light(
    fitted: Sequence[_Fitted], lit_as: Sequence[_Fitted], progress: Progress
) -> list[_Fitted]:
    """Return stacks whose cards are in the light of all of some, where they are fitted to one."""
    cards = {tuple(card.bands): card for card in fitted[0].cards if card.scene}
    lights = {
        bands: light_of([one.pixels[bands] for one in lit_as], card, progress)
        for bands, card in cards.items()
    }
    scene = "of the other stacks, with which it gets one light"
    if lit_as is not fitted:
        scene = f"{lit_as[0].stack.path} that the light is taken from"
    for one in fitted:
        if any(in_other_units(one.pixels[bands], light) for bands, light in lights.items()):
            progress.warning(
                f"{one.stack.path} is no part of the scene {scene}, or its values are in other "
                "units: give all in the same ones."
            )
    days = sorted({one.date for one in [*fitted, *lit_as] if one.date})
    if lights and len(days) > 1:
        progress.warning(
            f"The stacks are of {len(days)} days, {days[0]} to {days[-1]}, and get one light: map "
            "each day in a run of its own."
        )
    return [
        replace(
            one,
            cards=[
                in_light(card, lights[tuple(card.bands)]) if card.scene else card
                for card in one.cards
            ],
            pixels={},
        )
        for one in fitted
    ]


class _CommonPart:
    """What all plans of a job have in common.

    Args:
        models: the files.
        members: the models, open.
        wishes: what is asked for.
        threshold: probability from which a pixel is landslide.
    """

    def __init__(
        self,
        models: Sequence[str],
        members: Sequence[Member],
        wishes: Wishes,
        threshold: float,
    ) -> None:
        self._models = list(models)
        self._members = list(members)
        self._wishes = wishes
        self._threshold = threshold
        self._files = [digest_of(path) for path in models]
        self._versions = versions_of([member.runtime.name for member in members])
        cards = [member.card for member in members]
        self._calibration = calibration_of(cards, wishes.landslide_fraction)
        self._side = side_of(members, wishes.tile_size, wishes.device)

    def scene(self, fitted: _Fitted) -> Scene:
        """Return a stack with its plan."""
        wishes, grid = self._wishes, fitted.grid
        members = [
            replace(member, card=card)
            for member, card in zip(self._members, fitted.cards, strict=True)
        ]
        predictor = Predictor(members, turns=wishes.turns, uncertainty=wishes.uncertainty)
        size, side = window_sides(grid, predictor.card, *self._side)
        batch = batch_for(max(size, side), wishes.device, predictor.side_by_side)
        plan = Plan(
            versions=self._versions,
            device=wishes.device.type,
            models=self._models,
            files=self._files,
            members=[planned(member) for member in members],
            path=fitted.stack.path,
            content=fitted.content,
            scaling=fitted.scaling,
            size=size,
            side=side,
            shared=Tiling(grid.shape, size, wishes.overlap).shared,
            batch_size=wishes.batch_size or batch,
            turns=wishes.turns,
            uncertainty=wishes.uncertainty,
            fill=wishes.fill,
            threshold=self._threshold,
            temperature=self._calibration.temperature,
            shift=self._calibration.shift,
            threads=wishes.threads or torch.get_num_threads(),
        )
        resampled = predictor.resampled(side if plan.is_resampled else 0)
        return Scene(plan, resampled, fitted.stack)


def planned(member: Member) -> MemberPlan:
    """Return what a plan says of a model that is open."""
    card = member.card
    return MemberPlan(
        name=card.name,
        runtime=member.runtime.name,
        bands=card.bands,
        mean=card.mean,
        std=card.std,
    )


def _threshold(asked: float | None, cards: Sequence[ModelCard], progress: Progress) -> float:
    """Return what was asked for, else the first model's; tell which, and where models differ."""
    if asked is not None:
        progress.message(f"The threshold is {asked:g}, as asked for.")
        return asked
    thresholds = dict.fromkeys((card.name, card.threshold) for card in cards)
    first = cards[0]
    progress.message(f"The threshold is {first.threshold:g}, that of the model {first.name}.")
    if len({threshold for _, threshold in thresholds}) > 1:
        listed = ", ".join(f"{name} {threshold:g}" for name, threshold in thresholds)
        progress.warning(
            f"The models' thresholds differ ({listed}) and that of the first is taken: give one "
            "that was chosen for their mean."
        )
    return first.threshold
