"""Opens a stack and models as a plan says, or refuses: nothing is decided anew."""

from dataclasses import replace

import numpy as np
import torch

from ...models.device import pick_device
from ..contract.errors import InputError
from ..core.progress import Progress
from ..raster import Source
from .decide import Scene
from .fit import open_stack
from .members import open_members
from .plan import MemberPlan, Plan, versions_of
from .predictor import Predictor
from .resume import content_of, digest_of
from .runtimes import Member, Wish
from .stack import Stack


def obey(plan: Plan, progress: Progress, stack: Stack | None = None) -> Scene:
    """Open the stack and the models of a plan, each with the runtime that it names.

    Args:
        plan: the plan; its paths are those here.
        progress: told of the runtimes, and how much is searched for fill.
        stack: the stack, where whoever has decided has looked for its files and fill.

    Raises:
        InputError: versions, model files or the stack are others than the plan's.
        MissingPackageError: the device is not there.
    """
    _require_versions(plan)
    _require_files(plan)
    if plan.threads and not all(one.runtime.startswith("openvino") for one in plan.members):
        torch.set_num_threads(plan.threads)
    wish = Wish(device=pick_device(plan.device), progress=progress)
    with Stack(plan.path, stack.document if stack else "").open() as source:
        opened = stack or Stack.of(source)
        _require_content(plan, source)
        runtimes = [one.runtime for one in plan.members]
        members = open_members(plan.models, source, wish, runtimes=runtimes)
    if len(members) != len(plan.members):
        raise InputError(
            f"The plan names {len(plan.members)} models, but its files hold {len(members)}: it is "
            "damaged, map the stack anew."
        )
    fitted = [_fitted(*pair) for pair in zip(members, plan.members, strict=True)]
    predictor = Predictor(fitted, turns=plan.turns, uncertainty=plan.uncertainty)
    fill = "keep" if stack else plan.fill
    with open_stack(opened, predictor.card, progress, fill) as source:
        opened = Stack.of(source)
    resampled = predictor.resampled(plan.side if plan.is_resampled else 0)
    return Scene(plan, resampled, opened)


def _fitted(member: Member, planned: MemberPlan) -> Member:
    """Return a model in the units and the light of a plan."""
    if list(planned.bands) != member.card.bands:
        raise InputError(
            f"The plan gives the model {member.card.name} other bands than it has: it is damaged, "
            "map the stack anew."
        )
    card = replace(member.card, mean=list(planned.mean), std=list(planned.std))
    return replace(member, card=card)


def _require_versions(plan: Plan) -> None:
    here = versions_of([one.runtime for one in plan.members])
    names = dict.fromkeys([*plan.versions, *here])
    others = [
        f"{name} {plan.versions.get(name) or 'none'} (here {here.get(name) or 'none'})"
        for name in names
        if plan.versions.get(name) != here.get(name)
    ]
    if others:
        raise InputError(
            f"The plan is of {', '.join(others)}: other versions may give other numbers, so take "
            "an engine of these."
        )


def _require_files(plan: Plan) -> None:
    for path, digest in zip(plan.models, plan.files, strict=True):
        try:
            same = digest_of(path) == digest
        except OSError as error:
            raise InputError(
                f"The model file {path}, which the plan names, can't be read: give MODELS, the "
                "files where they are now."
            ) from error
        if not same:
            raise InputError(
                f"The model file {path} is another one than the plan's: give MODELS, that file."
            )


def _require_content(plan: Plan, source: Source) -> None:
    bands = list(dict.fromkeys(band for one in plan.members for band in one.bands))
    if content_of(source, [band for band in bands if band in source.bands]) != plan.content:
        raise InputError(
            f"The stack {source.path} is another one than the plan's, or was changed since: give "
            "STACK, that stack."
        )


def difference(one: Source, other: Source) -> tuple[int, int, float]:
    """Compare two rasters of one grid.

    Args:
        one: a raster.
        other: another one, with as many bands.

    Returns:
        Pixels that hold anything in either; those of them that differ in a band; and by how much at
        most, NaN where only one of both holds anything.
    """
    held, differing, largest = 0, 0, 0.0
    for window in one.grid.windows(64, 4 * len(one.bands)):
        (first, first_valid), (second, second_valid) = one.read(window), other.read(window)
        apart = np.abs(first - second)
        apart[first_valid != second_valid] = np.nan
        held += int((first_valid | second_valid).any(axis=0).sum())
        differing += int((apart != 0).any(axis=0).sum())
        largest = float(np.maximum(largest, apart.max()))  # NaN stays
    return held, differing, largest
