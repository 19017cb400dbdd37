"""What kind of values bands hold: classes and directions are never blended with each other."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree  # nosec B405

import rasterio
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader, MemoryFile
from rasterio.shutil import copy as copy_raster

from ..core.access import require_allowed
from .declared import file_of

DIRECTIONS = {"aspect", "azimuth", "direction"}
"""Words in the names of bands in degrees of a circle: between 359 and 1 lies not 180."""

THEMATIC = {"LAYER_TYPE": "thematic"}
"""Metadata item of a band of classes, as GDAL reads it from Erdas Imagine files."""

LEVELS = "levels"
"""The unit of a band that holds numbers of levels, such as those of a distance."""

_CLASS = "class_"
"""What the tags of a band begin with that name its classes; the value follows."""

_FEWEST_GREYS = 16
"""A grey ramp of fewer steps is a colour table of classes."""

# Usage and type of the columns of GDAL's raster attribute tables (GDALRATFieldUsage, GFT_String)
_COUNT, _NAME, _LEAST, _MOST, _VALUE, _TEXT = "1", "2", "3", "4", "5", "2"


@dataclass(frozen=True)
class Kind:
    """What a file says of a band's values.

    Attributes:
        is_classes: whether they are classes: by category names, a colour table that is no ramp of
            greys, a raster attribute table of single values, or the layer's type.
        names: of classes, where there are any.
    """

    is_classes: bool = False
    names: dict[int, str] = field(default_factory=dict)


def is_direction(name: str) -> bool:
    """Whether a band's name says that it holds directions, such as aspect_2 or "Aspect (deg)"."""
    return not DIRECTIONS.isdisjoint(re.split(r"[\W_\d]+", name.lower()))


def named_classes(tags: Mapping[str, str]) -> dict[int, str]:
    """Return the names that a band's metadata items give its classes."""
    return {int(key[len(_CLASS) :]): tags[key] for key in sorted(tags) if _is_class(key)}


def tags_of_kind(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata items of a band that tell of its classes."""
    others = ("ordinal", "CLASS_OF", "CLASS_NAME")
    return {key: value for key, value in tags.items() if _is_class(key) or key in others}


def kinds_of(dataset: DatasetReader) -> dict[int, Kind]:
    """Return what a file says of its bands, by GDAL's number, from 1.

    rasterio gives neither category names nor raster attribute tables; GDAL's own description of
    the raster as a VRT does. A view's kinds are those of its file, with what lies beside that.
    """
    file = file_of(dataset)
    if file:
        require_allowed(file)
    try:
        if file:
            with rasterio.open(file) as part:
                return kinds_of(part)
        bands = described(dataset).findall("VRTRasterBand")
    except (RasterioError, ElementTree.ParseError):  # a name may hold what XML does not allow
        return {}
    return {int(band.get("band", 1)): _kind(band) for band in bands}


def described(dataset: DatasetReader) -> ElementTree.Element:
    """Return GDAL's description of a raster as a VRT of it.

    Raises:
        RasterioError: a raster that is in memory alone.
        ElementTree.ParseError: a name holds what XML does not allow.
    """
    with MemoryFile(ext=".vrt") as memory:
        copy_raster(dataset, memory.name, driver="VRT")
        text = memory.read().decode("utf-8", "replace")
    root = ElementTree.fromstring(text)  # noqa: S314 - GDAL wrote it  # nosec B314
    if Path(f"{dataset.name}.vat.dbf").exists():  # Esri's table of the values of one band
        for band in root.findall("VRTRasterBand"):
            add_items(band, THEMATIC)
    return root


def add_items(element: ElementTree.Element, items: Mapping[str, str], domain: str = "") -> None:
    """Add metadata items of a domain to a VRT or a band of it."""
    parts = [one for one in element.findall("Metadata") if one.get("domain", "") == domain]
    if items and not parts:
        parts = [ElementTree.Element("Metadata", {"domain": domain} if domain else {})]
        element.insert(0, parts[0])
    for key, value in items.items():
        ElementTree.SubElement(parts[0], "MDI", key=key).text = value


def _kind(band: ElementTree.Element) -> Kind:
    table = band.find("GDALRasterAttributeTable")
    names = {} if table is None or _is_of_ranges(table) else _table_names(table)
    listed = enumerate(item.text for item in band.findall("CategoryNames/Category"))
    names |= {code: name for code, name in listed if name}
    colours = [
        tuple(int(entry.get(part, 0)) for part in ("c1", "c2", "c3"))
        for entry in band.findall("ColorTable/Entry")
    ]
    items = {item.get("key"): item.text for item in band.findall("Metadata/MDI")}
    is_classes = (
        bool(names)
        or (table is not None and _is_of_values(table))
        or (bool(colours) and not _is_grey_ramp(colours))
        or THEMATIC.items() <= items.items()
    )
    return Kind(is_classes, names)


def _is_grey_ramp(colours: Sequence[tuple[int, ...]]) -> bool:
    """Whether a colour table only shows a photograph's values in grey, light or dark first."""
    if any(len(set(colour)) > 1 for colour in colours):
        return False
    greys = [colour[0] for colour in colours]
    steady = greys in (sorted(greys), sorted(greys, reverse=True))
    return steady and len(set(greys)) >= max(_FEWEST_GREYS, len(greys) / 2)


def _is_of_values(table: ElementTree.Element) -> bool:
    """Whether a table describes single values, and does more than count them."""
    said = table.get("tableType") != "athematic" and not _is_of_ranges(table)
    return said and any(column.get("Usage") != _COUNT for column in _columns(table))


def _is_of_ranges(table: ElementTree.Element) -> bool:
    """Whether the rows of a table are ranges of values or a histogram's bins."""
    usages = {column.get("Usage") for column in _columns(table)}
    return table.get("BinSize") is not None or not usages.isdisjoint((_LEAST, _MOST))


def _columns(table: ElementTree.Element) -> list[dict[str, str]]:
    return [{item.tag: item.text or "" for item in one} for one in table.findall("FieldDefn")]


def _table_names(table: ElementTree.Element) -> dict[int, str]:
    """Return the names in a raster attribute table: its name column, else its first text."""
    columns = _columns(table)
    usages, kinds = [[column.get(key) for column in columns] for key in ("Usage", "Type")]
    titles = [column.get("Name", "").lower() for column in columns]
    if _NAME in usages:
        name = usages.index(_NAME)
    elif _TEXT in kinds:
        name = kinds.index(_TEXT)
    else:
        return {}
    value = usages.index(_VALUE) if _VALUE in usages else None
    if value is None and "value" in titles:
        value = titles.index("value")
    names = {}
    for number, row in enumerate(table.findall("Row")):
        cells = [cell.text or "" for cell in row.findall("F")]
        try:
            code = float(number if value is None else cells[value])
        except ValueError:  # a column of that title may hold words
            continue
        if cells[name] and code.is_integer():
            names[int(code)] = cells[name]
    return names


def _is_class(key: str) -> bool:
    return key.startswith(_CLASS) and key[len(_CLASS) :].lstrip("-").isdigit()
