"""The fields of an inventory, true metres on any CRS, and statistics of rasters per landslide."""

from collections.abc import Mapping
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Geod

from ..errors import InputError

FIELDS: dict[str, tuple[str, str]] = {
    "id": ("int32", "number from 1 within the layer"),
    "area_m2": ("float64", "geodesic area without holes, square metres"),
    "perimeter_m": ("float64", "geodesic length of the outer ring, metres"),
    "prob_mean": ("float64", "mean landslide probability of its pixels, 0..1"),
    "prob_max": ("float64", "highest landslide probability of its pixels, 0..1"),
    "score": ("float64", "confidence of the instance network, 0..1"),
    "elev_min": ("float64", "lowest elevation of its pixels, in the DEM's unit (metres)"),
    "elev_max": ("float64", "highest elevation of its pixels, in the DEM's unit (metres)"),
    "relief_m": ("float64", "elev_max - elev_min"),
    "slope_mean": ("float64", "mean slope of its pixels, degrees"),
    "aspect_mean": ("float64", "circular mean aspect of its pixels, degrees from north, clockwise"),
    "model": ("object", "name of the model"),
}
"""Every field of an inventory: its type, and what it holds. What is not known is NULL."""


def make_inventory(
    polygons: NDArray[np.object_], crs: object | None, columns: Mapping[str, Any]
) -> gpd.GeoDataFrame:
    """Return an inventory layer with all `FIELDS`, area and perimeter measured.

    Args:
        polygons: in the CRS's coordinates, object, (n,).
        crs: their CRS; None for a plain image, whose pixels then count as metres.
        columns: values, (n,) each or one for all, of the fields that are known.
    """
    area, perimeter = measures(polygons, crs)
    known: dict[str, Any] = {
        "id": np.arange(1, len(polygons) + 1),
        "area_m2": area,
        "perimeter_m": perimeter,
    }
    known |= dict(columns)
    rows = pd.RangeIndex(len(polygons))
    table = {
        name: pd.Series(known.get(name), rows, dtype=kind) for name, (kind, _) in FIELDS.items()
    }
    return gpd.GeoDataFrame(table, geometry=gpd.GeoSeries(list(polygons), crs=crs), crs=crs)


def measures(
    polygons: NDArray[np.object_], crs: object | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return geodesic areas in square metres and lengths of the outer rings in metres.

    Measured on the CRS's own ellipsoid (Karney 2013, J. Geodesy 87:43), so it is right on any
    projection, in degrees, and on other planets. Without a CRS the plane's units are taken.

    Args:
        polygons: Polygons or MultiPolygons, object, (n,).
        crs: their CRS.
    """
    geodetic, geod = _ellipsoid(crs)
    if geodetic is None or geod is None:
        rings = shapely.get_exterior_ring(polygons)
        return shapely.area(polygons), shapely.length(rings)
    on_ellipsoid = gpd.GeoSeries(list(polygons), crs=crs).to_crs(geodetic).to_numpy()
    # Geod wants shells counter-clockwise and holes clockwise.
    oriented = shapely.orient_polygons(on_ellipsoid)
    pairs = [geod.geometry_area_perimeter(polygon) for polygon in oriented]
    measured = np.array(pairs, dtype=float).reshape(-1, 2)
    return np.abs(measured[:, 0]), measured[:, 1]


class Statistics:
    """Running statistics of one band for numbered landslides, fed block by block.

    Args:
        circular: the values are angles in degrees, whose mean is that of their directions.
    """

    def __init__(self, circular: bool = False) -> None:
        self._circular = circular
        self._blocks: list[pd.DataFrame] = []

    def add(
        self, labels: NDArray[np.int64], values: NDArray[np.float32], valid: NDArray[np.bool_]
    ) -> None:
        """Add a block.

        Args:
            labels: number of the landslide of each pixel, 0 for none, (rows, columns).
            values: (rows, columns).
            valid: which values count, (rows, columns).
        """
        used = valid & (labels > 0)
        number, value = labels[used], values[used].astype(np.float64)
        if not number.size:
            return
        first, size = int(number.min()), int(number.max() - number.min()) + 1
        index = number - first
        low, high = np.full(size, np.inf), np.full(size, -np.inf)
        np.minimum.at(low, index, value)
        np.maximum.at(high, index, value)
        block = {"count": np.bincount(index, minlength=size), "min": low, "max": high}
        angle = np.radians(value)
        parts = (np.sin(angle), np.cos(angle)) if self._circular else (value, None)
        block["sum"] = np.bincount(index, parts[0], size)
        if parts[1] is not None:
            block["cosine"] = np.bincount(index, parts[1], size)
        frame = pd.DataFrame(block, index=np.arange(first, first + size))
        self._blocks.append(frame[frame["count"] > 0])

    def result(self, groups: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Return min, max and mean of each group of numbers; NaN where no value counted.

        Args:
            groups: group, 0..n-1, of number 1, 2, ...; (numbers,).
        """
        wanted = pd.RangeIndex(int(groups.max(initial=-1)) + 1)
        if not self._blocks:
            return {name: np.full(len(wanted), np.nan) for name in ("min", "max", "mean")}
        rows = pd.concat(self._blocks)
        grouped = rows.groupby(groups[rows.index.to_numpy() - 1])
        low = grouped["min"].min().reindex(wanted).to_numpy()
        high = grouped["max"].max().reindex(wanted).to_numpy()
        total = grouped.sum().reindex(wanted)
        if self._circular:
            return {"min": low, "max": high, "mean": _direction(total)}
        return {"min": low, "max": high, "mean": (total["sum"] / total["count"]).to_numpy()}


def _direction(total: pd.DataFrame) -> NDArray[np.float64]:
    """Return the mean direction in 0..360; NaN where the directions cancel out (Fisher 1993)."""
    sine, cosine = total["sum"].to_numpy(), total["cosine"].to_numpy()
    length = np.hypot(sine, cosine) / total["count"].to_numpy()
    return np.where(length > 1e-6, np.degrees(np.arctan2(sine, cosine)) % 360, np.nan)


def _ellipsoid(crs: object | None) -> tuple[CRS | None, Geod | None]:
    """Return the CRS in degrees on the same ellipsoid, and its geodesics."""
    if crs is None:
        return None, None
    known: Any = CRS.from_user_input(crs)
    geodetic, geod = known.geodetic_crs, known.get_geod()
    if geodetic is None or geod is None:
        raise InputError("The CRS has no ellipsoid to measure areas on: assign another CRS.")
    in_degrees = all(axis.unit_name.startswith("degree") for axis in geodetic.axis_info[:2])
    return (geodetic, geod) if in_degrees else (CRS.from_epsg(4326), Geod(ellps="WGS84"))
