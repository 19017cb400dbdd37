"""The command that cuts samples from stacks."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated, Any

from ..contract.choices import Samples
from ..contract.errors import InputError
from ..core.progress import Progress
from ..core.provenance import NO_ORIGIN, Provenance
from ..outputs.whole import whole_folder
from ..raster.bands import is_imagery
from ..raster.grid import tell_metres
from ..raster.heights import require_metres
from ..raster.kinds import LEVELS
from ..raster.reflectance import REFLECTANCE, take_as_reflectance
from ..raster.source import Source
from ..raster.threshold import USUAL, Threshold
from ..raster.undeclared import mark_fill
from .cutter import Cutter, Hardness, find_layers
from .patches import require_same_bands, require_tile_fits
from .sample_set import IMAGE_LABELS, PIXEL_LABELS, result_of
from .sample_writer import SampleWriter
from .sites import cut_sites, find_sites
from .splits import check_fractions


def samples(
    *,
    stack: list[str] | str,
    landslides: str,
    output: str,
    field: str = "",
    low: Annotated[float | None, Samples.LOW] = Samples.LOW.default,
    high: Annotated[float | None, Samples.HIGH] = Samples.HIGH.default,
    area: str = "",
    tile_size: Annotated[int, Samples.TILE_SIZE] = Samples.TILE_SIZE.default,
    stride: Annotated[int, Samples.STRIDE] = Samples.STRIDE.default,
    split: Annotated[str, Samples.SPLIT] = Samples.SPLIT.default,
    background: Annotated[float, Samples.BACKGROUND] = Samples.BACKGROUND.default,
    hard_negatives: str = "",
    hard_threshold: Annotated[
        float | None, Samples.HARD_THRESHOLD
    ] = Samples.HARD_THRESHOLD.default,
    hard_share: Annotated[float, Samples.HARD_SHARE] = Samples.HARD_SHARE.default,
    validation: Annotated[float, Samples.VALIDATION] = Samples.VALIDATION.default,
    test: Annotated[float, Samples.TEST] = Samples.TEST.default,
    seed: Annotated[int, Samples.SEED] = Samples.SEED.default,
    fill: Annotated[str, Samples.FILL] = Samples.FILL.default,
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Cut labelled patches out of one or several stacks, seeded on landslides.

    Patches follow Gao et al. 2021 (IEEE JSTARS 14:7881): windows of 64 pixels at a stride of 32
    that hold landslide pixels, and background windows in a chosen ratio.

    With a field of yes and no a patch is labelled as a whole: it is that around the point, or the
    polygon's bounding box; `trainweak` learns from such. What says how other patches are drawn
    (stride, background, hard negatives) then has no use.

    Args:
        stack: rasters with the same bands and pixel size; a class of lithology or the like that
            one lacks and another holds is 0 there.
        landslides: polygons, or a raster (landslide above 0; its nodata, unless that is 0, is not
            known); with a field points or polygons.
        field: field of yes and no; none when empty.
        low: value of the raster below which there is no landslide; what lies between `low` and
            `high` is not known. None for `high`.
        high: value of the raster from which on there is landslide; None for the threshold that a
            probability raster carries, or else any above 0.
        output: folder to make.
        area: polygons; only windows at least half inside are cut, and pixels outside are labelled
            as not known.
        tile_size: side of the patches in pixels.
        stride: step between neighbouring windows in pixels.
        split: "blocks" (spatial, neighbours don't leak), "scene" (whole stacks are held out) or
            "random" (by patch).
        background: patches without landslide per patch with one.
        hard_negatives: raster that is high where background is taken for landslide, such as a
            model's probability; none when empty.
        hard_threshold: value from which on it is; None for the threshold that the raster carries,
            or else 0.5.
        hard_share: share of the train background patches that are drawn by how much of them is
            taken for landslide; validation and test patches never are.
        validation: share of validation patches.
        test: share of test patches.
        seed: of the split and of the choice of background.
        fill: "auto" or "keep": fill that a stack does not declare is nodata, or is kept.
        origin: what the outputs tell of the run.
        progress: told counts and class balance.

    Returns:
        `output`, the counts `train`, `validation` and `test`, and `imbalance`.

    Raises:
        InputError: a stride beyond the tile size, layers without landslides, a split that comes
            out empty.
        GridError: layers without CRS, or that don't overlap.
        OutputError: the folder isn't empty, or can't be written.
    """
    fractions = check_fractions(validation, test)
    if stride > tile_size and not field:
        raise InputError(
            f"The stride of {stride} pixels is longer than the tile size of {tile_size}: choose at "
            "most the tile size, or ground between the tiles is left out."
        )
    paths = [stack] if isinstance(stack, str) else list(stack)
    if not paths:
        raise InputError("No stack is given: choose at least one raster.")
    with ExitStack() as files, whole_folder(output) as folder:
        stacks = [files.enter_context(Source.open(path, what="stack")) for path in paths]
        require_same_bands(stacks, progress)
        for source in stacks:
            require_tile_fits(source.grid, source.path, tile_size)
            require_metres(source)
            tell_metres(source.grid, progress, "the tiles' resolution")
        mark_fill(stacks, fill, progress.part(0, 0.1))
        units = _units(stacks, progress)
        labels = IMAGE_LABELS if field else PIXEL_LABELS
        writer = SampleWriter(folder, stacks[0].bands, labels, units, origin.tags())
        before = None
        if field:
            sites = find_sites(stacks, landslides, field, area, tile_size, progress)
            cutting = progress.part(0.1, 1)
            kind = cut_sites(sites, stacks[0].grid, writer, split, fractions, seed, cutting)
        else:
            looking = progress.part(0.1, 0.12)
            layers = find_layers(stacks, landslides, low, high, area, hard_negatives, looking)
            cutter = Cutter(layers, writer, tile_size)
            hardness = _hardness(layers[0].alarms, hard_threshold, hard_share, progress)
            cutter.find(stride, hardness, progress.part(0.12, 0.2))
            parts = cutter.assign(split, fractions, seed, progress)
            cutter.cut(parts, fractions, background, seed, progress.part(0.2, 1))
            kind, before = parts.description, cutter.pixels
        names = {source.grid.crs.to_string() for source in stacks if source.grid.crs}
        result = writer.finish(
            split=kind,
            seed=seed,
            tile_size=tile_size,
            resolution=stacks[0].grid.resolution,
            crs=names.pop() if len(names) == 1 else None,
            sources=paths,
            before=before,
            progress=progress,
        )
    progress.update(1)
    return result_of(output, result)


def _hardness(
    alarms: Source | None, threshold: float | None, fraction: float, progress: Progress
) -> Hardness:
    if alarms is None:
        return Hardness(USUAL, 0.0)
    chosen = Threshold.of(alarms, threshold)
    progress.message(f"False alarms are background where {alarms.path} is at least {chosen}.")
    return Hardness(chosen.value, fraction)


def _units(stacks: Sequence[Source], progress: Progress) -> list[str]:
    """Have imagery read as reflectance where it is known; return the units of the bands.

    Raises:
        InputError: a band is reflectance in one stack, and not known to be in another, or levels
            in one alone.
    """
    for source in stacks:
        light = {band: (source, band) for band in source.bands if is_imagery(band)}
        take_as_reflectance(light, what=f"stack {source.path}", progress=progress)
    units = {band: stacks[0].unit_of(band) for band in stacks[0].bands}
    for source in stacks[1:]:
        for band, unit in units.items():
            if (unit == REFLECTANCE) != (source.scaling[band].unit == REFLECTANCE):
                raise InputError(
                    f"The band {band} is reflectance in one of {stacks[0].path} and {source.path} "
                    "and of unknown units in the other: stack that one anew with SCALE and OFFSET."
                )
            if (unit == LEVELS) != (source.unit_of(band) == LEVELS):
                raise InputError(
                    f"The band {band} holds levels in one of {stacks[0].path} and {source.path}, "
                    "and not in the other: derive both alike."
                )
    return list(units.values())
