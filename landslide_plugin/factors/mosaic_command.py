"""The command that makes one image of many files."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

from rasterio.crs import CRS
from rasterio.errors import CRSError

from ..contract.choices import Mosaic
from ..contract.errors import InputError
from ..core.progress import Progress
from ..core.provenance import NO_ORIGIN, Provenance
from ..outputs.whole import whole_file
from ..raster.kinds import add_items
from ..raster.mosaic import lay_together, side_by_side
from ..raster.reflectance import day_in_path
from ..raster.scene_date import scene_date
from ..raster.source import Source
from ..raster.tiles import Named, tiles_of
from ..raster.virtual import in_memory, open_described, write_virtual

_MEGABYTES = 64
_MOST_TOLD = 3


def mosaic(
    *,
    output: str,
    input: str = "",
    tiles: Sequence[str] = (),
    assets: Annotated[Sequence[str], Mosaic.ASSETS] = Mosaic.ASSETS.default,
    zone: str = "",
    order: Annotated[str, Mosaic.ORDER] = Mosaic.ORDER.default,
    missing: Annotated[str, Mosaic.MISSING] = Mosaic.MISSING.default,
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Make one image of many files: a virtual raster, which holds no pixels but names the files.

    Args:
        output: VRT on the grid of the files; bands say what those of the files say. Files in its
            folder, or in one within that, may move along with it.
        input: a folder of rasters, a text file of their paths, a tile index, or STAC, also by
            its address; see `tiles_of`.
        tiles: rasters, beside or instead of it.
        assets: of STAC's items, which make the image, each its bands in this order; the only one
            when empty.
        zone: CRS of the files to take, such as "EPSG:32654"; empty takes all.
        order: which valid pixel of a band counts where files overlap: "first" as they are given,
            in a folder by name; "newest" by the scene's date in STAC or metadata, else in the path.
        missing: "refused", or "nodata" to leave out, with a warning, files that are missing or
            damaged. Each is read once, whole, to know that.
        origin: what the output tells of the run.
        progress: where to report.

    Returns:
        output, its path, and count, how many files it names.

    Raises:
        InputError: no file, one that is missing, damaged or not like the first, or of no date.
        GridError: files of several CRSs, or of none, or on no one grid.
    """
    if Path(output).suffix.lower() != ".vrt":
        raise InputError(f"OUTPUT is {output}: choose a name that ends in .vrt.")
    _require_lasting(tiles)
    keys = list(dict.fromkeys(assets)) or [""]
    files: dict[str, list[Named]] = {}
    for key, part in zip(keys, progress.parts(len(keys)), strict=True):
        files[key] = [*_named(input, key), *map(Named, tiles)]
        if missing == "nodata":
            files[key] = _whole(files[key], part)
        if zone:
            files[key] = _of_zone(files[key], zone)
        if not files[key]:
            raise InputError("No file is left to read: give a folder in INPUT, or files in TILES.")
        if order == "newest":  # the first of a day stays the first
            files[key].sort(key=_day, reverse=True)
    whole = side_by_side(
        {f"The asset {key}": lay_together(files[key], input or "of TILES", "image") for key in keys}
    )
    add_items(whole, origin.tags())
    count = sum(map(len, files.values()))
    with in_memory(whole) as dataset, whole_file(output) as path:
        progress.message(
            f"{count} files, {dataset.width} x {dataset.height} pixels, {dataset.count} bands; "
            f"where files overlap the {order} valid pixel counts."
        )
        write_virtual(whole, path, Path(output))
    return {"output": output, "count": count}


def _named(name: str, asset: str) -> list[Named]:
    """Return the files that INPUT names."""
    if not name:
        return []
    named = tiles_of(name, asset)
    if named is None:
        raise InputError(
            f"INPUT is {name}, which names no rasters: choose a folder of them, a text file with a "
            "path in each line, a tile index or STAC."
        )
    return named


def _of_zone(files: Sequence[Named], zone: str) -> list[Named]:
    """Return the files of one CRS.

    Raises:
        InputError: it is none, or no file is of it; or one that can't be opened.
    """
    try:
        wanted = CRS.from_user_input(zone)
    except CRSError as error:
        raise InputError(
            f"ZONE is {zone}, which is no CRS: write it as EPSG:32654, say."
        ) from error
    systems = []
    for file in files:
        with closing(open_described(file.path, "file")) as dataset:
            systems.append(dataset.crs)
    taken = [file for file, crs in zip(files, systems, strict=True) if crs == wanted]
    if files and not taken:
        names = dict.fromkeys(crs.to_string() if crs else "no CRS" for crs in systems)
        raise InputError(f"No file is of the CRS {zone}; they are of {', '.join(names)}.")
    return taken


def _require_lasting(tiles: Sequence[str]) -> None:
    """Refuse views that QGIS lays over files for one run."""
    for path in tiles:
        if not Path(path).is_file():
            continue
        with Source.open(path, what="file", need_crs=False) as source:
            if source.file != path:
                raise InputError(
                    f"{source.file} has a CRS or no-data value that is set in QGIS alone: save the "
                    "layer as a file first."
                )


def _whole(files: Sequence[Named], progress: Progress) -> list[Named]:
    """Return the files that can be read to their last pixel; warn of the others."""
    whole, left_out = [], []
    for file in progress.track(files, len(files)):
        try:
            with Source.open(file.path, what="file") as source:
                for window in source.grid.windows(_MEGABYTES, len(source.bands)):
                    source.read(window)
            whole.append(file)
        except InputError as error:
            left_out.append(str(error))
    if left_out:
        more = f" And {len(left_out) - _MOST_TOLD} more." if len(left_out) > _MOST_TOLD else ""
        progress.warning(
            f"{len(left_out)} of {len(files)} files are missing or damaged, and nodata: "
            f"{' '.join(left_out[:_MOST_TOLD])}{more}"
        )
    return whole


def _day(file: Named) -> str:
    """Return the day of a file's scene, as yyyymmdd."""
    day = file.day.replace("-", "")
    if not day:
        with Source.open(file.path, what="file") as source:
            day = scene_date(source).replace("-", "") or day_in_path(file.path)
    if not day:
        raise InputError(
            f"The file {file.path} tells no date, in its metadata or name: choose ORDER = first, "
            "and list the files in the order that counts."
        )
    return day
