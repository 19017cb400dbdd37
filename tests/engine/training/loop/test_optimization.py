"""Single steps: rates, frozen encoder, full memory, averaged weights; and the schedules."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from landslide_mapper.landslide_plugin.contract.choices import Train
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.training.loop.averaging import Average
from landslide_mapper.landslide_plugin.training.loop.contracts import Settings
from landslide_mapper.landslide_plugin.training.loop.losses import cross_entropy
from landslide_mapper.landslide_plugin.training.loop.memory import Memory
from landslide_mapper.landslide_plugin.training.loop.optimization import Optimization
from landslide_mapper.landslide_plugin.training.loop.schedule import SCHEDULES
from landslide_mapper.landslide_plugin.training.loop.semantic import SemanticTask
from landslide_mapper.landslide_plugin.training.tiles.batches import Batch
from torch import nn

CPU = torch.device("cpu")


class TwoParts(nn.Module):
    """An "encoder" and a head, without batch normalization."""

    ENCODER = ("encoder",)

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Conv2d(2, 4, 3, padding=1)
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, images):
        return self.head(self.encoder(images).relu())


@pytest.fixture
def batch():
    labels = np.zeros((4, 8, 8), np.uint16)
    labels[:, 2:5] = 1
    return Batch(torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(2)), labels)


def settings(**change):
    return Settings(
        **{"epochs": 4, "batch_size": 4, "learning_rate": 0.01, "seed": 0, **change}, device=CPU
    )


class Hungry(SemanticTask):
    """Has memory for so many tiles at once."""

    def __init__(self, room):
        super().__init__(cross_entropy)
        self.room = room

    def loss(self, network, batch, device):
        if len(batch.labels) > self.room:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        return super().loss(network, batch, device)


def steps(network, batch, count=1, task=None, events=None, **change):
    progress = Progress((events if events is not None else []).append)
    way = Optimization(network, task or Hungry(99), settings(**change), progress)
    memory = Memory(progress)
    return [way.step(batch, memory, number, 0.2) for number in range(1, count + 1)]


def test_a_full_memory_halves_the_batch_and_leaves_the_step_as_it_was(batch):
    one, other, events = TwoParts(), TwoParts(), []
    losses = steps(one, batch, 3), steps(other, batch, 3, Hungry(2), events)
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=2e-3)
    assert [event["text"] for event in events] == [
        "The memory does not suffice for 4 tiles of 8 px at once: going on with 2 at a time."
    ]


def test_a_memory_too_small_for_one_tile_is_told_in_one_sentence(batch):
    with pytest.raises(InputError, match="not suffice for a single tile of 8 px"):
        steps(TwoParts(), batch, 1, Hungry(0))


def test_other_errors_are_not_taken_for_a_full_memory(batch):
    class Broken(Hungry):
        def loss(self, network, batch, device):
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        steps(TwoParts(), batch, 1, Broken(9))


def test_the_encoder_stays_while_it_is_frozen(batch):
    network = TwoParts()
    before = copy.deepcopy(network)
    steps(network, batch, 2, frozen_epochs=2)
    assert torch.equal(network.encoder.weight, before.encoder.weight)
    assert not torch.equal(network.head.weight, before.head.weight)
    network = copy.deepcopy(before)
    steps(network, batch, 3, frozen_epochs=2)
    assert not torch.equal(network.encoder.weight, before.encoder.weight)


def test_the_encoder_has_a_rate_of_its_own(batch):
    network = TwoParts()
    before = copy.deepcopy(network)
    steps(network, batch, 1, encoder_rate=0.1, optimizer="adam")
    # Adam's first step moves each weight by the learning rate.
    moved = [
        (a - b).abs().max().item()
        for a, b in zip(network.parameters(), before.parameters(), strict=True)
    ]
    assert moved == pytest.approx([0.001, 0.001, 0.01, 0.01], rel=1e-2)


def test_the_average_lies_between_the_weights_it_is_of(batch):
    network = TwoParts()
    first = network.head.weight.detach().clone()
    average = Average(network, 0.75)
    steps(network, batch, 1)
    average.update(100)
    averaged: Any = average.network
    expected = 0.75 * first + 0.25 * network.head.weight.detach()
    torch.testing.assert_close(averaged.head.weight, expected)


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_stay_within_nought_and_the_highest(name):
    rates = [SCHEDULES[name](done) for done in np.linspace(0, 1, 101)]
    assert max(rates) == pytest.approx(1, abs=1e-3) and min(rates) >= 0
    if name != "constant":
        assert rates[-1] == pytest.approx(0, abs=1e-9)


def test_one_cycle_is_pytorchs():
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], 1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1.0, 1001, pct_start=0.2, cycle_momentum=False
    )
    for step in range(1000):
        done = step / 1000
        assert SCHEDULES["one_cycle"](done) == pytest.approx(theirs.get_last_lr()[0], abs=0.01)
        optimizer.step()
        theirs.step()


def test_an_unknown_schedule_is_refused():
    assert "one_cycle" in Train.SCHEDULE.problem("linear")


class Pooled(nn.Module):
    """Has batch normalization on a single pixel, as pooling networks do."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(2), nn.Upsample((8, 8)))

    def forward(self, images):
        return self.layers(images)


def test_a_batch_of_one_tile_that_a_network_cannot_learn_from_is_told(batch):
    one = Batch(batch.images[:1], batch.labels[:1])
    with pytest.raises(InputError, match="can't learn from a batch of one tile"):
        steps(Pooled(), one)


class Normalized(nn.Sequential):
    """Its encoder and its head have batch normalization."""

    ENCODER = ("encoder",)

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.head = nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))


def test_a_frozen_encoder_keeps_its_batch_statistics(batch):
    network = Normalized()
    before = copy.deepcopy(network.state_dict())
    steps(network, batch, 2, frozen_epochs=2)
    changed = {name for name, value in network.state_dict().items() if value.ne(before[name]).any()}
    assert not any(name.startswith("encoder") for name in changed)
    assert {"head.0.running_mean", "head.0.running_var"} <= changed
    network.load_state_dict(before)
    steps(network, batch, 3, frozen_epochs=2)
    assert network.state_dict()["encoder.1.num_batches_tracked"] == 1
