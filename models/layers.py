"""What several networks are made of."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

MOST_LEVELS = 8
"""A damaged description must not build without end."""
ENLARGED = 0.5
"""The one scale below 1: an image is read at twice its size."""


def check_widths(widths: Sequence[int]) -> None:
    """Check the channels of a network's levels.

    Raises:
        ValueError: there are none, too many, or one is below 1.
    """
    if not 1 <= len(widths) <= MOST_LEVELS or min(widths) < 1:
        raise ValueError(f"widths of {list(widths)}")


def pad(images: Tensor, multiple: int) -> Tensor:
    """Extend images at the right and lower edge so that a network's halvings divide their sides.

    By reflection; where a side is too short for that, its last row or column is repeated. The
    result has at least two multiples a side: of a single pixel in the deepest layer batch
    normalization could not tell a deviation.

    Args:
        images: (N, C, H, W) of any size.
        multiple: pixels of the input that become one in the deepest layer.
    """
    height, width = images.shape[-2:]
    right, below = (max(-side % multiple, 2 * multiple - side) for side in (width, height))
    mode = "reflect" if right < width and below < height else "replicate"
    return nn.functional.pad(images, (0, right, 0, below), mode) if right or below else images


def check_scales(scales: Sequence[float]) -> tuple[float, ...]:
    """Return the scales at which a network reads an image, the finest first.

    Raises:
        ValueError: they are not one to five of `ENLARGED` and the whole numbers 1 to 16.
    """
    if not 1 <= len(scales) <= 5 or any(each not in (ENLARGED, *range(1, 17)) for each in scales):
        raise ValueError(f"scales {list(scales)}")
    return tuple(sorted(each if each == ENLARGED else int(each) for each in scales))


def at_scale(images: Tensor, scale: float, multiple: int) -> Tensor:
    """Return images as a network gets them that reads at a scale.

    Args:
        images: (N, bands, H, W) of any H and W.
        scale: by how much they are reduced, by averaging; `ENLARGED` enlarges them.
        multiple: pixels of the network's input that become one in the deepest layer.

    Returns:
        Images whose sides are whole multiples, extended at the right and lower edge.
    """
    images = pad(images, int(multiple * scale))
    if scale == ENLARGED:
        return nn.functional.interpolate(images, scale_factor=1 / ENLARGED, mode="bilinear")
    return nn.functional.avg_pool2d(images, int(scale)) if scale > 1 else images


def mean_of_readings(
    read: Callable[[Tensor], Tensor], images: Tensor, scales: Sequence[float], multiple: int
) -> Tensor:
    """Read images as they are and averaged; return logits of the mean of the probabilities.

    As in Chen, L.-C. et al. 2016 ("Attention to Scale", CVPR), but all scales count alike.

    Args:
        read: gives the logits, (N, classes, H, W), of images whose sides are whole multiples.
        images: (N, bands, H, W) of any H and W.
        scales: by how much the images are reduced for each reading, see `at_scale`.
        multiple: pixels of the input that become one in the deepest layer.

    Returns:
        (N, classes, H, W); of one scale alone its logits as they are.
    """
    height, width = images.shape[-2:]
    readings = []
    for scale in scales:
        logits = read(at_scale(images, scale, multiple))
        if scale == ENLARGED:
            logits = nn.functional.avg_pool2d(logits, round(1 / ENLARGED))
        elif scale > 1:
            logits = nn.functional.interpolate(logits, scale_factor=float(scale), mode="bilinear")
        readings.append(logits[..., :height, :width])
    if len(readings) == 1:
        return readings[0]
    return mean_of(readings)


def mean_of_turns(read: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Read images in each quarter turn; return logits of the mean of the probabilities.

    An encoder begun with ImageNet's weights maps an image better in some turns than in others, even
    after learning of tiles that were turned all ways: `docs/experiments.md`.

    Args:
        read: gives the logits, (N, classes, H, W), of images (N, bands, H, W) of any H and W.
        images: (N, bands, H, W).
    """
    return mean_of([_turn(read(_turn(images, turns)), -turns % 4) for turns in range(4)])


def _turn(images: Tensor, quarters: int) -> Tensor:
    """Turn images, (N, C, H, W), to the left, as `Tensor.rot90`, which ONNX does not know."""
    if quarters == 0:
        return images
    if quarters == 2:
        return images.flip(2, 3)
    return images.transpose(2, 3).flip(2 if quarters == 1 else 3)


def mean_of(readings: Sequence[Tensor]) -> Tensor:
    """Return logits of the mean of the probabilities of some logits, (N, classes, H, W)."""
    return torch.stack([logits.softmax(1) for logits in readings]).mean(0).clamp(1e-6).log()


def convolution(
    channels: int, width: int, size: int = 3, stride: int = 1, relu: bool = True
) -> nn.Sequential:
    """Return a convolution with batch normalization and, unless unwanted, ReLU."""
    parts: list[nn.Module] = [
        nn.Conv2d(channels, width, size, stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(width),
    ]
    return nn.Sequential(*parts, nn.ReLU(inplace=True)) if relu else nn.Sequential(*parts)


class Residual(nn.Module):
    """Two 3 x 3 convolutions around which the input passes (He et al. 2016, CVPR, fig. 2).

    Where width or size change, the input passes by a 1 x 1 convolution (their option B).
    """

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(channels, width, stride=stride), convolution(width, width, relu=False)
        )
        same = channels == width and stride == 1
        self.past = nn.Identity() if same else convolution(channels, width, 1, stride, relu=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, width, H / stride, W / stride)."""
        result: Tensor = self.relu(self.body(features) + self.past(features))
        return result


def initialize(network: nn.Module) -> None:
    """Draw the weights of all convolutions as He et al. 2015 (ICCV, equation 10).

    Those on "meta" hold nothing: to draw them has PyTorch import its compiler, 1.5 s of processor
    time for each process that reads a model.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
