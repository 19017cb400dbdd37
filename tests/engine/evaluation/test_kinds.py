"""Maps that tell kinds of landslide apart: a pixel is landslide if it is of any."""

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.evaluation.evaluate_command import evaluate
from landslide_mapper.landslide_plugin.inventory.vectorize_command import vectorize
from landslide_mapper.landslide_plugin.raster import RasterWriter, Source
from rasterio.windows import Window

BANDS = ["slide_probability", "debris_flow_probability"]


@pytest.fixture
def probabilities():
    """A slide, a debris flow beside it, and a landslide that is a little of both."""
    values = np.zeros((2, 40, 60), "float32")
    values[0, 5:15, 5:15] = 0.8
    values[1, 5:15, 15:30] = 0.7
    values[:, 25:35, 40:50] = 0.3
    return values


@pytest.fixture
def mask(make_raster, tmp_path):
    """A mask of classes with their names."""
    numbers = np.zeros((40, 60), "uint8")
    numbers[5:15, 5:15], numbers[5:15, 15:30], numbers[25:35, 40:50] = 1, 2, 2
    with Source.open(make_raster("grid.tif", numbers)) as source:
        grid = source.grid
    path, names = str(tmp_path / "mask.tif"), {0: "background", 1: "slide", 2: "debris flow"}
    with RasterWriter(path, grid, ["landslide"], "uint8", {}, names) as writer:
        writer.write(numbers, Window(0, 0, 60, 40))
    return path


def judged(predicted, reference, **options):
    told = []
    scores = evaluate(
        predicted=predicted, reference=reference, progress=Progress(told.append), **options
    )
    counts = tuple(scores[key] for key in ("tp", "fp", "fn", "tn"))
    return scores, counts, [event.get("text", "") for event in told]


def test_bands_of_kinds_count_together(make_raster, probabilities):
    path = make_raster("p.tif", probabilities, bands=BANDS)
    truth = make_raster("truth.tif", (probabilities.sum(axis=0) > 0.5).astype("uint8"))
    scores, counts, told = judged(path, truth, threshold=0.5)
    assert counts == (350, 0, 0, 2050)
    squares = 100 * 0.2**2 + 150 * 0.3**2 + 100 * 0.4**2
    assert scores["brier"] == pytest.approx(squares / 2400, rel=1e-5)
    assert "landslide where it is of any kind: slide, debris flow." in " ".join(told)


def test_bands_of_kinds_never_come_to_more_than_certainty(make_raster, probabilities):
    probabilities[:, 25:35, 40:50] = 0.9
    path = make_raster("p.tif", probabilities, bands=BANDS)
    truth = make_raster("truth.tif", (probabilities.sum(axis=0) > 0.5).astype("uint8"))
    squares = 100 * 0.2**2 + 150 * 0.3**2
    brier = judged(path, truth, threshold=0.5)[0]["brier"]
    assert brier == pytest.approx(squares / 2400, rel=1e-5)


def test_a_mask_of_kinds_is_landslide_where_it_is_of_any(make_raster, mask, probabilities):
    path = make_raster("p.tif", probabilities, bands=BANDS)
    _, counts, told = judged(mask, path, threshold=0.5)
    assert counts == (350, 0, 0, 2050)
    assert not any("holds whole numbers" in text for text in told)


@pytest.mark.parametrize("of", ["probabilities", "mask"])
def test_what_is_compared_is_what_becomes_the_inventory(
    make_raster, mask, probabilities, tmp_path, of
):
    path = mask if of == "mask" else make_raster("p.tif", probabilities, bands=BANDS)
    inventory = str(tmp_path / "inventory.gpkg")
    vectorize(input=path, output=inventory, threshold=0.5, progress=Progress())
    assert judged(path, inventory, threshold=0.5)[1] == (350, 0, 0, 2050)


def test_nodata_of_one_kind_is_nodata(make_raster, probabilities):
    probabilities[1, 0] = -9999
    path = make_raster("p.tif", probabilities, bands=BANDS, nodata=-9999)
    truth = make_raster("truth.tif", np.zeros((40, 60), "uint8"))
    assert judged(path, truth, threshold=0.5)[1] == (0, 350, 0, 1990)


def test_of_other_bands_the_one_of_probabilities_is_taken(make_raster, probabilities):
    path = make_raster(
        "p.tif", np.stack([1 - probabilities[0], probabilities[0]]),
        bands=["certainty", "landslide_probability"],
    )  # fmt: skip
    truth = make_raster("truth.tif", (probabilities[0] > 0.5).astype("uint8"))
    _, counts, told = judged(path, truth, threshold=0.5)
    assert counts == (100, 0, 0, 2300)
    assert "Of the predicted map the band landslide_probability is taken." in told
