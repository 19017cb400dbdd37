"""The convolutions of VGG16, which FCN and SegNet are made of.

Simonyan and Zisserman 2015 ("Very Deep Convolutional Networks", ICLR, table 1, column D), with
batch normalization (Ioffe and Szegedy 2015), without which they hardly train from random weights.
"""

from torch import Tensor, nn

from ..landslide_plugin.contract.errors import InputError
from .layers import convolution, initialize
from .pretrained import make_encoder

COUNTS = (2, 2, 3, 3, 3)
"""Convolutions of the five stages; each stage ends where VGG16 halves."""
FULL_WIDTH = 64
PRETRAINED = "vgg16_bn"
"""Its name among the pretrained encoders."""


def stage_widths(width: int) -> list[int]:
    """Return the channels of the five stages.

    Raises:
        ValueError: the width is below 1.
    """
    if width < 1:
        raise ValueError(f"a width of {width}")
    return [width, 2 * width, 4 * width, 8 * width, 8 * width]


def vgg_stages(bands: int, width: int = FULL_WIDTH, pretrained: str = "") -> nn.ModuleList:
    """Return the five stages with their first weights, without what halves between them.

    Args:
        bands: channels of the input.
        width: channels of the first stage; 64 is VGG16.
        pretrained: where the weights come from, see `make_encoder`; random when empty.

    Raises:
        InputError: pretrained weights can't be had, or not of this width.
        ValueError: the width is below 1.
    """
    if pretrained and width != FULL_WIDTH:
        raise InputError("Only VGG16 in its full width is pretrained: choose the backbone vgg16.")
    stages = nn.ModuleList()
    channels = bands
    for count, wide in zip(COUNTS, stage_widths(width), strict=True):
        inputs = [channels] + [wide] * (count - 1)
        stages.append(nn.Sequential(*(convolution(each, wide) for each in inputs)))
        channels = wide
    if pretrained:
        copy_layers(make_encoder(PRETRAINED, bands, pretrained), stages)
    else:
        initialize(stages)
    return stages


def halved_features(stages: nn.ModuleList, images: Tensor) -> list[Tensor]:
    """Return the features behind each halving, the finest first."""
    scales, features = [], images
    for stage in stages:
        features = nn.functional.max_pool2d(stage(features), 2)
        scales.append(features)
    return scales


def copy_layers(source: nn.Module, target: nn.Module) -> None:
    """Copy convolutions and batch normalizations in their order.

    The source's convolutions have a bias, which the normalization after them takes away again:
    here it is taken off the mean that the normalization remembers instead.
    """
    kinds = nn.Conv2d | nn.BatchNorm2d
    pairs = zip(
        (module for module in source.modules() if isinstance(module, kinds)),
        (module for module in target.modules() if isinstance(module, kinds)),
        strict=True,
    )
    bias: Tensor | None = None
    for theirs, ours in pairs:
        state = ours.state_dict()
        weights = {key: value for key, value in theirs.state_dict().items() if key in state}
        ours.load_state_dict(weights)
        if isinstance(theirs, nn.Conv2d):
            bias = theirs.bias
        elif bias is not None and isinstance(ours.running_mean, Tensor):
            ours.running_mean.sub_(bias.detach())
