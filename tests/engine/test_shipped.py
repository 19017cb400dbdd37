"""The models that ship: small, described, measured, and learnt by a command that still learns."""

import shutil
import subprocess
import sys

import pytest
from landslide_mapper.landslide_plugin.chain.choice import choose_model
from landslide_mapper.landslide_plugin.chain.plan import Given
from landslide_mapper.landslide_plugin.contract.errors import ModelFileError
from landslide_mapper.models import model_file
from landslide_mapper.models.known_models import LIST, WEIGHTS
from landslide_mapper.models.model_file import load_card, load_model

from .conftest import ROOT

RGB = ["red", "green", "blue"]
LARGEST = 20e6
"""Bytes of all files together: the plugin site takes zips of 25 MB."""
MODELS = sorted(WEIGHTS.glob("*.safetensors"))
LEARNT = {"vhr-rgb": 0.15, "sentinel2-rgb": 0.2}
"""IoU on validation patches that a minute of training must reach; calling all landslide stays below
0.1 on both."""


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
        assert card.training.get("synthetic") or card.metrics["test"]["model"]

    def test_is_on_the_page_of_model_cards(self, path):
        page = (ROOT / "docs" / "model-cards.md").read_text(encoding="utf-8")
        assert f"## {path.stem}\n" in page and f"threshold: {load_card(path).threshold:.3f}" in page


@pytest.mark.parametrize(
    ("resolution", "name"),
    [(0.5, "vhr-rgb"), (0.8, "vhr-rgb"), (10, "sentinel2-rgb"), (15, "sentinel2-rgb")],
)
def test_the_one_that_fits_is_taken(resolution, name):
    choice = choose_model([*RGB, "nir"], resolution, Given(dem="dem.tif"))
    assert choice.card.name == name and choice.limits


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNT)
def test_its_recipe_learns_in_a_minute(name, data_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("LANDSLIDE_DATA", str(data_dir))
    command = [sys.executable, "-m", "experiments.shipped.train", name, "--quick"]
    subprocess.run([*command, "--work", str(tmp_path)], cwd=ROOT, check=True)
    assert load_card(tmp_path / f"{name}.safetensors").metrics["iou"] > LEARNT[name]
