"""Landslides of several kinds: a polygon says which it is, and none is lost."""

import geopandas as gpd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference.scene import classified, probability_bands
from landslide_mapper.landslide_plugin.inventory.kinds import (
    Kind,
    probability_of,
    probability_of_any,
)
from landslide_mapper.landslide_plugin.inventory.vectorize_command import vectorize
from landslide_mapper.landslide_plugin.raster import RasterWriter, Source
from rasterio.windows import Window

CLASSES = ["background", "slide", "debris flow"]
BANDS = probability_bands(CLASSES)


@pytest.fixture
def probabilities():
    """Three landslides: a slide, a debris flow beside it, and one that is a little of both."""
    values = np.zeros((2, 40, 60), "float32")
    values[0, 5:15, 5:15] = 0.8
    values[1, 5:15, 15:30] = 0.7
    values[0, 25:35, 40:50], values[1, 25:35, 40:50] = 0.3, 0.4
    return values


@pytest.fixture
def mask(tmp_path, make_raster):
    """Return a function that writes a mask as `predict` does."""

    def write(values, classes=CLASSES):
        with Source.open(make_raster("grid.tif", values)) as source:
            grid = source.grid
        path, named = str(tmp_path / "mask.tif"), dict(enumerate(classes))
        with RasterWriter(path, grid, ["landslide"], "uint8", {}, named) as writer:
            whole = Window(0, 0, grid.width, grid.height)
            writer.write(values[None], whole, np.ones(values.shape, bool))
            writer.finish()
        return path

    return write


@pytest.fixture
def run(tmp_path):
    def run(path, **parameters):
        told = []
        output = str(tmp_path / f"{len(list(tmp_path.iterdir()))}.gpkg")
        vectorize(input=path, output=output, progress=Progress(told.append), **parameters)
        return gpd.read_file(output, layer=0), [event.get("text", "") for event in told]

    return run


def test_each_polygon_names_its_kind(make_raster, run, probabilities):
    frame, told = run(make_raster("p.tif", probabilities, bands=BANDS))
    assert frame.kind.tolist() == ["slide", "debris flow", "debris flow"]
    assert frame.area_m2.tolist() == pytest.approx([1e4, 1.5e4, 1e4], rel=1e-3)
    assert frame.slide_id.tolist() == frame.id.tolist() == [1, 2, 3]
    assert frame.prob_mean.tolist() == pytest.approx([0.8, 0.7, 0.7])
    assert "Kinds of landslide: slide, debris flow." in told


def test_a_mask_of_classes_gives_the_same_polygons(make_raster, run, mask, probabilities):
    path = make_raster("p.tif", probabilities, bands=BANDS)
    one, _ = run(path, threshold=0.5)
    other, _ = run(mask(classified(probabilities, 0.5)))
    assert one.geometry.equals(other.geometry) and one.kind.equals(other.kind)
    assert other.prob_mean.isna().all()


@pytest.mark.parametrize(
    ("names", "kinds"),
    [
        (["Überschiebung", "Ausbiß"], ["überschiebung", "ausbiß"]),
        (["滑坡", "崩塌"], ["滑坡", "崩塌"]),
        (["type +", "type -"], ["type", "type 2"]),
        (["landslide", "rock glacier"], ["landslide", "rock glacier"]),
    ],
)
def test_kinds_keep_their_names_in_any_language(make_raster, probabilities, run, names, kinds):
    bands = probability_bands(["background", *names])
    frame, _ = run(make_raster("p.tif", probabilities, bands=bands), threshold=0.5)
    assert frame["kind"].tolist() == [kinds[0], kinds[1], kinds[1]]


def test_a_kind_that_is_nowhere_leaves_the_others(make_raster, run, probabilities):
    probabilities[0] = 0
    frame, _ = run(make_raster("p.tif", probabilities, bands=BANDS))
    assert set(frame.kind) == {"debris flow"} and len(frame) == 1
    assert run(make_raster("n.tif", probabilities * 0, bands=BANDS))[0].empty


def overlap(frame):
    """Return m2 that two landslides or more cover."""
    return frame.geometry.area.sum() - frame.geometry.union_all().area


def test_what_is_closed_and_filled_is_no_other_kinds(make_raster, run):
    """A slide in a flow, and one beside another flow, which holds a gap too."""
    values = np.zeros((2, 40, 60), "float32")
    values[1, 5:25, 5:25] = 0.8
    values[:, 12:16, 12:16] = [[[0.9]], [[0]]]
    values[1, 30:36, 30:34] = values[1, 30:36, 36:50] = 0.8
    values[:, 30:36, 34:36] = [[[0.9]], [[0]]]
    path = make_raster("p.tif", values, bands=BANDS)
    for asked in ({"max_hole": 1e6}, {"closing": 30.0}, {"max_hole": 1e6, "closing": 30.0}):
        frame, _ = run(path, **asked)
        assert overlap(frame) == 0
        assert frame.geometry.area.sum() == 100 * (400 + 120)
        assert frame[frame.kind == "slide"].geometry.area.sum() == 100 * (16 + 12)


def test_neighbours_of_two_kinds_keep_their_shared_edge(make_raster, run):
    rows, columns = np.mgrid[:60, :60]
    edge = 30 + np.round(6 * np.sin(rows / 4))
    values = np.stack([columns < edge, columns >= edge]) * np.float32(0.9)
    values[:, [0, -1]] = values[:, :, [0, -1]] = 0
    frame, _ = run(make_raster("p.tif", values, bands=BANDS), simplify=20.0, smooth=2)
    assert len(frame) == 2 and overlap(frame) == pytest.approx(0, abs=1e-3)
    union = frame.geometry.union_all()
    assert union.geom_type == "Polygon" and not union.interiors


def test_landslides_alone_are_of_no_kind(make_raster, run, probabilities):
    frame, _ = run(make_raster("p.tif", probabilities[0], bands=["landslide_probability"]))
    assert frame.kind.isna().all() and len(frame) == 1


def test_parts_of_each_kind_keep_their_landslide(make_raster, run, probabilities):
    elevation = np.tile(np.linspace(200, 100, 40, dtype="float32")[:, None], (1, 60))
    factors = make_raster("f.tif", elevation, bands=["elevation"])
    path = make_raster("p.tif", probabilities, bands=BANDS)
    frame, _ = run(path, factors=factors, parts=True, min_area=0)
    pairs = frame.groupby("slide_id")
    assert len(pairs) == 3 and (pairs.kind.nunique() == 1).all()
    assert all(set(parts) == {"source", "runout"} for _, parts in pairs.part)


def test_a_class_without_a_name_is_not_lost(run, mask):
    values = np.zeros((40, 60), "uint8")
    values[5:15, 5:15], values[20:30, 5:15] = 1, 3
    with pytest.raises(InputError, match="holds the class 3, for which it has no name"):
        run(mask(values))


@settings(max_examples=50)
@given(
    arrays(np.float32, (3, 4, 5), elements=st.floats(0, 0.25, width=32, allow_subnormal=False)),
    st.floats(0.01, 1),
)
def test_kinds_are_those_of_the_mask(values, threshold):
    marks = classified(values, threshold)
    for number in (1, 2, 3):
        sure = probability_of(Kind("", number), values, False)
        np.testing.assert_array_equal(sure >= threshold, marks == number)
    any_kind = probability_of_any(values, False)
    np.testing.assert_array_equal(any_kind >= threshold, marks > 0)
    np.testing.assert_array_equal(
        probability_of_any(marks[None].astype(np.float32), True), marks > 0
    )
