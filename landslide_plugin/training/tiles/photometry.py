"""Changes of light and colour, which only bands of imagery can undergo.

What a DEM, a distance or a class says is not a matter of the light: such bands are left alone, and
so are indices, which the light leaves nearly unchanged.

Each function takes the imagery bands of a tile, float32 (bands, rows, columns), unscaled, with the
bands' standard deviations over the train set, float32 (bands, 1, 1), where it needs them.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from ...raster.bands import IMAGERY, common_names

GAIN = 1.25
"""Largest factor, and its inverse the smallest, of the light on all bands alike."""
BRIGHTNESS = 0.3
"""Largest offset, in standard deviations, of all bands alike."""
CONTRAST = 1.25
"""Largest factor of the differences from the tile's mean."""
COLOUR = 1.1
"""Largest factor of a single band."""
GAMMA = 1.5
"""Largest exponent, and its inverse the smallest."""
NOISE = 0.1
"""Largest standard deviation of the noise, in standard deviations of the band."""
FILTER = 3
"""Pixels along a side of the mean filter."""
SUN = 1.4
"""Largest factor of the light on a scene, and its inverse the smallest: the sun at 60 degrees gives
1.9 times what it gives at 27, which is 1.4 to either side of the middle."""
STRETCH = 1.4
"""Largest exponent of a scene's values, and its inverse the smallest: images for the eye go from
reflectance itself to its root, which is the root of 2 to either side."""
HAZE = 1.0
"""Most haze that is added or taken away, in standard deviations of the bluest band: Sentinel-2's
scenes of Emilia, and those of Iburi, differ by .3 to 1.9 of them in the median of blue."""
HAZE_POWERS = (0.5, 4.0)
"""Haze goes with a power of 1 / wavelength, from very hazy to very clear air (Chavez 1988, Remote
Sensing of Environment 24:459)."""
WAVELENGTHS = {
    "coastal": 0.443,
    "blue": 0.49,
    "green": 0.56,
    "pan": 0.6,
    "grey": 0.6,
    "gray": 0.6,
    "red": 0.665,
    "rededge1": 0.705,
    "rededge2": 0.74,
    "rededge3": 0.783,
    "nir": 0.842,
    "nir_narrow": 0.865,
    "swir1": 1.61,
    "swir2": 2.2,
}
"""Band of imagery to the middle of its light in micrometres, about."""

Bands = NDArray[np.float32]
_DATE = re.compile(r"_(?:\d+|before|after|pre|post)$|^(?:before|after|pre|post)_", re.IGNORECASE)


def imagery(bands: Sequence[str]) -> list[int]:
    """Return the numbers, from 0, of the bands of reflected light: red, B04, nir_2, red_after."""
    return [number for number, name in enumerate(_common(bands)) if name in IMAGERY]


def wavelengths(bands: Sequence[str]) -> Bands:
    """Return the wavelength of each of the bands of imagery, in micrometres, (bands, 1, 1)."""
    middles = [WAVELENGTHS[name] for name in _common(bands) if name in IMAGERY]
    return np.array(middles, np.float32)[:, None, None]


def light(values: Bands, waves: Bands, mean: Bands, std: Bands, rng: np.random.Generator) -> Bands:
    """Show the tile in the light of another scene: value -> a * value ** g + haze.

    One factor and one exponent for all bands, the latter about each band's mean, which stays; one
    haze, of which the bluer bands get more. Bands are taken to count in one unit, as those of one
    sensor do. What is not above 0 has no power and keeps its value but for the haze.

    Args:
        values: of the bands.
        waves: of `wavelengths`.
        mean: of each band over the train set, (bands, 1, 1).
        std: standard deviation of each, (bands, 1, 1).
        rng: what chance is drawn from.
    """
    level = np.where(mean > 0, mean, 1)
    bent = level * np.power(np.clip(values / level, 0, None), _factor(STRETCH, rng))
    lit = _factor(SUN, rng) * np.where((values > 0) & (mean > 0), bent, values)
    bluest = np.argmin(waves)
    haze = rng.uniform(-HAZE, HAZE) * std.flat[bluest]
    spread = (waves.flat[bluest] / waves) ** rng.uniform(*HAZE_POWERS)
    return (lit + haze * spread).astype(np.float32)


def gain(values: Bands, rng: np.random.Generator) -> Bands:
    """Multiply all bands by one factor: another exposure."""
    return values * _factor(GAIN, rng)


def brightness(values: Bands, std: Bands, rng: np.random.Generator) -> Bands:
    """Add one share of each band's deviation, whatever its colour."""
    return values + np.float32(rng.uniform(-BRIGHTNESS, BRIGHTNESS)) * std


def contrast(values: Bands, valid: NDArray[np.bool_], rng: np.random.Generator) -> Bands:
    """Stretch or flatten the differences from the mean of the tile's valid pixels."""
    if not valid.any():
        return values
    mean: Bands = values[:, valid].mean(1)[:, None, None]
    return mean + (values - mean) * _factor(CONTRAST, rng)


def colour(values: Bands, rng: np.random.Generator) -> Bands:
    """Multiply each band by a factor of its own, as another sensor or season does."""
    return values * np.stack([_factor(COLOUR, rng) for _ in values])[:, None, None]


def gamma(values: Bands, valid: NDArray[np.bool_], rng: np.random.Generator) -> Bands:
    """Raise the values, scaled to the tile's range of each band, to a power."""
    if not valid.any():
        return values
    low = values[:, valid].min(1)[:, None, None]
    width = values[:, valid].max(1)[:, None, None] - low
    scaled = np.clip((values - low) / np.where(width > 0, width, 1), 0, 1)
    raised: Bands = low + width * np.power(scaled, _factor(GAMMA, rng))
    return raised


def noise(values: Bands, std: Bands, rng: np.random.Generator) -> Bands:
    """Add Gaussian noise of a random strength."""
    strength = np.float32(rng.uniform(0, NOISE))
    return values + strength * std * rng.standard_normal(values.shape, dtype=np.float32)


def mean_filter(values: Bands, valid: NDArray[np.bool_]) -> Bands:
    """Take the mean of the valid pixels in a square around each pixel."""
    window = (1, FILTER, FILTER)
    total = uniform_filter(values * valid, window, mode="nearest")
    fraction = uniform_filter(valid[np.newaxis].astype(np.float32), window, mode="nearest")
    return np.where(valid, total / np.where(valid, fraction, 1), values).astype(np.float32)


def _common(bands: Sequence[str]) -> list[str]:
    return common_names([_DATE.sub("", band) for band in bands])


def _factor(largest: float, rng: np.random.Generator) -> np.float32:
    """Return a factor between the largest and its inverse, as likely below 1 as above."""
    return np.float32(np.exp(rng.uniform(-1, 1) * np.log(largest)))
