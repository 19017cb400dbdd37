"""Scaling of a whole scene to the light that a model was trained in.

A model of images whose level says nothing, such as tiles that were stretched to 8 bits, keeps the
low and the high value of each band in its card. A scene then gets one offset and one gain a band,
so that its own low and high percentile come to lie there. One for the scene, never one for a tile:
a tile of forest must not look like one of bare rock.
"""

from dataclasses import replace

import numpy as np

from ...models.model_card import ModelCard
from ..contract.errors import InputError
from ..core.progress import Progress
from ..raster import Source

PERCENTILES = (2.0, 98.0)
"""What counts as low and as high."""
LOOKED_AT = 1_000_000
"""Pixels of a scene, evenly spread, that the percentiles are taken from."""


def fit_to_scene(card: ModelCard, source: Source, progress: Progress) -> ModelCard:
    """Return the card with the mean and standard deviation that suit a scene's light.

    Args:
        card: returned as it is when it keeps no low and high values.
        source: the scene, with the model's bands.
        progress: told of the gains.

    Raises:
        InputError: the scene holds nothing, or a band is constant.
    """
    if not card.scene:
        return card
    low, high = (np.array(card.scene[name], float) for name in ("low", "high"))
    grid = source.grid
    step = max(1, round((grid.width * grid.height / LOOKED_AT) ** 0.5))
    values, valid = source.on(grid.coarsened(step), "nearest").read(bands=card.bands)
    known = values[:, valid.all(0)].astype(float)
    if not known.size:
        raise InputError("The stack holds no valid pixel: check its nodata value.")
    dark, bright = np.percentile(known, PERCENTILES, axis=1)
    flat = [band for band, span in zip(card.bands, bright - dark, strict=True) if span <= 0]
    if flat:
        raise InputError(
            f"The stack's {', '.join(flat)} hardly varies, so that it can't be brought to the "
            f"light that the model {card.name} was trained in: check the band."
        )
    gain = (high - low) / (bright - dark)
    mean = dark + (np.array(card.mean) - low) / gain
    std = np.array(card.std) / gain
    told = ", ".join(
        f"{band} {a:.4g} to {b:.4g}" for band, a, b in zip(card.bands, dark, bright, strict=True)
    )
    progress.message(
        f"The scene's light, from the {PERCENTILES[0]:g}nd to the {PERCENTILES[1]:g}th percentile, "
        f"is brought to that of the training: {told}."
    )
    return replace(card, mean=mean.tolist(), std=std.tolist())
