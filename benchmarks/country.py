"""A country of tiles most of which are empty: what a run does besides its windows, and its memory.

    python -m benchmarks.country SCENE MODEL [--bands blue green red] [--tiles 40 50] [--side 1229]
        [--held 20]

So many rows and columns of GeoTIFFs, of which some hold the scene, repeated, and the others no
data, are given as one folder; 40 x 50 of 1229 x 1229 pixels of 10 m are 302,000 km2.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

from .timing import describe_machine
from .workers import measured, polygons, repeat


def main() -> None:
    """Make the tiles, map and vectorize them, and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene")
    parser.add_argument("model")
    parser.add_argument("--bands", nargs="+", help="names that the model knows them by")
    parser.add_argument("--tiles", type=int, nargs=2, default=[40, 50], help="rows and columns")
    parser.add_argument("--side", type=int, default=1229, help="pixels of a tile")
    parser.add_argument("--held", type=int, default=20, help="tiles that hold pixels")
    given = parser.parse_args()
    print(describe_machine())
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tiles = folder / "tiles"
        scattered(Path(given.scene), tiles, given)
        probability, inventory = folder / "probability.tif", folder / "inventory.gpkg"
        asked = {"stack": str(tiles), "model": given.model, "probability": str(probability)}
        print(measured("predict", asked), f"{probability.stat().st_size / 1e6:.0f} MB", flush=True)
        asked = {"input": str(probability), "output": str(inventory)}
        print(measured("vectorize", asked), polygons(inventory), flush=True)


def scattered(scene: Path, folder: Path, given: argparse.Namespace) -> None:
    """Write the tiles: each of those that hold pixels holds another part of the repeated scene."""
    folder.mkdir()
    rows, columns = given.tiles
    whole = folder.with_name("whole.tif")
    across = int(np.ceil(np.sqrt(given.held)))
    repeat(scene, whole, across * given.side, given.bands)
    held = np.random.default_rng(0).choice(rows * columns, given.held, replace=False).tolist()
    with rasterio.open(whole) as source:
        for number, (row, column) in enumerate(np.ndindex(rows, columns)):
            corner = Window(column * given.side, row * given.side, given.side, given.side)
            profile = source.profile | {
                "height": given.side, "width": given.side, "nodata": 0, "SPARSE_OK": True,
                "transform": source.window_transform(corner),
            }  # fmt: skip
            with rasterio.open(folder / f"{row:02}_{column:02}.tif", "w", **profile) as output:
                output.descriptions = source.descriptions
                if number in held:
                    top, left = divmod(held.index(number), across)
                    part = Window(left * given.side, top * given.side, given.side, given.side)
                    output.write(source.read(window=part))
    whole.unlink()


if __name__ == "__main__":
    main()
