"""A probability raster is made again by the plan that it carries, or refused for a reason."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import torch
from landslide_mapper.landslide_plugin.answer import run_command
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.contract.tags import PLAN
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference.plan import Plan
from landslide_mapper.landslide_plugin.inference.predict_command import predict
from landslide_mapper.landslide_plugin.inference.reproduce_command import reproduce
from landslide_mapper.landslide_plugin.inference.runtimes.runtime import missing_packages
from landslide_mapper.models.ensemble import Ensemble
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import save_model
from landslide_mapper.models.registry import build

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = {"growth_rate": 4, "layers": [1], "middle_layers": 1, "first_channels": 4}
CARD = ModelCard(
    name="lit", architecture="fc_densenet", arguments=SMALL, task="semantic-segmentation",
    bands=["red", "b"], mean=[50.0, 60.0], std=[20.0, 10.0], resolution=10.0, tile_size=32,
    classes=["background", "landslide"], temperature=1.5,
    scene={"low": [10.0, 40.0], "high": [110.0, 90.0]},
)  # fmt: skip


def saved(path, card=CARD, seed=0):
    torch.manual_seed(seed)
    networks = [build("fc_densenet", 2, len(card.classes), **SMALL) for _ in range(card.members)]
    save_model(path, networks[0] if len(networks) == 1 else Ensemble(networks), card)
    return str(path)


@pytest.fixture
def model(tmp_path):
    return saved(tmp_path / "lit.safetensors")


@pytest.fixture
def stack(make_raster):
    """A stack whose light and edges differ from place to place, with fill that nobody declares."""
    values = np.random.default_rng(0).uniform(100, 900, (2, 150, 110)).astype("float32")
    values *= np.linspace(0.5, 2, 110)
    values[:, 60:90, 20:50] = -9999
    return make_raster("stack.tif", values, bands=["b", "red"])


@pytest.fixture
def made(tmp_path, stack, model):
    """Return a function that predicts, and returns the probability raster's path."""

    def made(**parameters):
        path = str(tmp_path / "p.tif")
        given = {"stack": stack, "model": model, "device": "cpu", "runtime": "torch"}
        predict(**{**given, "probability": path, **parameters}, progress=Progress())
        return path

    return made


def again(raster, **parameters):
    output = str(Path(raster).with_name("again.tif"))
    events = []
    result = reproduce(raster=raster, output=output, progress=Progress(events.append), **parameters)
    return result, [event["text"] for event in events if "text" in event]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tile_size": 64, "overlap": 0.5, "batch_size": 3, "threshold": 0.2, "tta": True},
        {"fill": "keep"},
        {"runtime": "openvino"},
        {"runtime": "onnx"},
    ],
    ids=str,
)
def test_what_is_made_again_is_the_same_to_the_last_bit(made, options):
    if missing_packages(options.get("runtime", "torch")):
        pytest.skip("this runtime is not installed")
    raster = made(**options)
    result, said = again(raster)
    assert (result["differing"], result["largest"]) == (0, 0.0) and result["pixels"] > 10_000
    assert any("Identical" in text for text in said)
    with rasterio.open(raster) as one, rasterio.open(result["output"]) as other:
        np.testing.assert_array_equal(one.read(), other.read())
        assert Plan.of_tags(one.tags(), "") == Plan.of_tags(other.tags(), "")


def test_as_a_request_whose_outputs_appear_at_its_end(made):
    raster = made()
    request = {"raster": raster, "output": str(Path(raster).with_name("again.tif"))}
    result = run_command("reproduce", request, Progress())
    assert result["differing"] == 0 and Path(result["output"]).is_file()


def test_models_of_several_files_and_folds_with_kinds_of_landslides(made, tmp_path):
    card = replace(CARD, classes=["background", "slide", "flow"])
    folds = saved(tmp_path / "folds.safetensors", replace(card, members=2), seed=1)
    other = saved(tmp_path / "other.safetensors", replace(card, name="other"), seed=2)
    uncertainty = str(tmp_path / "u.tif")
    result, _ = again(made(model=folds, more_models=[other], uncertainty=uncertainty))
    assert result["differing"] == 0


def test_pixels_that_were_changed_are_counted(made):
    raster = made()
    with rasterio.open(raster, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
        values = dataset.read(1)
        values[5, 5:8] = (values[5, 5:8] + 0.25) % 1
        dataset.write(values, 1)
    result, said = again(raster)
    assert result["differing"] == 3 and result["largest"] >= 0.25
    assert any("3 of " in text and "pixels differ, by " in text for text in said)
    with rasterio.open(raster, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
        values[0, 0] = -9999
        dataset.write(values, 1)
    result, said = again(raster)
    assert (result["differing"], result["largest"]) == (4, None)
    assert any("in one of both only" in text for text in said)


def test_stack_and_model_may_lie_elsewhere_now(made, stack, model, tmp_path):
    raster = made()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = {
        "stack": shutil.move(stack, elsewhere / "moved.tif"),
        "models": [str(shutil.move(model, elsewhere / "moved.safetensors"))],
    }
    with pytest.raises(InputError, match="can't be read: give MODELS"):
        again(raster)
    with pytest.raises(InputError, match="does not exist"):
        again(raster, models=moved["models"])
    assert again(raster, **{**moved, "stack": str(moved["stack"])})[0]["differing"] == 0


def test_an_area_is_told_by_its_polygons(made, tmp_path):
    def polygons(name, right):
        path = str(tmp_path / name)
        box = shapely.box(500_100, 4_999_000, right, 4_999_900)
        gpd.GeoDataFrame(geometry=[box], crs=32632).to_file(path)
        return path

    area, other = polygons("area.gpkg", 500_700), polygons("other.gpkg", 500_800)
    raster = made(area=area)
    assert again(raster, area=area)[0]["differing"] == 0
    for given in ({}, {"area": other}):
        with pytest.raises(InputError, match="was made of an AREA: give just that"):
            again(raster, **given)
    whole = made()
    with pytest.raises(InputError, match="of all of its stack, without an AREA"):
        again(whole, area=area)


def rewrite(raster, change):
    """Change the plan that a raster carries."""
    with rasterio.open(raster, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
        plan = json.loads(dataset.tags()[PLAN])
        change(plan)
        dataset.update_tags(**{PLAN: json.dumps(plan)})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda plan: plan["versions"].update(torch="1.0"), r"plan is of torch 1\.0 \(here "),
        (lambda plan: plan["versions"].update(abacus="3"), r"abacus 3 \(here none\)"),
        (lambda plan: plan["versions"].pop("gdal"), r"gdal none \(here "),
        (lambda plan: plan["files"].append("00"), "can't be read"),
        (lambda plan: plan.update(files=["00"]), "lit.safetensors is another one"),
        (lambda plan: plan.update(content="00"), "stack.tif is another one"),
        (lambda plan: plan["members"].append(plan["members"][0]), "2 models, .* hold 1"),
        (lambda plan: plan["members"][0].update(bands=["b", "red"]), "other bands than it has"),
        (lambda plan: plan["members"][0].update(runtime="torch float8"), "torch float8"),
    ],
)
def test_what_is_other_than_planned_is_one_sentence_and_nothing_is_written(made, change, said):
    raster = made()
    rewrite(raster, change)
    before = sorted(Path(raster).parent.iterdir())
    with pytest.raises(InputError, match=said):
        again(raster)
    assert sorted(Path(raster).parent.iterdir()) == before


def test_a_stack_that_was_changed_since_is_refused(made, stack):
    raster = made()
    with rasterio.open(stack, "r+") as dataset:
        dataset.write(dataset.read() + 1)
    with pytest.raises(InputError, match="another one than the plan's"):
        again(raster)


def test_what_is_no_probability_raster_is_refused(made, tmp_path, stack):
    mask = str(tmp_path / "m.tif")
    raster = made(mask=mask)
    with pytest.raises(InputError, match="has the bands landslide, not a model's probabilities"):
        again(mask)
    with pytest.raises(InputError, match="carries no plan"):
        again(stack)
    with pytest.raises(InputError, match="but MODELS has 2"):
        again(raster, models=["a", "b"])
    cut = tmp_path / "cut.tif"
    with rasterio.open(raster) as whole:
        profile = {**whole.profile, "height": 100, "blockysize": 16, "blockxsize": 16}
        with rasterio.open(cut, "w", **profile) as part:
            part.write(whole.read(window=((0, 100), (0, whole.width))))
            part.update_tags(**whole.tags())
            part.descriptions = whole.descriptions
    with pytest.raises(InputError, match=r"100 rows .* it was cut"):
        again(str(cut))
