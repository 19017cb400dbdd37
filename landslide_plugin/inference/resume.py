"""Keeps the finished rows of a run, so that one that is broken off can go on from there.

They lie in a hidden folder beside the output, whatever broke the run off: a kill, a full disk, a
network drive that was lost. A run that ends well removes it, and so does a run with other inputs
for the same output.
"""

import hashlib
import json
import math
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..core.system import replace
from ..outputs.claims import files_of
from ..outputs.whole import afterwards
from ..raster import Grid, Source
from ..raster.reflectance import sampled
from .accumulator import BLOCK_ROWS, Write

PREFIX = ".resume-"
DIGEST_BYTES = 32
STATISTICS = re.compile(r'<MDI key="STATISTICS_.*?</MDI>|<Histograms>.*?</Histograms>', re.DOTALL)
"""What QGIS adds to `.aux.xml` by showing a raster."""


class Journal:
    """The finished rows of one output.

    Args:
        folder: where they are kept, one file a block: the SHA-256 of what follows, then plain
            float32, NaN where invalid.
        grid: the output's grid.
        channels: values a pixel.
    """

    def __init__(self, folder: Path, grid: Grid, channels: int) -> None:
        self._folder = folder
        self._grid = grid
        self._channels = channels

    def replay(self, write: Write) -> int:
        """Hand over the rows that are kept, from the first on; return how many those are."""
        row = 0
        while row < self._grid.height:
            count = min(BLOCK_ROWS, self._grid.height - row)
            values = self._load(row, count)
            if values is None:
                break
            valid = ~np.isnan(values[0])
            write(values, valid, Window(0, row, self._grid.width, count))
            row += count
        return row

    def add(self, values: NDArray[np.float32], valid: NDArray[np.bool_], window: Window) -> None:
        """Keep finished rows: a file that is whole or not there."""
        path = self._path(int(window.row_off))
        unfinished = path.with_suffix(".part")
        kept = np.where(valid, values, np.float32("nan")).tobytes()
        with unfinished.open("wb") as file:
            file.write(hashlib.sha256(kept).digest())
            file.write(kept)
        replace(unfinished, path)

    def _load(self, row: int, count: int) -> NDArray[np.float32] | None:
        """Return the rows that a file keeps; None where there is none, or not as it was written."""
        shape = (self._channels, count, self._grid.width)
        try:
            content = self._path(row).read_bytes()
        except OSError:
            return None
        digest, kept = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
        if hashlib.sha256(kept).digest() != digest or len(kept) != 4 * math.prod(shape):
            return None
        return np.frombuffer(kept, np.float32).reshape(shape)

    def _path(self, row: int) -> Path:
        return self._folder / f"rows-{row:08d}.f32"


@contextmanager
def journal(
    output: str | Path, key: dict[str, Any], grid: Grid, channels: int
) -> Iterator[Journal]:
    """Yield the journal of an output; it is kept when the run is broken off, and removed else.

    Args:
        output: the file to be written.
        key: what the result depends on; a run with another key starts anew.
        grid: the output's grid.
        channels: values a pixel.
    """
    path = Path(output)
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    folder = path.with_name(f"{PREFIX}{path.name}-{digest}")
    for old in path.parent.glob(f"{PREFIX}*"):
        if old != folder and old.name[:-17] == f"{PREFIX}{path.name}":
            shutil.rmtree(old, ignore_errors=True)
    folder.mkdir(exist_ok=True)
    try:
        yield Journal(folder, grid, channels)
    finally:
        if folder.is_dir() and not any(folder.glob("*.f32")):
            shutil.rmtree(folder, ignore_errors=True)
    afterwards(path, partial(shutil.rmtree, folder, ignore_errors=True))


def identity(source: Source) -> list[Any]:
    """Return what tells a raster's content from that of a changed one.

    That is names, sizes and times of all its files, which are those of its sources too where it is
    a VRT, and which of these lies on top; of what GDAL noted beside it (`.aux.xml`) all but
    statistics, which QGIS adds to any raster that it shows.
    """
    virtual = source.dataset.tags(ns="xml:VRT").get("xml:VRT", "")
    files = {Path(name) for name in source.dataset.files}
    files |= {file for name in source.dataset.files for file in files_of(name)}
    facts: list[Any] = [source.path, *re.findall(r"<SourceFilename[^>]*>([^<]+)<", virtual)]
    for path in sorted(files):
        if path.name.endswith(".aux.xml"):
            facts.append([str(path), _noted(path)])
        elif path.is_file():
            facts.append([str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns])
    return [fact for fact in facts if fact[-1]]


def _noted(path: Path) -> str:
    """Return the digest of what GDAL noted but for statistics; empty where there is no more."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    text = re.sub(
        r'<MDI key="STATISTICS_.*?</MDI>|<Histograms>.*?</Histograms>', "", text, flags=re.S
    )
    count = 1
    while count:  # what is empty now, from within
        text, count = re.subn(r"<(\w+)[^>]*>\s*</\1>", "", text)
    return hashlib.sha256(text.encode()).hexdigest() if text.strip() else ""


def content_of(source: Source, bands: Sequence[str]) -> str:
    """Return a digest of what a stack is, wherever it lies: grid, bands, and some of its pixels.

    Args:
        source: the stack, as its file declares it.
        bands: names of those that count.
    """
    grid = source.grid
    facts = [str(grid.crs), list(grid.transform), grid.shape, list(bands)]
    digest = hashlib.sha256(json.dumps(facts).encode())
    for band in bands:
        digest.update(sampled(source, band).tobytes())
    return digest.hexdigest()


def digest_of(path: str | Path) -> str:
    """Return the SHA-256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
