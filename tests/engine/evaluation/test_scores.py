"""Scores of whole maps, their baselines and intervals, on maps made so that they are known."""

from typing import Any

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.evaluation import compare as room
from landslide_mapper.landslide_plugin.evaluation.intervals import draws, interval, make_blocks
from landslide_mapper.landslide_plugin.evaluation.layers import Reading
from landslide_mapper.landslide_plugin.evaluation.scores import (
    SCORES,
    SIZES,
    all_landslide,
    no_landslide,
    scores,
)
from landslide_mapper.landslide_plugin.raster.grid import Grid
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.windows import Window
from scipy.ndimage import label

SIZE = 200
GRID = Grid(CRS.from_epsg(32632), from_origin(500000, 5000000, 10, 10), SIZE, SIZE)


class Made:
    """A map from an array of booleans or probabilities."""

    ids_are_global = False
    threshold: float | None = None

    def __init__(self, values):
        self.values = np.asarray(values)
        self.is_probability = self.values.dtype.kind == "f"

    def read(self, window):
        rows = np.arange(window.row_off, window.row_off + window.height)
        inside = (rows >= 0) & (rows < SIZE)
        block = self.values[np.clip(rows, 0, SIZE - 1)]
        landslide = (block >= 0.5) & inside[:, np.newaxis]
        valid = np.broadcast_to(inside[:, np.newaxis], block.shape)
        ids = label(landslide, np.ones((3, 3)))[0].astype(np.int32)
        return Reading(ids, valid, block if self.is_probability else None)


def made(*maps, tolerance=0, grid=GRID):
    *ours, truth = (Made(one) for one in maps)
    whole = Window(0, 0, SIZE, SIZE)
    return room.compare(ours, truth, None, grid, whole, tolerance, Progress())


def squares(*places, size=SIZE):
    """Return a mask of squares, (row, column, side)."""
    mask = np.zeros((size, size), bool)
    for row, column, side in places:
        mask[row : row + side, column : column + side] = True
    return mask


@pytest.fixture
def two_of_three():
    """Squares of 900 m2, 6400 m2 and 90,000 m2; the map finds the last two, and a false one."""
    truth = squares((10, 10, 3), (40, 40, 8), (100, 100, 30))
    ours = squares((40, 44, 8), (100, 100, 30), (10, 150, 5))
    return made(ours, truth)


def test_landslides_by_hand(two_of_three):
    values = scores(two_of_three, two_of_three.results[0])
    assert values["hit_rate"] == pytest.approx(2 / 3)
    by_size = [values[f"hit_rate_{key}"] for key in SIZES]
    assert by_size == [0, 1, 1, None]
    assert values["false_alarms_km2"] == pytest.approx(1 / 4, rel=1e-3)  # 2 km x 2 km
    # the square of 8 pixels is shifted by half: M = 32 / 96; the large one is right
    assert values["matching_median"] == pytest.approx((1 / 3 + 1) / 2)
    assert values["object_recall"] == values["object_precision"] == pytest.approx(1 / 3)
    assert values["object_f1"] == pytest.approx(1 / 3)


def test_areas_by_hand(two_of_three):
    values: dict[str, Any] = scores(two_of_three, two_of_three.results[0])
    mapped, reference, shared = 64 + 900 + 25, 9 + 64 + 900, 32 + 900
    assert values["area_bias"] == pytest.approx(mapped / reference - 1)
    assert values["matching"] == pytest.approx(shared / (mapped + reference - shared))
    assert values["mapping_error"] == pytest.approx(1 - values["matching"])
    assert values["matching"] == pytest.approx(values["iou_landslide"])
    areas = sorted(two_of_three.reference.area)
    assert areas == pytest.approx(np.array([900, 6400, 90000]) / 0.9996**2)  # UTM in its middle


def test_true_areas_in_degrees():
    """At 60 degrees north a pixel is half as wide as at the equator."""
    step = 10 / 111_320
    grid = Grid(CRS.from_epsg(4326), from_origin(10, 60, step, step), SIZE, SIZE)
    found = made(squares((20, 20, 10)), squares((20, 20, 10)), grid=grid)
    assert found.reference.area == pytest.approx([100 * 100 / 2], rel=0.01)
    assert found.area == pytest.approx(SIZE**2 * 100 / 2, rel=0.01)


def test_baselines_are_the_scores_of_such_maps():
    """What is derived for the two trivial maps equals what they score when they are compared."""
    truth = squares((10, 10, 3), (40, 40, 8), (100, 100, 30))
    ours = np.zeros((SIZE, SIZE), np.float32)
    found = made(ours + truth * 0.7, ours, ours + 1, truth)
    map_, nothing, everything = found.results
    for derived, result in ((no_landslide, nothing), (all_landslide, everything)):
        expected, values = derived(found, map_), scores(found, result)
        assert set(expected) == set(SCORES) == set(values)
        different = {
            key
            for key, value in expected.items()
            if value is not None and value != pytest.approx(values[key])
        }
        assert not different
    undefined = {key for key, value in no_landslide(found, map_).items() if value is None}
    assert {"precision", "mcc", "boundary_precision", "object_precision"} <= undefined
    assert all_landslide(found, map_)["precision"] == pytest.approx(973 / SIZE**2)


@pytest.mark.parametrize("which", ["map", "reference", "both"])
def test_empty_maps_have_undefined_scores(which):
    """Nothing is 0 or 1 for want of a value."""
    nothing, some = np.zeros((SIZE, SIZE), bool), squares((40, 40, 8))
    ours = some if which == "reference" else nothing
    truth = some if which == "map" else nothing
    found = made(ours, truth)
    values = scores(found, found.results[0])
    undefined = {key for key, value in values.items() if value is None}
    expected = {
        "map": {"precision", "mcc", "boundary_precision", "matching_median", "object_precision"},
        "reference": {"recall", "mcc", "area_bias", "hit_rate", "boundary_recall", "object_recall"},
        "both": {"f1", "kappa", "iou_landslide", "miou", "matching", "boundary_f", "object_f1"},
    }
    assert expected[which] <= undefined
    assert values["size_distance"] is None
    assert values["oa"] is not None
    blocks = make_blocks(found)
    drawn = draws(found, found.results[0], blocks)
    for key, part in drawn.items():
        if values[key] is None:
            assert interval(part, blocks) is None


def test_blocks_of_the_outline_and_objects_add_up(monkeypatch):
    """Small blocks give what one block gives, whatever the tolerance reaches over."""
    random = np.random.default_rng(3)
    ours, truth = (label(random.random((SIZE, SIZE)) > 0.7)[0] % 3 == 1 for _ in range(2))
    for tolerance in (0, 45, 300):
        whole = made(ours, truth, tolerance=tolerance)
        expected = scores(whole, whole.results[0])
        with monkeypatch.context() as patch:
            patch.setattr(Grid, "rows_within", lambda *a, **k: 7)
            parts = made(ours, truth, tolerance=tolerance)
        assert scores(parts, parts.results[0]) == pytest.approx(expected)
        assert parts.results[0].boundary == whole.results[0].boundary


def test_interval_narrows_with_more_of_the_same():
    """Independent errors everywhere: the interval holds the score and is narrow."""
    random = np.random.default_rng(0)
    truth = random.random((SIZE, SIZE)) > 0.8
    found = made(truth ^ (random.random((SIZE, SIZE)) > 0.95), truth)
    blocks = make_blocks(found)
    assert (blocks.count, blocks.side) == (100, 200)
    values: dict[str, Any] = scores(found, found.results[0])
    drawn = draws(found, found.results[0], blocks)
    for key in ("oa", "f1", "kappa", "iou_landslide", "area_bias", "matching"):
        limits = interval(drawn[key], blocks)
        assert limits is not None
        low, high = limits
        assert low < values[key] < high
        assert high - low < 0.05
    wide = draws(found, found.results[0], make_blocks(found, 500))
    assert interval(wide["f1"], make_blocks(found, 500)) is not None


def test_interval_of_clustered_errors_is_wider():
    """Errors in one corner: pixels would promise far more than blocks do."""
    truth = squares(
        *((row, column, 4) for row in range(5, 200, 20) for column in range(5, 200, 20))
    )
    ours = truth.copy()
    ours[:100, :100] = False
    found = made(ours, truth)
    blocks = make_blocks(found, 200)
    limits = interval(draws(found, found.results[0], blocks)["recall"], blocks)
    assert limits is not None
    low, high = limits
    assert low < 0.7 and high > 0.8
    by_pixel = 1.96 * np.sqrt(0.75 * 0.25 / truth.sum())
    assert (high - low) / 2 > 3 * by_pixel


def test_too_few_blocks_give_no_interval():
    found = made(squares((40, 40, 8)), squares((40, 44, 8)))
    blocks = make_blocks(found, 1000)
    assert blocks.count == 4
    assert interval(draws(found, found.results[0], blocks)["f1"], blocks) is None
