"""The engine's entry: reads one JSON request on stdin, has it answered, reports in JSON lines.

Request: `{"command": "terrainfactors", "parameters": {...}, "attached": true}`. When `attached`,
the end of stdin means that whoever asked has died, and the worker ends too.

Lines out: `{"type": "started" | "progress" | "message" | "warning" | "result" | "error", ...}`. The
first is "started", with the worker's own process number as `pid`. An error the user can mend has a
`text` alone; any other also has `details`, its traceback.

It needs no QGIS: `echo '{"command": ...}' | python landslide_plugin/worker.py`.
"""

import importlib.util
import json
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

PACKAGE = "landslide_mapper"


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


def main() -> int:
    """Run the request on stdin; return the exit status, see `answer`."""
    request, report = _claim_stdin(), _claim_stdout()
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".") != Path(__file__).parent]
    register_package()
    from landslide_mapper.landslide_plugin.core.gdal_options import set_up_gdal
    from landslide_mapper.landslide_plugin.core.interruption import watch

    set_up_gdal()
    watch("SIGTERM", "SIGINT", "SIGBREAK")  # the last on Windows alone

    def send(event: dict[str, Any]) -> None:
        report.write(json.dumps(event, default=str) + "\n")
        report.flush()

    send({"type": "started", "pid": os.getpid()})
    from landslide_mapper.landslide_plugin.answer import answer  # once told: it takes a moment

    return answer(request, send)


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
    it prints is beyond the encoding. This is set first: it asks a stdout that began as a file where
    in it it is, which a terminal or pipe put in its place can't tell.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    report = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return report


if __name__ == "__main__":
    sys.exit(main())
