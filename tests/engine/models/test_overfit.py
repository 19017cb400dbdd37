"""Each network can learn eight real patches by heart: IoU 0.9 on what it was trained on.

Patches are of Bijie (Ji et al. 2020), made smaller to fit the time. What is held to 0.9 is what a
user would get: the network in evaluation mode, at threshold 0.5; of Mask R-CNN, the masks of all
landslides of that score.
"""

from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from landslide_mapper.landslide_plugin.contract.architectures import INSTANCE, SEMANTIC
from landslide_mapper.landslide_plugin.training.loop.losses import cross_entropy
from landslide_mapper.models.registry import build

SIZE = 64
WANTED = 0.9
CHECK_EVERY = 10

RUNS: dict[str, tuple[dict[str, Any], float, int]] = {
    "fc_densenet": ({"growth_rate": 8, "layers": [2, 2, 2], "middle_layers": 3}, 1e-2, 150),
    "compact_unet": ({"widths": [32, 64, 96, 128]}, 3e-3, 150),
    "unet": ({"widths": [16, 32, 64, 128]}, 3e-3, 150),
    "resunet": ({"widths": [16, 32, 64, 128]}, 3e-3, 150),
    "segnet": ({"width": 16}, 3e-3, 200),
    "fcn8s": ({"width": 16, "dense": 128}, 1e-3, 400),
    "fcn_fused": ({"width": 16}, 3e-3, 150),
    "smp_unet": ({"encoder": "resnet18"}, 1e-3, 150),
    "smp_unetplusplus": ({"encoder": "resnet18"}, 1e-3, 150),
    "smp_deeplabv3plus": ({"encoder": "resnet18"}, 1e-3, 200),
    "smp_pspnet": ({"encoder": "resnet18"}, 1e-3, 200),
    "smp_fpn": ({"encoder": "resnet18"}, 1e-3, 200),
    "smp_segformer": ({"encoder": "mit_b0"}, 1e-3, 400),
    "mask_rcnn": ({"depth": 18}, 1e-3, 120),
}
"""Arguments, learning rate and most steps of each; small sizes of the same networks."""


@pytest.fixture(scope="module")
def patches(data_dir):
    """Eight landslide images, float32 (8, 3, SIZE, SIZE), z-scored, and masks, bool."""
    files = sorted((data_dir / "bijie" / "images").glob("ls_*"))[:8]
    images, masks = [], []
    for path in files:
        mask = data_dir / "bijie" / "masks" / f"{path.stem}.png"
        images.append(_small(path))
        masks.append(_small(mask)[0] >= 0.5)
    stacked = np.stack(images)
    mean, std = stacked.mean((0, 2, 3)), stacked.std((0, 2, 3))
    scaled = (stacked - mean[:, None, None]) / std[:, None, None]
    return torch.from_numpy(scaled), torch.from_numpy(np.stack(masks))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("architecture", SEMANTIC)
def test_each_architecture_learns_eight_patches(architecture, patches):
    images, masks = patches
    classes = masks.long()
    best = overfit(
        architecture,
        lambda network: cross_entropy(network(images), classes),
        lambda network: iou(network(images).argmax(1) == 1, masks),
    )
    assert best >= WANTED
    assert iou(torch.ones_like(masks), masks) < 0.5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_mask_rcnn_learns_eight_patches(patches):
    from torchvision.models.detection._utils import BalancedPositiveNegativeSampler
    from torchvision.ops import masks_to_boxes

    images, masks = list(patches[0]), patches[1]
    targets = [
        {
            "boxes": masks_to_boxes(mask[None]) + torch.tensor([0, 0, 1, 1]),
            "labels": torch.ones(1, dtype=torch.int64),
            "masks": mask[None].to(torch.uint8),
        }
        for mask in masks
    ]

    def loss(network):
        # a quarter of the boxes that a training looks at, for the time they take
        network.roi_heads.fg_bg_sampler = BalancedPositiveNegativeSampler(32, 0.25)
        return sum(network(images, targets).values())

    def score(network):
        result = [(one["masks"][one["scores"] >= 0.5, 0] >= 0.5).any(0) for one in network(images)]
        return iou(torch.stack(result), masks)

    assert overfit("mask_rcnn", loss, score) >= WANTED


def test_every_architecture_has_a_run():
    assert set(RUNS) == {*SEMANTIC, *INSTANCE}


def overfit(architecture, loss_of, score_of):
    """Train until the score is reached or the steps are used up; return the last score."""
    arguments, rate, steps = RUNS[architecture]
    torch.manual_seed(0)
    network = build(architecture, 3, 2, **arguments)
    optimizer = torch.optim.AdamW(network.parameters(), rate)
    score = 0.0
    for step in range(1, steps + 1):
        network.train()
        loss = loss_of(network)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if step % CHECK_EVERY == 0 or step == steps:
            with torch.inference_mode():
                score = score_of(network.eval())
            if score >= WANTED:
                break
    return score


def iou(predicted, truth):
    return float((predicted & truth).sum() / (predicted | truth).sum())


def _small(path):
    """Return the means of the pixels that become one, 0..1."""
    with rasterio.open(path) as source:
        values = torch.from_numpy(source.read().astype(np.float32))
    return torch.nn.functional.adaptive_avg_pool2d(values / values.max(), SIZE).numpy()
