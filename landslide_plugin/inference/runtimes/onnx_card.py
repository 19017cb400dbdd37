"""What an ONNX file says about its model: our own description, STAC MLM, or Deepness' keys.

Deepness (PUTvision, https://qgis-plugin-deepness.readthedocs.io) keeps JSON values in the
`metadata_props`: model_type, class_names, resolution (cm per pixel), tiles_size, tiles_overlap
(percent), seg_thresh, standardization_mean and _std, which apply after a division by 255.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from ....models.model_card import ModelCard
from ....models.model_file import ITEM_KEY
from ....models.registry import SEMANTIC_TASK
from ...contract.errors import ModelFileError
from .activation import Activation, as_probabilities, sigmoid, softmax

ARCHITECTURE = "onnx"
"""Stands in the card of a model whose graph is in its file."""
BY_ORDER = "bands by order"
"""Key in the card's training of a model that doesn't name its bands."""
DEEPNESS_RANGE = 255.0
"""Deepness divides the pixels' values by this before it standardizes them."""
OVERLAP_PERCENT = 25
UNNAMED = {3: ["red", "green", "blue"]}
"""Names of the bands of a model that gives none, for each number of them."""


def read_card(
    path: Path, metadata: dict[str, str], bands: int, size: int
) -> tuple[ModelCard, Activation]:
    """Return a file's description, and what turns its output into probabilities.

    Args:
        path: the file; a STAC item may lie beside it as `.json`.
        metadata: the file's metadata_props.
        bands: channels of its input.
        size: rows of its input; 0 where any will do.

    Raises:
        ModelFileError: there is no description, it doesn't fit the file, or asks for what is not
            there.
    """
    try:
        item = _item(path, metadata)
        if item is not None:
            card, activation = _from_item(item, path, size)
        elif "model_type" in metadata or "class_names" in metadata:
            card, activation = _from_deepness(metadata, path, bands, size)
        else:
            raise ValueError("it has neither a STAC item nor the keys of Deepness")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ModelFileError(
            f"{path}: the description of the ONNX model is missing or unusable ({error}): export "
            "the model with one, as Export a model does."
        ) from error
    if len(card.bands) != bands:
        raise ModelFileError(
            f"{path} describes {len(card.bands)} bands but takes {bands}: export it again."
        )
    return card, activation


def item_of_graph(card: ModelCard, name: str, size: int, parameters: int) -> dict[str, Any]:
    """Return the STAC item of a model's ONNX file.

    Args:
        card: the model's description.
        name: of the file.
        size: side of the graph's images in pixels.
        parameters: number of the network's parameters.
    """
    item = replace(card, tile_size=size).to_item(parameters)
    properties = item["properties"]
    properties["mlm:framework"] = "ONNX"
    output = properties["mlm:output"][0]
    output["name"] = "probabilities"
    output.pop("post_processing_function", None)
    item["assets"]["model"] = {
        "href": name,
        "title": "Network",
        "type": "application/onnx",
        "roles": ["mlm:model"],
        "mlm:artifact_type": "torch.onnx.export",
    }
    return item


def metadata_props(card: ModelCard, item: dict[str, Any], size: int) -> dict[str, str]:
    """Return what the file says about itself: the STAC item, and the keys that Deepness reads.

    Args:
        card: the model's description.
        item: its STAC item.
        size: side of the graph's images in pixels.
    """
    values: dict[str, Any] = {
        "model_type": "Segmentor",
        "class_names": {str(number): name for number, name in enumerate(card.classes)},
        "tiles_size": size,
        "tiles_overlap": OVERLAP_PERCENT,
        "seg_thresh": card.threshold,
        "standardization_mean": [mean / DEEPNESS_RANGE for mean in card.mean],
        "standardization_std": [std / DEEPNESS_RANGE for std in card.std],
    }
    if card.resolution:
        values["resolution"] = card.resolution * 100
    return {ITEM_KEY: json.dumps(item)} | {key: json.dumps(value) for key, value in values.items()}


def _item(path: Path, metadata: dict[str, str]) -> dict[str, Any] | None:
    """Return the STAC item in the file, or beside it."""
    text = metadata.get(ITEM_KEY)
    beside = path.with_suffix(".json")
    if text is None and beside.is_file():
        text = beside.read_text(encoding="utf-8")
    item = json.loads(text) if text else None
    return item if isinstance(item, dict) and "mlm:input" in item.get("properties", {}) else None


def _from_item(item: dict[str, Any], path: Path, size: int) -> tuple[ModelCard, Activation]:
    """Read a STAC item with the MLM extension, ours or another's."""
    properties = item["properties"]
    source, output = properties["mlm:input"][0], properties["mlm:output"][0]
    task = str(properties["mlm:tasks"][0])
    if task != SEMANTIC_TASK:
        raise ValueError(f"its task is {task}, and only {SEMANTIC_TASK} can be run from ONNX")
    bands = [str(band["name"] if isinstance(band, dict) else band) for band in source["bands"]]
    scaling = source.get("value_scaling") or [{"type": "z-score", "mean": 0, "stddev": 1}]
    scales = [_scale(entry) for entry in scaling]
    scales = scales * len(bands) if len(scales) == 1 else scales
    listed = output["classification:classes"]
    classes = [str(one["name"]) for one in sorted(listed, key=lambda one: int(one.get("value", 0)))]
    activation = _named_activation(output.get("post_processing_function"))
    card = ModelCard(
        name=_name(str(properties.get("mlm:name", path.stem))),
        architecture=ARCHITECTURE,
        arguments={},
        task=SEMANTIC_TASK,
        bands=bands,
        mean=[mean for mean, _ in scales],
        std=[std for _, std in scales],
        resolution=_resolution(properties, source),
        tile_size=int(size or source["input"]["shape"][-1]),
        classes=_with_background(classes),
        threshold=float(properties.get("landslide:threshold", 0.5)),
        training=dict(properties.get("landslide:training", {})),
        metrics=dict(properties.get("landslide:metrics", {})),
        licence=str(properties.get("landslide:licence", properties.get("license", ""))),
        created=str(properties.get("datetime") or ""),
        scene=dict(properties.get("landslide:scene", {})),
        units=[str(unit) for unit in properties.get("landslide:units", [])],
        temperature=float(properties.get("landslide:temperature", 1.0)),
    )
    return card, activation


def _from_deepness(
    metadata: dict[str, str], path: Path, bands: int, size: int
) -> tuple[ModelCard, Activation]:
    """Read Deepness' keys; bands are the stack's first ones, as there."""
    values = {key: _json(text) for key, text in metadata.items()}
    kind = str(values.get("model_type", "Segmentor")).capitalize()
    if kind != "Segmentor":
        raise ValueError(f"it is a {kind}, and only a Segmentor can be run here")
    names = values.get("class_names", {"0": "background", "1": "landslide"})
    if isinstance(names, list):
        if len(names) != 1:
            raise ValueError(f"it has {len(names)} outputs, and one alone can be run")
        names = names[0]
    ordered = sorted(names.items(), key=lambda entry: int(entry[0]))
    classes = [str(name) for _, name in ordered]
    mean = _per_band(values.get("standardization_mean", 0.0), bands)
    std = _per_band(values.get("standardization_std", 1.0), bands)
    resolution = values.get("resolution")
    tile = size or values.get("tiles_size") or values.get("tile_size")
    card = ModelCard(
        name=_name(path.stem),
        architecture=ARCHITECTURE,
        arguments={},
        task=SEMANTIC_TASK,
        bands=UNNAMED.get(bands, [f"band_{number}" for number in range(1, bands + 1)]),
        mean=[DEEPNESS_RANGE * value for value in mean],
        std=[DEEPNESS_RANGE * value for value in std],
        resolution=None if resolution is None else float(resolution) / 100,
        tile_size=int(tile or 512),
        classes=_with_background(classes),
        threshold=float(values.get("seg_thresh", 0.5)),
        training={BY_ORDER: True},
    )
    return card, as_probabilities


def _scale(entry: dict[str, Any] | None) -> tuple[float, float]:
    """Return mean and standard deviation that scale as the MLM entry does."""
    if entry is None:
        return 0.0, 1.0
    kind = str(entry.get("type"))
    if kind == "z-score":
        return float(entry["mean"]), float(entry["stddev"])
    if kind == "min-max":
        low = float(entry["minimum"])
        return low, float(entry["maximum"]) - low
    if kind == "offset":
        return float(entry["value"]), 1.0
    if kind == "scale":
        return 0.0, float(entry["value"])
    raise ValueError(f"its values are scaled by {kind!r}, which is not known here")


def _named_activation(function: dict[str, Any] | None) -> Activation:
    expression = str((function or {}).get("expression", "")).lower()
    if "softmax" in expression:
        return softmax
    if "sigmoid" in expression:
        return sigmoid
    if function and expression:
        raise ValueError(f"its output needs {expression!r}, which is not known here")
    return as_probabilities


def _with_background(classes: list[str]) -> list[str]:
    """Return the classes, the background first; a sole one gets it.

    Raises:
        ValueError: another one stands there, so that all but the landslides would be mapped.
    """
    if len(classes) == 1:
        return ["background", *classes]
    first, *others = (name.lower() for name in classes)
    if first in ("landslide", "landslides") or "background" in others:
        raise ValueError(f"its first class is {classes[0]}, where the background has to stand")
    return classes


def _resolution(properties: dict[str, Any], source: dict[str, Any]) -> float | None:
    for part in (properties, source, *filter(lambda b: isinstance(b, dict), source["bands"])):
        for key in ("landslide:resolution", "raster:spatial_resolution", "gsd"):
            if part.get(key):
                return float(part[key])
    return None


def _per_band(value: Any, bands: int) -> list[float]:
    values = [float(item) for item in value] if isinstance(value, list) else [float(value)] * bands
    if len(values) != bands:
        raise ValueError(f"it standardizes {len(values)} bands and takes {bands}")
    return values


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _name(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "_.-" else "_" for letter in text)
