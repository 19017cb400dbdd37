"""Maps one scene by an open predictor: windows, outputs, and what is kept for going on."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.windows import Window

from ...models.calibration import UNCALIBRATED, Calibration
from ...models.model_card import ModelCard
from ..contract.errors import InputError
from ..contract.tags import DATE
from ..core.progress import Progress
from ..raster import Grid, RasterWriter, Source
from ..raster.scene_date import scene_date
from ..raster.threshold import threshold_tag
from .accumulator import Write
from .predictor import Predictor
from .resume import identity, journal
from .semantic import map_probability
from .sizes import plan_windows
from .windows import Area, Reader

PROBABILITY_BAND = "landslide_probability"
UNCERTAINTY_BAND = "landslide_probability_std"
READING_THREADS = {"cuda": 4}


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


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How scenes are mapped.

    Attributes:
        side: side of what the networks get, in pixels.
        fixed: whether they take no other.
        overlap: share of a window that the next one has too; None chooses.
        batch_size: windows at once; 0 chooses by device.
        threshold: landslide probability from which a pixel is marked.
        area: polygons outside which nothing is wanted; empty for everywhere.
        key: what identifies models and options, for a run that goes on.
        tags: metadata items of all rasters.
        calibration: of the probabilities; the threshold is one of those after it.
    """

    side: int
    fixed: bool
    overlap: float | None
    batch_size: int
    threshold: float
    area: str
    key: dict[str, Any]
    tags: Mapping[str, str] = field(default_factory=dict)
    calibration: Calibration = UNCALIBRATED


def map_scene(
    source: Source,
    predictor: Predictor,
    outputs: Outputs,
    settings: Settings,
    device: torch.device,
    progress: Progress,
) -> None:
    """Write the rasters of one scene; going on from the rows that a broken run has finished.

    Raises:
        InputError: the stack or the area is damaged or unfit, or was changed meanwhile, or the
            memory is too small.
        GridError: the area lies elsewhere.
        OutputError: an output can't be written.
    """
    grid, card = source.grid, predictor.card
    plan = plan_windows(
        grid,
        card,
        side=settings.side,
        fixed=settings.fixed,
        overlap=settings.overlap,
        batch_size=settings.batch_size,
        least=predictor.side_by_side,
        device=device,
    )
    tiling, size, side = plan.tiling, plan.tiling.size, plan.side
    area = Area.read(settings.area, grid, progress) if settings.area else None
    reader = Reader(source, card, tiling, area, READING_THREADS.get(device.type, 1))
    progress.message(
        f"{len(tiling)} windows of {size} x {size} pixels, {tiling.shared} of them shared with the "
        f"next, {plan.batch_size} at once"
        + (f"; resampled to {side} x {side} for the model." if plan.is_resampled else ".")
    )
    key = {
        **settings.key,
        "stack": identity(source),
        "area": area.digest() if area else "",
        "tiling": [grid.shape, size, side, tiling.shared, plan.batch_size],
        "device": device.type,
    }
    with (
        journal(outputs.probability, key, grid, predictor.channels) as kept,
        open_outputs(outputs, grid, card, settings, scene_date(source)) as write,
    ):

        def keep(values: NDArray[np.float32], valid: NDArray[np.bool_], window: Window) -> None:
            write(values, valid, window)
            kept.add(values, valid, window)

        finished = kept.replay(write)
        if finished:
            progress.message(
                f"Going on from row {finished} of {grid.height} of a run that was broken off."
            )
        map_probability(
            predictor.resampled(side if plan.is_resampled else 0),
            reader,
            grid,
            tiling,
            keep,
            batch_size=plan.batch_size,
            device=device,
            finished=finished,
            progress=progress.part(0, 0.98),
        )
        if identity(source) != key["stack"]:
            raise InputError(
                f"The stack {source.path} was changed while it was mapped: map it again once "
                "nothing writes to it."
            )
    progress.update(1)


@contextmanager
def open_outputs(
    outputs: Outputs, grid: Grid, card: ModelCard, settings: Settings, date: str = ""
) -> Iterator[Write]:
    """Yield a function that writes finished rows to all rasters; they appear together at the end.

    The rows are as the predictor gives them, and calibrated here.

    With two classes the mask says landslide from the threshold on; with more, it gives the
    likeliest class but the background where all these together reach the threshold. Probability and
    mask carry the threshold, and the scene's date where it is known.
    """
    classes, threshold, tags = card.classes, settings.threshold, dict(settings.tags)
    bands = probability_bands(classes)
    told = tags | threshold_tag(threshold) | ({DATE: date} if date else {})
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
    with ExitStack() as stack:
        for writer in writers:
            stack.enter_context(writer)

        def write(values: NDArray[np.float32], valid: NDArray[np.bool_], window: Window) -> None:
            values = settings.calibration.of_raster(values, len(bands))
            probabilities = values[: len(bands)]
            blocks: list[NDArray[Any]] = [probabilities]
            if outputs.uncertainty:
                blocks.append(values[len(bands) :])
            if outputs.mask:
                blocks.append(classified(probabilities, threshold))
            for writer, block in zip(writers, blocks, strict=True):
                writer.write(block, window, valid)

        yield write
        for writer in writers:
            writer.finish()


def classified(probabilities: NDArray[np.float32], threshold: float) -> NDArray[np.uint8]:
    """Return each pixel's class, (rows, columns), from all probabilities but the background's."""
    marked = probabilities.sum(axis=0) >= threshold
    likeliest = probabilities.argmax(axis=0) + 1
    return np.where(marked, likeliest, 0).astype(np.uint8)


def probability_bands(classes: Sequence[str]) -> list[str]:
    """Return the names of the probability raster's bands: one a class but the background."""
    if len(classes) == 2:
        return [PROBABILITY_BAND]
    return [f"{re.sub(r'[^0-9a-z]+', '_', name.lower())}_probability" for name in classes[1:]]


def _with_name(path: Path, name: str) -> str:
    return str(path.with_name(f"{path.stem}_{name}{path.suffix}"))
