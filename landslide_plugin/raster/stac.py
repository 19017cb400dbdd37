"""STAC: the files that items name, by their assets.

Source: SpatioTemporal Asset Catalog 1.0 and 1.1, items, item collections, collections.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..contract.errors import InputError
from ..core.access import require_allowed
from ..core.addresses import beside, is_address

_LARGEST = 2**28
"""Bytes of a file of items that are read."""
_ITEM, _ITEMS, _PARENTS = "Feature", "FeatureCollection", ("Collection", "Catalog")
_TIMES = ("datetime", "start_datetime")
_NO_DATA = {"thumbnail", "overview", "metadata", "visual"}
"""Roles of assets that are no measurements."""
_PIXELS = ("image/tiff", "image/jp2", "image/vnd.stac.geotiff")
"""How the types of assets begin that hold these."""


@dataclass(frozen=True)
class Asset:
    """A file of an item.

    Attributes:
        href: where it is.
        band: its name, where it is one and the item says it, such as "red"; else "".
    """

    href: str
    band: str


@dataclass(frozen=True)
class Item:
    """A scene, or a tile of one.

    Attributes:
        id: its own.
        day: year-month-day; "" where it tells none.
        assets: its rasters by key.
    """

    id: str
    day: str
    assets: Mapping[str, Asset]


def read_items(file: Path) -> list[Item]:
    """Return the items of a JSON file; none where it holds no STAC.

    Args:
        file: an item, items, or a collection whose items lie in files that it links to.

    Raises:
        InputError: an item that it links to can't be read.
    """
    told = _json(file) if file.suffix.lower() in (".json", ".geojson") else None
    return list(_items(told, file)) if told else []


def of_asset(items: Sequence[Item], key: str, name: str) -> list[tuple[Item, Asset]]:
    """Return the files of one asset, with their items; of the only asset where no key is given.

    Args:
        items: the scenes.
        key: the asset's.
        name: what holds the items, for messages.

    Raises:
        InputError: an item has no such asset, or several and no key is given.
    """
    keys = list(dict.fromkeys(one for item in items for one in item.assets))
    if not key and len(keys) > 1:
        raise InputError(
            f"The items of {name} have several assets ({', '.join(keys)}): name those that make "
            "the image in ASSETS of Many files as one image."
        )
    key = key or "".join(keys)
    for item in items:
        if key not in item.assets:
            raise InputError(
                f"The item {item.id} of {name} has no raster as asset {key}; it has: "
                f"{', '.join(item.assets) or 'none'}."
            )
    return [(item, item.assets[key]) for item in items]


def item_of(told: Mapping[str, Any], file: Path) -> Item:
    """Return an item as its JSON tells it, the rasters of data among its assets.

    Args:
        told: the JSON.
        file: beside which relative addresses lie.
    """
    properties = _mapping(told.get("properties"))
    assets = {
        key: Asset(beside(file, one["href"]), _band(one))
        for key, one in _mapping(told.get("assets")).items()
        if isinstance(one, Mapping) and isinstance(one.get("href"), str) and _is_data(one)
    }
    day = next((told[key] for told in (properties, told) for key in _TIMES if told.get(key)), "")
    return Item(str(told.get("id", "")), str(day)[:10], assets)


def _items(told: Mapping[str, Any], file: Path) -> Iterator[Item]:
    kind = told.get("type")
    for one in [told] if kind == "Feature" else _listed(told, "features"):
        if "assets" in one:
            yield item_of(one, file)
    for link in _listed(told, "links") if kind in ("Collection", "Catalog") else ():
        if link.get("rel") == "item":
            where = beside(file, str(link.get("href", "")))
            item = None if is_address(where) else _json(Path(where))
            if item is None:
                raise InputError(
                    f"The item {where} of {file} can't be read: save items beside their collection."
                )
            yield item_of(item, Path(where))


def _json(file: Path) -> dict[str, Any] | None:
    """Return a JSON object of a file; None where it holds none."""
    require_allowed(str(file))
    try:
        with file.open(encoding="utf-8") as opened:
            told = json.loads(opened.read(_LARGEST))
    except (OSError, ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _listed(told: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    items = told.get(key)
    return [one for one in items if isinstance(one, dict)] if isinstance(items, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_data(asset: Mapping[str, Any]) -> bool:
    roles = asset.get("roles")
    roles = {str(role) for role in roles} if isinstance(roles, list) else set()
    kind = str(asset.get("type", ""))
    return not roles & _NO_DATA and ("data" in roles or kind.startswith(_PIXELS))


def _band(asset: Mapping[str, Any]) -> str:
    """Return the name of an asset's only band, by STAC 1.1 or by the extension eo; else ""."""
    bands = _listed(asset, "bands") or _listed(asset, "eo:bands")
    if len(bands) != 1:
        return ""
    keys = ("eo:common_name", "common_name", "name")
    return next((str(bands[0][key]) for key in keys if bands[0].get(key)), "")
