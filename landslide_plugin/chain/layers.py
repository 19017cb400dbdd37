"""The stack that a map is predicted from: made once, also by a run that is broken off after it."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..core.addresses import as_gdal, is_remote, stamp
from ..core.notes import read_note
from ..core.progress import Listening, Progress
from ..core.system import replace
from ..factors.stack_command import stack
from ..inference.resume import identity, traces
from ..outputs.claims import files_of
from ..outputs.parts import part_names
from ..raster.source import Source
from .derive import Derivation, Derived, derive
from .plan import Given, Plan

NOTE = "layers.json"
"""In the folder of a run, once all of its layers are there."""
_CHANGES_BY_READING = "-shm"
"""How the name of a file ends that SQLite writes whenever a GeoPackage is open."""


@dataclass(frozen=True)
class Layers:
    """What a map is made of.

    Attributes:
        derived: the layers beside the image.
        path: of the stack that the model maps.
        bands: its bands.
    """

    derived: Derived
    path: str
    bands: list[str]


def layers(
    image: str,
    given: Given,
    wanted: Plan,
    area: str,
    settings: Derivation,
    folder: Path,
    heard: Listening,
    progress: Progress,
) -> Layers:
    """Derive the layers that a model wants and stack them, or take those that are there already.

    Args:
        image: the scene, whose grid counts.
        given: the layers beside it.
        wanted: what to derive.
        area: polygons outside which nothing is stacked; empty for everywhere.
        settings: how to derive.
        folder: takes them; what it holds is of a run that was asked the same.
        heard: knows the warnings till now, and is told those of a run before.
        progress: told of each step.

    Raises:
        InputError: see `derive` and `stack`.
        GridError: see `stack`.
    """
    noted = read_note(folder / NOTE)
    if noted:
        progress.message("The layers are there already, of a run that was broken off.")
        for warning in noted["warnings"]:
            heard.warning(warning)
        return Layers(Derived(**noted["derived"]), noted["path"], noted["bands"])
    derived = derive(image, given, wanted, settings, folder, progress.part(0.0, 0.65))
    stacked = stack(
        layers=derived.layers,
        area=area,
        sensor=settings.sensor,
        fill=settings.fill,
        scale=settings.scale,
        offset=settings.offset,
        output=str(folder / "stack.tif"),
        origin=settings.origin,
        progress=progress.part(0.65, 1.0),
    )
    ready = Layers(derived, stacked["output"], list(stacked["bands"]))
    unfinished = folder / f"{NOTE}.part"
    unfinished.write_text(
        json.dumps({**asdict(ready), "warnings": heard.warnings}), encoding="utf-8"
    )
    replace(unfinished, folder / NOTE)
    return ready


def facts_of(given: Given, area: str) -> list[Any]:
    """Return what tells layers and area from changed ones; new each time where nothing can tell.

    Args:
        given: the layers beside the image.
        area: polygons; empty for everywhere.
    """
    facts: list[Any] = []
    if given.dem:
        with Source.open(given.dem, what="DEM") as source:
            facts += [*identity(source), *traces(source)]
    for path in (given.rivers, given.faults, given.geology, area):
        facts += _file_facts(path) if path else [""]
    return facts


def _file_facts(name: str) -> Iterator[Any]:
    """Yield names, sizes and times of the files that a name is of, and of those in a folder."""
    yield name
    if is_remote(name):
        yield stamp(as_gdal(name)) or secrets.token_hex(8)
    for file in files_of(name):
        parts = map(file.with_name, part_names(file))
        for each in sorted(file.iterdir()) if file.is_dir() else [file, *parts]:
            if each.exists() and not each.name.endswith(_CHANGES_BY_READING):
                facts = each.stat()
                yield [str(each), facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns]
