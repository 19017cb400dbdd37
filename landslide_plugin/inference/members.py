"""Opens the models that are to be asked, each with its runtime."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ...models.model_card import ModelCard
from ...models.model_file import SUFFIX, load_model
from ..errors import ModelFileError
from ..progress import Progress
from ..raster import Grid, Source
from .opening import check_resolution, require_task, resolution_ratio
from .predictor import Member
from .runtimes import open_runtime
from .semantic import side_for
from .tiling import Tiling
from .windows import Reader, require_bands

EXAMPLES = 2
LOOKED_AT = 25
"""Windows of a scene that are looked at in search of some that hold anything."""


def open_members(
    paths: Sequence[str],
    source: Source,
    device: torch.device,
    runtime: str,
    *,
    tile_size: int = 0,
    progress: Progress,
) -> list[Member]:
    """Open models; a file of several folds gives several members.

    Args:
        paths: model files.
        source: the scene to map, on whose windows runtimes are compared.
        device: what they run on.
        runtime: auto or one of `runtimes.NAMES`.
        tile_size: side of the windows; 0 chooses.
        progress: told what is chosen.

    Raises:
        ModelFileError: a bad model file, a model of another task, or the stack lacks its bands.
        GridError: the stack's pixels are of quite another size.
        InputError, MissingPackageError: no such runtime.
    """
    members = []
    for path in paths:
        for model in _models_of(path):
            side = tile_size
            if isinstance(model, tuple):
                card = model[1]
                require_task(card)
                require_bands(source, card)
                check_resolution(source.grid, card, Progress())
                side = side or side_for(card, device)
            opened, card = open_runtime(
                model,
                device,
                runtime,
                size=side,
                examples=lambda card, side: _examples(source, card, side),
                work=_windows(source.grid, card, side) if isinstance(model, tuple) else 0,
                progress=progress,
            )
            require_bands(source, card)
            members.append(Member(opened, card))
    return members


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


def _models_of(path: str) -> list[str | tuple[nn.Module, ModelCard]]:
    if Path(path).suffix.lower() != SUFFIX:
        return [path]
    network, card = load_model(path)
    return [(member, card) for member in getattr(network, "members", [network])]


def _windows(grid: Grid, card: ModelCard, side: int) -> int:
    size = max(16, round(side / resolution_ratio(grid, card)))
    return len(Tiling(grid.shape, size))


def _examples(source: Source, card: ModelCard, side: int) -> Tensor:
    """Return some windows of the scene, (N, C, side, side), z-scored; noise where it is empty."""
    tiling = Tiling(source.grid.shape, side, 0.0)
    tiles = list(tiling)
    middle_out = np.argsort(np.abs(np.arange(len(tiles)) - len(tiles) // 2))[:LOOKED_AT]
    reader = Reader(source, card, tiling)
    found: list[Tensor] = []
    for place in middle_out:
        item = reader.read(tiles[place])
        if item is not None:
            found.append(torch.from_numpy(np.ascontiguousarray(item.values)))
        if len(found) == EXAMPLES:
            break
    return torch.stack(found) if found else torch.randn(1, len(card.bands), side, side)
