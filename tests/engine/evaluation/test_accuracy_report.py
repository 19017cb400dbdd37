"""The report of `evaluate`: one light page that is read offline."""

import re
from html import escape
from html.parser import HTMLParser

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.evaluation.metrics import METRICS
from rasterio.transform import from_origin

from .judging import LEFT, TOP, masks, run


class Page(HTMLParser):
    """Collects what a page asks for from outside, and its unbalanced tags."""

    def __init__(self, text):
        super().__init__()
        self.open, self.outside, self.images = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)
        if tag == "img":
            self.images.append(given)
        if tag in ("script", "link", "iframe"):
            self.outside.append(tag)
        self.outside += [value for key, value in attributes if key == "href" or "://" in value]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_report_is_one_light_page_that_needs_nothing(make_raster, tmp_path):
    ours, truth = masks(4, (300, 400))
    elevation = np.add.outer(np.arange(300.0), np.arange(400.0)).astype(np.float32)
    image = make_raster("dem.tif", elevation, bands=["elevation"])
    path = tmp_path / "report.html"
    values = run(
        make_raster("<p>&.tif", ours), make_raster("r.tif", truth), html=str(path), image=image
    )
    text = path.read_text(encoding="utf-8")
    assert len(text) < 1e6
    page = Page(text)
    assert not page.open
    assert not page.outside
    assert len(page.images) == 2  # errors, area frequency
    for image in page.images:
        assert image["alt"]
        assert image["src"].startswith("data:image/png;base64,")
    assert "url(" not in text
    assert "&lt;p&gt;&amp;.tif" in text
    assert "<p>&.tif" not in text
    for metric in METRICS.values():
        assert metric.title in text
    cells = re.findall(r'<td class="number[^"]*">([^<]*)</td>', text)
    assert f"{values['f1']:.4f}" in cells
    assert f"{values['tp']:,}" in cells
    assert "undefined" in cells  # precision of the map without landslides


def test_names_of_maps_stay_texts(make_raster, tmp_path):
    """In headings, tables, alternative texts and the origin."""
    ours, truth = masks(6)
    name = "<b>{{ 7 * 7 }}{% raw %}&amp;"
    maps = [make_raster(f"{name}{number}.tif", ours) for number in (1, 2)]
    path = tmp_path / "report.html"
    run(maps, make_raster("r.tif", truth), html=str(path))
    text = path.read_text(encoding="utf-8")
    assert not Page(text).open and "<b>" not in text
    assert f"<h3>{escape(name)}1</h3>" in text and f"<td>{escape(name)}2</td>" in text
    assert f'alt="Map of landslide that {escape(name)}1 found' in text


def test_of_several_maps_scores_of_probability_name_theirs(make_raster, tmp_path):
    ours, truth = masks(7)
    probability = make_raster("likely.tif", np.where(ours, 0.9, 0.2).astype(np.float32))
    path = tmp_path / "report.html"
    maps = [probability, make_raster("sure.tif", ours)]
    run(maps, make_raster("r.tif", truth), html=str(path))
    section = re.findall(r"<h2>Probability</h2>.*?</section>", path.read_text("utf-8"), re.S)[0]
    assert re.findall("<h3>(.*?)</h3>", section) == ["likely"]


@pytest.mark.parametrize("bands", [["red", "green", "blue"], ["x", "y", "z"]])
def test_report_over_an_image_of_another_grid(make_raster, tmp_path, bands):
    ours, truth = masks(5)
    coarse = from_origin(LEFT - 100, TOP + 100, 20, 20)
    values = np.random.default_rng(0).random((3, 50, 60)).astype(np.float32)
    image = make_raster("image.tif", values, transform=coarse, bands=bands)
    path = tmp_path / "report.html"
    run(make_raster("p.tif", ours), make_raster("r.tif", truth), html=str(path), image=image)
    assert "data:image/png" in path.read_text(encoding="utf-8")
