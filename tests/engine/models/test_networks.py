"""What holds for every network that gives each pixel a class."""

import pytest
import torch
from landslide_mapper.models.registry import SEMANTIC, backbone_arguments, build

SMALL = {"fc_densenet": "light", "compact_unet": "light"}
"""The quickest backbone of those that have several."""


def network(architecture, bands=5, classes=2):
    torch.manual_seed(0)
    arguments = backbone_arguments(architecture, SMALL.get(architecture, ""))
    return build(architecture, bands, classes, **arguments)


def parameters(network):
    return sum(value.numel() for value in network.parameters())


@pytest.mark.parametrize("architecture", SEMANTIC)
def test_any_height_width_and_number_of_bands_gives_logits_of_the_same_size(architecture):
    for bands, classes, shape in ((1, 2, (8, 8)), (5, 3, (65, 31)), (13, 2, (9, 100))):
        with torch.inference_mode():
            logits = network(architecture, bands, classes).eval()(torch.randn(2, bands, *shape))
        assert logits.shape == (2, classes, *shape)
        assert logits.dtype == torch.float32


@pytest.mark.parametrize("architecture", SEMANTIC)
def test_a_single_small_tile_is_enough_for_a_step_that_reaches_every_weight(architecture):
    trained = network(architecture).train()
    loss = trained(torch.randn(1, 5, 16, 16)).log_softmax(1)[:, 1].mean()
    loss.backward()
    for name, value in trained.named_parameters():
        assert value.grad is not None, name
        assert torch.isfinite(value.grad).all(), name


def test_compact_unet_has_as_many_parameters_as_its_docstring_says():
    assert parameters(build("compact_unet", 3, 2)) == 5_436_226
    assert abs(parameters(build("compact_unet", 3, 2)) - 5.4e6) < 0.02 * 5.4e6
    light = build("compact_unet", 3, 2, **backbone_arguments("compact_unet", "light"))
    assert parameters(light) < 5_436_226 / 3.9


@pytest.mark.parametrize("arguments", [{"widths": []}, {"widths": [8] * 9}, {"blocks": 0}])
def test_a_senseless_compact_unet_is_refused(arguments):
    with pytest.raises(ValueError, match="widths of"):
        build("compact_unet", 3, 2, **arguments)
