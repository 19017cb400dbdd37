"""What decides the pixels is decided once for all stacks of a job, and travels with the rasters."""

import json
import os
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin import __version__
from landslide_mapper.landslide_plugin.contract.choices import Predict
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.contract.tags import PLAN
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference import decide as decide_module
from landslide_mapper.landslide_plugin.inference import light
from landslide_mapper.landslide_plugin.inference.decide import Wishes, decide
from landslide_mapper.landslide_plugin.inference.light import fit_to_scene
from landslide_mapper.landslide_plugin.inference.members import open_members
from landslide_mapper.landslide_plugin.inference.plan import MemberPlan, Plan
from landslide_mapper.landslide_plugin.inference.predict_command import predict
from landslide_mapper.landslide_plugin.inference.resume import content_of
from landslide_mapper.landslide_plugin.raster import Source
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import save_model
from landslide_mapper.models.registry import build
from rasterio.transform import from_origin

CPU = torch.device("cpu")
SMALL = {"growth_rate": 4, "layers": [1], "middle_layers": 1, "first_channels": 4}
CARD = ModelCard(
    name="lit", architecture="fc_densenet", arguments=SMALL, task="semantic-segmentation",
    bands=["a", "b"], mean=[50.0, 60.0], std=[20.0, 10.0], resolution=10.0, tile_size=32,
    classes=["background", "landslide"], scene={"low": [10.0, 40.0], "high": [110.0, 90.0]},
)  # fmt: skip
PARTS = {"left": (0, 0, 96, 40), "right": (0, 40, 96, 56)}
"""First row and column, rows and columns."""


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "lit.safetensors"
    save_model(path, build("fc_densenet", 2, 2, **SMALL), CARD)
    return str(path)


def image(rows=96, cols=96):
    """An image that is brighter on the right."""
    noise = np.random.default_rng(0).uniform(100, 900, (2, rows, cols))
    return (noise * np.linspace(0.5, 2, cols)).astype("float32")


def cut(make_raster, values, parts, left=500000.75, top=5000000.25):
    """Write parts of an image, each where it lies."""
    return [
        make_raster(
            f"{name}.tif", values[:, row : row + rows, col : col + cols], bands=CARD.bands,
            transform=from_origin(left + 10 * col, top - 10 * row, 10, 10),
        )
        for name, (row, col, rows, cols) in parts.items()
    ]  # fmt: skip


def plans_of(folder):
    result = {}
    for path in sorted(folder.glob("*.tif")):
        with rasterio.open(path) as raster:
            result[path.name] = Plan.of_tags(raster.tags(), str(path))
    return result


def predicted(tmp_path, stacks, model, **parameters):
    folder = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
    folder.mkdir()
    outputs = {"probability": str(folder / "p.tif"), "mask": str(folder / "m.tif")}
    given = {"device": "cpu", "runtime": "torch", **outputs, **parameters}
    events = []
    predict(
        stack=stacks[0], more_stacks=stacks[1:], model=model,
        progress=Progress(events.append), **given,
    )  # fmt: skip
    return folder, [event.get("text", "") for event in events]


def test_every_raster_carries_the_plan_that_it_was_made_by(make_raster, tmp_path, model):
    stacks = cut(make_raster, image(), PARTS)
    folder, _ = predicted(tmp_path, stacks, model, threshold=0.3, overlap=0.5)
    plans = plans_of(folder)
    assert sorted(plans) == ["m.tif", "m_right.tif", "p.tif", "p_right.tif"]
    assert plans["p.tif"] == plans["m.tif"]
    plan = plans["p_right.tif"]
    assert (plan.path, plan.threshold, plan.shared) == (stacks[1], 0.3, plan.size // 2)
    assert plan.versions["engine"] == __version__ and plan.versions["torch"] == torch.__version__
    assert plan.members[0].runtime in ("torch float32", "torch bfloat16")
    with rasterio.open(folder / "p.tif") as raster:
        assert json.loads(raster.tags()[PLAN])["members"][0]["bands"] == CARD.bands


def test_all_stacks_of_a_job_get_one_light(make_raster, tmp_path, model):
    stacks = cut(make_raster, image(), PARTS)
    plans = plans_of(predicted(tmp_path, stacks, model)[0])
    alone = plans_of(predicted(tmp_path, stacks[1:], model)[0])["p.tif"]
    assert plans["p.tif"].members == plans["p_right.tif"].members
    assert plans["p.tif"].members[0].mean != alone.members[0].mean


def test_a_part_that_is_mapped_alone_may_get_the_light_of_the_whole(make_raster, tmp_path, model):
    whole, *stacks = cut(make_raster, image(), {"whole": (0, 0, 96, 96), **PARTS})
    wanted = plans_of(predicted(tmp_path, [whole], model)[0])["p.tif"]
    for stack in stacks:
        lit = plans_of(predicted(tmp_path, [stack], model, light=whole)[0])["p.tif"]
        assert lit.members == wanted.members and lit.path == stack


@pytest.mark.parametrize("factor, warned", [(1, False), (1e-4, True), (255, True)])
def test_a_light_in_other_units_is_warned_of(make_raster, tmp_path, model, factor, warned):
    whole, *_ = cut(make_raster, image(), {"whole": (0, 0, 96, 96)})
    left, *_ = cut(make_raster, image() * np.float32(factor), {"left": (0, 0, 96, 40)})
    _, said = predicted(tmp_path, [left], model, light=whole)
    assert any(f"{left} is no part of the scene {whole}" in text for text in said) == warned


@pytest.mark.parametrize("factor, warned", [(1, False), (1e-4, True), (255, True)])
def test_stacks_in_different_units_with_one_light_are_warned_of(
    make_raster, tmp_path, model, factor, warned
):
    images = image(), image() * np.float32(factor)
    stacks = [
        cut(make_raster, values, {name: part})[0]
        for values, (name, part) in zip(images, PARTS.items(), strict=True)
    ]
    _, said = predicted(tmp_path, stacks, model)
    told = "is no part of the scene of the other stacks, with which it gets one light, or its"
    assert any(told in text for text in said) == warned


def test_a_model_with_a_light_of_its_own_takes_no_other(make_raster, tmp_path, model):
    torch.manual_seed(0)
    save_model(model, build("fc_densenet", 2, 2, **SMALL), replace(CARD, scene={}))
    whole, left, _ = cut(make_raster, image(), {"whole": (0, 0, 96, 96), **PARTS})
    folder, said = predicted(tmp_path, [left], model, light=whole)
    assert f"No model is fitted to a scene's light: {whole} has no effect." in said
    assert plans_of(folder)["p.tif"].members[0].mean == CARD.mean


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.integers(1, 95), max_size=2, unique=True),
    cols=st.lists(st.integers(1, 69), max_size=2, unique=True),
    looked_at=st.sampled_from([10**6, 300, 40]),
)
def test_however_a_scene_is_cut_its_light_is_the_same(make_raster, rows, cols, looked_at):
    """Bit for bit: the pixels that are looked at lie on the map, not on a file."""
    values = image(96, 70)
    tops, lefts = sorted({0, 96, *rows}), sorted({0, 70, *cols})
    parts = {
        f"{top}-{left}": (top, left, bottom - top, right - left)
        for top, bottom in pairwise(tops)
        for left, right in pairwise(lefts)
    }
    paths = cut(make_raster, values, {"whole": (0, 0, 96, 70), **parts})
    sources = [Source.open(path) for path in paths]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(light, "LOOKED_AT", looked_at)
        whole, pieces = (
            fit_to_scene(CARD, part, Progress()) for part in (sources[:1], sources[1:])
        )
    for source in sources:
        source.close()
    assert (whole.mean, whole.std) == (pieces.mean, pieces.std)


def test_far_from_where_a_scene_is_cut_its_map_is_that_of_the_whole(make_raster, tmp_path, model):
    """Farther than the network sees; each file had its own light before."""
    values, parts = image(96, 192), {"left": (0, 0, 96, 96), "right": (0, 96, 96, 96)}
    maps = []
    for stacks in ({"whole": (0, 0, 96, 192)}, parts):
        paths = cut(make_raster, values, stacks)
        folder, _ = predicted(tmp_path, paths, model, tile_size=64)
        maps.append(np.concatenate([read(path) for path in sorted(folder.glob("p*.tif"))], axis=1))
    difference = np.abs(maps[0] - maps[1])
    assert difference[:, :72].max() < 1e-3 and difference[:, 120:].max() < 1e-3


def read(path):
    with rasterio.open(path) as raster:
        return raster.read(1)


def test_stacks_of_several_days_are_warned_of(make_raster, tmp_path, model):
    stacks = cut(make_raster, image(), PARTS)
    for path, day in zip(stacks, ("2018-09-10", "2018-10-20"), strict=True):
        with rasterio.open(path, "r+") as raster:
            raster.update_tags(ACQUISITION_DATE=day)
    _, said = predicted(tmp_path, stacks, model)
    assert any("of 2 days, 2018-09-10 to 2018-10-20, and get one light" in text for text in said)


def test_the_runtime_is_chosen_by_the_work_of_all_stacks(make_raster, model, monkeypatch):
    halves = {"left": (0, 0, 300, 256), "right": (0, 256, 300, 256)}
    stacks = cut(make_raster, image(300, 512), halves)
    small = cut(make_raster, image(300, 512), {"64": (0, 0, 64, 64), "256": (0, 0, 256, 256)})
    counts = []

    def opened(models, source, wish, size):
        counts.append(wish.windows(CARD))
        return open_members(models, source, wish, size)

    monkeypatch.setattr(decide_module, "open_members", opened)
    for job in (stacks, stacks[:1], stacks[1:], [*stacks, *stacks, *small]):
        decide([model], job, Wishes(device=CPU, tile_size=256), Progress())
    # of the last job a half, as it has windows of two sides
    assert counts == [4, 2, 2, 5]


def test_a_stack_is_known_wherever_it_lies_and_another_is_another(make_raster):
    def content(name, values, **options):
        with Source.open(make_raster(name, values, bands=CARD.bands, **options)) as source:
            return content_of(source, CARD.bands)

    first = content("one.tif", image())
    assert content("copy.tif", image()) == first
    assert content("brighter.tif", image() + 1) != first
    assert content("moved.tif", image(), transform=from_origin(0, 0, 10, 10)) != first


MEMBER = MemberPlan(name="m", runtime="torch float32", bands=["a"], mean=[0.5], std=[0.25])
WHOLE = Plan(
    versions={"engine": "1"}, device="cpu", members=[MEMBER], models=["m.safetensors"],
    files=["00"], path="s.tif", content="11", scaling={"a": [1e-4, -0.1]}, size=512, side=256,
    shared=64, batch_size=4, threshold=0.1 + 0.2, temperature=1 / 3, shift=-2.5,
)  # fmt: skip


def test_every_batch_size_that_may_be_asked_for_can_be_planned():
    largest = int(Predict.BATCH_SIZE.high or 0)
    assert replace(WHOLE, batch_size=largest).batch_size == 2**16


def test_a_plan_is_read_as_it_was_written():
    assert Plan.of_tags(WHOLE.tags(), "p.tif") == WHOLE


def test_a_raster_without_a_plan_is_told():
    with pytest.raises(InputError, match=r"p\.tif carries no plan"):
        Plan.of_tags({}, "p.tif")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "[]",
        "null",
        "{}",
        '{"format": 1}',
        json.dumps({"format": 2, **asdict(WHOLE)}),
        json.dumps({"format": 1, **asdict(WHOLE), "size": 10**9}),
        json.dumps({"format": 1, **asdict(WHOLE), "size": "512"}),
        json.dumps({"format": 1, **asdict(WHOLE), "shared": 512}),
        json.dumps({"format": 1, **asdict(WHOLE), "batch_size": 0}),
        json.dumps({"format": 1, **asdict(WHOLE), "threshold": float("nan")}),
        json.dumps({"format": 1, **asdict(WHOLE), "members": []}),
        json.dumps({"format": 1, **asdict(WHOLE), "members": [{**asdict(MEMBER), "std": [0]}]}),
        json.dumps({"format": 1, **asdict(WHOLE), "members": [{**asdict(MEMBER), "mean": []}]}),
        json.dumps({"format": 1, **asdict(WHOLE), "members": [{**asdict(MEMBER), "runtime": 1}]}),
        json.dumps({"format": 1, **asdict(WHOLE), "scaling": {"a": 1}}),
        json.dumps({"format": 1, **asdict(WHOLE), "files": []}),
        json.dumps({"format": 1, **asdict(WHOLE), "unknown": 1}),
        "[" * 100_000,
    ],
    ids=lambda text: text[:12],
)
def test_a_damaged_plan_is_one_sentence(text):
    with pytest.raises(InputError, match=r"The plan that p\.tif carries can't be read"):
        Plan.of_tags({PLAN: text}, "p.tif")


def test_what_only_marks_or_moves_is_not_computed_anew():
    moved = replace(WHOLE, threshold=0.9, temperature=2.0, path="elsewhere.tif")
    assert moved.computed() == WHOLE.computed()
    assert replace(WHOLE, shared=32).computed() != WHOLE.computed()


IBURI = Path(os.environ.get("LANDSLIDE_DATA", "/nowhere")) / "iburi_s2"


@pytest.mark.skipif(not IBURI.is_dir(), reason="LANDSLIDE_DATA has no Iburi scene")
def test_a_real_scene_in_nine_files_has_the_light_of_the_whole(make_raster):
    with rasterio.open(IBURI / "s2_post_B02B03B04_utm54n_10m.tif") as scene:
        values, corner = scene.read([1, 2]), scene.transform
    rows, cols = [0, 333, 600, values.shape[1]], [0, 250, 777, values.shape[2]]
    parts = {
        f"{row}-{col}": (rows[row], cols[col], np.diff(rows)[row], np.diff(cols)[col])
        for row in range(3)
        for col in range(3)
    }
    whole = {"whole": (0, 0, *values.shape[1:])}
    paths = cut(make_raster, values, {**whole, **parts}, left=corner.c, top=corner.f)
    sources = [Source.open(path) for path in paths]
    lit = [fit_to_scene(CARD, part, Progress()) for part in (sources[:1], sources[1:])]
    for source in sources:
        source.close()
    assert (lit[0].mean, lit[0].std) == (lit[1].mean, lit[1].std)
