"""How large windows and batches are, and at which resolution a model reads."""

import math

import torch

from ...models.model_card import ModelCard
from ..contract.errors import GridError
from ..core.progress import Progress
from ..raster import Grid
from ..raster.grid import tell_metres

PIXELS_PER_BATCH = {"cpu": 2**18, "cuda": 2**21, "mps": 2**20}
"""Pixels that go through a network at once, as a rule."""


MOST_PIXELS = 2**21
"""Pixels that go through a network at once for the sake of several windows side by side."""


SIDES = {"cpu": 512, "cuda": 1024, "mps": 512}
"""Sides of the windows, as a rule: of larger ones a smaller share overlaps."""


SMALL_GPU = 6e9
"""Bytes of memory below which a GPU gets a processor's windows."""


SEES_THE_WHOLE = ("deeplab", "pspnet", "segformer", "upernet")
"""Networks that pool over the whole window, so that it has to be as large as in training."""


def side_for(card: ModelCard, device: torch.device) -> int:
    """Return the side in pixels that a model's windows have, where nobody asks for another."""
    if any(name in card.architecture for name in SEES_THE_WHOLE):
        return card.tile_size
    side = SIDES.get(device.type, SIDES["cpu"])
    if device.type == "cuda" and torch.cuda.get_device_properties(device).total_memory < SMALL_GPU:
        side = SIDES["cpu"]
    return max(card.tile_size, side)


def batch_for(side: int, device: torch.device, least: int = 1) -> int:
    """Return how many windows of a side go through the network at once.

    Args:
        side: in pixels.
        device: what computes.
        least: windows that it wants at least; it gets them unless they are large.
    """
    usual = PIXELS_PER_BATCH.get(device.type, 2**18) // side**2
    return max(1, usual, min(least, MOST_PIXELS // side**2))


LIKE_THE_MODELS = 1.25
"""Up to this ratio between the stack's and the model's pixel sizes nothing is resampled."""


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
