"""The networks of segmentation-models-pytorch with any of its encoders.

- `SmpUnet`: Ronneberger et al. 2015 (MICCAI); Yang, S. et al. 2022 use VGG16 and ResNet50 in it.
- `SmpUnetPlusPlus`: Zhou et al. 2018 (DLMIA 11045:3).
- `SmpDeepLabV3Plus`: Chen, L.-C. et al. 2018 (ECCV, 833); Yang, S. et al. 2022 use MobileNet and
  Xception in it.
- `SmpPSPNet`: Zhao et al. 2017 (CVPR, 6230); Yang, S. et al. 2022 use MobileNet and ResNet50 in it,
  Yang, R. et al. 2022 set it beside Mask R-CNN.
- `SmpFPN`: Lin et al. 2017 (CVPR, 936), Kirillov et al. 2019 (CVPR, 6399).
- `SmpSegformer`: Xie et al. 2021 (NeurIPS 34:12077).
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..landslide_plugin.contract.architectures import ENCODERS
from ..landslide_plugin.contract.errors import InputError
from .layers import pad
from .pretrained import encoder_names, make_encoder, pretrained_weights, require_encoder

# isort: split
import segmentation_models_pytorch as smp
from segmentation_models_pytorch.base import SegmentationHead
from segmentation_models_pytorch.decoders.deeplabv3.decoder import ASPPPooling, DeepLabV3PlusDecoder

BACKBONES: dict[str, dict[str, Any]] = {name: {"encoder": name} for name in ENCODERS}
"""Encoders to begin with; `find_backbone` knows all."""
PRETRAINED: dict[str, Any] = {}
COARSEST = 32
"""Pixels of the input that become one in the deepest layer of most encoders."""


def find_backbone(name: str) -> dict[str, Any] | None:
    """Return the arguments for an encoder by its name; None where there is none of that name."""
    return {"encoder": name} if name in encoder_names() else None


class SmpNetwork(nn.Module):
    """Semantic segmentation by a network of segmentation-models-pytorch.

    Args:
        bands: channels of the input.
        classes: channels of the output.
        encoder: name of the encoder.
        pretrained: whether the encoder begins with weights learnt on photographs.

    Raises:
        InputError: the encoder doesn't go with this network, or its weights can't be had.
    """

    ENCODER = ("network.encoder",)
    KIND: Callable[..., nn.Module]

    def __init__(
        self, bands: int, classes: int, encoder: str = "resnet34", pretrained: bool = False
    ) -> None:
        super().__init__()
        require_encoder(encoder)
        weights = pretrained_weights(encoder) if pretrained else None
        try:
            # Some encoders compute with numbers while they are built: not on "meta".
            with torch.device("cpu"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.network = self.assemble(encoder, weights, bands, classes)
                _drop_unused(self.network, bands)
        except (ValueError, RuntimeError, KeyError, NotImplementedError) as error:
            raise InputError(
                f"{self.KIND.__name__} does not go with the encoder {encoder}: choose another "
                "backbone."
            ) from error

    def assemble(self, encoder: str, weights: str | None, bands: int, classes: int) -> nn.Module:
        """Return the network itself."""
        return type(self).KIND(encoder, encoder_weights=weights, in_channels=bands, classes=classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits.

        Args:
            images: float (N, bands, H, W) of any H and W.

        Returns:
            float (N, classes, H, W).
        """
        height, width = images.shape[-2:]
        logits: Tensor = self.network(pad(images, COARSEST))
        return logits[..., :height, :width]


class SmpUnet(SmpNetwork):
    """U-Net."""

    KIND = smp.Unet


class SmpUnetPlusPlus(SmpNetwork):
    """U-Net++."""

    KIND = smp.UnetPlusPlus


class SmpDeepLabV3Plus(SmpNetwork):
    """DeepLabV3+.

    Encoders that know no dilation (VGG, Xception) give their features at 1/16, where DeepLabV3+
    looks at them, without what comes below.
    """

    KIND = smp.DeepLabV3Plus

    def assemble(self, encoder: str, weights: str | None, bands: int, classes: int) -> nn.Module:
        """Return the network itself."""
        try:
            network = super().assemble(encoder, weights, bands, classes)
        except ValueError:
            network = _Undilated(make_encoder(encoder, bands, weights, depth=4), classes)
        for module in network.modules():
            if isinstance(module, ASPPPooling):
                # Of one value a channel, as the pooling leaves, a batch of one has no deviation.
                channels = module[2].num_features
                module[2] = nn.GroupNorm(32, channels)
        return network


class SmpPSPNet(SmpNetwork):
    """PSPNet."""

    KIND = smp.PSPNet


class SmpFPN(SmpNetwork):
    """Feature pyramid network."""

    KIND = smp.FPN


class SmpSegformer(SmpNetwork):
    """SegFormer."""

    KIND = smp.Segformer

    def __init__(
        self, bands: int, classes: int, encoder: str = "mit_b0", pretrained: bool = False
    ) -> None:
        super().__init__(bands, classes, encoder, pretrained)


class _Undilated(nn.Module):
    """DeepLabV3+ on an encoder of four halvings."""

    def __init__(self, encoder: nn.Module, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = DeepLabV3PlusDecoder(
            encoder.out_channels, 4, 256, (12, 24, 36), 16, aspp_separable=True, aspp_dropout=0.5
        )
        self.segmentation_head = SegmentationHead(256, classes, kernel_size=1, upsampling=4)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.segmentation_head(self.decoder(self.encoder(images)))
        return logits


def _drop_unused(network: nn.Module, bands: int) -> None:
    """Take out layers that the network never calls, as encoders cut short keep their lower ones."""
    used: set[nn.Module] = set()
    layers = {
        name: module
        for name, module in network.named_modules()
        if list(module.parameters(recurse=False))
    }
    hooks = [
        module.register_forward_pre_hook(lambda module, _: used.add(module))
        for module in layers.values()
    ]
    training = network.training
    with torch.inference_mode():
        network.eval()(torch.zeros(1, bands, 2 * COARSEST, 2 * COARSEST))
    network.train(training)
    for hook in hooks:
        hook.remove()
    for name, module in layers.items():
        if module not in used:
            network.set_submodule(name, nn.Identity())
