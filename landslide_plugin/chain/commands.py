"""The command `map`."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...models.model_card import ModelCard
from ...models.model_file import load_card
from ..errors import InputError, OutputError
from ..factors.commands import stack
from ..inference.commands import predict
from ..inventory.commands import vectorize
from ..outputs import PARTIAL_PREFIX
from ..progress import Progress
from ..provenance import CURRENT
from ..raster.source import Source
from ..raster.stack import LayerStack
from .choice import choose_model
from .derive import Derivation, derive
from .plan import Given, Plan, plan


def map(
    *,
    image: str,
    inventory: str,
    probability: str,
    dem: str = "",
    model: str = "",
    rivers: str = "",
    faults: str = "",
    geology: str = "",
    geology_field: str = "",
    area: str = "",
    sensor: str = "auto",
    smoothing: float = 0.0,
    stream_area: float = 1.0,
    threshold: float | None = None,
    min_area: float = 0.0,
    device: str = "auto",
    progress: Progress,
) -> dict[str, Any]:
    """Map landslides from image and DEM: derive what the model wants, predict, vectorize.

    Args:
        image: the scene, bands named or of a known sensor.
        inventory: output polygons.
        probability: output raster.
        dem: elevation in metres, covering the image; without it the inventory has no attributes
            of terrain, and models that want terrain can't be used.
        model: a semantic model file; when empty, one of those that ship.
        rivers: river lines; derived from the DEM when the model wants them and none are given.
        faults: fault lines, where the model wants the distance to them.
        geology: lithology polygons, where the model wants classes.
        geology_field: the field of `geology` that names the class.
        area: polygons to map within; the whole image when empty.
        sensor: see `spectralindices`.
        smoothing: Gaussian standard deviation in metres, as when the model's terrain was derived.
        stream_area: km2 that a derived stream drains at least.
        threshold: probability from which a pixel is landslide; the model's own when None.
        min_area: smallest polygon kept, m2.
        device: "auto", "cpu", "cuda" or "mps".
        progress: where progress goes.

    Returns:
        `inventory`, `probability`, `count` and `area_m2`.

    Raises:
        InputError: a layer that the model needs is missing or unfit, or no model fits.
        ModelFileError: the model file is damaged or of another kind.
    """
    given = Given(dem=dem, rivers=rivers, faults=faults, geology=geology)
    model, card = _model(model, image, given, sensor, progress)
    CURRENT.model = card.name
    wanted = plan(card.bands, given)
    _check_image(image, wanted, sensor)
    progress.message(f"The model {card.name} wants {', '.join(card.bands)}. {wanted.describe()}")
    how = Derivation(geology_field, sensor, smoothing, stream_area)
    with _scratch(inventory) as folder:
        derived = derive(image, given, wanted, how, folder, progress.part(0.0, 0.3))
        stacked = stack(
            layers=derived.layers,
            reference=image,
            area=area,
            sensor=sensor,
            output=str(folder / "stack.tif"),
            progress=progress.part(0.3, 0.45),
        )["output"]
        mapped = predict(
            stack=stacked,
            model=model,
            probability=probability,
            device=device,
            threshold=threshold,
            progress=progress.part(0.45, 0.9),
        )
        polygons = vectorize(
            input=mapped["probability"],
            output=inventory,
            threshold=card.threshold if threshold is None else threshold,
            min_area=min_area,
            factors=derived.terrain,
            model=card.name,
            progress=progress.part(0.9, 1.0),
        )
    return {
        "inventory": polygons["output"],
        "probability": mapped["probability"],
        "count": polygons["count"],
        "area_m2": polygons["area_m2"],
    }


def _model(
    model: str, image: str, given: Given, sensor: str, progress: Progress
) -> tuple[str, ModelCard]:
    """Return the model given, or one that ships; tell which and where it does not work."""
    if model:
        return model, load_card(model)
    with LayerStack.open([image], sensor=sensor, what="image") as layer:
        bands, resolution = layer.bands, layer.grid.resolution
    with Source.open(image, what="image") as source:
        synthetic = source.dataset.tags().get("LANDSLIDE_ALGORITHM") == "landslide:demoarea"
    choice = choose_model(bands, resolution, given, synthetic=synthetic)
    progress.message(choice.reason)
    for limit in choice.limits:
        progress.warning(limit)
    return str(choice.path), choice.card


def _check_image(image: str, wanted: Plan, sensor: str) -> None:
    """Refuse an image without the bands that nothing else can give, before anything is derived."""
    with LayerStack.open([image], sensor=sensor, what="image") as layer:
        missing = [band for band in wanted.image if band not in layer.bands]
        if missing:
            raise InputError(
                f"The image {image} lacks {', '.join(missing)}, which the model wants; it has "
                f"{', '.join(layer.bands)}: name its bands so, or take another model."
            )


@contextmanager
def _scratch(output: str) -> Iterator[Path]:
    """Yield a folder for intermediate layers, beside the output and removed at the end."""
    parent = Path(output).parent
    if not parent.is_dir():
        raise OutputError(
            f"The output folder {parent} does not exist: create it or choose another."
        )
    prefix = f"{PARTIAL_PREFIX}{os.getpid()}-map-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as folder:
        yield Path(folder)
