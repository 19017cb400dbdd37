"""Semantic prediction: reads ahead, runs the networks, blends and writes behind."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..contract.errors import InputError
from ..core.ahead import read_ahead
from ..core.progress import Progress
from ..raster import Grid
from .accumulator import Accumulator, Finished
from .assembly import Assembly, Completion, Kept, Write
from .predictor import Predictor
from .sizes import batch_for
from .tiling import Tiling
from .units import Unit, units_of
from .windows import Input, Reader

ENOUGH_PIXELS = 10**6
"""Valid pixels after which a stack can be told to be far from the training's statistics."""


def map_probability(
    predictor: Predictor,
    reader: Reader,
    grid: Grid,
    tiling: Tiling,
    write: Write,
    *,
    batch_size: int = 0,
    device: torch.device | str = "cpu",
    units: Sequence[Unit] = (),
    kept: Kept | None = None,
    progress: Progress,
) -> None:
    """Run a predictor over all windows and blend what it says.

    Memory holds a unit's height of the output or two, whatever the raster's height.

    Args:
        predictor: gives the windows' values.
        reader: gives the windows' inputs.
        grid: the stack's grid.
        tiling: the windows.
        write: gets the predictor's channels for every row; it is called in another thread.
        batch_size: windows that go through the network at once; 0 chooses by device and size.
        device: where the images are brought.
        units: all of the raster; without any they are cut here.
        kept: units of a run that was broken off.
        progress: told of each batch.

    Raises:
        InputError: the device's memory is too small for one window.
        OutputError: what is kept was changed meanwhile.
    """
    device = torch.device(device)
    batch_size = batch_size or batch_for(tiling.size, device, predictor.side_by_side)
    units = list(units) or units_of(tiling, batch_size)
    shape = predictor.channels, grid.height, grid.width
    completion = Completion(Assembly(tiling, units, shape, device, write), units, kept)
    completion.begin(progress)
    compute_units(
        predictor,
        reader,
        completion.missing,
        completion.computed,
        tiling=tiling,
        batch_size=batch_size,
        device=device,
        progress=progress,
    )


def compute_units(
    predictor: Predictor,
    reader: Reader,
    units: Sequence[Unit],
    finished: Finished,
    *,
    tiling: Tiling,
    batch_size: int,
    device: torch.device,
    progress: Progress,
) -> None:
    """Run a predictor over the windows of some units, in their order.

    Reading ahead, the network, and what comes after it, blending and writing, each have a thread.

    Args:
        predictor: gives the windows' values.
        reader: gives the windows' inputs.
        units: to compute.
        finished: gets each of them, in another thread.
        tiling: all windows of the raster.
        batch_size: windows that go through the network at once.
        device: where the images are brought.
        progress: told of each batch.

    Raises:
        InputError: the device's memory is too small for one window.
    """
    run = _Batches(predictor, device, batch_size)
    accumulator = Accumulator(tiling, units, predictor.channels, device, finished)
    warned = False
    with (
        behind(accumulator.add, batch_size) as add,
        closing(reader.batches(batch_size, units)) as read,
        closing(read_ahead(run.prepare, read)) as batches,
        torch.inference_mode(),
    ):
        for done, batch in batches:
            for item, values in run(batch):
                add(item, values)
            if not warned and reader.count >= ENOUGH_PIXELS:
                warned = True
                reader.warn_if_far(progress)
            progress.update(done / len(tiling))
    accumulator.finish()
    if not warned:
        reader.warn_if_far(progress)


@dataclass(frozen=True)
class _Batch:
    """Windows and their images, (N, bands, size, size)."""

    inputs: list[Input]
    images: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, part: slice) -> "_Batch":
        return _Batch(self.inputs[part], self.images[part])


class _Batches:
    """Runs batches; where the memory is too small, by halves from then on."""

    def __init__(self, predictor: Predictor, device: torch.device, most: int) -> None:
        self._predictor = predictor
        self._device = device
        self._most = most

    def prepare(self, read: tuple[int, list[Input]]) -> tuple[int, _Batch | None]:
        """Return what was read as one batch, in memory that a GPU copies from by itself."""
        done, inputs = read
        if not inputs:
            return done, None
        pin = self._device.type == "cuda"
        first = inputs[0]
        shape = (len(inputs), *first.values.shape)
        images = torch.empty(shape, pin_memory=pin, memory_format=torch.channels_last)
        for index, item in enumerate(inputs):
            images[index] = torch.from_numpy(item.values)
        return done, _Batch(inputs, images)

    def __call__(self, batch: _Batch | None) -> Iterator[tuple[Input, Tensor]]:
        """Yield each window with its values, on the device."""
        while batch:
            part = batch[: self._most]
            values = self._run(part)
            if values is not None:
                yield from zip(part.inputs, values, strict=True)
                batch = batch[len(part) :]

    def _run(self, batch: _Batch) -> Tensor | None:
        """Return the values; None, and take half as many from now on, if they don't fit."""
        try:
            return self._predictor(batch.images.to(self._device, non_blocking=True))
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            if len(batch) == 1:
                raise InputError(
                    f"The memory of {self._device} is too small for one window: choose smaller "
                    "tiles."
                ) from error
        self._most = len(batch) // 2
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        return None


@contextmanager
def behind(work: Callable[..., None], most: int = 2) -> Iterator[Callable[..., None]]:
    """Yield a function that has `work` called in a thread, in order, and waits if it lags.

    On leaving, all is done; after an error, what was not begun is dropped.

    Args:
        work: the function.
        most: calls that may wait.
    """
    pool = ThreadPoolExecutor(max_workers=1)
    pending: deque[Future[None]] = deque()

    def put(*arguments: Any) -> None:
        pending.append(pool.submit(work, *arguments))
        while len(pending) > most:
            pending.popleft().result()

    try:
        yield put
        while pending:
            pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _is_out_of_memory(error: RuntimeError) -> bool:
    if isinstance(error, torch.OutOfMemoryError):
        return True
    text = str(error)
    return "out of memory" in text or "can't allocate memory" in text
