"""Counts, frequency ratios and dependence of factors with known answers."""

import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors.analysis import counts as analysis
from landslide_mapper.landslide_plugin.factors.analysis.counts import (
    Factor,
    Interval,
    auc_of_intervals,
    draw_sample,
    factors_of,
    inflation,
    survey,
)
from landslide_mapper.landslide_plugin.factors.analysis.report import unit_of
from landslide_mapper.landslide_plugin.raster.landslides import Mask
from landslide_mapper.landslide_plugin.raster.source import Source
from landslide_mapper.landslide_plugin.raster.stack import LayerStack
from sklearn.metrics import roc_auc_score

from .conftest import SHAPE, run, table_of

# ---- the sample


def test_a_draw_keeps_the_order_of_the_stream(random):
    # argpartition's order differs between processors, and forests with it.
    draw = analysis._Draw(random, 50)
    for start in (0, 400, 800):
        places = np.arange(start, start + 400).reshape(1, -1).repeat(2, axis=0)
        draw.add(places.astype(np.float32), places)
    assert draw.positions.shape == (2, 50) and np.all(np.diff(draw.positions[0]) > 0)
    np.testing.assert_array_equal(draw.values, draw.positions)


# ---- counts over all pixels


def test_values_and_classes_that_are_called_alike_are_two_factors(make_raster, make_lithology):
    values = make_raster("a.tif", np.ones(SHAPE, np.float32), bands=["lithology"])
    classes = make_lithology(np.arange(np.prod(SHAPE)).reshape(SHAPE) % 2, {0: "marl", 1: "clay"})
    with LayerStack.open([values, classes]) as stack:
        assert factors_of(stack) == [
            Factor("lithology", (0,)), Factor("lithology_2", (1, 2), ("marl", "clay")),
        ]  # fmt: skip


def test_levels_of_a_distance_are_not_taken_for_metres(make_raster):
    numbers = np.arange(np.prod(SHAPE)).reshape(SHAPE) % 3
    for levels in (True, False):
        path = make_raster("a.tif", numbers.astype(np.float32), bands=["river_distance"])
        if levels:
            with rasterio.open(path, "r+") as raster:
                raster.update_tags(1, ordinal="yes", class_0="0 to 200 m", class_1="above 200 m")
        with LayerStack.open([path]) as stack:
            (factor,) = factors_of(stack)
        assert unit_of(factor) == ("level" if levels else "m")


def test_counts_and_ratios_are_those_of_numpy(make_area):
    path, mask_path, layers, mask = make_area(nodata=255)
    with LayerStack.open([path]) as stack, Source.open(mask_path) as source:
        labels = Mask(source)
        sample = draw_sample(stack, labels, 0, Progress())
        factors = factors_of(stack)
        counted = survey(stack, labels, factors, sample, 5, Progress())
    for name, intervals in counted.intervals.items():
        values = layers[name]
        assert len(intervals) == 5
        assert intervals[0].low == values.min() and intervals[-1].high == values.max()
        assert sum(interval.pixels for interval in intervals) == mask.size
        for number, interval in enumerate(intervals):
            inside = (values > interval.low) & (values <= interval.high)
            if number == 0:
                inside |= values == interval.low
            assert interval.pixels == inside.sum()
            assert interval.landslide_pixels == mask[inside].sum()
            assert interval.frequency == mask[inside].mean()
            assert interval.ratio == pytest.approx(mask[inside].mean() / mask.mean())
    expected = np.corrcoef(np.stack([layers[name].ravel() for name in counted.intervals]))
    np.testing.assert_allclose(counted.correlation, expected, atol=1e-6)


def test_counts_do_not_depend_on_the_blocks(make_area, monkeypatch):
    path, mask_path, _, _ = make_area()
    found = []
    for chunk in (1 << 18, 100):
        monkeypatch.setattr(analysis, "_CHUNK", chunk)
        with LayerStack.open([path]) as stack, Source.open(mask_path) as source:
            sample = draw_sample(stack, Mask(source), 0, Progress())
            found.append(survey(stack, Mask(source), factors_of(stack), sample, 4, Progress()))
    assert found[0].intervals == found[1].intervals
    np.testing.assert_allclose(found[0].correlation, found[1].correlation, atol=1e-12)


def test_sample_is_bounded_even_and_repeatable(make_raster, monkeypatch):
    monkeypatch.setattr(analysis, "SAMPLE", 400)
    monkeypatch.setattr(analysis, "_CHUNK", 1000)
    place = np.arange(20000, dtype=np.float32).reshape(100, 200)
    path = make_raster("stack.tif", place, bands=["place"])
    mask = make_raster("mask.tif", (place % 4 == 0).astype(np.uint8))

    def draw(seed):
        with LayerStack.open([path]) as stack, Source.open(mask) as source:
            return draw_sample(stack, Mask(source), seed, Progress())

    sample = draw(0)
    assert np.bincount(sample.landslide).tolist() == [400, 400]
    assert (sample.values[:, 0] == sample.rows * 200 + sample.columns).all()
    assert ((sample.values[:, 0] % 4 == 0) == sample.landslide).all()
    assert len(np.unique(sample.values)) == 800
    assert sample.weights.sum() == 20000
    assert (sample.background_pixels, sample.landslide_pixels) == (15000, 5000)
    # a fifth of the pixels lies in each fifth of the stream, give or take four deviations
    fifths = np.bincount((sample.values[:, 0] // 4000).astype(int))
    assert abs(fifths - 160).max() < 4 * np.sqrt(160 * 0.8)
    assert (draw(0).values == sample.values).all()
    assert (draw(1).values != sample.values).any()


def test_unknown_pixels_of_the_mask_are_not_counted(make_area, make_raster, tmp_path):
    stack, _, _, mask = make_area()
    mask[:, :10] = 255
    path = make_raster("partly.tif", mask, nodata=255)
    run(stack, path, table=str(tmp_path / "table.csv"))
    rows = [row for row in table_of(tmp_path / "table.csv") if row["factor"] == "slope"]
    assert sum(int(row["pixels"]) for row in rows) == SHAPE[0] * (SHAPE[1] - 10)


# ---- measures of one factor


def test_auc_of_intervals_is_that_of_their_frequency():
    counts = [(100, 5), (50, 20), (0, 0), (200, 20), (30, 0)]
    intervals = [
        Interval(
            label=str(number),
            low=None,
            high=None,
            pixels=pixels,
            landslide_pixels=landslide,
            ratio=None,
        )
        for number, (pixels, landslide) in enumerate(counts)
    ]
    truth = np.concatenate([np.arange(pixels) < landslide for pixels, landslide in counts])
    score = np.concatenate([np.full(n, landslide / n) for n, landslide in counts if n])
    assert auc_of_intervals(intervals) == pytest.approx(roc_auc_score(truth, score))


def test_inflation_is_that_of_the_regression_on_the_others(random):
    values = random.normal(size=(3, 2000))
    values[2] += 2 * values[0] - values[1]
    centred = values - values.mean(axis=1, keepdims=True)
    for own in range(3):
        others = np.delete(centred, own, axis=0)
        fit = others.T @ np.linalg.lstsq(others.T, centred[own], rcond=None)[0]
        expected = centred[own].var() / (centred[own] - fit).var()
        found = inflation(np.corrcoef(values), Factor("own", (own,)))
        assert found == pytest.approx(expected)


def test_inflation_of_two_classes_is_that_of_one_of_their_bands(random):
    first = (random.normal(size=2000) > 0).astype(float)
    other = first + random.normal(size=2000)
    both = inflation(np.corrcoef([first, 1 - first, other]), Factor("l", (0, 1), ("a", "b")))
    one = inflation(np.corrcoef([first, other]), Factor("l", (0,)))
    assert both == pytest.approx(one) and one > 1.1


def test_inflation_of_a_copy_is_infinite(random):
    values = random.normal(size=500)
    assert inflation(np.corrcoef([values, 3 * values + 1]), Factor("copy", (0,))) == np.inf
