"""Which of the models at hand fits an image."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...models.known_models import at_hand, to_be_had
from ...models.model_card import ModelCard
from ...models.model_file import load_card
from ...models.registry import SEMANTIC_TASK
from ..contract.errors import InputError, ModelFileError
from .plan import Given, plan

COARSEST, FINEST = 2.0, 4.0
"""How many times as wide, or as narrow, as those trained on an image's pixels may be: finer ones
are averaged for the model, coarser ones lack what it has learnt to see."""


@dataclass(frozen=True)
class Choice:
    """The model taken.

    Attributes:
        path: its file.
        card: its description.
        reason: why it was taken, and why the others were not; one sentence each.
        limits: where its card says that it does not work.
    """

    path: Path
    card: ModelCard
    reason: str
    limits: list[str]


def choose_model(
    bands: Sequence[str],
    resolution: float,
    given: Given,
    *,
    synthetic: bool = False,
    paths: Sequence[Path] | None = None,
) -> Choice:
    """Take the model that uses most of what is given; of equals that of the nearest resolution.

    Of models that are equal in that too, the plugin's before the user's, and the first by name.

    A model fits if the image and the other layers give its bands, the image's pixels are within
    `COARSEST` and `FINEST` of its own, and it was not trained on synthetic data unless the image
    is synthetic too.

    Args:
        bands: the image's, by common names.
        resolution: of the image, metres a pixel.
        given: the other layers.
        synthetic: whether the image is generated.
        paths: folders of model files; those of the plugin and of the user when None.

    Raises:
        InputError: no model fits; the sentence says why for each.
    """
    cards: dict[Path, ModelCard] = {}
    unread = ""
    for path in at_hand(paths).values():
        try:
            cards[path] = load_card(path)
        except ModelFileError as error:  # one of all the user's files
            unread += f"{error} "
    refused = {
        path: obstacle
        for path, card in cards.items()
        if (obstacle := _obstacle(card, bands, resolution, given, synthetic))
    }
    fit = [path for path in cards if path not in refused]
    others = "".join(f"{cards[path].name} does not fit: {why}. " for path, why in refused.items())
    others += unread + _elsewhere(bands, resolution, given, paths)
    if not fit:
        raise InputError(
            f"No model at hand fits the image. {others}Give a model file, or train one."
        )
    best = max(fit, key=lambda path: (len(cards[path].bands), -_ratio(cards[path], resolution)))
    card = cards[best]
    size = f" and {card.resolution:g} m a pixel" if card.resolution else ""
    reason = (
        f"Taken is the model {card.name}, for {', '.join(card.bands)}{size}; "
        f"the image has {resolution:.3g} m. {others}"
    )
    return Choice(best, card, reason.strip(), card.limits)


def _elsewhere(
    bands: Sequence[str], resolution: float, given: Given, paths: Sequence[Path] | None
) -> str:
    """Return a sentence on the models that would fit but are not at hand; nothing without any."""
    cards = map(ModelCard.from_item, to_be_had(paths).values())
    names = [card.name for card in cards if not _obstacle(card, bands, resolution, given, False)]
    if not names:
        return ""
    return f'Not at hand, but fit for it: {", ".join(names)}; "Fetch a model" tells how to get it. '


def _obstacle(
    card: ModelCard, bands: Sequence[str], resolution: float, given: Given, synthetic: bool
) -> str:
    """Return why a model does not fit; nothing if it does."""
    if card.task != SEMANTIC_TASK:
        return "it marks objects, not pixels"
    if card.training.get("synthetic") and not synthetic:
        return "it was trained on synthetic data, for demonstration"
    try:
        missing = [band for band in plan(card.bands, given, card.units).image if band not in bands]
    except InputError as error:
        return str(error).rstrip(".")
    if missing:
        return f"the image lacks {', '.join(missing)}"
    if card.resolution and not 1 / FINEST <= resolution / card.resolution <= COARSEST:
        return f"it is for pixels of {card.resolution:g} m, the image's are {resolution:.3g} m"
    return ""


def _ratio(card: ModelCard, resolution: float) -> float:
    """Return how much larger the larger pixel is."""
    if not card.resolution:
        return 1.0
    return max(card.resolution / resolution, resolution / card.resolution)
