"""SegNet, beside which Gao et al. 2021 and Chen et al. 2022 set their networks.

Badrinarayanan et al. 2017 ("SegNet", IEEE TPAMI 39:2481, section 3): the 13 convolutions of VGG16
and their mirror image; on the way up each value returns to the pixel where the pooling found it,
and nothing else is handed over. 29.44 million parameters at seven bands; Gao et al. give 29.46.
"""

from typing import Any

from torch import Tensor, nn

from .layers import convolution, initialize, pad
from .vgg import COUNTS, FULL_WIDTH, stage_widths, vgg_stages

BACKBONES: dict[str, dict[str, Any]] = {"vgg16": {}, "light": {"width": 16}}
PRETRAINED: dict[str, Any] = {}


class SegNet(nn.Module):
    """Semantic segmentation by VGG16 and its mirror image, joined by pooling indices.

    Args:
        bands: channels of the input.
        classes: channels of the output.
        width: channels of VGG16's first stage.
        pretrained: where VGG16's first weights come from, see `make_encoder`; random when empty.

    Raises:
        InputError: pretrained weights can't be had.
        ValueError: the width is below 1.
    """

    ENCODER = ("stages",)

    def __init__(
        self, bands: int, classes: int, width: int = FULL_WIDTH, pretrained: str = ""
    ) -> None:
        super().__init__()
        widths = stage_widths(width)
        self.stages = vgg_stages(bands, width, pretrained)
        self.up = nn.ModuleList()
        for level in reversed(range(len(widths))):
            wide = widths[level]
            keep = (convolution(wide, wide) for _ in range(COUNTS[level] - 1))
            last = (
                convolution(wide, widths[level - 1])
                if level
                else nn.Conv2d(wide, classes, 3, padding=1)
            )
            self.up.append(nn.Sequential(*keep, last))
        initialize(self.up)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, float (N, classes, H, W), of images, float (N, bands, H, W)."""
        height, width = images.shape[-2:]
        features = pad(images, 32)
        pooled = []
        for stage in self.stages:
            features, indices = nn.functional.max_pool2d(stage(features), 2, return_indices=True)
            pooled.append(indices)
        for stage in self.up:
            features = stage(_unpool(features, pooled.pop()))
        return features[..., :height, :width]


def _unpool(features: Tensor, indices: Tensor) -> Tensor:
    """Put values back where a pooling by 2 took them from, zeros elsewhere.

    As torch's max_unpool2d does, by an operation that ONNX has.
    """
    count, channels, height, width = features.shape
    flat = features.new_zeros(count, channels, 4 * height * width)
    flat = flat.scatter(2, indices.flatten(2), features.flatten(2))
    return flat.view(count, channels, 2 * height, 2 * width)
