"""The command vectorize: hysteresis, morphology, parted landslides, smoothing."""

import functools

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inventory.division import Divider
from landslide_mapper.landslide_plugin.inventory.trace import Scene
from landslide_mapper.landslide_plugin.inventory.vectorize_command import vectorize
from landslide_mapper.landslide_plugin.raster import Grid
from landslide_mapper.landslide_plugin.request import checked
from scipy.ndimage import gaussian_filter


@pytest.fixture
def run(tmp_path):
    def run(path, **parameters):
        events = []
        output = str(tmp_path / "inventory.gpkg")
        given = {"input": path, "output": output, **parameters}
        result = vectorize(
            **checked("vectorize", vectorize, given), progress=Progress(events.append)
        )
        frame = gpd.read_file(result["output"], layer=0)
        assert frame.is_valid.all() and not frame.is_empty.any()
        assert result["count"] == frame.slide_id.nunique()
        return frame, [event.get("text", "") for event in events]

    return run


@pytest.fixture
def peaks():
    """Two peaks of 0.9 with a saddle of about 0.6 between them, on 60 x 100 pixels."""
    rows, columns = np.mgrid[:60, :100]
    hills = [np.exp(-((rows - 30) ** 2 + (columns - x) ** 2) / 250) for x in (35, 60)]
    return (0.9 * np.maximum(*hills) + 0.25 * np.minimum(*hills)).astype("float32")


def noise(seed=5, size=300, sigma=4):
    field = gaussian_filter(np.random.default_rng(seed).normal(size=(size, size)), sigma)
    return np.clip(0.5 + field / field.std() / 4, 0, 1).astype("float32")


def test_a_landslide_grows_down_to_the_lower_probability(make_raster, run):
    probability = np.zeros((20, 30), "float32")
    probability[5:10, 2:12], probability[6, 4] = 0.4, 0.8
    probability[5:10, 20:28] = 0.4  # no seed
    frame, _ = run(make_raster("p.tif", probability), threshold=0.7, grow=0.3)
    assert frame.geometry.area.tolist() == [5000]
    assert frame.prob_mean[0] == pytest.approx((49 * 0.4 + 0.8) / 50)
    assert frame.prob_max[0] == pytest.approx(0.8)


def test_growing_gives_what_scipy_reconstructs(make_raster, run):
    from scipy.ndimage import binary_propagation

    probability = noise()
    frame, _ = run(make_raster("p.tif", probability), threshold=0.75, grow=0.55)
    grown = binary_propagation(probability >= 0.75, mask=probability >= 0.55)
    assert frame.geometry.area.sum() == grown.sum() * 100


def test_opening_and_closing_don_t_see_the_blocks(make_raster, run, monkeypatch):
    path = make_raster("p.tif", noise(size=120))
    parameters = {"opening": 20, "closing": 30, "threshold": 0.6}
    whole, _ = run(path, **parameters)
    monkeypatch.setattr(Grid, "rows_within", lambda *_: 7)
    blocks, _ = run(path, **parameters)
    assert shapely.equals(blocks.union_all(), whole.union_all())
    plain, _ = run(path, threshold=0.6)
    assert len(blocks) < len(plain)
    assert blocks.prob_mean.tolist() == pytest.approx(whole.prob_mean.tolist())


def test_an_opening_below_a_pixel_is_said_to_do_nothing(make_raster, run):
    _, said = run(make_raster("p.tif", noise(size=40)), opening=4)
    assert any("less than a pixel" in text for text in said)


@pytest.mark.parametrize("split", ["probability", "necks"])
def test_two_that_touch_are_parted_and_share_their_edge(make_raster, run, peaks, split):
    path = make_raster("p.tif", peaks)
    parted = functools.partial(run, path, split_depth=0.3)
    (whole,), (first, second) = run(path)[0].geometry, parted(split=split)[0].geometry
    assert first.union(second).equals(whole)
    assert first.intersection(second).length > 0 and first.overlaps(second) is False
    middle = 500000 + 10 * 48
    assert sorted([first.centroid.x > middle, second.centroid.x > middle]) == [False, True]
    assert abs(first.area - second.area) < 0.05 * whole.area
    frame, _ = parted(split=split, simplify=20, smooth=2)
    assert shapely.coverage_is_valid(frame.geometry.to_numpy())
    union = frame.union_all()
    assert union.geom_type == "Polygon" and not union.interiors
    assert union.area == pytest.approx(frame.geometry.area.sum(), rel=1e-9)


def test_a_deeper_saddle_is_asked_for(make_raster, run, peaks):
    assert len(run(make_raster("p.tif", peaks), split="probability", split_depth=0.95)[0]) == 1


def test_statistics_of_parted_landslides_are_those_of_their_pixels(make_raster, run):
    from rasterio.features import geometry_mask
    from rasterio.transform import from_origin

    probability = noise(sigma=6)
    frame, _ = run(make_raster("p.tif", probability), split="necks", max_hole=5000, threshold=0.55)
    whole, _ = run(make_raster("p.tif", probability), max_hole=5000, threshold=0.55)
    assert len(frame) > len(whole) + 5
    assert frame.geometry.area.sum() == whole.geometry.area.sum()
    transform = from_origin(500000, 5000000, 10, 10)
    for row in frame.itertuples():
        inside = geometry_mask([row.geometry], probability.shape, transform, invert=True)
        counted = probability[inside & (probability >= 0.55)]
        assert row.prob_mean == pytest.approx(counted.mean(), rel=1e-4)
        assert row.prob_max == pytest.approx(counted.max())


def test_valleys_part_along_the_divide(make_raster, run):
    columns = np.mgrid[:40, :60][1]
    probability = np.zeros((40, 60), "float32")
    probability[8:32, 10:50] = 0.9
    ridge = (1000 - 5 * abs(columns - 30)).astype("float32")
    factors = make_raster("f.tif", ridge, bands=["elevation"])
    frame, _ = run(make_raster("p.tif", probability), split="drainage", factors=factors)
    assert len(frame) == 2
    assert frame.geometry.area.min() > 0.45 * frame.geometry.area.sum()


def test_a_landslide_with_pixels_of_unknown_elevation_is_not_cut_up_by_it(make_raster, run):
    rows, columns = np.mgrid[:60, :60]
    probability = np.zeros((60, 60), "float32")
    probability[10:50, 10:50] = 0.9
    valley = (1000 - 5 * rows + 2 * abs(columns - 30)).astype("float32")
    valley[11:22, 14:46] = -9999
    factors = make_raster("f.tif", valley, bands=["elevation"], nodata=-9999)
    frame, said = run(
        make_raster("p.tif", probability), split="drainage", parts=True, factors=factors
    )
    assert len(frame) == 1 and frame.part.isna().all()
    assert any("1 landslides have pixels without an elevation" in text for text in said)


@pytest.mark.parametrize("split", ["probability", "necks"])
def test_what_is_too_small_to_part_is_not_looked_at(make_raster, run, monkeypatch, split):
    """Two pieces of the smallest area don't fit into it; looked at, it stays whole."""
    path, seen = make_raster("p.tif", noise(seed=1, sigma=2)), []
    layers = Scene.layers

    def noted(scene, window, names):
        seen.append(names)
        return layers(scene, window, names)

    monkeypatch.setattr(Scene, "layers", noted)
    given = {"threshold": 0.6, "split": split, "split_depth": 0.05, "min_area": 2000}
    frame, _ = run(path, **given)
    looked_at, parted = len(seen), seen.count(None)
    assert {tuple(names) for names in seen if names is not None} == {
        ("prob",) if split == "probability" else ()
    }
    monkeypatch.setattr(Divider, "smallest", lambda *_: 2)
    everything, _ = run(path, **given)
    pd.testing.assert_frame_equal(everything, frame)
    assert 0 < 2 * parted < looked_at < len(seen) - looked_at


def test_source_and_runout(make_raster, run):
    rows = np.mgrid[:60, :40][0]
    probability = np.zeros((60, 40), "float32")
    probability[10:40, 10:20] = 0.9
    probability[50:52, 30:32] = 0.9
    elevation = (2000 - 10 * rows).astype("float32")
    factors = make_raster("f.tif", elevation, bands=["elevation"])
    frame, _ = run(make_raster("p.tif", probability), parts=True, factors=factors, min_area=20000)
    assert frame.part.tolist() in (["source", "runout"], ["runout", "source"])
    assert frame.slide_id.tolist() == [1, 1] and frame.id.tolist() == [1, 2]
    source, runout = (frame[frame.part == name].iloc[0] for name in ("source", "runout"))
    assert source.geometry.area == pytest.approx(10000, rel=0.11)
    assert source.elev_min > runout.elev_max
    assert source.geometry.touches(runout.geometry)


def test_without_parts_each_polygon_is_a_landslide(make_raster, run):
    frame, _ = run(make_raster("p.tif", noise(size=80)))
    assert frame.slide_id.tolist() == frame.id.tolist() and frame.part.isna().all()


def test_a_landslide_in_a_filled_hole_counts_with_what_surrounds_it(make_raster, run):
    probability = np.full((20, 20), 0.6, "float32")
    probability[5:15, 5:15] = 0.1
    probability[8:12, 8:12] = 0.9
    frame, _ = run(make_raster("p.tif", probability), max_hole=20000)
    assert frame.geometry.area.tolist() == [40000]
    assert frame.prob_mean[0] == pytest.approx((300 * 0.6 + 16 * 0.9) / 316)
    assert frame.prob_max[0] == pytest.approx(0.9)


def test_one_too_large_to_be_cut_up_is_left_whole(make_raster, run, peaks, monkeypatch):
    from landslide_mapper.landslide_plugin.inventory import division

    monkeypatch.setattr(division, "LARGEST_WINDOW", 100)
    frame, said = run(make_raster("p.tif", peaks), split="necks")
    assert len(frame) == 1 and any("1 landslides are too large" in text for text in said)


BAD = [
    ({"grow": 0.8}, "grow down to 0.8 from a threshold of 0.5"),
    ({"grow": -0.1}, "GROW is -0.1: choose"),
    ({"threshold": 128.0}, "THRESHOLD is 128.0: choose"),
    ({"opening": -1}, "OPENING is -1: choose"),
    ({"closing": float("inf")}, "CLOSING is Infinity"),
    ({"opening": 5000}, "more than 50 pixels"),
    ({"split": "somehow"}, "choose one of none, probability, necks, drainage"),
    ({"split_depth": 2}, "SPLIT_DEPTH is 2: choose"),
    ({"smooth": 9}, "SMOOTH is 9: choose"),
    ({"parts": True}, "band elevation"),
    ({"split": "drainage"}, "band elevation"),
    ({"date": "6 September 2018"}, "year-month-day"),
]


@pytest.mark.parametrize(("parameters", "named"), BAD)
def test_what_can_t_be_done_is_said(make_raster, run, tmp_path, parameters, named):
    with pytest.raises(InputError, match=named):
        run(make_raster("p.tif", np.ones((5, 5), "float32")), **parameters)
    assert [path.name for path in tmp_path.iterdir()] == ["p.tif"]


def test_a_mask_is_not_parted_by_probability(make_raster, run):
    with pytest.raises(InputError, match="is a mask"):
        run(make_raster("m.tif", np.ones((5, 5), "uint8")), split="probability")
