"""Writes docs/model-cards.md from the models at hand: `python -m experiments.shipped.cards`.

And, of those that are not in the plugin's archive, the card that lies there in their place.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from landslide_mapper.landslide_plugin.inference.light import PERCENTILES
from landslide_mapper.models.known_models import CARD_SUFFIX, SUFFIX, WEIGHTS, known_models
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import load_card, load_model
from safetensors import safe_open

from .figures import FALSE_AREA, mean_of, table

PAGE = Path(__file__).parents[2] / "docs" / "model-cards.md"
HEAD = """# Models

Written by `python -m experiments.shipped.cards` from the files in `models/weights`;
`landslide:map` without MODEL takes one of those at hand: that ship with the plugin, or lie in the
folder `models` beside the engines, where *Fetch a model* and you put them. *Run a recipe* makes a
model on your copy of the data, from the beginning to the file, by a recipe of `models/recipes`; the
files here came of the recipes of their names. Of the two for Sentinel-2 rgb-10m is taken, as more
of what it calls landslide is; sentinel2-rgb finds more where scars are faint, calls more false, and
takes a small part of the time and memory (docs/experiments.md, docs/benchmarks.md). Part 1 of
rgb-vhr is trained and mapped as both are done now; 0, 2, 3 and 4 are of before 2026-11-30, when
tiles and windows had the mean where nothing is known (the nearest pixel's values since, with which
maps are better beside nodata), and 0 has the threshold of the highest F1, as then. In a checkout
`python -m experiments.shipped.measure` measures a model. Its figures stand beside those of a
constant mask, the mean mask of the images that it was trained on.
"""
WAYS = {
    "zip": "ships with the plugin",
    "fetch": "is not in the plugin's archive: fetched on wish, or made",
}
UNTOLD = "the file does not say"
FIGURES = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "iou_landslide": "IoU",
    "miou": "mIoU",
    "fpr": "false positive rate",
}


def page() -> str:
    """Return the page, in Markdown."""
    return "\n".join([HEAD, *(section(path) for path in sorted(WEIGHTS.glob(f"*{SUFFIX}")))])


def section(path: Path) -> str:
    """Return what the page says of a model: what its file says, and nothing else."""
    card = load_card(path)
    lines = [f"## {card.name}", "", *_facts(card, path), ""]
    lines += [f"- {limit}" for limit in card.training.get("limits", [])]
    measured = path.with_name(f"{card.name}.figures.json")
    if measured.exists():
        lines += ["", *_measured(json.loads(measured.read_text(encoding="utf-8"))["folds"])]
    return "\n".join([*lines, ""])


def _measured(folds: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what `measure` has written of the folds of a model."""
    with_landslide, without, images, epochs = (
        [fold[name] for fold in folds]
        for name in ("images with landslide", "images without", "training images", "epochs")
    )
    parts = ", ".join(f"{fold['part']} (looked at before: {fold['looks']} times)" for fold in folds)
    return [
        f"Test images: {sum(with_landslide)} with landslide, {sum(without)} without, by models "
        f"that the recipe made without them, of {_span(epochs)} epochs on {_span(images)} images: "
        f"{parts}. Mapped by *Predict*; figures are means of these parts, standard errors are over "
        f"images, and false area is noticed from {100 * FALSE_AREA:g} % of one on."
        + ("" if any(without) else " Where none is without landslide, F1 is of those with it."),
        "",
        table(mean_of([fold["ways"] for fold in folds])),
    ]


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def _facts(card: ModelCard, path: Path) -> list[str]:
    training, model = card.training, known_models(path.parent).get(card.name)
    pixels = f"{card.resolution:g} m" if card.resolution else "any size"
    facts = {
        "input": f"{', '.join(card.bands)}; pixels of {pixels}",
        "network": f"{card.architecture}, {_weights(path)}",
        "data": training.get("data", UNTOLD),
    }
    if model:
        facts["terms"] = f"{model.licence or 'not clear'} ({model.source})"
        facts["distribution"] = WAYS[model.distributed]
    facts |= {
        "split": f"{training.get('split', UNTOLD)}, seed {training.get('split_seed', UNTOLD)}",
        "training": _training(training),
        "scales": ", ".join(map(str, card.arguments.get("scales", [1])))
        + (", in quarter turns" if card.arguments.get("turned") else ""),
        "threshold": f"{card.threshold:.3f}",
    }
    if figures := _figures(card.metrics):
        facts[f"on the {card.metrics.get('split', UNTOLD)}"] = figures
    if card.scene:
        low, high = PERCENTILES
        facts["light"] = (
            f"each band of a scene gets one offset and one gain, so that its {low:g}nd and "
            f"{high:g}th percentile lie where the training's do"
        )
    return [f"- {name}: {value}" for name, value in facts.items()]


def _weights(path: Path) -> str:
    """Return how many parameters a model has, and how its file keeps them."""
    network = load_model(str(path)).network
    count = sum(parameter.numel() for parameter in network.parameters())
    with safe_open(path, "numpy") as file:
        types = {str(file.get_slice(name).get_dtype()) for name, _ in network.named_parameters()}
    return f"{count:,} parameters, {path.stat().st_size / 1e6:.1f} MB of {' and '.join(types)}"


def _figures(metrics: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{title} {metrics[name]:.3f}"
        for name, title in (*FIGURES.items(), ("iou", "IoU"))
        if isinstance(metrics.get(name), float)
    )


def _training(training: Mapping[str, Any]) -> str:
    told = {
        "{} samples": training.get("train_samples"),
        "seed {}": training.get("seed"),
        "{} epochs": training.get("epochs"),
        "loss {}": training.get("loss"),
        "on {}": training.get("device"),
    }
    facts = [form.format(value) for form, value in told.items() if value is not None]
    return ", ".join(facts) or UNTOLD


def write_cards() -> None:
    """Write the cards of models that are not in the archive, without the digest of weights."""
    for name, model in known_models(WEIGHTS).items():
        if model.distributed != "zip":
            card = replace(load_card(WEIGHTS / f"{name}{SUFFIX}"), digest="")
            text = json.dumps(card.to_item(), indent=1)
            (WEIGHTS / f"{name}{CARD_SUFFIX}").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    write_cards()
    sys.exit(0)
