"""The builder of report pages."""

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.contract.errors import OutputError
from landslide_mapper.landslide_plugin.reports.page import (
    Section,
    figure,
    lettering,
    listing,
    page,
    paragraph,
    table,
    write_report,
)
from matplotlib.figure import Figure

NASTY = '<script>alert("x")</script> & more'


def test_every_text_is_escaped():
    html = page(
        NASTY,
        [Section(NASTY, paragraph(NASTY) + listing([NASTY]) + table([NASTY], [[NASTY]]))],
        lead=NASTY,
    )
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 8
    assert html.startswith("<!DOCTYPE html>")


def test_cells_say_what_they_hold():
    html = table(["name", "value"], [["a", 0.123456], ["b", 1234567], ["c", None], ["d", True]])
    assert "<td>a</td>" in html
    assert ">0.1235</td>" in html
    assert ">1,234,567</td>" in html
    assert ">undefined</td>" in html
    assert "<td>True</td>" in html
    assert '<th>name</th><th class="number">value</th>' in html


def test_table_without_header_or_rows():
    assert "<thead" not in table((), [["a"]])
    assert "<th>a</th>" in table(["a"], [])


def test_figure_is_embedded_and_light():
    drawing = Figure(figsize=(6, 4))
    drawing.subplots().imshow(np.random.default_rng(0).random((400, 600)))
    html = figure(drawing, "noise", "A caption")
    assert html.startswith('<figure><img alt="noise" src="data:image/png;base64,')
    assert "<figcaption>A caption</figcaption>" in html
    assert len(html) < 600_000


def test_page_is_written_whole_or_not(tmp_path):
    write_report(tmp_path / "r.html", page("Größe", []))
    assert "Größe" in (tmp_path / "r.html").read_text(encoding="utf-8")
    with pytest.raises(OutputError, match="does not exist"):
        write_report(tmp_path / "no" / "r.html", "")


def test_names_are_drawn_to_the_letter_and_not_for_ever():
    assert lettering("$x$_$y$") == r"\$x\$_\$y\$"
    assert len(lettering("x" * 3000)) == 60 and lettering("x" * 60) == "x" * 60
