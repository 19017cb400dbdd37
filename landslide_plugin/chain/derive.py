"""The layers that a model wants, derived from what is given."""

from dataclasses import dataclass
from pathlib import Path

from ..factors.commands import classes, distance, spectralindices, streams, terrainfactors
from ..progress import Progress
from .plan import FAULTS, GEOLOGY, RIVERS, Given, Plan


@dataclass(frozen=True)
class Derivation:
    """How layers are derived.

    Attributes:
        geology_field: field of the geology that names the class.
        sensor: see `spectralindices`.
        smoothing: of the DEM, metres.
        stream_area: km2 that a derived stream drains at least.
    """

    geology_field: str = ""
    sensor: str = "auto"
    smoothing: float = 0.0
    stream_area: float = 1.0


class Derived:
    """Layers to stack, and the terrain that attributes are drawn from.

    Attributes:
        layers: paths, the image first.
        terrain: path of the terrain factors; "" without a DEM.
    """

    def __init__(self, image: str) -> None:
        self.layers = [image]
        self.terrain = ""


def derive(
    image: str, given: Given, wanted: Plan, how: Derivation, folder: Path, progress: Progress
) -> Derived:
    """Derive the layers of a plan into a folder.

    Args:
        image: the scene, whose grid counts.
        given: the layers beside it.
        wanted: what to derive.
        how: settings.
        folder: takes the layers.
        progress: told of each step.
    """
    result = Derived(image)
    if wanted.terrain:
        result.terrain = terrainfactors(
            input=given.dem,
            output=str(folder / "terrain.tif"),
            factors=wanted.terrain,
            smoothing=how.smoothing,
            progress=progress.part(0.0, 0.3),
        )["output"]
        result.layers.append(result.terrain)
    if wanted.indices:
        indices = spectralindices(
            input=image,
            output=str(folder / "indices.tif"),
            indices=wanted.indices,
            sensor=how.sensor,
            progress=progress.part(0.3, 0.4),
        )
        result.layers.append(indices["output"])
    rivers = given.rivers
    if wanted.rivers and not rivers:
        rivers = streams(
            input=given.dem,
            output=str(folder / "streams.gpkg"),
            min_area=how.stream_area,
            progress=progress.part(0.4, 0.7),
        )["output"]
    for name, lines, needed in (
        (RIVERS, rivers, wanted.rivers),
        (FAULTS, given.faults, wanted.faults),
    ):
        if needed:
            metres = distance(
                input=lines,
                reference=image,
                output=str(folder / f"{name}.tif"),
                name=name,
                progress=progress.part(0.7, 0.9),
            )
            result.layers.append(metres["output"])
    if wanted.geology:
        lithology = classes(
            input=given.geology,
            field=how.geology_field,
            reference=image,
            output=str(folder / f"{GEOLOGY}.tif"),
            name=GEOLOGY,
            progress=progress.part(0.9, 1.0),
        )
        result.layers.append(lithology["output"])
    return result
