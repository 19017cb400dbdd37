"""What predict and detect begin with: the model on its device, the stack, and their fit."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ...models.device import describe, pick_device
from ...models.model_card import ModelCard, require_task
from ...models.model_file import load_model
from ..core.progress import Progress
from ..raster import Source
from ..raster.grid import require_north_up
from ..raster.heights import require_metres
from ..raster.undeclared import mark_fill
from .sizes import check_resolution
from .windows import Reader


def load_network(
    path: str, task: str, device: str, progress: Progress
) -> tuple[nn.Module, ModelCard, torch.device]:
    """Return the network on its device, and its card; refuse a model of another task."""
    network, card = load_model(path)
    require_task(card, task)
    place = pick_device(device)
    progress.message(f"Model {card.name} on {describe(place)}.")
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


def warn_if_far(reader: Reader, progress: Progress) -> None:
    """Warn of bands whose values lie far from those that the model was trained on."""
    far = reader.far_bands()
    if far:
        named = ", ".join(f"{band} ({mean:+.0f})" for band, mean in far.items())
        progress.warning(
            "The stack lies far from what the model was trained on, in standard deviations: "
            f"{named}; check the units and the order of the bands, the result may be poor."
        )
