"""How large windows and batches are, and at which resolution a model reads."""

import math
from collections import Counter
from collections.abc import Sequence

import torch

from ...models.model_card import ModelCard
from ..contract.errors import ModelFileError
from ..raster import Grid
from .runtimes import Member
from .tiling import Tiling

PIXELS_PER_BATCH = {"cpu": 2**18, "cuda": 2**21, "mps": 2**20}
"""Pixels that go through a network at once, as a rule."""


MOST_PIXELS = 2**21
"""Pixels that go through a network at once for the sake of several windows side by side."""


SIDES = {"cpu": 512, "cuda": 1024, "mps": 512}
"""Sides of the windows, as a rule: of larger ones a smaller share overlaps."""


SMALL_GPU = 6e9
"""Bytes of memory below which a GPU gets a processor's windows."""


EXAMPLE_SIDE = 256
"""Side of the windows on which runtimes are compared, at most: float32 is slow."""


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


def side_of(members: Sequence[Member], tile_size: int, device: torch.device) -> tuple[int, bool]:
    """Return the side of what the networks get, and whether one of them takes no other.

    Raises:
        ModelFileError: they want different sides, or another than was asked for.
    """
    fixed = {member.runtime.fixed_size[0] for member in members if member.runtime.fixed_size}
    if not fixed:
        return tile_size or min(side_for(member.card, device) for member in members), False
    if len(fixed) > 1 or tile_size not in (0, *fixed):
        sides = " and ".join(str(side) for side in sorted(fixed))
        raise ModelFileError(
            f"The models take images of {sides} pixels only: leave the tile size at 0, and average "
            "models of one size."
        )
    return fixed.pop(), True


def example_side(card: ModelCard, tile_size: int, device: torch.device) -> int:
    """Return the side of windows to compare runtimes on."""
    return min(tile_size or side_for(card, device), EXAMPLE_SIDE)


def windows_of(grids: Sequence[Grid], card: ModelCard, tile_size: int, device: torch.device) -> int:
    """Return how many windows of the side `EXAMPLE_SIDE` stacks make, on the mean of their sides.

    Stacks smaller than a window have sides of their own, for each of which a runtime has to prepare
    the network anew.
    """
    pixels: Counter[int] = Counter()
    for grid in grids:
        size, side = window_sides(grid, card, tile_size or side_for(card, device), fixed=False)
        pixels[side] += len(Tiling(grid.shape, size)) * side**2
    return math.ceil(pixels.total() / len(pixels) / EXAMPLE_SIDE**2)
