"""Lets torchvision load where its compiled operators don't: import `torchvision` from here.

torchvision's wheels are linked against CUDA; beside a PyTorch made for the CPU alone, `import
torchvision` fails as its operators are missing. Then, and only then, the two that detection needs
are defined here in Python. They give the same results (see the tests) at about the same speed.
"""

import importlib
import sys
from types import ModuleType

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

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
    rois = rois.to(features.dtype)
    start = rois[:, 1:3] * spatial_scale - (0.5 if aligned else 0.0)
    size = rois[:, 3:5] * spatial_scale - (0.5 if aligned else 0.0) - start
    if not aligned:
        size = size.clamp(min=1.0)
    cells = torch.tensor([pooled_width, pooled_height], dtype=size.dtype, device=size.device)
    counts = (size / cells).ceil().long().clamp(min=1)
    if sampling_ratio > 0:
        counts = torch.full_like(counts, sampling_ratio)
    # Boxes of one image with equally many samples are read in one go.
    keys, groups = torch.cat([rois[:, :1].long(), counts], 1).unique(dim=0, return_inverse=True)
    parts = [features.new_zeros(0, features.shape[1], pooled_height, pooled_width)]
    members = [(groups == number).nonzero()[:, 0] for number in range(len(keys))]
    for chosen, (image, across, down) in zip(members, keys.tolist(), strict=True):
        x = _samples(start[chosen, 0], size[chosen, 0], pooled_width, across)
        y = _samples(start[chosen, 1], size[chosen, 1], pooled_height, down)
        values = _bilinear(features[image], x, y)
        values = values.unflatten(3, (pooled_width, across)).unflatten(2, (pooled_height, down))
        parts.append(values.mean((3, 5)).transpose(0, 1))
    order = torch.cat([rois.new_zeros(0, dtype=torch.int64), *members]).argsort()
    return torch.cat(parts)[order]


def _samples(start: Tensor, size: Tensor, cells: int, count: int) -> Tensor:
    """Return the positions of `count` samples in each of the cells, (boxes, cells * count)."""
    steps = torch.arange(cells * count, dtype=start.dtype, device=start.device)
    return start[:, None] + (steps + 0.5) / (cells * count) * size[:, None]


def _bilinear(image: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Read an image (C, H, W) at x (K, n) and y (K, m): (C, K, m, n), 0 a pixel or more outside."""
    channels, height, width = image.shape
    inside_x = ((x >= -1) & (x <= width)).to(image.dtype)
    inside_y = ((y >= -1) & (y <= height)).to(image.dtype)
    grid = torch.stack(
        [
            (x * (2 / max(width - 1, 1)) - 1)[:, None, :].expand(-1, y.shape[1], -1),
            (y * (2 / max(height - 1, 1)) - 1)[:, :, None].expand(-1, -1, x.shape[1]),
        ],
        dim=-1,
    ).flatten(0, 1)
    values = functional.grid_sample(
        image[None], grid[None], mode="bilinear", padding_mode="border", align_corners=True
    )[0]
    values = values.view(channels, *y.shape, x.shape[1])
    return values * inside_y[None, :, :, None] * inside_x[None, :, None, :]


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
