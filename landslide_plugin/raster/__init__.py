"""Rasters: the grid, reading with validity and halo, alignment, whole-or-nothing writing."""

from .grid import Grid
from .source import Source
from .writer import RasterWriter

__all__ = ["Grid", "RasterWriter", "Source"]
