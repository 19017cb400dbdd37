"""The inventory of a large probability raster against gdal_polygonize, paired in one run.

Run `python -m benchmarks.vectorize` with the engine's Python; gdal_polygonize.py must be on the
path. The raster is synthetic: noise, smoothed, a tile of 1000 x 1000 pixels repeated. GDAL traces
the mask of what is at or above the threshold, ready made, its background nodata (for it would be
traced too, which takes longer); the worker reads probabilities, and with `--factors` terrain too.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin
from rasterio.windows import Window
from scipy.ndimage import gaussian_filter

from .timing import Usage, apart, compare, describe_machine, run, run_worker, tool

THRESHOLD = 0.5
TILE = 1000
FACTORS = ("elevation", "slope", "aspect", "river_distance")


def main(arguments: Sequence[str] | None = None) -> None:
    """Time both ways in turn, check the polygons, and look at the memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=10000, help="pixels a side")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--factors", action="store_true", help="with a stack of four factors")
    parser.add_argument("--memory", action="store_true", help="compare heights instead")
    parser.add_argument("--evaluate", action="store_true", help="time an accuracy report instead")
    given = parser.parse_args(arguments)
    print(describe_machine(), flush=True)
    with TemporaryDirectory() as name:
        folder = Path(name)
        if given.memory:
            compare_memory(folder, given.size, given.factors)
        elif given.evaluate:
            time_report(folder, given.size)
        else:
            apart(write_scene, folder, given.size, given.size, given.factors)
            compare(
                lambda: run_ours(folder, given.factors),
                lambda: run_gdal(folder),
                given.runs,
                f"{given.size} x {given.size}{', with factors' if given.factors else ''}",
                2.0,
            )
            check(folder)


def compare_memory(folder: Path, size: int, factors: bool) -> None:
    """Print the worker's peak memory at a height and at four times that height.

    Half as wide as `size`. At four times the height once with no more landslides than before,
    and once with four times as many, which shows what a landslide takes.
    """
    peaks, counts = [], []
    for height, filled in ((size, size), (4 * size, size), (4 * size, 4 * size)):
        apart(write_scene, folder, size // 2, height, factors, filled)
        usage = run_ours(folder, factors)
        peaks.append(usage.peak)
        counts.append(pyogrio.read_info(folder / "ours.gpkg", layer="ours")["features"])
        print(
            f"{height} rows x {size // 2} columns{', with factors' if factors else ''}, "
            f"{counts[-1]} polygons: peak {usage.peak:.0f} MB, {usage.seconds:.1f} s",
            flush=True,
        )
    each = (peaks[2] - peaks[1]) / (counts[2] - counts[1])
    print(
        f"memory at four times the height: {100 * (peaks[1] / peaks[0] - 1):+.1f} % with as many "
        f"landslides, {1000 * each:.1f} kB for each more",
        flush=True,
    )


def time_report(folder: Path, size: int) -> None:
    """Print what `evaluate` takes, held against a mask that is the map's own but a little off."""
    apart(write_scene, folder, size, size, False)
    apart(write_reference, folder / "reference.tif", size)
    outputs = {kind: str(folder / f"report.{kind}") for kind in ("html", "json", "csv")}
    layers = {
        "predicted": str(folder / "probability.tif"),
        "reference": str(folder / "reference.tif"),
    }
    usage = run_worker("evaluate", layers | outputs)
    print(
        f"evaluate, {size} x {size}: {usage.seconds:.1f} s, {usage.cpu:.1f} CPU s, peak "
        f"{usage.peak:.0f} MB",
        flush=True,
    )


def write_reference(path: Path, size: int) -> None:
    """Write the mask of the landslides, three rows further down and two columns to the right."""
    tile = np.roll(probabilities() >= THRESHOLD, (3, 2), (0, 1)).astype(np.uint8)
    write(path, [tile], size, size)
    with rasterio.open(path, "r+") as dataset:
        dataset.nodata = None  # what is no landslide is known to be none


def write_scene(folder: Path, width: int, height: int, factors: bool, filled: int = 0) -> None:
    """Write probabilities, those of 0.5 or more as a mask, and factors when asked for."""
    tile = probabilities()
    mask = (tile >= THRESHOLD).astype(np.uint8)
    write(folder / "probability.tif", [tile], width, height, filled=filled)
    write(folder / "mask.tif", [mask], width, height, filled=filled)
    if factors:
        layers = [terrain(band) for band in FACTORS]
        write(folder / "factors.tif", layers, width, height, FACTORS)


def probabilities() -> NDArray[np.float32]:
    """Return a tile that repeats without a seam, about 200 landslides of 130 pixels."""
    noise = gaussian_filter(np.random.default_rng(0).normal(size=(TILE, TILE)), 7, mode="wrap")
    steep = 6 * (noise / noise.std() - 1.95)
    values: NDArray[np.float32] = (1 / (1 + np.exp(-steep))).astype(np.float32)
    return values


def terrain(band: str) -> NDArray[np.float32]:
    """Return a tile of a factor: smooth, and in a range that fits it."""
    noise = gaussian_filter(np.random.default_rng(len(band)).normal(size=(TILE, TILE)), 30)
    low, high = {"slope": (0, 60), "aspect": (0, 360)}.get(band, (0, 3000))
    fraction = (noise - noise.min()) / np.ptp(noise)
    values: NDArray[np.float32] = (low + (high - low) * fraction).astype(np.float32)
    return values


def write(
    path: Path,
    tiles: list[NDArray[Any]],
    width: int,
    height: int,
    bands: Sequence[str] = ("landslide_probability",),
    filled: int = 0,
) -> None:
    """Write bands that repeat a tile, in the first `filled` rows (all when 0)."""
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=width,
        height=height,
        count=len(tiles),
        dtype=tiles[0].dtype,
        crs="EPSG:32632",
        transform=from_origin(500000, 5000000, 10, 10),
        nodata=0 if tiles[0].dtype == np.uint8 else -9999,
        tiled=True,
        blockxsize=256,
        blockysize=256,
        interleave="band",
        compress="zstd",
        zstd_level=1,
        predictor=2 if tiles[0].dtype == np.uint8 else 3,
        num_threads="all_cpus",
        sparse_ok=True,
    ) as dataset:
        for index, (band, tile) in enumerate(zip(bands, tiles, strict=True), start=1):
            dataset.set_band_description(index, band)
            across = np.tile(tile, (1, -(-width // TILE)))[:, :width]
            for top in range(0, filled or height, TILE):
                rows = min(TILE, height - top)
                dataset.write(across[:rows], index, window=Window(0, top, width, rows))


def run_gdal(folder: Path) -> Usage:
    """Trace the mask."""
    output = folder / "theirs.gpkg"
    output.unlink(missing_ok=True)
    command = [tool("gdal_polygonize.py"), "-q", str(folder / "mask.tif"), "-f", "GPKG"]
    return run([*command, str(output)])


def run_ours(folder: Path, factors: bool) -> Usage:
    """Make the inventory."""
    parameters: dict[str, Any] = {
        "input": str(folder / "probability.tif"),
        "output": str(folder / "ours.gpkg"),
        "threshold": THRESHOLD,
    }
    if factors:
        parameters["factors"] = str(folder / "factors.tif")
    return run_worker("vectorize", parameters)


def check(folder: Path) -> None:
    """Print counts and areas of both, and the geometries that are not valid."""
    with rasterio.open(folder / "mask.tif") as mask:
        pixels = sum(int(mask.read(1, window=window).sum()) for _, window in mask.block_windows(1))
    for name in ("ours", "theirs"):
        layer = gpd.read_file(folder / f"{name}.gpkg", layer=0)
        off = layer.geometry.area.sum() / (pixels * 100) - 1
        size = os.path.getsize(folder / f"{name}.gpkg") / 1e6
        print(
            f"{name}: {len(layer)} polygons, {(~layer.is_valid).sum()} invalid, area {off:+.1e} of "
            f"the mask's, {len(layer.columns) - 1} fields, {size:.0f} MB"
        )


if __name__ == "__main__":
    main()
