"""Inventories of rasters that overlap, such as those of neighbouring UTM zones, as one."""

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from ..core.progress import Progress
from .find import joined
from .measures import extents, measures

_SAME = 0.5
"""Fraction of a landslide in larger ones of other rasters from which it is one of these."""

_WHOLE = -1

Geometries = NDArray[np.object_]


def counted_once(
    frames: Sequence[gpd.GeoDataFrame],
    north_is_true: Sequence[bool],
    speck: float,
    progress: Progress,
) -> gpd.GeoDataFrame:
    """Return the inventories of several rasters as one, without ground that it would have twice.

    Where landslides of different rasters overlap the larger one stands: a raster's edge cuts what
    another one has whole. One of which more than half lies in larger ones is left out; of others
    that part is cut off, and the rest is measured anew.

    Args:
        frames: as `make_inventory` makes them, each in its raster's CRS.
        north_is_true: what `make_inventory` was told of each.
        speck: square metres below which what a cut leaves is nothing.
        progress: told how many are left out and cut.

    Returns:
        The landslides in the first one's CRS, with the attributes that each has of its raster.
    """
    crs = frames[0].crs
    raster = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
    frame = joined([frame.to_crs(crs) for frame in frames])
    if frame.empty:
        return frame
    shapes = np.asarray(frame.geometry.array)
    shapes = np.where(shapely.is_valid(shapes), shapes, shapely.make_valid(shapes))
    _, first, slide = np.unique(frame["slide_id"], return_index=True, return_inverse=True)
    rows = np.split(np.argsort(slide, kind="stable"), np.cumsum(np.bincount(slide))[:-1])
    whole = np.array([shapely.union_all(shapes[mine]) for mine in rows], object)
    covers, again = _covers(whole, raster[first])
    cut = ~shapely.is_missing(covers)
    told = f"{int(again.sum())} landslides that several rasters show count once"
    progress.message(f"{told}; {int(cut.sum())} were cut where a larger one of another raster is.")
    shapes[cut[slide]] = shapely.difference(shapes[cut[slide]], covers[slide][cut[slide]])
    stands = ~again[slide]
    frame = frame.set_geometry(gpd.GeoSeries(shapes, frame.index, crs))
    frame["cut_from"] = np.where(cut, raster[first], _WHOLE)[slide]
    frame = frame[stands].explode(ignore_index=True)
    frame = frame[frame.geom_type == "Polygon"].reset_index(drop=True)
    for number in sorted(set(frame["cut_from"]) - {_WHOLE}):
        of_raster = frame["cut_from"] == number
        _measure(frame, of_raster, frames[number].crs, north_is_true[number])
    specks = (frame["cut_from"] != _WHOLE) & (frame["area_m2"] < speck)
    return frame[~specks].drop(columns="cut_from").reset_index(drop=True)


def _covers(whole: Geometries, raster: NDArray[np.intp]) -> tuple[Geometries, NDArray[np.bool_]]:
    """Return what larger landslides of other rasters cover of each, and which are these again.

    Args:
        whole: the landslides, object, (n,).
        raster: the number of each one's raster, (n,).
    """
    areas = shapely.area(whole)
    position = np.empty(len(whole), int)
    position[np.argsort(-areas, kind="stable")] = np.arange(len(whole))
    small, large = shapely.STRtree(whole).query(whole, predicate="intersects")
    counts = (raster[small] != raster[large]) & (position[large] < position[small])
    order = np.argsort(position[small[counts]], kind="stable")
    small, large = small[counts][order], large[counts][order]
    covers, again, left = (
        np.full(len(whole), None, object),
        np.zeros(len(whole), bool),
        whole.copy(),
    )
    for those in np.split(np.arange(len(small)), np.flatnonzero(np.diff(small)) + 1):
        if not len(those):
            continue
        one, over = small[those[0]], large[those]
        cover = shapely.union_all(left[over[~again[over]]])
        inside = shapely.area(shapely.intersection(whole[one], cover))
        again[one] = inside > _SAME * areas[one]
        if inside and not again[one]:
            covers[one], left[one] = cover, shapely.difference(whole[one], cover)
    return covers, again


def _measure(frame: gpd.GeoDataFrame, those: Any, crs: Any, north_is_true: bool) -> None:
    """Measure some polygons anew, in the CRS of their raster, whose north their aspects count from.

    Args:
        frame: the inventory.
        those: which ones, booleans, (n,).
        crs: of their raster.
        north_is_true: see `extents`.
    """
    shapes = np.asarray(frame.geometry[those].to_crs(crs).array)
    aspects = frame["aspect_mean"][those].to_numpy(float)
    columns = [*measures(shapes, crs), *extents(shapes, crs, aspects, north_is_true)]
    frame.loc[those, ["area_m2", "perimeter_m", "length_m", "width_m"]] = np.stack(columns, axis=1)
