"""Samples of coarser pixels: each the mean of those it covers."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from ..contract.errors import InputError
from ..raster.kinds import is_direction
from .sample_set import UNKNOWN, Sample, SampleSet

Pixels = tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.uint16]]


def average(pixels: Pixels, shape: tuple[int, int], bands: Sequence[str]) -> Pixels:
    """Return fewer pixels for the same ground.

    A pixel is the mean of the valid ones that it covers, weighted by area, and valid where these
    are half of it; of bands of directions it is the one in its middle. Its label is known where
    half of it is, and a landslide's where half of that is: the one that covers most of it.

    Args:
        pixels: values (bands, rows, columns), validity and labels (rows, columns); see
            `SampleSet.load`.
        shape: rows and columns wanted, at most those there are.
        bands: names of the bands.
    """
    values, valid, labels = pixels
    down, across = (_shares(*sides) for sides in zip(labels.shape, shape, strict=True))

    def covered(of: NDArray[np.generic]) -> NDArray[np.float64]:
        return np.asarray(down @ of.astype(float) @ across.T)

    valid_share = covered(valid)
    averaged = covered(values * valid) / np.where(valid_share > 0, valid_share, 1)
    rows, cols = (
        ((np.arange(wanted) + 0.5) * side / wanted).astype(int)
        for side, wanted in zip(labels.shape, shape, strict=True)
    )
    for number in (number for number, band in enumerate(bands) if is_direction(band)):
        averaged[number] = values[number][np.ix_(rows, cols)]
        valid_share = np.minimum(valid_share, valid[np.ix_(rows, cols)])
    kept = valid_share >= 0.5
    labelled = covered(labels != UNKNOWN)
    numbers = np.array([0, *np.setdiff1d(labels, [0, UNKNOWN])], np.uint16)
    shares = np.stack([covered(labels == number) for number in numbers])
    shares[0] = np.where(shares[1:].sum(0) >= labelled / 2, -1, 2)
    largest = numbers[shares.argmax(0)]
    largest = np.where(kept & (labelled >= 0.5), largest, UNKNOWN).astype(np.uint16)
    return (averaged * kept).astype(np.float32), kept, largest


def _shares(side: int, wanted: int) -> NDArray[np.float64]:
    """Return how much of each new pixel is each old one, (wanted, side); rows add up to 1."""
    edges = np.linspace(0, side, wanted + 1)[:, np.newaxis]
    old = np.arange(side)
    overlap = np.minimum(edges[1:], old + 1) - np.maximum(edges[:-1], old)
    return np.asarray(overlap.clip(0) * wanted / side)


@dataclass(frozen=True, kw_only=True)
class Averaged(SampleSet):
    """A sample set of coarser pixels, averaged when they are read.

    Attributes:
        finer: the set as it lies on the disk, whose statistics are kept.
    """

    finer: SampleSet = field(repr=False)

    def load(self, sample: Sample, bands: Sequence[str] | None = None) -> Pixels:
        """Read one patch; see `SampleSet.load`."""
        pixels = self.finer.load(sample, bands)
        rows, cols = sample.window[3], sample.window[2]
        return average(pixels, (rows, cols), self.bands if bands is None else bands)


def at_resolution(samples: SampleSet, resolution: float) -> SampleSet:
    """Return samples averaged to pixels of a width; as they are where they have it.

    Args:
        samples: the set.
        resolution: metres; 0 for the samples' own.

    Raises:
        InputError: their pixels are coarser, or nobody knows how wide.
    """
    if not resolution or resolution == samples.resolution:
        return samples
    if samples.resolution is None:
        raise InputError(
            f"{samples.folder} does not say how wide its pixels are, so that they can't be "
            "averaged: import it with its resolution, or leave RESOLUTION at 0."
        )
    factor = resolution / samples.resolution
    if factor < 1:
        raise InputError(
            f"The pixels of {samples.folder} are {samples.resolution:g} m wide and can't be made "
            f"{resolution:g} m: choose a resolution that is coarser, or 0."
        )
    coarser = [_coarser(sample, factor) for sample in samples.samples]
    kept = {item.name: getattr(samples, item.name) for item in fields(SampleSet)}
    tile_size = max(round(samples.tile_size / factor), 1)
    changed = {"samples": coarser, "resolution": resolution, "tile_size": tile_size}
    return Averaged(**{**kept, **changed}, finer=samples)


def _coarser(sample: Sample, factor: float) -> Sample:
    """Return a sample whose window is counted in larger pixels."""
    col, row, width, height = (round(value / factor) for value in sample.window)
    return replace(sample, window=(col, row, max(width, 1), max(height, 1)))
