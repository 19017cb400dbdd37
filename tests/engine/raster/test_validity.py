"""What networks get where nothing is known."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from landslide_mapper.landslide_plugin.raster.validity import nearest_valid

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9))


@given(SHAPES.flatmap(lambda shape: arrays.arrays(np.bool_, shape)))
def test_each_pixel_without_data_gets_what_a_nearest_valid_one_has(valid):
    number = np.arange(valid.size, dtype=np.float32).reshape(valid.shape)
    before = np.stack([number, -number])
    filled = nearest_valid(before, valid)
    assert (filled[0] == -filled[1]).all()
    assert (filled[:, valid] == before[:, valid]).all()
    shown = np.argwhere(valid)
    for row, col in np.argwhere(~valid) if shown.size else []:
        taken = np.divmod(int(filled[0, row, col]), valid.shape[1])
        away = np.hypot(*(shown - (row, col)).T)
        assert valid[taken] and np.hypot(row - taken[0], col - taken[1]) == away.min()


def test_where_all_is_known_or_nothing_is_values_stay_as_they_are():
    values = np.ones((2, 3, 4), np.float32)
    assert nearest_valid(values, np.ones((3, 4), bool)) is values
    assert nearest_valid(values, np.zeros((3, 4), bool)) is values
