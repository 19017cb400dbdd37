"""The report says how good a network is, and what is needed to judge that."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from landslide_mapper.landslide_plugin.core.provenance import NO_ORIGIN
from landslide_mapper.landslide_plugin.evaluation.metrics import Confusion
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN, SampleSet
from landslide_mapper.landslide_plugin.training.judging import report as module
from landslide_mapper.landslide_plugin.training.judging.assessment import Assessment, Example
from landslide_mapper.landslide_plugin.training.judging.baselines import baselines, constant_mask
from landslide_mapper.landslide_plugin.training.judging.drawings import error_picture
from landslide_mapper.landslide_plugin.training.judging.report import Run, write_runs_report
from landslide_mapper.landslide_plugin.training.judging.temperature import Fitted
from landslide_mapper.landslide_plugin.training.loop.contracts import Epoch, Outcome, Settings
from landslide_mapper.landslide_plugin.training.loop.scores import Scores
from landslide_mapper.models.model_card import ModelCard
from matplotlib.colors import to_rgb

SETTINGS = Settings(epochs=2, batch_size=8, learning_rate=1e-3, seed=0, device=torch.device("cpu"))

FITTED = Fitted(2.5, before=0.0512, after=0.0124, rarer=5000)


def a_run(seed, skill=0.6):
    """Return a made-up run whose probabilities follow the truth the more the more skill."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((4, 32, 32)) < 0.2).astype(np.uint16)
    labels[0, :4] = UNKNOWN
    labels[3] = 0
    probability = (skill * (labels == 1) + (1 - skill) * rng.random(labels.shape)).astype("f4")
    known = labels != UNKNOWN
    scores = Scores()
    scores.add(probability, labels == 1, known)
    threshold = scores.best_threshold()
    examples = [
        Example(
            name=f"<tile> {number}",
            image=rng.normal(size=(3, 32, 32)).astype("f4"),
            labels=labels[number],
            probability=probability[number],
            counts=Confusion.of(
                probability[number] >= threshold, labels[number] == 1, known[number]
            ),
        )
        for number in range(4)
    ]
    constant = constant_mask(labels)
    result = Assessment(
        tiles=[scores],
        threshold=threshold,
        train=8,
        validation=4,
        baselines=baselines(constant, labels),
        constant=constant,
        seen=0.25,
        shown=["red", "green", "blue"],
        best=examples[:2],
        worst=examples[2:],
    )
    history = [
        Epoch(number=n, loss=1 / n, f1=0.3 * n, iou=0.2 * n, threshold=0.5, seconds=2.0)
        for n in (1, 2)
    ]
    return Run(Outcome(history=history, best=history[1], figures={}), result)


@pytest.fixture
def report(drawn_report, monkeypatch):
    """Write a report without its figures, which take seconds."""
    monkeypatch.setattr(module, "png", lambda *_, **__: "")
    return drawn_report


@pytest.fixture
def drawn_report(make_samples, tmp_path):
    samples = SampleSet.read(make_samples())
    card = ModelCard(
        name="my-model",
        architecture="fc_densenet",
        arguments={"growth_rate": 16},
        task="semantic-segmentation",
        bands=["red", "green", "blue"],
        mean=[1.0] * 3,
        std=[2.0] * 3,
        resolution=10.0,
        tile_size=32,
        classes=["background", "landslide"],
        training={"loss": "focal", "terms": "CC BY 4.0"},
    )

    def write(runs, fitted=FITTED, **change):
        path = tmp_path / "report.html"
        held = replace(samples, **change)
        write_runs_report(path, runs, fitted, card, held, SETTINGS, NO_ORIGIN)
        return path.read_text()

    return write


def cells(text, row):
    """Return the texts of the row of a table that begins with a text."""
    result = re.search(rf"<tr><td[^>]*>{row}</td>.*?</tr>", text)
    assert result is not None, row
    return re.findall(r"<td[^>]*>(.*?)</td>", result[0])


def test_every_metric_stands_beside_its_baselines(report):
    run = a_run(0)
    text = report([run])
    own, *others = map(float, cells(text, "F1")[1:5])
    counts = run.assessment.counts
    assert own == pytest.approx(2 * counts.tp / (2 * counts.tp + counts.fp + counts.fn), abs=1e-4)
    assert others[0] == 0 and 0.2 < others[1] < 0.4 and 0.1 < others[2] < 0.6
    assert cells(text, "Precision")[2] == "undefined"
    assert "One training has no spread" in text
    assert cells(text, "Mapped as landslide")[1:3] == [f"{counts.tp:,}", f"{counts.fp:,}"]


def test_folds_have_a_mean_and_a_standard_deviation(report):
    runs = [a_run(seed, skill) for seed, skill in ((0, 0.5), (1, 0.55), (2, 0.6))]
    text = report(runs)
    values = [2 * c.tp / (2 * c.tp + c.fp + c.fn) for c in (r.assessment.counts for r in runs)]
    middle, spread = map(float, cells(text, "F1")[1:3])
    assert middle == pytest.approx(np.mean(values), abs=1e-4)
    assert spread == pytest.approx(np.std(values, ddof=1), abs=1e-4)
    assert f"F1 {np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}" in text
    for fold in (1, 2, 3):
        assert float(cells(text, str(fold))[6]) == pytest.approx(values[fold - 1], abs=1e-4)


def test_the_calibration_error_stands_beside_that_of_the_temperature(report):
    text = report([a_run(0)])
    assert cells(text, "Validation")[1:] == ["0.0512", "0.0124"]
    assert "At temperature 2.5, as maps have it" in text and "half of the highest F1" in text
    text = report([a_run(0)], replace(FITTED, likeliest=20.0))
    assert cells(text, "Validation")[1:] == ["0.0512"]
    assert "At temperature" not in text and "It has the highest F1." in text
    assert "likeliest at 20, an end of its range" in text
    text = report([a_run(0)], Fitted())
    assert "no temperature is fitted" in text and "needed to calibrate" not in text


def test_a_random_split_is_called_optimistic(report):
    assert "optimistic" not in report([a_run(0)])
    text = report([a_run(0)], split="random by image")
    assert 'class="caution"' in text and "optimistic" in text
    assert cells(text, "Split")[1] == "random by image, seed 5"


def test_a_network_that_learnt_nothing_is_named(report):
    assert "no better than a mask" not in report([a_run(0)])
    assert "no better than a mask" in report([a_run(0, skill=0.0)])


def test_data_terms_and_imbalance_are_stated(report):
    text = report([a_run(0)], imbalance=0.1)
    assert cells(text, "Terms of the data")[1] == "CC BY 4.0"
    assert cells(text, "In the training patches")[1:] == ["0.1000", "1 : 9.0"]
    assert cells(text, "In the tiles that the network was given")[1:] == ["0.2500", "1 : 3.0"]
    assert cells(text, "Train")[1:] == ["12", "12", "0"]


def test_the_page_stands_alone_and_escapes_names(drawn_report):
    text = drawn_report([a_run(0), a_run(1)], sources=["/data/<script>{{ 7 * 7 }}.tif"])
    assert "<script" not in text and "&lt;script&gt;{{ 7 * 7 }}.tif" in text
    assert not re.search(r'(src|href)="(?!data:)', text) and "http" not in text
    assert text.count("<img") == 5


def test_a_run_without_landslide_found_can_be_drawn(drawn_report):
    run = a_run(0)
    nothing = Scores()
    nothing.add(np.zeros(9, np.float32), np.arange(9) < 3, np.ones(9, bool))
    result = replace(run.assessment, tiles=[nothing], threshold=0.5, best=[], worst=[])
    text = drawn_report([Run(run.outcome, result)])
    assert "There are none." in text and text.count("<img") == 3


def test_errors_have_their_colours():
    labels = np.array([[1, 1, 0, 0, UNKNOWN]], np.uint16)
    probability = np.array([[0.9, 0.1, 0.9, 0.1, 0.9]], np.float32)
    example = Example(
        name="a",
        image=np.zeros((1, 1, 5), np.float32),
        labels=labels,
        probability=probability,
        counts=Confusion(),
    )
    picture = error_picture(example, np.zeros((1, 5, 3)), 0.5)[0]
    assert tuple(picture[0]) == to_rgb("#009e73")
    assert tuple(picture[1]) == to_rgb("#0072b2")
    assert tuple(picture[2]) == to_rgb("#d55e00")
    assert picture[3, 0] == picture[3, 1] == picture[3, 2] < 1
    assert tuple(picture[4]) == (1, 1, 1)
