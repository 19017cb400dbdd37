"""Synthetic landslides: where they start, how they run out, what they do to the terrain.

They start with a probability proportional to

    s(slope) * rock * (0.3 + 1.2 exp(-river / 250 m) + 1.2 exp(-fault / 350 m)) * rain

where s rises smoothly from 0 at 20 to 1 at 38 degrees, rock is 0.3 in granite, 1 in sandstone and
3 in mudstone, and rain is a smooth random field (the storm's cells). Each runs down the
smoothed terrain from there; its area is log-normal, about 1 ha, 0.3 to 20 ha.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import geopandas as gpd
import numpy as np
import shapely
from contourpy import contour_generator
from numpy.typing import NDArray
from rasterio.features import rasterize
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

from ..core.progress import Progress
from ..raster import Grid
from .geology import to_map
from .noise import Field, fractal, ramp
from .terrain import CELL, Floats

PER_MEGAPIXEL = 360
"""Landslides on 1024 x 1024 pixels."""

SCARS_PER_MEGAPIXEL = 130
"""Scars of landslides long before, of the same shapes; they are in no inventory."""

_ROCK = np.array([0.3, 1.0, 3.0], np.float32)
_SMALLEST, _LARGEST = 3e3, 2e5  # m2
_STEP = 0.5  # pixels between the points of a path
_STEPS = 220
_FINER = 3  # a pixel's cover is counted on this many by this many points


@dataclass(kw_only=True)
class Slides:
    """The landslides of an area, (n, n) each but the layer.

    Attributes:
        layer: polygons with the fields `id` and `area_m2`.
        cover: share of the pixel that slid, 0..1.
        along: position between scarp 0 and toe 1; 0 elsewhere.
        age: 0 fresh to 1 overgrown; 0 elsewhere.
        lift: metres that the ground rose (deposit) or sank (scarp).
        scars: share of the pixel that slid long before and is overgrown, 0..1.
    """

    layer: gpd.GeoDataFrame
    cover: Field
    along: Field
    age: Field
    lift: Field
    scars: Field


@dataclass
class _Slide:
    """One landslide, in pixels.

    Attributes:
        path: points (column, row) from scarp to toe; those of side scarps follow, (points, 2).
        half_width: at each point.
        along: position of each point between scarp 0 and toe 1.
        shape: its outline; a pixel's centre has its column and row plus one half.
    """

    path: Floats
    half_width: Floats
    along: Floats
    shape: shapely.Polygon


def susceptibility(
    slope: Field,
    lithology: NDArray[np.integer],
    river_distance: Field,
    fault_distance: Field,
    rng: np.random.Generator,
) -> Field:
    """Return how likely landslides start at each pixel, relative; see the module's formula.

    Args:
        slope: degrees, (n, n).
        lithology: 0 granite, 1 sandstone, 2 mudstone, same shape.
        river_distance: metres, same shape.
        fault_distance: metres, same shape.
        rng: the source of the storm's cells.
    """
    near = 0.3 + 1.2 * np.exp(-river_distance / 250) + 1.2 * np.exp(-fault_distance / 350)
    rain = np.exp(0.4 * fractal(slope.shape, rng, len(slope) / 5, 4.0))
    likely: Field = ramp(slope, 20, 38) * _ROCK[lithology] * near * rain
    return likely


def build_slides(
    elevation: Floats,
    drained: Floats,
    chance: Field,
    grid: Grid,
    rng: np.random.Generator,
    progress: Progress,
) -> Slides:
    """Let landslides go.

    Args:
        elevation: metres, (n, n).
        drained: km2, same shape; landslides end in streams.
        chance: see `susceptibility`, same shape.
        grid: of all three.
        rng: the source of randomness.
        progress: updated as landslides are found.
    """
    megapixels = chance.size / 2**20
    count = round(PER_MEGAPIXEL * megapixels)
    wanted = count + round(SCARS_PER_MEGAPIXEL * megapixels)
    taken = np.zeros(chance.shape, bool)
    slides: list[_Slide] = []
    starts = _draw(chance, 8 * wanted, rng)
    for slide in _candidates(elevation, drained, starts, rng):
        rows, columns, mask = _pixels(slide.shape, taken.shape)
        if mask.any() and not (taken[rows, columns] & mask).any():
            taken[rows, columns] |= mask
            slides.append(slide)
            progress.update(0.5 * len(slides) / wanted)
        if len(slides) == wanted:
            break
    slides_on_grid = _on_grid(slides[:count], grid, rng, progress.part(0.5, 1))
    slides_on_grid.scars = _cover(slides[count:], grid.shape)
    return slides_on_grid


def _draw(chance: Field, count: int, rng: np.random.Generator) -> Floats:
    """Return start pixels (column, row), (count, 2), without replacement, by their chance."""
    key = np.log(np.maximum(chance, 1e-12)) + rng.gumbel(size=chance.shape)  # Gumbel's trick
    starts = np.argsort(-key, axis=None, kind="stable")[:count]
    return np.column_stack(np.divmod(starts, chance.shape[1]))[:, ::-1].astype(np.float64)


def _candidates(
    elevation: Floats, drained: Floats, starts: Floats, rng: np.random.Generator
) -> Iterator[_Slide]:
    """Yield a landslide from each start where one fits; some of them overlap."""
    count, n = len(starts), len(elevation)
    area = np.clip(np.exp(rng.normal(np.log(9.5e3), 0.95, count)), _SMALLEST, _LARGEST)
    slender = np.clip(np.exp(rng.normal(np.log(2.9), 0.4, count)), 1.4, 7)
    lengths = np.sqrt(area * slender * 1.4) / CELL
    widths = lengths / slender
    numbers = np.minimum(np.ceil(lengths / _STEP).astype(int), _STEPS)
    aside = rng.normal(0, 0.9, (2, count, 2)) * widths[:, np.newaxis]
    paths, stops = _run_out(elevation, drained, np.concatenate([starts, *(starts + aside)]))
    rough = fractal((2 * n, 2 * n), rng, 16, 2.8)
    for index, (number, width) in enumerate(zip(numbers, widths, strict=True)):
        waist = np.clip(rng.normal(1.15 - 0.14 * slender[index], 0.1), 0.35, 1)
        toe = waist * rng.uniform(0.8, 1.5)
        if stops[index] < 0.5 * number:
            continue  # no room to run out
        parts = []
        for branch, fraction in ((0, 1.0), (1, 0.45), (2, 0.3)):
            where = index + branch * count
            steps = min(int(number * fraction), int(stops[where]))
            if steps > 3 and (branch == 0 or width > 3):
                along = np.linspace(0, fraction, steps)
                profile = np.interp(along, (0, 0.12, 0.5, 0.85, 1), (0.7, 1, waist, toe, 0.6 * toe))
                half = np.maximum(0.5 * width * profile * (1 if branch == 0 else 0.6), 0.9)
                parts.append((paths[where, :steps], half, along))
        path, half_width, along = (np.concatenate(part) for part in zip(*parts, strict=True))
        yield from _outline(path, half_width, along, rough)


def _run_out(
    elevation: Floats, drained: Floats, starts: Floats
) -> tuple[Floats, NDArray[np.int64]]:
    """Follow the descent from each start, with some inertia.

    Returns:
        Paths, (starts, steps, 2) in pixels (column, row), and how many steps they go before a
        stream or flat land.
    """
    fall = np.stack(np.gradient(-gaussian_filter(elevation, 2.5), CELL))
    stream = (drained > 0.8).astype(np.float32)
    at = starts.T[::-1].copy()
    heading = np.zeros_like(at)
    paths, going = [], []
    for _ in range(_STEPS):
        descent = np.stack([map_coordinates(part, at, order=1, mode="nearest") for part in fall])
        wet = map_coordinates(stream, at, order=0, mode="nearest")
        steepness = np.hypot(*descent)
        heading = 0.75 * heading + 0.25 * descent / np.maximum(steepness, 1e-9)
        paths.append(at.copy())
        going.append((steepness > 0.08) & (wet == 0))
        at += _STEP * heading / np.maximum(np.hypot(*heading), 1e-9)
    stops = np.logical_and.accumulate(np.array(going), axis=0).sum(axis=0) + 5
    return np.array(paths).transpose(2, 0, 1)[..., ::-1], np.minimum(stops, _STEPS)


def _outline(path: Floats, half_width: Floats, along: Floats, rough: Field) -> Iterator[_Slide]:
    """Yield the landslide along a path, unless it leaves the area or is too small or large.

    Args:
        path: see `_Slide`.
        half_width: same.
        along: same.
        rough: what makes outlines uneven, on half pixels, (2 n, 2 n).
    """
    reach = 1.5 * half_width.max() + 2
    left, top = np.floor(path.min(axis=0) - reach).astype(int)
    right, bottom = np.ceil(path.max(axis=0) + reach).astype(int)
    if min(left, top) < 1 or 2 * max(right, bottom) >= len(rough) - 2:
        return
    x, y = np.arange(left, right, 0.5), np.arange(top, bottom, 0.5)
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    away, near = cKDTree(path).query(grid, k=min(6, len(path)))
    distance = (away / half_width[near]).min(axis=-1)
    distance += 0.16 * rough[2 * top : 2 * bottom, 2 * left : 2 * right]
    rings = [np.asarray(ring) for ring in contour_generator(x, y, distance).lines(1.0)]
    shapes = [shapely.Polygon(ring + 0.5) for ring in rings if len(ring) > 3]
    shape = max(shapes, key=lambda polygon: polygon.area, default=shapely.Polygon())
    shape = shapely.simplify(shape, 0.12)
    if shape.is_valid and _SMALLEST <= shape.area * CELL**2 <= _LARGEST:
        yield _Slide(path, half_width, along, shape)


def _pixels(
    shape: shapely.Polygon, extent: tuple[int, ...]
) -> tuple[slice, slice, NDArray[np.bool_]]:
    """Return the window around a shape, and which of its pixels the shape touches."""
    left, top, right, bottom = shape.bounds
    rows = slice(int(top), min(int(bottom) + 1, extent[0]))
    columns = slice(int(left), min(int(right) + 1, extent[1]))
    mask = rasterize(
        [shapely.affinity.translate(shape, -columns.start, -rows.start)],
        out_shape=(rows.stop - rows.start, columns.stop - columns.start),
        all_touched=True,
    )
    return rows, columns, mask.astype(bool)


def _on_grid(
    slides: list[_Slide], grid: Grid, rng: np.random.Generator, progress: Progress
) -> Slides:
    """Bring the landslides to the map and to the pixels."""
    along, age, lift = np.zeros((3, *grid.shape), np.float32)
    ages = np.where(rng.random(len(slides)) < 0.25, rng.uniform(0.35, 0.65, len(slides)), 0)
    for slide, years in progress.track(zip(slides, ages, strict=True), len(slides)):
        rows, columns, mask = _pixels(slide.shape, grid.shape)
        down, right = np.nonzero(mask)
        points = np.column_stack([right + columns.start, down + rows.start])
        away, nearest = cKDTree(slide.path).query(points)
        where = down + rows.start, right + columns.start
        fraction = slide.along[nearest]
        along[where] = fraction
        age[where] = years
        deep = 1.5 + 0.02 * np.sqrt(slide.shape.area * CELL**2)
        hollow = np.interp(fraction, (0, 0.15, 0.5, 0.8, 1), (-0.8, -1, -0.2, 0.8, 0.4))
        lift[where] = deep * hollow * np.clip(1 - (away / slide.half_width[nearest]) ** 2, 0, 1)
    layer, none = _layer(slides, grid), np.zeros(grid.shape, np.float32)
    lift = gaussian_filter(lift, 1.0)  # no steps where two branches meet
    return Slides(
        layer=layer, cover=_cover(slides, grid.shape), along=along, age=age, lift=lift, scars=none
    )


def _cover(slides: list[_Slide], extent: tuple[int, ...]) -> Field:
    """Return which share of each pixel slid."""
    rows, columns = extent
    shapes = [shapely.affinity.scale(one.shape, _FINER, _FINER, origin=(0, 0)) for one in slides]
    fine = rasterize(shapes or [shapely.Point()], (rows * _FINER, columns * _FINER))
    cells = fine.reshape(rows, _FINER, columns, _FINER)
    cover: Field = cells.mean(axis=(1, 3), dtype=np.float32)
    return cover


def _layer(slides: list[_Slide], grid: Grid) -> gpd.GeoDataFrame:
    polygons = [shapely.transform(one.shape, partial(to_map, grid=grid)) for one in slides]
    frame = gpd.GeoDataFrame({"id": np.arange(1, len(slides) + 1)}, geometry=polygons, crs=grid.crs)
    frame.insert(1, "area_m2", frame.area.round(1))
    return frame
