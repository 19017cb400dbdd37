"""What names many files at once: a folder, or a list of paths."""

from pathlib import Path

from ..core.access import require_ending

RASTERS = (".tif", ".tiff", ".jp2", ".img", ".bil", ".asc", ".hgt")
"""How the names of a folder's rasters end. A VRT in it is made of the others, mostly."""
_LONGEST = 2**24


def tiles_of(name: str) -> list[str] | None:
    """Return the files that a folder or a list names; None where the name is that of a raster.

    Args:
        name: a folder, whose rasters are taken by name, those in folders within it not; or a text
            file of a path a line, relative ones beside it, as gdalbuildvrt takes them too.
    """
    path = Path(name)
    try:
        if path.is_dir():
            return _in_folder(path) or None
        if path.suffix.lower() == ".txt" and path.is_file():
            require_ending(path)
            return _listed(path) or None
    except OSError:
        pass  # who opens it as a raster tells
    return None


def _in_folder(folder: Path) -> list[str]:
    return sorted(
        str(file)
        for file in folder.iterdir()
        if file.suffix.lower() in RASTERS and not file.name.startswith(".") and file.is_file()
    )


def _listed(file: Path) -> list[str]:
    """Return the paths in a text file; none where its first line is no path, as in a text grid."""
    with file.open(encoding="utf-8", errors="replace") as opened:
        lines = [line.strip() for line in opened.read(_LONGEST).splitlines()]
    paths = [beside(file, line) for line in lines if line]
    return paths if paths and _is_path(paths[0]) else []


def beside(file: Path, name: str) -> str:
    """Return a name as it is meant in a file: what is relative lies beside the file."""
    return name if is_address(name) else str(file.parent / name)


def is_address(name: str) -> bool:
    """Whether a name is one of GDAL's file systems or of the internet."""
    return name.startswith("/vsi") or "://" in name


def _is_path(name: str) -> bool:
    return is_address(name) or name.lower().endswith((*RASTERS, ".vrt")) or Path(name).is_file()
