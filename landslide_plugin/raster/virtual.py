"""Virtual rasters (VRT): what they leave out of what their files say, and files that are damaged.

gdalbuildvrt hands on neither the names of bands nor units, classes and metadata.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePath
from xml.etree import ElementTree  # nosec B405

from rasterio.errors import RasterioError
from rasterio.io import DatasetReader, MemoryFile

from ..contract.errors import InputError
from ..core.access import parse_xml, require_allowed
from ..core.addresses import beside, is_address, is_remote
from .bands import band_in_path, name_from_file
from .kinds import add_items, described
from .opening import open_raster

_DEPTH = 4
"""Of virtual rasters within virtual rasters that are looked into."""
_SOURCES = ("SimpleSource", "ComplexSource")
_CHANGED = ("ScaleOffset", "ScaleRatio", "LUT", "Exponent", "ColorTableComponent")
"""What makes other values of those of a file."""
_SAID = ("UnitType", "Offset", "Scale", "CategoryNames", "ColorTable", "GDALRasterAttributeTable")
"""What a file says of a band, beside name and metadata."""
_DOMAINS = ("", "IMAGERY")
"""Of metadata that tell of a scene."""

_IN_MEMORY = "/vsimem/"
_EXTENT = ("xOff", "yOff", "xSize", "ySize")
_ASIDE = 0.001
"""Pixels by which what is laid unchanged may differ in size from what is taken, from rounding."""

Tags = Mapping[str, Mapping[str, str]]
"""Metadata items by domain."""


def open_described(name: str, what: str = "raster", depth: int = _DEPTH) -> DatasetReader:
    """Open a raster; a VRT says what its files say of bands and scene where it does not itself.

    Args:
        name: as `open_raster` takes it.
        what: its role in messages.
        depth: of virtual rasters to look into.

    Raises:
        InputError: see `open_raster`; a file of a VRT is missing or damaged, or its files give a
            band that has no name several.
    """
    dataset = open_raster(name, what)
    root = parse_xml(dataset.tags(ns="xml:VRT").get("xml:VRT", ""))
    if root is None or not depth or not (is_address(name) or Path(name).is_file()):
        return dataset
    _make_absolute(root, name)
    for band in root.findall("VRTRasterBand"):
        _lay_on_pixels(band)
    bands = [(band, _sources(band)) for band in root.findall("VRTRasterBand")]
    firsts = {sources[0][0] for _, sources in bands if sources}
    paths = dict.fromkeys(
        path
        for _, sources in bands
        for path, _ in sources
        if path in firsts or not is_remote(path)  # GDAL refuses those when it reads them
    )
    if not paths:
        return dataset
    files = {path: _File.look(path, name, what, depth - 1) for path in paths}
    for band, sources in bands:
        _say_of_band(band, [(files[one], n) for one, n in sources if one in files], name, what)
    if len(bands) > 1:
        for band, sources in bands:
            _name_by_file(band, [files.get(path) for path in {path for path, _ in sources}])
    for domain, items in said_alike(file.tags for file in files.values()).items():
        mine = dataset.tags(ns=domain or None)
        add_items(root, {key: items[key] for key in items if key not in mine}, domain)
    try:
        told = in_memory(root)
    except RasterioError:  # a name may hold what XML does not allow
        return dataset
    dataset.close()
    return told


def in_memory(root: ElementTree.Element) -> DatasetReader:
    """Open a VRT that is no file."""
    return MemoryFile(_text(root), ext=".vrt").open()


def document_of(dataset: DatasetReader) -> str:
    """Return the VRT that many files or a VRT's files were laid together by; "" of other rasters.

    Its paths are absolute, so that whoever has it can `reopen` it.
    """
    told: str = dataset.tags(ns="xml:VRT").get("xml:VRT", "")
    return told if dataset.name.startswith(_IN_MEMORY) else ""


def reopen(document: str) -> DatasetReader:
    """Open a VRT by its document; that all files are still there is not looked after.

    Raises:
        InputError: it may not be read, or is damaged.
    """
    root = _parsed(document)
    for path in _named(root):
        require_allowed(path)
    return in_memory(root)


def files_in(document: str) -> list[str]:
    """Return the files that a VRT's document names, each once.

    Raises:
        InputError: it is damaged.
    """
    return _named(_parsed(document))


def write_virtual(root: ElementTree.Element, path: Path, destination: Path) -> None:
    """Write a VRT; files in its folder, or in one within that, are named from there.

    Args:
        root: the VRT, whose files have absolute names; they are changed.
        path: where to write.
        destination: where it will stand.
    """
    folder = destination.parent.resolve()
    for element in root.iter("SourceFilename"):
        file = Path(element.text or "").resolve()
        if Path(element.text or "").is_file() and file.is_relative_to(folder):
            element.set("relativeToVRT", "1")
            element.text = file.relative_to(folder).as_posix()
    ElementTree.indent(root)
    path.write_bytes(_text(root))


def damaged_part(dataset: DatasetReader, error: BaseException) -> str:
    """Return why an error of reading came: which file of a raster is damaged, or its server."""
    told, cause = "", error.__cause__
    while cause is not None:
        told, cause = f"{told} {cause}", cause.__cause__
    parts = dataset.files if dataset.driver == "VRT" else []
    named = [part for part in parts if PurePath(part).name in told]
    file = f"its file {named[-1]}" if named else "the file"
    if is_remote(named[-1] if named else dataset.name):
        return f"{file} could not be fetched, or is damaged on its server: run it again."
    return f"{file} is damaged."


def scene_tags(dataset: DatasetReader) -> Tags:
    """Return the metadata items of a raster that tell of its scene, by domain."""
    return {domain: dataset.tags(ns=domain or None) for domain in _DOMAINS}


def said_alike(tags: Iterable[Tags]) -> Tags:
    """Return the metadata items that all of several rasters have."""
    first, *others = tags
    return {
        domain: {
            key: value
            for key, value in items.items()
            if all(one[domain].get(key) == value for one in others)
        }
        for domain, items in first.items()
    }


def _parsed(document: str) -> ElementTree.Element:
    root = parse_xml(document)
    if root is None:
        raise InputError("What tells of a stack's files is damaged: map it anew.")
    return root


def _named(root: ElementTree.Element) -> list[str]:
    return list(dict.fromkeys(one.text or "" for one in root.iter("SourceFilename")))


def _text(root: ElementTree.Element) -> bytes:
    return ElementTree.tostring(root, "unicode").encode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class _File:
    """A file that a VRT is made of.

    Attributes:
        path: where it is.
        names: of its bands; "" of those without.
        scaling: of its bands, scale and offset.
        tags: as `scene_tags` has them.
        depth: of virtual rasters to look into, should it be one.
    """

    path: str
    names: tuple[str, ...]
    scaling: tuple[tuple[float, float], ...]
    tags: Tags
    depth: int

    @classmethod
    def look(cls, path: str, whole: str, what: str, depth: int) -> "_File":
        """Open a file of a VRT and close it again.

        Raises:
            InputError: it is missing or damaged; GDAL would read nothing there, without a word.
        """
        try:
            dataset = open_described(path, "file", depth)
        except InputError as error:
            reason = str(error).replace("The file", "the file", 1).rstrip(".")
            raise InputError(
                f"The {what} {whole} can't be read whole: {reason}, or build the virtual raster "
                "without it."
            ) from error
        with closing(dataset):
            names = tuple(one or "" for one in dataset.descriptions)
            scaling = tuple(zip(dataset.scales, dataset.offsets, strict=True))
            return cls(path, names, scaling, scene_tags(dataset), depth)

    def band(self, number: int) -> ElementTree.Element | None:
        """Return GDAL's description of a band; None where there is none."""
        with closing(open_described(self.path, "file", self.depth)) as dataset:
            return described(dataset).find(f"VRTRasterBand[@band='{number}']")


def _make_absolute(root: ElementTree.Element, name: str) -> None:
    """Have a VRT name its files so that it may lie elsewhere."""
    file = name if is_address(name) else Path(name).absolute()
    for element in root.iter():
        if element.get("relativeToVRT") == "1":
            element.set("relativeToVRT", "0")
            element.text = beside(file, element.text or "")


def _lay_on_pixels(band: ElementTree.Element) -> None:
    """Have files that lie a fraction of a pixel beside a VRT's grid keep their pixels.

    GDAL stretches each to one row or column more, which then hides the next file's, and which
    pixels it repeats depends on the window that is read.
    """
    for source in (one for one in band if one.tag in _SOURCES and "resampling" not in one.attrib):
        rectangle = source.find("DstRect")
        taken, laid = _extent(source.find("SrcRect")), _extent(rectangle)
        sides = zip(taken[2:], laid[2:], strict=False)
        if rectangle is None or not taken or not laid or any(abs(a - b) > _ASIDE for a, b in sides):
            continue
        if all(map(float.is_integer, taken)):
            numbers = (*laid[:2], *taken[2:])
            rectangle.attrib.update(zip(_EXTENT, (str(round(one)) for one in numbers), strict=True))


def _extent(rectangle: ElementTree.Element | None) -> list[float]:
    """Return the numbers of a rectangle of pixels; none where they are missing or no such."""
    try:
        numbers = (
            [float(rectangle.get(key, "")) for key in _EXTENT] if rectangle is not None else []
        )
    except ValueError:
        return []
    return numbers if all(map(math.isfinite, numbers)) else []


def _sources(band: ElementTree.Element) -> list[tuple[str, int]]:
    """Return file and number of the bands that a band is laid together from, as they are."""
    parts = [one for one in band if one.tag in _SOURCES]
    if any(one.find(tag) is not None for one in parts for tag in _CHANGED):
        return []
    named = [(one.findtext("SourceFilename", ""), one.findtext("SourceBand", "1")) for one in parts]
    return [(path, int(number)) for path, number in named if path and number.isdecimal()]


def _name_by_file(band: ElementTree.Element, files: Sequence[_File | None]) -> None:
    """Give a nameless band that is a file of its own the name that `name_from_file` tells."""
    file = files[0] if len(files) == 1 else None
    if file and len(file.names) == 1 and band.find("Description") is None:
        ElementTree.SubElement(band, "Description").text = name_from_file(file.path)


def _require_one_told(band: ElementTree.Element, what: str) -> None:
    """Refuse files of the same ground whose names tell different bands; see `tile`.

    Raises:
        InputError: there are such: one would hide the others.
    """
    of_ground: dict[tuple[tuple[str, str], ...], str] = {}
    for source in (one for one in band if one.tag in _SOURCES):
        extent, path = source.find("DstRect"), source.findtext("SourceFilename", "")
        told = band_in_path(path)
        if extent is None or not told:
            continue
        first = of_ground.setdefault(tuple(sorted(extent.items())), path)
        if band_in_path(first) != told:
            raise InputError(
                f"{what} is made of {first} and {path} for the same ground, which hold different "
                "bands, as their names say: put them side by side (gdalbuildvrt -separate)."
            )


def _require_one_scaling(sources: Sequence[tuple[_File, int]], what: str) -> None:
    """Refuse files whose numbers mean different values where the VRT does not say what they mean.

    Raises:
        InputError: they do.
    """
    of_scaling: dict[tuple[float, float], _File] = {}
    for file, number in sources:
        if number <= len(file.scaling):
            of_scaling.setdefault(file.scaling[number - 1], file)
    if len(of_scaling) > 1:
        told = [
            f"x {scale:g} {offset:+g} in {file.path}"
            for (scale, offset), file in of_scaling.items()
        ]
        raise InputError(
            f"{what} has no scale and offset, and its files give it several: {told[0]}, {told[1]}: "
            "bring the files to the same, and build the virtual raster anew."
        )


def _say_of_band(
    band: ElementTree.Element, sources: list[tuple[_File, int]], whole: str, what: str
) -> None:
    """Add to a band what its sources say of it and it does not.

    Raises:
        InputError: they give it several names, or scales and offsets, and it has none.
    """
    if not sources:
        return
    names = {file.names[number - 1]: file for file, number in sources if number <= len(file.names)}
    names.pop("", None)
    number = band.get("band", "1")
    if band.find("Description") is None:
        _require_one_told(band, f"Band {number} of the {what} {whole}")
    if band.find("Description") is None and len(names) > 1:
        (one, first), (other, second) = list(names.items())[:2]
        raise InputError(
            f"Band {number} of the {what} {whole} has no name, and its files give it several: "
            f"{one} in {first.path}, {other} in {second.path}: build the virtual raster from files "
            "of the same bands in the same order."
        )
    if band.find("Scale") is None and band.find("Offset") is None:
        _require_one_scaling(sources, f"Band {number} of the {what} {whole}")
    file, index = sources[0]
    said = file.band(index)
    if said is None:
        return
    if names and band.find("Description") is None:
        ElementTree.SubElement(band, "Description").text = next(iter(names))
    band.extend(one for one in list(said) if one.tag in _SAID and band.find(one.tag) is None)
    mine = {one.get("key") for one in band.findall("Metadata/MDI")}
    items = {one.get("key", ""): one.text or "" for one in said.findall("Metadata/MDI")}
    told = {key: text for key, text in items.items() if key not in mine}
    add_items(band, {key: text for key, text in told.items() if not key.startswith("STATISTICS_")})
