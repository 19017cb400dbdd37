"""What makes a network's probabilities mean what they say: a temperature, and the scene's prior.

A network that was trained long is surer than it is right. Dividing the logit of landslide by one
number, the temperature, that makes validation pixels likeliest mends most of it (Guo et al. 2017,
ICML); the order of pixels stays, so that the mask at the threshold, which is brought along, does
too. Where landslide is rarer in a scene than in the patches, the logit moves by the difference of
both fractions' logits (prior shift: Saerens et al. 2002, Neural Computation 14:21).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..landslide_plugin.contract.errors import ModelFileError
from .model_card import ModelCard

MOST = 1 - 2.0**-25
"""Largest probability that is told from 1: float32 rounds larger ones to it."""
AT_ONCE = 2**14
"""Pixels whose numbers on the way stay in a processor's cache: two and a half times as fast."""
LEAST = 1e-6
"""Smallest fraction of landslide in patches that is believed."""


@dataclass(frozen=True)
class Calibration:
    """A map of probabilities: logit q = logit p / temperature + shift, which keeps their order.

    Attributes:
        temperature: above 0; above 1 makes less sure.
        shift: added to the logit.
    """

    temperature: float = 1.0
    shift: float = 0.0

    @property
    def inverse(self) -> "Calibration":
        """The map back."""
        return Calibration(1 / self.temperature, -self.shift * self.temperature)

    def __call__(self, probability: ArrayLike) -> NDArray[np.float64]:
        """Return the landslide probability, of any shape; NaN stays."""
        given = np.asarray(probability, np.float64)
        if self == UNCALIBRATED:
            return given
        given = np.clip(given, 0, 1)
        power = 1 / self.temperature
        landslide, background = given**power, math.exp(-self.shift) * (1 - given) ** power
        return landslide / (landslide + background)

    def of_raster(self, values: NDArray[np.float32], kinds: int) -> NDArray[np.float32]:
        """Return a predictor's values; `self` is for all kinds of landslide together.

        Kinds keep their shares, so that the likeliest one stays. A standard deviation is brought
        along by the map's slope.

        Args:
            values: (channels, rows, columns): each kind's probability, then perhaps the standard
                deviation of the first one's.
            kinds: number of the former.
        """
        if self == UNCALIBRATED:
            return values
        result = np.empty(values.shape, np.float32)
        rows = max(1, AT_ONCE // max(values.shape[2], 1))
        for top in range(0, values.shape[1], rows):
            part = np.s_[:, top : top + rows]
            result[part] = self._of_rows(values[part], kinds)
        return result

    def _of_rows(self, values: NDArray[np.float32], kinds: int) -> NDArray[np.float64]:
        """Return `of_raster` of a few rows."""
        before = np.clip(values[:kinds].sum(axis=0, dtype=np.float64), 0, MOST)
        after = self(before)
        positive = np.maximum(before, np.finfo(np.float32).tiny)
        parts = [after[None]] if kinds == 1 else [values[:kinds] * (after / positive)]
        if len(values) > kinds:
            slope = after * (1 - after) / (self.temperature * positive * (1 - positive))
            parts.append(values[kinds:] * slope)
        return np.concatenate(parts)


UNCALIBRATED = Calibration()
"""Leaves probabilities as they are."""


def calibration_of(cards: Sequence[ModelCard], fraction: float | None = None) -> Calibration:
    """Return the calibration of the mean of some models' probabilities.

    It has the mean of their temperatures, which those of one file have in common, and of the shifts
    from their patches.

    Args:
        cards: the models'.
        fraction: of landslide in the scene, within 0 to 1; None leaves that of the patches.

    Raises:
        ModelFileError: a model does not say which fraction its patches have.
    """
    temperature = mean(card.temperature for card in cards)
    if fraction is None:
        return Calibration(temperature)
    return Calibration(temperature, _logit(fraction) - mean(map(_logit, map(_patches, cards))))


def _patches(card: ModelCard) -> float:
    """Return the fraction of landslide in the patches that a model was trained on."""
    told = card.training.get("landslide_share")
    if isinstance(told, int | float) and LEAST <= told < 1:
        return float(told)
    raise ModelFileError(
        f"The model {card.name} does not say which fraction of its training patches is landslide: "
        "leave the scene's landslide fraction empty, or choose another model."
    )


def _logit(fraction: float) -> float:
    return math.log(fraction / (1 - fraction))
