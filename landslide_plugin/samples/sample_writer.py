"""Writes patches one by one and gathers what the manifest says about them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.io import MemoryFile

from ..contract.errors import InputError
from ..core.progress import Progress
from ..raster.writer import NODATA
from .sample_set import (
    BACKGROUND,
    CLASSES,
    IMAGE_LABELS,
    LANDSLIDE,
    PIXEL_LABELS,
    SPLITS,
    UNKNOWN,
    Sample,
    SampleSet,
)

FEW_PATCHES, FEW_LANDSLIDES = 20, 10
"""Patches, and those with landslides, below which the figures measured on them are mostly luck."""
MUCH = 0.6
"""Share of landslide above which labels look inverted."""


class BandStatistics:
    """Mean and standard deviation a band, gathered in float64 (Chan et al. 1983, equation 2.1).

    Args:
        bands: their number.
    """

    def __init__(self, bands: int) -> None:
        self.count = 0
        self.mean = np.zeros(bands)
        self._squares = np.zeros(bands)

    def add(self, values: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
        """Add the valid pixels of a patch, (bands, rows, columns) and (rows, columns)."""
        pixels = values[:, valid].astype(np.float64)
        count = pixels.shape[1]
        if not count:
            return
        mean = pixels.mean(axis=1)
        difference = mean - self.mean
        total = self.count + count
        self._squares += ((pixels - mean[:, np.newaxis]) ** 2).sum(axis=1)
        self._squares += difference**2 * self.count * count / total
        self.mean += difference * count / total
        self.count = total

    @property
    def std(self) -> NDArray[np.float64]:
        """Standard deviations of the population; 0 for constant bands."""
        return np.sqrt(self._squares / max(self.count, 1))


def ratio(landslide: int, background: int) -> str:
    """Return the imbalance ratio in words, such as "1 : 9.3"."""
    return f"1 : {background / landslide:.1f}" if landslide else "no landslide pixel"


class SampleWriter:
    """Fills a folder with patches.

    Args:
        folder: an empty folder.
        bands: their band names.
        labels: what is labelled; see `SampleSet`.
        units: of the bands, likewise.
        tags: how the set comes about, for its manifest.
    """

    def __init__(
        self,
        folder: Path,
        bands: list[str],
        labels: str = PIXEL_LABELS,
        units: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.bands = bands
        self.units = list(units)
        self.labels = labels
        self._tags = dict(tags or {})
        self.samples: list[Sample] = []
        self._statistics = BandStatistics(len(bands))
        self._seen = np.zeros(len(bands), bool)
        self._pixels: Counter[tuple[str, bool]] = Counter()
        for name in ("images", "labels"):
            (folder / name).mkdir()

    def add(
        self,
        values: NDArray[Any],
        valid: NDArray[np.bool_],
        labels: NDArray[np.uint16],
        *,
        split: str,
        source: str,
        window: tuple[int, int, int, int],
        block: int = 0,
        blocks: tuple[int, ...] = (),
        kind: str = "",
        labels_from: str = "",
        crs: CRS | None = None,
        transform: Affine,
    ) -> None:
        """Write one patch.

        Args:
            values: (bands, rows, columns), uint8 when all pixels are valid, else float32.
            valid: (bands, rows, columns) or (rows, columns).
            labels: (rows, columns); invalid pixels become `UNKNOWN`.
            split: "train", "validation" or "test".
            source: where it comes from.
            window: column, row, width, height there.
            block: its spatial block.
            blocks: all blocks that it reaches into.
            kind: see `Sample`; "landslide" or "background" by the labels when empty.
            labels_from: the mask that its labels come from.
            crs: None for plain image tiles.
            transform: of the patch.

        Raises:
            OSError: the disk is full.
        """
        usable = np.all(valid, axis=0) if valid.ndim == 3 else valid
        labels = np.where(usable, labels, UNKNOWN).astype(np.uint16)
        labelled = labels != UNKNOWN
        landslide = labelled & (labels > 0)
        identity = f"{len(self.samples) + 1:06d}"
        whole = values.dtype == np.uint8 and usable.all()
        image = values if whole else np.where(valid, values, NODATA["float32"]).astype(np.float32)
        georeference = {"crs": crs, "transform": transform}
        nodata = None if whole else NODATA["float32"]
        self._write("images", identity, image, nodata, self.bands, georeference)
        self._write("labels", identity, labels[np.newaxis], UNKNOWN, ["label"], georeference)
        if split == "train":
            self._statistics.add(values, labelled if self.labels == PIXEL_LABELS else usable)
            self._seen |= valid.any(axis=(1, 2)) if valid.ndim == 3 else valid.any()
        self._pixels[split, True] += int(landslide.sum())
        self._pixels[split, False] += int((labelled & ~landslide).sum())
        instances = len(np.unique(labels[landslide]))
        pixels = int(landslide.sum())
        self.samples.append(
            Sample(
                id=identity,
                split=split,
                block=block,
                source=source,
                window=window,
                landslide_pixels=pixels,
                instances=instances,
                blocks=blocks,
                kind=kind or (LANDSLIDE if pixels else BACKGROUND),
                labels_from=labels_from,
            )
        )

    def finish(
        self,
        *,
        split: str,
        seed: int,
        tile_size: int,
        resolution: float | None,
        crs: str | None,
        sources: list[str],
        before: tuple[int, int] | None = None,
        progress: Progress,
    ) -> SampleSet:
        """Write the manifest, with what `SampleSet` tells, and tell the counts.

        `before` are landslide and background pixels of all that the patches were drawn from; None
        where not known.

        Raises:
            InputError: a band is nodata in all of the train patches.
        """
        self._require_labelled()
        std = self._statistics.std
        constant = [band for band, value in zip(self.bands, std, strict=True) if value == 0]
        if constant:
            progress.warning(f"Constant over all train patches: {', '.join(constant)}.")
        result = SampleSet(
            folder=self.folder,
            bands=self.bands,
            resolution=resolution,
            crs=crs,
            tile_size=tile_size,
            classes=list(CLASSES),
            split=split,
            seed=seed,
            mean=[float(value) for value in self._statistics.mean],
            std=[float(value) if value > 0 else 1.0 for value in std],
            imbalance=self._fraction(),
            imbalance_before=before and before[0] / max(sum(before), 1),
            sources=sources,
            samples=self.samples,
            provenance=self._tags,
            labels=self.labels,
            units=self.units,
        )
        result.write_manifest()
        self._tell(split, before, progress)
        return result

    def _require_labelled(self) -> None:
        """Refuse train patches of which nothing is known."""
        if self._statistics.count:
            return
        empty = [band for band, seen in zip(self.bands, self._seen, strict=True) if not seen]
        if empty:
            raise InputError(
                f"The band {', '.join(empty)} is nodata in all train patches: leave it out, or "
                "mend its layer."
            )
        raise InputError(
            "No pixel of the train patches is known: check the nodata values of image and labels."
        )

    def _fraction(self) -> float:
        """Return the share of landslide in the train patches, of pixels or else of images."""
        if self.labels == IMAGE_LABELS:
            holds = [sample.holds_landslide for sample in self.samples if sample.split == "train"]
            return sum(holds) / max(len(holds), 1)
        landslide, background = self._pixels["train", True], self._pixels["train", False]
        return landslide / max(landslide + background, 1)

    def _tell(self, kind: str, before: tuple[int, int] | None, progress: Progress) -> None:
        progress.message(f"Split: {kind}.")
        if before:
            progress.message(f"Landslide to background pixels before sampling: {ratio(*before)}.")
            if before[0] > MUCH * sum(before):
                progress.warning(
                    f"{before[0] / sum(before):.0%} of the labelled pixels are landslide, which is "
                    "unusually much: if ground and landslide are the wrong way round, invert the "
                    "labels."
                )
        few, some = [], any(sample.holds_landslide for sample in self.samples)
        for split in SPLITS:
            patches = [sample for sample in self.samples if sample.split == split]
            if not patches:
                continue
            with_landslide = sum(sample.holds_landslide for sample in patches)
            told = f"{split}: {len(patches)} patches, {with_landslide} with landslides"
            if self.labels == PIXEL_LABELS:
                counts = ratio(self._pixels[split, True], self._pixels[split, False])
                told += f"; landslide to background pixels {counts}"
            progress.message(f"{told}.")
            short = len(patches) < FEW_PATCHES or with_landslide < FEW_LANDSLIDES
            if split != "train" and short and some:
                few.append(f"{split} has {len(patches)}, {with_landslide} with landslides")
        if few:
            progress.warning(
                f"Few patches to judge by ({'; '.join(few)}), so that figures measured on them "
                "will be mostly luck: add landslides, or train with folds."
            )

    def _write(
        self,
        kind: str,
        identity: str,
        values: NDArray[Any],
        nodata: float | None,
        bands: list[str],
        georeference: dict[str, object],
    ) -> None:
        """Write a small GeoTIFF through memory: Python then tells a full disk at once."""
        with MemoryFile() as memory:
            with memory.open(
                driver="GTiff",
                count=values.shape[0],
                height=values.shape[1],
                width=values.shape[2],
                dtype=values.dtype.name,
                nodata=nodata,
                compress="deflate",
                predictor=3 if values.dtype.kind == "f" else 2,
                interleave="band",
                photometric="minisblack",  # four uint8 bands are not colour and alpha
                **georeference,
            ) as dataset:
                dataset.write(values)
                dataset.descriptions = bands
            (self.folder / kind / f"{identity}.tif").write_bytes(memory.read())
