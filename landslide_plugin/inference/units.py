"""Brings a stack and a model to the same units where those of both are known."""

from dataclasses import replace

import numpy as np

from ...models.model_card import ModelCard
from ..core.progress import Progress
from ..raster import Source
from ..raster.bands import is_imagery
from ..raster.reflectance import (
    LARGEST,
    REFLECTANCE,
    read_as_reflectance,
    sampled,
    warn_of_unknown,
)

TEN_THOUSAND = 1e-4
"""What numbers of reflectance x 10000, on which models were trained too, are multiplied by."""
_TOO_SMALL = 0.05
"""Share of a model's mean below which nearly all of a band is on another scale."""


def fit_units(card: ModelCard, source: Source, progress: Progress) -> ModelCard:
    """Return the card in the units that the stack's imagery is read in from now on.

    Where it is known how both relate to reflectance, that is what the stack is read as, and the
    card's means and deviations are brought to it. A card that says nothing is taken by its means.

    Args:
        card: returned as it is where it keeps its own light, which is fitted to the scene.
        source: the stack, with the model's bands.
        progress: told what was converted, and warned of what can't be.
    """
    light = [band for band in card.bands if is_imagery(band)]
    if card.scene or not light:
        return card
    scales = _scales(card, light)
    known = {band: (source, band) for band in light if scales[band]}
    what = f"stack {source.path}"
    units = read_as_reflectance(known, what=what, progress=progress)
    wanted = {band: found for band, found in units.items() if scales[band] == 1}
    warn_of_unknown(wanted, known, what, progress)
    mean, std = list(card.mean), list(card.std)
    brought = {band for band in known if units[band] is not None and scales[band] != 1}
    for place, band in enumerate(card.bands):
        if band in brought:
            mean[place] *= TEN_THOUSAND
            std[place] *= TEN_THOUSAND
    if brought:
        progress.message(
            f"The model {card.name} was trained on reflectance x 10000, as its means say, and is "
            f"asked about the same: {', '.join(sorted(brought))}."
        )
    fitted = replace(card, mean=mean, std=std)
    _warn_if_smaller(fitted, source, [band for band in light if band not in known], progress)
    return fitted


def _scales(card: ModelCard, light: list[str]) -> dict[str, float]:
    """Return what the numbers that bands were trained on are reflectance by; 0 where not known."""
    places = {band: card.bands.index(band) for band in light}
    stated = card.units or [""] * len(card.bands)
    means = [card.mean[place] for place in places.values()]
    deviations = [card.std[place] for place in places.values()]
    guess = 0.0
    if max(map(abs, means)) <= LARGEST and max(deviations) < 1:  # 0 and 1 scale nothing
        guess = 1.0
    elif max(means) > 255 and min(means) < 5000:  # not Landsat's numbers, which begin at 7273
        guess = TEN_THOUSAND
    return {band: 1.0 if stated[place] == REFLECTANCE else guess for band, place in places.items()}


def _warn_if_smaller(card: ModelCard, source: Source, bands: list[str], progress: Progress) -> None:
    """Warn of bands of unknown units that hold next to nothing of what the model was trained on.

    That they hold much more, `warn_if_far` says.
    """
    small = []
    for band in bands:
        values = sampled(source, band)
        mean = card.mean[card.bands.index(band)]
        if values.size and np.percentile(np.abs(values), 98) < _TOO_SMALL * mean:
            small.append(band)
    if small:
        progress.warning(
            f"The stack's {', '.join(small)} are on another scale than those that the model "
            f"{card.name} was trained on, whose mean is "
            f"{card.mean[card.bands.index(small[0])]:.3g}: bring them to its units, the result "
            "may be poor."
        )
