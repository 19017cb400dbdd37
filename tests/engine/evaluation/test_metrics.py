"""Metrics against hand-worked examples and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from landslide_mapper.landslide_plugin.evaluation.metrics import METRICS, Confusion, all_metrics
from sklearn import metrics as reference

PAIRS = st.integers(1, 200).flatmap(
    lambda size: st.tuples(arrays(bool, size), arrays(bool, size), arrays(bool, size))
)


def test_hand_worked_example():
    """A hundred pixels, ten of them landslide, eight mapped, six of these right."""
    values = all_metrics(Confusion(tp=6, fp=2, fn=4, tn=88))
    assert values["oa"] == 0.94
    assert values["precision"] == 0.75
    assert values["recall"] == 0.6
    assert values["f1"] == pytest.approx(2 / 3)
    assert values["iou_landslide"] == 0.5
    assert values["iou_background"] == pytest.approx(88 / 94)
    assert values["miou"] == pytest.approx((0.5 + 88 / 94) / 2)
    assert values["fpr"] == pytest.approx(2 / 90)
    # by chance both agree on 0.08 x 0.1 + 0.92 x 0.9 = 0.836
    assert values["kappa"] == pytest.approx((0.94 - 0.836) / (1 - 0.836))
    assert values["mcc"] == pytest.approx((6 * 88 - 2 * 4) / np.sqrt(8.0 * 10 * 92 * 90))


def test_example_of_cohen_1960_kind():
    """A textbook table: 20 both yes, 5 and 10 disagreements, 15 both no; kappa is 0.4."""
    assert METRICS["kappa"].value(Confusion(20, 5, 10, 15)) == pytest.approx(0.4)


def test_perfect_map():
    values = all_metrics(Confusion(tp=5, tn=95))
    assert values.pop("fpr") == 0
    assert set(values.values()) == {1}


def test_inverted_map():
    values = all_metrics(Confusion(fp=50, fn=50))
    assert values["mcc"] == values["kappa"] == -1
    assert values["fpr"] == 1
    assert values["oa"] == values["f1"] == values["miou"] == 0


def test_map_without_landslide_has_no_precision():
    values = all_metrics(Confusion(tp=3, fp=7, fn=7, tn=83).without_landslides())
    assert values["oa"] == 0.9
    assert values["recall"] == values["f1"] == values["kappa"] == values["fpr"] == 0
    assert values["miou"] == 0.45
    assert values["precision"] is None
    assert values["mcc"] is None


def test_nothing_but_background():
    values = all_metrics(Confusion(tn=10))
    assert values["oa"] == values["iou_background"] == 1
    undefined = {key for key, value in values.items() if value is None}
    assert undefined == {
        "precision", "recall", "f1", "kappa", "iou_landslide", "miou", "mcc"
    }  # fmt: skip


def test_no_pixel_at_all():
    assert set(all_metrics(Confusion()).values()) == {None}


@given(PAIRS)
def test_equal_to_scikit_learn(maps):
    ours, truth, valid = maps
    counts = Confusion.of(ours, truth, valid)
    assert counts.total == valid.sum()
    values = all_metrics(counts)
    ours, truth = ours[valid], truth[valid]
    if not counts.total:
        return
    assert values["oa"] == pytest.approx(reference.accuracy_score(truth, ours))
    for key, function in (
        ("precision", reference.precision_score),
        ("recall", reference.recall_score),
        ("f1", reference.f1_score),
    ):
        theirs = function(truth, ours, zero_division=np.nan)
        assert (values[key] is None) == np.isnan(theirs)
        if values[key] is not None:
            assert values[key] == pytest.approx(theirs)
    if values["iou_landslide"] is not None:
        assert values["iou_landslide"] == pytest.approx(reference.jaccard_score(truth, ours))
    if values["kappa"] is not None:
        assert values["kappa"] == pytest.approx(reference.cohen_kappa_score(truth, ours))
    if values["miou"] is not None:
        theirs = reference.jaccard_score(truth, ours, average="macro", labels=[False, True])
        assert values["miou"] == pytest.approx(theirs)
    if values["mcc"] is not None:
        assert values["mcc"] == pytest.approx(reference.matthews_corrcoef(truth, ours))


@given(PAIRS, st.integers(0, 200))
def test_blocks_add_up(maps, cut):
    ours, truth, valid = maps
    parts = [
        Confusion.of(ours[part], truth[part], valid[part])
        for part in (slice(0, cut), slice(cut, None))
    ]
    assert parts[0] + parts[1] == Confusion.of(ours, truth, valid)


def test_counts_do_not_overflow():
    """Kappa of a country-sized raster is exact: Python's integers have no limit."""
    million = 10**6
    small, large = Confusion(6, 2, 4, 88), Confusion(*(n * million for n in (6, 2, 4, 88)))
    assert all_metrics(large) == pytest.approx(all_metrics(small))
