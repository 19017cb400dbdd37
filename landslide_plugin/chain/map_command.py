"""The command `map`."""

import math
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import rasterio

from ...models.model_card import ModelCard
from ...models.model_file import load_card
from .. import __version__
from ..contract.choices import Map
from ..contract.errors import InputError
from ..core.ahead import read_ahead
from ..core.progress import Listening, Progress
from ..core.provenance import NO_ORIGIN, Provenance
from ..core.system import replace as move
from ..inference.crew import require_scheduler
from ..inference.predict_command import predict
from ..inference.resume import digest_of
from ..inventory.trace import TERRAIN
from ..inventory.vectorize_command import vectorize
from ..outputs.kept import kept_folder
from ..outputs.whole import require_folder, whole_file
from ..raster.stack import LayerStack
from ..raster.writer import RasterWriter
from ..reports.page import write_report
from ..vector.layers import require_vector_output
from .choice import Choice, choose_model
from .derive import Derivation
from .image import Image
from .layers import NOTE, Layers, facts_of, layers
from .plan import Given, Plan, plan
from .report import Mapped, map_report


def map(
    *,
    image: str,
    inventory: str,
    probability: str,
    html: str = "",
    dem: str = "",
    model: str = "",
    rivers: str = "",
    faults: str = "",
    geology: str = "",
    geology_field: str = "",
    area: str = "",
    sensor: Annotated[str, Map.SENSOR] = Map.SENSOR.default,
    scale: Annotated[float | None, Map.SCALE] = Map.SCALE.default,
    offset: Annotated[float | None, Map.OFFSET] = Map.OFFSET.default,
    smoothing: Annotated[float | None, Map.SMOOTHING] = Map.SMOOTHING.default,
    stream_area: Annotated[float, Map.STREAM_AREA] = Map.STREAM_AREA.default,
    z_unit: Annotated[str, Map.Z_UNIT] = Map.Z_UNIT.default,
    threshold: Annotated[float | None, Map.THRESHOLD] = Map.THRESHOLD.default,
    min_area: Annotated[float, Map.MIN_AREA] = Map.MIN_AREA.default,
    min_slope: Annotated[float, Map.MIN_SLOPE] = Map.MIN_SLOPE.default,
    device: Annotated[str, Map.DEVICE] = Map.DEVICE.default,
    fill: Annotated[str, Map.FILL] = Map.FILL.default,
    landslide_fraction: Annotated[
        float | None, Map.LANDSLIDE_FRACTION
    ] = Map.LANDSLIDE_FRACTION.default,
    scheduler: Annotated[str, Map.SCHEDULER] = Map.SCHEDULER.default,
    workers: Annotated[int, Map.WORKERS] = Map.WORKERS.default,
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Map landslides from image and DEM: derive what the model wants, predict, vectorize.

    A run that is broken off leaves its layers, and what is finished of the probability, in a hidden
    folder beside that; the same run goes on from there, and one with other inputs removes them.

    Args:
        image: the scene, bands named or of a known sensor.
        inventory: output polygons.
        probability: output raster.
        html: report to write; none when empty.
        dem: elevation, covering the image; without it the inventory has no attributes
            of terrain, and models that want terrain can't be used.
        model: a semantic model file; when empty, one of those that ship.
        rivers: river lines, whose distance is an attribute too; derived from the DEM when the
            model wants them and none are given.
        faults: fault lines, where the model wants the distance to them.
        geology: lithology polygons or a class raster, where the model wants classes.
        geology_field: the field of the polygons that names the class.
        area: polygons to map within; the whole image when empty.
        sensor: see `spectralindices`.
        scale: of the image, likewise; so is `offset`.
        offset: see `scale`.
        smoothing: Gaussian standard deviation in metres, as when the model's terrain was derived;
            what the model's card says when None, and 0 where it says nothing.
        stream_area: km2 that a derived stream drains at least.
        z_unit: of the DEM's heights, see `terrainfactors`.
        threshold: probability from which a pixel is landslide; the model's own when None.
        min_area: smallest polygon kept, m2.
        min_slope: degrees of the DEM; flatter ground holds no landslide.
        device: "auto", "cpu", "cuda" or "mps".
        fill: "auto" or "keep": fill that image or DEM do not declare is nodata, or kept.
        landslide_fraction: see `predict`.
        scheduler: see `predict`.
        workers: see `predict`.
        origin: what the outputs tell of the run.
        progress: where progress goes.

    Returns:
        `inventory`, `probability`, `html` (None where not asked for), `count` and `area_m2`.

    Raises:
        InputError: a layer that the model needs is missing or unfit, or no model fits.
        ModelFileError: the model file is damaged or of another kind.
    """
    require_vector_output(inventory, unknown=True)
    for path in (probability, html):
        require_folder(path or probability)
    require_scheduler(scheduler)
    progress = heard = Listening(progress)
    if min_slope > 0 and not dem:
        raise InputError(
            f"To leave out ground flatter than {min_slope:g} degrees, give a DEM, or set it to 0."
        )
    given = Given(dem=dem, rivers=rivers, faults=faults, geology=geology)
    scene = Image.read(image, sensor)
    if dem:
        scene.require_on(dem)
    chosen, wanted = _chosen(model, scene, given, progress)
    card = chosen.card
    origin = origin.with_model(card.name)
    settings = Derivation(
        geology_field=geology_field,
        sensor=sensor,
        smoothing=_smoothing(smoothing, card, progress) if dem else 0.0,
        stream_area=stream_area,
        z_unit=z_unit,
        fill=fill,
        scale=scale,
        offset=offset,
        origin=origin,
    )
    output = Path(probability).absolute()
    decisive = {
        "version": __version__,
        "folder": str(output.parent),
        "model": digest_of(chosen.path),
        "settings": asdict(replace(settings, origin=NO_ORIGIN)),
        "inputs": [*scene.files, *facts_of(given, area)],
        "prediction": [threshold, device, landslide_fraction],
    }
    with (
        kept_folder(output, decisive, NOTE) as folder,
        whole_file(probability) as mapped,
        whole_file(inventory) as polygons,
    ):
        ready = layers(
            image, given, wanted, area, settings, folder, heard, progress.part(0.0, 0.45)
        )
        drawn = Mapped(
            inventory=str(polygons),
            probability=str(folder / "map.tif"),
            ground=_ground(ready),
            chosen=chosen,
            threshold=card.threshold if threshold is None else threshold,
            min_area=min_area,
            min_slope=min_slope,
            date=scene.date,
            steps=ready.derived.steps,
            origin=origin,
        )
        if not _is_of(drawn.probability, origin):
            predict(
                stack=ready.path,
                model=str(chosen.path),
                probability=drawn.probability,
                device=device,
                fill="keep",  # the stack declares it
                threshold=threshold,
                landslide_fraction=landslide_fraction,
                scheduler=scheduler,
                workers=workers,
                origin=origin,
                progress=progress.part(0.45, 0.9),
            )
        counted = vectorize(
            input=drawn.probability,
            output=drawn.inventory,
            min_area=min_area,
            min_slope=min_slope,
            factors=_attributes(ready, folder, progress.part(0.9, 0.93)),
            model=card.name,
            date=scene.date,
            fill="keep",
            origin=origin,
            progress=progress.part(0.93, 0.98 if html else 1.0),
        )
        if html:
            write_report(html, map_report(drawn, heard.warnings))
            progress.update(1.0)
        move(drawn.probability, mapped)
    return {
        "inventory": inventory,
        "probability": probability,
        "html": html or None,
        "count": counted["count"],
        "area_m2": counted["area_m2"],
    }


def _is_of(probability: str, origin: Provenance) -> bool:
    """Whether a raster is there, finished by a run that tells the same of itself."""
    if not Path(probability).is_file():
        return False
    with rasterio.open(probability) as raster:
        tags = raster.tags()
    return all(tags.get(name) == text for name, text in origin.tags().items())


def _chosen(model: str, image: Image, given: Given, progress: Progress) -> tuple[Choice, Plan]:
    """Return the model given, or one that ships, and what it wants; tell which, why and of what."""
    if model:
        card = load_card(model)
        reason = f"The model {card.name} was given: {Path(model).name}."
        choice = Choice(Path(model), card, reason, card.limits)
    else:
        choice = choose_model(image.bands, image.grid.resolution, given, synthetic=image.synthetic)
        progress.message(choice.reason)
        for limit in choice.limits:
            progress.warning(limit)
    card = choice.card
    wanted = plan(card.bands, given, card.units)
    image.require(wanted)
    progress.message(f"The model {card.name} wants {', '.join(card.bands)}. {wanted.describe()}")
    return choice, wanted


def _smoothing(asked: float | None, card: ModelCard, progress: Progress) -> float:
    """Return the metres asked for, or those of the model's training; 0 where that says nothing."""
    value = card.training.get("smoothing") if asked is None else asked
    if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
        return 0.0
    if asked is None:
        progress.message(f"The DEM is smoothed by {value:g} m, as in the model's training.")
    return float(value)


def _attributes(ready: Layers, folder: Path, progress: Progress) -> str:
    """Return one raster of the layers that attributes are drawn from; "" if there is none.

    It is on the stack's grid, for the DEM's pixels may be larger, and each band has its own valid
    pixels: rivers are known where the DEM ends.
    """
    attributes, path = ready.derived.attributes, folder / "attributes.tif"
    if len(attributes) < 2:
        return "".join(attributes)
    with LayerStack.open(attributes, reference=ready.path) as drawn:
        bands = [band for band in drawn.bands if band in TERRAIN]
        windows = list(drawn.windows())
        blocks = read_ahead(partial(drawn.read, bands=bands), windows)
        with RasterWriter(path, drawn.grid, bands) as writer:
            for window, (values, valid) in zip(windows, blocks, strict=True):
                writer.write(values, window, valid)
                progress.update((window.row_off + window.height) / drawn.grid.height)
    return str(path)


def _ground(ready: Layers) -> str:
    """Return the raster behind the report's outlines: in colour, else a hillshade."""
    in_colour = {"red", "green", "blue"} <= set(ready.bands)
    terrain = ready.derived.terrain
    return terrain if terrain and not in_colour else ready.path
