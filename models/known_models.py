"""The models that the plugin knows: those that ship with it, and those that are had on wish.

`weights/models.json` holds their terms, sizes, digests and addresses. Of those that don't ship, a
card lies in its place (`NAME.card.json`, written by `python -m experiments.shipped.cards`), so that
it can be told where they would fit. QGIS's own Python reads this too: standard library alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..landslide_plugin.contract.errors import InputError, OutputError
from ..landslide_plugin.outputs.whole import PARTIAL_PREFIX
from ..landslide_plugin.setup.home import home
from ..landslide_plugin.setup.listener import Fetch, Listener

SUFFIX = ".safetensors"
WEIGHTS = Path(__file__).resolve().parent / "weights"
"""Where the models that ship lie."""
RECIPES = WEIGHTS.parent / "recipes"
LIST = "models.json"
CARD_SUFFIX = ".card.json"


@dataclass(frozen=True)
class KnownModel:
    """What is known of a model whether it is at hand or not.

    Attributes:
        name: also of its file.
        distributed: "zip" in the plugin's archive, "fetch" on wish.
        licence: SPDX identifier of the weights' terms; empty where they are not clear.
        source: the data that it learnt from, and their terms.
        size: bytes of the file.
        digest: "sha256:" and the file's SHA-256 in hexadecimal.
        address: where it can be fetched; empty where it can't.
    """

    name: str
    distributed: str
    licence: str
    source: str
    size: int
    digest: str
    address: str = ""


def known_models(folder: Path = WEIGHTS) -> dict[str, KnownModel]:
    """Return all that `models.json` lists, by name."""
    entries = json.loads((folder / LIST).read_text(encoding="utf-8"))
    return {name: KnownModel(name, **entry) for name, entry in entries.items()}


def models_folder() -> Path:
    """Return the user's own folder of models, which no update of the plugin touches."""
    return home() / "models"


def folders() -> list[Path]:
    """Return where models are looked for, the first counts first."""
    return [WEIGHTS, models_folder()]


def at_hand(folders_given: Sequence[Path] | None = None) -> dict[str, Path]:
    """Return the model files that are there, by name.

    Args:
        folders_given: folders; `folders()` when None.
    """
    paths: dict[str, Path] = {}
    for folder in folders() if folders_given is None else folders_given:
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            paths.setdefault(path.stem, path)
    return paths


def to_be_had(folders_given: Sequence[Path] | None = None) -> dict[str, dict[str, Any]]:
    """Return the cards, as STAC items, of models that could be fetched or made, by name.

    Args:
        folders_given: as in `at_hand`.
    """
    present = at_hand(folders_given)
    paths = [
        path
        for folder in (folders() if folders_given is None else folders_given)
        for path in sorted(folder.glob(f"*{CARD_SUFFIX}"))
    ]
    names = {path.name[: -len(CARD_SUFFIX)]: path for path in paths}
    return {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name, path in names.items()
        if name not in present
    }


def fetch_model(model: KnownModel, fetch: Fetch, listener: Listener) -> Path:
    """Have a model in the user's folder: whole, and the very file that was measured.

    Args:
        model: one of `known_models`, with the address to use.
        fetch: downloads an address into a file.
        listener: receives progress, and is asked for cancellation.

    Returns:
        The file.

    Raises:
        InputError: there is no address, another file is in the way, or what came is not the model.
        OutputError: the folder can't be written.
    """
    folder = models_folder()
    target = folder / f"{model.name}{SUFFIX}"
    if target.is_file():
        if digest_of(target) == model.digest:
            listener.message(f"{model.name} is there already: {target}.")
            return target
        raise InputError(
            f"{target} is another file than the {model.name} that can be fetched, such as one of "
            "your own training: it is kept; move it away to fetch that one."
        )
    if not model.address:
        raise InputError(
            f"There is no address yet that {model.name} can be fetched from. With your own copy of "
            f"what it learnt from ({model.source}), 'Run a recipe' (landslide:recipe) makes such a "
            f"model by a recipe of {RECIPES}; put the file into {folder}."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=PARTIAL_PREFIX, dir=folder) as scratch:
            partial = Path(scratch) / target.name
            _fetch(model, fetch, partial, listener)
            os.replace(partial, target)
    except OSError as error:
        raise OutputError(
            f"The model can't be written into {folder} ({error.strerror or error}): check the "
            "folder and the free disk space."
        ) from error
    listener.message(f"{model.name} is there now: {target}.")
    return target


def _fetch(model: KnownModel, fetch: Fetch, partial: Path, listener: Listener) -> None:
    """Download a model and check that it is the one."""
    try:
        fetch(model.address, partial, listener)
    except OSError as error:
        raise InputError(
            f"{model.address} can't be fetched ({error}): check the address, the connection and "
            "the proxy (Settings > Options > Network)."
        ) from error
    if digest_of(partial) != model.digest:
        raise InputError(
            f"What came from {model.address} is not the model {model.name} that was measured: "
            "nothing is kept; try again, or tell the plugin's makers."
        )


def digest_of(path: Path) -> str:
    """Return a file's digest as `models.json` states it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return f"sha256:{digest.hexdigest()}"
