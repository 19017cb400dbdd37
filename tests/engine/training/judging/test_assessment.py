"""What a training is held against, and which tiles are shown."""

from typing import Any

import numpy as np
import pytest
import torch
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.evaluation.metrics import (
    Confusion,
    all_metrics,
    f1,
    iou_landslide,
)
from landslide_mapper.landslide_plugin.samples.averaging import at_resolution
from landslide_mapper.landslide_plugin.samples.importsamples_command import importsamples
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN, SampleSet
from landslide_mapper.landslide_plugin.training.judging.assessment import (
    assess,
    choose_examples,
    judge,
    shown_bands,
)
from landslide_mapper.landslide_plugin.training.judging.baselines import (
    SIDE,
    baselines,
    constant_mask,
)
from landslide_mapper.landslide_plugin.training.loop.scores import Scores
from landslide_mapper.landslide_plugin.training.tiles.batches import Tiles
from torch import nn


def defined(score):
    assert score is not None
    return score


def middle(shape, share=0.5, value=1):
    """Return labels with one landslide in the middle of a patch."""
    labels = np.zeros(shape, np.uint16)
    rows, cols = (round(side * (1 - share) / 2) for side in shape)
    labels[rows : shape[0] - rows, cols : shape[1] - cols] = value
    return labels


def test_a_constant_mask_is_perfect_where_all_landslides_lie_in_the_same_place():
    train = [middle((64, 64)), middle((128, 192), value=3), middle((32, 32))]
    constant = constant_mask(train)
    assert constant.mean.max() == 1 and constant.mean[0, 0] == 0
    counts = baselines(constant, [middle((64, 64)), middle((256, 128))])["constant mask"]
    assert defined(iou_landslide(counts)) > 0.95


def test_a_constant_mask_is_no_better_than_all_landslide_where_they_lie_anywhere():
    rng = np.random.default_rng(0)
    masks = (rng.random((60, 16, 16)) < 0.2).astype(np.uint16)
    masks = masks.repeat(4, axis=1).repeat(4, axis=2)
    result = baselines(constant_mask(masks[:40]), masks[40:])
    constant, everything = result["constant mask"], result["all landslide"]
    assert defined(f1(constant)) <= defined(f1(everything)) + 0.03
    assert abs(defined(all_metrics(constant)["kappa"])) < 0.05


def test_the_threshold_of_the_constant_mask_is_the_best_on_the_training_masks():
    rng = np.random.default_rng(1)
    masks = [middle((SIDE, SIDE), fraction) for fraction in rng.uniform(0.1, 0.9, 20)]
    constant = constant_mask(masks)
    truth = np.stack(masks) > 0

    def score(threshold):
        mask = np.broadcast_to(constant.mean >= threshold, truth.shape)
        return f1(Confusion.of(mask, truth))

    assert score(constant.threshold) >= max(map(score, np.arange(0.01, 1, 0.01))) - 1e-9


def test_unknown_pixels_count_for_nothing_in_baselines():
    labels = middle((64, 64))
    labels[:, :32] = UNKNOWN
    result = baselines(constant_mask([labels]), [labels])
    assert all(counts.total == 64 * 32 for counts in result.values())
    assert f1(result["constant mask"]) == 1
    assert result["all background"].tp == 0 and result["all landslide"].fn == 0


def test_without_landslides_the_constant_mask_is_empty():
    constant = constant_mask([np.zeros((20, 30), np.uint16)])
    assert not constant.on((20, 30)).any()


def test_curve_agrees_with_scikit_learn():
    from sklearn.metrics import average_precision_score, precision_score, recall_score

    rng = np.random.default_rng(3)
    truth = rng.random(5000) < 0.3
    # whole bins, as the curve knows no finer ones
    probability = (np.clip(truth * 0.2 + rng.random(5000) * 0.8, 0, 0.99) * 200).astype(int) / 200
    scores = Scores()
    scores.add(probability.astype(np.float32) + 1e-4, truth, np.ones(5000, bool))
    curve = scores.curve()
    assert curve.average_precision == pytest.approx(
        average_precision_score(truth, probability), abs=1e-6
    )
    at = int(np.flatnonzero(curve.threshold == 0.4)[0])
    assert curve.precision[at] == pytest.approx(precision_score(truth, probability >= 0.4))
    assert curve.recall[at] == pytest.approx(recall_score(truth, probability >= 0.4))
    assert curve.f1[at] == pytest.approx(f1(scores.confusion(0.4)))


@pytest.mark.parametrize("shift", [-9, 9], ids=["rare", "too sure"])
def test_the_order_of_probabilities_near_the_ends_counts(shift):
    """In 200 equal steps alone the average precision, .92, was .52 and .50."""
    reference = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    truth = rng.random(20_000) < 0.5
    logit = rng.normal(size=20_000) + 2 * truth + shift
    probability = (1 / (1 + np.exp(-logit))).astype(np.float32)
    scores = Scores()
    scores.add(probability, truth, np.ones(20_000, bool))
    expected = reference.average_precision_score(truth, probability)
    assert scores.curve().average_precision == pytest.approx(expected, abs=0.01)


def test_scores_of_folds_add_up():
    rng = np.random.default_rng(4)
    parts = [Scores(), Scores()]
    for part in parts:
        part.add(rng.random(50).astype(np.float32), rng.random(50) < 0.5, np.ones(50, bool))
    both = sum(parts, Scores())
    assert both.confusion(0.3) == parts[0].confusion(0.3) + parts[1].confusion(0.3)


def test_best_examples_have_the_highest_iou_and_worst_the_most_wrong_pixels():
    tiles = [
        Confusion(tp=9, fp=1, tn=90),
        Confusion(fp=50, tn=50),
        Confusion(tn=100),
        Confusion(tp=5, fn=5, tn=90),
        Confusion(tp=99, fn=1),
        Confusion(tp=30, fn=30, tn=40),
        Confusion(fn=7, tn=93),
    ]
    assert choose_examples(tiles) == ([4, 0, 3], [1, 5, 6])
    assert choose_examples([Confusion(tn=4)]) == ([], [])


def test_bands_to_show():
    assert shown_bands(["slope", "blue", "green", "red"]) == ["red", "green", "blue"]
    assert shown_bands(["green", "red", "nir"]) == ["nir", "red", "green"]
    assert shown_bands(["elevation", "slope"]) == ["slope"]
    assert shown_bands(["ndvi", "twi"]) == ["ndvi"]


class Bright(nn.Module):
    """Takes bright pixels of the first band for landslide; has a parameter as networks do."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))


class BrightTask:
    def probability(self, network, batch, device):
        return torch.sigmoid(4 * (batch.images[:, 0] - 1)).numpy()


BRIGHT: Any = BrightTask()  # a task that needs no training


def assessed(tiles, batch_size=8):
    judged = judge(Bright(), BRIGHT, tiles, Progress(), batch_size)
    return assess(
        Bright(), BRIGHT, tiles, judged, sum(judged, Scores()).best_threshold(), batch_size
    )


def test_assessment_counts_every_known_validation_pixel(make_samples):
    samples = SampleSet.read(make_samples(shape=(40, 50), validation=5))
    tiles = Tiles(samples, ["slope", "ndvi"], 32, 0)
    result = assessed(tiles, batch_size=3)
    known = 5 * (40 * 50 - 4)
    assert result.counts.total == known and len(result.tiles) == 20
    assert {counts.total for counts in result.baselines.values()} == {known}
    assert result.counts == result.scores.confusion(result.threshold)
    assert defined(f1(result.counts)) > 0.9
    assert result.threshold == result.scores.best_threshold()
    assert (result.train, result.validation) == (12, 5)
    assert 0.05 < result.seen < 0.6
    assert len(result.best) == 3
    scores = [defined(iou_landslide(example.counts)) for example in result.best]
    assert scores[0] == max(scores)
    names = {example.name for example in result.best + result.worst}
    assert len(names) <= 6 and all(name.startswith("synthetic, column ") for name in names)
    assert result.best[0].image.shape == (1, 32, 32) and result.shown == ["slope"]


def test_baselines_count_the_pixels_that_the_network_is_judged_on_whatever_they_are_averaged_to(
    make_samples,
):
    samples = at_resolution(SampleSet.read(make_samples(shape=(64, 64))), 20.0)
    tiles = Tiles(samples, ["slope", "ndvi"], 32, 0)
    result = assessed(tiles)
    assert {counts.total for counts in result.baselines.values()} == {result.counts.total}


def test_a_patch_that_an_epoch_sees_several_times_is_one(make_samples):
    samples = SampleSet.read(make_samples())
    train = samples.of_split("train")
    tiles = Tiles(samples, ["ndvi"], 32, 0, [*train, *train, *train[:3]])
    once = Tiles(samples, ["ndvi"], 32, 0, train)
    result, expected = assessed(tiles), assessed(once)
    assert result.train == len(train) == 12
    assert np.array_equal(result.constant.mean, expected.constant.mean)


def test_a_threshold_of_ones_own_is_kept(make_samples):
    samples = SampleSet.read(make_samples())
    tiles = Tiles(samples, ["ndvi"], 32, 0)
    judged = judge(Bright(), BRIGHT, tiles, Progress())
    result = assess(Bright(), BRIGHT, tiles, judged, 0.9)
    assert result.threshold == 0.9 and result.counts == result.scores.confusion(0.9)


def test_in_bijie_a_constant_mask_scores_high(data_dir, tmp_path):
    """Its authors put the landslide into the middle of every image."""
    bijie = data_dir / "bijie"
    folder = str(tmp_path / "samples")
    importsamples(
        images=str(bijie / "images"),
        masks=str(bijie / "masks"),
        output=folder,
        limit=120,
        validation=0.5,
        progress=Progress(),
    )
    samples = SampleSet.read(folder)
    labels = {
        split: [samples.load(sample)[2] for sample in samples.of_split(split)]
        for split in ("train", "validation")
    }
    result = baselines(constant_mask(labels["train"]), labels["validation"])
    assert 0.5 < defined(f1(result["constant mask"])) < 0.7
    assert defined(f1(result["all landslide"])) < 0.4
