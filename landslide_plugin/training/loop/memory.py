"""Batches that do not fit the memory are worked off in parts."""

from collections.abc import Callable
from typing import TypeVar

import torch

from ...contract.errors import InputError
from ...core.progress import Progress
from ..tiles.batches import Batch

T = TypeVar("T")
SIGNS = ("out of memory", "allocate memory", "not enough memory")
"""What PyTorch's many errors for a full memory have in common, by device."""


class Memory:
    """Remembers in how many parts a batch must be worked off.

    The parts of a training step add up to one gradient, so that step, learning rate and schedule
    stay those of the whole batch; only batch normalization sees fewer tiles at once.

    Args:
        progress: warned of each halving.
        parts: to begin with.
    """

    def __init__(self, progress: Progress, parts: int = 1) -> None:
        self.parts = parts
        self._progress = progress

    def run(self, batch: Batch, work: Callable[[list[Batch]], T]) -> T:
        """Return work(parts of the batch), halving them until it goes.

        Raises:
            InputError: not even a single tile fits.
        """
        while True:
            pieces = _split(batch, self.parts)
            lacking = ""
            try:
                return work(pieces)
            except RuntimeError as error:
                lacking = str(error)
                if not _is_full(error):
                    raise
            # Out of the handler, whose traceback holds the tensors of the failed attempt.
            self._halve(len(batch.labels), batch.labels.shape[-1], lacking)

    def _halve(self, tiles: int, size: int, lacking: str) -> None:
        at_once = -(-tiles // self.parts)
        if at_once == 1:
            raise InputError(
                f"The memory does not suffice for a single tile of {size} px: choose a smaller "
                f"tile size or a smaller network ({lacking.splitlines()[0]})."
            )
        self.parts = -(-tiles // (at_once // 2))
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._progress.warning(
            f"The memory does not suffice for {at_once} tiles of {size} px at once: going on with "
            f"{at_once // 2} at a time."
        )


def _split(batch: Batch, parts: int) -> list[Batch]:
    """Cut a batch into up to `parts` nearly equal ones."""
    tiles = len(batch.labels)
    at_once = -(-tiles // parts)
    return [
        Batch(batch.images[start : start + at_once], batch.labels[start : start + at_once])
        for start in range(0, tiles, at_once)
    ]


def _is_full(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or any(
        sign in str(error).lower() for sign in SIGNS
    )
