"""ResU-Net in the size of Gao et al. 2021.

Zhang et al. 2018 ("Road Extraction by Deep Residual U-Net", IEEE GRSL 15:749, table I): residual
units with normalization before activation before convolution (He et al. 2016, "Identity
Mappings"), halving by stride, widths 64 to 512, enlargement without weights. Gao et al. give about
9.9 million parameters without the layers; Zhang's table alone makes 8.2 million. Here each level
down has two units instead of one: 9.77 million at seven bands.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .layers import check_widths, initialize, pad

BACKBONES: dict[str, dict[str, Any]] = {
    "gao2021": {},
    "light": {"widths": [16, 32, 64, 128]},
    "zhang2018": {"units": 1},
}


class ResUNet(nn.Module):
    """Semantic segmentation by residual units down and up, with skips.

    Args:
        bands: channels of the input.
        classes: channels of the output.
        widths: channels at 1, 1/2, 1/4, ... of the input's size.
        units: residual units of each width on the way down; the coarsest has one.

    Raises:
        ValueError: the widths make no network.
    """

    ENCODER = ("down",)

    def __init__(
        self, bands: int, classes: int, widths: Sequence[int] = (64, 128, 256, 512), units: int = 2
    ) -> None:
        super().__init__()
        check_widths(widths)
        if not 1 <= units <= 100:
            raise ValueError(f"{units} units")
        self.multiple = 2 ** (len(widths) - 1)
        self.down = nn.ModuleList()
        channels = bands
        for level, width in enumerate(widths):
            first = Unit(channels, width, 2 if level else 1, activated=level > 0)
            count = 1 if level == len(widths) - 1 else units
            self.down.append(nn.Sequential(first, *(Unit(width, width) for _ in range(count - 1))))
            channels = width
        self.up = nn.ModuleList()
        for width in reversed(widths[:-1]):
            self.up.append(Unit(channels + width, width))
            channels = width
        self.last = nn.Conv2d(channels, classes, 1)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, float (N, classes, H, W), of images, float (N, bands, H, W)."""
        height, width = images.shape[-2:]
        features = pad(images, self.multiple)
        skips = []
        for units in self.down:
            features = units(features)
            skips.append(features)
        skips.pop()
        for unit in self.up:
            features = nn.functional.interpolate(features, scale_factor=2.0, mode="nearest")
            features = unit(torch.cat([features, skips.pop()], 1))
        logits: Tensor = self.last(features)
        return logits[..., :height, :width]


class Unit(nn.Module):
    """Two convolutions, each after normalization and activation, around which the input passes.

    Args:
        channels: of the input.
        width: channels of the output.
        stride: of the first convolution.
        activated: whether the input is normalized and activated; the image itself is not.
    """

    def __init__(self, channels: int, width: int, stride: int = 1, activated: bool = True) -> None:
        super().__init__()
        before = [nn.BatchNorm2d(channels), nn.ReLU()] if activated else []
        self.body = nn.Sequential(
            *before,
            nn.Conv2d(channels, width, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
        )
        same = channels == width and stride == 1
        self.past = nn.Identity() if same else nn.Conv2d(channels, width, 1, stride, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, width, H / stride, W / stride)."""
        result: Tensor = self.body(features) + self.past(features)
        return result
