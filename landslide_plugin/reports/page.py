"""HTML reports: one light, self-contained page that is read offline and without scripts.

A report's words and order stand in a template, `report.html` beside the `report.py` that computes
its values. Templates extend `templates/base.html`, are made of `templates/parts.html`, and escape
every value they are given.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..contract.tags import PARAMETERS, PREFIX
from ..core.provenance import Provenance
from ..outputs.whole import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = 64
"""Colours a figure is reduced to: text stays crisp and a map takes a third of the bytes."""
_LETTERS = 60

ERROR_COLOURS = {"found": "#009e73", "false alarm": "#d55e00", "missed": "#0072b2"}
"""Of Okabe and Ito's palette, told apart by colour-blind readers too."""

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1]),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
"""By their path within the engine's folder, such as `evaluation/report.html`."""


def render(template: str, origin: Sequence[tuple[str, object]], **values: object) -> str:
    """Return a whole HTML page.

    Args:
        template: its path within the engine's folder.
        origin: how the report came about, from `provenance`.
        values: what the template tells; pictures come from `png`.
    """
    return TEMPLATES.get_template(template).render(origin=origin, **values)


def png(drawing: "Figure", dpi: int = 110, colours: int = _COLOURS) -> str:
    """Return a matplotlib figure as the address of a PNG that holds the picture itself.

    Args:
        drawing: the figure; make it with `matplotlib.figure.Figure`, which needs no screen.
        dpi: dots per inch.
        colours: that it is reduced to, at most 256; more for photographs.
    """
    from PIL import Image

    raw, reduced = BytesIO(), BytesIO()
    drawing.savefig(raw, format="png", dpi=dpi, facecolor="white", bbox_inches="tight")
    few = Image.open(raw).convert("RGB").quantize(colours, Image.Quantize.MAXCOVERAGE)
    few.save(reduced, format="png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(reduced.getvalue()).decode('ascii')}"


def lettering(text: str) -> str:
    """Return a name from outside as matplotlib draws it to the letter: its $ begin no formula.

    Of long ones the beginning: thousands of letters would take minutes and all of the drawing.
    """
    short = text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"
    return short.replace("$", r"\$")


def provenance(
    origin: Provenance, extra: Mapping[str, object] | None = None
) -> list[tuple[str, object]]:
    """Return names and values that say how the report came about.

    Args:
        origin: the run.
        extra: further ones, such as the seed or the device.
    """
    tags = origin.tags()
    parameters = json.loads(tags.pop(PARAMETERS, "{}"))
    rows: list[tuple[str, object]] = [
        (key.removeprefix(PREFIX).capitalize(), value) for key, value in tags.items()
    ]
    rows += [(name.upper(), _plain(value)) for name, value in parameters.items()]
    return [*rows, *(extra or {}).items()]


def write_report(path: str | Path, html: str) -> None:
    """Write the page, whole or not at all.

    Raises:
        OutputError: the folder is missing or read-only, or the disk is full.
    """
    with whole_file(path) as partial:
        partial.write_text(html, encoding="utf-8")


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
