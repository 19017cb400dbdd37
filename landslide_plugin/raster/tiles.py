"""What names many files at once: a folder, a list of paths, a tile index, or STAC."""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.access import require_allowed
from ..core.addresses import beside, is_address
from .stac import Item, item_of, of_asset, read_items
from .tile_index import LOCATION, read_index, read_parquet

RASTERS = (".tif", ".tiff", ".jp2", ".img", ".bil", ".asc", ".hgt")
"""How the names of a folder's rasters end. A VRT in it is made of the others, mostly."""
_LONGEST = 2**24


@dataclass(frozen=True)
class Named:
    """A file that is one of many.

    Attributes:
        path: as GDAL takes it.
        day: of its scene, year-month-day, where what names it tells that too; else "".
        band: name of its band, likewise.
    """

    path: str
    day: str = ""
    band: str = ""


def tiles_of(name: str, asset: str = "") -> list[Named] | None:
    """Return the files that a name stands for; None where it is that of a raster, or of nothing.

    Args:
        name: a folder, whose rasters are taken by name, those in folders within it not; a text
            file of a path a line; a tile index, whose field `location` names files; a STAC item,
            items or collection; GeoParquet of either. What is relative lies beside the file.
        asset: which file of STAC's items is meant; the only one when empty.

    Raises:
        InputError: STAC with several assets of which none is chosen, or without the one that is;
            an index without files; GeoParquet where no package reads it.
    """
    path = Path(name)
    try:
        if path.is_dir():
            return [Named(file) for file in _in_folder(path)] or None
        if not path.is_file():
            return None
    except OSError:
        return None  # who opens it as a raster tells
    require_allowed(name)
    listed = _in_list(path) or read_index(path)
    rows = read_parquet(path)
    listed += [row[LOCATION] for row in rows if row.get(LOCATION)]
    if listed:
        return [Named(beside(path, one)) for one in listed]
    items = [item_of(row, path) for row in rows if row.get("assets")] or read_items(path)
    return _of_items(items, asset, name) if items else None


def _of_items(items: Sequence[Item], asset: str, name: str) -> list[Named]:
    chosen = of_asset(items, asset, name)
    return [Named(one.href, item.day, one.band or asset) for item, one in chosen]


def _in_folder(folder: Path) -> list[str]:
    return sorted(
        str(file)
        for file in folder.iterdir()
        if file.suffix.lower() in RASTERS and not file.name.startswith(".") and file.is_file()
    )


def _in_list(file: Path) -> list[str]:
    """Return the paths in a text file; none where its first line is no path, as in a text grid."""
    if file.suffix.lower() != ".txt":
        return []
    with file.open("rb") as opened:
        content = opened.read(_LONGEST)
    encoding = "utf-16" if content[:2] in (BOM_UTF16_LE, BOM_UTF16_BE) else "utf-8-sig"
    lines = [line.strip() for line in content.decode(encoding, "replace").splitlines()]
    paths = [line.strip('"') for line in lines if line]  # Windows copies paths with these
    first = paths[0] if paths else ""
    is_path = is_address(first) or first.lower().endswith((*RASTERS, ".vrt"))
    return paths if is_path or (first and Path(beside(file, first)).is_file()) else []
