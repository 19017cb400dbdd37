"""Landslides before other backgrounds: pixels move with all bands and their labels."""

import numpy as np
import pytest
import torch
from landslide_mapper.landslide_plugin.contract.choices import Train
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN, SampleSet
from landslide_mapper.landslide_plugin.training.tiles import batches as module
from landslide_mapper.landslide_plugin.training.tiles.augmentation import NAMES, Augmentation
from landslide_mapper.landslide_plugin.training.tiles.batches import Tiles
from landslide_mapper.landslide_plugin.training.tiles.cutting import Patch
from landslide_mapper.landslide_plugin.training.tiles.enhancement import (
    landslide_box,
    lay,
    paste,
    splice,
)


def patch_of(number, labels):
    """Band 0 says which patch, band 1 which pixel: where a pixel comes from is in itself."""
    labels = np.asarray(labels, np.uint16)
    positions = np.arange(labels.size, dtype=np.float32).reshape(labels.shape)
    return Patch(np.stack([np.full_like(positions, number), positions]), labels != UNKNOWN, labels)


def landslides():
    labels = np.zeros((40, 50), np.uint16)
    labels[5:15, 5:20] = 1
    labels[10:20, 18:30] = 2
    labels[30:35, 40:44] = 3
    labels[25:, :5] = UNKNOWN
    return patch_of(1, labels)


@pytest.mark.parametrize("seed", range(20))
def test_spliced_tiles_hold_one_landslide_piece_and_three_of_background(seed):
    rng = np.random.default_rng(seed)
    shapes, numbers = [], iter(range(2, 9))

    def take(wanted, shape):
        shapes.append((wanted, shape))
        return patch_of(1 if wanted else next(numbers), np.full(shape, int(wanted)))

    tile = splice(take, 2, 32, rng)
    assert [wanted for wanted, _ in shapes].count(True) == 1
    assert set(np.unique(tile.values[0])) == {1, 2, 3, 4}
    assert ((tile.values[0] == 1) == (tile.labels == 1)).all()
    assert tile.valid.all()
    for _, (height, width) in shapes:
        assert 9 <= min(height, width) <= max(height, width) <= 23


@pytest.mark.parametrize("seed", range(20))
def test_a_box_holds_a_whole_landslide_and_what_lies_around(seed):
    source = landslides()
    box = landslide_box(source, 64, np.random.default_rng(seed))
    rows, cols = np.divmod(box.values[1].astype(int), 50)
    assert (source.labels[rows, cols] == box.labels).all()
    sizes = {(10, 15): 1, (10, 12): 2, (5, 4): 3}
    assert ((source.labels == sizes[box.shape]).sum()) == (box.labels == sizes[box.shape]).sum()


def test_of_a_large_box_a_part_with_landslide_is_taken():
    for seed in range(20):
        box = landslide_box(landslides(), 8, np.random.default_rng(seed))
        assert max(box.shape) <= 8
        assert box.landslide.any()


def test_pasted_pixels_move_with_all_bands_and_labels():
    source = landslides()
    for seed in range(30):
        rng = np.random.default_rng(seed)
        labels = np.zeros((40, 40), np.uint16)
        labels[0, :10] = UNKNOWN
        target = patch_of(7, labels)
        tile = paste(target, landslide_box(source, 40, rng), rng)
        pasted = tile.values[0] == 1
        rows, cols = np.divmod(tile.values[1][pasted].astype(int), 50)
        truth = source.labels[rows, cols]
        assert ((truth > 0) == (tile.labels[pasted] > 0)).all()
        np.testing.assert_array_equal(tile.labels[~pasted], target.labels[~pasted])
        np.testing.assert_array_equal(tile.values[:, ~pasted], target.values[:, ~pasted])
        assert (target.values[0] == 7).all()


def test_numbers_stay_unique_and_unknown_stays_unknown():
    tile = patch_of(2, np.pad(np.full((4, 4), 3), ((0, 16), (0, 16))))
    labels = np.full((6, 6), 3)
    labels[0], labels[1], labels[2] = UNKNOWN, 0, 8
    lay(tile, patch_of(1, labels), 2, 2)
    assert tile.labels[0, 0] == 3
    assert (tile.labels[2, 2:8] == UNKNOWN).all()
    assert (tile.labels[3, 2:8] == 0).all()
    assert {*np.unique(tile.labels)} == {0, 3, 4, 5, UNKNOWN}


def tiles_of(folder, size=32, **options):
    samples = SampleSet.read(folder)
    return Tiles(samples, samples.bands, size, 1, **options)


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (0.5, 60, 140), (1.0, 200, 200)])
def test_the_share_of_enhanced_tiles(make_samples, monkeypatch, share, low, high):
    tiles = tiles_of(make_samples(), enhancement=share)
    seen = []
    original = Tiles._enhanced

    def enhanced(*args):
        seen.append(1)
        return original(*args)

    monkeypatch.setattr(Tiles, "_enhanced", enhanced)
    for number in range(200):
        tiles._train_tile(number // 12, number % 12)
    assert low <= len(seen) <= high


def test_enhanced_background_holds_landslide(make_samples):
    tiles = tiles_of(make_samples(background=6), enhancement=1.0)
    assert len(tiles._backgrounds) == 6
    for number in range(18):
        for epoch in range(4):
            tile = tiles._train_tile(epoch, number)
            assert tile.landslide.any()
            assert tile.shape == (32, 32)
            assert (tile.labels[~tile.valid] == UNKNOWN).all()


def test_the_same_tiles_whatever_the_threads(make_samples, monkeypatch):
    """Also from a batch on in the middle of an epoch."""
    folder = make_samples(background=6)
    options = {"augmentation": Augmentation(NAMES), "enhancement": 0.5}
    written = {}
    before = torch.get_num_threads()
    for threads in (1, 4):
        monkeypatch.setattr(module, "AHEAD", threads)
        torch.set_num_threads(threads)
        batches = list(tiles_of(folder, **options).train_batches(3, 4))
        written[threads] = [batch.images.numpy().tobytes() for batch in batches]
    torch.set_num_threads(before)
    assert written[1] == written[4]
    rest = tiles_of(folder, **options).train_batches(3, 4, first=2)
    assert [batch.images.numpy().tobytes() for batch in rest] == written[1][2:]


def test_patches_can_be_chosen(make_samples):
    folder = make_samples()
    samples = SampleSet.read(folder)
    tiles = tiles_of(folder, train=samples.samples[10:14], validation=samples.samples[:3])
    assert sum(len(batch.labels) for batch in tiles.train_batches(0, 3)) == 4
    assert sum(len(batch.labels) for batch in tiles.validation_batches(2)) == 3
    np.testing.assert_array_equal(
        next(tiles.validation_batches(1)).labels[0], samples.load(samples.samples[0])[2]
    )


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_beyond_its_range_is_refused(share):
    assert Train.ENHANCEMENT.problem(share) == "choose from 0 to 1"
