"""What augmentation may change, and that labels follow the image."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.contract.choices import Train
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN
from landslide_mapper.landslide_plugin.training.tiles import photometry
from landslide_mapper.landslide_plugin.training.tiles.augmentation import (
    CHEN,
    NAMES,
    VIEW,
    Augmentation,
    turned,
)
from landslide_mapper.landslide_plugin.training.tiles.cutting import Patch, cut, warp
from scipy.ndimage import gaussian_filter, label, rotate

BANDS = ["red", "nir_2", "elevation", "slope", "ndvi", "lithology_clay"]
NAMES_OF_GEOMETRY = ["flip", "quarter_turn", "rotate", "scale", "crop", *CHEN]
MEAN = [110.0, 190.0, 900.0, 20.0, 0.3, 0.4]
STD = [40.0, 30.0, 500.0, 10.0, 0.2, 0.5]


@pytest.fixture
def patch():
    """Smooth values; three landslides where the elevation is above 1000; unknown corners."""
    rng = np.random.default_rng(3)
    surface = gaussian_filter(rng.normal(size=(64, 80)), 5, mode="wrap")
    surface *= 1000 / np.quantile(surface, 0.85)
    values = np.stack([100 + surface / 20, 200 - surface / 30, surface, *[surface / 90] * 3])
    labels = label(surface > 1000)[0].astype(np.uint16)
    valid = np.ones((64, 80), bool)
    valid[:5, :5] = False
    labels[~valid] = UNKNOWN
    labels[-6:, -6:] = UNKNOWN
    return Patch((values * valid).astype(np.float32), valid, labels)


def drawn(patch, names, count=30, shape=(48, 48), bands=BANDS):
    augmentation = Augmentation.parse(names)
    for seed in range(count):
        rng = np.random.default_rng(seed)
        tile = augmentation.cut(patch, shape, bands, rng)
        yield augmentation.recolour(tile, bands, MEAN, STD, rng)


@pytest.mark.parametrize("names", [[name] for name in NAMES] + [list(NAMES)])
def test_labels_follow_the_image(patch, names):
    """The elevation says where landslide is; at its contour interpolation may differ.

    The more so in views, which are of pixels that were averaged before.
    """
    contour = 500 if VIEW in names else 250
    for tile in drawn(patch, names):
        assert tile.values.shape == (6, 48, 48)
        assert (tile.values[:, ~tile.valid] == 0).all()
        assert (tile.labels[~tile.valid] == UNKNOWN).all()
        known = tile.labels != UNKNOWN
        clear = known & (np.abs(tile.values[2] - 1000) > contour)
        assert ((tile.values[2] > 1000) == (tile.labels > 0))[clear].all()
        assert set(np.unique(tile.labels[tile.landslide])) <= set(np.unique(patch.labels))


@pytest.mark.parametrize("names", [["light"], ["gain", "brightness", "contrast", "colour"]])
def test_light_changes_in_imagery_only(patch, names):
    before = cut(patch, 3, 4, (48, 48))
    for seed in range(40):
        rng = np.random.default_rng(seed)
        after = Augmentation.parse(names).recolour(before, BANDS, MEAN, STD, rng)
        assert not np.isclose(after.values[:2, 20, 20], before.values[:2, 20, 20]).any()
        np.testing.assert_array_equal(after.values[2:], before.values[2:])
        np.testing.assert_array_equal(after.labels, before.labels)


@pytest.mark.parametrize(
    "name, turning", [("mean_filter", (2, True)), ("gamma", (2, True)), ("noise", (0, True))]
)
def test_chens_copies_are_flipped_or_mirrored_and_lit_in_imagery_only(patch, name, turning):
    before = cut(patch, 3, 4, (48, 48))
    augmentation = Augmentation.parse(CHEN)
    assert augmentation.recolour(before, BANDS, MEAN, STD, np.random.default_rng(0)) is before
    copied = augmentation.copy(before, name, BANDS, STD, np.random.default_rng(0))
    expected = turned(before, {}, *turning)
    np.testing.assert_array_equal(copied.values[2:], expected.values[2:])
    np.testing.assert_array_equal(copied.labels, expected.labels)
    changed = copied.values[:2] != expected.values[:2]
    assert changed[:, expected.valid].mean() > 0.9 and not changed[:, ~expected.valid].any()


def test_mean_filter_knows_no_invalid_pixel():
    values = np.full((1, 6, 6), 10.0, np.float32)
    valid = np.ones((6, 6), bool)
    values[0, 2, 2], valid[2, 2] = 0, False
    filtered = photometry.mean_filter(values, valid)
    np.testing.assert_allclose(filtered[0][valid], 10, rtol=1e-6)


def test_gamma_keeps_the_range_and_noise_the_mean():
    rng = np.random.default_rng(0)
    values = rng.uniform(20, 90, (2, 50, 50)).astype(np.float32)
    valid = np.ones((50, 50), bool)
    bent = photometry.gamma(values, valid, rng)
    np.testing.assert_allclose(bent.min((1, 2)), values.min((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(bent.max((1, 2)), values.max((1, 2)), rtol=1e-5)
    assert (np.argsort(bent[0], None) == np.argsort(values[0], None)).mean() > 0.99
    std = np.full((2, 1, 1), 20, np.float32)
    difference = photometry.noise(values, std, rng) - values
    assert abs(difference.mean()) < 0.2
    assert 0 < difference.std() <= 20 * photometry.NOISE * 1.05


@pytest.mark.parametrize(
    "name", ["red", "B04", "nir_2", "swir1_after", "pre_green", "nir_narrow", "Gray", "grey"]
)
def test_bands_of_light(name):
    assert photometry.imagery([name]) == ([] if name == "Gray" else [0])


@pytest.mark.parametrize(
    "name", ["slope", "thermal", "ndvi", "river_distance", "band_1", "red_soil", "elevation_2"]
)
def test_bands_of_something_else(name):
    assert not photometry.imagery([name])


def test_turning_by_angle_is_scipys(patch):
    """Where all is valid, the middle of the patch turned is what scipy makes of it."""
    whole = Patch(patch.values, np.ones_like(patch.valid), patch.labels)
    for angle in (-37.0, 12.5, 90.0):
        expected = rotate(whole.values, angle, axes=(1, 2), reshape=False, order=1)
        result = warp(whole, (31.5, 39.5), (64, 80), angle, 1.0, [])
        middle = (slice(None), slice(12, 52), slice(20, 60))
        np.testing.assert_allclose(result.values[middle], expected[middle], atol=0.5)
        assert (result.valid | (expected[2] == 0)).mean() > 0.97


def test_step_enlarges_about_the_centre():
    ramp = np.tile(np.arange(41, dtype=np.float32), (1, 41, 1))
    labels = np.zeros((41, 41), np.uint16)
    whole = Patch(ramp, np.ones((41, 41), bool), labels)
    half = warp(whole, (20, 20), (41, 41), 0, 0.5, [])
    np.testing.assert_allclose(half.values[0, 7], 10 + 0.5 * np.arange(41), atol=1e-4)
    double = warp(whole, (20, 20), (41, 41), 0, 2, [])
    assert (double.labels != UNKNOWN).sum() == 21 * 21
    assert double.valid.all()
    positions = 2.0 * (np.arange(41) - 20) + 20
    mirrored = np.where(
        positions < 0, -1 - positions, np.where(positions > 40, 81 - positions, positions)
    )
    np.testing.assert_allclose(double.values[0, 7], mirrored, atol=1e-3)


@given(st.integers(-70, 70), st.integers(-70, 70), st.integers(1, 90), st.integers(1, 90))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_beyond_the_patch_is_its_mirror_image_of_no_known_label(patch, row, col, height, width):
    around = ((100, 100), (100, 100))
    window = slice(row + 100, row + 100 + height), slice(col + 100, col + 100 + width)
    tile = cut(patch, row, col, (height, width))
    values = np.pad(patch.values, ((0, 0), *around), mode="reflect")
    np.testing.assert_array_equal(tile.values, values[:, *window])
    np.testing.assert_array_equal(tile.valid, np.pad(patch.valid, around, mode="reflect")[window])
    labels = np.pad(patch.labels, around, constant_values=UNKNOWN)
    np.testing.assert_array_equal(tile.labels, labels[window])


def test_any_angle_turns_directions_along():
    """A cone: northness and eastness point away from its top, whatever way it is turned."""
    rows, cols = np.mgrid[-20:21, -20:21].astype(np.float32)
    aspect = np.degrees(np.arctan2(cols, -rows)) % 360
    aspect[20, 20] = -1
    north, east = np.cos(np.radians(aspect)), np.sin(np.radians(aspect))
    values = np.stack([aspect, north, east]).astype(np.float32)
    cone = Patch(values, np.ones((41, 41), bool), np.zeros((41, 41), np.uint16))
    bands = ["aspect", "northness", "eastness"]
    away = (np.hypot(rows, cols) > 4) & (np.hypot(rows, cols) < 19)
    for tile in drawn(cone, ["rotate", "turn_directions"], 10, (41, 41), bands):
        difference = np.abs(tile.values[0] - aspect)[away]
        assert np.minimum(difference, 360 - difference).max() < 12  # by the nearest pixel
        np.testing.assert_allclose(tile.values[1][away], north[away], atol=0.05)
        np.testing.assert_allclose(tile.values[2][away], east[away], atol=0.05)
        assert (tile.values[0] == -1).sum() <= 2
    lone = Patch(values[1:2], cone.valid, cone.labels)
    for tile in drawn(lone, ["rotate", "turn_directions"], 5, (41, 41), ["northness"]):
        np.testing.assert_array_equal(tile.values, lone.values)


def test_directions_keep_their_values_by_default():
    facing = np.tile(np.array([[[200.0]], [[-0.94]]], np.float32), (1, 41, 41))
    slope = Patch(facing, np.ones((41, 41), bool), np.zeros((41, 41), np.uint16))
    for tile in drawn(slope, NAMES_OF_GEOMETRY, 10, (31, 31), ["aspect", "northness"]):
        np.testing.assert_allclose(tile.values, facing[:, :31, :31], rtol=1e-5)


def test_directions_of_any_name_are_not_blended():
    """Between 359 and 1, as between any two, no third is made."""
    north = np.tile(np.array([359, 1], np.float32), (1, 60, 30))
    tiles = drawn(Patch(north, north[0] > 0, north[0].astype(np.uint16) * 0), ["crop", "scale"],
                  10, (32, 32), ["aspect_2"])  # fmt: skip
    assert {value for tile in tiles for value in np.unique(tile.values)} == {1, 359}


def test_crop_shows_at_least_its_share(patch):
    ramp = Patch(
        np.tile(np.arange(60, dtype=np.float32), (1, 60, 1)),
        np.ones((60, 60), bool),
        np.zeros((60, 60), np.uint16),
    )
    widths = [np.ptp(tile.values) for tile in drawn(ramp, ["crop"], 60, (60, 60), ["elevation"])]
    assert 0.69 * 60 <= min(widths) + 1 < 0.75 * 60
    assert 0.95 * 60 < max(widths) + 1 <= 60
    assert all(tile.valid.all() for tile in drawn(ramp, ["crop"], 20, (60, 60), ["elevation"]))


def test_names():
    assert Augmentation().names == ("flip", "quarter_turn")
    assert Augmentation.parse(["none"]).names == Augmentation.parse([]).names == ()
    assert Augmentation.parse(["crop", "flip"]).names == ("flip", "crop")
    assert Train.AUGMENTATION.problem(["flip", "sepia"]).startswith("choose from flip, ")
