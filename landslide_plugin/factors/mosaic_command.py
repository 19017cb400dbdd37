"""The command that makes one image of many files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from ..contract.choices import Mosaic
from ..contract.errors import InputError
from ..core.progress import Progress
from ..core.provenance import NO_ORIGIN, Provenance
from ..outputs.whole import whole_file
from ..raster.kinds import add_items
from ..raster.mosaic import lay_together
from ..raster.reflectance import day_in_path
from ..raster.scene_date import scene_date
from ..raster.source import Source
from ..raster.tiles import tiles_of
from ..raster.virtual import in_memory, write_virtual

_MEGABYTES = 64
_MOST_TOLD = 3


def mosaic(
    *,
    output: str,
    input: str = "",
    tiles: Sequence[str] = (),
    order: Annotated[str, Mosaic.ORDER] = Mosaic.ORDER.default,
    missing: Annotated[str, Mosaic.MISSING] = Mosaic.MISSING.default,
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Make one image of many files: a virtual raster, which holds no pixels but names the files.

    Args:
        output: VRT on the grid of the files; bands say what those of the files say. Files in its
            folder, or in one within that, may move along with it.
        input: a folder of rasters, or a text file of their paths.
        tiles: rasters, beside or instead of it.
        order: which valid pixel of a band counts where files overlap: "first" as they are given,
            in a folder by name; "newest" by the scene's date in the metadata, else in the path.
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
    named = tiles_of(input) if input else []
    if named is None:
        raise InputError(
            f"INPUT is {input}, which names no rasters: choose a folder of them, or a text file "
            "with a path in each line."
        )
    _require_lasting(tiles)
    paths = list(dict.fromkeys([*named, *tiles]))
    if missing == "nodata":
        paths = _whole(paths, progress.part(0, 0.9))
    if not paths:
        raise InputError("There is no file to read: choose a folder in INPUT, or rasters in TILES.")
    if order == "newest":
        paths = sorted(paths, key=_day, reverse=True)  # the first of a day stays the first
    root = lay_together(paths, input or "of TILES", "image")
    add_items(root, origin.tags())
    with in_memory(root) as dataset, whole_file(output) as path:
        progress.message(
            f"{len(paths)} files, {dataset.width} x {dataset.height} pixels; where they overlap, "
            f"the {order} valid pixel counts."
        )
        write_virtual(root, path, Path(output))
    return {"output": output, "count": len(paths)}


def _require_lasting(tiles: Sequence[str]) -> None:
    """Refuse views that QGIS lays over files for one run.

    Raises:
        InputError: a tile is one.
    """
    for path in tiles:
        if not Path(path).is_file():
            continue
        with Source.open(path, what="file", need_crs=False) as source:
            if source.file != path:
                raise InputError(
                    f"{source.file} has a CRS or no-data value that is set in QGIS alone: save the "
                    "layer as a file first."
                )


def _whole(paths: Sequence[str], progress: Progress) -> list[str]:
    """Return the files that can be read to their last pixel; warn of the others."""
    whole, left_out = [], []
    for number, path in enumerate(paths, start=1):
        try:
            with Source.open(path, what="file") as source:
                for window in source.grid.windows(_MEGABYTES, len(source.bands)):
                    source.read(window)
            whole.append(path)
        except InputError as error:
            left_out.append(str(error))
        progress.update(number / len(paths))
    if left_out:
        more = f" And {len(left_out) - _MOST_TOLD} more." if len(left_out) > _MOST_TOLD else ""
        progress.warning(
            f"{len(left_out)} of {len(paths)} files are missing or damaged, and nodata: "
            f"{' '.join(left_out[:_MOST_TOLD])}{more}"
        )
    return whole


def _day(path: str) -> str:
    """Return the day of a file's scene, as yyyymmdd.

    Raises:
        InputError: nothing tells it.
    """
    with Source.open(path, what="file") as source:
        day = scene_date(source).replace("-", "") or day_in_path(path)
    if not day:
        raise InputError(
            f"The file {path} tells no date, in its metadata or name: choose ORDER = first, and "
            "list the files in the order that counts."
        )
    return day
