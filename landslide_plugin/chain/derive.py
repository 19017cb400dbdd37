"""The layers that a model wants, derived from what is given."""

from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import rasterio

from ..contract.errors import InputError
from ..core.progress import Progress
from ..core.provenance import NO_ORIGIN, Provenance
from ..factors.classes_command import classes
from ..factors.distance_command import distance
from ..factors.spectralindices_command import spectralindices
from ..factors.streams_command import streams
from ..factors.terrainfactors_command import terrainfactors
from ..raster.stack import class_band
from .plan import FAULTS, GEOLOGY, RIVERS, Given, Plan


@dataclass(frozen=True, kw_only=True)
class Derivation:
    """How layers are derived.

    Attributes:
        geology_field: field of the geology that names the class.
        sensor: see `spectralindices`.
        smoothing: of the DEM, metres.
        stream_area: km2 that a derived stream drains at least.
        z_unit: of the DEM's heights, see `terrainfactors`.
        fill: what becomes of undeclared fill; see `mark_fill`.
        scale: see `spectralindices`; so is `offset`.
        offset: see `scale`.
        origin: what the layers tell of the run.
    """

    geology_field: str = ""
    sensor: str = "auto"
    smoothing: float = 0.0
    stream_area: float = 1.0
    z_unit: str = "auto"
    fill: str = "auto"
    scale: float | None = None
    offset: float | None = None
    origin: Provenance = NO_ORIGIN


@dataclass(frozen=True)
class Derived:
    """What has been derived.

    Attributes:
        layers: paths of those that the model wants, the image first.
        attributes: paths of those that attributes are drawn from: terrain, distance to rivers.
        terrain: path of the terrain factors; "" without a DEM.
        steps: what was derived and how, a sentence each.
    """

    layers: list[str]
    attributes: list[str]
    terrain: str
    steps: list[str]


def derive(
    image: str, given: Given, wanted: Plan, settings: Derivation, folder: Path, progress: Progress
) -> Derived:
    """Derive the layers of a plan into a folder.

    Args:
        image: the scene, whose grid counts.
        given: the layers beside it.
        wanted: what to derive.
        settings: settings.
        folder: takes the layers.
        progress: told of each step.

    Raises:
        InputError: a layer is unfit, such as a geology without any of the model's classes.
    """
    work = _Work(image, given, wanted, settings, folder)
    layers, attributes, terrain = [image], [], ""
    if wanted.terrain:
        terrain = work.terrain(progress.part(0.0, 0.3))
        attributes.append(terrain)
        if wanted.terrain_in_model:
            layers.append(terrain)
    if wanted.indices:
        layers.append(work.indices(progress.part(0.3, 0.4)))
    if wanted.rivers:
        rivers = given.rivers or work.streams(progress.part(0.4, 0.7))
        metres = work.distance(rivers, RIVERS, progress.part(0.7, 0.8))
        attributes.append(metres)
        if wanted.rivers_in_model:
            layers.append(metres)
    if wanted.faults:
        layers.append(work.distance(given.faults, FAULTS, progress.part(0.8, 0.9)))
    if wanted.geology:
        layers.append(work.lithology(progress.part(0.9, 1.0)))
    return Derived(layers, attributes, terrain, work.steps)


class _Work:
    """Derives one layer after the other into a folder; `steps` says of each what was done."""

    def __init__(
        self, image: str, given: Given, wanted: Plan, settings: Derivation, folder: Path
    ) -> None:
        self._image, self._given, self._wanted = image, given, wanted
        self._settings, self._folder = settings, folder
        self.steps: list[str] = []

    def terrain(self, progress: Progress) -> str:
        wanted, settings = self._wanted, self._settings
        derived = terrainfactors(
            input=self._given.dem,
            output=self._path("terrain.tif"),
            factors=wanted.terrain,
            radii=wanted.radii,
            smoothing=settings.smoothing,
            z_unit=settings.z_unit,
            fill=settings.fill,
            origin=settings.origin,
            progress=progress,
        )
        smoothed = f"smoothed by {settings.smoothing:g} m" if settings.smoothing else "not smoothed"
        use = "" if wanted.terrain_in_model else ", for the attributes alone"
        self.steps.append(f"From the DEM, {smoothed}: {wanted.of_the_dem}{use}.")
        return str(derived["output"])

    def indices(self, progress: Progress) -> str:
        settings = self._settings
        derived = spectralindices(
            input=self._image,
            output=self._path("indices.tif"),
            indices=self._wanted.indices,
            sensor=settings.sensor,
            fill=settings.fill,
            scale=settings.scale,
            offset=settings.offset,
            origin=settings.origin,
            progress=progress,
        )
        self.steps.append(f"From the image: {', '.join(self._wanted.indices)}.")
        return str(derived["output"])

    def streams(self, progress: Progress) -> str:
        settings = self._settings
        lines = streams(
            input=self._given.dem,
            output=self._path("streams.gpkg"),
            min_area=settings.stream_area,
            z_unit=settings.z_unit,
            fill=settings.fill,
            origin=settings.origin,
            progress=progress,
        )
        self.steps.append(
            f"From the DEM: {lines['count']:,} streams that drain {settings.stream_area:g} km2 or "
            "more, since no rivers were given."
        )
        return str(lines["output"])

    def distance(self, lines: str, name: str, progress: Progress) -> str:
        derived = distance(
            input=lines,
            reference=self._image,
            output=self._path(f"{name}.tif"),
            name=name,
            origin=self._settings.origin,
            progress=progress,
        )
        self.steps.append(f"The distance to {name.removesuffix('_distance')}s.")
        return str(derived["output"])

    def lithology(self, progress: Progress) -> str:
        """Derive the classes, those that the model wants and that don't occur too: as 0."""
        wanted, geology = self._wanted.geology, self._given.geology
        lithology = classes(
            input=geology,
            field=self._settings.geology_field,
            reference=self._image,
            output=self._path(f"{GEOLOGY}.tif"),
            name=GEOLOGY,
            origin=self._settings.origin,
            progress=progress,
        )
        names = {int(code): label for code, label in lithology["classes"].items()}
        code_of = {class_band(GEOLOGY, code, label): code for code, label in names.items()}
        absent = [band for band in wanted if band not in code_of]
        learnt = ", ".join(map(_label, wanted))
        if len(absent) == len(wanted):
            raise InputError(
                f"The geology {geology} holds none of the classes that the model knows ({learnt}), "
                f"but {', '.join(names.values())}: choose the field that holds those, or name its "
                "classes so."
            )
        unused = (code for code in count(1) if code not in names)
        with rasterio.open(lithology["output"], "r+") as raster:
            tags = {f"class_{next(unused)}": _label(band) for band in absent}
            raster.update_tags(1, **tags)
            blocks = (raster.read(1, window=window) for _, window in raster.block_windows(1))
            seen = set(np.concatenate([np.unique(block) for block in blocks]).tolist())
        unknown = {code for band, code in code_of.items() if band not in wanted} & seen
        if unknown:
            progress.warning(
                f"The model knows the classes {learnt}, but the geology here holds "
                f"{', '.join(names[code] for code in sorted(unknown))} too, on which it was not "
                "trained: there all of its own are 0."
            )
        held = ", ".join(names[code] for code in sorted(seen & names.keys()))
        self.steps.append(f"Lithology: {held}.")
        return str(lithology["output"])

    def _path(self, name: str) -> str:
        return str(self._folder / name)


def _label(band: str) -> str:
    """Return the class that a band of lithology is of, as its name has it."""
    return band.removeprefix(f"{GEOLOGY}_")
