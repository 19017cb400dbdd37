"""Workers of Dask that compute the units of maps: in processes here, or those of a scheduler.

They get a folder's name and a number, and leave files; see `unit_work`.
"""

import logging
import math
import os
import pkgutil
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from .. import __version__
from ..contract.errors import InputError
from ..core.access import require_allowed
from ..core.progress import Progress
from .order import Order
from .resume import Journal
from .unit_task import compute_unit
from .units import Unit

UNITS_AHEAD = 2
"""Units a worker that are handed to the scheduler; the others wait here."""
RETRIES = 2
FILE_SECONDS = 90.0
"""A network drive may show a file that much later."""
_CONNECT_SECONDS = 10.0
_CLOSE_SECONDS = 1.0
_POLL_SECONDS = 0.1
_COUNT_SECONDS = 2.0
_SPEAKING = ("dask", "distributed", "landslide_mapper")
"""Packages that speak with each other, so must be of one version."""
_ENGINE = f"{__package__.rpartition('.')[0]}:__version__"

_SETTINGS = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.deploy.lost-worker-timeout": "90s",
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    "distributed.nanny.pre-spawn-environ.GDAL_NUM_THREADS": 1,
}
"""No profile of what workers do, and seldom a look at loops and machine (5 % of a core); time for
one that died to be started anew on a busy machine; no memory given back that is wanted in a moment:
an eighth; and one thread to decompress, where as many workers have the cores."""

_WORKER = Path(__file__).resolve().parents[1] / "worker.py"
_PRELOAD = (
    f"from runpy import run_path; run_path({str(_WORKER)!a})['register_package']()\n"
    f"from {compute_unit.__module__} import get_ready; get_ready()"
)
"""What processes here run first: the plugin is a package to them whatever its folder, and what
computes is imported while the map is still being decided on."""


class Crew:
    """Workers that are at hand.

    Args:
        client: Dask's.
        address: the scheduler's.
        revive: starts workers, or starts them anew; called where there are too few.
        wanted: workers that there should be.
    """

    def __init__(
        self,
        client: Any,
        address: str,
        revive: Callable[[int], None] = lambda _: None,
        wanted: int = 0,
    ) -> None:
        self._client = client
        self._address = address
        self._revive = revive
        self._wanted = wanted
        self._counted = -math.inf
        self._workers: set[str] = set()

    def require_fit(self) -> None:
        """Refuse a scheduler or workers of other versions, or without the engine.

        Raises:
            InputError: they are, or the scheduler was lost.
        """
        with self._lost_in_a_sentence():
            _require_versions(self._client, self._address, sorted(self._infos()))

    def compute(
        self,
        order: Order,
        journal: Journal,
        units: Sequence[Unit],
        noticed: Callable[[Unit], None],
        progress: Progress,
    ) -> None:
        """Have units computed into a journal.

        Args:
            order: the map's.
            journal: the map's, in a folder that workers see too.
            units: to compute; those on top are begun first.
            noticed: told of each unit that is finished, as soon as it is in the journal.
            progress: told of each unit, and of what workers warn of.

        Raises:
            InputError: a worker is not fit for the map, workers died, or the scheduler was lost.
            OutputError: from `noticed`.
        """
        with order.given(journal.folder), self._lost_in_a_sentence():
            self._require_gpu(order)
            self._compute(order, journal, deque(units), noticed, progress)

    def _compute(
        self,
        order: Order,
        journal: Journal,
        waiting: deque[Unit],
        noticed: Callable[[Unit], None],
        progress: Progress,
    ) -> None:
        running: dict[Any, Unit] = {}
        total, warned = len(waiting), False
        progress.message(f"Units for the workers of {self._address}: {total}.")
        options = {"resources": {"GPU": 1}} if order.plan.device == "cuda" else {}
        while waiting or running:
            while waiting and len(running) < UNITS_AHEAD * max(1, self._count(progress)):
                unit = waiting.popleft()
                future = self._client.submit(
                    compute_unit, str(journal.folder.absolute()), unit.number,
                    pure=False, retries=RETRIES, **options,
                )  # fmt: skip
                running[future] = unit
            finished = [future for future in running if future.done()]
            for future in finished:
                unit = running.pop(future)
                told = self._told(future, unit)
                _await_unit(journal, unit, told["worker"], progress)
                noticed(unit)
                if told["warnings"] and not warned:
                    warned = True
                    progress.warning(told["warnings"][0])
            progress.update(1 - (len(waiting) + len(running)) / total)
            if not finished:
                time.sleep(_POLL_SECONDS)

    def _told(self, future: Any, unit: Unit) -> dict[str, Any]:
        """Return what a worker tells of a unit, or raise what it could not be computed for."""
        from distributed import KilledWorker

        try:
            told: dict[str, Any] = future.result()
        except CancelledError as error:
            raise _LostError from error
        except KilledWorker as error:
            raise InputError(
                f"Unit {unit} was at work when worker after worker ended, for want "
                "of memory perhaps: give them more, or choose smaller tiles or batches; finished "
                "units are kept."
            ) from error
        if "refused" in told:
            raise InputError(f"The worker {told['worker']} refuses: {told['refused']}")
        return told

    def _count(self, progress: Progress) -> int:
        """Return how many workers there are; tell when there are none, check those that are new."""
        missing = len(self._workers) < self._wanted
        if missing or time.monotonic() - self._counted >= _COUNT_SECONDS:
            before, workers = self._workers, set(self._infos())
            new, first = sorted(workers - before), self._counted < 0
            if not workers and (before or first) and not self._wanted:
                progress.message(f"The scheduler {self._address} has no worker yet: waiting.")
            if new or first:
                _require_versions(self._client, self._address, new)
            if len(workers) < self._wanted:
                self._revive(self._wanted)
            self._workers, self._counted = workers, time.monotonic()
        return len(self._workers)

    def _infos(self) -> dict[str, Any]:
        """Return what the scheduler says of each worker, by its address."""
        told = self._client.scheduler_info(n_workers=-1)
        if "workers" not in told:  # what a client says that has lost it
            raise _LostError
        infos: dict[str, Any] = told["workers"]
        return infos

    def _require_gpu(self, order: Order) -> None:
        offered = [info["resources"] for info in self._infos().values()]
        if order.plan.device == "cuda" and offered and not any("GPU" in one for one in offered):
            raise InputError(
                f"No worker of {self._address} offers a GPU, which the map is planned for: start "
                'workers with --resources "GPU=1", or choose the device cpu.'
            )

    @contextmanager
    def _lost_in_a_sentence(self) -> Iterator[None]:
        from distributed.client import ClosedClientError

        try:
            yield
        except (_LostError, OSError, ClosedClientError) as error:
            if isinstance(error, OSError) and self._client.status == "running":
                raise  # a disk's
            raise InputError(
                f"The scheduler {self._address} was lost: finished units are kept, so start the "
                "same run again once it is back, or without it."
            ) from error


class _LostError(Exception):
    """What was asked of a scheduler is asked of nobody any more."""


@contextmanager
def hired(scheduler: str, workers: int) -> Iterator[Crew | None]:
    """Yield workers; None where none are asked for.

    Args:
        scheduler: address of Dask's scheduler, whose workers are taken; empty for none.
        workers: processes to start here where there is no scheduler; each computes by one thread.

    Raises:
        InputError: the scheduler does not answer, or its protocol is not allowed.
    """
    require_allowed(scheduler)
    if scheduler:
        with _client(scheduler, scheduler) as client:
            yield Crew(client, scheduler)
    elif workers:
        with _embedded(workers) as cluster, _client(cluster.scheduler_address, "here") as client:
            yield Crew(client, "this machine", partial(_start, cluster), workers)
    else:
        yield None


def require_scheduler(scheduler: str) -> None:
    """Refuse a scheduler before other work, which its workers only come after.

    Args:
        scheduler: its address; empty for none.

    Raises:
        InputError: it does not answer, its protocol is not allowed, or what runs there is not fit.
    """
    with hired(scheduler, 0) as crew:
        if crew:
            crew.require_fit()


@contextmanager
def _embedded(workers: int) -> Iterator[Any]:
    import dask
    from distributed import LocalCluster

    others = active_children()
    with dask.config.set(_SETTINGS), _silent():
        cluster = LocalCluster(
            n_workers=0,  # or it would wait for them
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",  # else a fixed port
            memory_limit=0,  # as without workers
            preload=[_PRELOAD],
            resources={"GPU": 1},
        )
        cluster.shutdown_on_close = False  # at the program's end: it is closed below
        try:
            _start(cluster, workers)
            yield cluster
        finally:
            _end(cluster, workers, others)
            with suppress(TimeoutError):
                cluster.close(timeout=_CLOSE_SECONDS)


def _end(cluster: Any, workers: int, others: Sequence[BaseProcess]) -> None:
    """Kill the processes of a cluster, which have nothing to lose, those that are starting too.

    Args:
        cluster: Dask's.
        workers: how many there should be; they may be about to be.
        others: processes that are none of its.
    """
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
    until = time.monotonic() + _CLOSE_SECONDS
    while len(ours := set(active_children()) - set(others)) < workers and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
    for process in ours:
        process.kill()


@contextmanager
def _silent() -> Iterator[None]:
    """Have nobody told of workers that end while they are started: a sentence says it, if any."""
    loggers = [logging.getLogger(name) for name in ("tornado.application", "asyncio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _start(cluster: Any, workers: int) -> None:
    """Have a cluster start what it lacks of some workers, without waiting for them.

    Raises:
        InputError: one could not be started.
    """
    if any(nanny.status.name == "failed" for nanny in cluster.workers.values()):
        raise InputError(
            f"The {workers} workers can't be started on this machine, for want of memory perhaps: "
            "choose fewer, or 0 for none."
        )
    cluster.scale(workers)


@contextmanager
def _client(scheduler: Any, name: str) -> Iterator[Any]:
    from distributed import Client

    try:
        client = Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"The scheduler {name} does not answer ({error}): start it, or check the address and "
            "the network."
        ) from error
    try:
        yield client
    finally:
        client.close(timeout=_CLOSE_SECONDS)


def _require_versions(client: Any, address: str, workers: Sequence[str]) -> None:
    """Refuse a scheduler or workers that another Dask runs, or without an engine of this version.

    A worker that can't import what it is sent would say nothing, for ever.
    """
    engines = {address: _engine_of_scheduler(client)}
    if workers:
        engines |= client.run(pkgutil.resolve_name, _ENGINE, workers=workers, on_error="return")
    told = client.get_versions(check=False)
    packages = {one: info["packages"] for one, info in told["workers"].items() if info}
    packages[address] = told["scheduler"]["packages"]
    ours = {**told["client"]["packages"], "landslide_mapper": __version__}
    for who, engine in engines.items():
        if isinstance(engine, ImportError | AttributeError):
            raise InputError(
                f"What runs at {who} can't import the engine ({engine}): start scheduler and "
                "workers by the engine's Python, with PYTHONPATH naming the folder that "
                "landslide_mapper lies in."
            )
        if isinstance(engine, Exception) or who not in packages:  # it has died meanwhile
            continue
        theirs = {**packages[who], "landslide_mapper": engine}
        for package in _SPEAKING:
            if theirs[package] != ours[package]:
                raise InputError(
                    f"What runs at {who} has {package} {theirs[package]} (here {ours[package]}): "
                    "start it by an engine of this version."
                )


def _engine_of_scheduler(client: Any) -> Any:
    try:
        return client.run_on_scheduler(pkgutil.resolve_name, _ENGINE)
    except (ImportError, AttributeError) as error:
        return error


def _await_unit(journal: Journal, unit: Unit, worker: str, progress: Progress) -> None:
    """Wait until a unit that a worker has kept is to be seen here."""
    until = time.monotonic() + FILE_SECONDS
    while not journal.holds(unit):
        if time.monotonic() > until:
            raise InputError(
                f"The worker {worker} says that unit {unit.number} is finished, but it is not in "
                f"{journal.folder}: that folder must be the same one for all workers."
            )
        progress.update(0)
        time.sleep(_POLL_SECONDS)
        os.listdir(journal.folder)  # has a network drive look again
