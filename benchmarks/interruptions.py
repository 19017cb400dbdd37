"""Maps whose workers are killed, whose run is killed or canceled, at random: what is lost by it.

    python -m benchmarks.interruptions SCENE MODEL [--bands blue green red] [--side 3000]
        [--workers 20] [--runs 10] [--cancels 20] [--seed 0]

The scene is repeated as in `workers`. First workers are killed while they are at work, then runs
with two workers are killed, then canceled, each at a random moment; what goes on from there is
compared with a map that nothing disturbed.
"""

import argparse
import json
import os
import random
import signal
import subprocess  # nosec B404
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from distributed import Client, LocalCluster, WorkerPlugin
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference.predict_command import predict

from .timing import WORKER, describe_machine
from .workers import digest, repeat

PRELOAD = f"from runpy import run_path; run_path({str(WORKER)!a})['register_package']()"
ALONE = 6.0
"""Seconds between a run's start and the first moment at which it may be broken off."""


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
    """Break maps off in each way, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene")
    parser.add_argument("model")
    parser.add_argument("--bands", nargs="+", help="names that the model knows them by")
    parser.add_argument("--side", type=int, default=3000, help="rows and columns")
    parser.add_argument("--workers", type=int, default=20, help="workers to kill")
    parser.add_argument("--runs", type=int, default=10, help="runs to kill")
    parser.add_argument("--cancels", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(describe_machine())
    os.environ["OMP_NUM_THREADS"] = "1"
    moments = random.Random(given.seed)  # noqa: S311  # nosec B311
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stack, output = folder / "stack.tif", folder / "probability.tif"
        repeat(Path(given.scene), stack, given.side, given.bands)
        asked: dict[str, Any] = {"stack": str(stack), "model": given.model}
        asked["probability"] = str(output)
        began = time.perf_counter()
        predict(**asked, progress=Progress())
        undisturbed = time.perf_counter() - began
        wanted = digest(output)
        print(f"undisturbed, without workers: {undisturbed:.1f} s, {wanted}", flush=True)
        if given.workers:
            kill_workers(asked, given.workers, moments, undisturbed, folder / "starts")
        for count, end in ((given.runs, _kill), (given.cancels, _cancel)):
            if count:
                break_off(asked, count, end, moments, undisturbed)


def kill_workers(
    asked: dict[str, Any], kills: int, moments: random.Random, undisturbed: float, log: Path
) -> None:
    """Kill workers while they are at work until so many are dead; count pixels that differ.

    One every one to three times that a map takes undisturbed, so that new ones have started.
    """
    output = Path(asked["probability"])
    wanted = digest(output)
    dead = runs = ended = again = 0
    options = {"dashboard_address": "127.0.0.1:0", "memory_limit": 0, "preload": [PRELOAD]}
    with LocalCluster(n_workers=2, threads_per_worker=1, **options) as cluster:
        with Client(cluster) as client:
            client.register_plugin(Starts(str(log)))
        done = threading.Event()

        def kill() -> None:
            nonlocal dead
            while not done.wait(undisturbed * moments.uniform(1, 3)) and dead < kills:
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
                    predict(**asked, scheduler=cluster.scheduler_address, progress=Progress())
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


def break_off(
    asked: dict[str, Any],
    count: int,
    end: Callable[[subprocess.Popen[bytes]], None],
    moments: random.Random,
    undisturbed: float,
) -> None:
    """Have a map of two workers broken off so often, going on in between, and see what is left."""
    output, broken, finished = Path(asked["probability"]), 0, 0
    wanted, slowest = digest(output), 0.0
    output.unlink()
    while broken < count:
        process = _start({**asked, "workers": 2})
        try:
            process.wait(ALONE + moments.uniform(0, undisturbed))
            finished += 1
            print(f"finished {finished}: same {digest(output) == wanted}", flush=True)
            output.unlink()
            continue
        except subprocess.TimeoutExpired:
            pass
        workers = psutil.Process(process.pid).children(recursive=True)
        began = time.perf_counter()
        end(process)
        process.wait()
        _, alive = psutil.wait_procs(workers, timeout=30)
        slowest = max(slowest, time.perf_counter() - began)
        broken += 1
        if alive:
            print(f"{len(alive)} processes outlive their run by 30 s", flush=True)
    _start({**asked, "workers": 2}).wait()
    print(
        f"{broken} times {end.__name__.strip('_')}: all processes ended within {slowest:.1f} s; "
        f"{finished} finished in between; the last same {digest(output) == wanted}",
        flush=True,
    )


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()


def _cancel(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)


def _start(parameters: dict[str, Any]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(  # noqa: S603 - the benchmarks' own  # nosec B603
        [sys.executable, str(WORKER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    if process.stdin is not None:
        request = json.dumps({"command": "predict", "parameters": parameters})
        process.stdin.write(f"{request}\n".encode())
        process.stdin.flush()
    return process


if __name__ == "__main__":
    main()
