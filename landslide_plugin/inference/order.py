"""What workers are told of a map: a file in its journal, there for as long as the map is wanted."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..core.system import remove
from ..core.system import replace as move
from ..raster.fill_json import from_json, to_json
from ..raster.virtual import files_in
from .plan import MemberPlan, Plan
from .stack import Stack

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
            it is made of,
        fill: nor for its fill; see `fill_json`.
    """

    plan: Plan
    area: str
    channels: int
    paths: list[str]
    document: str = ""
    fill: dict[str, Any] | None = None

    @classmethod
    def of(cls, plan: Plan, area: str, channels: int, stack: Stack) -> "Order":
        """Return the order of a map by a plan whose paths are those here."""
        path, *models = (_absolute(path) for path in (plan.path, *plan.models))
        files = files_in(stack.document) if stack.document else [path]
        paths = [one for one in (*files, *models) if Path(one).exists()]
        plan = replace(plan, path=path, models=models)
        return cls(
            plan=plan,
            area=area,
            channels=channels,
            paths=paths,
            document=stack.document,
            fill=to_json(stack.fill),
        )

    @property
    def stack(self) -> Stack:
        """The stack as whoever ordered the map has found it."""
        return Stack(self.plan.path, self.document, from_json(self.fill))

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
