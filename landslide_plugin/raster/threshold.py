"""The threshold of a probability raster: it travels with the raster, from its model to the maps."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from ..contract.errors import InputError, ModelFileError
from ..contract.tags import ALGORITHM, MODEL, PARAMETERS, THRESHOLD
from .source import Source

USUAL = 0.5
"""Taken where neither the user nor the raster says any."""
_MAKERS = ("landslide:predict", "landslide:map")


@dataclass(frozen=True)
class Threshold:
    """The probability from which a pixel is landslide.

    Attributes:
        value: 0..1.
        origin: says after the value where it is from.
    """

    value: float
    origin: str

    @classmethod
    def of(cls, raster: Source, asked: float | None) -> "Threshold":
        """Return what was asked for, else what the raster carries, else `USUAL`.

        Args:
            raster: probabilities.
            asked: by the user; None to leave it to the raster.

        Raises:
            InputError: the raster is a mosaic whose parts carry different thresholds.
        """
        if asked is None:
            return carried(raster) or cls(USUAL, "as the raster tells of no threshold")
        try:
            told = carried(raster)
        except InputError:
            told = None
        if told is None or told.value == asked:
            return cls(asked, "as asked for")
        return cls(asked, f"as asked for; the raster carries {told.value:g}")

    def __str__(self) -> str:
        """Return value and origin, for a sentence."""
        return f"{self.value:g} ({self.origin})"


def threshold_tag(value: float) -> dict[str, str]:
    """Return the metadata item of a raster whose landslides begin at a probability."""
    return {THRESHOLD: repr(float(value))}


def carried(raster: Source) -> Threshold | None:
    """Return the threshold that a raster's metadata tell; None where they tell none.

    They hold it, or, as in rasters of earlier versions, name the model whose card holds it. Of a
    mosaic (VRT) without any the parts are looked at.

    Raises:
        InputError: the parts of a mosaic carry different thresholds.
    """
    thresholds = {one.value: one for one in _thresholds_of(raster.dataset)}
    if len(thresholds) > 1:
        values = " and ".join(f"{value:g}" for value in sorted(thresholds))
        raise InputError(
            f"The parts of {raster.path} were made with different thresholds, {values}: give the "
            "threshold."
        )
    return next(iter(thresholds.values()), None)


def _thresholds_of(dataset: DatasetReader) -> Iterator[Threshold]:
    """Yield the threshold of a raster, or of those that a mosaic without any is made of."""
    told = _of_tags(dataset.tags())
    if told is not None:
        yield told
    elif dataset.driver == "VRT":
        for path in dataset.files:
            if path != dataset.name and Path(path).suffix.lower() not in (".xml", ".ovr", ".msk"):
                try:
                    with rasterio.open(path) as part:
                        yield from _thresholds_of(part)
                except RasterioError:  # a part that is not there is empty
                    continue


def _of_tags(tags: Mapping[str, str]) -> Threshold | None:
    name = tags.get(MODEL, "")
    model = f" of the model {name}" if name else ""
    value = _probability(tags.get(THRESHOLD))
    if value is not None:
        return Threshold(value, f"carried by the raster{model}")
    if tags.get(ALGORITHM) not in _MAKERS:
        return None
    parameters = _parameters(tags)
    value = _probability(parameters.get("threshold"))
    if value is not None:
        return Threshold(value, "the one the raster was made with")
    value = _of_card(parameters.get("model"), name)
    return None if value is None else Threshold(value, f"that of the model {name}")


def _parameters(tags: Mapping[str, str]) -> dict[str, object]:
    try:
        parameters = json.loads(tags.get(PARAMETERS, ""))
    except ValueError:
        return {}
    return parameters if isinstance(parameters, dict) else {}


def _of_card(path: object, name: str) -> float | None:
    """Return the threshold of the model of a name: from its file, or as far as it is known."""
    from ...models.known_models import SUFFIX, at_hand, to_be_had
    from ...models.model_card import ModelCard
    from ...models.model_file import load_card  # brings PyTorch, rarely needed

    files = at_hand()
    named = [Path(path)] if isinstance(path, str) and path else []
    for file in [*named, *([files[name]] if name in files else [])]:
        if file.suffix.lower() == SUFFIX and file.is_file():
            try:
                card = load_card(file)
            except ModelFileError:
                continue
            if card.name == name.split(" + ")[0]:
                return card.threshold
    item = to_be_had().get(name)
    return ModelCard.from_item(item).threshold if item else None


def _probability(text: object) -> float | None:
    """Return a number within 0..1; None for anything else, as GDAL writes "*" where tags differ."""
    try:
        value = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return value if 0 <= value <= 1 else None
