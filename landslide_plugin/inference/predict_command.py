"""The command predict."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from ...models.calibration import calibration_of
from ...models.device import pick_device
from ...models.model_card import ModelCard
from ..contract.choices import Predict
from ..core.progress import Progress
from ..core.provenance import NO_ORIGIN, Provenance
from ..outputs.whole import require_folder
from ..raster import Source
from ..raster.declared import unique_names
from .fit import fit_card, open_stack
from .members import open_members
from .predictor import Predictor
from .resume import digest_of
from .scene import Outputs, Settings, map_scene
from .sizes import side_of
from .tiling import Tiling


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
    fill: Annotated[str, Predict.FILL] = Predict.FILL.default,
    landslide_fraction: Annotated[
        float | None, Predict.LANDSLIDE_FRACTION
    ] = Predict.LANDSLIDE_FRACTION.default,
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Map the landslide probability of a stack by semantic models and overlapping windows.

    Method: sliding window over the whole area as in Gao et al. 2021 (IEEE JSTARS 14:7881), with
    blended overlaps; bands are taken by name and scaled by the model's own statistics. A stack of
    another resolution than the model's is resampled window by window, and the result back.

    A run that is broken off leaves its finished rows in a hidden folder beside the probability;
    the same run goes on from there, and one with other inputs removes them.

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
        area: polygons; outside is nodata and not computed.
        more_models: files of further models to average with.
        more_stacks: further stacks; their rasters are written beside those of the first, with the
            stack's name added to theirs.
        fill: "auto" or "keep": fill that a stack does not declare is nodata, or is kept.
        landslide_fraction: of the scenes' area, to which probabilities are brought from that of the
            models' patches; None leaves them as the models' temperatures make them. The threshold
            stays.
        origin: what the outputs tell of the run.
        progress: told of each batch.

    Returns:
        probability, mask and uncertainty, the paths; None for those that weren't asked for.

    Raises:
        InputError: a missing or unfit input, or windows that are too small.
        GridError: stack and model, or stack and area, don't fit.
        ModelFileError: a bad model file, the stack lacks bands of the model, or the model does not
            say the fraction of its patches that one was given for.
        OutputError: an output can't be written.
    """
    outputs = Outputs(probability, mask, uncertainty)
    for path in (probability, mask, uncertainty):
        require_folder(path or probability)
    models, stacks = [model, *more_models], [stack, *more_stacks]
    processor = pick_device(device)
    with Source.open(stack, what="stack", need_crs=False) as source:
        Tiling(source.grid.shape, tile_size or 64, overlap)  # refuses what makes no windows
        members = open_members(
            models, source, processor, runtime, tile_size=tile_size, progress=progress
        )
    predictor = Predictor(members, turns=tta, uncertainty=bool(uncertainty))
    cards = [member.card for member in members]
    side, fixed = side_of(members, tile_size, processor)
    settings = Settings(
        side=side,
        fixed=fixed,
        overlap=overlap,
        batch_size=batch_size,
        threshold=_threshold(threshold, cards, progress),
        area=area,
        key={
            "models": [digest_of(path) for path in models],
            "runtimes": [member.runtime.name for member in members],
            "options": [tta, bool(uncertainty), fill],
        },
        tags=origin.with_model(predictor.card.name).tags(),
        calibration=calibration_of(cards, landslide_fraction),
    )
    for path in more_stacks:  # before the work on any
        with open_stack(path, predictor.card, Progress()):
            pass
    for number, (path, written) in enumerate(_written(outputs, stacks)):
        part = progress.part(number / len(stacks), (number + 1) / len(stacks))
        with open_stack(path, predictor.card, part, fill) as source:
            fitted = [replace(one, card=fit_card(one.card, source, part)) for one in members]
            asked = Predictor(fitted, turns=tta, uncertainty=bool(uncertainty))
            map_scene(source, asked, written, settings, processor, part)
    return {"probability": probability, "mask": mask or None, "uncertainty": uncertainty or None}


def _threshold(asked: float | None, cards: Sequence[ModelCard], progress: Progress) -> float:
    """Return what was asked for, else the first model's; tell which, and where models differ."""
    if asked is not None:
        progress.message(f"The threshold is {asked:g}, as asked for.")
        return asked
    thresholds = dict.fromkeys((card.name, card.threshold) for card in cards)
    first = cards[0]
    progress.message(f"The threshold is {first.threshold:g}, that of the model {first.name}.")
    if len({threshold for _, threshold in thresholds}) > 1:
        listed = ", ".join(f"{name} {threshold:g}" for name, threshold in thresholds)
        progress.warning(
            f"The models' thresholds differ ({listed}) and that of the first is taken: give one "
            "that was chosen for their mean."
        )
    return first.threshold


def _written(outputs: Outputs, stacks: Sequence[str]) -> Iterator[tuple[str, Outputs]]:
    """Yield each stack with what is written of it: the further ones' have its name added."""
    yield stacks[0], outputs
    names = unique_names([Path(path).stem for path in stacks[1:]])
    yield from ((path, outputs.beside(name)) for path, name in zip(stacks[1:], names, strict=True))
