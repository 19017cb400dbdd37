"""Test samples: `train` measures the model that it writes on them, and chooses nothing by them."""

from typing import Any

import numpy as np
import pytest
import torch
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.evaluation.intervals import metric_intervals
from landslide_mapper.landslide_plugin.evaluation.metrics import Confusion
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN, SampleSet
from landslide_mapper.landslide_plugin.training.train_command import train
from landslide_mapper.models.calibration import Calibration
from landslide_mapper.models.model_file import load_card, load_model
from safetensors.torch import load_file
from sklearn.metrics import f1_score, jaccard_score

pytestmark = pytest.mark.usefixtures("tiny")
FAST: dict[str, Any] = {"backbone": "light", "epochs": 3, "batch_size": 6, "device": "cpu"}
RANDOM = "random by patch"


@pytest.fixture
def run(tmp_path):
    """Return a function that trains on a folder; it returns values, card and messages."""

    def make(samples, name="m", **change):
        events = []
        model = str(tmp_path / f"{name}.safetensors")
        values = train(
            samples=samples, model=model, progress=Progress(events.append), **{**FAST, **change}
        )
        return values, load_card(model), [event.get("text", "") for event in events]

    return make


def on_the_test_part(model, folder):
    """Truth and a model file's probability, without temperature, of the test patches' pixels."""
    loaded, samples = load_model(model), SampleSet.read(folder)
    card, truths, probabilities = loaded.card, [], []
    for sample in samples.of_split("test"):
        values, valid, labels = samples.load(sample, card.bands)
        mean, std = (np.array(each, np.float32)[:, None, None] for each in (card.mean, card.std))
        with torch.inference_mode():
            logits = loaded.network(torch.from_numpy((values - mean) / std * valid)[None])
        truths.append((labels > 0)[labels != UNKNOWN])
        probabilities.append(logits.softmax(1)[0, 1].numpy()[labels != UNKNOWN])
    return np.concatenate(truths), np.concatenate(probabilities)


def calibration_error(truth, probability):
    """Mean over pixels of |landslide share - mean probability| of their tenth of probability."""
    tenth = np.minimum((probability * 10).astype(int), 9)
    gaps = [
        (tenth == bin).sum() * abs(truth[tenth == bin].mean() - probability[tenth == bin].mean())
        for bin in np.unique(tenth)
    ]
    return sum(gaps) / len(truth)


@pytest.mark.parametrize("folds", [0, 2])
def test_the_model_that_is_written_is_measured_on_the_test_patches(
    make_samples, run, tmp_path, folds
):
    """With folds it is the ensemble."""
    folder = make_samples(train=12, validation=4, test=11, split=RANDOM)
    html = tmp_path / "r.html"
    values, card, said = run(folder, folds=folds, html=str(html))
    truth, probability = on_the_test_part(values["model"], folder)
    answer = Calibration(card.temperature)(probability) >= card.threshold
    test = card.metrics["test"]
    assert values["test_f1"] == test["f1"] == pytest.approx(f1_score(truth, answer), abs=0.01)
    assert (
        values["test_iou"] == test["iou"] == pytest.approx(jaccard_score(truth, answer), abs=0.01)
    )
    assert (test["split"], test["samples"]) == ("test part of a split random by patch, seed 5", 11)
    assert test["landslides"] >= 11
    low, high = test["intervals"]["f1"]
    assert low < test["f1"] < high and test["intervals_over"] == "11 patches"
    assert sum("On the 11 test samples" in text for text in said) == 1
    assert "Figures on the test pixels" in html.read_text(encoding="utf-8")


@pytest.mark.parametrize("folds", [0, 2])
def test_the_calibration_error_is_measured_on_the_test_patches_too(
    make_samples, run, tmp_path, folds
):
    """Without the temperature, which validation has chosen, and with it."""
    folder = make_samples(train=12, validation=8, test=5, split=RANDOM)
    html = tmp_path / "r.html"
    values, card, said = run(folder, folds=folds, html=str(html), epochs=20)
    truth, probability = on_the_test_part(values["model"], folder)
    before = calibration_error(truth, probability)
    after = calibration_error(truth, Calibration(card.temperature)(probability))
    test = card.metrics["test"]
    assert abs(card.temperature - 1) > 0.05 and abs(before - after) > 0.01
    assert test["calibration_error_before"] == pytest.approx(before, abs=2e-3)
    assert test["calibration_error"] == pytest.approx(after, abs=2e-3)
    told = (
        f"expected calibration error {test['calibration_error']:.4f}, without the temperature "
        f"{test['calibration_error_before']:.4f}"
    )
    assert sum(told in text for text in said) == 1
    page = html.read_text(encoding="utf-8")
    for pixels, figures in (("Validation", card.metrics), ("Test", test)):
        cells = [figures[f"calibration_error{when}"] for when in ("_before", "")]
        row = "".join(f'<td class="number">{value:.4f}</td>\n' for value in cells)
        assert f"<tr><td>{pixels}</td>\n{row}".replace("\n", "") in page.replace("\n", "")


def test_without_a_temperature_one_calibration_error_is_told(make_samples, run, tmp_path):
    html = tmp_path / "r.html"
    _, card, said = run(make_samples(validation=2, test=2), html=str(html))
    test, page = card.metrics["test"], html.read_text(encoding="utf-8")
    assert card.temperature == 1 and test["calibration_error"] == test["calibration_error_before"]
    (text,) = (text for text in said if "test samples" in text)
    assert text.endswith(f"; expected calibration error {test['calibration_error']:.4f}.")
    assert "without the temperature" not in text
    assert "1,000 are needed" in page, "the report says why, too"


def test_where_there_is_no_test_part_the_figures_are_empty(make_samples, run, tmp_path):
    html = tmp_path / "r.html"
    values, card, _ = run(make_samples(), html=str(html))
    assert values["test_f1"] is values["test_iou"] is None and "test" not in card.metrics
    assert "test pixels" not in html.read_text(encoding="utf-8")


def test_nothing_is_chosen_by_test_patches(make_samples, run):
    """Turned wrong way round they change their own figures, and neither weights nor threshold."""
    right = run(make_samples("right", test=3), "right")
    wrong = run(make_samples("wrong", test=3, without_test=True), "wrong")
    weights = [load_file(values["model"]) for values, _, _ in (right, wrong)]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert right[1].threshold == wrong[1].threshold
    assert right[1].metrics["test"]["recall"] > 0 and not wrong[1].metrics["test"]["landslides"]
    assert right[1].metrics["test"]["intervals"]["f1"] is None, "of three patches"


def test_parts_that_are_alike_give_a_narrow_interval_and_few_none():
    alike = [Confusion(tp=8, fp=2, fn=2, tn=88)] * 10
    for key, value in (("f1", 0.8), ("precision", 0.8), ("oa", 0.96)):
        assert metric_intervals(alike)[key] == pytest.approx((value, value))
    assert set(metric_intervals(alike[1:]).values()) == {None}
    mixed = [Confusion(tp=10), Confusion(fn=10)] * 10
    low, high = metric_intervals(mixed)["recall"] or (0, 0)
    assert low == pytest.approx(0.5 - 1.96 * np.sqrt(0.25 / 20), abs=0.04)
    assert high == pytest.approx(0.5 + 1.96 * np.sqrt(0.25 / 20), abs=0.04)
