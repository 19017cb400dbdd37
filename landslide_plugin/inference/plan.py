"""What decides a raster's pixels: chosen once for a whole job, written into its rasters, obeyed."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from typing import Any

import rasterio
import torch

from ...models.calibration import Calibration
from .. import __version__
from ..contract.errors import InputError
from ..contract.tags import PLAN
from ..outputs.whole import is_on_the_way
from .tiling import Tiling

FORMAT = 1
"""Of what is written; a plan of another one is not read."""
_AFTERWARDS = ("threshold", "temperature", "shift", "models", "path", "threads")
"""What changes nothing of the values that windows get, but for threads the last digit."""


@dataclass(frozen=True, kw_only=True)
class MemberPlan:
    """One of the models that are averaged.

    Attributes:
        name: the model's.
        runtime: the runtime's name, precision included.
        bands: in the order of the network's channels.
        mean: per band, what is taken from the stack's values, in its units and light.
        std: per band, what they are divided by then.
    """

    name: str
    runtime: str
    bands: Sequence[str]
    mean: Sequence[float]
    std: Sequence[float]

    def __post_init__(self) -> None:
        """Check that the parts fit together.

        Raises:
            ValueError: they don't.
        """
        if not all(isinstance(text, str) for text in (self.name, self.runtime)):
            raise ValueError("a name of a model is no text")
        if not len(self.bands) == len(self.mean) == len(self.std) > 0:
            raise ValueError("bands, means and deviations differ in number")
        if not all(map(math.isfinite, [*self.mean, *self.std])) or min(self.std) <= 0:
            raise ValueError("a mean or a deviation is out of range")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the pixels of one raster hang on; all rasters of a job have the models' part in common.

    Attributes:
        versions: of the engine and of the libraries that compute.
        device: cpu, cuda or mps.
        members: the models.
        models: their files; one may hold several.
        files: SHA-256 of these, so of cards and weights.
        path: the stack; empty in a raster whose stack was not kept.
        content: what tells the stack's content from that of another; see `content_of`.
        scaling: scale and offset of bands that are read otherwise than their file declares.
        size: side of the windows in the stack's pixels.
        side: of what the networks get; windows are resampled where it is another.
        shared: pixels that a window has in common with the next.
        batch_size: windows at once.
        turns: whether each window is also asked turned and mirrored.
        uncertainty: whether the standard deviation is computed.
        fill: "auto" or "keep".
        area: digest of the polygons that are mapped; empty for everywhere.
        threshold: probability from which a pixel is landslide.
        temperature: of the calibration, as is `shift`.
        shift: see `Calibration`.
        threads: that PyTorch computes with, whose sums they decide (by 2e-7 of a probability;
            OpenVINO's don't depend on them); 0 where it is not told.
    """

    versions: Mapping[str, str]
    device: str
    members: Sequence[MemberPlan]
    models: Sequence[str]
    files: Sequence[str]
    path: str
    content: str
    scaling: Mapping[str, Sequence[float]] = field(default_factory=dict)
    size: int
    side: int
    shared: int
    batch_size: int
    turns: bool = False
    uncertainty: bool = False
    fill: str = "auto"
    area: str = ""
    threshold: float = 0.5
    temperature: float = 1.0
    shift: float = 0.0
    threads: int = 0

    def __post_init__(self) -> None:
        """Check that numbers are such as a plan may have.

        Raises:
            ValueError: one isn't; the message says which.
        """
        ranges = {
            "size": (16, 2**16),
            "side": (16, 2**16),
            "shared": (0, self.size - 1),
            "batch_size": (1, 2**16),
            "threads": (0, 2**16),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise ValueError(f"{name} is not within {low} to {high}")
        if not 0 <= self.threshold <= 1 or not 0 < self.temperature < math.inf:
            raise ValueError("threshold or temperature is out of range")
        if not math.isfinite(self.shift) or not self.members:
            raise ValueError("the shift is no number, or there is no model")
        if len(self.models) != len(self.files):
            raise ValueError("files and their digests differ in number")
        if not all(map(math.isfinite, chain(*self.scaling.values()))):
            raise ValueError("a scale or an offset is no number")
        texts = (self.device, self.path, self.content, self.fill, self.area)
        if not all(isinstance(text, str) for text in (*texts, *self.models, *self.files)):
            raise ValueError("a name is no text")

    @property
    def calibration(self) -> Calibration:
        """That of the probabilities; the threshold is one of those after it."""
        return Calibration(self.temperature, self.shift)

    @property
    def is_resampled(self) -> bool:
        """Whether windows have another side than what the networks get."""
        return self.side != self.size

    def tiling(self, shape: tuple[int, int]) -> Tiling:
        """Return the windows of a raster of some rows and columns."""
        return Tiling(shape, self.size, self.shared / self.size)

    def computed(self) -> dict[str, Any]:
        """Return what values hang on before they are calibrated and marked."""
        return {name: value for name, value in asdict(self).items() if name not in _AFTERWARDS}

    def tags(self) -> dict[str, str]:
        """Return the metadata item of a raster that is made by this plan.

        A stack that is gone after the run is not named: its path is another one in each.
        """
        path = "" if is_on_the_way(Path(self.path)) else self.path
        return {PLAN: json.dumps({"format": FORMAT, **asdict(self), "path": path}, sort_keys=True)}

    @classmethod
    def of_tags(cls, tags: Mapping[str, str], path: str) -> "Plan":
        """Return the plan that a raster carries.

        Args:
            tags: the raster's metadata items.
            path: of the raster, for messages.

        Raises:
            InputError: it carries none, or one that is damaged or of another engine.
        """
        if PLAN not in tags:
            raise InputError(
                f"{path} carries no plan, so that it can't be made again: give a raster that "
                "Predict or Map landslides wrote, of this version or a later one."
            )
        try:
            given = json.loads(tags[PLAN])
            if given.pop("format") != FORMAT:
                raise ValueError("it is of another format")
            members = [MemberPlan(**one) for one in given.pop("members")]
            return cls(members=members, **given)
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise InputError(
                f"The plan that {path} carries can't be read: it is damaged, or of another version "
                "of the engine. Map the stack anew."
            ) from error


def versions_of(runtimes: Sequence[str]) -> dict[str, str]:
    """Return the versions of the engine and of the libraries that runtimes of these names need."""
    packages = {"openvino": "openvino", "onnxruntime": "onnxruntime"}
    kinds = {name.partition(" ")[0] for name in runtimes}
    wanted = [package for kind, package in packages.items() if kind in kinds]
    return {
        "engine": __version__,
        "torch": torch.__version__,
        "gdal": rasterio.__gdal_version__,
        **{package: _version(package) for package in wanted},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
