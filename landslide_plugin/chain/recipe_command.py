"""The command `recipe`."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from ..answer import find_command, run_command
from ..contract import choices
from ..contract.errors import InputError, LandslideError
from ..core.addresses import is_address
from ..core.notes import read_note
from ..core.progress import Progress
from ..core.provenance import NO_ORIGIN, Provenance
from ..outputs.locks import locked
from ..outputs.whole import require_folder, together, whole_file
from ..request import paths_of
from .recipe import DATA, RECIPE, WORK, Recipe, Step

NOTE = "recipe.done.json"
"""In the work's folder: what of which steps is done."""
_OF_GDAL = re.compile(r"\w{2,}:")
"""What names of GDAL that are no paths begin with, such as NETCDF:"/a.nc":b."""


def recipe(
    *,
    recipe: str,
    folder: str,
    data: str = "",
    values: Annotated[Sequence[str], choices.Recipe.VALUES] = choices.Recipe.VALUES.default,
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Run the steps of a recipe; those that are done already are passed over.

    A step is done if it, and all before it, were run to their end with the same parameters into the
    same folder, on the folder of data that is given; whether what lies in that has changed since,
    or what a step made is gone, is not looked at, but for the result. A training that was broken
    off goes on from its checkpoint.

    Args:
        recipe: JSON file; see the module `recipe`.
        folder: what its steps make; it is made if it is not there.
        data: folder of the data that it reads; not needed if it reads none.
        values: what the recipe's values are, such as "fold=0"; its defaults where not named.
        origin: not used, as each step tells its own.
        progress: told of each step.

    Returns:
        `folder`, `result`, the path of what the recipe makes, and `steps`, the number that ran.

    Raises:
        InputError: the file is no recipe, the data are not there, or others than those of the steps
            that are done, a path lies in no folder, or a value is not the recipe's.
        LandslideError: a step's own, with its number before it.
    """
    plan, work = Recipe.read(Path(recipe), values), Path(folder).absolute()
    given = Path(data).absolute() if data else None
    if given is not None and not given.is_dir():
        raise InputError(f"{data} is no folder: choose the one with the recipe's data.")
    ready = plan.in_folders(given, work)
    _require_absolute(ready)
    if not work.is_dir():
        require_folder(work)
        work.mkdir()
    require_folder(work / NOTE)
    ran, digests = 0, plan.digests()
    with locked(work / NOTE):
        note = read_note(work / NOTE)
        done = note["done"] if isinstance(note.get("done"), list) else []
        if done[:1] == digests[:1]:
            _require_same_data(given, note.get("data"), work)
        for number, step in enumerate(ready.steps):
            name = f"Step {number + 1} of {len(ready.steps)}, {step.command}"
            is_done = done[: number + 1] == digests[: number + 1]
            gone = ready.result in step.parameters.values() and not Path(ready.result).exists()
            if is_done and not gone:
                progress.message(f"{name}: done before.")
                continue
            progress.message(f"{name}.")
            part = progress.part(number / len(ready.steps), (number + 1) / len(ready.steps))
            _run(step, name, part)
            if not is_done:
                _note(work, digests[: number + 1], given)
            ran += 1
    if ready.result and not Path(ready.result).exists():
        progress.warning(f"None of the steps made the recipe's result, {ready.result}.")
    progress.update(1.0)
    return {"folder": str(work), "result": ready.result, "steps": ran}


def _require_same_data(given: Path | None, noted: object, work: Path) -> None:
    """Refuse to go on with other data than those of the steps that are done.

    Those of a folder that is gone are taken to have moved.
    """
    if given is None or not isinstance(noted, str) or not Path(noted).is_dir():
        return
    if not given.samefile(noted):
        raise InputError(
            f"The steps that are done in {work} were run on the data in {noted}, not in {given}: "
            "choose another folder for the work on these."
        )


def _require_absolute(ready: Recipe) -> None:
    """Refuse paths that would lie wherever the engine happens to run.

    Raises:
        InputError: a step or the result has one; the message names it.
    """
    named = [
        (f"step {number}, {step.command}, gives as {key.upper()}", text)
        for number, step in enumerate(ready.steps, start=1)
        for key in paths_of(find_command(step.command))
        for text in _texts(step.parameters.get(key))
    ]
    for what, path in [*named, ("the result is", ready.result)]:
        if path and not (Path(path).is_absolute() or is_address(path) or _OF_GDAL.match(path)):
            raise InputError(
                f"In the recipe {what} {path}, which lies in no folder: begin it with {DATA}, "
                f"{WORK} or {RECIPE}."
            )


def _texts(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str)]


def _note(work: Path, done: list[str], data: Path | None) -> None:
    """Write at once what is done, while the run that this is a part of goes on."""
    with together(), whole_file(work / NOTE) as path:
        note = {"done": done, "data": None if data is None else str(data)}
        path.write_text(json.dumps(note), encoding="utf-8")


def _run(step: Step, name: str, progress: Progress) -> None:
    try:
        run_command(step.command, step.parameters, progress)
    except LandslideError as error:
        raise type(error)(f"{name}: {error}") from error
