"""Random changes of training tiles that leave landslides what they are.

Flips, rotations, scale and crop as in Yang, S. et al. 2022 (Appl. Sci. 12:8153); flip with mean
filter, flip with gamma, mirror with noise as in Chen et al. 2022 (Remote Sens. 14:5517). Geometry
moves labels and every band alike; light and colour change in bands of imagery only. Directions that
bands hold keep their values, or turn along where that is asked for, see `raster.turning`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...contract.choices import Train
from ...raster.kinds import is_direction
from ...raster.turning import (
    Directions,
    can_turn_freely,
    directions_turned,
    turn,
    turn_bands,
    turn_directions,
    turnings,
)
from ...samples.averaging import average
from ...samples.sample_set import UNKNOWN
from . import photometry
from .cutting import Patch, Shape, any_corner, cut, random_corner, warp

FLIP, QUARTER_TURN, ROTATE, SCALE, CROP = "flip", "quarter_turn", "rotate", "scale", "crop"
MEAN_FILTER, GAMMA, NOISE = "mean_filter", "gamma", "noise"
VIEW = "view"
LIGHT = "light"
EDGE = "edge"
GAIN, BRIGHTNESS, CONTRAST, COLOUR = "gain", "brightness", "contrast", "colour"
TURN_DIRECTIONS = "turn_directions"
CHEN = (MEAN_FILTER, GAMMA, NOISE)
NAMES = tuple(name for name in Train.AUGMENTATION.words if name != "none")

LARGEST_ANGLE = 45.0
"""Degrees to either side; quarter turns add the rest of the circle."""
SMALLEST_CROP = 0.7
"""Share of the tile's side that a crop keeps at least; it is enlarged to the tile."""
EDGES = 0.25
"""Share of the tiles that an edge of the scene runs through: few windows of a scene do, but those
that show nothing else are never learnt from the others."""


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a training tile.

    Attributes:
        names: of `NAMES`. Each of Chen's three makes a copy of each patch with landslide;
            "turn_directions" has the geometry turn the directions in bands along; each of the
            others happens to every tile, by a random amount.
        largest_scale: a pixel may stand for so much more or less ground.
        views: least and largest share of an image's side that a view shows.
    """

    names: tuple[str, ...] = Train.AUGMENTATION.default
    largest_scale: float = Train.LARGEST_SCALE.default
    views: tuple[float, ...] = Train.VIEW_SCALES.default

    @classmethod
    def parse(cls, names: Sequence[str]) -> "Augmentation":
        """Return the augmentation of these names; "none" or no name for none."""
        return cls(tuple(name for name in NAMES if name in names))

    @property
    def copies(self) -> tuple[str, ...]:
        """Names of what an epoch has a further tile by of each patch with landslide.

        Of these alone, so that landslide and background get nearer in number (Chen et al. 2022).
        """
        return tuple(name for name in CHEN if name in self.names)

    def directions(self, bands: Sequence[str]) -> Directions:
        """Return the bands whose values turn with a patch."""
        return directions_turned(bands, TURN_DIRECTIONS in self.names)

    def cut(
        self, patch: Patch, shape: Shape, bands: Sequence[str], rng: np.random.Generator
    ) -> Patch:
        """Cut a tile at random from a patch, on a landslide if there is one, and turn it.

        A view has its centre anywhere in the patch, whatever is there, and fills the tile.

        Args:
            patch: with unscaled values.
            shape: rows and columns of the tile, or of a piece of one.
            bands: names of the patch's bands.
            rng: what chance is drawn from.
        """
        directions = self.directions(bands)
        quarters, mirrored = self._turning(directions, rng)
        angle = self._angle(directions, rng)
        step = self._step(patch, shape, rng)
        patch, step = _averaged(patch, step, bands)
        size = (shape[1], shape[0]) if quarters % 2 else shape
        extent = (round(size[0] * step), round(size[1] * step))
        corner = any_corner if VIEW in self.names else random_corner
        row, col = corner(patch, extent, rng)
        if angle or step != 1:
            centre = row + (extent[0] - 1) / 2, col + (extent[1] - 1) / 2
            unblended = [number for number, band in enumerate(bands) if is_direction(band)]
            tile = warp(patch, centre, size, angle, step, unblended)
            turn_directions(tile.values, directions, angle)
            tile.values[:, ~tile.valid] = 0
        else:
            tile = cut(patch, row, col, size)
        return turned(tile, directions, quarters, mirrored)

    def turn(self, patch: Patch, bands: Sequence[str], rng: np.random.Generator) -> Patch:
        """Turn a whole patch by quarters, and mirror it, as `cut` does."""
        directions = self.directions(bands)
        return turned(patch, directions, *self._turning(directions, rng))

    def recolour(
        self,
        tile: Patch,
        bands: Sequence[str],
        mean: Sequence[float],
        std: Sequence[float],
        rng: np.random.Generator,
    ) -> Patch:
        """Change the light and colour of a tile.

        Args:
            tile: with unscaled values; it is left alone.
            bands: names of its bands.
            mean: of a band over the train set.
            std: standard deviation a band over the train set.
            rng: what chance is drawn from.
        """
        numbers = photometry.imagery(bands)
        if not numbers or not {LIGHT, GAIN, BRIGHTNESS, CONTRAST, COLOUR} & set(self.names):
            return tile
        deviations = _of(std, numbers)
        light = tile.values[numbers]
        if LIGHT in self.names:
            waves = photometry.wavelengths(bands)
            light = photometry.light(light, waves, _of(mean, numbers), deviations, rng)
        if GAIN in self.names:
            light = photometry.gain(light, rng)
        if BRIGHTNESS in self.names:
            light = photometry.brightness(light, deviations, rng)
        if CONTRAST in self.names:
            light = photometry.contrast(light, tile.valid, rng)
        if COLOUR in self.names:
            light = photometry.colour(light, rng)
        return _with(tile, numbers, light)

    def hide(self, tile: Patch, rng: np.random.Generator) -> Patch:
        """Let some tiles end at an edge, as of a scene or of a hole in it.

        What is beyond a straight line is nodata, at most half of the tile; its direction is any, as
        that of a satellite's track on a map is.
        """
        if EDGE not in self.names or rng.random() >= EDGES:
            return tile
        down, right = np.indices(tile.shape) - (np.array(tile.shape) - 1).reshape(2, 1, 1) / 2
        angle = rng.uniform(0, 2 * math.pi)
        along = math.cos(angle) * down + math.sin(angle) * right
        shown = along < np.quantile(along, rng.uniform(0.5, 1))
        return Patch(tile.values * shown, tile.valid & shown, np.where(shown, tile.labels, UNKNOWN))

    def copy(
        self,
        tile: Patch,
        name: str,
        bands: Sequence[str],
        std: Sequence[float],
        rng: np.random.Generator,
    ) -> Patch:
        """Return a tile flipped with mean filter, flipped with gamma, or mirrored with noise.

        Args:
            tile: as of `recolour`.
            name: one of `copies`.
            bands: names of its bands.
            std: standard deviation a band over the train set.
            rng: what chance is drawn from.
        """
        numbers = photometry.imagery(bands)
        # upside down is mirrored and half a turn
        tile = turned(tile, self.directions(bands), 0 if name == NOISE else 2, True)
        light = tile.values[numbers]
        if name == MEAN_FILTER:
            light = photometry.mean_filter(light, tile.valid)
        elif name == GAMMA:
            light = photometry.gamma(light, tile.valid, rng)
        else:
            light = photometry.noise(light, _of(std, numbers), rng)
        return _with(tile, numbers, light)

    def _turning(self, directions: Directions, rng: np.random.Generator) -> tuple[int, bool]:
        choices = [
            (quarters, mirrored)
            for quarters, mirrored in turnings(directions)
            if (FLIP in self.names or not mirrored)
            and (
                QUARTER_TURN in self.names
                or quarters == 0
                or (FLIP in self.names and quarters == 2)
            )
        ]
        return choices[rng.integers(len(choices))]

    def _angle(self, directions: Directions, rng: np.random.Generator) -> float:
        if ROTATE not in self.names or not can_turn_freely(directions):
            return 0.0
        return float(rng.uniform(-LARGEST_ANGLE, LARGEST_ANGLE))

    def _step(self, patch: Patch, shape: Shape, rng: np.random.Generator) -> float:
        """Return how many pixels of the patch one pixel of the tile stands for."""
        step = 1.0
        if VIEW in self.names:
            side_share = rng.uniform(min(self.views), max(self.views))
            step = side_share * (math.prod(patch.shape) / math.prod(shape)) ** 0.5
        if SCALE in self.names:
            step *= self.largest_scale ** rng.uniform(-1, 1)
        if CROP in self.names:
            step *= rng.uniform(SMALLEST_CROP, 1)
        return step


def _averaged(patch: Patch, step: float, bands: Sequence[str]) -> tuple[Patch, float]:
    """Return a patch of coarser pixels, of which a pixel of the tile stands for 1 to 2."""
    if step < 2:
        return patch, step
    rows, cols = (max(side // int(step), 1) for side in patch.shape)
    return Patch(*average(patch, (rows, cols), bands)), step * rows / patch.shape[0]


def turned(patch: Patch, directions: Directions, quarters: int, mirrored: bool) -> Patch:
    """Return a patch turned by `turn_bands`, with its labels."""
    if quarters % 4 == 0 and not mirrored:
        return patch
    return Patch(
        turn_bands(patch.values, directions, quarters, mirrored),
        turn(patch.valid, quarters, mirrored),
        turn(patch.labels, quarters, mirrored),
    )


def _of(statistic: Sequence[float], numbers: list[int]) -> photometry.Bands:
    return np.asarray(statistic, np.float32)[numbers][:, None, None]


def _with(tile: Patch, numbers: list[int], light: photometry.Bands) -> Patch:
    """Return the tile with these bands replaced; invalid pixels stay 0."""
    values = tile.values.copy()
    values[numbers] = light * tile.valid
    return Patch(values, tile.valid, tile.labels)
