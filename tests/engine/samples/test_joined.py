"""Several folders of samples as one set."""

from pathlib import Path

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.samples.joined import join
from landslide_mapper.landslide_plugin.samples.sample_set import SampleSet
from landslide_mapper.landslide_plugin.samples.sample_writer import SampleWriter
from landslide_mapper.landslide_plugin.samples.splits import folds
from landslide_mapper.landslide_plugin.training.tiles.batches import Tiles
from rasterio.transform import from_origin

SPLITS = ["train"] * 6 + ["validation"] * 2 + ["test"]


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a folder of patches 8 x 8, a third of them landslide."""

    def make(name, bands=("a", "b"), level=0, resolution=10.0, units=(), **change):
        folder = tmp_path / name
        folder.mkdir()
        writer = SampleWriter(folder, list(bands), units=units)
        random = np.random.default_rng(level)
        labels = np.zeros((8, 8), np.uint16)
        labels[:, : change.get("landslide", 2)] = 1
        for number, split in enumerate(SPLITS):
            values = np.stack(
                [random.normal(level + 10 * ord(band[0]), 1 + level, (8, 8)) for band in bands]
            )
            writer.add(
                values.astype(np.float32), np.ones((8, 8), bool), labels, split=split,
                source=change.get("source", name), window=(8 * number, 0, 8, 8), block=number,
                transform=from_origin(0, 0, 10, 10),
            )  # fmt: skip
        return writer.finish(
            split="blocks", seed=0, tile_size=8, resolution=resolution, crs=None,
            sources=[change.get("source", name)], progress=Progress(),
        )  # fmt: skip

    return make


def test_statistics_are_those_of_the_train_patches_of_all(write):
    sets = [write("one"), write("two", level=3, landslide=4)]
    joined = join(sets, [], False, Progress())
    values = np.concatenate(
        [one.load(sample)[0].reshape(2, -1) for one in sets for sample in one.of_split("train")], 1
    )
    assert joined.mean == pytest.approx(values.mean(axis=1), rel=1e-5)
    assert joined.std == pytest.approx(values.std(axis=1), rel=1e-4)
    assert joined.imbalance == pytest.approx((2 + 4) / 16)
    assert joined.sources == ["one", "two"]


def test_bands_are_found_by_name_and_patches_in_their_folder(write):
    sets = [write("one", ("a", "b")), write("two", ("c", "b", "a"), level=5)]
    joined = join(sets, [], False, Progress())
    assert joined.bands == ["a", "b"] and len({s.id for s in joined.samples}) == 9 + 6
    for sample in joined.samples:
        number = joined.folder_number(sample)
        own = next(each for each in sets[number].samples if sample.id.endswith(each.id))
        for one, two in zip(joined.load(sample), sets[number].load(own, ["a", "b"]), strict=True):
            assert (one == two).all()
        assert Path(joined.image_path(sample)).parent.parent == sets[number].folder


@pytest.mark.parametrize("band, level, warned", [("red", 99, 1), ("red", 3, 0), ("a", 99, 0)])
def test_imagery_that_is_in_other_units_as_it_seems_is_warned_of(write, band, level, warned):
    events = []
    sets = [write("one", (band, "b")), write("two", (band, "b"), level=level)]
    join(sets, [], False, Progress(events.append))
    told = f"The numbers of {band} vary more than 10 times as much in one of"
    assert any(event.get("text", "").startswith(told) for event in events) == bool(warned)


def test_the_first_folder_alone_judges_unless_asked(write):
    sets = [write("one"), write("two")]
    events = []
    alone = join(sets, [], False, Progress(events.append))
    assert [len(alone.of_split(name)) for name in ("train", "validation", "test")] == [12, 2, 1]
    assert all(alone.judges(sample) for sample in alone.of_split("validation"))
    assert any(event["text"].startswith("3 validation and test samples") for event in events)
    both = join(sets, [], True, Progress())
    assert [len(both.of_split(name)) for name in ("train", "validation", "test")] == [12, 4, 2]


def test_in_folds_further_folders_are_trained_on_each_time(write):
    joined = join([write("one"), write("two")], [], False, Progress())
    for train, validation in folds(joined, 4, 0):
        assert sum(joined.folder_number(sample) == 1 for sample in train) == 6
        assert len(validation) == 2 and {joined.folder_number(s) for s in validation} == {0}


@pytest.mark.parametrize("weight", [0.25, 0.5, 1, 1.5, 3])
def test_a_weight_is_how_often_a_patch_is_drawn(write, weight):
    joined = join([write("one"), write("two")], [1, weight], False, Progress())
    tiles = Tiles(joined, joined.bands, 8, 0)
    assert tiles.epoch_size == 6 + int(6 * weight)
    drawn = {0: 0, 1: 0}
    epochs = 40
    for epoch in range(epochs):
        order = tiles._order(epoch)
        assert len(order) == len(set(order)) == tiles.epoch_size
        for number in order:
            drawn[joined.folder_number(tiles._drawn[number][0])] += 1
    assert drawn[1] / drawn[0] == pytest.approx(weight, rel=0.08)
    assert sum(len(batch.labels) for batch in tiles.train_batches(1, 4)) == tiles.epoch_size


def test_ground_that_judges_and_is_trained_on_elsewhere_is_told_of(write):
    events = []
    one, two = write("one", source="s.tif"), write("two", source="s.tif")
    seen = [s for s in two.samples if s.split == "train"]
    moved = [s.__class__(**{**s.__dict__, "window": (56, 0, 8, 8)}) for s in seen]
    two.samples[:] = moved
    join([one, two], [], False, Progress(events.append))
    told = [event["text"] for event in events if event["type"] == "warning"]
    assert len(told) == 1 and told[0].startswith("1 of 3 validation and test samples show ground")


@pytest.mark.parametrize(
    ("change", "weights", "sentence"),
    [
        ({"bands": ("x",)}, [], "No band is in all folders"),
        ({"resolution": 30.0}, [], "has pixels of 30 m, but .* of 10 m: resample"),
        ({"units": ("reflectance", "")}, [], "The band a is reflectance in one of"),
        ({"units": ("levels", "")}, [], "The band a holds levels in one of"),
        ({}, [1, 2, 3], "3 weights are given for 2 folders"),
    ],
)
def test_folders_that_do_not_go_together_are_refused(write, change, weights, sentence):
    first = write("one", units=("", "") if "units" in change else ())
    with pytest.raises(InputError, match=sentence):
        join([first, write("two", **change)], weights, False, Progress())


def test_a_folder_twice_is_refused(write):
    one = write("one")
    with pytest.raises(InputError, match="given twice"):
        join([one, SampleSet.read(one.folder)], [], False, Progress())
