"""Samples averaged to coarser pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.samples.averaging import at_resolution, average
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN, SampleSet
from landslide_mapper.landslide_plugin.samples.sample_writer import SampleWriter
from rasterio.transform import from_origin


def pixels(values, labels=None, valid=None):
    values = np.asarray(values, np.float32)
    shape = values.shape[1:]
    return (
        values,
        np.ones(shape, bool) if valid is None else np.asarray(valid, bool),
        np.zeros(shape, np.uint16) if labels is None else np.asarray(labels, np.uint16),
    )


def test_a_pixel_is_the_mean_of_the_valid_ones_it_covers():
    values = [[[1, 3, 10, 99], [5, 7, 20, 99]]]
    valid = [[1, 1, 1, 0], [1, 1, 1, 0]]
    averaged, kept, _ = average(pixels(values, valid=valid), (1, 2), ["red"])
    assert averaged.tolist() == [[[4, 15]]] and kept.all()


def test_parts_of_pixels_count_by_their_area():
    averaged, _, _ = average(pixels([[[0, 30, 90]]]), (1, 2), ["red"])
    assert averaged[0, 0].tolist() == [pytest.approx(10), pytest.approx(70)]


def test_where_less_than_half_is_valid_nothing_is():
    valid = [[1, 0, 0], [0, 0, 0]]
    averaged, kept, labels = average(pixels(np.ones((1, 2, 3)), valid=valid), (1, 1), ["red"])
    assert (averaged[0, 0, 0], kept[0, 0], labels[0, 0]) == (0, False, UNKNOWN)


@pytest.mark.parametrize(
    "labels, label",
    [
        ([[1, 1], [0, 0]], 1),
        ([[1, 0], [0, 0]], 0),
        ([[3, 2], [2, 0]], 2),
        ([[UNKNOWN, UNKNOWN], [4, 0]], 4),
        ([[UNKNOWN, UNKNOWN], [UNKNOWN, 4]], UNKNOWN),
    ],
)
def test_landslide_is_what_half_of_the_known_ground_is(labels, label):
    _, _, found = average(pixels(np.ones((1, 2, 2)), labels), (1, 1), ["red"])
    assert found.tolist() == [[label]]


def test_directions_are_not_averaged_over_north():
    averaged, _, _ = average(pixels([[[350.0, 350, 10]]]), (1, 1), ["aspect"])
    assert averaged.tolist() == [[[350]]]


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_the_mean_of_all_pixels_stays(rows, cols, data):
    shape = data.draw(st.integers(1, rows)), data.draw(st.integers(1, cols))
    values = np.random.default_rng(0).normal(size=(1, rows, cols))
    averaged, _, _ = average(pixels(values), shape, ["red"])
    assert averaged.shape == (1, *shape)
    assert averaged.mean() == pytest.approx(values.mean(), abs=1e-5)


@pytest.fixture
def folder(tmp_path):
    """Return a function that writes one patch of 8 x 6 pixels of some width."""

    def write(resolution):
        writer = SampleWriter(tmp_path, ["red"])
        values, valid, labels = pixels(np.arange(48.0).reshape(1, 6, 8), np.eye(6, 8))
        writer.add(
            values, valid, labels,
            split="train", source="image", window=(16, 4, 8, 6),
            transform=from_origin(500, 500, 1, 1),
        )  # fmt: skip
        writer.finish(
            resolution=resolution, crs=None, tile_size=8, split="none", seed=0, sources=["image"],
            before=(6, 42), progress=Progress(),
        )  # fmt: skip
        return SampleSet.read(tmp_path)

    return write


def test_a_set_of_half_the_resolution_is_read_by_half_its_pixels(folder):
    samples = at_resolution(folder(5.0), 10.0)
    (sample,) = samples.samples
    values, _, labels = samples.load(sample, ["red"])
    assert (samples.resolution, samples.tile_size, sample.window) == (10.0, 4, (8, 2, 4, 3))
    assert values[0, 0].tolist() == [4.5, 6.5, 8.5, 10.5] and values.shape == (1, 3, 4)
    assert labels.tolist() == np.eye(3, 4).tolist()


@pytest.mark.parametrize("resolution", [0.0, 5.0])
def test_a_set_of_that_resolution_stays_as_it_is(folder, resolution):
    samples = folder(5.0)
    assert at_resolution(samples, resolution) is samples


@pytest.mark.parametrize("own, sentence", [(5.0, "can't be made 2 m"), (None, "does not say how")])
def test_what_can_not_be_averaged_is_refused(folder, own, sentence):
    with pytest.raises(InputError, match=sentence):
        at_resolution(folder(own), 2.0)
