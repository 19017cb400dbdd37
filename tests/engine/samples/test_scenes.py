"""Split by scene: whole stacks are held out, and those of one ground stay together."""

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.samples.splits import folds
from rasterio.transform import from_origin

from .conftest import LEFT, PIXEL, TOP, make


@pytest.fixture
def valleys(make_raster, make_polygons, square):
    """Five stacks of 64 x 64 pixels beside each other, the third at two dates; with landslides."""
    random = np.random.default_rng(0)
    paths = []
    for name, number in (("a", 0), ("b", 1), ("c", 2), ("c_later", 2), ("d", 3), ("e", 4)):
        transform = from_origin(LEFT + number * 64 * PIXEL, TOP, PIXEL, PIXEL)
        values = random.normal(5, 2, (1, 64, 64)).astype(np.float32)
        paths.append(make_raster(f"{name}.tif", values, transform=transform, bands=["x"]))
    shapes = [square(64 * number + 28, 28, 6) for number in range(5)]
    return paths, make_polygons("valleys.gpkg", shapes)


def held_out(written):
    """Which sources each split has."""
    return {
        name: {sample.source for sample in written.of_split(name)}
        for name in ("train", "validation", "test")
    }


def test_a_stack_is_in_one_split_with_all_that_shows_its_ground(tmp_path, valleys):
    paths, landslides = valleys
    chosen = set()
    for seed in range(6):
        _, written = make(
            tmp_path / str(seed), paths, landslides, split="scene", test=0.2, seed=seed
        )
        sources = held_out(written)
        assert set().union(*sources.values()) == set(paths)
        assert sum(map(len, sources.values())) == len(paths) and all(sources.values())
        assert any({paths[2], paths[3]} <= each for each in sources.values()), "two dates"
        assert written.split == "scenes"
        chosen.add(frozenset(sources["validation"]))
    assert len(chosen) > 1, "the seed chooses"


def test_the_same_seed_holds_out_the_same_stacks_and_says_which(tmp_path, valleys):
    paths, landslides = valleys
    events, sources = [], []
    for name in ("one", "two"):
        _, written = make(tmp_path / name, paths, landslides, events, split="scene", seed=3)
        sources.append(held_out(written))
    assert sources[0] == sources[1]
    told = [event["text"] for event in events if event.get("text", "").startswith("Held out")]
    assert len(told) == 2 and all(path in told[0] for path in sources[0]["validation"])


def test_folds_keep_scenes_whole(tmp_path, valleys):
    paths, landslides = valleys
    _, written = make(tmp_path, paths, landslides, split="scene")
    for train, validation in folds(written, 3, 0):
        assert {sample.source for sample in train}.isdisjoint(
            sample.source for sample in validation
        )


@pytest.mark.parametrize("which, test", [([0], 0), ([2, 3], 0), ([0, 1], 0.2)])
def test_too_few_scenes_are_refused_in_a_sentence(tmp_path, valleys, which, test):
    paths, landslides = valleys
    with pytest.raises(InputError, match=r"holds out whole stacks, and \d with .*: add stacks"):
        make(tmp_path, [paths[number] for number in which], landslides, split="scene", test=test)
