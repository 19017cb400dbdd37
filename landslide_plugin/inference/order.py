"""What workers are told of a map: a file in its journal, there for as long as the map is wanted."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..core.system import remove
from ..core.system import replace as move
from ..raster.virtual import files_in
from .plan import MemberPlan, Plan

NAME = "order.json"


@dataclass(frozen=True, kw_only=True)
class Order:
    """A map whose units workers compute.

    Attributes:
        plan: of its pixels; paths are absolute.
        area: the polygons, well-known binary in hexadecimal digits, in the stack's CRS; empty for
            everywhere.
        channels: values a pixel.
        paths: files that workers must see, as whoever ordered the map does.
        document: of the stack, see `Stack`: nobody but whoever ordered the map looks which files
            it is made of.
    """

    plan: Plan
    area: str
    channels: int
    paths: list[str]
    document: str = ""

    @classmethod
    def of(cls, plan: Plan, area: str, channels: int, document: str = "") -> "Order":
        """Return the order of a map by a plan whose paths are those here."""
        stack, *models = (_absolute(path) for path in (plan.path, *plan.models))
        files = files_in(document) if document else [stack]
        paths = [path for path in (*files, *models) if Path(path).exists()]
        plan = replace(plan, path=stack, models=models)
        return cls(plan=plan, area=area, channels=channels, paths=paths, document=document)

    @classmethod
    def read(cls, text: str) -> "Order":
        """Return the order that a file holds."""
        given = json.loads(text)
        plan = given.pop("plan")
        members = [MemberPlan(**member) for member in plan.pop("members")]
        return cls(plan=Plan(members=members, **plan), **given)

    @contextmanager
    def given(self, folder: Path) -> Iterator[None]:
        """Have the order stand in a journal's folder within the block; workers end without it."""
        path = folder / NAME
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(asdict(self)), encoding="utf-8")
        move(unfinished, path)
        try:
            yield
        finally:
            remove(path)


def _absolute(path: str) -> str:
    """Return a file's path from the root; GDAL's other names as they are."""
    return str(Path(path).absolute()) if Path(path).exists() else path
