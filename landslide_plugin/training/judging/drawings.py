"""The figures of the training report."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ....models.calibration import UNCALIBRATED, Calibration
from ...evaluation.metrics import Confusion, f1, iou_landslide, precision, recall
from ...reports.ground import stretched
from ...reports.page import ERROR_COLOURS, lettering
from ...samples.sample_set import UNKNOWN
from ..loop.contracts import Outcome
from .assessment import Assessment, Example
from .baselines import ConstantMask

_FOLDS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#000000")
"""Okabe and Ito's colours, told apart by colour-blind readers too."""
_GREY = "#6d737a"
_PALE = 0.45
"""How much the ground under the errors is lightened, so that their colours stand out."""


def draw_course(outcomes: Sequence[Outcome], assessments: Sequence[Assessment]) -> Figure:
    """Draw loss, F1 and IoU by epoch, a line a fold, and what the constant mask scores."""
    drawing = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = drawing.subplots(1, 2)
    for number, outcome in enumerate(outcomes):
        style = {"c": _colour(number), "marker": "o" if len(outcome.history) < 40 else "", "ms": 3}
        epochs = [epoch.number for epoch in outcome.history]
        name = f", fold {number + 1}" if len(outcomes) > 1 else ""
        left.plot(epochs, [epoch.loss for epoch in outcome.history], label=name[2:], **style)
        right.plot(epochs, [epoch.f1 for epoch in outcome.history], label=f"F1{name}", **style)
        iou = [epoch.iou for epoch in outcome.history]
        right.plot(epochs, iou, ls="--", label=f"IoU{name}", **style)
        kept = "kept epoch" if number == 0 else None
        right.plot(outcome.best.number, outcome.best.f1, "o", ms=9, mfc="none", c=_GREY, label=kept)
    scores = [assessment.baselines["constant mask"] for assessment in assessments]
    for metric, name, dashes in ((f1, "F1", ":"), (iou_landslide, "IoU", "-.")):
        height = np.mean([metric(counts) or 0.0 for counts in scores])
        right.axhline(height, color=_GREY, lw=1, ls=dashes, label=f"{name}, constant mask")
    left.set(title="Mean loss of the training tiles", ylabel="Loss")
    left.set_ylim(0, 1.05 * max(epoch.loss for run in outcomes for epoch in run.history))
    right.set(title="Validation pixels", ylabel="Score (0 to 1)", ylim=(0, 1))
    for axes in (left, right):
        axes.set_xlabel("Epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        _tidy(axes)
    if len(outcomes) > 1:
        left.legend(frameon=False, fontsize=8)
    right.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawing


def draw_precision_recall(
    assessments: Sequence[Assessment], calibration: Calibration = UNCALIBRATED
) -> Figure:
    """Draw precision against recall and F1 against the threshold, a line a fold.

    Args:
        assessments: one a fold.
        calibration: brings their thresholds to those of a map.
    """
    drawing = Figure(figsize=(9, 4.2), layout="constrained")
    left, right = drawing.subplots(1, 2)
    for number, assessment in enumerate(assessments):
        curve, colour = assessment.scores.curve(), _colour(number)
        name = f"fold {number + 1}" if len(assessments) > 1 else "network"
        name += f", average precision {curve.average_precision:.3f}"
        left.plot(curve.recall, curve.precision, c=colour, label=name)
        right.plot(calibration(curve.threshold), curve.f1, c=colour)
        kept = "chosen threshold" if number == 0 else None
        counts = assessment.counts
        left.plot(*_point(counts), "o", c=colour, ms=8, label=kept)
        right.plot(calibration(assessment.threshold), f1(counts) or 0.0, "o", c=colour, ms=8)
        _mark_baselines(left, assessment, number == 0)
        constant = f1(assessment.baselines["constant mask"])
        if constant is not None:
            label = "constant mask" if number == 0 else None
            right.axhline(constant, color=_GREY, lw=1, ls=":", label=label)
    left.set(xlabel="Recall", ylabel="Precision", xlim=(0, 1.02), ylim=(0, 1.02))
    left.set_title("Precision and recall at every threshold")
    right.set(xlabel="Threshold (probability)", ylabel="F1", xlim=(0, 1), ylim=(0, 1.02))
    right.set_title("F1 by threshold")
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        _tidy(axes)
    left.legend(fontsize=8, framealpha=0.85, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    return drawing


def draw_examples(examples: Sequence[Example], thresholds: Sequence[float]) -> Figure:
    """Draw a row for each tile: image, truth, probability, and where it is right and wrong."""
    drawing = Figure(figsize=(9, 2.75 * len(examples) + 0.3), layout="constrained")
    rows = drawing.subfigures(len(examples), 1, squeeze=False)[:, 0]
    pictures = pictures_of([example.image for example in examples])
    for row, example, picture, threshold in zip(rows, examples, pictures, thresholds, strict=True):
        row.suptitle(_title(example), fontsize=9, x=0.01, ha="left")
        unknown = example.labels == UNKNOWN
        truth = np.where(unknown, np.nan, example.labels > 0)
        probability = np.where(unknown, np.nan, example.probability)
        panels = row.subplots(1, 4)
        panels[0].imshow(np.where(unknown[..., None], 1.0, picture))
        panels[1].imshow(truth, vmin=0, vmax=1, cmap="magma", interpolation="nearest")
        panels[2].imshow(probability, vmin=0, vmax=1, cmap="magma")
        panels[3].imshow(error_picture(example, picture, threshold), interpolation="nearest")
        names = ("Image", "Truth", "Probability, 0 black to 1 white", "Right and wrong")
        for axes, name in zip(panels, names, strict=True):
            axes.set(xticks=[], yticks=[])
            axes.set_xlabel(name, fontsize=8)
    handles = [Patch(color=colour, label=name) for name, colour in ERROR_COLOURS.items()]
    drawing.legend(handles=handles, loc="outside lower right", ncols=3, frameon=False, fontsize=9)
    return drawing


def draw_constant_mask(constant: ConstantMask) -> Figure:
    """Draw the mean of the training masks and the line of its threshold."""
    drawing = Figure(figsize=(4, 3.2), layout="constrained")
    axes = drawing.subplots()
    image = axes.imshow(constant.mean, cmap="magma", vmin=0, extent=(0, 100, 100, 0))
    centres = (np.arange(len(constant.mean)) + 0.5) * 100 / len(constant.mean)
    mask = constant.mean >= constant.threshold
    if mask.any() and not mask.all():
        axes.contour(centres, centres, mask, [0.5], colors="#4dd2ff", linewidths=1.5)
    axes.set(xlabel="Width of the patch (%)", ylabel="Height of the patch (%)")
    drawing.colorbar(image, label="Share of training masks\nwith landslide here")
    return drawing


def pictures_of(images: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float64]]:
    """Return pictures (rows, columns, 3) in 0..1 of images (1 or 3, rows, columns), all alike."""
    values = np.concatenate([image.reshape(len(image), -1) for image in images], axis=1)
    low, high = np.percentile(values, (2, 98), axis=1)
    low, high = low[:, None, None], high[:, None, None]
    pictures = [stretched(image, low, high) for image in images]
    return [np.moveaxis(np.broadcast_to(p, (3, *p.shape[1:])), 0, -1) for p in pictures]


def error_picture(
    example: Example, picture: NDArray[np.float64], threshold: float
) -> NDArray[np.float64]:
    """Return the picture in grey with landslide found, falsely mapped and missed in colour."""
    labelled, truth = example.labels != UNKNOWN, example.labels > 0
    mapped = example.probability >= threshold
    grey = picture.mean(axis=2, keepdims=True).repeat(3, axis=2)
    result: NDArray[np.float64] = _PALE + (1 - _PALE) * grey
    result[~labelled] = 1.0
    for name, where in (
        ("found", mapped & truth),
        ("false alarm", mapped & ~truth),
        ("missed", ~mapped & truth),
    ):
        result[where & labelled] = to_rgb(ERROR_COLOURS[name])
    return result


def _mark_baselines(axes: Axes, assessment: Assessment, labelled: bool) -> None:
    for name, marker in (("constant mask", "X"), ("all landslide", "^")):
        point = _point(assessment.baselines[name])
        label = name if labelled else None
        axes.plot(*point, marker, c=_GREY, ms=8, clip_on=False, label=label)


def _point(counts: Confusion) -> tuple[float, float]:
    """Return recall and precision; NaN, which is not drawn, where undefined."""
    hits, right = recall(counts), precision(counts)
    return float("nan") if hits is None else hits, float("nan") if right is None else right


def _title(example: Example) -> str:
    counts = example.counts
    iou = iou_landslide(counts)
    scored = "no landslide there, none mapped" if iou is None else f"IoU {iou:.3f}"
    name = lettering(example.name)
    return (
        f"{name}: {scored}; pixels found {counts.tp:,}, false alarm {counts.fp:,}, "
        f"missed {counts.fn:,}"
    )


def _colour(number: int) -> str:
    return _FOLDS[number % len(_FOLDS)]


def _tidy(axes: Axes) -> None:
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
