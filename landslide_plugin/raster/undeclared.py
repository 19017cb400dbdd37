"""Looks for undeclared fill in open rasters and masks, and has it count as nodata."""

import math
import re
import threading
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Compression
from rasterio.windows import Window

from ..contract.choices.shared import FILL
from ..core.ahead import read_ahead
from ..core.progress import Progress
from ..core.system import cores
from .bands import SENSORS, layer_names
from .fill import Fill
from .fill_search import Floats, Mask, Search, Sought, collar_values
from .grid import Grid
from .source import Source

Seen = Callable[[Source, Window, Floats, Mask, Sequence[int]], None]
"""Gets each block of a raster that is looked at, as `Source.read_stored` gives it: the raster, the
block's window, values, validity, and GDAL's numbers of the bands."""

IMAGE, ELEVATION = "image", "elevation"
"""What a raster may be known to be."""

_SPECTRAL = {name for bands in SENSORS.values() for name in bands.values()}
_ELEVATION = re.compile(r"(^|[\W_\d])(dem|dsm|dtm|elevation|srtm|aw3d30)([\W_\d]|$)", re.I)
_NUMBERED = re.compile(r"(band|sr_b|b|layer|channel)[\s_-]?\d+a?", re.I)
MOST_TOLD = 3
"""Files that a sentence names."""

PROBABILITIES = "_probability"
"""How the names of bands end that hold them."""
CLASSES = 16
"""Whole numbers above 0 and up to this are those of classes."""
MASKED = 255.0

_LOSSY = ("JPEG", "WEBP", "JP2OpenJPEG", Compression.jpeg, Compression.webp)
_MEGABYTES = 64
_COLUMNS = 2**15
"""That are read at once; wider blocks are looked at piece by piece."""
_MOST_THREADS = 4
"""That read side by side; what they have read waits in memory."""
_MARGIN = 8
"""Pixels around what is read, for resampling, and as many in a hundred."""

FEW_BANDS = 3
"""So many bands that are 0 at once are a sign of fill, as are names of an image's bands and whole
numbers; two of the three signs make an image."""


def mark_fill(
    sources: Sequence[Source],
    fill: str,
    progress: Progress,
    *,
    kind: str = "",
    bands: Sequence[str] | None = None,
    metre: float = 1.0,
    sensor: str = "auto",
    within: Grid | None = None,
    seen: Seen | None = None,
) -> None:
    """Have the undeclared fill of rasters count as nodata from now on, and say so in a sentence.

    Args:
        sources: the rasters; all of each is read once.
        fill: "auto", or "keep" to take it as values.
        progress: where it is said, and told how much is read.
        kind: `IMAGE` or `ELEVATION` where all bands are known to be that; else their names tell.
        bands: names of those that matter; all when None.
        metre: units of elevation in a metre: 1, or 3.28 for feet.
        sensor: whose names the bands bear.
        within: the grid that it is to be read on, beyond which nothing matters; all when None.
        seen: gets what is read, top to bottom, before it is known what of it is fill; nothing where
            nothing has to be read.

    Raises:
        InputError: the file is damaged.
    """
    if fill == "keep":
        return
    for source, part in zip(sources, progress.parts(len(sources)), strict=True):
        source.fill = find_fill(
            source,
            part,
            kind=kind,
            bands=bands,
            metre=metre,
            sensor=sensor,
            within=within,
            seen=seen,
        )
    told = [f"{source.fill.describe()} of {source.path}" for source in sources if source.fill]
    if told:
        more = f", and likewise in {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else ""
        progress.warning(
            "Values that look like fill but are not declared as nodata are treated as nodata: "
            f"{'; '.join(told[:MOST_TOLD])}{more}. Choose FILL = keep "
            f"({FILL.label}: {FILL.words['keep']}) to take them as values."
        )


def mark_unknown(mask: Source, band: str, progress: Progress) -> list[float]:
    """Have what stands for nothing in a mask of whole numbers count as nodata, and say so.

    These are numbers below 0, and 255 as `stands_for_unknown` says. A mask that declares another
    value than 0 as nodata is believed.

    Args:
        mask: all of it is read once.
        band: its name.
        progress: where it is said, and told how much is read.

    Returns:
        The other values above 0, in order; none where they are decimal numbers.

    Raises:
        InputError: the file is damaged.
    """
    index = mask.index_of(band)
    kind, nodata = np.dtype(mask.dataset.dtypes[index - 1]), mask.dataset.nodatavals[index - 1]
    scaling = mask.scaling[band]
    if kind.kind not in "iu" or (scaling.scale, scaling.offset) != (1, 0):
        return []
    counts: Counter[float] = Counter()
    for window in mask.grid.windows(_MEGABYTES, 1):
        progress.update(window.row_off / mask.grid.height)
        (values,), (valid,) = mask.read_stored(window, [index])
        for value, count in zip(*counted(values[valid].astype(kind)), strict=True):
            counts[float(value)] += int(count)
    below = [value for value in counts if value < 0]
    above = sorted(value for value in counts if value > 0)
    if band.endswith(PROBABILITIES) and above == [1]:
        progress.warning(
            f"The probabilities of {mask.path} were rounded to whole numbers: what was 0.5 or more "
            "is landslide, whatever their threshold; export them with decimals (Float32)."
        )
    voids = below + ([MASKED] if stands_for_unknown(above) else [])
    if nodata or not voids or len(below) > CLASSES:
        return above
    mask.fill = Fill(voids={index: {one: counts[one] for one in voids}}, pixels=counts.total())
    progress.warning(
        f"{mask.fill.describe()} of {mask.path} mean that nothing is known there, as it seems: "
        "declare the value as nodata (gdal_edit -a_nodata), or set it to 1 or 0 if it means that."
    )
    return [value for value in above if value not in voids]


def stands_for_unknown(values: Sequence[float]) -> bool:
    """Return whether 255 among the values of a mask is what is not known, beside classes.

    Args:
        values: those above 0, in order.
    """
    return len(values) > 1 and values[-1] == MASKED and values[-2] <= CLASSES


def counted(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the different values of whole numbers and how often each occurs."""
    if values.dtype == np.uint8:
        counts = np.bincount(values.ravel(), minlength=256)
        return np.flatnonzero(counts), counts[counts > 0]
    return np.unique(values, return_counts=True)


def find_fill(
    source: Source,
    progress: Progress,
    *,
    kind: str = "",
    bands: Sequence[str] | None = None,
    metre: float = 1.0,
    sensor: str = "auto",
    within: Grid | None = None,
    seen: Seen | None = None,
) -> Fill:
    """Return the undeclared fill of a raster; the arguments are those of `mark_fill`."""
    sought = _sought(source, source.bands if bands is None else bands, kind, metre, sensor)
    indexes = sought.indexes
    part = _part(source.grid, within)
    if not indexes or part is None:
        return Fill()
    rows = source.grid.rows_within(_MEGABYTES, 3 * len(indexes))
    search = Search(sought, part, rows)
    bottom, right = int(part.row_off + part.height), int(part.col_off + part.width)
    blocks = [
        Window(left, top, min(_COLUMNS, right - left), min(rows, bottom - top))
        for top in range(int(part.row_off), bottom, rows)
        for left in range(int(part.col_off), right, _COLUMNS)
    ]
    with closing(_stored(source, indexes, blocks)) as read:
        for block, (values, valid) in zip(blocks, read, strict=True):
            search.add(values, valid, indexes)
            if seen is not None:
                seen(source, block, values, valid, indexes)
            progress.update((block.row_off + block.height - part.row_off) / part.height)
    return search.finish()


def _stored(
    source: Source, indexes: Sequence[int], blocks: Sequence[Window]
) -> Generator[tuple[Floats, Mask], None, None]:
    """Yield what blocks hold as it is stored, read ahead by threads; each opens the raster itself.

    GDAL reads a raster that is open in one thread only, and the files of a VRT in that one alone.
    """
    pixels = blocks[0].width * blocks[0].height
    room = _MOST_THREADS * _MEGABYTES * 1e6 / (12 * len(indexes) * pixels)
    threads = max(1, min(int(room), _MOST_THREADS, cores(), len(blocks)))
    thread = threading.local()
    with ExitStack() as opened:

        def read(block: Window) -> tuple[Floats, Mask]:
            if not hasattr(thread, "source"):
                thread.source = opened.enter_context(source.again()) if threads > 1 else source
            stored: tuple[Floats, Mask] = thread.source.read_stored(block, indexes)
            return stored

        with closing(read_ahead(read, blocks, threads)) as ahead:
            yield from ahead


def _part(source: Grid, grid: Grid | None) -> Window | None:
    """Return the pixels of a raster that a grid is made of, and some around; None without any."""
    whole = Window(0, 0, source.width, source.height)
    bounds = None if grid is None else grid.bounds_in(source.crs)
    if bounds is None or bounds[0] > bounds[2]:
        return whole
    (left, bottom), (right, top) = source.pixel(*bounds[:2]), source.pixel(*bounds[2:])
    margin = _MARGIN + _MARGIN * max(right - left, bottom - top) / 100
    first = max(math.floor(left - margin), 0), max(math.floor(top - margin), 0)
    last = (
        min(math.ceil(right + margin), source.width),
        min(math.ceil(bottom + margin), source.height),
    )
    if first[0] >= last[0] or first[1] >= last[1]:
        return None
    return Window(*first, last[0] - first[0], last[1] - first[1])


def _sought(source: Source, wanted: Sequence[str], kind: str, metre: float, sensor: str) -> Sought:
    """Return what may be fill in a raster, by what its bands are."""
    names = dict(zip(source.bands, layer_names(source, sensor), strict=True))
    plain = {band: source.index_of(band) for band in wanted if not source.is_classes(band)}
    types = {number: np.dtype(source.dataset.dtypes[number - 1]) for number in plain.values()}
    heights = {
        number: _units(source, band, metre)
        for band, number in plain.items()
        if kind == ELEVATION or (not kind and _ELEVATION.search(names[band]))
    }
    image, named = _image({number: names[band] for band, number in plain.items()}, kind, types)
    lossy = source.dataset.driver in _LOSSY or source.dataset.compression in _LOSSY
    values = {image: collar_values([types[number] for number in image], lossy)} if image else {}
    for number in sorted(set(types) - set(image) - set(heights)):
        if types[number].kind in "iu" and types[number].itemsize > 1:
            values[number,] = collar_values([types[number]], lossy=False)[1:]
    return Sought(types, heights, values, named)


def _image(
    names: Mapping[int, str], kind: str, types: Mapping[int, np.dtype]
) -> tuple[tuple[int, ...], bool]:
    """Return the bands that are of one image, and whether their names or role say so."""
    imagery = [n for n, name in names.items() if kind == IMAGE or (not kind and name in _SPECTRAL)]
    nameless = not kind and all(_NUMBERED.fullmatch(name) for name in names.values())
    bands = imagery or (list(names) if nameless else [])
    whole = all(types[number].kind in "iu" for number in bands)
    signs = bool(imagery), whole, len(bands) >= FEW_BANDS
    return (tuple(bands), bool(imagery)) if sum(signs) >= 2 else ((), False)


def _units(source: Source, band: str, metre: float) -> tuple[float, float]:
    """Return by how much the stored value grows with a metre, and that of 0 metres."""
    scaling = source.scaling[band]
    return metre / scaling.scale, -scaling.offset / scaling.scale
