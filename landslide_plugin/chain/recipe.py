"""A recipe: commands and their parameters as data, one after another.

It is a JSON file such as

    {"result": "{work}/model.safetensors",
     "steps": [{"command": "importsamples",
                "parameters": {"images": "{data}/images", "output": "{work}/samples"}},
               {"command": "train",
                "parameters": {"samples": "{work}/samples", "model": "{work}/model.safetensors"}}]}

in which `{data}` is the folder of the data that it is run on, `{work}` that of what it makes, and
`{recipe}` that of the recipe itself. What differs from one run to the next, such as the fold that
is held out, is a value, which has a name and a default: with `"values": {"fold": "0"}` beside the
steps, `{fold}` in a parameter stands for it. A parameter that is nothing else becomes the value,
a number where the default is one. A path begins with one of the folders, or is absolute.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..contract.commands import COMMANDS
from ..contract.errors import InputError

WORK, DATA, RECIPE = "{work}", "{data}", "{recipe}"
"""What stands for folders, at the beginning of a path."""
NESTED = "recipe"
"""The command that runs recipes, which is no step of one."""
Value = str | int | float
_NAME = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Step:
    """One command of a recipe, with its parameters."""

    command: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Recipe:
    """Steps to a result.

    Attributes:
        folder: the one that the recipe lies in.
        result: path of the result.
        steps: in their order.
    """

    folder: Path
    result: str
    steps: list[Step]

    @classmethod
    def read(cls, path: Path, values: Sequence[str] = ()) -> "Recipe":
        """Read a file.

        Args:
            path: JSON file.
            values: what its values are in this run, such as "fold=0"; those that are not named are
                the recipe's defaults.

        Raises:
            InputError: it can't be read, is no recipe, or a value is none of its own.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8-sig"))  # as Windows saves it
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(
                f"The recipe {path} can't be read: choose a JSON file with steps."
            ) from error
        problem = _problem(content)
        if problem:
            raise InputError(f"{path} is no recipe: {problem}.")
        given = _given(content.get("values", {}), values, path)
        steps = [
            Step(each["command"], _with_values(each.get("parameters", {}), given))
            for each in content["steps"]
        ]
        return cls(
            path.absolute().parent, _with_values(str(content.get("result") or ""), given), steps
        )

    def in_folders(self, data: Path | None, work: Path) -> "Recipe":
        """Return the recipe with the folders in its paths.

        Raises:
            InputError: a path lies in the data, and no folder of data is given.
        """
        folders = {DATA: data, WORK: work, RECIPE: self.folder}
        steps = [Step(step.command, _filled(step.parameters, folders)) for step in self.steps]
        return replace(self, result=_filled(self.result, folders), steps=steps)

    def digests(self) -> list[str]:
        """Return for each step what differs where the step, or one before it, does."""
        digests: list[str] = []
        for step in self.steps:
            facts = json.dumps([digests[-1:], step.command, step.parameters], sort_keys=True)
            digests.append(hashlib.sha256(facts.encode()).hexdigest())
        return digests


def _problem(content: Any) -> str:
    """Return what a file lacks to be a recipe, or "" where it is one."""
    steps = content.get("steps") if isinstance(content, dict) else None
    if not isinstance(steps, list) or not steps:
        return 'it has no list of "steps"'
    for number, step in enumerate(steps, start=1):
        if not isinstance(step, dict) or not isinstance(step.get("parameters", {}), dict):
            return f'step {number} is no object with "command" and "parameters"'
        command = step.get("command")
        if not isinstance(command, str) or command not in COMMANDS or command == NESTED:
            names = ", ".join(name for name in COMMANDS if name != NESTED)
            return f"step {number} asks for the command {command!r}, and there are: {names}"
    return _problem_of_values(content)


def _problem_of_values(content: dict[str, Any]) -> str:
    values = content.get("values", {})
    if not isinstance(values, dict):
        return '"values" is no object of names and defaults'
    for name, value in values.items():
        if not _NAME.fullmatch(f"{{{name}}}") or f"{{{name}}}" in (DATA, WORK, RECIPE):
            return f"a value can't be called {name!r}: take another word, of letters"
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return f"the default of its value {name} is no text and no number"
    used = set(_NAME.findall(json.dumps([content.get("result"), content["steps"]])))
    unknown = sorted(used - set(values) - {name[1:-1] for name in (DATA, WORK, RECIPE)})
    return f'{{{unknown[0]}}} stands for nothing: give it a default in "values"' if unknown else ""


def _given(defaults: dict[str, Value], values: Sequence[str], path: Path) -> dict[str, Value]:
    """Return the values of a run."""
    result = dict(defaults)
    for pair in values:
        name, equals, text = (part.strip() for part in pair.partition("="))
        if not equals or name not in defaults:
            names = ", ".join(f"{name}={value}" for name, value in defaults.items())
            raise InputError(
                f"The recipe {path} takes no value {pair!r} (VALUES): "
                f"{f'it takes {names}' if names else 'it has none'}."
            )
        result[name] = text
        if not isinstance(defaults[name], str):
            try:
                result[name] = int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)
            except ValueError as error:
                raise InputError(
                    f"The value {name} of the recipe {path} is a number such as "
                    f"{defaults[name]}, not {text!r} (VALUES)."
                ) from error
    return result


def _with_values(item: Any, values: Mapping[str, Value]) -> Any:
    """Return a parameter, or all in a list or an object, with values instead of their names."""

    def put(text: str) -> Value:
        whole = _NAME.fullmatch(text)
        if whole and whole[1] in values:
            return values[whole[1]]
        return _NAME.sub(lambda name: str(values.get(name[1], name[0])), text)

    return _changed(item, put)


def _filled(item: Any, folders: Mapping[str, Path | None]) -> Any:
    """Return a parameter, or all in a list or an object, with a folder at a path's beginning."""

    def put(text: str) -> str:
        for name, folder in folders.items():
            if text.startswith(name):
                if folder is None:
                    raise InputError(
                        f"The recipe reads {text}: name the folder of its data (DATA)."
                    )
                return str(folder) + text.removeprefix(name)
        return text

    return _changed(item, put)


def _changed(item: Any, change: Callable[[str], Value]) -> Any:
    """Return a parameter with all texts in it changed, those in lists and objects too."""
    if isinstance(item, dict):
        return {key: _changed(value, change) for key, value in item.items()}
    if isinstance(item, list):
        return [_changed(value, change) for value in item]
    return change(item) if isinstance(item, str) else item
