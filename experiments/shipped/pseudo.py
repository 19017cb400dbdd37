"""Labels that nobody drew: of unlabelled ground, by a model that is sure."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import rasterio
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference.predict_command import predict
from landslide_mapper.landslide_plugin.samples.sample_set import UNKNOWN, SampleSet
from landslide_mapper.landslide_plugin.samples.sample_writer import SampleWriter
from landslide_mapper.landslide_plugin.training.card import light_of
from landslide_mapper.models.model_file import load_card
from numpy.typing import NDArray
from rasterio.transform import from_origin
from scipy.ndimage import label, zoom

from .data import DATA, RGB, add_patch

SURE = 0.1, 0.7
"""Probabilities up to which a pixel is taken for ground, and from which for landslide."""
SIDE = 128
DATES = 15
CLOUDY = (7, 8)
"""Dates of Emilia's series, from 0, that show clouds alone."""
IBURI = ("s2_post_B02B03B04_utm54n_10m.tif", "s2_pre_B02B03B04_utm54n_10m.tif")
SERIES = DATA / "emilia_timeseries" / "italy_s2_4120.nc"


def labelled_by(model: Path, folder: Path, iburi: bool) -> Path:
    """Return samples of Emilia's dates, in the light of a model that labels them.

    Source: self-training by confident pixels (Lee 2013, "Pseudo-label", ICML workshop).

    Args:
        model: its file.
        folder: takes the samples; those that are there already are returned.
        iburi: whether to have Iburi's two scenes too.
    """
    if folder.exists():
        return folder
    folder.mkdir(parents=True)
    writer, card = SampleWriter(folder, RGB), load_card(model)
    stack, mapped = folder / "stack.tif", folder / "mapped.tif"
    landslide = pixels = 0
    for name, scene in unlabelled_scenes(iburi):
        values = stretched(scene, card.scene)
        _write(stack, values)
        predict(stack=str(stack), model=str(model), probability=str(mapped), progress=Progress())
        with rasterio.open(mapped) as raster:
            sure = raster.read(1)
        labels = labels_of(sure)
        for row, column in np.ndindex(*(length // SIDE for length in labels.shape)):
            top, left = row * SIDE, column * SIDE
            part = np.s_[top : top + SIDE, left : left + SIDE]
            if (labels[part] == UNKNOWN).all():
                continue
            known = labels[part] != UNKNOWN
            landslide += int((known & (labels[part] > 0)).sum())
            pixels += int(known.sum())
            add_patch(writer, values[:, *part], labels[part], "train", name, (left, top))
    print(f"{landslide} of {pixels} pixels are taken for landslide", flush=True)
    _finish(writer, landslide, pixels)
    return folder


def ground_alone(samples: SampleSet, folder: Path) -> Path:
    """Return samples of Landsat scenes of flat ground, all background, in the samples' light.

    Their pixels of 30 m are shown as if of 10 m, resampled to that.
    """
    if folder.exists():
        return folder
    folder.mkdir(parents=True)
    writer, light = SampleWriter(folder, RGB), light_of(samples, RGB)
    pixels = 0
    for name, scene in _landsat():
        values = stretched(np.stack([zoom(band, 3, order=1) for band in scene]), light)
        labels = np.where((values > 0).all(axis=0), 0, UNKNOWN).astype(np.uint16)
        for row, column in np.ndindex(*(length // SIDE for length in labels.shape)):
            top, left = row * SIDE, column * SIDE
            part = np.s_[top : top + SIDE, left : left + SIDE]
            pixels += int((labels[part] == 0).sum())
            add_patch(writer, values[:, *part], labels[part], "train", name, (left, top))
    _finish(writer, 0, pixels)
    return folder


def _landsat() -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield name and red, green, blue of scenes of the Amazon and of Olinda."""
    amazon, bands = DATA / "samples" / "rstoolbox_l5_amazon", []
    for number in (3, 2, 1):
        with rasterio.open(amazon / f"LT52240631988227CUB02_B{number}.TIF") as source:
            bands.append(_values(source.read(1, masked=True)))
    yield "Amazon", np.stack(bands)
    with rasterio.open(DATA / "samples" / "stars_olinda_l7_dem" / "L7_ETMs.tif") as source:
        yield "Olinda", _values(source.read((3, 2, 1), masked=True))


def unlabelled_scenes(iburi: bool) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield name and red, green, blue of scenes, NaN where nothing is known."""
    for name in IBURI if iburi else ():
        with rasterio.open(DATA / "iburi_s2" / name) as source:
            yield name, _values(source.read((3, 2, 1), masked=True))
    bands = []
    for band in ("B04", "B03", "B02"):
        with rasterio.open(f"netcdf:{SERIES}:{band}") as source:
            bands.append(_values(source.read(masked=True)))
    for date in sorted(set(range(DATES)) - set(CLOUDY)):
        yield f"{SERIES.stem} {date}", np.stack([band[date] for band in bands])


def stretched(scene: NDArray[np.float32], light: Mapping[str, list[float]]) -> NDArray[np.uint8]:
    """Return a scene stretched as `predict` does, to 1..255; 0 where nothing is known."""
    known = np.isfinite(scene).all(axis=0)
    low, high = (np.percentile(scene[:, known], q, axis=1)[:, None, None] for q in (2, 98))
    first, last = (np.array(light[name])[:, None, None] for name in ("low", "high"))
    values = (scene - low) / (high - low) * (last - first) + first
    return np.where(known, np.clip(values, 1, 255).round(), 0).astype(np.uint8)


def labels_of(sure: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Return landslides, numbered, ground as 0, and what a model is not sure of as unknown."""
    ground, landslide = SURE
    numbered = label(sure >= landslide, np.ones((3, 3)))[0]
    known = (sure >= landslide) | ((sure >= 0) & (sure <= ground))
    return np.where(known, numbered, UNKNOWN).astype(np.uint16)


def _values(values: np.ma.MaskedArray) -> NDArray[np.float32]:
    """Return reflectance, NaN where there is none."""
    plain = np.ma.filled(values.astype(np.float32), np.nan)
    return np.where(plain > 0, plain, np.nan)


def _write(path: Path, values: NDArray[np.uint8]) -> None:
    profile = {
        "driver": "GTiff", "dtype": "uint8", "count": 3, "nodata": 0, "crs": "EPSG:32632",
        "height": values.shape[1], "width": values.shape[2],
        "transform": from_origin(500000, 5000000, 10, 10),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as output:
        output.write(values)
        output.descriptions = RGB


def _finish(writer: SampleWriter, landslide: int, pixels: int) -> None:
    writer.finish(
        resolution=10.0, crs=None, tile_size=SIDE, split="list", seed=0, sources=["pseudo"],
        before=(landslide, pixels - landslide), progress=Progress(),
    )  # fmt: skip
