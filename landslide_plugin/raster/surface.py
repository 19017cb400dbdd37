"""The ellipsoid that a CRS describes, and pixels measured on it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from ..contract.errors import GridError

if TYPE_CHECKING:
    from pyproj import CRS as ProjCRS

Floats = NDArray[np.float64]
Indices = NDArray[np.floating[Any] | np.integer[Any]]
"""Indices of rows or columns, which may have fractions."""

_SHORTEST = 100.0
"""Metres; over less, the rounding of a projection's inverse would show."""
_WITH_HEIGHTS = ("COMPD_CS[", "COMPOUNDCRS[", "CS[ellipsoidal,3]")
"""What the WKT of a CRS with heights has."""
_LEAST_SCALE = 1e-6
"""Where a projection draws a pole as a line, its pixels have no width: nothing to divide by."""


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """Pixels on the ground: arrays of one value a row, or that broadcast to (rows, columns).

    They are float64 as measured, and float32 where `each` made them so.

    Attributes:
        width: metres from one pixel's centre to the next one's along a row.
        height: the same along a column.
        cosine: of the angle between row and column; 0 where it is a right one, as on the map.
        east: how far the way up the map leads east, and
        north: how far north, as a vector whose length is the cosine of the latitude: directions
            turn round at a pole, this is smooth there.
    """

    width: NDArray[Any]
    height: NDArray[Any]
    cosine: NDArray[Any]
    east: NDArray[Any]
    north: NDArray[Any]

    @property
    def area(self) -> Floats:
        """Square metres."""
        area: Floats = self.width * self.height * np.sqrt(1 - self.cosine**2)
        return area

    @property
    def bearing(self) -> Floats:
        """Of the way up the map, radians clockwise from true north."""
        bearing: Floats = np.arctan2(self.east, self.north)
        return bearing

    def each(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> "Pixels":
        """Return the pixels with each array changed in the same way."""
        return Pixels(**{name: change(array) for name, array in vars(self).items()})


class Plane:
    """No place on Earth: what a local CRS, or none, has. Its units are metres if it says so.

    Attributes:
        metres: length of the CRS's unit; on the equator, where coordinates are angles.
        is_angular: whether they are.
        is_placed: whether pixels can be measured.
    """

    is_angular = False
    is_placed = False

    def __init__(self, metres: float) -> None:
        self.metres = metres

    def measure(self, x: Floats, y: Floats, width: float, height: float) -> Pixels:
        """Return pixels of the unit's own size."""
        one, nothing = np.ones(x.shape), np.zeros(x.shape)
        return Pixels(
            width=self.metres * width * one,
            height=self.metres * height * one,
            cosine=nothing,
            east=nothing,
            north=one,
        )

    def length(self, x: Floats, y: Floats) -> float:
        """Return the metres along a line through places, both (n,)."""
        return self.metres * float(np.hypot(np.diff(x), np.diff(y)).sum())


class Ellipsoid(Plane):
    """An ellipsoid, whatever coordinates its places have.

    Args:
        base: the CRS of its longitudes and latitudes.
        unit: of the coordinates, in metres or radians.

    Attributes:
        geod: pyproj's geodesics on it.
    """

    is_placed = True

    def __init__(self, base: "ProjCRS", unit: float) -> None:
        self.geod = geod = cast("Any", base.get_geod())
        self._radians = float(base.axis_info[0].unit_conversion_factor)
        self._semi_major, self._eccentricity2 = float(geod.a), float(geod.es)
        super().__init__(unit * self._semi_major if self.is_angular else unit)

    def geodetic(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Return longitudes and latitudes in radians; NaN where the projection ends."""
        raise NotImplementedError

    def on_map(self, longitude: Floats, latitude: Floats) -> tuple[Floats, Floats]:
        """Return x and y of longitudes and latitudes in radians; infinite for none."""
        raise NotImplementedError

    def length(self, x: Floats, y: Floats) -> float:
        """Return the metres along the geodesics through places, both (n,)."""
        longitude, latitude = map(np.degrees, self.geodetic(x, y))
        return float(self.geod.line_length(longitude, latitude))

    def radii(self, latitude: Floats) -> tuple[Floats, Floats]:
        """Return metres a radian along the parallel and along the meridian at latitudes, radians.

        N(phi) cos(phi) and M(phi): Snyder 1987, equations 4-20 and 4-19.
        """
        root = np.sqrt(1 - self._eccentricity2 * np.sin(latitude) ** 2)
        parallel = self._semi_major / root * np.cos(latitude)
        return parallel, self._semi_major * (1 - self._eccentricity2) / root**3

    @cached_property
    def turn(self) -> float:
        """How far along x the map repeats itself, all round the world; 0 where it does not."""
        middle = self.geodetic(np.zeros(2), np.zeros(2))[0][0]
        # Two places on each of two parallels.
        steps, parallels = np.array([0, 1e-3, 0, 1e-3]), np.array([0, 0, 0.5, 0.5])
        x, y = self.on_map(middle + steps, parallels)
        along, across = np.diff(x)[::2], np.diff(y)[::2]
        repeats = np.allclose(along, along[0], rtol=1e-6) and np.abs(across).max() < 1e-9 * along[0]
        return float(2000 * np.pi * along[0]) if repeats else 0.0

    def in_space(self, x: Floats, y: Floats) -> Floats:
        """Return places in metres from the ellipsoid's middle, (3, *shape of x)."""
        return self._on_ellipsoid(*self.geodetic(x, y))[0]

    def _on_ellipsoid(self, longitude: Floats, latitude: Floats) -> tuple[Floats, Floats]:
        """Return places on the ellipsoid, metres from its middle, and the verticals there."""
        cosine = np.cos(latitude)
        vertical = np.stack(
            [cosine * np.cos(longitude), cosine * np.sin(longitude), np.sin(latitude)]
        )
        root = self._semi_major / np.sqrt(1 - self._eccentricity2 * vertical[2] ** 2)
        flattened = np.array([1, 1, 1 - self._eccentricity2]).reshape(3, *[1] * cosine.ndim)
        return root * flattened * vertical, vertical


class Degrees(Ellipsoid):
    """An ellipsoid whose coordinates are longitude and latitude, in degrees or grads."""

    is_angular = True

    def __init__(self, crs: "ProjCRS") -> None:
        super().__init__(crs, float(crs.axis_info[0].unit_conversion_factor))

    def measure(self, x: Floats, y: Floats, width: float, height: float) -> Pixels:
        """Measure pixels: arcs of the parallel and the meridian through their centres.

        A centre on the pole, or beyond it, counts as a quarter pixel before it, as wide as such a
        pixel is in the mean.

        Args:
            x: longitudes of the centres, in the CRS's unit.
            y: latitudes, same shape.
            width: of a pixel, in the CRS's unit.
            height: the same.
        """
        last = np.pi / 2 - self._radians * height / 4
        latitude = np.clip(y * self._radians, -last, last)
        parallel, meridian = self.radii(latitude)
        nothing = np.zeros(x.shape)
        return Pixels(
            width=parallel * self._radians * width,
            height=meridian * self._radians * height,
            cosine=nothing,
            east=nothing,
            north=np.cos(latitude),
        )

    def geodetic(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Return the coordinates in radians, none beyond a pole."""
        return x * self._radians, np.clip(y * self._radians, -np.pi / 2, np.pi / 2)

    def on_map(self, longitude: Floats, latitude: Floats) -> tuple[Floats, Floats]:
        """Return the coordinates in their unit."""
        return longitude / self._radians, latitude / self._radians


class Projection(Ellipsoid):
    """An ellipsoid on a map."""

    def __init__(self, crs: "ProjCRS", base: "ProjCRS") -> None:
        from pyproj import Transformer

        self.is_angular = bool(crs.is_geographic)  # with poles of its own
        super().__init__(base, float(crs.axis_info[0].unit_conversion_factor))
        self._inverse = Transformer.from_crs(crs, base, always_xy=True)
        # pyproj puts longitude first where it counts east, not where it counts west (planets).
        self._latitude_first = [axis.direction for axis in base.axis_info[:2]] == ["north", "west"]

    def measure(self, x: Floats, y: Floats, width: float, height: float) -> Pixels:
        """Measure pixels: the way in space between the middles of their sides.

        That falls short of the geodesic by (d / R)^2 / 24: 1e-5 where a pixel is 100 km wide. In
        space nothing happens at the poles and at the antimeridian.

        Args:
            x: of the centres, in the CRS's unit.
            y: the same, same shape.
            width: of a pixel, in the CRS's unit.
            height: the same.

        Returns:
            Pixels of the shape of x; NaN where the projection ends.
        """
        shortest = _SHORTEST / self.metres
        step_x, step_y = max(width, shortest), max(height, shortest)
        right, _ = self._step(x, y, step_x, 0.0)
        up, normal = self._step(x, y, 0.0, step_y)
        least = _LEAST_SCALE * self.metres
        along_x, along_y = (
            np.maximum(np.linalg.norm(way, axis=0), least * step)
            for way, step in ((right, step_x), (up, step_y))
        )
        up = up / along_y
        return Pixels(
            width=along_x * width / step_x,
            height=along_y * height / step_y,
            cosine=(right * up).sum(axis=0) / along_x,
            east=normal[0] * up[1] - normal[1] * up[0],
            north=up[2],
        )

    def _step(self, x: Floats, y: Floats, dx: float, dy: float) -> tuple[Floats, Floats]:
        """Return steps on the map in space, metres, and the verticals halfway, (3, *shape)."""
        ways = np.array([-0.5, 0.5]).reshape(2, *[1] * x.ndim)
        points, normals = self._on_ellipsoid(*self.geodetic(x + ways * dx, y + ways * dy))
        return points[:, 1] - points[:, 0], normals.mean(axis=1)

    def geodetic(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Return longitudes and latitudes in radians; NaN where the projection ends."""
        longitude, latitude = (
            np.where(np.isfinite(angle), angle, np.nan) * self._radians
            for angle in self._inverse.transform(x, y)
        )
        return (-latitude, longitude) if self._latitude_first else (longitude, latitude)

    def on_map(self, longitude: Floats, latitude: Floats) -> tuple[Floats, Floats]:
        """Return x and y of longitudes and latitudes in radians; infinite for none."""
        if self._latitude_first:
            longitude, latitude = latitude, -longitude
        angles = longitude / self._radians, latitude / self._radians
        x, y = self._inverse.transform(*angles, direction="INVERSE")
        return np.asarray(x), np.asarray(y)


def as_pyproj(crs: object) -> "ProjCRS":
    """Return pyproj's form of a CRS; rasterio's through WKT 2: WKT 1 loses some of its methods."""
    from pyproj import CRS as ProjCRS

    text = crs.to_wkt(version="WKT2_2019") if isinstance(crs, CRS) else crs
    return ProjCRS.from_user_input(text)


@lru_cache(maxsize=64)
def horizontal(crs: CRS | None) -> CRS | None:
    """Return the horizontal part of a CRS with heights: pixels lie in it, whatever they hold."""
    if crs is None or not any(mark in crs.to_wkt() for mark in _WITH_HEIGHTS):
        return crs
    parsed: Any = as_pyproj(crs)
    return CRS.from_user_input(parsed.sub_crs_list[0] if parsed.is_compound else parsed.to_2d())


@lru_cache(maxsize=64)
def surface_of(crs: object | None) -> Plane:
    """Return what measures the pixels of a CRS, in any form that pyproj takes.

    Raises:
        GridError: the CRS is geocentric.
    """
    if crs is None:
        return Plane(1.0)
    from pyproj.exceptions import ProjError

    parsed: Any = as_pyproj(crs)
    while parsed.is_compound or parsed.is_bound:
        parsed = parsed.sub_crs_list[0] if parsed.is_compound else parsed.source_crs
    if parsed.is_geocentric:
        raise GridError(
            f"The CRS {parsed.name} is geocentric, which no raster can be laid out in: assign the "
            "one that its coordinates are in."
        )
    if parsed.is_geographic and not parsed.is_derived:
        return Degrees(parsed)
    base = parsed.source_crs if parsed.is_geographic else parsed.geodetic_crs
    if base is None or base.get_geod() is None:
        axes = parsed.axis_info
        return Plane(float(axes[0].unit_conversion_factor) if axes else 1.0)
    try:
        return Projection(parsed, base)
    except ProjError:  # a method that PROJ does not know
        return Plane(float(parsed.axis_info[0].unit_conversion_factor))


def ellipsoid_of(crs: CRS | None) -> Ellipsoid:
    """Return the same, of a CRS that has a place on Earth.

    Raises:
        GridError: it has none.
    """
    surface = surface_of(crs)
    if not isinstance(surface, Ellipsoid):
        raise GridError("The CRS has no ellipsoid: assign another one.")
    return surface
