"""Answers a request: runs its command, and tells what came of it in a result or one sentence."""

import importlib
import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, TextIO

from .contract.commands import COMMANDS, OUTPUTS
from .contract.errors import InputError, LandslideError
from .core.access import restrict_drivers, restrict_network
from .core.failures import explain, trail
from .core.interruption import end_main_thread
from .core.progress import Progress
from .core.provenance import Provenance
from .outputs.claims import claimed
from .outputs.whole import together
from .request import checked, read_request

LONGEST_TEXT = 3000
"""Letters of an error's sentence."""
WITHOUT_FRAMES = ("distance",)
"""Commands that do without geopandas, which pyogrio else loads wherever it finds it: 0.3 s."""


def answer(lines: TextIO, send: Callable[[dict[str, Any]], None]) -> int:
    """Run one request; return the exit status: 0 done, 1 the user's error, 2 a bug.

    Args:
        lines: where the request is read.
        send: takes what is reported.
    """
    try:
        send({"type": "result", "values": _run(lines, send)})
        return 0
    except LandslideError as error:
        text = _short(str(error))
    except MemoryError:
        text = "The memory is used up: choose smaller tiles or batches."
    except Exception as error:
        text = _missing_package(error) or explain(error)
        if not text:
            text = f"Unexpected {type(error).__name__}: {error}"
            send({"type": "error", "text": text, "details": traceback.format_exc()})
            return 2
        print(trail(error), file=sys.stderr)
    send({"type": "error", "text": text})
    return 1


def _short(text: str) -> str:
    """Return a sentence as one line, of bounded length: names may hold breaks, lists thousands."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT // 2]} ... {line[-300:]}"


def _run(lines: TextIO, send: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    restrict_drivers()
    restrict_network()
    request = read_request(lines)
    name, parameters = request.get("command", ""), request.get("parameters", {})
    if not isinstance(name, str) or name not in COMMANDS:
        raise InputError(f"No command {name!r}; there are: {', '.join(COMMANDS)}.")
    if request.get("attached"):
        threading.Thread(target=_end_with_parent, args=(lines,), daemon=True).start()
    if name in WITHOUT_FRAMES:
        for package in ("geopandas", "pandas"):
            sys.modules[package] = None  # type: ignore[assignment]
    if parameters.get("pretrained") != "imagenet":  # the one wish for what lies on the internet
        os.environ["HF_HUB_OFFLINE"] = "1"
    return run_command(name, parameters, Progress(send))


def run_command(name: str, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Run a command with its outputs claimed; they appear together at its end.

    Args:
        name: a key of `COMMANDS`.
        parameters: as a request gives them.
        progress: told of the run.

    Raises:
        LandslideError: the command's, or a parameter or output is unfit.
    """
    function = find_command(name)
    parameters = checked(name, function, parameters)
    origin = Provenance(f"landslide:{name}", parameters)
    wanted = {key: parameters.get(key) for key in OUTPUTS.get(name, ("output",))}
    inputs = [value for key, value in parameters.items() if key not in wanted]
    with claimed(wanted, inputs), together():
        return function(**parameters, origin=origin, progress=progress)


def _missing_package(error: Exception) -> str:
    """Return a sentence if a package, none of ours, could not be imported."""
    ours = __name__.split(".")[0]
    if not isinstance(error, ModuleNotFoundError) or str(error.name).startswith(ours):
        return ""
    return (
        f"The engine's Python {sys.executable} lacks the package {error.name}: run "
        '"Set up the engine", or name a Python that has it.'
    )


def find_command(name: str) -> Callable[..., dict[str, Any]]:
    """Import and return the function of a command.

    Raises:
        KeyError: there is no such command.
    """
    module = importlib.import_module(f".{COMMANDS[name]}", __package__)
    function: Callable[..., dict[str, Any]] = getattr(module, name)
    return function


def _end_with_parent(lines: TextIO) -> None:
    """Wait for the end of what the request came by, then end as on SIGTERM."""
    lines.read()
    end_main_thread()
