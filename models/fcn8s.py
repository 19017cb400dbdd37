"""FCN-8s on VGG16, beside which Gao et al. 2021 and Chen et al. 2022 set their networks.

Long et al. 2015 ("Fully Convolutional Networks for Semantic Segmentation", CVPR, section 4): the
dense layers of VGG16 become convolutions, the classes are scored on three scales (1/32, 1/16 and
1/8), and the scores are summed on the way up by learnt enlargements that begin as bilinear ones.
What differs: batch normalization (see `vgg`), padding of the input instead of Long's border of
100 px, and dropout of whole channels of the dense layers instead of single values. With both dense
layers at their 4096 channels, nearly all of the 134 million parameters are theirs; "light" has a
quarter of VGG16's widths, dense layers of 128 channels, and 1.3 % of the parameters.
"""

from typing import Any

import torch
from torch import Tensor, nn

from .layers import initialize, pad
from .vgg import FULL_WIDTH, halved_features, stage_widths, vgg_stages

BACKBONES: dict[str, dict[str, Any]] = {"vgg16": {}, "light": {"width": 16, "dense": 128}}
PRETRAINED: dict[str, Any] = {}


class FCN8s(nn.Module):
    """Semantic segmentation by scores on three scales.

    Args:
        bands: channels of the input.
        classes: channels of the output.
        width: channels of VGG16's first stage.
        dense: channels of the two convolutions that stand for VGG16's dense layers.
        pretrained: where VGG16's first weights come from, see `make_encoder`; random when empty.

    Raises:
        InputError: pretrained weights can't be had.
        ValueError: a width is below 1.
    """

    ENCODER = ("stages",)

    def __init__(
        self,
        bands: int,
        classes: int,
        width: int = FULL_WIDTH,
        dense: int = 4096,
        pretrained: str = "",
    ) -> None:
        super().__init__()
        widths = stage_widths(width)
        self.stages = vgg_stages(bands, width, pretrained)
        if dense < 1:
            raise ValueError(f"dense layers of {dense} channels")
        self.dense = nn.Sequential(*_dense(widths[4], dense, 7), *_dense(dense, dense, 1))
        initialize(self.dense)
        self.score5 = nn.Conv2d(dense, classes, 1)
        self.score4 = nn.Conv2d(widths[3], classes, 1)
        self.score3 = nn.Conv2d(widths[2], classes, 1)
        self.up = nn.ModuleList(_bilinear(classes, factor) for factor in (2, 2, 8))
        for score in (self.score5, self.score4, self.score3):
            nn.init.normal_(score.weight, std=0.01)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, float (N, classes, H, W), of images, float (N, bands, H, W)."""
        height, width = images.shape[-2:]
        scales = halved_features(self.stages, pad(images, 32))
        logits = self.up[0](self.score5(self.dense(scales[4]))) + self.score4(scales[3])
        logits = self.up[1](logits) + self.score3(scales[2])
        result: Tensor = self.up[2](logits)
        return result[..., :height, :width]


def _dense(channels: int, width: int, size: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, width, size, padding=size // 2),
        nn.ReLU(inplace=True),
        nn.Dropout2d(0.5),
    ]


def _bilinear(classes: int, factor: int) -> nn.ConvTranspose2d:
    """Return an enlargement that begins as a bilinear one of each class by itself."""
    layer = nn.ConvTranspose2d(
        classes, classes, 2 * factor, stride=factor, padding=factor // 2, bias=False
    )
    position = (torch.arange(2 * factor) + 0.5) / factor
    slope = 1 - (position - 1).abs()
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[range(classes), range(classes)] = slope[:, None] * slope
    return layer
