"""Some tiles end at an edge, beyond which is nodata, as windows at the edge of a scene do."""

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN, SampleSet
from landslide_mapper.landslide_plugin.training.tiles.augmentation import EDGES, Augmentation
from landslide_mapper.landslide_plugin.training.tiles.batches import Tiles
from landslide_mapper.landslide_plugin.training.tiles.cutting import Patch
from shapely import MultiPoint

SHAPE = (40, 60)
TILE = Patch(np.full((2, *SHAPE), 7, np.float32), np.ones(SHAPE, bool), np.ones(SHAPE, np.uint16))


@pytest.fixture(scope="module")
def tiles():
    augmentation = Augmentation.parse(["edge"])
    return [augmentation.hide(TILE, np.random.default_rng(seed)) for seed in range(400)]


def test_a_quarter_of_the_tiles_end_at_an_edge(tiles):
    fraction = np.mean([not tile.valid.all() for tile in tiles])
    assert fraction == pytest.approx(EDGES, abs=0.05)


def test_at_most_half_of_a_tile_is_nodata_and_not_known(tiles):
    for tile in tiles:
        assert tile.valid.mean() >= 0.49
        assert (tile.values == 7 * tile.valid).all()
        assert (tile.labels == np.where(tile.valid, 1, UNKNOWN)).all()


def test_the_edge_is_a_straight_line_of_any_direction(tiles):
    angles = []
    for tile in (tile for tile in tiles if not tile.valid.all()):
        shown, hidden = (MultiPoint(np.argwhere(part)) for part in (tile.valid, ~tile.valid))
        assert shown.convex_hull.disjoint(hidden.convex_hull)
        middle, beyond = shown.centroid, hidden.centroid
        angles.append(np.arctan2(beyond.y - middle.y, beyond.x - middle.x))
    assert np.histogram(angles, 4, (-np.pi, np.pi))[0].min() > 0


def test_tiles_end_only_where_that_is_asked_for():
    assert Augmentation().hide(TILE, np.random.default_rng(0)) is TILE


def test_the_network_sees_there_what_windows_hold_at_nodata(make_samples):
    samples = SampleSet.read(make_samples())
    tiles = Tiles(samples, samples.bands, 32, 1, augmentation=Augmentation.parse(["edge"]))
    batch = next(tiles.train_batches(0, 12))
    images, hidden = batch.images.numpy(), batch.labels == UNKNOWN
    whole = next(Tiles(samples, samples.bands, 32, 1).train_batches(0, 12))
    assert hidden.sum() > (whole.labels == UNKNOWN).sum()
    for number in np.flatnonzero(hidden.any((1, 2))):
        shown = np.argwhere(~hidden[number])
        for row, col in np.argwhere(hidden[number])[::17]:
            away = np.hypot(*(shown - (row, col)).T)
            nearest = shown[away == away.min()]
            seen = images[number][:, row, col]
            assert (seen == images[number][:, *nearest.T].T).all(axis=1).any()
