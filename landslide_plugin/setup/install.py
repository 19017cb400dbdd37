"""Makes or completes an engine: whole or not counted, twice is once, a killed one goes on."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess  # nosec B404
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from operator import sub
from pathlib import Path

from ..core.system import no_window
from ..core.system import replace as move
from ..outputs.locks import locked
from .causes import explain
from .home import STAMP, check_length, is_ready, python_of, size_of
from .listener import Fetch, Listener, Part, SetupCanceled, SetupError
from .machine import base_python, version_of
from .plan import Plan, Wheel
from .uv import download, find

_STARTED = "landslide-engine.started"
A_LOOK = 0.2
"""Seconds between two looks at whether the user canceled."""
_STRAY = ("PYTHON", "UV_", "VIRTUAL_ENV", "CONDA_")
_KEPT = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX", "UV_PYTHON_INSTALL_MIRROR", "UV_HTTP")
"""What a network needs: mirrors, their passwords, time limits."""


def set_up(
    plan: Plan,
    folder: Path,
    listener: Listener,
    store: Path | None = None,
    fetch: Fetch = download,
    environment: Mapping[str, str] | None = None,
) -> Path:
    """Make or complete an engine.

    Args:
        plan: what is to be made.
        folder: the environment.
        listener: is told how it goes.
        store: where uv, its Pythons and what it downloaded are kept; beside the environment.
        fetch: downloads uv where the system has none.
        environment: variables for uv, such as the proxy.

    Returns:
        The engine's Python.

    Raises:
        SetupError: it can't be made; the sentence says why.
        SetupCanceled: the user canceled; what is there does not count as an engine.
    """
    plan = plan.settled()
    if is_ready(plan, folder):
        listener.message(f"The engine {folder} is ready: nothing to do.")
        return python_of(folder)
    if refusal := plan.machine.refusal():
        raise SetupError(refusal)
    check_length(plan, folder)
    store = store or folder.parent
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        (store / "cache").mkdir(parents=True, exist_ok=True)
        with locked(store / "cache"):
            for left in (store / "cache").glob(".tmp*"):  # by one that was killed
                shutil.rmtree(left, ignore_errors=True)
            base, version = base_python(plan.machine, plan.python)
            asked = plan.torch
            plan, wheel = _torch(plan, version, listener)
            _tell_sizes(plan, version, folder, store, listener)
            uv = find(plan, store, Part(listener, 0, 4), fetch)
            variables = _variables(plan, store, environment or {})
            expected = plan.sizes(version)["disk"]
            run = _Uv(uv, folder, store, Part(listener, 4, 96), variables, expected)
            stamp = {**plan.wanted(), "torch": asked, "python": version}
            _make(plan, folder, base, wheel, stamp, run)
    except OSError as error:
        raise SetupError(
            f"The engine can't be set up in {folder}: {explain([str(error)])}"
        ) from None
    listener.progress(100)
    listener.message(f"The engine {folder} is ready.")
    return python_of(folder)


def _make(
    plan: Plan, folder: Path, base: str, wheel: Wheel | None, stamp: dict[str, str], run: _Uv
) -> None:
    """Make the environment where it is not there, install, and set the stamp last."""
    started = folder / _STARTED  # stays if we are killed: the next run begins anew, from the cache
    (folder / STAMP).unlink(missing_ok=True)
    if version_of(python_of(folder)) != stamp["python"] or started.exists():
        options = ["--managed-python"] if base.startswith("cpython-") else []
        run(["venv", "--no-project", "--clear", *options, "--python", base, str(folder)])
    started.touch()
    pins = folder / "requirements.txt"
    pins.write_text(plan.pins(wheel), encoding="utf-8")
    links = [
        word for path in (plan.wheelhouse, *plan.find_links) if path for word in ("-f", str(path))
    ]
    alone = ["--offline", "--no-index"] if plan.wheelhouse else []
    words = ["pip", "sync", "--python", str(python_of(folder)), "--only-binary", ":all:"]
    run([*words, "--require-hashes", *links, *alone, str(pins)])
    partial = folder / f"{STAMP}.partial"
    partial.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    started.unlink()
    move(partial, folder / STAMP)


def _torch(plan: Plan, version: str, listener: Listener) -> tuple[Plan, Wheel | None]:
    """Return torch's wheel, and the plan that holds; PyPI's where the plan allows it."""
    if version == "3.14":
        listener.warning(
            "Python 3.14 has no richdem2 yet: streams and twi take about ten times as long; a "
            "Python 3.11 to 3.13 has it."
        )
    elif (plan.machine.system, plan.machine.processor) == ("Linux", "aarch64"):
        listener.warning(
            "Linux on ARM has no richdem2 yet: streams and twi take about ten times as long."
        )
    wheel = plan.torch_wheel(version)
    if wheel is None or not plan.fall_back or _answers(wheel.url):
        return plan, wheel
    other = replace(plan, torch="pypi")
    more = _size(other.sizes(version)["download"])
    listener.warning(f"PyTorch's index can't be reached: PyPI's torch is taken, {more} in all.")
    return other, None


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=20):  # noqa: S310  # nosec B310
            return True
    except OSError:
        return False


def _tell_sizes(plan: Plan, version: str, folder: Path, store: Path, listener: Listener) -> None:
    """Say what will be downloaded and what it takes."""
    sizes = plan.sizes(version)
    free = shutil.disk_usage(store).free
    if free < sizes["disk"] and free + size_of(store / "cache") < sizes["disk"]:
        raise SetupError(
            f"The engine takes {_size(sizes['disk'])}, {store} has {_size(free)} free: free "
            "some space, or set LANDSLIDE_HOME to a folder on another disk."
        )
    way = "to unpack" if plan.wheelhouse else "to download (less what is there from before)"
    listener.message(
        f"Setting up the engine in {folder}: about {_size(sizes['download'])} {way}, "
        f"{_size(sizes['disk'])} on the disk."
    )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _variables(plan: Plan, store: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return uv's environment: this one, less what would lead it astray."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key.startswith(_KEPT) or not key.startswith(_STRAY)
    }
    return {
        **kept,
        "UV_CACHE_DIR": str(store / "cache"),
        "UV_PYTHON_INSTALL_DIR": str(store / "python"),
        **({"UV_PYTHON_INSTALL_MIRROR": plan.wheelhouse.as_uri()} if plan.wheelhouse else {}),
        "UV_SYSTEM_CERTS": "1",
        "UV_CONCURRENT_DOWNLOADS": "4",  # few at once end sooner, and what has ended is kept
        "UV_NO_PROGRESS": "1",
        "NO_COLOR": "1",
        **{key: value for key, value in environment.items() if value},
    }


@dataclass
class _Uv:
    """Runs uv, tells how far it is by the bytes that grow, and ends it when the user cancels."""

    program: Path
    folder: Path
    store: Path
    listener: Listener
    variables: dict[str, str]
    expected: int

    def __post_init__(self) -> None:
        self._before = self._bytes()
        self._percent = 0.0

    def __call__(self, words: list[str]) -> None:
        """Run to the end.

        Raises:
            SetupError: it failed; the sentence says why.
            SetupCanceled: the user canceled.
        """
        last: deque[str] = deque(maxlen=60)
        lines: queue.Queue[str] = queue.Queue()
        with subprocess.Popen(  # noqa: S603 - our own list, no shell  # nosec B603
            [str(self.program), *words],
            cwd=self.store,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            **no_window(),
        ) as process:
            reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
            reader.start()
            try:
                self._watch(process, lines, last)
            finally:
                process.kill()
                reader.join()
        self._tell(lines, last)
        if process.returncode:
            raise SetupError(f"The engine can't be set up in {self.folder}: {explain(list(last))}")

    def _watch(
        self, process: subprocess.Popen[str], lines: queue.Queue[str], last: deque[str]
    ) -> None:
        looked = 0.0
        while process.poll() is None:
            if self.listener.canceled():
                raise SetupCanceled
            self._tell(lines, last)
            if time.monotonic() > looked + 5 * A_LOOK:
                self._progress()
                looked = time.monotonic()
            time.sleep(A_LOOK)

    def _tell(self, lines: queue.Queue[str], last: deque[str]) -> None:
        while not lines.empty():
            line = lines.get()
            last.append(line)
            tell = self.listener.message if line.startswith("Download") else self.listener.log
            tell(line)

    def _progress(self) -> None:
        """Most of the time goes to the download, which uv unpacks as it comes."""
        kept, python, installed = map(sub, self._bytes(), self._before)
        fraction = max(kept + python, installed) / max(self.expected, 1)
        self._percent = max(self._percent, min(100 * fraction, 100.0))
        self.listener.progress(self._percent)

    def _bytes(self) -> list[int]:
        growing = (self.store / "cache", self.store / "python", self.folder)
        return [size_of(folder) for folder in growing]


def _read(stream: Iterable[str], lines: queue.Queue[str]) -> None:
    for line in stream:
        lines.put(line.strip())
