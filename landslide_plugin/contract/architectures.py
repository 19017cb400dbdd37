"""The networks there are, as pure data: what they are called and where each one's class is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    """One network.

    Attributes:
        title: what forms and reports call it.
        module: its file in `models/`.
        class_name: its class there.
        backbones: names of its sets of arguments, the keys of the module's `BACKBONES`.
        default: the backbone that is taken where none is named; the first when empty.
    """

    title: str
    module: str
    class_name: str
    backbones: tuple[str, ...]
    default: str = ""


ENCODERS = (
    "resnet34",
    "resnet50",
    "resnet101",
    "vgg16_bn",
    "mobilenet_v2",
    "xception",
    "efficientnet-b0",
    "efficientnet-b4",
    "mit_b0",
    "mit_b2",
)
"""Encoders of segmentation-models-pytorch to begin with; its networks take any other too."""

_DENSENETS = ("gao2021", "light", "fc_densenet56", "fc_densenet67", "fc_densenet103")
_COMPACT = ("standard", "light", "coarse", "pyramid")
_VGG = ("vgg16", "light")

SEMANTIC = {
    "fc_densenet": Architecture(
        "FC-DenseNet (Gao et al. 2021)", "fc_densenet", "FCDenseNet", _DENSENETS
    ),
    "compact_unet": Architecture("Compact residual U-Net", "compact_unet", "CompactUNet", _COMPACT),
    "unet": Architecture(
        "U-Net (Ronneberger et al. 2015)", "unet", "UNet", ("gao2021", "light", "ronneberger2015")
    ),
    "resunet": Architecture(
        "ResU-Net (Zhang et al. 2018)", "resunet", "ResUNet", ("gao2021", "light", "zhang2018")
    ),
    "segnet": Architecture("SegNet (Badrinarayanan et al. 2017)", "segnet", "SegNet", _VGG),
    "fcn8s": Architecture("FCN-8s (Long et al. 2015)", "fcn8s", "FCN8s", _VGG),
    "fcn_fused": Architecture(
        "FCN of five scales (Chen et al. 2022)", "fcn_fused", "FusedFCN", _VGG
    ),
    "smp_unet": Architecture("U-Net with an encoder", "smp_networks", "SmpUnet", ENCODERS),
    "smp_unetplusplus": Architecture("U-Net++", "smp_networks", "SmpUnetPlusPlus", ENCODERS),
    "smp_deeplabv3plus": Architecture(
        "DeepLabV3+", "smp_networks", "SmpDeepLabV3Plus", ENCODERS, "mobilenet_v2"
    ),
    "smp_pspnet": Architecture("PSPNet", "smp_networks", "SmpPSPNet", ENCODERS, "mobilenet_v2"),
    "smp_fpn": Architecture("Feature pyramid network", "smp_networks", "SmpFPN", ENCODERS),
    "smp_segformer": Architecture("SegFormer", "smp_networks", "SmpSegformer", ENCODERS, "mit_b0"),
}
"""Networks that give each pixel a class: (N, bands, H, W) to logits (N, classes, H, W)."""

INSTANCE = {
    "mask_rcnn": Architecture(
        "Mask R-CNN (Yang, R. et al. 2022)",
        "mask_rcnn",
        "BandMaskRCNN",
        ("resnet50", "resnet101", "resnet18"),
    )
}
"""Networks that find single landslides, called as torchvision's detection models are."""

WEAK = {
    "weak": Architecture(
        "Class activation map and CycleGAN (Zhou et al. 2022)",
        "weak",
        "WeakNetwork",
        ("both", "cam", "cyclegan"),
    )
}
"""Networks like `SEMANTIC` that learn from image labels; `landslide:trainweak` trains them."""
