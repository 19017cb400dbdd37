"""Pretrained encoders: what can be said of them without the internet."""

from typing import Any

import pytest
import torch
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.models import pretrained
from landslide_mapper.models.pretrained import make_encoder
from landslide_mapper.models.registry import IMAGENET, backbone_arguments, build
from landslide_mapper.models.vgg import copy_layers, vgg_stages
from safetensors.torch import save_file

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

    def make(name, bands, source="", **arguments):
        torch.manual_seed(7)
        return make_encoder(name, bands, **arguments)

    monkeypatch.setattr(pretrained, "make_encoder", make)


@pytest.mark.parametrize("architecture", ["smp_unet", "fcn8s", "mask_rcnn"])
def test_offline_gives_one_clear_sentence(architecture, offline):
    arguments = backbone_arguments(architecture, pretrained=True)
    with pytest.raises(InputError, match="could not be had from huggingface") as caught:
        build(architecture, 5, 2, pretrained=IMAGENET, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("architecture", sorted(WITHOUT))
def test_those_without_pretrained_weights_say_so(architecture):
    with pytest.raises(InputError, match="no pretrained weights"):
        backbone_arguments(architecture, pretrained=True)


def test_the_light_vgg_is_not_pretrained():
    with pytest.raises(InputError, match="choose the backbone vgg16"):
        build("segnet", 3, 2, pretrained=IMAGENET, **backbone_arguments("segnet", "light", True))


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
        result = image
        for level, stage in enumerate(stages):
            result = stage(result if level == 0 else torch.nn.functional.max_pool2d(result, 2))
            torch.testing.assert_close(result, expected[level], rtol=1e-3, atol=1e-3)


def test_mask_rcnn_takes_over_a_pretrained_body_with_its_normalization(downloaded):
    arguments = backbone_arguments("mask_rcnn", "resnet18", pretrained=True)
    assert arguments == {"depth": 18, "norm": "frozen"}
    network: Any = build("mask_rcnn", 5, 2, pretrained=IMAGENET, **arguments)
    body = network.backbone.body
    theirs: Any = pretrained.make_encoder("resnet18", 5)
    assert torch.equal(body.conv1.weight, theirs.conv1.weight)
    assert torch.equal(body.layer4[1].conv2.weight, theirs.layer4[1].conv2.weight)
    assert torch.equal(body.layer4[1].bn2.running_var, theirs.layer4[1].bn2.running_var)
    from torchvision.ops.misc import FrozenBatchNorm2d  # which loads once a network needed it

    assert isinstance(body.bn1, FrozenBatchNorm2d)


@pytest.mark.parametrize("kind", ["safetensors", "pth", "wrapped"])
def test_a_file_of_the_users_fills_the_encoder(kind, tmp_path):
    torch.manual_seed(3)
    theirs = make_encoder("resnet18", 3).state_dict()
    weights = {f"backbone.{name}": value for name, value in theirs.items()}
    path = tmp_path / ("weights.safetensors" if kind == "safetensors" else "weights.pth")
    if kind == "safetensors":
        save_file(weights, path)
    else:
        torch.save({"state_dict": weights} if kind == "wrapped" else weights, path)
    network: Any = build("smp_unet", 5, 2, encoder="resnet18", pretrained=str(path))
    ours = network.network.encoder
    assert torch.equal(ours.layer4[1].conv2.weight, theirs["layer4.1.conv2.weight"])
    torch.testing.assert_close(ours.conv1.weight[:, 3], theirs["conv1.weight"][:, 0] * 3 / 5)


def test_a_file_of_another_network_is_refused_with_the_count(tmp_path):
    save_file(make_encoder("resnet18", 3).state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(InputError, match=r"holds \d+ of the \d+ weights .* choose the backbone"):
        make_encoder("resnet50", 3, str(tmp_path / "weights.safetensors"))


def test_a_file_that_would_run_code_is_refused_in_one_sentence(tmp_path):
    torch.save({"state_dict": torch.nn.Linear(1, 1), "more": print}, tmp_path / "weights.pth")
    with pytest.raises(InputError, match="tensors alone"):
        make_encoder("resnet18", 3, str(tmp_path / "weights.pth"))


@pytest.mark.parametrize("content", [b"", b"not a file of weights"])
def test_a_file_without_weights_is_refused_in_one_sentence(content, tmp_path):
    for name in ("weights.pth", "weights.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="can't be read as weights"):
            make_encoder("resnet18", 3, str(tmp_path / name))


def test_mask_rcnn_takes_over_a_whole_one_but_for_its_classes(tmp_path):
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    torch.manual_seed(5)
    theirs = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None).state_dict()
    torch.save(theirs, tmp_path / "coco.pth")
    ours = build("mask_rcnn", 4, 2, norm="frozen", pretrained=str(tmp_path / "coco.pth"))
    taken = ours.state_dict()
    for name in (
        "backbone.body.layer4.2.conv3.weight",
        "roi_heads.mask_head.0.0.weight",
        "roi_heads.box_head.fc6.weight",
        "rpn.head.cls_logits.weight",
    ):
        assert torch.equal(taken[name], theirs[name])
    assert taken["roi_heads.box_predictor.cls_score.weight"].shape[0] == 2


@pytest.mark.parametrize("name", ["tu-resnet10t", "tu-tf_efficientnet_lite1"])
def test_timms_encoders_go_by_their_prefix(name):
    pretrained.require_encoder(name)


def test_further_bands_share_the_weights_of_the_colours():
    three: Any = make_encoder("resnet18", 3)
    colours = three.conv1.weight.detach().clone()
    three.set_in_channels(5, pretrained=True)
    adapted = three.conv1.weight
    assert adapted.shape[1] == 5
    torch.testing.assert_close(adapted[:, 3], colours[:, 0] * 3 / 5)
    torch.testing.assert_close(adapted[:, 2], colours[:, 2] * 3 / 5)
