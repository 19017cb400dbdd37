"""`make real`: the chain on real data, from Kashmir, Emilia-Romagna and Bijie.

Run as `python scripts/real.py DATA OUT [kashmir] [emilia] [bijie]`. Training is short, so the
figures say that the chain works on real input and how far that short training goes, no more.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
from areas import split_area
from headless import Headless
from PIL import Image
from rasterio.transform import from_origin

TERRAIN = ["elevation", "slope", "northness", "eastness", "plan_curvature", "profile_curvature"]
SCORES = ("OA", "PRECISION", "RECALL", "F1", "KAPPA", "IOU_LANDSLIDE", "MIOU", "FPR")


def kashmir(qgis: Headless, data: Path, out: Path) -> dict[str, float]:
    """Terrain, streams, faults and geology; trained on the western 60 %, measured on the rest."""
    dem = data / "AW3D30.tif"
    west, east = split_area(dem, 0.6, out)
    terrain = qgis.output(
        "landslide:terrainfactors", INPUT=dem, FACTORS=TERRAIN, OUTPUT=out / "terrain.tif"
    )
    rivers = qgis.output("landslide:streams", INPUT=dem, MIN_AREA=1, OUTPUT=out / "streams.gpkg")
    distances = [
        qgis.output(
            "landslide:distance", INPUT=lines, REFERENCE=dem, NAME=name, OUTPUT=out / f"{name}.tif"
        )
        for lines, name in (
            (rivers, "river_distance"),
            (data / "Confirmed_faults.shp", "fault_distance"),
        )
    ]
    geology = qgis.output(
        "landslide:classes",
        INPUT=data / "Geology.tif",
        REFERENCE=dem,
        NAME="lithology",
        OUTPUT=out / "lithology.tif",
    )
    stack = qgis.output(
        "landslide:stack", LAYERS=[terrain, *distances, geology], OUTPUT=out / "stack.tif"
    )
    return train_and_measure(
        qgis, out, stack, data / "landslides.shp", west, east, EPOCHS=8, LOSS="focal_dice"
    )


def emilia(qgis: Headless, data: Path, out: Path) -> dict[str, float]:
    """Sentinel-2 and DEM of one patch; trained on its western 60 %, measured on the rest."""
    image, dem = data / "s2_post_20230627_10bands.tif", data / "dem_around_4120_9km_10m.tif"
    west, east = split_area(image, 0.6, out)
    # The DEM is in whole metres: unsmoothed it terraces.
    terrain = qgis.output(
        "landslide:terrainfactors",
        INPUT=dem,
        FACTORS=TERRAIN,
        SMOOTHING=20,
        OUTPUT=out / "terrain.tif",
    )
    rivers = qgis.output("landslide:streams", INPUT=dem, MIN_AREA=0.5, OUTPUT=out / "streams.gpkg")
    distance = qgis.output(
        "landslide:distance",
        INPUT=rivers,
        REFERENCE=image,
        NAME="river_distance",
        OUTPUT=out / "river_distance.tif",
    )
    indices = qgis.output(
        "landslide:spectralindices",
        INPUT=image,
        SENSOR="sentinel2",
        INDICES=["ndvi", "mndwi"],
        OUTPUT=out / "indices.tif",
    )
    stack = qgis.output(
        "landslide:stack",
        LAYERS=[image, indices, terrain, distance],
        REFERENCE=image,
        OUTPUT=out / "stack.tif",
    )
    return train_and_measure(
        qgis, out, stack, data / "mask_4120.tif", west, east, TILE_SIZE=32, STRIDE=8, EPOCHS=15
    )


def bijie(qgis: Headless, data: Path, out: Path) -> dict[str, float]:
    """Mask R-CNN on 60 landslide images, then on a mosaic of 9 others, laid at 0.8 m."""
    names = sorted(path.stem for path in (data / "masks").iterdir())
    chosen = np.random.default_rng(0).permutation(names)
    for stem in chosen[:60]:
        for kind, ending in (("images", "jpg"), ("masks", "png")):
            link = out / "chosen" / kind / f"{stem}.{ending}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to((data / kind / link.name).resolve())
    samples = qgis.output(
        "landslide:importsamples",
        IMAGES=out / "chosen" / "images",
        MASKS=out / "chosen" / "masks",
        RESOLUTION=0.8,
        OUTPUT=out / "samples",
    )
    model = qgis.run(
        "landslide:train",
        SAMPLES=samples,
        ARCHITECTURE="mask_rcnn",
        EPOCHS=5,
        TILE_SIZE=192,
        BATCH_SIZE=2,
        LEARNING_RATE=0.0003,
        MODEL=out / "model.safetensors",
        HTML=out / "training.html",
    )["MODEL"]
    mosaic, truth = mosaic_of(data, list(chosen[60:69]), out)
    result = qgis.run("landslide:detect", STACK=mosaic, MODEL=model, OUTPUT=out / "landslides.gpkg")
    return measure(qgis, out, result["OUTPUT"], truth, IMAGE=mosaic)


def train_and_measure(
    qgis: Headless,
    out: Path,
    stack: str,
    landslides: Path,
    west: Path,
    east: Path,
    **settings: object,
) -> dict[str, float]:
    """Train FC-DenseNet in the west; predict, vectorize and evaluate in the east."""
    shared = {key: settings.pop(key) for key in ("TILE_SIZE", "STRIDE") if key in settings}
    samples = qgis.output(
        "landslide:samples",
        STACK=stack,
        LANDSLIDES=landslides,
        AREA=west,
        OUTPUT=out / "samples",
        **shared,
    )
    model = qgis.run(
        "landslide:train",
        SAMPLES=samples,
        ARCHITECTURE="fc_densenet",
        BACKBONE="light",
        MODEL=out / "model.safetensors",
        HTML=out / "training.html",
        **settings,
    )["MODEL"]
    probability = qgis.run(
        "landslide:predict",
        STACK=stack,
        MODEL=model,
        AREA=east,
        PROBABILITY=out / "probability.tif",
        MASK=out / "mask.tif",
    )
    qgis.run(
        "landslide:vectorize",
        INPUT=probability["MASK"],
        FACTORS=stack,
        OUTPUT=out / "inventory.gpkg",
    )
    return measure(qgis, out, probability["MASK"], landslides, AREA=east)


def measure(
    qgis: Headless, out: Path, predicted: str, reference: Path, **options: object
) -> dict[str, float]:
    """Evaluate and return the scores."""
    values = qgis.run(
        "landslide:evaluate",
        PREDICTED=predicted,
        REFERENCE=reference,
        HTML=out / "report.html",
        JSON=out / "report.json",
        **options,
    )
    return {key.lower(): values.get(key) for key in SCORES}


def mosaic_of(data: Path, stems: list[str], out: Path) -> tuple[Path, Path]:
    """Lay images side by side, three a row, in a made-up place at 0.8 m; write image and mask."""
    cell = 384
    side = 3 * cell
    image, mask = np.zeros((3, side, side), np.uint8), np.zeros((1, side, side), np.uint8)
    for number, stem in enumerate(stems):
        row, col = divmod(number, 3)
        picture = np.asarray(Image.open(data / "images" / f"{stem}.jpg").convert("RGB"))
        truth = np.asarray(Image.open(data / "masks" / f"{stem}.png").convert("L")) > 0
        height, width = (min(cell, size) for size in truth.shape)
        where = slice(row * cell, row * cell + height), slice(col * cell, col * cell + width)
        image[:, *where] = picture[:height, :width].transpose(2, 0, 1)
        mask[0, *where] = truth[:height, :width]
    paths = out / "mosaic.tif", out / "mosaic_truth.tif"
    bands = (["red", "green", "blue"], ["landslide"])
    for path, array, names in zip(paths, (image, mask), bands, strict=True):
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=side,
            height=side,
            count=len(array),
            dtype="uint8",
            crs="EPSG:32648",
            transform=from_origin(500000, 3000000, 0.8, 0.8),
        ) as dataset:
            dataset.write(array)
            dataset.descriptions = names
    return paths


PARTS: dict[str, tuple[str, Callable[[Headless, Path, Path], dict[str, float]]]] = {
    "kashmir": ("kashmir", kashmir),
    "emilia": ("emilia_s2", emilia),
    "bijie": ("bijie", bijie),
}


def main(data: Path, out: Path, names: list[str]) -> int:
    """Run the parts asked for, all without a name; print and store their scores."""
    if not data.is_dir():
        sys.exit(f"The folder of real data {data} does not exist: set LANDSLIDE_DATA to it.")
    qgis = Headless()
    scores = {}
    for name in names or list(PARTS):
        folder, run = PARTS[name]
        (out / name).mkdir(parents=True)
        started = time.perf_counter()
        scores[name] = run(qgis, data / folder, out / name)
        scores[name]["seconds"] = round(time.perf_counter() - started)
    (out / "scores.json").write_text(json.dumps(scores, indent=1))
    for name, values in scores.items():
        figures = ", ".join(f"{key} {value}" for key, value in values.items())
        print(f"{name}: {figures}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), sys.argv[3:]))
