"""Pages, and the templates that they are made of."""

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jinja2 import UndefinedError, meta, nodes
from landslide_mapper.landslide_plugin.contract.errors import OutputError
from landslide_mapper.landslide_plugin.reports.page import (
    TEMPLATES,
    lettering,
    png,
    render,
    write_report,
)
from matplotlib.figure import Figure

NASTY = '<script>alert("x")</script> & {{ 7 * 7 }} {% endblock %}'
REPORTS = sorted(name for name in TEMPLATES.list_templates() if name.endswith("report.html"))
LOADER: Any = TEMPLATES.loader
ENGINE = Path(LOADER.searchpath[0])
PARTS: Any = TEMPLATES.get_template("reports/templates/parts.html").module


@pytest.mark.parametrize(
    "html",
    [
        PARTS.table([NASTY], [[NASTY]]),
        PARTS.facts([[NASTY, NASTY]]),
        PARTS.listing([NASTY, NASTY]),
        PARTS.figure(NASTY, NASTY),
    ],
)
def test_every_text_stays_a_text(html):
    assert html.count("&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt; &amp; {{ 7 * 7 }}") == 2
    assert "<script" not in html and "49" not in html


def test_cells_say_what_they_hold():
    nan = float("nan")
    rows = [["a", 0.123456], ["b", 1234567], ["c", None], ["d", nan], ["e", True], ["f", ""]]
    html = PARTS.table(["name", "value"], rows)
    assert "<td>a</td>" in html
    assert ">0.1235</td>" in html
    assert ">1,234,567</td>" in html
    for name in "cd":
        assert f'<td>{name}</td><td class="number undefined">undefined</td>' in html
    assert "<td>True</td>" in html
    assert "<td>f</td><td></td>" in html
    assert '<th>name</th><th class="number">value</th>' in html


def test_table_without_header_or_rows():
    assert "<thead" not in PARTS.table([], [["a"]])
    assert "<th>a</th>" in PARTS.table(["a"], [])


def test_facts_without_a_value_are_left_out():
    assert PARTS.facts([["a", None], ["b", 0]]).count("<tr>") == 1


def test_a_picture_is_embedded_and_light():
    drawing = Figure(figsize=(6, 4))
    drawing.subplots().imshow(np.random.default_rng(0).random((400, 600)))
    html = PARTS.figure(png(drawing), "noise")
    assert html.startswith('<figure><img alt="noise" src="data:image/png;base64,')
    assert "figcaption" not in html
    assert len(html) < 600_000


@pytest.mark.parametrize("name", REPORTS)
def test_a_template_is_given_what_it_tells_and_nothing_else(name):
    """Whichever of its branches a run takes; the module beside it says what is given."""
    source = LOADER.get_source(TEMPLATES, name)[0]
    template: Any = TEMPLATES.parse(source)
    imported = {name for one in template.find_all(nodes.FromImport) for name in one.names}
    macros = {macro.name for macro in template.find_all(nodes.Macro)}
    assigned: list[Any] = [one for one in template.body if isinstance(one, nodes.Assign)]
    of_all_blocks = {one.target.name for one in assigned}
    wanted = meta.find_undeclared_variables(template) - imported - macros - of_all_blocks
    module = ast.parse((ENGINE / name).with_suffix(".py").read_text(encoding="utf-8"))
    (call,) = (
        node
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "render"
    )
    assert ast.literal_eval(call.args[0]) == name
    assert {keyword.arg for keyword in call.keywords} == wanted


@pytest.mark.parametrize("name", TEMPLATES.list_templates(["html"]))
def test_no_template_takes_a_text_for_markup(name):
    template = TEMPLATES.parse(LOADER.get_source(TEMPLATES, name)[0])
    assert "safe" not in {one.name for one in template.find_all(nodes.Filter)}
    assert not list(template.find_all(nodes.ScopedEvalContextModifier))  # {% autoescape %}


def test_what_is_not_given_is_no_gap_in_a_page():
    with pytest.raises(UndefinedError, match="card"):
        render("training/weak/report.html", [])


def test_page_is_written_whole_or_not(tmp_path):
    write_report(tmp_path / "r.html", "Größe")
    assert (tmp_path / "r.html").read_text(encoding="utf-8") == "Größe"
    with pytest.raises(OutputError, match="does not exist"):
        write_report(tmp_path / "no" / "r.html", "")


def test_names_are_drawn_to_the_letter_and_not_for_ever():
    assert lettering("$x$_$y$") == r"\$x\$_\$y\$"
    assert len(lettering("x" * 3000)) == 60 and lettering("x" * 60) == "x" * 60
