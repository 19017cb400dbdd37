"""Windows of other pixels than a model's, resampled for it."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..raster.kinds import is_direction


def resampled(images: Tensor, side: int, bands: Sequence[str]) -> Tensor:
    """Return images with another number of rows and columns.

    Bilinear, over all pixels that a smaller image's pixel covers; directions, which can't be
    blended, from the nearest.

    Args:
        images: (windows, bands, rows, columns).
        side: rows and columns wanted; 0 leaves the images as they are.
        bands: their names.
    """
    if side in (0, images.shape[-1]):
        return images
    size = (side, side)
    result = interpolate(images, size, mode="bilinear", antialias=True)
    directions = [number for number, band in enumerate(bands) if is_direction(band)]
    if directions:
        indices = torch.tensor(directions, device=images.device)
        result[:, indices] = interpolate(images[:, indices], size, mode="nearest-exact")
    return result
