"""Mask R-CNN for any number of bands, and torchvision's operators."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from landslide_mapper.models import torchvision_ops
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import load_model, save_model
from landslide_mapper.models.registry import backbone_arguments, build

SIZE = 128


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build("mask_rcnn", 5, 2, depth=18)


def target():
    masks = torch.zeros(2, SIZE, SIZE, dtype=torch.uint8)
    masks[0, 10:40, 20:60] = 1
    masks[1, 70:90, 30:50] = 1
    boxes = torch.tensor([[20.0, 10, 60, 40], [30, 70, 50, 90]])
    return {"boxes": boxes, "labels": torch.ones(2, dtype=torch.int64), "masks": masks}


def test_five_bands_give_losses_and_gradients(network):
    empty = {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.int64),
        "masks": torch.zeros(0, SIZE, SIZE, dtype=torch.uint8),
    }
    network.train()
    losses = network([torch.randn(5, SIZE, SIZE) for _ in range(2)], [target(), empty])
    assert set(losses) == {
        "loss_classifier",
        "loss_box_reg",
        "loss_mask",
        "loss_objectness",
        "loss_rpn_box_reg",
    }
    torch.stack(list(losses.values())).sum().backward()
    first = network.backbone.body.conv1.weight
    assert first.shape[1] == 5
    assert torch.isfinite(first.grad).all() and first.grad.abs().sum() > 0


@pytest.mark.parametrize("shape", [(SIZE, SIZE), (90, 130)])
def test_images_keep_their_size_and_values(network, shape):
    network.eval()
    image = torch.randn(5, *shape)
    batch, _ = network.transform([image])
    assert torch.equal(batch.tensors[0, :, : shape[0], : shape[1]], image)
    with torch.inference_mode():
        (result,) = network([image])
    assert result["masks"].shape[1:] == (1, *shape)
    assert result["boxes"].shape == (len(result["scores"]), 4)


def test_resnet_50_and_101_are_as_large_as_torchvisions():
    # torchvision's maskrcnn_resnet50_fpn has 44.4 million parameters with 91 classes.
    for depth, count in ((50, 44.0e6), (101, 63.0e6)):
        with torch.device("meta"):
            built = build("mask_rcnn", 3, 2, **backbone_arguments("mask_rcnn", f"resnet{depth}"))
        assert sum(value.numel() for value in built.parameters()) == pytest.approx(count, rel=0.02)


def test_there_is_no_batch_normalization_in_it(network):
    assert not any("BatchNorm" in type(module).__name__ for module in network.modules())


def test_a_model_file_gives_it_back(network, tmp_path):
    names = list("abcde")
    card = ModelCard(
        name="mr",
        architecture="mask_rcnn",
        arguments={"depth": 18},
        task="instance-segmentation",
        bands=names,
        mean=[0.0] * 5,
        std=[1.0] * 5,
        resolution=None,
        tile_size=SIZE,
        classes=["background", "landslide"],
    )
    save_model(tmp_path / "m.safetensors", network, card)
    loaded = load_model(tmp_path / "m.safetensors")
    image = torch.randn(5, 64, 64)
    with torch.inference_mode():
        (expected,), (result,) = network.eval()([image]), loaded.network([image])
    assert all(torch.equal(expected[key], result[key]) for key in expected)


def test_nms_known_answer():
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 30, 30], [0, 0, 10, 5]])
    scores = torch.tensor([0.5, 0.9, 0.1, 0.4])
    # Box 0 overlaps box 1 by 90 / 110, box 3 overlaps box 1 by 45 / 105.
    assert torchvision_ops.nms(boxes, scores, 0.5).tolist() == [1, 3, 2]
    assert torchvision_ops.nms(boxes, scores, 0.4).tolist() == [1, 2]
    assert torchvision_ops.nms(boxes[:0], scores[:0], 0.5).tolist() == []


corner = st.integers(0, 20)


@given(st.lists(st.tuples(corner, corner, corner, corner), max_size=12), st.floats(0.1, 0.9))
@settings(max_examples=50)
def test_nms_keeps_no_two_that_overlap_and_drops_none_without_a_better_one(corners, limit):
    boxes = torch.tensor(
        [[min(a, c), min(b, d), max(a, c) + 1, max(b, d) + 1] for a, b, c, d in corners],
        dtype=torch.float32,
    ).reshape(-1, 4)
    scores = torch.linspace(1, 0.1, len(boxes))
    kept = torchvision_ops.nms(boxes, scores, limit).tolist()
    assert kept == sorted(kept)
    for index in range(len(boxes)):
        beaten = any(iou(boxes[index], boxes[other]) > limit for other in kept if other < index)
        assert beaten != (index in kept)


def iou(first, second):
    size = (torch.minimum(first[2:], second[2:]) - torch.maximum(first[:2], second[:2])).clamp(0)
    common = size.prod()
    return common / ((first[2:] - first[:2]).prod() + (second[2:] - second[:2]).prod() - common)


@pytest.mark.parametrize("ratio", [2, -1])
@pytest.mark.parametrize("aligned", [False, True])
def test_roi_align_is_the_mean_of_bilinear_samples(ratio, aligned):
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(size=(2, 3, 9, 11)).astype(np.float32))
    rois = torch.tensor(
        [[0.0, 2, 3, 19, 15], [1, -6, -4, 8, 9], [0, 5, 5, 5.5, 5.2], [1, 10, 4, 40, 30]]
    )
    result = torchvision_ops.roi_align(features, rois, 0.5, 3, 2, ratio, aligned)
    expected = naive_roi_align(features.numpy(), rois.numpy(), 0.5, 3, 2, ratio, aligned)
    np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize("ratio", [2, -1])
def test_the_gradient_of_roi_align_is_its_transpose(monkeypatch, ratio):
    monkeypatch.setattr(torchvision_ops, "AT_ONCE", 200)  # boxes in several parts
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 3, 9, 11, generator=generator).requires_grad_()
    corner = torch.rand(7, 2, generator=generator) * 12
    size = torch.rand(7, 2, generator=generator) * 12
    rois = torch.cat([torch.tensor([[0.0, 1, 1, 0, 1, 0, 0]]).T, corner, corner + size], 1)
    result = torchvision_ops.roi_align(features, rois, 0.5, 3, 2, ratio, False)
    expected = naive_roi_align(features.detach().numpy(), rois.numpy(), 0.5, 3, 2, ratio, False)
    np.testing.assert_allclose(result.detach(), expected, atol=1e-5)
    weights = torch.randn(result.shape, generator=generator)
    (result * weights).sum().backward()
    assert features.grad is not None
    # it is linear: <A f, g> = <f, A^T g>
    torch.testing.assert_close((features.grad * features).sum(), (result * weights).sum())
    other = torch.randn(features.shape, generator=generator)
    there = torchvision_ops.roi_align(other, rois, 0.5, 3, 2, ratio, False)
    torch.testing.assert_close((features.grad * other).sum(), (there * weights).sum())


def test_roi_align_of_no_boxes_is_empty_and_differentiable():
    features = torch.randn(1, 2, 8, 8, requires_grad=True)
    assert torchvision_ops.roi_align(features, torch.zeros(0, 5), 1, 7, 7, 2, False).shape == (
        0, 2, 7, 7,
    )  # fmt: skip
    box = torch.tensor([[0.0, 1, 1, 6, 6]])
    torchvision_ops.roi_align(features, box, 1.0, 2, 2, 2, False).sum().backward()
    assert features.grad is not None
    assert features.grad.sum().item() == pytest.approx(8)  # each of 2 x 4 means has weight one


def naive_roi_align(features, rois, scale, height, width, ratio, aligned):
    """The definition, sample by sample (torchvision's csrc/ops/cpu/roi_align_kernel.cpp)."""
    offset = 0.5 if aligned else 0.0
    result = np.zeros((len(rois), features.shape[1], height, width))
    for number, (image, *box) in enumerate(rois):
        x1, y1, x2, y2 = np.array(box) * scale - offset
        across, down = x2 - x1, y2 - y1
        if not aligned:
            across, down = max(across, 1.0), max(down, 1.0)
        nx = ratio if ratio > 0 else int(np.ceil(across / width))
        ny = ratio if ratio > 0 else int(np.ceil(down / height))
        for i, j in np.ndindex(height, width):
            values = [
                bilinear(
                    features[int(image)],
                    y1 + (i + (a + 0.5) / ny) * down / height,
                    x1 + (j + (b + 0.5) / nx) * across / width,
                )
                for a in range(ny)
                for b in range(nx)
            ]
            result[number, :, i, j] = np.mean(values, axis=0)
    return result


def bilinear(image, y, x):
    height, width = image.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return np.zeros(len(image))
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    below, right = min(top + 1, height - 1), min(left + 1, width - 1)
    v, u = y - top, x - left
    upper = image[:, top, left] * (1 - u) + image[:, top, right] * u
    lower = image[:, below, left] * (1 - u) + image[:, below, right] * u
    return upper * (1 - v) + lower * v


@pytest.mark.parametrize("side", [16, 40, 66, 128])
def test_features_are_read_where_boxes_lie_whatever_the_side(side):
    """Sides are padded to a multiple of 32, and what is read of the features goes by that."""
    network: Any = build("mask_rcnn", 1, 2, depth=18).eval()
    with torch.inference_mode():
        network([torch.zeros(1, side, side)])
    padded = -(-side // 32) * 32
    features = {
        str(level): (torch.arange(padded // stride) * float(stride)).expand(1, 1, 4, -1)
        for level, stride in enumerate((4, 8, 16, 32))
    }
    boxes = [torch.tensor([[2.0, 1, 10, 9]])]
    for pool in (network.roi_heads.box_roi_pool, network.roi_heads.mask_roi_pool):
        assert pool(features, boxes, [(side, side)]).mean().item() == pytest.approx(6, abs=1e-3)
