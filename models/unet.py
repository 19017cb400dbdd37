"""U-Net in the size of Gao et al. 2021.

Ronneberger et al. 2015 ("U-Net", MICCAI, fig. 1): two 3 x 3 convolutions a level, halving by
maxima, enlargement by 2 x 2 transposed convolutions to half the channels, and skips by
concatenation; here with padding, so that the result is as large as the input, and batch
normalization. Ronneberger's widths, 64 to 1024, have 31 million parameters. Gao et al. give 7.70
million: those are the widths 64 to 512, with three halvings, of their patches of 64 px.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .layers import check_widths, convolution, initialize, pad

BACKBONES: dict[str, dict[str, Any]] = {
    "gao2021": {},
    "light": {"widths": [16, 32, 64, 128]},
    "ronneberger2015": {"widths": [64, 128, 256, 512, 1024]},
}


class UNet(nn.Module):
    """Semantic segmentation by convolutions down and up, with skips.

    Args:
        bands: channels of the input.
        classes: channels of the output.
        widths: channels at 1, 1/2, 1/4, ... of the input's size.

    Raises:
        ValueError: the widths make no network.
    """

    ENCODER = ("down",)

    def __init__(
        self, bands: int, classes: int, widths: Sequence[int] = (64, 128, 256, 512)
    ) -> None:
        super().__init__()
        check_widths(widths)
        self.multiple = 2 ** (len(widths) - 1)
        inputs = [bands, *widths[:-1]]
        self.down = nn.ModuleList(
            _pair(channels, width) for channels, width in zip(inputs, widths, strict=True)
        )
        self.grow = nn.ModuleList()
        self.up = nn.ModuleList()
        channels = widths[-1]
        for width in reversed(widths[:-1]):
            self.grow.append(nn.ConvTranspose2d(channels, width, 2, stride=2))
            self.up.append(_pair(2 * width, width))
            channels = width
        self.last = nn.Conv2d(channels, classes, 1)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, float (N, classes, H, W), of images, float (N, bands, H, W)."""
        height, width = images.shape[-2:]
        features = self.down[0](pad(images, self.multiple))
        skips = []
        for pair in self.down[1:]:
            skips.append(features)
            features = pair(nn.functional.max_pool2d(features, 2))
        for grow, pair in zip(self.grow, self.up, strict=True):
            features = pair(torch.cat([skips.pop(), grow(features)], 1))
        logits: Tensor = self.last(features)
        return logits[..., :height, :width]


def _pair(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(convolution(channels, width), convolution(width, width))
