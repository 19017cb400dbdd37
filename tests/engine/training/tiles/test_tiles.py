"""Which pixels reach the network, and how."""

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN, SampleSet
from landslide_mapper.landslide_plugin.training.loop.instances import targets_of
from landslide_mapper.landslide_plugin.training.tiles import batches as module
from landslide_mapper.landslide_plugin.training.tiles.augmentation import Augmentation
from landslide_mapper.landslide_plugin.training.tiles.batches import Tiles


def tiles_of(folder, size, bands=None, seed=1):
    samples = SampleSet.read(folder)
    return Tiles(samples, bands or samples.bands, size, seed)


def test_known_pixels_are_scaled_by_the_sets_statistics(make_samples):
    tiles = tiles_of(make_samples(), 32)
    batches = list(tiles.train_batches(0, 5))
    images = np.concatenate([batch.images.numpy() for batch in batches])
    labels = np.concatenate([batch.labels for batch in batches])
    known = images.transpose(1, 0, 2, 3)[:, labels != UNKNOWN]
    np.testing.assert_allclose(known.mean(1), 0, atol=1e-4)
    np.testing.assert_allclose(known.std(1), 1, atol=1e-4)
    assert (labels == UNKNOWN).sum() == 12 * 4
    for image, label in zip(images, labels, strict=True):
        assert np.isin(image[:, label == UNKNOWN], image[:, label != UNKNOWN]).all()


def test_bands_are_picked_by_name(make_samples):
    folder = make_samples(bands=("slope", "ndvi", "red"))
    both = next(tiles_of(folder, 32).validation_batches(1)).images
    picked = next(tiles_of(folder, 32, ["red", "slope"]).validation_batches(1)).images
    np.testing.assert_array_equal(picked[0, 0], both[0, 2])
    np.testing.assert_array_equal(picked[0, 1], both[0, 0])


@pytest.mark.parametrize("count, sizes", [(12, [12]), (5, [4, 4, 4]), (11, [6, 6])])
def test_batches_are_of_nearly_equal_size(make_samples, count, sizes):
    tiles = tiles_of(make_samples(), 32)
    assert [len(batch.labels) for batch in tiles.train_batches(0, count)] == sizes
    assert tiles.train_steps(count) == len(sizes)


def test_epochs_differ_and_seeds_repeat(make_samples):
    folder = make_samples()

    def first(seed, epoch):
        return next(tiles_of(folder, 32, seed=seed).train_batches(epoch, 12)).images.numpy()

    assert np.array_equal(first(1, 0), first(1, 0))
    assert not np.array_equal(first(1, 0), first(1, 1))
    assert not np.array_equal(first(1, 0), first(2, 0))


def test_patches_beyond_the_memory_are_read_again_alike(make_samples, monkeypatch):
    folder = make_samples()
    kept = [batch.images.numpy() for batch in tiles_of(folder, 32).train_batches(0, 4)]
    monkeypatch.setattr(module, "available_memory", lambda: 80_000)
    tiles = tiles_of(folder, 32)
    read = [batch.images.numpy() for batch in tiles.train_batches(0, 4)]
    np.testing.assert_array_equal(np.concatenate(kept), np.concatenate(read))
    assert 0 < len(tiles._kept) < 12


def test_a_tile_of_a_larger_patch_always_holds_landslide(make_samples):
    tiles = tiles_of(make_samples(train=30, shape=(70, 90)), 16)
    labels = np.concatenate([batch.labels for batch in tiles.train_batches(0, 10)])
    assert labels.shape == (30, 16, 16)
    assert ((labels > 0) & (labels < UNKNOWN)).any((1, 2)).all()


def test_validation_tiles_cover_every_pixel_once(make_samples):
    folder = make_samples(shape=(40, 50))
    tiles = tiles_of(folder, 32)
    labels = np.concatenate([batch.labels for batch in tiles.validation_batches(3)])
    samples = SampleSet.read(folder)
    whole = [samples.load(sample)[2] for sample in samples.of_split("validation")]
    assert len(labels) == 4 * 4
    assert (labels != UNKNOWN).sum() == sum((patch != UNKNOWN).sum() for patch in whole)
    np.testing.assert_array_equal(labels[0], whole[0][:32, :32])
    np.testing.assert_array_equal(labels[3][24:, 14:], whole[0][32:, 32:])
    assert (labels[3][:24] == UNKNOWN).all() and (labels[3][:, :14] == UNKNOWN).all()


def test_validation_tiles_at_the_edge_see_what_is_around_them(make_samples):
    folder = make_samples(shape=(40, 50))
    images = next(tiles_of(folder, 32).validation_batches(4)).images
    one, last = images[0, :, 8:, 18:], images[3, :, :24, :14]
    np.testing.assert_array_equal(one, last)
    assert (last != 0).any()


def test_a_patch_smaller_than_the_tile_goes_on_mirrored_of_no_known_label(make_samples):
    tiles = tiles_of(make_samples(shape=(20, 24)), 32)
    for batch in (next(tiles.train_batches(0, 12)), next(tiles.validation_batches(4))):
        assert ((batch.labels != UNKNOWN).sum((1, 2)) == 20 * 24 - 4).all()
    image = batch.images[0].numpy()
    np.testing.assert_array_equal(image[:, 20:], image[:, 18:6:-1])
    np.testing.assert_array_equal(image[:, :, 24:], image[:, :, 22:14:-1])


def test_chens_copies_are_of_landslides_alone_so_that_these_are_less_rare(make_samples):
    """6 patches with landslide to 18 without become 24 to 18, in patches as in pixels."""
    samples = SampleSet.read(make_samples(train=6, background=18, bands=("red", "slope")))
    chen = Augmentation.parse(["mean_filter", "gamma", "noise"])
    tiles = Tiles(samples, samples.bands, 32, 1, augmentation=chen)
    assert (tiles.epoch_size, tiles.train_steps(10)) == (42, 5)
    batches = list(tiles.train_batches(1, 10))
    labels = np.concatenate([batch.labels for batch in batches])
    reds = np.concatenate([batch.images.numpy()[:, 0] for batch in batches])
    landslide = (labels > 0) & (labels != UNKNOWN)
    held = landslide.any((1, 2))
    assert (held.sum(), (~held).sum()) == (24, 18)
    pixels = sum(sample.landslide_pixels for sample in samples.of_split("train"))
    assert landslide.sum() == 4 * pixels
    train = [tiles._patch(sample).values[0] for sample in samples.of_split("train")]
    untouched = {tuple(np.round((red - tiles.mean[0]) / tiles.std[0], 3)[9]) for red in train}
    alike = np.array([tuple(np.round(red, 3)[9]) in untouched for red in reds])
    assert alike[~held].all() and alike[held].sum() == 6


def test_constant_bands_are_found(make_samples):
    tiles = tiles_of(make_samples(constant=1), 32)
    assert tiles.scan(Progress()) == ["slope"]


def test_targets_of_known_labels():
    labels = np.zeros((10, 12), np.uint16)
    labels[2:5, 3:9] = 4
    labels[7, 1:3] = 9  # too small to ask for
    labels[8:, 8:] = UNKNOWN
    targets = targets_of(labels)
    assert targets["boxes"].tolist() == [[3, 2, 9, 5]]
    assert targets["labels"].tolist() == [1]
    assert targets["masks"].sum().item() == 18
    empty = targets_of(np.zeros((10, 12), np.uint16))
    assert [tuple(empty[key].shape) for key in ("boxes", "masks")] == [(0, 4), (0, 10, 12)]
