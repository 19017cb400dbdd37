"""A folder of labelled patches, as training reads it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract.errors import InputError
from ..raster.source import Source

FORMAT = 1
MANIFEST = "manifest.json"
UNKNOWN = 65535
"""Label of pixels whose class is not known: nodata, or outside the area."""
SPLITS = ("train", "validation", "test")
CLASSES = ("background", "landslide")
LANDSLIDE, BACKGROUND, HARD = "landslide", "background", "hard background"
"""Kinds of patches; see `Sample`."""
PIXEL_LABELS, IMAGE_LABELS = "pixel", "image"
"""What is labelled: every pixel, or an image as a whole, as holding a landslide or none."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One patch.

    Attributes:
        id: stem of its files, `images/<id>.tif` and `labels/<id>.tif`.
        split: "train", "validation" or "test".
        block: number of the spatial block that it was cut from; 0 for imported tiles.
        source: the raster or image that it comes from.
        window: column, row, width and height in its source.
        landslide_pixels: pixels labelled as landslide.
        instances: landslides, whole or in part.
        blocks: numbers of all spatial blocks that it reaches into; empty for imported tiles.
        kind: "landslide", "background" or "hard background" (drawn by false alarms). Where an image
            is labelled as a whole it alone says that there is a landslide.
        labels_from: the mask that its labels come from; empty for those of the whole set.
    """

    id: str
    split: str
    block: int
    source: str
    window: tuple[int, int, int, int]
    landslide_pixels: int
    instances: int
    blocks: tuple[int, ...] = ()
    kind: str = ""
    labels_from: str = ""

    @property
    def holds_landslide(self) -> bool:
        """Whether there is a landslide in it, whether or not it is known where."""
        return self.landslide_pixels > 0 or self.kind == LANDSLIDE


@dataclass(frozen=True)
class Further:
    """Folders that are trained on beside the first; see `joined.join`.

    Attributes:
        folders: of the samples whose names begin with their number, such as `1/000001`.
        weights: how often a patch is drawn in an epoch, that of the first folder first.
        judging: whether their validation and test patches judge too.
    """

    folders: list[Path] = field(repr=False)
    weights: list[float]
    judging: bool


@dataclass(frozen=True, kw_only=True)
class SampleSet:
    """The patches of a folder and what they have in common.

    Attributes:
        folder: where they lie.
        bands: band names, in the order of the images and of `mean` and `std`.
        resolution: pixel size in metres; None where unknown.
        crs: CRS of all patches; None where they have none, or differ.
        tile_size: side of the patches in pixels; of imported tiles their median side.
        classes: class names, background first.
        split: kind of the split, such as "blocks" or "random by image".
        seed: the seed of the split and of the choice of background.
        mean: mean a band over the valid pixels of the train patches.
        std: standard deviation likewise; 1 for a constant band.
        imbalance: share of landslide among the known pixels of the train patches; with image
            labels, share of the train patches with landslide.
        imbalance_before: the same share over all that the patches were drawn from; None where
            not known.
        sources: the rasters or folders that the patches come from.
        samples: the patches.
        provenance: how the set came about.
        labels: what is labelled, "pixel" or "image". With image labels the pixels of images with
            landslide are all `UNKNOWN`.
        units: a unit a band, such as "reflectance", "" where it is not known; empty where nothing
            is said.
        further: the other folders of a set that is joined of several; None elsewhere.
    """

    folder: Path
    bands: list[str]
    resolution: float | None
    crs: str | None
    tile_size: int
    classes: list[str]
    split: str
    seed: int
    mean: list[float]
    std: list[float]
    imbalance: float
    sources: list[str]
    samples: list[Sample]
    imbalance_before: float | None = None
    provenance: dict[str, str] = field(default_factory=dict)
    # not shown, so that trainings begun before there was a choice find their checkpoints
    labels: str = field(default=PIXEL_LABELS, repr=False)
    units: list[str] = field(default_factory=list, repr=False)
    further: Further | None = field(default=None, repr=False)

    @classmethod
    def read(cls, folder: str | Path) -> "SampleSet":
        """Read a folder's manifest and check that its files are there.

        Raises:
            InputError: no sample folder, of a newer format, or damaged.
        """
        folder = Path(folder)
        folder = folder.parent if folder.name == MANIFEST else folder
        path = folder / MANIFEST
        if not path.is_file():
            raise InputError(
                f"{folder} is not a folder of samples (it has no {MANIFEST}): choose one that "
                "'Make samples' or 'Import samples' wrote."
            )
        try:
            values = json.loads(path.read_text(encoding="utf-8-sig"))
            if values["format"] != FORMAT:
                raise InputError(
                    f"{path} is of format {values['format']}, this version reads {FORMAT}: make "
                    "the samples anew."
                )
            samples = cls(folder=folder, **_of_manifest(values))
            samples._check()
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is damaged ({error}): make the samples anew.") from error
        return samples

    def of_split(self, name: str) -> list[Sample]:
        """Return the patches of a split, "train", "validation" or "test"."""
        return [sample for sample in self.samples if sample.split == name]

    def split_in_words(self) -> str:
        """Return the kind of split as it goes on after "a split"."""
        return self.split if self.split.startswith("random") else f"by {self.split}"

    def load(
        self, sample: Sample, bands: Sequence[str] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.uint16]]:
        """Read one patch.

        Args:
            sample: which.
            bands: names of the bands wanted, in the order wanted; all when None.

        Returns:
            Values, float32, (bands, rows, columns), 0 where invalid; validity, bool, (rows,
            columns), of pixels that are valid in all those bands; labels, uint16, (rows,
            columns): 0 background, 1..n one landslide each, `UNKNOWN` where the class is not
            known, which holds for every pixel invalid in any band of the set.

        Raises:
            InputError: a band is not there, or a file is missing or damaged.
        """
        with Source.open(self.image_path(sample), what="sample", need_crs=False) as image:
            values, valid = image.read(bands=bands or (self.bands if self.further else None))
        with Source.open(self.label_path(sample), what="labels", need_crs=False) as source:
            labels = source.dataset.read(1)
        if labels.shape != values.shape[1:] or labels.dtype != np.uint16:
            raise InputError(
                f"{self.label_path(sample)} does not fit its image: make the samples anew."
            )
        return values, np.all(valid, axis=0), labels

    def units_of(self, bands: Sequence[str]) -> list[str]:
        """Return the units of some bands; none where the set says nothing of units."""
        said = dict(zip(self.bands, self.units, strict=False))
        return [said[band] for band in bands] if said else []

    def require_bands(self, names: Sequence[str]) -> None:
        """Refuse bands that the samples lack, or of which one is named twice.

        Raises:
            InputError: they are such.
        """
        if missing := [band for band in names if band not in self.bands]:
            raise InputError(
                f"The samples have no band {', '.join(missing)}; they have {', '.join(self.bands)}."
            )
        if len(set(names)) < len(names):
            raise InputError(f"A band is named twice in {', '.join(names)}: name each once.")

    def image_path(self, sample: Sample) -> Path:
        """Return where a patch's image lies."""
        return self._path("images", sample)

    def label_path(self, sample: Sample) -> Path:
        """Return where a patch's labels lie."""
        return self._path("labels", sample)

    def folder_number(self, sample: Sample) -> int:
        """Return the number of the folder that a patch lies in, 0 for the first."""
        return int(sample.id.partition("/")[0]) if self.further and "/" in sample.id else 0

    def weight(self, sample: Sample) -> float:
        """Return how often a train patch is drawn in an epoch."""
        return self.further.weights[self.folder_number(sample)] if self.further else 1.0

    def judges(self, sample: Sample) -> bool:
        """Whether a patch may be held out to judge by, in folds."""
        return not self.further or self.further.judging or not self.folder_number(sample)

    def _path(self, kind: str, sample: Sample) -> Path:
        number = self.folder_number(sample)
        folder = self.further.folders[number - 1] if self.further and number else self.folder
        return folder / kind / f"{sample.id.rpartition('/')[2]}.tif"

    def write_manifest(self) -> None:
        """Write `manifest.json` into the folder."""
        values = {"format": FORMAT, **asdict(self)}
        del values["folder"], values["further"]
        (self.folder / MANIFEST).write_text(json.dumps(values, indent=1), encoding="utf-8")

    def _check(self) -> None:
        if not self.bands or not len(self.bands) == len(self.mean) == len(self.std):
            raise ValueError("bands, mean and std differ in number")
        if not np.isfinite([*self.mean, *self.std]).all() or min(self.std) <= 0:
            raise ValueError("mean or std are no usable numbers")
        if self.units and len(self.units) != len(self.bands):
            raise ValueError("bands and units differ in number")
        if self.labels not in (PIXEL_LABELS, IMAGE_LABELS):
            raise ValueError(f"no labels are called {self.labels}")
        for sample in self.samples:
            if sample.split not in SPLITS:
                raise ValueError(f"no split is called {sample.split}")
            if not (self.image_path(sample).is_file() and self.label_path(sample).is_file()):
                raise ValueError(f"the files of sample {sample.id} are missing")


def _of_manifest(values: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `SampleSet`; unknown keys of the file are left out."""
    names = {item.name for item in fields(SampleSet)} - {"folder", "further"}
    result = {key: value for key, value in values.items() if key in names}
    result["samples"] = [
        Sample(**{**item, "window": tuple(item["window"]), "blocks": tuple(item.get("blocks", ()))})
        for item in values["samples"]
    ]
    return result


def result_of(output: str, samples: SampleSet) -> dict[str, Any]:
    """Return what a command that made a sample set ends with."""
    counts = {name: len(samples.of_split(name)) for name in SPLITS}
    return {"output": output, **counts, "imbalance": samples.imbalance}
