"""Tiles that are views of whole images: at any place, of any share of the image's side."""

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN
from landslide_mapper.landslide_plugin.training.tiles.augmentation import VIEW, Augmentation
from landslide_mapper.landslide_plugin.training.tiles.cutting import Patch

DRAWS = 400


def ramp(rows, cols):
    """Return a patch that rises by 1 a column, from 100, with a landslide in its middle."""
    labels = np.zeros((rows, cols), np.uint16)
    labels[rows // 2, cols // 2] = 1
    values = np.zeros((1, rows, cols), np.float32) + 100 + np.arange(cols, dtype=np.float32)
    return Patch(values, np.ones((rows, cols), bool), labels)


def views(patch, share, side):
    """Yield views of one share of the side, each as a tile of another chance."""
    augmentation = Augmentation((VIEW,), views=(share, share))
    for number in range(DRAWS):
        yield augmentation.cut(patch, (side, side), ["red"], np.random.default_rng(number))


@pytest.mark.parametrize(
    "shape, side, share",
    [((40, 40), 40, 0.5), ((40, 40), 20, 0.5), ((40, 40), 20, 1.4), ((160, 160), 20, 1.0)],
)
def test_a_view_brings_its_share_of_the_side_to_the_tile(shape, side, share):
    for tile in views(ramp(*shape), share, side):
        rises = np.diff(tile.values[0], axis=1)[tile.labels[:, 1:] != UNKNOWN]
        if rises.size:
            assert np.median(np.abs(rises)) == pytest.approx(share * shape[0] / side, rel=0.05)


@pytest.mark.parametrize("share", [0.5, 1.0, 1.4])
def test_labels_lie_where_their_ground_does(share):
    patch = ramp(80, 80)
    patch.labels[:] = patch.values[0] >= 140
    for tile in views(patch, share, 20):
        known = tile.labels != UNKNOWN
        step = share * 80 / 20
        # a pixel's value is its middle's, which lies between the columns 39 and 40 at the edge
        assert (tile.values[0][known & (tile.labels == 0)] <= 139.5 + step / 2).all()
        assert (tile.values[0][known & (tile.labels == 1)] >= 139.5 - step / 2).all()


def test_images_of_any_size_are_brought_to_it():
    small, large = (next(views(ramp(side, side), 1.0, 32)) for side in (16, 128))
    np.testing.assert_allclose(large.values[0] - 100, (small.values[0] - 100) * 8, atol=16)


def test_the_centre_is_anywhere_so_that_of_a_whole_side_nine_sixteenths_are_inside():
    inside = [(tile.labels != UNKNOWN).mean() for tile in views(ramp(40, 40), 1.0, 40)]
    assert np.mean(inside) == pytest.approx(9 / 16, abs=0.02)


def test_what_lies_outside_is_mirrored_ground_without_a_label():
    for tile in views(ramp(40, 40), 1.4, 40):
        assert tile.valid.all()
        assert tile.values.min() >= 100 and tile.values.max() <= 139
        assert (tile.labels == UNKNOWN).any()


def test_a_landslide_is_not_always_in_sight():
    def holds(tile):
        return bool(((tile.labels > 0) & (tile.labels < UNKNOWN)).any())

    patch = ramp(40, 40)
    ordinary = Augmentation(())
    assert 0.1 < np.mean([holds(tile) for tile in views(patch, 0.5, 20)]) < 0.5
    rngs = map(np.random.default_rng, range(20))
    assert all(holds(ordinary.cut(patch, (20, 20), ["red"], rng)) for rng in rngs)


def test_shares_are_drawn_between_both_in_either_order():
    augmentation = Augmentation((VIEW,), views=(1.4, 0.5))
    rng = np.random.default_rng(0)
    steps = [augmentation._step(ramp(40, 40), (40, 40), rng) for _ in range(DRAWS)]
    assert 0.5 <= min(steps) < 0.52 and 1.38 < max(steps) <= 1.4


def test_a_piece_of_a_tile_shows_its_share_of_the_side_itself():
    """A scene that is read coarsely holds such pieces: much ground on few pixels, side by side."""
    augmentation = Augmentation((VIEW,), views=(0.5, 0.5))
    tile = augmentation.cut(ramp(40, 40), (10, 10), ["red"], np.random.default_rng(0))
    assert np.median(np.abs(np.diff(tile.values[0], axis=1))) == pytest.approx(0.5 * 40 / 10)
    tile = augmentation.cut(ramp(40, 40), (5, 20), ["red"], np.random.default_rng(0))
    assert np.median(np.abs(np.diff(tile.values[0], axis=1))) == pytest.approx(0.5 * 40 / 10)
