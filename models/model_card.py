"""What a model file says about its model: a STAC item with the Machine Learning Model extension.

The extension (https://github.com/stac-extensions/mlm, v1.4.0) describes input, bands, scaling and
output; what it has no place for stands in properties that begin with `landslide:`.
"""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..landslide_plugin import __version__
from ..landslide_plugin.contract.errors import ModelFileError
from .registry import INSTANCE_TASK, SEMANTIC_TASK

MLM_SCHEMA = "https://stac-extensions.github.io/mlm/v1.4.0/schema.json"
CLASSIFICATION_SCHEMA = "https://stac-extensions.github.io/classification/v2.0.0/schema.json"
MOST_MEMBERS = 100
MOST_BANDS = 1024
MOST_CLASSES = 255
"""Class numbers are written as bytes, of which the last one is nodata."""
LARGEST_TILE = 16_384
TEMPERATURES = 0.01, 100.0
"""What logits may be divided by; beyond, all or nothing would be landslide."""
UNKNOWN_TIME = {
    "datetime": None,
    "start_datetime": "1900-01-01T00:00:00Z",
    "end_datetime": "9999-12-31T23:59:59Z",
}


@dataclass(kw_only=True)
class ModelCard:
    """Description of a trained model.

    Attributes:
        name: id of the model: letters, digits, `_`, `.`, `-`.
        architecture: key of the registry.
        arguments: what the network is built with besides bands and classes.
        task: "semantic-segmentation" or "instance-segmentation".
        bands: names of the bands in the order of the input's channels.
        mean: per band, of the training samples' valid pixels.
        std: per band, above 0.
        resolution: metres per pixel of the training samples; None where unknown.
        tile_size: side of the training patches in pixels.
        classes: names; the first is the background.
        threshold: probability from which a pixel (or score from which an object) is landslide.
        training: data, counts, seed, epochs, loss and the like.
        metrics: figures, with the split they were measured on.
        licence: SPDX identifier or text; the terms of the weights.
        created: UTC time in ISO 8601; empty where unknown.
        members: networks whose probabilities are averaged; 1 is a single network.
        scene: "low" and "high", a value a band: the percentiles of the training images that a
            scene's are brought to; empty where images are taken as they are.
        units: a unit a band, such as "reflectance", "" where it is not known; empty where nothing
            is said.
        temperature: what the logit of landslide is divided by so that probabilities mean what they
            say, see `calibration`; the threshold is one of probabilities after that.
        digest: SHA-256 of the weights, see `model_file.digest_of`; empty where unknown.
    """

    name: str
    architecture: str
    arguments: dict[str, Any]
    task: str
    bands: list[str]
    mean: list[float]
    std: list[float]
    resolution: float | None
    tile_size: int
    classes: list[str]
    threshold: float = 0.5
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    licence: str = ""
    created: str = ""
    members: int = 1
    scene: dict[str, list[float]] = field(default_factory=dict)
    units: list[str] = field(default_factory=list)
    temperature: float = 1.0
    digest: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Check that the parts fit together.

        Raises:
            ValueError: they don't; the message says which.
        """
        if not self.bands or len(set(self.bands)) != len(self.bands):
            raise ValueError("the band names are missing or not unique")
        if not len(self.bands) == len(self.mean) == len(self.std):
            raise ValueError("bands, means and standard deviations differ in number")
        if not all(map(math.isfinite, [*self.mean, *self.std])) or min(self.std) <= 0:
            raise ValueError("a mean is not finite or a standard deviation not above 0")
        if not 2 <= len(self.classes) <= MOST_CLASSES:
            raise ValueError(f"there are fewer than two classes or more than {MOST_CLASSES}")
        if len(self.bands) > MOST_BANDS:
            raise ValueError(f"there are more than {MOST_BANDS} bands")
        if self.resolution is not None and not 0 < self.resolution < math.inf:
            raise ValueError("the resolution is not above 0")
        if self.task not in (SEMANTIC_TASK, INSTANCE_TASK):
            raise ValueError(f"the task {self.task!r} is unknown")
        self._check_ranges()
        if self.scene and not _is_range(self.scene, len(self.bands)):
            raise ValueError("the low and high values of a scene do not fit the bands")
        if self.units and len(self.units) != len(self.bands):
            raise ValueError("bands and their units differ in number")
        if not 1 <= self.members <= MOST_MEMBERS:
            raise ValueError(f"{self.members} members are not 1 to {MOST_MEMBERS}")
        if self.members > 1 and self.task != SEMANTIC_TASK:
            raise ValueError("only networks of pixels can be averaged")

    def _check_ranges(self) -> None:
        ranges = {
            "tile size": (self.tile_size, 8, LARGEST_TILE),
            "threshold": (self.threshold, 0, 1),
            "temperature": (self.temperature, *TEMPERATURES),
        }
        for name, (value, low, high) in ranges.items():
            if not low <= value <= high:
                raise ValueError(f"the {name} {value:g} is not within {low:g} to {high:g}")

    @property
    def limits(self) -> list[str]:
        """Where the model does not work, a sentence each."""
        said = self.training.get("limits", [])
        return [str(limit) for limit in said] if isinstance(said, list) else [str(said)]

    @property
    def turns_directions(self) -> bool:
        """Whether directions in bands turned with the patches in training.

        They did before cards said so. Where a card tells nothing of the training, as others' may,
        they keep their values.
        """
        return bool(self.training.get("turn_directions", bool(self.training)))

    def to_item(self, parameters: int | None = None) -> dict[str, Any]:
        """Return the STAC item, JSON-able.

        Args:
            parameters: number of the network's parameters, if known.
        """
        properties: dict[str, Any] = {
            **({"datetime": self.created} if self.created else UNKNOWN_TIME),
            "license": _spdx(self.licence),
            "bands": [
                {"name": band, "statistics": {"mean": mean, "stddev": std}}
                for band, mean, std in zip(self.bands, self.mean, self.std, strict=True)
            ],
            "mlm:name": self.name,
            "mlm:architecture": self.architecture,
            "mlm:framework": "PyTorch",
            "mlm:tasks": [self.task],
            "mlm:pretrained": False,
            "mlm:pretrained_source": None,
            "mlm:input": [self._input()],
            "mlm:output": [self._output()],
            "landslide:version": __version__,
            "landslide:arguments": self.arguments,
            "landslide:resolution": self.resolution,
            "landslide:threshold": self.threshold,
            "landslide:training": self.training,
            "landslide:metrics": self.metrics,
            "landslide:licence": self.licence,
            "landslide:members": self.members,
            "landslide:scene": self.scene,
            "landslide:units": self.units,
            "landslide:temperature": self.temperature,
            "landslide:digest": self.digest,
        }
        if parameters is not None:
            properties["mlm:total_parameters"] = parameters
        return {
            "type": "Feature",
            "stac_version": "1.1.0",
            "stac_extensions": [MLM_SCHEMA, CLASSIFICATION_SCHEMA],
            "id": self.name,
            "geometry": None,
            "properties": properties,
            "links": [],
            "assets": {
                "model": {
                    "href": f"{self.name}.safetensors",
                    "title": "Weights",
                    "type": "application/vnd.safetensors",
                    "roles": ["mlm:model", "mlm:weights"],
                    "mlm:artifact_type": "safetensors.torch.save_file",
                }
            },
        }

    @classmethod
    def from_item(cls, item: dict[str, Any]) -> "ModelCard":
        """Read the item that `to_item` made.

        Raises:
            ValueError: something is missing or doesn't fit; the message says what.
        """
        try:
            properties = item["properties"]
            source = properties["mlm:input"][0]
            scaling = source["value_scaling"]
            resolution = properties.get("landslide:resolution")
            return cls(
                name=str(properties["mlm:name"]),
                architecture=str(properties["mlm:architecture"]),
                arguments=dict(properties["landslide:arguments"]),
                task=str(properties["mlm:tasks"][0]),
                bands=[str(band) for band in source["bands"]],
                mean=[float(band["mean"]) for band in scaling],
                std=[float(band["stddev"]) for band in scaling],
                resolution=None if resolution is None else float(resolution),
                tile_size=int(source["input"]["shape"][-1]),
                classes=[
                    str(entry["name"])
                    for entry in properties["mlm:output"][0]["classification:classes"]
                ],
                threshold=float(properties["landslide:threshold"]),
                training=dict(properties.get("landslide:training", {})),
                metrics=dict(properties.get("landslide:metrics", {})),
                licence=str(properties.get("landslide:licence", "")),
                created=str(properties.get("datetime") or ""),
                members=int(properties.get("landslide:members", 1)),
                scene=dict(properties.get("landslide:scene", {})),
                units=[str(unit) for unit in properties.get("landslide:units", [])],
                temperature=float(properties.get("landslide:temperature", 1.0)),
                digest=str(properties.get("landslide:digest", "")),
            )
        except (KeyError, IndexError) as error:
            raise ValueError(f"{error} is missing") from error
        except (TypeError, AttributeError) as error:
            raise ValueError(f"an entry is of the wrong kind ({error})") from error

    def _input(self) -> dict[str, Any]:
        return {
            "name": "stack",
            "description": "Bands by name; invalid pixels get the values of the nearest valid one.",
            "bands": self.bands,
            "input": {
                "shape": [-1, len(self.bands), self.tile_size, self.tile_size],
                "dim_order": ["batch", "bands", "height", "width"],
                "data_type": "float32",
            },
            "value_scaling": [
                {"type": "z-score", "mean": mean, "stddev": std}
                for mean, std in zip(self.mean, self.std, strict=True)
            ],
        }

    def _output(self) -> dict[str, Any]:
        output: dict[str, Any] = {
            "tasks": [self.task],
            "classification:classes": [
                {"value": value, "name": name, "description": name}
                for value, name in enumerate(self.classes)
            ],
        }
        if self.task == INSTANCE_TASK:
            result = {
                "shape": [-1, 1, self.tile_size, self.tile_size],
                "dim_order": ["instance", "mask", "height", "width"],
                "data_type": "float32",
            }
            return {"name": "masks", **output, "result": result}
        result = {
            "shape": [-1, len(self.classes), self.tile_size, self.tile_size],
            "dim_order": ["batch", "class", "height", "width"],
            "data_type": "float32",
        }
        logits = "logits" if self.temperature == 1 else f"logits / {self.temperature!r}"
        softmax = {"format": "python", "expression": f"torch.softmax({logits}, 1)"}
        return {"name": "logits", **output, "result": result, "post_processing_function": softmax}


def plain_stem(path: Path) -> str:
    """Return a file's stem in the letters that the name of a model may have."""
    return re.sub(r"[^a-zA-Z0-9_.-]+", "-", path.stem).strip("-_.")


def _is_range(scene: dict[str, list[float]], bands: int) -> bool:
    """Return whether there is a finite low value below a high one for each band."""
    low, high = scene.get("low", []), scene.get("high", [])
    if not len(low) == len(high) == bands:
        return False
    return all(
        math.isfinite(a) and math.isfinite(b) and a < b for a, b in zip(low, high, strict=True)
    )


def _spdx(licence: str) -> str:
    """Return a licence identifier as it is, and "other" (STAC's word) for any longer text."""
    return licence if re.fullmatch(r"[\w.+-]+", licence) else "other"


def require_task(card: ModelCard, task: str = SEMANTIC_TASK) -> None:
    """Refuse a model of another task.

    Raises:
        ModelFileError: it is one; the message names the algorithm that takes it.
    """
    if card.task != task:
        other = "detect" if card.task == INSTANCE_TASK else "predict"
        raise ModelFileError(
            f"The model {card.name} does {card.task}, not {task}: run it with the algorithm "
            f"{other}."
        )
