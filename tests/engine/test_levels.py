"""`experiments.shipped.levels`: pieces of a scene that were stretched one by one fit again."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from experiments.shipped.levels import levels

SIDE = 64


def pieces(cells, seed=0):
    """Return a scene's pieces as they are published, 8 bits each, and the gains that mend that."""
    rng = np.random.default_rng(seed)
    rows, columns = np.max(cells, axis=0) + 1
    ground = gaussian_filter(rng.normal(size=(rows * SIDE, columns * SIDE)), 5)
    ground = np.exp(ground / ground.std() / 3)
    scene = ground * np.array([1.5, 1.0, 0.7]).reshape(3, 1, 1)
    cut = [
        scene[:, row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
        for row, column in cells
    ]
    stretched = np.stack([np.floor(255 * piece / piece.max()) for piece in cut])
    gains = np.array([piece.max() for piece in cut])
    return stretched.astype(np.uint8), gains / np.exp(np.log(gains).mean())


def test_neighbours_go_on_across_their_seams():
    cells = [(row, column) for row in range(6) for column in range(5) if (row, column) != (2, 3)]
    images, gains = pieces(cells)
    assert gains.std() > 0.1  # there is something to mend
    assert levels(images, cells) == pytest.approx(gains, rel=0.06)


def test_the_order_of_the_pieces_does_not_matter():
    cells = [(row, column) for row in range(3) for column in range(3)]
    images, _ = pieces(cells)
    order = np.random.default_rng(1).permutation(len(cells))
    turned = levels(images[order], [cells[number] for number in order])
    assert turned == pytest.approx(levels(images, cells)[order], rel=1e-3)


def test_a_piece_that_touches_none_is_as_bright_as_those_near_it_in_the_middle():
    cells = [(0, 0), (0, 1), (1, 0), (1, 1), (3, 1)]
    images, _ = pieces(cells)
    images[4] = images[0] // 2
    gains = levels(images, cells)
    middle = np.median(images.reshape(5, -1), axis=1) * gains
    assert middle[4] == pytest.approx(np.exp(np.log(middle[:4]).mean()), rel=0.1)
    assert gains[:4] / gains[0] == pytest.approx(
        levels(images[:4], cells[:4]) / levels(images[:4], cells[:4])[0], rel=0.01
    )
