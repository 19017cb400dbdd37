"""Command `evaluate`."""

import json as json_format
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from ..contract.choices import Evaluate
from ..contract.errors import InputError
from ..core.progress import Listening, Progress
from ..core.provenance import NO_ORIGIN, Provenance
from ..outputs.whole import whole_file
from ..raster.declared import unique_names
from ..raster.grid import require_grids_overlap, tell_metres
from ..raster.source import Source
from .compare import Comparison, compare
from .compared_grid import common_grid, evaluated_window
from .export import all_numbers, numbers_of, write_table
from .figures import COLOURS
from .intervals import draws, interval, make_blocks
from .layers import AREA, REFERENCE, Layer, Reader
from .report import Judged, Setting, accuracy_report, summary
from .scores import all_landslide, no_landslide, scores


def evaluate(
    *,
    predicted: str | list[str],
    reference: str,
    html: str = "",
    json: str = "",
    csv: str = "",
    area: str = "",
    threshold: Annotated[float | None, Evaluate.THRESHOLD] = Evaluate.THRESHOLD.default,
    tolerance: Annotated[float, Evaluate.TOLERANCE] = Evaluate.TOLERANCE.default,
    block_size: Annotated[float, Evaluate.BLOCK_SIZE] = Evaluate.BLOCK_SIZE.default,
    image: str = "",
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Compare landslide maps with a reference.

    The comparison is made on the pixels of the first raster, or on pixels chosen for polygons;
    only where all maps and the reference are known and inside the area. A raster of whole numbers
    is landslide above 0, one of fractions at or above the threshold: of several maps each its own
    where none is given. One that tells kinds of landslides apart, see `kinds`, is landslide where
    it is of any; of others' bands `landslide_probability` counts, or else the first.

    Args:
        predicted: the maps to judge, each raster (mask or probability) or polygons.
        reference: the truth, raster or polygons.
        html: report to write; none when empty.
        json: file of all numbers to write; none when empty.
        csv: table of all scores to write; none when empty.
        area: polygons that limit the comparison.
        threshold: least probability of landslide; None takes the one that a raster carries, else
            its model's, else 0.5.
        tolerance: metres that outlines may lie apart; 0 for two pixels.
        block_size: side of the blocks drawn for intervals, metres; 0 for a size that fits.
        image: background of the error map in the report.
        origin: what the outputs tell of the run.
        progress: told the result.

    Returns:
        `html`, `json`, `csv`; of the first map every score of `SCORES` (None where undefined), the
        counts `tp`, `fp`, `fn`, `tn`, and numbers and areas of landslides.

    Raises:
        InputError: layers that can't be read, lie apart, or hold neither mask nor probability.
        GridError: layers without CRS.
        OutputError: an output can't be written.
    """
    notes = Listening(progress)
    paths = [predicted] if isinstance(predicted, str) else predicted
    if not paths:
        raise InputError("There is no map to judge: choose at least one.")
    several = len(paths) > 1
    roles = [f"predicted map {Path(path).stem}" if several else "predicted map" for path in paths]
    with ExitStack() as files:
        partial = {
            key: files.enter_context(whole_file(path))
            for key, path in (("html", html), ("json", json), ("csv", csv))
            if path
        }
        *looking, last = notes.part(0, 0.1).parts(len(paths) + 1)
        layers = [
            Layer.open(path, role, files, part)
            for path, role, part in zip(paths, roles, looking, strict=True)
        ]
        truth = Layer.open(reference, REFERENCE, files, last)
        limits = Layer.polygons(area, AREA, notes) if area else None
        grid = common_grid(layers, truth, limits, notes)
        window = evaluated_window(grid, limits)
        tell_metres(grid.part(window), notes, "the side of the blocks for intervals")
        background = None
        if image:
            background = files.enter_context(Source.open(image, what="image"))
            require_grids_overlap(background.grid, image, grid)
        *readers, truth_reader = (
            layer.on(grid, window, threshold, notes) for layer in (*layers, truth)
        )
        comparison = compare(
            readers,
            truth_reader,
            limits.on(grid, window, threshold, notes) if limits else None,
            grid,
            window,
            tolerance,
            progress.part(0.1, 0.85),
        )
        maps, setting = _judge(comparison, layers, readers, block_size, notes)
        progress.message(summary(comparison, maps))
        setting.sources["Reference"] = reference
        if "html" in partial:
            page = accuracy_report(comparison, maps, setting, background, origin)
            partial["html"].write_text(page, encoding="utf-8")
        if "json" in partial:
            content = all_numbers(comparison, maps, setting, origin)
            partial["json"].write_text(json_format.dumps(content, indent=1), encoding="utf-8")
        if "csv" in partial:
            write_table(partial["csv"], maps)
        progress.update(1)
    return {"html": html, "json": json, "csv": csv, **numbers_of(comparison, maps[0])}


def _judge(
    comparison: Comparison,
    layers: list[Layer],
    readers: list[Reader],
    block_size: float,
    notes: Listening,
) -> tuple[list[Judged], Setting]:
    """Compute all scores and their intervals."""
    blocks = make_blocks(comparison, block_size)
    names = unique_names([layer.name for layer in layers])
    maps: list[Judged] = []
    first: dict[str, np.ndarray] = {}
    for name, reader, result in zip(names, readers, comparison.results, strict=True):
        values, drawn = scores(comparison, result), draws(comparison, result, blocks)
        differences = {}
        for key in drawn if first else ():
            here, baseline = values[key], maps[0].values[key]
            value = None if here is None or baseline is None else here - baseline
            differences[key] = value, interval(drawn[key] - first[key], blocks)
        first = first or drawn
        maps.append(
            Judged(
                name=name,
                colour=COLOURS[len(maps) % len(COLOURS)],
                threshold=reader.threshold,
                result=result,
                values=values,
                intervals={key: interval(drawn[key], blocks) for key in drawn},
                no_landslide=no_landslide(comparison, result),
                all_landslide=all_landslide(comparison, result),
                differences=differences,
            )
        )
    sources = {f"Map {name}": layer.path for name, layer in zip(names, layers, strict=True)}
    return maps, Setting(blocks.side, blocks.count, notes.texts, sources)
