"""What predict and detect begin with: the model on its device, the stack, and their fit."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ...models.model_card import ModelCard
from ...models.model_file import load_model
from ..device import describe, pick_device
from ..errors import GridError
from ..progress import Progress
from ..provenance import CURRENT
from ..raster import Grid, Source
from ..raster.grid import require_north_up, tell_metres
from ..raster.heights import require_metres
from ..raster.undeclared import mark_fill
from .runtimes.opening import require_task
from .windows import Reader

LIKE_THE_MODELS = 1.25
"""Up to this ratio between the stack's and the model's pixel sizes nothing is resampled."""


def load_network(
    path: str, task: str, device: str, progress: Progress
) -> tuple[nn.Module, ModelCard, torch.device]:
    """Return the network on its device, and its card; refuse a model of another task."""
    network, card = load_model(path)
    require_task(card, task)
    place = pick_device(device)
    progress.message(f"Model {card.name} on {describe(place)}.")
    CURRENT.model = card.name
    return placed(network, place), card, place


def placed(network: nn.Module, place: torch.device) -> nn.Module:
    """Bring a network to its device, in the memory format in which convolutions are fastest."""
    moved: nn.Module = network.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


@contextmanager
def open_stack(
    path: str, card: ModelCard, progress: Progress, fill: str = "keep"
) -> Iterator[Source]:
    """Open the stack, and warn where its pixels are of another size than the model's.

    Args:
        path: the stack.
        card: the model's.
        progress: where to warn.
        fill: one of `undeclared.FILLS`.
    """
    with Source.open(path, what="stack", need_crs=False) as source:
        if source.grid.crs is None:
            progress.warning(f"{path} has no CRS: lengths and areas are counted in pixels.")
        else:
            require_north_up(source.grid.transform, path)
            require_metres(source)
            check_resolution(source.grid, card, progress)
        mark_fill([source], fill, progress, bands=[b for b in source.bands if b in card.bands])
        yield source


def check_resolution(grid: Grid, card: ModelCard, progress: Progress) -> None:
    """Warn where the stack's pixels are not about as wide as those that the model has learnt.

    Raises:
        GridError: they are ten times as wide or more, or a tenth and less.
    """
    ratio = resolution_ratio(grid, card)
    like = 1 / LIKE_THE_MODELS <= ratio <= LIKE_THE_MODELS
    if ratio != 1 and not (like and grid.metres_vary < LIKE_THE_MODELS - 1):
        tell_metres(grid, progress, "resampling to the model's pixels")
    if 0.5 <= ratio <= 2:
        return
    apart = (
        f"the stack's pixels are {grid.resolution:.3g} m wide, but the model {card.name} was "
        f"trained at {card.resolution:.3g} m"
    )
    if not 0.105 < ratio < 9.5:
        raise GridError(
            f"Nothing can be found at another scale: {apart}. Resample the stack, check its CRS, "
            "or choose another model."
        )
    effect = (
        "it is averaged to these, and what is smaller is not seen"
        if ratio < 1
        else "it is resampled to these, but has not their detail: the result may be poor"
    )
    progress.warning(f"{apart[0].upper()}{apart[1:]}: {effect}.")


def resolution_ratio(grid: Grid, card: ModelCard) -> float:
    """Return how much wider the stack's pixels are than the model's; 1 where one is not known."""
    if grid.crs is None or not card.resolution:
        return 1.0
    return grid.resolution / card.resolution


def window_sides(grid: Grid, card: ModelCard, side: int, fixed: bool) -> tuple[int, int]:
    """Return the windows' side in the stack's pixels, and in those that the network gets.

    They are one where the stack's pixels are about as wide as the model's.

    Args:
        grid: the stack's.
        card: the model's.
        side: pixels of the side of what the network is to get.
        fixed: whether it takes no other; else windows are no larger than the stack.
    """
    ratio = resolution_ratio(grid, card)
    if 1 / LIKE_THE_MODELS <= ratio <= LIKE_THE_MODELS:
        ratio = 1.0
    size = max(16, round(side / ratio))
    if fixed:
        return size, side
    size = min(size, max(32, math.ceil(max(grid.shape) / 32) * 32))
    return size, size if ratio == 1 else max(16, round(size * ratio))


def warn_if_far(reader: Reader, progress: Progress) -> None:
    """Warn of bands whose values lie far from those that the model was trained on."""
    far = reader.far_bands()
    if far:
        named = ", ".join(f"{band} ({mean:+.0f})" for band, mean in far.items())
        progress.warning(
            "The stack lies far from what the model was trained on, in standard deviations: "
            f"{named}; check the units and the order of the bands, the result may be poor."
        )
