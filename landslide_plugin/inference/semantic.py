"""Semantic prediction: the landslide probability of every pixel by overlapping windows."""

from collections.abc import Callable
from contextlib import closing, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.windows import Window
from torch import nn

from ..device import autocast
from ..errors import InputError
from ..progress import Progress
from ..raster import Grid
from .windows import Input, Reader, Slab, Tiling

PIXELS_PER_BATCH = {"cpu": 2**14, "cuda": 2**21, "mps": 2**18}
"""Pixels that go through the network at once: few on a processor, whose caches more would spill
(FC-DenseNet at 256 px: 0.30 megapixels a second by one window, 0.15 by four)."""


def map_probability(
    network: nn.Module,
    reader: Reader,
    grid: Grid,
    tiling: Tiling,
    write: Callable[[NDArray[np.float32], NDArray[np.bool_], Window], None],
    *,
    landslide: int = 1,
    batch_size: int = 0,
    device: torch.device | str = "cpu",
    half: bool = False,
    progress: Progress,
) -> None:
    """Run a network over all windows and blend what it says.

    Memory holds one window's height of the output, whatever the raster's height.

    Args:
        network: in evaluation mode, on `device`: float32 (N, C, H, W) to logits (N, K, H, W).
        reader: gives the windows' inputs.
        grid: the stack's grid.
        tiling: the windows.
        write: gets probabilities, float32, (rows, columns) in 0..1, their validity and window,
            every row of the grid once, from top to bottom.
        landslide: the index of the class landslide among the K.
        batch_size: windows that go through the network at once; 0 chooses by device and size.
        device: where the network is.
        half: compute in bfloat16 where the device does. On a processor with such instructions
            that is 2 to 3 times as fast; probabilities of a (briefly trained) FC-DenseNet moved
            by 0.0004 in the mean and 0.05 at most, and 0.05 % of the pixels changed class.
        progress: told of each batch.

    Raises:
        InputError: the device's memory is too small for the batch.
    """
    device = torch.device(device)
    batch_size = batch_size or batch_for(tiling.size, device)
    slab = Slab(grid, tiling.size, write)
    with closing(reader.batches(batch_size)) as batches:
        for done, batch in batches:
            if batch:
                probabilities = _probabilities(network, batch, landslide, device, half)
                for item, probability in zip(batch, probabilities, strict=True):
                    slab.add(item, probability)
            progress.update(done / len(tiling))
    slab.finish()


def batch_for(size: int, device: torch.device) -> int:
    """Return how many windows of a size go through the network at once."""
    return max(1, PIXELS_PER_BATCH.get(device.type, 2**16) // size**2)


def _probabilities(
    network: nn.Module, batch: list[Input], landslide: int, device: torch.device, half: bool
) -> NDArray[np.float32]:
    """Return the class's probabilities, float32, (windows, size, size)."""
    stacked = torch.from_numpy(np.stack([item.values for item in batch]))
    try:
        with torch.inference_mode():
            inputs = stacked.to(device, memory_format=torch.channels_last)
            with autocast(device) if half else nullcontext():
                logits = network(inputs)
            result: NDArray[np.float32] = logits.float().softmax(dim=1)[:, landslide].cpu().numpy()
    except torch.cuda.OutOfMemoryError as error:
        raise InputError(
            f"The memory of {device} is too small for {len(batch)} windows at once: choose a "
            "smaller batch size or tile size."
        ) from error
    return result
