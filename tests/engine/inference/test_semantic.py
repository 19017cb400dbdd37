"""Semantic prediction by blended windows."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.contract.errors import ModelFileError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference.predictor import Predictor
from landslide_mapper.landslide_plugin.inference.runtimes.runtime import Member
from landslide_mapper.landslide_plugin.inference.runtimes.torch_runtime import TorchRuntime
from landslide_mapper.landslide_plugin.inference.semantic import map_probability
from landslide_mapper.landslide_plugin.inference.tiling import Tiling
from landslide_mapper.landslide_plugin.inference.windows import Area, Reader
from landslide_mapper.landslide_plugin.raster import Source
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.registry import build
from torch import nn

CARD = ModelCard(
    name="small",
    architecture="fc_densenet",
    arguments={},
    task="semantic-segmentation",
    bands=["a", "b"],
    mean=[0.2, -0.1],
    std=[1.5, 0.5],
    resolution=10.0,
    tile_size=32,
    classes=["background", "landslide"],
)


def convolutions(layers=2):
    """A network that sees `layers` pixels around each pixel."""
    torch.manual_seed(3)
    channels = [2, *[8] * (layers - 1), 2]
    parts = []
    for before, after in pairwise(channels):
        parts += [nn.Conv2d(before, after, 3, padding=1), nn.Tanh()]
    return nn.Sequential(*parts[:-1]).eval()


class Mosaic:
    """Keeps what is written, and checks that each row comes once and in order."""

    def __init__(self, grid):
        self.values = np.full(grid.shape, np.nan, np.float32)
        self.valid = np.zeros(grid.shape, bool)
        self.next_row = 0
        self.tallest = 0

    def __call__(self, values, valid, window):
        assert window.row_off == self.next_row and window.col_off == 0
        rows = slice(self.next_row, self.next_row + window.height)
        self.values[rows], self.valid[rows] = values[0], valid
        self.next_row += window.height
        self.tallest = max(self.tallest, window.height)


def predictor(network, half=False):
    return Predictor([Member(TorchRuntime(network, torch.device("cpu"), half), CARD)])


def run(path, network, size=32, overlap=0.25, batch=3, area=None, half=False, progress=None):
    with Source.open(path) as source:
        tiling = Tiling(source.grid.shape, size, overlap)
        mosaic = Mosaic(source.grid)
        reader = Reader(source, CARD, tiling, area)
        map_probability(
            predictor(network, half),
            reader,
            source.grid,
            tiling,
            mosaic,
            batch_size=batch,
            progress=progress or Progress(),
        )
    assert mosaic.next_row == len(mosaic.values)
    return mosaic


def direct(values, network):
    mean = np.array(CARD.mean, "float32")[:, None, None]
    std = np.array(CARD.std, "float32")[:, None, None]
    with torch.no_grad():
        return network(torch.from_numpy((values - mean) / std)[None]).softmax(1)[0, 1].numpy()


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(size=(2, *shape)).astype("float32")


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.integers(32, 150),
    cols=st.integers(32, 150),
    size=st.sampled_from([16, 27, 32]),
    overlap=st.sampled_from([0.5, 0.6]),
    batch=st.integers(1, 7),
)
def test_windows_give_the_same_as_the_whole_image_at_once(
    make_raster, rows, cols, size, overlap, batch
):
    """The outer quarter of the overlap (2 px and more) covers what the network sees (2 px).

    At the right and lower border windows see a reflection where the whole image has zeros.
    """
    values, network = noise((rows, cols)), convolutions(2)
    path = make_raster("s.tif", values[::-1], bands=["b", "a"])
    mosaic = run(path, network, size, overlap, batch)
    assert mosaic.valid.all()
    inner = (slice(rows - 2), slice(cols - 2))
    np.testing.assert_allclose(mosaic.values[inner], direct(values, network)[inner], atol=1e-5)


def test_borders_too_are_the_same_where_windows_end_at_them(make_raster):
    values, network = noise((64, 112)), convolutions(2)
    mosaic = run(make_raster("s.tif", values, bands=["a", "b"]), network, 32, 0.5)
    np.testing.assert_allclose(mosaic.values, direct(values, network), atol=1e-5)


@pytest.mark.parametrize("levels", [1, 2])
def test_a_network_that_halves_its_images_gives_the_same_too(make_raster, levels):
    """Windows start at multiples of what it halves, and the overlap covers what it sees."""
    torch.manual_seed(0)
    network = build(
        "fc_densenet", 2, 2, growth_rate=4, layers=[1] * levels, middle_layers=1, first_channels=4
    ).eval()
    values = noise((224, 288))
    mosaic = run(make_raster("s.tif", values, bands=["a", "b"]), network, 160, 0.6)
    np.testing.assert_allclose(mosaic.values, direct(values, network), atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (3, 70), (31, 32), (33, 32), (200, 5)])
def test_any_size_of_raster_works(make_raster, shape):
    mosaic = run(make_raster("s.tif", noise(shape), bands=["a", "b"]), convolutions())
    assert mosaic.valid.all() and np.isfinite(mosaic.values).all()
    assert ((mosaic.values > 0) & (mosaic.values < 1)).all()


def test_nodata_stays_nodata_and_does_not_shift_the_rest(make_raster):
    values = noise((96, 96))
    values[1, 40:60, 20:70] = -9999
    path = make_raster("s.tif", values, bands=["a", "b"], nodata=-9999)
    mosaic = run(path, convolutions(1), overlap=0.5)
    expected = np.ones((96, 96), bool)
    expected[40:60, 20:70] = False
    np.testing.assert_array_equal(mosaic.valid, expected)
    whole = direct(values, convolutions(1))
    far = expected.copy()
    far[39:61, 19:71] = False
    np.testing.assert_allclose(mosaic.values[far], whole[far], atol=1e-5)


def test_only_the_area_is_computed(make_raster):
    import shapely

    class Counting(nn.Module):
        windows = 0

        def forward(self, x):
            Counting.windows += len(x)
            return torch.zeros(len(x), 2, *x.shape[2:])

    path = make_raster("s.tif", noise((320, 320)), bands=["a", "b"])
    with Source.open(path) as source:
        area = Area(shapely.box(500000, 4999900, 500100, 5000000), source.grid)
    mosaic = run(path, Counting(), overlap=0.0, area=area)
    assert Counting.windows == 1
    assert mosaic.valid[:10, :10].all() and mosaic.valid.sum() == 100


def test_memory_does_not_grow_with_the_height(make_raster):
    """A slab of one window's height is held, whatever the raster's height."""

    class Half(nn.Module):
        def forward(self, x):
            return torch.zeros(len(x), 2, *x.shape[2:])

    def peak(rows):
        path = make_raster(f"{rows}.tif", np.zeros((2, rows, 256), "float32"), bands=["a", "b"])
        tallest = []
        with Source.open(path) as source:
            tiling = Tiling(source.grid.shape, 32, 0.25)
            reader = Reader(source, CARD, tiling)
            tracemalloc.start()
            map_probability(
                predictor(Half()),
                reader,
                source.grid,
                tiling,
                lambda values, valid, window: tallest.append(window.height),
                batch_size=4,
                progress=Progress(),
            )
            result = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert max(tallest) <= 256 and sum(tallest) == rows
        return result

    peak(128)  # what is loaded at the first run does not count
    low, high = peak(256), peak(4096)
    whole = 4096 * 256 * 4
    assert high - low < whole / 8


def test_a_batch_too_large_to_be_moved_to_the_device_is_halved(make_raster, monkeypatch):
    path = make_raster("s.tif", noise((70, 90)), bands=["a", "b"])
    expected = run(path, convolutions(), batch=1)
    moved, move = [], torch.Tensor.to

    def cramped(tensor, *place, **options):
        if "non_blocking" in options:
            if len(tensor) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            moved.append(len(tensor))
        return move(tensor, *place, **options)

    monkeypatch.setattr(torch.Tensor, "to", cramped)
    result = run(path, convolutions(), batch=7)
    assert max(moved) <= 2
    np.testing.assert_allclose(result.values, expected.values, atol=1e-6)


def test_progress_runs_to_the_end(make_raster):
    events = []
    path = make_raster("s.tif", noise((64, 64)), bands=["a", "b"])
    run(path, convolutions(), progress=Progress(events.append))
    percents = [event["percent"] for event in events]
    assert percents == sorted(percents) and percents[-1] == 100


def test_half_precision_moves_probabilities_little(make_raster):
    path = make_raster("s.tif", noise((64, 64)), bands=["a", "b"])
    full, half = (run(path, convolutions(), half=half).values for half in (False, True))
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, full, atol=0.02)


class Astray(nn.Module):
    """Gives one value that is no number in an image."""

    def forward(self, images):
        logits = images[:, :2].clone()
        logits[:, 1, 3, 4] = float("nan")
        return logits


def test_results_that_are_no_numbers_are_refused_not_written_as_no_landslide(make_raster):
    with pytest.raises(ModelFileError, match="no numbers"):
        run(make_raster("astray.tif", noise((64, 64)), bands=["a", "b"]), Astray().eval())
