"""Many files as one image: a VRT over tiles."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from xml.etree import ElementTree  # nosec B405

import shapely
from affine import Affine
from rasterio.io import DatasetReader

from ..contract.errors import GridError, InputError, LandslideError
from ..contract.tags import DATE
from ..outputs.whole import protect_too
from .grid import Grid
from .kinds import add_items, described
from .tile import ALPHA, Tile, require_one_band, require_one_crs, require_one_side
from .tiles import Named, tiles_of
from .virtual import in_memory, open_described, said_alike

_OF_ONE = ("Histograms", "MaskBand", "Overview", "NoDataValue", "SimpleSource", "ComplexSource")
"""What is described of one tile and is not so of all."""


def open_image(name: str, what: str = "raster") -> DatasetReader:
    """Open a raster, or many files as one.

    Args:
        name: as `open_described` takes it, or what `tiles_of` knows as several files.
        what: its role in messages.

    Raises:
        InputError: see `open_described` and `lay_together`.
        GridError: see `lay_together`.
    """
    tiles = tiles_of(name)
    return in_memory(lay_together(tiles, name, what)) if tiles else open_described(name, what)


def lay_together(tiles: Sequence[Named], name: str, what: str = "raster") -> ElementTree.Element:
    """Return a VRT of tiles of one grid; where they overlap the first valid pixel of a band counts.

    Args:
        tiles: files of the same bands and types, on one grid, of any size.
        name: what names them, for messages.
        what: its role there.

    Returns:
        The root of a document whose paths are absolute. Bands say what those of the tiles say, the
        whole what all tiles say alike; where no tile lies is no valid pixel.

    Raises:
        InputError: a tile is missing, damaged or of other bands, types, units or classes, or tiles
            of the same ground hold different bands, as their names say.
        GridError: a tile has no CRS, lies on another grid, or there are several CRSs.
    """
    try:
        looked = [Tile.look(one.path) for one in tiles]
        require_one_crs(looked)
        for tile in looked[1:]:
            tile.require_like(looked[0])
        require_one_band(looked)
        require_one_side(looked)
        _require_one_unit(tiles)
    except LandslideError as error:
        reason = str(error).replace("The file", "the file", 1)
        raise type(error)(f"The {what} {name} can't be read as one image: {reason}") from error
    protect_too(tile.path for tile in looked)
    grid = _together(looked)
    with closing(open_described(looked[0].path)) as dataset:
        root = _frame(described(dataset), grid)
    for domain, items in said_alike(tile.tags for tile in looked).items():
        add_items(root, items, domain)
    told = {tile.told for tile in looked}
    _say_as_named(root, tiles, told.pop() if len(told) == 1 else "")
    nodata = _one_nodata(looked)
    masked = nodata is None and _needs_mask(looked, grid)
    for band in root.findall("VRTRasterBand"):
        _lay(band, looked, grid, nodata, masked)
    return root


def side_by_side(images: Mapping[str, ElementTree.Element]) -> ElementTree.Element:
    """Return a VRT with the bands of several on one grid.

    Args:
        images: VRTs by their names in messages; the first one is changed.

    Raises:
        GridError: one is on another grid than the first.
    """
    (first, root), *others = images.items()
    for name, image in others:
        if _grid_of(image) != _grid_of(root):
            raise GridError(
                f"{name} is on another grid than {first}: make an image of each resolution and "
                "extent, and join these by Stack layers."
            )
        root.extend(image.findall("VRTRasterBand"))
    for number, band in enumerate(root.findall("VRTRasterBand"), start=1):
        band.set("band", str(number))
    return root


def _grid_of(image: ElementTree.Element) -> tuple[str | None, ...]:
    size = image.get("rasterXSize"), image.get("rasterYSize")
    return (*size, image.findtext("GeoTransform"), image.findtext("SRS"))


def _require_one_unit(tiles: Sequence[Named]) -> None:
    """Refuse files whose list says that their numbers are reflectance in different ways.

    Raises:
        InputError: they are.
    """
    stated = [(one.path, one.units) for one in tiles if one.units]
    for path, units in stated:
        first, wanted = stated[0]
        if (units.scale, units.offset) != (wanted.scale, wanted.offset):
            raise InputError(
                f"{path} is reflectance by value x {units.scale:g} {units.offset:+g}, and {first} "
                f"by value x {wanted.scale:g} {wanted.offset:+g}, as their items say: bring it to "
                "the same, or leave it out."
            )


def _say_as_named(root: ElementTree.Element, tiles: Sequence[Named], ending: str) -> None:
    """Add the only band's name and units, and the day, where files don't say but their list does.

    Args:
        root: the VRT.
        tiles: the files.
        ending: the band that all their names tell; "" for none.
    """
    band, *more = root.findall("VRTRasterBand")
    name = tiles[0].band or ending
    if name and not more and band.find("Description") is None:
        ElementTree.SubElement(band, "Description").text = name
    units = tiles[0].units if all(one.units for one in tiles) and not more else None
    if units and band.find("Scale") is None and band.get("dataType", "Byte") != "Byte":
        ElementTree.SubElement(band, "Scale").text = repr(units.scale)
        ElementTree.SubElement(band, "Offset").text = repr(units.offset)
    told = any(item.get("key") == DATE for item in root.findall("Metadata/MDI"))
    if tiles[0].day and not told and len({tile.day for tile in tiles}) == 1:
        add_items(root, {DATE: tiles[0].day})


def _frame(root: ElementTree.Element, grid: Grid) -> ElementTree.Element:
    """Return a raster's description on another grid, without what is said of the scene."""
    kept = [one for one in root if one.tag in ("SRS", "VRTRasterBand")]
    kept += [one for one in root.findall("Metadata") if one.get("domain") == "IMAGE_STRUCTURE"]
    frame = ElementTree.Element("VRTDataset")
    frame.set("rasterXSize", str(grid.width))
    frame.set("rasterYSize", str(grid.height))
    frame.extend(kept)
    ElementTree.SubElement(frame, "GeoTransform").text = ",".join(
        repr(float(number)) for number in grid.transform.to_gdal()
    )
    return frame


def _together(tiles: Sequence[Tile]) -> Grid:
    """Return the grid that holds all tiles; its corner is to the bit that of the tiles there."""
    first = tiles[0].grid
    offsets = [tile.offset(first) for tile in tiles]
    left = min(range(len(tiles)), key=lambda index: offsets[index][0])
    top = min(range(len(tiles)), key=lambda index: offsets[index][1])
    columns = [column + tile.grid.width for tile, (column, _) in zip(tiles, offsets, strict=True)]
    rows = [row + tile.grid.height for tile, (_, row) in zip(tiles, offsets, strict=True)]
    a, b, _, d, e, _ = first.transform[:6]
    corner = tiles[left].grid.transform.c, tiles[top].grid.transform.f
    transform = Affine(a, b, corner[0], d, e, corner[1])
    width, height = max(columns) - offsets[left][0], max(rows) - offsets[top][1]
    return Grid(first.crs, transform, width, height)


def _one_nodata(tiles: Sequence[Tile]) -> tuple[str | None, ...] | None:
    """Return the value of each band that all tiles declare as nodata; None where not all do."""
    declared = {tile.nodata for tile in tiles}
    values = [
        value for value, band in zip(tiles[0].nodata, tiles[0].bands, strict=True) if band != ALPHA
    ]
    return declared.pop() if len(declared) == 1 and all(values) else None


def _needs_mask(tiles: Sequence[Tile], grid: Grid) -> bool:
    """Whether no value tells what is valid: tiles have masks or other nodata, or leave gaps."""
    if any(value != "" for tile in tiles for value in tile.nodata):
        return True
    boxes = [
        shapely.box(column, row, column + tile.grid.width, row + tile.grid.height)
        for tile in tiles
        for column, row in [tile.offset(grid)]
    ]
    covered = shapely.union_all(boxes).area
    return not tiles[0].is_transparent and covered < grid.width * grid.height


def _lay(
    band: ElementTree.Element,
    tiles: Sequence[Tile],
    grid: Grid,
    nodata: tuple[str | None, ...] | None,
    masked: bool,
) -> None:
    """Give a band all tiles in place of the one that it was described by, the first on top."""
    for element in [one for one in band if one.tag in _OF_ONE]:
        band.remove(element)
    number = int(band.get("band", 1))
    opacity = tiles[0].bands[number - 1] == ALPHA
    kind = band.get("dataType", "Byte")
    transparent = {"UseMaskBand": "true"} if masked or tiles[0].is_transparent else {}
    if opacity:
        transparent = {"NODATA": "0"}
    elif nodata is not None:
        value = nodata[number - 1] or ""
        transparent = {"NODATA": value}
        ElementTree.SubElement(band, "NoDataValue").text = value
    for tile in reversed(tiles):
        band.append(_source(tile, grid, str(number), kind, transparent))
    if masked and not opacity:
        mask = ElementTree.SubElement(ElementTree.SubElement(band, "MaskBand"), "VRTRasterBand")
        mask.set("dataType", "Byte")
        for tile in reversed(tiles):
            mask.append(_source(tile, grid, f"mask,{number}", "Byte", {"NODATA": "0"}))


def _source(
    tile: Tile, grid: Grid, band: str, kind: str, transparent: Mapping[str, str]
) -> ElementTree.Element:
    element = ElementTree.Element("ComplexSource" if transparent else "SimpleSource")
    file = ElementTree.SubElement(element, "SourceFilename", relativeToVRT="0", shared="0")
    file.text = tile.path
    ElementTree.SubElement(element, "SourceBand").text = band
    columns, rows = str(tile.grid.width), str(tile.grid.height)
    sizes = {"RasterXSize": columns, "RasterYSize": rows, "DataType": kind}
    block = {"BlockXSize": str(tile.block[0]), "BlockYSize": str(tile.block[1])}
    ElementTree.SubElement(element, "SourceProperties", {**sizes, **block})
    left, top = map(str, tile.offset(grid))
    extent = {"xSize": columns, "ySize": rows}
    ElementTree.SubElement(element, "SrcRect", {"xOff": "0", "yOff": "0", **extent})
    ElementTree.SubElement(element, "DstRect", {"xOff": left, "yOff": top, **extent})
    for tag, text in transparent.items():
        ElementTree.SubElement(element, tag).text = text
    return element
