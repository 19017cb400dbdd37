"""Chooses the threshold of a trained model anew, as `train` does now, without training.

`python -m experiments.shipped.rethreshold MODEL SAMPLES OUTPUT`, SAMPLES being a folder whose
validation split is the one that the model's epoch was chosen by. OUTPUT gets the same weights, in
16 bits as of models that ship, and the same temperature, with the threshold, and the validation
figures at it, in its card.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.samples.averaging import at_resolution
from landslide_mapper.landslide_plugin.samples.sample_set import Sample, SampleSet
from landslide_mapper.landslide_plugin.samples.splits import balanced
from landslide_mapper.landslide_plugin.training.judging.assessment import judge
from landslide_mapper.landslide_plugin.training.judging.temperature import Fitted, count_logits
from landslide_mapper.landslide_plugin.training.loop.losses import LOSSES
from landslide_mapper.landslide_plugin.training.loop.scores import Scores
from landslide_mapper.landslide_plugin.training.loop.semantic import SemanticTask
from landslide_mapper.landslide_plugin.training.tiles.batches import Tiles
from landslide_mapper.models.calibration import Calibration
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import load_model, save_model
from torch import nn


def rethreshold(network: nn.Module, card: ModelCard, folder: Path, progress: Progress) -> ModelCard:
    """Return a card with the threshold, and the figures at it, of its network on some samples.

    Args:
        network: a semantic one, in evaluation mode.
        card: its card.
        folder: of samples; their validation split judges.
        progress: told of each batch.
    """
    data = at_resolution(SampleSet.read(folder), card.resolution or 0.0)
    validation = data.of_split("validation")

    def tiles(patches: Sequence[Sample]) -> Tiles:
        coarsest = max(card.arguments.get("scales", (1,)))
        made = Tiles(
            data, card.bands, card.tile_size, data.seed, validation=patches, coarsest=coarsest
        )
        made.mean, made.std = card.mean, card.std
        return made

    task, size = SemanticTask(LOSSES["cross_entropy"]), card.training.get("batch_size", 8)
    fitted = Fitted.to(count_logits(network, task, tiles(validation), size, progress.part(0, 0.6)))
    judging = balanced(validation) if card.training.get("balanced_validation") else validation
    judged = judge(network, task, tiles(judging), progress.part(0.6, 1), size)
    chosen = fitted.threshold(judged)
    threshold = float(Calibration(card.temperature)(chosen))
    figures = sum(judged, Scores()).figures(chosen)
    print(f"temperature {card.temperature:.4f} (now {fitted.temperature:.4f}), ", end="")
    print(f"threshold {card.threshold:.3f}, now {threshold:.3f}; F1 there {figures['f1']:.3f}")
    return replace(card, threshold=threshold, metrics={**card.metrics, **figures})


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the model with its new threshold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("samples", type=Path)
    parser.add_argument("output", type=Path)
    given = parser.parse_args(arguments)
    loaded = load_model(given.model)
    card = rethreshold(loaded.network, loaded.card, given.samples, Progress())
    save_model(given.output, loaded.network, card, half=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
