"""A map by one process, by workers here, and by those of a scheduler: pixels, time, memory.

    python -m benchmarks.workers SCENE MODEL [--side 5000] [--bands blue green red] [--files 5]
        [--ways 0 1@0 2 s3] [--predict '{...}']

The scene is repeated to so many rows and columns, each copy with a brightness of its own, as one
file or as so many files along each side. A way is a number of workers, or of a scheduler's (s3),
and the cores that it may have (1@0, 2@0,1; else all); its inventory is made too.
"""

import argparse
import hashlib
import json
import os
import subprocess  # nosec B404
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import psutil
import rasterio
from rasterio.windows import Window

from .timing import WORKER, describe_machine

ROOT = Path(__file__).resolve().parents[1]
PLUGINS = ROOT / "build" / "plugins"
MB = 1e6


class Watch:
    """The largest memory of processes and of their workers, MB, sampled while the block runs."""

    def __init__(self, *pids: int) -> None:
        self._pids = pids
        self._stop = threading.Event()
        self.driver = self.worker = 0.0

    def __enter__(self) -> "Watch":
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.5):
            self.driver = max(self.driver, _memory(self._pids[0]))
            for pid in self._pids:
                self.worker = max([self.worker, *map(_memory, workers_of(pid))])


def main() -> None:
    """Map by each way, or with kills, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene")
    parser.add_argument("model")
    parser.add_argument("--side", type=int, default=5000, help="rows and columns")
    parser.add_argument("--bands", nargs="+", help="names that the model knows them by")
    parser.add_argument("--files", type=int, default=1, help="along each side")
    parser.add_argument("--ways", nargs="+", default=["0", "2", "s3"])
    parser.add_argument("--predict", default="{}", help="further parameters, as JSON")
    given = parser.parse_args()
    print(describe_machine())
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stack = folder / "stack.tif"
        repeat(Path(given.scene), stack, given.side, given.bands)
        if given.files > 1:
            stack = cut(stack, folder / "stack", given.files)
        parameters = {"stack": str(stack), "model": given.model, **json.loads(given.predict)}
        compared(parameters, folder, given.ways)


def repeat(scene: Path, path: Path, side: int, bands: list[str] | None) -> None:
    """Write a scene side by side and below itself, copies brighter by up to a fifth."""
    with rasterio.open(scene) as source:
        values, profile, names = source.read(), source.profile, source.descriptions
    rows, columns = (-(-side // length) for length in values.shape[1:])
    steps = np.random.default_rng(0).uniform(0.9, 1.2, (rows, columns))
    profile |= {"height": side, "width": side, "tiled": True, "compress": "zstd"}
    profile |= {"blockxsize": 256, "blockysize": 256, "BIGTIFF": "IF_SAFER"}
    with rasterio.open(path, "w", **profile) as output:
        output.descriptions = bands or names
        for row in range(rows):
            strip = np.concatenate([values * step for step in steps[row]], axis=2)
            top = row * values.shape[1]
            strip = strip[:, : side - top, :side].astype(profile["dtype"])
            output.write(strip, window=((top, top + strip.shape[1]), (0, side)))


def cut(path: Path, folder: Path, files: int) -> Path:
    """Cut a raster into so many files along each side, in a folder of their own; return it."""
    folder.mkdir()
    with rasterio.open(path) as source:
        height, width = (-(-length // files) for length in source.shape)
        for row, column in np.ndindex(files, files):
            window = Window(column * width, row * height, width, height)
            window = window.intersection(Window(0, 0, source.width, source.height))
            profile = source.profile | {"height": window.height, "width": window.width}
            profile |= {"transform": source.window_transform(window)}
            with rasterio.open(folder / f"{row}_{column}.tif", "w", **profile) as output:
                output.descriptions = source.descriptions
                output.write(source.read(window=window))
    path.unlink()
    return folder


def compared(parameters: dict[str, Any], folder: Path, ways: list[str]) -> None:
    """Map by each way, in turn."""
    every = os.sched_getaffinity(0)
    for way in ways:
        workers, _, cores = way.partition("@")
        os.sched_setaffinity(0, map(int, cores.split(",")) if cores else every)
        if workers.startswith("s"):
            with scheduler(folder, int(workers[1:])) as (address, pids):
                mapped(way, {**parameters, "scheduler": address}, folder, *pids)
        else:
            mapped(way, {**parameters, "workers": int(workers)}, folder)


def mapped(way: str, parameters: dict[str, Any], folder: Path, *beside: int) -> None:
    """Map once and make the inventory; print digests, seconds and memory, with those beside."""
    output, inventory = folder / "probability.tif", folder / "inventory.gpkg"
    request = {**parameters, "probability": str(output)}
    print(way, measured("predict", request, *beside), digest(output), flush=True)
    request = {"input": str(output), "output": str(inventory)}
    print(way, measured("vectorize", request), polygons(inventory), flush=True)
    output.unlink()
    inventory.unlink()


def measured(command: str, parameters: dict[str, Any], *beside: int) -> str:
    """Run a command of the engine, with other processes that work for it; say what it took."""
    before, began = sum(map(_seconds, beside)), time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - the benchmarks' own  # nosec B603
        [sys.executable, str(WORKER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    if process.stdin is None or process.stdout is None:
        raise TypeError("pipes were asked for")
    process.stdin.write(json.dumps({"command": command, "parameters": parameters}).encode())
    process.stdin.close()
    with Watch(process.pid, *beside) as watch:
        answer = process.stdout.read().decode()
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(answer)
    seconds = used.ru_utime + used.ru_stime + sum(map(_seconds, beside)) - before
    return (
        f"{command}: {seconds:.1f} CPU s, {time.perf_counter() - began:.1f} s, "
        f"{watch.driver:.0f} MB, worker {watch.worker:.0f} MB"
    )


@contextmanager
def scheduler(folder: Path, workers: int) -> Iterator[tuple[str, list[int]]]:
    """Have a scheduler and workers run as docs/scale.md says; yield its address and their pids."""
    file = folder / "scheduler.json"
    environment = {**os.environ, "PYTHONPATH": str(PLUGINS)}
    words = ["--scheduler-file", str(file)]
    calls = (
        ["-m", "distributed.cli.dask_scheduler", *words, "--host", "127.0.0.1", "--port", "0"],
        ["-m", "distributed.cli.dask_worker", *words, "--nworkers", str(workers), "--nthreads", "1",
         "--memory-limit", "0"],
    )  # fmt: skip
    processes = [
        subprocess.Popen(  # noqa: S603 - the benchmarks' own  # nosec B603
            [sys.executable, *call], env=environment, stderr=subprocess.DEVNULL
        )
        for call in calls
    ]
    while not file.exists() or len(workers_of(processes[1].pid)) < workers:
        time.sleep(0.1)
    try:
        yield json.loads(file.read_text())["address"], [process.pid for process in processes]
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()


def digest(path: Path) -> str:
    """Return the SHA-256 of a raster's values, its beginning."""
    with rasterio.open(path) as raster:
        return hashlib.sha256(raster.read().tobytes()).hexdigest()[:16]


def polygons(path: Path) -> str:
    """Return the number of an inventory's polygons, and the SHA-256 of them and their fields."""
    layer = geopandas.read_file(path, layer="inventory")
    fields = layer.drop(columns="geometry").to_csv(index=False).encode()
    whole = hashlib.sha256(b"".join(layer.geometry.to_wkb()) + fields).hexdigest()[:16]
    return f"{len(layer)} polygons {whole}"


def workers_of(pid: int) -> list[int]:
    """Return the processes that a process and Dask's nannies in it started to work."""
    try:
        children = psutil.Process(pid).children(recursive=True)
        return [one.pid for one in children if "spawn_main" in " ".join(one.cmdline())]
    except psutil.Error:
        return []


def _memory(pid: int) -> float:
    try:
        return float(psutil.Process(pid).memory_info().rss / MB)
    except psutil.Error:
        return 0.0


def _seconds(pid: int) -> float:
    """Return the processor's seconds of a process and those that it started."""
    return float(sum(sum(psutil.Process(one).cpu_times()[:2]) for one in (pid, *workers_of(pid))))


if __name__ == "__main__":
    main()
