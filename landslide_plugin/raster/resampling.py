"""Images brought to another number of pixels, for a network that wants so many."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .kinds import is_direction


def resampled(images: Tensor, side: int, bands: Sequence[str]) -> Tensor:
    """Return images with another number of rows and columns.

    Bilinear, over all pixels that a smaller image's pixel covers; directions, which can't be
    blended, from the nearest.

    Args:
        images: (windows, bands, rows, columns).
        side: rows and columns wanted; 0 leaves the images as they are.
        bands: their names.
    """
    size = (side, side)
    if side == 0 or images.shape[-2:] == size:
        return images
    result = interpolate(images, size, mode="bilinear", antialias=True)
    directions = [number for number, band in enumerate(bands) if is_direction(band)]
    if directions:
        indices = torch.tensor(directions, device=images.device)
        result[:, indices] = interpolate(images[:, indices], size, mode="nearest-exact")
    return result
