"""FC-DenseNet: size, shapes and gradient."""

from typing import Any

import pytest
import torch
from landslide_mapper.landslide_plugin.contract.architectures import INSTANCE, SEMANTIC
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.models.fc_densenet import FCDenseNet
from landslide_mapper.models.registry import backbone_arguments, build, task_of
from torch import nn

GAO_PARAMETERS = 2_961_676
TINY: dict[str, Any] = {"growth_rate": 4, "layers": (2, 2), "middle_layers": 2, "first_channels": 8}


def parameters(network):
    return sum(value.numel() for value in network.parameters())


def test_seven_bands_have_as_many_parameters_as_in_gao_2021():
    count = parameters(build("fc_densenet", 7, 2))
    assert abs(count - GAO_PARAMETERS) < 0.02 * GAO_PARAMETERS
    assert count == 2_964_080  # the number that the docstring gives


def test_a_fifth_of_the_values_is_dropped_in_training_as_in_gao_2021():
    network = build("fc_densenet", 7, 2, **backbone_arguments("fc_densenet", "gao2021"))
    dropped = [module.p for module in network.modules() if isinstance(module, nn.Dropout)]
    # of each layer and, as in Jégou et al. 2017 (table 1), of each of the four transitions down
    assert dropped == [0.2] * (4 * 4 + 4 + 12 + 4 * 4)


def test_weights_of_a_card_without_dropout_are_those_of_a_network_with_it():
    old = build("fc_densenet", 2, 2, **TINY).state_dict()
    assert build("fc_densenet", 2, 2, **TINY, dropout=0.2).state_dict().keys() == old.keys()
    assert not any(isinstance(part, nn.Dropout) for part in build("fc_densenet", 2, 2).modules())


def test_light_is_a_sixth_of_the_size():
    light = build("fc_densenet", 7, 2, **backbone_arguments("fc_densenet", "light"))
    assert parameters(light) < GAO_PARAMETERS / 5


@pytest.mark.parametrize("shape", [(8, 8), (9, 13), (64, 64), (65, 31), (100, 8)])
@pytest.mark.parametrize("classes", [2, 3])
def test_any_height_and_width_gives_logits_of_the_same(shape, classes):
    network = FCDenseNet(5, classes, **TINY).eval()
    assert network(torch.randn(2, 5, *shape)).shape == (2, classes, *shape)


def test_without_bottleneck_and_compression_it_is_jegous_fc_densenet_103():
    # Jégou et al. 2017, table 2 and 3: 103 layers, 256 channels before the last convolution, and
    # 9.4 million parameters with three bands and eleven classes.
    network = FCDenseNet(3, 11, 16, (4, 5, 7, 10, 12), 15, 48, compression=1.0, bottleneck=False)
    assert network.last.in_channels == 256
    assert round(parameters(network) / 1e6, 1) in (9.3, 9.4)


def test_every_weight_gets_a_gradient():
    network = FCDenseNet(3, 2, **TINY)
    network(torch.randn(2, 3, 16, 16)).square().mean().backward()
    weights = [value.grad for value in network.parameters() if value.dim() > 1]
    assert all(grad is not None and grad.abs().sum() > 0 for grad in weights)


def test_a_pixel_sees_only_its_surroundings_so_that_windows_can_overlap():
    network = FCDenseNet(1, 2, **TINY).eval()
    image = torch.randn(1, 1, 128, 128)
    changed = image.clone()
    changed[..., :8, :8] += 5
    difference = (network(image) - network(changed)).abs().amax((0, 1))
    assert difference[:8, :8].min() > 0
    assert difference[64:, 64:].max() == 0


@pytest.mark.parametrize("layers, middle", [((), 2), ((0,), 2), ((2,), 10**9)])
def test_senseless_blocks_are_refused(layers, middle):
    with pytest.raises(ValueError, match="blocks of"):
        FCDenseNet(3, 2, layers=layers, middle_layers=middle)


def test_unknown_names_are_refused_with_those_there_are():
    with pytest.raises(InputError, match=r"'tiramisu'.*fc_densenet"):
        build("tiramisu", 3, 2)
    with pytest.raises(InputError, match=r"no backbone 'vgg'.*gao2021, light"):
        backbone_arguments("fc_densenet", "vgg")


def test_each_architecture_has_one_task():
    assert not set(SEMANTIC) & set(INSTANCE)
    assert {task_of(name) for name in SEMANTIC} == {"semantic-segmentation"}
    assert {task_of(name) for name in INSTANCE} == {"instance-segmentation"}
