"""Compact residual U-Net: small enough to ship, quick enough for a processor.

No paper's network, but made of known parts: the encoder of ResNet-18's blocks (He et al. 2016,
"Deep Residual Learning for Image Recognition", CVPR) at narrower widths, the decoder with skips of
U-Net (Ronneberger et al. 2015, MICCAI) with one convolution a level after nearest-neighbour
enlargement, which leaves no checkerboard (Odena et al. 2016, Distill). The stem halves the image,
or quarters it, and the logits are enlarged at the end: nothing is computed at full size, where a
U-Net spends most of its time.

Landslides are as small as a slump beside a road and as large as a valley side. With several scales
the same weights read the image and its averages to half, a quarter..., as in Chen, L.-C. et al.
2016 ("Attention to Scale", CVPR). What a coarser reading sees beyond the finer ones counts by half,
and it takes nothing away: large landslides are filled, and small ones, which it can't see, stay. A
second scale costs a quarter more.

At three bands and two classes it has 5,436,226 parameters. All normalization is by batch, which a
runtime folds into the convolutions.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .layers import (
    Residual,
    at_scale,
    check_scales,
    check_widths,
    convolution,
    initialize,
    mean_of_turns,
)

BACKBONES: dict[str, dict[str, Any]] = {
    "standard": {},
    "light": {"widths": [32, 64, 96, 128]},
    "coarse": {"stem": 4},
    "pyramid": {"scales": [1, 2]},
}
"""Named settings: the standard size, a quarter of its parameters, a quarter of its time for
landslides that are many pixels wide, and two scales for landslides of very different sizes."""


class CompactUNet(nn.Module):
    """Semantic segmentation by residual blocks down and single convolutions up.

    Args:
        bands: channels of the input.
        classes: channels of the output.
        widths: channels behind the stem, and after each halving.
        blocks: residual blocks of each width.
        stem: how much the stem reduces the image, 2 or 4.
        scales: by how much the image is reduced for each reading of it, 1 for as it is.
        learns_at_one: whether it learns at the first scale alone; at all together it learnt few
            images by heart.
        turned: whether it reads an image in its four quarter turns; it learns of it as it lies.

    Raises:
        ValueError: the widths make no network, or another stem, or not one to five scales,
            whole numbers of 1 to 16.
    """

    ENCODER = ("stem", "down")

    def __init__(
        self,
        bands: int,
        classes: int,
        widths: Sequence[int] = (64, 128, 192, 256),
        blocks: int = 2,
        stem: int = 2,
        scales: Sequence[float] = (1,),
        learns_at_one: bool = False,
        turned: bool = False,
    ) -> None:
        super().__init__()
        check_widths(widths)
        if not 1 <= blocks <= 100 or stem not in (2, 4):
            raise ValueError(f"{blocks} blocks behind a stem of {stem}")
        self.scales = check_scales(scales)
        self.learns_at_one = learns_at_one
        self.turned = turned
        self.reduction = stem
        self.multiple = stem * 2 ** (len(widths) - 1)
        self.stem = convolution(bands, widths[0], stride=2)
        if stem == 4:
            self.stem.append(convolution(widths[0], widths[0], stride=2))
        self.down = nn.ModuleList()
        channels = widths[0]
        for level, width in enumerate(widths):
            first = Residual(channels, width, stride=2 if level else 1)
            rest = (Residual(width, width) for _ in range(blocks - 1))
            self.down.append(nn.Sequential(first, *rest))
            channels = width
        self.up = nn.ModuleList()
        for width in reversed(widths[:-1]):
            self.up.append(convolution(channels + width, width))
            channels = width
        self.last = nn.Conv2d(channels, classes, 1)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, float (N, classes, H, W), of images, float (N, bands, H, W)."""
        if self.turned and not self.training:
            return mean_of_turns(self._read, images)
        return self._read(images)

    def _read(self, images: Tensor) -> Tensor:
        """Return the logits of images as they lie."""
        scales = self.scales[:1] if self.training and self.learns_at_one else self.scales
        logits, *coarser = (self._read_at(images, scale) for scale in scales)
        for coarse in coarser:  # relative to the first class, which stays as it is
            beyond = coarse - coarse[:, :1] - (logits - logits[:, :1])
            logits = logits + beyond.clamp(min=0) / 2
        return logits

    def _read_at(self, images: Tensor, scale: float) -> Tensor:
        """Return the logits, at full size, that the images brought to a scale give."""
        height, width = images.shape[-2:]
        features = self.stem(at_scale(images, scale, self.multiple))
        skips = []
        for blocks in self.down:
            features = blocks(features)
            skips.append(features)
        skips.pop()
        for join in self.up:
            features = nn.functional.interpolate(features, scale_factor=2.0, mode="nearest")
            features = join(torch.cat([features, skips.pop()], 1))
        enlarged = nn.functional.interpolate(
            self.last(features), scale_factor=float(self.reduction * scale), mode="bilinear"
        )
        return enlarged[..., :height, :width]
