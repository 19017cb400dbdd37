"""The training's HTML report: curves, figures, settings and a few predictions to look at."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import nn

from ...models.model_card import ModelCard
from ..report import Section, figure, page, paragraph, provenance, table, write_report
from ..samples.sample_set import UNKNOWN
from .tiles import Tiles
from .trainer import Outcome, Settings, Task

EXAMPLES = 6
"""Validation tiles shown, at most."""
NAMES = {
    "f1": "F1",
    "iou": "IoU of landslide",
    "precision": "Precision",
    "recall": "Recall",
    "oa": "Overall accuracy",
}


def write_training_report(
    path: str | Path,
    network: nn.Module,
    task: Task,
    tiles: Tiles,
    card: ModelCard,
    outcome: Outcome,
    settings: Settings,
) -> None:
    """Write the page.

    Args:
        path: the HTML file.
        network: with the weights of the best epoch, in evaluation mode.
        task: its kind.
        tiles: what it was trained on.
        card: its description.
        outcome: its history.
        settings: how it was trained.

    Raises:
        OutputError: the file can't be written.
    """
    metrics = [(name, outcome.figures[key]) for key, name in NAMES.items()]
    facts = [
        (key.replace("_", " ").capitalize(), value)
        for key, value in card.training.items()
        if not isinstance(value, list | dict)
    ]
    sections = [
        Section("Figures on the validation pixels", table((), metrics) + paragraph(_caution(card))),
        Section("Course of the training", figure(_curves(outcome), "Loss and F1 by epoch")),
        Section("Examples", _examples(network, task, tiles, card, settings)),
        Section("Bands", table(("Band", "Mean", "Standard deviation"), _bands(card))),
        Section("Training", table((), facts)),
        provenance({"Device": card.training["device"]}),
    ]
    lead = (
        f"{card.architecture} on {len(card.bands)} bands: F1 {outcome.best.f1:.3f} on validation "
        f"samples ({card.metrics['split']}) in epoch {outcome.best.number} of {settings.epochs}, "
        f"at threshold {card.threshold:g}."
    )
    write_report(path, page(f"Training of {card.name}", sections, lead))


def _caution(card: ModelCard) -> str:
    return (
        f"Split: {card.metrics['split']}. Epoch and threshold were chosen on these same samples, "
        "so the figures are somewhat better than those on an unseen area; evaluate the map there. "
        "Samples hold more landslide than the land does, so that precision is lower on a map."
    )


def _bands(card: ModelCard) -> list[tuple[str, float, float]]:
    return list(zip(card.bands, card.mean, card.std, strict=True))


def _curves(outcome: Outcome) -> Figure:
    drawing = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = drawing.subplots(1, 2)
    epochs = [epoch.number for epoch in outcome.history]
    marker = "o" if len(epochs) < 40 else ""
    left.plot(epochs, [epoch.loss for epoch in outcome.history], marker=marker, ms=3, c="#8c510a")
    left.set(title="Training loss", xlabel="Epoch", ylim=(0, None))
    right.plot(epochs, [epoch.f1 for epoch in outcome.history], marker=marker, ms=3, label="F1")
    right.plot(epochs, [epoch.iou for epoch in outcome.history], marker=marker, ms=3, label="IoU")
    right.axvline(outcome.best.number, color="#999", lw=1, ls="--", label="kept")
    right.set(title="Validation", xlabel="Epoch", ylim=(0, 1))
    right.legend(frameon=False)
    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.get_major_locator().set_params(integer=True)
    return drawing


def _examples(
    network: nn.Module, task: Task, tiles: Tiles, card: ModelCard, settings: Settings
) -> str:
    batch = tiles.showcase(EXAMPLES)
    with torch.inference_mode():
        probabilities = task.probability(network, batch, settings.device)
    drawing = Figure(figsize=(max(1.6 * len(probabilities), 3), 4.9), layout="constrained")
    grid = drawing.subplots(3, len(probabilities), squeeze=False)
    pictures = _pictures(batch.images.numpy(), card.bands)
    for column, probability in enumerate(probabilities):
        labels = batch.labels[column]
        unknown = labels == UNKNOWN
        truth = np.where(unknown, np.nan, labels > 0)
        grid[0, column].imshow(np.where(unknown[..., None], 1.0, pictures[column]))
        grid[1, column].imshow(truth, vmin=0, vmax=1, cmap="magma")
        shown = np.where(unknown, np.nan, probability)
        grid[2, column].imshow(shown, vmin=0, vmax=1, cmap="magma")
        landslide = (probability >= card.threshold) & ~unknown
        if landslide.any() and not landslide.all():
            grid[2, column].contour(landslide, [0.5], colors="#4dd2ff", linewidths=1)
    for row, name in enumerate(("Image", "Truth", "Probability")):
        grid[row, 0].set_ylabel(name)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    caption = (
        "Validation samples with landslide, evenly chosen; white is unknown or without data. The "
        "blue line is the model's threshold. "
        f"Image: {', '.join(_shown(card.bands))}."
    )
    return figure(drawing, "Image, truth and probability of validation samples", caption)


def _shown(bands: list[str]) -> list[str]:
    """Return the three bands to show in red, green and blue, or one to show in grey."""
    for names in (["red", "green", "blue"], ["nir", "red", "green"]):
        if set(names) <= set(bands):
            return names
    grey = [name for name in ("hillshade", "slope") if name in bands]
    return [grey[0] if grey else bands[0]]


def _pictures(images: NDArray[np.float32], bands: list[str]) -> NDArray[np.float32]:
    """Stretch scaled images (N, bands, H, W) to pictures (N, H, W, 3) in 0..1, all alike."""
    names = _shown(bands)
    shown = images[:, [bands.index(name) for name in names]]
    low, high = np.percentile(shown, (2, 98), axis=(0, 2, 3), keepdims=True)
    stretched = np.clip((shown - low) / np.maximum(high - low, 1e-6), 0, 1)
    if len(names) == 1:
        stretched = stretched.repeat(3, axis=1)
    return np.moveaxis(stretched, 1, -1)
