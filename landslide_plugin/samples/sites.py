"""Patches labelled as a whole, around points or polygons that say yes or no to a landslide."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from rasterio.windows import Window

from ..contract.errors import InputError
from ..core.progress import Progress
from ..raster.grid import Grid
from ..raster.landslides import is_raster, read_polygons
from ..raster.source import Source
from ..vector.layers import read_vector
from .blocks import DROPPED, split_images
from .patches import LEAST_LABELLED
from .sample_set import BACKGROUND, LANDSLIDE, SPLITS, UNKNOWN
from .sample_writer import SampleWriter
from .scenes import split_by_scene
from .splits import BLOCKS, BY_PATCH, SCENES, require_splits, split_at_random, warn_of_shared_ground

ANSWERS = {
    **dict.fromkeys(("yes", "y", "true", "t", "1", "1.0"), True),
    **dict.fromkeys(("no", "n", "false", "f", "0", "0.0"), False),
}
"""What a field may hold, in capitals or not."""
LARGEST = 2048
"""Pixels along a polygon's side: a label says little of a larger image, and memory must hold it."""


@dataclass(frozen=True)
class Site:
    """An image to be cut.

    Attributes:
        stack: where from.
        window: which part.
        holds: whether it holds a landslide.
        outline: in the CRS of the first stack.
    """

    stack: Source
    window: Window
    holds: bool
    outline: shapely.Polygon


def find_sites(
    stacks: Sequence[Source],
    landslides: str,
    field: str,
    area: str,
    tile_size: int,
    progress: Progress,
) -> list[Site]:
    """List the images that a layer labels.

    Of a point it is the window of a tile around it, of a polygon its bounding box, at least a tile.
    An image labelled no in which a feature labelled yes lies is left out.

    Args:
        stacks: the images.
        landslides: points or polygons.
        field: their field with yes or no.
        area: polygons outside of which nothing is taken; none when empty.
        tile_size: in pixels.
        progress: told of what is left out.

    Raises:
        InputError: the layer or its field is unfit, or no feature lies in a stack.
        GridError: the layer has no CRS.
    """
    if is_raster(landslides):
        raise InputError(
            f"{landslides} is a raster, which has no fields: choose points or polygons, or leave "
            "the field empty."
        )
    first = stacks[0].grid
    frame = read_vector(
        landslides,
        "landslides",
        crs=first.crs,
        kinds=("Point", "Polygon"),
        columns=[field],
        progress=progress,
    )
    several = frame.geom_type == "MultiPoint"  # a place a point
    frame = pd.concat([frame[~several], frame[several].explode()], ignore_index=True)
    frame, holds = _answered(frame, field, progress)
    sites: list[Site] = []
    for stack in stacks:
        shapes = np.asarray(frame.geometry.to_crs(stack.grid.crs))
        fits = np.flatnonzero(_inside(shapes, stack.grid, area, progress))
        windows = [_window(shapes[index], stack.grid, tile_size) for index in fits]
        outlines = _outlines(windows, stack.grid).to_crs(first.crs)
        sites += [
            Site(stack, window, bool(holds[index]), outline)
            for window, index, outline in zip(windows, fits, outlines, strict=True)
        ]
    if not sites:
        raise InputError(
            f"No feature of {landslides} lies within the stack and the area: check the layers' "
            "CRS and extent."
        )
    progress.message(
        f"{len(sites)} images are labelled by {len(frame)} features; features that reach beyond "
        "a stack or the area label none there."
    )
    return _consistent(sites, frame.geometry[holds], first, progress)


def cut_sites(
    sites: Sequence[Site],
    grid: Grid,
    writer: SampleWriter,
    split: str,
    fractions: Sequence[float],
    seed: int,
    progress: Progress,
) -> str:
    """Share images out and write them; those that are mostly nodata are left out.

    Args:
        sites: the images.
        grid: of the first stack.
        writer: where to.
        split: "blocks", "scene" or "random".
        fractions: shares of train, validation and test.
        seed: of the split.
        progress: told of what is left out.

    Returns:
        The kind of the split in words.

    Raises:
        InputError: a split lacks one kind.
    """
    index, block, kind = _shared_out(sites, grid, split, fractions, seed, progress)
    written = {flag: [0] * len(SPLITS) for flag in (True, False)}
    shared = zip(sites, index, block, strict=True)
    for site, part, number in progress.track(shared, len(sites)):
        if part != DROPPED and _write(site, SPLITS[part], int(number), writer):
            written[site.holds][part] += 1
    for flag, counts in written.items():
        require_splits(counts, fractions, flag)
    return kind


def _answered(
    frame: gpd.GeoDataFrame, field: str, progress: Progress
) -> tuple[gpd.GeoDataFrame, NDArray[np.bool_]]:
    """Return the features that answer, and which of them say yes."""
    words = frame[field].astype(str).str.strip().str.lower()
    given = (frame[field].notna() & (words != "")).to_numpy()
    if not given.all():
        progress.message(f"{int((~given).sum())} features have no {field} and are left out.")
    frame, words = frame[given], words[given]
    if strange := sorted(set(words) - set(ANSWERS)):
        raise InputError(
            f"The field {field} holds {strange[0]!r}, which is neither yes nor no: let it hold yes "
            "and no, true and false, or 1 and 0."
        )
    return frame, words.map(ANSWERS).to_numpy(bool)


def _inside(
    shapes: NDArray[np.object_], grid: Grid, area: str, progress: Progress
) -> NDArray[np.bool_]:
    """Return which shapes lie wholly on a grid, and by a point of theirs in the area."""
    inside: NDArray[np.bool_] = shapely.covers(shapely.box(*grid.bounds), shapes)
    if area:
        limits = read_polygons(area, grid, "area", progress)
        points = shapely.point_on_surface(shapes)
        tree = shapely.STRtree(limits.shapes)
        inside[inside] = [
            bool(len(tree.query(point, predicate="intersects"))) for point in points[inside]
        ]
    return inside


def _window(shape: shapely.Geometry, grid: Grid, tile_size: int) -> Window:
    """Return the pixels around a shape, at least a tile, shifted to lie on the grid."""
    left, bottom, right, top = shapely.bounds(shape)
    spans = []
    ends = zip(grid.pixel(left, top), grid.pixel(right, bottom), grid.shape[::-1], strict=True)
    for first, last, length in ends:
        # the least bit more than a pixel's edge is that of the computer's arithmetic
        side = max(ceil(last - 1e-6) - floor(first + 1e-6), tile_size)
        if side > LARGEST:
            raise InputError(
                f"A polygon is {side} pixels long, and an image may have {LARGEST} at most: draw "
                "smaller polygons, or points."
            )
        start = round((first + last - side) / 2)
        spans.append((max(min(start, length - side), 0), side))
    (column, width), (row, height) = spans
    return Window(column, row, width, height)


def _outlines(windows: Sequence[Window], grid: Grid) -> gpd.GeoSeries:
    boxes = [
        shapely.box(
            *grid.point(window.col_off, window.row_off),
            *grid.point(window.col_off + window.width, window.row_off + window.height),
        )
        for window in windows
    ]
    return gpd.GeoSeries(boxes, crs=grid.crs)


def _consistent(
    sites: list[Site], landslides: gpd.GeoSeries, grid: Grid, progress: Progress
) -> list[Site]:
    """Leave out images labelled no in which there is a place labelled yes."""
    tree = shapely.STRtree(np.asarray(landslides))
    # neighbouring polygons share a line, and their images the pixels on it
    outlines = np.array([site.outline for site in sites])
    inner = shapely.buffer(outlines, -abs(grid.transform.a), join_style="mitre")
    kept = [
        site
        for site, part in zip(sites, inner, strict=True)
        if site.holds or not len(tree.query(part, predicate="intersects"))
    ]
    if mixed := len(sites) - len(kept):
        progress.message(f"{mixed} images labelled no hold a place labelled yes and are left out.")
    return kept


def _shared_out(
    sites: Sequence[Site],
    grid: Grid,
    split: str,
    fractions: Sequence[float],
    seed: int,
    progress: Progress,
) -> tuple[NDArray[np.int64], NDArray[np.int64], str]:
    """Return split and block of each image, and the kind of split."""
    holds = np.array([site.holds for site in sites], np.int64)
    outlines = np.array([site.outline for site in sites])
    if split == "random":
        drawn = split_at_random(holds, fractions, seed)
        warn_of_shared_ground(outlines, drawn, "images", progress)
        return drawn, np.zeros(len(sites), np.int64), BY_PATCH
    if split == "scene":
        stacks = list(dict.fromkeys(site.stack for site in sites))
        at = np.array([stacks.index(site.stack) for site in sites])
        held = np.bincount(at, holds)
        index, scene = split_by_scene(stacks, list(held), fractions, seed, progress)
        return index[at], scene[at], SCENES
    sides = [max(site.window.width, site.window.height) for site in sites]
    side = float(np.median(sides))
    pixel = abs(grid.transform.a)
    measures = np.stack([np.ones(len(sites)), holds, 1 - holds], axis=1)
    index, block, count = split_images(
        outlines, measures, side * pixel, pixel, fractions, seed, progress
    )
    return index, block, f"{BLOCKS} of {count * side:.0f} x {count * side:.0f} pixels"


def _write(site: Site, split: str, block: int, writer: SampleWriter) -> bool:
    """Write an image unless it is mostly nodata; say whether."""
    stack, window = site.stack, site.window
    values, valid = stack.read(window, writer.bands)
    if valid.all(axis=0).mean() < LEAST_LABELLED:
        return False
    writer.add(
        values,
        valid,
        np.full(valid.shape[1:], UNKNOWN if site.holds else 0, np.uint16),
        split=split,
        source=stack.path,
        window=(window.col_off, window.row_off, window.width, window.height),
        block=block,
        blocks=(block,),
        kind=LANDSLIDE if site.holds else BACKGROUND,
        crs=stack.grid.crs,
        transform=stack.grid.window_transform(window),
    )
    return True
