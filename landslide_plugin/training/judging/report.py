"""The training's HTML report: figures beside baselines, curves, examples, data and settings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from ....models.calibration import Calibration, calibration_of
from ....models.model_card import ModelCard
from ...core.provenance import Provenance
from ...evaluation.metrics import METRICS, Confusion, all_metrics, iou_landslide
from ...reports.page import png, provenance, render, write_report
from ...samples.sample_set import SampleSet
from ..loop.contracts import Outcome, Settings
from .assessment import EXAMPLES, Assessment, Example
from .baselines import NO_NETWORK
from .drawings import draw_constant_mask, draw_course, draw_examples, draw_precision_recall
from .held_out import HeldOut
from .temperature import Fitted


@dataclass(frozen=True)
class Run:
    """One training: its course and what was found on its validation samples."""

    outcome: Outcome
    assessment: Assessment


def write_runs_report(
    path: str | Path,
    runs: Sequence[Run],
    fitted: Fitted,
    card: ModelCard,
    samples: SampleSet,
    settings: Settings,
    origin: Provenance,
    held_out: HeldOut | None = None,
) -> None:
    """Write the page.

    Args:
        path: the HTML file.
        runs: one a fold; one where there are no folds.
        fitted: its temperature.
        card: description of the model that came of them.
        samples: what they were trained on.
        settings: how.
        origin: the run.
        held_out: what was found on the test samples; None where there are none.

    Raises:
        OutputError: the file can't be written.
    """
    assessments = [run.assessment for run in runs]
    ours = [each.counts for each in assessments]
    blind = [each.baselines["constant mask"] for each in assessments]
    seen = mean(each.seen for each in assessments)
    random_split = samples.split.startswith("random")
    calibration = calibration_of([card])
    calibrated = partial(_calibrated, calibration)
    best = [calibrated(example, each) for each in assessments for example in each.best]
    worst = [calibrated(example, each) for each in assessments for example in each.worst]
    page = render(
        "training/judging/report.html",
        provenance(origin),
        card=card,
        samples=samples,
        f1=_spread(ours, "f1"),
        iou=_spread(ours, "iou_landslide"),
        blind_f1=_spread(blind, "f1"),
        blind_iou=_spread(blind, "iou_landslide"),
        split=samples.split_in_words(),
        held_out=held_out,
        tested=_tested(held_out) if held_out else [],
        random_split=random_split,
        no_better=_mean_iou(ours) <= _mean_iou(blind),
        baselines=NO_NETWORK,
        metrics=_metrics(assessments),
        folds=[_fold(number, run, calibration) for number, run in enumerate(runs, start=1)],
        counts=sum(ours, Confusion()),
        thresholds=[f"{calibration(each.threshold):.3f}" for each in assessments],
        precision_recall=png(draw_precision_recall(assessments, calibration)),
        fitted=fitted,
        temperature=f"{fitted.temperature:.3g}",
        calibration=_errors(fitted, held_out),
        course=png(draw_course([run.outcome for run in runs], assessments)),
        seconds=f"{sum(epoch.seconds for run in runs for epoch in run.outcome.history):,.0f}",
        shown_bands=assessments[0].shown,
        best=_examples(sorted(best, key=lambda pair: -(iou_landslide(pair[0].counts) or 0.0))),
        worst=_examples(sorted(worst, key=lambda pair: -(pair[0].counts.fp + pair[0].counts.fn))),
        constant_mask=png(draw_constant_mask(assessments[0].constant)),
        constant_threshold=f"{assessments[0].constant.threshold:.3f}",
        sources=[Path(source).name for source in samples.sources],
        resolution=None if samples.resolution is None else f"{samples.resolution:g}",
        patches=_patches(samples),
        imbalance=_ratio(samples.imbalance),
        seen=seen,
        seen_imbalance=_ratio(seen),
        bands=list(zip(card.bands, card.mean, card.std, strict=True)),
        settings=_settings(card, settings),
    )
    write_report(path, page)


def _metrics(assessments: Sequence[Assessment]) -> list[tuple[object, ...]]:
    """Return each metric's mean, its deviation over folds, what needs no network, its meaning."""
    ours = [all_metrics(each.counts) for each in assessments]
    blind = [[all_metrics(each.baselines[name]) for each in assessments] for name in NO_NETWORK]
    rows = []
    for key, metric in METRICS.items():
        fold_values = [values[key] for values in ours]
        spread = (_deviation(fold_values),) if len(assessments) > 1 else ()
        others = [_mean([values[key] for values in baseline]) for baseline in blind]
        rows.append((metric.title, _mean(fold_values), *spread, *others, metric.definition))
    return rows


def _tested(held_out: HeldOut) -> list[tuple[object, ...]]:
    """Return each metric on the test samples, the ends of its interval, its meaning."""
    values = all_metrics(held_out.counts)
    return [
        (metric.title, values[key], *(held_out.intervals[key] or (None, None)), metric.definition)
        for key, metric in METRICS.items()
    ]


def _fold(number: int, run: Run, calibration: Calibration) -> tuple[object, ...]:
    assessment, counts = run.assessment, all_metrics(run.assessment.counts)
    facts = (
        assessment.train,
        assessment.validation,
        run.outcome.best.number,
        len(run.outcome.history),
    )
    scores = [counts[key] for key in ("f1", "iou_landslide", "precision", "recall", "oa")]
    constant = iou_landslide(assessment.baselines["constant mask"])
    return (number, *facts, f"{calibration(assessment.threshold):.3f}", *scores, constant)


def _calibrated(
    calibration: Calibration, example: Example, assessment: Assessment
) -> tuple[Example, float]:
    """Return a tile and its threshold, both with the probabilities of a map."""
    probability = calibration(example.probability).astype(np.float32)
    return replace(example, probability=probability), float(calibration(assessment.threshold))


def _errors(fitted: Fitted, held_out: HeldOut | None) -> list[tuple[object, ...]]:
    """Return the calibration errors of each part; without a temperature one, else two."""
    parts = [("Validation", fitted.before, fitted.after)]
    if held_out:
        parts.append(("Test", held_out.error_before, held_out.error))
    last = 2 if fitted.obstacle else 3
    return [part[:last] for part in parts if part[1] is not None]


def _examples(pairs: Sequence[tuple[Example, float]]) -> str | None:
    """Return a picture of the first tiles, each at its threshold; None where there are none."""
    chosen = pairs[:EXAMPLES]
    if not chosen:
        return None
    drawing = draw_examples([e for e, _ in chosen], [threshold for _, threshold in chosen])
    return png(drawing, colours=256)


def _patches(samples: SampleSet) -> list[tuple[str, int, int, int]]:
    """Return how many there are of each split: all, with landslide, without."""
    splits = []
    for name in ("train", "validation", "test"):
        if patches := samples.of_split(name):
            landslides = sum(sample.landslide_pixels > 0 for sample in patches)
            splits.append((name.capitalize(), len(patches), landslides, len(patches) - landslides))
    return splits


def _settings(card: ModelCard, settings: Settings) -> list[tuple[str, str]]:
    said = card.training.items()
    facts = {
        "architecture": card.architecture,
        "arguments": ", ".join(f"{key} {value}" for key, value in card.arguments.items()),
        "tile_size": f"{card.tile_size} px",
        **{item.name: getattr(settings, item.name) for item in fields(settings)},
        **{key: value for key, value in said if not isinstance(value, list | dict)},
    }
    return [(key.replace("_", " ").capitalize(), _plain(value)) for key, value in facts.items()]


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _ratio(fraction: float) -> str:
    return f"1 : {(1 - fraction) / fraction:.1f}" if fraction > 0 else "no landslide"


def _spread(counts: Sequence[Confusion], key: str) -> str:
    values = [METRICS[key].value(each) for each in counts]
    middle, deviation = _mean(values), _deviation(values)
    if middle is None:
        return "undefined"
    return f"{middle:.3f}" + ("" if deviation is None else f" ± {deviation:.3f}")


def _mean_iou(counts: Sequence[Confusion]) -> float:
    return _mean([iou_landslide(each) for each in counts]) or 0.0


def _mean(values: Sequence[float | None]) -> float | None:
    return _over_defined(values, mean, 1)


def _deviation(values: Sequence[float | None]) -> float | None:
    return _over_defined(values, stdev, 2)


def _over_defined(
    values: Sequence[float | None], statistic: Callable[[list[float]], float], least: int
) -> float | None:
    """Return a statistic where all values are defined and enough; None elsewhere."""
    defined = [value for value in values if value is not None]
    return statistic(defined) if len(defined) == len(values) >= least else None
