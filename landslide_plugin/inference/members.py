"""Opens the models that are to be asked, each with its runtime."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...models.model_card import ModelCard, require_task
from ...models.model_file import load_model
from ..contract.errors import InputError
from ..core.progress import Progress
from ..raster import Source
from .fit import check_resolution, fit_units, require_bands
from .light import in_light, light_of
from .runtimes import Member, Wish, open_graph, open_network
from .sizes import example_side
from .tiling import Tile, Tiling
from .windows import Reader

GRAPH_SUFFIX = ".onnx"
EXAMPLES = 2
LOOKED_AT = 25
"""Windows of a scene that are looked at in search of some that hold anything."""


def open_members(
    paths: Sequence[str],
    source: Source,
    wish: Wish,
    tile_size: int = 0,
    runtimes: Sequence[str] = (),
) -> list[Member]:
    """Open models; a file of several folds gives several members.

    Args:
        paths: model files.
        source: the scene to map, or one of them.
        wish: what is to compute.
        tile_size: side of the windows; 0 chooses.
        runtimes: names of those that a plan names for the members, in their order; without any
            they are chosen, compared on the scene's windows.

    Raises:
        ModelFileError: a bad model file, a model of another task, or the stack lacks its bands.
        GridError: the stack's pixels are of quite another size.
        InputError, MissingPackageError: no such runtime.
    """
    wish = replace(
        wish,
        size=tile_size,
        examples=lambda card, side: _examples(source, card, side),
        bands=source.bands,
    )
    members: list[Member] = []

    def next_wish() -> Wish:
        named = runtimes[len(members) : len(members) + 1]
        return replace(wish, name=named[0]) if named else wish

    for path in map(Path, paths):
        if path.suffix.lower() == GRAPH_SUFFIX:
            member = open_graph(path, next_wish())
            require_bands(source, member.card)
            members.append(member)
            continue
        for model in load_model(path).members:
            require_task(model.card)
            require_bands(source, model.card)
            check_resolution(source.grid, model.card, Progress())
            side = example_side(model.card, tile_size, wish.device)
            members.append(open_network(model, replace(next_wish(), size=side)))
    return members


def _examples(source: Source, card: ModelCard, side: int) -> Tensor:
    """Return some windows of the scene, (N, C, side, side), z-scored; none where it is empty."""
    require_bands(source, card)
    card = fit_units(card, source, Progress())
    tiling = Tiling(source.grid.shape, side, 0.0)
    tiles = list(tiling)
    middle_out = np.argsort(np.abs(np.arange(len(tiles)) - len(tiles) // 2))[:LOOKED_AT]
    reader = Reader(source, card, tiling)
    looked_at = (tiles[index] for index in middle_out)
    held = list(islice((tile for tile in looked_at if reader.read(tile) is not None), EXAMPLES))
    if card.scene and held:
        reader = Reader(source, _in_own_light(card, source, held), tiling)
    inputs = [item for tile in held if (item := reader.read(tile)) is not None]
    if not inputs:
        return torch.empty(0, len(card.bands), side, side)
    return torch.stack([torch.from_numpy(np.ascontiguousarray(item.values)) for item in inputs])


def _in_own_light(card: ModelCard, source: Source, tiles: Sequence[Tile]) -> ModelCard:
    """Return the card in the light of some windows: near enough to compare runtimes in."""
    read = [source.read(tile.window, card.bands) for tile in tiles]
    pixels = [values[:, valid.all(axis=0)] for values, valid in read]
    try:
        return in_light(card, light_of(pixels, card, Progress()))
    except InputError:  # nothing varies in them
        return card
