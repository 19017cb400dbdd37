"""Validation tiles of networks that read at several scales: as large as their coarsest reading."""

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN, SampleSet
from landslide_mapper.landslide_plugin.training.tiles.batches import Tiles


@pytest.mark.parametrize(
    "shape, coarsest, side",
    [
        ((40, 50), 1, 32),
        ((40, 50), 2, 64),
        ((40, 50), 4, 64),
        ((70, 200), 4, 128),
        ((20, 24), 4, 32),
        ((600, 40), 32, 512),
    ],
)
def test_they_grow_with_the_coarsest_reading_up_to_the_patch(make_samples, shape, coarsest, side):
    samples = SampleSet.read(make_samples(shape=shape))
    tiles = Tiles(samples, samples.bands, 32, 1, coarsest=coarsest)
    labels = np.concatenate([batch.labels for batch in tiles.validation_batches(4)])
    assert labels.shape[1:] == (side, side)
    whole = [samples.load(sample)[2] for sample in samples.of_split("validation")]
    assert (labels != UNKNOWN).sum() == sum((patch != UNKNOWN).sum() for patch in whole)
    assert len(tiles.validation_patches()) == len(labels)
    assert (next(tiles.train_batches(0, 12)).labels.shape[1:]) == (32, 32)


def test_a_batch_of_them_has_no_more_pixels_than_one_of_trainings(make_samples):
    samples = SampleSet.read(make_samples(shape=(60, 60)))
    tiles = Tiles(samples, samples.bands, 32, 1, coarsest=2)
    sizes = [len(batch.labels) for batch in tiles.validation_batches(12)]
    assert sizes[0] == 3 and sum(sizes) == len(samples.of_split("validation"))
    assert tiles.validation_steps(12) == len(sizes)
    assert tiles.validation_steps(1) == sum(sizes)


def test_patches_of_unlike_sizes_go_through_with_those_of_their_size(make_samples):
    samples = SampleSet.read(make_samples(shape=(60, 60)))
    others = SampleSet.read(make_samples("others", shape=(30, 90)))
    tiles = Tiles(samples, samples.bands, 32, 1, coarsest=4)
    small, large = (each.of_split("validation")[:1] for each in (samples, others))
    mixed = Tiles(others, samples.bands, 32, 1, coarsest=4, validation=[*large, *small])
    assert {cut.side for cut in tiles._cuts} == {64}
    assert [cut.side for cut in mixed._cuts] == [64, 96]
    assert mixed.validation_steps(16) == 2
    assert mixed.validation_name(1).endswith("column 0, row 0")
