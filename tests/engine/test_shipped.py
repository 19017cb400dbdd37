"""The models that ship: small, described, measured, and learnt by a command that still learns."""

import json
import shutil

import pytest
from landslide_mapper.landslide_plugin.answer import run_command
from landslide_mapper.landslide_plugin.chain.choice import choose_model
from landslide_mapper.landslide_plugin.chain.plan import Given
from landslide_mapper.landslide_plugin.contract.errors import ModelFileError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.models import model_file
from landslide_mapper.models.known_models import LIST, RECIPES, WEIGHTS
from landslide_mapper.models.model_file import load_card, load_model

from .conftest import ROOT

RGB = ["red", "green", "blue"]
LARGEST = 20e6
"""Bytes of all files together: the plugin site takes zips of 25 MB."""
MODELS = sorted(WEIGHTS.glob("*.safetensors"))
LEARNT = 0.2
"""IoU on validation patches that a minute of training must reach; calling all landslide stays below
0.05."""


def test_they_are_small_enough_for_the_plugin_site():
    assert MODELS
    assert sum(path.stat().st_size for path in MODELS) < LARGEST


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
class TestEach:
    def test_loads(self, path):
        loaded = load_model(str(path))
        assert loaded.card.name == path.stem and not loaded.network.training

    def test_is_the_file_that_was_measured(self, path, tmp_path, monkeypatch):
        folder = tmp_path / "weights"
        folder.mkdir()
        shutil.copy(path.parent / LIST, folder)
        altered = bytearray(path.read_bytes())
        altered[-1] ^= 1
        (folder / path.name).write_bytes(altered)
        monkeypatch.setattr(model_file, "WEIGHTS", folder)
        with pytest.raises(ModelFileError, match="not the model that ships"):
            load_model(str(folder / path.name))

    def test_says_what_it_is(self, path):
        card = load_card(path)
        assert card.licence and card.created and card.training["limits"]
        measured = path.with_suffix(".figures.json").is_file() or card.metrics.get("test")
        assert measured or card.training.get("synthetic")

    def test_is_on_the_page_of_model_cards(self, path):
        page = (ROOT / "docs" / "model-cards.md").read_text(encoding="utf-8")
        assert f"## {path.stem}\n" in page and f"threshold: {load_card(path).threshold:.3f}" in page


@pytest.mark.parametrize(
    ("resolution", "name"),
    [(0.5, "rgb-vhr"), (0.8, "rgb-vhr"), (10, "rgb-10m"), (15, "rgb-10m")],
)
def test_the_one_that_fits_is_taken(resolution, name):
    choice = choose_model([*RGB, "nir"], resolution, Given(dem="dem.tif"))
    assert choice.card.name == name and choice.limits


@pytest.mark.slow
def test_a_recipe_learns_in_a_minute(data_dir, tmp_path):
    recipe = json.loads((RECIPES / "rgb-10m.json").read_text(encoding="utf-8"))
    first, last = (step["parameters"] for step in recipe["steps"])
    first |= {"limit": 400, "split_list": str(RECIPES / "landslide4sense.csv")}
    last |= {"epochs": 2, "averaging": 0.9, "augmentation": ["flip"], "scales": [], "turned": False}
    short = tmp_path / "short.json"
    short.write_text(json.dumps(recipe), encoding="utf-8")
    data, work = str(data_dir / "landslide4sense_rgb"), str(tmp_path / "work")
    made = run_command("recipe", {"recipe": str(short), "folder": work, "data": data}, Progress())
    assert load_card(made["result"]).metrics["iou"] > LEARNT
