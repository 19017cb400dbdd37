"""Weights of EfficientNet-Lite from an installed package, in timm's network."""

import hashlib
from typing import Any

import pytest
import torch
from landslide_mapper.landslide_plugin.contract.errors import InputError, MissingPackageError
from landslide_mapper.models import efficientnet_lite
from landslide_mapper.models.efficientnet_lite import PACKAGES, SPREAD, imagenet_weights, timm_names
from landslide_mapper.models.pretrained import make_encoder
from landslide_mapper.models.registry import IMAGENET, backbone_arguments, build
from matplotlib.cbook import get_sample_data
from matplotlib.pyplot import imread

import timm  # isort: skip

MILITARY_UNIFORM = 652
"""Of ImageNet's classes."""
LITE0 = "tu-tf_efficientnet_lite0"


def test_the_package_fills_timms_network_to_the_last_weight():
    network = timm.create_model("tf_efficientnet_lite0")
    assert set(imagenet_weights(LITE0)) == set(network.state_dict())
    network.load_state_dict(imagenet_weights(LITE0))


def test_an_admiral_wears_a_military_uniform():
    """The photograph of Grace Hopper that matplotlib brings, by the whole network."""
    path = str(get_sample_data("grace_hopper.jpg", asfileobj=False))
    photograph = torch.tensor(imread(path)).permute(2, 0, 1)[None].float()
    square = torch.nn.functional.interpolate(
        photograph[:, :, :512], size=(224, 224), mode="bilinear", antialias=True
    )
    network = timm.create_model("tf_efficientnet_lite0").eval()
    network.load_state_dict(imagenet_weights(LITE0))
    with torch.inference_mode():
        assert int(network((square - 127) / 128).argmax()) == MILITARY_UNIFORM


def test_an_encoder_begins_with_them():
    encoder: Any = make_encoder(LITE0, 3, IMAGENET)
    weights = imagenet_weights(LITE0)
    torch.testing.assert_close(encoder.model.conv_stem.weight, weights["conv_stem.weight"] * SPREAD)
    torch.testing.assert_close(
        encoder.model.blocks[5][2].conv_dw.weight, weights["blocks.5.2.conv_dw.weight"]
    )


def test_bands_of_unit_variance_meet_the_spread_that_was_learnt_on():
    """Grey values of standard deviation 58, by (x - 127) / 128 and z-scored, give the same."""
    encoder: Any = make_encoder(LITE0, 3, IMAGENET)
    first = imagenet_weights(LITE0)["conv_stem.weight"]
    scored = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    theirs = torch.nn.functional.conv2d(scored * 58 / 128, first)
    ours = torch.nn.functional.conv2d(scored, encoder.model.conv_stem.weight.detach())
    torch.testing.assert_close(ours, theirs, rtol=0.02, atol=0.02)


def test_seven_bands_keep_the_size_of_the_first_answer():
    first = imagenet_weights(LITE0)["conv_stem.weight"] * SPREAD
    encoder: Any = make_encoder(LITE0, 7, IMAGENET)
    adapted = encoder.model.conv_stem.weight
    torch.testing.assert_close(adapted[:, 4], first[:, 1] * 3 / 7)


@pytest.mark.parametrize("architecture", ["smp_unet", "smp_deeplabv3plus", "smp_pspnet"])
def test_networks_begin_with_them(architecture):
    arguments = backbone_arguments(architecture, LITE0)
    network: Any = build(architecture, 4, 2, pretrained=IMAGENET, **arguments)
    theirs = imagenet_weights(LITE0)["blocks.6.0.conv_pwl.weight"]
    assert torch.equal(network.network.encoder.model.blocks[6][0].conv_pwl.weight, theirs)


def test_without_the_package_one_sentence_names_it(monkeypatch):
    monkeypatch.setitem(PACKAGES, LITE0, "no_such_package_of_weights")
    with pytest.raises(MissingPackageError, match="no-such-package-of-weights"):
        make_encoder(LITE0, 3, IMAGENET)


def test_a_damaged_package_is_refused(monkeypatch, tmp_path):
    folder = tmp_path / "damaged_lite" / "models"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    digest = hashlib.sha256(b"whole").hexdigest()[:8]
    (folder / f"efficientnet-lite0-{digest}.pth").write_bytes(b"half")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(PACKAGES, LITE0, "damaged_lite")
    with pytest.raises(InputError, match="damaged_lite is damaged"):
        imagenet_weights(LITE0)


def test_blocks_are_parted_where_the_channels_change():
    widths = [16, 24, 24, 40]
    names = {
        f"_blocks.{number}._project_conv.weight": torch.zeros(width, 1, 1, 1)
        for number, width in enumerate(widths)
    }
    assert list(timm_names(names)) == [
        "blocks.0.0.conv_pw.weight",
        "blocks.1.0.conv_pwl.weight",
        "blocks.1.1.conv_pwl.weight",
        "blocks.2.0.conv_pwl.weight",
    ]


def test_only_an_installed_package_is_at_hand(monkeypatch):
    assert efficientnet_lite.has_weights(LITE0)
    assert not efficientnet_lite.has_weights("resnet34")
    monkeypatch.setitem(PACKAGES, LITE0, "no_such_package_of_weights")
    assert not efficientnet_lite.has_weights(LITE0)
