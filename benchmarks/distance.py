"""The distance to rivers against GDAL's tools, paired in one run.

Run `python -m benchmarks.distance` with the engine's Python; gdal_rasterize and gdal_proximity.py
must be on the path. The rivers are synthetic: random walks over a grid of 10 m.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess  # nosec B404
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from landslide_mapper.landslide_plugin.factors import commands
from landslide_mapper.landslide_plugin.progress import Progress
from landslide_mapper.landslide_plugin.raster.writer import RasterWriter
from rasterio.transform import from_origin
from scipy.ndimage import distance_transform_edt

PIXEL = 10.0
LEFT, TOP = 500000.0, 5000000.0
COMPRESSIONS = {
    "none": [],
    "zstd": ["COMPRESS=ZSTD", "ZSTD_LEVEL=1", "NUM_THREADS=ALL_CPUS"],
}
"""Creation options of GDAL's tools. They write strips, as by default: gdal_proximity writes its
output twice, line by line, which takes fifty times as long in compressed tiles."""

_CHILD = """
import sys
from pathlib import Path
from benchmarks.distance import time_command
time_command(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Time both ways in turn and print medians and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=5000, help="pixels a side")
    parser.add_argument("--rivers", type=int, default=150, help="number of rivers")
    parser.add_argument("--limit", type=float, default=0.0, help="largest distance, m")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--compress", choices=COMPRESSIONS, action="append")
    parser.add_argument("--gdal", default="", help="folder of GDAL's tools")
    given = parser.parse_args(arguments)
    with TemporaryDirectory() as name:
        folder = Path(name)
        make_inputs(folder, given.size, given.rivers)
        for compress in given.compress or COMPRESSIONS:
            compare(folder, compress, given.limit, given.runs, given.gdal)
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


def compare(folder: Path, compress: str, limit: float, runs: int, gdal: str) -> None:
    """Run GDAL's tools and the command by turns and print their medians."""
    ours, whole, memory, theirs, theirs_memory = [], [], [], [], []
    for _ in range(runs):
        seconds, peak = run_gdal(folder, compress, limit, gdal)
        theirs.append(seconds)
        theirs_memory.append(peak)
        started = time.perf_counter()
        seconds, peak = run_ours(folder, compress, limit)
        whole.append(time.perf_counter() - started)
        ours.append(seconds)
        memory.append(peak)
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    print(
        f"{compress}: distance {statistics.median(ours):.2f} s (with the start of Python "
        f"{statistics.median(whole):.2f} s), peak {max(memory):.0f} MB; gdal_rasterize + "
        f"gdal_proximity {statistics.median(theirs):.2f} s, peak {max(theirs_memory):.0f} MB; "
        f"ratio of medians {statistics.median(ours) / statistics.median(theirs):.2f}, median of "
        f"paired ratios {statistics.median(ratios):.2f} ({runs} pairs)"
    )


def run_gdal(folder: Path, compress: str, limit: float, gdal: str) -> tuple[float, float]:
    """Burn the rivers and measure from them; return seconds and the larger peak in MB."""
    create = [word for option in COMPRESSIONS[compress] for word in ("-co", option)]
    with rasterio.open(folder / "reference.tif") as reference:
        size = reference.width
    extent = [LEFT, TOP - PIXEL * size, LEFT + PIXEL * size, TOP]
    burn = [_tool("gdal_rasterize", gdal), "-q", "-at", "-burn", "1", "-ot", "Byte"]
    burn += ["-te", *map(str, extent), "-ts", str(size), str(size), *create]
    burn += [str(folder / "rivers.gpkg"), str(folder / "burnt.tif")]
    if compress == "zstd":
        create += ["-co", "PREDICTOR=3"]
    measure = [_tool("gdal_proximity.py", gdal), "-q", "-distunits", "GEO", "-ot", "Float32"]
    if limit:
        measure += ["-maxdist", str(limit), "-nodata", str(limit)]
    measure += [*create, str(folder / "burnt.tif"), str(folder / "proximity.tif")]
    for name in ("burnt.tif", "proximity.tif"):
        (folder / name).unlink(missing_ok=True)
    started = time.perf_counter()
    peak = max(_peak(burn), _peak(measure))
    return time.perf_counter() - started, peak


def run_ours(folder: Path, compress: str, limit: float) -> tuple[float, float]:
    """Run the command in a process of its own; return its seconds and the process's peak in MB."""
    result = folder / "result.json"
    command = [sys.executable, "-c", _CHILD, str(folder), compress, str(limit)]
    peak = _peak(command)
    return float(json.loads(result.read_text())), peak


def time_command(folder: Path, compress: str, limit: float) -> None:
    """Run the command in this process and write its seconds."""
    with _compressed(compress):
        started = time.perf_counter()
        commands.distance(
            input=str(folder / "rivers.gpkg"),
            reference=str(folder / "reference.tif"),
            output=str(folder / "distance.tif"),
            max_distance=limit,
            progress=Progress(),
        )
        seconds = time.perf_counter() - started
    (folder / "result.json").write_text(json.dumps(seconds))


def check(folder: Path) -> None:
    """Print how far the last results lie from scipy's transform of the pixels GDAL burnt."""
    with rasterio.open(folder / "burnt.tif") as burnt:
        exact = distance_transform_edt(burnt.read(1) == 0)
    for name in ("distance.tif", "proximity.tif"):
        with rasterio.open(folder / name) as dataset:
            apart = np.abs(dataset.read(1) / PIXEL - exact)
        print(f"{name}: at most {apart.max():.2g} pixel from scipy, {exact.max():.0f} pixels far")


@contextmanager
def _compressed(compress: str) -> Iterator[None]:
    usual = commands.RasterWriter
    commands.RasterWriter = partial(RasterWriter, compress=compress)
    try:
        yield
    finally:
        commands.RasterWriter = usual


def _peak(command: Sequence[str]) -> float:
    """Run a program to its end and return its peak memory in MB."""
    process = subprocess.Popen(command)  # noqa: S603 - our own words  # nosec B603
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} failed")
    return usage.ru_maxrss / 1000


def _tool(name: str, folder: str) -> str:
    found = shutil.which(name, path=folder or None)
    if found is None:
        raise SystemExit(f"{name} is not on the path.")
    return found


if __name__ == "__main__":
    main()
