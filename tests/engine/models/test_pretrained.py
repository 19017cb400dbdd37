"""Pretrained encoders: what can be said of them without the internet."""

from typing import Any

import pytest
import torch
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.models import pretrained
from landslide_mapper.models.pretrained import make_encoder
from landslide_mapper.models.registry import backbone_arguments, build
from landslide_mapper.models.vgg import copy_layers, vgg_stages

WITHOUT = {"fc_densenet", "compact_unet", "unet", "resunet"}


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No connection, and an empty cache."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))


@pytest.fixture
def downloaded(monkeypatch):
    """As if the weights were there: random ones of a fixed seed."""

    def make(name, bands, weights=None, **arguments):
        torch.manual_seed(7)
        return make_encoder(name, bands, None, **arguments)

    monkeypatch.setattr(pretrained, "make_encoder", make)
    monkeypatch.setattr(pretrained, "pretrained_weights", lambda name: "imagenet")


@pytest.mark.parametrize("architecture", ["smp_unet", "fcn8s", "mask_rcnn"])
def test_offline_gives_one_clear_sentence(architecture, offline):
    arguments = backbone_arguments(architecture, pretrained=True)
    with pytest.raises(InputError, match="could not be had from huggingface") as caught:
        build(architecture, 5, 2, pretrained=True, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("architecture", sorted(WITHOUT))
def test_those_without_pretrained_weights_say_so(architecture):
    with pytest.raises(InputError, match="no pretrained weights"):
        backbone_arguments(architecture, pretrained=True)


def test_the_light_vgg_is_not_pretrained():
    with pytest.raises(InputError, match="choose the backbone vgg16"):
        build("segnet", 3, 2, pretrained=True, **backbone_arguments("segnet", "light", True))


def test_vgg_stages_compute_what_the_pretrained_encoder_does():
    torch.manual_seed(0)
    encoder = make_encoder("vgg16_bn", 4).train()
    with torch.inference_mode():
        encoder(torch.randn(2, 4, 64, 64))  # so that batch normalization has statistics
    encoder.eval()
    stages = vgg_stages(4).eval()
    copy_layers(encoder, stages)
    image = torch.randn(1, 4, 64, 64)
    with torch.inference_mode():
        expected = encoder(image)
        found = image
        for level, stage in enumerate(stages):
            found = stage(found if level == 0 else torch.nn.functional.max_pool2d(found, 2))
            torch.testing.assert_close(found, expected[level], rtol=1e-3, atol=1e-3)


def test_mask_rcnn_takes_over_a_pretrained_body_with_its_normalization(downloaded):
    arguments = backbone_arguments("mask_rcnn", "resnet18", pretrained=True)
    assert arguments == {"depth": 18, "norm": "frozen"}
    network: Any = build("mask_rcnn", 5, 2, pretrained=True, **arguments)
    body = network.backbone.body
    theirs: Any = pretrained.make_encoder("resnet18", 5)
    assert torch.equal(body.conv1.weight, theirs.conv1.weight)
    assert torch.equal(body.layer4[1].conv2.weight, theirs.layer4[1].conv2.weight)
    assert torch.equal(body.layer4[1].bn2.running_var, theirs.layer4[1].bn2.running_var)
    from torchvision.ops.misc import FrozenBatchNorm2d  # which loads once a network needed it

    assert isinstance(body.bn1, FrozenBatchNorm2d)


def test_further_bands_share_the_weights_of_the_colours():
    three: Any = make_encoder("resnet18", 3)
    colours = three.conv1.weight.detach().clone()
    three.set_in_channels(5, pretrained=True)
    adapted = three.conv1.weight
    assert adapted.shape[1] == 5
    torch.testing.assert_close(adapted[:, 3], colours[:, 0] * 3 / 5)
    torch.testing.assert_close(adapted[:, 2], colours[:, 2] * 3 / 5)
