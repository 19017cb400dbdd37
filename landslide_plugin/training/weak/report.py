"""The report of a training from image labels, with pictures of what each view sees."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ....models.model_card import ModelCard
from ....models.weak import WeakNetwork
from ...core.provenance import Provenance
from ...reports.page import png, provenance, render, write_report
from ...samples.sample_set import UNKNOWN, Sample
from ..loop.contracts import Outcome
from .images import RESIZE, Images

SHOWN = 8
Rows = list[tuple[str, NDArray[Any]]]


def write_weak_report(
    html: str,
    network: WeakNetwork,
    images: Images,
    card: ModelCard,
    outcomes: Mapping[str, Outcome | None],
    origin: Provenance,
) -> None:
    """Write the report: figures on image labels, curves, and pictures of validation images.

    Args:
        html: the page.
        network: in evaluation mode.
        images: what it was trained on.
        card: its description.
        outcomes: of the trainings by name; None for one that was not made.
        origin: the run.

    Raises:
        OutputError: the page can't be written.
    """
    trained = {name: outcome for name, outcome in outcomes.items() if outcome}
    chosen = images.validation[True][:SHOWN]
    page = render(
        "training/weak/report.html",
        provenance(origin),
        card=card,
        trainings=[
            (name, len(part.history), part.best.number, part.best.f1, part.figures["precision"],
             part.figures["recall"])
            for name, part in trained.items()
        ],
        curves=png(_curves(trained)),
        views=png(draw_views(network, images, chosen), colours=256),
        facts=[(key, str(value)) for key, value in card.training.items()],
    )  # fmt: skip
    write_report(html, page)


def draw_views(network: WeakNetwork, images: Images, samples: list[Sample]) -> Figure:
    """Draw for each image itself, its translation, the views, the mask and the truth."""
    columns = [_views(network, images, sample) for sample in samples]
    rows = [name for name, _ in columns[0]]
    drawing = Figure(figsize=(1.5 * len(samples) + 1, 1.5 * len(rows)), layout="constrained")
    axes = drawing.subplots(len(rows), len(samples), squeeze=False)
    for column, views in enumerate(columns):
        for row, (name, picture) in enumerate(views):
            _show(axes[row][column], picture, network, name)
            if column == 0:
                axes[row][column].set_ylabel(name, fontsize=8)
    return drawing


def _views(network: WeakNetwork, images: Images, sample: Sample) -> Rows:
    tile = images.tile(sample)
    device = next(network.parameters()).device
    batch = torch.from_numpy(tile)[None].to(device)
    rows: Rows = [("image", _picture(tile))]
    with torch.inference_mode():
        if network.generator is not None:
            rows.append(("without landslide", _picture(network.generator(batch)[0].cpu().numpy())))
            rows.append(("difference", network.difference(batch)[0].cpu().numpy()))
        if network.classifier is not None:
            rows.append(("activation", network.activation(batch)[0].cpu().numpy()))
        rows.append(("mapped", network(batch)[0].argmax(0).bool().cpu().numpy()))
    if (truth := _truth(images, sample)) is not None:
        rows.append(("truth", truth))
    return rows


def _truth(images: Images, sample: Sample) -> NDArray[np.bool_] | None:
    """Return where the landslide is in the tile, if the samples know."""
    labels = images.samples.load(sample, images.bands)[2]
    if (labels == UNKNOWN).all():
        return None
    step = images.reduction
    landslide = ((labels > 0) & (labels != UNKNOWN))[step // 2 :: step, step // 2 :: step]
    if images.fit == RESIZE:
        middles = (np.arange(images.size) + 0.5) / images.size
        rows, cols = ((middles * side).astype(int) for side in landslide.shape)
        resized: NDArray[np.bool_] = landslide[np.ix_(rows, cols)]
        return resized
    cut, pad = [], []
    for side in landslide.shape:
        spare, gap = max(side - images.size, 0), max(images.size - side, 0)
        cut.append(slice(spare // 2, spare // 2 + images.size))
        pad.append((gap // 2, gap - gap // 2))
    return np.pad(landslide[tuple(cut)], pad, mode="symmetric")


def _picture(tile: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return three bands, or the first in grey, as colours 0..1."""
    shown = tile[:3] if len(tile) >= 3 else np.repeat(tile[:1], 3, 0)
    return np.clip(shown.transpose(1, 2, 0) / 5 + 0.5, 0, 1)


def _show(axes: Axes, picture: NDArray[Any], network: WeakNetwork, name: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    if picture.ndim == 3:
        axes.imshow(picture)
    elif picture.dtype == bool:
        axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
    elif name == "difference":
        axes.imshow(picture, cmap="magma", vmin=0, vmax=2 * network.threshold)
    else:
        axes.imshow(picture, cmap="magma", vmin=0, vmax=max(2 * network.cut, 1e-3))


def _curves(trained: dict[str, Outcome]) -> Figure:
    drawing = Figure(figsize=(8, 2.8), layout="constrained")
    for axes, value in zip(drawing.subplots(1, 2), ("loss", "f1"), strict=True):
        for name, outcome in trained.items():
            epochs = [epoch.number for epoch in outcome.history]
            axes.plot(epochs, [getattr(epoch, value) for epoch in outcome.history], label=name)
        axes.set_xlabel("epoch")
        axes.set_ylabel("training loss" if value == "loss" else "F1 of image labels")
        axes.legend()
    return drawing
