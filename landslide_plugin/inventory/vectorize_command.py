"""The command vectorize: a probability raster or a mask becomes the inventory."""

import datetime
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated, Any

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray

from ..contract.choices import Vectorize
from ..contract.errors import GridError, InputError
from ..contract.tags import MODEL
from ..core.progress import Progress
from ..core.provenance import NO_ORIGIN, Provenance
from ..raster import Source
from ..raster.grid import Grid, require_grids_overlap, require_north_up, tell_metres
from ..raster.scene_date import scene_date
from ..raster.threshold import USUAL, Threshold, threshold_tag
from ..raster.undeclared import mark_unknown
from ..vector.layers import require_vector_output
from .attributes import make_inventory
from .division import ELEVATION, Divider
from .find import columns_of, cut_up, find_landslides, joined, large_ones
from .holes import without_others
from .kinds import BAND, Kind, band_of, is_mask, kinds_of
from .layer import write_inventory
from .morphology import Brush, Morphology, reach
from .polygons import simplified, smoothed, to_map
from .trace import SLOPE, Scene, open_terrain
from .zones import counted_once


def vectorize(
    *,
    input: str,
    output: str,
    more_inputs: Sequence[str] = (),
    threshold: Annotated[float | None, Vectorize.THRESHOLD] = Vectorize.THRESHOLD.default,
    grow: Annotated[float | None, Vectorize.GROW] = Vectorize.GROW.default,
    min_area: Annotated[float, Vectorize.MIN_AREA] = Vectorize.MIN_AREA.default,
    min_slope: Annotated[float, Vectorize.MIN_SLOPE] = Vectorize.MIN_SLOPE.default,
    max_hole: Annotated[float, Vectorize.MAX_HOLE] = Vectorize.MAX_HOLE.default,
    opening: Annotated[float, Vectorize.OPENING] = Vectorize.OPENING.default,
    closing: Annotated[float, Vectorize.CLOSING] = Vectorize.CLOSING.default,
    split: Annotated[str, Vectorize.SPLIT] = Vectorize.SPLIT.default,
    split_depth: Annotated[float, Vectorize.SPLIT_DEPTH] = Vectorize.SPLIT_DEPTH.default,
    parts: Annotated[bool, Vectorize.PARTS] = Vectorize.PARTS.default,
    simplify: Annotated[float, Vectorize.SIMPLIFY] = Vectorize.SIMPLIFY.default,
    smooth: Annotated[int, Vectorize.SMOOTH] = Vectorize.SMOOTH.default,
    factors: str = "",
    model: str = "",
    date: str = "",
    fill: Annotated[str, Vectorize.FILL] = Vectorize.FILL.default,
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Turn a probability raster or a mask into polygons with the attributes of the inventory.

    Pixels that share an edge make one landslide. Statistics are those of its pixels whose
    probability is at or above `grow`, whatever opening and closing, filled holes and simpler lines
    do to the polygon. The steps follow each other as the parameters do. Where the raster tells
    kinds of landslides apart, see `kinds`, each is outlined by itself.

    Args:
        input: the raster; its band `landslide_probability`, or else its first; see `Scene`.
        output: the polygon layer to write.
        more_inputs: further rasters, such as of the next UTM zone; the inventory is in the CRS of
            the first, and what rasters that overlap both show counts once; see `counted_once`.
        threshold: probability that a landslide reaches somewhere, 0..1; None takes the one that
            the raster carries, else its model's, else 0.5. Of no effect on masks.
        grow: probability down to which it then extends, at most `threshold`; that when None. Of no
            effect on masks.
        min_area: smaller landslides are left out; square metres.
        min_slope: degrees; flatter ground holds no landslide, ground of unknown slope may.
        max_hole: holes up to this size are filled; square metres.
        opening: radius in metres of a disc; what it doesn't fit into goes.
        closing: radius in metres of a disc; gaps that it doesn't fit into are closed.
        split: where landslides that touch are parted: "none", at saddles of the "probability", at
            "necks", or along "drainage" divides.
        split_depth: how deep a saddle must be to part, as share of the lower peak's height (of the
            probability above `grow`, the half width, the depth of a valley), 0..1.
        parts: part each landslide in source (upper third of its elevations) and runout.
        simplify: tolerance in metres; 0 keeps the pixels' outlines.
        smooth: rounds of smoothing.
        factors: stack with bands elevation, slope, aspect, river_distance (any of them).
        model: name for the field `model`; the one in the raster's metadata when empty.
        date: of the scene, year-month-day; the one in the raster's metadata when empty.
        fill: "auto" or "keep": fill that the factors do not declare is nodata, or kept.
        origin: what the outputs tell of the run.
        progress: told of each block.

    Returns:
        output, count of landslides, and area_m2 of all together.

    Raises:
        InputError: `grow` is above the threshold, the input holds no probabilities or mask, or the
            factors lack the bands needed.
        GridError: the factors lie elsewhere, or one of several rasters has no CRS.
        OutputError: the output can't be written.
    """
    wishes = _Wishes(
        threshold=threshold,
        grow=grow,
        min_area=min_area,
        min_slope=min_slope,
        max_hole=max_hole,
        opening=opening,
        closing=closing,
        split=split,
        split_depth=split_depth,
        parts=parts,
        simplify=simplify,
        smooth=smooth,
        factors=factors,
        model=model,
        date=_date(date),
        fill=fill,
    )
    require_vector_output(output, unknown=True)
    paths = [input, *more_inputs]
    if more_inputs:
        _require_fit(paths, wishes)
    drawing = progress.part(0, 0.95).parts(len(paths))
    drawn = [_drawn(path, wishes, part) for path, part in zip(paths, drawing, strict=True)]
    frame = drawn[0].frame
    if more_inputs:
        frame = counted_once(
            [one.frame for one in drawn],
            [one.north_is_true for one in drawn],
            min(one.pixel for one in drawn),
            progress,
        )
    frame = large_ones(frame, min_area)
    if frame.empty:
        least = " and ".join(dict.fromkeys(f"{one.threshold:g}" for one in drawn))
        progress.message(
            f"No landslide of {min_area:g} m² or more at threshold {least}: the layer is empty."
        )
    models = {one.model for one in drawn}
    tags = origin.with_model(models.pop() if len(models) == 1 else "").tags()
    thresholds = {one.threshold for one in drawn if not one.is_mask}
    if len(thresholds) == 1:  # of several none is the layer's
        tags |= threshold_tag(thresholds.pop())
    write_inventory(frame, output, progress, tags)
    progress.update(1)
    count, area = int(frame["slide_id"].nunique()), float(frame["area_m2"].sum())
    return {"output": output, "count": count, "area_m2": area}


@dataclass(frozen=True)
class _Wishes:
    """What `vectorize` was asked for, by the same names."""

    threshold: float | None
    grow: float | None
    min_area: float
    min_slope: float
    max_hole: float
    opening: float
    closing: float
    split: str
    split_depth: float
    parts: bool
    simplify: float
    smooth: int
    factors: str
    model: str
    date: str
    fill: str


@dataclass(frozen=True)
class _Drawn:
    """The landslides of a raster, small ones too.

    Attributes:
        frame: as `make_inventory` makes it.
        threshold: that they reach.
        is_mask: whether the raster is one.
        model: its name; "" where nothing tells it.
        pixel: square metres of a pixel.
        north_is_true: whether aspects count from true north.
    """

    frame: gpd.GeoDataFrame
    threshold: float
    is_mask: bool
    model: str
    pixel: float
    north_is_true: bool


def _drawn(path: str, wishes: _Wishes, progress: Progress) -> _Drawn:
    """Draw the landslides of one raster."""
    opening, looking = progress.part(0, 0.05).parts(2)
    tracing, cutting = progress.part(0.05, 0.9).parts(2)
    with ExitStack() as stack:
        source = _open(path, stack, opening)
        threshold, base = _thresholds(source, wishes.threshold, wishes.grow, progress)
        terrain = (
            open_terrain(wishes.factors, source, stack, wishes.fill, looking)
            if wishes.factors
            else {}
        )
        kinds: list[Kind | None] = [*kinds_of(source)] or [None]
        scenes = [
            Scene(source, terrain, base, kind=kind, min_slope=wishes.min_slope) for kind in kinds
        ]
        grid = source.grid
        _check_layers(scenes[0], wishes)
        sizes = {name: getattr(wishes, name) for name in ("opening", "closing")}
        morphology = Morphology(*(Brush(size, grid, name) for name, size in sizes.items()))
        _tell_metres(grid, sizes | {"simplification": wishes.simplify}, progress)
        divider = Divider(
            grid=grid,
            split=wishes.split,
            depth=wishes.split_depth,
            parts=wishes.parts,
            least_area=wishes.min_area,
            base=base,
        )
        told = {
            "model": wishes.model or source.dataset.tags().get(MODEL) or None,
            "date": wishes.date or scene_date(source) or None,
        }
        frames, is_true = [], not source.grid.keeps_crs_metres
        landslides = [
            find_landslides(scene, threshold, wishes.max_hole, morphology, part)
            for scene, part in zip(scenes, tracing.parts(len(scenes)), strict=True)
        ]
        traced = [
            cut_up(scene, *one, divider, part)
            for scene, one, part in zip(
                scenes, without_others(landslides), cutting.parts(len(scenes)), strict=True
            )
        ]
        shaped = _shaped([each.polygons for each in traced], wishes, grid)
        for scene, each, outlines in zip(scenes, traced, shaped, strict=True):
            columns = columns_of(scene, each.groups, len(outlines)) | told
            columns |= {"slide_id": each.slide, "part": each.part}
            columns["kind"] = scene.kind.name if scene.kind else None
            frames.append(make_inventory(outlines, grid.crs, columns, north_is_true=is_true))
    return _Drawn(
        frame=joined(frames),
        threshold=threshold,
        is_mask=scenes[0].is_mask,
        model=str(told["model"] or ""),
        pixel=grid.resolution**2,
        north_is_true=is_true,
    )


def _shaped(
    kinds: Sequence[NDArray[np.object_]], wishes: _Wishes, grid: Grid
) -> list[NDArray[np.object_]]:
    """Return the outlines of each kind on the map, simpler and smoother.

    All at once, for neighbours of two kinds share edges too.
    """
    simple = simplified(np.concatenate(kinds), wishes.simplify / grid.resolution)
    outlines = to_map(smoothed(simple, wishes.smooth), grid)
    return np.split(outlines, np.cumsum([len(each) for each in kinds])[:-1])


def _require_fit(paths: Sequence[str], wishes: _Wishes) -> None:
    """Refuse rasters that can't become one inventory before any of them is drawn.

    Raises:
        GridError: one has no CRS, is not north-up, or lies apart from the factors.
        InputError: one can't be read, holds something else, or does not suit the wishes.
    """
    for path in paths:
        with Source.open(path, what="input", need_crs=False) as source:
            if source.grid.crs is None:
                raise GridError(
                    f"{path} has no CRS, so it can't be one inventory with others: assign it."
                )
            require_north_up(source.grid.transform, path)
            if wishes.factors:
                with Source.open(wishes.factors, what="factor stack") as factors:
                    require_grids_overlap(factors.grid, wishes.factors, source.grid)
            scene = Scene(source, {}, 0.0, next(iter(kinds_of(source)), None))
            scene.require_fit()
            _require_probability(scene, wishes.split)
            _thresholds(source, wishes.threshold, wishes.grow, Progress())


def _open(path: str, stack: ExitStack, progress: Progress) -> Source:
    source = stack.enter_context(Source.open(path, what="input", need_crs=False))
    if source.grid.crs is None:
        progress.warning(f"{path} has no CRS: areas and lengths are in its own units.")
    else:
        require_north_up(source.grid.transform, path)
    mark_unknown(source, band_of(source), progress)
    if kinds := kinds_of(source):
        progress.message(f"Kinds of landslide: {', '.join(kind.name for kind in kinds)}.")
    elif len(source.bands) > 1 and band_of(source) != BAND:
        progress.warning(
            f"Of the {len(source.bands)} bands of {path} the first, {source.bands[0]}, is drawn "
            "alone; for another export it first."
        )
    return source


def _thresholds(
    source: Source, asked: float | None, grow: float | None, progress: Progress
) -> tuple[float, float]:
    """Return what a landslide must reach and down to where it grows; tell where it is from."""
    if is_mask(source):  # of 0 and 1, where what is asked has no effect
        return USUAL, USUAL
    chosen = Threshold.of(source, asked)
    progress.message(f"The threshold is {chosen}.")
    base = chosen.value if grow is None else grow
    if base > chosen.value:
        raise InputError(
            f"Landslides can't grow down to {base:g} from a threshold of {chosen.value:g}, that of "
            f"{source.path}: choose a probability of 0 to {chosen.value:g}."
        )
    return chosen.value, base


def _check_layers(scene: Scene, wishes: _Wishes) -> None:
    """Refuse to leave ground out, or to cut landslides up, by what is not there."""
    if wishes.min_slope > 0 and SLOPE not in scene.terrain:
        raise InputError(
            f"To leave out ground flatter than {wishes.min_slope:g} degrees, give a factor stack "
            "with a band slope."
        )
    _require_probability(scene, wishes.split)
    if (wishes.split == "drainage" or wishes.parts) and ELEVATION not in scene.terrain:
        raise InputError(
            "To part landslides along drainage divides or in source and runout, give a factor "
            "stack with a band elevation."
        )


def _require_probability(scene: Scene, split: str) -> None:
    if split == "probability" and scene.is_mask:
        raise InputError(
            f"{scene.source.path} is a mask, so landslides can't be parted by probability: give "
            "the probability raster, or part them at necks."
        )


def _date(text: str) -> str:
    try:
        return datetime.date.fromisoformat(text).isoformat() if text else ""
    except ValueError as error:
        raise InputError(
            f"{text} is no date: write it as year-month-day, such as 2018-09-06."
        ) from error


def _tell_metres(grid: Grid, sizes: dict[str, float], progress: Progress) -> None:
    """Say what the metres are, and which sizes have no effect or are not the same everywhere."""
    used = [name for name, size in sizes.items() if size > 0]
    if grid.crs is not None:  # or it has been said
        tell_metres(grid, progress, ("each of " if used[1:] else "") + " and ".join(used))
    pixel = grid.resolution
    for name in used:
        if name != "simplification" and reach(sizes[name], grid) < pixel:
            progress.warning(
                f"The {name} of {sizes[name]:g} m is less than a pixel ({pixel:.3g} m): it changes "
                "nothing."
            )
