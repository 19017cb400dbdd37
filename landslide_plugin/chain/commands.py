"""The command `map`."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...models.model_file import load_card
from ..errors import InputError, OutputError
from ..factors.commands import (
    classes,
    distance,
    spectralindices,
    stack,
    streams,
    terrainfactors,
)
from ..inference.commands import predict
from ..inventory.commands import vectorize
from ..outputs import PARTIAL_PREFIX
from ..progress import Progress
from ..provenance import CURRENT
from ..raster.stack import LayerStack
from .plan import FAULTS, GEOLOGY, RIVERS, Plan, plan


def map(
    *,
    image: str,
    dem: str,
    model: str,
    inventory: str,
    probability: str,
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
        dem: elevation in metres, covering the image.
        model: a semantic model file.
        inventory: output polygons.
        probability: output raster.
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
        InputError: a layer that the model needs is missing or unfit.
        ModelFileError: the model file is damaged or of another kind.
    """
    card = load_card(model)
    CURRENT.model = card.name
    wanted = plan(card.bands, faults=faults, geology=geology)
    _check_image(image, wanted)
    progress.message(f"The model {card.name} wants {', '.join(card.bands)}. {wanted.describe()}")
    with _scratch(inventory) as folder:
        layers = _derive(
            wanted,
            folder,
            {
                "image": image,
                "dem": dem,
                "rivers": rivers,
                "faults": faults,
                "geology": geology,
                "geology_field": geology_field,
                "sensor": sensor,
                "smoothing": smoothing,
                "stream_area": stream_area,
            },
            progress.part(0.0, 0.3),
        )
        stacked = str(folder / "stack.tif")
        stack(
            layers=layers,
            reference=image,
            area=area,
            output=stacked,
            progress=progress.part(0.3, 0.45),
        )
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
            factors=layers[1],
            model=card.name,
            progress=progress.part(0.9, 1.0),
        )
    return {
        "inventory": polygons["output"],
        "probability": mapped["probability"],
        "count": polygons["count"],
        "area_m2": polygons["area_m2"],
    }


def _check_image(image: str, wanted: Plan) -> None:
    """Refuse an image without the bands that nothing else can give, before anything is derived."""
    with LayerStack.open([image], what="image") as layer:
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


def _derive(wanted: Plan, folder: Path, given: dict[str, Any], progress: Progress) -> list[str]:
    """Derive the layers; return their paths, the image first, terrain second."""
    image, dem = given["image"], given["dem"]

    def out(name: str) -> str:
        return str(folder / name)

    terrain = terrainfactors(
        input=dem,
        output=out("terrain.tif"),
        factors=wanted.terrain,
        smoothing=given["smoothing"],
        progress=progress.part(0.0, 0.3),
    )["output"]
    layers = [image, terrain]
    if wanted.indices:
        layers.append(
            spectralindices(
                input=image,
                output=out("indices.tif"),
                indices=wanted.indices,
                sensor=given["sensor"],
                progress=progress.part(0.3, 0.4),
            )["output"]
        )
    rivers = given["rivers"]
    if wanted.rivers and not rivers:
        rivers = streams(
            input=dem,
            output=out("streams.gpkg"),
            min_area=given["stream_area"],
            progress=progress.part(0.4, 0.7),
        )["output"]
    for name, lines, needed in (
        (RIVERS, rivers, wanted.rivers),
        (FAULTS, given["faults"], wanted.faults),
    ):
        if needed:
            layers.append(
                distance(
                    input=lines,
                    reference=image,
                    output=out(f"{name}.tif"),
                    name=name,
                    progress=progress.part(0.7, 0.9),
                )["output"]
            )
    if wanted.geology:
        layers.append(
            classes(
                input=given["geology"],
                field=given["geology_field"],
                reference=image,
                output=out(f"{GEOLOGY}.tif"),
                name=GEOLOGY,
                progress=progress.part(0.9, 1.0),
            )["output"]
        )
    return layers
