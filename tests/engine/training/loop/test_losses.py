"""Losses and scores against numbers worked out by hand."""

import importlib
import math
from typing import Any

import numpy as np
import pytest
import torch
from landslide_mapper.landslide_plugin.contract.choices import Train
from landslide_mapper.landslide_plugin.training.loop.losses import IGNORE, LOSSES, tuned
from landslide_mapper.landslide_plugin.training.loop.scores import Scores

P = torch.tensor([0.9, 0.2, 0.6])
"""Landslide probabilities of three pixels, whose classes are landslide, background, landslide."""
CLASSES = torch.tensor([[[1, 0, 1]]])


def logits(probability):
    return torch.stack([torch.log(1 - probability), torch.log(probability)])[None, :, None]


def loss(name, probability=P, classes=CLASSES):
    return LOSSES[name](logits(probability), classes).item()


def test_cross_entropy():
    assert loss("cross_entropy") == pytest.approx(
        -(math.log(0.9) + math.log(0.8) + math.log(0.6)) / 3
    )


def test_weighted_cross_entropy_counts_landslide_twice():
    assert loss("weighted_cross_entropy") == pytest.approx(
        -(2 * math.log(0.9) + math.log(0.8) + 2 * math.log(0.6)) / 5
    )


def focal(landslide):
    """Equation 5 of Lin et al. 2017 with Chen's gamma; 1 - landslide is the background's weight."""
    terms = [
        -landslide * (1 - 0.9) ** 1.75 * math.log(0.9),
        -(1 - landslide) * (1 - 0.8) ** 1.75 * math.log(0.8),
        -landslide * (1 - 0.6) ** 1.75 * math.log(0.6),
    ]
    return sum(terms) / 3


def test_background_counts_little_in_focal_loss_as_in_chen_et_al_2022():
    assert loss("focal") == pytest.approx(focal(landslide=0.75), rel=1e-5)


def test_a_missed_landslide_pulls_three_times_as_much_as_a_false_alarm():
    values = torch.zeros(1, 2, 1, 2, requires_grad=True)
    LOSSES["focal"](values, torch.tensor([[[1, 0]]])).backward()
    assert values.grad is not None
    landslide, background = values.grad[0, 1, 0].tolist()
    assert landslide == pytest.approx(-3 * background)


def test_alpha_gamma_and_class_weights_go_to_the_losses_that_have_them():
    settings = {"alpha": 0.5, "gamma": 0.0, "weights": (1.0, 1.0)}
    at = logits(P), CLASSES
    cross_entropy = LOSSES["cross_entropy"](*at).item()
    assert tuned("focal", **settings)(*at).item() == pytest.approx(cross_entropy / 2)
    assert tuned("weighted_cross_entropy", **settings)(*at).item() == pytest.approx(cross_entropy)
    halves = cross_entropy / 2 + LOSSES["dice"](*at).item()
    assert tuned("focal_dice", **settings)(*at).item() == pytest.approx(halves)
    assert tuned("dice", **settings)(*at).item() == LOSSES["dice"](*at).item()


def test_an_alpha_that_leaves_landslide_no_weight_is_refused():
    assert not Train.ALPHA.problem(0.99)
    assert Train.ALPHA.problem(1.0) == "choose more than 0 and at most 0.99"


def test_dice():
    assert loss("dice") == pytest.approx(1 - (2 * (0.9 + 0.6) + 1) / ((0.9 + 0.2 + 0.6) + 2 + 1))


def test_focal_dice_is_their_sum_with_landslide_weighing_twice_as_yang_s_et_al_2022_have_it():
    assert loss("focal_dice") == pytest.approx(focal(landslide=2 / 3) + loss("dice"), rel=1e-5)


def test_cross_entropy_dice_is_their_sum():
    assert loss("cross_entropy_dice") == pytest.approx(loss("cross_entropy") + loss("dice"))


def test_binary_cross_entropy_of_two_classes_is_cross_entropy():
    values = torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    classes = (torch.arange(128).reshape(2, 8, 8) % 3 == 0).long()
    classes[0, :2] = IGNORE
    result = LOSSES["binary_cross_entropy"](values, classes)
    assert result.item() == pytest.approx(LOSSES["cross_entropy"](values, classes).item(), rel=1e-5)


def test_tversky_is_equation_3_of_salehi_et_al_2017():
    common, false, missed = 0.9 + 0.6, 0.2, 0.1 + 0.4
    expected = 1 - (common + 0.5) / (common + 0.3 * false + 0.7 * missed + 0.5)
    assert loss("tversky") == pytest.approx(expected)


def test_lovasz_is_one_minus_iou_where_the_network_is_certain():
    certain = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0]).clamp(1e-6, 1 - 1e-6)
    classes = torch.tensor([[[1, 0, 1, 0, 1]]])
    assert loss("lovasz", certain, classes) == pytest.approx(1 - 1 / 4, abs=1e-4)


def test_lovasz_agrees_with_segmentation_models_pytorch():
    importlib.import_module("landslide_mapper.models.torchvision_ops")
    smp_lovasz = pytest.importorskip("segmentation_models_pytorch.losses.lovasz")
    values = torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    classes = (torch.arange(128).reshape(2, 8, 8) % 3 == 0).long()
    expected = smp_lovasz._lovasz_softmax(values.softmax(1), classes, classes=[1])
    assert LOSSES["lovasz"](values, classes).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_unknown_pixels_count_for_nothing(name):
    more = torch.cat([P, torch.tensor([0.01, 0.99])])
    classes = torch.cat([CLASSES, torch.full((1, 1, 2), IGNORE)], 2)
    assert loss(name, more, classes) == pytest.approx(loss(name))


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_of_unknown_pixels_alone_has_a_finite_loss_and_gradient(name):
    values = torch.randn(2, 2, 4, 4, requires_grad=True)
    result = LOSSES[name](values, torch.full((2, 4, 4), IGNORE))
    result.backward()
    assert result.item() == 0
    assert values.grad is not None and not values.grad.any()


@pytest.mark.parametrize("name", LOSSES)
def test_certainty_has_a_finite_gradient(name):
    values = torch.tensor([[-200.0, 200.0], [200.0, -200.0]]).T.reshape(1, 2, 1, 2)
    values.requires_grad_()
    LOSSES[name](values, torch.tensor([[[1, 0]]])).backward()
    assert values.grad is not None and torch.isfinite(values.grad).all()


def test_an_unknown_loss_is_refused():
    assert "focal_dice" in Train.LOSS.problem("hinge")


def test_scores_agree_with_scikit_learn():
    from sklearn.metrics import accuracy_score, f1_score, jaccard_score, precision_score

    rng = np.random.default_rng(3)
    truth = rng.random(2000) < 0.3
    probability = np.clip(truth * 0.3 + rng.random(2000) * 0.7, 0, 1).astype(np.float32)
    known = rng.random(2000) < 0.9
    scores = Scores()
    scores.add(probability, truth, known)
    figures: dict[str, Any] = scores.figures(0.4)
    predicted, right = probability[known] >= 0.4, truth[known]
    assert figures["f1"] == pytest.approx(f1_score(right, predicted))
    assert figures["iou"] == pytest.approx(jaccard_score(right, predicted))
    assert figures["precision"] == pytest.approx(precision_score(right, predicted))
    assert figures["oa"] == pytest.approx(accuracy_score(right, predicted))
    best = scores.best_threshold()
    best_of, *others = (
        scores.figures(threshold)["f1"] or 0.0 for threshold in (best, *np.arange(0.1, 0.9, 0.05))
    )
    assert best_of >= max(others)


def test_of_equally_good_thresholds_the_middle_one_is_chosen():
    scores = Scores()
    scores.add(np.array([0.05, 0.95], np.float32), np.array([False, True]), np.array([True, True]))
    assert scores.best_threshold() == 0.5


def test_scores_without_pixels_are_undefined():
    assert Scores().figures(0.5) == dict.fromkeys(["f1", "iou", "precision", "recall", "oa"])
