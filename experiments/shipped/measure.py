"""Measures a shipped model on the test part of its samples, which training never saw.

`python -m experiments.shipped.measure MODEL SAMPLES`, SAMPLES being the folder that
`experiments.shipped.train` made. What the network reads is brought to its resolution, as by the
command `predict`. Every figure stands beside that of a constant mask, for the images as they are,
where a large one counts for many small ones, and for all resized to one side first, as networks
for images of one size see them. With `--mosaic FOLDER` the test images are also laid side
by side and mapped by the command `predict`.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.evaluation import metrics
from landslide_mapper.landslide_plugin.evaluation.metrics import Confusion
from landslide_mapper.landslide_plugin.inference.predict_command import predict
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN, Sample, SampleSet
from landslide_mapper.landslide_plugin.training.judging.baselines import constant_mask
from landslide_mapper.models.device import autocast
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import load_model
from numpy.typing import NDArray
from PIL import Image
from rasterio.transform import from_origin
from torch import nn
from torch.nn.functional import interpolate

CORNER = 0.7
"""Share of the side that an off-centre crop keeps."""
FALSE_AREA = 0.005
"""Share of an image without landslide from which false area is noticed."""
FOUND = 0.3
"""Share of an image's landslide pixels from which its landslide counts as found."""
RESIZED = 256
"""Pixels of the side to which images are resized."""
CELLS, CELL = 10, 232
"""Images along a side of the mosaic, and their pixels."""
FIGURES = ("precision", "recall", "f1", "iou_landslide", "miou", "fpr")

Mask = NDArray[np.bool_]
Predict = Callable[[NDArray[np.float32]], Mask]


class Model:
    """A network on images of a resolution, which are brought to its own.

    Args:
        network: gives logits.
        card: its scaling, resolution and threshold.
        resolution: of the images; None where it is not known.
    """

    def __init__(self, network: nn.Module, card: ModelCard, resolution: float | None) -> None:
        self.network, self.card = network.cpu().eval(), card
        self._factor = resolution / card.resolution if resolution and card.resolution else 1.0

    def __call__(self, values: NDArray[np.float32]) -> Mask:
        """Return where an unscaled image, (bands, rows, columns), shows landslide."""
        return self.probability(values) >= self.card.threshold

    def probability(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of landslide, (rows, columns)."""
        mean, std = (
            np.array(part, np.float32)[:, None, None] for part in (self.card.mean, self.card.std)
        )
        images = torch.from_numpy((values - mean) / std)[None]
        size = tuple(images.shape[-2:])
        own = tuple(max(1, round(length * self._factor)) for length in size)
        if own != size:
            images = interpolate(images, own, mode="bilinear", antialias=True)
        with torch.inference_mode(), autocast(torch.device("cpu")):
            logits = self.network(images)
        probability = logits.float().softmax(1)[:, 1:]
        if own != size:
            probability = interpolate(probability, size, mode="bilinear")
        result: NDArray[np.float32] = probability[0, 0].numpy()
        return result


def measure(model: Path, folder: Path, seed: int = 0) -> dict[str, Any]:
    """Return the figures of a model and of a constant mask on the test split.

    Args:
        model: a semantic model's file.
        folder: samples, at the resolution of their images.
        seed: draws as many images without landslide as there are with, and the crops' corners.
    """
    samples = SampleSet.read(folder)
    loaded = load_model(str(model))
    own = Model(loaded.network, loaded.card, samples.resolution)
    ways: dict[str, Predict] = {"model": own, "constant mask": constant_way(samples)}
    return {
        "threshold": own.card.threshold,
        "files": [Path(sample.source).stem for sample in samples.of_split("test")],
        **compare(ways, samples, seed),
        "resized": compare(ways, samples, seed, RESIZED),
    }


def constant_way(samples: SampleSet) -> Predict:
    """Return what marks the mean mask of the train images with landslide on any image."""
    constant = constant_mask(
        samples.load(sample)[2] for sample in samples.of_split("train") if sample.landslide_pixels
    )
    return lambda values: constant.on(values.shape[1:])


def compare(
    ways: dict[str, Predict], samples: SampleSet, seed: int = 0, side: int = 0
) -> dict[str, Any]:
    """Return the figures of each way to map on the test split.

    Args:
        ways: by name.
        samples: masks of the test split are taken from it.
        seed: as for `measure`.
        side: pixels of the side to which images are resized; 0 leaves them as they are.
    """
    landslide, others = _test(samples)
    drawn = np.random.default_rng(seed).permutation(len(others))[: len(landslide)]
    both = [*landslide, *(others[number] for number in drawn)]
    result: dict[str, Any] = {
        "images with landslide": len(landslide),
        "images without": len(others),
    }
    for name, way in ways.items():
        count = partial(_counts, way, samples, side)
        single, alone = list(count(landslide)), list(count(others))
        result[name] = {
            "images with landslide": _figures(single),
            f"with {len(drawn)} images without": _figures(count(both)),
            "corners of images with landslide": _figures(count(landslide, seed)),
            "false positive rate on images without": metrics.fpr(sum(alone, Confusion())),
            "share of them with false area": _mean(
                counts.fp > FALSE_AREA * counts.total for counts in alone
            ),
            "mean IoU of an image": _mean(metrics.iou_landslide(counts) or 0 for counts in single),
            "share of images found": _mean(
                counts.tp >= FOUND * (counts.tp + counts.fn) for counts in single
            ),
        }
    return result


def map_mosaic(model: Path, samples: Path, folder: Path, seed: int = 0) -> dict[str, Any]:
    """Lay test images side by side in a made-up place, half of them with landslides, and map them.

    Images are cut at the cells' edges from their upper left corner; the rest of a cell is nodata.
    """
    data = SampleSet.read(samples)
    landslide, others = _test(data)
    half = CELLS**2 // 2
    chosen = np.random.default_rng(seed).permutation(
        np.array([*landslide[:half], *others[: CELLS**2 - half]], object)
    )
    side = CELLS * CELL
    image, truth = np.zeros((3, side, side), np.uint8), np.full((side, side), 255, np.uint8)
    for number, sample in enumerate(chosen):
        row, col = (CELL * part for part in divmod(number, CELLS))
        values, _, labels = data.load(sample)
        height, width = (min(CELL, length) for length in labels.shape)
        place = slice(row, row + height), slice(col, col + width)
        image[:, *place] = np.maximum(values[:, :height, :width], 1)  # 0 is nodata
        truth[place] = labels[:height, :width] > 0
    resolution = data.resolution or 1.0
    profile = {
        "driver": "GTiff",
        "width": side,
        "height": side,
        "dtype": "uint8",
        "crs": "EPSG:32648",
        "transform": from_origin(500000, 3000000, resolution, resolution),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with rasterio.open(folder / "mosaic.tif", "w", count=3, nodata=0, **profile) as dataset:
        dataset.write(image)
        dataset.descriptions = data.bands
    with rasterio.open(folder / "truth.tif", "w", count=1, nodata=255, **profile) as dataset:
        dataset.write(truth, 1)
    predict(
        stack=str(folder / "mosaic.tif"),
        model=str(model),
        probability=str(folder / "probability.tif"),
        mask=str(folder / "mask.tif"),
        progress=Progress(),
    )
    with rasterio.open(folder / "mask.tif") as dataset:
        mask = dataset.read(1)
    known = (truth != 255) & (mask != 255)
    return {"pixels": int(known.sum()), **_figures([Confusion.of(mask == 1, truth == 1, known)])}


def _test(samples: SampleSet) -> tuple[list[Sample], list[Sample]]:
    """Return the test samples with landslide and those without."""
    test = samples.of_split("test")
    return [s for s in test if s.landslide_pixels], [s for s in test if not s.landslide_pixels]


def _counts(
    way: Predict,
    samples: SampleSet,
    side: int,
    chosen: Iterable[Sample],
    corner_seed: int | None = None,
) -> Iterator[Confusion]:
    """Yield the counts of each image, or of one of its corners; resized unless the side is 0."""
    rng = np.random.default_rng(corner_seed)
    for sample in chosen:
        corner = None if corner_seed is None else (bool(rng.integers(2)), bool(rng.integers(2)))
        values, truth, known = read_image(samples, sample, side, corner)
        yield Confusion.of(way(values), truth, known)


def read_image(
    samples: SampleSet, sample: Sample, side: int = 0, corner: tuple[bool, bool] | None = None
) -> tuple[NDArray[np.float32], Mask, Mask]:
    """Return a sample's values, (bands, rows, columns), where landslide is, and what is known.

    Args:
        samples: the set.
        sample: one of it.
        side: pixels of the side to which it is resized; 0 leaves it as it is.
        corner: whether only its lower rows and its right columns are taken; None takes all.
    """
    values, valid, labels = samples.load(sample)
    if corner is not None:
        place = tuple(_end(*part) for part in zip(labels.shape, corner, strict=True))
        values, valid, labels = values[:, *place], valid[place], labels[place]
    known = valid & (labels != UNKNOWN)
    truth = (labels > 0) & known
    if side:
        values = np.stack([_resized(band, side) for band in values])
        truth, known = _resized(truth, side) >= 0.5, _resized(known, side) >= 0.5
    return values, truth, known


def _resized(band: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Return a band with as many rows and columns: means of what their pixels cover."""
    image = Image.fromarray(band.astype(np.float32))
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))


def _end(length: int, last: bool) -> slice:
    kept = round(CORNER * length)
    return slice(length - kept, length) if last else slice(0, kept)


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values) or [np.nan]))


def _figures(counts: Iterable[Confusion]) -> dict[str, float | None]:
    total = sum(counts, Confusion())
    return {name: getattr(metrics, name)(total) for name in FIGURES}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("samples", type=Path)
    parser.add_argument("--mosaic", type=Path, help="folder for the mosaic and its maps")
    given = parser.parse_args(arguments)
    result = measure(given.model, given.samples)
    if given.mosaic:
        result["mosaic"] = map_mosaic(given.model, given.samples, given.mosaic)
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
