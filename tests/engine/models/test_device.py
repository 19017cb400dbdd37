"""Half precision and where it is left; threads."""

import pytest
import torch
from landslide_mapper.models.device import LITTLE_WORK, exact_depthwise, learn_alone
from torch import Tensor, nn

CPU = torch.device("cpu")


def gradient(layer: nn.Conv2d, images: Tensor, half: bool) -> tuple[torch.dtype, Tensor]:
    """Return the type of what a layer gives, and its weights' gradient of the sum of squares."""
    layer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        values = layer(images)
    values.float().square().sum().backward()
    assert layer.weight.grad is not None
    return values.dtype, layer.weight.grad.clone()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(2, 8, 9, 9, generator=torch.Generator().manual_seed(0))


def test_depthwise_convolutions_learn_as_in_float32(images: Tensor) -> None:
    layer = nn.Conv2d(8, 8, 3, stride=2, groups=8)
    expected = gradient(layer, images, half=False)
    with exact_depthwise(layer, CPU):
        kind, learnt = gradient(layer, images, half=True)
    assert kind == torch.float32
    assert torch.equal(learnt, expected[1])


@pytest.mark.parametrize("layer", [nn.Conv2d(8, 4, 3), nn.Conv2d(8, 8, 3, groups=2)])
def test_other_convolutions_stay_in_half_precision(layer: nn.Conv2d, images: Tensor) -> None:
    with exact_depthwise(layer, CPU):
        assert gradient(layer, images, half=True)[0] == torch.bfloat16


def test_networks_are_as_they_were_afterwards_even_after_an_error(images: Tensor) -> None:
    layer = nn.Conv2d(8, 8, 3, groups=8)
    with pytest.raises(RuntimeError, match="stopped"), exact_depthwise(layer, CPU):
        raise RuntimeError("stopped")
    assert gradient(layer, images, half=True)[0] == torch.bfloat16
    assert "forward" not in vars(layer)


def test_a_gpu_keeps_its_precision() -> None:
    layer = nn.Conv2d(8, 8, 3, groups=8)
    with exact_depthwise(layer, torch.device("cuda")):
        assert "forward" not in vars(layer)


@pytest.mark.parametrize(
    ("device", "work", "threads"), [("cpu", 0.9, 1), ("cpu", 1.1, 2), ("cuda", 0.9, 2)]
)
def test_a_network_with_little_to_do_learns_by_one_thread(
    device: str, work: float, threads: int
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        learn_alone(torch.device(device), work * LITTLE_WORK)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
