"""Command `factoranalysis`."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from sklearn.metrics import roc_auc_score

from ...contract.choices import FactorAnalysis
from ...contract.errors import InputError
from ...core.progress import Progress
from ...core.provenance import NO_ORIGIN, Provenance
from ...outputs.whole import whole_file
from ...raster.grid import Grid, tell_metres
from ...raster.kinds import is_direction
from ...raster.landslides import Landslides, Mask, is_raster, least_landslide, read_polygons
from ...raster.source import Source
from ...raster.stack import LayerStack
from ...reports.table import write_csv
from .counts import Factor, Sample, auc_of_intervals, draw_sample, factors_of, inflation, survey
from .importance import measure_importance
from .report import Analysis, FactorResult, analysis_report, summary

_FEW_PIXELS = 100
_COLUMNS = (
    "factor", "kind", "class", "low", "high", "pixels", "landslide_pixels", "frequency",
    "frequency_ratio", "gini_importance", "permutation_mean", "permutation_sd", "auc",
    "auc_intervals", "vif",
)  # fmt: skip


def factoranalysis(
    *,
    stack: str,
    landslides: str,
    html: str = "",
    table: str = "",
    classes: Annotated[int, FactorAnalysis.CLASSES] = FactorAnalysis.CLASSES.default,
    area: str = "",
    seed: Annotated[int, FactorAnalysis.SEED] = FactorAnalysis.SEED.default,
    fill: Annotated[str, FactorAnalysis.FILL] = FactorAnalysis.FILL.default,
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Say which factors of a stack have to do with the landslides in it, and how.

    Args:
        stack: raster of factors.
        landslides: polygons, or a raster (landslide above 0, or from the threshold on that a
            probability raster carries; its nodata is not known).
        html: report to write; none when empty.
        table: CSV to write, one row an interval or class of a factor; none when empty.
        classes: natural-break intervals a factor of values gets, at most.
        area: polygons; only pixels within them count.
        seed: of the sample, the forests, the folds and the shuffles.
        fill: "auto" or "keep": fill that the stack does not declare is nodata, or is kept.
        origin: what the outputs tell of the run.
        progress: told which factors matter.

    Returns:
        `html`, `table`, and `auc_blocks` and `auc_random`: mean AUC of the forest in unseen
        blocks and on pixels left out at random; None where it can't be measured.

    Raises:
        InputError: no landslide or nothing else within the valid pixels, or no factor that varies.
        GridError: layers without CRS, or an area that lies apart.
        OutputError: an output can't be written.
    """
    with ExitStack() as files:
        page = files.enter_context(whole_file(html)) if html else None
        rows = files.enter_context(whole_file(table)) if table else None
        layers = files.enter_context(
            LayerStack.open([stack], area=area, fill=fill, progress=progress.part(0, 0.05))
        )
        tell_metres(layers.grid, progress, "the side of the blocks that are held back")
        looking = progress.part(0.05, 0.07)
        labels = _open_landslides(landslides, layers.grid, files, looking)
        analysis = _analyse(layers, labels, classes, seed, progress)
        progress.message(summary(analysis))
        if rows:
            _write_table(rows, analysis.factors)
        if page:
            page.write_text(analysis_report(analysis, origin), encoding="utf-8")
        progress.update(1)
    return {
        "html": html,
        "table": table,
        "auc_blocks": _mean(analysis.importance.auc_blocks),
        "auc_random": _mean(analysis.importance.auc_random),
    }


def _open_landslides(path: str, grid: Grid, files: ExitStack, progress: Progress) -> Landslides:
    if not is_raster(path):
        return read_polygons(path, grid, "landslides", progress)
    mask = files.enter_context(Source.open(path, what="landslide mask", zero_is_data=True))
    least = least_landslide(mask, None, "give a mask of what is landslide", progress)
    return Mask(files.enter_context(mask.on(grid, "nearest")), least)


def _analyse(
    stack: LayerStack, landslides: Landslides, classes: int, seed: int, progress: Progress
) -> Analysis:
    factors = factors_of(stack)
    sample = draw_sample(stack, landslides, seed, progress.part(0.07, 0.15))
    varying = _varying(factors, sample, progress)
    ordered = _ordered(stack, factors, progress)
    counted = survey(stack, landslides, factors, sample, classes, progress.part(0.15, 0.35))
    importance = measure_importance(sample, varying, stack.grid, seed, progress.part(0.35, 0.98))
    if not importance.auc_blocks:
        progress.warning(
            "The landslides lie in too few places for blocks: there is no permutation importance."
        )
    results = []
    for factor in factors:
        intervals, varies = counted.intervals[factor.name], factor in varying
        results.append(
            FactorResult(
                factor,
                varies,
                intervals,
                gini=importance.gini.get(factor.name),
                permutation=importance.permutation.get(factor.name),
                deviation=importance.deviation.get(factor.name),
                auc=_auc(factor, sample) if varies and factor in ordered else None,
                auc_intervals=auc_of_intervals(intervals) if varies else None,
                vif=inflation(counted.correlation, factor) if varies else None,
            )
        )
    return Analysis(results, sample, counted.correlation, importance)


def _varying(factors: Sequence[Factor], sample: Sample, progress: Progress) -> list[Factor]:
    varying = [factor for factor in factors if sample.varies(factor)]
    if not varying:
        raise InputError(
            "All bands of the stack are constant within the valid pixels: stack factors that vary."
        )
    for factor in factors:
        if factor not in varying:
            progress.warning(f"{factor.name} is constant: it can't be told whether it matters.")
    if sample.landslide_pixels < _FEW_PIXELS:
        progress.warning(
            f"Only {sample.landslide_pixels} landslide pixels lie in the stack: the figures are "
            "uncertain."
        )
    return varying


def _ordered(stack: LayerStack, factors: Sequence[Factor], progress: Progress) -> list[Factor]:
    """Return the factors that can rise and fall, as classes and directions can't."""
    ordered = []
    for factor in factors:
        source, band = stack.source_of(stack.bands[factor.bands[0]])
        if factor.classes or is_direction(factor.name):
            continue
        if source.is_classes(band) and not source.is_ordinal(band):
            progress.warning(
                f"{factor.name} holds classes, whose numbers are cut into intervals and correlated "
                "as if they were values: run Lithology or land cover classes on its layer, and "
                "stack what comes of it."
            )
            continue
        ordered.append(factor)
    return ordered


def _auc(factor: Factor, sample: Sample) -> float:
    """Return the AUC of a factor's values alone."""
    return float(roc_auc_score(sample.landslide, sample.values[:, factor.bands[0]]))


def _write_table(path: Path, factors: Sequence[FactorResult]) -> None:
    rows = []
    for each in factors:
        kind = "classes" if each.factor.classes else "values"
        measured = (
            each.gini, each.permutation, each.deviation, each.auc, each.auc_intervals, each.vif,
        )  # fmt: skip
        for interval in each.intervals:
            counted = (
                interval.label, interval.low, interval.high, interval.pixels,
                interval.landslide_pixels, interval.frequency, interval.ratio,
            )  # fmt: skip
            rows.append(map(_cell, (each.factor.name, kind, *counted, *measured)))
    write_csv(path, _COLUMNS, rows)


def _cell(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
