"""CycleGAN: images of landslides to images without, and back (Zhu et al. 2017, ICCV 2242).

Generators of residual blocks and 70 x 70 PatchGAN discriminators as in its appendix, with instance
normalization; the discriminators' scores are those of a least-squares GAN. Any number of bands.
Images are z-scored; what the generators give lies within `RANGE` deviations.
"""

from typing import Literal

import torch
from torch import Tensor, nn

RANGE = 3.0
"""Standard deviations that -1 and 1 of the generators' last layer, a hyperbolic tangent, mean."""
REDUCTION = 4
"""Pixels of the image that are one for the residual blocks."""


def limit(images: Tensor) -> Tensor:
    """Return images with what lies beyond `RANGE` cut off.

    A generator can't give it: compared with the image as it is, every very bright pixel would be
    changed, and a discriminator would know real images by them.
    """
    return images.clamp(-RANGE, RANGE)


class Generator(nn.Module):
    """An image to an image of the same size.

    Args:
        bands: channels.
        width: channels behind the first convolution; the paper's is 64.
        blocks: residual blocks; the paper's are 6 for 128 px and 9 for 256 px.
        residual: whether the layers give the change of the image instead of, as in the paper, the
            image anew, which takes long to learn (de Bel et al. 2021, Med. Image Anal. 70:102004).
    """

    def __init__(
        self, bands: int, width: int = 64, blocks: int = 6, residual: bool = False
    ) -> None:
        super().__init__()
        self.residual = residual
        layers: list[nn.Module] = [_layer(bands, width, 7)]
        layers += [_layer(width, 2 * width, 3, 2), _layer(2 * width, 4 * width, 3, 2)]
        layers += [_Block(4 * width) for _ in range(blocks)]
        layers += [_enlarge(4 * width, 2 * width), _enlarge(2 * width, width)]
        layers += [nn.Conv2d(width, bands, 7, padding=3, padding_mode="reflect")]
        self.layers = nn.Sequential(*layers)
        self.apply(_draw)
        if residual:  # to begin with, nothing is changed
            nn.init.zeros_(layers[-1].weight)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Return the translated images, float (N, bands, H, W), any H and W from 8 on."""
        height, width = images.shape[-2:]
        right, below = -width % REDUCTION, -height % REDUCTION
        padded = nn.functional.pad(images, (0, right, 0, below), "replicate")
        limited = limit(padded) / RANGE
        translated: Tensor = self.layers(limited).tanh() * RANGE
        if self.residual:
            translated = limit(limited * RANGE + translated)
        return translated[..., :height, :width]


class Discriminator(nn.Module):
    """Tells real from translated images, patch by patch of about 70 px.

    Args:
        bands: channels.
        width: channels behind the first convolution; the paper's is 64.
    """

    def __init__(self, bands: int, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(bands, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for factor, stride in ((1, 2), (2, 2), (4, 1)):
            layers += [
                nn.Conv2d(factor * width, 2 * factor * width, 4, stride, 1),
                nn.InstanceNorm2d(2 * factor * width),
                nn.LeakyReLU(0.2),
            ]
        layers.append(nn.Conv2d(8 * width, 1, 4, 1, 1))
        self.layers = nn.Sequential(*layers)
        self.apply(_draw)

    def forward(self, images: Tensor) -> Tensor:
        """Return a score a patch, float (N, 1, h, w): 1 for real, 0 for translated."""
        scores: Tensor = self.layers(images / RANGE)
        return scores


class CycleGAN(nn.Module):
    """Both generators and both discriminators.

    Attributes:
        clear: generator, landslide to no landslide: G of Zhou et al. 2022.
        slide: generator, no landslide to landslide.
        judge_clear: discriminator of images without landslide.
        judge_slide: discriminator of images with landslide.
    """

    def __init__(
        self, bands: int, width: int = 64, blocks: int = 6, residual: bool = False
    ) -> None:
        super().__init__()
        self.clear = Generator(bands, width, blocks, residual)
        self.slide = Generator(bands, width, blocks, residual)
        self.judge_clear = Discriminator(bands, width)
        self.judge_slide = Discriminator(bands, width)

    def judges(self) -> list[nn.Parameter]:
        """Return the parameters of the discriminators."""
        return [*self.judge_clear.parameters(), *self.judge_slide.parameters()]


class _Block(nn.Module):
    """Two convolutions around which the input passes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _layer(width, width, 3),
            nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(width),
        )

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = features + self.body(features)
        return result


def _layer(channels: int, width: int, size: int, stride: int = 1) -> nn.Sequential:
    # the smallest map, at 8 px, is 2 wide: it can't be reflected by more than 1
    mode: Literal["reflect", "zeros"] = "reflect" if stride == 1 else "zeros"
    return nn.Sequential(
        nn.Conv2d(channels, width, size, stride, size // 2, padding_mode=mode),
        nn.InstanceNorm2d(width),
        nn.ReLU(inplace=True),
    )


def _enlarge(channels: int, width: int) -> nn.Sequential:
    """Enlarge twofold; by repetition, as transposed convolutions leave a checkerboard."""
    return nn.Sequential(nn.Upsample(scale_factor=2), _layer(channels, width, 3))


def _draw(module: nn.Module) -> None:
    """Draw weights as the paper does: normal, deviation 0.02."""
    if isinstance(module, nn.Conv2d):
        with torch.no_grad():
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
