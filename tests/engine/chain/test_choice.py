"""Which of the models at hand is taken for an image, and which others are told of."""

import pytest
from landslide_mapper.landslide_plugin.chain.choice import choose_model
from landslide_mapper.landslide_plugin.chain.plan import Given
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import save_model
from landslide_mapper.models.registry import build

RGB = ["red", "green", "blue"]


@pytest.fixture
def shipped(tmp_path):
    """Three untrained models, of 0.8 m, of 10 m, and of 10 m with terrain from synthetic data."""
    for name, bands, resolution, training in (
        ("fine", RGB, 0.8, {}),
        ("coarse", RGB, 10.0, {"limits": ["Clouds are taken for landslides."]}),
        ("demo", [*RGB, "slope"], 10.0, {"synthetic": True}),
    ):
        arguments = {"growth_rate": 4, "layers": [1], "middle_layers": 1, "first_channels": 8}
        card = ModelCard(
            name=name, architecture="fc_densenet", arguments=arguments, bands=bands,
            task="semantic-segmentation", mean=[0.0] * len(bands), std=[1.0] * len(bands),
            resolution=resolution, tile_size=32, classes=["background", "landslide"],
            training=training,
        )  # fmt: skip
        network = build("fc_densenet", len(bands), 2, **arguments)
        save_model(tmp_path / f"{name}.safetensors", network, card)
    return tmp_path


@pytest.mark.parametrize(("resolution", "name"), [(0.5, "fine"), (1.6, "fine"), (15, "coarse")])
def test_the_pixel_size_decides(shipped, resolution, name):
    choice = choose_model([*RGB, "nir"], resolution, Given(dem="dem.tif"), paths=[shipped])
    assert choice.card.name == name
    assert choice.path == shipped / f"{name}.safetensors"


def test_the_reason_names_the_model_and_what_speaks_against_the_others(shipped):
    reason = choose_model(RGB, 10.0, Given(dem="dem.tif"), paths=[shipped]).reason
    assert "coarse" in reason and "synthetic" in reason and "fine does not fit: it is for" in reason


def test_limits_come_from_the_card(shipped):
    choice = choose_model(RGB, 10.0, Given(), paths=[shipped])
    assert choice.limits == ["Clouds are taken for landslides."]


def test_a_damaged_file_among_the_models_is_told_and_hinders_no_other(shipped):
    (shipped / "torn.safetensors").write_bytes(b"cut off")
    choice = choose_model(RGB, 10.0, Given(), paths=[shipped])
    assert choice.card.name == "coarse" and "torn.safetensors is not a model" in choice.reason


def test_more_layers_are_better_and_synthetic_models_are_for_synthetic_images(shipped):
    given = Given(dem="dem.tif")
    assert choose_model(RGB, 10.0, given, synthetic=True, paths=[shipped]).card.name == "demo"
    assert choose_model(RGB, 10.0, Given(), synthetic=True, paths=[shipped]).card.name == "coarse"


@pytest.mark.parametrize(
    ("bands", "resolution", "words"),
    [(["nir"], 10.0, "lacks red, green, blue"), (RGB, 200.0, "pixels of 10 m")],
)
def test_when_none_fits_the_sentence_says_why(shipped, bands, resolution, words):
    with pytest.raises(InputError, match=words) as caught:
        choose_model(bands, resolution, Given(), paths=[shipped])
    assert "Give a model file, or train one" in str(caught.value)


def test_without_any_model_the_sentence_says_so(tmp_path):
    with pytest.raises(InputError, match=r"No model at hand fits the image\. Give a model file"):
        choose_model(RGB, 10.0, Given(), paths=[tmp_path])
