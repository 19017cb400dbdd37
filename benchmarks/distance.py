"""The distance to rivers against GDAL's tools, paired in one run.

Run `python -m benchmarks.distance` with the engine's Python; gdal_rasterize and gdal_proximity.py
must be on the path. The rivers are synthetic: random walks over a grid of 10 m.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from rasterio.transform import from_origin
from scipy.ndimage import distance_transform_edt

from .timing import Usage, middle, run, spread, tool

PIXEL = 10.0
LEFT, TOP = 500000.0, 5000000.0
COMPRESSIONS = {"none": [], "zstd": ["COMPRESS=ZSTD", "ZSTD_LEVEL=1", "NUM_THREADS=ALL_CPUS"]}
"""Creation options of GDAL's tools. They write strips, as by default: gdal_proximity writes its
output twice, line by line, which takes fifty times as long in compressed tiles."""

_WORKER = """
import functools, importlib, sys, time
from pathlib import Path
from landslide_plugin import worker
worker.register_package()
sys.modules.update(dict.fromkeys(("geopandas", "pandas")))
module = importlib.import_module("landslide_mapper.landslide_plugin.factors.distance_command")
module.RasterWriter = functools.partial(module.RasterWriter, compress=sys.argv[1])
command = module.distance
@functools.wraps(command)
def timed(**parameters):
    started = time.perf_counter()
    result = command(**parameters)
    Path(sys.argv[2]).write_text(str(time.perf_counter() - started))
    return result
module.distance = timed
sys.exit(worker.main())
"""
"""The worker; its own are only the output's compression and the time without Python's start."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Time both ways in turn and print medians and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=5000, help="pixels a side")
    parser.add_argument("--rivers", type=int, default=150, help="number of rivers")
    parser.add_argument("--limit", type=float, default=0.0, help="largest distance, m")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--compress", choices=COMPRESSIONS, action="append")
    given = parser.parse_args(arguments)
    with TemporaryDirectory() as name:
        folder = Path(name)
        make_inputs(folder, given.size, given.rivers)
        for compress in given.compress or COMPRESSIONS:
            compare(folder, compress, given.limit, given.runs)
        if not given.limit:
            check(folder)


def make_inputs(folder: Path, size: int, rivers: int) -> None:
    """Write an empty reference raster and synthetic rivers, as random walks of 3000 steps."""
    with rasterio.open(
        folder / "reference.tif",
        "w",
        driver="GTiff",
        width=size,
        height=size,
        count=1,
        dtype="uint8",
        crs="EPSG:32632",
        transform=from_origin(LEFT, TOP, PIXEL, PIXEL),
        sparse_ok=True,
    ):
        pass
    rng = np.random.default_rng(0)
    turns = rng.uniform(0, 2 * np.pi, (rivers, 1)) + rng.normal(0, 0.05, (rivers, 3000)).cumsum(1)
    x = LEFT + PIXEL * (rng.uniform(0, size, (rivers, 1)) + np.cos(turns).cumsum(1))
    y = TOP - PIXEL * (rng.uniform(0, size, (rivers, 1)) + np.sin(turns).cumsum(1))
    lines = [shapely.LineString(line) for line in np.stack([x, y], axis=-1)]
    inside = shapely.box(LEFT, TOP - PIXEL * size, LEFT + PIXEL * size, TOP)
    # GDAL's tools see nothing outside the grid, so nothing lies there.
    frame = gpd.GeoDataFrame(geometry=shapely.intersection(lines, inside), crs=32632)
    frame[~frame.is_empty].to_file(
        folder / "rivers.gpkg", layer="rivers", dataset_options={"VERSION": "1.3"}
    )


def compare(folder: Path, compress: str, limit: float, runs: int) -> None:
    """Run GDAL's tools and the worker by turns and print their medians."""
    theirs, ours, commands = [], [], []
    for _ in range(runs):
        os.sync()
        theirs.append(run_gdal(folder, compress, limit))
        os.sync()
        usage, seconds = run_ours(folder, compress, limit)
        ours.append(usage)
        commands.append(seconds)
    gdal = [usage.seconds for usage in theirs]
    alone, whole = spread(commands, gdal), spread([usage.seconds for usage in ours], gdal)
    print(
        f"distance, compression {compress}: the command {statistics.median(commands):.2f} s, with "
        f"Python's start {middle(ours)}; gdal_rasterize and gdal_proximity {middle(theirs)}; "
        f"ratio {alone}, with Python's start {whole}; {runs} pairs",
        flush=True,
    )


def run_gdal(folder: Path, compress: str, limit: float) -> Usage:
    """Burn the rivers and measure from them."""
    create = [word for option in COMPRESSIONS[compress] for word in ("-co", option)]
    with rasterio.open(folder / "reference.tif") as reference:
        size = reference.width
    extent = [LEFT, TOP - PIXEL * size, LEFT + PIXEL * size, TOP]
    burn = [tool("gdal_rasterize"), "-q", "-at", "-burn", "1", "-ot", "Byte"]
    burn += ["-te", *map(str, extent), "-ts", str(size), str(size), *create]
    burn += [str(folder / "rivers.gpkg"), str(folder / "burnt.tif")]
    if compress == "zstd":
        create += ["-co", "PREDICTOR=3"]
    measure = [tool("gdal_proximity.py"), "-q", "-distunits", "GEO", "-ot", "Float32"]
    if limit:
        measure += ["-maxdist", str(limit), "-nodata", str(limit)]
    measure += [*create, str(folder / "burnt.tif"), str(folder / "proximity.tif")]
    for name in ("burnt.tif", "proximity.tif"):
        (folder / name).unlink(missing_ok=True)
    return run(burn) + run(measure)


def run_ours(folder: Path, compress: str, limit: float) -> tuple[Usage, float]:
    """Run the worker; return what it took, and the seconds without Python's start."""
    parameters = {
        "input": str(folder / "rivers.gpkg"),
        "reference": str(folder / "reference.tif"),
        "output": str(folder / "distance.tif"),
        "max_distance": limit,
    }
    request = json.dumps({"command": "distance", "parameters": parameters})
    seconds = folder / "seconds.txt"
    usage = run([sys.executable, "-c", _WORKER, compress, str(seconds)], request)
    return usage, float(seconds.read_text())


def check(folder: Path) -> None:
    """Print how far the last results lie from scipy's transform of the pixels GDAL burnt."""
    with rasterio.open(folder / "burnt.tif") as burnt:
        exact = distance_transform_edt(burnt.read(1) == 0)
    for name in ("distance.tif", "proximity.tif"):
        with rasterio.open(folder / name) as dataset:
            apart = np.abs(dataset.read(1) / PIXEL - exact)
        print(f"{name}: at most {apart.max():.2g} pixel from scipy, {exact.max():.0f} pixels far")


if __name__ == "__main__":
    main()
