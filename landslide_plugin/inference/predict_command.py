"""The command predict."""

from collections.abc import Sequence
from dataclasses import astuple
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from ...models.device import pick_device
from ..contract.choices import Predict
from ..contract.errors import GridError, InputError
from ..core.progress import Progress
from ..core.provenance import NO_ORIGIN, Provenance
from ..core.system import one_name
from ..outputs.whole import require_folder
from ..raster.declared import unique_names
from .crew import hired
from .decide import Scene, Wishes, decide
from .scene import Outputs, map_scene
from .windows import Area


def predict(
    *,
    stack: str,
    model: str,
    probability: str,
    mask: str = "",
    uncertainty: str = "",
    tile_size: Annotated[int, Predict.TILE_SIZE] = Predict.TILE_SIZE.default,
    overlap: Annotated[float | None, Predict.OVERLAP] = Predict.OVERLAP.default,
    batch_size: Annotated[int, Predict.BATCH_SIZE] = Predict.BATCH_SIZE.default,
    device: Annotated[str, Predict.DEVICE] = Predict.DEVICE.default,
    runtime: Annotated[str, Predict.RUNTIME] = Predict.RUNTIME.default,
    threshold: Annotated[float | None, Predict.THRESHOLD] = Predict.THRESHOLD.default,
    tta: Annotated[bool, Predict.TTA] = Predict.TTA.default,
    area: str = "",
    more_models: Sequence[str] = (),
    more_stacks: Sequence[str] = (),
    light: str = "",
    fill: Annotated[str, Predict.FILL] = Predict.FILL.default,
    landslide_fraction: Annotated[
        float | None, Predict.LANDSLIDE_FRACTION
    ] = Predict.LANDSLIDE_FRACTION.default,
    scheduler: Annotated[str, Predict.SCHEDULER] = Predict.SCHEDULER.default,
    workers: Annotated[int, Predict.WORKERS] = Predict.WORKERS.default,
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Map the landslide probability of a stack by semantic models and overlapping windows.

    Method: sliding window over the whole area as in Gao et al. 2021 (IEEE JSTARS 14:7881), with
    blended overlaps; bands are taken by name and scaled by the model's own statistics. A stack of
    another resolution than the model's is resampled window by window, and the result back.

    A run that is broken off leaves its finished units, whole rows of windows, in a hidden folder
    beside the probability; the same run goes on from there, and one with other inputs removes them.

    Args:
        stack: raster that has the models' bands, in any order.
        model: the model file.
        probability: raster to write: float32, 0..1, nodata -9999 where a needed band has none; one
            band, or with more than two classes one for each but the background.
        mask: raster to write: uint8, 1 landslide (or the class's number), 0 background, 255
            nodata; none when empty.
        uncertainty: raster to write: the standard deviation of the landslide probability between
            the models, or the turns of a single one; none when empty.
        tile_size: side of the windows in the model's pixels; 0 chooses by model and device.
        overlap: share of a window that it has in common with the next, 0 to 0.9; None chooses.
        batch_size: windows computed at once; 0 chooses by device. Halved where memory is short.
        device: auto, cpu, cuda or mps.
        runtime: what computes: auto, torch, openvino or onnx.
        threshold: probability from which the mask is 1, which the probability raster carries for
            what comes after it; None takes the model's, of several the first one's.
        tta: also ask for each window turned and mirrored, and average (eight times the work).
        area: polygons; outside is nodata and not computed. Of several stacks some may show none.
        more_models: files of further models to average with.
        more_stacks: further stacks; their rasters are written beside those of the first, with the
            stack's name added to theirs.
        light: raster of the whole scene, of which the stacks are parts: models that are fitted to a
            scene's light take it from there, so that parts mapped in other runs have the same;
            empty to take it from the stacks.
        fill: "auto" or "keep": fill that a stack does not declare is nodata, or is kept.
        landslide_fraction: of the scenes' area, to which probabilities are brought from that of the
            models' patches; None leaves them as the models' temperatures make them. The threshold
            stays.
        scheduler: address of Dask's scheduler, whose workers compute; they see all files under the
            same paths. Empty for none.
        workers: processes on this machine that compute where there is no scheduler, each by one
            thread; 0 computes here. The pixels are the same.
        origin: what the outputs tell of the run.
        progress: told of each block that is looked at, and of each batch.

    Returns:
        probability, mask and uncertainty, the paths; None for those that weren't asked for.

    Raises:
        InputError: a missing or unfit input, or windows that are too small, or workers or their
            scheduler don't serve.
        GridError: stack and model, or stack and area, don't fit.
        ModelFileError: a bad model file, the stack lacks bands of the model, or the model does not
            say the fraction of its patches that one was given for.
        OutputError: an output can't be written.
    """
    outputs = Outputs(probability, mask, uncertainty)
    for path in (probability, mask, uncertainty):
        require_folder(path or probability)
    stacks = [stack, *more_stacks]
    written = _written(outputs, stacks)
    wishes = Wishes(
        device=pick_device(device),
        runtime=runtime,
        tile_size=tile_size,
        overlap=overlap,
        batch_size=batch_size,
        threshold=threshold,
        turns=tta,
        uncertainty=bool(uncertainty),
        fill=fill,
        light=light,
        landslide_fraction=landslide_fraction,
        threads=1 if scheduler or workers else 0,
    )
    looking, mapping = progress.part(0, 0.05), progress.part(0.05, 1)
    with hired(scheduler, workers) as crew:
        scenes = decide([model, *more_models], stacks, wishes, looking)
        tags = origin.with_model(scenes[0].predictor.card.name).tags()
        if area and more_stacks:
            _require_area(area, scenes)
        for scene, its, part in zip(scenes, written, mapping.parts(len(stacks)), strict=True):
            map_scene(
                scene,
                its,
                part,
                area=area,
                may_lie_apart=bool(more_stacks),
                tags=tags,
                crew=crew,
            )
    return {"probability": probability, "mask": mask or None, "uncertainty": uncertainty or None}


def _require_area(area: str, scenes: Sequence[Scene]) -> None:
    """Refuse an area that no stack shows, or that can't be laid over one, before any is mapped.

    Raises:
        InputError: no polygon layer.
        GridError: it lies elsewhere, or a CRS is missing.
    """
    is_shown = False
    for scene in scenes:
        with scene.open() as source:
            is_shown |= Area.read(area, source.grid, Progress(), may_lie_apart=True).is_on_grid
    if not is_shown:
        raise GridError(f"The area {area} overlaps none of the stacks: check its CRS.")


def _written(outputs: Outputs, stacks: Sequence[str]) -> list[Outputs]:
    """Return what is written of each stack: the further ones' have its name added.

    Raises:
        InputError: two rasters would be one file.
    """
    names = unique_names([Path(path).stem for path in stacks[1:]])
    written = [outputs, *map(outputs.beside, names)]
    taken: set[str] = set()
    for path in filter(None, chain(*map(astuple, written))):
        if one_name(path) in taken:
            raise InputError(
                f"{path} would be written twice, as the rasters of further stacks have these' "
                "names added: choose other names for PROBABILITY, MASK and UNCERTAINTY."
            )
        taken.add(one_name(path))
    return written
