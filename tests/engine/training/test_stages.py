"""Stages of a training, from coarse to fine, as steps of a recipe."""

import json

import pytest
from landslide_mapper.landslide_plugin.answer import run_command
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.models.model_file import load_card

COMMON = {
    "samples": "{data}",
    "architecture": "compact_unet",
    "backbone": "light",
    "epochs": 1,
    "device": "cpu",
}


def test_a_coarse_training_is_the_start_of_a_fine_one(make_samples, narrow, tmp_path):
    coarse, fine = (f"{{work}}/{name}.safetensors" for name in ("coarse", "fine"))
    views = {"augmentation": ["flip", "view"], "view_scales": [0.5, 1.0]}
    steps = [
        {"command": "train", "parameters": {**COMMON, "model": coarse, "resolution": 20}},
        {
            "command": "train",
            "parameters": {**COMMON, **views, "start_from": coarse, "model": fine},
        },
    ]
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"result": fine, "steps": steps}), encoding="utf-8")
    data = make_samples(train=4, validation=2)
    result = run_command(
        "recipe", {"recipe": str(recipe), "folder": str(tmp_path / "w"), "data": data}, Progress()
    )
    first, last = load_card(tmp_path / "w" / "coarse.safetensors"), load_card(result["result"])
    assert (first.resolution, first.tile_size) == (20.0, 16)
    assert (last.resolution, last.tile_size) == (10.0, 32)
    assert last.training["start_from"] == "coarse"
    assert last.training["views"] == [0.5, 1.0] and "views" not in first.training


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"resolution": 5}, "can't be made 5 m"),
        ({"resolution": 40}, "tile size 8 must be within 16"),
        ({"view_scales": [0.5]}, "VIEW_SCALES .* choose 2 numbers"),
        ({"view_scales": [0.01, 1]}, "VIEW_SCALES .* choose from 0.1 to 4"),
        ({"passes": 0}, "PASSES .* choose from 1 to 100"),
    ],
)
def test_what_makes_no_training_is_refused(make_samples, narrow, tmp_path, change, sentence):
    data, model = make_samples(train=4, validation=2), str(tmp_path / "m.safetensors")
    with pytest.raises(InputError, match=sentence):
        run_command("train", {**COMMON, "samples": data, "model": model, **change}, Progress())
