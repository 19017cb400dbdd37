"""Windows: weights, reading, blending."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.contract.choices import Detect, Predict
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError, ModelFileError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference.tiling import Tiling, spans
from landslide_mapper.landslide_plugin.inference.units import units_of
from landslide_mapper.landslide_plugin.inference.windows import Area, Reader
from landslide_mapper.landslide_plugin.raster import Grid, Source
from landslide_mapper.models.model_card import ModelCard
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.windows import Window

UTM = from_origin(500000, 5000000, 10, 10)


def card(bands=("a", "b"), mean=None, std=None, **changes):
    settings = {
        "name": "small",
        "architecture": "fc_densenet",
        "arguments": {},
        "task": "semantic-segmentation",
        "bands": list(bands),
        "mean": mean or [0.0] * len(bands),
        "std": std or [1.0] * len(bands),
        "resolution": 10.0,
        "tile_size": 16,
        "classes": ["background", "landslide"],
    }
    return ModelCard(**{**settings, **changes})


@settings(max_examples=200)
@given(
    length=st.integers(1, 400),
    size=st.integers(16, 96),
    overlap=st.floats(0, 0.9),
)
def test_weights_sum_to_one_at_every_pixel(length, size, overlap):
    total = np.zeros(length)
    for span in spans(length, size, round(size * overlap)):
        assert (span.weights >= 0).all()
        total[span.start : span.start + len(span.weights)] += span.weights
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_windows_have_the_wanted_overlap_and_end_at_the_border():
    """The last reaches over it, so that it too starts at a multiple of 16."""
    windows = spans(200, 64, 16)
    assert [span.start for span in windows] == [0, 48, 96, 144]
    assert [len(span.weights) for span in windows] == [64, 64, 64, 56]


@pytest.mark.parametrize(("size", "shared"), [(512, 64), (256, 64), (128, 32), (100, 25), (64, 16)])
def test_windows_start_where_networks_that_halve_their_images_give_the_same(size, shared):
    starts = [span.start for span in spans(5003, size, shared)]
    assert all(start % 8 == 0 for start in starts)
    assert np.diff(starts).max() <= size - shared


def test_overlap_that_nobody_asks_for_does_not_grow_with_the_window():
    shared = [Tiling((5000, 5000), size).shared for size in (64, 256, 512, 1024)]
    assert shared == [16, 64, 64, 64]


def test_outer_quarter_of_the_overlap_is_left_to_the_neighbour():
    first, second = spans(112, 64, 16)
    assert (first.weights[-4:] == 0).all() and (second.weights[:4] == 0).all()
    assert (first.weights[:48] == 1).all() and first.weights[50] == 1
    assert 0 < second.weights[4] < second.weights[11] < 1


def test_windows_that_are_too_small_are_refused():
    with pytest.raises(InputError, match="8 pixels: choose 16 or more"):
        Tiling((100, 100), 8, 0.25)


@pytest.mark.parametrize("command", [Predict, Detect])
@pytest.mark.parametrize("overlap", [-0.1, 0.95, 1.0])
def test_an_overlap_out_of_range_is_refused(command, overlap):
    assert command.OVERLAP.problem(overlap) == "choose from 0 to 0.9"


def test_bands_are_taken_by_name_and_scaled(make_raster):
    values = np.stack([np.full((20, 20), 5.0), np.full((20, 20), 30.0)]).astype("float32")
    path = make_raster("s.tif", values, bands=["b", "a"])
    with Source.open(path) as source:
        tiling = Tiling(source.grid.shape, 20, 0)
        reader = Reader(source, card(mean=[10, 1], std=[10, 2]), tiling)
        item = reader.read(next(iter(tiling)))
    assert item is not None
    np.testing.assert_allclose(item.values[0], 2)
    np.testing.assert_allclose(item.values[1], 2)


def test_missing_bands_are_named_together_with_those_found(make_raster):
    path = make_raster("s.tif", np.ones((2, 20, 20), "float32"), bands=["red", "slope"])
    with Source.open(path) as source, pytest.raises(ModelFileError) as caught:
        Reader(source, card(["slope", "nir", "swir1"]), Tiling((20, 20), 20, 0))
    assert "lacks nir, swir1" in str(caught.value) and "red, slope" in str(caught.value)


def test_pixel_invalid_in_one_needed_band_is_invalid_and_like_its_neighbours_in_all(make_raster):
    values = np.ones((3, 20, 20), "float32")
    values[1, 3, 4] = 7
    values[0, 3, 4] = -9999
    values[2, 5, 6] = -9999  # not needed
    path = make_raster("s.tif", values, bands=["a", "b", "c"], nodata=-9999)
    with Source.open(path) as source:
        tiling = Tiling(source.grid.shape, 20, 0)
        item = Reader(source, card(), tiling).read(next(iter(tiling)))
    assert item is not None
    assert (item.values == 1).all() and not item.valid[3, 4]
    assert item.valid.sum() == 399


def test_ground_goes_on_where_nothing_is_known(make_raster):
    """With the nearest valid pixel, also in what is mirrored beyond the raster's border."""
    values = np.broadcast_to(np.arange(20, dtype="float32"), (2, 10, 20)).copy()
    values[:, :, 8:13] = values[:, 4:, 17:] = -9999
    path = make_raster("s.tif", values, bands=["a", "b"], nodata=-9999)
    with Source.open(path) as source:
        tiling = Tiling(source.grid.shape, 20, 0)
        item = Reader(source, card(), tiling).read(next(iter(tiling)))
    assert item is not None
    first = [*range(8), 7, 7, 7, 13, 13, *range(13, 20)]
    assert item.values[0, 0].tolist() == item.values[1, 18].tolist() == pytest.approx(first)
    assert item.values[0, 9].tolist() == pytest.approx([*first[:17], 16, 16, 16])
    assert item.valid.sum() == 10 * 20 - 10 * 5 - 6 * 3


def test_windows_without_valid_pixel_are_not_computed(make_raster):
    values = np.full((2, 64, 64), -9999, "float32")
    values[:, :16, :16] = 1
    path = make_raster("s.tif", values, bands=["a", "b"], nodata=-9999)
    with Source.open(path) as source:
        reader = Reader(source, card(), Tiling(source.grid.shape, 16, 0))
        batches = list(reader.batches(8))
    assert sum(len(batch) for _, batch in batches) == 1
    assert batches[-1][0] == 16


def test_small_raster_is_mirrored_to_the_window_size(make_raster):
    values = np.arange(2 * 3 * 5, dtype="float32").reshape(2, 3, 5)
    path = make_raster("s.tif", values, bands=["a", "b"])
    with Source.open(path) as source:
        tiling = Tiling(source.grid.shape, 16, 0.25)
        item = Reader(source, card(), tiling).read(next(iter(tiling)))
    assert item is not None
    assert item.values.shape == (2, 16, 16) and item.valid.shape == (3, 5)
    np.testing.assert_array_equal(item.values[:, 3:5, :5], values[:, 1::-1])


def test_stack_far_from_the_training_statistics_is_noticed(make_raster):
    values = np.stack([np.full((32, 32), 900.0), np.zeros((32, 32))]).astype("float32")
    path = make_raster("s.tif", values, bands=["a", "b"])
    with Source.open(path) as source:
        reader = Reader(source, card(std=[100, 1]), Tiling(source.grid.shape, 16, 0))
        list(reader.batches(4))
    assert reader.far_bands() == {"a": pytest.approx(9)}


def test_area_masks_pixels_by_their_centre():
    grid = Grid(CRS.from_epsg(32632), UTM, 40, 40)
    area = Area(shapely.box(500100, 4999800, 500200, 4999900), grid)
    mask = area.mask(Window(0, 0, 40, 40))
    assert mask.sum() == 100 and mask[10:20, 10:20].all()
    assert not area.mask(Window(24, 24, 16, 16)).any()
    assert area.mask(Window(12, 12, 4, 4)).all()


@pytest.mark.parametrize(
    "boxes", [[(10, 10, 20, 20)], [(10, 10, 20, 15), (20, 15, 25, 20)], [(8, 0, 16, 8)]]
)
def test_an_area_that_a_windows_edge_touches_is_no_larger_for_it(boxes):
    grid, mask = Grid(CRS.from_epsg(32632), UTM, 40, 40), np.zeros((40, 40), bool)
    wanted = mask.copy()
    for left, top, right, bottom in boxes:
        wanted[top:bottom, left:right] = True
    polygons = [shapely.box(*grid.point(a, d), *grid.point(c, b)) for a, b, c, d in boxes]
    area = Area(shapely.union_all(polygons), grid)
    for row, column in np.ndindex(8, 8):
        rows, columns = slice(5 * row, 5 * row + 5), slice(5 * column, 5 * column + 5)
        mask[rows, columns] = area.mask(Window(columns.start, rows.start, 5, 5))
    np.testing.assert_array_equal(mask, wanted)


def test_threads_ask_an_area_one_after_the_other(monkeypatch):
    """Prepared geometries are none for several at once: asked so first, they end the process."""
    asking: list[Any] = []
    most: list[int] = []

    class Asked:
        def intersects(self, frame):
            asking.append(frame)
            most.append(len(asking))
            time.sleep(0.001)
            asking.pop()
            return True

        contains = intersects

    monkeypatch.setattr(shapely, "prepare", lambda geometry: None)
    area = Area(Asked(), Grid(CRS.from_epsg(32632), UTM, 40, 40))
    with ThreadPoolExecutor(4) as pool:
        assert all(mask.all() for mask in pool.map(area.mask, [Window(0, 0, 9, 9)] * 20))
    assert max(most) == 1


def test_area_elsewhere_or_on_a_plain_image_is_refused(tmp_path):
    import geopandas as gpd

    path = tmp_path / "area.gpkg"
    gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 9, 9)], crs="EPSG:32632").to_file(path)
    with pytest.raises(GridError, match="does not overlap"):
        Area.read(path, Grid(CRS.from_epsg(32632), UTM, 40, 40), Progress())
    with pytest.raises(GridError, match="no CRS"):
        Area.read(path, Grid(None, UTM, 40, 40), Progress())


def test_several_threads_read_the_same_in_the_same_order(make_raster):
    values = np.random.default_rng(0).normal(size=(2, 150, 170)).astype("float32")
    path = make_raster("s.tif", values, bands=["a", "b"])
    result = []
    for threads in (1, 3):
        with Source.open(path) as source:
            reader = Reader(source, card(), Tiling(source.grid.shape, 32, 0.25), threads=threads)
            result.append([item for _, batch in reader.batches(4) for item in batch])
    assert len(result[0]) == len(result[1]) == 42
    for one, other in zip(*result, strict=True):
        assert one.tile.window == other.tile.window
        np.testing.assert_array_equal(one.values, other.values)


def test_windows_share_batches_alike_when_a_run_goes_on(make_raster):
    """What is left out are whole rows of windows, and batches end where those do."""
    path = make_raster("s.tif", np.ones((2, 600, 100), "float32"), bands=["a", "b"])
    with Source.open(path) as source:
        reader = Reader(source, card(), Tiling(source.grid.shape, 32, 0.25))

        def batches(units):
            return [
                [item.tile.window for item in batch]
                for _, batch in reader.batches(3, units)
                if batch
            ]

        units = units_of(Tiling(source.grid.shape, 32, 0.25), 3)
        whole, rest = batches(None), batches(units[1:])
    assert rest == whole[-len(rest) :] and 0 < len(rest) < len(whole)
    assert rest[0][0].row_off == units[1].top
