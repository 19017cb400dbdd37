"""Which split shows ground of training in validation, and how that is told."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from .conftest import LEFT, PIXEL, TOP, make


def test_blocks_do_not_leak(tmp_path, stack, landslides):
    _, written = make(tmp_path, stack, landslides)
    owner = np.zeros((256, 256), "U10")
    for sample in written.samples:
        column, row, width, height = sample.window
        patch = owner[row : row + height, column : column + width]
        assert set(np.unique(patch)) <= {"", sample.split}
        patch[:] = sample.split


def test_random_split_is_named_so(tmp_path, stack, landslides):
    _, written = make(tmp_path, stack, landslides, split="random", test=0.2)
    assert written.split == "random by patch"
    assert all(written.of_split(name) for name in ("train", "validation", "test"))


def too_good(events):
    """Return how many patches are told to show ground of training, and of how many."""
    words = [event["text"].split() for event in events if "too good" in event.get("text", "")]
    return [(int(each[0]), int(each[2])) for each in words]


def test_a_random_split_of_overlapping_patches_is_told(tmp_path, stack, landslides):
    """Landslides of 6 pixels lie in up to nine windows of 32 at a stride of 16."""
    events = []
    make(tmp_path / "overlap", stack, landslides, events, split="random")
    ((shared, judging),) = too_good(events)
    assert judging / 2 < shared <= judging
    for name, options in (("apart", {"split": "random", "stride": 32}), ("blocks", {})):
        events = []
        make(tmp_path / name, stack, landslides, events, **options)
        assert not too_good(events)


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:32633"])
def test_a_random_split_of_two_dates_of_one_place_is_told(
    tmp_path, stack, landslides, make_raster, crs
):
    """Windows that don't overlap at one date meet those of the other."""
    with rasterio.open(stack) as source:
        later = source.read() + 1
    place = from_origin(LEFT, TOP, PIXEL, PIXEL)
    if crs == "EPSG:32633":
        place = from_origin(28280, 5017450, PIXEL, PIXEL)  # the same ground, from zone 33
    other = make_raster("later.tif", later, crs, place, -9999, ["a", "b"])
    events = []
    make(tmp_path / "two", [stack, other], landslides, events, split="random", stride=32)
    ((shared, judging),) = too_good(events)
    assert shared > judging / 2
    events = []
    _, written = make(tmp_path / "blocks", [stack, other], landslides, events, stride=32)
    assert not too_good(events) and len({sample.source for sample in written.samples}) == 2
