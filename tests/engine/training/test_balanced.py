"""Validation balanced: as many samples without landslide as with choose epoch and threshold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.samples.sample_set import Sample, SampleSet
from landslide_mapper.landslide_plugin.samples.splits import balanced
from landslide_mapper.landslide_plugin.training.train_command import train
from landslide_mapper.models.model_file import load_card
from safetensors.torch import load_file

pytestmark = pytest.mark.usefixtures("tiny")
TRAIN, WITH, WITHOUT = 6, 6, 20


def patch(number, landslide):
    return Sample(
        id=str(number),
        split="validation",
        block=0,
        source="synthetic",
        window=(0, 0, 8, 8),
        landslide_pixels=int(landslide),
        instances=int(landslide),
    )


@given(st.lists(st.booleans(), max_size=60))
def test_all_with_landslide_stay_and_at_most_as_many_without(holding):
    patches = [patch(*each) for each in enumerate(holding)]
    chosen = balanced(patches)
    assert len({each.id for each in chosen}) == len(chosen)
    assert [each for each in chosen if each.landslide_pixels] == [
        each for each in patches if each.landslide_pixels
    ]
    without = sum(not each.landslide_pixels for each in chosen)
    assert without == min(holding.count(True), holding.count(False))


def test_those_without_are_spread_over_all():
    patches = [patch(number, landslide=number in (0, 7)) for number in range(12)]
    assert [each.id for each in balanced(patches)] == ["0", "7", "1", "6"]


@pytest.fixture
def folder(make_samples):
    """Return a folder of samples, of which most that validate have no landslide."""
    return make_samples(
        train=TRAIN,
        validation=WITH + WITHOUT,
        test=3,
        empty=range(TRAIN + WITH, TRAIN + WITH + WITHOUT),
        split="random by patch",
    )


@pytest.fixture
def run(folder, tmp_path):
    """Return a function that trains an epoch on these, and returns the model's card."""

    def make(name, **change):
        model = str(tmp_path / f"{name}.safetensors")
        given = {"backbone": "light", "epochs": 1, "batch_size": 4, "device": "cpu", **change}
        train(samples=folder, model=model, progress=Progress(), **given)
        return load_card(model)

    return make


def test_they_choose_the_threshold_and_calibration_is_of_all(run, tmp_path):
    even, usual = run("even", balanced_validation=True), run("usual")
    one, other = (load_file(tmp_path / f"{name}.safetensors") for name in ("even", "usual"))
    assert all(one[name].equal(other[name]) for name in one)
    assert even.temperature == usual.temperature
    for name in ("calibration_error", "calibration_error_before"):
        assert even.metrics[name] == usual.metrics[name]
    assert even.training["landslide_share"] == usual.training["landslide_share"]
    assert even.metrics["precision"] > usual.metrics["precision"]
    assert even.threshold < usual.threshold


def test_the_card_and_the_report_say_so(run, tmp_path):
    card = run("m", balanced_validation=True, html=str(tmp_path / "r.html"))
    assert card.metrics["samples"] == card.training["validation_samples"] == 2 * WITH
    assert card.metrics["split"].endswith("at most as many patches without landslide as with")
    assert card.training["balanced_validation"]
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "at most as many samples without landslide as with" in page
    assert "balanced_validation" not in run("usual").training


def test_test_samples_all_count(run, folder):
    card = run("m", balanced_validation=True)
    tested = SampleSet.read(folder).of_split("test")
    assert card.metrics["test"]["samples"] == len(tested) == 3


def test_each_fold_is_balanced(run):
    card = run("m", balanced_validation=True, folds=2)
    assert card.metrics["samples"] == 2 * (TRAIN + WITH)
    assert card.members == 2
