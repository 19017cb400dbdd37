"""A scene in many files gives the maps of the scene in one, bit by bit: commands on real tiles."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.answer import run_command
from landslide_mapper.landslide_plugin.contract.errors import OutputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference.resume import identity
from landslide_mapper.landslide_plugin.raster import Source

from ..raster.tiling import build_vrt, checkerboard, cut

ROOT = Path(__file__).resolve().parents[3]
MODEL = str(ROOT / "models" / "weights" / "sentinel2-rgb.safetensors")
SHAPE = (300, 340)
NAMES = {"image": ("blue", "green", "red"), "dem": ("elevation",)}
OVERLAPPING = [(0, 0, 340, 170), (0, 100, 200, 200), (130, 150, 210, 150)]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def iburi(data_dir, tmp_path_factory):
    """A part of the scene and of its DEM, as files: whole, nine and three that overlap."""
    folder = tmp_path_factory.mktemp("iburi")
    for name, file in (("image", "s2_post_B02B03B04_utm54n_10m"), ("dem", "dsm_aw3d30_utm54n_10m")):
        (part,) = cut(data_dir / f"iburi_s2/{file}.tif", folder, [(300, 250, *SHAPE[::-1])])
        whole = Path(part).rename(folder / f"{name}.tif")
        with rasterio.open(whole, "r+") as dataset:
            dataset.descriptions = NAMES[name]
        cut(whole, folder / f"{name}_9", checkerboard(SHAPE, (90, 217), (70, 200)))
        cut(whole, folder / f"{name}_3", OVERLAPPING)
    return folder


def contents(path):
    with rasterio.open(path) as dataset:
        return dataset.read(), dataset.transform, dataset.descriptions


def run(command, output, **parameters):
    key = "probability" if command == "predict" else "output"
    run_command(command, {**parameters, key: str(output)}, Progress())
    return contents(output)


def assert_same(result, expected):
    assert result[1:] == expected[1:]
    np.testing.assert_array_equal(result[0], expected[0])


@pytest.fixture(scope="module")
def mapped(iburi):
    return predicted(iburi / "image.tif", iburi / "whole.tif")


def predicted(stack, output):
    return run("predict", output, stack=str(stack), model=MODEL, device="cpu", runtime="torch")


@pytest.mark.parametrize("tiles", ["image_9", "image_3", "vrt"])
def test_a_scene_in_tiles_is_mapped_as_the_whole(iburi, mapped, tmp_path, tiles):
    if tiles == "vrt":
        files = sorted(map(str, (iburi / "image_9").glob("*.tif")))
        stack = build_vrt(tmp_path / "scene.vrt", *files)
    else:
        stack = iburi / tiles
    assert mapped[0].max() > 0.5
    assert_same(predicted(stack, tmp_path / "p.tif"), mapped)


def test_factors_of_a_dem_in_tiles_are_those_of_the_whole(iburi, tmp_path):
    options = {"factors": ["slope", "plan_curvature", "twi"], "radii": [60], "smoothing": 15}
    results = [
        run("terrainfactors", tmp_path / f"{name}.tif", input=str(iburi / name), **options)
        for name in ("dem.tif", "dem_9", "dem_3")
    ]
    assert_same(results[1], results[0])
    assert_same(results[2], results[0])


def test_a_stack_of_layers_in_tiles_is_that_of_whole_layers(iburi, tmp_path):
    results = [
        run("stack", tmp_path / "s.tif", layers=[str(iburi / f"{name}{end}") for name in NAMES])
        for end in (".tif", "_9")
    ]
    assert results[1][2] == ("blue", "green", "red", "elevation")
    assert_same(results[1], results[0])


def test_indices_of_an_image_in_tiles_are_those_of_the_whole(iburi, tmp_path):
    results = [
        run("spectralindices", tmp_path / f"{n}.tif", input=str(iburi / n), indices=["brightness"])
        for n in ("image.tif", "image_3")
    ]
    assert_same(results[1], results[0])


def test_no_tile_is_overwritten(iburi, tmp_path):
    listed = tmp_path / "list.txt"
    files = cut(iburi / "dem.tif", tmp_path / "tiles", checkerboard(SHAPE, (90,), ()))
    listed.write_text("\n".join(files))
    with pytest.raises(OutputError, match=r"tile_1.tif is an input of this run"):
        run("terrainfactors", files[1], input=str(listed))


def test_a_run_goes_on_only_with_the_same_tile_on_top(iburi, tmp_path):
    files = sorted(map(str, (iburi / "image_3").glob("*.tif")))
    facts = []
    for order in (files, files[::-1], files):
        (tmp_path / "list.txt").write_text("\n".join(order))
        with Source.open(tmp_path / "list.txt") as source:
            facts.append(identity(source))
    assert facts[0] == facts[2] != facts[1]
