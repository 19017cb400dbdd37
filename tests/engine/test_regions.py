"""`experiments.shipped.regions`: what its ways ask of `train`, and what it counts."""

import inspect

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN
from landslide_mapper.landslide_plugin.training.train_command import train

from experiments.shipped.figures import Image
from experiments.shipped.pseudo import labels_of, stretched
from experiments.shipped.regions import WAYS, worth

TRUTH = np.array([[True, False], [False, True]])


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_way_asks_for_what_there_is(way):
    further = {"more", "taught by", "without Iburi"}
    assert way.keys() <= inspect.signature(train).parameters.keys() | further


def told(sure, threshold):
    image = Image("one", np.zeros((3, 2, 2), np.float32), TRUTH, np.ones((2, 2), bool))
    return worth([np.array(sure, np.float32)], [image], threshold)


def test_a_perfect_map_has_an_average_precision_of_1():
    assert told([[0.9, 0.2], [0.1, 0.8]], 0.5) == {"AP": 1, "F1": 1, "best F1": 1, "at": 0.8}


def test_a_threshold_that_does_not_fit_costs_f1_alone():
    figures = told([[0.9, 0.2], [0.1, 0.8]], 0.85)
    assert figures["F1"] == pytest.approx(2 / 3, abs=1e-4)
    assert figures["AP"] == figures["best F1"] == 1


def test_a_model_labels_what_it_is_sure_of_alone():
    sure = np.array([[0.9, 0.1, 0.5], [0.5, 0.0, 0.8]], np.float32)
    labels = labels_of(sure)
    assert labels.tolist() == [[1, 0, UNKNOWN], [UNKNOWN, 0, 2]]


def test_what_was_not_mapped_has_no_label():
    assert labels_of(np.array([[-9999.0]], np.float32)).tolist() == [[UNKNOWN]]


def test_the_light_of_a_scene_is_brought_to_that_of_the_training():
    scene = np.linspace(0, 1000, 3 * 101 * 10, dtype=np.float32).reshape(3, 101, 10)
    scene[:, 0, 0] = np.nan
    light = {"low": [40.0] * 3, "high": [200.0] * 3}
    values = stretched(scene, light)
    low, high = np.percentile(values[:, np.isfinite(scene[0])], (2, 98), axis=1)
    assert np.abs(low - 40).max() <= 1 and np.abs(high - 200).max() <= 1
    assert not values[:, 0, 0].any()
