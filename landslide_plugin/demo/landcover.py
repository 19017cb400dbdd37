"""The synthetic image: what covers the land, how it reflects, how the sun lights it.

Covers are laid over each other from the ground up. Bare fields, worn pastures, clear-cuts, roads,
gravel bars, quarries and rock have the colours of landslides: what tells them apart is slope and
shape. Old scars under bracken have their shape and visible colours: infrared tells them apart.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from ..core.progress import Progress
from .landslides import Slides
from .noise import Field, fractal, ramp
from .terrain import CELL, Floats, distance_to

BANDS = ("blue", "green", "red", "rededge1", "nir", "swir1", "swir2")
"""Names of the image's bands."""

_SUN_AZIMUTH, _SUN_HEIGHT = 150.0, 48.0  # degrees

_SPECTRA = {
    "meadow": (0.035, 0.075, 0.050, 0.140, 0.340, 0.200, 0.110),
    "dry grass": (0.060, 0.095, 0.105, 0.165, 0.260, 0.280, 0.190),
    "broadleaf": (0.022, 0.048, 0.030, 0.105, 0.330, 0.150, 0.070),
    "conifer": (0.018, 0.032, 0.022, 0.065, 0.200, 0.085, 0.040),
    "crop": (0.030, 0.080, 0.040, 0.150, 0.420, 0.190, 0.090),
    "stubble": (0.080, 0.120, 0.160, 0.200, 0.270, 0.330, 0.250),
    "soil": (0.088, 0.120, 0.160, 0.190, 0.225, 0.290, 0.245),
    "bracken": (0.080, 0.112, 0.148, 0.215, 0.310, 0.235, 0.160),
    "gravel": (0.150, 0.175, 0.195, 0.205, 0.215, 0.235, 0.205),
    "asphalt": (0.110, 0.120, 0.130, 0.140, 0.155, 0.180, 0.165),
    "roof": (0.120, 0.125, 0.170, 0.190, 0.220, 0.250, 0.230),
    "water": (0.050, 0.058, 0.042, 0.033, 0.022, 0.012, 0.008),
}
"""Reflectance of each cover in `BANDS`."""

_ROCK_SPECTRA = np.array(
    [
        (0.118, 0.134, 0.150, 0.160, 0.175, 0.200, 0.180),
        (0.110, 0.142, 0.185, 0.210, 0.245, 0.300, 0.255),
        (0.092, 0.115, 0.140, 0.158, 0.180, 0.235, 0.200),
    ],
    np.float32,
)
"""Reflectance of bare granite, sandstone and mudstone."""


@dataclass(kw_only=True)
class Land:
    """What the covers depend on, (n, n) each.

    Attributes:
        elevation: metres.
        plain: 1 on the valley's plain, 0 on the slopes.
        river: metres to the middle of the main river.
        drained: km2.
        lithology: an index of `geology.LITHOLOGIES`.
    """

    elevation: Floats
    plain: Field
    river: Field
    drained: Floats
    lithology: NDArray[np.integer]


class _Scene:
    """An image in the making: reflectance, (bands, n, n), covers laid over each other."""

    def __init__(self, land: Land, rng: np.random.Generator) -> None:
        self.land = land
        self.rng = rng
        self.n = len(land.elevation)
        south, east = np.gradient(gaussian_filter(land.elevation, 0.7), CELL)
        self.slope = np.degrees(np.arctan(np.hypot(south, east))).astype(np.float32)
        self.light = _light(south, east)
        self.texture = fractal((self.n, self.n), rng, 8, 1.6)
        self.patches = fractal((self.n, self.n), rng, 60, 2.4)
        self.values = np.zeros((len(BANDS), self.n, self.n), np.float32)

    def noise(self, wavelength: float, slope: float = 2.5) -> Field:
        """Return a fresh random field."""
        return fractal((self.n, self.n), self.rng, wavelength, slope)

    def lay(
        self, weight: NDArray[np.floating], spectrum: NDArray[Any] | str, rough: float = 0.08
    ) -> None:
        """Lay a cover over what is there.

        Args:
            weight: its share of each pixel, (n, n).
            spectrum: a name of `_SPECTRA`, or reflectances that broadcast to (bands, n, n).
            rough: relative variation of its brightness.
        """
        colours = np.asarray(_SPECTRA[spectrum] if isinstance(spectrum, str) else spectrum)
        if colours.ndim == 1:
            colours = colours[:, np.newaxis, np.newaxis]
        bright = (1 + rough * self.texture).astype(np.float32)
        for band, value in zip(self.values, colours.astype(np.float32), strict=True):
            band += weight * (value * bright - band)


def draw_image(
    land: Land, slides: Slides, rng: np.random.Generator, progress: Progress
) -> NDArray[np.uint16]:
    """Return reflectance times 10000 in `BANDS`, uint16, (7, n, n)."""
    scene = _Scene(land, rng)
    steps = (_vegetation, _rock, _worn, _fields, _clearings, _villages, _roads, _gravel)
    for step in progress.track(steps, len(steps) + 3):
        step(scene)
    _landslides(scene, slides)
    _water(scene)
    return _sensed(scene)


def _vegetation(scene: _Scene) -> None:
    """Meadows, dry on sunny heights; forest with glades, conifers above and on shady sides."""
    land = scene.land
    scene.lay(np.ones_like(scene.texture), "meadow")
    height = land.elevation - 210
    dryness = height / 900 + 0.9 * (scene.light - 1) + 0.35 * scene.patches
    scene.lay(0.85 * ramp(dryness, 0.1, 1.4), "dry grass")
    glades = scene.noise(45, 2.6)
    density = 0.9 + 1.0 * glades + 0.02 * (scene.slope - 18) - ramp(height, 780, 1000) * 1.6
    forest = ramp(density, 0.0, 0.7) * (1 - land.plain)
    scene.lay(0.95 * forest, "broadleaf", 0.10)
    shady = height / 450 - 1.6 * (scene.light - 1) + 0.5 * scene.noise(70)
    scene.lay(0.9 * forest * ramp(shady, 0.7, 1.7), "conifer", 0.14)


def _rock(scene: _Scene) -> None:
    """Cliffs on the steepest slopes, and bare heights."""
    height = scene.land.elevation - 210
    steep = gaussian_filter(scene.slope, 1.2)
    bareness = (steep - 44) / 7 + 0.7 * scene.noise(40, 3.2) + 0.8 * ramp(height, 750, 1100)
    rock = 0.85 * ramp(bareness, 1.0, 1.8) * (1 - scene.land.plain)
    scene.lay(rock, np.moveaxis(_ROCK_SPECTRA[scene.land.lithology], -1, 0), 0.12)


def _fields(scene: _Scene) -> None:
    """Rectangular plots on flat land, a good third of them bare."""
    flat = gaussian_filter(scene.slope, 4)
    farmed = scene.land.plain + ramp(flat, 12, 7) * ramp(scene.noise(90, 4.2), 0.1, 0.5)
    farmed = np.where((farmed > 0.5) & (scene.land.river > 90), 0.97, 0)
    plot, edge = _plots(scene)
    kind = scene.rng.choice(5, 1 << 14, p=(0.20, 0.28, 0.18, 0.20, 0.14))[plot]
    tone = scene.rng.normal(1, 0.16, 1 << 14).astype(np.float32)[plot]
    soils = np.array(_SPECTRA["soil"], np.float32)
    covers = [np.array(_SPECTRA[name], np.float32) for name in ("crop", "stubble", "meadow")]
    bare = _ROCK_SPECTRA[1] * 0.55 + soils * 0.45
    spectra = np.array([soils, *covers, bare])[kind]
    scene.lay(farmed, np.moveaxis(spectra, -1, 0) * tone, 0.05)
    scene.lay(0.5 * farmed * edge, "broadleaf")


def _plots(scene: _Scene) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the number of each pixel's plot, 0..2^14 - 1, and whether it lies on an edge."""
    rows, columns = np.mgrid[: scene.n, : scene.n].astype(np.float32)
    bent = 4 * scene.noise(200, 4)
    turn = np.where(scene.noise(160, 4) > 0, 0.25, 1.15)  # the strips of two communes
    across = np.cos(turn) * rows - np.sin(turn) * columns + bent
    along = np.sin(turn) * rows + np.cos(turn) * columns + bent
    strip = np.floor(across / 13).astype(np.int64)
    length = scene.rng.uniform(9, 30, 997)[strip % 997]
    along += scene.rng.uniform(0, 30, 997)[strip % 997]
    piece = np.floor(along / length).astype(np.int64)
    plot = (strip * 7919 + piece * 104729 + (turn > 1) * 31) % (1 << 14)
    edge = (plot != np.roll(plot, 1, 0)) | (plot != np.roll(plot, 1, 1))
    return plot, edge


def _clearings(scene: _Scene) -> None:
    """Clear-cuts in the forest, some fresh and bare, with straight sides; and a few quarries."""
    rng, n = scene.rng, scene.n
    rows, columns = np.mgrid[:n, :n].astype(np.float32)
    wobble = 0.8 * scene.texture
    slopes = np.flatnonzero((scene.slope > 8) & (scene.slope < 32) & (scene.land.plain == 0))
    for number in range(round(34 * (n / 1024) ** 2)):
        row, column = divmod(int(rng.choice(slopes)), n)
        half = rng.uniform(4, 12, 2)
        reach = int(half.sum()) + 3
        box = slice(max(row - reach, 0), row + reach), slice(max(column - reach, 0), column + reach)
        turn = rng.uniform(0, np.pi)
        down, right = rows[box] - row, columns[box] - column
        u = np.abs(np.cos(turn) * down + np.sin(turn) * right)
        v = np.abs(np.cos(turn) * right - np.sin(turn) * down)
        quarry = number % 12 == 0
        edge = np.hypot(u, v) - half[0] if quarry else np.maximum(u - half[0], v - half[1])
        weight = np.zeros((n, n), np.float32)
        weight[box] = ramp(edge + wobble[box] * (2 if quarry else 0.5), 0.5, -0.5)
        rock = _ROCK_SPECTRA[scene.land.lithology[row, column]]
        soil = np.array(_SPECTRA["soil"]) * 0.5 + rock * 0.5
        fresh = rng.uniform(0.15, 0.95)
        grown = np.array(_SPECTRA["dry grass"])
        scene.lay(0.95 * weight, rock * 1.25 if quarry else fresh * soil + (1 - fresh) * grown)


def _villages(scene: _Scene) -> None:
    """Loose clusters of roofs on the plain and beside it."""
    land = scene.land
    good = np.flatnonzero((scene.slope < 8) & (land.river > 150) & (land.river < 900))
    centres = scene.rng.choice(good, max(2, round(9 * (scene.n / 1024) ** 2)))
    rows, columns = np.divmod(centres, scene.n)
    near = np.exp(-distance_to(np.column_stack([columns, rows]), scene.n) / 140)
    houses = scene.rng.random((scene.n, scene.n)) < 0.8 * near * (scene.slope < 14)
    tone = scene.rng.uniform(0.7, 1.5, (scene.n, scene.n)).astype(np.float32)
    roofs = np.array(_SPECTRA["roof"])[:, np.newaxis, np.newaxis] * tone
    scene.lay(0.7 * houses, roofs)


def _roads(scene: _Scene) -> None:
    """A road along the valley, roads up the side valleys, forest roads along the contours."""
    land = scene.land
    weight = 0.6 * ramp(np.abs(land.river - 330 - 25 * scene.noise(250, 4)), 11, 4) * land.plain
    side = CELL * distance_transform_edt(land.drained < 2.5)
    above = np.roll(side, (2, 3), (0, 1)) < side  # on one side of the water only
    weight = np.maximum(weight, 0.45 * ramp(np.abs(side - 45), 9, 3) * above * (1 - land.plain))
    smooth = gaussian_filter(land.elevation, 5)
    contours = contour_generator(z=smooth)
    for level in np.quantile(smooth, (0.3, 0.45, 0.6, 0.75)):
        lines = [np.asarray(line) for line in contours.lines(level)]
        for line in sorted(lines, key=len)[-2:]:
            begin = int(scene.rng.integers(0, max(1, len(line) // 2)))
            piece = line[begin : begin + 700]
            points = np.concatenate([piece[:-1], 0.5 * (piece[:-1] + piece[1:])])
            weight = np.maximum(weight, 0.5 * (distance_to(points, scene.n) < CELL))
    scene.lay(weight, 0.5 * np.array(_SPECTRA["asphalt"]) + 0.5 * np.array(_SPECTRA["soil"]))


def _gravel(scene: _Scene) -> None:
    """Bars of gravel along the rivers."""
    land = scene.land
    bars = ramp(land.river + 45 * scene.noise(30, 3.6), 70, 40)
    beds = ramp(np.log10(land.drained) + 0.25 * scene.patches, 0.6, 1.0)
    scene.lay(np.maximum(0.9 * bars, 0.55 * beds), "gravel", 0.12)


def _worn(scene: _Scene) -> None:
    """Bare patches of worn pasture on gentle ground."""
    patches = ramp(scene.noise(30, 3.2) + 0.25 * scene.texture, 1.5, 1.9)
    gentle = ramp(gaussian_filter(scene.slope, 1.5), 17, 11) * (1 - scene.land.plain)
    scene.lay(0.92 * patches * gentle, _debris(scene), 0.13)


def _debris(scene: _Scene) -> Field:
    """Return reflectances of loose ground of the rock beneath, (bands, n, n)."""
    soil = np.array(_SPECTRA["soil"], np.float32)
    return np.moveaxis(0.55 * _ROCK_SPECTRA + 0.45 * soil, 0, 1)[:, scene.land.lithology]


def _landslides(scene: _Scene, slides: Slides) -> None:
    """Bare debris of the rock beneath, brighter at the scarp; older ones partly overgrown."""
    scene.lay(0.9 * slides.scars, "bracken", 0.15)
    bright = 1.12 - 0.25 * slides.along + 0.10 * scene.patches
    rafts = ramp(scene.noise(7, 2.0), 0.9, 1.6)  # trees that came down with it
    overgrown = np.clip(slides.age * (1 + 0.5 * scene.noise(10, 2.0)), 0, 0.85)
    weight = slides.cover * (0.97 - 0.6 * rafts * slides.along) * (1 - overgrown)
    scene.lay(weight, _debris(scene) * bright, 0.13)


def _water(scene: _Scene) -> None:
    """The main river, and streams wide enough to be seen."""
    land = scene.land
    river = ramp(land.river + 6 * scene.noise(40), 26, 16)
    streams = 0.75 * ramp(np.log10(land.drained), 0.95, 1.3) * (1 - land.plain)
    scene.lay(np.maximum(river, streams), "water")


def _light(south: Floats, east: Floats) -> Field:
    """Return the brightness of sunlit ground, 1 where it is flat."""
    azimuth, height = np.radians((_SUN_AZIMUTH, _SUN_HEIGHT))
    # The sun's direction towards east, south and up against the ground's normal.
    towards = np.sin(azimuth) * np.cos(height), -np.cos(azimuth) * np.cos(height), np.sin(height)
    facing = -east * towards[0] - south * towards[1] + towards[2]
    direct = np.maximum(facing / np.sqrt(1 + east**2 + south**2), 0) / towards[2]
    light: Field = (0.25 + 0.75 * direct).astype(np.float32)
    return light


def _sensed(scene: _Scene) -> NDArray[np.uint16]:
    """Light the scene, look at it through haze and optics, and count photons."""
    haze = np.array((0.016, 0.010, 0.006, 0.004, 0.002, 0.001, 0.001), np.float32)
    image = np.empty(scene.values.shape, np.uint16)
    for index, band in enumerate(scene.values):
        seen = gaussian_filter(band * scene.light, 0.55) + haze[index]
        grain = scene.rng.standard_normal(seen.shape, dtype=np.float32)
        image[index] = np.clip(seen + grain * (0.002 + 0.012 * seen), 1e-4, 1.5) * 1e4
    return image
