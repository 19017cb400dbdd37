"""FC-DenseNet with bottleneck and compression, the segmentation network of Gao et al. 2021.

The encoder-decoder of dense blocks is Jégou et al. 2017 ("The One Hundred Layers Tiramisu",
CVPRW, fig. 1 and 2); bottleneck layers and compressing transitions are DenseNet-BC's of Huang et
al. 2017 ("Densely Connected Convolutional Networks", CVPR, section 3).

Gao et al. give the number of parameters, about 2.96 million at seven bands, but neither the
growth rate nor the layers of the blocks. At seven bands and two classes, the defaults here have
2,964,080 (0.08 % more than the 2,961,676 of the paper): growth rate 24, so that Jégou's 48 first
channels are also Huang's 2k; four halvings, as a patch of 64 px would be 2 px wide after Jégou's
five; four layers in a block, as in FC-DenseNet56, and twelve in the middle.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .layers import initialize, pad

JEGOU: dict[str, Any] = {"compression": 1.0, "bottleneck": False, "dropout": 0.2}

BACKBONES: dict[str, dict[str, Any]] = {
    "gao2021": {"dropout": 0.2},
    "light": {"growth_rate": 16, "layers": [2, 3, 4], "middle_layers": 5, "first_channels": 32},
    "fc_densenet56": {**JEGOU, "growth_rate": 12, "layers": [4] * 5, "middle_layers": 4},
    "fc_densenet67": {**JEGOU, "growth_rate": 16, "layers": [5] * 5, "middle_layers": 5},
    "fc_densenet103": {
        **JEGOU,
        "growth_rate": 16,
        "layers": [4, 5, 7, 10, 12],
        "middle_layers": 15,
    },
}
"""Named settings: Gao et al.'s size and dropout, half a million parameters at a quarter of the
time, and the three networks of Jégou et al. (table 3), without bottleneck and compression."""

BOTTLENECK_WIDTH = 4
"""A bottleneck has 4k channels (Huang et al. 2017, section 3)."""

MOST_LAYERS = 500
"""More than any published DenseNet: a damaged description must not build without end."""


class FCDenseNet(nn.Module):
    """Semantic segmentation by dense blocks on a path down and up again.

    Args:
        bands: channels of the input.
        classes: channels of the output.
        growth_rate: channels that each layer adds (k).
        layers: layers of the dense blocks on the way down, the finest first; the way up mirrors it.
        middle_layers: layers of the block between.
        first_channels: channels of the first convolution.
        compression: share of the channels that a transition down keeps; 1 is Jégou's network.
        bottleneck: whether a 1 x 1 convolution to 4k channels stands before each 3 x 3 one.
        dropout: share of the values of a layer, or of a transition down, that are dropped in
            training, one by one as in Jégou et al. 2017 and Huang et al. 2017.

    Raises:
        ValueError: no block, an empty one, or more layers than can be meant.
    """

    ENCODER = ("first", "down", "shrink")

    def __init__(
        self,
        bands: int,
        classes: int,
        growth_rate: int = 24,
        layers: Sequence[int] = (4, 4, 4, 4),
        middle_layers: int = 12,
        first_channels: int = 48,
        compression: float = 0.5,
        bottleneck: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        counts = [*layers, middle_layers]
        if len(counts) < 2 or min(counts) < 1 or sum(counts) > MOST_LAYERS:
            raise ValueError(f"blocks of {counts} layers")
        self.multiple = 2 ** len(layers)

        def block(channels: int, count: int) -> DenseBlock:
            return DenseBlock(channels, growth_rate, count, bottleneck, dropout)

        self.first = nn.Conv2d(bands, first_channels, 3, padding=1, bias=False)
        channels = first_channels
        skips = []
        self.down = nn.ModuleList()
        self.shrink = nn.ModuleList()
        for count in layers:
            self.down.append(block(channels, count))
            skips.append(channels + growth_rate * count)
            channels = int(skips[-1] * compression)
            self.shrink.append(_transition_down(skips[-1], channels, dropout))
        self.middle = block(channels, middle_layers)
        self.grow = nn.ModuleList()
        self.up = nn.ModuleList()
        new = growth_rate * middle_layers
        for count, skip in zip(reversed(layers), reversed(skips), strict=True):
            self.grow.append(nn.ConvTranspose2d(new, new, 3, stride=2, padding=1, output_padding=1))
            self.up.append(block(new + skip, count))
            channels = new + skip + growth_rate * count
            new = growth_rate * count
        self.last = nn.Conv2d(channels, classes, 1)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, float (N, classes, H, W), of images, float (N, bands, H, W)."""
        height, width = images.shape[-2:]
        features = self.first(pad(images, self.multiple))
        skips = []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            features = torch.cat([features, block(features)], 1)
            skips.append(features)
            features = shrink(features)
        # Only what a block adds goes up (Jégou et al. 2017, section 3.2).
        added = self.middle(features)
        for grow, block in zip(self.grow, self.up, strict=True):
            features = torch.cat([grow(added), skips.pop()], 1)
            added = block(features)
        logits: Tensor = self.last(torch.cat([features, added], 1))
        return logits[..., :height, :width]


class DenseBlock(nn.Module):
    """Layers that each see the input and what all layers before have added.

    Returns what was added, (N, count * growth_rate, H, W), without the input.
    """

    def __init__(
        self, channels: int, growth_rate: int, count: int, bottleneck: bool, dropout: float
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            _layer(channels + growth_rate * index, growth_rate, bottleneck, dropout)
            for index in range(count)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return the added features alone."""
        added: list[Tensor] = []
        for layer in self.layers:
            added.append(layer(torch.cat([features, *added], 1)))
        return torch.cat(added, 1)


def _layer(channels: int, growth_rate: int, bottleneck: bool, dropout: float) -> nn.Sequential:
    parts: list[nn.Module] = []
    if bottleneck:
        width = BOTTLENECK_WIDTH * growth_rate
        parts = [*_normalized(channels), nn.Conv2d(channels, width, 1, bias=False)]
        channels = width
    parts += [*_normalized(channels), nn.Conv2d(channels, growth_rate, 3, padding=1, bias=False)]
    if dropout:
        parts.append(nn.Dropout(dropout))
    return nn.Sequential(*parts)


def _transition_down(channels: int, kept: int, dropout: float) -> nn.Sequential:
    """Return Jégou et al. 2017, table 1: its dropout too is before the halving."""
    parts = [*_normalized(channels), nn.Conv2d(channels, kept, 1, bias=False)]
    if dropout:
        parts.append(nn.Dropout(dropout))
    return nn.Sequential(*parts, nn.MaxPool2d(2))


def _normalized(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
