"""What the pixels of a grid measure on the ground.

Coordinates are no metres: Web Mercator doubles lengths at 60 degrees, a degree of longitude shrinks
towards the poles, an equal-area projection shears what it stretches. So pixels are measured on the
CRS's own ellipsoid, on a lattice of places and, as scales are smooth, interpolated between them. A
projection whose scale lies within `TOLERANCE` of 1 all over a grid (UTM and national grids in their
zones) keeps its own metres, and its own north, so that slopes there are those of gdaldem.
"""

from dataclasses import replace
from functools import cached_property
from math import ceil

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from .surface import Floats, Indices, Pixels, surface_of

TOLERANCE = 0.002
"""A scale this near to 1 everywhere leaves a projection its own metres."""

_SAME = 1e-4
_SAME_BEARING = 1e-3  # radians
_SPACING = 50_000.0  # metres between the lattice's nodes: linear between them is off by 1e-5
_FEWEST_NODES, _MOST_NODES = 5, 129


class Ground:
    """The pixels of one grid on the ground.

    Args:
        crs: of the grid.
        transform: of the grid, north-up.
        shape: rows and columns.

    Raises:
        GridError: the CRS is geocentric.

    Attributes:
        is_local: whether the CRS has no place on Earth, or there is none: its units are taken.
        keeps_crs_metres: whether the CRS's own metres count; so they do where it is local.
    """

    def __init__(self, crs: CRS | None, transform: Affine, shape: tuple[int, int]) -> None:
        self._transform, self._shape, self._first = transform, shape, (0, 0)
        self._surface = surface_of(crs)
        self.is_local = not self._surface.is_placed or bool(np.isnan(self._nodes.width).all())
        self.keeps_crs_metres = self.is_local or self._is_true()

    def pixels(self, rows: Indices, columns: Indices | None = None) -> Pixels:
        """Measure pixels.

        Args:
            rows: indices, (n,); they may lie outside the grid.
            columns: indices, (m,); the grid's middle column when None.

        Returns:
            Arrays of shape (n,) without columns; else (n, m), or (n, 1) where the pixels of a row
            are the same to 1 in 10,000.
        """
        measured = (
            self._by_crs(len(rows)) if self.keeps_crs_metres else self._measured(rows, columns)
        )
        return measured if columns is not None else measured.each(lambda values: values[:, 0])

    def areas(self, rows: Indices, columns: Indices | None = None) -> Floats:
        """Return square metres on the ground, also where the CRS's own metres count for lengths.

        There a length is off by up to .2 %, but an area would be by .4 %.

        Args:
            rows: see `pixels`, as for `columns` and the shape of what is returned.
            columns: the same.
        """
        measured = self._by_crs(len(rows)) if self.is_local else self._measured(rows, columns)
        return measured.area if columns is not None else measured.area[:, 0]

    def pixels_at(self, rows: Indices, columns: Indices) -> Pixels:
        """Measure single pixels, (n,), of rows and columns (n,); see `pixels`."""
        if self.keeps_crs_metres:
            return self._by_crs(len(rows)).each(lambda values: values[:, 0])
        return self._single(np.add(rows, self._first[0]), np.add(columns, self._first[1]))

    def part(self, row: int, column: int, shape: tuple[int, int]) -> "Ground":
        """Return the ground of a window: each pixel has the metres that it has in the whole."""
        part = object.__new__(Ground)
        part.__dict__.update(self.__dict__)
        part._first, part._shape = (self._first[0] + row, self._first[1] + column), shape
        return part

    @cached_property
    def scale(self) -> tuple[float, float]:
        """Least and largest length on the ground of one metre of the CRS; 1 and 1 in degrees."""
        if self.is_local or self._surface.is_angular:
            return 1.0, 1.0
        return float(np.nanmin(self._scales)), float(np.nanmax(self._scales))

    @cached_property
    def variation(self) -> float:
        """Largest pixel width (or height) over the least one in the grid, less 1."""
        if self.keeps_crs_metres:
            return 0.0
        sizes = self._nodes.width, self._nodes.height
        return max(float(np.nanmax(size) / np.nanmin(size)) for size in sizes) - 1

    @cached_property
    def turn(self) -> float:
        """Largest angle between the way up the map and true north, degrees; 0 with own metres."""
        if self.keeps_crs_metres:
            return 0.0
        return float(np.degrees(np.nanmax(np.abs(self._nodes.bearing))))

    @property
    def _steps(self) -> tuple[float, float]:
        return abs(self._transform.a), abs(self._transform.e)

    @cached_property
    def _node_positions(self) -> tuple[Floats, Floats]:
        """Rows and columns of the lattice's nodes."""
        rows, columns = (
            np.unique(np.linspace(0, count - 1, _node_count(count * step * self._surface.metres)))
            for count, step in zip(self._shape, reversed(self._steps), strict=True)
        )
        return rows, columns

    @cached_property
    def _nodes(self) -> Pixels:
        """The pixels at the lattice's nodes, (rows, columns); NaN where the projection ends."""
        return self._at(*self._node_positions)

    @cached_property
    def _scales(self) -> Floats:
        """Length on the ground of the CRS's metre, along rows and columns, at the nodes."""
        width, height = (self._surface.metres * step for step in self._steps)
        return np.stack([self._nodes.width / width, self._nodes.height / height])

    def _is_true(self) -> bool:
        if self._surface.is_angular:
            return False
        off = max(np.nanmax(np.abs(self._scales - 1)), np.nanmax(np.abs(self._nodes.cosine)))
        return bool(off <= TOLERANCE)

    @cached_property
    def _varies_along_rows(self) -> bool:
        nodes = self._nodes
        differences = [
            nodes.width / nodes.width[:, :1] - 1,
            nodes.height / nodes.height[:, :1] - 1,
            nodes.cosine - nodes.cosine[:, :1],
            np.sin(nodes.bearing - nodes.bearing[:, :1]) * (_SAME / _SAME_BEARING),
        ]
        return bool(np.isnan(nodes.width).any() or np.abs(differences).max() > _SAME)

    def _measured(self, rows: Indices, columns: Indices | None) -> Pixels:
        down = np.asarray(rows, np.float64) + self._first[0]
        across = np.array([(self._shape[1] - 1) / 2]) if columns is None else columns
        if not self._varies_along_rows:
            return self._of_rows(down)
        return self._between_nodes(down, np.asarray(across, np.float64) + self._first[1])

    def _by_crs(self, rows: int) -> Pixels:
        one, nothing = np.ones((rows, 1)), np.zeros((rows, 1))
        width, height = (self._surface.metres * step * one for step in self._steps)
        return Pixels(width=width, height=height, cosine=nothing, east=nothing, north=one)

    def _of_rows(self, rows: Floats) -> Pixels:
        """Measure each row anew, in the middle; beyond the projection's end it is the last one."""
        pixels = self._at(rows, self._node_positions[1].mean(keepdims=True))
        if np.isnan(pixels.width).any():
            inside = np.clip(rows, self._node_positions[0][0], self._node_positions[0][-1])
            pixels = self._at(inside, self._node_positions[1].mean(keepdims=True))
        return _without_noise(pixels)

    def _between_nodes(self, rows: Floats, columns: Floats) -> Pixels:
        down, across = map(_weights, (rows, columns), self._node_positions)
        return _without_noise(self._filled.each(lambda field: down @ field @ across.T))

    @cached_property
    def _filled(self) -> Pixels:
        """The nodes, those where the projection ends being as the nearest others."""
        beyond = np.isnan(self._nodes.width)
        if not beyond.any():
            return self._nodes
        from scipy.ndimage import distance_transform_edt  # loading it takes a tenth of a second

        nearest = distance_transform_edt(beyond, return_distances=False, return_indices=True)
        return self._nodes.each(lambda field: field[tuple(nearest)])

    def _at(self, rows: Floats, columns: Floats) -> Pixels:
        return self._single(*np.meshgrid(rows, columns, indexing="ij"))

    def _single(self, rows: Floats, columns: Floats) -> Pixels:
        x = self._transform.c + (columns + 0.5) * self._transform.a
        y = self._transform.f + (rows + 0.5) * self._transform.e
        return self._surface.measure(x, y, *self._steps)


def _without_noise(pixels: Pixels) -> Pixels:
    """Return pixels with right angles, and north-up, where they nearly are: less to reckon with."""
    nothing = np.zeros((len(pixels.width), 1))
    if np.abs(pixels.cosine).max() < _SAME:
        pixels = replace(pixels, cosine=nothing)
    if np.abs(pixels.bearing).max() < _SAME_BEARING:
        pixels = replace(pixels, east=nothing)
    return pixels


def _node_count(metres: float) -> int:
    """Return how many nodes a side of a grid needs."""
    return min(max(ceil(metres / _SPACING) + 1, _FEWEST_NODES), _MOST_NODES)


def _weights(at: Floats, nodes: Floats) -> Floats:
    """Return what each of the nodes, evenly spaced, counts at some places, (places, nodes)."""
    if len(nodes) == 1:
        return np.ones((len(at), 1))
    inside = np.clip(at, nodes[0], nodes[-1])[:, np.newaxis]
    weights: Floats = np.maximum(1 - np.abs(inside - nodes) / (nodes[1] - nodes[0]), 0)
    return weights
