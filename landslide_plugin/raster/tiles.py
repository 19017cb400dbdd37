"""What names many files at once: a folder, a list of paths, a tile index, or STAC."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.access import require_allowed
from ..core.addresses import RASTERS, beside, files_in, is_folder, names_in, web_address
from .products import Units
from .stac import Item, item_of, of_asset, read_items
from .tile_index import LOCATION, read_index, read_parquet


@dataclass(frozen=True)
class Named:
    """A file that is one of many.

    Attributes:
        path: as GDAL takes it.
        day: of its scene, year-month-day, where what names it tells that too; else "".
        band: name of its band, likewise.
        units: of that band, likewise.
    """

    path: str
    day: str = ""
    band: str = ""
    units: Units | None = None


def tiles_of(name: str, asset: str = "") -> list[Named] | None:
    """Return the files that a name stands for; None where it is that of a raster, or of nothing.

    Args:
        name: a folder, whose rasters are taken by name, those in folders within it not; one of an
            object store or archive ends in a slash; a text file of a path a line; a tile index,
            whose field `location` names files; a STAC item, items or collection, also of a server,
            or its search; GeoParquet of either. What is relative lies beside the file.
        asset: which file of STAC's items is meant; the only one when empty.

    Raises:
        InputError: STAC with several assets of which none is chosen, or without the one that is,
            or a server that does not answer; an index without files; GeoParquet where no package
            reads it.
    """
    path = Path(name)
    if address := web_address(name):
        is_raster = address.partition("?")[0].lower().endswith((*RASTERS, ".vrt"))
        items = [] if is_raster else read_items(name)
        return _of_items(items, asset, name) if items else None
    try:
        if is_folder(name):
            return [Named(file) for file in files_in(name, RASTERS)] or None
        if not path.is_file():
            return None
    except OSError:
        return None  # who opens it as a raster tells
    require_allowed(name)
    listed = names_in(path, (*RASTERS, ".vrt")) or read_index(path)
    rows = read_parquet(path)
    listed += [row[LOCATION] for row in rows if row.get(LOCATION)]
    if listed:
        return [Named(beside(path, one)) for one in listed]
    items = [item_of(row, path) for row in rows if row.get("assets")] or read_items(path)
    return _of_items(items, asset, name) if items else None


def _of_items(items: Sequence[Item], asset: str, name: str) -> list[Named]:
    chosen = of_asset(items, asset, name)
    return [Named(one.href, item.day, one.band or asset, one.units) for item, one in chosen]
