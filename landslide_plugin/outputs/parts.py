"""What files beside an output, or an input, are parts of it."""

from __future__ import annotations

from pathlib import Path

_SIDECARS = (".aux.xml", ".ovr", ".msk", "-wal", "-shm", "-journal")
"""What GDAL and SQLite add to a file's name."""
_PARTS = {
    ".shp": (".dbf", ".shx", ".prj", ".cpg", ".qix", ".sbn", ".sbx", ".qmd", ".idm", ".ind"),
    ".tab": (".dat", ".map", ".id", ".ind"),
}
"""Endings of a file that is of several, and of its other parts."""


def part_names(file: Path) -> list[str]:
    """Return the names that parts of a file may have."""
    endings = _PARTS.get(file.suffix.lower(), ())
    return [file.name + ending for ending in _SIDECARS] + [file.stem + end for end in endings]


def is_of_several(file: Path) -> bool:
    """Whether a file of this ending can't be read without its parts."""
    return file.suffix.lower() in _PARTS
