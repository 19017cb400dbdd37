"""HTML reports: one light, self-contained page that is read offline and without scripts.

Content is made by the functions here, which escape every text they are given; `Section.content`
is the joined result: `Section("Data", paragraph("...") + table(header, rows))`.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.provenance import Provenance
from ..outputs.whole import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = 64
"""Colours a figure is reduced to: text stays crisp and a map takes a third of the bytes."""

ERROR_COLOURS = {"found": "#009e73", "false alarm": "#d55e00", "missed": "#0072b2"}
"""Of Okabe and Ito's palette, told apart by colour-blind readers too."""


@dataclass(frozen=True)
class Section:
    """A heading with the HTML under it.

    Attributes:
        title: the heading, plain text.
        content: HTML made by `paragraph`, `caution`, `table`, `figure`, `gallery`, `listing`.
    """

    title: str
    content: str


def page(title: str, sections: Sequence[Section], lead: str = "") -> str:
    """Return a whole HTML page.

    Args:
        title: heading of the page, plain text.
        sections: what follows, in order.
        lead: one or two sentences that say the result, plain text, set large under the title.
    """
    body = "\n".join(
        f"<section><h2>{escape(section.title)}</h2>\n{section.content}\n</section>"
        for section in sections
    )
    lead_html = f'<p class="lead">{escape(lead)}</p>' if lead else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(title)}</h1>\n{lead_html}\n{body}\n</main>\n</body>\n</html>\n"
    )


def paragraph(text: str) -> str:
    """Return a paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def caution(text: str) -> str:
    """Return a paragraph of plain text that must not be overlooked."""
    return f'<p class="caution">{escape(text)}</p>'


def subheading(text: str) -> str:
    """Return a heading within a section, plain text."""
    return f"<h3>{escape(text)}</h3>"


def listing(items: Sequence[str]) -> str:
    """Return a bullet list of plain texts."""
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table; numbers are set to the right, floats with four digits, None as "undefined".

    Args:
        header: column titles; empty for none.
        rows: cells of any type, one sequence a row.
    """
    first = rows[0] if rows else header
    kinds = [cell is None or _is_number(cell) for cell in first]
    head = "".join(
        f"<th{_NUMBER if number else ''}>{escape(title)}</th>"
        for title, number in zip(header, kinds, strict=False)
    )
    body = "\n".join("<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in rows)
    head = f"<thead><tr>{head}</tr></thead>" if header else ""
    return f'<div class="wide"><table>{head}<tbody>\n{body}\n</tbody></table></div>'


def figure(
    drawing: "Figure", alt: str, caption: str = "", dpi: int = 110, colours: int = _COLOURS
) -> str:
    """Return a matplotlib figure as an embedded PNG.

    Args:
        drawing: the figure; make it with `matplotlib.figure.Figure`, which needs no screen.
        alt: what it shows, for those who can't see it.
        caption: plain text under it.
        dpi: dots per inch.
        colours: that it is reduced to, at most 256; more for photographs.
    """
    from PIL import Image

    raw, reduced = BytesIO(), BytesIO()
    drawing.savefig(raw, format="png", dpi=dpi, facecolor="white", bbox_inches="tight")
    few = Image.open(raw).convert("RGB").quantize(colours, Image.Quantize.MAXCOVERAGE)
    few.save(reduced, format="png", optimize=True)
    data = base64.b64encode(reduced.getvalue()).decode("ascii")
    text = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure><img alt="{escape(alt)}" src="data:image/png;base64,{data}">{text}</figure>'


def lettering(text: str) -> str:
    """Return a name from outside as matplotlib draws it to the letter: its $ begin no formula.

    Of long ones the beginning: thousands of letters would take minutes and all of the drawing.
    """
    short = text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"
    return short.replace("$", r"\$")


def gallery(figures: Sequence[str]) -> str:
    """Return figures side by side, as many as the page is wide for."""
    return f'<div class="gallery">{"".join(figures)}</div>'


def provenance(origin: Provenance, extra: Mapping[str, object] | None = None) -> Section:
    """Return the section that says how the report came about.

    Args:
        origin: the run.
        extra: further rows, such as the seed or the device.
    """
    tags = origin.tags()
    parameters = json.loads(tags.pop("LANDSLIDE_PARAMETERS", "{}"))
    rows: list[tuple[str, object]] = [
        (key.removeprefix("LANDSLIDE_").capitalize(), value) for key, value in tags.items()
    ]
    rows += [(name.upper(), _plain(value)) for name, value in parameters.items()]
    rows += list((extra or {}).items())
    return Section("Provenance", table((), rows))


def write_report(path: str | Path, html: str) -> None:
    """Write the page, whole or not at all.

    Raises:
        OutputError: the folder is missing or read-only, or the disk is full.
    """
    with whole_file(path) as partial:
        partial.write_text(html, encoding="utf-8")


def _cell(value: object) -> str:
    if value is None:
        return '<td class="number undefined">undefined</td>'
    if not _is_number(value):
        return f"<td>{escape(str(value))}</td>"
    text = f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
    return f"<td{_NUMBER}>{text}</td>"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


_LETTERS = 60
_NUMBER = ' class="number"'
_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #f6f5f2; color: #23262a;
  font: 16px/1.55 "Segoe UI", "Helvetica Neue", Arial, "Liberation Sans", sans-serif; }
main { max-width: 62rem; margin: 2rem auto; padding: 2rem 2.5rem 3rem; background: #fff;
  border: 1px solid #e4e1da; border-radius: 6px; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .75rem; letter-spacing: -.01em; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; padding-bottom: .3rem;
  border-bottom: 1px solid #e4e1da; }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; overflow-wrap: anywhere; }
p { margin: .5rem 0; max-width: 46rem; }
.lead { font-size: 1.12rem; color: #3d4249; }
.caution { border-left: 4px solid #d55e00; background: #fdf3ec; padding: .5rem .8rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; margin: .6rem 0; }
th, td { padding: .38rem .9rem .38rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid #eceae4; }
th { font-weight: 600; color: #5a6068; vertical-align: bottom; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.number { white-space: nowrap; }
td.undefined { color: #8a8f96; font-style: italic; }
figure { margin: 1rem 0; }
img { max-width: 100%; height: auto; display: block; }
.gallery { display: grid; gap: .2rem 1.5rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
figcaption { font-size: .88rem; color: #5a6068; margin-top: .4rem; }
@media (max-width: 40rem) { main { margin: 0; padding: 1.2rem; border: 0; } }
@media print { body { background: #fff; } main { border: 0; margin: 0; max-width: none; } }
"""
