"""Lets torchvision load where its compiled operators don't: import `torchvision` from here.

torchvision's wheels are linked against CUDA; beside a PyTorch made for the CPU alone, `import
torchvision` fails as its operators are missing. Then, and only then, the two that detection needs
are defined here in Python. They give the same results (see the tests).
"""

import importlib
import sys
from collections.abc import Iterator
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

LIBRARY = torch.library.Library("torchvision", "FRAGMENT")
SCHEMAS = {
    # Never called; torchvision registers something with it while it is imported.
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align": (
        "(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
        "SymInt pooled_width, int sampling_ratio, bool aligned) -> Tensor"
    ),
}
AT_ONCE = 2**23
"""Values between the two steps of `roi_align` that are held at once."""


def import_torchvision() -> ModuleType:
    """Import torchvision, with its own operators or those below."""
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "does not exist" not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    define_operators()
    module = importlib.import_module("torchvision")
    _accept_operators()
    return module


def define_operators() -> None:
    """Register `nms` and `roi_align` in the namespace `torchvision`."""
    for name, schema in SCHEMAS.items():
        LIBRARY.define(name + schema)
    LIBRARY.impl("nms", nms, "CompositeExplicitAutograd")
    LIBRARY.impl("roi_align", roi_align, "CompositeImplicitAutograd")


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Non-maximum suppression: keep the best box, drop those that overlap it, and so on.

    Args:
        boxes: (n, 4): x1, y1, x2, y2.
        scores: (n,).
        iou_threshold: boxes whose intersection over union with a better one is above are dropped.

    Returns:
        int64: indices of the kept boxes by falling score.
    """
    left, top, right, bottom = boxes.detach().cpu().float().numpy().T
    areas = (right - left) * (bottom - top)
    order = torch.argsort(scores.detach().cpu(), descending=True, stable=True).numpy()
    kept = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(best)
        width = np.minimum(right[best], right[rest]) - np.maximum(left[best], left[rest])
        height = np.minimum(bottom[best], bottom[rest]) - np.maximum(top[best], top[rest])
        common = np.maximum(width, 0) * np.maximum(height, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            overlap = common / (areas[best] + areas[rest] - common)
        order = rest[~(overlap > iou_threshold)]
    return torch.as_tensor(np.array(kept, np.int64), device=boxes.device)


def roi_align(
    features: Tensor,
    rois: Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """Average bilinear samples in the cells of boxes (He et al. 2017, section 3).

    Args:
        features: (N, C, H, W).
        rois: (K, 5): index of the image, x1, y1, x2, y2.
        spatial_scale: pixels of the features per unit of the boxes.
        pooled_height: cells down.
        pooled_width: cells across.
        sampling_ratio: samples a cell along each side; 0 or less: about one a pixel.
        aligned: whether pixel centres are at halves.

    Returns:
        (K, C, pooled_height, pooled_width).
    """
    if not len(rois):
        return features.new_zeros(0, features.shape[1], pooled_height, pooled_width)
    half = 0.5 if aligned else 0.0
    left, top, right, bottom = rois[:, 1:].float().T * spatial_scale - half
    smallest = 0.0 if aligned else 1.0
    weigh = partial(_weights, samples=sampling_ratio, smallest=smallest)
    down = weigh(top, bottom, pooled_height, features.shape[2]).to(features.dtype)
    across = weigh(left, right, pooled_width, features.shape[3]).to(features.dtype)
    # Boxes of one image are read in one go.
    parts, members = [], []
    for image in rois[:, 0].unique().long().tolist():
        chosen = (rois[:, 0] == image).nonzero()[:, 0]
        pooled = _Pooling.apply(features[image], down[chosen], across[chosen])  # type: ignore[no-untyped-call]
        parts.append(pooled)
        members.append(chosen)
    return torch.cat(parts)[torch.cat(members).argsort()]


def _weights(
    start: Tensor, end: Tensor, cells: int, length: int, samples: int, smallest: float
) -> Tensor:
    """Return what each pixel along one side adds to each cell of boxes, (boxes, cells, length).

    Bilinear sampling works on rows and columns apart, so that a box is two products of matrices.
    """
    size = (end - start).clamp(min=smallest) if smallest else end - start
    counts = (size / cells).ceil().clamp(min=1)
    if samples > 0:
        counts = torch.full_like(counts, samples)
    counts = counts[:, None, None]
    steps = torch.arange(int(counts.max()), dtype=size.dtype, device=size.device)
    cell = torch.arange(cells, dtype=size.dtype, device=size.device)[:, None]
    positions = (
        start[:, None, None] + (cell + (steps + 0.5) / counts) * (size / cells)[:, None, None]
    )
    # A sample counts up to one pixel outside, with the value at the border.
    fraction = ((steps < counts) & (positions >= -1) & (positions <= length)) / counts
    positions = positions.clamp(0, length - 1)
    before = positions.floor().long()
    part = positions - before
    weights = size.new_zeros(len(size), cells, length)
    weights.scatter_add_(2, before, (1 - part) * fraction)
    return weights.scatter_add_(2, (before + 1).clamp(max=length - 1), part * fraction)


class _Pooling(torch.autograd.Function):
    """The cells of boxes of an image, (boxes, C, cells, cells), from the weights of its pixels.

    Keeps the weights alone for the gradient, and works on a few boxes at a time: what lies between
    the two products is larger than the image for each box.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, down: Tensor, across: Tensor) -> Tensor:
        """Take an image, (C, H, W), and weights, (boxes, cells, H) and (boxes, cells, W)."""
        ctx.save_for_backward(down, across)
        ctx.shape = image.shape
        rows = image.transpose(0, 1).flatten(1)  # (H, C * W)
        parts = []
        for high, wide in _pairs(down, across, len(image)):
            lines = (high.flatten(0, 1) @ rows).view(len(high), -1, image.shape[2])
            cells = (lines @ wide.transpose(1, 2)).view(*high.shape[:2], len(image), -1)
            parts.append(cells.transpose(1, 2))
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient of the image; boxes have none, as in torchvision."""
        down, across = ctx.saved_tensors
        channels, height, width = ctx.shape
        total = gradients[0].new_zeros(height, channels * width)
        begin = 0
        for high, wide in _pairs(down, across, channels):
            cells = gradients[0][begin : begin + len(high)].transpose(1, 2).flatten(1, 2)
            lines = (cells @ wide).view(-1, channels * width)
            total += high.flatten(0, 1).T @ lines
            begin += len(high)
        return total.view(height, channels, width).transpose(0, 1), None, None


def _pairs(down: Tensor, across: Tensor, channels: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the weights of as many boxes as fit `AT_ONCE`."""
    boxes = max(1, AT_ONCE // (down.shape[1] * channels * across.shape[2]))
    return zip(down.split(boxes), across.split(boxes), strict=True)


def _accept_operators() -> None:
    """Let torchvision know that it has operators.

    Its modules hold their own copies of the checks; without them roi_align would be compiled anew
    for each shape, at twenty times the time.
    """

    def has_operators() -> bool:
        return True

    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "torchvision":
            for check in {"_has_ops", "_assert_has_ops"} & set(vars(module)):
                setattr(module, check, has_operators)


torchvision = import_torchvision()
