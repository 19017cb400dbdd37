"""Half precision that is wrong for a network: it is noticed, and float32 takes over."""

import math

import numpy as np
import pytest
import torch
from landslide_mapper.landslide_plugin.contract.errors import DivergedError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.samples.sample_set import SampleSet
from landslide_mapper.landslide_plugin.training.loop import trainer
from landslide_mapper.landslide_plugin.training.loop.contracts import Settings
from landslide_mapper.landslide_plugin.training.loop.instances import InstanceTask
from landslide_mapper.landslide_plugin.training.loop.losses import cross_entropy
from landslide_mapper.landslide_plugin.training.loop.memory import Memory
from landslide_mapper.landslide_plugin.training.loop.optimization import Optimization
from landslide_mapper.landslide_plugin.training.loop.precision import (
    TOLERANCE,
    Precision,
    deviation,
)
from landslide_mapper.landslide_plugin.training.loop.semantic import SemanticTask
from landslide_mapper.landslide_plugin.training.loop.trainer import fit
from landslide_mapper.landslide_plugin.training.tiles.batches import Batch, Tiles
from landslide_mapper.landslide_plugin.training.weak.tasks import Buffer, CycleGanTask
from landslide_mapper.models import device
from landslide_mapper.models.cyclegan import CycleGAN
from landslide_mapper.models.registry import backbone_arguments, build
from torch import nn

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def half(monkeypatch):
    """Processors that don't compute in bfloat16 emulate it."""
    monkeypatch.setattr(device, "_has_bfloat16", lambda place: True)


class Faulty(nn.Module):
    """Passes values on as they are, but not in half precision, and there from some call on.

    Args:
        forward: what half precision makes of values.
        backward: what it makes of their gradient.
        calls: that are right before.
    """

    def __init__(self, forward=lambda x: x, backward=lambda x: x, calls=0):
        super().__init__()
        self.change, self.change_back, self.calls = forward, backward, calls

    def forward(self, values):
        if not torch.is_autocast_enabled("cpu"):
            return values
        self.calls -= 1
        if self.calls >= 0:
            return values
        values = self.change(values)
        values.register_hook(self.change_back)
        return values


def network(faulty=None):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        faulty or nn.Identity(),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Conv2d(8, 2, 1),
    )


def batch(side=16, bands=2):
    images = torch.randn(4, bands, side, side, generator=torch.Generator().manual_seed(2))
    labels = (images[:, 0] > 0.5).numpy().astype(np.uint16)
    return Batch(images, labels)


def stepped(net, steps=1, task=None, tiles=None):
    """Make steps; return the warnings, the task and the losses."""
    events, task = [], task or SemanticTask(cross_entropy)
    progress = Progress(events.append)
    settings = Settings(epochs=1, batch_size=4, learning_rate=0.01, seed=0, device=CPU)
    way, memory = Optimization(net.train(), task, settings, progress), Memory(progress)
    losses = [way.step(tiles or batch(), memory, 1, 0.2) for _ in range(steps)]
    return [event["text"] for event in events if event["type"] == "warning"], task, losses


def is_finite(net):
    return all(torch.isfinite(value).all() for value in net.state_dict().values())


FAULTS = {
    "values": Faulty(lambda x: 1.5 * x),
    "no number": Faulty(lambda x: x * math.nan),
    "gradients lost": Faulty(backward=lambda x: 0 * x),
    "gradients of other size": Faulty(backward=lambda x: 1.5 * x),
    "gradients mixed up": Faulty(backward=lambda x: x.flip(0, 1)),
    "gradients without end": Faulty(backward=lambda x: x / 0),
    "gradients like unwritten memory": Faulty(backward=lambda x: x + 1e30),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_an_operation_that_is_wrong_in_half_precision_is_noticed_in_the_first_step(fault):
    fault.calls = 0
    net = network(fault)
    warnings, task, losses = stepped(net, 3)
    assert len(warnings) == 1 and warnings[0].startswith("Half precision (bfloat16) is wrong")
    assert not task.half and is_finite(net) and losses[-1] < losses[0]


@pytest.mark.parametrize("fault", ["no number", "gradients without end"])
def test_a_step_that_gives_no_numbers_later_is_made_in_float32(fault):
    """Nothing of the failed attempt is left: in weights, moments or statistics."""
    FAULTS[fault].calls = 4  # one in the comparison, one in each of three steps
    net = network(FAULTS[fault])
    warnings, task, losses = stepped(net, 5)
    assert len(warnings) == 1 and not task.half
    assert is_finite(net) and np.isfinite(losses).all()
    assert net[1].num_batches_tracked == 5


def test_gradients_that_jump_are_compared_before_they_count():
    FAULTS["gradients like unwritten memory"].calls = 4
    net = network(FAULTS["gradients like unwritten memory"])
    warnings, task, _ = stepped(net, 5)
    assert len(warnings) == 1 and not task.half and is_finite(net)


def test_slowly_growing_faults_are_found_at_the_tenth_step():
    fault = Faulty(backward=lambda x: 1.5 * x, calls=6)
    warnings, task, _ = stepped(network(fault), 9)
    assert not warnings and task.half
    fault.calls = 6
    warnings, task, _ = stepped(network(fault), 10)
    assert len(warnings) == 1 and not task.half


@pytest.mark.parametrize("architecture", ["fc_densenet", "resunet", "segnet", "smp_unet"])
def test_right_networks_stay_in_half_precision(architecture):
    """Of SegNet's places of maxima many change by rounding: its gradients are all over."""
    torch.manual_seed(0)
    backbone = "resnet18" if architecture == "smp_unet" else "light"
    net = build(architecture, 3, 2, **backbone_arguments(architecture, backbone))
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    warnings, task, _ = stepped(net, tiles=batch(64, 3))
    assert not warnings and task.half


def test_comparing_leaves_the_training_as_it_was(monkeypatch):
    def weights(steps):
        net = network()
        torch.manual_seed(1)
        stepped(net, steps)
        return net.state_dict()

    compared = weights(3)
    monkeypatch.setattr(Precision, "compare", lambda *arguments: None)
    for name, value in weights(3).items():
        assert torch.equal(value, compared[name]), name


class Frozen(nn.Sequential):
    """Its normalization belongs to an encoder."""

    ENCODER = ("1",)


def test_comparing_leaves_frozen_normalization_frozen():
    net = Frozen(*network())
    settings = Settings(
        epochs=1, batch_size=4, learning_rate=0.01, seed=0, device=CPU, frozen_epochs=1
    )
    way = Optimization(net.train(), SemanticTask(cross_entropy), settings, Progress())
    way.step(batch(), Memory(Progress()), 1, 0.2)
    assert net[1].num_batches_tracked == 0 and not net[1].training and net[4].training


def test_deviation_is_measured_by_what_rounding_does():
    exact = [torch.tensor(1.0), torch.tensor([3.0, 4.0])]
    rounded = [torch.tensor(1.0), torch.tensor([3.0, 4.4])]
    near = [torch.tensor(1.0), torch.tensor([3.8, 4.0])]
    # 0.8 off, where rounding is 0.4 off, and 2 % of a norm of 5 and 0.1 % of the whole are free.
    assert deviation(near, exact, rounded) == pytest.approx(0.8 / (0.4 + 0.1 + 0.005))
    assert deviation(exact, exact, exact) == 0
    lost = [torch.tensor(1.0), torch.zeros(2)]
    assert deviation(lost, exact, rounded) > TOLERANCE
    assert deviation([torch.tensor(math.nan)], exact, rounded) == math.inf


def test_a_true_divergence_is_told_as_such_and_leaves_the_weights():
    class Diverging(SemanticTask):
        def loss(self, *arguments):
            return super().loss(*arguments) * math.nan

    net, events = network(), []
    before = {name: value.clone() for name, value in net.named_parameters()}
    with pytest.raises(DivergedError, match="not a number any more"):
        events, _, _ = stepped(net, task=Diverging(cross_entropy))
    assert not events
    assert all(torch.equal(value, before[name]) for name, value in net.named_parameters())


def test_networks_of_instances_do_not_take_up_gradients_that_are_no_numbers():
    """They train in float32 from the beginning."""

    class Instances(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, images, targets):
            return {"loss": self.weight.sqrt().sum()}  # its derivative at 0 has no end

    net = Instances()
    with pytest.raises(DivergedError):
        stepped(net, task=InstanceTask())
    assert net.weight.item() == 0


@pytest.mark.parametrize("calls", [3, 11])
def test_cyclegan_goes_on_in_float32_and_its_buffers_hold_numbers(calls):
    """Also where they are full already, and show what half precision has made."""
    torch.manual_seed(0)
    gan, task = CycleGAN(3, 4, 1), CycleGanTask([1.0] * 3, 32.0)
    task._cleared, task._slid = Buffer(3, seed=0), Buffer(3, seed=1)
    faulty = Faulty(lambda x: x * math.nan, calls=calls)
    gan.add_module("clear", nn.Sequential(gan.clear, faulty))
    labels = np.array([1, 0, 1, 0], np.uint16)[:, None, None]
    warnings, _, losses = stepped(gan, 6, task, Batch(batch(32, 3).images, labels))
    assert len(warnings) == 1 and not task.half
    assert is_finite(gan) and np.isfinite(losses).all()
    kept, _ = task.memory()
    assert all(torch.isfinite(images).all() for images in kept.values())
    assert len(kept["cleared"]) == 3 and kept["cleared"].dtype == torch.float32


def test_the_average_the_best_weights_and_a_resumed_training_stay_sound(
    make_samples, tmp_path, monkeypatch
):
    """Float32 once decided stays, across a checkpoint too."""
    samples = SampleSet.read(make_samples())
    tiles = Tiles(samples, samples.bands, 16, 0)
    settings = Settings(
        epochs=3, batch_size=4, learning_rate=5e-3, seed=0, device=CPU, averaging=0.9
    )
    file, events = tmp_path / "m.checkpoint", []

    def run(task):
        fault = Faulty(lambda x: x * math.nan, calls=4)
        net = network(fault)
        outcome = fit(net, task, tiles, settings, Progress(events.append), file)
        return net, outcome

    judge = trainer._Training._judge

    def breaks(self, scores, seconds):
        judge(self, scores, seconds)
        if self.state.epoch == 3:
            self._write()
            raise RuntimeError("broken off")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="broken off"):
        patch.setattr(trainer._Training, "_judge", breaks)
        run(SemanticTask(cross_entropy))
    warnings = [event for event in events if event["type"] == "warning"]
    assert len(warnings) == 1
    events.clear()
    task = SemanticTask(cross_entropy)
    net, outcome = run(task)
    assert not [event for event in events if event["type"] == "warning"]
    assert not task.half and outcome.precision == "float32"
    assert is_finite(net) and all(np.isfinite(epoch.loss) for epoch in outcome.history)
