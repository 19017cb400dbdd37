"""Maps one scene by an open predictor: windows, outputs, and what is kept for going on."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.windows import Window

from ...models.model_card import ModelCard
from ..contract.errors import InputError
from ..contract.tags import DATE
from ..core.progress import Progress
from ..raster import Grid, RasterWriter, Source
from ..raster.declared import unique_names
from ..raster.scene_date import scene_date
from ..raster.threshold import threshold_tag
from .assembly import Assembly, Completion, Write
from .crew import Crew
from .decide import Scene
from .order import Order
from .plan import Plan
from .predictor import Predictor
from .resume import Journal, identity, journal, traces
from .semantic import map_probability
from .units import units_of
from .windows import Area, Reader, warn_of_no_pixel

PROBABILITY_BAND = "landslide_probability"
UNCERTAINTY_BAND = "landslide_probability_std"
READING_THREADS = {"cuda": 4}
_COMPUTED = 0.95
"""Fraction of a map's time after which its rasters are brought into their final form."""


@dataclass(frozen=True)
class Outputs:
    """The rasters to write; the empty ones are not."""

    probability: str
    mask: str = ""
    uncertainty: str = ""

    def beside(self, name: str) -> "Outputs":
        """Return the same with a name added to each file's."""
        paths = (self.probability, self.mask, self.uncertainty)
        return Outputs(*(path and _with_name(Path(path), name) for path in paths))


def map_scene(
    scene: Scene,
    outputs: Outputs,
    progress: Progress,
    *,
    area: str = "",
    may_lie_apart: bool = False,
    tags: Mapping[str, str] | None = None,
    crew: Crew | None = None,
) -> None:
    """Write the rasters of one scene; going on from the rows that a broken run has finished.

    Args:
        scene: the stack with its plan.
        outputs: what to write.
        progress: told of it.
        area: polygons outside which nothing is wanted; empty for everywhere.
        may_lie_apart: whether all of them may lie elsewhere, as in another stack of the run.
        tags: metadata items of all rasters, beside the plan.
        crew: workers that compute; None for none but this process.

    Raises:
        InputError: the stack or the area is damaged or unfit, or was changed meanwhile, or the
            memory is too small, or workers or their scheduler don't serve.
        GridError: the area lies elsewhere.
        OutputError: an output can't be written.
    """
    with scene.open() as source:
        wanted = Area.read(area, source.grid, progress, may_lie_apart) if area else None
        plan = replace(scene.plan, area=wanted.digest() if wanted else "")
        _tell(plan, source.grid, progress)
        tiling, channels = plan.tiling(source.grid.shape), scene.predictor.channels
        before = identity(source)
        key = {"plan": plan.computed(), "stack": before, "traces": traces(source)}
        told = {**(tags or {}), **plan.tags()}
        part, last = progress.part(0, _COMPUTED), progress.part(_COMPUTED, 1)
        with (
            journal(outputs.probability, key, tiling, channels) as kept,
            open_outputs(outputs, source, scene.predictor.card, plan, told, last) as write,
        ):
            if crew is None:
                _compute(scene.predictor, source, wanted, plan, kept, write, part)
            else:
                bounds = wanted.binary().hex() if wanted else ""
                order = Order.of(plan, bounds, channels, scene.stack)
                _have_computed(crew, order, source.grid, kept, write, part)
            if identity(source) != before:
                raise InputError(
                    f"The stack {source.path} was changed while it was mapped: map it again once "
                    "nothing writes to it."
                )
    progress.update(1)


def _tell(plan: Plan, grid: Grid, progress: Progress) -> None:
    """Say how many windows of which size there are."""
    size, side, number = plan.size, plan.side, len(plan.tiling(grid.shape))
    text = f"1 window of {size} x {size} pixels"
    if number > 1:
        text = (
            f"{number} windows of {size} x {size} pixels, of which {plan.shared} are shared with "
            f"the next, {min(plan.batch_size, number)} at once"
        )
    resampled = f"; resampled to {side} x {side} for the model" if plan.is_resampled else ""
    progress.message(f"{text}{resampled}.")


def _compute(
    predictor: Predictor,
    source: Source,
    area: Area | None,
    plan: Plan,
    kept: Journal,
    write: Write,
    progress: Progress,
) -> None:
    """Hand over the rows that are kept, and compute and keep the others."""
    tiling = plan.tiling(source.grid.shape)
    reader = Reader(source, predictor.card, tiling, area, READING_THREADS.get(plan.device, 1))
    map_probability(
        predictor,
        reader,
        source.grid,
        tiling,
        write,
        batch_size=plan.batch_size,
        device=plan.device,
        kept=kept,
        progress=progress,
    )


def _have_computed(
    crew: Crew, order: Order, grid: Grid, kept: Journal, write: Write, progress: Progress
) -> None:
    """Hand over the rows that are kept, and those that workers keep."""
    plan, shape = order.plan, (order.channels, grid.height, grid.width)
    tiling = plan.tiling(grid.shape)
    units = units_of(tiling, plan.batch_size)
    assembly = Assembly(tiling, units, shape, torch.device(plan.device), write)
    completion = Completion(assembly, units, kept)
    completion.begin(progress)
    crew.compute(order, kept, completion.missing, completion.noticed, progress)


@contextmanager
def open_outputs(
    outputs: Outputs,
    source: Source,
    card: ModelCard,
    plan: Plan,
    tags: Mapping[str, str],
    progress: Progress,
) -> Iterator[Write]:
    """Yield a function that writes finished rows to all rasters; they appear together at the end.

    The rows are as the predictor gives them, and calibrated here.

    With two classes the mask says landslide from the threshold on; with more, it gives the
    likeliest class but the background where all these together reach the threshold. Probability and
    mask carry the threshold, and the scene's date where it is known. Where nothing was mapped, that
    is said.
    """
    grid, classes, threshold = source.grid, card.classes, plan.threshold
    bands, date = probability_bands(classes), scene_date(source)
    told = {**tags, **threshold_tag(threshold), **({DATE: date} if date else {})}
    writers = [RasterWriter(outputs.probability, grid, bands, tags=told, overviews="average")]
    if outputs.uncertainty:
        band = [UNCERTAINTY_BAND]
        writers.append(
            RasterWriter(outputs.uncertainty, grid, band, tags=tags, overviews="average")
        )
    if outputs.mask:
        names = dict(enumerate(classes))
        writers.append(
            RasterWriter(
                outputs.mask, grid, ["landslide"], "uint8", told, names, overviews="nearest"
            )
        )
    mapped = 0
    with ExitStack() as stack:
        for writer in writers:
            stack.enter_context(writer)

        def write(values: NDArray[np.float32], valid: NDArray[np.bool_], window: Window) -> None:
            nonlocal mapped
            mapped += int(valid.sum())
            values = plan.calibration.of_raster(values, len(bands))
            probabilities = values[: len(bands)]
            blocks: list[NDArray[Any]] = [probabilities]
            if outputs.uncertainty:
                blocks.append(values[len(bands) :])
            if outputs.mask:
                blocks.append(classified(probabilities, threshold))
            for writer, block in zip(writers, blocks, strict=True):
                writer.write(block, window, valid)

        yield write
        if not mapped:
            warn_of_no_pixel(source.path, card.bands, bool(plan.area), progress)
        for writer, part in zip(writers, progress.parts(len(writers)), strict=True):
            writer.finish(part)


def classified(probabilities: NDArray[np.float32], threshold: float) -> NDArray[np.uint8]:
    """Return each pixel's class, (rows, columns), from all probabilities but the background's."""
    marked = probabilities.sum(axis=0) >= threshold
    likeliest = probabilities.argmax(axis=0) + 1
    return np.where(marked, likeliest, 0).astype(np.uint8)


def probability_bands(classes: Sequence[str]) -> list[str]:
    """Return the names of the probability raster's bands: one a class but the background.

    Letters of all languages stay, and no two have one name.
    """
    if len(classes) == 2:
        return [PROBABILITY_BAND]
    words = [re.sub(r"[\W_]+", "_", name.lower()).strip("_") or "kind" for name in classes[1:]]
    return [f"{name}_probability" for name in unique_names(words)]


def _with_name(path: Path, name: str) -> str:
    return str(path.with_name(f"{path.stem}_{name}{path.suffix}"))
