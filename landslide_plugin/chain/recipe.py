"""A recipe: commands and their parameters as data, one after another.

It is a JSON file such as

    {"result": "{work}/model.safetensors",
     "steps": [{"command": "importsamples",
                "parameters": {"images": "{data}/images", "output": "{work}/samples"}},
               {"command": "train",
                "parameters": {"samples": "{work}/samples", "model": "{work}/model.safetensors"}}]}

in which `{data}` is the folder of the data that it is run on, and `{work}` that of what it makes.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..contract.commands import COMMANDS
from ..contract.errors import InputError

WORK, DATA = "{work}", "{data}"
NESTED = "recipe"
"""The command that runs recipes, which is no step of one."""


@dataclass(frozen=True)
class Step:
    """One command of a recipe, with its parameters as the file has them."""

    command: str
    parameters: dict[str, Any]

    def filled(self, data: Path | None, work: Path) -> dict[str, Any]:
        """Return the parameters with the folders in their paths.

        Raises:
            InputError: a path lies in the data, and no folder of data is given.
        """
        return {key: _filled(value, data, work) for key, value in self.parameters.items()}


@dataclass(frozen=True)
class Recipe:
    """Steps to a result.

    Attributes:
        result: path of the result, with `{work}` in it.
        steps: in their order.
    """

    result: str
    steps: list[Step]

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        """Read a file.

        Raises:
            InputError: it can't be read or is no recipe.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(
                f"The recipe {path} can't be read: choose a JSON file with steps."
            ) from error
        problem = _problem(content)
        if problem:
            raise InputError(f"{path} is no recipe: {problem}.")
        steps = [Step(each["command"], each.get("parameters", {})) for each in content["steps"]]
        return cls(str(content.get("result", "")), steps)

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
        if command not in COMMANDS or command == NESTED:
            names = ", ".join(name for name in COMMANDS if name != NESTED)
            return f"step {number} asks for the command {command!r}, and there are: {names}"
    return ""


def _filled(value: Any, data: Path | None, work: Path) -> Any:
    if isinstance(value, list):
        return [_filled(item, data, work) for item in value]
    if not isinstance(value, str):
        return value
    if value.startswith(DATA):
        if data is None:
            raise InputError(f"The recipe reads {value}: name the folder of its data (DATA).")
        return str(data) + value.removeprefix(DATA)
    return str(work) + value.removeprefix(WORK) if value.startswith(WORK) else value
