"""What every runtime offers, and what several of them need."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Protocol

import torch
from torch import Tensor, nn

from ....models.model_card import ModelCard
from ...contract.errors import MissingPackageError

PACKAGES = {"torch": ("torch",), "openvino": ("openvino", "onnx"), "onnx": ("onnxruntime", "onnx")}
"""Name of a runtime to the packages that it needs; `onnx` writes the graph of a network."""


class Runtime(Protocol):
    """Computes class probabilities.

    Attributes:
        name: what computes and in which precision, such as "torch bfloat16".
        device: where probabilities lie, and where images need no move.
        fixed_size: rows and columns that images must have; None where any will do.
        side_by_side: images that a batch should have at least.
    """

    name: str
    device: torch.device
    fixed_size: tuple[int, int] | None
    side_by_side: int

    def run(self, images: Tensor) -> Tensor:
        """Return the probabilities of the classes, float32, (N, K, h, w), on the device.

        Args:
            images: float32, (N, C, h, w), z-scored.
        """


@dataclass(frozen=True)
class Member:
    """A model that can be run, one of those that are averaged, and its description."""

    runtime: Runtime
    card: ModelCard


def missing_packages(name: str) -> list[str]:
    """Return the packages that a runtime lacks here."""
    return [package for package in PACKAGES[name] if find_spec(package) is None]


def require_installed(name: str) -> None:
    """Refuse a runtime that was asked for but isn't there.

    Raises:
        MissingPackageError: a package is not installed.
    """
    if missing := missing_packages(name):
        raise MissingPackageError(
            f'The runtime {name} needs the package {" and ".join(missing)}: run "Set up the '
            'engine", or choose the runtime auto or torch.'
        )


class Retraced:
    """Makes a runtime anew for each size of the images, for a graph is that of one size.

    Args:
        name: of what is made.
        make: makes it for images of some rows and columns, on the processor.
        side_by_side: as in `Runtime`, of what is made.
    """

    fixed_size: tuple[int, int] | None = None
    device = torch.device("cpu")

    def __init__(
        self, name: str, make: Callable[[int, int], Runtime], side_by_side: int = 1
    ) -> None:
        self.name = name
        self.side_by_side = side_by_side
        self._make = make
        self._size = (0, 0)
        self._runtime: Runtime | None = None

    def run(self, images: Tensor) -> Tensor:
        """Return the probabilities, float32, (N, K, h, w)."""
        rows, cols = images.shape[-2:]
        if self._runtime is None or self._size != (rows, cols):
            self._runtime, self._size = self._make(rows, cols), (rows, cols)
        return self._runtime.run(images)


class Padded:
    """Lets a runtime for sizes that are multiples of some number take any size.

    Args:
        runtime: what computes.
        multiple: of which rows and columns have to be.
    """

    fixed_size: tuple[int, int] | None = None

    def __init__(self, runtime: Runtime, multiple: int) -> None:
        self.name, self.device = runtime.name, runtime.device
        self.side_by_side = runtime.side_by_side
        self._runtime = runtime
        self._multiple = multiple

    def run(self, images: Tensor) -> Tensor:
        """Return the probabilities, float32, (N, K, h, w)."""
        rows, cols = images.shape[-2:]
        below, right = -rows % self._multiple, -cols % self._multiple
        mode = "reflect" if below < rows and right < cols else "replicate"
        padded = nn.functional.pad(images, (0, right, 0, below), mode) if below or right else images
        return self._runtime.run(padded)[..., :rows, :cols]


def example_images(bands: int, size: int, count: int = 2, cols: int = 0) -> Tensor:
    """Return images as smooth as real scenes, float32, z-scored.

    They stand in where no windows of the stack are at hand.

    Args:
        bands: channels.
        size: rows.
        count: images.
        cols: columns; as many as rows when 0.

    Returns:
        (count, bands, size, cols).
    """
    generator = torch.Generator().manual_seed(0)
    shape = size, cols or size
    images = torch.zeros(count, bands, *shape)
    for cell in (1, 4, 16):
        coarse = (-(-side // cell) for side in shape)
        noise = torch.randn(count, bands, *coarse, generator=generator)
        images += nn.functional.interpolate(noise, shape, mode="bilinear")
    return images / images.std(dim=(2, 3), keepdim=True).clamp(min=1e-3)
