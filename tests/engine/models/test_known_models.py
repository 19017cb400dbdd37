"""Models that ship, or are had on wish: where they are looked for, and how they get there."""

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.chain.choice import choose_model
from landslide_mapper.landslide_plugin.chain.plan import Given
from landslide_mapper.landslide_plugin.contract.errors import InputError, OutputError
from landslide_mapper.landslide_plugin.raster.threshold import _of_card
from landslide_mapper.models import known_models
from landslide_mapper.models.known_models import (
    CARD_SUFFIX,
    LIST,
    WEIGHTS,
    KnownModel,
    at_hand,
    digest_of,
    fetch_model,
    folders,
    models_folder,
    to_be_had,
)
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import ITEM_KEY, load_card
from landslide_mapper.models.registry import INSTANCE_TASK
from safetensors.numpy import save_file

RGB = ["red", "green", "blue"]
KNOWN = known_models.known_models()
ELSEWHERE = [name for name, model in KNOWN.items() if model.distributed != "zip"]
CONTENT = b"weights"
SMALL = KnownModel(
    "small", "fetch", "MIT", "some images", len(CONTENT),
    f"sha256:{hashlib.sha256(CONTENT).hexdigest()}", "https://site.org/small.safetensors",
)  # fmt: skip


class Told:
    def __init__(self):
        self.messages = []

    def message(self, text):
        self.messages.append(text)

    def progress(self, *_):
        pass

    warning = log = progress

    def canceled(self):
        return False


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("LANDSLIDE_HOME", str(tmp_path / "home"))


@pytest.fixture
def as_in_the_zip(tmp_path, monkeypatch):
    """The plugin's folder of weights without those that the archive leaves out."""
    folder = tmp_path / "weights"
    left_out = [f"{name}.safetensors" for name in ELSEWHERE]
    shutil.copytree(WEIGHTS, folder, ignore=shutil.ignore_patterns(*left_out))
    monkeypatch.setattr(known_models, "WEIGHTS", folder)
    return folder


def download(content=CONTENT):
    def fetch(url, target, listener):
        target.write_bytes(content)

    return fetch


class TestList:
    @pytest.mark.parametrize("name", KNOWN)
    def test_is_of_the_files_that_lie_there(self, name):
        path = WEIGHTS / f"{name}.safetensors"
        if not path.exists():
            pytest.skip(f"{name} is not in this checkout")
        assert (path.stat().st_size, digest_of(path)) == (KNOWN[name].size, KNOWN[name].digest)

    def test_what_ships_has_a_licence_and_what_has_none_does_not_ship(self):
        assert all(bool(model.licence) == (model.distributed == "zip") for model in KNOWN.values())

    @pytest.mark.parametrize("name", ELSEWHERE)
    def test_the_card_in_the_place_of_a_model_is_the_models(self, name, as_in_the_zip):
        card = ModelCard.from_item(to_be_had()[name])
        path = WEIGHTS / f"{name}.safetensors"
        if not path.exists():
            pytest.skip(f"{name} is not in this checkout")
        assert card == load_card(path)


class TestAtHand:
    def test_are_those_of_the_plugin_then_the_users(self, as_in_the_zip):
        assert set(at_hand()) == set(KNOWN) - set(ELSEWHERE)
        assert set(to_be_had()) == set(ELSEWHERE)
        models_folder().mkdir(parents=True)
        (models_folder() / f"{ELSEWHERE[0]}.safetensors").write_bytes(CONTENT)
        (models_folder() / "stack-demo.safetensors").write_bytes(CONTENT)
        assert at_hand()[ELSEWHERE[0]].parent == models_folder()
        assert at_hand()["stack-demo"].parent == as_in_the_zip
        assert ELSEWHERE[0] not in to_be_had()

    def test_the_users_lie_outside_the_plugin(self, tmp_path):
        assert folders() == [WEIGHTS, tmp_path / "home" / "models"]

    def test_an_image_for_one_that_is_not_there_is_told_of_it(self, as_in_the_zip):
        with pytest.raises(InputError, match=r"fit for it: rgb-vhr; \"Fetch a model\" tells how"):
            choose_model(RGB, 0.8, Given())

    def test_another_image_is_not(self, as_in_the_zip):
        choice = choose_model(RGB, 10.0, Given())
        assert choice.card.name == "rgb-10m" and "rgb-vhr" not in choice.reason

    def test_one_that_was_fetched_is_taken(self, as_in_the_zip):
        path = WEIGHTS / "rgb-vhr.safetensors"
        if not path.exists():
            pytest.skip("rgb-vhr is not in this checkout")
        models_folder().mkdir(parents=True)
        shutil.copy(path, models_folder())
        choice = choose_model(RGB, 0.8, Given())
        assert choice.path == models_folder() / path.name and choice.card.name == "rgb-vhr"

    def test_one_that_marks_objects_is_not(self, as_in_the_zip):
        card = ModelCard.from_item(to_be_had()["rgb-vhr"])
        models_folder().mkdir(parents=True)
        item = json.dumps(replace(card, task=INSTANCE_TASK, name="boxes").to_item())
        save_file({"a": np.zeros(1)}, models_folder() / "boxes.safetensors", {ITEM_KEY: item})
        with pytest.raises(InputError, match="boxes does not fit: it marks objects, not pixels"):
            choose_model(RGB, 0.8, Given())

    def test_its_rasters_have_its_threshold_even_where_it_is_not(self, as_in_the_zip):
        card = ModelCard.from_item(to_be_had()["rgb-vhr"])
        assert _of_card("gone.safetensors", "rgb-vhr") == card.threshold
        assert _of_card("", "nobody's") is None


class TestFetch:
    def test_the_whole_file_lies_in_the_users_folder(self):
        told = Told()
        path = fetch_model(SMALL, download(), told)
        assert path == models_folder() / "small.safetensors" and path.read_bytes() == CONTENT
        assert list(models_folder().iterdir()) == [path]
        assert "is there now" in told.messages[-1]

    def test_twice_is_once(self):
        fetch_model(SMALL, download(), Told())
        told = Told()
        assert fetch_model(SMALL, download(b"not asked for"), told).read_bytes() == CONTENT
        assert "there already" in told.messages[-1]

    def test_another_file_than_the_measured_one_is_refused_and_not_kept(self):
        with pytest.raises(InputError, match="is not the model small that was measured"):
            fetch_model(SMALL, download(b"altered"), Told())
        assert list(models_folder().iterdir()) == []

    def test_a_model_of_the_users_own_is_not_overwritten(self):
        models_folder().mkdir(parents=True)
        own = models_folder() / "small.safetensors"
        own.write_bytes(b"my own training")
        with pytest.raises(InputError, match="it is kept; move it away"):
            fetch_model(SMALL, download(), Told())
        assert own.read_bytes() == b"my own training"

    def test_a_broken_connection_is_told_with_the_address(self):
        def fetch(url, target, listener):
            target.write_bytes(CONTENT[:3])
            raise OSError("Host not found")

        with pytest.raises(InputError, match=r"site\.org/small.* \(Host not found\): check"):
            fetch_model(SMALL, fetch, Told())
        assert list(models_folder().iterdir()) == []

    def test_without_an_address_it_says_how_to_make_it(self):
        model = replace(KNOWN["rgb-vhr"], address="")
        sentence = (
            r"'Run a recipe' \(landslide:recipe\) makes such a model by a recipe of .*recipes;"
        )
        with pytest.raises(InputError, match=sentence):
            fetch_model(model, download(), Told())

    def test_a_folder_that_cannot_be_written_is_told(self, tmp_path, monkeypatch):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("LANDSLIDE_HOME", str(tmp_path / "file"))
        with pytest.raises(OutputError, match="can't be written into"):
            fetch_model(SMALL, download(), Told())


def test_every_card_that_lies_there_is_of_a_known_model():
    assert (WEIGHTS / LIST).is_file()
    cards = {path.name.removesuffix(CARD_SUFFIX) for path in WEIGHTS.glob(f"*{CARD_SUFFIX}")}
    assert cards == set(ELSEWHERE)
