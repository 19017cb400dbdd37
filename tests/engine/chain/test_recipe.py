"""Recipes: commands as data, run to their end, passed over where they are done."""

import json
from typing import Any

import pytest
from landslide_mapper.landslide_plugin.answer import run_command
from landslide_mapper.landslide_plugin.chain import recipe_command
from landslide_mapper.landslide_plugin.chain.recipe import Recipe
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress

AREA: dict[str, Any] = {"command": "demoarea", "parameters": {"folder": "{work}/area", "size": 256}}
TERRAIN: dict[str, Any] = {
    "command": "terrainfactors",
    "parameters": {
        "input": "{work}/area/dem.tif",
        "factors": ["slope"],
        "output": "{work}/terrain.tif",
    },
}


@pytest.fixture
def cook(tmp_path):
    """Return a function that runs a recipe of these steps; it returns the result and the texts."""

    def run(*steps, result="{work}/terrain.tif", defaults=None, **more):
        path = tmp_path / "recipe.json"
        content = {"result": result, "steps": steps, "values": defaults or {}}
        path.write_text(json.dumps(content), encoding="utf-8")
        events = []
        given = {"recipe": str(path), "folder": str(tmp_path / "work"), **more}
        values = run_command("recipe", given, Progress(events.append))
        return values, [event["text"] for event in events if "text" in event]

    return run


def test_its_steps_run_one_after_another(cook, tmp_path):
    values, said = cook(AREA, TERRAIN)
    assert values["result"] == str(tmp_path / "work" / "terrain.tif")
    assert values["steps"] == 2 and (tmp_path / "work" / "terrain.tif").is_file()
    assert "Step 2 of 2, terrainfactors." in said


def test_what_is_done_is_passed_over_and_only_what_changed_runs_again(cook, tmp_path):
    cook(AREA, TERRAIN)
    before = (tmp_path / "work" / "area" / "dem.tif").stat().st_mtime_ns
    assert cook(AREA, TERRAIN)[0]["steps"] == 0
    changed = {**TERRAIN, "parameters": {**TERRAIN["parameters"], "factors": ["aspect"]}}
    values, said = cook(AREA, changed)
    assert values["steps"] == 1 and "Step 1 of 2, demoarea: done before." in said
    assert (tmp_path / "work" / "area" / "dem.tif").stat().st_mtime_ns == before


def test_a_result_that_is_gone_is_made_again(cook, tmp_path):
    cook(AREA, TERRAIN)
    (tmp_path / "work" / "terrain.tif").unlink()
    values, said = cook(AREA, TERRAIN)
    assert values["steps"] == 1 and "Step 1 of 2, demoarea: done before." in said
    assert (tmp_path / "work" / "terrain.tif").is_file()
    assert cook(AREA, TERRAIN)[0]["steps"] == 0


def test_a_broken_run_goes_on_at_the_step_that_failed(cook, tmp_path, monkeypatch):
    ran = []

    def breaks(name, parameters, progress):
        ran.append(name)
        if name == "terrainfactors" and len(ran) == 2:
            raise InputError("The DEM is gone.")
        return run_command(name, parameters, progress)

    monkeypatch.setattr(recipe_command, "run_command", breaks)
    with pytest.raises(InputError, match=r"Step 2 of 2, terrainfactors: The DEM is gone\."):
        cook(AREA, TERRAIN)
    assert cook(AREA, TERRAIN)[0]["steps"] == 1
    assert ran == ["demoarea", "terrainfactors", "terrainfactors"]


def test_a_damaged_note_makes_all_steps_run(cook, tmp_path):
    cook(AREA)
    (tmp_path / "work" / recipe_command.NOTE).write_text('{"done": 3}', encoding="utf-8")
    step = {"command": "demoarea", "parameters": {"folder": "{work}/b", "size": 256}}
    assert cook(step)[0]["steps"] == 1


def test_a_result_in_data_that_are_not_given_is_told_before_any_step(cook, tmp_path):
    with pytest.raises(InputError, match="name the folder"):
        cook(AREA, result="{data}/model.safetensors")
    assert not (tmp_path / "work").exists()


def test_data_are_found_in_the_folder_that_is_given(cook, tmp_path):
    run_command("demoarea", {"folder": str(tmp_path / "mine"), "size": 256}, Progress())
    step: dict[str, Any] = {"command": "terrainfactors", "parameters": {**TERRAIN["parameters"]}}
    step["parameters"]["input"] = "{data}/dem.tif"
    assert cook(step, data=str(tmp_path / "mine"))[0]["steps"] == 1


def test_other_data_want_another_folder_and_those_that_moved_do_not(cook, tmp_path):
    """Else the result would be that of the first data, whatever is given."""
    cook(AREA, TERRAIN)
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        (folder / "dem.tif").write_bytes((tmp_path / "work" / "area" / "dem.tif").read_bytes())
    steps = [{**TERRAIN, "parameters": {**TERRAIN["parameters"], "input": "{data}/dem.tif"}}]
    assert cook(*steps, data=str(first))[0]["steps"] == 1
    with pytest.raises(InputError, match=r"were run on the data in .*first, not in .*second"):
        cook(*steps, data=str(second))
    assert cook(*steps, data=str(first))[0]["steps"] == 0
    first.rename(tmp_path / "moved")
    assert cook(*steps, data=str(tmp_path / "moved"))[0]["steps"] == 0


def test_a_result_that_no_step_makes_is_told(cook, tmp_path):
    said = cook(AREA, result="{work}/other.tif")[1]
    assert said[-1].startswith("None of the steps made the recipe's result, ")


def test_a_recipe_may_begin_with_the_mark_that_windows_writes(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"steps": [AREA]}), encoding="utf-8-sig")
    assert [step.command for step in Recipe.read(path).steps] == ["demoarea"]


def test_values_are_those_of_the_run_or_the_recipes_defaults(cook, tmp_path):
    step = {
        "command": "demoarea",
        "parameters": {"folder": "{work}/{name}-{size}", "size": "{size}", "seed": "{seed}"},
    }
    given = {"result": "{work}/{name}.tif", "defaults": {"name": "area", "size": 256, "seed": 0}}
    values, _ = cook(step, **given)
    assert values["result"] == str(tmp_path / "work" / "area.tif")
    assert (tmp_path / "work" / "area-256" / "dem.tif").is_file()
    assert cook(step, **given, values=["name=area", "size = 256"])[0]["steps"] == 0
    values, _ = cook(step, **given, values=["name=b=c"])
    assert values["steps"] == 1 and (tmp_path / "work" / "b=c-256" / "dem.tif").is_file()


def test_an_empty_value_and_one_in_a_list_are_texts(tmp_path):
    path = tmp_path / "r.json"
    step = {"command": "demoarea", "parameters": {"a": ["{fold}", 1], "b": "{share}", "c": True}}
    content = {"steps": [step], "values": {"fold": "0", "share": 0.5}}
    path.write_text(json.dumps(content), encoding="utf-8")
    (read,) = Recipe.read(path, ["fold=", "share=1e-3"]).steps
    assert read.parameters == {"a": ["", 1], "b": 0.001, "c": True}
    assert [type(item) for item in Recipe.read(path, ["share=2"]).steps[0].parameters.values()] == [
        list, int, bool,
    ]  # fmt: skip


def test_what_lies_beside_the_recipe_is_reached_wherever_it_lies(cook, tmp_path):
    run_command("demoarea", {"folder": str(tmp_path / "mine"), "size": 256}, Progress())
    step: dict[str, Any] = {"command": "terrainfactors", "parameters": {**TERRAIN["parameters"]}}
    step["parameters"]["input"] = "{recipe}/mine/dem.tif"
    assert cook(step)[0]["steps"] == 1


def test_a_path_that_would_lie_wherever_the_engine_runs_is_refused(cook, tmp_path):
    step: dict[str, Any] = {"command": "terrainfactors", "parameters": {**TERRAIN["parameters"]}}
    for key in ("input", "output"):
        parameters = {**TERRAIN["parameters"], key: "dem.tif"}
        sentence = (
            rf"step 2, terrainfactors, gives as {key.upper()} dem.tif, .*begin it with {{data}}"
        )
        with pytest.raises(InputError, match=sentence):
            cook(AREA, {**step, "parameters": parameters})
    with pytest.raises(InputError, match=r"the result is terrain.tif, which lies in no folder"):
        cook(AREA, TERRAIN, result="terrain.tif")
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("path", ["{work}/a", "/a", "/vsizip/a.zip/b", "s3://a/b", "NETCDF:/a:b"])
def test_a_path_in_a_folder_or_store_is_taken(cook, path):
    step = {"command": "stack", "parameters": {"layers": [path], "output": "{work}/stack.tif"}}
    with pytest.raises(InputError, match=r"^Step 1 of 1, stack: "):  # what GDAL says of it
        cook(step)


FOLD = {"command": "demoarea", "parameters": {"folder": "{work}/{fold}"}}


@pytest.mark.parametrize(
    "defaults, values, sentence",
    [
        ({"fold": "0"}, ["fald=1"], r"takes no value 'fald=1' \(VALUES\): it takes fold=0\.$"),
        ({"fold": "0"}, ["1"], "takes no value '1'"),
        ({"fold": 0}, ["fold=one"], "fold of the recipe .* is a number such as 0, not 'one'"),
        ({"fold": [0]}, [], "the default of its value fold is no text and no number"),
        ({"fold": "0", "a b": 1}, [], "a value can't be called 'a b'"),
        ({"fold": "0", "work": "x"}, [], "a value can't be called 'work'"),
        ([1], [], '"values" is no object'),
        ({}, [], r"no recipe: {fold} stands for nothing"),
    ],
)
def test_unfit_values_are_refused_in_one_sentence(cook, tmp_path, defaults, values, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        cook(FOLD, defaults=defaults, values=values)
    assert "\n" not in str(caught.value) and not (tmp_path / "work").exists()


def test_a_recipe_without_values_says_that_it_has_none(cook):
    with pytest.raises(InputError, match="it has none"):
        cook(AREA, values=["fold=0"])


def test_an_output_says_which_step_made_it(cook, tmp_path):
    import rasterio

    cook(AREA, TERRAIN)
    with rasterio.open(tmp_path / "work" / "terrain.tif") as raster:
        assert raster.tags()["LANDSLIDE_ALGORITHM"] == "landslide:terrainfactors"


@pytest.mark.parametrize(
    "steps, more, sentence",
    [
        ([{"command": "polish"}], {}, "step 1 asks for the command 'polish', and there are: "),
        ([{"command": ["demoarea"]}], {}, "step 1 asks for the command "),
        ([{"command": "recipe"}], {}, "step 1 asks for the command 'recipe'"),
        (["demoarea"], {}, "step 1 is no object"),
        ([{"command": "demoarea", "parameters": []}], {}, "step 1 is no object"),
        ([], {}, 'no list of "steps"'),
        ([{"command": "demoarea", "parameters": {"folder": "{data}/a"}}], {}, "name the folder"),
        ([AREA], {"data": "/no/such/folder"}, "is no folder"),
        ([{"command": "demoarea", "parameters": {"size": 3}}], {}, "Step 1 of 1, demoarea: "),
    ],
)
def test_what_is_no_recipe_is_refused_in_one_sentence(cook, steps, more, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        cook(*steps, **more)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"steps": {}}', "[" * 100_000])
def test_a_file_that_is_none_is_refused_in_one_sentence(content, tmp_path):
    (tmp_path / "r.json").write_text(content, encoding="utf-8")
    given = {"recipe": str(tmp_path / "r.json"), "folder": str(tmp_path / "work")}
    with pytest.raises(InputError, match="recipe"):
        run_command("recipe", given, Progress())
    assert not (tmp_path / "work").exists()
