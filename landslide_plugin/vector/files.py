"""The files that a vector layer lies in: one, or all that a folder or a list names."""

from pathlib import Path

from ..core.access import require_allowed
from ..core.addresses import beside, files_in, is_folder, names_in
from ..outputs.whole import protect_too
from .parquet import PARQUET

LAYERS = (".gpkg", ".shp", ".fgb", ".geojson", *PARQUET)
"""How the names of a folder's layers end."""


def is_cut(path: str | Path) -> bool:
    """Whether pyogrio would read or write another name: it takes all for addresses."""
    return ";" in Path(path).name or bool(set(str(path)) & set("\t\r\n"))


def files_of(source: str | Path) -> list[str]:
    """Return the files of a layer, in the order in which their features follow each other.

    Args:
        source: a folder, whose layers are taken by name, those in folders within it not; one of an
            object store or archive ends in a slash; a text file of a path a line; or anything else,
            which is a layer itself.

    Raises:
        InputError: a list that may not be read.
    """
    path = Path(source)
    try:
        if is_folder(source):
            files = files_in(source, LAYERS)
        else:
            require_allowed(str(source))
            files = [beside(path, name) for name in names_in(path, LAYERS)]
    except (OSError, ValueError):  # who opens it as a layer tells
        files = []
    protect_too(file.split("|")[0] for file in files if "\0" not in file)
    return files or [str(source)]
