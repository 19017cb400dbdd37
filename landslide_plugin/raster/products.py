"""What products of imagery tell of their digital numbers: in paths, tags and files beside them.

Sentinel-2: since processing baseline 04.00 (25 January 2022, and old dates that were processed
anew) 1000 is added to what reflectance x 10000 was before; ESA, S2 Products Specification Document,
`RADIO_ADD_OFFSET` and `BOA_ADD_OFFSET`. Landsat: USGS LSDS-1619 and LSDS-1618, Collection 2 Level 2
Science Product Guides, table 6-1, and the MTL files of Level 1.
"""

import json
import math
import re
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePath, PurePosixPath
from typing import Any
from xml.etree import ElementTree  # nosec B405

from ..core.access import parse_xml
from .bands import sensor_in_path

SENTINEL2_SCALE = 1e-4
SENTINEL2_OFFSET = -0.1
"""Of baseline 04.00 and later, in reflectance."""
LANDSAT_SURFACE = 2.75e-5, -0.2
"""Scale and offset of Landsat's Collection 2 surface reflectance."""

_FOLDERS_ABOVE = 5
"""From a band's file in R10m up to the product's own folder."""
_LARGEST = 20_000_000
"""Bytes of a file of metadata; what is larger is something else."""
_MOST_FILES = 50

_BASELINE = re.compile(r"(?<![A-Z0-9])S2[A-D]_.*?_N(\d\d)\.?(\d\d)(?=[_.]|$)", re.IGNORECASE)
_HARMONISED = re.compile(r"HARMONI[SZ]ED", re.IGNORECASE)
_HLS = re.compile(r"HLS\.[SL]30", re.IGNORECASE)
_LANDSAT_LEVEL2 = re.compile(r"(?<![A-Z0-9])L[COTEM]0[4-9]_L2S[PR]_", re.IGNORECASE)
_LANDSAT_COLLECTION1 = re.compile(r"_sr_band\d", re.IGNORECASE)
_PLANET_SURFACE = re.compile(r"analytic(?:MS)?(?:_8b)?_SR", re.IGNORECASE)
_ARCHIVE = re.compile(
    r"(?:/vsi(?:zip|tar)/|(?:zip|tar)(?:\+file)?://)\{?(/?.+?\.(?:zip|tar|tgz|tar\.gz))\}?!?/(.*)",
    re.IGNORECASE,
)
_SENTINEL2_IDS = "1 2 3 4 5 6 7 8 8A 9 10 11 12".split()
_SENSITIVE_TO_SUN = "LEVEL1_RADIOMETRIC_RESCALING", "RADIOMETRIC_RESCALING"


@dataclass(frozen=True)
class Units:
    """How a band's stored numbers become reflectance: value x scale + offset.

    Attributes:
        scale: above 0.
        offset: in reflectance.
        told: what says so.
        certain: False where an offset might have been added that nothing tells of.
    """

    scale: float
    offset: float
    told: str = field(compare=False)
    certain: bool = True


def told_units(
    path: str, band: str, index: int, tags: Mapping[str, str], is_bytes: bool = False
) -> Units | None:
    """Return what a product tells of one of its bands; None where it tells nothing.

    Args:
        path: of the file, as GDAL takes it.
        band: the sensor's own name of the band, such as "B04" or "SR_B4"; empty where not known.
        index: of the band in the file, from 0.
        tags: of the file and the band.
        is_bytes: whether it holds bytes, of which of all products only Landsat's first level does:
            others are pictures made for the eye, such as Sentinel-2's TCI.
    """
    if is_bytes:
        return _of_our_tags(tags) or _by_landsat_metadata(path, band, index, tags)
    texts = [*PurePath(path.replace("\\", "/")).parts, *tags.values()]
    if _is_harmonised(path, texts, band):
        return Units(SENTINEL2_SCALE, 0.0, "it is harmonised")
    for ask in (_by_tags, _by_item, _by_sentinel2_metadata, _by_landsat_metadata):
        said = ask(path, band, index, tags)
        if said is not None:
            return said
    return _by_name(texts, band)


def units_in_path(path: str) -> Units | None:
    """Return what the names in a path say of imagery; None where they say nothing."""
    texts = list(PurePath(path.replace("\\", "/")).parts)
    if _is_harmonised(path, texts, ""):
        return Units(SENTINEL2_SCALE, 0.0, "it is harmonised")
    return _by_name(texts, "")


def _is_harmonised(path: str, texts: Sequence[str], band: str) -> bool:
    """Whether it is HLS, or Sentinel-2's without the offset; not of Landsat's in such a folder."""
    if any(map(_HLS.search, texts)):
        return True
    landsat = band.upper().startswith("SR_") or sensor_in_path(path).startswith("landsat")
    return not landsat and any(map(_HARMONISED.search, texts))


def _by_name(texts: list[str], band: str) -> Units | None:
    """Return what the names of products say."""
    for text in texts:
        named = _BASELINE.search(text)
        if named is not None:
            return _of_baseline(f"{named.group(1)}.{named.group(2)}")
    if any(map(_LANDSAT_COLLECTION1.search, texts)):
        return Units(1e-4, 0.0, "it is surface reflectance of Landsat's Collection 1")
    if band.upper().startswith("SR_") or any(map(_LANDSAT_LEVEL2.search, texts)):
        return Units(*LANDSAT_SURFACE, "it is surface reflectance of Landsat's Collection 2")
    if any(map(_PLANET_SURFACE.search, texts)):
        return Units(1e-4, 0.0, "it is surface reflectance of PlanetScope")
    return None


def _of_baseline(text: str) -> Units | None:
    """Return the units of a processing baseline such as "05.09" or "N0509"."""
    digits = text.strip().lstrip("Nn")
    try:
        baseline = float(digits) / (100 if "." not in digits and len(digits) == 4 else 1)
    except ValueError:
        return None
    if not 0 < baseline < 99:  # 99.99 is a user's own processing, with or without the offset
        return None
    offset = SENTINEL2_OFFSET if baseline >= 4 else 0.0
    return Units(SENTINEL2_SCALE, offset, f"its processing baseline is {baseline:05.2f}")


def _by_tags(path: str, band: str, index: int, tags: Mapping[str, str]) -> Units | None:
    """Return what the file's own metadata items say."""
    units = _of_our_tags(tags)
    if units is not None:
        return units
    properties = dict(_whole(key, str(value)) for key, value in tags.items())
    if "atmospheric_correction" in properties.get("tifftag_imagedescription", ""):
        return Units(1e-4, 0.0, "it is surface reflectance of PlanetScope")
    return _of_properties(properties)


def _of_our_tags(tags: Mapping[str, str]) -> Units | None:
    """Return what tags made for this say."""
    lowered = {key.lower(): value for key, value in tags.items()}
    pair = _numbers(lowered.get("reflectance_scale"), lowered.get("reflectance_offset", 0))
    return pair and Units(*pair, "its tags say so")


def _whole(key: str, value: str) -> tuple[str, str]:
    """Return a metadata item in lower case; GDAL parts "s2:baseline=5" at the colon."""
    rest, equals, end = value.partition("=")
    return (f"{key}:{rest}".lower(), end) if equals and " " not in rest else (key.lower(), value)


def _of_properties(properties: Mapping[str, Any]) -> Units | None:
    """Return what STAC's properties say, or tags of the same names."""
    for key, value in properties.items():
        if key.lower().endswith("boa_offset_applied") and str(value).lower() in ("true", "1"):
            return Units(SENTINEL2_SCALE, 0.0, f"{key} is true")
    for key, value in properties.items():
        if key.lower().endswith("processing_baseline"):
            return _of_baseline(str(value))
    return None


def _by_item(path: str, band: str, index: int, tags: Mapping[str, str]) -> Units | None:
    """Return what a STAC item beside the file, or one folder above, says."""
    name = PurePath(path.replace("\\", "/")).name
    items = []
    for _, text in _beside(path, "*.json", 1):
        try:
            item = json.loads(text)
        except ValueError:
            continue
        if isinstance(item, dict) and "stac_version" in item and item.get("type") == "Feature":
            items.append(item)
    for item in items:
        assets = [one for one in dict(item.get("assets") or {}).values() if isinstance(one, dict)]
        of_file = [one for one in assets if PurePath(str(one.get("href", ""))).name == name]
        if not of_file and len(items) > 1 and not name.startswith(str(item.get("id"))):
            continue
        said = units_in_item(item, of_file, index)
        if said is not None:
            return said
    return None


def units_in_item(
    item: Mapping[str, Any], assets: Sequence[Mapping[str, Any]], index: int
) -> Units | None:
    """Return what a STAC item says of a band of imagery; None where it says nothing.

    Args:
        item: the item.
        assets: its assets that hold the band.
        index: of the band in the file, from 0.
    """
    applied = _of_properties(dict(item.get("properties") or {}))
    if applied is not None and applied.told.endswith("true"):
        return applied
    stated = (_of_asset(asset, index) for asset in assets)
    return next((one for one in stated if one is not None), applied)


def _of_asset(asset: Mapping[str, Any], index: int) -> Units | None:
    """Return the scale and offset that a STAC asset states for a band."""
    bands = asset.get("raster:bands") or asset.get("bands") or [{}]
    band = bands[index] if isinstance(bands, list) and index < len(bands) else {}
    said = {**asset, **band} if isinstance(band, dict) else dict(asset)
    scale = said.get("scale", said.get("raster:scale"))
    offset = said.get("offset", said.get("raster:offset", 0))
    pair = None if scale is None else _numbers(scale, offset)
    return pair and Units(*pair, "the STAC item beside it says so")


def _by_sentinel2_metadata(
    path: str, native: str, index: int, tags: Mapping[str, str]
) -> Units | None:
    """Return what MTD_MSIL1C.xml or MTD_MSIL2A.xml beside the file, or above it, says."""
    for _, text in _beside(path, "*MTD*_MSIL*.xml", _FOLDERS_ABOVE):
        root = parse_xml(text)
        elements = [] if root is None else list(root.iter())
        said = {_local(one): (one.text or "").strip() for one in elements}
        offsets = {
            one.get("band_id"): one.text or "0"
            for one in elements
            if _local(one) in ("BOA_ADD_OFFSET", "RADIO_ADD_OFFSET")
        }
        quantity = said.get("BOA_QUANTIFICATION_VALUE") or said.get("QUANTIFICATION_VALUE")
        if not quantity and not offsets:
            return _of_baseline(said.get("PROCESSING_BASELINE", ""))
        number = re.sub(r"^B0?", "", native.upper())
        band = str(_SENTINEL2_IDS.index(number)) if number in _SENTINEL2_IDS else "0"
        pair = _numbers(quantity or 10000, offsets.get(band, 0))
        if pair is not None:
            return Units(1 / pair[0], pair[1] / pair[0], "the product's metadata say so")
    return None


def _by_landsat_metadata(path: str, band: str, index: int, tags: Mapping[str, str]) -> Units | None:
    """Return what the MTL file beside a Landsat band says; Level 1 is brought to the sun's height.

    Level 1 is reflectance at the top of the atmosphere: (mult x value + add) / sin(elevation).
    """
    stem = PurePath(path.replace("\\", "/")).stem
    number = re.sub(r"^(?:S[RT]_)?B0?", "", band.upper())
    if not number:
        return None
    files = [one for kind in ("txt", "xml", "json") for one in _beside(path, f"*MTL.{kind}", 0)]
    scenes = {re.sub(r"_?MTL\.\w+$", "", name) for name, _ in files}
    for name, text in files:
        scene = re.sub(r"_?MTL\.\w+$", "", name)
        if len(scenes) > 1 and not (scene and stem.startswith(scene)):
            continue
        groups = _landsat_groups(name, text)
        surface = band.upper().startswith("SR_") or _LANDSAT_LEVEL2.search(stem) is not None
        wanted = ("LEVEL2_SURFACE_REFLECTANCE_PARAMETERS",) if surface else _SENSITIVE_TO_SUN
        for group in wanted:
            said = groups.get(group, {})
            mult, add = (said.get(f"REFLECTANCE_{what}_BAND_{number}") for what in ("MULT", "ADD"))
            pair = _numbers(mult, add)
            if pair is None:
                continue
            sun = _numbers(groups.get("IMAGE_ATTRIBUTES", {}).get("SUN_ELEVATION"), 0)
            if not surface and sun is None:
                continue
            light = 1.0 if surface or sun is None else math.sin(math.radians(sun[0]))
            return Units(pair[0] / light, pair[1] / light, "the MTL file beside it says so")
    return None


def _landsat_groups(name: str, text: str) -> dict[str, dict[str, str]]:
    """Return the groups of an MTL file in any of its three formats."""
    if name.lower().endswith(".txt"):
        groups: dict[str, dict[str, str]] = {}
        group = ""
        for line in text.splitlines():
            key, _, value = (part.strip().strip('"') for part in line.partition("="))
            if key == "GROUP":
                group = value
            elif key and value and key != "END_GROUP":
                groups.setdefault(group, {})[key] = value
        return groups
    if name.lower().endswith(".xml"):
        root = parse_xml(text)
        return {
            one.tag: {key.tag: key.text or "" for key in one}
            for one in (() if root is None else root)
        }
    try:
        (whole,) = json.loads(text).values()
        return {key: dict(one) for key, one in whole.items() if isinstance(one, dict)}
    except (ValueError, AttributeError):
        return {}


def _beside(path: str, pattern: str, above: int) -> Iterator[tuple[str, str]]:
    """Yield name and text of the files of a pattern in a file's folder and the next ones above.

    Args:
        path: of the file, in an archive (as GDAL or rasterio write it) or not.
        pattern: as `fnmatch` takes it.
        above: how many folders above its own are looked at too.
    """
    archive = _ARCHIVE.match(path)
    if archive is not None:
        yield from _beside_in(Path(archive.group(1)), archive.group(2), pattern, above)
        return
    plain = re.sub(r"^SENTINEL2_L\w+:", "", path)  # GDAL's: SENTINEL2_L2A:folder/MTD.xml:10m:EPSG
    plain = re.sub(r"(\.xml|\.zip):.*$", r"\1", plain)
    for folder in list(Path(plain).absolute().parents)[: above + 1]:
        files = sorted(folder.glob(pattern)) if folder.is_dir() else []
        for file in files[:_MOST_FILES]:
            try:
                if file.is_file() and file.stat().st_size < _LARGEST:
                    yield file.name, file.read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue


def _beside_in(archive: Path, inner: str, pattern: str, above: int) -> Iterator[tuple[str, str]]:
    """Yield what `_beside` does, of a file in an archive."""
    folders = [str(folder) for folder in PurePosixPath(inner).parents][: above + 1]

    def near(name: str, size: int) -> bool:
        path = PurePosixPath(name)
        wanted = str(path.parent) in folders and fnmatch(path.name, pattern)
        return wanted and size < _LARGEST

    try:
        if archive.suffix.lower() == ".zip":
            with zipfile.ZipFile(archive) as packed:
                for entry in packed.infolist():
                    if near(entry.filename, entry.file_size):
                        text = packed.read(entry).decode("utf-8", "replace")
                        yield PurePosixPath(entry.filename).name, text
        else:
            with tarfile.open(archive) as bundle:
                for member in bundle:
                    if member.isfile() and near(member.name, member.size):
                        data = bundle.extractfile(member)
                        if data is not None:
                            text = data.read().decode("utf-8", "replace")
                            yield PurePosixPath(member.name).name, text
    except (OSError, zipfile.BadZipFile, tarfile.TarError):
        return


def _numbers(scale: object, offset: object) -> tuple[float, float] | None:
    """Return both as numbers; None where one is not, or the scale not above 0."""
    try:
        pair = float(str(scale)), float(str(offset))
    except ValueError:
        return None
    return pair if all(map(math.isfinite, pair)) and pair[0] > 0 else None


def _local(element: ElementTree.Element) -> str:
    """Return an element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]
