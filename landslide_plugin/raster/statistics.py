"""Statistics of a raster's bands, gathered while it is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass
class BandStatistics:
    """What a band of a stack holds, over the pixels that are valid in all bands.

    Attributes:
        name: the band.
        source: the file it is from.
        count: valid pixels of the stack.
        mean: their mean.
        squares: the sum of their squared differences from the mean.
        minimum: the lowest.
        maximum: the highest.
        declared_nodata: pixels of the area that this very band lacks.
        pixels: pixels of the area.
    """

    name: str
    source: str
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    minimum: float = float("inf")
    maximum: float = float("-inf")
    declared_nodata: int = 0
    pixels: int = 0

    def add(self, values: NDArray[np.float32]) -> None:
        """Count in valid values (Chan et al. 1983, Am. Stat. 37:242, equation 2.1)."""
        if values.size == 0:
            return
        mean = float(values.mean(dtype=np.float64))
        squares = float(np.square(values - mean, dtype=np.float64).sum())
        total = self.count + values.size
        apart = mean - self.mean
        self.squares += squares + apart**2 * self.count * values.size / total
        self.mean += apart * values.size / total
        self.count = total
        self.minimum = min(self.minimum, float(values.min()))
        self.maximum = max(self.maximum, float(values.max()))

    @property
    def deviation(self) -> float:
        """Standard deviation."""
        return float(np.sqrt(self.squares / max(self.count, 1)))

    @property
    def nodata_fraction(self) -> float:
        """The share of the area's pixels that this band lacks, 0..1."""
        return self.declared_nodata / max(self.pixels, 1)

    def tags(self) -> dict[str, str]:
        """Return GDAL's metadata items for band statistics."""
        return {
            "STATISTICS_MINIMUM": repr(self.minimum),
            "STATISTICS_MAXIMUM": repr(self.maximum),
            "STATISTICS_MEAN": repr(self.mean),
            "STATISTICS_STDDEV": repr(self.deviation),
        }


def table(statistics: Sequence[BandStatistics]) -> str:
    """Return a table of the bands, for the eye."""
    rows = [("band", "source", "min", "mean", "max", "nodata")]
    rows += [
        (
            band.name,
            Path(band.source).name,
            f"{band.minimum:.6g}",
            f"{band.mean:.6g}",
            f"{band.maximum:.6g}",
            f"{100 * band.nodata_fraction:.1f} %",
        )
        for band in statistics
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
