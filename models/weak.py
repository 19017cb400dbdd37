"""Landslide scores learnt from image labels alone (Zhou et al. 2022, Remote Sens. 14:3650).

Two views of where the landslide of an image is, and what they have in common: the class activation
map of a classifier (Zhou, B. et al. 2016, CVPR, 2921), and the difference between the image and its
translation to one without landslide by CycleGAN.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..landslide_plugin.contract.choices import TrainWeak
from .cyclegan import Generator, limit
from .layers import pad
from .pretrained import make_encoder

METHODS = tuple(TrainWeak.METHOD.words)
DIFFERENCES = ("grey", "bands")
BACKBONES: dict[str, dict[str, str]] = {method: {} for method in METHODS}
GREY = {"red": 0.3, "green": 0.59, "blue": 0.11}
"""Weights of a grey image (Zhou et al. 2022, equation 5)."""
THRESHOLD = 32.0
"""Grey levels of 0..255 from which a difference is landslide (Zhou et al. 2022, equation 7)."""
SOFTNESS = 8.0
"""Grey levels beyond the threshold at which the probability is 0.73."""
DEPTH = 5
"""Stages of an encoder, 32 pixels along a side then being one of the activation map."""


class Classifier(nn.Module):
    """Tells whether an image holds a landslide, by the mean of its activation map or its peak.

    Args:
        bands: channels of the input.
        encoder: any encoder of segmentation-models-pytorch.
        pretrained: where the encoder's first weights come from, see `make_encoder`; random when
            empty.
        depth: stages of the encoder, of which each halves the map.
        peak: share of the map, where landslide stands out most, whose mean is the score. At 1, the
            paper's, what fills most of an image tells most, which is what surrounds a landslide;
            the less, the more must a single place tell (Pinheiro and Collobert 2015, CVPR 1713,
            whose smooth maximum lies between the same ends).
    """

    def __init__(
        self,
        bands: int,
        encoder: str = "resnet50",
        pretrained: str = "",
        depth: int = DEPTH,
        peak: float = 1.0,
    ) -> None:
        super().__init__()
        features: Any = make_encoder(encoder, bands, pretrained, depth=depth)
        self.depth, self.peak = depth, peak
        self.encoder = features
        self.head = nn.Conv2d(int(features.out_channels[-1]), 2, 1)

    def activation(self, images: Tensor) -> Tensor:
        """Return the class activation maps, float (N, 2, h, w), at the encoder's coarsest scale.

        M_c(x, y) = sum over k of w_k^c f_k(x, y) (Zhou, B. et al. 2016, equation 2; Zhou et al.
        2022, equation 1); the bias is added, so that the mean over the image is the class score.
        """
        maps: Tensor = self.head(self.encoder(images)[-1])
        return maps

    def forward(self, images: Tensor) -> Tensor:
        """Return the class scores, float (N, 2): no landslide, landslide."""
        maps = self.activation(images).flatten(2)
        if self.peak == 1:
            return maps.mean(2)
        count = max(round(self.peak * maps.shape[2]), 1)
        indices = (maps[:, 1] - maps[:, 0]).topk(count).indices
        return maps.gather(2, indices[:, None].expand(-1, 2, -1)).mean(2)


class WeakNetwork(nn.Module):
    """Semantic segmentation by what was learnt from image labels.

    Args:
        bands: channels of the input.
        classes: 2.
        method: one of `METHODS`.
        encoder: of the classifier.
        width: of the generator.
        blocks: of the generator.
        grey: grey levels (0..255) that a change of each band by one standard deviation means;
            see `grey_levels`.
        difference: one of `DIFFERENCES`, see `grey_difference`; "bands" is what models had before
            they told.
        threshold: grey levels from which a difference is landslide.
        cut: activation from which a pixel is landslide, in logits.
        depth: stages of the classifier's encoder.
        residual: of the generator.

    Raises:
        ValueError: another method, difference or number of classes, or of grey levels.
    """

    def __init__(
        self,
        bands: int,
        classes: int,
        method: str = "both",
        encoder: str = "resnet50",
        width: int = 64,
        blocks: int = 6,
        grey: Sequence[float] = (),
        threshold: float = THRESHOLD,
        cut: float = 0.0,
        depth: int = DEPTH,
        residual: bool = False,
        difference: str = "bands",
    ) -> None:
        super().__init__()
        if method not in METHODS or classes != 2 or len(grey) not in (0, bands):
            raise ValueError(f"{method} with {classes} classes and {len(grey)} grey levels")
        if difference not in DIFFERENCES:
            raise ValueError(f"a difference by {difference}")
        self.threshold, self.cut, self._by = threshold, cut, difference
        self.classifier = Classifier(bands, encoder, depth=depth) if method != "cyclegan" else None
        self.generator = Generator(bands, width, blocks, residual) if method != "cam" else None
        self.grey = list(grey) or [255 / 6 / bands] * bands

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits.

        Args:
            images: float (N, bands, H, W), z-scored, any H and W.

        Returns:
            float (N, 2, H, W). Of two views the lower one counts: at probability 0.5 that is the
            intersection of their masks.
        """
        views = []
        if self.classifier is not None:
            views.append(self.activation(images) - self.cut)
        if self.generator is not None:
            views.append((self.difference(images) - self.threshold) / SOFTNESS)
        landslide = torch.stack(views).amin(0)
        return torch.stack([torch.zeros_like(landslide), landslide], 1)

    def activation(self, images: Tensor) -> Tensor:
        """Return landslide's activation above no landslide's, float (N, H, W), in logits."""
        if self.classifier is None:
            raise ValueError("this network has no classifier")
        height, width = images.shape[-2:]
        step = 2**self.classifier.depth
        maps = self.classifier.activation(pad(images, step)).float()
        fine = functional.interpolate(maps, scale_factor=float(step), mode="bilinear")
        return fine[:, 1, :height, :width] - fine[:, 0, :height, :width]

    def difference(self, images: Tensor) -> Tensor:
        """Return how much the generator changes each pixel, in grey levels, float (N, H, W)."""
        if self.generator is None:
            raise ValueError("this network has no generator")
        change = limit(images) - self.generator(images)
        return grey_difference(change, change.new_tensor(self.grey), self._by)


def grey_difference(change: Tensor, grey: Tensor, difference: str) -> Tensor:
    """Return the size of a change of images in grey levels, float (N, H, W).

    Args:
        change: in standard deviations, (N, bands, H, W).
        grey: grey levels of one deviation of each band, (bands,).
        difference: "grey": that of the grey images (Zhou et al. 2022, equations 5 and 6: red 30
            darker and green 20 brighter are |-9 + 11.8| = 2.8); "bands": the sum of what each band
            changes (9 + 11.8 = 20.8), which sees a change of colour alone.
    """
    changes = change.float() * grey[:, None, None]
    return changes.sum(1).abs() if difference == "grey" else changes.abs().sum(1)


def fitting_difference(difference: str, bands: Sequence[str], eight_bit: bool) -> str:
    """Return the difference asked for; for "auto" grey's where the paper defines a grey image.

    That is of red, green and blue of 8 bits. Other bands make no grey image that means something:
    near infrared falls where red rises, and in a sum of both a landslide would vanish.
    """
    if difference != "auto":
        return difference
    return "grey" if eight_bit and set(bands) == set(GREY) else "bands"


def grey_levels(bands: Sequence[str], std: Sequence[float], eight_bit: bool) -> list[float]:
    """Return the grey levels that one standard deviation of each band means.

    Red, green and blue alone, of 8 bits, weigh 0.3, 0.59 and 0.11 as in the paper. For any other
    set of bands, which the paper leaves open, six deviations of a band are the 255 levels, and all
    bands weigh the same.

    Args:
        bands: names.
        std: standard deviations in the units of the images.
        eight_bit: whether these are 0..255.
    """
    if eight_bit and set(bands) == set(GREY):
        return [GREY[band] * deviation for band, deviation in zip(bands, std, strict=True)]
    return [255 / 6 / len(bands)] * len(bands)
