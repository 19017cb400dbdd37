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
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..landslide_plugin.contract.architectures import ENCODERS
from ..landslide_plugin.contract.errors import InputError
from .layers import check_scales, mean_of_readings, mean_of_turns
from .pretrained import is_encoder, make_encoder, require_encoder

# isort: split
import segmentation_models_pytorch as smp
from segmentation_models_pytorch.base import SegmentationHead
from segmentation_models_pytorch.decoders.deeplabv3.decoder import ASPPPooling, DeepLabV3PlusDecoder
from segmentation_models_pytorch.decoders.pspnet.decoder import PSPDecoder

BACKBONES: dict[str, dict[str, Any]] = {name: {"encoder": name} for name in ENCODERS}
"""Encoders to begin with; `find_backbone` knows all."""
PRETRAINED: dict[str, Any] = {}
STRIDE, RATES = 16, (6, 12, 18)
"""Of DeepLabV3+: pixels of the input that become one, and its atrous rates at that scale."""
DECODER = (256, 128, 64, 32, 16)
"""Channels of a U-Net's decoder, as segmentation-models-pytorch has them."""
COARSEST = 32
"""Pixels of the input that become one in the deepest layer of most encoders."""


def find_backbone(name: str) -> dict[str, Any] | None:
    """Return the arguments for an encoder by its name; None where there is none of that name."""
    return {"encoder": name} if is_encoder(name) else None


class SmpNetwork(nn.Module):
    """Semantic segmentation by a network of segmentation-models-pytorch.

    Args:
        bands: channels of the input.
        classes: channels of the output.
        encoder: name of the encoder.
        pretrained: where the encoder's first weights come from, see `make_encoder`; random when
            empty.
        scales: by how much an image is reduced for each reading of it; it learns at the first
            alone, so that what it learns of must come in all sizes.
        turned: whether it reads an image in its four quarter turns; it learns of it as it lies.
        settings: of `KIND`, which only subclasses give.

    Raises:
        InputError: the encoder doesn't go with this network, or its weights can't be had.
        ValueError: the scales are none that `check_scales` allows.
    """

    ENCODER = ("network.encoder",)
    SMALLEST_TILE = COARSEST
    """Side in pixels below which a part of the network sees no more than its own pixel."""
    KIND: Callable[..., nn.Module]

    def __init__(
        self,
        bands: int,
        classes: int,
        encoder: str = "resnet34",
        pretrained: str = "",
        scales: Sequence[float] = (1,),
        turned: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__()
        self.scales = check_scales(scales)
        self.turned = turned
        self._settings = settings
        require_encoder(encoder)
        theirs = make_encoder(encoder, bands, pretrained).state_dict() if pretrained else {}
        try:
            # Some encoders compute with numbers while they are built: not on "meta".
            with torch.device("cpu"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.network = self.assemble(encoder, bands, classes)
                if theirs:
                    _take(self.network.encoder, theirs)
                _drop_unused(self.network, bands)
        except (ValueError, RuntimeError, KeyError, NotImplementedError) as error:
            raise InputError(
                f"{self.KIND.__name__} does not go with the encoder {encoder}: choose another "
                "backbone."
            ) from error

    def assemble(self, encoder: str, bands: int, classes: int) -> Any:
        """Return the network itself, which has an `encoder`."""
        return type(self).KIND(
            encoder, encoder_weights=None, in_channels=bands, classes=classes, **self._settings
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, float (N, classes, H, W), of images, float (N, bands, H, W)."""
        if self.turned and not self.training:
            return mean_of_turns(self._read, images)
        return self._read(images)

    def _read(self, images: Tensor) -> Tensor:
        """Return the logits of images as they lie."""
        scales = self.scales[:1] if self.training else self.scales
        return mean_of_readings(self.network, images, scales, COARSEST)


class SmpUnet(SmpNetwork):
    """U-Net; `decoder` are the channels of each block of its decoder, the deepest first."""

    KIND = smp.Unet

    def __init__(
        self,
        bands: int,
        classes: int,
        encoder: str = "resnet34",
        pretrained: str = "",
        scales: Sequence[float] = (1,),
        turned: bool = False,
        decoder: Sequence[int] = DECODER,
    ) -> None:
        channels = {"decoder_channels": tuple(decoder)}
        super().__init__(bands, classes, encoder, pretrained, scales, turned, **channels)


class SmpUnetPlusPlus(SmpUnet):
    """U-Net++."""

    KIND = smp.UnetPlusPlus


class SmpDeepLabV3Plus(SmpNetwork):
    """DeepLabV3+ with features at 1/16, where its atrous rates are 6, 12 and 18.

    Encoders that know no dilation (VGG, Xception) give their features at 1/16 without what comes
    below. `xception` is Chollet's (2017, CVPR, 1251); the one that DeepLabV3+ was published with is
    timm's `tu-xception65`.
    """

    KIND = smp.DeepLabV3Plus
    SMALLEST_TILE = STRIDE * (RATES[-1] + 1)

    def assemble(self, encoder: str, bands: int, classes: int) -> Any:
        """Return the network itself."""
        try:
            features = make_encoder(encoder, bands, output_stride=STRIDE)
            depth = 5
        except ValueError:
            depth = 4
            features = make_encoder(encoder, bands, depth=depth)
        decoder = DeepLabV3PlusDecoder(
            features.out_channels, depth, 256, RATES, STRIDE, aspp_separable=True, aspp_dropout=0.5
        )
        for module in decoder.modules():
            if isinstance(module, ASPPPooling):
                # Of one value a channel, as the pooling leaves, a batch of one has no deviation.
                module[2] = nn.GroupNorm(32, module[2].num_features)
        return _Assembled(features, decoder, SegmentationHead(256, classes, 1, upsampling=4))


class SmpPSPNet(SmpNetwork):
    """PSPNet on the whole encoder, whose last stages are dilated so that features stay at 1/8."""

    KIND = smp.PSPNet
    SMALLEST_TILE = 6 * 8  # where it averages 6 x 6 parts of what is seen at 1/8

    def assemble(self, encoder: str, bands: int, classes: int) -> Any:
        """Return the network itself."""
        features = make_encoder(encoder, bands, output_stride=8)
        decoder = PSPDecoder(features.out_channels, out_channels=512, dropout=0.2)
        return _Assembled(features, decoder, SegmentationHead(512, classes, 3, upsampling=8))


class SmpFPN(SmpNetwork):
    """Feature pyramid network."""

    KIND = smp.FPN


class SmpSegformer(SmpNetwork):
    """SegFormer."""

    KIND = smp.Segformer

    def __init__(
        self,
        bands: int,
        classes: int,
        encoder: str = "mit_b0",
        pretrained: str = "",
        scales: Sequence[float] = (1,),
        turned: bool = False,
    ) -> None:
        super().__init__(bands, classes, encoder, pretrained, scales, turned)


class _Assembled(nn.Module):
    """An encoder, a decoder of its features, and what makes classes of that."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder, self.segmentation_head = encoder, decoder, head

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.segmentation_head(self.decoder(self.encoder(images)))
        return logits


def _take(encoder: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load a whole encoder's weights into one that may be cut short."""
    encoder.load_state_dict({name: weights[name] for name in encoder.state_dict()})


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
