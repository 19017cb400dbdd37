"""What the factors of a stack have to do with its landslides, counted pixel by pixel.

The stack is streamed twice: first for a sample of bounded size, from which the natural breaks
come, then to count landslide pixels in each interval and to correlate the bands, over all pixels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import auc

from ...contract.errors import InputError
from ...core.progress import Progress
from ...raster.declared import unique_names
from ...raster.landslides import UNLABELLED, Landslides
from ...raster.stack import LayerStack
from .natural_breaks import natural_breaks

Floats = NDArray[np.float32]

SAMPLE = 20_000
"""Pixels drawn of landslide, and as many of background, at most."""

_SINGULAR = 1e-8
_CHUNK = 1 << 18
"""Pixels worked on at once, so that what is derived from a block stays small."""


@dataclass(frozen=True)
class Factor:
    """What may influence landslides: one band of a stack, or all 0/1 bands of one classification.

    Attributes:
        name: the band, or the classified layer, such as "lithology".
        bands: places of its bands in the stack.
        classes: names of the classes, one a band; empty for a band of values.
        of_levels: whether the values are numbers of levels, such as those of a distance.
    """

    name: str
    bands: tuple[int, ...]
    classes: tuple[str, ...] = ()
    of_levels: bool = False


@dataclass(frozen=True, eq=False)
class Sample:
    """Pixels drawn from all that are valid and known, landslide and background by themselves.

    Attributes:
        values: float32, (n, bands).
        landslide: bool, (n,).
        rows: row of each pixel in the grid, (n,).
        columns: its column.
        weights: how many pixels each one stands for, float64, (n,).
        background_pixels: all pixels of background.
        landslide_pixels: all pixels of landslide.
        lowest: the lowest value of each band over all pixels, float32, (bands,).
        highest: the highest.
    """

    values: Floats
    landslide: NDArray[np.bool_]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    weights: NDArray[np.float64]
    background_pixels: int
    landslide_pixels: int
    lowest: Floats
    highest: Floats

    def varies(self, factor: Factor) -> bool:
        """Whether a factor has more than one value or class."""
        bands = list(factor.bands)
        return bool((self.lowest[bands] < self.highest[bands]).any())


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Pixels whose value of a factor lies above `low` up to `high`, or that are of one class.

    Attributes:
        label: the class; empty for an interval of values.
        low: lower bound; of the first interval the lowest value, which belongs to it.
        high: upper bound.
        pixels: how many there are.
        landslide_pixels: how many of them are landslide.
        ratio: frequency ratio, landslide share here over landslide share of the whole (Lee and
            Pradhan 2007, Landslides 4:33); None without pixels.
    """

    label: str
    low: float | None
    high: float | None
    pixels: int
    landslide_pixels: int
    ratio: float | None

    @property
    def frequency(self) -> float | None:
        """The share of the pixels that is landslide; None without pixels."""
        return self.landslide_pixels / self.pixels if self.pixels else None


@dataclass(frozen=True)
class Survey:
    """What was counted over all pixels.

    Attributes:
        intervals: the intervals or classes of each factor, by its name.
        correlation: Pearson's correlation of the bands, (bands, bands); 0 for constant bands.
    """

    intervals: dict[str, list[Interval]]
    correlation: NDArray[np.float64]


def factors_of(stack: LayerStack) -> list[Factor]:
    """Return the factors of a stack in its bands' order, the bands of a classification as one."""
    members: dict[tuple[str, bool], list[int]] = {}
    for index, (band, class_of) in enumerate(zip(stack.bands, stack.class_of, strict=True)):
        key = (class_of[0], True) if class_of else (band, False)
        members.setdefault(key, []).append(index)
    names = unique_names([name for name, _ in members])  # values and classes may be called alike
    factors = []
    for name, indices in zip(names, members.values(), strict=True):
        classes = tuple(each[1] for i in indices if (each := stack.class_of[i]))
        source, band = stack.source_of(stack.bands[indices[0]])
        factors.append(Factor(name, tuple(indices), classes, source.is_ordinal(band)))
    return factors


def draw_sample(stack: LayerStack, landslides: Landslides, seed: int, progress: Progress) -> Sample:
    """Draw at most `SAMPLE` pixels of landslide and as many of background, each alike likely.

    Args:
        stack: the factors.
        landslides: on the stack's grid.
        seed: the same seed draws the same pixels.
        progress: told after each block.

    Raises:
        InputError: no pixel is valid in all bands, none of them is landslide, or all are.
    """
    random = np.random.default_rng(seed)
    draws = [_Draw(random, SAMPLE) for _ in range(2)]
    lowest = np.full(len(stack.bands), np.inf, np.float32)
    highest = -lowest
    for values, landslide, positions in _labelled_pixels(stack, landslides, progress):
        lowest = np.minimum(lowest, values.min(axis=1))
        highest = np.maximum(highest, values.max(axis=1))
        for draw, chosen in zip(draws, (~landslide, landslide), strict=True):
            draw.add(values[:, chosen], positions[:, chosen])
    _require_both(*(draw.seen for draw in draws))
    sizes = [len(draw.keys) for draw in draws]
    rows, columns = np.concatenate([draw.positions for draw in draws], axis=1)
    return Sample(
        values=np.concatenate([draw.values.T for draw in draws]),
        landslide=np.repeat([False, True], sizes),
        rows=rows,
        columns=columns,
        weights=np.repeat([draw.seen / len(draw.keys) for draw in draws], sizes),
        background_pixels=draws[0].seen,
        landslide_pixels=draws[1].seen,
        lowest=lowest,
        highest=highest,
    )


def survey(
    stack: LayerStack,
    landslides: Landslides,
    factors: Sequence[Factor],
    sample: Sample,
    classes: int,
    progress: Progress,
) -> Survey:
    """Count landslide pixels in each factor's intervals and correlate the bands, over all pixels.

    Args:
        stack: the factors.
        landslides: on the stack's grid.
        factors: of the stack.
        sample: drawn from the same.
        classes: natural-break intervals a factor of values gets, at most.
        progress: told after each block.
    """
    counts = {factor.name: _Counts(factor, sample, classes) for factor in factors}
    mean = np.average(sample.values, axis=0, weights=sample.weights)
    spread = np.where(sample.highest > sample.lowest, sample.highest - sample.lowest, 1.0)
    size, total, products = 0, np.zeros(len(mean)), np.zeros((len(mean), len(mean)))
    for values, landslide, _ in _labelled_pixels(stack, landslides, progress):
        for each in counts.values():
            each.add(values, landslide)
        # moved and scaled first, so that the products keep their digits
        scaled = (values - mean[:, np.newaxis]) / spread[:, np.newaxis]
        size += scaled.shape[1]
        total += scaled.sum(axis=1)
        products += scaled @ scaled.T
    covariance = products / size - np.outer(total, total) / size**2
    fraction = sample.landslide_pixels / (sample.landslide_pixels + sample.background_pixels)
    return Survey(
        {name: each.intervals(fraction) for name, each in counts.items()}, _correlation(covariance)
    )


def auc_of_intervals(intervals: Sequence[Interval]) -> float:
    """Return the area under the ROC curve of ranking pixels by their interval's frequency."""
    counts = np.array([(each.landslide_pixels, each.pixels) for each in intervals if each.pixels])
    ranked = counts[np.argsort(-counts[:, 0] / counts[:, 1])]
    landslide = np.append(0, np.cumsum(ranked[:, 0]))
    background = np.append(0, np.cumsum(ranked[:, 1] - ranked[:, 0]))
    return float(auc(background / background[-1], landslide / landslide[-1]))


def inflation(correlation: NDArray[np.float64], factor: Factor) -> float:
    """Return the variance inflation of a factor: how far the other factors tell it.

    For a factor of several bands it is Fox and Monette's generalised factor (1992, J. Am. Stat.
    Assoc. 87:178) to the power 1 / degrees of freedom, which compares with that of one band.

    Args:
        correlation: of all bands, (bands, bands).
        factor: one that varies.

    Returns:
        1 when it is independent of the others; infinity when they determine it.
    """
    indices = np.array(factor.bands)
    others = np.delete(np.arange(len(correlation)), indices)
    within = correlation[np.ix_(indices, indices)]
    across = correlation[np.ix_(indices, others)]
    inverse = np.linalg.pinv(within, _SINGULAR, hermitian=True)
    rest = np.linalg.pinv(correlation[np.ix_(others, others)], _SINGULAR, hermitian=True)
    left = float(np.linalg.det(np.eye(len(indices)) - inverse @ across @ rest @ across.T))
    if left < _SINGULAR:
        return float("inf")
    degrees = int(np.linalg.matrix_rank(within, _SINGULAR, hermitian=True))
    return max(float(left ** (-1 / degrees)), 1.0)


class _Draw:
    """A uniform draw of bounded size from a stream: the pixels of the smallest random keys."""

    def __init__(self, random: np.random.Generator, size: int) -> None:
        self._random = random
        self._size = size
        self._limit = 1.0
        self.seen = 0
        self.keys = np.empty(0)
        self.values: Floats
        self.positions: NDArray[np.int64]

    def add(self, values: Floats, positions: NDArray[np.int64]) -> None:
        """Let the pixels take part: values (bands, n), rows and columns (2, n)."""
        first = self.seen == 0
        count = int(values.shape[1])
        self.seen += count
        keys = self._random.random(count)
        near = keys < self._limit
        keys, values, positions = keys[near], values[:, near], positions[:, near]
        if not first:
            keys = np.concatenate([self.keys, keys])
            values = np.concatenate([self.values, values], axis=1)
            positions = np.concatenate([self.positions, positions], axis=1)
        if len(keys) > self._size:
            # In the order of the stream: argpartition's own depends on the processor.
            kept = np.sort(np.argpartition(keys, self._size)[: self._size])
            keys, values, positions = keys[kept], values[:, kept], positions[:, kept]
            self._limit = float(keys.max())
        self.keys, self.values, self.positions = keys, values, positions


class _Counts:
    """Pixels and landslide pixels in the intervals or classes of one factor."""

    def __init__(self, factor: Factor, sample: Sample, classes: int) -> None:
        self._factor = factor
        self._lowest = float(sample.lowest[factor.bands[0]])
        if factor.classes:
            size = len(factor.classes)
        else:
            band = factor.bands[0]
            self._edges = natural_breaks(
                sample.values[:, band], sample.weights, float(sample.highest[band]), classes
            )
            size = len(self._edges)
        self._pixels = np.zeros((2, size), np.int64)

    def add(self, values: Floats, landslide: NDArray[np.bool_]) -> None:
        """Count in a block: values of all bands (bands, n), landslide (n,)."""
        if self._factor.classes:
            members = values[list(self._factor.bands)] > 0.5
            self._pixels += np.stack([members.sum(axis=1), members[:, landslide].sum(axis=1)])
            return
        intervals = np.searchsorted(self._edges[:-1], values[self._factor.bands[0]])
        for row, chosen in enumerate((intervals, intervals[landslide])):
            self._pixels[row] += np.bincount(chosen, minlength=len(self._edges))

    def intervals(self, fraction: float) -> list[Interval]:
        """Return the intervals, given the share of landslide among all pixels."""
        names: Sequence[str] = self._factor.classes
        bounds: Sequence[tuple[float | None, float | None]] = [(None, None)] * len(names)
        if not names:
            highs = [float(edge) for edge in self._edges]
            bounds = list(zip([self._lowest, *highs[:-1]], highs, strict=True))
            names = [""] * len(highs)
        return [
            Interval(
                label=label,
                low=low,
                high=high,
                pixels=pixels,
                landslide_pixels=landslide,
                ratio=landslide / pixels / fraction if pixels else None,
            )
            for label, (low, high), pixels, landslide in zip(
                names, bounds, *self._pixels.tolist(), strict=True
            )
        ]


def _labelled_pixels(
    stack: LayerStack, landslides: Landslides, progress: Progress
) -> Iterator[tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]]:
    """Yield the values (bands, n), landslide (n,), and rows and columns (2, n) of each block."""
    done = 0
    for window in stack.windows():
        values, valid = stack.read(window)
        ids = landslides.ids(window).ravel()
        labelled = np.flatnonzero(valid.all(axis=0).ravel() & (ids != UNLABELLED))
        values = values.reshape(len(values), -1)
        for start in range(0, len(labelled), _CHUNK):
            chosen = labelled[start : start + _CHUNK]
            rows, columns = np.divmod(chosen, int(window.width))
            positions = np.stack([rows + int(window.row_off), columns + int(window.col_off)])
            yield values[:, chosen], ids[chosen] > 0, positions
        done += int(window.width * window.height)
        progress.update(done / (stack.grid.width * stack.grid.height))


def _require_both(background: int, landslide: int) -> None:
    if background + landslide == 0:
        raise InputError(
            "No pixel of the stack is valid in all bands and known: check its nodata values and "
            "the area."
        )
    if landslide == 0:
        raise InputError(
            "No landslide lies within the stack's valid pixels: check the layers' CRS and extent."
        )
    if background == 0:
        raise InputError(
            "Every valid pixel is landslide, so there is nothing to compare with: choose a larger "
            "area or check the landslides."
        )


def _correlation(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    deviation = np.sqrt(np.maximum(np.diag(covariance), 0))
    varying = deviation > 0
    scale = np.where(varying, deviation, 1)
    correlation = covariance / np.outer(scale, scale)
    correlation[~varying] = correlation[:, ~varying] = 0
    np.fill_diagonal(correlation, varying.astype(np.float64))
    clipped: NDArray[np.float64] = np.clip(correlation, -1, 1)
    return clipped
