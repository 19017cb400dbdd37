"""Programs timed in turn, and the machine they ran on."""

import json
import os
import platform
import shutil
import statistics
import subprocess  # nosec B404
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

WORKER = Path(__file__).resolve().parents[1] / "landslide_plugin" / "worker.py"


@dataclass(frozen=True)
class Usage:
    """What a run took.

    Attributes:
        seconds: from start to end.
        cpu: seconds on all cores together.
        peak: largest resident memory of a process, MB (10^6 bytes). Linux counts what the process
            that started it held then, so that one must stay small.
    """

    seconds: float
    cpu: float
    peak: float

    def __add__(self, other: "Usage") -> "Usage":
        """Return the usage of two runs one after another."""
        return Usage(self.seconds + other.seconds, self.cpu + other.cpu, max(self.peak, other.peak))


def run(command: Sequence[str], request: str = "") -> Usage:
    """Run a program to its end.

    Args:
        command: the program and its arguments.
        request: what it reads on stdin.

    Raises:
        SystemExit: it failed.
    """
    started = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - the benchmarks' own  # nosec B603
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    if process.stdin is not None:
        process.stdin.write(request.encode())
        process.stdin.close()
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} failed with status {process.returncode}.")
    return Usage(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6)


def run_worker(command: str, parameters: Mapping[str, Any]) -> Usage:
    """Run a command of the engine, Python's start included."""
    request = json.dumps({"command": command, "parameters": dict(parameters)})
    return run([sys.executable, str(WORKER)], request)


def apart(work: Callable[..., object], *arguments: object) -> None:
    """Let a process of its own do something, such as write a file: see `Usage.peak`."""
    process = get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


def compare(
    ours: Callable[[], Usage], theirs: Callable[[], Usage], runs: int, label: str, limit: float
) -> None:
    """Run two ways in turn, theirs first, and print medians and the median of paired ratios."""
    pairs = []
    for _ in range(runs):
        os.sync()  # what the run before left to write is not this one's
        one = theirs()
        os.sync()
        pairs.append((ours(), one))
    mine, other = ([pair[way] for pair in pairs] for way in (0, 1))
    ratio = spread([usage.seconds for usage in mine], [usage.seconds for usage in other])
    print(
        f"{label}: ours {middle(mine)}; theirs {middle(other)}; ratio {ratio}, {runs} pairs; asked "
        f"for: at most {limit:g}",
        flush=True,
    )


def describe_machine() -> str:
    """Return CPU, cores, load and versions."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return (
        f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f}; {platform.system()}; Python {platform.python_version()}, "
        f"numpy {np.__version__}, rasterio {rasterio.__version__} with GDAL "
        f"{rasterio.__gdal_version__}; tools of {_gdal()}"
    )


def tool(name: str) -> str:
    """Return a program's path.

    Raises:
        SystemExit: it is not on the path.
    """
    result = shutil.which(name)
    if result is None:
        raise SystemExit(f"{name} is not on the path.")
    return result


def spread(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Return the median of paired ratios, and the lowest and highest."""
    ratios = [mine / one for mine, one in zip(ours, theirs, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def middle(usages: Sequence[Usage]) -> str:
    """Return the medians of some runs' seconds, and their largest memory."""
    seconds = statistics.median(usage.seconds for usage in usages)
    cpu = statistics.median(usage.cpu for usage in usages)
    return f"{seconds:.2f} s ({cpu:.1f} CPU s, {max(usage.peak for usage in usages):.0f} MB)"


def _gdal() -> str:
    done = subprocess.run(  # noqa: S603 - the benchmarks' own  # nosec B603
        [tool("gdalinfo"), "--version"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
