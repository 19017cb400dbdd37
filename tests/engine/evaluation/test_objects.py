"""Landslides counted as objects, block by block."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from landslide_mapper.landslide_plugin.evaluation.objects import Objects
from scipy.ndimage import label

EIGHT = np.ones((3, 3), int)


@given(arrays(bool, (12, 9)), arrays(bool, (12, 9)), st.integers(1, 12))
def test_blocks_give_the_same_objects_as_the_whole(ours, other, rows):
    """Components are joined across block borders, diagonally too."""
    whole, count = label(ours, EIGHT)
    objects = Objects(ids_are_global=False)
    for start in range(0, 12, rows):
        block = slice(start, start + rows)
        objects.add(label(ours[block], EIGHT)[0].astype(np.int32), other[block])
    assert objects.counts() == (count, len(set(whole[other & ours])))


def test_polygon_in_two_blocks_is_one():
    objects = Objects(ids_are_global=True)
    ids = np.array([[7, 7, 0], [0, 0, 3]], np.int32)
    objects.add(ids, np.array([[False, False, True], [False, False, False]]))
    objects.add(ids, np.array([[True, False, False], [False, False, False]]))
    assert objects.counts() == (2, 1)


def test_nothing():
    assert Objects(ids_are_global=True).counts() == (0, 0)
    objects = Objects(ids_are_global=False)
    objects.add(np.full((3, 3), -1, np.int32), np.ones((3, 3), bool))
    assert objects.counts() == (0, 0)
