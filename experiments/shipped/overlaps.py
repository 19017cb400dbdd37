"""Finds images of Bijie that show the same ground: `python -m experiments.shipped.overlaps`.

Images of landslides are cut from larger ones, a landslide each, so that neighbours overlap, moved
by whole pixels. Those whose numbers are near are laid over each other at every shift, at half the
resolution (masked normalised cross-correlation: Padfield 2012, IEEE Trans. Image Process. 21:2706),
and where they fit best compared in their details at full resolution. On the set as it is details of
pairs correlate by more than .9, or by less: of the 15 from .6 on two are pairs by the eye.

SIFT keypoints of all 2533 images, each matched with all others by locality-sensitive hashing (40
tables of 22 bits) and held together by a similarity transform (RANSAC), gave 100 of the 115 pairs
and none of other images, nor of other scale or turn. `bijie_overlaps.csv` keeps what both ways
gave: a pixel of the first image is the one so many rows and columns further in the second.
"""

import csv
import sys
from collections.abc import Iterator
from itertools import combinations, product
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft

from .data import DATA

NEAR = 9
"""Numbers that images are apart at most."""
LEAST = 0.04
"""Share of the smaller image that both have in common at least, and `PIXELS` of half resolution."""
PIXELS = 300
CANDIDATE, SAME = 0.8, 0.9
"""Correlation at half resolution from which details are compared, and theirs that counts."""
AROUND = 3
"""Pixels of full resolution about the best shift that are tried."""

Grey = NDArray[np.float64]
Shift = tuple[int, int]


def overlaps(folder: Path) -> Iterator[tuple[str, str, Shift]]:
    """Yield pairs of landslide images with the rows and columns from the first to the second."""
    paths = {int(path.stem.split("_")[1]): path for path in folder.glob("ls_*.jpg")}
    grey = {number: _grey(path) for number, path in paths.items()}
    for first, second in combinations(sorted(paths), 2):
        if second - first <= NEAR:
            likeness, shift = best_shift(*(_halved(grey[each]) for each in (first, second)))
            if likeness >= CANDIDATE:
                one, other = (_details(grey[each]) for each in (first, second))
                rows, cols = (range(2 * step - AROUND, 2 * step + AROUND + 1) for step in shift)
                likeness, shift = max(
                    (correlation(one, other, moved), moved) for moved in product(rows, cols)
                )
                if likeness > SAME:
                    yield paths[first].stem, paths[second].stem, shift


def best_shift(first: Grey, second: Grey) -> tuple[float, Shift]:
    """Return the highest correlation of two images over all shifts, and rows and columns of it.

    Args:
        first: (rows, columns).
        second: another one; a shift is what is added to a pixel of the first.
    """
    sides = [one + other - 1 for one, other in zip(first.shape, second.shape, strict=True)]
    shape = tuple(fft.next_fast_len(side, real=True) for side in sides)
    first, second = first - first.mean(), second - first.mean()

    def sums(a: Grey, b: Grey) -> Grey:
        result: Grey = fft.irfft2(np.conj(fft.rfft2(a, shape)) * fft.rfft2(b, shape), shape)
        return result

    ones, others = np.ones_like(first), np.ones_like(second)
    pixels = np.maximum(np.round(sums(ones, others)), 1)
    mean, other_mean = sums(first, others) / pixels, sums(ones, second) / pixels
    variance = sums(first**2, others) / pixels - mean**2
    other_variance = sums(ones, second**2) / pixels - other_mean**2
    covariance = sums(first, second) / pixels - mean * other_mean
    fits = pixels >= max(PIXELS, LEAST * min(first.size, second.size))
    fits &= (variance > 9) & (other_variance > 9)  # water and shadow are alike everywhere
    likeness = np.where(fits, covariance / np.sqrt(np.maximum(variance * other_variance, 1e-9)), -1)
    row, col = np.unravel_index(likeness.argmax(), shape)
    # what lies beyond the second image's last pixel is a shift backwards
    back = [
        int(step) - length if step >= side else int(step)
        for step, length, side in zip((row, col), shape, second.shape, strict=True)
    ]
    return float(likeness[row, col]), (back[0], back[1])


def correlation(first: Grey, second: Grey, shift: Shift) -> float:
    """Return the correlation of what two images have in common, -1 where that is too little."""
    parts = []
    for image, other, sign in ((first, second, 1), (second, first, -1)):
        begins = [max(-sign * step, 0) for step in shift]
        ends = [
            min(side, further - sign * step)
            for side, further, step in zip(image.shape, other.shape, shift, strict=True)
        ]
        parts.append(image[begins[0] : max(ends[0], 0), begins[1] : max(ends[1], 0)])
    if min(parts[0].shape) < 8:
        return -1.0
    return float(np.corrcoef(parts[0].ravel(), parts[1].ravel())[0, 1])


def _grey(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def _halved(grey: NDArray[np.uint8]) -> Grey:
    size = grey.shape[1] // 2, grey.shape[0] // 2
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float64)


def _details(grey: NDArray[np.uint8]) -> Grey:
    smooth = cv2.GaussianBlur(grey.astype(np.float64), (0, 0), 1)
    return (smooth - cv2.GaussianBlur(smooth, (0, 0), 6)).astype(np.float64)


if __name__ == "__main__":
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for one, other, (rows, columns) in overlaps(DATA / "bijie" / "images"):
        writer.writerow((one, other, rows, columns))
