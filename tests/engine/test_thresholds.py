"""How ways to choose a threshold are tried."""

import numpy as np
from landslide_mapper.landslide_plugin.training.loop.scores import Scores
from scipy.special import expit

from experiments.shipped import thresholds
from experiments.shipped.figures import Image


def test_false_area_is_noticed_up_to_the_probability_that_half_a_percent_exceeds():
    sure = np.linspace(0, 1, 1001, dtype=np.float32).reshape(7, 143)
    clear = np.zeros(sure.shape, bool)
    image = Image("a", np.zeros((3, 7, 143), np.float32), clear, ~clear)
    highest = thresholds._noticed(image, sure)
    assert (sure >= highest).mean() > 0.005 >= (sure > highest).mean()


def test_by_half_of_the_f1_few_images_choose_alike():
    rng = np.random.default_rng(0)
    images = []
    for number in range(60):
        logits = rng.normal(-3 + 2 * (number % 2), 2, 900) + rng.normal()
        truth = (rng.random(900) < expit(logits)) & bool(number % 2)
        scores = Scores()
        scores.add(expit(logits).astype(np.float32), truth, np.ones(900, bool))
        images.append(thresholds.Mapped(scores, bool(truth.any()), [0.9, 0.1]))
    rows = thresholds.tried(images, 0.25)
    highest, half, near = (rows[way] for way in thresholds.WAYS)
    assert {way.shape for way in rows.values()} == {(thresholds.DRAWS, 3)}
    assert half[:, 0].std() < highest[:, 0].std() and near[:, 0].std() < highest[:, 0].std()
    assert (near[:, 2] == 0.5).all()  # between .1 and .9
