"""Trainings that are killed, canceled or short of disk, and go on."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from landslide_mapper.models.model_file import load_card
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = {
    "backbone": "light",
    "epochs": 3,
    "batch_size": 4,
    "device": "cpu",
    "averaging": 0.9,
    "seed": 1,
}
TINY = {"growth_rate": 8, "layers": (2,), "middle_layers": 2, "first_channels": 8, "dropout": 0.2}
"""Dropout, so that the random generators matter too."""

CHILD = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("worker", {worker!r})
worker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(worker)
worker.register_package()
import signal
signal.signal(signal.SIGTERM, worker._stop)
from landslide_mapper.landslide_plugin.progress import Progress
from landslide_mapper.landslide_plugin.training import commands, trainer
from landslide_mapper.models import fc_densenet
trainer.CHECKPOINT_SECONDS = 0.0
fc_densenet.BACKBONES["light"] = {tiny!r}
print("ready", flush=True)
commands.train(
    samples={samples!r}, model={model!r}, **{settings!r},
    progress=Progress(lambda event: print(event.get("text", ""), flush=True)),
)
"""


class Child:
    """A training in a process of its own that writes its state at every step."""

    def __init__(self, samples, model, **settings):
        text = CHILD.format(
            worker=str(ROOT / "landslide_plugin" / "worker.py"),
            samples=str(samples),
            model=str(model),
            settings={**SETTINGS, **settings},
            tiny=TINY,
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
        text = self.process.communicate(timeout=60)[0]
        return self.process.returncode, text


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def written(model):
    """When the state was last written, in ns; 0 for never."""
    path = Path(f"{model}.checkpoint")
    return path.stat().st_mtime_ns if path.exists() else 0


def test_killed_at_random_steps_it_ends_with_the_very_weights_of_an_unbroken_run(
    make_samples, tmp_path
):
    samples = make_samples()
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    assert Child(samples, whole).end()[0] == 0
    for _ in range(2):
        before = written(broken)
        child = Child(samples, broken)
        assert child.run_until(lambda before=before: written(broken) > before)
        time.sleep(float(np.random.default_rng().uniform(0, 0.4)))
        child.process.kill()
        assert child.end()[0] == -signal.SIGKILL
        assert not broken.exists()
    status, text = Child(samples, broken).end()
    assert status == 0 and "Going on from broken.safetensors.checkpoint" in text
    assert same(load_file(whole), load_file(broken))
    assert load_card(whole).metrics == load_card(broken).metrics
    assert not list(tmp_path.glob("*checkpoint*"))
