"""Nine terrain factors against gdaldem's five tools run one after another, and their memory.

The worker is timed as QGIS starts it, from its start to its end. The DEM is synthetic.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window
from scipy.ndimage import zoom

from .timing import Usage, apart, compare, run, tool

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
module = importlib.import_module("landslide_mapper.landslide_plugin.factors.terrainfactors_command")
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
        pile = dem
        if times > 1:
            pile = _make_once(folder / f"dem_10000_{times}_times.tif", _write_pile, dem, times)
        usage = run_ours(pile, folder / "ours.tif", compress)
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
    """Write a synthetic DEM once: noise of all scales between a pixel and the whole."""
    return _make_once(folder / f"dem_{size}.tif", _write_dem, size)


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


def _write_pile(path: Path, dem: Path, times: int) -> None:
    """Write copies of a DEM below each other as one DEM."""
    with rasterio.open(dem) as one:
        profile = {**one.profile, "height": one.height * times, "bigtiff": "if_safer"}
        with rasterio.open(path, "w", **profile) as pile:
            for number in range(times):
                for _, part in one.block_windows(1):
                    row = part.row_off + number * one.height
                    below = Window(part.col_off, row, part.width, part.height)
                    pile.write(one.read(1, window=part), 1, window=below)


def _make_once(path: Path, write: Callable[..., None], *arguments: object) -> Path:
    """Let a process of its own write a file, if it isn't there: see `Usage.peak`."""
    if not path.exists():
        apart(write, path, *arguments)
    return path
