"""Runs a command in the engine's Python, streams its progress, cancels it."""

from __future__ import annotations

import json
import os
import queue
import subprocess  # nosec B404
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from qgis.core import QgsProcessingFeedback

from .contract.errors import MissingPackageError
from .core import system
from .core.interruption import LAST_SECONDS
from .engine_lookup import clean_environment, find_engine
from .outputs.claims import sweep

WORKER = Path(__file__).resolve().with_name("worker.py")
_POLL_SECONDS = 0.1
_GRACE_SECONDS = LAST_SECONDS + 0.5
"""The worker ends by itself a little sooner."""
_KILL_SECONDS = 0.5
_LOG_LINES = 400


class EngineCanceled(Exception):
    """The user canceled; no process and no partial output is left."""


class EngineFailure(Exception):
    """A bug in the engine, or its death; the message is one sentence.

    Attributes:
        details: traceback or last lines of the log, for the Processing log only.
    """

    def __init__(self, text: str, details: str) -> None:
        super().__init__(text)
        self.details = details


class EngineError(MissingPackageError):
    """A sentence from the engine on what the user can mend."""


def run_command(
    command: str,
    parameters: dict[str, Any],
    feedback: QgsProcessingFeedback,
    *,
    python: Path | None = None,
    worker: Path = WORKER,
) -> dict[str, Any]:
    """Run one command of the engine to its end.

    Args:
        command: its name, as in the worker's table.
        parameters: its arguments; paths absolute.
        feedback: receives progress, messages and warnings, and is asked for cancellation.
        python: the interpreter; looked for when None.
        worker: the script that serves the request.

    Returns:
        What the command returned.

    Raises:
        MissingPackageError: there is no engine.
        LandslideError: what the engine says the user can mend.
        EngineFailure: a bug, or the engine was ended from outside.
        EngineCanceled: the user canceled.
    """
    program = [str(python or find_engine()), "-u", str(worker)]
    request = {"command": command, "parameters": parameters, "attached": True}
    return run_program(program, feedback, request)


def run_program(
    words: list[str],
    feedback: QgsProcessingFeedback,
    request: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Run a program that reports in the worker's JSON lines; return its result's values.

    Args:
        words: the program and its arguments.
        feedback: as in `run_command`.
        request: sent as one line on its stdin, which then stays open: its end would tell the
            worker to end.

    Raises:
        LandslideError, EngineFailure, EngineCanceled: as `run_command`.
    """
    process = start(words)
    session = _Session(process, feedback)
    try:
        if request is not None:
            _send(process, json.dumps(request) + "\n")
        return session.values()
    finally:
        stop(process, session.worker)
        clear_away((request or {}).get("parameters", {}))


def start(arguments: list[str]) -> subprocess.Popen[str]:
    """Start a program in a process group of its own, with pipes and a clean environment."""
    return subprocess.Popen(  # noqa: S603 - our own list, no shell  # nosec B603
        arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
        text=True,
        encoding="utf-8",
        errors="replace",
        **system.own_group(),
    )


def stop(process: subprocess.Popen[str], worker: int = 0, grace: float = _GRACE_SECONDS) -> None:
    """End a program and its children, politely for `grace` seconds, and close its pipes.

    Args:
        process: the program.
        worker: the process number that it gave as its own, see `system.end_group`.
        grace: seconds.
    """
    if process.poll() is None:
        system.ask_to_end(process)
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    ended = time.monotonic()
    while system.end_group(process, worker) and time.monotonic() - ended < _KILL_SECONDS:
        time.sleep(_POLL_SECONDS / 10)  # whoever of the group is left needs a moment to die
        process.poll()
    process.wait()
    if process.stdin is not None:
        with suppress(OSError):  # what was still to be written can't be
            process.stdin.close()


def lines_of(
    process: subprocess.Popen[str], feedback: QgsProcessingFeedback
) -> Iterator[tuple[str, str]]:
    """Yield ("stdout" or "stderr", line) as they come, asking for cancellation in between.

    Raises:
        EngineCanceled: the user canceled.
    """
    lines: queue.Queue[tuple[str, str | None]] = queue.Queue()
    for name, pipe in (("stdout", process.stdout), ("stderr", process.stderr)):
        threading.Thread(target=_read, args=(name, pipe, lines), daemon=True).start()
    # A grandchild may hold the pipes open for longer than the program lives.
    open_pipes, ended = 2, 0.0
    while open_pipes and not (ended and time.monotonic() - ended > 1):
        if feedback.isCanceled():
            raise EngineCanceled
        try:
            name, line = lines.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            if process.poll() is not None:
                ended = ended or time.monotonic()
            continue
        if line is None:
            open_pipes -= 1
        else:
            yield name, line.rstrip("\r\n")


def clear_away(parameters: dict[str, Any]) -> None:
    """Remove what a killed worker left beside its outputs."""
    folders = {
        Path(value).parent
        for value in parameters.values()
        if isinstance(value, str) and os.path.isabs(value)
    }
    for folder in folders:
        sweep(folder)


class _Session:
    """The exchange with one worker.

    Attributes:
        worker: the process number that it gave as its own; 0 until then.
    """

    def __init__(self, process: subprocess.Popen[str], feedback: QgsProcessingFeedback) -> None:
        self._process = process
        self._feedback = feedback
        self._log: deque[str] = deque(maxlen=_LOG_LINES)
        self._answer: dict[str, Any] | None = None
        self.worker = 0

    def values(self) -> dict[str, Any]:
        """Return the result's values, having passed everything before it on."""
        for name, line in lines_of(self._process, self._feedback):
            if name == "stderr":
                self._note(line)
            else:
                self._event(line)
        if self._answer is None:
            raise EngineFailure(_why_ended(self._process.wait()), "\n".join(self._log))
        if self._answer["type"] == "result":
            return dict(self._answer["values"])
        if "details" in self._answer:
            text = f"{self._answer['text']} (a fault of the program: see the log)."
            raise EngineFailure(text, str(self._answer["details"]))
        raise EngineError(str(self._answer["text"]))

    def _event(self, line: str) -> None:
        try:
            event = json.loads(line)
            kind = event["type"]
        except (ValueError, TypeError, KeyError):
            self._note(line)
            return
        if kind == "progress":
            self._feedback.setProgress(float(event["percent"]))
        elif kind == "message":
            self._message(str(event["text"]))
        elif kind == "warning":
            self._feedback.pushWarning(str(event["text"]))
        elif kind in ("result", "error"):
            self._answer = event
        elif kind == "started":
            self.worker = int(event["pid"])

    def _message(self, text: str) -> None:
        """Show a message; a table of several lines keeps its columns in the log's HTML."""
        if "\n" in text:
            self._feedback.pushConsoleInfo(text.replace(" ", "\N{NO-BREAK SPACE}"))
        else:
            self._feedback.pushInfo(text)

    def _note(self, line: str) -> None:
        self._log.append(line)
        self._feedback.pushDebugInfo(line)


def _send(process: subprocess.Popen[str], text: str) -> None:
    """Write to the program's stdin and leave it open."""
    stdin = process.stdin
    if stdin is not None:
        with suppress(OSError):  # it died before it read; its status and log tell why
            stdin.write(text)
            stdin.flush()


def _read(name: str, pipe: IO[str], lines: queue.Queue[tuple[str, str | None]]) -> None:
    with suppress(ValueError), pipe:  # ValueError: closed under our feet
        for line in pipe:
            lines.put((name, line))
    lines.put((name, None))


def _why_ended(status: int) -> str:
    if status < 0:
        return (
            f"The engine was ended from outside (signal {-status}, perhaps for want of memory); "
            "no output was written, outputs that stood before are unchanged."
        )
    number = status if status < 256 else hex(status)  # as Windows' own are looked up
    return (
        f"The engine ended without an answer (status {number}); no output was written: see the log "
        'and check the engine with "Set up the engine".'
    )
