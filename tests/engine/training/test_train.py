"""The command `train`: what it makes, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from landslide_mapper.landslide_plugin.contract.errors import (
    InputError,
    LandslideError,
    MissingPackageError,
    OutputError,
)
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.evaluation.metrics import Confusion, f1
from landslide_mapper.landslide_plugin.request import checked
from landslide_mapper.landslide_plugin.samples.sample_set import SampleSet
from landslide_mapper.landslide_plugin.training.judging.temperature import Logits
from landslide_mapper.landslide_plugin.training.loop.contracts import Settings
from landslide_mapper.landslide_plugin.training.loop.losses import cross_entropy
from landslide_mapper.landslide_plugin.training.loop.semantic import SemanticTask
from landslide_mapper.landslide_plugin.training.loop.trainer import fit
from landslide_mapper.landslide_plugin.training.tiles.batches import Tiles
from landslide_mapper.landslide_plugin.training.train_command import train
from landslide_mapper.models.calibration import Calibration
from landslide_mapper.models.device import pick_device
from landslide_mapper.models.fc_densenet import FCDenseNet
from landslide_mapper.models.model_file import load_card, load_model
from safetensors.torch import load_file
from scipy.special import expit

TINY: dict[str, Any] = {
    "growth_rate": 8,
    "layers": (2, 2),
    "middle_layers": 2,
    "first_channels": 16,
}
pytestmark = pytest.mark.usefixtures("tiny")
FAST: dict[str, Any] = {"backbone": "light", "epochs": 1, "batch_size": 6, "device": "cpu"}


def fit_tiny(folder, epochs, task=None):
    samples = SampleSet.read(folder)
    torch.manual_seed(0)
    network = FCDenseNet(len(samples.bands), 2, **TINY)
    tiles = Tiles(samples, samples.bands, samples.tile_size, 0)
    settings = Settings(
        epochs=epochs, batch_size=4, learning_rate=5e-3, seed=0, device=torch.device("cpu")
    )
    return fit(network, task or SemanticTask(cross_entropy), tiles, settings, Progress()), network


def test_bright_blobs_are_learnt_in_seconds(make_samples):
    outcome, _ = fit_tiny(make_samples(), 12)
    assert outcome.best.iou > 0.9
    assert outcome.history[-1].loss < outcome.history[0].loss / 2
    assert outcome.best.f1 == max(epoch.f1 for epoch in outcome.history)


def test_the_network_has_the_weights_of_its_best_epoch(make_samples):
    folder = make_samples()
    task = SemanticTask(cross_entropy)
    outcome, network = fit_tiny(folder, 6, task)
    tiles = Tiles(SampleSet.read(folder), ["slope", "ndvi"], 32, 0)
    hits = misses = false = 0
    with torch.inference_mode():
        for batch in tiles.validation_batches(4):
            known = batch.labels < 65535
            predicted = task.probability(network, batch, torch.device("cpu"))
            predicted = (predicted >= outcome.best.threshold) & known
            truth = (batch.labels > 0) & known
            hits += (predicted & truth).sum()
            misses += (~predicted & truth).sum()
            false += (predicted & ~truth).sum()
    assert outcome.best.f1 == pytest.approx(2 * hits / (2 * hits + misses + false), abs=1e-3)


class BrokenTask(SemanticTask):
    """Loses its number in the first step."""

    def loss(self, network, batch, device):
        return super().loss(network, batch, device) * float("nan")


def test_a_loss_that_is_no_number_stops_the_training(make_samples):
    with pytest.raises(InputError, match=r"not a number.*learning rate below 0.005"):
        fit_tiny(make_samples(), 1, BrokenTask(cross_entropy))


def test_train_writes_a_model_and_a_report(make_samples, tmp_path):
    events = []
    model, html = tmp_path / "my model.safetensors", tmp_path / "report.html"
    result = train(
        samples=make_samples(
            bands=("slope", "ndvi", "red", "green", "blue"), units=["", "", *["reflectance"] * 3]
        ),
        model=str(model),
        html=str(html),
        bands=["red", "green", "blue"],
        loss="focal_dice",
        progress=Progress(events.append),
        **FAST,
    )
    loaded = load_model(model)
    card = loaded.card
    assert loaded.network(torch.zeros(1, 3, 32, 32)).shape == (1, 2, 32, 32)
    assert card.name == "my-model"
    assert card.bands == ["red", "green", "blue"]
    assert card.units == ["reflectance"] * 3
    assert card.resolution == 10 and card.tile_size == 32
    assert card.training["loss"] == "focal_dice"
    assert not card.turns_directions
    assert (card.training["train_samples"], card.training["validation_samples"]) == (12, 4)
    assert "blocks" in card.metrics["split"]
    assert card.metrics["f1"] == pytest.approx(result["f1"])
    assert result["epochs"] == 1 and np.isfinite(result["loss"])
    text = html.read_text()
    assert text.count("<img") >= 4 and f"{result['f1']:.3f}" in text and "blocks" in text
    percents = [event["percent"] for event in events if event["type"] == "progress"]
    assert percents == sorted(percents) and percents[-1] == 100
    assert any("Epoch 1 of 1" in event.get("text", "") for event in events)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "my model.safetensors",
        "report.html",
        "samples",
    ]


def test_a_model_is_calibrated_on_validation_pixels_and_its_threshold_with_it(
    make_samples, tmp_path
):
    """The figures at the threshold are those of the kept epoch, on calibrated probabilities."""
    folder = make_samples(validation=8)
    model, html = tmp_path / "m.safetensors", tmp_path / "m.html"
    events: list[dict[str, Any]] = []
    result = train(
        samples=folder, model=str(model), html=str(html), progress=Progress(events.append), **FAST
    )
    loaded = load_model(model)
    card, samples = loaded.card, SampleSet.read(folder)
    tiles = Tiles(samples, card.bands, 32, 0)
    tiles.mean, tiles.std = card.mean, card.std
    counts = Logits()
    mapped = Confusion()
    with torch.inference_mode():
        for batch in tiles.validation_batches(8):
            logits = loaded.network(batch.images)
            odds = (logits[:, 1] - logits[:, 0]).numpy()
            counts.add(odds, batch.labels)
            labelled = batch.labels < 65535
            mask = Calibration(card.temperature)(expit(odds)) >= card.threshold
            mapped += Confusion.of(mask, (batch.labels > 0) & labelled, labelled)
    assert card.temperature == pytest.approx(counts.temperature(), rel=1e-2)
    assert abs(card.temperature - 1) > 0.05
    assert f1(mapped) == pytest.approx(card.metrics["f1"], abs=2e-3)
    before, after = card.metrics["calibration_error_before"], card.metrics["calibration_error"]
    assert before == pytest.approx(counts.error(), abs=2e-3) and after < before
    assert result["threshold"] == card.threshold
    assert f"Temperature {card.temperature:.3g}" in " ".join(e.get("text", "") for e in events)
    text = html.read_text()
    assert f"Chosen threshold: {card.threshold:.3f}" in text
    assert "Expected calibration error" in text


def test_with_few_validation_pixels_probabilities_stay_and_it_is_said(make_samples, tmp_path):
    events: list[dict[str, Any]] = []
    model = tmp_path / "m.safetensors"
    train(samples=make_samples(), model=str(model), progress=Progress(events.append), **FAST)
    assert load_card(model).temperature == 1
    told = " ".join(event.get("text", "") for event in events)
    assert "temperature 1" in told and "1,000 are needed" in told


def test_the_same_seed_gives_the_same_model(make_samples, tmp_path):
    folder = make_samples()
    weights = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        path = tmp_path / f"{name}.safetensors"
        train(samples=folder, model=str(path), seed=seed, progress=Progress(), **FAST)
        weights.append(load_file(path))
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert not all(torch.equal(weights[0][key], weights[2][key]) for key in weights[0])


@pytest.mark.parametrize(("least", "threads"), [(1e12, 1), (0, 2)])
def test_by_how_much_a_network_has_to_do_it_learns_by_one_thread_or_all(
    make_samples, tmp_path, monkeypatch, least, threads
):
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # so that these are all
    monkeypatch.setattr("landslide_mapper.models.device.LITTLE_WORK", least)
    torch.set_num_threads(2)
    path = tmp_path / "model.safetensors"
    try:
        train(samples=str(make_samples()), model=str(path), **FAST, progress=Progress())
    finally:
        torch.set_num_threads(before)
    assert load_card(path).training["device"] == f"CPU, {threads} threads"


def test_mask_rcnn_trains_by_the_same_command(make_samples, tmp_path):
    model, html = tmp_path / "m.safetensors", tmp_path / "m.html"
    result = train(
        samples=make_samples(train=2, validation=1, test=1, shape=(64, 64)),
        model=str(model),
        html=str(html),
        architecture="mask_rcnn",
        backbone="resnet18",
        epochs=1,
        batch_size=2,
        learning_rate=1e-4,
        device="cpu",
        progress=Progress(),
    )
    assert np.isfinite(result["loss"])
    assert load_card(model).task == "instance-segmentation"
    assert load_card(model).metrics["test"]["samples"] == 1
    assert html.exists()


BAD = {
    "samples_missing": ({"samples": "/nowhere"}, "not a folder of samples"),
    "band": ({"bands": ["slope", "swir1"]}, "no band swir1; they have slope, ndvi"),
    "band_twice": ({"bands": ["slope", "slope"]}, "named twice"),
    "architecture": ({"architecture": "tiramisu"}, 'ARCHITECTURE is "tiramisu": choose one of '),
    "backbone": ({"backbone": "vgg16"}, "no backbone 'vgg16'"),
    "loss": ({"loss": "hinge"}, 'LOSS is "hinge": choose one of cross_entropy, '),
    "epochs": ({"epochs": -1}, "EPOCHS is -1: choose 0 or more"),
    "learning_rate": ({"learning_rate": 0.0}, "LEARNING_RATE is 0.0: choose more than 0 "),
    "tile_size": ({"tile_size": 8}, "within 16 to 2048"),
    "device": ({"device": "tpu"}, 'DEVICE is "tpu": choose one of auto, cpu, cuda, mps'),
    "ending": ({"model": "m.pth"}, "must end in .safetensors"),
}


@pytest.mark.parametrize("change, sentence", BAD.values(), ids=BAD)
def test_unfit_settings_are_refused_in_one_sentence(
    make_samples, tmp_path, monkeypatch, change, sentence
):
    monkeypatch.chdir(tmp_path)
    values = {"samples": make_samples(), "model": "m.safetensors", **FAST, **change}
    refused(values, sentence, tmp_path)


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"validation": 0}, "no validation samples"),
        ({"without_train": True}, "No train sample of .* holds a landslide"),
        ({"without_validation": True}, "No validation sample of .* holds a landslide"),
        ({"constant": 2}, "Every band is constant"),
    ],
)
def test_unfit_samples_are_refused_in_one_sentence(make_samples, tmp_path, change, sentence):
    values = {"samples": make_samples(**change), "model": str(tmp_path / "m.safetensors"), **FAST}
    refused(values, sentence, tmp_path)


def test_samples_without_a_train_part_are_refused(make_samples, tmp_path):
    folder = make_samples(train=1)
    manifest = Path(folder) / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"split": "train"', '"split": "test"'))
    values = {"samples": folder, "model": str(tmp_path / "m.safetensors"), **FAST}
    refused(values, "no train samples", tmp_path)


def test_a_damaged_sample_is_refused_before_training(make_samples, tmp_path):
    folder = make_samples()
    (Path(folder) / "images" / "000003.tif").write_bytes(b"no raster")
    refused(
        {"samples": folder, "model": str(tmp_path / "m.safetensors"), **FAST},
        "000003.tif",
        tmp_path,
    )


def test_a_damaged_manifest_is_refused(make_samples, tmp_path):
    folder = make_samples()
    (Path(folder) / "manifest.json").write_text(json.dumps({"format": 1}))
    values = {"samples": folder, "model": str(tmp_path / "m.safetensors"), **FAST}
    refused(values, "damaged", tmp_path)


def refused(values, sentence, folder):
    with pytest.raises(LandslideError, match=sentence) as caught:
        train(progress=Progress(), **checked("train", train, values))
    assert "\n" not in str(caught.value)
    assert [path.name for path in folder.iterdir()] in ([], ["samples"])


def test_a_missing_output_folder_is_refused_before_training(make_samples, tmp_path):
    with pytest.raises(OutputError, match="does not exist"):
        train(
            samples=make_samples(),
            model=str(tmp_path / "m.safetensors"),
            html=str(tmp_path / "none" / "report.html"),
            progress=Progress(),
        )


def test_a_constant_band_is_named_in_a_warning(make_samples, tmp_path):
    events = []
    train(
        samples=make_samples(constant=1),
        model=str(tmp_path / "m.safetensors"),
        progress=Progress(events.append),
        **FAST,
    )
    warnings = [event["text"] for event in events if event["type"] == "warning"]
    assert len(warnings) == 1 and "nothing is learnt from it: slope" in warnings[0]


def test_devices():
    assert pick_device("cpu").type == "cpu"
    assert pick_device("auto").type in ("cpu", "cuda", "mps")
    if not torch.cuda.is_available():
        with pytest.raises(MissingPackageError, match="'cuda' is not usable"):
            pick_device("cuda")
