"""Trainings that are killed, canceled or short of disk, and go on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from landslide_mapper.landslide_plugin.contract.errors import InputError, OutputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.training import making, runs
from landslide_mapper.landslide_plugin.training.loop import checkpoint, trainer
from landslide_mapper.landslide_plugin.training.loop.trainer import fit
from landslide_mapper.landslide_plugin.training.train_command import train
from landslide_mapper.models.model_file import load_card, load_model, save_model
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.usefixtures("one_thread")
SETTINGS = {
    "backbone": "light",
    "batch_size": 4,
    "device": "cpu",
    "averaging": 0.9,
    "seed": 1,
    "epochs": 2,
}
LONG = 20
"""Epochs that take longer than it takes to kill."""

CHILD = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("worker", {worker!r})
worker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(worker)
worker.register_package()
import signal
from landslide_mapper.landslide_plugin.core import interruption
signal.signal(signal.SIGTERM, interruption.end)
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.training import train_command as commands
from landslide_mapper.landslide_plugin.training.loop import trainer
from landslide_mapper.models import fc_densenet
trainer.CHECKPOINT_SECONDS = 0.0
fc_densenet.BACKBONES["light"] = {tiny!r}
print("ready", flush=True)
commands.train(
    samples={samples!r}, model={model!r}, **{settings!r},
    progress=Progress(lambda event: print(event.get("text", ""), flush=True)),
)
"""


@pytest.fixture
def child(tiny):
    """Return a function that starts a training in another process, which ends with the test."""
    started = []

    def start(samples, model, **settings):
        started.append(Child(tiny, samples, model, **settings))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()


class Child:
    """A training in a process of its own that writes its state at every step."""

    def __init__(self, tiny, samples, model, **settings):
        text = CHILD.format(
            worker=str(ROOT / "landslide_plugin" / "worker.py"),
            samples=str(samples),
            model=str(model),
            settings={**SETTINGS, **settings},
            tiny=tiny,
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", text], stdout=subprocess.PIPE, text=True
        )
        self.model = Path(model)

    def run_until(self, ready):
        """Wait until ready(); return whether the training was still running then."""
        while self.process.poll() is None:
            if ready():
                return True
            time.sleep(0.005)
        return False

    def end(self):
        text = self.process.communicate(timeout=120)[0]
        return self.process.returncode, text


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def written(model):
    """When the state was last written, in ns; 0 for never."""
    path = Path(f"{model}.checkpoint")
    return path.stat().st_mtime_ns if path.exists() else 0


def training(samples, model, events=None, **change):
    sink = [] if events is None else events
    return train(
        samples=samples, model=str(model), progress=Progress(sink.append), **{**SETTINGS, **change}
    )


def break_off(monkeypatch, epochs):
    """Have the training raise after so many epochs, as a bug or a lost device would."""
    judge = trainer._Training._judge

    def breaks(self, scores, seconds):
        if self.state.epoch > epochs:
            raise RuntimeError("broken off")
        judge(self, scores, seconds)

    monkeypatch.setattr(trainer._Training, "_judge", breaks)


def texts(events):
    return [event["text"] for event in events if "text" in event]


def test_killed_at_random_steps_it_ends_with_the_very_weights_of_an_unbroken_run(
    make_samples, tmp_path, tiny, child
):
    samples = make_samples(train=6, validation=2)
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    training(samples, whole, epochs=LONG)
    for _ in range(2):
        before = written(broken)
        killed = child(samples, broken, epochs=LONG)
        assert killed.run_until(lambda before=before: written(broken) > before)
        time.sleep(float(np.random.default_rng().uniform(0, 0.1)))
        killed.process.kill()
        assert killed.end()[0] == -signal.SIGKILL
        assert not broken.exists()
    events = []
    training(samples, broken, events, epochs=LONG)
    assert any(text.startswith("Going on from broken.safetensors.ch") for text in texts(events))
    assert same(load_file(whole), load_file(broken))
    assert load_card(whole).metrics == load_card(broken).metrics
    assert not list(tmp_path.glob("*checkpoint*"))


def test_sigterm_leaves_the_best_model_so_far_and_the_way_on(make_samples, tmp_path, child):
    samples, model = make_samples(train=6, validation=2), tmp_path / "m.safetensors"
    canceled = child(samples, model, epochs=100_000)
    lines = iter(canceled.process.stdout.readline, "")
    assert any(line.startswith("Epoch 2 of 100000") for line in lines)
    canceled.process.terminate()
    assert canceled.end()[0] == 128 + signal.SIGTERM
    card = load_card(model)
    assert card.training["ending"].startswith("canceled after ")
    assert card.training["ending"].endswith("of 100000 epochs: unfinished")
    assert written(model)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2},
        {"learning_rate": 0.01},
        {"loss": "dice"},
        {"bands": ["slope"]},
        {"resume": False},
    ],
    ids=str,
)
def test_only_the_same_samples_and_settings_go_on(
    make_samples, tmp_path, tiny, monkeypatch, change
):
    samples, model, events = make_samples(train=6, validation=2), tmp_path / "m.safetensors", []
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        break_off(patch, 1)
        training(samples, model)
    assert written(model)
    training(samples, model, events, **change)
    assert not any("Going on" in text for text in texts(events))
    assert load_card(model).training["ending"] == "all epochs"
    assert not written(model)
    kept = list(tmp_path.glob("m.safetensors.checkpoint-*"))
    if "resume" in change:
        assert not kept
        return
    assert any(f"is kept as {kept[0].name}" in text for text in texts(events))
    events.clear()  # and the first one can still be ended
    training(samples, model, events)
    assert any("Going on from m.safetensors.checkpoint: epoch" in text for text in texts(events))
    assert not list(tmp_path.glob("*checkpoint*"))


def test_without_resume_what_was_set_aside_of_the_same_settings_does_not_go_on_either(
    make_samples, tmp_path, tiny, monkeypatch
):
    samples, model, events = make_samples(train=6, validation=2), tmp_path / "m.safetensors", []
    for seed in (1, 2):
        with monkeypatch.context() as patch, pytest.raises(RuntimeError):
            break_off(patch, 1)
            training(samples, model, seed=seed)
    training(samples, model, events, seed=1, resume=False)
    assert not any("Going on" in text for text in texts(events))
    assert not list(tmp_path.glob("*checkpoint*"))


def test_a_checkpoint_that_is_not_as_it_was_written_is_passed_over(
    make_samples, tmp_path, tiny, monkeypatch
):
    samples, model, events = make_samples(train=6, validation=2), tmp_path / "m.safetensors", []
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        break_off(patch, 1)
        training(samples, model)
    file = Path(f"{model}.checkpoint")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    training(samples, model, events)
    assert any("damaged: training begins anew" in text for text in texts(events))


def test_a_damaged_checkpoint_is_passed_over(make_samples, tmp_path, tiny):
    model, events = tmp_path / "m.safetensors", []
    Path(f"{model}.checkpoint").write_bytes(b"no checkpoint")
    training(make_samples(train=6, validation=2), model, events, epochs=1)
    assert any("damaged: training begins anew" in text for text in texts(events))


def test_a_checkpoint_that_can_not_be_read_now_is_not_thrown_away(
    make_samples, tmp_path, tiny, monkeypatch
):
    samples, model = make_samples(train=6, validation=2), tmp_path / "m.safetensors"
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        break_off(patch, 1)
        training(samples, model)
    before = Path(f"{model}.checkpoint").read_bytes()
    with monkeypatch.context() as patch, pytest.raises(InputError, match="left as it is"):
        patch.setattr(checkpoint, "safe_open", fails_with_too_many_files)
        training(samples, model)
    assert Path(f"{model}.checkpoint").read_bytes() == before


def fails_with_too_many_files(*_):
    raise RuntimeError("unable to open file: Too many open files (24)")


def test_folds_go_on_where_they_were(make_samples, tmp_path, tiny, monkeypatch):
    samples = make_samples(train=6, validation=2, split="random by patch")
    model, events = tmp_path / "m.safetensors", []
    calls = []

    def fails_in_fold_2(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("broken off")
        return fit(*arguments)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(runs, "fit", fails_in_fold_2)
        training(samples, model, folds=2, epochs=1)
    assert [path.name for path in tmp_path.glob("*checkpoint")] == [
        "m.safetensors.fold1.checkpoint"
    ]
    training(samples, model, events, folds=2, epochs=1)
    assert sum("Epoch 1 of 1" in text for text in texts(events)) == 1
    assert len(load_model(model).members) == 2
    assert not list(tmp_path.glob("*checkpoint*"))


def test_a_full_disk_does_not_end_the_training_and_loses_nothing(
    make_samples, small_disk, tiny, monkeypatch
):
    samples, model, events = make_samples(train=6, validation=2), small_disk / "m.safetensors", []
    filler = small_disk / "filler"
    real = checkpoint.write

    def fills(path, saved):
        filler.write_bytes(b"")
        free = os.statvfs(small_disk)
        filler.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - 4096)))
        real(path, saved)

    monkeypatch.setattr(checkpoint, "write", fills)
    with pytest.raises(OutputError, match="disk is full while writing"):
        training(samples, model, events, epochs=2)
    warnings = [event["text"] for event in events if event["type"] == "warning"]
    assert len(warnings) == 1 and "must begin anew" in warnings[0]
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


def test_a_disk_that_fills_up_at_the_end_keeps_the_training(
    make_samples, small_disk, tiny, monkeypatch
):
    samples, model, events = make_samples(train=6, validation=2), small_disk / "m.safetensors", []
    filler = small_disk / "filler"

    def fills(path, network, card, half):
        free = os.statvfs(small_disk)
        filler.write_bytes(bytes(free.f_bavail * free.f_frsize - 4096))
        save_model(path, network, card, half=half)

    with (
        monkeypatch.context() as patch,
        pytest.raises(OutputError, match="run it again with the same"),
    ):
        patch.setattr(making, "save_model", fills)
        training(samples, model, epochs=2)
    assert not model.exists() and written(model)
    filler.unlink()
    training(samples, model, events, epochs=2)
    assert load_card(model).training["ending"] == "all epochs"
    assert not any("Epoch 1" in text for text in texts(events))
