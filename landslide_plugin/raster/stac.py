"""STAC: the files that items name, by their assets.

Source: SpatioTemporal Asset Catalog 1.0 and 1.1, items, item collections, collections; STAC API
1.0 for the pages of an answer.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..contract.errors import InputError
from ..core.access import require_allowed
from ..core.addresses import RASTERS, beside, web_address
from ..core.fetch import fetch_json
from .bands import common_name, is_imagery
from .products import Units, units_in_item

_LARGEST = 2**28
"""Bytes of a file of items that are read."""
_ITEM, _PARENTS = "Feature", ("Collection", "Catalog")
_MOST_PAGES = 1000
"""Of a server's answer that are asked for."""
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
        units: how its numbers become reflectance, where it is a band of imagery and that is said.
    """

    href: str
    band: str
    units: Units | None


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


def read_items(name: str | Path) -> list[Item]:
    """Return the items of a JSON file; none where it holds no STAC.

    Args:
        name: an item, items, or a collection that links to its items; a file, or an address of the
            web, which may be that of a search. What a search answers page by page is asked for to
            its end.

    Raises:
        InputError: an item that it links to can't be read; a server does not answer, answers
            without items, or without end.
    """
    name = str(name)
    if address := web_address(name):
        told = fetch_json(address)
        items = list(_items(told, address)) if isinstance(told, dict) else []
        if isinstance(told, dict) and not items:
            raise InputError(
                f"{address} answers without STAC items: give the address of items, of a collection "
                "or of a search, and check what it asks for (collections, bbox, datetime)."
            )
        return items
    told = _json(name) if name.lower().endswith((".json", ".geojson")) else None
    return list(_items(told, name)) if told else []


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
                f"The item {item.id} of {name} has no raster as asset {key or 'of data'}; it has: "
                f"{', '.join(item.assets) or 'none'}."
            )
    return [(item, item.assets[key]) for item in items]


def item_of(told: Mapping[str, Any], file: str | Path) -> Item:
    """Return an item as its JSON tells it, the rasters of data among its assets.

    Args:
        told: the JSON.
        file: beside which relative addresses lie.
    """
    properties = _mapping(told.get("properties"))
    assets = {
        key: Asset(beside(file, one["href"]), _band(one), _units(told, one))
        for key, one in _mapping(told.get("assets")).items()
        if isinstance(one, Mapping) and isinstance(one.get("href"), str) and _is_data(one)
    }
    day = next((told[key] for told in (properties, told) for key in _TIMES if told.get(key)), "")
    return Item(str(told.get("id", "")), str(day)[:10], assets)


def _items(told: Mapping[str, Any], name: str) -> Iterator[Item]:
    """Yield the items that a JSON object holds or leads to."""
    if told.get("type") in _PARENTS:
        links = _listed(told, "links")
        where = {key: _linked(links, key, name) for key in ("item", "items")}
        for file in where["item"]:
            yield item_of(_linked_json(file, name), file)
        if where["item"] or not where["items"]:
            return
        name = where["items"][0]
        told = _linked_json(name, name)
    for page, address in _pages(told, name):
        for one in [page] if page.get("type") == _ITEM else _listed(page, "features"):
            if "assets" in one:
                yield item_of(one, address)


def _pages(told: Mapping[str, Any], name: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield an answer of a server and those that follow it, each with its address.

    Raises:
        InputError: one can't be fetched or holds no items, or there is no end; or a file is the
            first of several.
    """
    following, body, asked = _next(told), dict[str, Any](), set[str]()
    count, matched = len(_listed(told, "features")), told.get("numberMatched")
    if following and not web_address(name) and isinstance(matched, int) and matched > count:
        raise InputError(
            f"{name} holds {count} of the {matched} items that its server tells of: save all of "
            "them, or give the address of the search."
        )
    yield told, name
    while following and web_address(name):
        where = beside(name, str(following.get("href", "")))
        address = web_address(where) or where
        posted = str(following.get("method", "")).upper() == "POST"
        body = {**(body if following.get("merge") else {}), **_mapping(following.get("body"))}
        question = f"{address} {json.dumps(body, sort_keys=True) if posted else ''}"
        if question in asked or len(asked) == _MOST_PAGES:
            raise InputError(
                f"{name} answers page after page without an end ({len(asked) + 1} so far): ask for "
                "less (bbox, datetime, a larger limit)."
            )
        asked.add(question)
        told, name = _mapping(fetch_json(address, body if posted else None)), address
        if "features" not in told:
            raise InputError(f"{address}, the next page of items, holds none: ask for them again.")
        yield told, name
        following = _next(told)


def _next(told: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return next((one for one in _listed(told, "links") if one.get("rel") == "next"), None)


def _linked(links: Sequence[Mapping[str, Any]], rel: str, name: str) -> list[str]:
    return [beside(name, str(one.get("href", ""))) for one in links if one.get("rel") == rel]


def _linked_json(where: str, name: str) -> Mapping[str, Any]:
    told = _json(where)
    if told is None:
        raise InputError(
            f"The item {where} of {name} can't be read: save items beside their collection."
        )
    return told


def _json(name: str) -> dict[str, Any] | None:
    """Return a JSON object of a file or an address; None where it holds none."""
    if address := web_address(name):
        told = fetch_json(address)
        return told if isinstance(told, dict) else None
    require_allowed(name)
    try:
        with Path(name).open(encoding="utf-8-sig") as opened:
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
    kind = str(asset.get("type") or "")
    if not roles and not kind:  # both may be left out
        return str(asset["href"]).lower().partition("?")[0].endswith(RASTERS)
    return not roles & _NO_DATA and ("data" in roles or kind.startswith(_PIXELS))


def _units(item: Mapping[str, Any], asset: Mapping[str, Any]) -> Units | None:
    imagery = is_imagery(common_name(_band(asset)))
    return units_in_item(item, [asset], 0) if imagery else None


def _band(asset: Mapping[str, Any]) -> str:
    """Return the name of an asset's only band, by STAC 1.1 or by the extension eo; else ""."""
    bands = _listed(asset, "bands") or _listed(asset, "eo:bands")
    if len(bands) != 1:
        return ""
    keys = ("eo:common_name", "common_name", "name")
    return next((str(bands[0][key]) for key in keys if bands[0].get(key)), "")
