"""The command `factoranalysis`: importance, its report, and bad input."""

import re

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError, OutputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors.analysis import counts as analysis
from landslide_mapper.landslide_plugin.factors.analysis.factoranalysis_command import factoranalysis
from landslide_mapper.landslide_plugin.raster.stack import LayerStack, write_stack
from shapely.geometry import box

from .conftest import SHAPE, run, table_of, texts


def test_the_factor_that_landslides_follow_matters_and_noise_does_not(make_area, tmp_path):
    stack, mask, _, _ = make_area()
    made, events = run(stack, mask, table=str(tmp_path / "table.csv"))
    rows = {row["factor"]: row for row in table_of(tmp_path / "table.csv")}
    slope, noise = rows["slope"], rows["noise"]
    assert float(slope["permutation_mean"]) > 0.2
    assert abs(float(noise["permutation_mean"])) < 0.03
    # the bias that the report speaks of: noise gets a share all the same
    assert float(slope["gini_importance"]) > float(noise["gini_importance"]) > 0.05
    assert float(slope["auc"]) > 0.85 and abs(float(noise["auc"]) - 0.5) < 0.05
    assert float(slope["vif"]) < 1.05
    assert made["auc_blocks"] > 0.85
    assert texts(events)[-1].startswith("Of 2 factors, slope")


def test_random_split_leaks_what_blocks_do_not(make_raster, random, tmp_path):
    """Landslides know nothing of the factors, but the pixels of a patch share both."""
    patches = np.kron(random.normal(size=(2, 20, 20)), np.ones((8, 8))).astype(np.float32)
    stack = make_raster("stack.tif", patches, bands=["a", "b"])
    mask = np.kron(random.integers(0, 2, (20, 20)), np.ones((8, 8), int)).astype(np.uint8)
    made, _ = run(stack, make_raster("mask.tif", mask))
    assert made["auc_random"] > 0.95
    assert made["auc_blocks"] < 0.7


def test_the_same_seed_gives_the_same_table(make_area, tmp_path):
    stack, mask, _, _ = make_area()
    for name in ("a.csv", "b.csv"):
        run(stack, mask, table=str(tmp_path / name), seed=3)
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()


def test_landslides_in_one_place_have_no_block_figures(make_raster, random, tmp_path):
    values = random.normal(size=SHAPE).astype(np.float32)
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:6, 2:6] = 1
    stack = make_raster("stack.tif", values, bands=["slope"])
    html = tmp_path / "report.html"
    made, events = run(stack, make_raster("mask.tif", mask), html=str(html))
    assert made["auc_blocks"] is None and made["auc_random"] is not None
    assert any("too few places for blocks" in text for text in texts(events))
    assert any("Only 16 landslide pixels" in text for text in texts(events))
    assert "Gini importance" in html.read_text()
    assert "0.5 is chance, 1 is without fault" in html.read_text()


# ---- classes


@pytest.mark.parametrize("name", ["aspect", "cover"])
def test_what_has_no_order_has_no_auc_of_its_values(make_area, random, tmp_path, name):
    stack, mask, _, _ = make_area(**{name: random.integers(0, 9, SHAPE).astype(np.float32) * 40})
    if name == "cover":
        with rasterio.open(stack, "r+") as dataset:
            dataset.update_tags(3, LAYER_TYPE="thematic")
    _, events = run(stack, mask, table=str(tmp_path / "table.csv"))
    rows = {row["factor"]: row for row in table_of(tmp_path / "table.csv")}
    assert rows[name]["auc"] == "" and float(rows[name]["auc_intervals"]) > 0.5
    told = any("cover holds classes, whose numbers" in text for text in texts(events))
    assert told == (name == "cover")


def test_classes_of_a_stack_are_one_factor(make_area, make_lithology, random, tmp_path):
    first, mask_path, _, mask = make_area()
    codes = np.where(mask == 1, 2, random.integers(1, 3, SHAPE))
    codes[0, 0] = 3
    lithology = make_lithology(codes, {1: "Granite", 2: "Flysch & marl", 3: "Till", 4: "Absent"})
    stacked = tmp_path / "stacked.tif"
    again = tmp_path / "again.tif"
    for layers, path in (([first, lithology], stacked), ([stacked], again)):
        with LayerStack.open(layers) as layer_stack:
            write_stack(layer_stack, path, Progress())
    with rasterio.open(again) as dataset:
        assert dataset.tags(4)["CLASS_OF"] == "lithology"
        assert dataset.tags(4)["CLASS_NAME"] == "Flysch & marl"
        assert "CLASS_OF" not in dataset.tags(1)
    run(again, mask_path, table=str(tmp_path / "table.csv"), html=str(tmp_path / "report.html"))
    rows = [row for row in table_of(tmp_path / "table.csv") if row["factor"] == "lithology"]
    found = {row["class"]: row for row in rows}
    assert set(found) == {"Granite", "Flysch & marl", "Till", "Absent"}
    for code, name in ((1, "Granite"), (2, "Flysch & marl"), (3, "Till")):
        assert int(found[name]["pixels"]) == (codes == code).sum()
        assert int(found[name]["landslide_pixels"]) == mask[codes == code].sum()
    assert found["Absent"]["pixels"] == "0" and found["Absent"]["frequency"] == ""
    assert found["Granite"]["auc"] == "" and float(found["Granite"]["auc_intervals"]) > 0.6
    assert found["Granite"]["low"] == "" and found["Granite"]["kind"] == "classes"
    assert float(found["Granite"]["permutation_mean"]) > 0


def test_a_class_raster_itself_will_do(make_lithology, make_raster, random):
    codes = random.integers(1, 4, SHAPE)
    mask = make_raster("mask.tif", ((codes == 2) & (random.random(SHAPE) > 0.5)).astype(np.uint8))
    made, _ = run(make_lithology(codes, {1: "a", 2: "b", 3: "c"}), mask)
    assert made["auc_blocks"] > 0.8


# ---- outputs


def test_report_is_self_contained_and_says_what_is_biased(make_area, tmp_path):
    stack, mask, _, _ = make_area(flat=np.full(SHAPE, 7, np.float32))
    html, table = tmp_path / "report.html", tmp_path / "table.csv"
    made, events = run(stack, mask, html=str(html), table=str(table), classes=3)
    page = html.read_text(encoding="utf-8")
    assert not re.search(r"<script|https?://|<link", page)
    assert page.count("<img") == 2 + 2 + 1  # importances, frequencies, correlation
    assert "biased" in page and "Strobl" in page and "leak" in page
    assert "slope matters most" in page or "slope and noise matter most" in page
    assert "Constant, not analysed" in page and "flat" in page
    assert any("flat is constant" in text for text in texts(events))
    rows = table_of(table)
    assert [row["factor"] for row in rows] == ["slope"] * 3 + ["noise"] * 3 + ["flat"]
    assert rows[-1]["gini_importance"] == "" and int(rows[-1]["pixels"]) == SHAPE[0] * SHAPE[1]
    assert made["html"] == str(html) and made["table"] == str(table)


def test_names_of_bands_and_classes_stay_texts(make_area, make_lithology, random, tmp_path):
    nasty = "<script>1</script>{{ 7 * 7 }}"
    first, mask, _, _ = make_area(**{nasty: random.normal(size=SHAPE).astype(np.float32)})
    lithology = make_lithology(random.integers(1, 3, SHAPE), {1: nasty, 2: "{% endblock %}"})
    stack = tmp_path / "both.tif"
    with LayerStack.open([first, lithology]) as layers:
        write_stack(layers, stack, Progress())
    run(stack, mask, html=str(tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<td>&lt;script&gt;1&lt;/script&gt;{{ 7 * 7 }}</td>" in page
    assert "by interval of &lt;script&gt;1&lt;/script&gt;{{ 7 * 7 }}" in page
    assert "<script" not in page and page.count("<img") == 2 + 4 + 1


def test_progress_grows_to_the_end(make_area):
    stack, mask, _, _ = make_area()
    _, events = run(stack, mask)
    percents = [event["percent"] for event in events if event["type"] == "progress"]
    assert percents == sorted(percents) and percents[-1] == 100 and len(percents) > 10


def test_an_end_in_the_middle_leaves_what_stood_there(make_area, tmp_path):
    stack, mask, _, _ = make_area()
    html = tmp_path / "report.html"
    html.write_text("earlier")

    def stop(event):
        if event.get("percent", 0) > 50:
            raise SystemExit(143)

    with pytest.raises(SystemExit):
        factoranalysis(stack=stack, landslides=mask, html=str(html), progress=Progress(stop))
    assert html.read_text() == "earlier"
    assert not list(tmp_path.glob(".partial-*"))


def test_polygons_of_another_crs_and_an_area(make_area, make_raster, tmp_path):
    stack, _, _, _ = make_area()
    squares = [box(500100 + x, 4999500, 500150 + x, 4999550) for x in range(0, 500, 100)]
    landslides = tmp_path / "landslides.gpkg"
    gpd.GeoDataFrame(geometry=squares, crs=32632).to_crs(4326).to_file(landslides)
    area = tmp_path / "area.gpkg"
    gpd.GeoDataFrame(geometry=[box(500000, 4999400, 500600, 5000000)], crs=32632).to_file(area)
    run(stack, landslides, area=str(area), table=str(tmp_path / "table.csv"))
    rows = [row for row in table_of(tmp_path / "table.csv") if row["factor"] == "slope"]
    assert sum(int(row["pixels"]) for row in rows) == 60 * 60
    assert sum(int(row["landslide_pixels"]) for row in rows) == 5 * 25


# ---- bad input: one sentence, no output


def refused(tmp_path, error, message, stack, landslides, **parameters):
    html, table = tmp_path / "report.html", tmp_path / "table.csv"
    with pytest.raises(error, match=message) as caught:
        run(stack, landslides, html=str(html), table=str(table), **parameters)
    assert str(caught.value).endswith(".")
    assert not html.exists() and not table.exists()
    assert not list(tmp_path.glob(".partial-*"))


@pytest.mark.parametrize("classes", [1, 0, 21])
def test_number_of_classes(make_area, tmp_path, classes):
    stack, mask, _, _ = make_area()
    refused(tmp_path, InputError, "choose from 2 to 20", stack, mask, classes=classes)


def test_no_landslide_or_nothing_else(make_area, make_raster, tmp_path):
    stack, _, _, _ = make_area()
    none = make_raster("none.tif", np.zeros(SHAPE, np.uint8))
    refused(tmp_path, InputError, "No landslide lies within", stack, none)
    everywhere = make_raster("everywhere.tif", np.ones(SHAPE, np.uint8))
    refused(tmp_path, InputError, "Every valid pixel is landslide", stack, everywhere)


def test_landslides_elsewhere(make_area, tmp_path):
    stack, _, _, _ = make_area()
    path = tmp_path / "far.gpkg"
    gpd.GeoDataFrame(geometry=[box(900000, 0, 900100, 100)], crs=32632).to_file(path)
    refused(tmp_path, InputError, "No landslide lies within", stack, path)


def test_all_nodata(make_area, make_raster, tmp_path):
    _, mask, _, _ = make_area()
    stack = make_raster("empty.tif", np.full(SHAPE, -9999, np.float32), nodata=-9999)
    refused(tmp_path, InputError, "No pixel of the stack is valid", stack, mask)


def test_nothing_varies(make_area, make_raster, tmp_path):
    _, mask, _, _ = make_area()
    stack = make_raster("flat.tif", np.ones(SHAPE, np.float32))
    refused(tmp_path, InputError, "All bands of the stack are constant", stack, mask)


def test_missing_files_and_folders(make_area, make_raster, tmp_path):
    stack, mask, _, _ = make_area()
    refused(tmp_path, InputError, "does not exist", tmp_path / "none.tif", mask)
    refused(tmp_path, InputError, "does not exist", stack, tmp_path / "none.gpkg")
    far = make_raster("far.tif", np.ones((5, 5), np.uint8), crs="EPSG:32655")
    refused(tmp_path, GridError, "does not overlap", stack, far)
    with pytest.raises(OutputError, match="does not exist"):
        run(stack, mask, html=str(tmp_path / "no_folder" / "report.html"))


# ---- real data


def test_kashmir_fails_on_steep_slopes(data_dir, tmp_path, monkeypatch):
    from landslide_mapper.landslide_plugin.factors.terrainfactors_command import terrainfactors

    monkeypatch.setattr(analysis, "SAMPLE", 2000)
    kashmir = data_dir / "kashmir"
    terrain = str(tmp_path / "terrain.tif")
    factors = ["elevation", "slope", "northness"]
    terrainfactors(
        input=str(kashmir / "AW3D30.tif"), output=terrain, factors=factors, progress=Progress()
    )
    made, _ = run(terrain, kashmir / "landslides.shp", table=str(tmp_path / "table.csv"))
    rows = table_of(tmp_path / "table.csv")
    ratios = [float(row["frequency_ratio"]) for row in rows if row["factor"] == "slope"]
    assert ratios == sorted(ratios) and ratios[0] < 0.5 and ratios[-1] > 1.5
    first = {row["factor"]: float(row["permutation_mean"]) for row in rows}
    assert max(first, key=first.__getitem__) == "slope"
    assert 0.65 < made["auc_blocks"] < made["auc_random"] + 0.05


def test_dollars_in_a_band_s_name_are_no_formula(make_raster, random, tmp_path):
    values = random.normal(size=(2, 40, 40)).astype(np.float32)
    stack = make_raster("stack.tif", values, bands=[r"$\frac$", "$x$_$y$"])
    mask = make_raster("mask.tif", (values[0] > 0.5).astype(np.uint8))
    page = tmp_path / "report.html"
    run(stack, mask, html=str(page))
    assert r"$\frac$" in page.read_text(encoding="utf-8")
