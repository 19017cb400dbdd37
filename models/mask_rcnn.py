"""Mask R-CNN with a ResNet feature pyramid for any number of bands.

He et al. 2017 ("Mask R-CNN", ICCV), as Yang, R. et al. 2022 use it for landslides, by torchvision.
Three things differ from torchvision's model for photographs:

- A backbone trained from scratch sees batches of the one to eight tiles that fit a desktop.
  torchvision's frozen batch normalization needs pretrained statistics and true batch
  normalization larger batches; group normalization needs neither (Wu and He 2018; He et al. 2019,
  "Rethinking ImageNet Pre-training", train Mask R-CNN from scratch with it). A pretrained
  backbone keeps its frozen batch normalization.
- Tiles are neither resized nor scaled: both would change what a pixel or a value means.
- Anchors begin at 16 px, as landslides of a few pixels are the rule.

Tiles are padded to a multiple of 32 pixels, as torchvision does; the scales of the features are
given, which it would guess from the first tile's side before the padding.
"""

from typing import Any

from torch import Tensor, nn

from .registry import IMAGENET
from .torchvision_ops import torchvision  # noqa: F401  (before what follows)

# isort: split
from torchvision.models import resnet18, resnet50, resnet101
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops.misc import FrozenBatchNorm2d
from torchvision.ops.poolers import initLevelMapper

BACKBONES: dict[str, dict[str, Any]] = {
    "resnet50": {},
    "resnet101": {"depth": 101},
    "resnet18": {"depth": 18},
}
"""ResNet-101 is Yang, R. et al.'s; ResNet-18 is for processors."""
LEAST_MATCH = 0.6
"""Share of the weights that a file must hold: a ResNet's are this part of Mask R-CNN's."""
PRETRAINED: dict[str, Any] = {"norm": "frozen"}
BODIES = {18: resnet18, 50: resnet50, 101: resnet101}
ANCHOR_SIZES = (16, 32, 64, 128, 256)
"""Sides in pixels on the five levels of the pyramid."""
ASPECT_RATIOS = (0.5, 1.0, 2.0)
LEVELS = (2, 3, 4, 5)
"""Halvings of the image in the features that boxes and masks are told from (Lin et al. 2017)."""
GROUPS = 32
PROPOSALS = {
    "rpn_pre_nms_top_n_train": 1000,
    "rpn_post_nms_top_n_train": 500,
    "rpn_pre_nms_top_n_test": 500,
    "rpn_post_nms_top_n_test": 250,
    "box_batch_size_per_image": 128,
}
"""A quarter of torchvision's numbers, before suppression a half: its photographs are ten times as
large as a tile."""


class BandMaskRCNN(MaskRCNN):
    """Finds single landslides; called as torchvision's detection models are.

    In training, forward(images, targets) returns a dictionary of losses; in evaluation,
    forward(images) a dictionary for each image: boxes (n, 4), labels (n,), scores (n,) and masks
    (n, 1, H, W) in 0..1. Images are float32 (bands, H, W), z-scored.

    Args:
        bands: channels of the input.
        classes: classes, background included.
        depth: of the ResNet: 18, 50 or 101.
        norm: "group", or "frozen" for the batch normalization of a pretrained backbone.
        pretrained: where the backbone's first weights come from, see `make_encoder`; a file may
            hold a whole Mask R-CNN of torchvision. Random when empty, else it needs "frozen".

    Raises:
        InputError: the pretrained weights can't be had.
        ValueError: there is no such depth or norm.
    """

    ENCODER = ("backbone.body",)

    def __init__(
        self, bands: int, classes: int, depth: int = 50, norm: str = "group", pretrained: str = ""
    ) -> None:
        if depth not in BODIES or norm not in ("group", "frozen"):
            raise ValueError(f"a ResNet-{depth} with {norm} normalization")
        if pretrained and norm != "frozen":
            raise ValueError("a pretrained backbone without its batch normalization")
        body = BODIES[depth](
            weights=None, norm_layer=_group_norm if norm == "group" else FrozenBatchNorm2d
        )
        body.conv1 = nn.Conv2d(bands, 64, kernel_size=7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(body.conv1.weight, mode="fan_out", nonlinearity="relu")
        if pretrained == IMAGENET:
            _copy_pretrained(body, bands, f"resnet{depth}")
        backbone = _resnet_fpn_extractor(body, trainable_layers=5, norm_layer=_group_norm)
        anchors = AnchorGenerator(
            tuple((size,) for size in ANCHOR_SIZES), (ASPECT_RATIOS,) * len(ANCHOR_SIZES)
        )
        super().__init__(backbone, classes, rpn_anchor_generator=anchors, **PROPOSALS)
        self.transform = _Unscaled(bands)
        for pool in (self.roi_heads.box_roi_pool, self.roi_heads.mask_roi_pool):
            pool.scales = [0.5**level for level in LEVELS]
            pool.map_levels = initLevelMapper(LEVELS[0], LEVELS[-1])
        if pretrained not in ("", IMAGENET):
            _take_file(self, pretrained)


class _Unscaled(GeneralizedRCNNTransform):
    """Only puts the images into one batch, as they are."""

    def __init__(self, bands: int) -> None:
        super().__init__(1, 1, image_mean=[0.0] * bands, image_std=[1.0] * bands)

    def normalize(self, image: Tensor) -> Tensor:
        """Return the image: bands are scaled by the caller."""
        return image

    def resize(self, image: Tensor, target: Any = None) -> tuple[Tensor, Any]:
        """Return the image in its own size."""
        return image, target


def _take_file(network: nn.Module, path: str) -> None:
    """Begin with a whole Mask R-CNN's weights but for those of its classes, or a ResNet's."""
    from .pretrained import read_weights, take_weights

    take_weights(network, read_weights(path), path, least=LEAST_MATCH)


def _copy_pretrained(body: nn.Module, bands: int, name: str) -> None:
    from .pretrained import make_encoder

    encoder = make_encoder(name, bands, IMAGENET)
    state = body.state_dict()
    weights = {key: value for key, value in encoder.state_dict().items() if key in state}
    body.load_state_dict({**state, **weights})


def _group_norm(channels: int) -> nn.Module:
    return nn.GroupNorm(GROUPS, channels)
