"""Opens the models that are to be asked, each with its runtime."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ...models.ensemble import Ensemble
from ...models.known_models import SUFFIX
from ...models.model_card import ModelCard, require_task
from ...models.model_file import load_model
from ..contract.errors import ModelFileError
from ..core.progress import Progress
from ..raster import Grid, Source
from .predictor import Member
from .runtimes import open_runtime
from .sizes import check_resolution, resolution_ratio, side_for
from .tiling import Tiling
from .units import fit_units
from .windows import Reader, require_bands

EXAMPLES = 2
EXAMPLE_SIDE = 256
"""Side of the windows on which runtimes are compared, at most: float32 is slow."""
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
            if isinstance(model, tuple):
                require_task(model[1])
                require_bands(source, model[1])
                check_resolution(source.grid, model[1], Progress())
            side, work = _example_side(model, source.grid, tile_size, device)
            opened, card = open_runtime(
                model,
                device,
                runtime,
                size=side,
                examples=lambda card, side: _examples(source, card, side),
                work=work,
                bands=source.bands,
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
    """Return the networks of a model file, with their cards; the path itself of another kind."""
    if Path(path).suffix.lower() != SUFFIX:
        return [path]
    network, card = load_model(path)
    if not isinstance(network, Ensemble):
        return [(network, card)]
    return [(member, replace(card, members=1)) for member in network]


def _example_side(
    model: str | tuple[nn.Module, ModelCard], grid: Grid, tile_size: int, device: torch.device
) -> tuple[int, int]:
    """Return the side of windows to compare runtimes on, and how many of these the scene makes."""
    if isinstance(model, str):
        return tile_size, 0
    side = tile_size or side_for(model[1], device)
    example = min(side, EXAMPLE_SIDE)
    windows = len(Tiling(grid.shape, max(16, round(side / resolution_ratio(grid, model[1])))))
    return example, round(windows * (side / example) ** 2)


def _examples(source: Source, card: ModelCard, side: int) -> Tensor:
    """Return some windows of the scene, (N, C, side, side), z-scored; none where it is empty."""
    require_bands(source, card)
    card = fit_units(card, source, Progress())
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
    return torch.stack(found) if found else torch.empty(0, len(card.bands), side, side)
