"""The recipes in `models/recipes`: what commands take, and what the model's card says."""

import pytest
from landslide_mapper.landslide_plugin.answer import find_command
from landslide_mapper.landslide_plugin.chain.recipe import Recipe
from landslide_mapper.landslide_plugin.request import checked
from landslide_mapper.models.known_models import RECIPES, WEIGHTS
from landslide_mapper.models.model_file import load_card

PATHS = sorted(RECIPES.glob("*.json"))


def test_there_are_some():
    assert {"example", "stack-demo", "rgb-10m"} <= {path.stem for path in PATHS}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_its_commands_take_its_parameters(path, tmp_path):
    recipe = Recipe.read(path).in_folders(tmp_path, tmp_path)
    for step in recipe.steps:
        asked = step.parameters
        assert checked(step.command, find_command(step.command), asked) == asked
    assert recipe.result in recipe.steps[-1].parameters.values()


def test_the_demo_model_is_what_its_recipe_says():
    asked = Recipe.read(RECIPES / "stack-demo.json").steps[-1].parameters
    card = load_card(WEIGHTS / "stack-demo.safetensors")
    assert [asked["limits"]] == card.limits and asked["licence"] == card.licence
    assert asked["architecture"] == card.architecture
    for name in ("backbone", "epochs", "synthetic", "data"):
        assert asked[name] == card.training[name]
