"""Training from image labels on synthetic images: bright blobs are landslides."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.request import checked
from landslide_mapper.landslide_plugin.samples.importsamples_command import importsamples
from landslide_mapper.landslide_plugin.samples.sample_set import SampleSet
from landslide_mapper.landslide_plugin.training.loop import trainer
from landslide_mapper.landslide_plugin.training.loop.contracts import Settings
from landslide_mapper.landslide_plugin.training.loop.trainer import fit
from landslide_mapper.landslide_plugin.training.tiles.batches import Batch
from landslide_mapper.landslide_plugin.training.train_command import train
from landslide_mapper.landslide_plugin.training.weak import trainweak_command
from landslide_mapper.landslide_plugin.training.weak.images import Images
from landslide_mapper.landslide_plugin.training.weak.tasks import (
    Buffer,
    ClassifierTask,
    CycleGanTask,
)
from landslide_mapper.landslide_plugin.training.weak.thresholds import chosen_threshold
from landslide_mapper.landslide_plugin.training.weak.trainweak_command import trainweak
from landslide_mapper.models.cyclegan import CycleGAN
from landslide_mapper.models.model_file import load_card, load_model
from landslide_mapper.models.weak import Classifier
from safetensors.torch import load_file
from torch import nn

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {
    "encoder": "resnet18", "epochs": 1, "gan_epochs": 1, "tile_size": 32, "width": 8, "blocks": 1,
}  # fmt: skip


@pytest.fixture
def samples(make_samples):
    """Train: 12 with landslide, 8 without; validation: 4 and 4 (by taking labels away)."""
    folder = make_samples(train=12, validation=8, background=8, bands=("red", "green", "blue"))
    data = SampleSet.read(folder)
    emptied = 0
    for number, sample in enumerate(data.samples):
        if sample.split == "validation" and emptied < 4:
            data.samples[number] = replace(sample, landslide_pixels=0, kind="background")
            emptied += 1
    data.write_manifest()
    return folder


def batch(labels, size=32, bands=3):
    torch.manual_seed(0)
    return Batch(torch.randn(len(labels), bands, size, size), np.array(labels)[:, None, None])


class Told:
    """Stands in for CycleGAN, its task and the images: only how much each changes is known."""

    seed = 0

    def __init__(self, without, holding):
        self.values = torch.tensor([*without, *holding], dtype=torch.float32)
        self.labels = [0] * len(without) + [1] * len(holding)

    def validation_batches(self, size):
        yield batch(self.labels)

    def changed(self, network, batch, device):
        return self.values


def test_of_grey_levels_that_part_the_images_alike_the_highest_is_chosen():
    apart: Any = Told(range(1, 11), range(20, 30))
    assert chosen_threshold(apart, apart, apart, CPU) == 20


def test_the_grey_level_is_as_good_as_the_best_within_its_error():
    rng = np.random.default_rng(0)
    told: Any = Told(rng.normal(8, 4, 60), rng.normal(16, 4, 30))
    truth = np.array(told.labels) > 0
    values = told.values.numpy()

    def f1(level):
        result = values >= level
        return 2 * (truth & result).sum() / (truth.sum() + result.sum())

    best = max(values, key=f1)
    level = chosen_threshold(told, told, told, CPU)
    assert level >= best
    assert f1(best) - 0.1 < f1(level) <= f1(best)
    assert f1(level + 4) < f1(level)


def test_batches_hold_both_kinds_in_turn(samples):
    images = Images(SampleSet.read(samples), ["red", "blue"], 24, seed=0)
    batches = list(images.train_batches(1, 6))
    assert len(batches) == images.train_steps(6) == 4
    for result in batches:
        assert result.images.shape == (6, 2, 24, 24)
        assert result.labels[:, 0, 0].tolist() == [1, 0, 1, 0, 1, 0]


def test_batches_are_the_same_from_any_step(samples):
    images = Images(SampleSet.read(samples), ["red"], 24, seed=0)
    whole = list(images.train_batches(2, 4))
    rest = list(images.train_batches(2, 4, first=3))
    assert torch.equal(whole[3].images, rest[0].images)
    assert not torch.equal(whole[0].images, next(images.train_batches(3, 4)).images)


def test_a_reduced_image_keeps_its_mean(samples):
    data = SampleSet.read(samples)
    whole, half = (Images(data, ["red"], 32 // step, 0, step) for step in (1, 2))
    sample = data.of_split("validation")[-1]
    assert half.tile(sample).shape == (1, 16, 16)
    assert half.tile(sample).mean() == pytest.approx(whole.tile(sample).mean(), abs=0.05)


def test_small_images_are_continued_by_their_mirror_image(samples):
    data = SampleSet.read(samples)
    tile = Images(data, ["red"], 40, 0).tile(data.samples[0])
    np.testing.assert_array_equal(tile[:, 4:8], tile[:, 3::-1])


def test_an_image_can_be_resized_as_a_whole(make_samples):
    """The tile tells of all of it; how much ground its pixels stand for is told in the mean."""
    folder = make_samples(train=4, validation=4, background=4, shape=(40, 80), bands=("red",))
    data = SampleSet.read(folder)
    for number, sample in enumerate(data.samples):
        if sample.split == "validation" and number % 2:
            data.samples[number] = replace(sample, landslide_pixels=0, kind="background")
    whole = Images(data, ["red"], 20, 0, fit="resize")
    sample = data.samples[-1]
    values, valid, _ = data.load(sample, ["red"])
    blocks = np.where(valid, values, whole.mean[0])[0].reshape(20, 2, 20, 4).mean((1, 3))
    expected = (blocks - whole.mean[0]) / whole.std[0]
    tile = whole.tile(sample)
    assert tile.shape == (1, 20, 20)
    assert np.corrcoef(tile.ravel(), expected.ravel())[0, 1] > 0.95
    assert tile.mean() == pytest.approx(expected.mean(), abs=0.05)
    assert whole.step == 3 and Images(data, ["red"], 20, 0, 2).step == 2
    assert next(whole.train_batches(1, 4)).images.shape == (4, 1, 20, 20)


def test_a_model_of_resized_images_has_their_pixels_mean_size(samples, tmp_path):
    model, html = tmp_path / "weak.safetensors", tmp_path / "weak.html"
    trainweak(
        samples=samples, model=str(model), html=str(html), method="cam", fit="resize",
        **SMALL | {"tile_size": 64}, progress=Progress(),
    )  # fmt: skip
    card = load_card(str(model))
    assert (card.resolution, card.tile_size, card.training["fit"]) == (5.0, 64, "resize")
    assert html.exists()


def test_both_kinds_are_needed(make_samples):
    data = SampleSet.read(make_samples())
    with pytest.raises(InputError, match="0 images without landslide"):
        Images(data, ["slope"], 32, 0)


def test_the_classifier_loss_is_the_cross_entropy_of_image_labels():
    network = Classifier(3, "resnet18").eval()
    network.head.weight.data.zero_()
    network.head.bias = nn.Parameter(torch.tensor([0.0, float(np.log(3))]))
    task = ClassifierTask()
    loss = task.loss(network, batch([1, 0]), CPU)
    assert float(loss.detach()) == pytest.approx(-(np.log(0.75) + np.log(0.25)) / 2, rel=1e-2)
    with torch.no_grad():
        probability = task.probability(network, batch([1]), CPU)
    np.testing.assert_allclose(probability, 0.75, rtol=1e-2)


class _Constant(nn.Module):
    """Judges every patch alike."""

    def __init__(self, score):
        super().__init__()
        self.score = nn.Parameter(torch.tensor(score))

    def forward(self, images):
        return self.score.expand(len(images), 1, 2, 2)


def test_the_gan_loss_by_hand():
    """Generators that change nothing, judges that always say 0.25."""
    gan = CycleGAN(3, 8, 1)
    judge = _Constant(0.25)
    for name, part in (
        ("clear", nn.Identity()), ("slide", nn.Identity()),
        ("judge_clear", judge), ("judge_slide", _Constant(0.25)),
    ):  # fmt: skip
        gan.add_module(name, part)
    loss = CycleGanTask([1.0] * 3, 32.0).loss(gan, batch([1, 0]), CPU)
    adversarial = 2 * 0.75**2
    judges = 2 * 0.5 * (0.75**2 + 0.25**2)
    assert float(loss.detach()) == pytest.approx(adversarial + judges, rel=1e-2)
    loss.backward()
    # only what they are judged by: d/ds of 0.5 ((s - 1)^2 + s^2)
    assert judge.score.grad is not None
    assert float(judge.score.grad) == pytest.approx(0.25 - 1 + 0.25, rel=1e-2)


def test_generators_and_judges_learn_from_their_own_losses():
    torch.manual_seed(1)
    gan: Any = CycleGAN(3, 8, 1)
    CycleGanTask([1.0] * 3, 32.0).loss(gan, batch([1, 0, 1, 0], 64), CPU).backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in gan.judges())
    assert gan.clear.layers[0][0].weight.grad.abs().sum() > 0
    assert gan.slide.layers[0][0].weight.grad.abs().sum() > 0


def test_the_buffer_shows_old_images_half_the_time():
    buffer = Buffer(size=10, seed=0)
    first = torch.arange(10.0)[:, None, None, None]
    assert torch.equal(buffer.exchange(first), first)
    shown = torch.cat([buffer.exchange(torch.full((1, 1, 1, 1), 100.0 + n)) for n in range(400)])
    fresh = shown.flatten() == torch.arange(100.0, 500.0)
    assert len(buffer) == 10
    assert 0.4 < fresh.float().mean() < 0.6


def test_the_buffer_shows_images_of_half_precision_in_float32():
    """So that they can be shown once half precision is left."""
    buffer = Buffer(2)
    assert buffer.exchange(torch.ones(2, 1, 2, 2, dtype=torch.bfloat16)).dtype == torch.float32
    assert all(image.dtype == torch.float32 for image in buffer.images)


@pytest.mark.parametrize("method", ["cam", "cyclegan", "both"])
def test_the_result_is_a_model_like_any_other(samples, tmp_path, method):
    model, html = tmp_path / "weak.safetensors", tmp_path / "weak.html"
    events = []
    result = trainweak(
        samples=samples, model=str(model), html=str(html), method=method, **SMALL,
        progress=Progress(events.append),
    )  # fmt: skip
    loaded = load_model(str(model))
    network, card = loaded.network, loaded.card
    assert card.arguments["difference"] == "grey"  # they are red, green and blue of 8 bits
    assert card.architecture == "weak" and card.training["labels"] == "one an image"
    assert not card.turns_directions
    assert network(torch.randn(1, 3, 50, 41)).shape == (1, 2, 50, 41)
    assert (result["cam_f1"] is None) == (method == "cyclegan")
    told = [event for event in events if "those of image labels" in event.get("text", "")]
    assert len(told) == (2 if method == "both" else 1)
    page = html.read_text()
    assert "image labels" in page and "http" not in page
    assert sorted(path.name for path in tmp_path.glob("weak*")) == ["weak.html", model.name]


def test_the_samples_name_stays_a_text_in_the_report(samples, tmp_path):
    folder = Path(samples).rename(tmp_path / "<b>{{ 7 * 7 }}")
    html = tmp_path / "weak.html"
    trainweak(
        samples=str(folder), model=str(tmp_path / "weak.safetensors"), html=str(html),
        method="cam", **SMALL, progress=Progress(),
    )  # fmt: skip
    assert "image labels alone, on &lt;b&gt;{{ 7 * 7 }}." in html.read_text(encoding="utf-8")


def test_bijie_parted_in_two_folders_trains(data_dir, tmp_path):
    """Images of many sizes and no mask at all; `train` says what they are for."""
    for folder, begin in (("with", "ls_"), ("without", "nls_")):
        (tmp_path / folder).mkdir()
        for path in sorted((data_dir / "bijie" / "images").glob(f"{begin}*"))[:12]:
            shutil.copy(path, tmp_path / folder)
    folder, model = str(tmp_path / "samples"), tmp_path / "weak.safetensors"
    importsamples(
        images=str(tmp_path / "with"), without=str(tmp_path / "without"), output=folder,
        progress=Progress(),
    )  # fmt: skip
    sizes = {sample.window[2:] for sample in SampleSet.read(folder).samples}
    assert len(sizes) > 10
    html = tmp_path / "weak.html"
    trainweak(
        samples=folder, model=str(model), html=str(html), **SMALL, reduction=4,
        progress=Progress(),
    )  # fmt: skip
    card = load_card(str(model))
    assert (card.training["images_with_landslide"], card.training["images_without"]) == (10, 10)
    assert "image labels" in html.read_text()
    with pytest.raises(InputError, match=r"not where: train on them by .*landslide:trainweak"):
        train(samples=folder, model=str(tmp_path / "m.safetensors"), progress=Progress())
    assert not list(tmp_path.glob("m.*"))


def test_of_cyclegan_the_last_epoch_is_kept(samples, monkeypatch):
    """Even where the labels are told apart worse by the end: here it calls all images clear."""
    epochs = iter([0.9, 0.9, 0.1, 0.1])

    def falling(self, network, batch, device):
        holds = batch.labels > 0
        sure = next(epochs)
        return np.where(holds, sure, 1 - sure).astype(np.float32)

    monkeypatch.setattr(CycleGanTask, "probability", falling)
    images = Images(SampleSet.read(samples), ["red", "green", "blue"], 32, seed=0)
    steps = images.validation_steps(4)
    settings = Settings(
        epochs=2,
        batch_size=4,
        learning_rate=2e-4,
        seed=0,
        device=CPU,
        optimizer="adam",
        momentum=0.5,
        last=True,
    )
    outcome = fit(CycleGAN(3, 8, 1), CycleGanTask([1.0] * 3, 32.0), images, settings, Progress())
    assert steps == 2 and outcome.history[0].f1 > outcome.history[1].f1
    assert outcome.best.number == 2


class _SmallBuffers(CycleGanTask):
    """Buffers that are full after two steps; broken off at a step."""

    def __init__(self, last=None):
        super().__init__([1.0] * 3, 32.0)
        self._cleared, self._slid = Buffer(3, seed=0), Buffer(3, seed=1)
        self._left = last

    def loss(self, network, *arguments):
        if self._left == 0:
            raise RuntimeError("broken off")
        if network.training:  # not where precisions are compared
            self._left = self._left and self._left - 1
        return super().loss(network, *arguments)


def test_broken_off_cyclegan_ends_with_the_weights_of_an_unbroken_run(
    samples, tmp_path, monkeypatch, one_thread
):
    """Its buffers too are in the checkpoint, filled in part, and full in the second epoch."""
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0.0)
    images = Images(SampleSet.read(samples), ["red", "green", "blue"], 32, seed=0)
    settings = Settings(
        epochs=2,
        batch_size=4,
        learning_rate=2e-4,
        seed=0,
        device=CPU,
        optimizer="adam",
        momentum=0.5,
        last=True,
    )
    file = tmp_path / "gan.checkpoint"

    def run(task, checkpoint=None):
        torch.manual_seed(0)
        gan = CycleGAN(3, 4, 1)
        fit(gan, task, images, settings, Progress(), checkpoint)
        return gan.state_dict()

    whole = run(_SmallBuffers())
    for steps in (1, 7):
        with pytest.raises(RuntimeError, match="broken off"):
            run(_SmallBuffers(steps), file)
    again = run(_SmallBuffers(), file)
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_a_diverged_training_keeps_its_last_good_state(samples, tmp_path, monkeypatch):
    good = CycleGanTask.loss

    def diverging(self, *arguments):
        loss = good(self, *arguments)
        return loss * float("nan") if list(tmp_path.glob("m.*")) else loss

    monkeypatch.setattr(CycleGanTask, "loss", diverging)
    with pytest.raises(InputError, match="not a number any more: choose another seed"):
        trainweak(
            samples=samples, model=str(tmp_path / "m.safetensors"), method="cyclegan",
            **{**SMALL, "gan_epochs": 3}, progress=Progress(),
        )  # fmt: skip
    left = list(tmp_path.glob("m.*"))
    assert [path.name for path in left] == ["m.safetensors.cyclegan.checkpoint"]
    tensors = load_file(left[0])
    assert any(name.startswith("network.") for name in tensors)
    assert all(value.double().isfinite().all() for value in tensors.values())


@pytest.mark.parametrize(("method", "part"), [("cyclegan", "cyclegan"), ("both", "cam")])
def test_canceled_it_leaves_the_checkpoint_and_the_best_model_if_there_is_a_whole_one(
    samples, tmp_path, method, part
):
    model = tmp_path / "m.safetensors"

    def cancel(event):
        if event.get("text", "").startswith("Epoch 2"):
            raise SystemExit(143)

    with pytest.raises(SystemExit):
        trainweak(
            samples=samples, model=str(model), method=method,
            **{**SMALL, "epochs": 3, "gan_epochs": 3}, progress=Progress(cancel),
        )  # fmt: skip
    assert model.exists() == (method == "cyclegan")
    assert [path.name for path in tmp_path.glob("m.*.checkpoint")] == [
        f"{model.name}.{part}.checkpoint"
    ]


def test_a_checkpoint_is_of_its_samples_wherever_they_lie(samples, tmp_path, monkeypatch):
    told = []

    def note(*arguments):
        told.append(arguments[-1])
        raise InputError("enough")

    def begin(folder):
        given = {**SMALL, "samples": str(folder), "model": str(tmp_path / "m.safetensors")}
        with pytest.raises(InputError, match="enough"):
            trainweak(method="cyclegan", **given, progress=Progress())

    monkeypatch.setattr(trainweak_command, "fit", note)
    begin(samples)
    begin(shutil.copytree(samples, tmp_path / "moved"))
    data = SampleSet.read(samples)
    data.samples.pop()
    data.write_manifest()
    begin(samples)
    assert told[0] == told[1] != told[2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"method": "magic"}, 'METHOD is "magic": choose one of both, cam, cyclegan'),
        ({"bands": ["nir"]}, "no band nir"),
        ({"bands": ["red", "red"]}, "named twice in red, red"),
        ({"tile_size": 8}, "TILE_SIZE is 8: choose from 32 to 1024 pixels"),
        ({"reduction": 0}, "REDUCTION is 0: choose from 1 to 64"),
        ({"epochs": 0}, "EPOCHS is 0: choose 1 or more"),
        ({"depth": 6}, "DEPTH is 6: choose from 2 to 5"),
        ({"peak": 0.0}, "PEAK is 0.0: choose more than 0 and at most 1"),
        ({"encoder": "nonsense"}, "No encoder 'nonsense'"),
    ],
)
def test_bad_settings_are_one_sentence(samples, tmp_path, change, words):
    settings = {**SMALL, "model": str(tmp_path / "m.safetensors"), **change}
    with pytest.raises(InputError, match=words):
        given = checked("trainweak", trainweak, {"samples": samples, **settings})
        trainweak(**given, progress=Progress())
    assert not list(Path(tmp_path).glob("m.*"))
