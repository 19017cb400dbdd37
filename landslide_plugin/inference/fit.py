"""The fit of a stack to a model: bands, size of the pixels, units."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from ...models.model_card import ModelCard
from ..contract.errors import GridError, ModelFileError
from ..core.progress import Progress
from ..raster import Grid, Source
from ..raster.bands import is_imagery
from ..raster.grid import require_north_up, tell_metres
from ..raster.heights import require_metres
from ..raster.kinds import LEVELS
from ..raster.reflectance import (
    LARGEST,
    REFLECTANCE,
    is_picture,
    read_as_reflectance,
    sampled,
    warn_of_unknown,
)
from ..raster.undeclared import Seen, mark_fill
from .light import fit_to_scene
from .sizes import LIKE_THE_MODELS, resolution_ratio
from .stack import Stack

TEN_THOUSAND = 1e-4
"""What numbers of reflectance x 10000, on which models were trained too, are multiplied by."""
_TOO_SMALL = 0.05
"""Share of a model's mean below which nearly all of a band is on another scale."""
_BYTE = 255


@contextmanager
def open_stack(
    stack: Stack,
    card: ModelCard,
    progress: Progress,
    fill: str = "keep",
    seen: Seen | None = None,
) -> Iterator[Source]:
    """Open the stack, and refuse it where it does not fit the model: bands, grid, units of height.

    Args:
        stack: the stack.
        card: the model's.
        progress: where to warn; told how much is searched for fill.
        fill: see `mark_fill`.
        seen: likewise.

    Raises:
        InputError: no raster that can be read, or its heights are not in metres.
        GridError: it is not north-up, or its pixels are of quite another size than the model's.
        ModelFileError: it lacks bands of the model.
    """
    with stack.open() as source:
        require_bands(source, card)
        if source.grid.crs is None:
            progress.warning(f"{stack.path} has no CRS: lengths and areas are counted in pixels.")
        else:
            require_north_up(source.grid.transform, stack.path)
            require_metres(source)
            check_resolution(source.grid, card, progress)
        bands = [band for band in source.bands if band in card.bands]
        mark_fill([source], fill, progress, bands=bands, seen=seen)
        yield source


def require_bands(source: Source, card: ModelCard) -> None:
    """Refuse a stack that lacks bands of the model.

    Raises:
        ModelFileError: it does; the message names them and those the stack has.
    """
    missing = [band for band in card.bands if band not in source.bands]
    if missing:
        raise ModelFileError(
            f"The stack {source.path} lacks {', '.join(missing)}, which the model {card.name} "
            f"wants; it has {', '.join(source.bands)}: add the missing bands or name them so."
        )


def check_resolution(grid: Grid, card: ModelCard, progress: Progress) -> None:
    """Warn where the stack's pixels are not about as wide as those that the model has learnt.

    Raises:
        GridError: they are ten times as wide or more, or a tenth and less.
    """
    ratio = resolution_ratio(grid, card)
    like = 1 / LIKE_THE_MODELS <= ratio <= LIKE_THE_MODELS
    if ratio != 1 and not (like and grid.metres_vary < LIKE_THE_MODELS - 1):
        tell_metres(grid, progress, "resampling to the model's pixels")
    if 0.5 <= ratio <= 2:
        return
    apart = (
        f"the stack's pixels are {grid.resolution:.3g} m wide, but the model {card.name} was "
        f"trained at {card.resolution:.3g} m"
    )
    if not 0.105 < ratio < 9.5:
        raise GridError(
            f"Nothing can be found at another scale: {apart}. Resample the stack, check its CRS, "
            "or choose another model."
        )
    effect = (
        "it is averaged to these, and what is smaller is not seen"
        if ratio < 1
        else "it is resampled to these, but has not their detail: the result may be poor"
    )
    progress.warning(f"{apart[0].upper()}{apart[1:]}: {effect}.")


def _warn_of_levels(source: Source, card: ModelCard, progress: Progress) -> None:
    """Warn of distances that are levels in the stack alone, or in the model's training alone."""
    for band, unit in zip(card.bands, card.units, strict=False):
        if (unit == LEVELS) != source.is_ordinal(band):
            kinds = ["levels", "a distance"]
            trained, held = kinds if unit == LEVELS else reversed(kinds)
            progress.warning(
                f"The band {band} of {source.path} holds {held}, and the model {card.name} was "
                f"trained on {trained}: derive it as for the training, the result may be poor."
            )


def fit_card(card: ModelCard, source: Source, progress: Progress) -> ModelCard:
    """Return the card whose means and deviations suit the values of a stack.

    Args:
        card: the model's.
        source: the stack, with the model's bands.
        progress: told what was converted, and warned of what can't be.

    Raises:
        InputError: the model wants the scene's light, but it holds nothing or a band is constant.
    """
    if card.scene:
        return fit_to_scene(card, [source], progress)
    return fit_units(card, source, progress)


def fit_units(card: ModelCard, source: Source, progress: Progress) -> ModelCard:
    """Return the card in the units that the stack's imagery is read in from now on.

    Where it is known how both relate to reflectance, that is what the stack is read as, and the
    card's means and deviations are brought to it. A card that says nothing is taken by its means.

    Args:
        card: returned as it is where it keeps its own light, which is fitted to the scene.
        source: the stack, with the model's bands.
        progress: told what was converted, and warned of what can't be.
    """
    _warn_of_levels(source, card, progress)
    light = [band for band in card.bands if is_imagery(band)]
    if card.scene or not light:
        return card
    scales = _scales(card, light)
    located = {band: (source, band) for band in light if scales[band]}
    what = f"stack {source.path}"
    units = read_as_reflectance(located, what=what, progress=progress)
    wanted = {band: unit for band, unit in units.items() if scales[band] == 1}
    warn_of_unknown(wanted, located, what, progress)
    mean, std = list(card.mean), list(card.std)
    brought = {band for band in located if units[band] is not None and scales[band] != 1}
    for index, band in enumerate(card.bands):
        if band in brought:
            mean[index] *= TEN_THOUSAND
            std[index] *= TEN_THOUSAND
    if brought:
        progress.message(
            f"The model {card.name} was trained on reflectance x 10000, as its means say, and is "
            f"asked about the same: {', '.join(sorted(brought))}."
        )
    fitted = replace(card, mean=mean, std=std)
    unknown = [band for band in light if units.get(band) is None]
    _warn_if_smaller(fitted, source, unknown, progress)
    return fitted


def _scales(card: ModelCard, light: list[str]) -> dict[str, float]:
    """Return what the numbers that bands were trained on are reflectance by; 0 where not known."""
    indices = {band: card.bands.index(band) for band in light}
    stated = card.units or [""] * len(card.bands)
    means = [card.mean[index] for index in indices.values()]
    deviations = [card.std[index] for index in indices.values()]
    guess = 0.0
    if max(map(abs, means)) <= LARGEST and max(deviations) < 1:  # 0 and 1 scale nothing
        guess = 1.0
    elif max(means) > 255 and min(means) < 5000:  # not Landsat's numbers, which begin at 7273
        guess = TEN_THOUSAND
    return {band: 1.0 if stated[index] == REFLECTANCE else guess for band, index in indices.items()}


def _warn_if_smaller(card: ModelCard, source: Source, bands: list[str], progress: Progress) -> None:
    """Warn of bands of unknown units that hold next to nothing of what the model was trained on.

    That they hold much more, `Reader.warn_if_far` says.
    """
    small = []
    for band in bands:
        values, index = sampled(source, band), card.bands.index(band)
        mean, std = card.mean[index], card.std[index]
        # Than numbers from 0 to 255 ever are.
        is_larger = mean + std > _BYTE and std**2 > mean * (_BYTE - mean)
        if values.size and (
            np.percentile(np.abs(values), 98) < _TOO_SMALL * mean
            or (is_larger and is_picture(source, band))
        ):
            small.append(band)
    if small:
        progress.warning(
            f"The stack's {', '.join(small)} are on another scale than those that the model "
            f"{card.name} was trained on, whose mean is "
            f"{card.mean[card.bands.index(small[0])]:.3g}: bring them to its units, the result "
            "may be poor."
        )
