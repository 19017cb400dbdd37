"""The engine's entry: reads one JSON request on stdin, runs one command, reports in JSON lines.

Request: `{"command": "terrainfactors", "parameters": {...}, "attached": true}`. When `attached`,
the end of stdin means that whoever asked has died, and the worker ends too.

Lines out: `{"type": "started" | "progress" | "message" | "warning" | "result" | "error", ...}`. The
first is "started", with the worker's own process number as `pid`. An error the user can mend has a
`text` alone; any other also has `details`, its traceback.

It needs no QGIS: `echo '{"command": ...}' | python landslide_plugin/worker.py`.
"""

import importlib
import importlib.util
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

PACKAGE = "landslide_mapper"

ENGINE = Path(__file__).resolve().parent
COMMANDS = {
    file.stem.removesuffix("_command"): ".".join(file.relative_to(ENGINE).with_suffix("").parts)
    for file in sorted(ENGINE.rglob("*_command.py"))
}
"""Command name to the module, within `landslide_plugin`, whose function of that name runs it."""

OUTPUTS = {
    "samples": ("output",),
    "train": ("model", "html"),
    "trainweak": ("model", "html"),
    "predict": ("probability", "mask", "uncertainty"),
    "detect": ("output", "mask"),
    "evaluate": ("html", "json", "csv"),
    "map": ("inventory", "probability", "html"),
    "factoranalysis": ("html", "table"),
    "demoarea": ("folder",),
    "device": (),
}
"""Command name to the parameters that name its outputs, where that is not `output` alone."""

WITHOUT_FRAMES = ("distance",)
"""Commands that do without geopandas, which pyogrio else loads wherever it finds it: 0.3 s."""


PATIENCE = {
    "GDAL_HTTP_CONNECTTIMEOUT": "6",
    "GDAL_HTTP_LOW_SPEED_TIME": "6",  # seconds with less than a byte in each
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
    "GDAL_HTTP_TIMEOUT": "600",
}
"""How long GDAL waits for a server, in seconds: up to four times, for a file and what is beside."""


LONGEST_TEXT = 3000
"""Letters of an error's sentence."""


def register_package() -> None:
    """Make the checkout importable as `landslide_mapper`, whatever its folder is called.

    It is called before anything imports torch, whose OpenMP threads are told here to sleep while
    they wait: spinning, two trainings side by side on four cores took 165 s instead of 16 s.
    """
    if PACKAGE in sys.modules:
        return
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    root = Path(__file__).resolve().parent.parent
    spec = importlib.util.spec_from_file_location(
        PACKAGE, root / "__init__.py", submodule_search_locations=[str(root)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{root} is not the plugin's folder")
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)


def find_command(name: str) -> Callable[..., dict[str, Any]]:
    """Import and return the function of a command.

    Raises:
        KeyError: there is no such command.
    """
    module = importlib.import_module(f"{PACKAGE}.landslide_plugin.{COMMANDS[name]}")
    function: Callable[..., dict[str, Any]] = getattr(module, name)
    return function


def set_up_gdal() -> None:
    """Bound GDAL's memory and patience, let it decompress in parallel; what the user set stays."""
    os.environ.setdefault("GDAL_CACHEMAX", "128")  # MB; else 5 % of the memory, however much it is
    os.environ.setdefault("GDAL_NUM_THREADS", "ALL_CPUS")
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)


def main() -> int:
    """Run the request on stdin; return the exit status, see `answer`."""
    request, report = _claim_stdin(), _claim_stdout()
    set_up_gdal()
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".") != Path(__file__).parent]
    register_package()
    interruption = importlib.import_module(f"{PACKAGE}.landslide_plugin.core.interruption")
    interruption.watch("SIGTERM", "SIGINT", "SIGBREAK")  # the last on Windows alone

    def send(event: dict[str, Any]) -> None:
        report.write(json.dumps(event, default=str) + "\n")
        report.flush()

    send({"type": "started", "pid": os.getpid()})
    return answer(request, send)


def answer(lines: TextIO, send: Callable[[dict[str, Any]], None]) -> int:
    """Run one request; return the exit status: 0 done, 1 the user's error, 2 a bug.

    Args:
        lines: where the request is read.
        send: takes what is reported.
    """
    errors = importlib.import_module(f"{PACKAGE}.landslide_plugin.contract.errors")
    failures = importlib.import_module(f"{PACKAGE}.landslide_plugin.core.failures")
    try:
        send({"type": "result", "values": _run(lines, send)})
        return 0
    except errors.LandslideError as error:
        text = _short(str(error))
    except MemoryError:
        text = "The memory is used up: choose smaller tiles or batches."
    except Exception as error:
        text = _missing_package(error) or failures.explain(error)
        if not text:
            text = f"Unexpected {type(error).__name__}: {error}"
            send({"type": "error", "text": text, "details": traceback.format_exc()})
            return 2
        print(failures.trail(error), file=sys.stderr)
    send({"type": "error", "text": text})
    return 1


def _short(text: str) -> str:
    """Return a sentence as one line, of bounded length: names may hold breaks, lists thousands."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT // 2]} ... {line[-300:]}"


def _run(lines: TextIO, send: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    errors = importlib.import_module(f"{PACKAGE}.landslide_plugin.contract.errors")
    provenance = importlib.import_module(f"{PACKAGE}.landslide_plugin.core.provenance")
    progress = importlib.import_module(f"{PACKAGE}.landslide_plugin.core.progress")
    claims = importlib.import_module(f"{PACKAGE}.landslide_plugin.outputs.claims")
    outputs = importlib.import_module(f"{PACKAGE}.landslide_plugin.outputs.whole")
    requests = importlib.import_module(f"{PACKAGE}.landslide_plugin.request")
    access = importlib.import_module(f"{PACKAGE}.landslide_plugin.core.access")
    access.restrict_drivers()
    access.restrict_network()
    request = requests.read_request(lines)
    name, parameters = request.get("command", ""), request.get("parameters", {})
    if not isinstance(name, str) or name not in COMMANDS:
        raise errors.InputError(f"No command {name!r}; there are: {', '.join(COMMANDS)}.")
    if request.get("attached"):
        interruption = importlib.import_module(f"{PACKAGE}.landslide_plugin.core.interruption")
        end = interruption.end_main_thread
        threading.Thread(target=_end_with_parent, args=(lines, end), daemon=True).start()
    if name in WITHOUT_FRAMES:
        for package in ("geopandas", "pandas"):
            sys.modules[package] = None  # type: ignore[assignment]
    if not parameters.get("pretrained"):  # no other wish asks for what lies on the internet
        os.environ["HF_HUB_OFFLINE"] = "1"
    function = find_command(name)
    parameters = requests.checked(name, function, parameters)
    origin = provenance.Provenance(f"landslide:{name}", parameters)
    wanted = {key: parameters.get(key) for key in OUTPUTS.get(name, ("output",))}
    inputs = [value for key, value in parameters.items() if key not in wanted]
    with claims.claimed(wanted, inputs), outputs.together():
        return function(**parameters, origin=origin, progress=progress.Progress(send))


def _missing_package(error: Exception) -> str:
    """Return a sentence if a package, none of ours, could not be imported."""
    if not isinstance(error, ModuleNotFoundError) or str(error.name).startswith(PACKAGE):
        return ""
    return (
        f"The engine's Python {sys.executable} lacks the package {error.name}: run "
        '"Set up the engine", or name a Python that has it.'
    )


def _claim_stdin() -> TextIO:
    """Keep the real stdin for the request and point descriptor 0 at nothing.

    Later a thread waits for its end. On Windows whoever then asks what stdin is waits too: numpy's
    libraries while they are loaded, and every program that is started with it.
    """
    request = os.fdopen(os.dup(0), encoding="utf-8", errors="surrogateescape")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return request


def _claim_stdout() -> TextIO:
    """Keep the real stdout for the report and point descriptor 1 at stderr.

    Whatever a library prints, from Python or C, can then not corrupt the report; and nothing that
    it prints is beyond the encoding.
    """
    report = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    return report


def _end_with_parent(lines: TextIO, end: Callable[[], None]) -> None:
    """Wait for the end of what the request came by, then end as on SIGTERM."""
    lines.read()
    end()


if __name__ == "__main__":
    sys.exit(main())
