"""The light of another scene: one gain, one exponent and one haze for a whole tile."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.raster.bands import IMAGERY, common_names
from landslide_mapper.landslide_plugin.training.tiles import photometry
from landslide_mapper.landslide_plugin.training.tiles.photometry import light, wavelengths

BANDS = ["red", "slope", "blue", "nir_after"]
SEEDS = st.integers(0, 2**32 - 1)
DRAWS = 300


def of(*numbers):
    return np.array(numbers, np.float32)[:, None, None]


MEAN, STD = of(80, 60, 120), of(30, 20, 40)


def drawn(*fractions) -> Any:
    """Return chance that gives these: 0 for the least number asked for, 1 for the largest."""
    left = iter(fractions)
    return SimpleNamespace(uniform=lambda low, high: low + (high - low) * next(left))


def lit(values, seed):
    return light(values, wavelengths(BANDS), MEAN, STD, np.random.default_rng(seed))


def test_every_band_of_imagery_has_a_wavelength():
    assert set(photometry.WAVELENGTHS) == IMAGERY
    np.testing.assert_allclose(wavelengths(BANDS), of(0.665, 0.49, 0.842))


def test_it_is_a_gain_of_a_power_and_a_haze():
    values = np.tile(of(40, 30, 240), (1, 2, 3))
    # the largest exponent, the least sun, half of the haze, as in clear air
    result = light(values, wavelengths(BANDS), MEAN, STD, drawn(1, 0, 0.75, 1))
    ratios = of(0.5, 0.5, 2.0) ** photometry.STRETCH
    haze = 0.5 * photometry.HAZE * 20 * (0.49 / of(0.665, 0.49, 0.842)) ** 4
    expected = MEAN * ratios / photometry.SUN + haze
    np.testing.assert_allclose(result, np.tile(expected, (1, 2, 3)), rtol=1e-5)


@given(SEEDS)
def test_all_pixels_of_a_band_undergo_the_same_and_brighter_ones_stay_brighter(seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 256, (3, 8, 8)).astype(np.float32)
    result = lit(values, seed)
    for before, after in zip(values.reshape(3, -1), result.reshape(3, -1), strict=True):
        steps, number = np.unique(before, return_inverse=True)
        of_step = [np.ptp(after[number == index]) for index in range(len(steps))]
        assert max(of_step) == 0
        assert (np.diff(after[np.argsort(before, kind="stable")]) >= 0).all()


@given(SEEDS)
def test_haze_is_of_one_sign_and_more_in_bluer_bands(seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photometry, "SUN", 1.0)
        patch.setattr(photometry, "STRETCH", 1.0)
        red, blue, nir = (lit(MEAN, seed) - MEAN).ravel()
    assert abs(blue) <= photometry.HAZE * 20 + 1e-3
    for more, less in ((blue, red), (red, nir)):
        assert abs(less) <= abs(more) and less * more >= 0


@pytest.mark.parametrize("values", [of(0, -5, 3), of(-1, -2, -3)], ids=["some", "all"])
def test_values_that_have_no_power_are_kept_but_for_sun_and_haze(values):
    result = light(values, wavelengths(BANDS), MEAN - 200, STD, drawn(0, 0.5, 0.5, 0))
    np.testing.assert_allclose(result, values)


@pytest.mark.parametrize("pair", [("20230413", "20230523"), ("20230523", "20230627")])
def test_a_scene_is_shown_in_the_light_of_the_next_one(data_dir, pair):
    """Of one valley before and after: the visible bands' medians come within 15 %."""
    scenes = []
    for date in pair:
        (path,) = (data_dir / "emilia_s2").glob(f"s2_*_{date}_10bands.tif")
        with rasterio.open(path) as file:
            names = common_names(file.descriptions)[:3]
            values = file.read([1, 2, 3])[:, ::8, ::8].astype(np.float32).reshape(3, -1)
        scenes.append(values[:, (values > 0).all(0)])
    one, other = scenes
    mean, std = (of(*statistic) for statistic in (one.mean(1), one.std(1)))
    waves = wavelengths(names)
    medians = np.median(one, axis=1, keepdims=True)[:, :, None]
    medians_drawn = [
        light(medians, waves, mean, std, np.random.default_rng(seed)).ravel()
        for seed in range(DRAWS)
    ]
    wanted = np.median(other, axis=1)
    assert (np.min(medians_drawn, 0) < wanted).all() and (wanted < np.max(medians_drawn, 0)).all()
    nearest = min(np.abs(np.log(np.clip(each, 1, None) / wanted)).max() for each in medians_drawn)
    assert nearest < 0.15 < 0.3 < np.abs(np.log(medians.ravel() / wanted)).max()
