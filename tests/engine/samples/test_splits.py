"""How patches are shared out among train, validation and test."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.contract.choices import ImportSamples, Samples
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.raster.grid import Grid
from landslide_mapper.landslide_plugin.samples.patches import Candidates, offsets
from landslide_mapper.landslide_plugin.samples.splits import (
    DROPPED,
    check_fractions,
    require_splits,
    split_at_random,
    split_by_blocks,
)
from rasterio.crs import CRS
from rasterio.transform import from_origin

GRID = Grid(CRS.from_epsg(32632), from_origin(500000, 5000000, 10, 10), 1024, 1024)


def all_windows(grid, tile, stride):
    columns, rows = np.meshgrid(
        offsets(grid.width, tile, stride), offsets(grid.height, tile, stride)
    )
    ones = np.ones(columns.size, np.int64)
    return Candidates(
        columns=columns.ravel(), rows=rows.ravel(), landslide=ones, score=0 * ones, pixels=(1, 1)
    )


@given(st.integers(8, 400), st.integers(8, 64), st.integers(1, 64))
def test_windows_cover_every_pixel_and_stay_inside(length, tile, stride):
    stride, length = min(stride, tile), max(length, tile)
    starts = offsets(length, tile, stride)
    covered = np.zeros(length, bool)
    for start in starts:
        assert 0 <= start <= length - tile
        covered[start : start + tile] = True
    assert covered.all()
    assert len(set(starts)) == len(starts)


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


@given(st.lists(st.integers(0, 1), min_size=1, max_size=200), st.integers(0, 9))
def test_random_split_keeps_the_shares_of_each_stratum(strata, seed):
    strata = np.array(strata)
    split = split_at_random(strata, (0.6, 0.2, 0.2), seed)
    for stratum in (0, 1):
        members = split[strata == stratum]
        for index, fraction in enumerate((0.6, 0.2, 0.2)):
            assert abs((members == index).sum() - fraction * len(members)) <= 1


def test_shares_that_leave_nothing_to_train_on_are_refused():
    with pytest.raises(InputError, match=r"0\.6 and test 0\.4 leave nothing to train on"):
        check_fractions(0.6, 0.4)


@pytest.mark.parametrize("command", [Samples, ImportSamples])
def test_a_share_out_of_range_is_refused(command):
    for validation in (0, 1):
        assert command.VALIDATION.problem(validation) == "choose more than 0 and at most 0.9"
    assert command.TEST.problem(-0.1) == "choose from 0 to 0.9"


def test_an_empty_split_is_refused_by_name():
    with pytest.raises(InputError, match="left for validation: choose a smaller tile size"):
        require_splits([3, 0, 0], (0.8, 0.2, 0))
