"""How thresholds are tried and chosen anew."""

import numpy as np
import torch
from affine import Affine
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.samples.sample_writer import SampleWriter
from landslide_mapper.landslide_plugin.training.loop.scores import Scores
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import load_model, save_model
from landslide_mapper.models.registry import build
from scipy.special import expit

from experiments.shipped import rethreshold, thresholds
from experiments.shipped.data import RGB
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


def test_a_threshold_chosen_anew_leaves_the_weights_as_they_are(tmp_path):
    (tmp_path / "set").mkdir()
    writer = SampleWriter(tmp_path / "set", RGB)
    rng = np.random.default_rng(0)
    for split in ("train", "validation", "validation"):
        labels = (rng.random((64, 64)) < 0.3).astype(np.uint16)
        values = np.stack([100 + 10 * labels + rng.normal(0, 9, labels.shape)] * 3)
        writer.add(
            values.astype(np.uint8), np.ones(labels.shape, bool), labels, split=split,
            source="image", window=(0, 0, 64, 64), transform=Affine(1, 0, 500, 0, -1, 500),
        )  # fmt: skip
    writer.finish(
        resolution=1.0, crs=None, tile_size=64, split="none", seed=0, sources=["image"],
        before=(1200, 1200), progress=Progress(),
    )  # fmt: skip
    torch.manual_seed(0)
    arguments = {"widths": [4, 8], "blocks": 1, "stem": 2}
    network = build("compact_unet", 3, 2, **arguments).eval()
    card = ModelCard(
        name="small", architecture="compact_unet", arguments=arguments,
        task="semantic-segmentation", bands=RGB, mean=[100.0] * 3, std=[10.0] * 3, resolution=1.0,
        tile_size=32, classes=["background", "landslide"], temperature=1.0, threshold=0.97,
        training={"epochs": 1, "train_samples": 1},
    )  # fmt: skip
    before, after = tmp_path / "before.safetensors", tmp_path / "after.safetensors"
    save_model(before, network, card, half=True)
    assert rethreshold.main([str(before), str(tmp_path / "set"), str(after)]) == 0
    old, new = load_model(before), load_model(after)
    assert new.card.digest == old.card.digest and new.card.threshold != 0.97
    assert 0 < new.card.metrics["f1"] <= 1
