"""Makes the samples of a table out of public data, with the engine's commands.

Reads `{"data": ..., "folder": ..., "name": ..., "options": {...}}` on stdin.
"""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
from landslide_mapper.landslide_plugin.answer import find_command
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.samples.sample_set import SampleSet
from landslide_mapper.landslide_plugin.samples.sample_writer import SampleWriter
from rasterio.transform import from_origin
from rasterio.windows import Window

from ..shipped.data import add_patch, coarsened, read_patch
from .tables import TERRAIN

MARS_BANDS = ["thermal", "slope", "elevation", "grey", "red", "green", "blue"]
MARS_SIDE = 128
SPLIT_SEED = 0
"""The split is the same for all seeds of a table: they differ in weights and order."""
NODATA = -9999.0
L4S_AREA = "A"
L4S_ROWS = {"train": range(39), "validation": range(41, 47), "test": range(49, 74)}
"""Of that area's layout, row by row from the north; 47 and 48 are held by no part."""


def main() -> None:
    """Make the samples that are asked for."""
    request = json.loads(sys.stdin.read())
    makers: dict[str, Callable[..., None]] = {
        "bijie": bijie, "landslide4sense": landslide4sense, "mars": mars, "kashmir": kashmir,
    }  # fmt: skip
    make = makers[request["name"].split("-")[0]]
    make(Path(request["data"]), request["folder"], **request["options"])


def bijie(
    data: Path,
    folder: str,
    *,
    landslides: int,
    backgrounds: int,
    validation: float,
    test: float,
    reduction: int,
) -> None:
    """Import images with and without landslides, drawn by seed, their pixels averaged."""
    source = (data / "bijie").resolve()
    draw = np.random.default_rng(SPLIT_SEED)
    with TemporaryDirectory() as scratch:
        for pattern, count in (("ls_*", landslides), ("nls_*", backgrounds)):
            names = sorted((source / "images").glob(pattern))
            for path in draw.permutation(np.array(names))[:count]:
                (Path(scratch) / path.name).symlink_to(path)
        fine = Path(scratch) / "samples"
        _command(
            "importsamples",
            images=scratch,
            masks=str(source / "masks"),
            output=str(fine),
            resolution=0.8,
            validation=validation,
            test=test,
            seed=SPLIT_SEED,
        )
        coarsened(SampleSet.read(fine), Path(folder), reduction)


def landslide4sense(data: Path, folder: str, *, train: int, validation: int, test: int) -> None:
    """Take patches of one region, drawn by seed, whose parts are bands of rows with rows between.

    Neighbouring patches go on in each other, so a draw over all of them would show a network the
    surroundings of what it is tested on.
    """
    source = data / "landslide4sense_rgb"
    with (source / "layout.csv").open(encoding="utf-8", newline="") as lines:
        patches = [patch for patch in csv.DictReader(lines) if patch["area"] == L4S_AREA]
    draw = np.random.default_rng(SPLIT_SEED)
    Path(folder).mkdir(parents=True)
    writer = SampleWriter(Path(folder), ["red", "green", "blue"])
    landslide = pixels = 0
    counts = {"train": train, "validation": validation, "test": test}
    for split, rows in L4S_ROWS.items():
        inside = [patch for patch in patches if int(patch["row"]) in rows]
        for number in draw.permutation(len(inside))[: counts[split]]:
            part, name = inside[number]["part"], inside[number]["file"]
            image, labels = read_patch(source / part, name)
            landslide, pixels = landslide + int((labels > 0).sum()), pixels + labels.size
            add_patch(writer, image, labels, split, name, (0, 0))
    writer.finish(
        resolution=10.0,
        crs=None,
        tile_size=128,
        split="rows of one region, with rows between",
        seed=SPLIT_SEED,
        sources=[str(source)],
        before=(landslide, pixels - landslide),
        progress=Progress(),
    )


def mars(
    data: Path, folder: str, *, tiles: int, validation: float, test: float, radius: float = 0
) -> None:
    """Cut patches out of a mosaic of the tiles, split by map block.

    With a radius, in metres, they have the elevation above its mean within that too.
    """
    with TemporaryDirectory() as scratch:
        images = sorted((data / "mars_mmls" / "images").glob("*.tif"))[: tiles or None]
        masks = [data / "mars_mmls" / "masks" / path.name for path in images]
        stack = _mosaic(images, Path(scratch) / "stack.tif", MARS_BANDS)
        mask = _mosaic(masks, Path(scratch) / "mask.tif", ["landslide"])
        if radius:
            stack = _with_relief(stack, radius, Path(scratch))
        _command(
            "samples",
            stack=stack,
            landslides=mask,
            output=folder,
            tile_size=MARS_SIDE,
            stride=MARS_SIDE,
            split="blocks",
            validation=validation,
            test=test,
            seed=SPLIT_SEED,
        )


def kashmir(data: Path, folder: str, *, validation: float, test: float) -> None:
    """Derive the factors, stack them and cut patches, split by map block."""
    source = data / "kashmir"
    dem = str(source / "AW3D30.tif")
    with TemporaryDirectory() as scratch:
        names = ("terrain", "river_distance", "fault_distance", "lithology", "stack")
        path = {name: f"{scratch}/{name}.tif" for name in names}
        rivers = f"{scratch}/rivers.gpkg"
        _command("terrainfactors", input=dem, output=path["terrain"], factors=TERRAIN)
        _command("streams", input=dem, output=rivers, min_area=1.0)
        for name, lines in (
            ("river_distance", rivers),
            ("fault_distance", str(source / "Confirmed_faults.shp")),
        ):
            _command("distance", input=lines, reference=dem, output=path[name], name=name)
        _command(
            "classes",
            input=str(source / "Geology.tif"),
            field="",
            reference=dem,
            output=path["lithology"],
            name="lithology",
        )
        layers = [path[name] for name in names[:-1]]
        _command("stack", layers=layers, output=path["stack"])
        _command(
            "samples",
            stack=path["stack"],
            landslides=str(source / "landslides.shp"),
            output=folder,
            tile_size=64,
            stride=64,
            split="blocks",
            validation=validation,
            test=test,
            seed=SPLIT_SEED,
        )


def _with_relief(stack: str, radius: float, folder: Path) -> str:
    """Return a stack with what its elevation gives within a radius beside its own bands."""
    dem, relief, output = (str(folder / f"{name}.tif") for name in ("dem", "relief", "all"))
    with (
        rasterio.open(stack) as source,
        rasterio.open(dem, "w", **source.profile | {"count": 1}) as one,
    ):
        for _, window in source.block_windows(1):
            one.write(
                source.read([MARS_BANDS.index("elevation") + 1], window=window), window=window
            )
    _command("terrainfactors", input=dem, output=relief, factors=["roughness"], radii=[radius])
    _command("stack", layers=[stack, relief], output=output)
    return output


def _mosaic(paths: list[Path], output: Path, bands: list[str]) -> str:
    """Write tiles of one grid into one raster, the gaps being nodata."""
    positions = []
    for path in paths:
        with rasterio.open(path) as tile:
            positions.append((tile.transform.c, tile.transform.f))
            profile, pixel = tile.profile, tile.res[0]
    left, top = min(x for x, _ in positions), max(y for _, y in positions)
    corners = [(round((x - left) / pixel), round((top - y) / pixel)) for x, y in positions]
    profile = {
        "driver": "GTiff", "dtype": "float32", "nodata": NODATA, "count": len(bands),
        "crs": profile["crs"], "transform": from_origin(left, top, pixel, pixel),
        "width": max(col for col, _ in corners) + MARS_SIDE,
        "height": max(row for _, row in corners) + MARS_SIDE,
        "tiled": True, "blockxsize": MARS_SIDE, "blockysize": MARS_SIDE, "SPARSE_OK": True,
    }  # fmt: skip
    with rasterio.open(output, "w", **profile) as mosaic:
        for path, (col, row) in zip(paths, corners, strict=True):
            with rasterio.open(path) as tile:
                values = tile.read(out_dtype="float32")
            values[~np.isfinite(values) | (values < -1e30)] = NODATA
            mosaic.write(values, window=Window(col, row, MARS_SIDE, MARS_SIDE))
        mosaic.descriptions = bands
    return str(output)


def _command(command: str, /, **parameters: object) -> None:
    find_command(command)(**parameters, progress=Progress())


if __name__ == "__main__":
    main()
