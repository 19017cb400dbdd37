"""Random fields that the synthetic area is made of."""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2

Field = NDArray[np.float32]


def fractal(
    shape: tuple[int, ...], rng: np.random.Generator, wavelength: float, slope: float = 3.0
) -> Field:
    """Return a random field with a power-law spectrum, mean 0, standard deviation 1.

    Args:
        shape: rows and columns.
        rng: the source of randomness.
        wavelength: the longest waves, in pixels; the spectrum is flat beyond.
        slope: power falls with frequency to this power: 2 is rough, 4 is smooth.

    Returns:
        float32, (rows, columns). It wraps around at the edges.
    """
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None])
    gain = (frequency**2 + wavelength**-2.0) ** (-slope / 4)
    gain[0, 0] = 0
    white = rng.standard_normal(shape, dtype=np.float32)
    field = irfft2(rfft2(white) * gain.astype(np.float32), s=shape)
    scaled: Field = (field / field.std()).astype(np.float32)
    return scaled


def ramp(values: NDArray[np.floating], low: float, high: float) -> Field:
    """Return 0 below `low`, 1 above `high`, a smooth step between; `high` may be the lower one."""
    fraction: Field = np.clip((values - low) / (high - low), 0, 1).astype(np.float32)
    return fraction * fraction * (3 - 2 * fraction)
