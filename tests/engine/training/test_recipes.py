"""The command `train`: folds, models to start from, averages, early endings, unfit samples."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.request import checked
from landslide_mapper.landslide_plugin.samples.sample_set import SampleSet
from landslide_mapper.landslide_plugin.training import making
from landslide_mapper.landslide_plugin.training import train_command as commands
from landslide_mapper.landslide_plugin.training.loop import trainer
from landslide_mapper.landslide_plugin.training.start import find_start
from landslide_mapper.landslide_plugin.training.train_command import train
from landslide_mapper.models.ensemble import Ensemble
from landslide_mapper.models.model_file import load_card, load_model, save_model
from landslide_mapper.models.registry import build
from safetensors.torch import load_file

from ..inference.noise import CARD, SMALL

pytestmark = pytest.mark.usefixtures("tiny")
RANDOM = "random by patch"
FAST = {"backbone": "light", "epochs": 1, "batch_size": 4, "device": "cpu"}


@pytest.fixture
def run(tmp_path):
    """Return a function that trains; it returns the command's result and what it said."""

    def make(samples, name="m", **change):
        events = []
        given = {
            "samples": samples,
            "model": str(tmp_path / f"{name}.safetensors"),
            **FAST,
            **change,
        }
        result = train(**checked("train", train, given), progress=Progress(events.append))
        return result, [event["text"] for event in events if "text" in event]

    return make


def test_folds_make_an_ensemble_with_the_spread_of_its_figures(make_samples, run, tmp_path):
    result, said = run(
        make_samples(train=9, validation=3, split=RANDOM), folds=3, html=str(tmp_path / "r.html")
    )
    loaded = load_model(result["model"])
    network, card = loaded.network, loaded.card
    assert isinstance(network, Ensemble) and len(network) == card.members == 3
    assert card.metrics["split"].startswith("3-fold cross-validation random by patch")
    assert card.metrics["samples"] == 12
    each = [figures["f1"] for figures in card.metrics["folds"]]
    assert card.metrics["f1"] == pytest.approx(np.mean(each)) == pytest.approx(result["f1"])
    assert card.metrics["spread"]["f1"] == pytest.approx(np.std(each, ddof=1))
    assert card.threshold == result["threshold"]
    assert "Fold 3 of 3:" in said
    assert "over 3 folds" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_the_members_of_an_ensemble_are_of_different_seeds(make_samples, run):
    weights = load_file(run(make_samples(train=6, validation=2, split=RANDOM), folds=2)[0]["model"])
    assert not torch.equal(weights["0.first.weight"], weights["1.first.weight"])


def test_a_training_starts_from_a_model_file(make_samples, run):
    samples = make_samples(train=4, validation=2)
    first = run(samples, "first", epochs=2)[0]["model"]
    second = run(
        samples, "second", start_from=first, architecture="unet", learning_rate=1e-9, averaging=0.0
    )[0]["model"]
    one, other = load_file(first), load_file(second)
    torch.testing.assert_close(one["first.weight"], other["first.weight"], rtol=0, atol=1e-7)
    card = load_card(second)
    assert card.architecture == "fc_densenet" and card.training["start_from"] == "first"
    assert card.mean == load_card(first).mean


def test_the_card_keeps_the_dropout(make_samples, run):
    samples = make_samples(train=4, validation=2)
    asked = run(samples, "asked", dropout=0.5)[0]["model"]
    assert load_card(asked).arguments["dropout"] == 0.5
    assert load_card(run(samples, "on", start_from=asked)[0]["model"]).arguments["dropout"] == 0.5
    changed = run(samples, "changed", start_from=asked, dropout=0.0)[0]["model"]
    assert load_card(changed).arguments["dropout"] == 0


def test_dropout_is_refused_where_there_is_none():
    with pytest.raises(InputError, match="unet has no dropout that could be set: leave it empty"):
        find_start("unet", "", "auto", "", "", dropout=0.2)


DECODER = [128.0, 64.0, 48.0, 32.0, 16.0]


@pytest.mark.parametrize("architecture", ["smp_unet", "smp_unetplusplus"])
def test_the_decoder_is_as_wide_as_asked_and_the_file_knows_it(make_samples, run, architecture):
    samples = make_samples(train=4, validation=2)
    given = {"architecture": architecture, "backbone": "mobilenet_v2", "decoder": DECODER}
    first = run(samples, "first", **given)[0]["model"]
    loaded = load_model(first)
    assert loaded.card.arguments == {"encoder": "mobilenet_v2", "decoder": [128, 64, 48, 32, 16]}
    widths = [len(value) for value in loaded.network.state_dict().values() if value.ndim == 4]
    assert widths.count(48) and 256 not in widths
    again = load_card(run(samples, "again", start_from=first)[0]["model"])
    assert again.arguments == loaded.card.arguments


@pytest.mark.parametrize("architecture", ["fc_densenet", "smp_fpn", "mask_rcnn"])
def test_a_decoder_that_can_not_be_set_is_refused(architecture):
    with pytest.raises(InputError, match=f"{architecture} has no decoder .*: choose smp_unet"):
        find_start(architecture, "", "none", "", "").with_decoder(DECODER)


def test_a_model_to_start_from_brings_its_decoder(make_samples, run):
    samples = make_samples(train=4, validation=2)
    first = run(samples, "first")[0]["model"]
    with pytest.raises(InputError, match="brings its decoder: leave"):
        run(samples, "second", start_from=first, decoder=DECODER)


def test_the_card_says_that_directions_turned_along(make_samples, run):
    samples = make_samples(train=4, validation=2, bands=("slope", "aspect"))
    kept = run(samples, "kept", augmentation=["flip"])[0]["model"]
    along = run(samples, "along", augmentation=["flip", "turn_directions"])[0]["model"]
    assert [load_card(model).turns_directions for model in (kept, along)] == [False, True]


def test_a_model_of_fewer_bands_is_widened_by_name_and_answers_as_before(make_samples, run):
    samples = make_samples(train=4, validation=2, bands=("slope", "ndvi", "tpi"))
    first = run(samples, "first", bands=["ndvi", "slope"])[0]["model"]
    bands = ["slope", "tpi", "ndvi"]
    wide = find_start("", "", "auto", "", first).network(bands, 2, seed=0).eval()
    image = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        narrow = load_model(first).network.eval()(image[:, [2, 0]])
        torch.testing.assert_close(wide(image), narrow, rtol=1e-4, atol=1e-4)
    card = load_card(run(samples, "second", start_from=first, bands=bands)[0]["model"])
    assert card.bands == bands
    assert [card.mean[2], card.mean[0]] == load_card(first).mean


@pytest.mark.parametrize("architecture", ["fc_densenet", "compact_unet"])
def test_bands_in_another_order_keep_their_weights(make_samples, run, architecture):
    samples = make_samples(train=4, validation=2, bands=("slope", "ndvi", "tpi"))
    asked = {"architecture": architecture, "bands": ["slope", "ndvi"]}
    first = run(samples, "first", **asked)[0]["model"]
    before = load_file(first)
    start = find_start("", "", "auto", "", first)
    for bands in (["ndvi", "slope"], ["ndvi", "tpi"]):
        after = start.network(bands, 2, seed=0).state_dict()
        (name,) = (name for name in before if not torch.equal(before[name], after[name]))
        torch.testing.assert_close(after[name][:, 0], before[name][:, 1], rtol=0, atol=0)
        wanted = before[name][:, 0] if "slope" in bands else torch.zeros_like(before[name][:, 0])
        torch.testing.assert_close(after[name][:, 1], wanted, rtol=0, atol=0)


def test_a_band_that_is_left_out_drops_out_of_the_model(make_samples, run):
    samples = make_samples(train=4, validation=2)
    first = run(samples, "first")[0]["model"]
    second = run(
        samples, "second", start_from=first, bands=["ndvi"], learning_rate=1e-9, averaging=0.0
    )[0]["model"]
    torch.testing.assert_close(
        load_file(second)["first.weight"],
        load_file(first)["first.weight"][:, 1:],
        rtol=0,
        atol=1e-7,
    )


def test_a_model_none_of_whose_bands_is_wanted_is_no_start(make_samples, run):
    samples = make_samples(train=4, validation=2)
    first = run(samples, "first", bands=["slope"])[0]["model"]
    with pytest.raises(InputError, match="and none of ndvi"):
        run(samples, "second", start_from=first, bands=["ndvi"])


def test_samples_in_other_units_are_scaled_anew_and_that_is_said(make_samples, run):
    samples = make_samples(train=4, validation=2)
    first = run(samples, "first")[0]["model"]
    loaded = load_model(first)
    card = replace(loaded.card, mean=[value * 1000 for value in loaded.card.mean])
    save_model(first, loaded.network, card)
    second, said = run(samples, "second", start_from=first)
    assert any("scaled anew" in text for text in said)
    assert load_card(second["model"]).mean != card.mean


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"start_from": "m"}, "choose another file for the output"),
        ({"start_from": "first", "pretrained": "imagenet"}, "choose one"),
        ({"start_from": "ensemble"}, "holds 2 networks"),
    ],
    ids=str,
)
def test_unfit_starts_are_refused(make_samples, run, tmp_path, change, sentence):
    samples = make_samples(train=4, validation=2, split=RANDOM)
    kind = change["start_from"]
    if kind != "m":
        run(samples, kind, folds=2 if kind == "ensemble" else 0)
    path = str(tmp_path / f"{kind}.safetensors")
    with pytest.raises(InputError, match=sentence):
        run(samples, **{**change, "start_from": path})


@pytest.mark.parametrize("bands", [["slope"], ["ndvi", "slope"]], ids=",".join)
def test_a_model_of_image_labels_is_a_start_for_its_own_bands_alone(make_samples, tmp_path, bands):
    path, samples = tmp_path / "weak.safetensors", SampleSet.read(make_samples())
    arguments = {"method": "cam", "encoder": "resnet18", "depth": 2, "grey": [1.0, 1.0]}
    card = replace(CARD, architecture="weak", arguments=arguments, bands=["slope", "ndvi"])
    save_model(path, build("weak", 2, 2, **arguments), card)
    start = find_start("", "", "auto", "", str(path))
    assert start.choose_bands(samples, []) == ["slope", "ndvi"]
    with pytest.raises(InputError, match="keeps its bands in their order, slope, ndvi"):
        start.choose_bands(samples, bands)


def test_a_model_of_several_kinds_of_landslides_is_no_start(tmp_path):
    path = tmp_path / "kinds.safetensors"
    card = replace(CARD, classes=["background", "slide", "fall"])
    save_model(path, build("fc_densenet", 2, 3, **SMALL), card)
    with pytest.raises(InputError, match="tells slide, fall apart, and samples know landslides of"):
        find_start("", "", "auto", "", str(path))


@pytest.mark.parametrize(
    "samples, batch, epochs", [(80, 8, 150), (81, 8, 137), (5, 8, 1500), (100_000, 8, 10)]
)
def test_epochs_are_as_many_as_make_1500_steps_and_ten_at_least(samples, batch, epochs):
    assert commands.enough_epochs(samples, batch) == epochs


def test_a_best_epoch_at_the_end_hints_at_more(make_samples, run):
    said = run(make_samples(train=4, validation=2), epochs=1)[1]
    assert any("with more of them the model may become better" in text for text in said)


def test_training_ends_when_it_gets_no_better(make_samples, run, monkeypatch):
    real = trainer._Training._judge

    def worse(self, scores, seconds):
        if self.state.epoch > 1:
            scores = type(scores)()  # of no pixel: F1 is 0
        real(self, scores, seconds)

    monkeypatch.setattr(trainer._Training, "_judge", worse)
    result, _ = run(make_samples(train=4, validation=2), epochs=9, patience=2)
    assert result["epochs"] == 3
    assert load_card(result["model"]).training["ending"] == "stopped early after 3 of 9 epochs"


def test_the_averaged_weights_are_what_is_kept(make_samples, run):
    samples = make_samples(train=4, validation=2)
    kept = [
        load_file(run(samples, f"m{decay}", averaging=decay, epochs=2)[0]["model"])["first.weight"]
        for decay in (0.0, 0.9)
    ]
    assert not torch.equal(*kept)


def test_a_frozen_encoder_of_random_weights_is_warned_of(make_samples, run):
    _, said = run(make_samples(train=4, validation=2), frozen_epochs=1)
    assert any("frozen at first has random weights" in text for text in said)


def test_an_encoder_that_has_learnt_has_a_rate_of_its_own(make_samples, run):
    samples = make_samples(train=4, validation=2)
    first = run(samples, "first")[0]["model"]
    given = {"start_from": first, "averaging": 0.0, "epochs": 2}
    slow = run(samples, "slow", encoder_rate=1e-6, **given)[0]["model"]
    before, after = load_file(first), load_file(slow)
    moved = {name: (after[name] - before[name]).abs().max().item() for name in before}
    encoder, rest = moved["first.weight"], moved["last.weight"]
    assert encoder < 1e-6 < 1e-4 < rest
    usual = load_card(run(samples, "usual", **given)[0]["model"])
    assert usual.training["encoder_rate"] == 0.1


def test_an_encoder_of_random_weights_learns_as_fast_as_the_rest(make_samples, run):
    samples = make_samples(train=4, validation=2)
    asked = run(samples, "asked", encoder_rate=1e-6)[0]["model"]
    whole = run(samples, "whole", encoder_rate=1.0, frozen_epochs=0)[0]["model"]
    frozen = run(samples, "frozen", frozen_epochs=1, epochs=2)[0]["model"]
    assert torch.equal(load_file(asked)["first.weight"], load_file(whole)["first.weight"])
    rates = [load_card(model).training["encoder_rate"] for model in (asked, frozen)]
    assert rates == [1.0, 1.0]


def test_tiles_need_not_be_divisible(make_samples, run):
    assert run(make_samples(train=4, validation=2), tile_size=27)[0]["epochs"] == 1


def test_three_samples_suffice_for_a_training(make_samples, run):
    assert run(make_samples(train=2, validation=1))[0]["epochs"] == 1


def test_messages_tell_epoch_loss_iou_and_time_left(make_samples, run):
    _, said = run(make_samples(train=4, validation=2), epochs=2)
    (line,) = [text for text in said if text.startswith("Epoch 1 of 2")]
    assert "loss 0." in line and "IoU 0." in line and line.endswith(" s left)")


def test_further_folders_are_trained_on_and_named(make_samples, run, tmp_path):
    """The second, given by its manifest, has pseudo-labels; the first alone judges."""
    first = make_samples("first", train=6, validation=2)
    second = make_samples("second", train=4, validation=3, bands=("ndvi", "slope"))
    manifest = str(tmp_path / "second" / "manifest.json")
    result, said = run(first, "m", more_samples=[manifest], samples_weights=[1.0, 0.5])
    card = load_card(result["model"])
    assert (card.training["train_samples"], card.training["validation_samples"]) == (10, 2)
    assert card.training["data"] == "first" and card.training["more_data"] == ["second"]
    assert card.training["samples_weights"] == [1.0, 0.5] and card.metrics["samples"] == 2
    assert card.bands == ["slope", "ndvi"]
    assert any(text.startswith("3 validation and test samples of the further") for text in said)
    with pytest.raises(InputError, match="given twice"):
        run(second, "n", more_samples=[manifest])


UNFIT = {
    "folds": ({"folds": 9}, {}, "fold"),
    "folds_of_objects": ({"folds": 2, "architecture": "mask_rcnn", "backbone": ""}, {}, "averaged"),
    "negative_folds": ({"folds": -1}, {}, "FOLDS is -1: choose from 0 to 20"),
    "one_class": ({}, {"all_landslide": True}, "landslide only"),
    "optimizer": ({"optimizer": "sgd"}, {}, "OPTIMIZER .* choose one of adamw"),
    "schedule": ({"schedule": "steps"}, {}, "SCHEDULE .* choose one of one_cycle"),
    "averaging": ({"averaging": 1.0}, {}, "AVERAGING is 1.0: choose from 0 to 0.9999"),
    "patience": ({"patience": -1}, {}, "PATIENCE is -1: choose 0"),
    "augmentation": ({"augmentation": ["wobble"]}, {}, "AUGMENTATION .* choose from flip"),
    "enhancement": ({"enhancement": 1.5}, {}, "ENHANCEMENT is 1.5: choose from 0 to 1"),
    "encoder_rate": ({"encoder_rate": 0.0}, {}, "ENCODER_RATE is 0.0: choose more than 0 and at"),
    "decoder": ({"decoder": [64.0, 32.0]}, {}, "DECODER .* choose 5 whole numbers"),
    "class_weights": ({"class_weights": [1.0, 2.0, 3.0]}, {}, "choose 2 numbers"),
    "pretrained": ({"pretrained": "imagenet"}, {}, "no pretrained weights"),
}


@pytest.mark.parametrize("change, samples, sentence", UNFIT.values(), ids=UNFIT)
def test_unfit_wishes_are_refused_before_training(
    make_samples, run, tmp_path, change, samples, sentence
):
    folder = make_samples(train=4, validation=2, **samples)
    with pytest.raises(InputError, match=sentence) as caught:
        run(folder, **change)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["samples"]


@pytest.mark.parametrize("folds", [0, 2])
def test_the_file_predicts_as_the_trained_network_did(make_samples, run, monkeypatch, folds):
    kept = []

    def keeps(path, network, card, half=False):
        kept.append(network)
        save_model(path, network, card, half=half)

    monkeypatch.setattr(making, "save_model", keeps)
    loaded = load_model(
        run(make_samples(train=6, validation=2, split=RANDOM), folds=folds)[0]["model"]
    )
    images = torch.randn(2, 2, 32, 32, generator=torch.Generator().manual_seed(1))
    # Training lays weights out by channels last; sums in another order would differ by 1e-6.
    trained = kept[0].to(memory_format=torch.contiguous_format)
    with torch.inference_mode():
        torch.testing.assert_close(loaded.network(images), trained(images), rtol=1e-5, atol=1e-6)
