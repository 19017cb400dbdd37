"""A file that is one of many of an image: what has to be alike, and what is said of all."""

import math
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from rasterio.crs import CRS
from rasterio.enums import MaskFlags
from rasterio.io import DatasetReader

from ..contract.errors import GridError, InputError
from ..core.addresses import as_gdal, is_address
from .bands import band_in_path, common_name, is_imagery
from .declared import band_numbers, scaling_of
from .grid import Grid, require_north_up
from .kinds import kinds_of
from .opening import IN_ARCHIVES
from .products import units_in_path
from .virtual import Tags, open_described, scene_tags

ALPHA = "alpha"
_ASIDE = 0.01
"""Fraction of a pixel that tiles may lie beside the grid, from rounded coordinates."""
_MOST_NAMED = 3


@dataclass(frozen=True)
class Tile:
    """What a file says of itself.

    Attributes:
        path: of the file, absolute or as GDAL takes it.
        grid: its grid.
        crs: its CRS, with heights where it tells of these.
        bands: names; of a band of opacity `ALPHA`.
        told: the band that the file's name tells where its only one has no name; else "".
        types: of the bands.
        units: of the bands but that of opacity, with scale and offset.
        reflectance: how the numbers of imagery become it, as names in the path say; empty if none.
        classes: of the bands, by whatever tells.
        nodata: value of each band, as text, NaN of decimal numbers that declare none; "" for none,
            None where a mask tells.
        block: width and height of its own blocks.
        tags: as `scene_tags` has them.
    """

    path: str
    grid: Grid
    crs: CRS
    bands: tuple[str, ...]
    told: str
    types: tuple[str, ...]
    units: tuple[str, ...]
    reflectance: tuple[str, ...]
    classes: Any
    nodata: tuple[str | None, ...]
    block: tuple[int, int]
    tags: Tags

    @classmethod
    def look(cls, path: str) -> "Tile":
        """Open a file and close it again.

        Raises:
            InputError: it is missing, damaged or no raster.
            GridError: it has no CRS, or is not north-up.
        """
        with closing(open_described(path, "file")) as dataset:
            if dataset.crs is None:
                raise GridError(f"The file {path} has no CRS: assign its projection first.")
            require_north_up(dataset.transform, f"The file {path}")
            numbers = band_numbers(dataset)
            names = {number: band for band, number in numbers.items()}
            scaling = scaling_of(dataset, numbers).values()
            nameless = dataset.count == 1 and not any(dataset.descriptions)
            told = band_in_path(path) if nameless else ""
            return cls(
                path=_absolute(path, dataset.name),
                grid=Grid.of(dataset),
                crs=dataset.crs,
                bands=tuple(names.get(number, ALPHA) for number in dataset.indexes),
                told=told,
                types=dataset.dtypes,
                units=tuple(f"{one.scale:g} {one.offset:g} {one.unit}".strip() for one in scaling),
                reflectance=_reflectance(path, dataset, [told] if told else list(numbers)),
                classes=_classes(dataset),
                nodata=tuple(_nodata(dataset, number) for number in dataset.indexes),
                block=dataset.block_shapes[0][::-1],
                tags=scene_tags(dataset),
            )

    def require_like(self, first: "Tile") -> None:
        """Refuse what can't be one image with another tile.

        Raises:
            InputError: it has other bands, or bands of another kind.
            GridError: its pixels are none of the same grid.
        """
        apart = [
            f"{kind} ({', '.join(mine)}, not {', '.join(others)})"
            for kind, mine, others in (
                ("bands", self.bands, first.bands),
                ("types of values", self.types, first.types),
                ("scale, offset or unit", self.units, first.units),
                ("reflectance", self.reflectance, first.reflectance),
            )
            if mine != others
        ]
        if apart or self.classes != first.classes:
            raise InputError(
                f"{self.path} has other {apart[0] if apart else 'classes'} than {first.path}: "
                "bring it to the same, or leave it out."
            )
        reason = self._off(first.grid)
        if reason:
            raise GridError(
                f"{self.path} {reason} of {first.path}: warp it to that grid (gdalwarp -tr -tap), "
                "or leave it out."
            )

    @property
    def is_transparent(self) -> bool:
        """Whether a band holds opacity."""
        return ALPHA in self.bands

    def offset(self, grid: Grid) -> tuple[int, int]:
        """Return column and row of its first pixel on a grid."""
        column, row = grid.pixel(*self.grid.point(0, 0))
        return round(column), round(row)

    def _off(self, grid: Grid) -> str:
        """Return how its pixels are not those of a grid; "" where they are."""
        mine, its = self.grid.transform, grid.transform
        sides = ((mine.a, its.a, self.grid.width), (mine.e, its.e, self.grid.height))
        if any(abs(one / other - 1) * count > _ASIDE for one, other, count in sides):
            size = f"{mine.a:.10g} x {-mine.e:.10g}, not the {its.a:.10g} x {-its.e:.10g}"
            return f"has pixels of {size}"
        column, row = grid.pixel(*self.grid.point(0, 0))
        aside = max(abs(column - round(column)), abs(row - round(row)))
        return f"lies {aside:.2g} pixels beside the grid" if aside > _ASIDE else ""


def require_one_crs(tiles: Sequence[Tile]) -> None:
    """Refuse tiles of several CRSs.

    Raises:
        GridError: they are; the message names these, each with a tile.
    """
    zones: list[tuple[CRS, list[Tile]]] = []
    for tile in tiles:
        alike = next((those for crs, those in zones if crs == tile.crs), None)
        if alike is None:
            zones.append((tile.crs, [tile]))
        else:
            alike.append(tile)
    if len(zones) > 1:
        told = [
            f"{those[0].grid.crs_name} of {PurePath(those[0].path).name}"
            + (f" and {len(those) - 1} more" if len(those) > 1 else "")
            for _, those in zones[:_MOST_NAMED]
        ]
        raise GridError(
            f"its files are of {len(zones)} CRSs ({'; '.join(told)}): make an image of each by "
            "ZONE of Many files as one image, or warp all to one (gdalwarp -t_srs)."
        )


def require_one_band(tiles: Sequence[Tile]) -> None:
    """Refuse files of the same ground whose names tell different bands: one would hide the others.

    Raises:
        InputError: there are such.
    """
    of_ground: dict[tuple[tuple[int, int], tuple[int, int]], Tile] = {}
    for tile in (one for one in tiles if one.told):
        first = of_ground.setdefault((tile.offset(tiles[0].grid), tile.grid.shape), tile)
        if tile.told != first.told:
            raise InputError(
                f"{tile.path} holds the band {tile.told} of the ground of which {first.path} holds "
                f"{first.told}, as their names say: give the bands as layers of Stack layers, or "
                "put them side by side (gdalbuildvrt -separate)."
            )


def require_one_side(tiles: Sequence[Tile]) -> None:
    """Refuse tiles to both sides of the 180th meridian, between which a grid goes around the Earth.

    Raises:
        GridError: they are.
    """
    if not tiles[0].grid.is_geographic:
        return
    turn = math.tau / tiles[0].crs.units_factor[1]
    lefts, rights = (np.array([tile.grid.bounds[side] for tile in tiles]) for side in (0, 2))
    west = rights <= 0
    beyond = np.where(west, turn, 0)
    if np.ptp([*lefts, *rights]) > 2 * np.ptp([*(lefts + beyond), *(rights + beyond)]):
        one, other = (PurePath(tiles[int(np.argmax(west == side))].path).name for side in (0, 1))
        raise GridError(
            f"its files lie to both sides of the 180th meridian, such as {one} and {other}: warp "
            "them to a CRS of that place, such as its UTM zone (gdalwarp -t_srs)."
        )


def _absolute(path: str, opened: str) -> str:
    """Return a path as any virtual raster may name it; of an archive the file that was opened.

    A name of GDAL that is no path, as of a raster in a GeoPackage, stays as it is.
    """
    if is_address(path):
        return as_gdal(path)
    if opened.startswith(IN_ARCHIVES):
        return opened
    return str(Path(path).absolute()) if Path(path).exists() else path


def _reflectance(path: str, dataset: DatasetReader, bands: Iterable[str]) -> tuple[str, ...]:
    units = None if "uint8" in dataset.dtypes else units_in_path(path)  # bytes are pictures
    imagery = any(is_imagery(common_name(band)) for band in bands)
    return (f"value x {units.scale:g} {units.offset:+g}",) if units and imagery else ()


def _classes(dataset: DatasetReader) -> Any:
    tags = [dataset.tags(number) for number in dataset.indexes]
    named = [{key: one[key] for key in one if key.startswith("class_")} for one in tags]
    return kinds_of(dataset), named


def _nodata(dataset: DatasetReader, number: int) -> str | None:
    flags = dataset.mask_flag_enums[number - 1]
    if MaskFlags.nodata in flags:
        return repr(dataset.nodatavals[number - 1])
    if flags != [MaskFlags.all_valid] and MaskFlags.alpha not in flags:
        return None
    return "nan" if dataset.dtypes[number - 1].startswith("float") else ""
