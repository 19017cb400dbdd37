"""Trains and tests one network, in a process of its own.

Reads `{"samples": folder, "settings": {...}, "result": file}` on stdin. The threshold and the
epoch are chosen on validation patches; the figures are of the test patches, seen by nothing before.
"""

import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from landslide_mapper.landslide_plugin.contract.errors import LandslideError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.evaluation.metrics import all_metrics
from landslide_mapper.landslide_plugin.samples.sample_set import SampleSet
from landslide_mapper.landslide_plugin.training.judging.assessment import assess, judge
from landslide_mapper.landslide_plugin.training.loop.instances import InstanceTask
from landslide_mapper.landslide_plugin.training.loop.losses import LOSSES
from landslide_mapper.landslide_plugin.training.loop.semantic import SemanticTask
from landslide_mapper.landslide_plugin.training.tiles.batches import Tiles
from landslide_mapper.landslide_plugin.training.train_command import train
from landslide_mapper.models.calibration import calibration_of
from landslide_mapper.models.device import describe, pick_device
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import load_model


def main() -> None:
    """Run one request."""
    request = json.loads(sys.stdin.read())
    try:
        result = train_and_test(request["samples"], request["settings"])
    except LandslideError as error:
        raise SystemExit(str(error)) from error
    Path(request["result"]).write_text(json.dumps(result), encoding="utf-8")


def train_and_test(folder: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Return figures on the test patches of the model and of what needs no network."""
    samples = SampleSet.read(folder)
    with TemporaryDirectory() as scratch:
        path = f"{scratch}/model.safetensors"
        trained = train(samples=folder, model=path, progress=Progress(_show), **settings)
        loaded = load_model(path)
    network, card = loaded.network, loaded.card
    samples = _scaled(samples, card)
    device = pick_device(settings.get("device", "auto"))
    instances = card.task == "instance-segmentation"
    task = InstanceTask() if instances else SemanticTask(LOSSES["cross_entropy"])
    test = samples.of_split("test")
    tiles = Tiles(samples, card.bands, card.tile_size, samples.seed, validation=test)
    threshold = float(calibration_of([card]).inverse(card.threshold))  # of the network's own
    judged = judge(network.to(device), task, tiles, Progress())
    result = assess(network, task, tiles, judged, threshold)
    return {
        "test": all_metrics(result.counts),
        "average_precision": result.scores.curve().average_precision,
        "baselines": {name: all_metrics(counts) for name, counts in result.baselines.items()},
        "validation": {key: trained[key] for key in ("f1", "iou")},
        "threshold": card.threshold,
        "epochs": trained["epochs"],
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "bands": card.bands,
        "split": samples.split,
        "patches": Counter(sample.split for sample in samples.samples),
        "landslide_patches": Counter(s.split for s in samples.samples if s.landslide_pixels),
        "landslide_share": samples.imbalance,
        "device": describe(device),
    }


def _scaled(samples: SampleSet, card: ModelCard) -> SampleSet:
    """Return samples scaled as the model wants them: one that began with another keeps its own."""
    means, stds = (
        dict(zip(card.bands, card.mean, strict=True)),
        dict(zip(card.bands, card.std, strict=True)),
    )
    return replace(
        samples,
        mean=[means.get(*pair) for pair in zip(samples.bands, samples.mean, strict=True)],
        std=[stds.get(*pair) for pair in zip(samples.bands, samples.std, strict=True)],
    )


def _show(event: dict[str, Any]) -> None:
    if event["type"] in ("message", "warning"):
        print("   ", event["text"], file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
