"""The units of a map that another process ordered: each is computed as planned, or refused."""

import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

import shapely
import torch

from ..contract.errors import InputError
from ..core.progress import Progress
from ..raster import Source
from .decide import Scene
from .obey import obey
from .order import NAME, Order
from .resume import Journal
from .scene import READING_THREADS
from .semantic import compute_units
from .units import units_of
from .windows import Area, Reader

_one_at_a_time = threading.Lock()
"""A worker that was started with several threads has one model for all."""


def compute(folder: str, number: int) -> list[str]:
    """Compute a unit, and keep it in the journal; one that is kept already is left.

    Args:
        folder: the journal, with an order in it.
        number: of the unit.

    Returns:
        What was warned of.

    Raises:
        InputError: the folder or a file is not to be seen here; versions, models, stack or runtime
            are others than planned; or the map is not wanted any more.
        ModelFileError: the model gives no numbers.
    """
    with _one_at_a_time:
        order, scene = _opened(_order_in(folder))
        plan = order.plan
        wanted = _Wanted(Path(folder, NAME))
        with scene.open() as source:
            tiling = plan.tiling(source.grid.shape)
            unit = units_of(tiling, plan.batch_size)[number]
            journal = Journal(Path(folder), tiling, order.channels)
            if journal.load(unit) is None:
                compute_units(
                    scene.predictor,
                    _reader(order, scene, source),
                    [unit],
                    journal.keep,
                    tiling=tiling,
                    batch_size=plan.batch_size,
                    device=torch.device(plan.device),
                    progress=wanted,
                )
    return wanted.warnings


class _Wanted(Progress):
    """Ends a unit soon after its order was withdrawn, and keeps what is warned of.

    Args:
        path: the order's file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(self._hear)
        self._path = path
        self.warnings: list[str] = []

    def update(self, fraction: float) -> None:
        """Look whether the order is still there.

        Raises:
            InputError: it isn't.
        """
        if not self._path.exists():
            raise InputError(f"The map is not wanted any more: {self._path} was removed.")

    def _hear(self, event: dict[str, Any]) -> None:
        if event["type"] == "warning":
            self.warnings.append(event["text"])


def _order_in(folder: str) -> str:
    """Return what an order's file holds."""
    path = Path(folder, NAME)
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(_not_seen(path)) from error


@lru_cache(maxsize=1)
def _opened(text: str) -> tuple[Order, Scene]:
    """Return an order with its stack and models: those of the map that a worker last worked on."""
    order = Order.read(text)
    for path in order.paths:
        if not Path(path).exists():
            raise InputError(_not_seen(path))
    return order, obey(order.plan, Progress(), order.stack)


def _not_seen(path: str | Path) -> str:
    return (
        f"{path} is not to be seen there: mount the disk that holds it under the same path, or "
        "start workers on machines that have it."
    )


def _reader(order: Order, scene: Scene, source: Source) -> Reader:
    plan = order.plan
    area = Area(shapely.from_wkb(order.area), source.grid) if order.area else None
    threads = READING_THREADS.get(plan.device, 1)
    return Reader(source, scene.predictor.card, plan.tiling(source.grid.shape), area, threads)
