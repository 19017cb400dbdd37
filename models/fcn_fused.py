"""FCN with all five scales of VGG16 fused, the network of Chen et al. 2022.

Chen et al. (Remote Sens. 14:5517) improve Long's FCN (2015) by fusing, symmetrically to the
encoder, the features of all five halvings on the way up; with focal loss it is their FCN-FL, with
stratified folds as an ensemble FCN-FLK. The text leaves the layers of the way up open: here each
step is Long's learnt enlargement (a transposed convolution) to the width of the scale it meets,
with batch normalization, and the two are summed as Long sums scores.
"""

from typing import Any

from torch import Tensor, nn

from .layers import initialize, pad
from .vgg import FULL_WIDTH, halved_features, stage_widths, vgg_stages

BACKBONES: dict[str, dict[str, Any]] = {"vgg16": {}, "light": {"width": 16}}
PRETRAINED: dict[str, Any] = {}


class FusedFCN(nn.Module):
    """Semantic segmentation by features of five scales, summed from the coarsest on.

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
        channels = widths[-1]
        for wide in [*reversed(widths[:-1]), max(1, width // 2)]:
            self.up.append(_enlargement(channels, wide))
            channels = wide
        self.last = nn.Conv2d(channels, classes, 1)
        initialize(self.up)
        initialize(self.last)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, float (N, classes, H, W), of images, float (N, bands, H, W)."""
        height, width = images.shape[-2:]
        scales = halved_features(self.stages, pad(images, 32))
        features = scales.pop()
        for enlarge in self.up[:-1]:
            features = enlarge(features) + scales.pop()
        logits: Tensor = self.last(self.up[-1](features))
        return logits[..., :height, :width]


def _enlargement(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(channels, width, 3, stride=2, padding=1, output_padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )
