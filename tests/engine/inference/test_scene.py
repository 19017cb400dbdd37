"""What predict makes of scenes: validity, resolution, classes, memory, several at once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.shutil
import torch
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError, LandslideError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference.decide import Scene, planned
from landslide_mapper.landslide_plugin.inference.fit import check_resolution
from landslide_mapper.landslide_plugin.inference.plan import Plan
from landslide_mapper.landslide_plugin.inference.predict_command import predict
from landslide_mapper.landslide_plugin.inference.predictor import Predictor
from landslide_mapper.landslide_plugin.inference.runtimes.runtime import Member
from landslide_mapper.landslide_plugin.inference.scene import (
    Outputs,
    classified,
    map_scene,
)
from landslide_mapper.landslide_plugin.inference.sizes import (
    batch_for,
    window_sides,
)
from landslide_mapper.landslide_plugin.inference.stack import Stack
from landslide_mapper.landslide_plugin.raster import Grid
from landslide_mapper.models.ensemble import Ensemble
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import save_model
from landslide_mapper.models.registry import build
from rasterio.crs import CRS
from rasterio.transform import from_origin
from shapely import box

CPU = torch.device("cpu")
SMALL = {"growth_rate": 4, "layers": [1], "middle_layers": 1, "first_channels": 4}
CARD = ModelCard(
    name="small", architecture="fc_densenet", arguments=SMALL, task="semantic-segmentation",
    bands=["a", "b"], mean=[0.0, 0.0], std=[1.0, 1.0], resolution=10.0, tile_size=32,
    classes=["background", "landslide"],
)  # fmt: skip


class Blurs:
    """Stands in for a network that sees `REACH` pixels around each."""

    name, device, side_by_side = "blurs", CPU, 1
    fixed_size: tuple[int, int] | None = None
    REACH = 2
    MOST = 99

    def run(self, images):
        if len(images) > self.MOST:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        mean = torch.nn.functional.avg_pool2d(images.sum(1, keepdim=True), 5, 1, 2)
        landslide = mean.sigmoid()
        return torch.cat([1 - landslide, landslide], 1)


def mapped(path, folder, runtime=None, card=CARD):
    """Map one scene; return probability and mask."""
    outputs = Outputs(str(folder / "p.tif"), str(folder / "m.tif"))
    member = Member(runtime or Blurs(), card)
    plan = Plan(
        versions={}, device="cpu", models=[], files=[], members=[planned(member)], path=path,
        content="", size=32, side=32, shared=8, batch_size=4,
    )  # fmt: skip
    map_scene(Scene(plan, Predictor([member]), Stack(plan.path)), outputs, Progress())
    with rasterio.open(outputs.probability) as p, rasterio.open(outputs.mask) as m:
        return p.read(1), m.read(1)


def noise(rows=96, cols=96):
    return np.random.default_rng(0).normal(size=(2, rows, cols)).astype("float32")


def hole_in_one_band(values):
    values[1, 40:60, 30:50] = -9999
    return values, {"nodata": -9999}


def not_a_number(values):
    values[0, 40:60, 30:50] = np.nan
    return values, {}


def whole_numbers(values):
    values = np.round(100 * values).astype("int16")
    values[1, 40:60, 30:50] = -9999
    return values, {"nodata": -9999}


@pytest.mark.parametrize("spoil", [hole_in_one_band, not_a_number, whole_numbers])
def test_nodata_is_nodata_exactly_there_and_far_from_it_nothing_changes(
    make_raster, tmp_path, spoil
):
    values, options = spoil(noise())
    card = replace(CARD, std=[100.0, 100.0]) if values.dtype == "int16" else CARD
    path = make_raster("s.tif", values, bands=["a", "b"], **options)
    probability, mask = mapped(path, tmp_path, card=card)
    hole = np.zeros((96, 96), bool)
    hole[40:60, 30:50] = True
    np.testing.assert_array_equal(probability == -9999, hole)
    np.testing.assert_array_equal(mask == 255, hole)
    full = noise() if values.dtype != "int16" else np.round(100 * noise()).astype("int16")
    whole, _ = mapped(make_raster("f.tif", full, bands=["a", "b"]), tmp_path, card=card)
    near = np.zeros((96, 96), bool)
    near[40 - Blurs.REACH : 60 + Blurs.REACH, 30 - Blurs.REACH : 50 + Blurs.REACH] = True
    np.testing.assert_allclose(probability[~near], whole[~near], atol=1e-6)
    assert np.abs(probability[near & ~hole] - whole[near & ~hole]).max() > 0.01


def test_transparent_pixels_are_nodata(make_raster, tmp_path):
    values = (50 + 20 * np.concatenate([noise(), noise()[:1]])).clip(1, 255).astype("uint8")
    values[2] = 255
    values[2, :20] = 0
    path = make_raster("s.tif", values, bands=["a", "b", ""])
    with rasterio.open(path, "r+") as dataset:
        kinds = rasterio.enums.ColorInterp
        dataset.colorinterp = (kinds.gray, kinds.undefined, kinds.alpha)
    probability, _ = mapped(path, tmp_path, card=replace(CARD, mean=[50.0] * 2, std=[20.0] * 2))
    np.testing.assert_array_equal(probability == -9999, values[2] == 0)


def test_a_raster_without_any_data_gives_one_without_any(make_raster, tmp_path):
    path = make_raster("s.tif", noise() * 0 - 9999, bands=["a", "b"], nodata=-9999)
    probability, mask = mapped(path, tmp_path)
    assert (probability == -9999).all() and (mask == 255).all()


def test_where_memory_is_short_batches_are_halved_and_the_result_is_the_same(make_raster, tmp_path):
    path = make_raster("s.tif", noise(), bands=["a", "b"])
    whole, _ = mapped(path, tmp_path)

    class Cramped(Blurs):
        MOST = 1

    np.testing.assert_array_equal(mapped(path, tmp_path, Cramped())[0], whole)

    class Full(Blurs):
        MOST = 0

    with pytest.raises(InputError, match="smaller tiles"):
        mapped(path, tmp_path, Full())
    assert not list(tmp_path.glob(".*"))


def test_a_damaged_file_is_told_and_no_output_is_left(make_raster, tmp_path):
    path = tmp_path / "damaged.tif"
    rasterio.shutil.copy(
        make_raster("s.tif", noise(900, 96), bands=["a", "b"]), path, compress="deflate"
    )
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = bytes(20_000)
    path.write_bytes(content)
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="file is damaged"):
        mapped(str(path), tmp_path / "out")
    # the rows finished before it are kept: a drive that was lost for a moment looks the same
    assert all(left.name.startswith(".resume-p.tif") for left in (tmp_path / "out").iterdir())


def grid(size=10.0, rows=4000, cols=5000):
    return Grid(CRS.from_epsg(32632), from_origin(5e5, 5e6, size, size), cols, rows)


def mercator(size, rows=4000, cols=5000):
    """At 60 N a metre on the ground is two on Web Mercator's map."""
    top = 8_400_000 + size * rows / 2
    return Grid(CRS.from_epsg(3857), from_origin(1e6, top, size, size), cols, rows)


@pytest.mark.parametrize(
    ("given", "settings", "sides"),
    [
        (grid(), {"side": 512}, (512, 512)),
        (grid(9), {"side": 512}, (512, 512)),
        (grid(20), {"side": 512}, (256, 512)),
        (grid(5), {"side": 256}, (512, 256)),
        (grid(rows=70, cols=90), {"side": 512}, (96, 96)),
        (grid(5, rows=70, cols=90), {"side": 512}, (96, 48)),
        (grid(rows=70, cols=90), {"side": 512, "fixed": True}, (512, 512)),
        (grid(20), {"side": 512, "fixed": True}, (256, 512)),
        (mercator(20), {"side": 512}, (512, 512)),  # 10 m on the ground
        (mercator(40), {"side": 512}, (256, 513)),
    ],
)
def test_windows_sides_in_the_stacks_and_in_the_models_pixels(given, settings, sides):
    assert window_sides(given, CARD, **{"fixed": False, **settings}) == sides


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (grid(), []),
        (mercator(20, 400, 500), []),
        (mercator(10, 400, 500), ["A metre of EPSG:3857 is 0.50"]),
        (mercator(20, 120_000), ["A metre of EPSG:3857 is 0.4", "Pixels differ by 3"]),
        (mercator(50, 400, 500), ["A metre of EPSG:3857 is 0.", "The stack's pixels are 25 m"]),
    ],
)
def test_the_ground_decides_whether_a_stack_is_resampled(given, said):
    """A model of 10 m and a Web Mercator stack at 60 N: pixels of 20 on the map are its own."""
    events = []
    check_resolution(given, CARD, Progress(events.append))
    assert len(events) == len(said)
    assert all(event["text"].startswith(text) for event, text in zip(events, said, strict=True))


@pytest.mark.parametrize(
    ("side", "least", "windows"),
    [(512, 1, 1), (128, 1, 16), (512, 8, 8), (1024, 8, 2), (4096, 8, 1)],
)
def test_a_batch_has_room_for_windows_side_by_side_unless_they_are_large(side, least, windows):
    assert batch_for(side, CPU, least) == windows


def test_of_more_classes_the_likeliest_is_marked_where_all_together_reach_the_threshold():
    slide, flow = np.array([[0.1, 0.3, 0.4, 0.2]]), np.array([[0.2, 0.2, 0.3, 0.5]])
    np.testing.assert_array_equal(classified(np.stack([slide, flow]), 0.5), [[0, 1, 1, 2]])


@pytest.fixture
def model(tmp_path):
    """Return a function that saves a model, of one network or several."""
    (tmp_path / "models").mkdir()

    def save(name, members=1, **changes):
        torch.manual_seed(len(name))
        card = replace(CARD, name=name, members=members, **changes)
        bands, classes = len(card.bands), len(card.classes)
        networks = [build("fc_densenet", bands, classes, **SMALL) for _ in range(members)]
        path = tmp_path / "models" / f"{name}.safetensors"
        save_model(path, networks[0] if members == 1 else Ensemble(networks), card)
        return str(path)

    return save


@pytest.fixture
def run(tmp_path):
    """Predict into a folder; return its rasters and what was said."""
    folder = tmp_path / "out"
    folder.mkdir()

    def run(stack, model, **parameters):
        events = []
        given = {"probability": str(folder / "p.tif"), "device": "cpu", "runtime": "torch"}
        predict(
            stack=stack, model=model, progress=Progress(events.append), **{**given, **parameters}
        )
        result = {}
        for path in folder.iterdir():
            with rasterio.open(path) as dataset:
                result[path.name] = dataset.read(), dataset.descriptions, dataset.tags(1)
        return result, [event["text"] for event in events if "text" in event]

    predicting: Any = run
    predicting.folder = folder
    return predicting


def test_models_of_one_file_and_of_several_are_averaged_with_their_deviation(
    make_raster, run, model
):
    stack = make_raster("s.tif", noise(30, 30), bands=["a", "b"])
    single = [run(stack, model(name))[0]["p.tif"][0][0] for name in ("x", "xy")]
    uncertainty = str(run.folder / "u.tif")
    both, _ = run(stack, model("x"), more_models=[model("xy")], uncertainty=uncertainty)
    np.testing.assert_allclose(both["p.tif"][0][0], np.mean(single, 0), atol=2e-3)
    np.testing.assert_allclose(both["u.tif"][0][0], np.std(single, 0), atol=2e-3)
    assert both["u.tif"][1] == ("landslide_probability_std",)
    folds, _ = run(stack, model("folds", members=3), uncertainty=uncertainty, tta=True)
    assert folds["u.tif"][0].max() > 0.01


def test_a_model_of_several_classes(make_raster, run, model):
    path = model("kinds", classes=["background", "Debris flow", "slide"])
    stack = make_raster("s.tif", noise(30, 30), bands=["a", "b"])
    result, _ = run(stack, path, mask=str(run.folder / "m.tif"))
    probabilities, bands, _ = result["p.tif"]
    mask, _, tags = result["m.tif"]
    assert bands == ("debris_flow_probability", "slide_probability")
    assert (tags["class_1"], tags["class_2"]) == ("Debris flow", "slide")
    np.testing.assert_array_equal(mask[0], classified(probabilities, 0.5))


def test_further_stacks_are_written_beside_with_their_names(make_raster, run, model):
    stacks = [
        make_raster(f"{name}.tif", noise(30, size), bands=["a", "b"])
        for name, size in (("one", 30), ("two", 40), ("three", 50))
    ]
    path = model("x")
    result, _ = run(stacks[0], path, more_stacks=stacks[1:], mask=str(run.folder / "m.tif"))
    names = ["m.tif", "m_three.tif", "m_two.tif", "p.tif", "p_three.tif", "p_two.tif"]
    assert sorted(result) == names
    alone, _ = run(stacks[2], path, probability=str(run.folder / "q.tif"))
    np.testing.assert_array_equal(alone["q.tif"][0], result["p_three.tif"][0])


def test_rasters_that_would_be_one_file_are_refused_before_any_work(make_raster, run, model):
    stacks = [make_raster(f"{name}.tif", noise(30, 30), bands=["a", "b"]) for name in ("a", "2")]
    with pytest.raises(InputError, match=r"p_2\.tif would be written twice"):
        run(stacks[0], model("x"), more_stacks=stacks[1:], mask=str(run.folder / "p_2.tif"))
    assert not list(run.folder.iterdir())


def test_an_area_may_lie_in_one_of_several_stacks(make_raster, run, model, tmp_path):
    shifted = {"transform": from_origin(500000, 4000000, 10, 10)}
    stacks = [
        make_raster(f"{name}.tif", noise(30, 30), bands=["a", "b"], **moved)
        for name, moved in (("here", {}), ("elsewhere", shifted))
    ]
    with rasterio.open(stacks[0]) as here:
        left, bottom, right, top = here.bounds
        crs = here.crs
    for name, x in (("area", left), ("apart", left + 1e5)):
        shape = box(x, bottom, x + (right - left) / 2, top)
        gpd.GeoDataFrame(geometry=[shape], crs=crs).to_file(tmp_path / f"{name}.gpkg")
    given = {"more_stacks": stacks[1:], "area": str(tmp_path / "area.gpkg")}
    result, said = run(stacks[0], model("x"), **given)
    assert (result["p.tif"][0] >= 0).sum() == 450
    assert (result["p_elsewhere.tif"][0] < 0).all()
    assert any("elsewhere.tif has no pixel in the area" in text for text in said)
    with pytest.raises(GridError, match="overlaps none of the stacks"):
        run(stacks[0], model("x"), **{**given, "area": str(tmp_path / "apart.gpkg")})


def test_a_further_stack_that_is_unfit_is_refused_before_any_work(make_raster, run, model):
    good = make_raster("s.tif", noise(30, 30), bands=["a", "b"])
    bad = make_raster("t.tif", noise(30, 30), bands=["a", "c"])
    with pytest.raises(LandslideError, match="lacks b"):
        run(good, model("x"), more_stacks=[bad])
    assert not list(run.folder.iterdir())


def test_a_stack_at_ten_times_the_resolution_is_refused(make_raster, run, model):
    fine = make_raster("f.tif", noise(), bands=["a", "b"], transform=from_origin(5e5, 5e6, 1, 1))
    with pytest.raises(GridError, match=r"1 m wide.*10 m"):
        run(fine, model("x"))
    assert not list(run.folder.iterdir())


def test_a_stack_of_bytes_for_a_model_of_reflectance_is_warned_of(make_raster, run, model):
    values = (100 + 30 * noise(1200, 900)).clip(0, 255).astype("uint8")
    path = model("x", mean=[0.1, 0.2], std=[0.05, 0.08])
    stack = make_raster("s.tif", values, bands=["a", "b"])
    result, said = run(stack, path, tile_size=512)
    warned = [text for text in said if "far from" in text]
    assert len(warned) == 1 and "a (+" in warned[0] and "b (+" in warned[0]
    assert result["p.tif"][0].shape == (1, 1200, 900)


def test_rasters_are_cloud_optimized(make_raster, run, model):
    mask = str(Path(run.folder, "m.tif"))
    stack = make_raster("s.tif", noise(40, 1200), bands=["a", "b"])
    run(stack, model("x"), tile_size=512, mask=mask)
    for name in ("p.tif", "m.tif"):
        with rasterio.open(Path(run.folder, name)) as dataset:
            assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert dataset.overviews(1) == [2, 4, 8]
