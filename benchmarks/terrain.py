"""Nine terrain factors against gdaldem's five tools run one after another, and their memory.

The worker is timed as QGIS starts it, from its start to its end. The DEM is synthetic.
"""

import json
import subprocess
import sys
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin
from scipy.ndimage import zoom

from .timing import Usage, compare, run, tool

FACTORS = (
    "elevation",
    "slope",
    "aspect",
    "plan_curvature",
    "profile_curvature",
    "curvature",
    "tpi",
    "tri",
    "roughness",
)
GDALDEM = ("slope", "aspect", "TPI", "TRI", "roughness")
TILED = ("TILED=YES", "BLOCKXSIZE=256", "BLOCKYSIZE=256", "BIGTIFF=IF_SAFER")
COMPRESSIONS = {
    "none": TILED,
    "zstd": (*TILED, "COMPRESS=ZSTD", "ZSTD_LEVEL=1", "PREDICTOR=3", "NUM_THREADS=ALL_CPUS"),
}

_WORKER = """
import functools, importlib, sys
from landslide_plugin import worker
worker.register_package()
module = importlib.import_module("landslide_mapper.landslide_plugin.factors.terrain_command")
module.RasterWriter = functools.partial(module.RasterWriter, compress=sys.argv[1])
sys.exit(worker.main())
"""
"""The worker; only the output's compression is its own."""


def compare_speed(folder: Path, size: int, compress: str, runs: int) -> None:
    """Print the times of both ways on a DEM of `size` x `size` pixels."""
    dem = make_dem(folder, size)
    compare(
        partial(run_ours, dem, folder / "ours.tif", compress),
        partial(run_gdaldem, dem, folder, compress),
        runs,
        f"nine terrain factors, {size} x {size}, compression {compress}",
        limit=0.5,
    )


def compare_memory(folder: Path, compress: str) -> None:
    """Print the worker's peak memory at 10000 x 10000 and at four times the height."""
    dem = make_dem(folder, 10000)
    peaks = []
    for times in (1, 4):
        usage = run_ours(_pile(dem, times), folder / "ours.tif", compress)
        (folder / "ours.tif").unlink()
        peaks.append(usage.peak)
        print(
            f"memory, {10000 * times} rows x 10000 columns, compression {compress}: peak "
            f"{usage.peak:.0f} MB, {usage.seconds:.1f} s",
            flush=True,
        )
    print(f"memory: {100 * (peaks[1] / peaks[0] - 1):+.1f} % at four times the height", flush=True)


def run_ours(dem: Path, output: Path, compress: str) -> Usage:
    """Derive the nine factors in the worker."""
    output.unlink(missing_ok=True)
    parameters = {"input": str(dem), "output": str(output), "factors": FACTORS}
    request = json.dumps({"command": "terrainfactors", "parameters": parameters})
    return run([sys.executable, "-c", _WORKER, compress], request)


def run_gdaldem(dem: Path, folder: Path, compress: str) -> Usage:
    """Run gdaldem five times, one after another."""
    options = [word for option in COMPRESSIONS[compress] for word in ("-co", option)]
    used = Usage(0, 0, 0)
    for mode in GDALDEM:
        output = folder / f"gdaldem_{mode}.tif"
        output.unlink(missing_ok=True)
        used += run([tool("gdaldem"), mode, str(dem), str(output), "-q", *options])
    return used


def make_dem(folder: Path, size: int) -> Path:
    """Write a synthetic DEM once: noise of all scales between a pixel and the whole.

    A process of its own does it: see `Usage.peak`.
    """
    path = folder / f"dem_{size}.tif"
    if not path.exists():
        process = get_context("spawn").Process(target=_write_dem, args=(path, size))
        process.start()
        process.join()
    return path


def _write_dem(path: Path, size: int) -> None:
    rng = np.random.default_rng(0)
    heights = rng.normal(1000, 0.5, (size, size)).astype(np.float32)
    nodes = 5
    while nodes < size:
        coarse = rng.normal(0, 3000 / nodes, (nodes, nodes)).astype(np.float32)
        heights += zoom(coarse, size / nodes, order=1)
        nodes *= 4
    profile = {
        "driver": "GTiff", "width": size, "height": size, "count": 1, "dtype": "float32",
        "crs": "EPSG:32632", "transform": from_origin(500000, 5000000, 10, 10), "tiled": True,
        "nodata": -9999,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(heights, 1)


def _pile(dem: Path, times: int) -> Path:
    """Return a virtual raster of copies of a DEM one below the other."""
    with rasterio.open(dem) as dataset:
        left, top, width, height = *dataset.transform * (0, 0), dataset.width, dataset.height
    parts = []
    for number in range(times):
        parts.append(dem.with_name(f"part_{number}.vrt"))
        lower = top - 10 * height * number
        corners = [left, lower, left + 10 * width, lower - 10 * height]
        command = [tool("gdal_translate"), "-q", "-of", "VRT", "-a_ullr", *map(str, corners)]
        subprocess.run([*command, str(dem), str(parts[-1])], check=True)  # noqa: S603
    path = dem.with_name(f"pile_{times}.vrt")
    command = [tool("gdalbuildvrt"), "-q", "-overwrite", str(path), *map(str, parts)]
    subprocess.run(command, check=True)  # noqa: S603
    return path
