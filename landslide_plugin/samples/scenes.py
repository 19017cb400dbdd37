"""Train, validation and test by scene: whole stacks are held out, as of another valley or event."""

from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from ..contract.errors import InputError
from ..core.progress import Progress
from ..raster.source import Source
from .sample_set import SPLITS


def split_by_scene(
    stacks: Sequence[Source],
    landslides: Sequence[float],
    fractions: Sequence[float],
    seed: int,
    progress: Progress,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Assign each stack; those that show the same ground, such as two dates, are one scene.

    Scenes are taken in random order, for test and then for validation at least one each and more
    as long as that comes nearer to the wished share of landslides; the rest is for training, and so
    are those without landslides.

    Args:
        stacks: the images.
        landslides: what each holds of them, such as the number of windows with.
        fractions: shares of train, validation and test.
        seed: another seed holds out other scenes.
        progress: told which are held out.

    Returns:
        Index into `SPLITS` and number of the scene of each stack, (stacks,).

    Raises:
        InputError: there are fewer scenes with landslides than parts.
    """
    scene = scenes_of(stacks)
    held = np.bincount(scene, np.asarray(landslides, np.float64))
    parts = sum(fraction > 0 for fraction in fractions)
    left = list(np.random.default_rng(seed).permutation(np.flatnonzero(held)))
    if len(left) < parts:
        raise InputError(
            f"The split by scene holds out whole stacks, and {len(left)} with landslides that show "
            f"no common ground are too few for {parts} parts: add stacks, or choose the split by "
            "blocks."
        )
    split = np.zeros(len(held), np.int64)
    for index in (2, 1):
        wished, gathered = fractions[index] * held.sum(), 0.0
        while wished and len(left) > (2 if index == 2 else 1):
            with_next = gathered + held[left[0]]
            if gathered and abs(with_next - wished) > abs(gathered - wished):
                break
            split[left.pop(0)] = index
            gathered = with_next
    for index in (1, 2):
        paths = [stack.path for stack, of in zip(stacks, split[scene], strict=True) if of == index]
        if paths:
            progress.message(f"Held out for {SPLITS[index]}: {', '.join(paths)}.")
    return split[scene], scene


def scenes_of(stacks: Sequence[Source]) -> NDArray[np.int64]:
    """Return the number of each stack's scene, (stacks,): what shares ground is one."""
    first = stacks[0].grid.crs
    outlines = []
    for stack in stacks:
        grid = stack.grid
        # neighbours share a line, which is no ground
        box = shapely.box(*grid.bounds).buffer(-abs(grid.transform.a) / 4, join_style="mitre")
        outlines.append(gpd.GeoSeries([box], crs=grid.crs).to_crs(first).iloc[0])
    ground = shapely.get_parts(shapely.union_all(outlines))
    inside = shapely.point_on_surface(outlines)
    return np.array([int(np.flatnonzero(shapely.intersects(ground, at))[0]) for at in inside])
