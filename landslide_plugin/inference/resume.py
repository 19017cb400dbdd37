"""Keeps the finished units of a map, and tells whether a later run may go on from them."""

import hashlib
import json
import math
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.addresses import is_remote, stamp
from ..core.system import replace
from ..outputs.claims import files_of
from ..outputs.kept import kept_folder
from ..raster import Source
from ..raster.layout import layout
from ..raster.reflectance import sampled
from .tiling import Tiling
from .units import Part, Unit, shapes

DIGEST_BYTES = 32
_ENDING = ".f32"
_NOTES = ".aux.xml"
"""How the names of files end in which GDAL notes what it can't in a raster."""
STATISTICS = re.compile(r'<MDI key="STATISTICS_.*?</MDI>|<Histograms>.*?</Histograms>', re.DOTALL)
"""What QGIS adds to `.aux.xml` by showing a raster."""


class Journal:
    """The finished units of one output, whatever order they were finished in.

    Args:
        folder: where they are kept, one file a unit: the SHA-256 of what follows, then plain
            float32: the values, NaN where invalid, and what it says of the rows above.
        tiling: the windows.
        channels: values a pixel.

    Attributes:
        folder: as given.
    """

    def __init__(self, folder: Path, tiling: Tiling, channels: int) -> None:
        self.folder = folder
        self._tiling = tiling
        self._channels = channels

    def keep(self, unit: Unit, part: Part) -> None:
        """Keep a finished unit: a file that is whole or not there."""
        path = self._path(unit)
        unfinished = path.with_suffix(f".{secrets.token_hex(4)}.part")  # of many machines
        kept = [np.ascontiguousarray(one).reshape(-1) for one in (part.values, part.above)]
        digest = hashlib.sha256()
        for numbers in kept:
            digest.update(numbers.data)
        with unfinished.open("wb") as file:
            file.write(digest.digest())
            file.writelines(numbers.data for numbers in kept)
        replace(unfinished, path)

    def holds(self, unit: Unit) -> bool:
        """Return whether a unit is kept, whatever its file holds."""
        return self._path(unit).is_file()

    def load(self, unit: Unit) -> Part | None:
        """Return what is kept of a unit; None where nothing is, or not as it was written.

        Units of a wide raster stay on the disk until they are read.
        """
        values, above = shapes(unit, self._tiling, self._channels)
        try:
            if len(self._tiling.strips) > 1:
                content: NDArray[np.uint8] = np.memmap(self._path(unit), np.uint8, "r")
            else:
                content = np.fromfile(self._path(unit), np.uint8)
        except (OSError, ValueError):  # the latter from an empty file
            return None
        digest, kept = content[:DIGEST_BYTES].tobytes(), content[DIGEST_BYTES:]
        first = math.prod(values)
        whole = len(kept) == 4 * (first + math.prod(above))
        if not whole or hashlib.sha256(kept.data).digest() != digest:
            return None
        numbers = kept.view(np.float32)
        return Part(numbers[:first].reshape(values), numbers[first:].reshape(above))

    def _path(self, unit: Unit) -> Path:
        return self.folder / f"unit-{unit.number:06d}{_ENDING}"


@contextmanager
def journal(
    output: str | Path, key: dict[str, Any], tiling: Tiling, channels: int
) -> Iterator[Journal]:
    """Yield the journal of an output; it is kept when the run is broken off, and removed else.

    Args:
        output: the file to be written.
        key: what the result depends on; a run with another key starts anew.
        tiling: the windows.
        channels: values a pixel.
    """
    with kept_folder(output, key, f"*{_ENDING}") as folder:
        yield Journal(folder, tiling, channels)


def identity(source: Source) -> list[Any]:
    """Return what tells a raster's content from that of a changed one.

    That is names, sizes and times of all its files (of one on a server what that says, or where the
    file's blocks lie), which are those of its sources too where it is a VRT, and which of these
    lies on top; of what GDAL noted beside it (`.aux.xml`) all but statistics, which QGIS adds to
    any raster that it shows.
    """
    facts: list[Any] = [source.path, *re.findall(r"<SourceFilename[^>]*>([^<]+)<", _said(source))]
    for path in _files(source):
        if path.name.endswith(_NOTES):
            facts.append([str(path), _noted(path)])
        elif path.is_file():
            facts.append([str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns])
    for name in source.dataset.files:
        facts.append([name, stamp(name) or (layout(name) if is_remote(name) else "")])
    return [fact for fact in facts if fact[-1]]


def traces(source: Source) -> list[Any]:
    """Return what has to be the same too where a run goes on, but may change while it maps.

    That is what a VRT says, which is read once, and when the files were changed last as the system
    counts it (on Windows, made): who puts other content into a file may set its time back, but not
    this one. New rights count as a change there, so a run doesn't end for it, but begins anew.
    """
    files = (path for path in _files(source) if path.is_file() and not path.name.endswith(_NOTES))
    return [_without_statistics(_said(source)), *(path.stat().st_ctime_ns for path in files)]


def _said(source: Source) -> str:
    """Return what a raster says where it is a VRT; GDAL notes in it which files it has opened."""
    said = source.dataset.tags(ns="xml:VRT").get("xml:VRT", "")
    return re.sub(r"<SourceProperties[^>]*>", "", said)


def _files(source: Source) -> list[Path]:
    """Return the files on this machine that a raster is read from, and what lies beside them."""
    names = source.dataset.files
    return sorted(
        {Path(name) for name in names} | {one for name in names for one in files_of(name)}
    )


def _noted(path: Path) -> str:
    """Return the digest of what GDAL noted but for statistics; empty where there is no more."""
    try:
        return _without_statistics(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""


def _without_statistics(text: str) -> str:
    """Return the digest of what XML says but for statistics; empty where it says no more."""
    text = re.sub(r">\s+<", "><", STATISTICS.sub("", text))
    count = 1
    while count:  # what is empty now, from within
        text, count = re.subn(r"<(\w+)[^>]*>\s*</\1>", "", text)
    return hashlib.sha256(text.encode()).hexdigest() if text.strip() else ""


def content_of(source: Source, bands: Sequence[str]) -> str:
    """Return a digest of what a stack is, wherever it lies: grid, bands, and some of its pixels.

    Args:
        source: the stack, as its file declares it.
        bands: names of those that count, in any order.
    """
    bands, grid = sorted(bands), source.grid
    facts = [str(grid.crs), list(grid.transform), grid.shape, bands]
    digest = hashlib.sha256(json.dumps(facts).encode())
    for band in bands:
        digest.update(sampled(source, band).tobytes())
    return digest.hexdigest()


def digest_of(path: str | Path) -> str:
    """Return the SHA-256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
