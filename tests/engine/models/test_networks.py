"""What holds for every network that gives each pixel a class, and the sizes of the sources."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from landslide_mapper.landslide_plugin.contract.architectures import INSTANCE, SEMANTIC
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.models.ensemble import Ensemble
from landslide_mapper.models.layers import pad
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import load_model, save_model
from landslide_mapper.models.registry import (
    backbone_arguments,
    backbones,
    build,
    encoder_modules,
    encoder_parameters,
)


def small(architecture):
    """Return the arguments of the quickest backbone."""
    if architecture.startswith("smp_") and architecture != "smp_segformer":
        return {"encoder": "resnet18"}
    known = backbones(architecture)
    return next((known[name] for name in ("light", "resnet18", "mit_b0") if name in known), {})


def network(architecture, bands=5, classes=2):
    torch.manual_seed(0)
    return build(architecture, bands, classes, **small(architecture))


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


def card(architecture, **changes):
    bands = list("abcde")
    values = {
        "name": "model-1",
        "architecture": architecture,
        "arguments": small(architecture),
        "task": "semantic-segmentation",
        "bands": bands,
        "mean": [0.0] * 5,
        "std": [1.0] * 5,
        "resolution": None,
        "tile_size": 64,
        "classes": ["background", "landslide"],
    }
    return ModelCard(**{**values, **changes})


@pytest.mark.parametrize("architecture", SEMANTIC)
def test_a_saved_network_predicts_the_same(architecture, tmp_path):
    saved = network(architecture).train()
    saved(torch.randn(2, 5, 40, 40))  # so that batch normalization has statistics
    saved.eval()
    save_model(tmp_path / "m.safetensors", saved, card(architecture))
    loaded = load_model(tmp_path / "m.safetensors")
    assert loaded.card == card(architecture)
    image = torch.randn(2, 5, 40, 56)
    with torch.inference_mode():  # where weights lie in memory decides how sums are rounded
        torch.testing.assert_close(loaded.network(image), saved(image), rtol=1e-5, atol=1e-6)


def test_a_narrow_decoder_on_the_lightest_encoder_has_3_8_million_parameters():
    narrow = {"encoder": "tu-tf_efficientnet_lite0", "decoder": [128, 64, 48, 32, 16]}
    assert parameters(build("smp_unet", 3, 2, **narrow)) == pytest.approx(3.8e6, rel=0.02)
    usual = build("smp_unet", 3, 2, encoder="resnet18")
    given = build("smp_unet", 3, 2, encoder="resnet18", decoder=[256, 128, 64, 32, 16])
    assert parameters(usual) == parameters(given)


@pytest.mark.parametrize("architecture", [*SEMANTIC, *INSTANCE])
def test_the_encoder_can_be_frozen_and_does_not_hold_all(architecture):
    built = network(architecture)
    encoder = set(encoder_parameters(built))
    assert encoder < set(built.parameters())
    first = next(module for module in built.modules() if isinstance(module, torch.nn.Conv2d))
    assert first.in_channels == 5 and first.weight in encoder


SIZES = {
    # Gao et al. 2021, table IX; FC-DenseNet's own test holds it to the last parameter.
    ("fc_densenet", "gao2021", 7, 2): 2_961_676,
    ("unet", "gao2021", 7, 2): 7.70e6,
    ("resunet", "gao2021", 7, 2): 9.9e6,
    ("segnet", "vgg16", 7, 2): 29.46e6,
    # Jégou et al. 2017, table 3
    ("fc_densenet", "fc_densenet67", 3, 11): 3.5e6,
    ("fc_densenet", "fc_densenet103", 3, 11): 9.4e6,
    # Ronneberger's network has 31.0 million, Long's VGG16 with 21 classes 134 million
    ("unet", "ronneberger2015", 1, 2): 31.03e6,
    ("fcn8s", "vgg16", 3, 21): 134.5e6,
    ("compact_unet", "standard", 3, 2): 5.4e6,
    # Zhao et al. 2017 on the whole ResNet-50 (23.5 million): four reductions of 2048 channels to
    # 512 (4.2) and the convolution of all 4096 (2.1)
    ("smp_pspnet", "resnet50", 3, 2): 29.8e6,
    ("smp_unet", "resnet50", 3, 2): 32.5e6,
}


@pytest.mark.parametrize("key, count", SIZES.items(), ids=[f"{a}-{b}" for a, b, *_ in SIZES])
def test_sizes_are_those_of_the_sources_within_two_percent(key, count):
    architecture, backbone, bands, classes = key
    with torch.device("meta"):
        built = build(architecture, bands, classes, **backbone_arguments(architecture, backbone))
    assert abs(parameters(built) - count) <= 0.02 * count


def test_the_numbers_of_the_docstrings():
    assert parameters(build("compact_unet", 3, 2)) == 5_436_226
    assert parameters(build("resunet", 7, 2)) == 9_769_474
    zhang = build("resunet", 7, 2, **backbone_arguments("resunet", "zhang2018"))
    assert round(parameters(zhang) / 1e6, 1) == 8.2
    light = build("compact_unet", 3, 2, **backbone_arguments("compact_unet", "light"))
    assert parameters(light) < 5_436_226 / 3.9


def test_pspnet_looks_at_the_whole_encoder_at_an_eighth():
    network: Any = build("smp_pspnet", 3, 2, encoder="resnet50").eval().network
    with torch.inference_mode():
        features = network.encoder(torch.zeros(1, 3, 128, 128))[-1]
    assert features.shape == (1, 2048, 16, 16)


def test_deeplab_looks_at_a_sixteenth_with_the_rates_of_that_stride():
    network: Any = build("smp_deeplabv3plus", 3, 2, encoder="resnet50").eval().network
    with torch.inference_mode():
        features = network.encoder(torch.zeros(1, 3, 128, 128))[-1]
    assert features.shape == (1, 2048, 8, 8)
    assert [layer.dilation[0] for layer in atrous(network)] == [6, 12, 18]


@pytest.mark.parametrize("side, blind", [(320, 0), (128, 2), (64, 3)])
def test_a_tile_must_be_larger_than_the_reach_of_an_atrous_branch(side, blind):
    """A branch is blind to its surroundings if it answers the same without its outer taps."""
    network: Any = build("smp_deeplabv3plus", 3, 2, encoder="resnet18").eval().network
    image = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    same = 0
    with torch.inference_mode():
        features = network.encoder(image)[-1]
        for layer in atrous(network):
            whole = layer(features)
            layer.weight[..., [0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]] = 0
            same += int(torch.equal(whole, layer(features)))
    assert same == blind


def atrous(network: Any) -> list[Any]:
    return [
        module
        for module in network.decoder.modules()
        if isinstance(module, torch.nn.Conv2d) and module.dilation[0] > 1
    ]


def test_segnet_puts_values_back_where_pooling_found_them():
    from landslide_mapper.models.segnet import _unpool

    values, indices = torch.nn.functional.max_pool2d(
        torch.randn(2, 3, 8, 12), 2, return_indices=True
    )
    expected = torch.nn.functional.max_unpool2d(values, indices, (2, 2))
    assert torch.equal(_unpool(values, indices), expected)


def test_fcn8s_enlarges_bilinearly_at_first():
    from landslide_mapper.models.fcn8s import _bilinear

    ramp = torch.arange(6.0).expand(1, 2, 6, 6)
    with torch.inference_mode():
        large = _bilinear(2, 8)(ramp)
    assert large.shape == (1, 2, 48, 48)
    steps = large[0, 0, 24, 4:44].diff()
    torch.testing.assert_close(steps, torch.full_like(steps, 1 / 8))


@pytest.mark.parametrize("scales", [(1, 2), (2, 1), (1, 2, 4)])
def test_a_coarser_reading_adds_half_of_what_it_sees_beyond_and_takes_nothing(scales):
    pyramid = build("compact_unet", 2, 3, widths=[4, 8], scales=scales).eval()
    alone: Any = build("compact_unet", 2, 3, widths=[4, 8]).eval()
    alone.load_state_dict(pyramid.state_dict())
    images = torch.randn(2, 2, 64, 96)

    def over_background(network, images):
        logits = network(images)
        return (logits - logits[:, :1])[:, 1:]

    with torch.inference_mode():
        expected = over_background(alone, images)
        finest, result = expected, over_background(pyramid, images)
        for scale in sorted(scales)[1:]:
            alone.scales = (scale,)
            seen = over_background(alone, images)
            expected = torch.where(seen > expected, (expected + seen) / 2, expected)
    torch.testing.assert_close(result, expected)
    assert (result >= finest - 1e-6).all() and (result > finest + 1e-3).any()
    assert parameters(pyramid) == parameters(alone)


@pytest.mark.parametrize("size", [(64, 96), (33, 20)])
def test_a_network_with_an_encoder_averages_the_probabilities_of_its_readings(size):
    arguments: dict[str, Any] = {"encoder": "resnet18"}
    reader: Any = build("smp_unet", 2, 3, scales=(1, 4), **arguments).eval()
    alone = build("smp_unet", 2, 3, **arguments).eval()
    alone.load_state_dict(reader.state_dict())
    images = torch.randn(2, 2, *size)
    with torch.inference_mode():
        coarse = alone(torch.nn.functional.avg_pool2d(pad(images, 128), 4))
        enlarged = torch.nn.functional.interpolate(coarse, scale_factor=4.0, mode="bilinear")
        seen = alone(images).softmax(1), enlarged[..., : size[0], : size[1]].softmax(1)
        result = reader(images).softmax(1)
    torch.testing.assert_close(result, sum(seen) / 2)
    assert (seen[0] - seen[1]).abs().max() > 0.05
    assert parameters(reader) == parameters(alone)


@pytest.mark.parametrize("architecture", ["smp_unet", "smp_unetplusplus", "smp_fpn", "smp_pspnet"])
def test_such_a_network_learns_at_one_scale(architecture):
    reader: Any = build(architecture, 2, 2, encoder="resnet18", scales=[2, 1]).train()
    read = []
    reader.network.register_forward_pre_hook(lambda _, given: read.append(given[0].shape[-1]))
    reader(torch.randn(2, 2, 128, 128))
    assert read == [128]
    with torch.inference_mode():
        reader.eval()(torch.randn(2, 2, 128, 128))
    assert read == [128, 128, 64]


READERS: dict[str, dict[str, Any]] = {
    "compact_unet": {"widths": [4, 8]},
    "smp_unet": {"encoder": "resnet18"},
    "smp_unetplusplus": {"encoder": "resnet18"},
}


@pytest.mark.parametrize("architecture", READERS)
def test_read_at_a_half_an_image_is_enlarged_to_twice_its_size(architecture):
    arguments = READERS[architecture]
    reader = build(architecture, 2, 3, scales=[0.5], **arguments).eval()
    alone: Any = build(architecture, 2, 3, **arguments).eval()
    alone.load_state_dict(reader.state_dict())
    images = torch.randn(2, 2, 64, 96)
    with torch.inference_mode():
        seen, plain = reader(images), alone(images)
        enlarged = torch.nn.functional.interpolate(images, scale_factor=2.0, mode="bilinear")
        if architecture == "compact_unet":  # answers at half its input's size, enlarged after that
            alone.reduction = 1
            expected = alone(enlarged)
        else:
            expected = torch.nn.functional.avg_pool2d(alone(enlarged), 2)
    assert plain.shape == (2, 3, 64, 96)
    torch.testing.assert_close(seen, expected)
    assert (seen - plain).abs().max() > 0.01
    assert parameters(reader) == parameters(alone)


@pytest.mark.parametrize("architecture", READERS)
def test_a_network_that_reads_in_quarter_turns_means_its_four_answers(architecture):
    arguments = READERS[architecture]
    reader = build(architecture, 2, 3, turned=True, **arguments)
    alone = build(architecture, 2, 3, **arguments)
    alone.load_state_dict(reader.state_dict())
    images = torch.randn(2, 2, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(reader.train()(images), alone.train()(images))
        reader.eval()
        alone.eval()
        turns = [alone(images.rot90(n, (2, 3))).softmax(1).rot90(-n, (2, 3)) for n in range(4)]
        answer = reader(images)
        torch.testing.assert_close(answer.softmax(1), sum(turns) / 4)
        torch.testing.assert_close(reader(images.rot90(1, (2, 3))), answer.rot90(1, (2, 3)))
    assert (turns[0] - turns[1]).abs().max() > 0.01


SENSELESS: dict[str, list[dict[str, Any]]] = {
    "compact_unet": [
        {"widths": []},
        {"widths": [8] * 9},
        {"blocks": 0},
        *({"scales": s} for s in ([], [0], [1.5], [1] * 6)),
    ],
    "unet": [{"widths": []}, {"widths": [0, 4]}],
    "resunet": [{"units": 10**9}],
    "segnet": [{"width": 0}],
    "fcn8s": [{"dense": 0}],
    "smp_unet": [{"scales": s} for s in ([], [0], [1.5], [1] * 6)],
    "mask_rcnn": [{"depth": 19}, {"norm": "batch"}, {"pretrained": True}],
}


@pytest.mark.parametrize("architecture", SENSELESS)
def test_senseless_arguments_are_refused(architecture):
    for arguments in SENSELESS[architecture]:
        with pytest.raises(ValueError):
            build(architecture, 3, 2, **arguments)


def test_an_ensemble_gives_the_mean_probabilities_and_is_one_file(tmp_path):
    members = []
    for seed in range(3):
        torch.manual_seed(seed)
        members.append(build("compact_unet", 5, 3, widths=[4, 8]).eval())
    ensemble = Ensemble(members)
    image = torch.randn(2, 5, 24, 24)
    with torch.inference_mode():
        mean = torch.stack([member(image).softmax(1) for member in members]).mean(0)
        torch.testing.assert_close(ensemble(image).softmax(1), mean)
        torch.testing.assert_close(ensemble(image).exp(), mean)
    description = card(
        "compact_unet", arguments={"widths": [4, 8]}, classes=["a", "b", "c"], members=3
    )
    save_model(tmp_path / "e.safetensors", ensemble, description)
    model = load_model(tmp_path / "e.safetensors")
    loaded = model.network
    assert isinstance(loaded, Ensemble) and model.card == description
    assert [one.network for one in model.members] == list(loaded)
    assert all(one.card == replace(description, members=1) for one in model.members)
    assert not loaded.training
    assert len(encoder_modules(loaded)) == 3 * len(encoder_modules(members[0]))
    with torch.inference_mode():
        torch.testing.assert_close(loaded(image), ensemble(image), rtol=0, atol=1e-6)


def test_probabilities_near_zero_keep_an_ensemble_finite():
    class Sure(torch.nn.Module):
        def forward(self, images):
            return torch.stack([images[:, 0] * 0 - 1e4, images[:, 0] * 0 + 1e4], 1)

    assert torch.isfinite(Ensemble([Sure(), Sure()])(torch.zeros(1, 1, 4, 4))).all()


@pytest.mark.parametrize("change", [{"members": 0}, {"members": 10**9}])
def test_a_senseless_number_of_members_is_refused(change):
    with pytest.raises(ValueError, match="members"):
        card("compact_unet", **change)


def test_only_networks_of_pixels_are_averaged():
    with pytest.raises(ValueError, match="pixels"):
        card("mask_rcnn", task="instance-segmentation", members=2)
    with pytest.raises(ValueError, match="without members"):
        Ensemble([])


def test_a_card_that_counts_other_members_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(ValueError, match="members"):
        save_model(
            tmp_path / "m.safetensors", network("compact_unet"), card("compact_unet", members=2)
        )
    assert not list(tmp_path.iterdir())


def test_encoders_that_do_not_exist_or_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"no backbone 'resnet35'.*resnet34"):
        backbone_arguments("smp_unet", "resnet35")
    with pytest.raises(InputError, match="UnetPlusPlus does not go with the encoder mit_b0"):
        build("smp_unetplusplus", 3, 2, encoder="mit_b0")


def test_any_encoder_of_the_library_is_a_backbone():
    assert backbone_arguments("smp_fpn", "timm-skresnet18") == {"encoder": "timm-skresnet18"}
    built = build("smp_deeplabv3plus", 4, 2, encoder="xception").eval()  # knows no dilation
    with torch.inference_mode():
        assert built(torch.randn(1, 4, 30, 50)).shape == (1, 2, 30, 50)
