"""Splits by place: regions of blocks, whose kept shares are the wished ones."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.raster.grid import Grid
from landslide_mapper.landslide_plugin.samples.blocks import (
    DROPPED,
    TOLERANCE,
    split_by_blocks,
    split_images,
)
from landslide_mapper.landslide_plugin.samples.patches import Candidates, offsets
from rasterio.crs import CRS
from rasterio.transform import from_origin
from scipy.ndimage import gaussian_filter, label

GRID = Grid(CRS.from_epsg(32632), from_origin(500000, 5000000, 10, 10), 1024, 1024)


def all_windows(grid, tile, stride):
    columns, rows = np.meshgrid(
        offsets(grid.width, tile, stride), offsets(grid.height, tile, stride)
    )
    ones = np.ones(columns.size, np.int64)
    return Candidates(
        columns=columns.ravel(), rows=rows.ravel(), landslide=ones, score=0 * ones, pixels=(1, 1)
    )


def clustered(seed, tile=64, stride=32):
    """Windows of which a quarter hold landslides, which lie together as on steep ground."""
    windows = all_windows(GRID, tile, stride)
    random = np.random.default_rng(seed)
    ground = gaussian_filter(random.normal(size=(1024, 1024)), 60)[windows.rows, windows.columns]
    pixels = random.lognormal(4, 1, len(windows)).astype(np.int64) + 1
    landslide = np.where(ground > np.quantile(ground, 0.75), pixels, 0)
    return Candidates(
        columns=windows.columns,
        rows=windows.rows,
        landslide=landslide,
        score=0 * landslide,
        pixels=(1, 1),
    )


def shares(weights, split):
    kept = np.array([weights[split == index].sum() for index in range(3)])
    return kept / kept.sum()


@pytest.mark.parametrize("fractions", [(0.8, 0.2, 0), (0.6, 0.2, 0.2), (0.8, 0.1, 0.1)])
@pytest.mark.parametrize("area", range(4))
def test_the_share_that_is_asked_for_is_the_share_that_is_kept(area, fractions):
    """Of patches within the tolerance, of landslide pixels about; .20 had become .10 to .17."""
    windows = clustered(area)
    for seed in range(3):
        split = split_by_blocks([windows], [GRID], 64, fractions, seed).split[0]
        kept = shares(windows.landslide > 0, split)
        assert kept == pytest.approx(fractions, abs=TOLERANCE)
        assert shares(windows.landslide, split) == pytest.approx(fractions, abs=0.1)


@pytest.mark.parametrize("area", range(4))
def test_a_region_is_connected_so_that_little_is_dropped_at_its_border(area):
    windows = clustered(area)
    split = split_by_blocks([windows], [GRID], 64, (0.6, 0.2, 0.2), 0).split[0]
    holds = windows.landslide > 0
    assert (split[holds] == DROPPED).mean() < 0.25
    covered = np.zeros((32, 32), bool)
    places = np.stack([windows.rows, windows.columns], axis=1)[split == 1] // 32
    for row, column in places:
        covered[row : row + 2, column : column + 2] = True
    pieces, count = label(covered, np.ones((3, 3)))
    assert np.bincount(pieces.ravel())[1:].max() > 0.9 * covered.sum(), count


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([8, 16, 32]), st.sampled_from([0, 0.1, 0.3]))
def test_no_train_patch_touches_one_that_judges(seed, stride, test):
    windows = clustered(seed % 7, 32, stride)
    split = split_by_blocks([windows], [GRID], 32, (0.8 - test, 0.2, test), seed).split[0]
    boxes = shapely.box(windows.columns, windows.rows, windows.columns + 32, windows.rows + 32)
    inner = shapely.buffer(boxes, -0.25, join_style="mitre")
    for index in (1, 2):
        others = inner[(split != index) & (split != DROPPED)]
        tree = shapely.STRtree(others)
        assert not len(tree.query(inner[split == index], predicate="intersects")[0])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(30, 120))
def test_no_train_image_touches_one_that_judges(seed, count):
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 1000, (count, 2))
    outlines = shapely.box(*corners.T, *(corners + random.uniform(40, 90, (count, 2))).T)
    measures = np.stack([np.ones(count), random.random(count) < 0.5], axis=1)
    split, block, _ = split_images(outlines, measures, 64, 1, (0.6, 0.2, 0.2), seed, Progress())
    assert len(split) == len(block) == count
    for index in (1, 2):
        others = outlines[(split != index) & (split != DROPPED)]
        inner = shapely.buffer(outlines[split == index], -0.5, join_style="mitre")
        assert not len(shapely.STRtree(others).query(inner, predicate="intersects")[0])


def test_no_split_is_left_without_landslides_where_two_blocks_hold_them():
    windows = all_windows(GRID, 64, 64)
    holds = (windows.columns < 64) & ((windows.rows < 64) | (windows.rows > 900))
    few = Candidates(
        columns=windows.columns,
        rows=windows.rows,
        landslide=holds.astype(np.int64),
        score=0 * holds.astype(np.int64),
        pixels=(1, 1),
    )
    for seed in range(5):
        split = split_by_blocks([few], [GRID], 64, (0.8, 0.2, 0), seed).split[0]
        assert set(split[holds]) == {0, 1}


@pytest.mark.parametrize("seed", range(5))
def test_no_pixel_of_one_split_is_in_another(seed):
    windows = all_windows(GRID, 64, 32)
    split = split_by_blocks([windows], [GRID], 64, (0.6, 0.2, 0.2), seed)
    owner = np.full(GRID.shape, DROPPED)
    for column, row, index in zip(windows.columns, windows.rows, split.split[0], strict=True):
        if index == DROPPED:
            continue
        patch = owner[row : row + 64, column : column + 64]
        assert set(np.unique(patch)) <= {DROPPED, index}
        patch[:] = index
    assert set(np.unique(owner)) >= {0, 1, 2}


def test_blocks_are_four_tiles_and_shares_are_about_kept():
    windows = all_windows(GRID, 64, 32)
    split = split_by_blocks([windows], [GRID], 64, (0.5, 0.25, 0.25), 0)
    assert split.description == "blocks of 256 x 256 pixels"
    assert len(np.unique(split.block[0])) == 16
    kept = split.split[0][split.split[0] != DROPPED]
    assert np.bincount(kept) / len(kept) == pytest.approx([0.5, 0.25, 0.25], abs=0.1)


def test_stacks_that_overlap_share_their_blocks():
    """The same pixels in a second stack go to the same split: no leak from one to the other."""
    shifted = Grid(GRID.crs, from_origin(500000 + 2560, 5000000, 10, 10), 768, 1024)
    first, second = all_windows(GRID, 64, 64), all_windows(shifted, 64, 64)
    split = split_by_blocks([first, second], [GRID, shifted], 64, (0.5, 0.5, 0), 3)
    here = {
        (column, row): index
        for column, row, index in zip(first.columns, first.rows, split.split[0], strict=True)
    }
    there = zip(second.columns, second.rows, split.split[1], strict=True)
    assert all(here[column + 256, row] == index for column, row, index in there)


def test_stacks_in_another_crs_share_blocks_by_place():
    other = Grid(CRS.from_epsg(25832), GRID.transform, 1024, 1024)  # the same within a metre
    windows = all_windows(GRID, 64, 256)
    split = split_by_blocks([windows, windows], [GRID, other], 64, (0.5, 0.5, 0), 3)
    both = (split.split[0] != DROPPED) & (split.split[1] != DROPPED)
    assert both.any()
    assert (split.split[0][both] == split.split[1][both]).all()


def test_same_seed_same_split_other_seed_other_split():
    windows = all_windows(GRID, 64, 32)
    splits = [
        split_by_blocks([windows], [GRID], 64, (0.8, 0.2, 0), seed).split[0] for seed in (7, 7, 8)
    ]
    assert (splits[0] == splits[1]).all()
    assert (splits[0] != splits[2]).any()
