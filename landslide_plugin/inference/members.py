"""Opens the models that are to be asked, each with its runtime."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...models.model_card import ModelCard, require_task
from ...models.model_file import load_model
from ..core.progress import Progress
from ..raster import Source
from .fit import check_resolution, fit_units, require_bands
from .runtimes import Member, Wish, open_graph, open_network
from .sizes import example_side
from .tiling import Tiling
from .windows import Reader

GRAPH_SUFFIX = ".onnx"
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
            side, work = example_side(model.card, source.grid, tile_size, device)
            members.append(open_network(model, replace(wish, size=side, work=work)))
    return members


def _examples(source: Source, card: ModelCard, side: int) -> Tensor:
    """Return some windows of the scene, (N, C, side, side), z-scored; none where it is empty."""
    require_bands(source, card)
    card = fit_units(card, source, Progress())
    tiling = Tiling(source.grid.shape, side, 0.0)
    tiles = list(tiling)
    middle_out = np.argsort(np.abs(np.arange(len(tiles)) - len(tiles) // 2))[:LOOKED_AT]
    reader = Reader(source, card, tiling)
    examples: list[Tensor] = []
    for index in middle_out:
        item = reader.read(tiles[index])
        if item is not None:
            examples.append(torch.from_numpy(np.ascontiguousarray(item.values)))
        if len(examples) == EXAMPLES:
            break
    return torch.stack(examples) if examples else torch.empty(0, len(card.bands), side, side)
