"""Opens the models that are to be asked, each with its runtime."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...models.model_card import ModelCard, require_task
from ...models.model_file import load_model
from ..contract.errors import ModelFileError
from ..core.progress import Progress
from ..raster import Grid, Source
from .runtimes import Member, Wish, open_graph, open_network
from .sizes import check_resolution, resolution_ratio, side_for
from .tiling import Tiling
from .units import fit_units
from .windows import Reader, require_bands

GRAPH_SUFFIX = ".onnx"
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
        runtime: see `open_runtime`.
        tile_size: side of the windows; 0 chooses.
        progress: told what is chosen.

    Raises:
        ModelFileError: a bad model file, a model of another task, or the stack lacks its bands.
        GridError: the stack's pixels are of quite another size.
        InputError, MissingPackageError: no such runtime.
    """
    wish = Wish(
        device=device,
        name=runtime,
        size=tile_size,
        examples=lambda card, side: _examples(source, card, side),
        bands=source.bands,
        progress=progress,
    )
    members: list[Member] = []
    for path in map(Path, paths):
        if path.suffix.lower() == GRAPH_SUFFIX:
            member = open_graph(path, wish)
            require_bands(source, member.card)
            members.append(member)
            continue
        for model in load_model(path).members:
            require_task(model.card)
            require_bands(source, model.card)
            check_resolution(source.grid, model.card, Progress())
            side, work = _example_side(model.card, source.grid, tile_size, device)
            members.append(open_network(model, replace(wish, size=side, work=work)))
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


def _example_side(
    card: ModelCard, grid: Grid, tile_size: int, device: torch.device
) -> tuple[int, int]:
    """Return the side of windows to compare runtimes on, and how many of these the scene makes."""
    side = tile_size or side_for(card, device)
    example = min(side, EXAMPLE_SIDE)
    windows = len(Tiling(grid.shape, max(16, round(side / resolution_ratio(grid, card)))))
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
