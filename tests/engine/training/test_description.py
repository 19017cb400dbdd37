"""What whoever trains says of the model, in its card; how it is stored, and how it reads."""

import numpy as np
import pytest
import torch
from landslide_mapper.landslide_plugin.chain.choice import choose_model
from landslide_mapper.landslide_plugin.chain.plan import Given
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.request import checked
from landslide_mapper.landslide_plugin.samples.sample_set import SampleSet
from landslide_mapper.landslide_plugin.training.start import find_start
from landslide_mapper.landslide_plugin.training.tiles import batches
from landslide_mapper.landslide_plugin.training.tiles.augmentation import Augmentation
from landslide_mapper.landslide_plugin.training.tiles.batches import Tiles
from landslide_mapper.landslide_plugin.training.train_command import train
from landslide_mapper.models.compact_unet import CompactUNet
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import load_card, load_model, save_model
from safetensors.torch import load_file


@pytest.fixture
def run(tmp_path, tiny):
    """Return a function that trains a moment; it returns the model file."""

    def make(samples, file="m", **change):
        given = {
            "samples": samples,
            "model": str(tmp_path / f"{file}.safetensors"),
            "backbone": "light",
            "epochs": 1,
            "batch_size": 4,
            "device": "cpu",
            **change,
        }
        return train(**checked("train", train, given), progress=Progress())["model"]

    return make


@pytest.fixture
def tiles_of(make_samples, run, monkeypatch):
    """Return a function that trains, and returns the model's card and its training tiles."""

    def make(**change):
        tiles = []
        ordinary = Tiles._train_tile

        def watched(self, epoch, number):
            tiles.append(ordinary(self, epoch, number))
            return tiles[-1]

        monkeypatch.setattr(Tiles, "_train_tile", watched)
        return load_card(run(make_samples(train=4, background=6, validation=2), **change)), tiles

    return make


class TestCard:
    def test_it_says_what_was_said(self, make_samples, run):
        said = {"name": "valley", "licence": "CC-BY-4.0", "data": "A valley.", "limits": "No fog."}
        card = load_card(run(make_samples(train=4, validation=2), **said))
        assert (card.name, card.licence, card.limits) == ("valley", "CC-BY-4.0", ["No fog."])
        assert card.training["data"] == "A valley."

    def test_what_is_not_said_is_as_before(self, make_samples, run):
        card = load_card(run(make_samples(train=4, validation=2)))
        assert (card.name, card.licence, card.limits, card.scene) == ("model-m", "", [], {})
        assert card.training["data"] == "samples" and "synthetic" not in card.training

    @pytest.mark.parametrize("name", ["a b", "1st", "é!", "ab", "x" + "/" * 3])
    def test_a_name_that_no_card_takes_is_refused_before_the_training(
        self, make_samples, run, name
    ):
        with pytest.raises(InputError, match="No model can be called"):
            run(make_samples(train=4, validation=2), name=name)

    def test_a_model_of_generated_samples_is_not_chosen_for_a_real_scene(
        self, make_samples, run, tmp_path
    ):
        bands = ("red", "green")
        run(make_samples(train=4, validation=2, bands=bands), synthetic=True)
        choice = choose_model(bands, 10.0, Given(), synthetic=True, paths=[tmp_path])
        assert choice.card.training["synthetic"]
        with pytest.raises(InputError, match="synthetic data"):
            choose_model(bands, 10.0, Given(), paths=[tmp_path])


class TestSceneLight:
    def test_it_is_the_2nd_and_98th_percentile_of_the_train_samples(self, make_samples, run):
        folder = make_samples(train=4, validation=2)
        card = load_card(run(folder, scene_light=True, bands=["ndvi"]))
        samples = SampleSet.read(folder)
        loaded = [samples.load(patch, ["ndvi"]) for patch in samples.of_split("train")]
        values = np.concatenate([values[0][valid] for values, valid, _ in loaded])
        low, high = np.percentile(values, (2, 98))
        assert card.scene == {"low": [pytest.approx(low)], "high": [pytest.approx(high)]}

    def test_a_band_without_light_is_refused_before_the_training(self, make_samples, run):
        with pytest.raises(InputError, match="slope hardly varies"):
            run(make_samples(train=4, validation=2, constant=1), scene_light=True)


class TestHalf:
    def test_weights_are_stored_in_16_bits_and_the_card_says_so(self, make_samples, run):
        samples = make_samples(train=4, validation=2)
        whole, half = run(samples), run(samples, "h", half=True)
        kinds = {value.dtype for value in load_file(half).values() if value.is_floating_point()}
        assert kinds == {torch.float16}
        assert load_card(half).training["weights"] == "float16"
        assert load_card(whole).training["weights"] == "float32"
        image = torch.randn(1, 2, 32, 32)
        with torch.inference_mode():
            one, other = (load_model(model).network(image) for model in (whole, half))
        torch.testing.assert_close(one, other, rtol=0, atol=0.01)

    def test_weights_beyond_16_bits_stay_as_they_are(self, tmp_path):
        network = CompactUNet(1, 2, widths=[8, 8], blocks=1)
        network.load_state_dict({**network.state_dict(), "last.bias": torch.full((2,), 70_000.0)})
        card = ModelCard(
            name="big",
            architecture="compact_unet",
            task="semantic-segmentation",
            arguments={"widths": [8, 8], "blocks": 1},
            bands=["red"],
            mean=[0.0],
            std=[1.0],
            resolution=1.0,
            tile_size=32,
            classes=["background", "landslide"],
        )
        path = tmp_path / "big.safetensors"
        save_model(path, network, card, half=True)
        assert load_model(path).network.state_dict()["last.bias"].tolist() == [70_000.0] * 2


@pytest.mark.usefixtures("narrow")
class TestScales:
    def test_it_learns_at_one_and_reads_at_all(self):
        start = find_start("compact_unet", "light", "none", "", "").reading_at([2, 1])
        network = start.network(["red"], 2, seed=0)
        alone = find_start("compact_unet", "light", "none", "", "").network(["red"], 2, seed=0)
        image = torch.randn(2, 1, 32, 32)
        torch.testing.assert_close(network.train()(image), alone.train()(image))
        assert not torch.equal(network.eval()(image), alone.eval()(image))

    @pytest.mark.parametrize(
        "network",
        [{"architecture": "compact_unet"}, {"architecture": "smp_unet", "backbone": "resnet18"}],
    )
    def test_the_model_file_reads_at_them(self, make_samples, run, network):
        samples = make_samples(train=4, validation=2)
        model = run(samples, scales=[1, 2], **network)
        loaded = load_model(model)
        assert loaded.network.scales == (1, 2) and loaded.card.arguments["scales"] == [1, 2]
        assert load_model(run(samples, "n", start_from=model)).network.scales == (1, 2)

    @pytest.mark.parametrize(
        "change, sentence",
        [
            ({"architecture": "unet", "scales": [1, 2]}, "unet reads an image at one scale alone"),
            ({"architecture": "compact_unet", "scales": [1, 1.5]}, "whole numbers"),
            ({"architecture": "compact_unet", "scales": [2, 4]}, "the smallest is 0.5 or 1"),
            ({"architecture": "compact_unet", "scales": [1, 2, 3, 4, 5, 6]}, "at most 5"),
        ],
    )
    def test_others_are_refused(self, make_samples, run, change, sentence):
        with pytest.raises(InputError, match=sentence):
            run(make_samples(train=4, validation=2), **change)


@pytest.mark.usefixtures("narrow")
class TestReadings:
    """Enlarged, and in quarter turns."""

    def test_a_model_trained_so_maps_so(self, make_samples, run):
        samples = make_samples(train=4, validation=2)
        model = run(samples, architecture="compact_unet", scales=[0.5], turned=True)
        loaded = load_model(model)
        assert loaded.network.scales == (0.5,) and loaded.network.turned
        image = torch.randn(1, 2, 32, 32)
        with torch.inference_mode():
            answer, turned = (loaded.network(view) for view in (image, image.rot90(1, (2, 3))))
        torch.testing.assert_close(turned, answer.rot90(1, (2, 3)))
        begun = load_model(run(samples, "n", start_from=model))
        assert begun.network.scales == (0.5,) and begun.network.turned

    def test_networks_that_cannot_say_so(self, make_samples, run):
        with pytest.raises(InputError, match="unet reads an image as it lies alone"):
            run(make_samples(train=4, validation=2), architecture="unet", turned=True)

    def test_directions_that_turn_along_are_refused(self, make_samples, run):
        samples = make_samples(train=4, validation=2, bands=["red", "northness"])
        asked = {"architecture": "compact_unet", "turned": True}
        run(samples, **asked)
        with pytest.raises(InputError, match="leaves directions in bands as they are"):
            run(samples, "n", augmentation=["flip", "turn_directions"], **asked)


class TestPasses:
    def test_an_epoch_sees_patches_with_landslide_so_often(self, make_samples, run, monkeypatch):
        seen = []
        ordinary = Tiles._train_tile

        def watched(tiles, epoch, number):
            seen.append(tiles.train[number].landslide_pixels > 0)
            return ordinary(tiles, epoch, number)

        monkeypatch.setattr(Tiles, "_train_tile", watched)
        model = run(make_samples(train=3, background=2, validation=2), passes=3)
        assert (seen.count(True), seen.count(False)) == (9, 2)
        assert load_card(model).training["passes"] == 3
        assert load_card(model).training["train_samples"] == 5


class TestTiles:
    @pytest.mark.parametrize("share, way", [(0.0, "splice"), (1.0, "paste")])
    def test_of_other_backgrounds_a_share_is_pasted(self, tiles_of, monkeypatch, share, way):
        taken = []
        for name in ("splice", "paste"):
            ordinary = getattr(batches, name)

            def watched(*given, name=name, ordinary=ordinary):
                taken.append(name)
                return ordinary(*given)

            monkeypatch.setattr(batches, name, watched)
        card, tiles = tiles_of(enhancement=1.0, pasted=share)
        assert taken == [way] * len(tiles)
        assert card.training["pasted"] == share

    def test_a_pixel_stands_for_up_to_so_much_more_or_less_ground(self, tiles_of, monkeypatch):
        steps = []
        ordinary = Augmentation._step

        def watched(*given):
            steps.append(ordinary(*given))
            return steps[-1]

        monkeypatch.setattr(Augmentation, "_step", watched)
        card, _ = tiles_of(augmentation=["scale"], largest_scale=3.0, epochs=6)
        assert 1 / 3 <= min(steps) < 1 / 2 and 2 < max(steps) <= 3
        assert card.training["largest_scale"] == 3

    def test_the_card_is_silent_on_what_was_not_asked_for(self, tiles_of):
        card, _ = tiles_of()
        assert not {"pasted", "largest_scale"} & set(card.training)
