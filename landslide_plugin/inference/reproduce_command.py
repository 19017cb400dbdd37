"""The command reproduce."""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from typing import Annotated, Any

from ..contract.choices import Reproduce
from ..contract.errors import InputError
from ..core.progress import Progress
from ..core.provenance import NO_ORIGIN, Provenance
from ..outputs.whole import require_folder, whole_file
from ..raster import Source
from .crew import hired
from .decide import Scene
from .obey import difference, obey
from .plan import Plan
from .scene import Outputs, map_scene, probability_bands
from .windows import Area


def reproduce(
    *,
    raster: str,
    output: str,
    stack: str = "",
    models: Sequence[str] = (),
    area: str = "",
    scheduler: Annotated[str, Reproduce.SCHEDULER] = Reproduce.SCHEDULER.default,
    workers: Annotated[int, Reproduce.WORKERS] = Reproduce.WORKERS.default,
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Make a probability raster again by the plan that it carries, and compare.

    Args:
        raster: made by `predict` or `map`.
        output: raster to write.
        stack: where the stack lies now; where the plan says when empty.
        models: where the model files lie now, in their order; where the plan says when empty.
        area: the polygons that were mapped, if any.
        scheduler: see `predict`.
        workers: see `predict`.
        origin: what the output tells of the run.
        progress: told of each batch, and of what differs.

    Returns:
        output; pixels, how many hold a probability; differing, how many of these are others; and
        largest, by how much at most, None where one of both holds nothing.

    Raises:
        InputError: the raster carries no plan, or versions, models, stack or area are others.
        OutputError: the output can't be written.
    """
    require_folder(output)
    with Source.open(raster, need_crs=False) as source:
        plan = Plan.of_tags(source.dataset.tags(), raster)
        bands, grid = source.bands, source.grid
    if models and len(models) != len(plan.files):
        raise InputError(
            f"{raster} was made by {len(plan.files)} model files, but MODELS has {len(models)}: "
            "give these, in their order."
        )
    plan = replace(plan, path=stack or plan.path, models=list(models or plan.models))
    if not plan.path:
        raise InputError(
            f"The stack of which {raster} was made was not kept: stack the same layers again, and "
            "give that as STACK."
        )
    scene = obey(plan, progress.part(0, 0.05))
    if bands != probability_bands(scene.predictor.card.classes):
        raise InputError(
            f"{raster} has the bands {', '.join(bands)}, not a model's probabilities: give the "
            "probability raster that was written with it."
        )
    _require_same(scene, grid.shape, raster, area)
    tags = origin.with_model(scene.predictor.card.name).tags()
    part = progress.part(0.05, 0.95)
    with whole_file(output) as again:  # outputs appear at a command's end, which is too late
        with hired(scheduler, workers) as crew:
            to = Outputs(str(again))
            map_scene(scene, to, part, area=area, may_lie_apart=True, tags=tags, crew=crew)
        compared = _compared(raster, str(again), progress)
    return {"output": output, **compared}


def _require_same(scene: Scene, shape: tuple[int, int], raster: str, area: str) -> None:
    """Refuse a raster that was cut since, and another area."""
    with scene.open() as source:
        grid = source.grid
        if grid.shape != shape:
            raise InputError(
                f"{raster} has {shape[0]} rows and {shape[1]} columns, its stack {grid.height} and "
                f"{grid.width}: it was cut or resampled since, give the raster as it was written."
            )
        given = Area.read(area, grid, Progress(), may_lie_apart=True).digest() if area else ""
    if given != scene.plan.area:
        mapped = "an AREA" if scene.plan.area else "all of its stack, without an AREA"
        raise InputError(f"{raster} was made of {mapped}: give just that.")


def _compared(raster: str, again: str, progress: Progress) -> dict[str, Any]:
    """Return in what two rasters differ, and tell it."""
    with Source.open(raster, need_crs=False) as one, Source.open(again, need_crs=False) as other:
        pixels, differing, largest = difference(one, other)
    if not differing:
        progress.message(f"Identical: all {pixels} pixels are the same to the last bit.")
    elif isfinite(largest):
        progress.warning(
            f"{differing} of {pixels} pixels differ, by {largest:.2g} at most: another processor "
            "rounds otherwise, or the raster or its stack was changed since."
        )
    else:
        progress.warning(
            f"{differing} of {pixels} pixels differ, and some have a probability in one of both "
            "only: the raster or its stack was changed since."
        )
    progress.update(1)
    return {
        "pixels": pixels,
        "differing": differing,
        "largest": largest if isfinite(largest) else None,
    }
