"""A map by one process, by workers here, and by those of a scheduler: pixels, time, memory.

    python -m benchmarks.workers SCENE MODEL [--side 5000] [--kills 20] [--predict '{...}']

The scene is repeated to so many rows and columns, each copy with a brightness of its own. With
`--kills` workers are killed at random moments instead, in one run after another.
"""

import argparse
import hashlib
import json
import os
import random
import subprocess  # nosec B404
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import rasterio
from distributed import Client, LocalCluster, WorkerPlugin
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference.predict_command import predict

from .timing import WORKER, describe_machine

ROOT = Path(__file__).resolve().parents[1]
PLUGINS = ROOT / "build" / "plugins"
PRELOAD = f"from runpy import run_path; run_path({str(WORKER)!a})['register_package']()"
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


class Starts(WorkerPlugin):
    """Notes each unit that a worker begins with."""

    def __init__(self, path: str) -> None:
        self._path = path

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:
        """Take note of a task that changes its state."""
        if finish == "executing":
            with open(self._path, "a") as file:
                file.write(f"{key}\n")


def main() -> None:
    """Map by each way, or with kills, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", help="a raster whose bands the model knows by name")
    parser.add_argument("model")
    parser.add_argument("--side", type=int, default=5000, help="rows and columns")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--predict", default="{}", help="further parameters, as JSON")
    given = parser.parse_args()
    print(describe_machine())
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repeat(Path(given.scene), folder / "stack.tif", given.side)
        parameters = {"stack": str(folder / "stack.tif"), "model": given.model}
        parameters |= json.loads(given.predict)
        if given.kills:
            killed(parameters, folder, given.kills)
        else:
            compared(parameters, folder)


def repeat(scene: Path, path: Path, side: int) -> None:
    """Write a scene side by side and below itself, copies brighter by up to a fifth."""
    with rasterio.open(scene) as source:
        values, profile, names = source.read(), source.profile, source.descriptions
    rows, columns = (-(-side // length) for length in values.shape[1:])
    steps = np.random.default_rng(0).uniform(0.9, 1.2, (rows, columns))
    profile |= {"height": side, "width": side, "tiled": True, "compress": "zstd"}
    profile |= {"blockxsize": 256, "blockysize": 256, "BIGTIFF": "IF_SAFER"}
    with rasterio.open(path, "w", **profile) as output:
        output.descriptions = names
        for row in range(rows):
            strip = np.concatenate([values * step for step in steps[row]], axis=2)
            top = row * values.shape[1]
            strip = strip[:, : side - top, :side].astype(profile["dtype"])
            output.write(strip, window=((top, top + strip.shape[1]), (0, side)))


def compared(parameters: dict[str, Any], folder: Path) -> None:
    """Map without workers, by two here, and by three of a scheduler."""
    mapped("one process", parameters, folder)
    mapped("WORKERS=2", {**parameters, "workers": 2}, folder)
    with scheduler(folder, 3) as (address, pids):
        mapped("SCHEDULER, 3 workers", {**parameters, "scheduler": address}, folder, *pids)


def mapped(label: str, parameters: dict[str, Any], folder: Path, *beside: int) -> None:
    """Map once, and print digest, seconds and memory; those of other processes count too."""
    output = folder / "probability.tif"
    request = {"command": "predict", "parameters": {**parameters, "probability": str(output)}}
    before, began = sum(map(_seconds, beside)), time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - the benchmarks' own  # nosec B603
        [sys.executable, str(WORKER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    if process.stdin is not None:
        process.stdin.write(json.dumps(request).encode())
        process.stdin.close()
    with Watch(process.pid, *beside) as watch:
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = used.ru_utime + used.ru_stime + sum(map(_seconds, beside)) - before
    print(
        f"{label}: status {process.returncode}, {digest(output)}, {seconds:.1f} CPU s, "
        f"{time.perf_counter() - began:.1f} s, driver {watch.driver:.0f} MB, worker "
        f"{watch.worker:.0f} MB",
        flush=True,
    )
    output.unlink()


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


def killed(parameters: dict[str, Any], folder: Path, kills: int) -> None:
    """Kill workers at random moments until so many are dead; count pixels that differ."""
    output, log = folder / "probability.tif", folder / "starts"
    moments, dead, runs, ended, again = random.Random(0), 0, 0, 0, 0  # noqa: S311  # nosec B311
    predict(**parameters, probability=str(output), progress=Progress())
    wanted = digest(output)
    options = {"dashboard_address": "127.0.0.1:0", "memory_limit": 0, "preload": [PRELOAD]}
    with LocalCluster(n_workers=2, threads_per_worker=1, **options) as cluster:
        with Client(cluster) as client:
            client.register_plugin(Starts(str(log)))
        done = threading.Event()

        def kill() -> None:
            nonlocal dead
            while not done.wait(moments.uniform(3, 9)) and dead < kills:
                cluster.scale(2)  # those that Dask has given up
                busy = [one for one in cluster.scheduler.workers.values() if one.processing]
                if busy:
                    psutil.Process(cluster.workers[moments.choice(busy).name].pid).kill()
                    dead += 1

        threading.Thread(target=kill).start()
        while dead < kills:
            log.write_text("")
            while True:
                try:
                    address = cluster.scheduler_address
                    predict(
                        **parameters, probability=str(output), scheduler=address,
                        progress=Progress(),
                    )  # fmt: skip
                    break
                except InputError as error:
                    ended += 1
                    print(error, flush=True)
            runs += 1
            again += sum(count - 1 for count in Counter(log.read_text().split()).values())
            same = digest(output) == wanted
            print(f"run {runs}: {dead} killed, {again} units again, same {same}", flush=True)
        done.set()
    print(f"{dead} workers killed in {runs} runs, {ended} of them ended by it; {again} units again")


def digest(path: Path) -> str:
    """Return the SHA-256 of a raster's values, its beginning."""
    with rasterio.open(path) as raster:
        return hashlib.sha256(raster.read().tobytes()).hexdigest()[:16]


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
