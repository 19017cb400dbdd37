"""The training's HTML report: figures beside baselines, curves, examples, data and settings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import mean, stdev

from ....models.model_card import ModelCard
from ...core.provenance import Provenance
from ...evaluation.metrics import METRICS, Confusion, all_metrics
from ...reports.page import (
    Section,
    caution,
    figure,
    page,
    paragraph,
    provenance,
    table,
    write_report,
)
from ...samples.sample_set import SampleSet
from ..loop.contracts import Outcome, Settings
from .assessment import EXAMPLES, Assessment, Example
from .baselines import NO_NETWORK
from .drawings import draw_constant_mask, draw_course, draw_examples, draw_precision_recall

NOT_STATED = "not stated: ask those who made the data before you pass it or the model on"


@dataclass(frozen=True)
class Run:
    """One training: its course and what was found on its validation samples."""

    outcome: Outcome
    assessment: Assessment


def write_runs_report(
    path: str | Path,
    runs: Sequence[Run],
    card: ModelCard,
    samples: SampleSet,
    settings: Settings,
    origin: Provenance,
) -> None:
    """Write the page.

    Args:
        path: the HTML file.
        runs: one a fold; one where there are no folds.
        card: description of the model that came of them.
        samples: what they were trained on.
        settings: how.
        origin: the run.

    Raises:
        OutputError: the file can't be written.
    """
    sections = [
        _figures(runs, samples),
        *([_folds(runs)] if len(runs) > 1 else []),
        _confusion(runs),
        _precision_recall(runs),
        _course(runs),
        *_examples(runs),
        _constant(runs),
        _data(runs, card, samples),
        Section("Bands", table(("Band", "Mean", "Standard deviation"), _bands(card))),
        Section("Settings", table((), _settings(card, settings))),
        provenance(origin),
    ]
    write_report(path, page(f"Training of {card.name}", sections, _lead(runs, card, samples)))


def _lead(runs: Sequence[Run], card: ModelCard, samples: SampleSet) -> str:
    ours = [run.assessment.counts for run in runs]
    constant = [run.assessment.baselines["constant mask"] for run in runs]
    folds = f" over {len(runs)} folds" if len(runs) > 1 else ""
    return (
        f"{card.architecture} on {len(card.bands)} bands: F1 {_spread(ours, 'f1')} and IoU "
        f"{_spread(ours, 'iou_landslide')} on validation samples{folds}, split "
        f"{_by(samples)}; a constant mask that sees no image scores F1 "
        f"{_spread(constant, 'f1')} and IoU {_spread(constant, 'iou_landslide')} there."
    )


def _figures(runs: Sequence[Run], samples: SampleSet) -> Section:
    ours = [all_metrics(run.assessment.counts) for run in runs]
    blind = [[all_metrics(run.assessment.baselines[name]) for run in runs] for name in NO_NETWORK]
    many = len(runs) > 1
    rows = []
    for key, metric in METRICS.items():
        own = [values[key] for values in ours]
        others = [_mean([values[key] for values in found]) for found in blind]
        spread = (_deviation(own),) if many else ()
        rows.append((metric.title, _mean(own), *spread, *others, metric.definition))
    head = ("Mean of folds", "Standard deviation") if many else ("Network",)
    header = ("Metric", *head, *(name.capitalize() for name in NO_NETWORK), "Meaning")
    text = (
        "The network at its chosen threshold, and on the same pixels three answers that need no "
        "network: no landslide anywhere, landslide everywhere, and one constant mask for every "
        "patch. A score that they reach as well is worth nothing. "
    )
    text += (
        "The standard deviation is that of the folds (n - 1)."
        if many
        else "One training has no spread: train with folds or several seeds to see how much of "
        "a difference is chance."
    )
    optimism = (
        "Epoch and threshold were chosen on these same samples, so the figures are somewhat "
        "better than those on an unseen area; evaluate the map there. Samples hold more landslide "
        "than the land does, so precision is lower on a map."
    )
    content = _warnings(runs, samples) + table(header, rows) + paragraph(text)
    return Section("Figures on the validation pixels", content + paragraph(optimism))


def _warnings(runs: Sequence[Run], samples: SampleSet) -> str:
    result = ""
    if _by(samples).startswith("random"):
        result += caution(
            f"Split {_by(samples)}: neighbouring or like images stand in training and validation "
            "alike, so the figures are optimistic for an area that the network has not seen."
        )
    own = _mean([_iou(run.assessment.counts) for run in runs])
    constant = _mean([_iou(run.assessment.baselines["constant mask"]) for run in runs])
    if (own or 0.0) <= (constant or 0.0):
        result += caution(
            "The network is no better than a mask that never looks at the image: train longer, "
            "or with more samples or another loss, before you use it."
        )
    return result


def _folds(runs: Sequence[Run]) -> Section:
    rows = []
    for number, run in enumerate(runs, start=1):
        found, counts = run.assessment, all_metrics(run.assessment.counts)
        constant = _iou(found.baselines["constant mask"])
        scores = [counts[key] for key in ("f1", "iou_landslide", "precision", "recall", "oa")]
        facts = (found.train, found.validation, run.outcome.best.number, len(run.outcome.history))
        rows.append((number, *facts, f"{found.threshold:g}", *scores, constant))
    header = (
        "Fold", "Train patches", "Validation patches", "Kept epoch", "Epochs", "Threshold",
        "F1", "IoU", "Precision", "Recall", "Overall accuracy", "IoU, constant mask",
    )  # fmt: skip
    return Section("Folds", table(header, rows))


def _confusion(runs: Sequence[Run]) -> Section:
    counts = sum((run.assessment.counts for run in runs), Confusion())
    truths = ("Reference: landslide", "Reference: background")
    rows = [
        ("Mapped as landslide", counts.tp, counts.fp, counts.tp + counts.fp),
        ("Mapped as background", counts.fn, counts.tn, counts.fn + counts.tn),
        ("Sum", counts.tp + counts.fn, counts.fp + counts.tn, counts.total),
    ]
    content = table(("Pixels", *truths, "Sum"), rows)
    if len(runs) > 1:
        content += paragraph("Validation pixels of all folds together, each at its threshold.")
    return Section("Confusion matrix", content)


def _precision_recall(runs: Sequence[Run]) -> Section:
    found = [run.assessment for run in runs]
    thresholds = ", ".join(f"{assessment.threshold:g}" for assessment in found)
    text = (
        f"Chosen threshold: {thresholds}, that with the highest F1. A lower one finds more "
        "landslide at the price of more false alarms; it can be set anew for each map."
    )
    alt = "Precision against recall, and F1 against the threshold"
    return Section(
        "Precision, recall and threshold", figure(draw_precision_recall(found), alt, text)
    )


def _course(runs: Sequence[Run]) -> Section:
    drawing = draw_course([run.outcome for run in runs], [run.assessment for run in runs])
    seconds = sum(epoch.seconds for run in runs for epoch in run.outcome.history)
    text = f"Each epoch's F1 and IoU are at the threshold best for it. {seconds:,.0f} s in all."
    return Section("Course of the training", figure(drawing, "Loss, F1 and IoU by epoch", text))


def _examples(runs: Sequence[Run]) -> list[Section]:
    best = sorted(
        ((e, r.assessment.threshold) for r in runs for e in r.assessment.best),
        key=lambda pair: -(_iou(pair[0].counts) or 0.0),
    )
    worst = sorted(
        ((e, r.assessment.threshold) for r in runs for e in r.assessment.worst),
        key=lambda pair: -(pair[0].counts.fp + pair[0].counts.fn),
    )
    shown = ", ".join(runs[0].assessment.shown)
    note = f"Image: {shown}. White is unknown or without data."
    return [
        _gallery("Best examples", f"Highest IoU of a tile with landslide. {note}", best),
        _gallery("Worst examples", f"Most pixels wrong. {note}", worst),
    ]


def _gallery(title: str, caption: str, pairs: Sequence[tuple[Example, float]]) -> Section:
    chosen = pairs[:EXAMPLES]
    if not chosen:
        return Section(title, paragraph("There are none."))
    drawing = draw_examples([e for e, _ in chosen], [threshold for _, threshold in chosen])
    alt = "Image, truth, probability and errors of validation tiles"
    return Section(title, figure(drawing, alt, caption, colours=256))


def _constant(runs: Sequence[Run]) -> Section:
    constant = runs[0].assessment.constant
    text = (
        "Mean of the training masks, each stretched to one square. Inside the blue line, from a "
        f"share of {constant.threshold:.3f} on, the constant mask says landslide; the threshold "
        "has the highest F1 on the training masks. A bright middle means that the place in the "
        "patch gives the landslide away; an even picture, that it does not."
    )
    if len(runs) > 1:
        text += " Drawn for the first fold."
    alt = "Share of training masks with landslide by place in the patch"
    return Section("The constant mask", figure(draw_constant_mask(constant), alt, text))


def _data(runs: Sequence[Run], card: ModelCard, samples: SampleSet) -> Section:
    facts = [
        ("Samples", samples.folder.name),
        ("From", ", ".join(Path(source).name for source in samples.sources)),
        ("Terms of the data", str(card.training.get("terms") or NOT_STATED)),
        ("Terms of the model", card.licence or "not stated"),
        ("Split", f"{samples.split}, seed {samples.seed}"),
        ("Resolution (m)", "unknown" if samples.resolution is None else f"{samples.resolution:g}"),
    ]
    splits = []
    for name in ("train", "validation", "test"):
        patches = samples.of_split(name)
        if not patches:
            continue
        landslides = sum(sample.landslide_pixels > 0 for sample in patches)
        splits.append((name.capitalize(), len(patches), landslides, len(patches) - landslides))
    header = ("Patches", "All", "With landslide", "Without")
    seen = mean(run.assessment.seen for run in runs)
    balance = [
        ("In the training patches", samples.imbalance, _ratio(samples.imbalance)),
        ("In the tiles that the network was given", seen, _ratio(seen)),
    ]
    text = "Training tiles are cut on landslides, turned and, if so chosen, enhanced."
    content = table((), facts) + table(header, splits)
    head = ("Landslide among known pixels", "Share", "Landslide to background")
    return Section("Data", content + table(head, balance) + paragraph(text))


def _settings(card: ModelCard, settings: Settings) -> list[tuple[str, object]]:
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


def _bands(card: ModelCard) -> list[tuple[str, float, float]]:
    return list(zip(card.bands, card.mean, card.std, strict=True))


def _by(samples: SampleSet) -> str:
    return samples.split if samples.split.startswith("random") else f"by {samples.split}"


def _ratio(share: float) -> str:
    return f"1 : {(1 - share) / share:.1f}" if share > 0 else "no landslide"


def _spread(counts: Sequence[Confusion], key: str) -> str:
    values = [METRICS[key].value(each) for each in counts]
    middle, deviation = _mean(values), _deviation(values)
    if middle is None:
        return "undefined"
    return f"{middle:.3f}" + ("" if deviation is None else f" ± {deviation:.3f}")


def _iou(counts: Confusion) -> float | None:
    return METRICS["iou_landslide"].value(counts)


def _mean(values: Sequence[float | None]) -> float | None:
    return _over_defined(values, mean, 1)


def _deviation(values: Sequence[float | None]) -> float | None:
    return _over_defined(values, stdev, 2)


def _over_defined(
    values: Sequence[float | None], statistic: Callable[[list[float]], float], least: int
) -> float | None:
    """Return a statistic where all values are defined and enough; None elsewhere."""
    known = [value for value in values if value is not None]
    return statistic(known) if len(known) == len(values) >= least else None
